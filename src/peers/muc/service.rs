//! The service in front of the rooms: discovery, creation, routing by room name, and the phones domain. Knows rooms by a few figures only.

use std::collections::BTreeMap;

use jid::Jid;
use minidom::Element;

use super::{
    flood::{Buckets, Verdict},
    join::out_of_sync,
    stand_in::{StandIns, info},
};
use crate::{
    model::{Affiliation, BadRoomName, BareJid, Now, RoomConfig, RoomName, RoomRecord},
    xmpp::{
        muc::{Join, NS_INFO, NS_ITEMS, NS_MUC, NS_OCCUPANT_ID, NS_PING, weight},
        stanza::{self, DefinedCondition, ErrorType, Failure, IqKind, Kind, MessageKind, PresenceKind, element, with},
    },
};

/// Rooms listed in one answer: about 100 KiB, which every server passes on.
const MAX_LISTED: usize = 1000;

/// Feature: messages keep their sender's `id` (XEP-0045 section 7.4).
pub(super) const STABLE_ID: &str = "http://jabber.org/protocol/muc#stable_id";

/// Who may create rooms (rule R14).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Creation {
    /// Accounts of the domains that are our own.
    #[default]
    OwnDomains,
    /// The service's admins.
    Admins,
    /// Everybody.
    Anyone,
    /// Nobody: rooms come from the configuration.
    Nobody,
}

/// How the service is set up.
#[derive(Debug, Clone)]
pub struct ServiceSettings {
    /// Domain of the rooms.
    pub rooms_domain: BareJid,
    /// Domain of the focus and of the callers' stand-ins (rule R20).
    pub phones_domain: BareJid,
    /// What the service is called in discovery.
    pub name: String,
    /// Who may create rooms.
    pub creation: Creation,
    /// Domains whose accounts count as our own.
    pub own_domains: Vec<BareJid>,
    /// Accounts that may create rooms in any case, unless nobody may.
    pub admins: Vec<BareJid>,
    /// What a created room starts with.
    pub default_config: RoomConfig,
    /// Rooms at most.
    pub max_rooms: usize,
}

/// A room as the service sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomSummary {
    /// Its name.
    pub name: RoomName,
    /// Its title; may be empty.
    pub title: String,
    /// How many occupants it shows.
    pub occupants: usize,
}

/// Tells the service which rooms there are.
pub trait RoomIndex {
    /// Whether there is such a room, listed or not.
    fn contains(&self, name: &RoomName) -> bool;
    /// The rooms that may be listed, in order of name, at most so many.
    fn public_rooms(&self, at_most: usize) -> Vec<RoomSummary>;
    /// How many rooms there are.
    fn count(&self) -> usize;
}

/// Where a stanza goes.
#[derive(Debug, Clone, PartialEq)]
pub enum Route {
    /// To this room.
    ToRoom(RoomName, Element),
    /// To a new room, which is to be made first.
    Create(Box<RoomRecord>, Element),
    /// It was answered.
    Reply(Vec<Element>),
    /// It is dropped.
    Drop,
}

/// The service.
#[derive(Debug)]
pub struct MucService {
    settings: ServiceSettings,
    stand_ins: StandIns,
    buckets: Buckets,
}

impl MucService {
    /// Sets it up.
    pub fn new(settings: ServiceSettings) -> Self {
        Self {
            settings,
            stand_ins: StandIns::default(),
            buckets: Buckets::default(),
        }
    }

