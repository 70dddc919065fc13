//! How busy a media thread is, and what it gives up so that its ticks stay in time.
//!
//! What is given up, in this order: the effort of Opus encoders, then voices in each mix, then new legs (503 with Retry-After). One step
//! at a time, and back one step at a time once there is room again. Each step is told in the log and in `cusax stats`.

use std::time::Duration;

/// Over which a thread's busy time is judged: long enough for every room to tick several times.
const WINDOW: Duration = Duration::from_millis(200);

/// Busy share in thousandths above which a window costs a step. Below it ticks still begin in time.
const TOO_BUSY: u32 = 750;

/// Busy share in thousandths that must hold for [`EASE`] windows before a step is taken back. No step is worth more than the part between
/// this and [`TOO_BUSY`], so that taking one back doesn't ask for it again.
const AT_EASE: u32 = 500;

/// Windows in a row, two seconds.
const EASE: u32 = 10;

/// Windows in a second, after which a new figure is published.
const WINDOWS_A_SECOND: u32 = 5;

/// What a thread does for its rooms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Service {
    /// Effort of Opus encoders, 0 to 10.
    pub(super) complexity: u8,
    /// Voices in a mix at most; `None`: as many as the room is set to.
    pub(super) voices: Option<u8>,
    /// Takes new legs.
    pub(super) opens: bool,
}

/// From everything to as little as there is.
const STEPS: [Service; 9] = [
    with(10, None, true),
    with(8, None, true),
    with(5, None, true),
    with(3, None, true),
    with(1, None, true),
    with(0, None, true),
    with(0, Some(3), true),
    with(0, Some(2), true),
    with(0, Some(2), false),
];

const fn with(complexity: u8, voices: Option<u8>, opens: bool) -> Service {
    Service { complexity, voices, opens }
}

/// One thread's busy time, and the step that follows from it.
#[derive(Debug, Default)]
pub(super) struct Load {
    /// Of the present window.
    elapsed: Duration,
    busy: Duration,
    /// Windows at ease in a row.
    easy: u32,
    step: usize,
    /// Of the present second.
    windows: u32,
    second: u32,
    last_second: u32,
}

impl Load {
    /// Takes a turn of the thread's loop: how long it was, waiting included, and how much of it was work. `true` if the step changed.
    pub(super) fn handle(&mut self, elapsed: Duration, busy: Duration) -> bool {
        self.elapsed += elapsed;
        self.busy += busy;
        if self.elapsed < WINDOW {
            return false;
        }
        let share = share(self.busy, self.elapsed);
        // A long wait is as many windows at ease; a long stall is one that is too busy.
        let windows = (self.elapsed.as_millis() / WINDOW.as_millis()).min(EASE.into()) as u32;
        (self.elapsed, self.busy) = (Duration::ZERO, Duration::ZERO);
        self.count(share);
        let before = self.step;
        if share > TOO_BUSY {
            self.easy = 0;
            self.step = (self.step + 1).min(STEPS.len() - 1);
        } else if share < AT_EASE {
            self.easy += windows;
            if self.easy >= EASE {
                self.easy = 0;
                self.step = self.step.saturating_sub(1);
            }
        } else {
            self.easy = 0;
        }
        self.step != before
    }

    fn count(&mut self, share: u32) {
        self.windows += 1;
        self.second += share;
        if self.windows == WINDOWS_A_SECOND {
            self.last_second = self.second / self.windows;
            (self.windows, self.second) = (0, 0);
        }
    }

    /// What the thread does for its rooms now.
    pub(super) fn service(&self) -> Service {
        STEPS[self.step]
    }

    #[cfg(test)]
    pub(super) fn shed(&mut self, step: usize) {
        self.step = step.min(STEPS.len() - 1);
    }

    /// Steps given up: 0 is none.
    pub(super) fn step(&self) -> usize {
        self.step
    }

    /// Busy share over the last second, in thousandths.
    pub(super) fn busy(&self) -> u32 {
        self.last_second
    }
}

/// In thousandths.
fn share(busy: Duration, elapsed: Duration) -> u32 {
    (busy.as_micros() * 1000 / elapsed.as_micros().max(1)).min(1000) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lets that many windows pass with that busy share, in turns of 5 ms.
    fn windows(load: &mut Load, count: u32, thousandths: u32) {
        let turn = Duration::from_millis(5);
        for _ in 0..count * 40 {
            load.handle(turn, turn * thousandths / 1000);
        }
    }

    #[test]
    fn what_is_given_up_follows_the_stated_order() {
        let (mut load, mut order) = (Load::default(), Vec::new());
        for _ in 0..20 {
            order.push(load.service());
            windows(&mut load, 1, 900);
        }
        assert_eq!(order[..STEPS.len()], STEPS);
        assert_eq!(order.last(), Some(&with(0, Some(2), false)), "and no further");
        let complexity = |s: &Service| s.complexity;
        assert!(order.windows(2).all(|w| complexity(&w[0]) >= complexity(&w[1])));
        assert!(STEPS.iter().all(|s| s.voices.is_none() || s.complexity == 0), "effort goes first");
        assert!(STEPS.iter().all(|s| s.opens || s.voices == Some(2)), "new legs go last");
    }

    #[test]
    fn it_comes_back_step_by_step_and_not_at_once() {
        let mut load = Load::default();
        windows(&mut load, 3, 900);
        assert_eq!(load.step(), 3);
        windows(&mut load, EASE - 1, 400);
        assert_eq!(load.step(), 3);
        windows(&mut load, 1, 400);
        assert_eq!(load.step(), 2);
        windows(&mut load, 5, 400);
        windows(&mut load, 1, 600);
        windows(&mut load, 5, 400);
        assert_eq!(load.step(), 2, "ease must last");
        windows(&mut load, 100, 400);
        assert_eq!(load.step(), 0);
    }

    #[test]
    fn between_the_marks_nothing_changes() {
        let mut load = Load::default();
        windows(&mut load, 2, 900);
        windows(&mut load, 100, 700);
        assert_eq!(load.step(), 2);
        assert_eq!(load.busy(), 700);
    }

    #[test]
    fn a_stall_of_a_minute_is_one_window() {
        let mut load = Load::default();
        assert!(load.handle(Duration::from_secs(60), Duration::from_secs(60)));
        assert_eq!(load.step(), 1);
    }
}
