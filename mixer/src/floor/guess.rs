//! How loud an Opus leg may be whose sender doesn't say.

use super::MIX_FLOOR;
use crate::level::Level;

/// How loud somebody who begins to speak is taken to be until that is known.
const PRESUMED: Level = Level::from_dbov(30);

/// By how many dB a tick somebody who speaks may have become louder than they were found to be; and in the first 200 ms, for words begin
/// softly.
const DRIFT: u8 = 2;
const BEGINNING_DRIFT: u8 = 6;
const BEGINNING: u8 = 10;

/// By how many dB at most what is found may be under what was found before: one word is soft, and the next isn't.
const DECAY: u8 = 3;

/// Ticks after which a leg is probed in which the encoder finds no voice: a steady tone is none to it. 5 s.
const RECHECK: u8 = 250;

/// Ticks that a packet may wait for its turn: 240 ms.
const MOST_DELAY: u8 = 12;

/// Age of what was never found out, or is out of date.
const UNKNOWN: u8 = u8::MAX;

/// Why a leg is to be probed; the best reason is the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Doubt {
    /// Only to make sure that it is silent.
    Recheck,
    /// It may have become so loud since it was found to be softer.
    Bound(Level),
    /// It was loud, and may be still.
    Loud(Level),
    /// It has just begun.
    Unknown,
}

/// What is remembered of a leg, and what its packets look like.
#[derive(Debug, Clone, Copy)]
pub(super) struct Guess {
    /// As found last, or presumed.
    level: Level,
    /// Ticks since then.
    age: u8,
    /// Ticks since somebody began to speak.
    begun: u8,
    /// The encoder found a voice in the last packet, or doesn't tell.
    voice: bool,
    /// The last packet was clearly longer than the leg's shortest, and there is nothing else to go by.
    long: bool,
    /// Bytes of a tick at the leg's shortest; follows slowly when packets get longer.
    least: u16,
}

impl Default for Guess {
    fn default() -> Self {
        Self {
            level: MIX_FLOOR.lowered(1),
            age: RECHECK,
            begun: 0,
            voice: false,
            long: false,
            least: u16::MAX,
        }
    }
}

impl Guess {
    /// Takes what a packet looks like: whether its encoder found a voice, if it tells, and its size.
    pub(super) fn look(&mut self, told: Option<bool>, size: u16) {
        let voice = told.unwrap_or(true);
        let long = told.is_none() && size > self.least.saturating_add(self.least / 2);
        if (voice && !self.voice) || (long && !self.long) {
            // Somebody begins: no matter how loud it was before.
            self.level = self.level.max(PRESUMED);
            (self.age, self.begun) = (UNKNOWN, 0);
        } else if !voice && self.voice {
            self.level = self.level.min(MIX_FLOOR.lowered(1));
            self.age = 0;
        }
        (self.voice, self.long) = (voice, long);
        self.least = size.min(self.least.saturating_add(1 + self.least / 64));
    }

    pub(super) fn turn(&mut self) {
        if self.age < RECHECK {
            self.age += 1;
        }
        self.begun = self.begun.saturating_add(1);
    }

    /// The leg's turn was played. What came before somebody began may be silence still.
    pub(super) fn heard(&mut self, level: Level) {
        if level >= MIX_FLOOR || self.begun >= MOST_DELAY {
            self.learn(level);
        }
    }

    /// The leg's newest packets were decoded.
    pub(super) fn learn(&mut self, level: Level) {
        let before = if self.age == UNKNOWN { Level::SILENCE } else { self.level };
        (self.level, self.age) = (level.max(before.lowered(DECAY)), 0);
    }

    pub(super) fn level(&self) -> Level {
        self.level
    }

    /// Why the leg may be as loud as the bar.
    pub(super) fn doubt(&self, bar: Level) -> Option<Doubt> {
        if self.age == UNKNOWN {
            return Some(Doubt::Unknown);
        }
        if self.level >= bar {
            return Some(Doubt::Loud(self.level));
        }
        let drift = if self.begun < BEGINNING { BEGINNING_DRIFT } else { DRIFT };
        let bound = self.level.raised(self.age.saturating_mul(drift));
        (self.voice && bound >= bar).then_some(Doubt::Bound(bound))
    }

    /// A leg without voice is to be looked at all the same.
    pub(super) fn is_due(&self) -> bool {
        !self.voice && self.age == RECHECK
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BAR: Level = Level::from_dbov(20);

    #[test]
    fn r65_who_begins_to_speak_is_unknown_and_who_stops_is_silent() {
        let mut guess = Guess::default();
        guess.look(Some(false), 20);
        assert!(guess.is_due() && guess.level() < MIX_FLOOR);
        guess.learn(Level::from_dbov(70));
        assert!(!guess.is_due() && guess.level() < MIX_FLOOR);
        guess.look(Some(true), 22);
        assert_eq!((guess.level(), guess.doubt(BAR)), (PRESUMED, Some(Doubt::Unknown)));
        guess.learn(Level::from_dbov(40));
        guess.look(Some(true), 60);
        assert_eq!((guess.level().dbov(), guess.doubt(BAR)), (40, None));
        guess.look(Some(false), 20);
        assert!(guess.level() < MIX_FLOOR && guess.doubt(MIX_FLOOR).is_none());
        (0..u32::from(RECHECK)).for_each(|_| guess.turn());
        assert!(guess.is_due());
    }

    #[test]
    fn r65_who_was_soft_may_have_become_loud_the_sooner_the_shorter_they_speak() {
        for (speaks, ticks) in [(0, 4), (BEGINNING, 10)] {
            let mut guess = Guess::default();
            guess.look(Some(true), 40);
            (0..speaks).for_each(|_| guess.turn());
            guess.learn(Level::from_dbov(40));
            for _ in 1..ticks {
                guess.turn();
                assert_eq!(guess.doubt(BAR), None);
            }
            guess.turn();
            assert!(matches!(guess.doubt(BAR), Some(Doubt::Bound(bound)) if bound >= BAR));
        }
    }

    #[test]
    fn r65_a_soft_word_does_not_make_a_soft_voice() {
        let mut guess = Guess::default();
        guess.look(Some(true), 40);
        guess.learn(Level::from_dbov(10));
        assert_eq!(guess.doubt(BAR), Some(Doubt::Loud(Level::from_dbov(10))));
        for (found, level) in [(60, 13), (60, 16), (10, 10), (9, 9), (11, 11)] {
            guess.learn(Level::from_dbov(found));
            assert_eq!(guess.level().dbov(), level, "{found}");
        }
    }

    #[test]
    fn r65_where_nothing_else_tells_longer_packets_are_a_beginning() {
        let mut guess = Guess::default();
        (0..50).for_each(|_| guess.look(None, 40));
        guess.learn(Level::from_dbov(80));
        (0..50).for_each(|_| guess.look(None, 50));
        assert_eq!(guess.level().dbov(), 80, "not clearly longer");
        guess.look(None, 90);
        assert_eq!((guess.level(), guess.doubt(BAR)), (PRESUMED, Some(Doubt::Unknown)));
        guess.learn(Level::from_dbov(80));
        assert_eq!(guess.level().dbov(), 80);
        (0..500).for_each(|_| guess.look(None, 90));
        guess.look(None, 100);
        assert_eq!(guess.level().dbov(), 80, "the floor has followed");
    }
}
