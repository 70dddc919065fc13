//! Decoders of 64 kbit/s.

use crate::{
    codec::{Law, g722},
    level::{Level, QUIET_PEAK},
};

pub(crate) enum Bytes {
    Law(Law),
    G722(G722),
}

pub(crate) struct G722 {
    decoder: g722::Decoder,
    /// Hears the packets as they come, before their turn.
    scout: g722::Scout,
}

impl Bytes {
    pub(super) fn g722() -> Self {
        Self::G722(G722 {
            decoder: g722::Decoder::new(),
            scout: g722::Scout::new(),
        })
    }

    /// How loud a packet is that has just come, if only who follows the voice can tell.
    pub(super) fn loudness(&mut self, payload: &[u8]) -> Option<Level> {
        match self {
            Self::Law(_) => None,
            Self::G722(g722) => Some(Level::of_square(g722.scout.mean_square(payload))),
        }
    }

    /// Whether bytes are known to be silence without decoding them.
    pub(super) fn are_quiet(&self, bytes: &[u8]) -> bool {
        match self {
            Self::Law(law) => law.peak(bytes) < QUIET_PEAK,
            // Its decoder must hear them all the same, to know what comes next.
            Self::G722(_) => false,
        }
    }

    /// Samples that come out wrong after bytes passed undecoded.
    pub(super) fn blur(&self) -> usize {
        match self {
            Self::Law(_) => 0,
            Self::G722(_) => g722::TAPS,
        }
    }

    /// Lets bytes pass undecoded.
    pub(super) fn skim(&mut self, bytes: &[u8]) {
        match self {
            Self::Law(_) => {}
            Self::G722(g722) => g722.decoder.skim(bytes),
        }
    }

    pub(super) fn decode(&mut self, bytes: &[u8], pcm: &mut [i16]) {
        match self {
            Self::Law(law) => law.decode(bytes, pcm),
            Self::G722(g722) => g722.decoder.decode(bytes, pcm),
        }
    }

    /// Nothing has come for a while: what comes next is another stream.
    pub(super) fn restart(&mut self) {
        match self {
            Self::Law(_) => {}
            Self::G722(g722) => g722.decoder = g722::Decoder::new(),
        }
    }
}
