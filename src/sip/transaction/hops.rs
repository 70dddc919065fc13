//! From hop to hop (RFC 3263 section 4.3): a request that one hop doesn't take goes to the next, under a new branch; its owner sees one outcome.

use std::time::{Duration, Instant};

use super::{
    ClientId, Dice, Wire,
    client::{Client, Machine, Standing},
    client_invite::ClientInvite,
    clients::{Clients, Failure, Report},
    key::MAGIC,
    lookups::Waiting,
    ways::{Chosen, Unsendable},
};
use crate::sip::{
    endpoint::{Flow, Target, Transport},
    locate::{Hop, LookupAnswer},
    msg::{Method, Name, Response},
};

/// How long a request waits to learn where it is to go: whoever looks it up has given up before.
const LOOKUP_LIMIT: Duration = Duration::from_secs(10);

impl Clients {
    /// Sends a request to the next hop, or has the next hop looked up.
    pub(super) fn go_on(&mut self, now: Instant, wire: &mut Wire, dice: &mut Dice, id: ClientId) -> Result<(), Unsendable> {
        let mut why = Unsendable("there is no way to it");
        loop {
            let Some(client) = self.all.get_mut(&id) else { return Err(why) };
            if let Some(target) = client.ahead.hops.pop_front() {
                match self.launch(now, dice, id, target) {
                    Ok(moved) => {
                        wire.counters.moved_to_tcp += u64::from(moved);
                        if let Some(client) = self.all.get(&id) {
                            client.send(wire);
                        }
                        return Ok(());
                    }
                    Err(unsendable) => why = unsendable,
                }
            } else if let Some(question) = client.ahead.question.take() {
                client.machine = Machine::Lookup(now + LOOKUP_LIMIT);
                client.target = None;
                wire.counters.lookups += 1;
                return self.lookups.ask(dice, &self.ways, question, Waiting::Request(id));
            } else {
                return Err(why);
            }
        }
    }

    /// Makes a request one for this hop; whether it was moved to TCP.
    fn launch(&mut self, now: Instant, dice: &mut Dice, id: ClientId, hop: Target) -> Result<bool, Unsendable> {
        let client = self.all.get_mut(&id).ok_or(Unsendable("it is over"))?;
        let branch = format!("{MAGIC}{}", dice.token());
        client.ahead.tried.push(hop.clone());
        client.request.headers.remove(Name::Via);
        if let Some(contact) = &client.contact {
            let mut ours = self.ways.contact(&hop, &contact.presentation, contact.secure)?;
            if let Some(flow) = &contact.flow {
                ours.params.set_quoted("+sip.instance", &format!("<{}>", flow.instance));
                ours.params.set("reg-id", Some("1"));
            }
            client.request.headers.set(Name::Contact, ours);
        }
        let asked = hop.transport();
        let Chosen { target, fallback } = self.ways.choose(now, &mut client.request, hop, &branch)?;
        let moved = target.transport() != asked;
        client.target = Some(target);
        client.fallback = fallback;
        let method = client.key.1.as_str().to_owned();
        self.by_key
            .remove(&(std::mem::replace(&mut client.key.0, branch.clone()), method.clone()));
        self.by_key.insert((branch, method), id);
        client.start(now, self.hop_limit);
        Ok(moved)
    }

    /// The present hop has failed. If nobody was heard there, on to the next one: else two might ring. If there is none, the owner is told.
    fn fail(&mut self, now: Instant, wire: &mut Wire, dice: &mut Dice, id: ClientId, (failure, heard): (Failure, bool)) -> Option<Report> {
        let client = self.all.get_mut(&id)?;
        client.failed = Some(Err(failure));
        if let Some(target) = client.target.as_ref().filter(|_| !heard) {
            self.health.failed(now, target);
        }
        let report = if client.ahead.is_empty() || heard || client.standing != Standing::Present {
            self.conclude(wire, id)
        } else {
            if failure == Failure::TimedOut {
                self.leave_behind(now, id);
            }
            wire.counters.failed_over += 1;
            match self.go_on(now, wire, dice, id) {
                Ok(()) => None,
                Err(_) => self.conclude(wire, id),
            }
        };
        self.settle(id);
        report
    }

