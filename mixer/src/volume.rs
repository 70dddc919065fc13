//! Volumes that people choose for themselves, and gains that change without a click.

use crate::{
    limiter::Limiter,
    settings::{Frame, MAX_FRAME},
};

/// Gain 1, and its binary logarithm.
pub(crate) const UNITY: i32 = 1 << BITS;
const BITS: u32 = 15;

/// What a gain rises by in a tick at most: from a voice that is lowered back to one that isn't in 80 ms. It falls within a tick.
const RISE: i32 = UNITY / 5;

/// One of five volumes, 3 dB apart (rule R63). The middle one changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Step(i8);

impl Step {
    /// How many there are that change something.
    pub(crate) const OTHERS: usize = 4;

    /// So many times 3 dB, from -2 to 2; what is beyond counts as the last one.
    pub const fn new(steps: i8) -> Self {
        Self(match steps {
            ..-2 => -2,
            3.. => 2,
            within => within,
        })
    }

    /// As a factor.
    pub(crate) const fn gain(self) -> i32 {
        match self.0 {
            ..=-2 => 16_423,
            -1 => 23_198,
            0 => UNITY,
            1 => 46_286,
            2.. => 65_381,
        }
    }

    pub(crate) fn is_plain(self) -> bool {
        self == Self(0)
    }
}

/// A gain, and what keeps that within 16 bits which it makes louder.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Knob {
    gain: i32,
    limiter: Limiter,
}

impl Knob {
    pub(crate) const fn at(gain: i32) -> Self {
        Self {
            gain,
            limiter: Limiter::new(),
        }
    }

    pub(crate) fn is_at(&self, gain: i32) -> bool {
        self.gain == gain
    }

    /// Makes a frame as loud as the last one.
    pub(crate) fn settle(mut self, frame: &mut Frame) {
        self.turn(self.gain, frame, |_| false);
    }

    /// Turns a frame's volume to, or towards, that gain. `more` adds something that keeps its own volume.
    pub(crate) fn turn(&mut self, target: i32, frame: &mut Frame, more: impl FnOnce(&mut [i32]) -> bool) {
        let (from, to) = (self.gain, target.min(self.gain + RISE));
        self.gain = to;
        let pcm = frame.pcm_mut();
        let mut sum = [0; MAX_FRAME];
        let sum = &mut sum[..pcm.len()];
        let length = pcm.len() as i32;
        for (n, (sum, &sample)) in (1..).zip(sum.iter_mut().zip(&*pcm)) {
            let gain = from + (to - from) * n / length;
            *sum = (i32::from(sample) * gain) >> BITS;
        }
        let voices = 1 + usize::from(more(sum));
        self.limiter.limit(voices, sum, pcm);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Rate;

    #[test]
    fn r63_steps_are_3_db() {
        for steps in -2..=2 {
            let db = 20.0 * (f64::from(Step::new(steps).gain()) / f64::from(UNITY)).log10();
            assert!((db - 3.0 * f64::from(steps)).abs() < 0.01, "{steps}: {db} dB");
        }
        assert_eq!((Step::new(100), Step::new(-100)), (Step::new(2), Step::new(-2)));
    }

    #[test]
    fn a_gain_changes_evenly_and_its_loudest_stays_in_range() {
        let mut knob = Knob::at(UNITY);
        let mut heard = Vec::new();
        for tick in 0..60 {
            let mut frame = Frame::new(Rate::Narrow);
            frame.pcm_mut().fill(10_000);
            let target = [UNITY, UNITY / 4, Step::new(2).gain()][tick / 20];
            knob.turn(target, &mut frame, |_| false);
            heard.extend_from_slice(frame.pcm());
        }
        assert!(heard.windows(2).all(|w| (i32::from(w[0]) - i32::from(w[1])).abs() < 60));
        assert_eq!((heard[3000], heard[6000]), (10_000, 2_500));
        assert!((19_900..=20_000).contains(&heard[9000]), "{}", heard[9000]);
        let mut frame = Frame::new(Rate::Narrow);
        frame.pcm_mut().fill(i16::MIN);
        knob.turn(Step::new(2).gain(), &mut frame, |_| false);
        assert!(frame.pcm().iter().all(|&sample| sample < -30_000));
    }
}
