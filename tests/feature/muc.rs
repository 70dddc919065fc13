//! A chat room from its making to its end, by stanzas alone; and what moderators do in the chat as the media plane is told of it.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use cusax::{
    model::{
        Account, Aor, BareJid, Caller, Correlation, Directory, Door, LegId, MediaOrder, Now, Origin, RoomConfig, RoomName, origin::Asker,
    },
    peers::muc::{Creation, MucRoom, MucService, MucSettings, RoomIndex, RoomSummary, Route, ServiceSettings},
    room::{Report, Request, Room, RoomSettings},
};
use minidom::Element;

const ROMEO: &str = "romeo@a.example/orchard";
const JULIET: &str = "juliet@b.example/balcony";
const ROOM: &str = "verona@rooms.example";

#[derive(Debug)]
struct Nobody;

impl Directory for Nobody {
    fn by_sip_user(&self, _: &str) -> Option<Account> {
        None
    }
    fn by_aor(&self, _: &Aor) -> Option<Account> {
        None
    }
    fn by_jid(&self, _: &BareJid) -> Option<Account> {
        None
    }
}

#[derive(Default)]
struct Rooms(BTreeMap<RoomName, (Room, MucRoom)>);

impl RoomIndex for Rooms {
    fn contains(&self, name: &RoomName) -> bool {
        self.0.contains_key(name)
    }
    fn public_rooms(&self, at_most: usize) -> Vec<RoomSummary> {
        let summary = |(name, (room, _)): (&RoomName, &(Room, MucRoom))| RoomSummary {
            name: name.clone(),
            title: room.config().title.clone(),
            occupants: room.occupants().count(),
        };
        self.0
            .iter()
            .filter(|(_, (room, _))| room.config().public)
            .take(at_most)
            .map(summary)
            .collect()
    }
    fn count(&self) -> usize {
        self.0.len()
    }
}

struct House {
    now: Now,
    service: MucService,
    settings: Arc<MucSettings>,
    rooms: Rooms,
    inboxes: BTreeMap<String, Vec<Element>>,
    orders: Vec<MediaOrder>,
}

fn jid(jid: &str) -> BareJid {
    BareJid::new(jid).unwrap()
}

impl House {
    fn new() -> Self {
        let service = ServiceSettings {
            rooms_domain: jid("rooms.example"),
            phones_domain: jid("phones.example"),
            name: "Rooms".to_owned(),
            creation: Creation::OwnDomains,
            own_domains: vec![jid("a.example")],
            admins: Vec::new(),
            default_config: RoomConfig::default(),
            max_rooms: 10,
        };
        let settings = MucSettings {
            rooms_domain: jid("rooms.example"),
            sip_host: "conf.example".to_owned(),
            service_key: [1; 32],
        };
        Self {
            now: Now {
                at: Instant::now(),
                unix_ms: 1_800_000_000_000,
            },
            service: MucService::new(service),
            settings: Arc::new(settings),
            rooms: Rooms::default(),
            inboxes: BTreeMap::new(),
            orders: Vec::new(),
        }
    }

    fn sends(&mut self, who: &str, xml: &str) {
        let addressed = xml.replacen(' ', &format!(" xmlns='jabber:client' from='{who}' "), 1);
        let (name, stanza) = match self.service.route(self.now, addressed.parse().unwrap(), &self.rooms) {
            Route::ToRoom(name, stanza) => (name, stanza),
            Route::Create(record, stanza) => {
                let name = record.name.clone();
                let muc = MucRoom::new(self.settings.clone(), &record, 1);
                let settings = RoomSettings::new(jid("phones.example"));
                let room = Room::new(*record, settings, Arc::new(Nobody), [1; 32], 1, self.now);
                self.rooms.0.insert(name.clone(), (room, muc));
                (name, stanza)
            }
            Route::Reply(stanzas) => return stanzas.into_iter().for_each(|s| self.deliver(s)),
            Route::Drop => return,
        };
        self.with_room(&name, |now, room, muc| muc.handle_stanza(now, room, stanza));
    }

    /// One call on a room and all that follows, media orders first.
    fn with_room(&mut self, name: &RoomName, call: impl FnOnce(Now, &mut Room, &mut MucRoom)) {
        let Some((mut room, mut muc)) = self.rooms.0.remove(name) else {
            return;
        };
        call(self.now, &mut room, &mut muc);
        self.orders.extend(std::iter::from_fn(|| room.poll_media()));
        while let Some(event) = room.poll_event() {
            muc.handle_event(self.now, &room, &event);
        }
        while let Some(stanza) = muc.poll_stanza() {
            self.deliver(stanza);
        }
        if !room.is_over() {
            self.rooms.0.insert(name.clone(), (room, muc));
        }
    }

    fn deliver(&mut self, stanza: Element) {
        let to = stanza.attr("to").unwrap().to_owned();
        self.inboxes.entry(to).or_default().push(stanza);
    }

    /// All that somebody has received since they were last asked, as one text.
    fn receives(&mut self, who: &str) -> String {
        self.inboxes.remove(who).unwrap_or_default().iter().map(String::from).collect()
    }

