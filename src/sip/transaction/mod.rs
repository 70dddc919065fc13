//! The transaction layer (RFC 3261 section 17): matches messages to what they belong to, resends, absorbs repetitions, gives up.
//!
//! It knows neither dialogs nor calls, and doesn't resend a 2xx: the call does, until the ACK (RFC 6026).

mod client;
mod client_invite;
mod client_other;
mod clients;
mod dice;
mod health;
mod hops;
mod key;
mod lookups;
mod server_invite;
mod server_other;
mod servers;
mod sources;
pub(crate) mod timer;
mod ways;

use std::collections::VecDeque;

pub(crate) use client::{FlowName, OurContact};
pub(crate) use clients::{Clients, Failure, Outgoing, Report};
pub(crate) use dice::Dice;
pub(crate) use key::{Seen, note_source};
pub(crate) use servers::{Known, Reply, Servers, shows_credentials};
pub(crate) use sources::{Kind, Sources, customer};
pub(crate) use ways::{Unsendable, Ways};

use super::endpoint::{Counters, Limits, Target, Transmit};
use crate::model::{CallId, PingId, ReferId, RegistrationId, SubscriptionId};

/// A server transaction: a request of a peer's that we answer. Never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ServerId(pub(crate) u64);

/// A client transaction: a request of ours. Never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ClientId(u64);

/// On whose behalf a request was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    /// A call.
    Call(CallId),
    /// A subscription.
    Subscription(SubscriptionId),
    /// A REFER, of theirs or of ours.
    Refer(ReferId),
    /// A registration of ours.
    Registration(RegistrationId),
    /// A question whether a peer is there.
    Ping(PingId),
    /// Nobody waits for the response: the BYE to a fork that isn't kept.
    Nobody,
}

/// What every transaction writes to.
#[derive(Debug)]
pub(crate) struct Wire {
    /// Messages to be sent, in order. Drained after each call of the endpoint, which adds a handful.
    pub(crate) out: VecDeque<Transmit>,
    /// What each source holds.
    pub(crate) sources: Sources,
    /// What was odd.
    pub(crate) counters: Counters,
}

impl Wire {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            out: VecDeque::new(),
            sources: Sources::new(limits),
            counters: Counters::default(),
        }
    }

    fn send(&mut self, target: Target, bytes: Vec<u8>) {
        self.out.push_back(Transmit { target, bytes });
    }
}
