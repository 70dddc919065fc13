//! What a leg and a mixer are set to.

use std::{error, fmt};

use crate::{Codec, codec::Law};

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
    /// Milliseconds of audio in a packet that the mixer makes: 20, 40 or 60, and 10, 30 or 50 too with other codecs than Opus.
    pub ptime_ms: u8,
    /// The kind of Opus stream that the mixer makes; means nothing with other codecs.
    pub opus: OpusClass,
    /// The peer accepts gaps in silence: Opus with `usedtx=1` (RFC 7587 section 6.1).
    pub dtx: bool,
    /// The peer can make use of in-band FEC: Opus with `useinbandfec=1` (RFC 7587 section 6.1).
    pub fec: bool,
    /// The peer accepts comfort noise (RFC 3389) in place of silence; not used with Opus.
    pub comfort_noise: bool,
    /// The leg's voice is brought to the usual level, -26 dBov, slowly and by 18 dB at most.
    pub agc: bool,
    /// Noise is taken out of the leg's voice, which is delayed by 10 to 14 ms for it.
    pub denoise: bool,
}

impl LegSettings {
    /// Settings that every peer understands: 20 ms packets, silence sent as audio, the voice mixed as it comes.
    pub fn plain(codec: Codec) -> Self {
        Self {
            codec,
            ptime_ms: 20,
            opus: OpusClass::Full,
            dtx: false,
            fec: false,
            comfort_noise: false,
            agc: false,
            denoise: false,
        }
    }

    /// What the leg may share an encoder by.
    pub(crate) const fn stream(self) -> Stream {
        match self.codec {
            Codec::Pcmu => Stream::Law(Law::Mu),
            Codec::Pcma => Stream::Law(Law::A),
            Codec::G722 => Stream::G722,
            Codec::Opus => Stream::Opus(self.opus),
        }
    }

    /// The sampling rate of what the leg can hear.
    pub(crate) const fn hears(self) -> Rate {
        match self.codec {
            Codec::Pcmu | Codec::Pcma | Codec::G722 => self.codec.rate(),
            Codec::Opus => self.opus.rate(),
        }
    }

    /// What is done to the leg's voice.
    pub(crate) const fn polishes(self) -> (bool, bool) {
        (self.agc, self.denoise)
    }

    /// Whether packets of that length can be made.
    pub(crate) fn check(self) -> Result<(), Unbuildable> {
        match (self.ptime_ms, self.codec) {
            (20 | 40 | 60, _) | (10 | 30 | 50, Codec::Pcmu | Codec::Pcma | Codec::G722) => Ok(()),
            (other, _) => Err(Unbuildable::Ptime(other)),
        }
    }
}

/// What legs that share an encoder have in common (rule R63).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    Law(Law),
    G722,
    Opus(OpusClass),
}

impl Stream {
    pub(crate) const COUNT: usize = 3 + OpusClass::ALL.len();

    /// Its place among all.
    pub(crate) const fn index(self) -> usize {
        match self {
            Self::Law(Law::Mu) => 0,
            Self::Law(Law::A) => 1,
            Self::G722 => 2,
            Self::Opus(class) => 3 + class as usize,
        }
    }

    /// The sampling rate that its encoder takes.
    pub(crate) const fn rate(self) -> Rate {
        match self {
            Self::Law(_) => Codec::Pcmu.rate(),
            Self::G722 => Codec::G722.rate(),
            Self::Opus(_) => Codec::Opus.rate(),
        }
    }
}

/// Kinds of Opus stream: what peers ask for, in few enough steps that many legs share an encoder (rule R63).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OpusClass {
    /// Sound of 8000 Hz at 12 kbit/s.
    Narrow,
    /// Sound of 16000 Hz at 20 kbit/s.
    Wide,
    /// Sound of 48000 Hz at 32 kbit/s.
    Full,
    /// The same in packets of one length, which tell an eavesdropper nothing (RFC 6562 section 3).
    Constant,
}

impl OpusClass {
    pub(crate) const ALL: [Self; 4] = [Self::Narrow, Self::Wide, Self::Full, Self::Constant];

    /// The best that such a peer (RFC 7587 section 6.1) wants: that plays sound of so many Hz, and so many bit/s; `constant` counts where both
    /// have no limit. Below 12 kbit/s nothing is worth hearing.
    pub const fn fitting(playback_hz: u32, bits_a_second: u32, constant: bool) -> Self {
        match (playback_hz, bits_a_second) {
            (..16_000, _) | (_, ..20_000) => Self::Narrow,
            (..48_000, _) | (_, ..32_000) => Self::Wide,
            _ if constant => Self::Constant,
            _ => Self::Full,
        }
    }

    /// The sampling rate of the sound.
    pub(crate) const fn rate(self) -> Rate {
        match self {
            Self::Narrow => Rate::Narrow,
            Self::Wide => Rate::Wide,
            Self::Full | Self::Constant => Rate::Full,
        }
    }
}

/// Why there is no audio for such settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unbuildable {
    /// There are no packets of so many ms with that codec: see [`LegSettings::ptime_ms`].
    Ptime(u8),
}

impl fmt::Display for Unbuildable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ptime(ms) => write!(f, "packets of {ms} ms can't be made"),
        }
    }
}

impl error::Error for Unbuildable {}
