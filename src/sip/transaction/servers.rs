//! All server transactions: requests of peers that we answer.

use std::{collections::BTreeMap, net::IpAddr, time::Instant};

use super::{
    ServerId, Wire,
    key::Seen,
    server_invite::{Due, ServerInvite},
    server_other::ServerOther,
    sources::Kind,
    timer::Deadlines,
};
use crate::sip::{
    endpoint::{Body, Flow, Rejection, Target},
    msg::{Headers, Method, Name, Request, Response, reason_phrase},
};

/// What we answer; `Via`, `From`, `To`, `Call-ID` and `CSeq` come from the request.
#[derive(Debug)]
pub(crate) struct Reply {
    /// 100 to 699.
    pub(crate) status: u16,
    /// Empty: the usual phrase.
    pub(crate) reason: String,
    /// All further header fields.
    pub(crate) headers: Headers,
    /// The body.
    pub(crate) body: Option<Body>,
}

impl Reply {
    pub(crate) fn new(status: u16) -> Self {
        Self {
            status,
            reason: String::new(),
            headers: Headers::new(),
            body: None,
        }
    }

    pub(crate) fn with(mut self, name: Name, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push(name, value);
        self
    }

    pub(crate) fn because(mut self, reason: &str) -> Self {
        reason.clone_into(&mut self.reason);
        self
    }
}

impl From<Rejection> for Reply {
    fn from(rejection: Rejection) -> Self {
        let mut reply = Self::new(rejection.status.clamp(300, 699)).because(&rejection.reason);
        for (name, value) in rejection.headers {
            reply.headers.push(name.as_str(), value);
        }
        reply
    }
}

/// What is known of a request that has just come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    /// Nothing: it is new.
    New,
    /// It came before, and is dealt with.
    Repeated,
    /// It is an ACK for a 2xx, for the call to handle.
    AckForCall,
}

#[derive(Debug)]
enum Machine {
    Invite(ServerInvite),
    Other(ServerOther),
}

#[derive(Debug)]
struct Server {
    machine: Machine,
    target: Target,
    fallback: Option<Target>,
    source: IpAddr,
    /// Outside of any dialog and without credentials, or with: how a refusal of it is judged (rule R48).
    initial: bool,
    credentials: bool,
    /// It holds a place among the callers who were asked to prove who they are.
    unproven: bool,
    /// What responses start from; dropped with the final one.
    template: Option<Box<Response>>,
    record_route: Headers,
    last: Option<Vec<u8>>,
    key: String,
    merge_key: Option<String>,
}

impl Server {
    fn poll_timeout(&self) -> Option<(Instant, &'static str)> {
        match &self.machine {
            Machine::Invite(machine) => machine.poll_timeout(),
            Machine::Other(machine) => machine.poll_timeout(),
        }
    }

    fn is_over(&self) -> bool {
        match &self.machine {
            Machine::Invite(machine) => machine.is_over(),
            Machine::Other(machine) => machine.is_over(),
        }
    }

    fn is_open(&self) -> bool {
        match &self.machine {
            Machine::Invite(machine) => machine.is_open(),
            Machine::Other(machine) => machine.is_open(),
        }
    }

    fn send_last(&self, wire: &mut Wire) {
        if let Some(bytes) = &self.last {
            wire.send(self.target.clone(), bytes.clone());
        }
    }

    fn respond(&mut self, now: Instant, wire: &mut Wire, reply: Reply) -> bool {
        let heard = match &mut self.machine {
            Machine::Invite(machine) => machine.respond(now, reply.status),
            Machine::Other(machine) => machine.respond(now),
        };
        let Some(template) = self.template.as_deref().filter(|_| heard) else {
            return false;
        };
        let bytes = self.write(template, reply);
        wire.send(self.target.clone(), bytes.clone());
        self.last = Some(bytes);
        if !self.is_open() {
            self.template = None;
        }
        true
    }

