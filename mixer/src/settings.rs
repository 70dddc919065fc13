//! What a leg and a mixer are set to.

use std::{error, fmt};

use crate::{Codec, CodecFailed};

/// Milliseconds of audio that one tick mixes.
pub const TICK_MS: u32 = 20;

/// The number of a leg, given by the caller, unique in its mixer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Leg(pub u64);

/// A sampling rate of voices, and of their sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rate {
    /// 8000 Hz: what telephones carry.
    Narrow,
    /// 16000 Hz.
    Wide,
    /// 48000 Hz.
    Full,
}

impl Rate {
    /// Finds the rate of that many samples a second.
    pub fn from_hz(hz: u32) -> Option<Self> {
        [Self::Narrow, Self::Wide, Self::Full].into_iter().find(|rate| rate.hz() == hz)
    }

    /// Samples a second.
    pub const fn hz(self) -> u32 {
        match self {
            Self::Narrow => 8000,
            Self::Wide => 16000,
            Self::Full => 48000,
        }
    }

    /// Samples a tick.
    pub(crate) const fn frame(self) -> usize {
        (self.hz() * TICK_MS / 1000) as usize
    }

    /// How many samples stand for one of 8000 Hz.
    pub(crate) const fn ratio(self) -> usize {
        (self.hz() / 8000) as usize
    }
}

/// Samples a tick at 8000 Hz.
pub(crate) const NARROW_FRAME: usize = Rate::Narrow.frame();

/// Samples a tick at the highest rate.
pub(crate) const MAX_FRAME: usize = Rate::Full.frame();

/// One tick of sound.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    rate: Rate,
    samples: [i16; MAX_FRAME],
}

impl Frame {
    /// Silence.
    pub(crate) const fn new(rate: Rate) -> Self {
        Self {
            rate,
            samples: [0; MAX_FRAME],
        }
    }

    pub(crate) fn rate(&self) -> Rate {
        self.rate
    }

    /// Makes it a frame of that rate, which may hold anything.
    pub(crate) fn set_rate(&mut self, rate: Rate) {
        self.rate = rate;
    }

    pub(crate) fn pcm(&self) -> &[i16] {
        &self.samples[..self.rate.frame()]
    }

    pub(crate) fn pcm_mut(&mut self) -> &mut [i16] {
        &mut self.samples[..self.rate.frame()]
    }
}

/// What was negotiated for a leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LegSettings {
    /// What the leg sends and receives.
    pub codec: Codec,
    /// Milliseconds of audio in a packet that the mixer makes: 20, 40 or 60.
    pub ptime_ms: u8,
    /// The peer accepts gaps in silence: Opus with `usedtx=1` (RFC 7587 section 6.1).
    pub dtx: bool,
    /// The peer accepts comfort noise (RFC 3389) in place of silence; not used with Opus.
    pub comfort_noise: bool,
}

impl LegSettings {
    /// Settings that every peer understands: 20 ms packets, silence sent as audio.
    pub fn plain(codec: Codec) -> Self {
        Self {
            codec,
            ptime_ms: 20,
            dtx: false,
            comfort_noise: false,
        }
    }

    /// 20 ms frames in a packet.
    pub(crate) fn frames(self) -> Result<usize, Unbuildable> {
        match self.ptime_ms {
            20 => Ok(1),
            40 => Ok(2),
            60 => Ok(3),
            other => Err(Unbuildable::Ptime(other)),
        }
    }
}

/// Why there is no audio for such settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unbuildable {
    /// The packet length in ms is none of 20, 40, 60.
    Ptime(u8),
    /// The codec library refused.
    Codec(CodecFailed),
}

impl From<CodecFailed> for Unbuildable {
    fn from(failed: CodecFailed) -> Self {
        Self::Codec(failed)
    }
}

impl fmt::Display for Unbuildable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ptime(ms) => write!(f, "packets of {ms} ms can't be made, only of 20, 40 or 60"),
            Self::Codec(_) => f.write_str("the codec can't be set up"),
        }
    }
}

impl error::Error for Unbuildable {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Ptime(_) => None,
            Self::Codec(failed) => Some(failed),
        }
    }
}
