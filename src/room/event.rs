//! What has changed, numbered. Peers show it; no peer changes its own view before the event.

use std::time::Instant;

use crate::model::{
    Actor, Affiliation, BareJid, Correlation, DialFailure, DialId, DialTarget, LegId, OccupantId, PersonId, Pii, ReferId, Role, RoomName,
};

/// An event and its number, rising by one in each room.
#[derive(Debug, Clone, PartialEq)]
pub struct Numbered {
    /// The number.
    pub seq: u64,
    /// What changed.
    pub event: Event,
}

/// What has changed.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A nick is present: a chat user, or a caller shown in the chat (rule R26). The room's view has the rest.
    OccupantEntered(OccupantId),
    /// A nick is gone.
    OccupantLeft {
        /// Which.
        occupant: OccupantId,
        /// The row it belonged to, which may be gone with it.
        person: PersonId,
        /// The nick it had.
        nick: String,
        /// Affiliation after leaving.
        affiliation: Affiliation,
        /// Real bare JID; of callers, the phone occupant's own.
        jid: BareJid,
        /// Why.
        cause: LeaveCause,
    },
    /// A nick changed.
    Renamed {
        /// Whose.
        occupant: OccupantId,
        /// The nick before.
        from: String,
    },
    /// Role or affiliation of a present occupant changed.
    StandingChanged {
        /// Whose.
        occupant: OccupantId,
        /// The role now.
        role: Role,
        /// The affiliation now.
        affiliation: Affiliation,
        /// Who did it.
        by: Actor,
        /// What they said.
        why: Option<String>,
    },
    /// The affiliation of somebody absent changed (XEP-0045 section 9: a message to moderators).
    AbsentAffiliation {
        /// Whose.
        jid: BareJid,
        /// To what.
        affiliation: Affiliation,
        /// Who did it.
        by: Actor,
        /// What they said.
        why: Option<String>,
    },
    /// A caller is in.
    LegJoined {
        /// The row, new or bound (rule R1).
        person: PersonId,
        /// The leg.
        leg: LegId,
    },
    /// A call is over, or has to be ended: send BYE unless it is [`EndCause::Departed`]. Once per leg.
    LegLeft {
        /// The row, as it was.
        person: PersonId,
        /// The leg.
        leg: LegId,
        /// What everybody was shown.
        name: String,
        /// Theirs (rule R80).
        correlation: Correlation,
        /// Why.
        cause: EndCause,
    },
    /// Mutes, hold, speaking or level of participation of a person changed: the view has the state.
    AudioChanged {
        /// Whose.
        person: PersonId,
        /// Whose act, if somebody's.
        by: Option<Actor>,
    },
    /// Nobody new enters, or they may again.
    LockChanged(bool),
    /// The call is recorded from now on, or no longer (rule R82): everybody is told.
    RecordingChanged {
        /// Begun, or ended.
        on: bool,
        /// Whose act; `None`: it ended with the last call, or failed.
        by: Option<Actor>,
    },
    /// For the operator's log alone.
    Audit(String),
    /// The configuration changed.
    ConfigChanged {
        /// The whois setting changed: status 172 or 173.
        whois_changed: bool,
        /// Something that isn't about privacy changed: status 104.
        other_changed: bool,
    },
    /// A caller can't follow the room's standing rules any more, or a host's wish needs to reach somebody in private.
    Notice {
        /// To whom; `None`: every moderator in the chat.
        to: Option<OccupantId>,
        /// The text.
        text: String,
    },
    /// Somebody waits to be let in, or no longer. For moderators alone.
    Lobby {
        /// What they are called.
        name: String,
        /// Theirs (rule R80); of chat users none is made before they are in.
        correlation: Option<Correlation>,
        /// What happened.
        step: LobbyStep,
    },
    /// To be said to everybody in the chat, in the room's own name.
    Said(String),
    /// Somebody in the chat was given a join code (rule R2): the front has to find the room by it. Shown to nobody.
    CodeIssued {
        /// This room.
        room: RoomName,
        /// The code.
        code: Pii<String>,
        /// Until when it is good.
        until: Instant,
    },
    /// The room is over: occupants and legs have been told by the events before.
    Closed {
        /// Destroyed by an owner, not merely empty: who, where to, why.
        destroyed: Option<(Option<BareJid>, Option<String>)>,
    },
    /// A call that the room makes has begun or changed (rule R47).
    Dial {
        /// Which.
        dial: DialId,
        /// Whom, as everybody is shown them.
        name: String,
        /// Follows them through the logs.
        correlation: Correlation,
        /// What happened.
        change: DialChange,
    },
}

