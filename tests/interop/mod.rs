//! Against real peers: each test starts its own processes, on free loopback ports, with deadlines, and ends them.

pub(crate) mod peers;
mod prosody;
