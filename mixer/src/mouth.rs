//! Encoders of what legs hear: one per leg for what only it hears, one per codec for what all hear alike (rule R63).

use crate::{
    Codec, CodecFailed, Rate,
    codec::{
        Law,
        opus::{self, MAX_ENCODED},
    },
    resample::{DownTail, Filter, NARROW_FRAME},
};

/// An encoder with what it made last.
pub(crate) struct Mouth {
    voice: Voice,
    tail: DownTail,
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

impl Mouth {
    pub(crate) fn new(codec: Codec, rate: Rate) -> Result<Self, CodecFailed> {
        let voice = match codec {
            Codec::Pcmu => Voice::Law(Law::Mu),
            Codec::Pcma => Voice::Law(Law::A),
            Codec::Opus => Voice::Opus {
                encoder: opus::Encoder::new(rate)?,
                alone: false,
            },
        };
        Ok(Self {
            voice,
            tail: DownTail::new(),
            last: None,
            newcomer: false,
            frame: [0; MAX_ENCODED],
            length: 0,
        })
    }

    /// Encodes a tick. After a pause the encoder starts anew, with the last ticks before as `recent`: what its listeners heard meanwhile,
    /// from elsewhere.
    pub(crate) fn encode(&mut self, tick: u64, filter: &Filter, recent: &[i16], pcm: &[i16]) {
        let pause = !self.spoke_before(tick);
        self.last = Some(tick);
        let newcomer = std::mem::take(&mut self.newcomer) || pause;
        match &mut self.voice {
            Voice::Law(law) => {
                let mut narrow = [0; NARROW_FRAME];
                if pause {
                    self.tail.clear();
                    recent
                        .chunks_exact(pcm.len())
                        .for_each(|heard| filter.down(&mut self.tail, heard, &mut narrow));
                }
                filter.down(&mut self.tail, pcm, &mut narrow);
                law.encode(&narrow, &mut self.frame[..NARROW_FRAME]);
                self.length = NARROW_FRAME;
            }
            Voice::Opus { encoder, alone } => {
                if pause {
                    encoder.restart();
                    recent.chunks_exact(pcm.len()).for_each(|heard| {
                        encoder.encode(heard, &mut self.frame);
                    });
                }
                if *alone != newcomer {
                    *alone = newcomer;
                    encoder.stand_alone(newcomer);
                }
                self.length = encoder.encode(pcm, &mut self.frame);
            }
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

/// One encoder for each codec, for all legs that hear the same.
pub(crate) struct Shared {
    mu: Mouth,
    a: Mouth,
    opus: Mouth,
}

impl Shared {
    pub(crate) fn new(rate: Rate) -> Result<Self, CodecFailed> {
        Ok(Self {
            mu: Mouth::new(Codec::Pcmu, rate)?,
            a: Mouth::new(Codec::Pcma, rate)?,
            opus: Mouth::new(Codec::Opus, rate)?,
        })
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
    pub(crate) fn new(rate: Rate) -> Result<Self, CodecFailed> {
        let mut opus = [0; MAX_ENCODED];
        let opus_length = opus::silence(rate, &mut opus)?;
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
