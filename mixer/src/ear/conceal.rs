//! Fills gaps in speech by repeating its last pitch periods, ever softer, in the manner of ITU-T G.711 Appendix I; unlike there, nothing is
//! delayed for it.

use crate::Rate;

/// Shortest and longest pitch period, at 8000 Hz: 200 and 66 Hz; a higher voice repeats several of its periods.
const SHORTEST: usize = 40;
const LONGEST: usize = 120;
/// Samples compared to find the period, at 8000 Hz: 20 ms.
const COMPARED: usize = 160;
/// Most periods that are repeated in turn: one alone would soon sound like a machine.
const CYCLES: usize = 3;
/// What must be remembered, at 8000 Hz: three periods and a quarter.
const HISTORY: usize = CYCLES * LONGEST + LONGEST / 4;
/// Samples of 10 ms, at 8000 Hz: after each another period is repeated too, and it begins to fade.
const STEP: usize = 80;
/// Samples after which a repetition is silent, at 8000 Hz: 60 ms.
const SILENT: usize = 6 * STEP;
/// By so much more than a quarter of a period does what follows a gap blend in, for each 10 ms of it after the first, and at most; at 8000 Hz.
const BLEND_STEP: usize = 32;
const BLEND: usize = STEP;

/// What one leg last said.
pub(super) struct Conceal {
    ratio: usize,
    history: Box<[i16]>,
    /// While in a gap: what was said before it.
    before: Box<[i16]>,
    gap: Option<Gap>,
}

#[derive(Clone, Copy)]
struct Gap {
    period: usize,
    made: usize,
    now: Reader,
    /// What `now` comes out of.
    former: Reader,
    /// What the first sample made differs from the one that would have to be before it.
    step: i32,
}

/// A place in the last so many periods.
#[derive(Clone, Copy)]
struct Reader {
    cycles: usize,
    at: usize,
}

impl Conceal {
    pub(super) fn new(rate: Rate) -> Self {
        let history: Box<[i16]> = vec![0; HISTORY * rate.ratio()].into();
        Self {
            ratio: rate.ratio(),
            before: history.clone(),
            history,
            gap: None,
        }
    }

    /// Forgets what was said.
    pub(super) fn clear(&mut self) {
        self.history.fill(0);
        self.gap = None;
    }

    /// Takes what came; if it follows a gap, its beginning comes out of what was made up.
    pub(super) fn hear(&mut self, good: &mut [i16]) {
        if let Some(mut gap) = self.gap.take() {
            let longer = BLEND_STEP * (gap.made / (STEP * self.ratio)).saturating_sub(1) * self.ratio;
            let blend = (gap.period / 4 + longer).min(BLEND * self.ratio).min(good.len());
            for (n, sample) in (1..).zip(&mut good[..blend]) {
                let (made, share) = (i32::from(self.next(&mut gap)), blend as i32 + 1);
                *sample = ((i32::from(*sample) * n + made * (share - n)) / share) as i16;
            }
        }
        self.remember(good);
    }

    /// Makes up what is missing.
    pub(super) fn fill(&mut self, missing: &mut [i16]) {
        let mut gap = self.gap.unwrap_or_else(|| self.open());
        missing.iter_mut().for_each(|sample| *sample = self.next(&mut gap));
        self.gap = Some(gap);
        self.remember(missing);
    }

    /// What comes next doesn't follow from what came before.
    pub(super) fn jump(&mut self) {
        self.fill(&mut []);
    }

    fn open(&mut self) -> Gap {
        let period = period(&self.history, self.ratio);
        self.before.copy_from_slice(&self.history);
        let last = |back: usize| i32::from(self.before[self.before.len() - 1 - back]);
        let now = Reader { cycles: 1, at: 0 };
        Gap {
            period,
            made: 0,
            now,
            former: now,
            step: last(0) - last(period),
        }
    }

    fn next(&self, gap: &mut Gap) -> i16 {
        let (step, silent) = (STEP * self.ratio, SILENT * self.ratio);
        if gap.made >= silent {
            return 0;
        }
        let quarter = gap.period / 4;
        if gap.made > 0 && gap.made.is_multiple_of(step) && gap.now.cycles < CYCLES {
            gap.former = gap.now;
            gap.now = Reader {
                cycles: gap.now.cycles + 1,
                at: gap.now.at % gap.period,
            };
        }
        let (new, old) = (self.read(&mut gap.now, gap.period), self.read(&mut gap.former, gap.period));
        let since = gap.made % step;
        let sample = if gap.made < quarter {
            new + gap.step * (quarter - gap.made) as i32 / (quarter + 1) as i32
        } else if since < quarter && gap.former.cycles < gap.now.cycles {
            mixed(old, new, since, quarter)
        } else {
            new
        };
        let left = (silent - gap.made).min(silent - step) as i32;
        gap.made += 1;
        (sample * left / (silent - step) as i32).clamp(i16::MIN.into(), i16::MAX.into()) as i16
    }

    /// The next of the last periods' samples, over and over; at its end it fades into what was before its beginning.
    fn read(&self, reader: &mut Reader, period: usize) -> i32 {
        let (length, quarter) = (reader.cycles * period, period / 4);
        let back = length - reader.at;
        let sample = |back: usize| i32::from(self.before[self.before.len() - back]);
        reader.at = (reader.at + 1) % length;
        if back <= quarter {
            mixed(sample(back), sample(back + length), quarter - back, quarter)
        } else {
            sample(back)
        }
    }

    fn remember(&mut self, run: &[i16]) {
        let room = self.history.len();
        let run = &run[run.len().saturating_sub(room)..];
        self.history.copy_within(run.len().., 0);
        self.history[room - run.len()..].copy_from_slice(run);
    }
}

