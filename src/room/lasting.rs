//! What holds for somebody for a while, and then by itself no longer.

use std::collections::BTreeMap;
use std::time::Instant;

/// Entries, at most; the one that would end first makes room.
const MAX_ENTRIES: usize = 1_000;

/// For whom, until when.
#[derive(Debug)]
pub(super) struct Lasting<K> {
    until: BTreeMap<K, Instant>,
}

impl<K> Default for Lasting<K> {
    fn default() -> Self {
        Self { until: BTreeMap::new() }
    }
}

impl<K: Ord + Clone> Lasting<K> {
    pub(super) fn add(&mut self, now: Instant, who: K, until: Instant) {
        self.until.retain(|_, end| *end > now);
        if self.until.len() >= MAX_ENTRIES
            && let Some(first) = self.until.iter().min_by_key(|(_, end)| **end).map(|(who, _)| who.clone())
        {
            self.until.remove(&first);
        }
        self.until.insert(who, until);
    }

    pub(super) fn holds(&self, now: Instant, who: &K) -> bool {
        self.until.get(who).is_some_and(|end| *end > now)
    }

    pub(super) fn remove(&mut self, who: &K) {
        self.until.remove(who);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn r07_the_quarantine_is_bounded() {
        let mut quarantine = Lasting::default();
        let now = Instant::now();
        for n in 0..u32::try_from(MAX_ENTRIES).expect("small") + 10 {
            quarantine.add(now, n, now + Duration::from_secs(60) + Duration::from_millis(n.into()));
        }
        assert_eq!(quarantine.until.len(), MAX_ENTRIES);
        assert!(!quarantine.holds(now, &9), "the first to end made room");
        assert!(quarantine.holds(now, &10));
        assert!(!quarantine.holds(now + Duration::from_secs(62), &10));
    }
}
