//! Keys in sound: pairs of tones (ITU-T Q.23), found within the limits of Q.24. For menus only: where telephone-event is negotiated, keys
//! come by that (rule R70).
//!
//! A press is a few windows of 20 ms in a row, 5 ms apart, each of which holds two tones of the right frequencies, alike in level, and
//! next to nothing else. Voices seldom do that, music does at times.

use std::{
    f32::consts::{PI, TAU},
    fmt,
    ops::RangeInclusive,
};

use crate::{
    Rate,
    resample::{Filters, Tail},
    settings::Frame,
};

/// Frequencies in Hz: first the rows of the keypad, then its columns.
const TONES: [f32; 8] = [697.0, 770.0, 852.0, 941.0, 1209.0, 1336.0, 1477.0, 1633.0];
const ROWS: usize = 4;
const KEYS: [[char; 4]; ROWS] = [
    ['1', '2', '3', 'A'],
    ['4', '5', '6', 'B'],
    ['7', '8', '9', 'C'],
    ['*', '0', '#', 'D'],
];

/// Samples of 8000 Hz in a window, 20 ms, and between windows, 5 ms.
const WINDOW: usize = 160;
const HOP: usize = 40;

/// A tone may be off by so much, as a part of its frequency: Q.24 has 1.5 % accepted and 3.5 % refused.
const OFF: f32 = 0.024;
/// Mean square of the softest tone of a pair: 36 dB under a sine of full scale.
const SOFTEST: f32 = 32_767.0 * 32_767.0 / 2.0 * 2.5e-4;
/// The column's power over the row's: from -9 to +5 dB, where Q.24 has -8 to +4 dB accepted.
const TWIST: RangeInclusive<f32> = 0.126..=3.16;
/// The part of a window's power that the two tones have: with more besides, it is a voice.
const PURE: f32 = 0.85;

/// What is enough of that for a press that goes on: a window with a gap in it has other frequencies, too.
const HELD: f32 = 0.5;

/// Windows in a row that make a press: 36 ms are enough, 26 ms aren't.
const HITS: u8 = 5;
/// Windows in a row without it that end a press: a gap of 15 ms isn't enough, one of 25 ms is.
const MISSES: u8 = 4;

/// What finds the tones of all keys, for all legs.
pub(crate) struct Bank {
    window: [f32; WINDOW],
    /// Sums of the window and of its squares.
    sums: (f32, f32),
    tones: [Tone; TONES.len()],
}

struct Tone {
    hz: f32,
    /// The window times its cosine, and its sine.
    waves: [[f32; WINDOW]; 2],
    /// How far it turns from window to window, backwards.
    back: Complex,
}

type Complex = [f32; 2];

/// Each tone's part in a window.
type Parts = [Complex; TONES.len()];

/// Finds keys in what one leg says. Built and dropped outside the tick.
pub struct Keys {
    /// The end of the last tick, at its own rate.
    tail: Tail,
    /// The last samples at 8000 Hz.
    past: [i16; WINDOW - HOP],
    /// Of the last window, unless that was silent.
    last: Option<Parts>,
    press: Option<Press>,
}

/// What a window holds.
#[derive(Clone, Copy)]
struct Found {
    key: char,
    /// Not only as good as goes for a press that lasts.
    is_press: bool,
}

struct Press {
    key: char,
    hits: u8,
    misses: u8,
}

impl Bank {
    pub(crate) fn new() -> Self {
        let window: [f32; WINDOW] = std::array::from_fn(|n| 0.5 - 0.5 * (TAU * (n as f32 + 0.5) / WINDOW as f32).cos());
        Self {
            window,
            sums: (window.iter().sum(), window.iter().map(|w| w * w).sum()),
            tones: TONES.map(|hz| Tone::new(hz, &window)),
        }
    }

    /// The key whose tones a window of samples holds more than anything else. `last` is what the window before held, and becomes what this one holds.
    fn find(&self, samples: &[i16], last: &mut Option<Parts>) -> Option<Found> {
        let mut all = [0.0; WINDOW];
        all.iter_mut().zip(samples).for_each(|(all, &sample)| *all = f32::from(sample));
        let (sum, squares) = self.sums;
        let power = all
            .iter()
            .zip(self.window)
            .map(|(sample, weight)| (sample * weight).powi(2))
            .sum::<f32>()
            / squares;
        if power < SOFTEST {
            *last = None;
            return None;
        }
        let parts = self.tones.each_ref().map(|tone| tone.part(&all));
        let before = last.replace(parts)?;
        let powers = parts.map(|[re, im]| (re * re + im * im) * 2.0 / (sum * sum));
        let (row, column) = (loudest(&powers[..ROWS]), loudest(&powers[ROWS..]));
        let power_of = |at: usize| Some(powers[at] * gain_at(self.tones[at].off(before[at], parts[at])?));
        let is_press = |low: f32, high: f32| low.min(high) >= SOFTEST && TWIST.contains(&(high / low)) && low + high >= PURE * power;
        let is_press = power_of(row)
            .zip(power_of(ROWS + column))
            .is_some_and(|(low, high)| is_press(low, high));
        let goes_on = powers[row] + powers[ROWS + column] >= HELD * power;
        let key = KEYS[row][column];
        (is_press || goes_on).then_some(Found { key, is_press })
    }
}

