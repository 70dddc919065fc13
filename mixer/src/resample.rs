//! Changes between 8000, 16000 and 48000 Hz with polyphase FIR filters: 2 ms of delay between 8000 Hz and the others, 1 ms between those.
//!
//! The arithmetic is of whole numbers, so that every processor gets the same samples, whatever instructions it has.

use std::f64::consts::PI;

use pulp::{Arch, Simd, WithSimd};

use crate::{Rate, settings::MAX_FRAME};

/// Samples of the lower rate that a filter spans; half of that is its delay.
const TAPS: usize = 32;

/// Highest number of samples that stand for one of the lower rate.
const MAX_RATIO: usize = Rate::Full.ratio();

/// Samples of the past that a filter looks at.
const MAX_PAST: usize = TAPS * MAX_RATIO - 1;

/// Outputs worked out side by side, so that their sums stay in registers; every frame is a multiple.
const BLOCK: usize = 32;

/// Where a filter is at half amplitude, as a part of the lower rate's band: of 8000 Hz, telephone speech ends at 3400, and images begin
/// at 4000.
const CUTOFF: f64 = 3650.0 / 4000.0;

/// Shape of the Kaiser window: 50 dB in the stop band.
const BETA: f64 = 4.53;

/// Fraction bits of the taps. Going up each phase sums to 1, going down the whole; the amplitudes sum to less than 4, so that no sum of
/// products leaves 32 bits.
const BITS: u32 = 14;

/// All filters.
#[derive(Debug)]
pub(crate) struct Filters {
    arch: Arch,
    twice: Filter,
    thrice: Filter,
    six_times: Filter,
}

/// The filter of one ratio, cut into as many phases.
#[derive(Debug)]
struct Filter {
    ratio: usize,
    up: [[i16; TAPS]; MAX_RATIO],
    down: [[i16; TAPS]; MAX_RATIO],
}

/// The last samples of a signal, at its own rate.
#[derive(Debug, Clone)]
pub(crate) struct Tail([i16; MAX_PAST]);

impl Filters {
    pub(crate) fn new() -> Self {
        Self::on(Arch::new())
    }

    fn on(arch: Arch) -> Self {
        Self {
            arch,
            twice: Filter::new(2),
            thrice: Filter::new(3),
            six_times: Filter::new(6),
        }
    }

    fn of_ratio(&self, ratio: usize) -> &Filter {
        match ratio {
            2 => &self.twice,
            3 => &self.thrice,
            _ => &self.six_times,
        }
    }

    /// Fills `out`, a frame, with a frame of another rate, which follows the tail.
    pub(crate) fn convert(&self, tail: &Tail, input: &[i16], out: &mut [i16]) {
        if input.len() == out.len() {
            out.copy_from_slice(input);
        } else {
            let ratio = out.len().max(input.len()) / out.len().min(input.len());
            let filter = self.of_ratio(ratio);
            self.arch.dispatch(Conversion { filter, tail, input, out });
        }
    }
}

/// One frame's change of rate, which is compiled for each kind of processor.
struct Conversion<'a> {
    filter: &'a Filter,
    tail: &'a Tail,
    input: &'a [i16],
    out: &'a mut [i16],
}

impl WithSimd for Conversion<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        if self.input.len() < self.out.len() {
            self.filter.up(self.tail, self.input, self.out);
        } else {
            self.filter.down(self.tail, self.input, self.out);
        }
    }
}

impl Filter {
    fn new(ratio: usize) -> Self {
        let length = TAPS * ratio;
        let shape: Vec<f64> = (0..length).map(|n| tap(n, length)).collect();
        let sum: f64 = shape.iter().sum();
        let mut filter = Self {
            ratio,
            up: [[0; TAPS]; MAX_RATIO],
            down: [[0; TAPS]; MAX_RATIO],
        };
        for phase in 0..ratio {
            let picked = |phase: usize| shape[phase..].iter().step_by(ratio);
            // Backwards, since the oldest sample comes first; the shape is symmetric.
            let own: f64 = picked(ratio - 1 - phase).sum();
            quantise(picked(ratio - 1 - phase), own, &mut filter.up[phase]);
            quantise(picked(phase), sum, &mut filter.down[phase]);
        }
        filter
    }

    #[inline(always)]
    fn up(&self, tail: &Tail, input: &[i16], out: &mut [i16]) {
        let mut line = [0; TAPS - 1 + MAX_FRAME / 2];
        let line = &mut line[..TAPS - 1 + input.len()];
        line[..TAPS - 1].copy_from_slice(tail.last(TAPS - 1));
        line[TAPS - 1..].copy_from_slice(input);
        for (block, out) in out.chunks_exact_mut(BLOCK * self.ratio).enumerate() {
            let window = &line[block * BLOCK..][..BLOCK + TAPS - 1];
            for (phase, taps) in self.up[..self.ratio].iter().enumerate() {
                let mut sums = [0; BLOCK];
                add_products(window, taps, &mut sums);
                for (sample, sum) in out[phase..].iter_mut().step_by(self.ratio).zip(sums) {
                    *sample = round(sum);
                }
            }
        }
    }

