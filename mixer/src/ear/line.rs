//! Samples between a decoder and the tick. A tick of them can be made longer or shorter, at a place where the voice resembles itself (in the
//! manner of WSOLA), so that the delay changes and the pitch doesn't.

use crate::{Rate, level::mean_square};

/// Samples over which one place fades into another, at 8000 Hz: 5 ms.
const OVERLAP: usize = 40;
/// Shortest and longest piece of voice that is left out or repeated, at 8000 Hz: 2.5 and 15 ms, which holds a period of any voice.
const SHORTEST: usize = 20;
pub(super) const LONGEST: usize = 120;
/// Excess of delay that isn't worth touching a voice for, at 8000 Hz: 4 ms. It waits for a pause.
const BEARABLE: usize = 32;
/// Excess, or lack, of delay that is worth a rougher cut, at 8000 Hz: 40 ms.
const URGENT: usize = 320;

/// How alike two places must be, and how much if it is urgent: 1 is the same, 0 nothing in common.
const ALIKE: f64 = 0.8;
const ROUGHLY_ALIKE: f64 = 0.5;
/// By so much must a shorter piece be more alike to be preferred.
const PREFERRED: f64 = 0.02;

/// Mean square of samples that nobody hears, -60 dBov, and the part of a voice's mean square below which it pauses: 20 dB.
const SILENT: u64 = 33 * 33;
const PAUSE: u64 = 100;
/// The part of a voice's level that is forgotten in a tick.
const FORGET: u64 = 64;

/// What of a tick's samples was made up.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Made {
    pub(super) any: bool,
    /// So many samples at its end.
    pub(super) at_end: usize,
}

/// Decoded samples that wait.
pub(super) struct Line {
    ratio: usize,
    /// Only multiples of so many samples are left out or repeated.
    grain: usize,
    samples: Box<[i16]>,
    filled: usize,
    /// Mean square of the voice when it was loudest, with forgetting.
    loud: u64,
}

impl Line {
    /// Has room for so many samples, of which as many as the grain are a unit of the RTP clock.
    pub(super) fn new(rate: Rate, grain: usize, room: usize) -> Self {
        Self {
            ratio: rate.ratio(),
            grain,
            samples: vec![0; room].into(),
            filled: 0,
            loud: 0,
        }
    }

    /// How many samples wait.
    pub(super) fn len(&self) -> usize {
        self.filled
    }

    /// Appends so many samples (fewer if there is no room), to be written.
    pub(super) fn append(&mut self, count: usize) -> &mut [i16] {
        let from = self.filled;
        self.filled = (from + count).min(self.samples.len());
        &mut self.samples[from..self.filled]
    }

    /// Appends samples as libopus makes them: the binding takes C's shorts as u16.
    pub(super) fn push(&mut self, samples: &[u16]) {
        let room = self.append(samples.len());
        room.iter_mut().zip(samples).for_each(|(to, &from)| *to = from as i16);
    }

    pub(super) fn clear(&mut self) {
        self.filled = 0;
    }

    /// The most samples that a tick may take, if the delay exceeds what it ought to be by so many.
    pub(super) fn reach(&self, tick: usize, excess: i32) -> usize {
        tick + (excess.max(0) as usize).min(LONGEST * self.ratio)
    }

    /// Takes a tick of samples, which must be there. If so many are too much (if negative, too few), it may take more or less: tells how many.
    fn take(&mut self, excess: i32, out: &mut [i16]) -> usize {
        let tick = out.len();
        let lag = if excess == 0 { None } else { self.lag(tick, excess) };
        let overlap = OVERLAP * self.ratio;
        let taken = match lag {
            None => {
                out.copy_from_slice(&self.samples[..tick]);
                tick
            }
            Some(lag) if excess > 0 => {
                out.copy_from_slice(&self.samples[lag..lag + tick]);
                fade(&self.samples[..overlap], out);
                tick + lag
            }
            Some(lag) => {
                out[..lag].copy_from_slice(&self.samples[..lag]);
                out[lag..].copy_from_slice(&self.samples[..tick - lag]);
                fade(&self.samples[lag..lag + overlap], &mut out[lag..]);
                tick - lag
            }
        };
        let square = mean_square(out);
        self.loud = square.max(self.loud - self.loud / FORGET);
        self.samples.copy_within(taken..self.filled, 0);
        self.filled -= taken;
        taken
    }

