//! When a room's calls end by themselves (rule R81): by its own time, of somebody who is alone, and without a moderator.

use std::time::{Duration, Instant};

use crate::model::Now;

use super::meeting::by_limit;
use super::{Event, LeaveCause, Room};

/// Everybody hears of the end so long before it, or when half of a shorter meeting is over.
const WARNING: Duration = Duration::from_secs(300);

/// Since when what a limit is about has been so; `None`: it isn't.
#[derive(Debug, Default)]
pub(super) struct Timing {
    /// Somebody has been on the phone.
    calls: Option<Instant>,
    /// They have been told of the end.
    warned: bool,
    /// It has been one person.
    alone: Option<Instant>,
    /// No moderator has been in.
    unmoderated: Option<Instant>,
}

impl Room {
    /// Notes what has begun and ended, and does what is due.
    pub(super) fn keep_time(&mut self, now: Now) {
        let on_phone = self.people_on_phone();
        let limits = self.config.limits;
        self.timing.calls = since(self.timing.calls, on_phone > 0, now);
        self.timing.warned &= on_phone > 0;
        self.timing.alone = since(self.timing.alone, on_phone == 1, now);
        let unmoderated = on_phone > 0 && limits.unmoderated_min > 0 && !self.is_moderated();
        self.timing.unmoderated = since(self.timing.unmoderated, unmoderated, now);

        let passed = |at: Option<Instant>| at.is_some_and(|at| at <= now.at);
        if passed(self.end_of_time()) {
            self.end_calls(&by_limit("the time of this meeting is over"));
        } else if passed(self.end_unmoderated()) {
            self.end_calls(&by_limit("no moderator is here"));
        } else if passed(self.end_alone()) {
            for leg in self.roster.leg_ids() {
                self.end_leg(leg, by_limit("nobody else is here"), &LeaveCause::Withdrawn);
            }
            self.settle();
        } else if passed(self.warning()) {
            self.timing.warned = true;
            let left = self
                .end_of_time()
                .map_or(0, |end| end.saturating_duration_since(now.at).as_secs().div_ceil(60));
            let minutes = if left == 1 {
                "one minute".to_owned()
            } else {
                format!("{left} minutes")
            };
            self.out.tell(Event::Said(format!("The call in this room ends in {minutes}.")));
        }
    }

    /// When [`Room::keep_time`] has something to do although nothing happened.
    pub(super) fn next_limit(&self) -> Option<Instant> {
        [self.end_of_time(), self.end_unmoderated(), self.end_alone(), self.warning()]
            .into_iter()
            .flatten()
            .min()
    }

    fn end_of_time(&self) -> Option<Instant> {
        after(self.timing.calls, self.config.limits.max_min)
    }

    fn end_unmoderated(&self) -> Option<Instant> {
        after(self.timing.unmoderated, self.config.limits.unmoderated_min)
    }

    fn end_alone(&self) -> Option<Instant> {
        after(self.timing.alone, self.config.limits.alone_min)
    }

    fn warning(&self) -> Option<Instant> {
        let (began, end) = (self.timing.calls?, self.end_of_time()?);
        (!self.timing.warned).then(|| end - WARNING.min((end - began) / 2))
    }
}

fn since(before: Option<Instant>, is_so: bool, now: Now) -> Option<Instant> {
    is_so.then(|| before.unwrap_or(now.at))
}

fn after(began: Option<Instant>, minutes: u32) -> Option<Instant> {
    (minutes > 0).then_some(began? + Duration::from_secs(60 * u64::from(minutes)))
}
