//! The SIP endpoint: bytes in, bytes out; requests in, decisions out. Sans-IO.
//!
//! `handle_*` takes what the world did, plain verbs are commands, `poll_*` gives what is to be done; after each call that changes state drain
//! [`poll_transmit`](Endpoint::poll_transmit) and [`poll_event`](Endpoint::poll_event), then wait for input or for
//! [`poll_timeout`](Endpoint::poll_timeout). It opens no socket, reads no clock, resolves no name, and doesn't know what a room is.

mod config;
mod core;
mod counters;
mod event;
mod flow;
mod intake;
mod referrals;
mod upkeep;

use std::time::Instant;

pub(crate) use self::core::{Core, body_of, reason_of};
pub use self::{
    config::{EndpointConfig, Limits, Listener},
    counters::Counters,
    event::{
        Body, CommandError, EarlyMedia, EndCause, Event, InviteArgs, NotifyOutcome, OfferIn, OptionsAnswer, OptionsId, Outside,
        Presentation, Reason, ReferArgs, ReferFailure, Referee, Rejection, SubscriptionEnd, TerminationReason,
    },
    flow::{ConnectionId, Flow, Inbound, Target, Transmit, Transport},
};
use super::{
    call::Calls,
    locate::{Lookup, LookupAnswer},
    refer::Refers,
    register::Upkeep,
    subscription::Subscriptions,
    transaction::{Owner, Reply, Report, ServerId},
};
use crate::model::{CallId, SubscriptionId};

/// All of our SIP: transactions, dialogs, calls and subscriptions at some addresses.
#[derive(Debug)]
pub struct Endpoint {
    core: Core,
    calls: Calls,
    subscriptions: Subscriptions,
    refers: Refers,
    upkeep: Upkeep,
}

/// What is alive, for metrics and tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Population {
    /// Server transactions.
    pub servers: usize,
    /// Client transactions.
    pub clients: usize,
    /// Dialogs.
    pub dialogs: usize,
    /// Calls.
    pub calls: usize,
    /// Subscriptions.
    pub subscriptions: usize,
    /// REFERs, with the subscriptions that they imply.
    pub refers: usize,
    /// Registrations of ours, and peers that are asked whether they are there.
    pub upkeep: usize,
    /// Names that are being looked up.
    pub lookups: usize,
}

impl Endpoint {
    /// An endpoint whose tags, branches and Call-IDs follow from `seed`.
    pub fn new(config: EndpointConfig, seed: u64) -> Self {
        Self {
            core: Core::new(config, seed),
            calls: Calls::default(),
            subscriptions: Subscriptions::default(),
            refers: Refers::default(),
            upkeep: Upkeep::default(),
        }
    }

    /// Takes what the sockets report.
    pub fn handle_inbound(&mut self, now: Instant, inbound: Inbound) {
        if let Inbound::Datagram { flow, .. } | Inbound::Message { flow, .. } = &inbound
            && !self.core.wire.sources.admits(now, flow.remote.ip())
        {
            self.core.wire.counters.flooding += 1;
            return;
        }
        match inbound {
            Inbound::Datagram { flow, bytes } => self.handle_message(now, flow, super::msg::parse_datagram(&bytes)),
            Inbound::Message { flow, message } => self.handle_message(now, flow, message),
            Inbound::FlowLost(flow) => {
                self.core.servers.handle_flow_lost(flow);
                self.core.dialogs.handle_flow_lost(flow);
                let Core { clients, wire, dice, .. } = &mut self.core;
                let reports = clients.handle_flow_lost(now, wire, dice, flow);
                reports.into_iter().for_each(|report| self.handle_report(now, report));
                self.upkeep.handle_flow_lost(&mut self.core, now, flow);
            }
            // Who may do what is decided by others, by what they know of the flow.
            Inbound::Proven { .. } => {}
            Inbound::Unreachable(target) => {
                let Core { clients, wire, dice, .. } = &mut self.core;
                let reports = clients.handle_unreachable(now, wire, dice, &target);
                reports.into_iter().for_each(|report| self.handle_report(now, report));
            }
        }
    }

