//! What is encoded once for many.

use super::{Mouth, Tools};
use crate::{
    OpusClass, Stock,
    codec::Law,
    mix::Heard,
    settings::{Frame, Stream},
};

/// One encoder for each kind of stream, for all legs that hear the same.
pub(crate) struct Shared([Booth; Stream::COUNT]);

struct Booth {
    mouth: Mouth,
    /// The greatest loss on the way to those who listen in this tick, in per cent; `None` if nobody does.
    audience: Option<u8>,
}

impl Shared {
    pub(crate) fn new() -> Self {
        let [narrow, wide, full, constant] = OpusClass::ALL.map(Stream::Opus);
        // In the order of their places.
        let streams = [
            Stream::Law(Law::Mu),
            Stream::Law(Law::A),
            Stream::G722,
            narrow,
            wide,
            full,
            constant,
        ];
        Self(streams.map(|stream| Booth {
            mouth: Mouth::new(stream),
            audience: None,
        }))
    }

    pub(crate) fn of(&self, stream: Stream) -> &Mouth {
        &self.0[stream.index()].mouth
    }

    /// Somebody will hear the next frame who didn't hear the one before.
    pub(crate) fn welcome(&mut self, stream: Stream) {
        self.0[stream.index()].mouth.welcome();
    }

    /// Somebody listens in this tick, on whose way that much is lost.
    pub(crate) fn join(&mut self, stream: Stream, loss: u8) {
        let booth = &mut self.0[stream.index()];
        booth.audience = booth.audience.max(Some(loss));
    }

    /// Encodes for all who have joined.
    pub(crate) fn encode(&mut self, tools: &mut Tools<'_>, recent: &[Frame], heard: &Heard) {
        for booth in &mut self.0 {
            if let Some(loss) = booth.audience.take() {
                booth.mouth.encode(tools, recent, heard, loss);
            }
        }
    }

    /// Gives the states of those back who made nothing in this tick.
    pub(crate) fn rest(&mut self, tick: u64, stock: &mut Stock) {
        self.0.iter_mut().for_each(|booth| booth.mouth.rest(tick, stock));
    }
}
