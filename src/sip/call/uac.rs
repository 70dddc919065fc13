//! Calling: from our INVITE to our ACK, with forks, challenges and changes of mind (RFC 3261 sections 9.1, 13.2, 22.2; rule R41).

use std::time::Instant;

use super::{Call, CallTimer, State, early::MAX_PRACKS};
use crate::sip::{
    auth::{Credentials, Session},
    dialog::{Dialog, MAX_FORWARDS},
    endpoint::{Body, CommandError, Core, EndCause, Event, Flow, InviteArgs, Target, body_of},
    locate::Way,
    msg::{CSeq, Method, Name, NameAddr, Request, Response},
    transaction::{ClientId, Failure, OurContact, Outgoing, Owner, Report, timer::GIVE_UP},
};

/// How far a wish to cancel has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cancel {
    No,
    /// There is no provisional response yet, so no CANCEL may go (RFC 3261 section 9.1).
    Wanted,
    Sent,
}

/// Our INVITE, not answered yet.
#[derive(Debug)]
pub(super) struct Calling {
    pub(super) invite: ClientId,
    /// Without `Via` and `Contact`: for one more try with credentials.
    request: Request,
    contact: OurContact,
    credentials: Option<Credentials>,
    signed: bool,
    offer: Body,
    rings: bool,
    cancel: Cancel,
}

impl Calling {
    /// Builds and sends the INVITE.
    pub(super) fn start(core: &mut Core, now: Instant, owner: Owner, args: InviteArgs) -> Result<Self, CommandError> {
        let contact = OurContact {
            flow: None,
            presentation: args.presentation,
            // RFC 3261 section 8.1.1.8.
            secure: args.to.as_sip().is_some_and(|uri| uri.secure),
        };
        let mut from = NameAddr::new(args.from).with_tag(&core.dice.token());
        from.display = args.name;
        let mut request = Request::new(Method::Invite, args.to.clone());
        let headers = &mut request.headers;
        headers.push(Name::MaxForwards, MAX_FORWARDS);
        headers.push(Name::From, from);
        headers.push(Name::To, NameAddr::new(args.to));
        headers.push(Name::CallId, core.dice.token());
        headers.push(Name::CSeq, CSeq::new(core.dice.cseq(), Method::Invite));
        core.add_capabilities(headers);
        for (name, value) in args.headers {
            headers.push(name.as_str(), value);
        }
        request.set_body(&args.offer.content_type, args.offer.bytes.clone());
        let invite = core.send(now, Outgoing::outside(owner, request.clone(), contact.clone(), args.via)?)?;
        Ok(Self {
            invite,
            request,
            contact,
            credentials: args.credentials,
            signed: false,
            offer: args.offer,
            rings: false,
            cancel: Cancel::No,
        })
    }

    /// Tries once more with credentials, at the hop that asked for them; `false` if there are none that would help.
    fn answer_challenge(&mut self, core: &mut Core, now: Instant, owner: Owner, response: &Response, way: Way) -> bool {
        let Some(credentials) = &self.credentials else { return false };
        let Ok(mut session) = Session::new(response, credentials, &core.dice.token()) else {
            return false;
        };
        if std::mem::replace(&mut self.signed, true) && !session.is_stale() {
            return false;
        }
        if session.is_stale() {
            // Old nonces are worth one more try, not a loop.
            self.credentials = None;
        }
        let mut request = self.request.clone();
        let Ok(cseq) = request.headers.cseq() else { return false };
        request.headers.set(Name::CSeq, CSeq::new(cseq.number + 1, Method::Invite));
        self.request = request.clone();
        let uri = request.uri.to_string();
        for (name, value) in session.sign(&Method::Invite, &uri) {
            request.headers.push(name, value);
        }
        let again = Outgoing::outside(owner, request, self.contact.clone(), Some(way));
        match again.and_then(|again| core.send(now, again)) {
            Ok(invite) => {
                self.invite = invite;
                self.rings = false;
                true
            }
            Err(_) => false,
        }
    }
}