    fn write(&self, template: &Response, reply: Reply) -> Vec<u8> {
        let status = reply.status;
        let mut response = template.clone();
        response.status = status;
        response.reason = if reply.reason.is_empty() {
            reason_phrase(status).to_owned()
        } else {
            reply.reason
        };
        if status != 100 {
            response.headers.remove(Name::Timestamp);
        }
        // RFC 3261 section 12.1.1: in every response that makes a dialog.
        if (101..300).contains(&status) {
            response.headers.copy(Name::RecordRoute, &self.record_route);
        }
        for (name, value) in reply.headers.iter() {
            response.headers.push(name.clone(), value);
        }
        if let Some(body) = reply.body {
            response.set_body(&body.content_type, body.bytes);
        }
        response.to_bytes()
    }

    /// Whether answering so asks somebody for credentials who had shown none.
    fn is_asked_for_proof(&self, status: u16) -> bool {
        self.initial && !self.credentials && matches!(status, 401 | 407)
    }

    /// Whether answering so counts against the source (rule R48): not a first 401 or 407, which every honest caller gets, nor what says that we
    /// or the callee are busy.
    fn counts_as_refusal(&self, status: u16) -> bool {
        self.initial
            && status >= 300
            && (self.credentials || !matches!(status, 401 | 407))
            && !matches!(status, 480 | 486 | 487 | 500 | 503)
    }
}

/// Whether somebody tries to prove who they are.
pub(crate) fn shows_credentials(request: &Request) -> bool {
    request.headers.has(Name::Authorization) || request.headers.has(Name::ProxyAuthorization)
}

/// All server transactions.
#[derive(Debug, Default)]
pub(crate) struct Servers {
    next: u64,
    all: BTreeMap<ServerId, Server>,
    by_key: BTreeMap<String, ServerId>,
    by_merge_key: BTreeMap<String, ServerId>,
    deadlines: Deadlines<ServerId>,
}

impl Servers {
    /// Handles what belongs to a transaction that there is.
    pub(crate) fn handle_request(&mut self, now: Instant, wire: &mut Wire, seen: &Seen, method: &Method) -> Known {
        let Some(id) = self.by_key.get(&seen.key(method)).copied() else {
            return Known::New;
        };
        let Some(server) = self.all.get_mut(&id) else { return Known::New };
        let known = match (&mut server.machine, method) {
            (Machine::Invite(machine), Method::Ack) => {
                if machine.handle_ack(now) {
                    Known::AckForCall
                } else {
                    Known::Repeated
                }
            }
            (Machine::Invite(machine), _) => {
                if machine.handle_repeat() {
                    server.send_last(wire);
                }
                Known::Repeated
            }
            (Machine::Other(machine), _) => {
                if machine.handle_repeat() {
                    server.send_last(wire);
                }
                Known::Repeated
            }
        };
        if known == Known::Repeated {
            wire.counters.repeated += 1;
        }
        self.settle(wire, id);
        known
    }

    /// Starts a transaction; the source's slot was taken by the caller. `tag` is the `To` tag of our responses, if the request has none.
    pub(crate) fn begin(&mut self, now: Instant, seen: &Seen, request: &Request, tag: &str) -> ServerId {
        let reliable = seen.flow.transport.is_reliable();
        let machine = if request.method == Method::Invite {
            Machine::Invite(ServerInvite::new(now, reliable))
        } else {
            Machine::Other(ServerOther::new(now, reliable))
        };
        let mut template = Response::to_request(request, 100);
        if seen.to_tag.is_none()
            && let Ok(to) = request.headers.to()
        {
            template.headers.set(Name::To, to.with_tag(tag));
        }
        let mut record_route = Headers::new();
        record_route.copy(Name::RecordRoute, &request.headers);
        let id = ServerId(self.next);
        self.next += 1;
        let key = seen.key(&request.method);
        let merge_key = seen.merge_key(&request.method).filter(|k| !self.by_merge_key.contains_key(k));
        self.by_key.insert(key.clone(), id);
        if let Some(merge_key) = &merge_key {
            self.by_merge_key.insert(merge_key.clone(), id);
        }
        let server = Server {
            machine,
            target: seen.response_target(),
            fallback: seen.response_fallback(),
            source: seen.flow.remote.ip(),
            initial: seen.to_tag.is_none(),
            credentials: shows_credentials(request),
            unproven: false,
            template: Some(Box::new(template)),
            record_route,
            last: None,
            key,
            merge_key,
        };
        self.deadlines.set(id, server.poll_timeout().map(|(at, _)| at));
        self.all.insert(id, server);
        id
    }