impl Tone {
    fn new(hz: f32, window: &[f32; WINDOW]) -> Self {
        let turn = |n: usize| TAU * hz * n as f32 / Rate::Narrow.hz() as f32;
        let (sin, cos) = turn(HOP).sin_cos();
        Self {
            hz,
            waves: [f32::cos, f32::sin].map(|wave| std::array::from_fn(|n| window[n] * wave(turn(n)))),
            back: [cos, -sin],
        }
    }

    fn part(&self, samples: &[f32; WINDOW]) -> Complex {
        let [cosine, sine] = self.waves.each_ref().map(|wave| dot(wave, samples));
        [cosine, -sine]
    }

    /// By how many Hz a tone is off that has these parts in two windows; `None` if that is too much.
    fn off(&self, before: Complex, now: Complex) -> Option<f32> {
        let [re, im] = times(times(now, [before[0], -before[1]]), self.back);
        let off = im.atan2(re) / TAU * Rate::Narrow.hz() as f32 / HOP as f32;
        (off.abs() <= OFF * self.hz).then_some(off)
    }
}

impl Keys {
    /// Nothing was heard yet.
    pub fn new() -> Box<Self> {
        Box::new(Self {
            tail: Tail::new(),
            past: [0; WINDOW - HOP],
            last: None,
            press: None,
        })
    }

    /// Takes a tick of what the leg says, `None` if that is nothing; gives the key that was pressed in it.
    pub(crate) fn hear(&mut self, bank: &Bank, filters: &Filters, voice: Option<&Frame>) -> Option<char> {
        let mut samples = [0; WINDOW - HOP + Rate::Narrow.frame()];
        let (past, now) = samples.split_at_mut(self.past.len());
        past.copy_from_slice(&self.past);
        match voice {
            Some(frame) => {
                filters.convert(&self.tail, frame.pcm(), now);
                self.tail.keep(frame.pcm());
            }
            None => self.tail.clear(),
        }
        let at = samples.len() - self.past.len();
        self.past.copy_from_slice(&samples[at..]);
        let windows = samples.windows(WINDOW).step_by(HOP);
        windows.fold(None, |told, window| self.look(bank, window).or(told))
    }

    fn look(&mut self, bank: &Bank, window: &[i16]) -> Option<char> {
        let found = bank.find(window, &mut self.last);
        let begins = found
            .filter(|found| found.is_press)
            .map(|Found { key, .. }| Press { key, hits: 1, misses: 0 });
        let Some(press) = &mut self.press else {
            self.press = begins;
            return None;
        };
        let same = found.filter(|found| found.key == press.key);
        if same.is_some_and(|found| found.is_press || press.hits >= HITS) {
            press.misses = 0;
            press.hits = press.hits.saturating_add(1);
            // Once only, when there are as many for the first time.
            return (press.hits == HITS).then_some(press.key);
        }
        press.misses += 1;
        if press.hits < HITS || press.misses == MISSES {
            self.press = begins;
        }
        None
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").finish_non_exhaustive()
    }
}

fn times([a, b]: Complex, [c, d]: Complex) -> Complex {
    [a * c - b * d, a * d + b * c]
}

fn loudest(powers: &[f32]) -> usize {
    let all = powers.iter().enumerate();
    all.max_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(at, _)| at)
}

/// What a tone's power in a window is to be multiplied by when it is so many Hz off.
fn gain_at(off: f32) -> f32 {
    let bins = off * WINDOW as f32 / Rate::Narrow.hz() as f32;
    let angle = PI * bins;
    // A Hann window's spectrum.
    let sinc = if angle.abs() < 1e-3 { 1.0 } else { angle.sin() / angle };
    ((1.0 - bins * bins) / sinc).powi(2)
}

/// The sum of products, in an order that lets it be worked out side by side.
fn dot(a: &[f32; WINDOW], b: &[f32; WINDOW]) -> f32 {
    let mut sums = [0.0; 8];
    for (a, b) in a.chunks_exact(8).zip(b.chunks_exact(8)) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += a * b;
        }
    }
    sums.iter().sum()
}

#[cfg(test)]
mod tests;
