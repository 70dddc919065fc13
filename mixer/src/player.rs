//! Sounds that no leg makes: prompts, tones, files, music.

use std::{fmt, sync::Arc};

use crate::{
    Rate,
    mix::{Mix, fade_in, fade_out},
    resample::{Filters, Tail},
    settings::{Frame, MAX_FRAME},
};

/// The number of a sound that plays, given by the caller, unique in its mixer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sound(pub u64);

/// Gain 1.
const UNITY: i32 = 1 << 15;

/// Plays samples into a room, to everybody alike, beside those who have the floor, or to one leg alone. Built and dropped outside the tick.
pub struct Player {
    samples: Arc<[i16]>,
    rate: Rate,
    gain: i32,
    repeats: bool,
    /// The next sample.
    at: usize,
    state: State,
    /// This tick's samples; `None` if it was over before.
    frame: Option<Frame>,
    tail: Tail,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing was played yet.
    New,
    Playing,
    /// Another tick, in which it fades out.
    Stopping,
    Over,
}

impl Player {
    /// Plays samples of that rate once, or over and over, so many dB quieter than they are.
    pub fn new(samples: Arc<[i16]>, rate: Rate, quieter_db: u8, repeats: bool) -> Box<Self> {
        let gain = 10f64.powf(-f64::from(quieter_db) / 20.0) * f64::from(UNITY);
        let state = if samples.is_empty() { State::Over } else { State::New };
        Box::new(Self {
            samples,
            rate,
            gain: gain as i32,
            repeats,
            at: 0,
            state,
            frame: None,
            tail: Tail::new(),
        })
    }

    /// Ends it with the next tick.
    pub(crate) fn stop(&mut self) {
        self.state = match self.state {
            State::Playing | State::Stopping => State::Stopping,
            State::New | State::Over => State::Over,
        };
    }

    pub(crate) fn is_over(&self) -> bool {
        self.state == State::Over
    }

    /// Plays the next tick; gives the rate of it, if there is one.
    pub(crate) fn pull(&mut self) -> Option<Rate> {
        self.frame = None;
        if self.is_over() {
            return None;
        }
        let mut frame = Frame::new(self.rate);
        self.fill(frame.pcm_mut());
        self.frame = Some(frame);
        Some(self.rate)
    }

    /// Adds what was pulled.
    pub(crate) fn mix_into(&mut self, mix: &mut Mix, filters: &Filters) {
        if let Some(frame) = &self.frame {
            mix.add(filters, &self.tail, frame);
        }
        self.keep();
    }

    /// Adds what was pulled to a tick of that rate; `false` if there is nothing.
    pub(crate) fn add_to(&self, sum: &mut [i32], rate: Rate, filters: &Filters) -> bool {
        let Some(frame) = &self.frame else { return false };
        let mut pcm = [0; MAX_FRAME];
        let pcm = &mut pcm[..rate.frame()];
        filters.convert(&self.tail, frame.pcm(), pcm);
        sum.iter_mut().zip(pcm).for_each(|(sum, sample)| *sum += i32::from(*sample));
        true
    }

    /// Keeps what was pulled in mind, for the next tick.
    pub(crate) fn keep(&mut self) {
        if let Some(frame) = &self.frame {
            self.tail.keep(frame.pcm());
        }
    }

    fn fill(&mut self, pcm: &mut [i16]) {
        let mut filled = 0;
        while filled < pcm.len() {
            let rest = &self.samples[self.at..];
            let count = rest.len().min(pcm.len() - filled);
            for (to, &from) in pcm[filled..].iter_mut().zip(rest) {
                *to = ((i32::from(from) * self.gain) >> 15) as i16;
            }
            filled += count;
            self.at += count;
            if self.at == self.samples.len() {
                if !self.repeats {
                    self.state = State::Stopping;
                    break;
                }
                self.at = 0;
            }
        }
        let (sound, silence) = pcm.split_at_mut(filled);
        silence.fill(0);
        match self.state {
            State::New => {
                fade_in(sound, self.rate);
                self.state = State::Playing;
            }
            State::Playing => {}
            State::Stopping => {
                fade_out(sound);
                self.state = State::Over;
            }
            State::Over => {}
        }
    }
}

impl fmt::Debug for Player {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Player")
            .field("samples", &self.samples.len())
            .field("rate", &self.rate)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn played(player: &mut Player) -> Vec<i16> {
        let mut all = Vec::new();
        while player.pull().is_some() && all.len() < 2000 {
            all.extend(player.frame.iter().flat_map(Frame::pcm));
        }
        all
    }

    #[test]
    fn a_sound_plays_once_without_a_click_at_either_end() {
        let mut player = Player::new(vec![10_000; 400].into(), Rate::Narrow, 6, false);
        let all = played(&mut player);
        assert_eq!(all.len(), 480);
        assert!((4_990..=5_020).contains(&all[160]), "6 dB quieter: {}", all[160]);
        assert!(all.windows(2).all(|w| (i32::from(w[0]) - i32::from(w[1])).abs() < 200), "{all:?}");
        assert!(all[400..].iter().all(|&sample| sample == 0));
    }

    #[test]
    fn one_that_repeats_goes_on_until_it_is_stopped() {
        let mut player = Player::new((0..100).collect::<Vec<_>>().into(), Rate::Narrow, 0, true);
        (0..50).for_each(|_| assert!(player.pull().is_some()));
        let frame = player.frame.clone().expect("just pulled");
        assert!(frame.pcm().windows(2).all(|w| w[1] == (w[0] + 1) % 100));
        player.stop();
        assert_eq!(played(&mut player).last(), Some(&0));
        assert!(player.is_over());
    }

    #[test]
    fn nothing_is_over_at_once() {
        assert!(Player::new(Arc::from([]), Rate::Full, 0, true).is_over());
    }
}
