//! Encoders of what legs hear: one per leg for what only it hears, one per codec for what all hear alike (rule R63).

use crate::{
    Codec, CodecFailed, Rate,
    codec::{
        Law,
        opus::{self, MAX_ENCODED},
    },
    mix::Heard,
    resample::{Filters, Tail},
    settings::{Frame, MAX_FRAME, NARROW_FRAME},
};

/// When a change of the mixing rate begins to be heard, in ms after the tick's beginning, when the new rate's filters have filled, and how
/// long the old and the new are heard both (rule R67).
const FADE_FROM_MS: usize = 4;
const FADE_MS: usize = 10;

/// An encoder with what it made last.
pub(crate) struct Mouth {
    voice: Voice,
    inlet: Inlet,
    /// The tick of the last frame.
    last: Option<u64>,
    /// Somebody will hear the next frame who didn't hear the one before.
    newcomer: bool,
    frame: [u8; MAX_ENCODED],
    length: usize,
}

enum Voice {
    Law(Law),
    Opus {
        encoder: opus::Encoder,
        /// Frames don't lean on those before, as set last.
        alone: bool,
    },
}

/// Brings what is heard from the mixing rate to the encoder's, which stays.
struct Inlet {
    /// The mixing rate so far, which is that of the tail.
    rate: Rate,
    tail: Tail,
}

impl Mouth {
    pub(crate) fn new(codec: Codec) -> Result<Self, CodecFailed> {
        let voice = match codec {
            Codec::Pcmu => Voice::Law(Law::Mu),
            Codec::Pcma => Voice::Law(Law::A),
            Codec::Opus => Voice::Opus {
                encoder: opus::Encoder::new(codec.rate())?,
                alone: false,
            },
        };
        Ok(Self {
            voice,
            inlet: Inlet::new(),
            last: None,
            newcomer: false,
            frame: [0; MAX_ENCODED],
            length: 0,
        })
    }

    /// Encodes a tick. After a pause the encoder starts anew, with the last ticks before as `recent`: what its listeners heard meanwhile,
    /// from elsewhere.
    pub(crate) fn encode(&mut self, tick: u64, filters: &Filters, recent: &[Frame], heard: &Heard) {
        let pause = !self.spoke_before(tick);
        self.last = Some(tick);
        let newcomer = std::mem::take(&mut self.newcomer) || pause;
        let mut pcm = [0; MAX_FRAME];
        let pcm = &mut pcm[..self.voice.rate().frame()];
        if pause {
            self.inlet.tail.clear();
            self.voice.restart();
            for frame in recent {
                self.inlet.bring(filters, frame, pcm);
                self.voice.encode(pcm, &mut self.frame);
            }
        }
        self.voice.stand_alone(newcomer);
        self.inlet.take(filters, heard, pcm);
        self.length = self.voice.encode(pcm, &mut self.frame);
    }

    /// Never again will the mix have a higher rate than that: nothing above it is encoded. To be called before a pause ends, since decoders
    /// hear a change.
    pub(crate) fn set_band(&mut self, band: Rate) {
        match &mut self.voice {
            Voice::Law(_) => {}
            Voice::Opus { encoder, .. } => encoder.set_band(band),
        }
    }

    /// The next frame is also for somebody who heard another encoder's before.
    pub(crate) fn welcome(&mut self) {
        self.newcomer = true;
    }

    pub(crate) fn is_made(&self, tick: u64) -> bool {
        self.last == Some(tick)
    }

    /// What was made in this tick, if anything.
    pub(crate) fn frame(&self, tick: u64) -> Option<&[u8]> {
        (self.is_made(tick) && self.length > 0).then(|| &self.frame[..self.length])
    }

    /// Another mixer, with other ticks, begins.
    pub(crate) fn forget(&mut self) {
        self.last = None;
    }

    pub(crate) fn spoke_before(&self, tick: u64) -> bool {
        self.last.is_some_and(|last| last + 1 == tick)
    }
}

impl Voice {
    fn rate(&self) -> Rate {
        match self {
            Self::Law(_) => Codec::Pcmu.rate(),
            Self::Opus { .. } => Codec::Opus.rate(),
        }
    }

