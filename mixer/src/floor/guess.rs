//! How loud an Opus leg may be whose sender doesn't say.

use super::MIX_FLOOR;
use crate::level::Level;

/// How loud somebody who begins to speak is taken to be until that is known.
const PRESUMED: Level = Level::from_dbov(30);

/// By how many dB a tick somebody who speaks may have become louder than they were found to be.
const DRIFT: u8 = 2;

/// Ticks after which a leg is probed in which the encoder finds no voice: a steady tone is none to it. 5 s.
const RECHECK: u8 = 250;

/// Ticks that a packet may wait for its turn: 240 ms.
const MOST_DELAY: u8 = 12;

/// Age of what was never found out, or is out of date.
const UNKNOWN: u8 = u8::MAX;

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
    /// The last packet was clearly longer than the leg's shortest.
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
    /// Takes what a packet looks like.
    pub(super) fn look(&mut self, voice: bool, size: u16) {
        let long = size > self.least.saturating_add(self.least / 2);
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
        (self.level, self.age) = (level, 0);
    }

    pub(super) fn level(&self) -> Level {
        self.level
    }

    /// The loudest that the leg may be by now.
    pub(super) fn bound(&self) -> Level {
        match (self.age, self.voice) {
            (UNKNOWN, _) => Level::LOUDEST,
            (age, true) => self.level.raised(age.saturating_mul(DRIFT)),
            (_, false) => self.level,
        }
    }

    /// A leg without voice is to be looked at all the same.
    pub(super) fn is_due(&self) -> bool {
        !self.voice && self.age == RECHECK
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r65_who_begins_to_speak_is_unknown_and_who_stops_is_silent() {
        let mut guess = Guess::default();
        guess.look(false, 20);
        assert!(guess.is_due() && guess.level() < MIX_FLOOR);
        guess.learn(Level::from_dbov(70));
        assert!(!guess.is_due());
        guess.look(true, 22);
        assert_eq!((guess.level(), guess.bound()), (PRESUMED, Level::LOUDEST));
        guess.learn(Level::from_dbov(40));
        (0..5).for_each(|_| guess.turn());
        guess.look(true, 22);
        assert_eq!((guess.level().dbov(), guess.bound().dbov()), (40, 30));
        guess.look(false, 20);
        assert!(guess.level() < MIX_FLOOR && guess.bound() < MIX_FLOOR);
        (0..u32::from(RECHECK)).for_each(|_| guess.turn());
        assert!(guess.is_due());
    }

    #[test]
    fn r65_longer_packets_are_a_beginning_too() {
        let mut guess = Guess::default();
        (0..50).for_each(|_| guess.look(true, 40));
        guess.learn(Level::from_dbov(80));
        (0..50).for_each(|_| guess.look(true, 50));
        assert_eq!(guess.level().dbov(), 80, "not clearly longer");
        guess.look(true, 90);
        assert_eq!((guess.level(), guess.bound()), (PRESUMED, Level::LOUDEST));
        guess.learn(Level::from_dbov(80));
        (0..500).for_each(|_| guess.look(true, 90));
        guess.look(true, 100);
        assert_eq!(guess.level().dbov(), 80, "the floor has followed");
    }
}
