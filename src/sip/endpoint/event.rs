//! What the endpoint tells the application, and the arguments of what the application asks.

use std::time::Duration;

use super::flow::Flow;
use crate::{
    model::{CallId, PingId, ReferId, RegistrationId, SubscriptionId},
    sip::{
        auth::Credentials,
        locate::Way,
        msg::{ReferTo, Request, Response, Uri},
        register::{Liveness, Registration},
    },
};

/// A body with its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    /// The media type, as in `Content-Type`.
    pub content_type: String,
    /// The bytes.
    pub bytes: Vec<u8>,
}

impl Body {
    /// A session description.
    pub fn sdp(text: impl Into<Vec<u8>>) -> Self {
        Self {
            content_type: "application/sdp".to_owned(),
            bytes: text.into(),
        }
    }
}

/// Why something is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// 300 to 699.
    pub status: u16,
    /// The reason phrase; empty for the usual one.
    pub reason: String,
    /// Further header fields: `WWW-Authenticate`, `Retry-After`, `Warning`.
    pub headers: Vec<(String, String)>,
}

impl Rejection {
    /// A refusal with the usual phrase and nothing else.
    pub fn new(status: u16) -> Self {
        Self {
            status,
            reason: String::new(),
            headers: Vec::new(),
        }
    }

    /// With a phrase of its own.
    pub fn because(mut self, reason: &str) -> Self {
        reason.clone_into(&mut self.reason);
        self
    }

    /// With one more header field.
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// With `Retry-After` (RFC 3261 section 20.33).
    pub fn retry_after(self, after: Duration) -> Self {
        self.with("Retry-After", after.as_secs().to_string())
    }
}

/// The value of a `Reason` header field (RFC 3326): why a call is hung up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// The response status that it is like, as in `SIP;cause=603`.
    pub cause: u16,
    /// In words.
    pub text: String,
}

/// An OPTIONS outside of any dialog that waits for [`answer_options`](super::Endpoint::answer_options).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct OptionsId(pub(crate) u64);

/// Which request carried an offer inside a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OfferIn {
    /// A re-INVITE; without an offer it asks for ours.
    Invite,
    /// An UPDATE.
    Update,
    /// A PRACK, before the call is answered (RFC 3262 section 5).
    Prack,
}

/// Why a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndCause {
    /// They sent BYE.
    TheyHungUp {
        /// The `Reason` header field as given, if any.
        reason: Option<String>,
    },
    /// We sent BYE, on [`hang_up`](super::Endpoint::hang_up), and that is through.
    WeHungUp,
    /// They cancelled the INVITE that we hadn't answered.
    Cancelled {
        /// The `Reason` header field as given, if any.
        reason: Option<String>,
    },
    /// We rejected their INVITE.
    Rejected,
    /// Nobody accepted or rejected their INVITE for three minutes; they got 480.
    Unanswered,
    /// Our 200 was never acknowledged (RFC 3261 section 13.3.1.4), or a provisional response that has to be (RFC 3262 section 3); the call was
    /// torn down.
    NoAck,
    /// They refused our INVITE; 401 and 407 come here when the credentials don't help.
    Refused {
        /// Their response.
        response: Box<Response>,
    },
    /// We cancelled our INVITE.
    WeCancelled,
    /// Nobody answered our INVITE within 32 s, or nobody can be reached there, or the name can't be resolved: in words.
    Unreachable(&'static str),
    /// The session wasn't refreshed in time (RFC 4028 section 10).
    Expired,
    /// A request inside the dialog was answered 408 or 481, or not at all (rule R43).
    Lost,
}

/// Why a subscription ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubscriptionEnd {
    /// It was not refreshed.
    Expired,
    /// They ended it with `Expires: 0`; the last NOTIFY was sent by [`notify`](super::Endpoint::notify).
    Unsubscribed,
    /// [`terminate`](super::Endpoint::terminate) or a rejection.
    Terminated,
    /// A NOTIFY was answered 481 or refused for good, or not answered, or could not be sent.
    Lost,
}

/// Why we end a subscription (RFC 6665 section 4.1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TerminationReason {
    /// Subscribe again at once.
    Deactivated,
    /// Subscribe again later.
    Probation,
    /// No longer authorised.
    Rejected,
    /// Not refreshed in time.
    Timeout,
    /// Could not be authorised in time.
    Giveup,
    /// The room is gone.
    NoResource,
    /// The state can't change any more.
    Invariant,
}

impl TerminationReason {
    /// The value of the `reason` parameter.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deactivated => "deactivated",
            Self::Probation => "probation",
            Self::Rejected => "rejected",
            Self::Timeout => "timeout",
            Self::Giveup => "giveup",
            Self::NoResource => "noresource",
            Self::Invariant => "invariant",
        }
    }
}

