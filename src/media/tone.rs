//! Tones: makes them, and finds them in a recording.

use std::f64::consts::TAU;

/// The lowest level that is told, in dB: nothing at all.
pub const FLOOR_DB: f64 = -120.0;

/// A sine that goes on.
#[derive(Debug, Clone)]
pub struct Tone {
    /// Per sample, in turns.
    step: f64,
    phase: f64,
    amplitude: f64,
}

impl Tone {
    /// A tone of `hz` at `level_db`, where 0 dB is a sine of full scale, for samples at `rate` Hz.
    pub fn new(hz: f64, level_db: f64, rate: u32) -> Self {
        Self {
            step: hz / f64::from(rate),
            phase: 0.0,
            amplitude: f64::from(i16::MAX) * 10f64.powf(level_db.min(0.0) / 20.0),
        }
    }

    /// Fills a buffer with what comes next.
    pub fn fill(&mut self, out: &mut [i16]) {
        for sample in out {
            *sample = (self.amplitude * (TAU * self.phase).sin()).round() as i16;
            self.phase = (self.phase + self.step).fract();
        }
    }
}

/// The level of one frequency in samples at `rate` Hz (Goertzel), in dB, where 0 dB is a sine of full scale.
pub fn tone_level_db(samples: &[i16], rate: u32, hz: f64) -> f64 {
    let turn = 2.0 * (TAU * hz / f64::from(rate)).cos();
    let (before, last) = samples.iter().fold((0.0, 0.0), |(before, last), &sample| {
        (last, turn * last - before + f64::from(sample))
    });
    let power = last * last + before * before - turn * last * before;
    let amplitude = 2.0 * power.max(0.0).sqrt() / samples.len().max(1) as f64 / f64::from(i16::MAX);
    (20.0 * amplitude.log10()).max(FLOOR_DB)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(hz: f64, level_db: f64, rate: u32) -> Vec<i16> {
        let mut samples = vec![0; rate as usize / 2];
        Tone::new(hz, level_db, rate).fill(&mut samples);
        samples
    }

    #[test]
    fn a_tone_is_found_at_its_level_and_nowhere_else() {
        for rate in [8000, 16_000, 48_000] {
            for level in [0.0, -12.0, -40.0] {
                let samples = tone(440.0, level, rate);
                assert!((tone_level_db(&samples, rate, 440.0) - level).abs() < 0.2);
                assert!(tone_level_db(&samples, rate, 1000.0) < level - 40.0);
            }
        }
    }

    #[test]
    fn two_tones_are_told_apart() {
        let mixed: Vec<i16> = tone(440.0, -12.0, 8000)
            .iter()
            .zip(tone(1000.0, -20.0, 8000))
            .map(|(a, b)| a + b)
            .collect();
        assert!((tone_level_db(&mixed, 8000, 440.0) + 12.0).abs() < 0.3);
        assert!((tone_level_db(&mixed, 8000, 1000.0) + 20.0).abs() < 0.3);
    }

    #[test]
    fn silence_is_the_floor() {
        assert_eq!(tone_level_db(&[0; 800], 8000, 440.0), FLOOR_DB);
        assert_eq!(tone_level_db(&[], 8000, 440.0), FLOOR_DB);
    }
}
