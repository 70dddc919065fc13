//! Changes between 8000 Hz and the mixing rate, by whole ratios, with a polyphase FIR filter of 2 ms delay.

use std::f64::consts::PI;

use crate::Rate;

/// Samples of 8000 Hz that the filter spans: 4 ms, half of which is its delay.
const SPAN: usize = 32;

/// Samples of 8000 Hz in a tick.
pub(crate) const NARROW_FRAME: usize = Rate::Narrow.frame();

/// Highest number of samples that stand for one of 8000 Hz.
const MAX_RATIO: usize = Rate::Full.ratio();

/// Where the filter is at half amplitude, in Hz: telephone speech ends at 3400, and images begin at 4000.
const CUTOFF: f64 = 3650.0;

/// Shape of the Kaiser window: 50 dB in the stop band.
const BETA: f64 = 4.53;

/// Fraction bits of the filter. Going up each phase sums to 1, going down the whole; the amplitudes sum to less than 4, so that no sum of
/// products leaves 32 bits.
const BITS: u32 = 14;

/// The filter between 8000 Hz and one mixing rate.
#[derive(Debug)]
pub(crate) struct Filter {
    ratio: usize,
    up: [[i16; SPAN]; MAX_RATIO],
    down: [i16; SPAN * MAX_RATIO],
}

/// The last samples of 8000 Hz that went up.
#[derive(Debug, Clone)]
pub(crate) struct UpTail([i16; SPAN - 1]);

/// The last samples of the mixing rate that went down.
#[derive(Debug, Clone)]
pub(crate) struct DownTail([i16; SPAN * MAX_RATIO - 1]);

impl Filter {
    pub(crate) fn new(rate: Rate) -> Self {
        let ratio = rate.ratio();
        let length = SPAN * ratio;
        let mut shape = [0.0; SPAN * MAX_RATIO];
        for (n, value) in shape[..length].iter_mut().enumerate() {
            *value = tap(n, length, f64::from(rate.hz()));
        }
        let mut filter = Self {
            ratio,
            up: [[0; SPAN]; MAX_RATIO],
            down: [0; SPAN * MAX_RATIO],
        };
        let sum: f64 = shape.iter().sum();
        for (to, from) in filter.down[..length].iter_mut().zip(shape) {
            *to = (from / sum * f64::from(1 << BITS)).round() as i16;
        }
        for (phase, taps) in filter.up[..ratio].iter_mut().enumerate() {
            // Backwards, since the oldest sample comes first.
            let picked = |k: usize| shape[(SPAN - 1 - k) * ratio + phase];
            let sum: f64 = (0..SPAN).map(picked).sum();
            for (k, to) in taps.iter_mut().enumerate() {
                *to = (picked(k) / sum * f64::from(1 << BITS)).round() as i16;
            }
        }
        filter
    }

    /// Brings a frame of 8000 Hz to the mixing rate.
    pub(crate) fn up(&self, tail: &mut UpTail, input: &[i16; NARROW_FRAME], out: &mut [i16]) {
        if self.ratio == 1 {
            out.copy_from_slice(input);
            return;
        }
        let mut line = [0; SPAN - 1 + NARROW_FRAME];
        line[..SPAN - 1].copy_from_slice(&tail.0);
        line[SPAN - 1..].copy_from_slice(input);
        for (window, samples) in line.windows(SPAN).zip(out.chunks_exact_mut(self.ratio)) {
            for (sample, taps) in samples.iter_mut().zip(&self.up) {
                *sample = narrow(dot(window, taps));
            }
        }
        tail.0.copy_from_slice(&line[NARROW_FRAME..]);
    }

    /// Brings a frame of the mixing rate to 8000 Hz.
    pub(crate) fn down(&self, tail: &mut DownTail, input: &[i16], out: &mut [i16; NARROW_FRAME]) {
        if self.ratio == 1 {
            out.copy_from_slice(input);
            return;
        }
        let length = SPAN * self.ratio;
        let mut line = [0; SPAN * MAX_RATIO - 1 + NARROW_FRAME * MAX_RATIO];
        let line = &mut line[..length - 1 + input.len()];
        line[..length - 1].copy_from_slice(&tail.0[..length - 1]);
        line[length - 1..].copy_from_slice(input);
        // The filter is symmetric: no need to turn it round.
        let taps = &self.down[..length];
        // The newest sample of each group of `ratio` closes its window.
        for (window, sample) in line[self.ratio - 1..].windows(length).step_by(self.ratio).zip(out.iter_mut()) {
            *sample = narrow(dot(window, taps));
        }
        tail.0[..length - 1].copy_from_slice(&line[input.len()..]);
    }
}

impl UpTail {
    pub(crate) const fn new() -> Self {
        Self([0; SPAN - 1])
    }

    pub(crate) fn clear(&mut self) {
        self.0.fill(0);
    }
}

