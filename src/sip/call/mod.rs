//! Calls: INVITE in both directions, what changes them, what ends them (RFC 3261 sections 9, 13 to 15; RFC 3311, 4028, 6026).
//!
//! Bodies pass through unread: offers and answers are the application's. What is kept here is whose turn it is (RFC 3264, rules R40, R43).

mod early;
mod offer;
mod pointed;
mod reliable;
mod session;
mod session_timer;
pub(crate) mod table;
mod uac;
mod uas;

use std::{net::IpAddr, time::Instant};

pub(crate) use table::Calls;

use self::{
    early::Branches,
    offer::{Ours, Theirs},
    reliable::Reliable,
    session_timer::SessionTimer,
    table::InDialog,
    uac::Calling,
    uas::{Ringing, Unacked},
};
use super::{
    dialog::DialogNo,
    endpoint::{Body, CommandError, Core, EndCause, Event, Presentation, Reason, Target, body_of, reason_of},
    msg::{Headers, Method, Name, Request, Response},
    transaction::{
        ClientId, Failure, Owner, Reply, Report, ServerId,
        timer::{GIVE_UP, Named, Timers},
    },
};
use crate::model::CallId;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CallTimer {
    /// Send our 2xx again (RFC 3261 section 13.3.1.4).
    Resend,
    /// No ACK came for our 2xx.
    AckLimit,
    /// Say once more that it rings (RFC 3261 section 13.3.1.1).
    RingAgain,
    /// It has rung long enough.
    RingLimit,
    /// Send a reliable provisional response again (RFC 3262 section 3).
    ProvisionalAgain,
    /// No PRACK came for it.
    PrackLimit,
    /// The application hasn't answered an offer.
    AnswerLimit,
    /// Refresh the session (RFC 4028 section 10).
    Refresh,
    /// Nobody has refreshed the session.
    Expire,
    /// The waiting time after a 491 is over.
    Glare,
    /// No response came to an INVITE that we have cancelled (RFC 3261 section 9.1).
    CancelLimit,
}

impl Named for CallTimer {
    fn name(self) -> &'static str {
        match self {
            Self::Resend => "call: 2xx again",
            Self::AckLimit => "call: no ACK",
            Self::RingAgain => "call: ringing again",
            Self::RingLimit => "call: rung long enough",
            Self::ProvisionalAgain => "call: reliable provisional again",
            Self::PrackLimit => "call: no PRACK",
            Self::AnswerLimit => "call: offer unanswered",
            Self::Refresh => "call: session refresh",
            Self::Expire => "call: session expiry",
            Self::Glare => "call: waiting after 491",
            Self::CancelLimit => "call: cancelled for long",
        }
    }
}

#[derive(Debug)]
enum State {
    /// Their INVITE waits for our answer.
    Ringing(Ringing),
    /// Our INVITE waits for theirs.
    Calling(Box<Calling>),
    /// A 2xx went one way or the other.
    Up,
    /// Our BYE waits for its response.
    Leaving { bye: ClientId, cause: EndCause },
    /// Nothing more happens.
    Over,
}

/// Whose turn it is with offer and answer, inside the call.
#[derive(Debug)]
enum Exchange {
    Idle,
    /// Their INVITE or UPDATE waits for our answer.
    Theirs(Theirs),
    /// Ours waits for theirs.
    Ours(Ours),
    /// Both offered at once; we wait until we may again.
    Glare,
}