    /// Forgets what was encoded before.
    fn restart(&mut self) {
        match self {
            Self::Law(_) => {}
            Self::Opus { encoder, .. } => encoder.restart(),
        }
    }

    /// Whether frames from now on may be decoded by one who didn't hear those before.
    fn stand_alone(&mut self, wanted: bool) {
        if let Self::Opus { encoder, alone } = self
            && *alone != wanted
        {
            *alone = wanted;
            encoder.stand_alone(wanted);
        }
    }

    /// Encodes a frame, gives its length; 0 if the codec refuses.
    fn encode(&mut self, pcm: &[i16], out: &mut [u8; MAX_ENCODED]) -> usize {
        match self {
            Self::Law(law) => {
                law.encode(pcm, &mut out[..NARROW_FRAME]);
                NARROW_FRAME
            }
            Self::Opus { encoder, .. } => encoder.encode(pcm, out),
        }
    }
}

impl Inlet {
    const fn new() -> Self {
        Self {
            rate: Rate::Narrow,
            tail: Tail::new(),
        }
    }

    /// Fills `out` with what is heard; when the mixing rate changes, with the old one's sound, which then gives way to the new one's.
    fn take(&mut self, filters: &Filters, heard: &Heard, out: &mut [i16]) {
        let Some(former) = &heard.former else {
            return self.bring(filters, &heard.now, out);
        };
        let mut before = [0; MAX_FRAME];
        self.bring(filters, former, &mut before[..out.len()]);
        self.bring(filters, &heard.now, out);
        let ms = out.len() / crate::TICK_MS as usize;
        let (from, whole) = ((FADE_FROM_MS * ms) as i32, (FADE_MS * ms) as i32);
        for (n, (sample, before)) in (0..).zip(out.iter_mut().zip(before)) {
            let share = (n - from).clamp(0, whole);
            *sample = ((i32::from(*sample) * share + i32::from(before) * (whole - share)) / whole) as i16;
        }
    }

    fn bring(&mut self, filters: &Filters, frame: &Frame, out: &mut [i16]) {
        if frame.rate() != self.rate {
            self.rate = frame.rate();
            self.tail.clear();
        }
        filters.convert(&self.tail, frame.pcm(), out);
        self.tail.keep(frame.pcm());
    }
}

/// One encoder for each codec, for all legs that hear the same.
pub(crate) struct Shared {
    mu: Mouth,
    a: Mouth,
    opus: Mouth,
}

impl Shared {
    /// For mixes of no higher rate than that.
    pub(crate) fn new(band: Rate) -> Result<Self, CodecFailed> {
        let mut shared = Self {
            mu: Mouth::new(Codec::Pcmu)?,
            a: Mouth::new(Codec::Pcma)?,
            opus: Mouth::new(Codec::Opus)?,
        };
        shared.opus.set_band(band);
        Ok(shared)
    }

    pub(crate) fn of(&self, codec: Codec) -> &Mouth {
        match codec {
            Codec::Pcmu => &self.mu,
            Codec::Pcma => &self.a,
            Codec::Opus => &self.opus,
        }
    }

    pub(crate) fn of_mut(&mut self, codec: Codec) -> &mut Mouth {
        match codec {
            Codec::Pcmu => &mut self.mu,
            Codec::Pcma => &mut self.a,
            Codec::Opus => &mut self.opus,
        }
    }
}

/// Frames of silence, ready to be sent (rule R62).
pub(crate) struct Silence {
    mu: [u8; NARROW_FRAME],
    a: [u8; NARROW_FRAME],
    opus: [u8; MAX_ENCODED],
    opus_length: usize,
}

impl Silence {
    /// As encoders of that band make it.
    pub(crate) fn new(band: Rate) -> Result<Self, CodecFailed> {
        let mut opus = [0; MAX_ENCODED];
        let opus_length = opus::silence(band, &mut opus)?;
        Ok(Self {
            mu: [Law::Mu.silence(); NARROW_FRAME],
            a: [Law::A.silence(); NARROW_FRAME],
            opus,
            opus_length,
        })
    }

    pub(crate) fn frame(&self, codec: Codec) -> &[u8] {
        match codec {
            Codec::Pcmu => &self.mu,
            Codec::Pcma => &self.a,
            Codec::Opus => &self.opus[..self.opus_length],
        }
    }
}
