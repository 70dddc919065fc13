//! How loud audio is, and whether that is a voice.

/// A level in whole dB above -127 dBov, which counts as silence: 127 is 0 dBov, the loudest that 16 bits can be (RFC 6464 section 3, upside
/// down so that louder is more).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Level(u8);

impl Level {
    pub(crate) const SILENCE: Self = Self(0);
    pub(crate) const LOUDEST: Self = Self(127);

    /// From dB under 0 dBov, as RFC 6464 and RFC 6465 write it; more than 127 is silence.
    pub(crate) const fn from_dbov(below: u8) -> Self {
        Self(127u8.saturating_sub(below))
    }

    /// In dB under 0 dBov: 0 to 127.
    pub(crate) const fn dbov(self) -> u8 {
        127 - self.0
    }

    /// The level at which that is the mean of the samples' squares.
    pub(crate) fn of_square(square: u64) -> Self {
        // At least one: the first is 0.
        Self((SQUARES.partition_point(|&least| least <= square) - 1) as u8)
    }

    /// How many dB this is louder, 0 if it isn't.
    pub(crate) const fn above(self, other: Self) -> u8 {
        self.0.saturating_sub(other.0)
    }

    pub(crate) const fn raised(self, db: u8) -> Self {
        let level = self.0.saturating_add(db);
        Self(if level > 127 { 127 } else { level })
    }

    pub(crate) const fn lowered(self, db: u8) -> Self {
        Self(self.0.saturating_sub(db))
    }
}

/// The least mean square of each level.
static SQUARES: [u64; 128] = {
    let mut squares = [0; 128];
    // A decibel, and half of one since levels are rounded.
    let mut least = (1u64 << 30) as f64 / 1.122_018_454_301_963_3;
    let mut level = 127;
    while level > 0 {
        // Rounded up: no square lies between.
        squares[level] = least as u64 + 1;
        least /= 1.258_925_411_794_167_2;
        level -= 1;
    }
    squares
};

/// Ticks for which a peak stays at least, and half of those for which it stays at most: as long as a pause between words may be.
const PEAK_HOLD: u8 = 15;

/// The loudest of late: of the last 300 ms, and of no more than 600.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Peak {
    before: Level,
    since: Level,
    ticks: u8,
}

impl Peak {
    /// Takes the level of the next tick; gives the peak.
    pub(crate) fn hear(&mut self, level: Level) -> Level {
        if self.ticks == PEAK_HOLD {
            (self.before, self.since, self.ticks) = (self.since, Level::SILENCE, 0);
        }
        self.since = self.since.max(level);
        self.ticks += 1;
        self.level()
    }

    pub(crate) fn level(self) -> Level {
        self.before.max(self.since)
    }
}

/// From this on a leg is mixed: less is under any room's noise.
pub(crate) const MIX_FLOOR: Level = Level::from_dbov(59);
/// The amplitude under which every sample of a frame may lie without being mixed.
pub(crate) const QUIET_PEAK: u16 = 33;

/// From this on somebody speaks.
pub(crate) const SPEAK_FLOOR: Level = Level::from_dbov(45);

/// Ticks that a voice stays in the mix after it fell under the floor: pauses between words.
const MIX_HANG: u8 = 15;
/// Ticks over the floor that make a speaker: a cough or a click is shorter.
const SPEAK_RISE: u8 = 3;
/// Ticks under the floor after which somebody no longer speaks: half a second.
const SPEAK_HANG: u8 = 25;

/// Decides whether a leg's voice is mixed, and whether it counts as speaking.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Gate {
    /// As it was last.
    level: Level,
    /// Ticks for which the gate stays open.
    open: u8,
    /// Ticks over the floor for speaking, up to `SPEAK_RISE`.
    risen: u8,
    /// Ticks for which speaking lasts.
    speaking: u8,
}

impl Gate {
    /// Takes the mean square of the next tick's samples; tells whether they are to be mixed.
    pub(crate) fn hear(&mut self, square: u64) -> bool {
        self.take(Level::of_square(square))
    }

