//! All client transactions: requests of ours that peers answer.

use std::{collections::BTreeMap, time::Instant};

use super::{
    ClientId, Owner, Wire,
    client_invite::{ClientInvite, Due, Heard},
    client_other::ClientOther,
    dice::Dice,
    key::MAGIC,
    timer::Deadlines,
    ways::{Chosen, Unsendable, Ways},
};
use crate::sip::{
    endpoint::{Flow, Listener, Target, Transport},
    msg::{CSeq, Method, Name, Request, Response},
};

/// Branches of one forked INVITE whose 2xx we acknowledge: more are an attack.
const MAX_FORKS: usize = 8;
/// Why no response came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Nobody answered in time.
    TimedOut,
    /// It could not be delivered.
    Unreachable,
}

/// What became of a request of ours.
#[derive(Debug)]
pub(crate) struct Report {
    /// Which.
    pub(crate) client: ClientId,
    /// Whose.
    pub(crate) owner: Owner,
    /// A response, not seen before, and the way it came; or why there is none.
    pub(crate) outcome: Result<(Box<Response>, Flow), Failure>,
}

#[derive(Debug)]
enum Machine {
    Invite(ClientInvite),
    Other(ClientOther),
}

/// An ACK that may have to be sent again.
#[derive(Debug)]
struct Ack {
    to_tag: Option<String>,
    target: Target,
    bytes: Vec<u8>,
}

#[derive(Debug)]
struct Client {
    machine: Machine,
    owner: Owner,
    request: Box<Request>,
    key: (String, Method),
    target: Target,
    /// Where to go if there is no connection: back to UDP (rule R42).
    fallback: Option<Target>,
    acks: Vec<Ack>,
}

impl Client {
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

    fn stop(&mut self) {
        match &mut self.machine {
            Machine::Invite(machine) => machine.stop(),
            Machine::Other(machine) => machine.stop(),
        }
    }

    fn restart(&mut self, now: Instant, reliable: bool) {
        match &mut self.machine {
            Machine::Invite(machine) => machine.restart(now, reliable),
            Machine::Other(machine) => machine.restart(now, reliable),
        }
    }

    fn send(&self, wire: &mut Wire) {
        wire.send(self.target.clone(), self.request.to_bytes());
    }

    fn send_ack(&self, wire: &mut Wire, to_tag: Option<&str>) -> bool {
        let ack = self.acks.iter().find(|ack| ack.to_tag.as_deref() == to_tag);
        if let Some(ack) = ack {
            wire.send(ack.target.clone(), ack.bytes.clone());
        }
        ack.is_some()
    }

    /// The ACK for a refusal, which belongs to the transaction (RFC 3261 section 17.1.1.3).
    fn ack_for_refusal(&self, response: &Response) -> Ack {
        let mut request = self.follow_up(Method::Ack);
        request.headers.remove(Name::To);
        request.headers.copy(Name::To, &response.headers);
        Ack {
            to_tag: None,
            target: self.target.clone(),
            bytes: request.to_bytes(),
        }
    }

