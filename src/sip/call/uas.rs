//! Being called: from their INVITE to their ACK.

use std::time::{Duration, Instant};

use super::{Call, CallTimer, Exchange, State, reliable::Reliable, session_timer::Agreed};
use crate::sip::{
    endpoint::{Body, CommandError, Core, EndCause, Event, Presentation, Rejection, body_of},
    msg::Request,
    transaction::{
        Reply, Seen, ServerId,
        timer::{Backoff, GIVE_UP, T2},
    },
};

/// A provisional response is repeated each minute (RFC 3261 section 13.3.1.1).
pub(super) const RING_AGAIN: Duration = Duration::from_secs(60);
/// How long a call may ring: what proxies allow at least (RFC 3261 section 16.6, Timer C).
const RING_LIMIT: Duration = Duration::from_secs(180);

/// Their INVITE, not answered yet.
#[derive(Debug)]
pub(super) struct Ringing {
    pub(super) invite: ServerId,
    pub(super) cseq: u32,
    /// It brought an offer.
    pub(super) offered: bool,
    /// What holds of session timers once it is answered.
    pub(super) agreed: Option<Agreed>,
}

/// Our 2xx to an INVITE, which we send again until the ACK is there.
#[derive(Debug)]
pub(super) struct Unacked {
    server: ServerId,
    cseq: u32,
    /// It brought our offer: the ACK brings their answer.
    pub(super) offers: bool,
    backoff: Backoff,
}

impl Call {
    /// Begins to ring, once the dialog is made.
    pub(super) fn start_ringing(&mut self, now: Instant) {
        self.timers.set(CallTimer::RingLimit, now + RING_LIMIT);
    }

    pub(super) fn ring_again(&mut self, core: &mut Core, now: Instant) {
        if let State::Ringing(ringing) = &self.state {
            core.servers.send_again(&mut core.wire, ringing.invite);
            self.timers.set(CallTimer::RingAgain, now + RING_AGAIN);
        }
    }

    pub(super) fn stop_ringing(&mut self, core: &mut Core, now: Instant) {
        if let State::Ringing(ringing) = &self.state {
            core.respond(now, ringing.invite, Reply::new(480));
            self.end(core, now, EndCause::Unanswered);
        }
    }

    /// Takes the call with our answer, or with our offer if they made none.
    pub(crate) fn accept(&mut self, core: &mut Core, now: Instant, presentation: Presentation, body: Body) -> Result<(), CommandError> {
        if !matches!(self.state, State::Ringing(_)) {
            return Err(CommandError::NotNow);
        }
        if self.puts_off(&presentation, &body) {
            return Ok(());
        }
        self.present(core, presentation)?;
        let State::Ringing(ringing) = std::mem::replace(&mut self.state, State::Up) else {
            return Err(CommandError::NotNow);
        };
        self.timers.stop_all();
        let agreed = self.reliable.as_ref().is_some_and(Reliable::is_agreed);
        let body = Some(body).filter(|_| !agreed);
        if let Some(body) = &body {
            self.local_sdp = Some(body.clone());
        }
        self.answer_invite(core, now, ringing, body);
        Ok(())
    }

    /// Sends the 200 of an INVITE or re-INVITE and waits for its ACK.
    pub(super) fn answer_invite(&mut self, core: &mut Core, now: Instant, invite: Ringing, body: Option<Body>) {
        let mut reply = self.described(core, Reply::new(200));
        let offers = !invite.offered && body.is_some();
        reply.body = body;
        self.agree(now, &mut reply, invite.agreed);
        core.respond(now, invite.invite, reply);
        let mut backoff = Backoff::new(T2);
        self.timers.set(CallTimer::Resend, now + backoff.step());
        self.timers.set(CallTimer::AckLimit, now + GIVE_UP);
        self.unacked = Some(Unacked {
            server: invite.invite,
            cseq: invite.cseq,
            offers,
            backoff,
        });
    }

    pub(super) fn resend_2xx(&mut self, core: &mut Core, now: Instant) {
        if let Some(unacked) = &mut self.unacked {
            core.servers.send_again(&mut core.wire, unacked.server);
            self.timers.set(CallTimer::Resend, now + unacked.backoff.step());
        }
    }

    /// No ACK in 64*T1: the call is no use (RFC 3261 section 13.3.1.4).
    pub(super) fn give_up_ack(&mut self, core: &mut Core, now: Instant) {
        self.unacked = None;
        let cause = if self.hang_up.is_some() {
            EndCause::WeHungUp
        } else {
            EndCause::NoAck
        };
        self.tear_down(core, now, cause);
    }

    pub(super) fn handle_ack(&mut self, core: &mut Core, now: Instant, seen: &Seen, request: &Request) {
        let Some(unacked) = self.unacked.take_if(|u| u.cseq == seen.cseq) else {
            return;
        };
        self.timers.stop(CallTimer::Resend);
        self.timers.stop(CallTimer::AckLimit);
        if let Some(reason) = self.hang_up.take() {
            return self.bye(core, now, reason, EndCause::WeHungUp);
        }
        let answer = body_of(&request.headers, &request.body).filter(|_| unacked.offers);
        core.tell(Event::Confirmed { call: self.id, answer });
    }

    /// They go on as if we had their ACK, so they have our 2xx.
    pub(super) fn take_ack_for_granted(&mut self, core: &mut Core) {
        if self.unacked.take_if(|u| !u.offers).is_some() {
            self.timers.stop(CallTimer::Resend);
            self.timers.stop(CallTimer::AckLimit);
            core.tell(Event::Confirmed {
                call: self.id,
                answer: None,
            });
        }
    }

    pub(crate) fn reject(&mut self, core: &mut Core, now: Instant, rejection: Rejection) -> Result<(), CommandError> {
        let State::Ringing(ringing) = &self.state else {
            return Err(CommandError::NotNow);
        };
        core.respond(now, ringing.invite, rejection.into());
        self.end(core, now, EndCause::Rejected);
        Ok(())
    }

    /// They withdraw an INVITE or re-INVITE that we haven't answered; the CANCEL itself is answered already.
    pub(super) fn handle_cancel(&mut self, core: &mut Core, now: Instant, invite: ServerId, reason: Option<String>) {
        if matches!(&self.state, State::Ringing(ringing) if ringing.invite == invite) {
            // `end` answers 487.
            self.end(core, now, EndCause::Cancelled { reason });
        } else if matches!(&self.exchange, Exchange::Theirs(theirs) if theirs.server == invite) {
            self.drop_theirs(core, now);
            self.timers.stop(CallTimer::AnswerLimit);
            core.tell(Event::ReofferWithdrawn { call: self.id });
        }
    }
}
