//! Who was put out a moment ago (rule R7).

use std::collections::BTreeMap;
use std::time::Instant;

use crate::model::Caller;

use super::binding::Key;

/// Entries, at most; the one that would end first makes room. More kicks than that in a minute aren't one moderator's work.
const MAX_ENTRIES: usize = 1_000;

/// Whom a kick keeps out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Barred {
    /// A proven account, at both doors.
    Proven(Key),
    /// A number or address that nobody has proven: weak, and for the quarantine's time only (rule R3).
    Claimed(String),
}

impl Barred {
    /// `None` for those who leave nothing to know them by.
    pub(super) fn of(key: &Key, caller: Option<&Caller>) -> Option<Self> {
        match (key, caller) {
            (Key::Jid(_) | Key::Aor(_), _) => Some(Self::Proven(key.clone())),
            (Key::Leg(_), Some(Caller::Claimed { uri, .. })) => Some(Self::Claimed(uri.clone())),
            (Key::Leg(_), _) => None,
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Quarantine {
    until: BTreeMap<Barred, Instant>,
}

impl Quarantine {
    pub(super) fn add(&mut self, now: Instant, who: Barred, until: Instant) {
        self.until.retain(|_, end| *end > now);
        if self.until.len() >= MAX_ENTRIES
            && let Some(first) = self.until.iter().min_by_key(|(_, end)| **end).map(|(who, _)| who.clone())
        {
            self.until.remove(&first);
        }
        self.until.insert(who, until);
    }

    pub(super) fn holds(&self, now: Instant, who: &Barred) -> bool {
        self.until.get(who).is_some_and(|end| *end > now)
    }

    /// A moderator's later word counts: who is made somebody again, may come again.
    pub(super) fn release(&mut self, key: &Key) {
        self.until.remove(&Barred::Proven(key.clone()));
    }
}