    /// Decides where a stanza goes, and answers what isn't for a room.
    pub fn route(&mut self, now: Now, stanza: Element, rooms: &dyn RoomIndex) -> Route {
        let Some(from) = stanza::from(&stanza) else { return Route::Drop };
        let Some(to) = stanza::to(&stanza) else {
            return self.reply(now, &from, &stanza, stanza::refuse(&stanza, DefinedCondition::JidMalformed));
        };
        if to.domain() == self.settings.phones_domain.domain() {
            let answer = self.at_phones(now, &stanza, &to);
            return self.reply(now, &from, &stanza, answer);
        }
        if to.domain() != self.settings.rooms_domain.domain() {
            return Route::Drop;
        }
        let Some(node) = to.node() else {
            let answer = self.at_service(&stanza, rooms);
            return self.reply(now, &from, &stanza, answer);
        };
        match RoomName::new(node.as_str()) {
            Ok(name) if rooms.contains(&name) => Route::ToRoom(name, stanza),
            Ok(name) => self.no_room(now, &from, &to, name, stanza, rooms),
            Err(BadRoomName::NotALocalPart | BadRoomName::DigitsOnly) => {
                let answer = stanza::refuse(&stanza, nowhere(&stanza));
                self.reply(now, &from, &stanza, answer)
            }
        }
    }

    /// Sends an answer, unless its receiver asks for more than it should.
    fn reply(&mut self, now: Now, from: &Jid, stanza: &Element, answer: Option<Element>) -> Route {
        let Some(answer) = answer else { return Route::Drop };
        match self.buckets.spend(now.at, &from.to_bare(), weight(stanza), true) {
            Verdict::Pass => Route::Reply(vec![answer]),
            Verdict::Wait => stanza::refuse_iq(stanza, DefinedCondition::ResourceConstraint).map_or(Route::Drop, |e| Route::Reply(vec![e])),
            Verdict::Flood => Route::Drop,
        }
    }

    fn at_service(&self, stanza: &Element, rooms: &dyn RoomIndex) -> Option<Element> {
        let payload = stanza::payload(stanza)?;
        let asked = (payload.name(), payload.ns(), payload.attr("node"));
        let result = match (stanza::kind(stanza), (asked.0, asked.1.as_str(), asked.2)) {
            (Kind::Iq(IqKind::Get), ("query", NS_INFO, None)) => Some(info(
                "conference",
                "text",
                &self.settings.name,
                &[NS_INFO, NS_ITEMS, NS_MUC, STABLE_ID, NS_OCCUPANT_ID, NS_PING],
            )),
            (Kind::Iq(IqKind::Get), ("query", NS_ITEMS, None)) => Some(self.list(rooms)),
            (Kind::Iq(IqKind::Get), ("query", NS_INFO | NS_ITEMS, Some(_))) => {
                return stanza::refuse_iq(stanza, DefinedCondition::ItemNotFound);
            }
            (Kind::Iq(IqKind::Get), ("ping", NS_PING, _)) => None,
            _ => return stanza::refuse_iq(stanza, DefinedCondition::ServiceUnavailable),
        };
        stanza::result(stanza, result)
    }

    fn list(&self, rooms: &dyn RoomIndex) -> Element {
        let items = rooms.public_rooms(MAX_LISTED).into_iter().map(|room| {
            let title = if room.title.is_empty() { room.name.as_str() } else { &room.title };
            let name = format!("{title} ({})", room.occupants);
            let jid = format!("{}@{}", room.name, self.settings.rooms_domain);
            element("item", NS_ITEMS, &[("jid", Some(&jid)), ("name", Some(&name))])
        });
        with(Element::bare("query", NS_ITEMS), items)
    }

    fn at_phones(&mut self, now: Now, stanza: &Element, to: &Jid) -> Option<Element> {
        let is_stand_in = to.node().is_some_and(|n| n.as_str().starts_with("p-"));
        if is_stand_in {
            // A room shows a caller's name; by this address they have none.
            return self.stand_ins.answer(now, stanza, "Phone caller");
        }
        match stanza::kind(stanza) {
            Kind::Iq(IqKind::Get) => {
                let payload = stanza::payload(stanza)?;
                let result = match (payload.name(), payload.ns().as_str()) {
                    ("query", NS_INFO) if payload.attr("node").is_none() => {
                        Some(info("gateway", "sip", &self.settings.name, &[NS_INFO, NS_ITEMS, NS_PING]))
                    }
                    ("query", NS_ITEMS) if payload.attr("node").is_none() => Some(Element::bare("query", NS_ITEMS)),
                    ("ping", NS_PING) => None,
                    _ => return stanza::refuse_iq(stanza, DefinedCondition::ServiceUnavailable),
                };
                stanza::result(stanza, result)
            }
            // The focus behaves to presence and texts as the stand-ins do: it neither subscribes nor reads.
            Kind::Iq(IqKind::Set | IqKind::Result | IqKind::Error | IqKind::Bogus) | Kind::Presence(_) => {
                self.stand_ins.answer(now, stanza, &self.settings.name)
            }
            Kind::Message(_) | Kind::Other => None,
        }
    }

