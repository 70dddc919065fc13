//! Who was put out a moment ago (rule R7), and which numbers are banned for a while (rule R3).

use crate::model::{Caller, TrunkId};

use super::binding::Key;
use super::lasting::Lasting;

/// Who may not come in, and how long. More kicks than it holds in a minute aren't one moderator's work.
pub(super) type Quarantine = Lasting<Barred>;

/// By what somebody is known again who comes back.
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
