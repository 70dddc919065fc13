//! Which ticks are due (rule R68): at most three late ones are caught up, those beyond are skipped, and rooms' phases are spread.

use std::time::{Duration, Instant};

/// Groups of rooms, each ticked at its own time within the 20 ms.
pub(super) const PHASES: u64 = 4;

/// From one phase to the next.
pub(super) const PHASE: Duration = Duration::from_millis(20 / PHASES);

/// Late ticks that are caught up.
const CATCH_UP: u64 = 3;

/// Counts phases of one thread.
#[derive(Debug)]
pub(super) struct Pace {
    /// Phases that were run so far.
    slot: u64,
    /// When the ticker was started, and the phases that have begun since.
    start: Instant,
    begun: u64,
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

impl Due {
    /// Phases that come a phase's length after their time, or later.
    pub(super) fn behind(&self) -> u64 {
        (self.slots.end - self.slots.start).saturating_sub(1)
    }
}

impl Pace {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            slot: 0,
            start: now,
            begun: 0,
        }
    }

    /// Notes that the ticker was started.
    pub(super) fn start(&mut self, now: Instant) {
        (self.start, self.begun) = (now, 0);
    }

    /// When a phase was due.
    pub(super) fn due(&self, slot: u64) -> Instant {
        let begun = (self.begun + slot + 1).saturating_sub(self.slot);
        self.start + Duration::from_nanos(PHASE.as_nanos() as u64 * begun)
    }

    /// Takes the number of phases that have begun since the last call.
    pub(super) fn handle(&mut self, elapsed: u64) -> Due {
        self.begun += elapsed;
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

    fn paced() -> Pace {
        Pace::new(Instant::now())
    }

    fn due(skip: u32, slots: std::ops::Range<u64>, late: u32) -> Due {
        Due { skip, slots, late }
    }

    #[test]
    fn r68_on_time_one_phase_at_a_time() {
        let mut pace = paced();
        assert_eq!(pace.handle(1), due(0, 0..1, 0));
        assert_eq!(pace.handle(1), due(0, 1..2, 0));
        assert_eq!(pace.handle(0), due(0, 2..2, 0));
    }

    #[test]
    fn all_phases_but_the_last_are_behind() {
        assert_eq!(paced().handle(0).behind(), 0);
        assert_eq!(paced().handle(1).behind(), 0);
        assert_eq!(paced().handle(3).behind(), 2);
    }

    #[test]
    fn r68_three_late_ticks_are_caught_up() {
        assert_eq!(paced().handle(4 * PHASES), due(0, 0..4 * PHASES, 3));
    }

    #[test]
    fn r68_ticks_beyond_three_late_ones_are_skipped() {
        let mut pace = paced();
        assert_eq!(pace.handle(4 * PHASES + 1), due(1, 0..3 * PHASES + 1, 3));
        let mut pace = paced();
        assert_eq!(pace.handle(100 * PHASES), due(96, 0..4 * PHASES, 3));
        assert_eq!(pace.handle(1).slots, 4 * PHASES..4 * PHASES + 1);
    }

    #[test]
    fn phases_are_due_every_5_ms_however_late_they_run() {
        let (mut pace, start) = (paced(), Instant::now() + Duration::from_secs(1));
        pace.handle(3);
        pace.start(start);
        let first = pace.handle(1).slots.start;
        assert_eq!(pace.due(first), start + PHASE);
        let late = pace.handle(7).slots;
        assert_eq!(
            late.map(|slot| pace.due(slot)).collect::<Vec<_>>(),
            (2..9).map(|n| start + n * PHASE).collect::<Vec<_>>()
        );
        let after_a_stall = pace.handle(100 * PHASES).slots;
        assert_eq!(pace.due(after_a_stall.end - 1), start + (8 + 100 * PHASES as u32) * PHASE);
    }
}
