//! Queries between clients in a room (section 17.4): neither end learns the other's address. Keeps what is needed to bring the answer back.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use jid::Jid;
use minidom::Element;

use super::{MucRoom, room::Inbound};
use crate::{
    model::{FullJid, Now},
    xmpp::{
        muc::{NS_PUBSUB, NS_VCARD},
        stanza::{self, DefinedCondition, IqKind, Kind, set},
    },
};

/// How long an answer may take: longer than clients wait themselves.
const PATIENCE: Duration = Duration::from_secs(60);
/// Unanswered queries in a room, at most.
const MAX_PENDING: usize = 1000;
/// Unanswered queries of one client, at most: one to each occupant of a large room.
const MAX_OF_ONE: usize = 200;

/// Unanswered queries, by the id that we gave them.
#[derive(Debug, Default)]
pub(super) struct Relay {
    pending: BTreeMap<String, Pending>,
}

#[derive(Debug)]
struct Pending {
    /// The query turned round, to be filled with the answer.
    answer: Element,
    asker: FullJid,
    asked: Jid,
    until: Instant,
}

impl Relay {
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.pending.values().map(|p| p.until).min()
    }

    pub(super) fn clear(&mut self) {
        self.pending.clear();
    }

    fn has_place_for(&self, asker: &FullJid) -> bool {
        self.pending.len() < MAX_PENDING && self.pending.values().filter(|p| p.asker == *asker).count() < MAX_OF_ONE
    }
}

impl MucRoom {
    /// Passes a query on to another occupant's client, or to their account for what only that can answer.
    pub(super) fn relay_query(
        &mut self,
        now: Now,
        inbound: &Inbound,
        sender_nick: &str,
        target: Option<FullJid>,
    ) -> Result<Element, DefinedCondition> {
        let (Some(asker), Some(target)) = (inbound.client(), target) else {
            return Err(DefinedCondition::RecipientUnavailable);
        };
        if !self.relay.has_place_for(asker) {
            return Err(DefinedCondition::ResourceConstraint);
        }
        let of_account = stanza::payload(&inbound.stanza).is_some_and(|p| p.has_ns(NS_VCARD) || p.has_ns(NS_PUBSUB));
        let asked: Jid = if of_account { target.to_bare().into() } else { target.into() };
        let answer = stanza::result(&inbound.stanza, None).ok_or(DefinedCondition::BadRequest)?;
        let id = self.fresh_id(now);
        let mut query = inbound.stanza.clone();
        set(&mut query, "id", id.as_str());
        set(&mut query, "from", format!("{}/{sender_nick}", self.jid));
        set(&mut query, "to", asked.as_str());
        let pending = Pending {
            answer,
            asker: asker.clone(),
            asked,
            until: now.at + PATIENCE,
        };
        self.relay.pending.insert(id, pending);
        Ok(query)
    }

    /// Brings an answer back to whoever asked; says whether it was one that somebody waits for.
    pub(super) fn relay_answer(&mut self, inbound: &Inbound) -> bool {
        let Some(id) = stanza::id(&inbound.stanza) else { return false };
        // An answer counts only from where the question went.
        if self.relay.pending.get(id).is_none_or(|p| p.asked != inbound.from) {
            return false;
        }
        let Some(pending) = self.relay.pending.remove(id) else {
            return false;
        };
        if self.occupants.by_session(&pending.asker).is_none() {
            return true;
        }
        let type_ = if stanza::kind(&inbound.stanza) == Kind::Iq(IqKind::Error) {
            "error"
        } else {
            "result"
        };
        let mut answer = stanza::with(pending.answer, inbound.stanza.children().cloned());
        set(&mut answer, "type", type_);
        self.outbox.push_back(answer);
        true
    }

    /// Gives up on answers that take too long.
    pub(super) fn relay_timeout(&mut self, now: Now) {
        let late = |p: &Pending| p.until <= now.at;
        let ids: Vec<String> = self
            .relay
            .pending
            .iter()
            .filter(|(_, p)| late(p))
            .map(|(id, _)| id.clone())
            .collect();
        for pending in ids.iter().filter_map(|id| self.relay.pending.remove(id)) {
            let error = stanza::Failure::from(DefinedCondition::RemoteServerTimeout).into_element();
            let mut answer = stanza::with(pending.answer, [error]);
            set(&mut answer, "type", "error");
            self.outbox.push_back(answer);
        }
    }
}