impl DownTail {
    pub(crate) const fn new() -> Self {
        Self([0; SPAN * MAX_RATIO - 1])
    }

    pub(crate) fn clear(&mut self) {
        self.0.fill(0);
    }
}

fn dot(samples: &[i16], taps: &[i16]) -> i32 {
    samples
        .iter()
        .zip(taps)
        .map(|(&sample, &tap)| i32::from(sample) * i32::from(tap))
        .sum()
}

fn narrow(sum: i32) -> i16 {
    (((sum >> (BITS - 1)) + 1) >> 1).clamp(i16::MIN.into(), i16::MAX.into()) as i16
}

/// One value of a sinc under a Kaiser window.
fn tap(n: usize, length: usize, hz: f64) -> f64 {
    let middle = (length - 1) as f64 / 2.0;
    let x = n as f64 - middle;
    let turn = 2.0 * CUTOFF / hz * x;
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

    fn tone(hz: f64, rate: Rate, n: usize) -> i16 {
        ((2.0 * PI * hz * n as f64 / f64::from(rate.hz())).sin() * 10_000.0) as i16
    }

    fn decibels(samples: &[i16]) -> f64 {
        let mean = samples.iter().map(|&s| f64::from(s).powi(2)).sum::<f64>() / samples.len() as f64;
        10.0 * (mean.max(1e-9) / (10_000.0f64.powi(2) / 2.0)).log10()
    }

    fn up_and_down(rate: Rate, hz: f64) -> Vec<i16> {
        let (filter, mut up, mut down) = (Filter::new(rate), UpTail::new(), DownTail::new());
        let mut heard = Vec::new();
        for tick in 0..20 {
            let input = std::array::from_fn(|n| tone(hz, Rate::Narrow, tick * NARROW_FRAME + n));
            let mut high = vec![0; rate.frame()];
            filter.up(&mut up, &input, &mut high);
            let mut low = [0; NARROW_FRAME];
            filter.down(&mut down, &high, &mut low);
            heard.extend(low);
        }
        heard
    }

    #[test]
    fn tones_of_the_telephone_band_keep_their_level_and_never_jump() {
        for rate in RATES {
            for hz in [300.0, 440.0, 1000.0, 2000.0, 3000.0] {
                let heard = up_and_down(rate, hz);
                let level = decibels(&heard[NARROW_FRAME..]);
                assert!(level.abs() < 0.5, "{rate:?} {hz} Hz: {level} dB");
                let steepest = (2.0 * PI * hz / 8000.0 * 10_000.0 * 1.1) as i32 + 50;
                assert!(
                    heard[NARROW_FRAME..]
                        .windows(2)
                        .all(|w| (i32::from(w[1]) - i32::from(w[0])).abs() <= steepest),
                    "{rate:?} {hz} Hz"
                );
            }
        }
    }

    #[test]
    fn what_8000_hz_cannot_carry_is_filtered_out() {
        for (rate, hz) in [
            (Rate::Wide, 5000.0),
            (Rate::Wide, 7000.0),
            (Rate::Full, 4400.0),
            (Rate::Full, 8000.0),
            (Rate::Full, 15_000.0),
        ] {
            let (filter, mut tail, mut heard) = (Filter::new(rate), DownTail::new(), Vec::new());
            for tick in 0..10 {
                let input: Vec<i16> = (0..rate.frame()).map(|n| tone(hz, rate, tick * rate.frame() + n)).collect();
                let mut low = [0; NARROW_FRAME];
                filter.down(&mut tail, &input, &mut low);
                heard.extend(low);
            }
            let level = decibels(&heard[NARROW_FRAME..]);
            assert!(level < -45.0, "{rate:?} {hz} Hz: {level} dB");
        }
    }

    #[test]
    fn full_scale_never_wraps() {
        for rate in RATES {
            let (filter, mut up, mut high) = (Filter::new(rate), UpTail::new(), vec![0; rate.frame()]);
            let mut down = DownTail::new();
            for value in [i16::MAX, i16::MIN] {
                let mut low = [0; NARROW_FRAME];
                for _ in 0..2 {
                    filter.up(&mut up, &[value; NARROW_FRAME], &mut high);
                    filter.down(&mut down, &high, &mut low);
                }
                let off = (i32::from(low[NARROW_FRAME - 1]) - i32::from(value)).abs();
                assert!(off < 40, "{rate:?} {value} became {}", low[NARROW_FRAME - 1]);
            }
        }
        for taps in RATES.map(|rate| Filter::new(rate).down) {
            assert!(taps.iter().map(|&t| i32::from(t).abs()).sum::<i32>() < 4 << BITS);
        }
        for taps in RATES.into_iter().flat_map(|rate| Filter::new(rate).up) {
            assert!(taps.iter().map(|&t| i32::from(t).abs()).sum::<i32>() < 4 << BITS);
        }
    }
}
