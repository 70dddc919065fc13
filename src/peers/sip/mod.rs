//! The phone door: calls and subscriptions to requests, events to calls and conference state.
//!
//! [`SipFront`] stands beside the SIP endpoint, once: it finds the room, proves the caller, negotiates media.
//! [`SipRoom`] stands in each room's task: it shows the room to its watchers and ends calls that the room put out.
//! Between them go [`ToRoom`] and [`FromRoom`], by leg and subscription; a room never sees a SIP message.

mod front;
mod people;
mod refusal;
mod room;
mod state;

pub use front::{
    CallRecord, DialSettings, FactoryRight, FactorySettings, FrontCounters, FrontSettings, MediaSettings, RoomLookup, SipFront,
};
pub use refusal::refusal_response;
pub use room::{SipRoom, SipRoomSettings};

use crate::model::{Aor, Caller, Correlation, DialFailure, DialId, Entry, LegId, Pii, ReferId, RoomName, SubscriptionId};
use crate::room::{DialOrder, EndCause, LegCause, Refusal};

/// From the front to a room.
#[derive(Debug, Clone, PartialEq)]
pub enum ToRoom {
    /// A call asks to come in; answered by [`FromRoom::Admit`] or [`FromRoom::Refuse`].
    Join {
        /// Its leg, negotiated and waiting in the vestibule.
        leg: LegId,
        /// Who calls.
        caller: Caller,
        /// The account that a caller has proven and doesn't want shown: bans, quarantine and membership hold for it (rules R3, R13).
        account: Option<Aor>,
        /// SSRC of what we send to them.
        ssrc: u32,
        /// Their Contact URI.
        endpoint: String,
        /// For the logs.
        correlation: Correlation,
        /// What they typed.
        entry: Entry,
    },
    /// Our 200 was acknowledged.
    Confirmed(LegId),
    /// On hold, or back (rule R44).
    Held(LegId, bool),
    /// Listens only, or speaks again.
    ListensOnly(LegId, bool),
    /// The call is gone by the peer's doing.
    Gone(LegId, LegCause),
    /// No packets for so many seconds (rule R45); 0: they are back.
    Quiet(LegId, u32),
    /// Began or stopped to speak.
    Speaking(LegId, bool),
    /// Pressed a key.
    Digit(LegId, char),
    /// The media plane has lost the room.
    MediaFailed,
    /// The file of the room's recording is open.
    RecordingStarted {
        /// Its path.
        file: String,
    },
    /// A recording of the room is over.
    RecordingEnded {
        /// Sound that is missing, in ms.
        lost_ms: u64,
        /// Why it failed, if it did.
        error: Option<String>,
    },
    /// Somebody asks to watch the conference state; answered by [`FromRoom::AcceptWatch`] or [`FromRoom::RefuseWatch`].
    Watch {
        /// The subscription.
        subscription: SubscriptionId,
        /// Who asks: a present caller, or an account.
        watcher: Watcher,
    },
    /// The watcher asks for the full state again.
    Refresh(SubscriptionId),
    /// A NOTIFY was answered: the next may go.
    Notified(SubscriptionId),
    /// The subscription is over.
    Unwatch(SubscriptionId),
    /// Somebody whom the room calls is being alerted.
    DialAlerts(DialId),
    /// Somebody whom the room calls has answered; answered by [`FromRoom::Admit`] or [`FromRoom::Refuse`].
    Answered {
        /// Which call of the room's.
        dial: DialId,
        /// Its leg, negotiated and waiting in the vestibule.
        leg: LegId,
        /// SSRC of what we send to them.
        ssrc: u32,
        /// Their Contact URI.
        endpoint: String,
        /// For the logs.
        correlation: Correlation,
        /// They answered at another address than the one that was asked for.
        redirected: bool,
    },
    /// A call of the room's came to nothing.
    DialFailed(DialId, DialFailure),
    /// A call asks to come in where another one is, which is over as soon as this one is let in (RFC 3891).
    TakeOver {
        /// The leg whose place it takes.
        old: LegId,
        /// Its [`ToRoom::Join`].
        join: Box<Self>,
    },
    /// Somebody asks the room to add or remove somebody (RFC 4579); answered by [`FromRoom::AcceptRefer`] or [`FromRoom::RefuseRefer`].
    Refer {
        /// For the answer.
        refer: ReferId,
        /// Who asks: a present caller, or an account.
        by: Watcher,
        /// What.
        what: Referral,
    },
}

/// What a REFER asks of a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Referral {
    /// Call somebody.
    Add {
        /// Whom.
        target: String,
        /// What they are called.
        name: Option<String>,
    },
    /// Put somebody out.
    Remove {
        /// Whom, as conference documents name people and their calls, or by their own address.
        entity: String,
    },
}

/// Who watches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Watcher {
    /// A caller of this room, by their leg.
    Leg(LegId),
    /// Somebody proven or not, by what is known of them.
    Caller(Caller),
}

/// From a room to the front.
#[derive(Debug, Clone, PartialEq)]
pub enum FromRoom {
    /// Answer the call with 200; it belongs to somebody with this correlation, who may have been in the room before.
    Admit(LegId, Correlation),
    /// Ask whether they mean to join as the one of this name, whose code they typed (rule R2).
    Confirm(LegId, String),
    /// A join code was given out.
    Code {
        /// By this room.
        room: RoomName,
        /// The code.
        code: Pii<String>,
        /// Until when it is good.
        until: std::time::Instant,
    },
    /// Refuse the call; one without a right PIN may be asked for it and come again.
    Refuse(LegId, Refusal),
    /// End the call as soon as BYE is allowed (rule R41).
    HangUp(LegId, EndCause),
    /// Answer the SUBSCRIBE with 200.
    AcceptWatch(SubscriptionId),
    /// Refuse the SUBSCRIBE.
    RefuseWatch(SubscriptionId, Refusal),
    /// Send this document.
    Notify(SubscriptionId, Vec<u8>),
    /// End the subscription: the room is gone, or the watcher may not watch any more.
    Terminate(SubscriptionId, WatchEnd),
    /// Call somebody.
    Dial(Box<DialOut>),
    /// Don't call them after all, unless they have answered.
    TakeBack(RoomName, DialId),
    /// Answer the REFER with 202; if it adds somebody, the call to them tells how it goes.
    AcceptRefer(ReferId),
    /// Refuse the REFER.
    RefuseRefer(ReferId, Refusal),
    /// What the REFER asked for is done.
    EndRefer(ReferId),
}

/// A call that a room wants made (rule R47).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DialOut {
    /// Which room.
    pub room: RoomName,
    /// The room's number for it.
    pub dial: DialId,
    /// Whom, and at whose wish.
    pub order: DialOrder,
    /// The chat's URI, which tells whoever is called where they are called into (checklist S-6).
    pub chat: String,
}

/// Why a subscription ends by our doing (RFC 6665 section 4.1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WatchEnd {
    /// `noresource`: the conference is over.
    NoResource,
    /// `rejected`: they may not watch any more.
    Rejected,
}
