//! Sockets, the database, signals: everything that waits.

pub mod resolve;
pub mod sip;
pub mod store;
pub mod xmpp;