    /// The same, for a tick of which something may have been made up: what ends it doesn't stand for any time, so that the delay may grow by
    /// it; nothing is left out of the rest.
    pub(super) fn take_mended(&mut self, made: Made, excess: i32, out: &mut [i16]) -> usize {
        if !made.any {
            return self.take(excess, out);
        }
        let taken = self.take(0, out);
        if made.at_end == 0 {
            return taken;
        }
        self.clear();
        taken - made.at_end.min(excess.min(0).unsigned_abs() as usize)
    }

    /// How long a piece to leave out or to repeat.
    fn lag(&self, tick: usize, excess: i32) -> Option<usize> {
        let amount = excess.unsigned_abs() as usize;
        let (shortest, longest, overlap) = (SHORTEST * self.ratio, LONGEST * self.ratio, OVERLAP * self.ratio);
        let spare = self.filled - tick;
        let most = if excess > 0 { amount.min(spare) } else { amount.min(longest) };
        let heard = &self.samples[..self.filled.min(tick + most)];
        if mean_square(heard) <= SILENT.max(self.loud / PAUSE) {
            return (most > 0).then_some(most);
        }
        let most = if excess > 0 {
            if amount < BEARABLE * self.ratio {
                return None;
            }
            most.min(longest)
        } else {
            // Rather a bit too long a delay than late packets.
            most.max(2 * shortest)
        };
        let needed = if amount > URGENT * self.ratio { ROUGHLY_ALIKE } else { ALIKE };
        let coarse = best(&self.samples, overlap, (shortest..=most).rev().step_by(self.ratio), self.ratio)?;
        let near = coarse.0.saturating_sub(self.ratio - 1).max(shortest)..=(coarse.0 + self.ratio - 1).min(most);
        let whole = near.filter(|lag| lag.is_multiple_of(self.grain));
        let (lag, alike) = best(&self.samples, overlap, whole, 1)?;
        (alike >= needed).then_some(lag)
    }
}

/// Which of some lags finds the place that is most like the beginning, and how alike it is; of every `step`th sample only.
fn best(samples: &[i16], overlap: usize, lags: impl Iterator<Item = usize>, step: usize) -> Option<(usize, f64)> {
    let mut found: Option<(usize, f64)> = None;
    for lag in lags {
        let alike = likeness(&samples[..overlap], &samples[lag..lag + overlap], step);
        if found.is_none_or(|(_, most)| alike > most + if step > 1 { PREFERRED } else { 0.0 }) {
            found = Some((lag, alike));
        }
    }
    found
}

/// The normalised correlation of two pieces.
fn likeness(a: &[i16], b: &[i16], step: usize) -> f64 {
    let (mut product, mut here, mut there) = (0i64, 1i64, 1i64);
    for (&a, &b) in a.iter().zip(b).step_by(step) {
        let (a, b) = (i64::from(a), i64::from(b));
        product += a * b;
        here += a * a;
        there += b * b;
    }
    product as f64 / (here as f64 * there as f64).sqrt()
}

