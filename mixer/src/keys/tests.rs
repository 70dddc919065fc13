use std::f64::consts::TAU;

use super::*;

const ALL: &str = "123A456B789C*0#D";

/// Two tones, by their frequencies in Hz and levels in dB under a sine of full scale, for some ms.
struct Pair {
    hz: [f64; 2],
    db: [f64; 2],
    ms: usize,
}

impl Pair {
    fn of(key: char) -> Self {
        let at = ALL.find(key).unwrap();
        Self {
            hz: [TONES[at / 4], TONES[4 + at % 4]].map(f64::from),
            db: [-12.0, -12.0],
            ms: 60,
        }
    }

    fn off(mut self, row: f64, column: f64) -> Self {
        self.hz = [self.hz[0] * (1.0 + row), self.hz[1] * (1.0 + column)];
        self
    }

    fn samples(&self) -> Vec<i16> {
        let tone = |hz: f64, db: f64, n: usize| 32_767.0 * 10f64.powf(db / 20.0) * (TAU * hz * n as f64 / 8000.0 + hz).sin();
        (0..self.ms * 8)
            .map(|n| (tone(self.hz[0], self.db[0], n) + tone(self.hz[1], self.db[1], n)) as i16)
            .collect()
    }
}

/// The keys that are found in samples of 8000 Hz, which begin that many samples after a tick does.
fn found(samples: &[i16], after: usize) -> String {
    let (bank, filters, mut keys) = (Bank::new(), Filters::new(), Keys::new());
    let all: Vec<i16> = std::iter::repeat_n(0, after)
        .chain(samples.iter().copied())
        .chain([0; 800])
        .collect();
    all.chunks_exact(160)
        .filter_map(|tick| {
            let mut frame = Frame::new(Rate::Narrow);
            frame.pcm_mut().copy_from_slice(tick);
            keys.hear(&bank, &filters, tick.iter().any(|&sample| sample != 0).then_some(&frame))
        })
        .collect()
}

/// What is found however the samples lie in the ticks: the fewest and the most keys.
fn span(samples: &[i16]) -> (usize, usize) {
    let counts = (0..160).step_by(7).map(|after| found(samples, after).len());
    let counts: Vec<usize> = counts.collect();
    (*counts.iter().min().unwrap(), *counts.iter().max().unwrap())
}

/// Noise at that level in dB under a sine of full scale.
fn add_noise(samples: &mut [i16], db: f64) {
    let mut seed = 1u64;
    // Uniform: its power is a third of its peak's.
    let peak = 32_767.0 * 10f64.powf(db / 20.0) * 1.5f64.sqrt();
    for sample in samples {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        *sample += (peak * ((seed >> 40) as f64 / f64::from(1 << 23) - 1.0)) as i16;
    }
}

#[test]
fn r70_all_sixteen_keys_of_40_ms_with_pauses_of_40_ms() {
    let mut samples = Vec::new();
    for key in ALL.chars().chain("1155".chars()) {
        samples.extend(Pair { ms: 40, ..Pair::of(key) }.samples());
        samples.extend([0; 320]);
    }
    for after in (0..160).step_by(7) {
        assert_eq!(found(&samples, after), "123A456B789C*0#D1155", "{after}");
    }
}

#[test]
fn q24_frequencies_off_by_1_5_per_cent_are_accepted_and_by_3_5_refused() {
    for key in ALL.chars() {
        for (row, column) in [(0.015, 0.015), (-0.015, 0.015), (0.015, -0.015), (-0.015, -0.015)] {
            let samples = Pair { ms: 40, ..Pair::of(key) }.off(row, column).samples();
            assert_eq!(span(&samples), (1, 1), "{key} {row} {column}");
        }
        for (row, column) in [(0.035, 0.0), (-0.035, 0.0), (0.0, 0.035), (0.0, -0.035), (0.035, -0.035)] {
            let samples = Pair { ms: 100, ..Pair::of(key) }.off(row, column).samples();
            assert_eq!(span(&samples), (0, 0), "{key} {row} {column}");
        }
    }
}

#[test]
fn q24_shorter_than_24_ms_is_no_press_and_a_gap_of_10_ms_is_none() {
    for key in ['1', '5', '9', 'D', '#'] {
        assert_eq!(span(&Pair { ms: 23, ..Pair::of(key) }.samples()), (0, 0), "{key}");
        let long = Pair { ms: 200, ..Pair::of(key) };
        assert_eq!(span(&long.samples()), (1, 1), "{key}");
        for gap in 1..=10 {
            let mut broken = long.samples();
            broken[640..640 + gap * 8].fill(0);
            assert_eq!(span(&broken), (1, 1), "{key}: a gap of {gap} ms");
        }
    }
}

#[test]
fn q24_twist_and_levels() {
    for key in ['1', '0', 'C'] {
        for (low, high, expected) in [
            (-12.0, -8.0, 1),
            (-6.0, -14.0, 1),
            (-28.0, -24.0, 1),
            (-24.0, -32.0, 1),
            (-34.0, -34.0, 1),
            (-6.0, -6.1, 1),
            (-14.0, -7.0, 0),
            (-6.0, -18.0, 0),
            (-40.0, -40.0, 0),
        ] {
            let pair = Pair {
                db: [low, high],
                ms: 50,
                ..Pair::of(key)
            };
            assert_eq!(span(&pair.samples()), (expected, expected), "{key} {low} {high}");
        }
    }
}

#[test]
fn a_press_is_found_in_noise_15_db_below() {
    for key in ALL.chars() {
        let mut samples = Pair { ms: 60, ..Pair::of(key) }.samples();
        add_noise(&mut samples, -24.0);
        assert_eq!(span(&samples), (1, 1), "{key}");
    }
}

#[test]
fn noise_single_tones_and_chords_are_no_keys() {
    let mut noise = vec![0; 80_000];
    add_noise(&mut noise, -10.0);
    assert_eq!(found(&noise, 0), "");
    for hz in (300..3400).step_by(10) {
        let single = Pair {
            hz: [f64::from(hz), 1.0],
            db: [-6.0, -100.0],
            ms: 200,
        };
        assert_eq!(found(&single.samples(), 0), "", "{hz} Hz");
    }
    // Dial, ringing and busy tones, and the first notes of a piano's middle.
    for (one, two) in [
        (350.0, 440.0),
        (440.0, 480.0),
        (480.0, 620.0),
        (523.25, 659.26),
        (659.26, 783.99),
        (880.0, 1318.5),
    ] {
        let chord = Pair {
            hz: [one, two],
            db: [-10.0, -10.0],
            ms: 500,
        };
        assert_eq!(found(&chord.samples(), 0), "", "{one} {two}");
    }
}
