//! Keeps a sum of voices within 16 bits by turning the volume down for a moment, without any delay.

use crate::TICK_MS;

/// Gain 1, and its binary logarithm.
const UNITY: i32 = 1 << BITS;
const BITS: u32 = 24;

/// Largest amplitude.
const FULL: i32 = i16::MAX as i32;

/// Amplitude up to which a sum of several voices stays as it is, -1.2 dBov. Higher ones are bent towards the largest, so that peaks stay
/// round.
const KNEE: i32 = FULL / 8 * 7;

/// Milliseconds in which the gain goes most of its way back to 1: if that were less, the pauses of one voice would be heard in the other.
const RELEASE_MS: i32 = 160;
/// The last of that way is gone in steps of this size.
const LEAST_STEP: i32 = UNITY >> 13;

/// The volume at which somebody hears a mix.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limiter {
    gain: i32,
}

impl Limiter {
    pub(crate) const fn new() -> Self {
        Self { gain: UNITY }
    }

    /// Brings a tick's sum of so many voices into range.
    pub(crate) fn limit(&mut self, voices: usize, sum: &[i32], out: &mut [i16]) {
        // One voice alone is within range.
        let knee = if voices > 1 { KNEE } else { FULL };
        if self.gain == UNITY && peak(sum) <= knee {
            out.iter_mut().zip(sum).for_each(|(to, &from)| *to = from as i16);
            return;
        }
        let ms = sum.len() / TICK_MS as usize;
        let mut fits = [UNITY; TICK_MS as usize + 1];
        for (gain, piece) in fits.iter_mut().zip(sum.chunks_exact(ms)) {
            *gain = gain_for(peak(piece), knee);
        }
        for (n, (sum, out)) in sum.chunks_exact(ms).zip(out.chunks_exact_mut(ms)).enumerate() {
            let released = self.gain + ((UNITY - self.gain) / RELEASE_MS).max(LEAST_STEP);
            // So that the next millisecond, too, begins in range.
            let target = released.min(UNITY).min(fits[n]).min(fits[n + 1]);
            self.lead(target, fits[n], knee, sum, out);
        }
    }

    /// Goes evenly to another gain.
    fn lead(&mut self, target: i32, fits: i32, knee: i32, sum: &[i32], out: &mut [i16]) {
        let (from, steps) = (self.gain, sum.len() as i32);
        // A tick may begin louder than the one before ended: nobody could know. Then the gain follows each rising sample.
        let surprise = from > fits;
        for (step, (to, &sample)) in (1..).zip(out.iter_mut().zip(sum)) {
            let even = from + (target - from) * step / steps;
            self.gain = if surprise {
                self.gain.min(even).min(gain_for(sample.abs(), knee))
            } else {
                even
            };
            *to = ((i64::from(sample) * i64::from(self.gain)) >> BITS) as i16;
        }
    }
}

fn peak(sum: &[i32]) -> i32 {
    sum.iter().fold(0, |peak, sample| sample.abs().max(peak))
}