/// One call.
#[derive(Debug)]
pub(crate) struct Call {
    id: CallId,
    /// Whose share of the limits it takes.
    source: IpAddr,
    /// What our Contact depends on; not known yet where our INVITE isn't answered.
    way: Option<Target>,
    state: State,
    dialog: Option<DialogNo>,
    exchange: Exchange,
    /// What answers to our INVITE before it is answered.
    branches: Branches,
    /// Our provisional responses to their INVITE.
    reliable: Option<Reliable>,
    /// Our 2xx that no ACK came for yet.
    unacked: Option<Unacked>,
    /// We want to hang up as soon as that ACK is there (rule R41).
    hang_up: Option<Option<Reason>>,
    session: Option<SessionTimer>,
    /// An UPDATE that only refreshes the session.
    refresh: Option<ClientId>,
    /// An OPTIONS that looks whether they are there.
    probe: Option<ClientId>,
    /// Our last description, for refreshes by re-INVITE.
    local_sdp: Option<Body>,
    /// They take UPDATE.
    peer_updates: bool,
    /// The INVITE of theirs under which the table finds this call.
    indexed: Option<ServerId>,
    timers: Timers<CallTimer>,
}

impl Call {
    fn new(id: CallId, source: IpAddr, way: Option<Target>, state: State) -> Self {
        Self {
            id,
            source,
            way,
            state,
            dialog: None,
            exchange: Exchange::Idle,
            branches: Branches::default(),
            reliable: None,
            unacked: None,
            hang_up: None,
            session: None,
            refresh: None,
            probe: None,
            local_sdp: None,
            peer_updates: false,
            indexed: None,
            timers: Timers::default(),
        }
    }

    fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// Their INVITE or re-INVITE that waits for our answer.
    fn open_invite(&self) -> Option<ServerId> {
        match (&self.state, &self.exchange) {
            (State::Ringing(ringing), _) => Some(ringing.invite),
            (State::Calling(_) | State::Up | State::Leaving { .. }, Exchange::Theirs(theirs)) => Some(theirs.server),
            (State::Calling(_) | State::Up | State::Leaving { .. }, Exchange::Idle | Exchange::Ours(_) | Exchange::Glare)
            | (State::Over, _) => None,
        }
    }

    /// Whether we want to hang up or have done so: nothing new begins.
    fn is_leaving(&self) -> bool {
        self.hang_up.is_some() || matches!(self.state, State::Leaving { .. } | State::Over)
    }

    /// Handles a request inside a dialog of ours, other than ACK and CANCEL.
    fn handle_request(&mut self, core: &mut Core, now: Instant, incoming: InDialog<'_>) {
        let InDialog {
            server,
            dialog,
            seen,
            request,
        } = incoming;
        // The callee may not hang up before it has answered (RFC 3261 section 15): that is only this branch.
        if self.dialog != Some(dialog) || request.method == Method::Bye && matches!(self.state, State::Calling(_)) {
            return self.handle_branch_request(core, now, server, dialog, &request);
        }
        match request.method {
            Method::Bye => self.handle_bye(core, now, server, &request),
            Method::Prack => self.handle_prack(core, now, server, seen, request),
            Method::Invite | Method::Update => self.handle_offer(core, now, server, seen, request),
            Method::Info => {
                core.respond(now, server, Reply::new(200));
                core.tell(Event::Info {
                    call: self.id,
                    body: body_of(&request.headers, &request.body),
                });
            }
            Method::Options => {
                core.respond(now, server, self.described(core, Reply::new(200)));
            }
            // These don't come here: they are refused before, or are no business of a call's.
            Method::Ack
            | Method::Cancel
            | Method::Register
            | Method::Subscribe
            | Method::Notify
            | Method::Refer
            | Method::Message
            | Method::Publish
            | Method::Other(_) => {
                core.respond(now, server, Reply::new(405));
            }
        }
    }

    fn handle_bye(&mut self, core: &mut Core, now: Instant, server: ServerId, request: &Request) {
        core.respond(now, server, Reply::new(200));
        let cause = match &self.state {
            State::Leaving { cause, .. } => cause.clone(),
            State::Ringing(_) | State::Calling(_) | State::Up | State::Over => EndCause::TheyHungUp {
                reason: reason_of(request),
            },
        };
        self.end(core, now, cause);
    }

