//! Encoders of what legs hear: one per leg for what only it hears, one per codec for what all hear alike (rule R63).

use crate::{
    CodecFailed, OpusClass, Rate,
    codec::{
        BYTES_PER_TICK, Law, g722,
        opus::{self, MAX_ENCODED},
    },
    mix::Heard,
    resample::{Filters, Tail},
    settings::{Frame, MAX_FRAME, Stream},
};

/// When a change of the mixing rate begins to be heard, in ms after the tick's beginning, when the new rate's filters have filled, and how
/// long the old and the new are heard both (rule R67).
const FADE_FROM_MS: usize = 4;
const FADE_MS: usize = 10;

/// Ticks after which two G.722 encoders of the same sound have nearly the same state: what they knew before leaks away within 30 ms.
const LINGER: u8 = 10;

/// An encoder with what it made last.
pub(crate) struct Mouth {
    rate: Rate,
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
    G722(g722::Encoder),
    Opus {
        encoder: opus::Encoder,
        /// Frames don't lean on those before, as set last.
        alone: bool,
    },
}

/// Brings what is heard from the mixing rate to the encoder's, which stays.
#[derive(Clone)]
struct Inlet {
    /// The mixing rate so far, which is that of the tail.
    rate: Rate,
    tail: Tail,
}

impl Mouth {
    pub(crate) fn new(stream: Stream) -> Result<Self, CodecFailed> {
        let voice = match stream {
            Stream::Law(law) => Voice::Law(law),
            Stream::G722 => Voice::G722(g722::Encoder::new()),
            Stream::Opus(class) => Voice::Opus {
                encoder: opus::Encoder::new(stream.rate(), class)?,
                alone: false,
            },
        };
        Ok(Self {
            rate: stream.rate(),
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
        let pcm = &mut pcm[..self.rate.frame()];
        if pause {
            self.inlet.tail.clear();
            self.voice.restart();
            for frame in recent {
                self.inlet.bring(filters, frame, pcm);
                self.voice.pass(pcm, &mut self.frame);
            }
        }
        self.voice.stand_alone(newcomer);
        self.inlet.take(filters, heard, pcm);
        self.length = self.voice.encode(pcm, &mut self.frame);
    }

    /// Goes on where another one was in the last tick, if it spoke and its state can be copied: the listener notices nothing (rule R64).
    pub(crate) fn take_over(&mut self, other: &Self, tick: u64) {
        let own_speaks = self.spoke_before(tick);
        if let (Voice::G722(own), Voice::G722(theirs)) = (&mut self.voice, &other.voice)
            && other.spoke_before(tick)
            && !own_speaks
        {
            own.clone_from(theirs);
            self.inlet.clone_from(&other.inlet);
            self.last = other.last;
        }
    }

    /// Ticks for which one should go on for a listener who is to hear another one of the same stream next: until both know the same of the
    /// sound, so that the change isn't heard (rule R64).
    pub(crate) fn lingers(&self) -> u8 {
        match self.voice {
            Voice::G722(_) => LINGER,
            // G.711 knows nothing, and an Opus frame can be told to lean on none before.
            Voice::Law(_) | Voice::Opus { .. } => 0,
        }
    }

    /// Never again will the mix have a higher rate than that: nothing above it is encoded. To be called before a pause ends, since decoders
    /// hear a change.
    pub(crate) fn set_band(&mut self, band: Rate) {
        match &mut self.voice {
            Voice::Law(_) | Voice::G722(_) => {}
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
    /// Forgets what was encoded before.
    fn restart(&mut self) {
        match self {
            Self::Law(_) => {}
            Self::G722(encoder) => *encoder = g722::Encoder::at_rest(),
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

    /// Goes on from a frame that was heard from elsewhere.
    fn pass(&mut self, pcm: &[i16], out: &mut [u8; MAX_ENCODED]) {
        match self {
            Self::Law(_) => {}
            Self::G722(encoder) => encoder.pass(pcm),
            Self::Opus { encoder, .. } => {
                encoder.encode(pcm, out);
            }
        }
    }

    /// Encodes a frame, gives its length; 0 if the codec refuses.
    fn encode(&mut self, pcm: &[i16], out: &mut [u8; MAX_ENCODED]) -> usize {
        match self {
            Self::Law(law) => {
                law.encode(pcm, &mut out[..BYTES_PER_TICK]);
                BYTES_PER_TICK
            }
            Self::G722(encoder) => {
                encoder.encode(pcm, &mut out[..BYTES_PER_TICK]);
                BYTES_PER_TICK
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

/// One encoder for each kind of stream, for all legs that hear the same.
pub(crate) struct Shared([Mouth; Stream::COUNT]);

impl Shared {
    /// For mixes of no higher rate than that.
    pub(crate) fn new(band: Rate) -> Result<Self, CodecFailed> {
        let mouth = |stream| {
            let mut mouth = Mouth::new(stream)?;
            mouth.set_band(band);
            Ok::<_, CodecFailed>(mouth)
        };
        let [narrow, wide, full, constant] = OpusClass::ALL.map(Stream::Opus).map(mouth);
        // In the order of their places.
        Ok(Self([
            mouth(Stream::Law(Law::Mu))?,
            mouth(Stream::Law(Law::A))?,
            mouth(Stream::G722)?,
            narrow?,
            wide?,
            full?,
            constant?,
        ]))
    }

    pub(crate) fn of(&self, stream: Stream) -> &Mouth {
        &self.0[stream.index()]
    }

    pub(crate) fn of_mut(&mut self, stream: Stream) -> &mut Mouth {
        &mut self.0[stream.index()]
    }
}

/// Frames of silence, ready to be sent (rule R62).
pub(crate) struct Silence {
    bytes: [[u8; BYTES_PER_TICK]; 3],
    opus: [([u8; MAX_ENCODED], usize); OpusClass::ALL.len()],
}

impl Silence {
    /// As encoders of that band make it.
    pub(crate) fn new(band: Rate) -> Result<Self, CodecFailed> {
        let mut opus = [([0; MAX_ENCODED], 0); OpusClass::ALL.len()];
        for ((bytes, length), class) in opus.iter_mut().zip(OpusClass::ALL) {
            *length = opus::silence(band, class, bytes)?;
        }
        let bytes = [Law::Mu.silence(), Law::A.silence(), g722::SILENCE].map(|byte| [byte; BYTES_PER_TICK]);
        Ok(Self { bytes, opus })
    }

    pub(crate) fn frame(&self, stream: Stream) -> &[u8] {
        match stream {
            Stream::Law(_) | Stream::G722 => &self.bytes[stream.index()],
            Stream::Opus(class) => {
                let (bytes, length) = &self.opus[class as usize];
                &bytes[..*length]
            }
        }
    }
}
