//! Opus: packets of 2.5 to 120 ms become ticks of 20 ms.

use crate::{
    Codec, CodecFailed,
    codec::opus::{Decoder, GRAIN, MAX_DURATION},
    jitter::{Jitter, Packets, Turn},
    level::{Gate, mean_square},
    mix::{fade_in, join},
};

const TICK: i32 = Codec::Opus.clock_step() as i32;

/// Jitter buffer and decoder of an Opus leg.
pub(crate) struct OpusEar {
    pub(super) jitter: Jitter<Packets>,
    line: Line,
    /// How far the decoder has come, in units of the RTP clock after the beginning of the tick.
    decoded: i32,
    /// The last tick's last sample, if it had a voice, and this one's goes on from there.
    last: Option<i16>,
    /// The decoder missed packets on purpose.
    stale: bool,
}

impl OpusEar {
    pub(super) fn new() -> Result<Self, CodecFailed> {
        let jitter = Jitter::new(Codec::Opus.clock_step(), Packets::new());
        Ok(Self {
            jitter,
            line: Line::new()?,
            decoded: 0,
            last: None,
            stale: false,
        })
    }

    pub(super) fn skim(&mut self) {
        self.jitter.skim();
        self.stop();
        self.stale = true;
    }

    pub(super) fn pull(&mut self, gate: &mut Gate, out: &mut [i16]) -> bool {
        if std::mem::take(&mut self.stale) {
            self.line.decoder.restart();
        }
        self.line.audible = gate.is_open();
        let turn = self.jitter.turn();
        match turn {
            Turn::Idle => {
                self.stop();
                gate.hear(0);
                return false;
            }
            Turn::Insert => self.line.fill(out.len()),
            Turn::Play { skipped } => {
                self.line.cut(0, skipped as usize * out.len());
                self.decoded = self.decoded.saturating_sub_unsigned(skipped * TICK as u32).max(0);
                self.decode(out.len());
                self.jitter.pass();
                self.decoded -= TICK;
            }
        }
        self.line.take(out);
        let voice = gate.hear(mean_square(out));
        match (voice, self.last) {
            (true, None) => fade_in(out, Codec::Opus.rate()),
            (true, Some(last)) if matches!(turn, Turn::Play { skipped: 1.. }) => join(last, out, Codec::Opus.rate()),
            _ => {}
        }
        self.last = out.last().copied().filter(|_| voice);
        voice
    }

    /// Decodes until a tick's samples are there.
    fn decode(&mut self, frame: usize) {
        while self.line.filled < frame {
            let Some((offset, packet)) = self.jitter.store().take() else {
                self.jitter.count_concealed();
                self.line.fill(frame);
                self.decoded = self.decoded.max(TICK);
                return;
            };
            let gap = offset - self.decoded;
            if gap >= GRAIN as i32 {
                self.line.conceal(gap as usize / GRAIN as usize);
                self.decoded = offset;
            }
            let begin = self.line.filled;
            let Some(units) = self.line.decode(packet) else { continue };
            // What overlaps with what was already decoded, or made up because it wasn't there in time.
            self.line.cut(begin, (self.decoded - offset).max(0) as usize);
            self.decoded = self.decoded.max(offset + units);
        }
    }

    pub(super) fn forget(&mut self) {
        self.last = None;
    }

    fn stop(&mut self) {
        self.forget();
        self.line.filled = 0;
        self.decoded = 0;
    }
}

/// Samples between decoder and tick; each is a unit of the RTP clock.
struct Line {
    decoder: Decoder,
    samples: Box<[u16]>,
    filled: usize,
    /// Whether anybody would hear what is made up.
    audible: bool,
}

impl Line {
    fn new() -> Result<Self, CodecFailed> {
        // Less than a tick is there; up to a tick may be concealed; then comes the longest packet.
        let longest = 2 * TICK as usize + MAX_DURATION as usize;
        Ok(Self {
            decoder: Decoder::new(Codec::Opus.rate())?,
            samples: vec![0; longest].into(),
            filled: 0,
            audible: false,
        })
    }

    /// Appends a packet's samples; tells its length in units, or `None` if it is broken.
    fn decode(&mut self, packet: &[u8]) -> Option<i32> {
        let samples = self.decoder.decode(packet, &mut self.samples[self.filled..])?;
        self.filled += samples;
        Some(samples as i32)
    }

    /// Appends so many grains that are made up.
    fn conceal(&mut self, grains: usize) {
        let end = (self.filled + grains * GRAIN as usize).min(self.samples.len());
        let lost = &mut self.samples[self.filled..end];
        if self.audible {
            self.decoder.conceal(lost)
        } else {
            lost.fill(0)
        }
        self.filled = end;
    }

    /// Makes up what lacks of so many samples.
    fn fill(&mut self, frame: usize) {
        self.conceal(frame.saturating_sub(self.filled).div_ceil(GRAIN as usize));
    }

    /// Leaves out up to so many samples.
    fn cut(&mut self, begin: usize, count: usize) {
        let end = (begin + count).min(self.filled);
        self.samples.copy_within(end..self.filled, begin);
        self.filled -= end - begin;
    }

    /// Takes a tick's samples, which are there.
    fn take(&mut self, out: &mut [i16]) {
        out.iter_mut().zip(&self.samples).for_each(|(to, &from)| *to = from as i16);
        self.cut(0, out.len());
    }
}
