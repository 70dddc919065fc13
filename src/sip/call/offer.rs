//! Changing the session: re-INVITE and UPDATE both ways, one at a time (RFC 3261 section 14, RFC 3311, rules R40, R43).

use std::time::{Duration, Instant};

use super::{
    ANSWER_LIMIT, Call, CallTimer, Exchange, State, is_lost,
    reliable::Reliable,
    session_timer::{self, Agreed, Asked},
    uas::Ringing,
};
use crate::sip::{
    endpoint::{Body, CommandError, Core, EndCause, Event, OfferIn, Rejection, body_of},
    msg::{Headers, Method, Name, Request},
    transaction::{ClientId, Failure, Owner, Reply, Report, Seen, ServerId},
};

/// Their INVITE or UPDATE inside the call, not answered yet.
#[derive(Debug)]
pub(super) struct Theirs {
    pub(super) server: ServerId,
    within: OfferIn,
    cseq: u32,
    offered: bool,
    /// What holds of session timers once it is answered.
    agreed: Option<Agreed>,
}

impl Theirs {
    /// An offer in a PRACK (RFC 3262 section 5), which settles nothing about session timers.
    pub(super) fn in_prack(server: ServerId, cseq: u32) -> Self {
        Self {
            server,
            within: OfferIn::Prack,
            cseq,
            offered: true,
            agreed: None,
        }
    }
}

/// Our re-INVITE inside the call, not answered yet.
#[derive(Debug)]
pub(super) struct Ours {
    pub(super) client: ClientId,
    /// It only refreshes the session: the application doesn't know of it.
    refresh: bool,
    body: Body,
}

impl Call {
    /// Handles a re-INVITE or UPDATE of theirs.
    pub(super) fn handle_offer(&mut self, core: &mut Core, now: Instant, server: ServerId, seen: &Seen, request: Request) {
        let within = if request.method == Method::Invite {
            OfferIn::Invite
        } else {
            OfferIn::Update
        };
        let offered = !request.body.is_empty();
        if let Some(reply) = self.not_their_turn(core, within, offered) {
            core.respond(now, server, reply);
            return;
        }
        let config = &core.config;
        let Ok(agreed) = session_timer::answer(Asked::of(&request.headers), config.session_expires, config.min_se) else {
            let reply = Reply::new(422).with(Name::MinSe, config.min_se.to_string());
            return core.refuse(now, server, reply);
        };
        // Before the answer there is no session to be kept alive.
        let agreed = Some(agreed).filter(|_| matches!(self.state, State::Up));
        if within == OfferIn::Invite {
            self.take_ack_for_granted(core);
        }
        if let Some(dialog) = self.dialog.and_then(|no| core.dialogs.get_mut(no)) {
            dialog.refresh_target(request.headers.contact(), seen.flow);
        }
        self.learn(&request.headers);
        if within == OfferIn::Update && !offered {
            let mut reply = self.described(core, Reply::new(200));
            self.agree(now, &mut reply, agreed);
            core.respond(now, server, reply);
            return;
        }
        self.exchange = Exchange::Theirs(Theirs {
            server,
            within,
            cseq: seen.cseq,
            offered,
            agreed,
        });
        self.timers.set(CallTimer::AnswerLimit, now + ANSWER_LIMIT);
        let offer = body_of(&request.headers, &request.body);
        core.tell(Event::Reoffer {
            call: self.id,
            flow: seen.flow,
            within,
            offer,
            request: Box::new(request),
        });
    }

    /// What they are told if they may not offer now (rule R40).
    fn not_their_turn(&self, core: &mut Core, within: OfferIn, offered: bool) -> Option<Reply> {
        if self.is_leaving() {
            return Some(Reply::new(481));
        }
        if within == OfferIn::Update && !offered {
            return None;
        }
        match (&self.state, &self.exchange) {
            // Before the answer there is a session only if PRACK has settled one (RFC 3311 section 5.1).
            (State::Ringing(_), Exchange::Idle) if self.reliable.as_ref().is_some_and(Reliable::is_agreed) => None,
            (State::Ringing(_), _) if self.reliable.as_ref().is_some_and(Reliable::is_offering) => Some(Reply::new(491)),
            (State::Ringing(_), _) | (_, Exchange::Theirs(_)) => {
                Some(Reply::new(500).with(Name::RetryAfter, core.dice.retry_after().to_string()))
            }
            // Our offer in the INVITE isn't answered for good, or they ask for another INVITE before they have answered this one.
            (State::Calling(_), _) if within == OfferIn::Invite || !self.branches.is_agreed(self.dialog) => Some(Reply::new(491)),
            (_, Exchange::Ours(_)) => Some(Reply::new(491)),
            // Our offer is in a 2xx, and their answer will be in the ACK.
            _ if self.unacked.as_ref().is_some_and(|unacked| unacked.offers) => Some(Reply::new(491)),
            (State::Calling(_) | State::Up | State::Leaving { .. } | State::Over, Exchange::Idle | Exchange::Glare) => None,
        }
    }

