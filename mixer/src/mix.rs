//! Adds voices.

use crate::{
    Rate,
    limiter::Limiter,
    resample::{Filters, Tail},
    settings::{Frame, MAX_FRAME},
};

/// Samples of an entering or leaving voice's ramp, at 8000 Hz: 5 ms, too short to carry a word and long enough not to click.
const RAMP: usize = 40;

/// One tick of what somebody hears.
#[derive(Clone)]
pub(crate) struct Heard {
    pub(crate) now: Frame,
    /// The same at the rate so far, in a tick in which that changes (rule R67).
    pub(crate) former: Option<Frame>,
}

/// What all hear in one tick, at the mixing rate, and in a tick in which that changes at the former one too.
#[derive(Debug)]
pub(crate) struct Mix {
    now: Bus,
    former: Bus,
    changes: bool,
}

/// The voices of one tick at one rate, and their sum.
#[derive(Debug)]
struct Bus {
    voices: Vec<Frame>,
    sum: Sum,
}

impl Mix {
    /// Has room for so many voices.
    pub(crate) fn new(voices: usize) -> Self {
        Self {
            now: Bus::new(voices),
            former: Bus::new(voices),
            changes: false,
        }
    }

    /// Begins a tick.
    pub(crate) fn begin(&mut self, rate: Rate, former: Option<Rate>) {
        self.changes = former.is_some();
        self.now.begin(rate);
        self.former.begin(former.unwrap_or(rate));
    }

    /// Adds a voice, which follows the tail; gives its last sample.
    pub(crate) fn add(&mut self, filters: &Filters, tail: &Tail, voice: &Frame) -> i16 {
        if self.changes {
            self.former.add(filters, tail, voice);
        }
        self.now.add(filters, tail, voice)
    }

    /// Leads voices that ended at this sample to zero, so that the listener hears no click.
    pub(crate) fn add_end(&mut self, last: i32) {
        self.now.sum.add_end(last);
        self.former.sum.add_end(last);
    }

    /// How many voices sound, counting those that end together as one.
    pub(crate) fn voices(&self) -> usize {
        self.now.sum.voices()
    }

    /// What everybody hears who isn't part of it.
    pub(crate) fn all(&self, limiter: &mut Limiter) -> Heard {
        self.hear(limiter, |bus, limiter, out| bus.sum.all(limiter, out))
    }

    /// What the owner of the n-th voice hears: all but their own.
    pub(crate) fn without(&self, n: usize, limiter: &mut Limiter) -> Heard {
        self.hear(limiter, |bus, limiter, out| bus.sum.without(bus.voices[n].pcm(), limiter, out))
    }

    fn hear(&self, limiter: &mut Limiter, take: impl Fn(&Bus, &mut Limiter, &mut [i16])) -> Heard {
        let frame = |bus: &Bus, limiter: &mut Limiter| {
            let mut frame = Frame::new(bus.sum.rate);
            take(bus, limiter, frame.pcm_mut());
            frame
        };
        let former = self.changes.then(|| frame(&self.former, &mut limiter.clone()));
        let now = frame(&self.now, limiter);
        Heard { now, former }
    }
}

impl Bus {
    fn new(voices: usize) -> Self {
        Self {
            voices: Vec::with_capacity(voices),
            sum: Sum::new(Rate::Narrow),
        }
    }

    fn begin(&mut self, rate: Rate) {
        self.voices.clear();
        self.sum.clear(rate);
    }

    fn add(&mut self, filters: &Filters, tail: &Tail, voice: &Frame) -> i16 {
        let mut frame = Frame::new(self.sum.rate);
        filters.convert(tail, voice.pcm(), frame.pcm_mut());
        self.sum.add(frame.pcm());
        let last = frame.pcm().last().copied().unwrap_or(0);
        self.voices.push(frame);
        last
    }
}

/// The sum of all voices of one tick.
#[derive(Debug)]
struct Sum {
    samples: [i32; MAX_FRAME],
    rate: Rate,
    voices: usize,
}

impl Sum {
    fn new(rate: Rate) -> Self {
        Self {
            samples: [0; MAX_FRAME],
            rate,
            voices: 0,
        }
    }

    fn clear(&mut self, rate: Rate) {
        self.samples.fill(0);
        (self.rate, self.voices) = (rate, 0);
    }

    fn voices(&self) -> usize {
        self.voices
    }