/// The gain that bends an amplitude into range: the more it exceeds the knee, the closer it comes to full scale.
fn gain_for(amplitude: i32, knee: i32) -> i32 {
    if amplitude <= knee {
        return UNITY;
    }
    let (room, excess) = (i64::from(FULL - knee), i64::from(amplitude - knee));
    let bent = i64::from(knee) + room * excess / (room + excess);
    (bent * i64::from(UNITY) / i64::from(amplitude)) as i32
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;

    /// What comes out of two voices of full scale, which begin at that sample, and the gain after each tick.
    fn two_voices(rate: f64, tones: [f64; 2], begin: usize) -> (Vec<i32>, Vec<i16>, Vec<i32>) {
        let frame = (rate / 50.0) as usize;
        let sample = |n: usize| {
            let tone = |hz: f64| (32_767.0 * (TAU * hz * (n - begin) as f64 / rate).sin()) as i32;
            if n < begin { 0 } else { tones.into_iter().map(tone).sum() }
        };
        let (mut limiter, mut sums, mut heard, mut gains) = (Limiter::new(), Vec::new(), Vec::new(), Vec::new());
        for tick in 0..50 {
            let sum: Vec<i32> = (tick * frame..(tick + 1) * frame).map(sample).collect();
            let mut out = vec![0; frame];
            limiter.limit(2, &sum, &mut out);
            sums.extend(sum);
            heard.extend(out);
            gains.push(limiter.gain);
        }
        (sums, heard, gains)
    }

    #[test]
    fn two_voices_of_full_scale_are_turned_down_and_never_cut() {
        for rate in [8000.0, 48_000.0] {
            for tones in [[100.0, 130.0], [440.0, 554.0], [1000.0, 1000.0]] {
                // Beginnings all over a tick, and close to its end.
                for begin in (0..160).step_by(13).chain([150, 155, 159]).map(|n| n * (rate / 8000.0) as usize) {
                    let (sums, heard, gains) = two_voices(rate, tones, begin);
                    let ms = (rate / 1000.0) as usize;
                    let cut = heard
                        .windows(ms / 2)
                        .filter(|w| w.iter().all(|&s| s == w[0] && s.unsigned_abs() > 16_000));
                    assert_eq!(cut.count(), 0, "{rate} {tones:?} {begin}: a peak is flat");
                    // As steep as the sum itself, and what the gain's own way adds: all of it in a millisecond, at worst.
                    let step = |w: &[i32]| (w[1] - w[0]).abs();
                    let steepest = sums.windows(2).map(step).max().unwrap_or(0) + 32_767 / ms as i32;
                    let heard: Vec<i32> = heard.into_iter().map(i32::from).collect();
                    assert!(heard.windows(2).map(step).all(|step| step <= steepest), "{rate} {tones:?} {begin}");
                    assert!(
                        heard.iter().zip(&sums).all(|(heard, sum)| heard.signum() * sum.signum() >= 0),
                        "no sign turns"
                    );
                    let half = UNITY / 16 * 7..UNITY / 16 * 10;
                    assert!(gains[10..].iter().all(|gain| half.contains(gain)), "{gains:?}");
                    assert!(heard[heard.len() / 2..].iter().any(|sample| sample.abs() > 31_000), "and are loud");
                }
            }
        }
    }

    #[test]
    fn the_gain_comes_back_to_one() {
        let (mut limiter, mut out) = (Limiter::new(), [0; 160]);
        let loud: [i32; 160] = std::array::from_fn(|n| if n % 2 == 0 { 90_000 } else { -90_000 });
        limiter.limit(3, &loud, &mut out);
        let soft: [i32; 160] = std::array::from_fn(|n| n as i32);
        let mut before = limiter.gain;
        assert!(before < UNITY / 2);
        let ticks = (1..).find(|_| {
            limiter.limit(2, &soft, &mut out);
            assert!(limiter.gain > before, "always upwards");
            before = limiter.gain;
            before == UNITY
        });
        assert!(ticks < Some(60), "{ticks:?}");
        limiter.limit(2, &soft, &mut out);
        assert!((0..160).all(|n| i32::from(out[n]) == soft[n]));
    }

    #[test]
    fn what_fits_is_not_touched() {
        let (mut limiter, mut out) = (Limiter::new(), [0; 160]);
        for (voices, amplitude) in [(1, FULL), (2, KNEE)] {
            let sum: [i32; 160] = std::array::from_fn(|n| if n % 3 == 0 { amplitude } else { -amplitude });
            limiter.limit(voices, &sum, &mut out);
            assert!(out.iter().zip(sum).all(|(&out, sum)| i32::from(out) == sum));
            assert_eq!(limiter.gain, UNITY);
        }
    }

    #[test]
    fn no_sum_is_too_large() {
        for sum in [i32::MAX, -i32::MAX, 10_000 * 32_768] {
            let (mut limiter, mut out) = (Limiter::new(), [0; 160]);
            for _ in 0..3 {
                limiter.limit(10_000, &[sum; 160], &mut out);
                assert!(out.iter().all(|sample| i32::from(sample.signum()) == sum.signum()), "nothing wraps");
            }
        }
    }
}