    /// An ACK or CANCEL: same URI, topmost Via, Route, From, To, Call-ID and CSeq number (RFC 3261 sections 9.1, 17.1.1.3).
    fn follow_up(&self, method: Method) -> Request {
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

/// All client transactions.
#[derive(Debug)]
pub(crate) struct Clients {
    /// Which way requests go.
    pub(crate) ways: Ways,
    next: u64,
    all: BTreeMap<ClientId, Client>,
    by_key: BTreeMap<(String, String), ClientId>,
    deadlines: Deadlines<ClientId>,
}

impl Clients {
    pub(crate) fn new(listeners: Vec<Listener>) -> Self {
        Self {
            ways: Ways::new(listeners),
            next: 0,
            all: BTreeMap::new(),
            by_key: BTreeMap::new(),
            deadlines: Deadlines::default(),
        }
    }

    /// Sends a request that has all headers but `Via`.
    pub(crate) fn send(&mut self, now: Instant, wire: &mut Wire, dice: &mut Dice, outgoing: Outgoing) -> Result<ClientId, Unsendable> {
        let Outgoing {
            owner,
            mut request,
            target,
        } = outgoing;
        let asked = target.transport();
        let branch = format!("{MAGIC}{}", dice.token());
        let Chosen { target, fallback } = self.ways.choose(now, &mut request, target, &branch)?;
        wire.counters.moved_to_tcp += u64::from(target.transport() != asked);
        let reliable = target.transport().is_reliable();
        let machine = if request.method == Method::Invite {
            Machine::Invite(ClientInvite::new(now, reliable))
        } else {
            Machine::Other(ClientOther::new(now, reliable))
        };
        let key = (branch, request.method.clone());
        let client = Client {
            machine,
            owner,
            request: Box::new(request),
            key,
            target,
            fallback,
            acks: Vec::new(),
        };
        client.send(wire);
        Ok(self.insert(client))
    }

    fn insert(&mut self, client: Client) -> ClientId {
        let id = ClientId(self.next);
        self.next += 1;
        self.by_key.insert((client.key.0.clone(), client.key.1.as_str().to_owned()), id);
        self.deadlines.set(id, client.poll_timeout().map(|(at, _)| at));
        self.all.insert(id, client);
        id
    }

    /// Cancels an INVITE that was answered provisionally (rule R41); nothing happens to one that is through.
    pub(crate) fn cancel(&mut self, now: Instant, wire: &mut Wire, invite: ClientId) {
        let Some(client) = self.all.get(&invite).filter(|c| c.is_open()) else {
            return;
        };
        let request = client.follow_up(Method::Cancel);
        let reliable = client.target.transport().is_reliable();
        let cancel = Client {
            machine: Machine::Other(ClientOther::new(now, reliable)),
            owner: Owner::Nobody,
            request: Box::new(request),
            key: (client.key.0.clone(), Method::Cancel),
            target: client.target.clone(),
            fallback: None,
            acks: Vec::new(),
        };
        cancel.send(wire);
        self.insert(cancel);
    }

    /// Sends the ACK for a 2xx, and again whenever that 2xx comes again. The request has all headers but `Via`.
    pub(crate) fn acknowledge(
        &mut self,
        wire: &mut Wire,
        dice: &mut Dice,
        invite: ClientId,
        mut request: Request,
        target: Target,
    ) -> Result<(), Unsendable> {
        let branch = format!("{MAGIC}{}", dice.token());
        self.ways.name(&mut request.headers, &target, &branch)?;
        let to_tag = request.headers.to().ok().and_then(|to| to.tag().map(str::to_owned));
        let ack = Ack {
            to_tag,
            target,
            bytes: request.to_bytes(),
        };
        wire.send(ack.target.clone(), ack.bytes.clone());
        if let Some(client) = self.all.get_mut(&invite) {
            client.acks.push(ack);
        }
        Ok(())
    }

    /// The request as it was sent, as long as the transaction lives.
    pub(crate) fn request(&self, client: ClientId) -> Option<&Request> {
        self.all.get(&client).map(|c| &*c.request)
    }

    /// Ends a transaction whose response nobody waits for any more.
    pub(crate) fn abandon(&mut self, client: ClientId) {
        if let Some(client) = self.all.get_mut(&client) {
            client.stop();
        }
        self.settle(client);
    }

    /// Takes a response.
    pub(crate) fn handle_response(&mut self, now: Instant, wire: &mut Wire, flow: Flow, response: Response) -> Option<Report> {
        let found = self.find(&response);
        let Some((id, client)) = found.and_then(|id| Some((id, self.all.get_mut(&id)?))) else {
            wire.counters.stray_responses += 1;
            return None;
        };
        let to_tag = response.headers.to().ok().and_then(|to| to.tag().map(str::to_owned));
        let told = match &mut client.machine {
            Machine::Other(machine) => machine.handle_response(now, response.status),
            Machine::Invite(machine) => match machine.handle_response(now, response.status) {
                // A 2xx of a branch that we know is one that has missed our ACK.
                Heard::Up if response.status >= 200 => !client.send_ack(wire, to_tag.as_deref()) && client.acks.len() < MAX_FORKS,
                Heard::Up => true,
                Heard::UpAndAck => {
                    let ack = client.ack_for_refusal(&response);
                    client.acks = vec![ack];
                    client.send_ack(wire, None);
                    true
                }
                Heard::AckAgain => {
                    client.send_ack(wire, None);
                    false
                }
                Heard::Absorbed => false,
            },
        };
        client.fallback = None;
        let owner = client.owner;
        self.settle(id);
        told.then(|| Report {
            client: id,
            owner,
            outcome: Ok((Box::new(response), flow)),
        })
    }

    fn find(&self, response: &Response) -> Option<ClientId> {
        // More than one Via: not for us (RFC 3261 section 8.1.3.3).
        let vias = response.headers.vias().ok()?;
        let [via] = vias.as_slice() else { return None };
        let cseq = response.headers.cseq().ok()?;
        self.by_key
            .get(&(via.branch()?.to_owned(), cseq.method.as_str().to_owned()))
            .copied()
    }

    /// A connection is gone: what waits for a response on it waits in vain.
    pub(crate) fn handle_flow_lost(&mut self, wire: &mut Wire, flow: Flow) -> Vec<Report> {
        let over_it = |target: &Target| match target {
            Target::Flow(used) => *used == flow,
            Target::Connect { transport, remote, .. } => *transport == flow.transport && *remote == flow.remote,
        };
        let lost: Vec<ClientId> = self
            .all
            .iter()
            .filter(|(_, c)| c.is_open() && over_it(&c.target))
            .map(|(id, _)| *id)
            .collect();
        lost.into_iter().filter_map(|id| self.fail(wire, id)).collect()
    }

    /// Nobody listens there: back to UDP where that is possible (rule R42).
    pub(crate) fn handle_unreachable(&mut self, now: Instant, wire: &mut Wire, target: Target) -> Vec<Report> {
        if target.transport() == Transport::Tcp {
            self.ways.remember_without_tcp(now, target.remote());
        }
        let hit: Vec<ClientId> = self
            .all
            .iter()
            .filter(|(_, c)| c.is_open() && c.target == target)
            .map(|(id, _)| *id)
            .collect();
        hit.into_iter()
            .filter_map(|id| if self.come_back(now, wire, id) { None } else { self.fail(wire, id) })
            .collect()
    }

    fn come_back(&mut self, now: Instant, wire: &mut Wire, id: ClientId) -> bool {
        let Some(client) = self.all.get_mut(&id) else { return false };
        let Some(fallback) = client.fallback.take() else { return false };
        let mut headers = std::mem::take(&mut client.request.headers);
        headers.remove(Name::Via);
        let branch = client.key.0.clone();
        let named = self.ways.name(&mut headers, &fallback, &branch).is_ok();
        let Some(client) = self.all.get_mut(&id).filter(|_| named) else {
            return false;
        };
        client.request.headers = headers;
        client.restart(now, fallback.transport().is_reliable());
        client.target = fallback;
        client.send(wire);
        wire.counters.back_to_udp += 1;
        self.settle(id);
        true
    }

    fn fail(&mut self, wire: &mut Wire, id: ClientId) -> Option<Report> {
        let client = self.all.get_mut(&id)?;
        client.stop();
        let owner = client.owner;
        wire.counters.unsendable += 1;
        self.settle(id);
        Some(Report {
            client: id,
            owner,
            outcome: Err(Failure::Unreachable),
        })
    }

    /// Fires one timer; to be called until there is nothing more.
    pub(crate) fn handle_timeout(&mut self, now: Instant, wire: &mut Wire) -> Option<Report> {
        while let Some(id) = self.deadlines.due(now) {
            let mut timed_out = None;
            if let Some(client) = self.all.get_mut(&id) {
                let due = match &mut client.machine {
                    Machine::Invite(machine) => machine.handle_timeout(now),
                    Machine::Other(machine) => machine.handle_timeout(now),
                };
                match due {
                    Some(Due::Resend) => client.send(wire),
                    Some(Due::TimedOut) => timed_out = Some(client.owner),
                    Some(Due::Nothing) | None => {}
                }
            }
            self.settle(id);
            if let Some(owner) = timed_out {
                wire.counters.timed_out += 1;
                return Some(Report {
                    client: id,
                    owner,
                    outcome: Err(Failure::TimedOut),
                });
            }
        }
        None
    }

    pub(crate) fn poll_timeout(&self) -> Option<(Instant, &'static str)> {
        let (at, id) = self.deadlines.first()?;
        let reason = self
            .all
            .get(&id)
            .and_then(Client::poll_timeout)
            .map_or("client transaction", |(_, reason)| reason);
        Some((at, reason))
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// Notes the next deadline, or forgets what is over.
    fn settle(&mut self, id: ClientId) {
        let next = self.all.get(&id).and_then(Client::poll_timeout);
        self.deadlines.set(id, next.map(|(at, _)| at));
        if self.all.get(&id).is_some_and(Client::is_over)
            && let Some(client) = self.all.remove(&id)
        {
            self.by_key.remove(&(client.key.0, client.key.1.as_str().to_owned()));
        }
    }
}

/// A request to be sent: it has all headers but `Via`.
#[derive(Debug)]
pub(crate) struct Outgoing {
    /// Who is told of the response.
    pub(crate) owner: Owner,
    /// The request.
    pub(crate) request: Request,
    /// Where it goes.
    pub(crate) target: Target,
}