    fn fail_unreachable(&mut self, now: Instant, wire: &mut Wire, dice: &mut Dice, id: ClientId) -> Option<Report> {
        let heard = self.all.get(&id)?.was_heard();
        self.fail(now, wire, dice, id, (Failure::Unreachable, heard))
    }

    /// There is no further hop: what happened at the last one counts.
    fn conclude(&mut self, wire: &mut Wire, id: ClientId) -> Option<Report> {
        let client = self.all.get_mut(&id)?;
        let outcome = client.failed.take().unwrap_or(Err(Failure::Unresolved));
        match &outcome {
            Err(Failure::TimedOut) if client.standing == Standing::Present => wire.counters.timed_out += 1,
            Err(Failure::Unreachable | Failure::Unresolved) => wire.counters.unsendable += 1,
            Err(Failure::TimedOut) | Ok(_) => {}
        }
        client.stop();
        self.report(id, outcome)
    }

    /// Goes on listening for an INVITE at a hop that said nothing: it may have come through all the same.
    fn leave_behind(&mut self, now: Instant, id: ClientId) {
        let Some(client) = self.all.get_mut(&id).filter(|c| c.key.1 == Method::Invite) else {
            return;
        };
        let reliable = client.target.as_ref().is_some_and(|t| t.transport().is_reliable());
        client.machine = Machine::Invite(ClientInvite::left_behind(now, reliable));
        self.split(id);
    }

    /// What happens at the present hop from now on is no business of the owner's: it gets a number of its own.
    fn split(&mut self, id: ClientId) {
        let own = self.next_id();
        let Some(client) = self.all.get_mut(&id) else { return };
        let left = Client {
            machine: std::mem::replace(&mut client.machine, Machine::Over),
            owner: client.owner,
            dialog: None,
            request: client.request.clone(),
            contact: None,
            local: client.local,
            key: (std::mem::take(&mut client.key.0), client.key.1.clone()),
            target: client.target.clone(),
            fallback: None,
            ahead: super::client::Ahead::default(),
            failed: None,
            standing: Standing::LeftBehind,
            acks: std::mem::take(&mut client.acks),
        };
        self.by_key.insert((left.key.0.clone(), left.key.1.as_str().to_owned()), own);
        self.all.insert(own, left);
        self.settle(own);
    }

    /// A hop that has no room: on to the next one, if there is one (RFC 3263 section 4.3).
    pub(super) fn leave_503(
        &mut self,
        now: Instant,
        wire: &mut Wire,
        dice: &mut Dice,
        id: ClientId,
        response: &Response,
        flow: Flow,
    ) -> bool {
        let Some(client) = self.all.get_mut(&id).filter(|c| !c.ahead.is_empty()) else {
            return false;
        };
        client.failed = Some(Ok((Box::new(response.clone()), flow)));
        self.split(id);
        let gone_on = self.go_on(now, wire, dice, id).is_ok();
        wire.counters.failed_over += u64::from(gone_on);
        gone_on
    }

    /// Nobody answered in time: at this hop, or where it was asked where to go.
    pub(super) fn handle_silence(&mut self, now: Instant, wire: &mut Wire, dice: &mut Dice, id: ClientId, heard: bool) -> Option<Report> {
        let client = self.all.get(&id)?;
        if matches!(client.machine, Machine::Lookup(_)) {
            self.lookups.leave(id);
            wire.counters.lookups_failed += 1;
            return self.conclude(wire, id);
        }
        self.fail(now, wire, dice, id, (Failure::TimedOut, heard))
    }

