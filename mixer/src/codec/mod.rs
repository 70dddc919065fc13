//! Codecs and their clock rates (rule R70).

mod g711;
pub(crate) mod opus;

use std::{error, fmt};

pub(crate) use g711::Law;

use crate::Rate;

/// A codec that a leg can speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Codec {
    /// G.711 µ-law, 8000 Hz.
    Pcmu,
    /// G.711 A-law, 8000 Hz.
    Pcma,
    /// Opus, RTP clock 48000 Hz (RFC 7587).
    Opus,
}

impl Codec {
    /// Units a second of the RTP clock.
    pub const fn clock_hz(self) -> u32 {
        match self {
            Self::Pcmu | Self::Pcma => 8000,
            Self::Opus => 48000,
        }
    }

    /// The sampling rate of the sound that it carries.
    pub const fn rate(self) -> Rate {
        match self {
            Self::Pcmu | Self::Pcma => Rate::Narrow,
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