    /// Handles what became of a request of ours; gives back what isn't of this call's present.
    fn handle_report(&mut self, core: &mut Core, now: Instant, report: Report) -> Option<Report> {
        match &self.state {
            State::Calling(calling) if calling.invite == report.client => {
                self.handle_invite_report(core, now, report);
                return None;
            }
            State::Leaving { bye, cause } if *bye == report.client => {
                let cause = cause.clone();
                if !matches!(&report.outcome, Ok((response, _)) if response.status < 200) {
                    self.end(core, now, cause);
                }
                return None;
            }
            State::Ringing(_) | State::Calling(_) | State::Up | State::Leaving { .. } | State::Over => {}
        }
        if matches!(&self.exchange, Exchange::Ours(ours) if ours.client == report.client) {
            self.handle_offer_report(core, now, report);
        } else if self.refresh == Some(report.client) {
            self.handle_refresh_report(core, now, report);
        } else if self.probe == Some(report.client) {
            self.handle_probe_report(core, now, &report);
        } else {
            return Some(report);
        }
        None
    }

    fn handle_probe_report(&mut self, core: &mut Core, now: Instant, report: &Report) {
        if matches!(&report.outcome, Ok((response, _)) if response.status < 200) {
            return;
        }
        self.probe = None;
        if is_lost(report) {
            self.tear_down(core, now, EndCause::Lost);
        }
    }

    fn handle_timeout(&mut self, core: &mut Core, now: Instant) {
        while let Some(timer) = self.timers.pop_due(now) {
            match timer {
                CallTimer::Resend => self.resend_2xx(core, now),
                CallTimer::AckLimit => self.give_up_ack(core, now),
                CallTimer::RingAgain => self.ring_again(core, now),
                CallTimer::RingLimit => self.stop_ringing(core, now),
                CallTimer::ProvisionalAgain => self.resend_provisional(core, now),
                CallTimer::PrackLimit => self.give_up_prack(core, now),
                CallTimer::AnswerLimit => self.answer_for_application(core, now),
                CallTimer::Refresh => self.refresh_session(core, now),
                CallTimer::Expire => self.tear_down(core, now, EndCause::Expired),
                CallTimer::Glare => self.end_glare(core, now),
                CallTimer::CancelLimit => self.give_up_cancelled(core, now),
            }
        }
    }

    /// Sends OPTIONS inside the dialog.
    pub(crate) fn probe(&mut self, core: &mut Core, now: Instant) -> Result<(), CommandError> {
        let dialog = self.open_dialog().ok_or(CommandError::NotNow)?;
        if self.probe.is_none() {
            self.probe = Some(core.send_in_dialog(now, Owner::Call(self.id), dialog, Method::Options, |_| {})?);
        }
        Ok(())
    }

    /// The dialog, once the call is up and as long as nobody hangs up.
    pub(crate) fn open_dialog(&self) -> Option<DialogNo> {
        self.dialog.filter(|_| matches!(self.state, State::Up) && !self.is_leaving())
    }

    /// Whether our 2xx still waits for its ACK.
    pub(crate) fn awaits_ack(&self) -> bool {
        self.unacked.is_some()
    }

    /// Ends the call whatever its state: BYE, CANCEL, or a refusal.
    pub(crate) fn hang_up(&mut self, core: &mut Core, now: Instant, reason: Option<Reason>) -> Result<(), CommandError> {
        match &self.state {
            State::Ringing(_) => self.reject(core, now, crate::sip::endpoint::Rejection::new(480)),
            State::Calling(_) => {
                self.cancel(core, now);
                Ok(())
            }
            State::Up if self.unacked.is_some() => {
                self.hang_up = Some(reason);
                Ok(())
            }
            State::Up => {
                self.bye(core, now, reason, EndCause::WeHungUp);
                Ok(())
            }
            State::Leaving { .. } => Ok(()),
            State::Over => Err(CommandError::Gone),
        }
    }