/// How a call that the room makes goes.
#[derive(Debug, Clone, PartialEq)]
pub enum DialChange {
    /// Make it.
    Begun(Box<DialOrder>),
    /// Their phone rings.
    Alerting,
    /// They answered and are in: [`Event::LegJoined`] came before.
    Answered(LegId),
    /// It came to nothing, and is taken back if that was the room's doing.
    Failed(DialFailure),
    /// It is no longer shown.
    Forgotten,
}

/// A call to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DialOrder {
    /// Whom.
    pub target: DialTarget,
    /// Follows them through the logs.
    pub correlation: Correlation,
    /// Who asked for it, for limits: opaque.
    pub asker: String,
    /// What the room is called.
    pub title: String,
    /// The REFER that asked for it.
    pub refer: Option<ReferId>,
}

/// Why an occupant is gone; the status codes are the chat peer's matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeaveCause {
    /// By themselves.
    Left,
    /// 307.
    Kicked {
        /// By whom.
        by: Actor,
        /// What they said.
        why: Option<String>,
    },
    /// 301.
    Banned {
        /// By whom.
        by: Actor,
        /// What they said.
        why: Option<String>,
    },
    /// 321: lost membership in a members-only room.
    MembershipLost {
        /// By whom.
        by: Actor,
        /// What they said.
        why: Option<String>,
    },
    /// 322: the room became members-only.
    MembersOnlyNow,
    /// 333 with 307: their server can't be reached, or they flooded.
    Unreachable,
    /// 332.
    Shutdown,
    /// The room was destroyed.
    Destroyed {
        /// Where to go instead.
        alternate: Option<BareJid>,
        /// Why.
        why: Option<String>,
    },
    /// A caller's own stand-in: they came in by the chat themselves (rule R27), or hung up.
    Withdrawn,
}

/// Why a call is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndCause {
    /// The peer said BYE.
    Departed,
    /// The peer vanished, or its packets did (rule R45): BYE in case it still listens.
    Failed,
    /// Put out: BYE with Reason.
    Kicked {
        /// By whom.
        by: Actor,
        /// What they said.
        why: Option<String>,
    },
    /// Banned: BYE with Reason.
    Banned {
        /// By whom.
        by: Actor,
        /// What they said.
        why: Option<String>,
    },
    /// The room's membership governs audio and they lost it.
    MembershipLost,
    /// The room was destroyed.
    RoomGone,
    /// The server goes down.
    Shutdown,
    /// The meeting is over for everybody: a moderator, or a limit of the room (rule R81), has ended all calls.
    MeetingOver {
        /// By whom.
        by: Actor,
        /// Which limit.
        why: Option<String>,
    },
}

/// What happens to somebody who waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LobbyStep {
    /// They wait, for this.
    Waits(super::Hold),
    /// They are let in.
    LetIn(Actor),
    /// Their call is over, or has to be ended: send BYE unless it is [`EndCause::Departed`].
    CallOver(LegId, EndCause),
    /// Refused at the door of the chat until a moderator lets them in.
    Knocks,
    /// They may enter the chat now, and are to be invited.
    Invited(BareJid),
    /// Nobody is to be let in any more.
    SentAway,
}