    fn joins(&mut self, who: &str, nick: &str) -> String {
        self.sends(
            who,
            &format!("<presence to='{ROOM}/{nick}'><x xmlns='http://jabber.org/protocol/muc'/></presence>"),
        );
        self.receives(who)
    }

    fn asks(&mut self, who: &str, type_: &str, to: &str, payload: &str) -> String {
        self.sends(who, &format!("<iq type='{type_}' id='1' to='{to}'>{payload}</iq>"));
        self.receives(who)
    }

    fn moderates(&mut self, item: &str) -> String {
        self.asks(
            ROMEO,
            "set",
            ROOM,
            &format!("<query xmlns='http://jabber.org/protocol/muc#admin'>{item}</query>"),
        )
    }

    fn phones(&mut self, leg: LegId, name: &str) {
        let caller = Caller::Claimed {
            uri: "sip:gw@192.0.2.1".to_owned(),
            name: Some(name.to_owned()),
        };
        let join = Request::Join {
            leg,
            account: None,
            caller: caller.clone(),
            ssrc: 1,
            endpoint: "sip:gw@192.0.2.1".to_owned(),
            correlation: Correlation(1),
            entry: cusax::model::Entry::Nothing,
        };
        let origin = Origin {
            door: Door::Sip,
            by: Asker::Caller(caller),
        };
        self.with_room(&RoomName::new("verona").unwrap(), |now, room, _| {
            room.request(now, &origin, join).unwrap();
            room.report(now, Report::LegConfirmed(leg));
        });
    }

    /// Romeo's room, configured as it is, with Juliet and a caller in it.
    fn in_company() -> Self {
        let mut house = Self::new();
        house.joins(ROMEO, "romeo");
        house.asks(ROMEO, "set", ROOM, INSTANT);
        house.joins(JULIET, "juliet");
        house.phones(LegId(7), "Mercutio");
        house.inboxes.clear();
        house.orders.clear();
        house
    }
}

const INSTANT: &str = "<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'/></query>";
const ITEMS: &str = "<query xmlns='http://jabber.org/protocol/disco#items'/>";
const INFO: &str = "<query xmlns='http://jabber.org/protocol/disco#info'/>";

#[test]
fn r14_a_room_from_its_making_to_its_end() {
    let mut house = House::new();
    assert!(house.joins(JULIET, "juliet").contains("not-allowed"), "not of our own domains");
    assert!(house.joins(ROMEO, "romeo").contains("201"));
    assert!(house.joins(JULIET, "juliet").contains("item-not-found"), "muc_7_2_10_1");
    house.asks(ROMEO, "set", ROOM, INSTANT);
    assert!(house.joins(JULIET, "juliet").contains("110"));
    assert!(house.asks(JULIET, "get", "rooms.example", ITEMS).contains(ROOM), "muc_6_3_1");
    assert!(house.asks(JULIET, "get", ROOM, INFO).contains("sip:verona@conf.example"), "m4");
    house.sends(
        JULIET,
        &format!("<message type='groupchat' to='{ROOM}'><body>wherefore</body></message>"),
    );
    assert!(house.receives(ROMEO).contains("wherefore"));
    let destroy = "<query xmlns='http://jabber.org/protocol/muc#owner'><destroy/></query>";
    house.asks(ROMEO, "set", ROOM, destroy);
    assert!(house.receives(JULIET).contains("<destroy"));
    assert!(house.asks(JULIET, "get", ROOM, INFO).contains("item-not-found"));
}

#[test]
fn r14_a_temporary_room_ends_with_its_last_occupant() {
    let mut house = House::new();
    house.joins(ROMEO, "romeo");
    house.asks(ROMEO, "set", ROOM, INSTANT);
    house.sends(ROMEO, &format!("<presence type='unavailable' to='{ROOM}/romeo'/>"));
    assert_eq!(house.rooms.count(), 0);
}

#[test]
fn m7_voice_in_the_chat_is_voice_on_the_phone() {
    let mut house = House::in_company();
    house.moderates("<item nick='Mercutio (phone)' role='visitor'/>");
    assert_eq!(house.orders, [MediaOrder::Mute(LegId(7), true)]);
    let seen = house.receives(JULIET);
    assert!(seen.contains("muted-host") && seen.contains("visitor"), "{seen}");
    house.now.at += Duration::from_secs(3);
    house.moderates("<item nick='Mercutio (phone)' role='participant'/>");
    assert_eq!(house.orders.last(), Some(&MediaOrder::Mute(LegId(7), false)), "r04");
}

#[test]
fn m7_a_kick_in_the_chat_ends_the_call() {
    let mut house = House::in_company();
    house.moderates("<item nick='Mercutio (phone)' role='none'/>");
    assert_eq!(house.orders, [MediaOrder::Close(LegId(7))]);
    assert!(house.receives(JULIET).contains("307"));
}

#[test]
fn r09_whoever_has_no_right_to_it_changes_nothing_on_the_phone() {
    let mut house = House::in_company();
    let kick = "<query xmlns='http://jabber.org/protocol/muc#admin'><item nick='Mercutio (phone)' role='none'/></query>";
    assert!(house.asks(JULIET, "set", ROOM, kick).contains("forbidden"));
    assert_eq!(house.orders, []);
}
