//! At which rate a mixer adds voices (rule R67): no higher than somebody both sends and hears.

use crate::{Rate, TICK_MS};

/// Ticks in a row for which a lower rate must do before it is taken: 30 s, so that one who speaks now and then causes few changes.
const PATIENCE: u32 = 30_000 / TICK_MS;

/// The mixing rate.
#[derive(Debug)]
pub(crate) struct MixingRate {
    cap: Rate,
    now: Rate,
    /// Ticks in a row in which less would have done, and the most that was needed in them.
    spare: u32,
    needed: Rate,
}

impl MixingRate {
    /// Starts at 8000 Hz, and never goes above the cap.
    pub(crate) fn new(cap: Rate) -> Self {
        Self {
            cap,
            now: Rate::Narrow,
            spare: 0,
            needed: Rate::Narrow,
        }
    }

    pub(crate) fn cap(&self) -> Rate {
        self.cap
    }

    pub(crate) fn now(&self) -> Rate {
        self.now
    }

    /// Takes the highest rates of the voices and of the listeners in a tick; gives the rate so far if it changes with this tick.
    pub(crate) fn choose(&mut self, voices: Option<Rate>, listeners: Option<Rate>) -> Option<Rate> {
        let needed = voices.min(listeners).unwrap_or(Rate::Narrow).min(self.cap);
        if needed >= self.now {
            (self.spare, self.needed) = (0, Rate::Narrow);
            return self.change(needed);
        }
        self.spare += 1;
        self.needed = self.needed.max(needed);
        if self.spare < PATIENCE {
            return None;
        }
        self.spare = 0;
        let lower = std::mem::replace(&mut self.needed, Rate::Narrow);
        self.change(lower)
    }

    fn change(&mut self, to: Rate) -> Option<Rate> {
        let before = std::mem::replace(&mut self.now, to);
        (before != to).then_some(before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NARROW: Option<Rate> = Some(Rate::Narrow);
    const WIDE: Option<Rate> = Some(Rate::Wide);
    const FULL: Option<Rate> = Some(Rate::Full);

    #[test]
    fn r67_it_is_what_the_best_talker_and_the_best_listener_share() {
        for (voices, listeners, cap, expected) in [
            (NARROW, FULL, Rate::Full, Rate::Narrow),
            (FULL, NARROW, Rate::Full, Rate::Narrow),
            (FULL, FULL, Rate::Full, Rate::Full),
            (FULL, WIDE, Rate::Full, Rate::Wide),
            (FULL, FULL, Rate::Wide, Rate::Wide),
            (None, FULL, Rate::Full, Rate::Narrow),
            (FULL, None, Rate::Full, Rate::Narrow),
        ] {
            let mut rate = MixingRate::new(cap);
            let change = rate.choose(voices, listeners);
            assert_eq!(rate.now(), expected);
            assert_eq!(change.is_some(), expected != Rate::Narrow);
        }
    }

    #[test]
    fn r67_it_rises_at_once_and_falls_after_30_s() {
        let mut rate = MixingRate::new(Rate::Full);
        assert_eq!(rate.choose(FULL, FULL), NARROW);
        for _ in 0..1000 {
            assert_eq!(rate.choose(NARROW, FULL), None);
        }
        assert_eq!(rate.choose(FULL, FULL), None, "the patience begins anew");
        for tick in 1..1500 {
            // Somebody at 16000 Hz said a word.
            assert_eq!(rate.choose(if tick == 7 { WIDE } else { None }, FULL), None);
        }
        assert_eq!(rate.choose(None, FULL), FULL);
        assert_eq!(rate.now(), Rate::Wide, "so much was needed");
        for _ in 1..1500 {
            assert_eq!(rate.choose(None, FULL), None);
        }
        assert_eq!((rate.choose(None, FULL), rate.now()), (WIDE, Rate::Narrow));
    }
}
