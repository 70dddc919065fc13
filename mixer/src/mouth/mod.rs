//! Encoders of what legs hear: one per leg for what only it hears, one per kind of stream for what all hear alike (rule R63). Opus states
//! come from the [`Stock`], and are there only while somebody is spoken to.

mod inlet;
mod shared;
mod silence;

pub(crate) use shared::Shared;
pub(crate) use silence::Silence;

use inlet::Inlet;

use crate::{
    Effort, OpusClass, Rate, Stock,
    codec::{
        BYTES_PER_TICK, Law, g722,
        opus::{self, MAX_ENCODED, Manner},
    },
    mix::Heard,
    resample::Filters,
    settings::{Frame, MAX_FRAME, Stream},
};

/// Ticks after which two G.722 encoders of the same sound have nearly the same state: what they knew before leaks away within 30 ms.
const LINGER: u8 = 10;

/// What all encoders of a tick work with.
pub(crate) struct Tools<'a> {
    pub(crate) tick: u64,
    pub(crate) filters: &'a Filters,
    pub(crate) stock: &'a mut Stock,
    pub(crate) effort: Effort,
    /// The mix never has a higher rate than that.
    pub(crate) band: Rate,
}

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
    Opus(OpusClass, Option<opus::Encoder>),
}

impl Mouth {
    pub(crate) fn new(stream: Stream) -> Self {
        let voice = match stream {
            Stream::Law(law) => Voice::Law(law),
            Stream::G722 => Voice::G722(g722::Encoder::new()),
            Stream::Opus(class) => Voice::Opus(class, None),
        };
        Self {
            rate: stream.rate(),
            voice,
            inlet: Inlet::new(),
            last: None,
            newcomer: false,
            frame: [0; MAX_ENCODED],
            length: 0,
        }
    }

    /// Encodes a tick. After a pause the encoder starts anew, with the last ticks before as `recent`: what its listeners heard meanwhile,
    /// from elsewhere. Makes nothing if there is no encoder in stock. `loss` is that of packets on the way to listeners with in-band FEC, in
    /// per cent.
    pub(crate) fn encode(&mut self, tools: &mut Tools<'_>, recent: &[Frame], heard: &Heard, loss: u8) {
        if !self.voice.ready(tools.stock) {
            return;
        }
        let pause = !self.spoke_before(tools.tick);
        self.last = Some(tools.tick);
        let alone = std::mem::take(&mut self.newcomer) || pause;
        let mut pcm = [0; MAX_FRAME];
        let pcm = &mut pcm[..self.rate.frame()];
        if pause {
            self.inlet.clear();
            self.voice.restart();
            self.voice.set(tools, loss, false);
            for frame in recent {
                self.inlet.bring(tools.filters, frame, pcm);
                self.voice.pass(pcm, &mut self.frame);
            }
        }
        self.voice.set(tools, loss, alone);
        self.inlet.take(tools.filters, heard, pcm);
        self.length = self.voice.encode(pcm, &mut self.frame);
    }

    /// Gives the encoder's state back if it isn't used in this tick.
    pub(crate) fn rest(&mut self, tick: u64, stock: &mut Stock) {
        if let Voice::Opus(_, encoder) = &mut self.voice
            && self.last != Some(tick)
        {
            stock.encoders().take_back(encoder);
        }
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
            Voice::Law(_) | Voice::Opus(..) => 0,
        }
    }

    /// Goes on as another kind of stream of the same codec.
    pub(crate) fn set_stream(&mut self, stream: Stream) {
        if let (Voice::Opus(class, _), Stream::Opus(wanted)) = (&mut self.voice, stream) {
            *class = wanted;
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
    /// Whether there is all that encoding needs.
    fn ready(&mut self, stock: &mut Stock) -> bool {
        match self {
            Self::Law(_) | Self::G722(_) => true,
            Self::Opus(_, encoder) => {
                stock.encoders().lend(encoder);
                encoder.is_some()
            }
        }
    }

    /// Forgets what was encoded before.
    fn restart(&mut self) {
        match self {
            Self::Law(_) | Self::Opus(_, None) => {}
            Self::G722(encoder) => *encoder = g722::Encoder::at_rest(),
            Self::Opus(_, Some(encoder)) => encoder.restart(),
        }
    }

    /// Frames are made so from now on; `alone` if they may be decoded by one who didn't hear those before.
    fn set(&mut self, tools: &Tools<'_>, loss: u8, alone: bool) {
        if let Self::Opus(class, Some(encoder)) = self {
            encoder.set(Manner {
                class: *class,
                band: tools.band,
                complexity: tools.effort.complexity,
                loss,
                alone,
            });
        }
    }

    /// Goes on from a frame that was heard from elsewhere.
    fn pass(&mut self, pcm: &[i16], out: &mut [u8; MAX_ENCODED]) {
        match self {
            Self::Law(_) | Self::Opus(_, None) => {}
            Self::G722(encoder) => encoder.pass(pcm),
            Self::Opus(_, Some(encoder)) => {
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
            Self::Opus(_, Some(encoder)) => encoder.encode(pcm, out),
            Self::Opus(_, None) => 0,
        }
    }
}
