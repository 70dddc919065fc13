//! How loud one leg is, as far as that is known.

use super::{
    ENOUGH, LEAK, MARGIN,
    claim::Honesty,
    guess::{Doubt, Guess},
    peek::{self, Peek},
};
use crate::{
    Codec, Packet,
    level::{Gate, Level, MIX_FLOOR, Peak, SPEAK_FLOOR},
};

/// Ticks of silence after which a holder that may still go on gives way at once: 200 ms, longer than most pauses between words.
const YIELD: u8 = 10;

/// Every so many packets a claim is checked against the packet's bytes; a power of two.
const CHECK_EVERY: u16 = 16;

/// Most ticks by which a leg's first word is made up for when it gets the floor late.
const MOST_REWOUND: u8 = 3;
/// Ticks after which it is no first word any more: 200 ms.
const FIRST_WORD: u8 = 10;

/// Where a leg stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Not heard, and not decoded.
    #[default]
    Out,
    /// Has the floor.
    In,
    /// Loses the floor in this tick, in which it fades out.
    Leaving,
}

/// One leg's level and standing.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Meter {
    pub(super) standing: Standing,
    /// It may have the floor: it is neither muted nor held.
    free: bool,
    /// How loud it is: decoded in the last tick, if it has the floor, else as it arrived or is remembered.
    pub(super) now: Level,
    /// `now` was found out in this tick.
    fresh: bool,
    /// How loud it was of late.
    held: Peak,
    pub(super) gate: Gate,
    told: Told,
    honesty: Honesty,
    guess: Guess,
    /// A claim of silence is to be checked by a probe.
    suspect: bool,
    /// Ticks for which it has spoken without the floor; and in the tick in which it gets it, for which it had to wait.
    waiting: u8,
    /// By how much it was louder than the quietest holder, in dB, summed over ticks.
    credit: u8,
}

impl Meter {
    /// Other audio begins, of the same person.
    pub(super) fn renew(&mut self) {
        (self.told, self.honesty, self.guess) = Default::default();
        (self.standing, self.suspect, self.credit) = Default::default();
    }

    pub(super) fn arrive(&mut self, codec: Codec, packet: &Packet<'_>, found: Option<Level>) {
        let Some(ticks) = peek::ticks(codec, packet.payload) else { return };
        match packet.level.filter(|_| !self.honesty.is_lost()).map(Level::from_dbov) {
            Some(claim) => {
                if packet.sequence.is_multiple_of(CHECK_EVERY) && self.standing == Standing::Out {
                    self.check(claim, peek::peek(codec, packet.payload));
                }
                self.told.take(Word::Claim(claim), ticks);
            }
            None => {
                let word = match found.map_or_else(|| peek::peek(codec, packet.payload), Peek::Level) {
                    Peek::Level(level) | Peek::About(level) => Word::Found(level),
                    Peek::Silence => Word::Found(Level::SILENCE),
                    Peek::Opus { voice, size } => {
                        self.guess.look(voice, size);
                        Word::Guess
                    }
                };
                self.told.take(word, ticks);
            }
        }
    }

    /// Compares a claim with a packet that nobody will decode.
    fn check(&mut self, claim: Level, peek: Peek) {
        match peek {
            Peek::Level(found) => self.honesty.compare(claim, found, CHECK_EVERY as u8),
            Peek::Opus { voice, .. } => self.suspect = voice != Some(false) && claim < MIX_FLOOR,
            Peek::About(_) | Peek::Silence => {}
        }
    }

    /// Begins a tick.
    pub(super) fn turn(&mut self, free: bool) {
        let waits = self.standing == Standing::Out && self.now >= SPEAK_FLOOR;
        self.waiting = if waits { self.waiting.saturating_add(1) } else { 0 };
        self.told.turn();
        self.guess.turn();
        (self.free, self.fresh) = (free, false);
        if !free {
            (self.standing, self.now, self.held) = Default::default();
            (self.gate, self.credit, self.suspect) = Default::default();
        } else if self.standing != Standing::In {
            self.take_arrived();
            self.held.hear(self.now);
            self.gate.take(self.now);
        }
    }

    fn take_arrived(&mut self) {
        (self.now, self.fresh) = match self.told.word {
            Word::Claim(level) | Word::Found(level) => (level, true),
            Word::Guess => (self.guess.level(), false),
            Word::Nothing => (Level::SILENCE, true),
        };
    }