/// What became of a NOTIFY.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotifyOutcome {
    /// 2xx: the next one may be sent.
    Delivered,
    /// Refused with this status, but the subscription lives: the next one may be sent.
    Refused(u16),
}

/// An answer to the offer in our INVITE that came before the call was answered: media may flow (RFC 3960).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EarlyMedia {
    /// The way on which it came.
    pub flow: Flow,
    /// The answer.
    pub answer: Body,
}

/// What the application is told.
#[derive(Debug)]
pub enum Event {
    /// Somebody calls. Answer with `ring`, `accept`, `reject`; a 100 goes out by itself.
    Invite {
        /// The new call.
        call: CallId,
        /// Where it came from.
        flow: Flow,
        /// The request: URI, From, authorization, and so on.
        request: Box<Request>,
        /// The offer, if it brought one; without, `accept` takes our offer and `Confirmed` brings their answer.
        offer: Option<Body>,
        /// The call whose place it wants to take (RFC 3891): hang that one up once this one is accepted.
        replaces: Option<CallId>,
        /// The call that it wants to join (RFC 3911).
        join: Option<CallId>,
    },
    /// The caller has acknowledged our 200 of an INVITE or re-INVITE.
    Confirmed {
        /// Which call.
        call: CallId,
        /// Their answer, if our 200 brought an offer.
        answer: Option<Body>,
    },
    /// The peer wants to change the session. Answer with `accept_reoffer` or `reject_reoffer`.
    Reoffer {
        /// Which call.
        call: CallId,
        /// Where it came from, which may be another way than the call's.
        flow: Flow,
        /// The request that brought it.
        within: OfferIn,
        /// The offer; without, `accept_reoffer` takes our offer and `Confirmed` brings their answer.
        offer: Option<Body>,
        /// The request itself.
        request: Box<Request>,
    },
    /// The peer withdrew its re-INVITE before we answered, or nobody answered it in 32 s: the session stays as it was.
    ReofferWithdrawn {
        /// Which call.
        call: CallId,
    },
    /// Our `reinvite` was answered, or a session refresh that carried our last description again.
    ReofferAnswered {
        /// Which call.
        call: CallId,
        /// Their answer.
        answer: Option<Body>,
    },
    /// Our `reinvite` was refused; the session stays as it was (rule R43).
    ReofferFailed {
        /// Which call.
        call: CallId,
        /// The status. For 491 this comes after the waiting time of RFC 3261 section 14.1: offer again at once if it is still wanted.
        status: u16,
    },
    /// A request of the peer's inside the call that carries something: INFO. It is already answered 200.
    Info {
        /// Which call.
        call: CallId,
        /// What it carries.
        body: Option<Body>,
    },
    /// Our INVITE was answered provisionally.
    Progress {
        /// Which call.
        call: CallId,
        /// Their response.
        response: Box<Response>,
        /// What is to be heard before the answer, told once: of several branches that ring, the first that can be heard.
        early: Option<EarlyMedia>,
    },
    /// Our INVITE was answered 2xx, and that is acknowledged.
    Answered {
        /// Which call.
        call: CallId,
        /// The way on which it came.
        flow: Flow,
        /// Their answer. It may be that of another branch than the one that was heard before.
        answer: Option<Body>,
        /// Their response.
        response: Box<Response>,
    },
    /// A call is over; its number means nothing any more.
    Ended {
        /// Which call.
        call: CallId,
        /// Why.
        cause: EndCause,
    },
    /// An OPTIONS outside of any dialog. Answer with `answer_options`.
    Options {
        /// For the answer.
        options: OptionsId,
        /// Where it came from.
        flow: Flow,
        /// The request.
        request: Box<Request>,
    },
    /// Somebody subscribes. Answer with `accept_subscription` or `reject_subscription`.
    Subscribe {
        /// The new subscription.
        subscription: SubscriptionId,
        /// The call in whose dialog it came, if any.
        call: Option<CallId>,
        /// Where it came from.
        flow: Flow,
        /// The request.
        request: Box<Request>,
        /// `Expires: 0`: they want the state once.
        fetch: bool,
    },
    /// The subscriber asked anew, and got its 200: send the full state now (RFC 6665 section 4.2.1.2, rule R50).
    Refreshed {
        /// Which subscription.
        subscription: SubscriptionId,
        /// `Expires: 0`: the NOTIFY that you send now is the last.
        last: bool,
    },
    /// A NOTIFY came through; the next one may be sent.
    Notified {
        /// Which subscription.
        subscription: SubscriptionId,
        /// How.
        outcome: NotifyOutcome,
    },
    /// A subscription is over; its number means nothing any more.
    SubscriptionEnded {
        /// Which subscription.
        subscription: SubscriptionId,
        /// Why.
        why: SubscriptionEnd,
    },
    /// Somebody asks us to send a request to a third party (RFC 3515). Answer with `accept_refer` or `reject_refer`; then tell with
    /// `refer_progress` how it goes.
    Refer {
        /// For the answer. When it is over, for instance since the referrer has unsubscribed, its number is gone without a word.
        refer: ReferId,
        /// The call in whose dialog it came, if any.
        call: Option<CallId>,
        /// Where it came from.
        flow: Flow,
        /// The request.
        request: Box<Request>,
        /// What it asks for, with those of the embedded headers that rule R47 lets through.
        to: Box<ReferTo>,
    },
    /// Whom we have asked by `refer` tells how it goes, or that nothing more will be told (`last` with a status below 200).
    ReferProgress {
        /// Which.
        refer: ReferId,
        /// The status of what was asked for, as if it were a response to us.
        status: u16,
        /// Its number means nothing any more.
        last: bool,
    },
    /// Their answer to our offer in a reliable provisional response (RFC 3262 section 5): what `accept` brings then isn't sent.
    EarlyAnswer {
        /// Which call.
        call: CallId,
        /// Their answer.
        answer: Body,
    },
    /// Our `refer` came to nothing; its number means nothing any more.
    ReferFailed {
        /// Which.
        refer: ReferId,
        /// Why.
        failure: ReferFailure,
    },
    /// A registration of ours stands differently, or was refreshed.
    Registration {
        /// Which.
        registration: RegistrationId,
        /// How.
        state: Registration,
    },
    /// A peer has answered our question whether it is there, or has not.
    Pinged {
        /// Which question.
        ping: PingId,
        /// What follows.
        liveness: Liveness,
    },
}

