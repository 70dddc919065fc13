//! REFER to a room, through the whole bridge (RFC 4579, rule R47).

use std::time::Duration;

use cusax::model::MediaOrder;
use cusax::sip::msg::{DialogId, Method, ReferTo, Uri};

use super::world::{Manner, World};

fn to(uri: &str) -> ReferTo {
    ReferTo::new(Uri::parse(uri).expect("a URI"))
}

fn remove(uri: &str) -> ReferTo {
    ReferTo {
        method: Method::Bye,
        ..to(uri)
    }
}

fn logged(w: &World, phone: &str, what: &str) -> bool {
    w.at(phone).log.iter().any(|l| l == what)
}

fn refused(w: &mut World, phone: &str, room: Option<&str>, refer_to: ReferTo, status: u16) {
    let shown = refer_to.uri.to_string();
    let before = w.at(phone).log.len();
    w.refer(phone, room, refer_to);
    w.run_for(Duration::from_secs(2));
    let log = &w.at(phone).log[before..];
    assert_eq!(log, [format!("refer refused: {status}")], "{shown}");
}

#[test]
fn rfc4579_5_5_a_moderator_adds_somebody_and_hears_how_it_goes() {
    let mut w = World::new(1);
    w.join_by_phone("ann", "blue");
    let zoe = w.takes_calls("zoe", Manner::Answer);
    w.refer("ann", None, to(&zoe));
    w.run_until("zoe is heard", |w| w.is_heard("zoe", "blue"));
    w.run_for(Duration::from_secs(1));
    assert!(
        logged(&w, "ann", "refer: 180") && logged(&w, "ann", "refer: 200"),
        "{:?}",
        w.at("ann").log
    );
    let ann = w.leg_of("ann", "blue").expect("in the room");
    let told = w
        .plane
        .log
        .iter()
        .any(|order| matches!(order, MediaOrder::Say(leg, _) if *leg == ann));
    assert!(told, "checklist F-1: the call leaves our own domain");

    w.takes_calls("zoe", Manner::Refuse(486, Vec::new()));
    w.refer("ann", None, to(&zoe));
    w.run_for(Duration::from_secs(2));
    assert!(logged(&w, "ann", "refer: 486"), "{:?}", w.at("ann").log);
}

#[test]
fn rfc4579_5_6_an_owner_adds_somebody_from_outside() {
    let mut w = World::new(2);
    w.phone("ann");
    let zoe = w.takes_calls("zoe", Manner::Answer);
    w.refer("ann", Some("blue"), to(&zoe));
    w.run_until("zoe is heard", |w| w.is_heard("zoe", "blue"));
    w.run_for(Duration::from_secs(1));
    assert!(logged(&w, "ann", "refer: 200"), "{:?}", w.at("ann").log);
}

#[test]
fn rfc4579_5_11_a_moderator_removes_whom_the_documents_name() {
    let mut w = World::new(3);
    w.join_by_phone("ann", "blue");
    for round in 0..4 {
        w.join_by_phone("zoe", "blue");
        w.join_by_phone("bob", "blue");
        let room = w.rooms.values().next().expect("a room").room();
        let zoe = room.people().find(|p| p.name == "zoe").expect("she is in");
        let (whom, gone) = match round {
            0 => (zoe.hidden_entity.clone(), "zoe"),
            1 => (format!("{};leg={}", zoe.hidden_entity, zoe.legs[0].id.0), "zoe"),
            2 => ("sip:bob@conf.example.com".to_owned(), "bob"),
            _ => (zoe.legs[0].endpoint.clone(), "zoe"),
        };
        w.refer("ann", None, remove(&whom));
        w.run_for(Duration::from_secs(1));
        assert!(w.leg_of(gone, "blue").is_none(), "{whom}");
        assert!(logged(&w, "ann", "refer: 200"), "{:?}", w.at("ann").log);
        for phone in ["zoe", "bob"] {
            if w.leg_of(phone, "blue").is_some() {
                w.hang_up(phone);
            }
        }
        w.run_for(Duration::from_secs(61));
    }
    refused(&mut w, "ann", None, remove("sip:nobody@conf.example.com"), 404);
}

