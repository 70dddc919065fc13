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
                let refused = self.may_create(from, to, rooms).err();
                let Some(failure) = refused else {
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

    fn may_create(&self, from: &Jid, to: &Jid, rooms: &dyn RoomIndex) -> Result<(), Failure> {
        let account = from.to_bare();
        if to.resource().is_none() || from.resource().is_none() {
            return Err(DefinedCondition::JidMalformed.into());
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
            return Err(Failure::from(DefinedCondition::NotAllowed).with_text("you may not create rooms here"));
        }
        if rooms.count() >= self.settings.max_rooms {
            return Err(Failure::from(DefinedCondition::ResourceConstraint).with_text("there are too many rooms"));
        }
        Ok(())
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

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    struct Rooms(Vec<&'static str>);

    impl RoomIndex for Rooms {
        fn contains(&self, name: &RoomName) -> bool {
            self.0.contains(&name.as_str())
        }
        fn public_rooms(&self, at_most: usize) -> Vec<RoomSummary> {
            let summary = |name: &&str| RoomSummary {
                name: RoomName::new(name).expect("a room's name"),
                title: "Blue".to_owned(),
                occupants: 2,
            };
            self.0.iter().take(at_most).map(summary).collect()
        }
        fn count(&self) -> usize {
            self.0.len()
        }
    }

    fn jid(jid: &str) -> BareJid {
        BareJid::new(jid).expect("a JID")
    }

    fn service(creation: Creation) -> MucService {
        MucService::new(ServiceSettings {
            rooms_domain: jid("rooms.example"),
            phones_domain: jid("phones.example"),
            name: "Rooms".to_owned(),
            creation,
            own_domains: vec![jid("a.example")],
            admins: vec![jid("root@b.example")],
            default_config: RoomConfig::default(),
            max_rooms: 10,
        })
    }

    fn route(service: &mut MucService, xml: &str) -> Route {
        let stanza: Element = xml.replacen(' ', " xmlns='jabber:client' ", 1).parse().expect("a test's own XML");
        let now = Now {
            at: Instant::now(),
            unix_ms: 0,
        };
        service.route(now, stanza, &Rooms(vec!["blue"]))
    }

    fn reply(service: &mut MucService, xml: &str) -> String {
        match route(service, xml) {
            Route::Reply(replies) => replies.iter().map(String::from).collect(),
            other => format!("{other:?}"),
        }
    }

    const JOIN: &str = "<x xmlns='http://jabber.org/protocol/muc'/>";

    #[test]
    fn muc_6_2_1_the_service_tells_its_identity_and_features() {
        let info = reply(
            &mut service(Creation::Nobody),
            "<iq type='get' id='1' from='ann@a.example/x' to='rooms.example'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>",
        );
        assert!(
            info.contains("category='conference'") || info.contains("category=\"conference\""),
            "{info}"
        );
        assert!(
            info.contains("http://jabber.org/protocol/muc\"") || info.contains("http://jabber.org/protocol/muc'"),
            "{info}"
        );
    }

    #[test]
    fn muc_6_3_1_public_rooms_are_listed() {
        let items = reply(
            &mut service(Creation::Nobody),
            "<iq type='get' id='1' from='ann@a.example/x' to='rooms.example'><query xmlns='http://jabber.org/protocol/disco#items'/></iq>",
        );
        assert!(items.contains("blue@rooms.example") && items.contains("Blue (2)"), "{items}");
    }

    #[test]
    fn stanzas_for_a_room_find_it_whatever_their_case() {
        let routed = route(
            &mut service(Creation::Nobody),
            "<presence from='ann@a.example/x' to='BLUE@Rooms.example/ann'/>",
        );
        assert!(matches!(routed, Route::ToRoom(name, _) if name.as_str() == "blue"));
    }

    #[test]
    fn r14_who_may_create() {
        for (creation, who, allowed) in [
            (Creation::OwnDomains, "ann@a.example/x", true),
            (Creation::OwnDomains, "bob@b.example/x", false),
            (Creation::OwnDomains, "root@b.example/x", true),
            (Creation::Admins, "ann@a.example/x", false),
            (Creation::Admins, "root@b.example/x", true),
            (Creation::Anyone, "bob@b.example/x", true),
            (Creation::Nobody, "root@b.example/x", false),
        ] {
            let xml = format!("<presence from='{who}' to='new@rooms.example/n'>{JOIN}</presence>");
            match route(&mut service(creation), &xml) {
                Route::Create(record, _) => {
                    assert!(allowed, "{creation:?} {who}");
                    assert!(record.locked_until_configured);
                    assert_eq!(record.affiliations.values().next(), Some(&Affiliation::Owner));
                }
                Route::Reply(errors) => {
                    assert!(!allowed, "{creation:?} {who}");
                    assert!(String::from(&errors[0]).contains("not-allowed"), "muc_10_1_1_1");
                }
                Route::ToRoom(..) | Route::Drop => panic!("{creation:?} {who}"),
            }
        }
    }

    #[test]
    fn r14_rooms_of_digits_are_not_made() {
        let made = reply(
            &mut service(Creation::Anyone),
            &format!("<presence from='ann@a.example/x' to='123@rooms.example/n'>{JOIN}</presence>"),
        );
        assert!(made.contains("item-not-found"), "{made}");
    }

    #[test]
    fn muc_7_2_18_1_presence_from_somebody_out_of_sync_is_a_kick() {
        let kick = reply(
            &mut service(Creation::Anyone),
            "<presence from='ann@a.example/x' to='new@rooms.example/ann'/>",
        );
        for code in ["110", "307", "333"] {
            assert!(kick.contains(code), "{kick}");
        }
    }

    #[test]
    fn what_is_no_address_is_said_to_be_none() {
        let mut service = service(Creation::Anyone);
        for to in ["blue@rooms.example/a\u{202e}b", "@rooms.example"] {
            let xml = format!("<presence from='ann@a.example/x' to='{to}'>{JOIN}</presence>");
            assert!(reply(&mut service, &xml).contains("jid-malformed"), "muc_17_1_1: {to:?}");
        }
        assert_eq!(
            route(&mut service, "<presence to='blue@rooms.example/ann'/>"),
            Route::Drop,
            "from nobody"
        );
        assert_eq!(
            route(&mut service, "<presence from='ann@a.example/x' to='elsewhere.example'/>"),
            Route::Drop
        );
    }

    #[test]
    fn an_unknown_room_is_not_found() {
        let mut service = service(Creation::Nobody);
        for xml in [
            "<message type='groupchat' from='ann@a.example/x' to='new@rooms.example'><body>x</body></message>",
            "<iq type='get' id='1' from='ann@a.example/x' to='new@rooms.example'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>",
        ] {
            assert!(reply(&mut service, xml).contains("item-not-found"), "{xml}");
        }
        let ping = "<iq type='get' id='1' from='ann@a.example/x' to='new@rooms.example/n'><ping xmlns='urn:xmpp:ping'/></iq>";
        assert!(reply(&mut service, ping).contains("not-acceptable"));
        for xml in [
            "<presence type='unavailable' from='ann@a.example/x' to='new@rooms.example/n'/>",
            "<presence type='probe' from='ann@a.example/x' to='new@rooms.example/n'/>",
            "<iq type='result' id='1' from='ann@a.example/x' to='new@rooms.example'/>",
            "<message type='error' from='ann@a.example/x' to='new@rooms.example'/>",
        ] {
            assert_eq!(route(&mut service, xml), Route::Drop, "{xml}");
        }
    }

    #[test]
    fn r20_the_phones_domain_has_the_focus_and_the_stand_ins() {
        let mut service = service(Creation::Nobody);
        let ask = |to: &str, payload: &str| format!("<iq type='get' id='1' from='ann@a.example/x' to='{to}'>{payload}</iq>");
        let info = "<query xmlns='http://jabber.org/protocol/disco#info'/>";
        assert!(reply(&mut service, &ask("phones.example", info)).contains("gateway"));
        assert!(reply(&mut service, &ask("p-abc@phones.example", info)).contains("phone"));
        let subscribe = "<presence type='subscribe' from='ann@a.example' to='p-abc@phones.example'/>";
        assert!(reply(&mut service, subscribe).contains("unsubscribed"));
    }

    #[test]
    fn a_flood_of_questions_gets_no_flood_of_answers() {
        let mut service = service(Creation::Nobody);
        let xml = "<message from='ann@a.example/x' to='new@rooms.example'><body>x</body></message>";
        let answered = (0..300).filter(|_| route(&mut service, xml) != Route::Drop).count();
        assert!(answered <= 110, "{answered}");
    }
}
