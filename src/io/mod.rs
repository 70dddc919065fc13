//! Sockets, the database, signals: everything that waits.
