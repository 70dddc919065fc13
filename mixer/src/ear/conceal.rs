//! Fills gaps in 8000 Hz speech by repeating its last pitch period, ever softer (in the spirit of ITU-T G.711 Appendix I).

use crate::{
    jitter::{ALL, Mask},
    settings::NARROW_FRAME,
};

/// Shortest and longest pitch period, in samples: 200 and 50 Hz; a higher voice repeats two of its periods.
const SHORTEST: usize = 40;
const LONGEST: usize = 160;
/// Samples compared to find the period: 20 ms.
const COMPARED: usize = 160;
/// What must be remembered for that.
const HISTORY: usize = LONGEST + COMPARED;
/// Samples after which a repetition begins to fade, 10 ms, and after which it is silent, 60 ms: longer, it sounds like a machine.
const FADE: usize = 80;
const SILENT: usize = 480;
/// Samples over which what comes after a gap takes over from the repetition: 5 ms.
const BLEND: usize = 40;

/// What one leg last said.
pub(crate) struct Conceal {
    history: [i16; HISTORY],
    /// The period to repeat, how long it is, and how many samples were made of it; while in a gap.
    gap: Option<Gap>,
    period: [i16; LONGEST],
}

#[derive(Clone, Copy)]
struct Gap {
    length: usize,
    made: usize,
}

impl Conceal {
    pub(crate) fn new() -> Self {
        Self {
            history: [0; HISTORY],
            gap: None,
            period: [0; LONGEST],
        }
    }

    /// Forgets what was said.
    pub(crate) fn clear(&mut self) {
        self.history.fill(0);
        self.gap = None;
    }

    /// Fills what the mask doesn't show as there, smooths what follows, and remembers it all.
    pub(crate) fn mend(&mut self, there: &Mask, pcm: &mut [i16; NARROW_FRAME]) {
        if *there == ALL && self.gap.is_none() {
            self.remember(pcm);
            return;
        }
        let is_there = |n: usize| there[n / 32] >> (n % 32) & 1 == 1;
        let mut from = 0;
        while from < NARROW_FRAME {
            let good = is_there(from);
            let to = (from..NARROW_FRAME).find(|&n| is_there(n) != good).unwrap_or(NARROW_FRAME);
            let run = &mut pcm[from..to];
            if good {
                self.blend(run)
            } else {
                self.fill(run)
            }
            self.remember(run);
            from = to;
        }
    }

    /// What comes next doesn't follow from what came before: part of what was said is left out.
    pub(crate) fn jump(&mut self) {
        self.fill(&mut []);
    }

    fn fill(&mut self, lost: &mut [i16]) {
        let mut gap = self.gap.unwrap_or_else(|| self.open());
        lost.iter_mut().for_each(|sample| *sample = self.next(&mut gap));
        self.gap = Some(gap);
    }

    fn blend(&mut self, good: &mut [i16]) {
        let Some(mut gap) = self.gap.take() else { return };
        let blend = BLEND.min(good.len());
        for (n, sample) in good[..blend].iter_mut().enumerate() {
            let (made, share) = (i32::from(self.next(&mut gap)), n as i32);
            *sample = ((i32::from(*sample) * share + made * (blend as i32 - share)) / blend as i32) as i16;
        }
    }

    fn open(&mut self) -> Gap {
        let length = period(&self.history);
        self.period[..length].copy_from_slice(&self.history[HISTORY - length..]);
        Gap { length, made: 0 }
    }

    fn next(&self, gap: &mut Gap) -> i16 {
        let sample = i32::from(self.period[gap.made % gap.length]);
        let left = SILENT.saturating_sub(gap.made).min(SILENT - FADE) as i32;
        gap.made += 1;
        (sample * left / (SILENT - FADE) as i32) as i16
    }

    fn remember(&mut self, run: &[i16]) {
        // A run is never longer than a tick, which is shorter than the history.
        self.history.copy_within(run.len().., 0);
        self.history[HISTORY - run.len()..].copy_from_slice(run);
    }
}

