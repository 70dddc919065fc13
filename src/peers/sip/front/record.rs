//! One line per call at its end (rule R80).

use crate::model::media::Codec;
use crate::model::{Caller, Correlation, LegStats, Now, RoomName};

/// What is known of a call when it is over.
#[derive(Debug, Clone, PartialEq)]
pub struct CallRecord {
    /// The same in every log line of this person.
    pub correlation: Correlation,
    /// The room that was called, or found by the menu.
    pub room: Option<RoomName>,
    /// Who called: an AOR that was proven, `unproven`, `anonymous`, or `trunk` with its name; what somebody merely claims to be isn't recorded.
    pub caller: String,
    /// When the INVITE came, ms since the UNIX epoch.
    pub started_unix_ms: u64,
    /// How long it rang, and how long it was up, in ms.
    pub answered_unix_ms: Option<u64>,
    /// When it ended, ms since the UNIX epoch.
    pub ended_unix_ms: Option<u64>,
    /// Why, in words.
    pub cause: String,
    /// What was spoken, once negotiated.
    pub codec: Option<Codec>,
    /// Its last numbers; none if the media plane never reported.
    pub stats: Option<LegStats>,
    /// The room called, and `caller` tells whom: one of our own people, or what kind of address it was.
    pub dialed_out: bool,
}

impl CallRecord {
    pub(super) fn new(now: Now, correlation: Correlation, room: Option<&RoomName>, caller: &Caller) -> Self {
        let caller = match caller {
            Caller::Account { aor, .. } => aor.as_str().to_owned(),
            Caller::Claimed { .. } => "unproven".to_owned(),
            Caller::Anonymous => "anonymous".to_owned(),
            Caller::Trunk { trunk, .. } => format!("trunk {trunk}"),
        };
        Self {
            correlation,
            room: room.cloned(),
            caller,
            started_unix_ms: now.unix_ms,
            answered_unix_ms: None,
            ended_unix_ms: None,
            cause: String::new(),
            codec: None,
            stats: None,
            dialed_out: false,
        }
    }

    /// Of a call that the room makes.
    pub(super) fn dialed(now: Now, correlation: Correlation, room: &RoomName, callee: &str) -> Self {
        Self {
            caller: callee.to_owned(),
            dialed_out: true,
            ..Self::new(now, correlation, Some(room), &Caller::Anonymous)
        }
    }

    pub(super) fn answered(&mut self, now: Now, correlation: Correlation) {
        self.correlation = correlation;
        self.answered_unix_ms = Some(now.unix_ms);
    }

    /// The first cause stays: a BYE of ours is followed by its own end.
    pub(super) fn ended(&mut self, now: Now, cause: String) {
        if self.ended_unix_ms.is_none() {
            self.ended_unix_ms = Some(now.unix_ms);
            self.cause = cause;
        }
    }
}
