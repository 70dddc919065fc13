//! Timers as a table: at most one of each name, all in one place, fired by one match.

use std::{collections::BTreeMap, collections::BTreeSet, time::Duration, time::Instant};

/// Round-trip estimate (RFC 3261 section 17.1.1.1).
pub(crate) const T1: Duration = Duration::from_millis(500);
/// Longest interval between retransmissions of anything but an INVITE (RFC 3261 section 17.1.2.2).
pub(crate) const T2: Duration = Duration::from_secs(4);
/// How long a message stays in the network (RFC 3261 section 17.1.2.2).
pub(crate) const T4: Duration = Duration::from_secs(5);
/// 64*T1: how long anybody waits for anything.
pub(crate) const GIVE_UP: Duration = Duration::from_secs(32);

/// A timer's name, for the log and for telling timers apart.
pub(crate) trait Named: Copy + PartialEq {
    /// What it waits for.
    fn name(self) -> &'static str;
}

/// The running timers of one machine. Machines have a handful, so a short list beats a wide array.
#[derive(Debug)]
pub(crate) struct Timers<T>(Vec<(T, Instant)>);

impl<T> Default for Timers<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Named> Timers<T> {
    /// Starts a timer, or starts it anew.
    pub(crate) fn set(&mut self, timer: T, at: Instant) {
        match self.0.iter_mut().find(|(t, _)| *t == timer) {
            Some(row) => row.1 = at,
            None => self.0.push((timer, at)),
        }
    }

    /// Stops a timer if it runs.
    pub(crate) fn stop(&mut self, timer: T) {
        self.0.retain(|(t, _)| *t != timer);
    }

    /// Stops all of them.
    pub(crate) fn stop_all(&mut self) {
        self.0.clear();
    }

    /// When the first of them fires, and its name.
    pub(crate) fn next(&self) -> Option<(Instant, &'static str)> {
        self.0.iter().min_by_key(|(_, at)| *at).map(|(t, at)| (*at, t.name()))
    }

    /// Takes one timer that is due, the earliest first.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<T> {
        let (index, _) = self
            .0
            .iter()
            .enumerate()
            .filter(|(_, (_, at))| *at <= now)
            .min_by_key(|(_, (_, at))| *at)?;
        Some(self.0.swap_remove(index).0)
    }
}

/// An interval that doubles up to a ceiling.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Backoff {
    interval: Duration,
    ceiling: Duration,
}

impl Backoff {
    /// Starts at T1.
    pub(crate) fn new(ceiling: Duration) -> Self {
        Self { interval: T1, ceiling }
    }

    /// The interval to wait now; the next one is twice as long.
    pub(crate) fn step(&mut self) -> Duration {
        let now = self.interval;
        self.interval = (now * 2).min(self.ceiling);
        now
    }

    /// From now on waits the ceiling (RFC 3261 section 17.1.2.2: Timer E in the Proceeding state).
    pub(crate) fn saturate(&mut self) {
        self.interval = self.ceiling;
    }
}

/// When each of many machines wants to be woken: finds the first in logarithmic time.
#[derive(Debug)]
pub(crate) struct Deadlines<K> {
    by_time: BTreeSet<(Instant, K)>,
    by_key: BTreeMap<K, Instant>,
}

impl<K> Default for Deadlines<K> {
    fn default() -> Self {
        Self {
            by_time: BTreeSet::new(),
            by_key: BTreeMap::new(),
        }
    }
}

impl<K: Ord + Copy> Deadlines<K> {
    /// Notes a machine's next deadline; `None` forgets it.
    pub(crate) fn set(&mut self, key: K, at: Option<Instant>) {
        let old = match at {
            Some(at) => self.by_key.insert(key, at),
            None => self.by_key.remove(&key),
        };
        if old == at {
            return;
        }
        if let Some(old) = old {
            self.by_time.remove(&(old, key));
        }
        if let Some(at) = at {
            self.by_time.insert((at, key));
        }
    }

    /// The first deadline.
    pub(crate) fn first(&self) -> Option<(Instant, K)> {
        self.by_time.first().copied()
    }

    /// The first machine whose deadline has passed; its entry stays until it is set anew.
    pub(crate) fn due(&self, now: Instant) -> Option<K> {
        self.first().filter(|(at, _)| *at <= now).map(|(_, key)| key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Row {
        One,
        Two,
    }

    impl Named for Row {
        fn name(self) -> &'static str {
            match self {
                Self::One => "one",
                Self::Two => "two",
            }
        }
    }

    #[test]
    fn timers_fire_in_order_and_once() {
        let start = Instant::now();
        let mut timers = Timers::default();
        timers.set(Row::One, start + T2);
        timers.set(Row::Two, start + T1);
        timers.set(Row::One, start + T4);
        assert_eq!(timers.next(), Some((start + T1, "two")));
        assert_eq!(timers.pop_due(start), None);
        assert_eq!(timers.pop_due(start + GIVE_UP), Some(Row::Two));
        assert_eq!(timers.pop_due(start + GIVE_UP), Some(Row::One));
        assert_eq!(timers.pop_due(start + GIVE_UP), None);
    }

    #[test]
    fn backoff_doubles_up_to_its_ceiling() {
        let mut backoff = Backoff::new(T2);
        let steps: Vec<_> = (0..5).map(|_| backoff.step().as_millis()).collect();
        assert_eq!(steps, [500, 1000, 2000, 4000, 4000]);
    }

    #[test]
    fn deadlines_keep_one_entry_a_key() {
        let start = Instant::now();
        let mut deadlines = Deadlines::default();
        deadlines.set(1, Some(start + T2));
        deadlines.set(2, Some(start + T4));
        deadlines.set(1, Some(start + GIVE_UP));
        assert_eq!(deadlines.first(), Some((start + T4, 2)));
        deadlines.set(2, None);
        assert_eq!(deadlines.due(start + GIVE_UP), Some(1));
        deadlines.set(1, None);
        assert!(deadlines.by_key.is_empty() && deadlines.by_time.is_empty());
    }
}
