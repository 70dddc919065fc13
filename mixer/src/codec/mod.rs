//! Codecs and their clock rates (rule R70).

mod g711;
pub(crate) mod g722;
pub(crate) mod opus;

use std::{error, fmt};

pub(crate) use g711::Law;

use crate::Rate;

/// Bytes in a tick of the codecs that have 64 kbit/s.
pub(crate) const BYTES_PER_TICK: usize = 160;

/// A codec that a leg can speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Codec {
    /// G.711 µ-law, 8000 Hz.
    Pcmu,
    /// G.711 A-law, 8000 Hz.
    Pcma,
    /// G.722 at 64 kbit/s: sound of 16000 Hz, RTP clock 8000 Hz (RFC 3551 section 4.5.2).
    G722,
    /// Opus, RTP clock 48000 Hz (RFC 7587).
    Opus,
}

impl Codec {
    /// Units a second of the RTP clock.
    pub const fn clock_hz(self) -> u32 {
        match self {
            Self::Pcmu | Self::Pcma | Self::G722 => 8000,
            Self::Opus => 48000,
        }
    }

    /// The sampling rate of the sound that it carries.
    pub const fn rate(self) -> Rate {
        match self {
            Self::Pcmu | Self::Pcma => Rate::Narrow,
            Self::G722 => Rate::Wide,
            Self::Opus => Rate::Full,
        }
    }

    /// Units of the RTP clock in a tick.
    pub(crate) const fn clock_step(self) -> u32 {
        self.clock_hz() * crate::TICK_MS / 1000
    }
}

/// The codec library refused to set up an encoder or decoder: it had no memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodecFailed;

impl fmt::Display for CodecFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("libopus refused to set up its state")
    }
}

impl error::Error for CodecFailed {}

impl From<opusic_c::ErrorCode> for CodecFailed {
    fn from(_: opusic_c::ErrorCode) -> Self {
        Self
    }
}
