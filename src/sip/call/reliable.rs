//! Being called: provisional responses that are acknowledged, and the session before the answer (RFC 3262 sections 3 and 5).

use std::time::Instant;

use super::{Call, CallTimer, Exchange, State, offer::Theirs};
use crate::sip::{
    endpoint::{Body, CommandError, Core, EndCause, Event, OfferIn, Presentation, body_of},
    msg::{Headers, Method, Name, Request},
    transaction::{
        Reply, Seen, ServerId,
        timer::{Backoff, GIVE_UP},
    },
};

/// What the caller says about reliable provisional responses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    /// Nothing: it wouldn't acknowledge them.
    None,
    /// `Supported: 100rel`.
    Supported,
    /// `Require: 100rel`: it wants no others.
    Required,
}

/// How far offer and answer have come before the call is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Early {
    /// No description of ours has gone for good.
    Open,
    /// Our offer has gone, and waits for the answer in their PRACK.
    Offered,
    /// Both sides have agreed: the 200 brings nothing more.
    Agreed,
}

/// A provisional response that waits for its PRACK.
#[derive(Debug)]
struct Unacked {
    rseq: u32,
    described: bool,
    backoff: Backoff,
}

/// Our reliable provisional responses to one INVITE of theirs.
#[derive(Debug)]
pub(super) struct Reliable {
    wish: Wish,
    /// The number in the INVITE's CSeq.
    cseq: u32,
    rseq: u32,
    early: Early,
    unacked: Option<Unacked>,
    /// Waits until the one before is acknowledged: of several the last (RFC 3262 section 3 allows one at a time).
    queued: Option<(u16, Option<Body>)>,
    /// The application has taken the call, but the 200 may not go yet.
    accepted: Option<(Presentation, Body)>,
}

impl Reliable {
    /// `rseq`: fresh chance, from 1 to 2^31 - 1.
    pub(super) fn new(headers: &Headers, cseq: u32, rseq: u32) -> Self {
        let has = |tags: Vec<String>| tags.iter().any(|tag| tag.eq_ignore_ascii_case("100rel"));
        let wish = if has(headers.require().unwrap_or_default()) {
            Wish::Required
        } else if has(headers.supported().unwrap_or_default()) {
            Wish::Supported
        } else {
            Wish::None
        };
        Self {
            wish,
            cseq,
            rseq,
            early: Early::Open,
            unacked: None,
            queued: None,
            accepted: None,
        }
    }

    /// Whether both sides have agreed about the session before the answer.
    pub(super) fn is_agreed(&self) -> bool {
        self.early == Early::Agreed
    }

    /// Whether our offer waits for their answer in a PRACK.
    pub(super) fn is_offering(&self) -> bool {
        self.early == Early::Offered
    }
}

impl Call {
    /// Sends a provisional response, reliably if that is asked for, or if it is possible and there is a description to be kept.
    pub(crate) fn ring(
        &mut self,
        core: &mut Core,
        now: Instant,
        status: u16,
        presentation: Presentation,
        body: Option<Body>,
    ) -> Result<(), CommandError> {
        let (State::Ringing(ringing), Some(reliable)) = (&self.state, &self.reliable) else {
            return Err(CommandError::NotNow);
        };
        if reliable.accepted.is_some() || body.is_some() && !ringing.offered && reliable.wish == Wish::None {
            // An offer in a response that may get lost is none (RFC 3261 section 13.2.1).
            return Err(CommandError::NotNow);
        }
        self.present(core, presentation)?;
        self.send_provisional(core, now, status.clamp(180, 199), body);
        Ok(())
    }

    fn send_provisional(&mut self, core: &mut Core, now: Instant, status: u16, body: Option<Body>) {
        let (State::Ringing(ringing), Some(reliable)) = (&self.state, &mut self.reliable) else {
            return;
        };
        if reliable.unacked.is_some() {
            let body = body.or_else(|| reliable.queued.take().and_then(|(_, body)| body));
            reliable.queued = Some((status, body));
            return;
        }
        // What both sides have agreed about isn't said again.
        let body = body.filter(|_| reliable.early == Early::Open);
        let reliably = match reliable.wish {
            Wish::None => false,
            Wish::Supported => body.is_some(),
            Wish::Required => true,
        };
        let mut reply = Reply::new(status);
        if reliably {
            reliable.rseq += 1;
            reply.headers.push(Name::Require, "100rel");
            reply.headers.push(Name::RSeq, reliable.rseq.to_string());
            let mut backoff = Backoff::new(GIVE_UP);
            self.timers.set(CallTimer::ProvisionalAgain, now + backoff.step());
            self.timers.set(CallTimer::PrackLimit, now + GIVE_UP);
            let described = body.is_some();
            if described {
                reliable.early = if ringing.offered { Early::Agreed } else { Early::Offered };
            }
            reliable.unacked = Some(Unacked {
                rseq: reliable.rseq,
                described,
                backoff,
            });
        }
        if let Some(body) = &body {
            self.local_sdp = Some(body.clone());
        }
        let invite = ringing.invite;
        reply.body = body;
        let reply = self.described(core, reply);
        core.respond(now, invite, reply);
        self.timers.set(CallTimer::RingAgain, now + super::uas::RING_AGAIN);
    }