    /// Takes the level of the next tick; tells whether that is to be mixed.
    pub(crate) fn take(&mut self, level: Level) -> bool {
        self.level = level;
        self.open = if level >= MIX_FLOOR {
            MIX_HANG
        } else {
            self.open.saturating_sub(1)
        };
        if level < SPEAK_FLOOR {
            self.risen = 0;
            self.speaking = self.speaking.saturating_sub(1);
        } else if self.risen < SPEAK_RISE {
            self.risen += 1;
        }
        if self.risen == SPEAK_RISE {
            self.speaking = SPEAK_HANG;
        }
        self.is_open()
    }

    /// Opens for a voice of which the level is known in part.
    pub(crate) fn open(&mut self) {
        self.open = MIX_HANG;
    }

    pub(crate) fn is_open(&self) -> bool {
        self.open > 0
    }

    pub(crate) fn level(&self) -> Level {
        self.level
    }

    /// Ticks of silence so far, while the gate is open.
    pub(crate) fn silent(&self) -> u8 {
        MIX_HANG - self.open
    }

    pub(crate) fn is_speaking(&self) -> bool {
        self.speaking > 0
    }
}

/// The mean square of some samples.
pub(crate) fn mean_square(samples: &[i16]) -> u64 {
    // Groups whose sum fits 32 bits let the compiler work on many samples at once; the shift loses less than a quantisation step.
    let group = |group: &[i16]| u64::from(group.iter().map(|&s| (i32::from(s) * i32::from(s)) as u32 >> 4).sum::<u32>());
    let sum: u64 = samples.chunks(32).map(group).sum();
    (sum << 4) / samples.len().max(1) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn squares_are_right_at_both_ends() {
        assert_eq!(mean_square(&[i16::MIN; 960]), 1 << 30);
        assert_eq!(mean_square(&[0; 160]), 0);
        assert_eq!(mean_square(&[100; 160]), 10_000);
        assert_eq!(mean_square(&[]), 0);
        assert!(Level::of_square(mean_square(&[QUIET_PEAK as i16 - 1; 160])) < MIX_FLOOR);
    }

    #[test]
    fn levels_are_rounded_decibels_of_the_overload_point() {
        for square in (0..30)
            .flat_map(|bits| [1u64 << bits, 3 << bits >> 1, (1 << bits) * 7 / 5])
            .chain([1 << 30])
        {
            let exact = 10.0 * (square as f64 / f64::from(1 << 30)).log10();
            assert_eq!(f64::from(Level::of_square(square).dbov()), -exact.round(), "{square}");
        }
        assert_eq!(Level::of_square(0), Level::SILENCE);
        assert_eq!((Level::of_square(u64::MAX), Level::SILENCE.dbov()), (Level::LOUDEST, 127));
        assert_eq!((Level::from_dbov(0), Level::from_dbov(200)), (Level::LOUDEST, Level::SILENCE));
        assert_eq!(Level::LOUDEST.raised(9), Level::LOUDEST);
        assert_eq!(Level::from_dbov(120).lowered(30), Level::SILENCE);
    }

    #[test]
    fn a_peak_outlasts_a_pause_and_then_is_gone() {
        for begin in 0..40 {
            let mut peak = Peak::default();
            (0..begin).for_each(|_| {
                peak.hear(Level::from_dbov(60));
            });
            peak.hear(Level::from_dbov(20));
            for tick in 1..=2 * PEAK_HOLD {
                let level = peak.hear(Level::from_dbov(70)).dbov();
                assert!(level == 20 || tick >= PEAK_HOLD, "{begin} {tick}");
            }
            assert_eq!(peak.level().dbov(), 70, "{begin}");
        }
    }

    #[test]
    fn a_click_is_no_speech_and_a_pause_does_not_end_it() {
        let mut gate = Gate::default();
        assert!(gate.take(SPEAK_FLOOR));
        assert!(!gate.is_speaking());
        assert!(gate.take(Level::SILENCE), "hang-over");
        for _ in 0..SPEAK_RISE {
            gate.take(SPEAK_FLOOR);
        }
        assert!(gate.is_speaking());
        for tick in 1..SPEAK_HANG {
            assert_eq!(gate.take(MIX_FLOOR.lowered(1)), tick < MIX_HANG, "{tick}");
            assert!(gate.is_speaking(), "{tick}");
        }
        gate.take(Level::SILENCE);
        assert!(!gate.is_speaking());
    }
}
