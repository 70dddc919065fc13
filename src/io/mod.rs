//! Sockets, the database, signals: everything that waits.

pub mod store;
pub mod xmpp;
