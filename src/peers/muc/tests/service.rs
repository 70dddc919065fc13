//! The service in front of the rooms (sections 6.2, 6.3, 10.1.1; rules R14, R20).

use std::time::Instant;

use minidom::Element;

use crate::{
    model::{Affiliation, BareJid, Now, RoomConfig, RoomName},
    peers::muc::{Creation, MucService, RoomIndex, RoomSummary, Route, ServiceSettings},
};

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
        other @ (Route::ToRoom(..) | Route::Create(..) | Route::Drop) => format!("{other:?}"),
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