    /// Takes the answer to a lookup.
    pub(crate) fn handle_lookup(&mut self, now: Instant, wire: &mut Wire, dice: &mut Dice, answer: &LookupAnswer) -> Vec<Report> {
        let LookupAnswer { id, found } = answer;
        wire.counters.lookups_failed += u64::from(found.is_err());
        let hops = found.as_deref().unwrap_or_default();
        let waiting = self.lookups.answered(*id);
        waiting
            .into_iter()
            .filter_map(|who| match who {
                Waiting::Request(client) => self.resume(now, wire, dice, client, hops),
                Waiting::Ack(invite, to_tag) => {
                    self.resume_ack(now, wire, dice, invite, to_tag.as_deref(), hops);
                    None
                }
            })
            .collect()
    }

    fn resume(&mut self, now: Instant, wire: &mut Wire, dice: &mut Dice, id: ClientId, hops: &[Hop]) -> Option<Report> {
        let client = self.all.get_mut(&id).filter(|c| matches!(c.machine, Machine::Lookup(_)))?;
        let targets = hops.iter().filter_map(|hop| self.ways.target(hop, client.local).ok());
        let new = targets.filter(|target| !client.ahead.tried.contains(target)).collect();
        client.ahead.hops = self.health.ordered(now, new);
        let report = match self.go_on(now, wire, dice, id) {
            Ok(()) => None,
            Err(_) => self.conclude(wire, id),
        };
        self.settle(id);
        report
    }

    fn resume_ack(&mut self, now: Instant, wire: &mut Wire, dice: &mut Dice, invite: ClientId, to_tag: Option<&str>, hops: &[Hop]) {
        let Some(client) = self.all.get_mut(&invite) else { return };
        let waits = |ack: &&mut super::client::Ack| ack.target.is_none() && ack.to_tag.as_deref() == to_tag;
        let Some(ack) = client.acks.iter_mut().find(waits) else { return };
        let targets = hops.iter().filter_map(|hop| self.ways.target(hop, client.local).ok()).collect();
        let target = self.health.ordered(now, targets).pop_front();
        let sent = target.is_some_and(|target| self.ways.send_ack(wire, dice, ack, target).is_ok());
        wire.counters.unsendable += u64::from(!sent);
    }

    /// A connection is gone: what waits for a response on it waits in vain.
    pub(crate) fn handle_flow_lost(&mut self, now: Instant, wire: &mut Wire, dice: &mut Dice, flow: Flow) -> Vec<Report> {
        let over_it = |target: &Target| match target {
            Target::Flow(used) => *used == flow,
            Target::Connect { transport, remote, .. } => *transport == flow.transport && *remote == flow.remote,
        };
        let lost = self.open_at(over_it);
        lost.into_iter()
            .filter_map(|id| self.fail_unreachable(now, wire, dice, id))
            .collect()
    }

    /// Nobody listens there: back to UDP where that is possible (rule R42).
    pub(crate) fn handle_unreachable(&mut self, now: Instant, wire: &mut Wire, dice: &mut Dice, target: &Target) -> Vec<Report> {
        if target.transport() == Transport::Tcp {
            self.ways.remember_without_tcp(now, target.remote());
        }
        let hit = self.open_at(|there| there == target);
        hit.into_iter()
            .filter_map(|id| {
                if self.come_back(now, wire, id) {
                    None
                } else {
                    self.fail_unreachable(now, wire, dice, id)
                }
            })
            .collect()
    }

    fn open_at(&self, there: impl Fn(&Target) -> bool) -> Vec<ClientId> {
        let hit = self
            .all
            .iter()
            .filter(|(_, c)| c.is_open() && c.target.as_ref().is_some_and(&there));
        hit.map(|(id, _)| *id).collect()
    }

    fn come_back(&mut self, now: Instant, wire: &mut Wire, id: ClientId) -> bool {
        let Some(client) = self.all.get_mut(&id) else { return false };
        let Some(fallback) = client.fallback.take() else { return false };
        client.request.headers.remove(Name::Via);
        if self.ways.name(&mut client.request.headers, &fallback, &client.key.0).is_err() {
            return false;
        }
        client.target = Some(fallback);
        client.start(now, self.hop_limit);
        client.send(wire);
        wire.counters.back_to_udp += 1;
        self.settle(id);
        true
    }
}
