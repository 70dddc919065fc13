//! Codecs of one byte a unit: packets may be cut anywhere.

use super::{
    bytes::Bytes,
    conceal::Conceal,
    line::{Line, Made},
};
use crate::{
    Codec, Rate,
    jitter::{Jitter, Run, Samples, Store, Turn},
    level::{Gate, Level, mean_square},
    mix::fade_in,
};

/// Jitter buffer, decoder and concealment of a G.711 or G.722 leg.
pub(crate) struct Phone {
    rate: Rate,
    bytes: Bytes,
    pub(super) jitter: Jitter<Samples>,
    line: Line,
    conceal: Conceal,
    /// The last tick had a voice, and this one's goes on from there.
    spoke: bool,
}

/// Units in a tick.
const TICK: usize = Codec::Pcmu.clock_step() as usize;
const _: () = assert!(TICK == Codec::G722.clock_step() as usize, "they have the same clock");

impl Phone {
    pub(super) fn new(codec: Codec, bytes: Bytes) -> Self {
        let rate = codec.rate();
        Self {
            rate,
            bytes,
            jitter: Jitter::new(TICK as u32, Samples::new()),
            line: Line::new(rate, rate.ratio(), 2 * rate.frame()),
            conceal: Conceal::new(rate),
            spoke: false,
        }
    }

    pub(super) fn forget(&mut self) {
        self.spoke = false;
        self.conceal.clear();
        self.line.clear();
    }

    pub(super) fn loudness(&mut self, payload: &[u8]) -> Option<Level> {
        Samples::duration(payload).and_then(|_| self.bytes.loudness(payload))
    }

    pub(super) fn skim(&mut self) {
        match self.jitter.turn() {
            Turn::Idle => self.bytes.restart(),
            Turn::Play { excess, .. } => {
                let units = TICK.saturating_add_signed(excess as isize);
                let mut at = self.decoded();
                while at < units {
                    at += match self.jitter.store().run(at, units - at) {
                        Run::There(bytes) => {
                            self.bytes.skim(bytes);
                            bytes.len()
                        }
                        Run::Missing(length) => length,
                    };
                }
                self.jitter.pass(units as u32);
            }
        }
        self.forget();
    }

    /// Goes back, unless the decoder has heard what passed: it would hear it twice.
    pub(super) fn rewind(&mut self, ticks: u8) {
        match self.bytes {
            Bytes::Law(_) => self.jitter.rewind(ticks.into()),
            Bytes::G722(_) => {}
        }
    }

    /// Units of the store that are decoded already.
    fn decoded(&self) -> usize {
        self.line.len() / self.rate.ratio()
    }

    pub(super) fn pull(&mut self, gate: &mut Gate, out: &mut [i16]) -> bool {
        let voice = match self.jitter.turn() {
            Turn::Idle => {
                self.bytes.restart();
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
            let (blurred, clear) = out.split_at_mut(self.bytes.blur());
            blurred.fill(0);
            fade_in(clear, self.rate);
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
        let ratio = self.rate.ratio();
        let excess = excess.saturating_mul(ratio as i32);
        let made = self.decode(self.line.reach(out.len(), excess));
        let taken = self.line.take_mended(made, excess, out);
        if made.any {
            self.jitter.count_concealed();
        }
        self.jitter.pass((taken / ratio) as u32);
        gate.hear(mean_square(out))
    }

    /// Whether a stretch of the store holds nothing to be heard.
    fn is_quiet(&mut self, mut at: usize, length: usize) -> bool {
        let end = at + length;
        while at < end {
            at += match self.jitter.store().run(at, end - at) {
                Run::There(bytes) if !self.bytes.are_quiet(bytes) => return false,
                Run::There(bytes) => bytes.len(),
                Run::Missing(length) => length,
            };
        }
        true
    }

    /// Decodes up to so many samples, a tick at least; tells what of the tick was made up.
    fn decode(&mut self, most: usize) -> Made {
        let ratio = self.rate.ratio();
        let mut made = Made::default();
        while self.line.len() < most {
            let at = self.decoded();
            match self.jitter.store().run(at, most / ratio - at) {
                Run::There(bytes) => {
                    let samples = self.line.append(bytes.len() * ratio);
                    self.bytes.decode(bytes, samples);
                    self.conceal.hear(samples);
                    made.at_end = 0;
                }
                Run::Missing(length) if at < TICK => {
                    let length = length.min(TICK - at) * ratio;
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
