//! Noise suppression by RNNoise, which hears 48000 Hz in frames of 10 ms, and gives each back one frame later.

use nnnoiseless::DenoiseState;

use crate::{
    resample::{Filters, Tail},
    settings::MAX_FRAME,
};

const FRAME: usize = DenoiseState::FRAME_SIZE;
const _: () = assert!(2 * FRAME == MAX_FRAME, "a tick is two frames");

/// One talker's noise suppression.
pub(super) struct Denoise {
    state: Box<DenoiseState<'static>>,
    up: Tail,
    down: Tail,
}

impl Denoise {
    pub(super) fn new() -> Self {
        let mut state = DenoiseState::new();
        // Its tables are made at the first use, which mustn't be in a tick.
        state.process_frame(&mut [0.0; FRAME], &[0.0; FRAME]);
        Self {
            state,
            up: Tail::new(),
            down: Tail::new(),
        }
    }

    /// Cleans a tick, which comes back 10 ms later, and with filters between the rates 4 ms more.
    pub(super) fn apply(&mut self, filters: &Filters, pcm: &mut [i16]) {
        let mut full = [0; MAX_FRAME];
        filters.convert(&self.up, pcm, &mut full);
        self.up.keep(pcm);
        for frame in full.chunks_exact_mut(FRAME) {
            let (mut noisy, mut clean) = ([0.0; FRAME], [0.0; FRAME]);
            noisy.iter_mut().zip(&*frame).for_each(|(to, &from)| *to = from.into());
            self.state.process_frame(&mut clean, &noisy);
            // As a cast saturates, no sample wraps.
            frame.iter_mut().zip(clean).for_each(|(to, from)| *to = from as i16);
        }
        filters.convert(&self.down, &full, pcm);
        self.down.keep(&full);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Rate, level::mean_square};

    fn db(pcm: &[i16]) -> f64 {
        10.0 * (mean_square(pcm).max(1) as f64 / 32768.0 / 32768.0).log10()
    }

    /// Steady noise; and, in the second half, something like a voice over it: the harmonics of a gliding 120 Hz, in syllables.
    fn sound(rate: Rate, noise: f64, voice: f64) -> Vec<i16> {
        let (mut dice, hz, mut rumble) = (1u64, f64::from(rate.hz()), 0.0);
        let soft = (-std::f64::consts::TAU * 400.0 / hz).exp();
        (0..rate.hz() as usize * 6)
            .map(|n| {
                dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let hiss = (dice >> 40) as f64 / f64::from(1 << 23) - 1.0;
                let t = n as f64 / hz;
                let pitch = std::f64::consts::TAU * (120.0 * t - 4.0 * (t * 3.0).cos());
                let syllable = if t < 3.0 {
                    0.0
                } else {
                    (t * 4.0 * std::f64::consts::PI).sin().max(0.0)
                };
                let harmonics = (1..25).map(|k| f64::from(k) * pitch).map(f64::sin).zip(1..);
                let buzz: f64 = harmonics.map(|(s, k)| s / (1.0 + (f64::from(k) - 5.0).abs())).sum();
                // As of fans and cars: softer the higher.
                rumble = rumble * soft + hiss * (1.0 - soft * soft).sqrt();
                (noise * rumble + voice * syllable * buzz) as i16
            })
            .collect()
    }

    #[test]
    fn noise_is_lowered_and_a_voice_kept() {
        for rate in [Rate::Narrow, Rate::Wide, Rate::Full] {
            let (filters, mut denoise) = (Filters::new(), Denoise::new());
            let noisy = sound(rate, 1200.0, 4000.0);
            let mut clean = noisy.clone();
            clean.chunks_exact_mut(rate.frame()).for_each(|tick| denoise.apply(&filters, tick));
            let part =
                |pcm: &[i16], from_ms: usize, ms: usize| db(&pcm[rate.hz() as usize * from_ms / 1000..][..rate.hz() as usize * ms / 1000]);
            let (before, after) = (part(&noisy, 1500, 1400), part(&clean, 1500, 1400));
            assert!(after < before - 20.0, "{rate:?} noise: {before} {after}");
            let (before, after) = (part(&noisy, 4000, 1900), part(&clean, 4000, 1900));
            assert!((after - before).abs() < 1.5, "{rate:?} voice: {before} {after}");
        }
    }
}
