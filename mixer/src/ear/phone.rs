//! Codecs of one byte a unit: packets may be cut anywhere.

use super::{
    conceal::Conceal,
    line::{Line, Made},
};
use crate::{
    Codec, Rate,
    codec::Law,
    jitter::{Jitter, Run, Samples, Turn},
    level::{Gate, QUIET_PEAK, mean_square},
    mix::fade_in,
};

/// Jitter buffer, decoder and concealment of a G.711 leg.
pub(crate) struct Phone {
    law: Law,
    pub(super) jitter: Jitter<Samples>,
    line: Line,
    conceal: Conceal,
    /// The last tick had a voice, and this one's goes on from there.
    spoke: bool,
}

const RATE: Rate = Codec::Pcmu.rate();
const TICK: usize = Codec::Pcmu.clock_step() as usize;

impl Phone {
    pub(super) fn new(law: Law) -> Self {
        Self {
            law,
            jitter: Jitter::new(TICK as u32, Samples::new()),
            line: Line::new(RATE, 2 * RATE.frame()),
            conceal: Conceal::new(RATE),
            spoke: false,
        }
    }

    pub(super) fn forget(&mut self) {
        self.spoke = false;
        self.conceal.clear();
        self.line.clear();
    }

    pub(super) fn skim(&mut self) {
        self.jitter.skim();
        self.forget();
    }

    pub(super) fn pull(&mut self, gate: &mut Gate, out: &mut [i16]) -> bool {
        let voice = match self.jitter.turn() {
            Turn::Idle => {
                gate.hear(0);
                false
            }
            Turn::Play { excess, jumped } => {
                if jumped {
                    self.line.clear();
                    if self.spoke {
                        self.conceal.jump();
                    }
                }
                self.play(excess, gate, out)
            }
        };
        if voice && !self.spoke {
            fade_in(out, RATE);
        } else if !voice && self.spoke {
            self.forget();
        }
        self.spoke = voice;
        voice
    }

    fn play(&mut self, excess: i32, gate: &mut Gate, out: &mut [i16]) -> bool {
        // Most legs of a large room are silent: they aren't even decoded.
        if !gate.is_open() && self.is_quiet(0, TICK) {
            let more = excess.clamp(-(TICK as i32), TICK as i32);
            let more = if more > 0 && !self.is_quiet(TICK, more as usize) { 0 } else { more };
            self.line.clear();
            self.jitter.pass(TICK.saturating_add_signed(more as isize) as u32);
            return gate.hear(0);
        }
        let made = self.decode(self.line.reach(TICK, excess));
        let taken = self.line.take_mended(made, excess, out);
        if made.any {
            self.jitter.count_concealed();
        }
        self.jitter.pass(taken as u32);
        gate.hear(mean_square(out))
    }

    /// Whether a stretch of the store holds nothing to be heard.
    fn is_quiet(&mut self, mut at: usize, length: usize) -> bool {
        let end = at + length;
        while at < end {
            at += match self.jitter.store().run(at, end - at) {
                Run::There(bytes) if self.law.peak(bytes) >= QUIET_PEAK => return false,
                Run::There(bytes) => bytes.len(),
                Run::Missing(length) => length,
            };
        }
        true
    }

    /// Decodes up to so many samples, a tick at least; tells what of the tick was made up.
    fn decode(&mut self, most: usize) -> Made {
        let mut made = Made::default();
        while self.line.len() < most {
            let at = self.line.len();
            match self.jitter.store().run(at, most - at) {
                Run::There(bytes) => {
                    let samples = self.line.append(bytes.len());
                    self.law.decode(bytes, samples);
                    self.conceal.hear(samples);
                    made.at_end = 0;
                }
                Run::Missing(length) if at < TICK => {
                    let length = length.min(TICK - at);
                    self.conceal.fill(self.line.append(length));
                    made.any = true;
                    made.at_end += length;
                }
                Run::Missing(_) => break,
            }
        }
        made
    }
}