    /// Sends it again: the interval doubles without a ceiling (RFC 3262 section 3).
    pub(super) fn resend_provisional(&mut self, core: &mut Core, now: Instant) {
        if let State::Ringing(ringing) = &self.state
            && let Some(unacked) = self.reliable.as_mut().and_then(|reliable| reliable.unacked.as_mut())
        {
            core.servers.send_again(&mut core.wire, ringing.invite);
            self.timers.set(CallTimer::ProvisionalAgain, now + unacked.backoff.step());
        }
    }

    /// No PRACK in 64*T1: the call can't be answered any more (RFC 3262 section 3).
    pub(super) fn give_up_prack(&mut self, core: &mut Core, now: Instant) {
        if let State::Ringing(ringing) = &self.state {
            core.respond(now, ringing.invite, Reply::new(504).because("No PRACK"));
            self.end(core, now, EndCause::NoAck);
        }
    }

    /// Handles a PRACK. It may bring an answer, or an offer.
    pub(super) fn handle_prack(&mut self, core: &mut Core, now: Instant, server: ServerId, seen: &Seen, request: Request) {
        let Ok(Some(rack)) = request.headers.rack() else {
            return core.refuse(now, server, Reply::new(400).because("Bad Request: no RAck that can be read"));
        };
        let fits =
            |cseq: u32, unacked: &Unacked| rack.rseq == unacked.rseq && rack.cseq.number == cseq && rack.cseq.method == Method::Invite;
        let found = self.reliable.as_mut().and_then(|reliable| {
            let cseq = reliable.cseq;
            reliable.unacked.take_if(|unacked| fits(cseq, unacked))
        });
        let (Some(_), Some(reliable)) = (found, &mut self.reliable) else {
            core.wire.counters.no_dialog += 1;
            core.respond(now, server, Reply::new(481));
            return;
        };
        self.timers.stop(CallTimer::ProvisionalAgain);
        self.timers.stop(CallTimer::PrackLimit);
        let body = body_of(&request.headers, &request.body);
        match (reliable.early, body) {
            (Early::Offered, Some(answer)) => {
                reliable.early = Early::Agreed;
                core.respond(now, server, Reply::new(200));
                core.tell(Event::EarlyAnswer { call: self.id, answer });
            }
            (Early::Offered, None) => {
                // RFC 3262 section 5: the answer has to be in it.
                core.refuse(now, server, Reply::new(400).because("Bad Request: no answer"));
                if let State::Ringing(ringing) = &self.state {
                    core.respond(now, ringing.invite, Reply::new(400).because("Bad Request: no answer"));
                    self.end(core, now, EndCause::NoAck);
                }
                return;
            }
            (Early::Agreed, Some(offer)) if matches!(self.exchange, Exchange::Idle) => {
                self.exchange = Exchange::Theirs(Theirs::in_prack(server, seen.cseq));
                self.timers.set(CallTimer::AnswerLimit, now + super::ANSWER_LIMIT);
                core.tell(Event::Reoffer {
                    call: self.id,
                    flow: seen.flow,
                    within: OfferIn::Prack,
                    offer: Some(offer),
                    request: Box::new(request),
                });
            }
            (Early::Open | Early::Agreed, Some(_)) => {
                let after = core.dice.retry_after().to_string();
                core.respond(now, server, Reply::new(500).with(Name::RetryAfter, after));
            }
            (Early::Open | Early::Agreed, None) => {
                core.respond(now, server, Reply::new(200));
            }
        }
        self.go_on_answering(core, now);
    }

    /// Does what has waited for a PRACK, or for our answer to an offer in one.
    pub(super) fn go_on_answering(&mut self, core: &mut Core, now: Instant) {
        if !matches!((&self.state, &self.exchange), (State::Ringing(_), Exchange::Idle)) {
            return;
        }
        let Some(reliable) = &mut self.reliable else { return };
        if let Some((presentation, body)) = reliable.accepted.take() {
            // What stands against it is put aside once more.
            let _ = self.accept(core, now, presentation, body);
        } else if let Some((status, body)) = reliable.queued.take() {
            self.send_provisional(core, now, status, body);
        }
    }

    /// Whether the 200 has to wait, which then comes by itself (RFC 3262 section 3): a description of ours isn't acknowledged, or an offer of
    /// theirs isn't answered.
    pub(super) fn puts_off(&mut self, presentation: &Presentation, body: &Body) -> bool {
        let Some(reliable) = &mut self.reliable else { return false };
        let described = reliable.unacked.as_ref().is_some_and(|unacked| unacked.described);
        let waits = described || reliable.is_offering() || matches!(self.exchange, Exchange::Theirs(_));
        if waits {
            reliable.accepted = Some((presentation.clone(), body.clone()));
        }
        waits
    }
}