    pub(crate) fn accept_offer(&mut self, core: &mut Core, now: Instant, body: Body) -> Result<(), CommandError> {
        let theirs = self.take_theirs()?;
        self.local_sdp = Some(body.clone());
        match theirs.within {
            OfferIn::Invite => {
                let invite = Ringing {
                    invite: theirs.server,
                    cseq: theirs.cseq,
                    offered: theirs.offered,
                    agreed: theirs.agreed,
                };
                self.answer_invite(core, now, invite, Some(body));
            }
            OfferIn::Update | OfferIn::Prack => {
                let mut reply = self.described(core, Reply::new(200));
                self.agree(now, &mut reply, theirs.agreed);
                reply.body = Some(body);
                core.respond(now, theirs.server, reply);
            }
        }
        self.go_on_answering(core, now);
        Ok(())
    }

    pub(crate) fn reject_offer(&mut self, core: &mut Core, now: Instant, rejection: Rejection) -> Result<(), CommandError> {
        let theirs = self.take_theirs()?;
        core.respond(now, theirs.server, rejection.into());
        self.go_on_answering(core, now);
        Ok(())
    }

    pub(super) fn answer_for_application(&mut self, core: &mut Core, now: Instant) {
        if let Ok(theirs) = self.take_theirs() {
            core.wire.counters.unanswered += 1;
            core.respond(now, theirs.server, Reply::new(500));
            core.tell(Event::ReofferWithdrawn { call: self.id });
            self.go_on_answering(core, now);
        }
    }

    fn take_theirs(&mut self) -> Result<Theirs, CommandError> {
        match std::mem::replace(&mut self.exchange, Exchange::Idle) {
            Exchange::Theirs(theirs) => {
                self.timers.stop(CallTimer::AnswerLimit);
                Ok(theirs)
            }
            other @ (Exchange::Idle | Exchange::Ours(_) | Exchange::Glare) => {
                self.exchange = other;
                Err(CommandError::NotNow)
            }
        }
    }

    /// Offers anew, by re-INVITE.
    pub(crate) fn reinvite(&mut self, core: &mut Core, now: Instant, body: Body) -> Result<(), CommandError> {
        if !self.is_free() {
            return Err(CommandError::NotNow);
        }
        self.offer(core, now, body, false)
    }

    pub(super) fn offer(&mut self, core: &mut Core, now: Instant, body: Body, refresh: bool) -> Result<(), CommandError> {
        let dialog = self.dialog.ok_or(CommandError::NotNow)?;
        let min_se = core.config.min_se;
        let mut capabilities = Headers::new();
        core.add_capabilities(&mut capabilities);
        let client = core.send_in_dialog(now, Owner::Call(self.id), dialog, Method::Invite, |request| {
            self.add_session(min_se, request);
            capabilities
                .iter()
                .for_each(|(name, value)| request.headers.push(name.clone(), value));
            request.set_body(&body.content_type, body.bytes.clone());
        })?;
        self.exchange = Exchange::Ours(Ours { client, refresh, body });
        Ok(())
    }

    /// Handles what became of our re-INVITE.
    pub(super) fn handle_offer_report(&mut self, core: &mut Core, now: Instant, report: Report) {
        if matches!(&report.outcome, Ok((response, _)) if response.status < 200) {
            return;
        }
        let Exchange::Ours(ours) = std::mem::replace(&mut self.exchange, Exchange::Idle) else {
            return;
        };
        if is_lost(&report) {
            return self.tear_down(core, now, EndCause::Lost);
        }
        let client = report.client;
        match report.outcome {
            Ok((response, flow)) if response.status < 300 => {
                let cseq = response.headers.cseq().map_or(0, |cseq| cseq.number);
                self.learn_from_answer(core, now, &response, flow);
                self.acknowledge(core, client, cseq);
                self.local_sdp = Some(ours.body);
                let answer = body_of(&response.headers, &response.body);
                core.tell(Event::ReofferAnswered { call: self.id, answer });
            }
            Ok((response, _)) if ours.refresh => self.retry_refresh(core, now, &response),
            Ok((response, _)) if response.status == 491 => {
                self.exchange = Exchange::Glare;
                let wait = core.dice.glare(self.owns_call_id(core));
                self.timers.set(CallTimer::Glare, now + wait);
            }
            Ok((response, _)) => core.tell(Event::ReofferFailed {
                call: self.id,
                status: response.status,
            }),
            Err(Failure::TimedOut | Failure::Unreachable | Failure::Unresolved) => core.tell(Event::ReofferFailed {
                call: self.id,
                status: 503,
            }),
        }
    }

    /// Sends our ACK. Where that can't be done the peer will end the call, since it misses it.
    pub(super) fn acknowledge(&self, core: &mut Core, invite: ClientId, cseq: u32) {
        let sent = self.dialog.map(|dialog| core.acknowledge(invite, dialog, cseq));
        core.wire.counters.unsendable += u64::from(matches!(sent, Some(Err(_))));
    }

    /// We may offer again, as soon as what they have offered meanwhile is through; whether that is still wanted the application knows.
    pub(super) fn end_glare(&mut self, core: &mut Core, now: Instant) {
        if matches!(self.exchange, Exchange::Glare) {
            self.exchange = Exchange::Idle;
        }
        if self.is_free() {
            core.tell(Event::ReofferFailed {
                call: self.id,
                status: 491,
            });
        } else if !self.is_leaving() {
            self.timers.set(CallTimer::Glare, now + LOOK_AGAIN);
        }
    }

    /// Whether nothing stands between us and an offer of ours.
    fn is_free(&self) -> bool {
        matches!((&self.state, &self.exchange), (State::Up, Exchange::Idle)) && self.unacked.is_none() && !self.is_leaving()
    }
}

/// How often to look whether their exchange is through: it takes 32 s at most.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