impl Call {
    /// Handles what became of our INVITE.
    pub(super) fn handle_invite_report(&mut self, core: &mut Core, now: Instant, report: Report) {
        let State::Calling(calling) = &mut self.state else { return };
        let cancelled = calling.cancel != Cancel::No;
        let asked_by = report.target.map(Way::To);
        match report.outcome {
            Ok((response, flow)) if response.status < 200 => {
                calling.rings = true;
                match calling.cancel {
                    Cancel::Wanted => self.cancel(core, now),
                    Cancel::No if response.status > 100 => self.handle_provisional(core, now, response, flow),
                    Cancel::No | Cancel::Sent => {}
                }
            }
            Ok((response, flow)) if response.status < 300 => self.handle_answer(core, now, &response, flow),
            Ok(_) if cancelled => self.end(core, now, EndCause::WeCancelled),
            Ok((response, _)) => {
                let owner = Owner::Call(self.id);
                let way = asked_by.filter(|_| matches!(response.status, 401 | 407));
                let again = way.is_some_and(|way| calling.answer_challenge(core, now, owner, &response, way));
                // What answered the first one answers the second anew.
                self.branches.clear();
                self.branches.leave(self.dialog.take());
                if !again {
                    self.end(core, now, EndCause::Refused { response });
                }
            }
            Err(_) if cancelled => self.end(core, now, EndCause::WeCancelled),
            Err(Failure::TimedOut) => self.end(core, now, EndCause::Unreachable("no answer")),
            Err(Failure::Unreachable) => self.end(core, now, EndCause::Unreachable("no connection")),
            Err(Failure::Unresolved) => self.end(core, now, EndCause::Unreachable("the name leads nowhere")),
        }
    }

    fn handle_answer(&mut self, core: &mut Core, now: Instant, response: &Response, flow: Flow) {
        let State::Calling(calling) = std::mem::replace(&mut self.state, State::Up) else {
            return;
        };
        self.timers.stop_all();
        let sent = core.clients.request(calling.invite);
        let dialog = sent.and_then(|sent| Dialog::as_uac(flow, sent, response, sent.headers.contact().ok()?).ok());
        let Some(dialog) = dialog else {
            // They took the call, but what they say of themselves can't be read: there is nobody to acknowledge it to.
            return self.end(core, now, EndCause::Unreachable("an answer that can't be read"));
        };
        self.way = Some(Target::Flow(flow));
        let early = self.settle_on(core, dialog);
        let cseq = response.headers.cseq().map_or(0, |cseq| cseq.number);
        self.acknowledge(core, calling.invite, cseq);
        if calling.cancel != Cancel::No {
            return self.bye(core, now, None, EndCause::WeCancelled);
        }
        self.local_sdp = Some(calling.offer);
        self.learn(&response.headers);
        self.take_session(now, response);
        let answer = body_of(&response.headers, &response.body).or(early);
        core.tell(Event::Answered {
            call: self.id,
            flow,
            answer,
            response: Box::new(response.clone()),
        });
    }

    /// Cancels our INVITE, as soon as that is allowed.
    pub(super) fn cancel(&mut self, core: &mut Core, now: Instant) {
        let State::Calling(calling) = &mut self.state else { return };
        if !calling.rings {
            calling.cancel = Cancel::Wanted;
            if core.clients.withdraw(now, calling.invite) {
                self.end(core, now, EndCause::WeCancelled);
            }
        } else if calling.cancel != Cancel::Sent {
            calling.cancel = Cancel::Sent;
            core.clients.cancel(now, &mut core.wire, calling.invite);
            self.timers.set(CallTimer::CancelLimit, now + GIVE_UP);
        }
    }

    /// RFC 3261 section 9.1: 64*T1 after the CANCEL the INVITE counts as cancelled, whatever the peer does.
    pub(super) fn give_up_cancelled(&mut self, core: &mut Core, now: Instant) {
        if let State::Calling(calling) = &self.state {
            core.clients.abandon(calling.invite);
            self.end(core, now, EndCause::WeCancelled);
        }
    }
}

/// Gets rid of a 2xx that nobody wants (any more): a second branch of a forked INVITE, or one whose call is over. ACK, then BYE (rule R41).
pub(super) fn dismiss(core: &mut Core, now: Instant, invite: ClientId, response: &Response, flow: Flow) {
    let Some(sent) = core.clients.request(invite) else { return };
    let Ok(contact) = sent.headers.contact() else { return };
    let Ok(cseq) = sent.headers.cseq() else { return };
    let Ok(mut dialog) = Dialog::as_uac(flow, sent, response, contact) else {
        return;
    };
    let Ok(way) = dialog.way(&core.clients.ways) else { return };
    let local = Some(dialog.local_address);
    // A re-INVITE is answered late: its BYE has gone already.
    let inside = sent.headers.to().is_ok_and(|to| to.tag().is_some());
    let ack = dialog.ack(cseq.number);
    let acked = core
        .clients
        .acknowledge(&mut core.wire, &mut core.dice, invite, ack, (way.clone(), local));
    if acked.is_ok() && !inside {
        dialog.skip(MAX_PRACKS);
        let bye = dialog.request(Method::Bye);
        // If it can't be sent, the peer's session timer has to end what we never wanted.
        let _ = core.send(
            now,
            Outgoing {
                owner: Owner::Nobody,
                dialog: None,
                request: bye,
                contact: None,
                way,
                local,
            },
        );
    }
}
