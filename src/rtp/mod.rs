//! RTP and RTCP for one leg, sans-IO: headers, sessions, SRTP, latching, key presses, inactivity.
//!
//! Knows no socket, no clock and no codec: bytes, source addresses and instants come in as arguments, and nothing on the packet
//! path allocates. It doesn't order packets (the mixer's jitter buffer does).

pub mod demux;
pub mod dtls;
pub mod dtmf;
pub mod extension;
pub mod ice;
pub mod latch;
pub mod packet;
pub mod path;
pub mod quality;
pub mod rtcp;
pub mod session;
pub mod srtp;
pub mod watch;

pub use demux::Kind;
pub use dtmf::Keypad;
pub use extension::Extension;
pub use latch::{Candidates, Latch, Verdict};
pub use packet::{Header, Packet};
pub use path::Path;
pub use session::{Heard, Outgoing, Receiver, Sender};
pub use watch::Watch;

#[cfg(test)]
mod mutation;
