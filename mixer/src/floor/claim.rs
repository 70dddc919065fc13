//! Whether what a sender says of its level (RFC 6464) is so.

use super::MIX_FLOOR;
use crate::level::{Level, Peak};

/// Most dB that a claim may be off: senders measure before the codec, and some before their own gain control.
const TOLERANCE: u8 = 10;
/// Ticks that a claim may be off before it is believed no more: 1 s (rule R65).
const PATIENCE: u8 = 50;

/// A leg's claims against what its voice was found to be.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Honesty {
    /// The loudest of late: what is claimed now is decoded some ticks later.
    claimed: Peak,
    found: Peak,
    /// Ticks for which the claim has been off.
    off: u8,
}

impl Honesty {
    /// Compares a claim with what was found, which stands for so many ticks.
    pub(super) fn compare(&mut self, claimed: Level, found: Level, ticks: u8) {
        let (claimed, found) = (self.claimed.hear(audible(claimed)), self.found.hear(audible(found)));
        if claimed.above(found).max(found.above(claimed)) <= TOLERANCE {
            self.off = if self.is_lost() { PATIENCE } else { 0 };
        } else {
            self.off = self.off.saturating_add(ticks).min(PATIENCE);
        }
    }

    /// The leg's claims are believed no more.
    pub(super) fn is_lost(&self) -> bool {
        self.off >= PATIENCE
    }
}

/// Levels that nobody hears are all the same: a sender's noise gate is no lie.
fn audible(level: Level) -> Level {
    level.max(MIX_FLOOR)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(ticks: u8, claimed: u8, found: u8) -> Honesty {
        let mut honesty = Honesty::default();
        (0..ticks).for_each(|_| honesty.compare(Level::from_dbov(claimed), Level::from_dbov(found), 1));
        honesty
    }

    #[test]
    fn r65_a_claim_that_is_off_for_a_second_is_lost_for_good() {
        for (claimed, found) in [(10, 21), (40, 29), (0, 127), (127, 20)] {
            assert!(!run(49, claimed, found).is_lost());
            let mut liar = run(50, claimed, found);
            assert!(liar.is_lost(), "{claimed} {found}");
            (0..200).for_each(|_| liar.compare(Level::from_dbov(20), Level::from_dbov(20), 1));
            assert!(liar.is_lost());
        }
        for (claimed, found) in [(20, 30), (30, 20), (127, 65), (70, 127)] {
            assert!(!run(200, claimed, found).is_lost(), "{claimed} {found}");
        }
    }

    #[test]
    fn what_is_decoded_some_ticks_later_is_no_lie() {
        let mut honesty = Honesty::default();
        // Words of 300 ms with pauses as long, 200 ms late.
        let said = |tick: u32| {
            if (tick / 15).is_multiple_of(2) {
                Level::from_dbov(25)
            } else {
                Level::SILENCE
            }
        };
        for tick in 10..500 {
            honesty.compare(said(tick), said(tick - 10), 1);
            assert!(!honesty.is_lost(), "{tick}");
        }
    }
}