/// The lag at which the history resembles itself most.
fn period(history: &[i16; HISTORY]) -> usize {
    let last = &history[HISTORY - COMPARED..];
    let likeness = |lag: usize| {
        let earlier = &history[HISTORY - COMPARED - lag..HISTORY - lag];
        let (mut product, mut energy) = (0i64, 1i64);
        for (&a, &b) in last.iter().zip(earlier) {
            product += i64::from(i32::from(a) * i32::from(b));
            energy += i64::from(i32::from(b) * i32::from(b));
        }
        product as f64 / (energy as f64).sqrt()
    };
    let mut best = (LONGEST, f64::MIN);
    for lag in SHORTEST..=LONGEST {
        let found = likeness(lag);
        if found > best.1 {
            best = (lag, found);
        }
    }
    best.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn voice(n: usize) -> i16 {
        let t = n as f64 / 8000.0 * std::f64::consts::TAU;
        (6000.0 * (t * 125.0).sin() + 3000.0 * (t * 250.0).sin() + 1500.0 * (t * 500.0).cos()) as i16
    }

    fn frame(tick: usize) -> [i16; NARROW_FRAME] {
        std::array::from_fn(|n| voice(tick * NARROW_FRAME + n))
    }

    #[test]
    fn a_lost_frame_goes_on_as_the_voice_did() {
        let mut conceal = Conceal::new();
        for tick in 0..4 {
            conceal.mend(&ALL, &mut frame(tick));
        }
        let mut made = [0; NARROW_FRAME];
        conceal.mend(&[0; 5], &mut made);
        for (n, (&made, real)) in made.iter().zip(frame(4)).enumerate().take(FADE) {
            assert!((i32::from(made) - i32::from(real)).abs() < 900, "{n}: {made} {real}");
        }
        let mut after = frame(5);
        conceal.mend(&ALL, &mut after);
        assert_eq!(after[BLEND..], frame(5)[BLEND..]);
        assert!((i32::from(after[0]) - i32::from(made[NARROW_FRAME - 1])).abs() < 1500);
    }

    #[test]
    fn a_long_gap_falls_silent() {
        let mut conceal = Conceal::new();
        for tick in 0..4 {
            conceal.mend(&ALL, &mut frame(tick));
        }
        let energy = |frame: &[i16]| frame.iter().map(|&s| i64::from(s) * i64::from(s)).sum::<i64>();
        let mut before = i64::MAX;
        for _ in 0..3 {
            let mut made = [0; NARROW_FRAME];
            conceal.mend(&[0; 5], &mut made);
            assert!(energy(&made) < before);
            before = energy(&made);
        }
        let mut made = [0; NARROW_FRAME];
        conceal.mend(&[0; 5], &mut made);
        assert_eq!(made, [0; NARROW_FRAME]);
    }

    #[test]
    fn a_jump_is_smoothed() {
        let mut conceal = Conceal::new();
        for tick in 0..4 {
            conceal.mend(&ALL, &mut frame(tick));
        }
        let (before, mut after) = (
            frame(3)[NARROW_FRAME - 1],
            std::array::from_fn(|n| voice(5 * NARROW_FRAME + 16 + n)),
        );
        let step = |a: i16, b: i16| (i32::from(a) - i32::from(b)).abs();
        assert!(step(before, after[0]) > 4000, "as it would have been: {}", step(before, after[0]));
        conceal.jump();
        conceal.mend(&ALL, &mut after);
        assert!(step(before, after[0]) < 1500);
        assert!(after.windows(2).all(|w| step(w[0], w[1]) < 2500), "{after:?}");
    }

    #[test]
    fn half_a_frame_is_mended_in_place() {
        let mut conceal = Conceal::new();
        for tick in 0..4 {
            conceal.mend(&ALL, &mut frame(tick));
        }
        let mut half = frame(4);
        half[80..].fill(0);
        conceal.mend(&[u32::MAX, u32::MAX, 0xffff, 0, 0], &mut half);
        assert_eq!(half[..80], frame(4)[..80]);
        assert!(
            half.windows(2).all(|w| (i32::from(w[0]) - i32::from(w[1])).abs() < 2500),
            "{half:?}"
        );
        assert!(half[80..].iter().any(|&sample| sample.abs() > 3000));
    }
}