    #[inline(always)]
    fn down(&self, tail: &Tail, input: &[i16], out: &mut [i16]) {
        let past = TAPS * self.ratio - 1;
        let mut line = [0; MAX_PAST + MAX_FRAME];
        let line = &mut line[..past + input.len()];
        line[..past].copy_from_slice(tail.last(past));
        line[past..].copy_from_slice(input);
        // The newest sample of each group closes its window.
        let line = &line[self.ratio - 1..];
        // Every so manieth sample, side by side.
        let mut phases = [[0; TAPS - 1 + MAX_FRAME / 2]; MAX_RATIO];
        for (phase, to) in phases[..self.ratio].iter_mut().enumerate() {
            to.iter_mut()
                .zip(line[phase..].iter().step_by(self.ratio))
                .for_each(|(to, &from)| *to = from);
        }
        for (block, out) in out.chunks_exact_mut(BLOCK).enumerate() {
            let mut sums = [0; BLOCK];
            for (phase, taps) in phases.iter().zip(&self.down[..self.ratio]) {
                add_products(&phase[block * BLOCK..][..BLOCK + TAPS - 1], taps, &mut sums);
            }
            for (sample, sum) in out.iter_mut().zip(sums) {
                *sample = round(sum);
            }
        }
    }
}

impl Tail {
    pub(crate) const fn new() -> Self {
        Self([0; MAX_PAST])
    }

    pub(crate) fn clear(&mut self) {
        self.0.fill(0);
    }

    /// Remembers the end of a frame.
    pub(crate) fn keep(&mut self, frame: &[i16]) {
        let kept = MAX_PAST.saturating_sub(frame.len());
        self.0.copy_within(MAX_PAST - kept.., 0);
        self.0[kept..].copy_from_slice(&frame[frame.len() - (MAX_PAST - kept)..]);
    }

    fn last(&self, count: usize) -> &[i16] {
        &self.0[MAX_PAST - count..]
    }
}

/// Adds to each sum the products of the taps with the samples from its place on.
#[inline(always)]
fn add_products(window: &[i16], taps: &[i16; TAPS], sums: &mut [i32; BLOCK]) {
    for (k, &tap) in taps.iter().enumerate() {
        for (sum, &sample) in sums.iter_mut().zip(&window[k..k + BLOCK]) {
            *sum += i32::from(sample) * i32::from(tap);
        }
    }
}

#[inline(always)]
fn round(sum: i32) -> i16 {
    (((sum >> (BITS - 1)) + 1) >> 1).clamp(i16::MIN.into(), i16::MAX.into()) as i16
}

fn quantise<'a>(shape: impl Iterator<Item = &'a f64>, sum: f64, taps: &mut [i16; TAPS]) {
    for (tap, value) in taps.iter_mut().zip(shape) {
        *tap = (value / sum * f64::from(1 << BITS)).round() as i16;
    }
}

/// One value of a sinc under a Kaiser window.
fn tap(n: usize, length: usize) -> f64 {
    let middle = (length - 1) as f64 / 2.0;
    let x = n as f64 - middle;
    let turn = CUTOFF * TAPS as f64 / length as f64 * x;
    let sinc = if x == 0.0 { 1.0 } else { (PI * turn).sin() / (PI * turn) };
    sinc * bessel(BETA * (1.0 - (x / middle).powi(2)).max(0.0).sqrt())
}