#[test]
fn r47_only_moderators_have_somebody_added_or_removed() {
    let mut w = World::new(4);
    w.join_by_phone("ann", "blue");
    w.join_by_phone("bob", "blue");
    w.join_by_phone("zoe", "blue");
    let yan = w.takes_calls("yan", Manner::Answer);
    refused(&mut w, "bob", None, to(&yan), 403);
    refused(&mut w, "zoe", None, to(&yan), 403);
    refused(&mut w, "bob", None, remove("sip:ann@conf.example.com"), 403);
    // From outside: somebody without an account, and one without a standing.
    refused(&mut w, "yan", Some("blue"), to(&yan), 401);
    w.phone("carol");
    refused(&mut w, "carol", Some("blue"), to(&yan), 403);
    refused(&mut w, "carol", Some("nowhere"), to(&yan), 404);
    assert!(w.at("yan").log.iter().all(|l| !l.starts_with("called")), "{:?}", w.at("yan").log);
    assert_eq!(w.counters().refers_refused, 5, "a challenge is no refusal");
}

#[test]
fn r47_toll_fraud_by_refer_is_refused_whoever_asks() {
    let mut w = World::new(5);
    w.join_by_phone("ann", "blue");
    for (uri, status) in [
        ("sip:+19005550123@192.0.2.66", 403),
        ("sip:%2B1900%35550123@conf.example.com;user=phone", 403),
        ("tel:+1-900-555-0123", 403),
        ("sip:0019005550123@conf.example.com", 403),
        ("tel:112", 403),
        ("sip:112@elsewhere.example", 403),
        ("tel:123;phone-context=+49", 400),
        ("sip:192.0.2.66", 400),
        ("xmpp:bob@example.com", 416),
        ("mailto:bob@example.com", 416),
        ("https://example.com/", 416),
    ] {
        refused(&mut w, "ann", None, to(uri), status);
    }
    let other = ReferTo {
        method: Method::Subscribe,
        ..to("sip:zoe@192.0.2.66")
    };
    refused(&mut w, "ann", None, other, 403);
    assert_eq!(w.counters().dials, 0);
    assert_eq!(w.counters().refers_refused, 12);
}

#[test]
fn r47_of_the_embedded_headers_only_those_that_name_a_call_are_sent_on() {
    let mut w = World::new(6);
    w.join_by_phone("ann", "blue");
    let zoe = w.takes_calls("zoe", Manner::Refuse(481, Vec::new()));
    let consulted = ReferTo {
        replaces: Some(DialogId {
            call_id: "abc".to_owned(),
            to_tag: "1".to_owned(),
            from_tag: "2".to_owned(),
            early_only: false,
        }),
        ..to(&zoe)
    };
    w.refer("ann", None, consulted);
    w.run_for(Duration::from_secs(2));
    let invite = w.at("zoe").received.iter().find(|m| m.starts_with("INVITE")).expect("a call");
    assert!(invite.contains("\r\nReplaces: abc;to-tag=1;from-tag=2\r\n"), "{invite}");
    assert!(logged(&w, "ann", "refer: 481"), "{:?}", w.at("ann").log);
}

#[test]
fn r47_a_room_that_ends_leaves_no_refer_open() {
    let mut w = World::new(7);
    w.join_by_phone("ann", "blue");
    let zoe = w.takes_calls("zoe", Manner::Ring);
    w.refer("ann", None, to(&zoe));
    w.run_for(Duration::from_secs(1));
    w.shutdown();
    w.run_for(Duration::from_secs(2));
    assert!(w.at("zoe").received.iter().any(|m| m.starts_with("CANCEL")));
    assert_eq!(w.calls(), 0);
}
