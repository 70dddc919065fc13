//! All client transactions: requests of ours that peers answer.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    time::{Duration, Instant},
};

use super::{
    ClientId, Owner, Wire,
    client::{Ack, Ahead, Client, Machine, OurContact, Standing},
    client_invite::{Due, Heard},
    client_other::ClientOther,
    dice::Dice,
    health::Health,
    lookups::{Lookups, Waiting},
    timer::{Deadlines, GIVE_UP},
    ways::{Unsendable, Ways},
};
use crate::sip::{
    dialog::DialogNo,
    endpoint::{EndpointConfig, Flow, Target},
    locate::{Lookup, Way},
    msg::{Method, Request, Response},
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
    /// It isn't known where to deliver it: the name leads nowhere.
    Unresolved,
}

/// A response, not seen before, and the way it came; or why there is none.
pub(crate) type Outcome = Result<(Box<Response>, Flow), Failure>;

/// What became of a request of ours.
#[derive(Debug)]
pub(crate) struct Report {
    /// Which.
    pub(crate) client: ClientId,
    /// Whose.
    pub(crate) owner: Owner,
    /// Inside which dialog it was sent.
    pub(crate) dialog: Option<DialogNo>,
    /// Where it was when that happened.
    pub(crate) target: Option<Target>,
    /// What.
    pub(crate) outcome: Outcome,
}

/// All client transactions.
#[derive(Debug)]
pub(crate) struct Clients {
    /// Which way requests go.
    pub(crate) ways: Ways,
    pub(super) lookups: Lookups,
    /// Which hops failed lately.
    pub(super) health: Health,
    /// How long a hop may say nothing when there is another.
    pub(super) hop_limit: Duration,
    pub(super) next: u64,
    pub(super) all: BTreeMap<ClientId, Client>,
    pub(super) by_key: BTreeMap<(String, String), ClientId>,
    deadlines: Deadlines<ClientId>,
}

impl Clients {
    pub(crate) fn new(config: &EndpointConfig) -> Self {
        Self {
            ways: Ways::new(config.listeners.clone()),
            lookups: Lookups::default(),
            health: Health::default(),
            hop_limit: config.hop_limit,
            next: 0,
            all: BTreeMap::new(),
            by_key: BTreeMap::new(),
            deadlines: Deadlines::default(),
        }
    }

    /// Sends a request that has all headers but `Via`, now or as soon as it is known where to.
    pub(crate) fn send(&mut self, now: Instant, wire: &mut Wire, dice: &mut Dice, outgoing: Outgoing) -> Result<ClientId, Unsendable> {
        let Outgoing {
            owner,
            dialog,
            request,
            contact,
            way,
            local,
        } = outgoing;
        let ahead = self.ways.ahead(way, local)?;
        let client = Client {
            machine: Machine::Over,
            owner,
            dialog,
            key: (String::new(), request.method.clone()),
            request: Box::new(request),
            contact,
            local,
            target: None,
            fallback: None,
            ahead,
            failed: None,
            standing: Standing::Present,
            acks: Vec::new(),
        };
        let id = self.next_id();
        self.all.insert(id, client);
        let gone = self.go_on(now, wire, dice, id);
        self.settle(id);
        gone.map(|()| id)
    }

    pub(super) fn next_id(&mut self) -> ClientId {
        let id = ClientId(self.next);
        self.next += 1;
        id
    }

    /// Cancels an INVITE that was answered provisionally (rule R41); nothing happens to one that is through.
    pub(crate) fn cancel(&mut self, now: Instant, wire: &mut Wire, invite: ClientId) {
        let Some(client) = self.all.get(&invite).filter(|c| c.is_open()) else {
            return;
        };
        let Some(target) = client.target.clone() else { return };
        let cancel = Client {
            machine: Machine::Other(ClientOther::new(now, target.transport().is_reliable(), GIVE_UP)),
            owner: Owner::Nobody,
            dialog: None,
            request: Box::new(client.follow_up(Method::Cancel)),
            contact: None,
            local: None,
            key: (client.key.0.clone(), Method::Cancel),
            target: Some(target),
            fallback: None,
            ahead: Ahead::default(),
            failed: None,
            standing: Standing::Present,
            acks: Vec::new(),
        };
        cancel.send(wire);
        let id = self.next_id();
        self.by_key.insert((cancel.key.0.clone(), cancel.key.1.as_str().to_owned()), id);
        self.all.insert(id, cancel);
        self.settle(id);
    }

    /// An INVITE that nobody has answered is to go no further; whether it is over with that, since it went nowhere yet.
    pub(crate) fn withdraw(&mut self, now: Instant, invite: ClientId) -> bool {
        let Some(client) = self.all.get_mut(&invite) else { return true };
        client.ahead = Ahead::default();
        let nowhere = matches!(client.machine, Machine::Lookup(_));
        if nowhere {
            client.stop();
            self.lookups.leave(invite);
        } else if let Machine::Invite(machine) = &mut client.machine {
            machine.wait_on(now);
        }
        self.settle(invite);
        nowhere
    }