/// Modified Bessel function of the first kind and order 0, up to a sum of 20 terms: enough for arguments under 10.
fn bessel(x: f64) -> f64 {
    let mut term = 1.0;
    let mut sum = 1.0;
    for k in 1..20 {
        term *= (x / 2.0 / f64::from(k)).powi(2);
        sum += term;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATES: [Rate; 3] = [Rate::Narrow, Rate::Wide, Rate::Full];

    /// All changes of rate.
    fn pairs() -> impl Iterator<Item = (Rate, Rate)> {
        let all = RATES.into_iter().flat_map(|from| RATES.map(|to| (from, to)));
        all.filter(|(from, to)| from != to)
    }

    fn tone(hz: f64, rate: Rate, n: usize) -> i16 {
        ((2.0 * PI * hz * n as f64 / f64::from(rate.hz())).sin() * 10_000.0) as i16
    }

    /// What becomes of a tone, from its second tick on.
    fn heard(filters: &Filters, hz: f64, from: Rate, to: Rate) -> Vec<i16> {
        let (mut tail, mut heard) = (Tail::new(), Vec::new());
        for tick in 0..20 {
            let input: Vec<i16> = (0..from.frame()).map(|n| tone(hz, from, tick * from.frame() + n)).collect();
            let mut out = vec![0; to.frame()];
            filters.convert(&tail, &input, &mut out);
            tail.keep(&input);
            heard.extend(out);
        }
        heard.split_off(to.frame())
    }

    fn decibels(samples: &[i16]) -> f64 {
        let mean = samples.iter().map(|&s| f64::from(s).powi(2)).sum::<f64>() / samples.len() as f64;
        10.0 * (mean.max(1e-9) / (10_000.0f64.powi(2) / 2.0)).log10()
    }

    #[test]
    fn tones_of_the_lower_band_keep_their_level_and_never_jump() {
        let filters = Filters::new();
        for (from, to) in pairs() {
            for part in [0.075, 0.11, 0.25, 0.5, 0.75, 0.8] {
                let hz = part * f64::from(from.min(to).hz()) / 2.0;
                let heard = heard(&filters, hz, from, to);
                let level = decibels(&heard);
                assert!(level.abs() < 0.5, "{from:?} to {to:?}, {hz} Hz: {level} dB");
                let steepest = (2.0 * PI * hz / f64::from(to.hz()) * 10_000.0 * 1.1) as i32 + 50;
                let steps = heard.windows(2).map(|w| (i32::from(w[1]) - i32::from(w[0])).abs());
                assert!(steps.max() <= Some(steepest), "{from:?} to {to:?}, {hz} Hz");
            }
        }
    }

    #[test]
    fn delays_are_those_promised() {
        let filters = Filters::new();
        for (from, to) in pairs() {
            let mut input = vec![0; from.frame()];
            input[0] = i16::MAX;
            let mut out = vec![0; to.frame()];
            filters.convert(&Tail::new(), &input, &mut out);
            let peak = (0..out.len()).max_by_key(|&n| out[n]).unwrap_or(0);
            let ms = peak as f64 * 1000.0 / f64::from(to.hz());
            let promised = if from.min(to) == Rate::Narrow { 2.0 } else { 1.0 };
            assert!((ms - promised).abs() < 0.15, "{from:?} to {to:?}: {ms} ms");
        }
    }

    #[test]
    fn what_the_lower_rate_cannot_carry_is_filtered_out() {
        let filters = Filters::new();
        for (from, to, hz) in [
            (Rate::Wide, Rate::Narrow, 5000.0),
            (Rate::Wide, Rate::Narrow, 7000.0),
            (Rate::Full, Rate::Narrow, 4400.0),
            (Rate::Full, Rate::Narrow, 8000.0),
            (Rate::Full, Rate::Narrow, 15_000.0),
            (Rate::Full, Rate::Wide, 8800.0),
            (Rate::Full, Rate::Wide, 20_000.0),
        ] {
            let level = decibels(&heard(&filters, hz, from, to));
            assert!(level < -45.0, "{from:?} to {to:?}, {hz} Hz: {level} dB");
        }
    }

    #[test]
    fn full_scale_never_wraps() {
        let filters = Filters::new();
        for (from, to) in pairs() {
            for value in [i16::MAX, i16::MIN] {
                let (mut tail, mut out) = (Tail::new(), vec![0; to.frame()]);
                tail.0.fill(value);
                filters.convert(&tail, &vec![value; from.frame()], &mut out);
                assert!(out.iter().all(|&sample| (i32::from(sample) - i32::from(value)).abs() < 40));
            }
        }
        for filter in [&filters.twice, &filters.thrice, &filters.six_times] {
            let amplitude = |taps: &[i16; TAPS]| taps.iter().map(|&tap| i32::from(tap).abs()).sum::<i32>();
            assert!(filter.up.iter().all(|taps| amplitude(taps) < 4 << BITS));
            assert!(filter.down.iter().map(amplitude).sum::<i32>() < 4 << BITS);
        }
    }

    #[test]
    fn every_processor_gets_the_same_samples() {
        let (here, plain) = (Filters::new(), Filters::on(Arch::Scalar));
        // Noise, from a generator of the simplest kind.
        let mut state = 1u32;
        let mut noise = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) as i16
        };
        for (from, to) in pairs() {
            let mut tail = Tail::new();
            for _ in 0..50 {
                let input: Vec<i16> = (0..from.frame()).map(|_| noise()).collect();
                let (mut one, mut other) = (vec![0; to.frame()], vec![0; to.frame()]);
                here.convert(&tail, &input, &mut one);
                plain.convert(&tail, &input, &mut other);
                assert!(one == other, "{from:?} to {to:?}");
                tail.keep(&input);
            }
        }
    }

    #[test]
    fn a_tail_holds_the_end_of_what_was_kept() {
        let mut tail = Tail::new();
        let all: Vec<i16> = (0..2000).collect();
        for frame in [&all[..160], &all[160..320], &all[320..1280], &all[1280..1440]] {
            tail.keep(frame);
            let end = frame.last().map_or(0, |&last| last as usize + 1);
            assert_eq!(tail.last(31), &all[end - 31..end]);
        }
        assert_eq!(tail.last(MAX_PAST), &all[1440 - MAX_PAST..1440]);
    }
}
