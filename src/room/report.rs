//! What has happened. A report is a fact: it is never refused, and a late or repeated one changes nothing.

use crate::model::{DialFailure, DialId, LegId, OccupantId};

/// A fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// An occupant is gone by their own doing, or their server's.
    OccupantGone(OccupantId, OccupantCause),
    /// A call is gone.
    LegGone(LegId, LegCause),
    /// The call's 200 was acknowledged: BYE is allowed from now on (rule R41).
    LegConfirmed(LegId),
    /// The peer put us on hold, or took us back (rule R44).
    LegHeld(LegId, bool),
    /// The peer listens only (its SDP is recvonly), or speaks again.
    LegListensOnly(LegId, bool),
    /// The leg began or stopped to speak.
    Speaking(LegId, bool),
    /// No packets for this many seconds (rule R45); 0: they are back.
    LegQuiet(LegId, u32),
    /// The chat server in front is gone (`false`) or back (`true`): calls go on (design section 4).
    ChatLink(bool),
    /// The media plane has lost this room: every leg is gone.
    MediaFailed,
    /// The file of a recording is open.
    RecordingStarted {
        /// The file's path.
        file: String,
    },
    /// A recording is over.
    RecordingEnded {
        /// Sound that is missing, in ms.
        lost_ms: u64,
        /// Why it failed, if it did.
        error: Option<String>,
    },
    /// Somebody on the phone pressed a key.
    Key(LegId, char),
    /// A call has come in to take the place of another, which is over with that (RFC 3891). Nothing happens if it was not let in.
    LegSucceeds {
        /// The new one.
        leg: LegId,
        /// The one that it replaces.
        old: LegId,
    },
    /// The server goes down: everybody leaves with 332, every call ends.
    Shutdown,
    /// Somebody whom the room calls is being alerted.
    DialAlerts(DialId),
    /// A call of the room's came to nothing.
    DialFailed(DialId, DialFailure),
}

/// How an occupant went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OccupantCause {
    /// Said goodbye.
    Left,
    /// Their server bounced a stanza, or did not answer (333, rules R7, R30): the call goes on.
    Unreachable,
    /// Removed for flooding the room.
    Flooded,
}

/// How a call went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LegCause {
    /// BYE from the peer.
    Departed,
    /// Time-out, transport failure, no packets for 60 s, never acknowledged.
    Failed,
}
