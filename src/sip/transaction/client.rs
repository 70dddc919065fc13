//! One request of ours: its state machine, where it is now, and where it may still go.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    time::{Duration, Instant},
};

use super::{
    Owner, Wire,
    client_invite::{ClientInvite, Due},
    client_other::ClientOther,
    clients::Outcome,
    timer::GIVE_UP,
};
use crate::sip::{
    dialog::DialogNo,
    endpoint::{Presentation, Target},
    locate::Question,
    msg::{CSeq, Method, Name, Request, Response},
};

#[derive(Debug)]
pub(super) enum Machine {
    /// Nothing is sent yet: it isn't known where to.
    Lookup(Instant),
    Invite(ClientInvite),
    Other(ClientOther),
    Over,
}

/// What has become of a request that may have gone to several hops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is the one that its owner waits for.
    Present,
    /// It was left at a hop for another one: should somebody ring there after all, that is cancelled (rule R41).
    LeftBehind,
    /// Likewise, and it is cancelled.
    Cancelled,
}

/// An ACK that may have to be sent again.
#[derive(Debug)]
pub(super) struct Ack {
    pub(super) to_tag: Option<String>,
    /// None yet: it waits for a lookup.
    pub(super) target: Option<Target>,
    pub(super) request: Request,
}

impl Ack {
    pub(super) fn send(&self, wire: &mut Wire) {
        if let Some(target) = &self.target {
            wire.send(target.clone(), self.request.to_bytes());
        }
    }
}

/// Where a request may still go.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    /// The hops after the present one, in their order.
    pub(super) hops: VecDeque<Target>,
    /// What is looked up when there is none any more.
    pub(super) question: Option<Question>,
    /// Those that were tried.
    pub(super) tried: Vec<Target>,
}

impl Ahead {
    pub(super) fn is_empty(&self) -> bool {
        self.hops.is_empty() && self.question.is_none()
    }
}

/// What a request says of us, which depends on the way that it takes.
#[derive(Debug, Clone)]
pub(crate) struct OurContact {
    pub(crate) presentation: Presentation,
    /// As a `sips` URI where the way is protected.
    pub(crate) secure: bool,
    /// In a REGISTER: which flow of whose it is.
    pub(crate) flow: Option<FlowName>,
}

/// What tells a registrar that a registration replaces ours of before, wherever it comes from (RFC 5626 section 4.2).
#[derive(Debug, Clone)]
pub(crate) struct FlowName {
    /// Who we are over all restarts: a URN.
    pub(crate) instance: String,
}

#[derive(Debug)]
pub(super) struct Client {
    pub(super) machine: Machine,
    pub(super) owner: Owner,
    pub(super) dialog: Option<DialogNo>,
    pub(super) request: Box<Request>,
    pub(super) contact: Option<OurContact>,
    /// Our listening address to be preferred.
    pub(super) local: Option<SocketAddr>,
    pub(super) key: (String, Method),
    /// None: it isn't known yet.
    pub(super) target: Option<Target>,
    /// Where to go if there is no connection: back to UDP (rule R42).
    pub(super) fallback: Option<Target>,
    pub(super) ahead: Ahead,
    /// How the last hop failed: what its owner is told if there is none after it.
    pub(super) failed: Option<Outcome>,
    pub(super) standing: Standing,
    pub(super) acks: Vec<Ack>,
}

impl Client {
    pub(super) fn poll_timeout(&self) -> Option<(Instant, &'static str)> {
        match &self.machine {
            Machine::Lookup(until) => Some((*until, "client: lookup")),
            Machine::Invite(machine) => machine.poll_timeout(),
            Machine::Other(machine) => machine.poll_timeout(),
            Machine::Over => None,
        }
    }

    pub(super) fn is_over(&self) -> bool {
        match &self.machine {
            Machine::Lookup(_) => false,
            Machine::Invite(machine) => machine.is_over(),
            Machine::Other(machine) => machine.is_over(),
            Machine::Over => true,
        }
    }

    pub(super) fn is_open(&self) -> bool {
        match &self.machine {
            Machine::Lookup(_) => true,
            Machine::Invite(machine) => machine.is_open(),
            Machine::Other(machine) => machine.is_open(),
            Machine::Over => false,
        }
    }

    /// Whether anybody has answered at the present hop, be it provisionally.
    pub(super) fn was_heard(&self) -> bool {
        match &self.machine {
            Machine::Lookup(_) => false,
            Machine::Invite(machine) => machine.was_heard(),
            Machine::Other(machine) => machine.was_heard(),
            Machine::Over => true,
        }
    }

    pub(super) fn stop(&mut self) {
        self.machine = Machine::Over;
    }

    /// Begins at the present target; with further hops ahead it has only so long for a first word.
    pub(super) fn start(&mut self, now: Instant, limit: Duration) {
        let reliable = self.target.as_ref().is_some_and(|t| t.transport().is_reliable());
        let limit = if self.ahead.hops.is_empty() { GIVE_UP } else { limit.min(GIVE_UP) };
        self.machine = if self.request.method == Method::Invite {
            Machine::Invite(ClientInvite::new(now, reliable, limit))
        } else {
            Machine::Other(ClientOther::new(now, reliable, limit))
        };
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) -> Option<Due> {
        match &mut self.machine {
            Machine::Lookup(until) => (*until <= now).then_some(Due::TimedOut { heard: false }),
            Machine::Invite(machine) => machine.handle_timeout(now),
            Machine::Other(machine) => machine.handle_timeout(now),
            Machine::Over => None,
        }
    }

    pub(super) fn send(&self, wire: &mut Wire) {
        if let Some(target) = &self.target {
            wire.send(target.clone(), self.request.to_bytes());
        }
    }

    /// Sends the ACK for this branch, if there is one (which may still wait for its way).
    pub(super) fn send_ack(&self, wire: &mut Wire, to_tag: Option<&str>) -> bool {
        let ack = self.acks.iter().find(|ack| ack.to_tag.as_deref() == to_tag);
        if let Some(ack) = ack {
            ack.send(wire);
        }
        ack.is_some()
    }

    /// The ACK for a refusal, which belongs to the transaction (RFC 3261 section 17.1.1.3).
    pub(super) fn ack_for_refusal(&self, response: &Response) -> Ack {
        let mut request = self.follow_up(Method::Ack);
        request.headers.remove(Name::To);
        request.headers.copy(Name::To, &response.headers);
        Ack {
            to_tag: None,
            target: self.target.clone(),
            request,
        }
    }

    /// An ACK or CANCEL: same URI, topmost Via, Route, From, To, Call-ID and CSeq number (RFC 3261 sections 9.1, 17.1.1.3).
    pub(super) fn follow_up(&self, method: Method) -> Request {
        let invite = &self.request.headers;
        let mut request = Request::new(method.clone(), self.request.uri.clone());
        for name in [Name::Via, Name::MaxForwards, Name::Route, Name::From, Name::To, Name::CallId] {
            request.headers.copy(name, invite);
        }
        let number = invite.cseq().map_or(0, |cseq| cseq.number);
        request.headers.push(Name::CSeq, CSeq::new(number, method));
        request
    }
}