/// What a 180, 183 or 200 of ours says of us.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Presentation {
    /// The user part of our Contact, escaped; `None`: that of the request's URI.
    pub user: Option<String>,
    /// `;isfocus`: this call is with a conference (checklist M-1, RFC 4579).
    pub focus: bool,
}

/// What an OPTIONS is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OptionsAnswer {
    /// 200 with what we can do.
    Capabilities(Presentation),
    /// A refusal: 404 for what doesn't exist.
    Rejected(Rejection),
}

/// An INVITE of ours.
#[derive(Debug, Clone)]
pub struct InviteArgs {
    /// Whom to call: Request-URI and To.
    pub to: Uri,
    /// Who calls: From.
    pub from: Uri,
    /// The display name in From.
    pub name: Option<String>,
    /// What our Contact says.
    pub presentation: Presentation,
    /// Our offer.
    pub offer: Body,
    /// What a 401 or 407 is answered with, once.
    pub credentials: Option<Credentials>,
    /// The way instead of the one that the topmost `Route` or else the URI names.
    pub via: Option<Way>,
    /// Further header fields.
    pub headers: Vec<(String, String)>,
}

/// A REFER of ours.
#[derive(Debug, Clone)]
pub struct ReferArgs {
    /// Who is asked.
    pub whom: Referee,
    /// To do what.
    pub refer_to: ReferTo,
    /// Further header fields: `Referred-By`.
    pub headers: Vec<(String, String)>,
}

/// Who gets a REFER of ours.
#[derive(Debug, Clone)]
pub enum Referee {
    /// The peer of a call, inside its dialog.
    Call(CallId),
    /// Somebody, outside of any dialog.
    Outside(Box<Outside>),
}

/// A request of ours outside of any dialog: from whom to whom, and how.
#[derive(Debug, Clone)]
pub struct Outside {
    /// Whom to ask: Request-URI and To.
    pub to: Uri,
    /// Who asks: From.
    pub from: Uri,
    /// The display name in From.
    pub name: Option<String>,
    /// What our Contact says.
    pub presentation: Presentation,
    /// What a 401 or 407 is answered with, once.
    pub credentials: Option<Credentials>,
    /// Where to send it instead of to where the URI points.
    pub via: Option<Way>,
}

/// Why a REFER of ours came to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReferFailure {
    /// They refused it; 401 and 407 come here when the credentials don't help.
    Refused {
        /// Their response.
        response: Box<Response>,
    },
    /// Nobody answered, or nobody can be reached there: in words.
    Unreachable(&'static str),
    /// They took it and then told nothing, or nothing that can be read.
    Silent,
}

/// Why a command was not carried out: nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// There is no such call, subscription or request (any more): it may have ended meanwhile.
    #[error("it is over")]
    Gone,
    /// It isn't in the state for this, for instance an offer while another one is open.
    #[error("not now")]
    NotNow,
    /// The peer can't be reached: no listener for its transport, or a name that can't be resolved.
    #[error("cannot be reached: {0}")]
    Unreachable(&'static str),
    /// A limit of our own is reached.
    #[error("too many")]
    TooMany,
}
