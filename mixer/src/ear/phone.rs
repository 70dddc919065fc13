//! G.711: a byte is a sample, so that packets may be cut anywhere.

use super::conceal::Conceal;
use crate::{
    Codec, Rate,
    codec::Law,
    jitter::{ALL, Jitter, NOTHING, Samples, Turn},
    level::{Gate, QUIET_PEAK, mean_square},
    mix::fade_in,
    settings::NARROW_FRAME,
};

/// Jitter buffer, decoder and concealment of a G.711 leg.
pub(crate) struct Phone {
    law: Law,
    pub(super) jitter: Jitter<Samples>,
    conceal: Conceal,
    /// The last tick had a voice, and this one's goes on from there.
    spoke: bool,
}

impl Phone {
    pub(super) fn new(law: Law) -> Self {
        let jitter = Jitter::new(Codec::Pcmu.clock_step(), Samples::new());
        Self {
            law,
            jitter,
            conceal: Conceal::new(),
            spoke: false,
        }
    }

    pub(super) fn forget(&mut self) {
        self.spoke = false;
        self.conceal.clear();
    }

    pub(super) fn skim(&mut self) {
        self.jitter.skim();
        self.forget();
    }

    pub(super) fn pull(&mut self, gate: &mut Gate, out: &mut [i16]) -> bool {
        let was_open = gate.is_open();
        let turn = self.jitter.turn();
        if self.spoke && matches!(turn, Turn::Play { skipped: 1.. }) {
            self.conceal.jump();
        }
        let (bytes, mask) = match turn {
            Turn::Play { .. } => self.jitter.store().front(),
            Turn::Insert | Turn::Idle => (&[0; NARROW_FRAME], NOTHING),
        };
        let Some(pcm) = out.first_chunk_mut::<NARROW_FRAME>() else {
            return false;
        };
        let voice = match mask {
            // Most legs of a large room are silent: they aren't even decoded.
            ALL if !was_open && self.law.peak(bytes) < QUIET_PEAK => gate.hear(0),
            ALL => {
                self.law.decode(bytes, pcm);
                let voice = gate.hear(mean_square(pcm));
                if voice {
                    self.conceal.mend(&mask, pcm);
                }
                voice
            }
            NOTHING if !was_open => gate.hear(0),
            _ => {
                self.law.decode(bytes, pcm);
                self.conceal.mend(&mask, pcm);
                gate.hear(mean_square(pcm)) && turn != Turn::Idle
            }
        };
        if matches!(turn, Turn::Play { .. }) {
            if mask != ALL {
                self.jitter.count_concealed();
            }
            self.jitter.pass();
        }
        if voice {
            if !self.spoke {
                fade_in(pcm, Rate::Narrow);
            }
            self.spoke = true;
        } else if self.spoke {
            self.forget();
        }
        voice
    }
}