    /// Sends the ACK for a 2xx, and again whenever that 2xx comes again. The request has all headers but `Via`.
    pub(crate) fn acknowledge(
        &mut self,
        wire: &mut Wire,
        dice: &mut Dice,
        invite: ClientId,
        request: Request,
        (way, local): (Way, Option<SocketAddr>),
    ) -> Result<(), Unsendable> {
        let Ahead { mut hops, question, .. } = self.ways.ahead(way, local)?;
        let to_tag = request.headers.to().ok().and_then(|to| to.tag().map(str::to_owned));
        let mut ack = Ack {
            to_tag: to_tag.clone(),
            target: None,
            request,
        };
        match (hops.pop_front(), question) {
            (Some(target), _) => self.ways.send_ack(wire, dice, &mut ack, target)?,
            (None, Some(question)) => {
                let waiting = Waiting::Ack(invite, to_tag);
                self.lookups.ask(dice, &self.ways, question, waiting)?;
            }
            (None, None) => return Err(Unsendable("there is no way to it")),
        }
        if let Some(client) = self.all.get_mut(&invite) {
            client.acks.push(ack);
        }
        Ok(())
    }

    /// The next name to be looked up.
    pub(crate) fn poll_lookup(&mut self) -> Option<Lookup> {
        self.lookups.poll()
    }

    /// Names that are being looked up.
    pub(crate) fn lookups(&self) -> usize {
        self.lookups.len()
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
    pub(crate) fn handle_response(
        &mut self,
        now: Instant,
        wire: &mut Wire,
        dice: &mut Dice,
        flow: Flow,
        response: Response,
    ) -> Option<Report> {
        let found = self.find(&response);
        let Some((id, client)) = found.and_then(|id| Some((id, self.all.get_mut(&id)?))) else {
            wire.counters.stray_responses += 1;
            return None;
        };
        if let Some(target) = &client.target {
            self.health.answered(now, target, &response);
        }
        let to_tag = response.headers.to().ok().and_then(|to| to.tag().map(str::to_owned));
        let told = match &mut client.machine {
            Machine::Lookup(_) | Machine::Over => false,
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
        let heard = match client.standing {
            Standing::Present => told && !(response.status == 503 && self.leave_503(now, wire, dice, id, &response, flow)),
            Standing::LeftBehind if response.status < 200 => {
                client.standing = Standing::Cancelled;
                self.cancel(now, wire, id);
                false
            }
            // Nobody wants it any more: its owner sends it a BYE.
            Standing::LeftBehind | Standing::Cancelled => told && (200..300).contains(&response.status),
        };
        let report = heard.then(|| self.report(id, Ok((Box::new(response), flow)))).flatten();
        self.settle(id);
        report
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

    /// What its owner is told, unless nobody waits for it any more.
    pub(super) fn report(&self, id: ClientId, outcome: Outcome) -> Option<Report> {
        let client = self.all.get(&id)?;
        let waits = client.standing == Standing::Present || outcome.is_ok();
        waits.then(|| Report {
            client: id,
            owner: client.owner,
            dialog: client.dialog,
            target: client.target.clone(),
            outcome,
        })
    }

    /// Fires one timer; to be called until there is nothing more.
    pub(crate) fn handle_timeout(&mut self, now: Instant, wire: &mut Wire, dice: &mut Dice) -> Option<Report> {
        while let Some(id) = self.deadlines.due(now) {
            let mut report = None;
            match self.all.get_mut(&id).and_then(|client| client.handle_timeout(now)) {
                Some(Due::Resend) => {
                    if let Some(client) = self.all.get(&id) {
                        client.send(wire);
                    }
                }
                Some(Due::TimedOut { heard }) => report = self.handle_silence(now, wire, dice, id, heard),
                Some(Due::Nothing) | None => {}
            }
            self.settle(id);
            if report.is_some() {
                return report;
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
    pub(super) fn settle(&mut self, id: ClientId) {
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
    /// The dialog that it is inside of.
    pub(crate) dialog: Option<DialogNo>,
    /// The request.
    pub(crate) request: Request,
    /// Its Contact, where that depends on the way.
    pub(crate) contact: Option<OurContact>,
    /// Where it goes.
    pub(crate) way: Way,
    /// Our listening address to be preferred.
    pub(crate) local: Option<SocketAddr>,
}

impl Outgoing {
    /// A request outside of any dialog: by the way that is given, by its topmost route, or to its URI (RFC 3261 section 8.1.2).
    pub(crate) fn outside(owner: Owner, request: Request, contact: OurContact, way: Option<Way>) -> Result<Self, Unsendable> {
        let way = match way {
            Some(way) => way,
            None => {
                let routes = request.headers.route().map_err(|_| Unsendable("its Route can't be read"))?;
                Way::By(routes.into_iter().next().map_or_else(|| request.uri.clone(), |route| route.uri))
            }
        };
        Ok(Self {
            owner,
            dialog: None,
            request,
            contact: Some(contact),
            way,
            local: None,
        })
    }
}
