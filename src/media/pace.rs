//! Which ticks are due (rule R68): at most three late ones are caught up, those beyond are skipped, and rooms' phases are spread.

use std::time::Duration;

/// Groups of rooms, each ticked at its own time within the 20 ms.
pub(super) const PHASES: u64 = 4;

/// From one phase to the next.
pub(super) const PHASE: Duration = Duration::from_millis(20 / PHASES);

/// Late ticks that are caught up.
const CATCH_UP: u64 = 3;

/// Counts phases of one thread.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Phases that began so far.
    slot: u64,
}

/// What is to be done now.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Due {
    /// Ticks that every room leaves out first.
    pub(super) skip: u32,
    /// The phases to run then, in order.
    pub(super) slots: std::ops::Range<u64>,
    /// Whole ticks among them that come late.
    pub(super) late: u32,
}

impl Pace {
    /// Takes the number of phases that have begun since the last call.
    pub(super) fn handle(&mut self, elapsed: u64) -> Due {
        let excess = elapsed.saturating_sub((1 + CATCH_UP) * PHASES);
        let skip = excess.div_ceil(PHASES);
        let run = elapsed - (skip * PHASES).min(elapsed);
        let slots = self.slot..self.slot + run;
        self.slot += run;
        // Skipped phases come in whole ticks, so the order of phases goes on.
        Due {
            skip: skip.min(u32::MAX.into()) as u32,
            slots,
            late: (run.saturating_sub(1) / PHASES) as u32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(skip: u32, slots: std::ops::Range<u64>, late: u32) -> Due {
        Due { skip, slots, late }
    }

    #[test]
    fn r68_on_time_one_phase_at_a_time() {
        let mut pace = Pace::default();
        assert_eq!(pace.handle(1), due(0, 0..1, 0));
        assert_eq!(pace.handle(1), due(0, 1..2, 0));
        assert_eq!(pace.handle(0), due(0, 2..2, 0));
    }

    #[test]
    fn r68_three_late_ticks_are_caught_up() {
        assert_eq!(Pace::default().handle(4 * PHASES), due(0, 0..4 * PHASES, 3));
    }

    #[test]
    fn r68_ticks_beyond_three_late_ones_are_skipped() {
        let mut pace = Pace::default();
        assert_eq!(pace.handle(4 * PHASES + 1), due(1, 0..3 * PHASES + 1, 3));
        let mut pace = Pace::default();
        assert_eq!(pace.handle(100 * PHASES), due(96, 0..4 * PHASES, 3));
        assert_eq!(pace.handle(1).slots, 4 * PHASES..4 * PHASES + 1);
    }
}