/// Lets the beginning of `out` come out of `before`.
fn fade(before: &[i16], out: &mut [i16]) {
    let length = before.len() as i32;
    for (n, (to, &from)) in (0..).zip(out.iter_mut().zip(before)) {
        *to = ((i32::from(from) * (length - n) + i32::from(*to) * n) / length) as i16;
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;

    /// A voice of that pitch, with overtones.
    fn voice(hz: f64, rate: Rate) -> impl FnMut() -> i16 {
        let mut n = 0.0;
        move || {
            n += 1.0;
            let t = TAU * hz * n / f64::from(rate.hz());
            (5000.0 * t.sin() + 2500.0 * (2.0 * t + 1.0).sin() + 1200.0 * (3.0 * t + 2.0).sin()) as i16
        }
    }

    /// What is heard of a voice, and how many samples of it were used, while the delay changes by so many ms.
    fn stretched(mut voice: impl FnMut() -> i16, rate: Rate, ms: i32, ticks: usize) -> (Vec<i16>, usize) {
        let (mut heard, mut used) = (Vec::new(), 0);
        let mut line = Line::new(rate, 1, 2 * rate.frame() + LONGEST * rate.ratio());
        let mut excess = ms * rate.hz() as i32 / 1000;
        for tick in 0..ticks {
            let now = if tick > 5 && tick % 2 == 0 { excess } else { 0 };
            let most = line.reach(rate.frame(), now);
            while line.len() < most {
                line.append(1)[0] = voice();
            }
            let mut out = vec![0; rate.frame()];
            let taken = line.take(now, &mut out);
            excess -= taken as i32 - rate.frame() as i32;
            used += taken;
            heard.extend(out);
        }
        (heard, used)
    }

    fn steepest(samples: &[i16]) -> i32 {
        let steps = samples.windows(2).map(|w| (i32::from(w[1]) - i32::from(w[0])).abs());
        steps.max().unwrap_or(0)
    }

    /// Amplitude of one frequency, by correlation.
    fn amplitude(samples: &[i16], hz: f64, rate: Rate) -> f64 {
        let (mut sine, mut cosine) = (0.0, 0.0);
        for (n, &sample) in samples.iter().enumerate() {
            let (s, c) = (TAU * hz * n as f64 / f64::from(rate.hz())).sin_cos();
            sine += f64::from(sample) * s;
            cosine += f64::from(sample) * c;
        }
        2.0 * sine.hypot(cosine) / samples.len() as f64
    }

    #[test]
    fn r66_200_ms_are_won_or_lost_in_two_seconds_without_a_click_and_the_pitch_stays() {
        for rate in [Rate::Narrow, Rate::Wide, Rate::Full] {
            for hz in [85.0, 120.0, 213.0, 440.0, 611.0] {
                for ms in [200, -200] {
                    let (plain, _) = stretched(voice(hz, rate), rate, 0, 100);
                    let (heard, used) = stretched(voice(hz, rate), rate, ms, 100);
                    let changed = used as i32 - plain.len() as i32;
                    let wanted = ms * rate.hz() as i32 / 1000;
                    let left = (wanted - changed).abs() * 1000 / rate.hz() as i32;
                    // A low voice has long periods.
                    assert!(left <= 5.max(1000 / hz as i32), "{rate:?} {hz} Hz {ms} ms: {left} ms are left");
                    assert!(
                        steepest(&heard) <= steepest(&plain) * 9 / 8,
                        "{rate:?} {hz} Hz {ms} ms: {} {}",
                        steepest(&heard),
                        steepest(&plain)
                    );
                    // Whole periods are left out or repeated, so that phases add up again.
                    let last = |samples: &[i16]| amplitude(&samples[samples.len() - rate.hz() as usize / 10..], hz, rate);
                    assert!((last(&heard) / last(&plain) - 1.0).abs() < 0.12, "{rate:?} {hz} Hz {ms} ms");
                }
            }
        }
    }

    #[test]
    fn a_pause_gives_all_at_once() {
        let mut n = 0;
        let mut pausing = voice(150.0, Rate::Narrow);
        let speech = move || {
            n += 1;
            // Half a second of voice, then noise 30 dB below.
            if n < 4000 { pausing() } else { (n * 7919 % 200) as i16 - 100 }
        };
        let (heard, used) = stretched(speech, Rate::Narrow, 3, 60);
        assert_eq!(
            used,
            heard.len() + 24,
            "less than is worth touching a voice for, but left out in the pause"
        );
    }

    #[test]
    fn noise_that_never_pauses_is_left_alone_unless_it_is_urgent() {
        let mut seed = 1u32;
        let mut noise = move || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 16) as i16 / 4
        };
        let (heard, used) = stretched(&mut noise, Rate::Narrow, 20, 60);
        assert_eq!(used, heard.len());
    }
}
