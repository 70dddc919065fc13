//! The conference factory, through the whole bridge (RFC 4579 section 5.4, rule R14).

use std::time::Duration;

use cusax::model::RoomName;

use super::world::World;

/// The rooms beside the one that is always there.
fn made(w: &World) -> Vec<RoomName> {
    w.rooms.keys().filter(|name| name.as_str() != "blue").cloned().collect()
}

#[test]
fn rfc4579_5_4_a_call_to_the_factory_makes_a_room_that_ends_with_it() {
    let mut w = World::new(1);
    w.join_by_phone("ann", "conference");
    let rooms = made(&w);
    let [name] = rooms.as_slice() else { panic!("{rooms:?}") };
    let name = name.as_str().to_owned();
    let ok = w
        .at("ann")
        .received
        .iter()
        .find(|m| m.starts_with("SIP/2.0 200"))
        .expect("an answer")
        .clone();
    let contact = ok.lines().find(|l| l.starts_with("Contact:")).expect("a Contact");
    assert!(
        contact.contains(&format!("<sip:{name}@")) && contact.contains(";isfocus"),
        "{contact}"
    );
    assert!(w.is_heard("ann", &name));
    // It is a room like any other: its creator owns it in the chat, and others call its own URI.
    w.join_by_phone("zoe", &name);
    assert!(w.is_heard("zoe", &name));
    w.enter("ann", &name);
    assert!(w.saw("ann", &["affiliation='owner'"]) || w.saw("ann", &["affiliation=\"owner\""]));
    w.leave("ann", &name);
    w.hang_up("ann");
    w.run_for(Duration::from_secs(1));
    assert_eq!(made(&w).len(), 1, "somebody is there");
    w.hang_up("zoe");
    w.run_for(Duration::from_secs(1));
    assert!(made(&w).is_empty(), "a temporary room ends with its last guest");
    assert_eq!(w.calls(), 0);
}

#[test]
fn r14_who_has_no_account_makes_no_room_and_there_are_no_more_than_allowed() {
    let mut w = World::new(2);
    w.phone("zoe");
    w.dial("zoe", "conference");
    w.run_for(Duration::from_secs(1));
    assert!(
        w.at("zoe").received.iter().any(|m| m.starts_with("SIP/2.0 401")),
        "{:?}",
        w.at("zoe").log
    );
    assert!(made(&w).is_empty());
    w.join_by_phone("ann", "conference");
    w.join_by_phone("bob", "conference");
    assert_eq!(made(&w).len(), 2);
    w.phone("carol");
    w.dial("carol", "conference");
    w.run_for(Duration::from_secs(1));
    assert!(
        w.at("carol").received.iter().any(|m| m.starts_with("SIP/2.0 503")),
        "{:?}",
        w.at("carol").log
    );
    assert_eq!(made(&w).len(), 2);
}

#[test]
fn r14_an_offer_that_cannot_be_met_makes_no_room() {
    let mut w = World::new(3);
    w.phone("ann");
    w.dial_media("ann", "conference", &[], "RTP/AVP 3\r\n");
    w.run_for(Duration::from_secs(1));
    assert!(
        w.at("ann").received.iter().any(|m| m.starts_with("SIP/2.0 488")),
        "{:?}",
        w.at("ann").log
    );
    assert!(made(&w).is_empty());
}

#[test]
fn r47_a_call_of_a_room_that_comes_back_is_a_loop() {
    let mut w = World::new(4);
    w.phone("zoe");
    w.raw(
        "zoe",
        "INVITE sip:blue@conf.example.com SIP/2.0\r\nVia: SIP/2.0/UDP {at};branch=z9hG4bKloop\r\nMax-Forwards: 70\r\n\
         From: <sip:blue@conf.example.com>;tag=1\r\nTo: <sip:blue@conf.example.com>\r\nCall-ID: loop\r\nCSeq: 1 INVITE\r\n\
         Contact: <sip:zoe@{at}>\r\nContent-Length: 0\r\n\r\n",
    );
    assert!(
        w.at("zoe").received.iter().any(|m| m.starts_with("SIP/2.0 482")),
        "{:?}",
        w.at("zoe").received
    );
}