    /// Whether a probe is worth while. A bar of `None` means that there is a free place.
    pub(super) fn doubt(&self, bar: Option<Level>) -> Option<Doubt> {
        if !self.free || self.standing == Standing::In {
            return None;
        }
        match self.told.word {
            Word::Guess if self.guess.is_due() => Some(Doubt::Recheck),
            // It gets the place without.
            Word::Guess if bar.is_none() && self.now >= MIX_FLOOR => None,
            Word::Guess => self.guess.doubt(bar.unwrap_or(MIX_FLOOR)),
            Word::Claim(_) => self.suspect.then_some(Doubt::Recheck),
            Word::Found(_) | Word::Nothing => None,
        }
    }

    pub(super) fn probed(&mut self, level: Level) {
        self.guess.learn(level);
        match self.told.word {
            Word::Claim(claim) => {
                self.honesty.compare(claim, level, CHECK_EVERY as u8);
                self.suspect = false;
            }
            Word::Guess => (self.now, self.fresh) = (level, true),
            Word::Found(_) | Word::Nothing => {}
        }
    }

    /// Ends what ended with the last tick.
    pub(super) fn settle(&mut self) {
        match self.standing {
            Standing::In if !self.gate.is_open() => {
                self.standing = Standing::Out;
                self.take_arrived();
            }
            Standing::Leaving => self.standing = Standing::Out,
            Standing::In | Standing::Out => {}
        }
        if !self.wants() {
            self.credit = self.credit.saturating_sub(LEAK);
        }
    }

    pub(super) fn holds(&self) -> bool {
        self.standing == Standing::In
    }

    /// Hasn't the floor, and would have a voice there.
    pub(super) fn wants(&self) -> bool {
        self.standing == Standing::Out && self.now >= MIX_FLOOR
    }

    pub(super) fn enter(&mut self) {
        self.standing = Standing::In;
        self.credit = 0;
        self.gate.open();
        self.held.hear(self.now);
    }

    pub(super) fn leave(&mut self) {
        self.standing = Standing::Leaving;
    }

    pub(super) fn waited(&self) -> u8 {
        if self.holds() && self.waiting <= FIRST_WORD {
            self.waiting.min(MOST_REWOUND)
        } else {
            0
        }
    }

    /// How loud a challenger must clearly be.
    pub(super) fn resistance(&self) -> Level {
        if self.gate.silent() >= YIELD {
            Level::SILENCE
        } else {
            self.held.level()
        }
    }

    /// Measures itself against the quietest holder.
    pub(super) fn challenge(&mut self, holder: &Self) {
        if !self.wants() {
            return;
        }
        let excess = self.now.above(holder.resistance());
        // Noise and pauses give way to voice at once.
        let at_once = self.now >= SPEAK_FLOOR && holder.resistance() < SPEAK_FLOOR;
        self.credit = match self.fresh {
            true if at_once => ENOUGH,
            true if excess >= MARGIN => self.credit.saturating_add(excess).min(ENOUGH),
            true => self.credit.saturating_sub(LEAK),
            // What isn't known to be louder now isn't ready.
            false => self.credit.min(ENOUGH - 1),
        };
    }

    pub(super) fn is_ready(&self) -> bool {
        self.wants() && self.credit >= ENOUGH
    }

    pub(super) fn heard(&mut self) -> Level {
        let level = self.gate.level();
        if let Word::Claim(claim) = self.told.word {
            self.honesty.compare(claim, level, 1);
        }
        self.now = level;
        self.held.hear(level);
        self.guess.heard(level);
        level
    }

    pub(super) fn is_speaking(&self) -> bool {
        self.gate.is_speaking()
    }
}

/// What a packet told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Word {
    #[default]
    Nothing,
    /// By its bytes.
    Found(Level),
    /// By its sender's word (RFC 6464).
    Claim(Level),
    /// Its bytes don't tell.
    Guess,
}

/// What the newest packets told, for as long as they last.
#[derive(Debug, Clone, Copy, Default)]
struct Told {
    word: Word,
    ticks: u8,
    /// Came since the last tick.
    new: bool,
}

impl Told {
    /// Takes a packet's word, which stands for so many ticks; and one more, since packets don't come on the dot.
    fn take(&mut self, word: Word, ticks: u8) {
        self.word = if self.new { self.word.max(word) } else { word };
        self.ticks = ticks + 1;
        self.new = true;
    }

    fn turn(&mut self) {
        self.new = false;
        self.ticks = self.ticks.saturating_sub(1);
        if self.ticks == 0 {
            self.word = Word::Nothing;
        }
    }
}
