//! Ticks of any rate at one rate, outside of any mixer: for recordings.

use crate::{
    Rate,
    resample::{Filters, Tail},
    settings::Frame,
};

/// Changes the rate of consecutive ticks; delays by 2 ms at most.
#[derive(Debug)]
pub struct Resampler {
    filters: Filters,
    tail: Tail,
    from: Rate,
    out: Frame,
}

impl Resampler {
    /// Makes everything that rate.
    pub fn new(to: Rate) -> Self {
        Self {
            filters: Filters::new(),
            tail: Tail::new(),
            from: to,
            out: Frame::new(to),
        }
    }

    /// Changes 20 ms of samples of that rate, which may differ from tick to tick; a tick of another length gives silence.
    pub fn convert(&mut self, samples: &[i16], from: Rate) -> &[i16] {
        if samples.len() != from.frame() {
            self.tail.clear();
            self.out.pcm_mut().fill(0);
            return self.out.pcm();
        }
        if from != self.from {
            self.tail.clear();
            self.from = from;
        }
        self.filters.convert(&self.tail, samples, self.out.pcm_mut());
        self.tail.keep(samples);
        self.out.pcm()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_stays_over_changes_of_rate_and_a_wrong_length_is_silence() {
        let mut resampler = Resampler::new(Rate::Wide);
        for from in [Rate::Narrow, Rate::Full, Rate::Wide] {
            let samples = vec![1000; from.frame()];
            resampler.convert(&samples, from);
            let out = resampler.convert(&samples, from);
            assert_eq!(out.len(), Rate::Wide.frame());
            assert!(out.iter().all(|sample| (990..=1010).contains(sample)), "{from:?}: {out:?}");
        }
        assert!(resampler.convert(&[1000; 7], Rate::Narrow).iter().all(|&sample| sample == 0));
    }
}
