//! Against real peers: each test starts its own processes, on free loopback ports, with deadlines, and ends them.

mod browser;
mod calls;
mod chat;
mod component;
mod demo;
mod faults;
mod kamailio;
mod latency;
mod names;
mod operator;
pub(crate) mod peers;
mod phone;
mod prosody;
mod recording;
mod rooms;
mod security;
mod sipp;
mod tls;
mod torture;
mod voices;
mod weight;