    fn add(&mut self, voice: &[i16]) {
        self.voices += 1;
        self.samples[..self.rate.frame()]
            .iter_mut()
            .zip(voice)
            .for_each(|(sum, &sample)| *sum += i32::from(sample));
    }

    fn add_end(&mut self, last: i32) {
        if last == 0 {
            return;
        }
        self.voices += 1;
        let ramp = (RAMP * self.rate.ratio()) as i64;
        for (n, sum) in (1..ramp).zip(&mut self.samples[..self.rate.frame()]) {
            *sum += (i64::from(last) * (ramp - n) / ramp) as i32;
        }
    }

    fn all(&self, limiter: &mut Limiter, out: &mut [i16]) {
        limiter.limit(self.voices, &self.samples[..self.rate.frame()], out);
    }

    fn without(&self, voice: &[i16], limiter: &mut Limiter, out: &mut [i16]) {
        let mut others = [0; MAX_FRAME];
        let others = &mut others[..self.rate.frame()];
        for ((other, sum), &own) in others.iter_mut().zip(&self.samples).zip(voice) {
            *other = sum - i32::from(own);
        }
        limiter.limit(self.voices - 1, others, out);
    }
}

/// Raises a voice from zero.
pub(crate) fn fade_in(voice: &mut [i16], rate: Rate) {
    let ramp = (RAMP * rate.ratio()) as i32;
    for (n, sample) in (0..ramp).zip(voice) {
        *sample = (i32::from(*sample) * n / ramp) as i16;
    }
}

/// Leads a voice to zero at its end.
pub(crate) fn fade_out(voice: &mut [i16]) {
    let length = voice.len() as i32;
    for (left, sample) in (0..length).rev().zip(voice) {
        *sample = (i32::from(*sample) * left / length) as i16;
    }
}

/// Lets a voice begin at the sample where it ended, though something is missing between.
pub(crate) fn join(last: i16, voice: &mut [i16], rate: Rate) {
    let ramp = (RAMP * rate.ratio()) as i32;
    let step = i32::from(last) - i32::from(voice.first().copied().unwrap_or(0));
    for (n, sample) in (1..ramp).zip(voice) {
        *sample = (i32::from(*sample) + step * (ramp - n) / ramp).clamp(i16::MIN.into(), i16::MAX.into()) as i16;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_oneself_is_the_sum_of_the_others() {
        let mut sum = Sum::new(Rate::Narrow);
        let voices: [Vec<i16>; 3] = [1, 20, 300].map(|step| (0..160).map(|n| (n * step % 1000) as i16).collect());
        sum.clear(Rate::Narrow);
        voices.iter().for_each(|voice| sum.add(voice));
        let mut out = [0; 160];
        sum.without(&voices[1], &mut Limiter::new(), &mut out);
        assert!((0..160).all(|n| out[n] == voices[0][n] + voices[2][n]));
        sum.all(&mut Limiter::new(), &mut out);
        assert!((0..160).all(|n| out[n] == voices[0][n] + voices[1][n] + voices[2][n]));
    }

    #[test]
    fn thousand_full_scale_voices_do_not_overflow() {
        let mut sum = Sum::new(Rate::Narrow);
        for _ in 0..1000 {
            sum.add(&[i16::MIN; 160]);
        }
        sum.add_end(1000 * i32::from(i16::MIN));
        let mut out = [0; 160];
        sum.all(&mut Limiter::new(), &mut out);
        assert!(out.iter().all(|&sample| sample < 0));
    }

    #[test]
    fn ends_lead_to_zero_and_beginnings_away_from_it() {
        let mut sum = Sum::new(Rate::Narrow);
        sum.clear(Rate::Narrow);
        sum.add_end(16_000);
        let mut out = [0; 160];
        sum.all(&mut Limiter::new(), &mut out);
        assert_eq!(out[0], 15_600);
        assert!(out.windows(2).all(|w| w[0] >= w[1] && w[0] - w[1] <= 400));
        assert!(out[RAMP..].iter().all(|&sample| sample == 0));
        let mut voice = [i16::MIN; 160];
        fade_in(&mut voice, Rate::Narrow);
        assert!(voice[0] >= -820 && voice.windows(2).all(|w| w[0] >= w[1] && i32::from(w[0]) - i32::from(w[1]) <= 820));
        assert!(voice[RAMP..].iter().all(|&sample| sample == i16::MIN));
        join(i16::MAX, &mut voice, Rate::Narrow);
        assert!(voice[0] > 30_000 && voice[RAMP..].iter().all(|&sample| sample == i16::MIN));
    }
}