    /// A stanza for a room that isn't there: perhaps it is to be.
    fn no_room(&mut self, now: Now, from: &Jid, to: &Jid, name: RoomName, stanza: Element, rooms: &dyn RoomIndex) -> Route {
        let answer = match stanza::kind(&stanza) {
            Kind::Presence(PresenceKind::Available) if Join::read(&stanza).is_none() => Some(out_of_sync(from, to)),
            Kind::Presence(PresenceKind::Available) => {
                let Some(failure) = self.refused_creation(from, to, rooms) else {
                    return match self.buckets.spend(now.at, &from.to_bare(), CREATION_WEIGHT, true) {
                        Verdict::Pass => Route::Create(Box::new(self.new_record(name, from)), stanza),
                        Verdict::Wait | Verdict::Flood => {
                            stanza::refuse(&stanza, DefinedCondition::ResourceConstraint).map_or(Route::Drop, |e| Route::Reply(vec![e]))
                        }
                    };
                };
                stanza::refuse(&stanza, failure)
            }
            Kind::Message(MessageKind::Headline | MessageKind::Error) | Kind::Other => None,
            Kind::Message(_) | Kind::Iq(_) => stanza::refuse(&stanza, nowhere(&stanza)),
            Kind::Presence(_) => None,
        };
        self.reply(now, from, &stanza, answer)
    }

    /// Why somebody may not create a room (rule R14); `None` if they may.
    fn refused_creation(&self, from: &Jid, to: &Jid, rooms: &dyn RoomIndex) -> Option<Failure> {
        let account = from.to_bare();
        if to.resource().is_none() || from.resource().is_none() {
            return Some(DefinedCondition::JidMalformed.into());
        }
        let admin = self.settings.admins.contains(&account);
        let own = || self.settings.own_domains.iter().any(|d| d.domain() == from.domain());
        let allowed = match self.settings.creation {
            Creation::OwnDomains => admin || own(),
            Creation::Admins => admin,
            Creation::Anyone => true,
            Creation::Nobody => false,
        };
        if !allowed {
            return Some(Failure::from(DefinedCondition::NotAllowed).with_text("you may not create rooms here"));
        }
        let full = rooms.count() >= self.settings.max_rooms;
        full.then(|| Failure::from(DefinedCondition::ResourceConstraint).with_text("there are too many rooms"))
    }

    fn new_record(&self, name: RoomName, creator: &Jid) -> RoomRecord {
        RoomRecord {
            name,
            config: self.settings.default_config.clone(),
            locked_until_configured: true,
            from_config: false,
            affiliations: BTreeMap::from([(creator.to_bare(), Affiliation::Owner)]),
            voice: BTreeMap::new(),
            subject: None,
            history: Vec::new(),
        }
    }
}

/// A creation costs as much as a stanza of this size: it starts a task and may write to the store.
const CREATION_WEIGHT: usize = 20 * 1024;

/// Why nothing is at this address. A self-ping is told otherwise: `item-not-found` would mean a new nick (XEP-0410 section 3.2).
fn nowhere(stanza: &Element) -> Failure {
    if stanza::payload(stanza).is_some_and(|p| p.is("ping", NS_PING)) {
        return Failure::from(DefinedCondition::NotAcceptable).of_type(ErrorType::Cancel);
    }
    Failure::from(DefinedCondition::ItemNotFound).with_text("there is no such room")
}