    /// Fires every timer that is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.core.servers.handle_timeout(now, &mut self.core.wire);
        while let Some(report) = self.next_silence(now) {
            self.handle_report(now, report);
        }
        self.calls.handle_timeout(&mut self.core, now);
        self.subscriptions.handle_timeout(&mut self.core, now);
        self.refers.handle_timeout(&mut self.core, now);
        self.upkeep.handle_timeout(&mut self.core, now);
    }

    fn next_silence(&mut self, now: Instant) -> Option<Report> {
        let Core { clients, wire, dice, .. } = &mut self.core;
        clients.handle_timeout(now, wire, dice)
    }

    /// The next name to be looked up (RFC 3263), for a request that waits for it.
    pub fn poll_lookup(&mut self) -> Option<Lookup> {
        self.core.clients.poll_lookup()
    }

    /// Takes the answer to a lookup: where to go, in the order of preference. One that comes too late changes nothing.
    pub fn handle_lookup(&mut self, now: Instant, answer: &LookupAnswer) {
        let Core { clients, wire, dice, .. } = &mut self.core;
        let reports = clients.handle_lookup(now, wire, dice, answer);
        reports.into_iter().for_each(|report| self.handle_report(now, report));
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called next, and what for.
    pub fn poll_timeout(&self) -> Option<(Instant, &'static str)> {
        let all = [
            self.core.servers.poll_timeout(),
            self.core.clients.poll_timeout(),
            self.calls.poll_timeout(),
            self.subscriptions.poll_timeout(),
            self.refers.poll_timeout(),
            self.upkeep.poll_timeout(),
        ];
        all.into_iter().flatten().min_by_key(|(at, _)| *at)
    }

    /// The next message to be sent.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.core.wire.out.pop_front()
    }

    /// There is something that the application has to know.
    pub fn has_event(&self) -> bool {
        !self.core.events.is_empty()
    }

    /// The next thing that the application has to know.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.core.events.pop_front()
    }

    /// Says 180 or another provisional status to an INVITE of theirs.
    pub fn ring(&mut self, now: Instant, call: CallId, status: u16, presentation: Presentation) -> Result<(), CommandError> {
        self.calls
            .command(&mut self.core, call, |call, core| call.ring(core, now, status, presentation, None))
    }

    /// Likewise, with our answer, or with our offer if they made none: what is heard before the call is answered. Sent reliably where the caller
    /// can do that (RFC 3262); an offer can be sent no other way, and is refused with [`CommandError::NotNow`].
    pub fn ring_with(
        &mut self,
        now: Instant,
        call: CallId,
        status: u16,
        presentation: Presentation,
        body: Body,
    ) -> Result<(), CommandError> {
        self.calls.command(&mut self.core, call, |call, core| {
            call.ring(core, now, status, presentation, Some(body))
        })
    }

    /// Takes a call of theirs, with our answer, or with our offer if they made none. The 200 waits where RFC 3262 section 3 says so.
    pub fn accept(&mut self, now: Instant, call: CallId, presentation: Presentation, body: Body) -> Result<(), CommandError> {
        self.calls
            .command(&mut self.core, call, |call, core| call.accept(core, now, presentation, body))
    }

    /// Refuses a call of theirs; [`Event::Ended`] follows.
    pub fn reject(&mut self, now: Instant, call: CallId, rejection: Rejection) -> Result<(), CommandError> {
        self.calls
            .command(&mut self.core, call, |call, core| call.reject(core, now, rejection))
    }

    /// Ends a call in whatever state; [`Event::Ended`] follows when that is through. The BYE waits for their ACK if need be (rule R41): silence
    /// the call yourself at once.
    pub fn hang_up(&mut self, now: Instant, call: CallId, reason: Option<Reason>) -> Result<(), CommandError> {
        self.calls
            .command(&mut self.core, call, |call, core| call.hang_up(core, now, reason))
    }

    /// Answers [`Event::Reoffer`] with our answer, or with our offer if they made none.
    pub fn accept_reoffer(&mut self, now: Instant, call: CallId, body: Body) -> Result<(), CommandError> {
        self.calls
            .command(&mut self.core, call, |call, core| call.accept_offer(core, now, body))
    }

    /// Refuses [`Event::Reoffer`]; the session stays as it was.
    pub fn reject_reoffer(&mut self, now: Instant, call: CallId, rejection: Rejection) -> Result<(), CommandError> {
        self.calls
            .command(&mut self.core, call, |call, core| call.reject_offer(core, now, rejection))
    }

    /// Offers anew inside a call, by re-INVITE; [`Event::ReofferAnswered`] or [`Event::ReofferFailed`] follows.
    pub fn reinvite(&mut self, now: Instant, call: CallId, body: Body) -> Result<(), CommandError> {
        self.calls
            .command(&mut self.core, call, |call, core| call.reinvite(core, now, body))
    }

    /// Looks by an OPTIONS inside the call whether the peer is still there (rule R44); if not, [`Event::Ended`] follows.
    pub fn probe(&mut self, now: Instant, call: CallId) -> Result<(), CommandError> {
        self.calls.command(&mut self.core, call, |call, core| call.probe(core, now))
    }

    /// Calls somebody.
    pub fn invite(&mut self, now: Instant, args: InviteArgs) -> Result<CallId, CommandError> {
        self.calls.invite(&mut self.core, now, args)
    }

    /// Answers [`Event::Options`].
    pub fn answer_options(&mut self, now: Instant, options: OptionsId, answer: OptionsAnswer) -> Result<(), CommandError> {
        let server = ServerId(options.0);
        let reply = match answer {
            OptionsAnswer::Capabilities(presentation) => {
                let target = self.core.servers.target(server).ok_or(CommandError::Gone)?;
                let contact = self.core.clients.ways.contact(&target, &presentation, false)?;
                let mut reply = Reply::new(200).with(super::msg::Name::Contact, contact);
                self.core.add_capabilities(&mut reply.headers);
                reply
            }
            OptionsAnswer::Rejected(rejection) => rejection.into(),
        };
        if self.core.respond(now, server, reply) {
            Ok(())
        } else {
            Err(CommandError::Gone)
        }
    }

    /// Takes a subscription; [`notify`](Self::notify) with the full state has to follow at once.
    pub fn accept_subscription(&mut self, now: Instant, id: SubscriptionId, presentation: &Presentation) -> Result<(), CommandError> {
        self.subscriptions.accept(&mut self.core, now, id, presentation.clone())
    }

    /// Refuses a subscription; [`Event::SubscriptionEnded`] follows.
    pub fn reject_subscription(&mut self, now: Instant, id: SubscriptionId, rejection: Rejection) -> Result<(), CommandError> {
        self.subscriptions.reject(&mut self.core, now, id, rejection)
    }

    /// Sends a NOTIFY; the next one may go after [`Event::Notified`].
    pub fn notify(&mut self, now: Instant, id: SubscriptionId, body: Body) -> Result<(), CommandError> {
        self.subscriptions.notify(&mut self.core, now, id, body)
    }

    /// Ends a subscription with a last NOTIFY, after the one under way if there is one; [`Event::SubscriptionEnded`] follows.
    pub fn terminate(
        &mut self,
        now: Instant,
        id: SubscriptionId,
        reason: TerminationReason,
        body: Option<Body>,
    ) -> Result<(), CommandError> {
        self.subscriptions.terminate(&mut self.core, now, id, reason, body)
    }

    /// All calls, in the order in which they began.
    pub fn calls(&self) -> impl Iterator<Item = CallId> {
        self.calls.ids()
    }

    /// Whether a call waits for the ACK to our 2xx: hung up now, it would say BYE only later (rule R41).
    pub fn awaits_ack(&self, call: CallId) -> bool {
        self.calls.get(call).is_some_and(super::call::Call::awaits_ack)
    }

    /// Numbers since the start.
    pub fn counters(&self) -> &Counters {
        &self.core.wire.counters
    }

    /// What is alive.
    pub fn population(&self) -> Population {
        Population {
            servers: self.core.servers.len(),
            clients: self.core.clients.len(),
            dialogs: self.core.dialogs.len(),
            calls: self.calls.ids().count(),
            subscriptions: self.subscriptions.len(),
            refers: self.refers.len(),
            upkeep: self.upkeep.len(),
            lookups: self.core.clients.lookups(),
        }
    }

    fn handle_report(&mut self, now: Instant, report: Report) {
        if let Some(dialog) = report.dialog.and_then(|no| self.core.dialogs.get_mut(no)) {
            dialog.settle_on(report.target.clone().filter(|_| report.outcome.is_ok()));
        }
        match report.owner {
            Owner::Call(id) => self.calls.handle_report(&mut self.core, now, id, report),
            Owner::Subscription(id) => self.subscriptions.handle_report(&mut self.core, now, id, report),
            Owner::Refer(id) => self.refers.handle_report(&mut self.core, now, id, report),
            Owner::Registration(id) => self.upkeep.handle_registration_report(&mut self.core, now, id, report),
            Owner::Ping(id) => self.upkeep.handle_ping_report(&mut self.core, now, id, report),
            Owner::Nobody => {}
        }
    }
}

#[cfg(test)]
mod tests;
