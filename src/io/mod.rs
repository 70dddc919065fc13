//! Sockets, the database, signals: everything that waits.

pub mod xmpp;
