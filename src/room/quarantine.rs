//! Who was put out a moment ago (rule R7), and which numbers are banned for a while (rule R3).

use std::collections::BTreeMap;
use std::time::Instant;

use crate::model::{Caller, TrunkId};

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
    /// A number that a trunk vouches for: weak too, since several people may share it.
    Number(TrunkId, String),
}

impl Barred {
    /// The key of a weak ban.
    pub(super) fn number(caller: Option<&Caller>) -> Option<Self> {
        match caller {
            Some(Caller::Trunk { trunk, number, .. }) => Some(Self::Number(trunk.clone(), number.clone())),
            Some(Caller::Account { .. } | Caller::Claimed { .. } | Caller::Anonymous) | None => None,
        }
    }

    /// `None` for those who leave nothing to know them by.
    pub(super) fn of(key: &Key, caller: Option<&Caller>) -> Option<Self> {
        match (key, caller) {
            (Key::Jid(_) | Key::Aor(_), _) => Some(Self::Proven(key.clone())),
            (Key::Leg(_), Some(Caller::Claimed { uri, .. })) => Some(Self::Claimed(uri.clone())),
            (Key::Leg(_), caller) => Self::number(caller),
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
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn r07_the_quarantine_is_bounded() {
        let mut quarantine = Quarantine::default();
        let now = Instant::now();
        for n in 0..u32::try_from(MAX_ENTRIES).expect("small") + 10 {
            quarantine.add(
                now,
                Barred::Claimed(n.to_string()),
                now + Duration::from_secs(60) + Duration::from_millis(n.into()),
            );
        }
        assert_eq!(quarantine.until.len(), MAX_ENTRIES);
        assert!(!quarantine.holds(now, &Barred::Claimed("9".into())), "the first to end made room");
        assert!(quarantine.holds(now, &Barred::Claimed("10".into())));
        assert!(!quarantine.holds(now + Duration::from_secs(62), &Barred::Claimed("10".into())));
    }
}