    /// Sends BYE and waits for its response.
    fn bye(&mut self, core: &mut Core, now: Instant, reason: Option<Reason>, cause: EndCause) {
        self.drop_theirs(core, now);
        self.timers.stop_all();
        match self.send_bye(core, now, Owner::Call(self.id), reason) {
            Some(bye) => self.state = State::Leaving { bye, cause },
            None => self.end(core, now, cause),
        }
    }

    /// Sends BYE without waiting: the call is over for a reason of its own.
    fn tear_down(&mut self, core: &mut Core, now: Instant, cause: EndCause) {
        if !matches!(self.state, State::Leaving { .. }) {
            self.send_bye(core, now, Owner::Nobody, None);
        }
        self.end(core, now, cause);
    }

    fn send_bye(&self, core: &mut Core, now: Instant, owner: Owner, reason: Option<Reason>) -> Option<ClientId> {
        let reason = reason.map(|r| {
            let mut value = crate::sip::msg::Tagged::new("SIP");
            value.params.set("cause", Some(&r.cause.to_string()));
            value.params.set_quoted("text", &r.text);
            value
        });
        let add = |request: &mut Request| {
            if let Some(value) = reason {
                request.headers.push(Name::Reason, value);
            }
        };
        core.send_in_dialog(now, owner, self.dialog?, Method::Bye, add).ok()
    }

    /// Answers what still waits for us, and forgets what we wait for.
    fn drop_theirs(&mut self, core: &mut Core, now: Instant) {
        if let State::Ringing(ringing) = &self.state {
            core.respond(now, ringing.invite, Reply::new(487));
        }
        if let Exchange::Theirs(theirs) = std::mem::replace(&mut self.exchange, Exchange::Idle) {
            core.respond(now, theirs.server, Reply::new(487));
        }
    }

    fn end(&mut self, core: &mut Core, now: Instant, cause: EndCause) {
        self.drop_theirs(core, now);
        self.timers.stop_all();
        self.state = State::Over;
        core.tell(Event::Ended { call: self.id, cause });
    }

    /// A reply that says who and what we are, for responses to INVITE, UPDATE and OPTIONS.
    fn described(&self, core: &Core, mut reply: Reply) -> Reply {
        if let Some(dialog) = self.dialog.and_then(|no| core.dialogs.get(no)) {
            reply.headers.push(Name::Contact, dialog.contact.clone());
        }
        core.add_capabilities(&mut reply.headers);
        reply
    }

    /// Changes what our Contact says.
    fn present(&self, core: &mut Core, presentation: Presentation) -> Result<(), CommandError> {
        let way = self.way.as_ref().ok_or(CommandError::NotNow)?;
        Ok(core.present(way, self.dialog.ok_or(CommandError::NotNow)?, presentation)?)
    }

    fn learn(&mut self, headers: &Headers) {
        if headers.has(Name::Allow) {
            self.peer_updates = headers.allow().is_ok_and(|methods| methods.contains(&Method::Update));
        }
    }

    /// Takes target, capabilities and session interval from a 2xx to a request of ours.
    fn learn_from_answer(&mut self, core: &mut Core, now: Instant, response: &Response, flow: super::endpoint::Flow) {
        if let Some(dialog) = self.dialog.and_then(|no| core.dialogs.get_mut(no)) {
            dialog.refresh_target(response.headers.contact(), flow);
        }
        self.learn(&response.headers);
        self.take_session(now, response);
    }
}

/// Whether the dialog is gone for the peer, or the peer itself (rule R43).
fn is_lost(report: &Report) -> bool {
    match &report.outcome {
        Ok((response, _)) => matches!(response.status, 408 | 481),
        Err(Failure::TimedOut) => true,
        Err(Failure::Unreachable | Failure::Unresolved) => false,
    }
}

/// How long the application may take over an offer inside a call: the peer's own patience.
const ANSWER_LIMIT: std::time::Duration = GIVE_UP;
