//! What is yet to be told about one leg. Holds at most one of each kind, so a full channel makes it late but not long.

use crate::model::{LegId, MediaReport, media::MediaFailure};

/// Key presses that wait for the channel; more than anybody types while it is full.
const DIGITS: usize = 8;

/// Facts about one leg that haven't been told yet.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// Already in the list of legs with something to tell.
    pub(super) listed: bool,
    applied: bool,
    quiet: Option<u32>,
    resumed: bool,
    failed: Option<MediaFailure>,
    said: bool,
    digits: [Option<char>; DIGITS],
    speaking: bool,
    told_speaking: bool,
}

impl Pending {
    pub(super) fn applied(&mut self) {
        self.applied = true;
    }

    pub(super) fn quiet(&mut self, seconds: u32) {
        self.quiet = Some(seconds);
        self.resumed = false;
    }

    pub(super) fn failed(&mut self, why: MediaFailure) {
        self.failed = Some(why);
    }

    pub(super) fn said(&mut self) {
        self.said = true;
    }

    pub(super) fn resumed(&mut self) {
        self.resumed = true;
    }

    /// Only the last state counts.
    pub(super) fn speaking(&mut self, on: bool) {
        self.speaking = on;
    }

    /// `false` if too many wait already.
    pub(super) fn digit(&mut self, digit: char) -> bool {
        let free = self.digits.iter_mut().find(|d| d.is_none());
        free.map(|slot| *slot = Some(digit)).is_some()
    }

    /// Whether there is anything to tell.
    pub(super) fn waits(&self) -> bool {
        self.applied
            || self.quiet.is_some()
            || self.resumed
            || self.said
            || self.failed.is_some()
            || self.digits[0].is_some()
            || self.speaking != self.told_speaking
    }

    /// Takes the next fact to tell.
    pub(super) fn next(&mut self, leg: LegId) -> Option<MediaReport> {
        if std::mem::take(&mut self.applied) {
            return Some(MediaReport::Applied(leg));
        }
        if let Some(digit) = self.digits[0].take() {
            self.digits.rotate_left(1);
            return Some(MediaReport::Digit(leg, digit));
        }
        if std::mem::take(&mut self.said) {
            return Some(MediaReport::Said(leg));
        }
        if let Some(seconds) = self.quiet.take() {
            return Some(MediaReport::Quiet(leg, seconds));
        }
        if let Some(why) = self.failed.take() {
            return Some(MediaReport::Failed(leg, why));
        }
        if std::mem::take(&mut self.resumed) {
            return Some(MediaReport::Resumed(leg));
        }
        if self.speaking != self.told_speaking {
            self.told_speaking = self.speaking;
            return Some(MediaReport::Speaking(leg, self.speaking));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEG: LegId = LegId(1);

    fn all(pending: &mut Pending) -> Vec<MediaReport> {
        std::iter::from_fn(|| {
            let waits = pending.waits();
            let next = pending.next(LEG);
            assert_eq!(waits, next.is_some());
            next
        })
        .collect()
    }

    #[test]
    fn speaking_tells_the_last_state_and_nothing_if_unchanged() {
        let mut pending = Pending::default();
        pending.speaking(true);
        pending.speaking(false);
        assert_eq!(all(&mut pending), []);
        pending.speaking(false);
        pending.speaking(true);
        assert_eq!(all(&mut pending), [MediaReport::Speaking(LEG, true)]);
        assert_eq!(all(&mut pending), []);
    }

    #[test]
    fn digits_keep_their_order_and_number() {
        let mut pending = Pending::default();
        assert!("123".chars().all(|d| pending.digit(d)));
        assert_eq!(pending.next(LEG), Some(MediaReport::Digit(LEG, '1')));
        assert!("4567890".chars().take(6).all(|d| pending.digit(d)));
        assert!(!pending.digit('#'));
        let typed: String = all(&mut pending)
            .iter()
            .filter_map(|r| if let MediaReport::Digit(_, d) = r { Some(*d) } else { None })
            .collect();
        assert_eq!(typed, "23456789");
    }

    #[test]
    fn one_report_of_each_kind() {
        let mut pending = Pending::default();
        pending.resumed();
        pending.quiet(30);
        pending.applied();
        pending.applied();
        assert_eq!(all(&mut pending), [MediaReport::Applied(LEG), MediaReport::Quiet(LEG, 30)]);
    }
}
