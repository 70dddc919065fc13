//! What comes from a leg: from packets to samples at the codec's own rate.

mod bytes;
mod conceal;
mod line;
mod opus;
mod phone;

use crate::{
    Codec, JitterStats, Packet, Stock,
    codec::Law,
    level::{Gate, Level},
};

use bytes::Bytes;
use opus::OpusEar;
pub(crate) use opus::Works;
use phone::Phone;

/// Jitter buffer and decoder of one leg.
pub(crate) enum Ear {
    Phone(Box<Phone>),
    Opus(Box<OpusEar>),
}

impl Ear {
    pub(crate) fn new(codec: Codec) -> Self {
        match codec {
            Codec::Pcmu => Self::Phone(Box::new(Phone::new(codec, Bytes::Law(Law::Mu)))),
            Codec::Pcma => Self::Phone(Box::new(Phone::new(codec, Bytes::Law(Law::A)))),
            Codec::G722 => Self::Phone(Box::new(Phone::new(codec, Bytes::g722()))),
            Codec::Opus => Self::Opus(Box::new(OpusEar::new())),
        }
    }

    /// How loud a packet is that has just come, if its bytes alone don't tell.
    pub(crate) fn loudness(&mut self, packet: &Packet<'_>) -> Option<Level> {
        match self {
            Self::Phone(phone) => phone.loudness(packet.payload),
            Self::Opus(_) => None,
        }
    }

    pub(crate) fn push(&mut self, packet: &Packet<'_>) {
        match self {
            Self::Phone(phone) => phone.jitter.push(packet),
            Self::Opus(opus) => opus.jitter.push(packet),
        }
    }

    /// Fills `out` with this tick's voice; `false` if there is none, and `out` is anything.
    pub(crate) fn pull(&mut self, stock: &mut Stock, gate: &mut Gate, out: &mut [i16]) -> bool {
        match self {
            Self::Phone(phone) => phone.pull(gate, out),
            Self::Opus(opus) => opus.pull(stock, gate, out),
        }
    }

    /// Gives back what decodes, if nobody hears the leg in this tick.
    pub(crate) fn rest(&mut self, stock: &mut Stock) {
        match self {
            Self::Phone(_) => {}
            Self::Opus(opus) => opus.rest(stock),
        }
    }

    /// How loud its newest packets are, if that can be told.
    pub(crate) fn probe(&mut self, stock: &mut Stock) -> Option<Level> {
        match self {
            // Its packets tell that themselves.
            Self::Phone(_) => None,
            Self::Opus(opus) => opus.probe(stock),
        }
    }

    /// Lets a tick pass unheard and undecoded.
    pub(crate) fn skim(&mut self) {
        match self {
            Self::Phone(phone) => phone.skim(),
            Self::Opus(opus) => opus.skim(),
        }
    }

    /// Goes back to what came so many ticks ago and passed undecoded.
    pub(crate) fn rewind(&mut self, ticks: u8) {
        match self {
            Self::Phone(phone) => phone.rewind(ticks),
            Self::Opus(opus) => opus.jitter.rewind(ticks.into()),
        }
    }

    /// What comes next doesn't follow from the voice that was heard last.
    pub(crate) fn forget(&mut self) {
        match self {
            Self::Phone(phone) => phone.forget(),
            Self::Opus(opus) => opus.forget(),
        }
    }

    /// Another mixer, with other ticks, is to hear what comes next.
    pub(crate) fn leave(&mut self) {
        self.forget();
        match self {
            Self::Phone(phone) => phone.jitter.forget(),
            Self::Opus(opus) => opus.jitter.forget(),
        }
    }

    pub(crate) fn stats(&self) -> JitterStats {
        match self {
            Self::Phone(phone) => phone.jitter.stats(),
            Self::Opus(opus) => opus.jitter.stats(),
        }
    }
}
