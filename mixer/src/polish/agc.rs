//! Automatic gain control: brings each talker slowly to the same level. It hears speech only, so that pauses don't raise the noise.

use crate::level::mean_square;

/// Gain 1.
const UNITY: i32 = 1 << 12;
/// Least and greatest gain: -18 and +18 dB.
const LEAST: i32 = UNITY / 8;
const MOST: i32 = UNITY * 8;

/// The level that speech is brought to, as a mean square: -26 dBov, ITU-T P.56's usual one; and 1 dB around it, within which nothing changes.
const TARGET: u64 = square_at(1642);
const SOFT: u64 = TARGET * 79 / 100;
const LOUD: u64 = TARGET * 126 / 100;

/// What is softer than this is no speech, however quiet the talker: -54 dBov. Nor is what is 18 dB softer than the talker's speech.
const FLOOR: u64 = square_at(65);
const BELOW_SPEECH: u64 = 64;

/// Part of the way to a louder or softer level that the talker's estimate goes in a tick: 160 ms up, a second down.
const ATTACK: u64 = 8;
const RELEASE: u64 = 50;

/// Part of itself by which the gain changes in a tick: 7 dB a second down, 3.5 dB up.
const DOWN: i32 = 64;
const UP: i32 = 128;

const fn square_at(amplitude: u64) -> u64 {
    amplitude * amplitude
}

/// One talker's gain.
pub(super) struct Agc {
    gain: i32,
    /// Mean square of the talker's speech as it came; 0 before the first word.
    speech: u64,
}

impl Agc {
    pub(super) fn new() -> Self {
        Self { gain: UNITY, speech: 0 }
    }

    pub(super) fn apply(&mut self, pcm: &mut [i16]) {
        let before = self.gain;
        self.listen(mean_square(pcm));
        let peak = pcm.iter().map(|s| i32::from(s.unsigned_abs())).max().unwrap_or(0);
        // Louder than full scale nothing can get: a gain that is too high goes down at once.
        let fits = i32::from(i16::MAX) * UNITY / peak.max(1);
        self.gain = self.gain.min(fits).max(LEAST);
        if before == UNITY && self.gain == UNITY {
            return;
        }
        let length = pcm.len().max(1) as i32;
        for (n, sample) in (1..).zip(pcm) {
            let gain = before.min(fits) + (self.gain - before.min(fits)) * n / length;
            *sample = (i32::from(*sample) * gain / UNITY).clamp(i16::MIN.into(), i16::MAX.into()) as i16;
        }
    }

    /// Takes the mean square of a tick.
    fn listen(&mut self, square: u64) {
        if square < FLOOR || square * BELOW_SPEECH < self.speech {
            return;
        }
        self.speech = match self.speech {
            0 => square,
            softer if softer < square => softer + (square - softer) / ATTACK,
            louder => louder - (louder - square) / RELEASE,
        };
        let gain = self.gain as u64;
        let heard = self.speech * gain * gain / (UNITY as u64 * UNITY as u64);
        if heard > LOUD {
            self.gain -= self.gain / DOWN;
        } else if heard < SOFT {
            self.gain += self.gain / UP;
        }
        self.gain = self.gain.clamp(LEAST, MOST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Half a second of speech-like sound of that amplitude, then as much of a pause with some noise; so many times. Gives the level of the
    /// last sound, in dB of full scale, and of the last pause.
    fn run(agc: &mut Agc, amplitude: f64, noise: f64, seconds: usize) -> (f64, f64) {
        let mut levels = (0.0, 0.0);
        for tick in 0..seconds * 50 {
            let speaks = tick % 50 < 25;
            let loud = if speaks { amplitude } else { noise };
            let mut pcm: [i16; 160] = std::array::from_fn(|n| {
                let t = (tick * 160 + n) as f64 / 8000.0 * std::f64::consts::TAU;
                (loud * (0.6 * (t * 180.0).sin() + 0.4 * (t * 720.0).sin())) as i16
            });
            agc.apply(&mut pcm);
            let level = 10.0 * (mean_square(&pcm).max(1) as f64 / 32768.0 / 32768.0).log10();
            if speaks {
                levels.0 = level;
            } else {
                levels.1 = level;
            }
        }
        levels
    }

    #[test]
    fn a_quiet_and_a_loud_talker_come_within_3_db() {
        let quiet = run(&mut Agc::new(), 600.0, 20.0, 12).0;
        let loud = run(&mut Agc::new(), 20_000.0, 20.0, 12).0;
        let usual = run(&mut Agc::new(), 3200.0, 20.0, 12).0;
        assert!((quiet - loud).abs() < 3.0 && (quiet - usual).abs() < 3.0, "{quiet} {loud} {usual}");
        assert!((quiet + 26.0).abs() < 2.0, "{quiet}");
    }

    #[test]
    fn a_pause_raises_nothing() {
        let mut agc = Agc::new();
        let (_, pause) = run(&mut agc, 3200.0, 100.0, 12);
        let before = agc.gain;
        for _ in 0..500 {
            agc.apply(&mut std::array::from_fn::<i16, 160, _>(|n| if n % 8 < 4 { 100 } else { -100 }));
        }
        assert_eq!(agc.gain, before);
        assert!(pause < -48.0, "{pause}");
    }

    #[test]
    fn a_shout_after_whispers_does_not_clip() {
        let mut agc = Agc::new();
        run(&mut agc, 300.0, 0.0, 12);
        assert!(agc.gain > 4 * UNITY);
        let mut shout: [i16; 160] = std::array::from_fn(|n| (30_000.0 * (n as f64 / 4.0).sin()) as i16);
        let before = shout;
        agc.apply(&mut shout);
        assert!(
            shout
                .iter()
                .zip(&before)
                .all(|(now, then)| now.signum() == then.signum() || now.abs() < 2)
        );
        assert!(
            shout.windows(3).all(|w| w[1].abs() < i16::MAX || w[0] != w[1] || w[1] != w[2]),
            "{shout:?}"
        );
    }

    #[test]
    fn the_gain_has_limits() {
        let mut agc = Agc::new();
        run(&mut agc, 160.0, 0.0, 40);
        assert!(agc.gain <= MOST && agc.gain > MOST * 9 / 10, "{}", agc.gain);
        agc.apply(&mut [i16::MIN; 160]);
        agc.apply(&mut [0; 0]);
        assert!((LEAST..=MOST).contains(&agc.gain));
    }
}