    /// Whether the same request came over another way and is being dealt with (RFC 3261 section 8.2.2.2).
    pub(crate) fn is_merged(&self, seen: &Seen, method: &Method) -> bool {
        seen.merge_key(method).is_some_and(|key| self.by_merge_key.contains_key(&key))
    }

    /// Answers; `false` if that comes too late.
    pub(crate) fn respond(&mut self, now: Instant, wire: &mut Wire, id: ServerId, reply: Reply) -> bool {
        let Some(server) = self.all.get_mut(&id) else { return false };
        let status = reply.status;
        let sent = server.respond(now, wire, reply);
        if sent && server.counts_as_refusal(status) {
            wire.sources.refused(now, server.source);
        }
        if sent && server.is_asked_for_proof(status) && !server.unproven {
            server.unproven = wire.sources.take(Kind::Unproven, server.source);
        }
        self.settle(wire, id);
        sent
    }

    /// Sends the last response once more: a 2xx that nobody has acknowledged.
    pub(crate) fn send_again(&self, wire: &mut Wire, id: ServerId) {
        if let Some(server) = self.all.get(&id) {
            server.send_last(wire);
        }
    }

    /// Where the responses of a transaction go.
    pub(crate) fn target(&self, id: ServerId) -> Option<Target> {
        self.all.get(&id).map(|server| server.target.clone())
    }

    /// The INVITE that a CANCEL is for, and whether it can still be cancelled.
    pub(crate) fn find_cancelled(&self, seen: &Seen) -> Option<(ServerId, bool)> {
        let id = self.by_key.get(&seen.key(&Method::Invite))?;
        self.all.get(id).map(|server| (*id, server.is_open()))
    }

    /// A connection is gone: responses that were to go over it find another way.
    pub(crate) fn handle_flow_lost(&mut self, flow: Flow) {
        for server in self.all.values_mut().filter(|s| s.target == Target::Flow(flow)) {
            if let Some(fallback) = server.fallback.take() {
                server.target = fallback;
            }
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant, wire: &mut Wire) {
        while let Some(id) = self.deadlines.due(now) {
            if let Some(server) = self.all.get_mut(&id) {
                match &mut server.machine {
                    Machine::Invite(machine) => match machine.handle_timeout(now) {
                        Some(Due::Trying) => {
                            server.respond(now, wire, Reply::new(100));
                        }
                        Some(Due::Resend) => server.send_last(wire),
                        Some(Due::Nothing) | None => {}
                    },
                    Machine::Other(machine) => {
                        wire.counters.unanswered += u64::from(machine.is_open());
                        machine.handle_timeout(now);
                    }
                }
            }
            self.settle(wire, id);
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<(Instant, &'static str)> {
        let (at, id) = self.deadlines.first()?;
        let reason = self
            .all
            .get(&id)
            .and_then(Server::poll_timeout)
            .map_or("server transaction", |(_, reason)| reason);
        Some((at, reason))
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// Notes the next deadline, or forgets what is over.
    fn settle(&mut self, wire: &mut Wire, id: ServerId) {
        let next = self.all.get(&id).and_then(|s| s.poll_timeout());
        self.deadlines.set(id, next.map(|(at, _)| at));
        if !self.all.get(&id).is_some_and(Server::is_over) {
            return;
        }
        if let Some(server) = self.all.remove(&id) {
            self.by_key.remove(&server.key);
            if let Some(key) = &server.merge_key {
                self.by_merge_key.remove(key);
            }
            wire.sources.give_back(Kind::Transaction, server.source);
            if server.unproven {
                wire.sources.give_back(Kind::Unproven, server.source);
            }
        }
    }
}