/// The n-th of so many samples on the way from one to the other.
fn mixed(from: i32, to: i32, n: usize, of: usize) -> i32 {
    (from * (of - n) as i32 + to * n as i32) / of as i32
}

/// The lag at which the history resembles itself most.
fn period(history: &[i16], ratio: usize) -> usize {
    let last = &history[history.len() - COMPARED * ratio..];
    let likeness = |lag: usize, step: usize| {
        let earlier = &history[history.len() - COMPARED * ratio - lag..history.len() - lag];
        let (mut product, mut energy) = (0i64, 1i64);
        for (&a, &b) in last.iter().zip(earlier).step_by(step) {
            product += i64::from(i32::from(a) * i32::from(b));
            energy += i64::from(i32::from(b) * i32::from(b));
        }
        product as f64 / (energy as f64).sqrt()
    };
    let best = |lags: &mut dyn Iterator<Item = usize>, step: usize| {
        let first = (LONGEST * ratio, f64::MIN);
        lags.map(|lag| (lag, likeness(lag, step)))
            .fold(first, |best, found| if found.1 > best.1 { found } else { best })
            .0
    };
    let coarse = best(&mut (SHORTEST * ratio..=LONGEST * ratio).step_by(ratio), ratio);
    if ratio == 1 {
        return coarse;
    }
    best(
        &mut (coarse.saturating_sub(ratio - 1)..=(coarse + ratio - 1).min(LONGEST * ratio)),
        1,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn voice(n: usize, ratio: usize) -> i16 {
        let t = n as f64 / (8000.0 * ratio as f64) * std::f64::consts::TAU;
        (6000.0 * (t * 125.0).sin() + 3000.0 * (t * 250.0).sin() + 1500.0 * (t * 500.0).cos()) as i16
    }

    fn frame(tick: usize, ratio: usize) -> Vec<i16> {
        (0..160 * ratio).map(|n| voice(tick * 160 * ratio + n, ratio)).collect()
    }

    /// Has heard four frames of a voice.
    fn prepared(rate: Rate) -> Conceal {
        let mut conceal = Conceal::new(rate);
        (0..4).for_each(|tick| conceal.hear(&mut frame(tick, rate.ratio())));
        conceal
    }

    fn step(a: i16, b: i16) -> i32 {
        (i32::from(a) - i32::from(b)).abs()
    }

    #[test]
    fn a_lost_frame_goes_on_as_the_voice_did() {
        for rate in [Rate::Narrow, Rate::Wide] {
            let mut conceal = prepared(rate);
            let mut made = vec![0; rate.frame()];
            conceal.fill(&mut made);
            for (n, (&made, real)) in made.iter().zip(frame(4, rate.ratio())).enumerate().take(80 * rate.ratio()) {
                assert!((i32::from(made) - i32::from(real)).abs() < 400, "{rate:?} {n}: {made} {real}");
            }
            let (mut after, real) = (frame(5, rate.ratio()), frame(5, rate.ratio()));
            conceal.hear(&mut after);
            assert_eq!(after[80 * rate.ratio()..], real[80 * rate.ratio()..]);
            assert!(step(after[0], made[rate.frame() - 1]) < 1500);
        }
    }

    #[test]
    fn a_long_gap_falls_silent_after_60_ms() {
        let mut conceal = prepared(Rate::Narrow);
        let energy = |frame: &[i16]| frame.iter().map(|&s| i64::from(s) * i64::from(s)).sum::<i64>();
        let (mut before, mut all) = (i64::MAX, frame(3, 1));
        for _ in 0..3 {
            let mut made = [0; 160];
            conceal.fill(&mut made);
            assert!(energy(&made) < before && energy(&made) > 0);
            before = energy(&made);
            all.extend(made);
        }
        assert!(all.windows(2).all(|w| step(w[0], w[1]) < 1700), "no click on the way: {all:?}");
        let mut made = [0; 160];
        conceal.fill(&mut made);
        assert_eq!(made, [0; 160]);
    }

    #[test]
    fn a_jump_is_smoothed() {
        let mut conceal = prepared(Rate::Narrow);
        let (before, mut after) = (
            voice(4 * 160 - 1, 1),
            (0..160).map(|n| voice(5 * 160 + 16 + n, 1)).collect::<Vec<_>>(),
        );
        assert!(step(before, after[0]) > 4000, "as it would have been: {}", step(before, after[0]));
        conceal.jump();
        conceal.hear(&mut after);
        assert!(step(before, after[0]) < 1500);
        assert!(after.windows(2).all(|w| step(w[0], w[1]) < 2500), "{after:?}");
    }

    #[test]
    fn a_hole_within_a_frame_is_mended_in_place() {
        let mut conceal = prepared(Rate::Narrow);
        let mut all = frame(4, 1);
        conceal.hear(&mut all[..80]);
        conceal.fill(&mut all[80..120]);
        conceal.hear(&mut all[120..]);
        assert_eq!(all[..80], frame(4, 1)[..80]);
        assert!(all.iter().zip(frame(4, 1)).all(|(&made, real)| step(made, real) < 400), "{all:?}");
    }

    #[test]
    fn loud_voices_do_not_overflow() {
        let mut conceal = Conceal::new(Rate::Wide);
        for tick in 0..40 {
            let mut square: Vec<i16> = (0..320)
                .map(|n| if (n * (tick + 3)) % 90 < 45 { i16::MIN } else { i16::MAX })
                .collect();
            if tick % 3 == 0 {
                conceal.fill(&mut square)
            } else {
                conceal.hear(&mut square)
            }
        }
    }
}
