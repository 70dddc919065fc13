//! Queries to the room and to its occupants, told apart. What they ask for is in the modules beside this one.

use super::{MucRoom, bridge, refusal::failure, room::Inbound};
use crate::{
    model::{Affiliation, Now},
    room::{OccupantKind, Refusal, Room},
    xmpp::{
        muc::{NS_ADMIN, NS_INFO, NS_ITEMS, NS_OWNER, NS_PING},
        stanza::{self, DefinedCondition, ErrorType, Failure, IqKind},
    },
};

impl MucRoom {
    /// An IQ of any type.
    pub(super) fn iq(&mut self, now: Now, room: &mut Room, inbound: Inbound, kind: IqKind) {
        match kind {
            IqKind::Get | IqKind::Set if inbound.nick.is_some() => self.occupant_query(now, &inbound),
            IqKind::Get | IqKind::Set => self.room_query(now, room, &inbound, kind == IqKind::Set),
            IqKind::Result | IqKind::Error => {
                if !self.relay_answer(&inbound) {
                    self.probe_answer(now, room, &inbound);
                }
            }
            // Nothing to answer it with.
            IqKind::Bogus => {}
        }
    }

    fn room_query(&mut self, now: Now, room: &mut Room, inbound: &Inbound, is_set: bool) {
        // Until it is configured it exists for its owner only (section 10.1).
        if room.is_unconfigured() && room.affiliation(&inbound.from.to_bare()) != Affiliation::Owner {
            return self.refuse(inbound, failure(Refusal::NotConfigured));
        }
        let Some(payload) = stanza::payload(&inbound.stanza).cloned() else {
            return self.refuse(inbound, DefinedCondition::BadRequest);
        };
        match (payload.name(), payload.ns().as_str(), is_set) {
            ("query", NS_INFO, false) => self.room_info(room, inbound, payload.attr("node")),
            ("query", NS_ITEMS, false) => self.room_items(room, inbound),
            ("query", NS_ADMIN, false) => self.admin_get(now, room, inbound, &payload),
            ("query", NS_ADMIN, true) => self.admin_set(now, room, inbound, &payload),
            ("query", NS_OWNER, false) => self.owner_get(now, room, inbound),
            ("query", NS_OWNER, true) => self.owner_set(now, room, inbound, &payload),
            ("ping", NS_PING, false) => self.result(inbound, None),
            _ => self.refuse(inbound, DefinedCondition::ServiceUnavailable),
        }
    }

    fn occupant_query(&mut self, now: Now, inbound: &Inbound) {
        let is = |ns| stanza::payload(&inbound.stanza).is_some_and(|p| p.has_ns(ns));
        let Some(sender) = inbound.sender.and_then(|id| self.occupants.get(id)) else {
            // Section 6.6 for discovery, XEP-0410 section 3.2 for the rest.
            let discovery = is(NS_INFO) || is(NS_ITEMS);
            let condition = if discovery {
                DefinedCondition::BadRequest
            } else {
                DefinedCondition::NotAcceptable
            };
            return self.refuse(inbound, Failure::from(condition).of_type(ErrorType::Cancel));
        };
        if inbound.nick.as_deref() == Some(bridge::NICK) {
            return self.bridge_query(inbound);
        }
        let target = inbound.nick.as_deref().and_then(|n| self.occupants.by_nick(n));
        let Some(target) = target else {
            return self.refuse(inbound, failure(Refusal::NoSuchTarget));
        };
        match target.kind {
            OccupantKind::Chat if target.id == sender.id && is(NS_PING) => self.result(inbound, None),
            OccupantKind::Chat => {
                let (sender_nick, session) = (sender.nick.clone(), target.sessions.last().map(|s| s.jid.clone()));
                match self.relay_query(now, inbound, &sender_nick, session) {
                    Ok(query) => self.outbox.push_back(query),
                    Err(condition) => self.refuse(inbound, condition),
                }
            }
            OccupantKind::Phone | OccupantKind::Service => {
                let nick = target.nick.clone();
                self.outbox.extend(self.stand_ins.answer(now, &inbound.stanza, &nick));
            }
        }
    }
}
