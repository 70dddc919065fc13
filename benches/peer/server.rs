//! What a server under test is to the load generator: a process, and a way in for each participant.

use std::net::SocketAddr;

use crate::Outcome;

/// A server that runs, bound to its core; ends when dropped.
pub(crate) trait Server {
    /// Its process id.
    fn id(&self) -> u32;

    /// Lets somebody into a room, with voice at that port of the loopback address; gives where the server takes their voice.
    fn join(&mut self, room: usize, codec: Codec, port: u16) -> Outcome<SocketAddr>;
}

/// What a participant speaks and hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Codec {
    /// G.711 µ-law.
    Pcmu,
    /// Opus, 48000 Hz.
    Opus,
}

/// Bits a second that Opus is asked for, on both sides.
pub(crate) const OPUS_RATE: u32 = 32_000;

impl Codec {
    /// Payload type in all calls.
    pub(crate) fn payload_type(self) -> u8 {
        match self {
            Self::Pcmu => 0,
            Self::Opus => 111,
        }
    }

    /// Units of the RTP clock in 20 ms.
    pub(crate) fn step(self) -> u32 {
        match self {
            Self::Pcmu => 160,
            Self::Opus => 960,
        }
    }

    /// Its name in Janus's interface and in tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pcmu => "pcmu",
            Self::Opus => "opus",
        }
    }

    /// Sampling rate of a room in which it is at home, in Hz.
    pub(crate) fn room_rate(self) -> u32 {
        match self {
            Self::Pcmu => 8000,
            Self::Opus => 48_000,
        }
    }
}
