//! Against real peers: each test starts its own processes, on free loopback ports, with deadlines, and ends them.

mod component;
pub(crate) mod peers;
mod prosody;
