//! The hosted rooms through an ordinary chat client and a real server: discovery, making, entering, ending.

use serde_json::{Value, json};

use super::peers::{self, Chat, Folder, Phone, PhoneSetup, Server, server::ROOM};

fn has(list: &Value, wanted: &str) -> bool {
    list.as_array().is_some_and(|all| all.iter().any(|v| v == wanted))
}

#[test]
fn m4_r34_rooms_are_found_and_name_their_sip_uri() {
    let folder = Folder::new("discovery");
    let prosody = peers::prosody(&folder, &["ann"]);
    let server = Server::start(&prosody, &folder, "");
    let mut ann = Chat::login(&prosody, &folder, "ann");

    let service = ann.info("rooms.localhost");
    assert_eq!(service["identities"][0][0], "conference", "{service}");
    assert!(has(&service["features"], "http://jabber.org/protocol/muc"), "{service}");
    let rooms = ann.order("items", json!({"jid": "rooms.localhost"})).expect("disco#items");
    assert_eq!(rooms[0][0], ROOM, "{rooms}");
    let items = ann.order("items", json!({"jid": "localhost"})).expect("disco#items").to_string();
    assert!(
        !items.contains("rooms.localhost"),
        "clients would take it for their server's own: {items}"
    );

    let room = ann.info(ROOM);
    for name in [
        "audio-video-uri",
        "muc#roominfo_audio-video-uri",
        "{urn:ietf:rfc:7081}audio-video-uri",
    ] {
        assert_eq!(room["fields"][name], json!(["sip:standup@conf.localhost"]), "{room}");
    }
    // What is announced can be dialled.
    let mut phone = Phone::start(&folder, PhoneSetup::of_account("ann", 0, &server));
    phone.call("sip:standup@conf.localhost");
    ann.order("ping", json!({"jid": "rooms.localhost"})).expect("XEP-0199");
}

#[test]
fn r14_a_room_made_on_demand_lives_until_its_last_nick_and_call_are_gone() {
    let folder = Folder::new("on-demand");
    let prosody = peers::prosody(&folder, &["ann", "bob"]);
    let server = Server::start(&prosody, &folder, "");
    let room = "coffee@rooms.localhost";
    let mut ann = Chat::login(&prosody, &folder, "ann");
    let mut bob = Chat::login(&prosody, &folder, "bob");
    let mut phone = Phone::start(&folder, PhoneSetup::new("zoe", 440));

    let made = ann.join(room, "Ann");
    assert_eq!(made["self"]["statuses"], json!([110, 201]), "{made}");
    assert_eq!(made["self"]["affiliation"], "owner", "{made}");
    // Not configured yet: nobody else enters, by neither door.
    assert_eq!(
        bob.order("join", json!({"room": room, "nick": "Bob"})),
        Err("item-not-found".into())
    );
    phone.order("dial", &server.room_uri("coffee", "udp"));
    let refused = phone.closed().event;
    assert!(refused["param"].as_str().is_some_and(|p| p.starts_with('4')), "{refused}");

    ann.order("configure", json!({"room": room, "values": {"muc#roomconfig_roomname": "Coffee"}}))
        .expect("an owner may");
    assert_eq!(ann.info(room)["identities"][0][2], "Coffee");
    bob.join(room, "Bob");
    phone.call(&server.room_uri("coffee", "udp"));
    ann.presence(&format!("{room}/zoe (phone)"), |p| p["type"] == "available");

    for (chat, nick) in [(&mut ann, "Ann"), (&mut bob, "Bob")] {
        chat.order("leave", json!({"room": room, "nick": nick})).expect("sent");
    }
    server.wait_people("coffee", "left to the phone", |p| p.len() == 1);
    phone.hang_up();
    cusax::app::child::wait_until(peers::events::LIMIT, || {
        (!server.operator(&["room", "show", "coffee"]).1).then_some(())
    })
    .expect("a temporary room ends");
    assert_eq!(
        ann.join(room, "Ann")["self"]["statuses"],
        json!([110, 201]),
        "and can be made again"
    );
}

#[test]
fn what_was_said_is_there_for_newcomers_in_the_order_of_the_standard() {
    let folder = Folder::new("history");
    let prosody = peers::prosody(&folder, &["ann", "bob"]);
    let _server = Server::start(&prosody, &folder, "");
    let mut ann = Chat::login(&prosody, &folder, "ann");
    let mut bob = Chat::login(&prosody, &folder, "bob");
    ann.join(ROOM, "Ann");
    ann.order("subject", json!({"room": ROOM, "text": "Release"})).expect("sent");
    for text in ["one", "two", "three"] {
        ann.say(ROOM, text);
    }
    ann.message("three");

    // XEP-0045 section 7.1: occupants, oneself, history, subject. slixmpp sorts them; the raw order is in the events.
    bob.forget();
    let joined = bob
        .order("join", json!({"room": ROOM, "nick": "Bob", "history": 2}))
        .expect("joined");
    let past: Vec<_> = joined["history"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|m| m["body"].clone())
        .collect();
    assert_eq!(past, ["two", "three"]);
    assert_eq!(joined["subject"]["subject"], "Release");
    let kind = |e: &Value| match (e["event"].as_str(), e["subject"].as_str(), has_status(e, 110)) {
        (Some("presence"), _, true) => "self",
        (Some("presence"), _, false) => "occupant",
        (Some("message"), Some(_), _) => "subject",
        _ => "message",
    };
    let order: Vec<_> = bob
        .events
        .all(|e| e["event"] == "presence" || e["event"] == "message")
        .iter()
        .map(|s| kind(&s.event))
        .collect();
    assert_eq!(order, ["occupant", "self", "message", "message", "subject"]);

    bob.order("tell", json!({"to": format!("{ROOM}/Ann"), "text": "between us"}))
        .expect("sent");
    assert_eq!(ann.message("between us").event["nick"], "Bob");
    ann.forget();
    bob.order("nick", json!({"room": ROOM, "nick": "Robert"})).expect("sent");
    let renamed = ann.presence(&format!("{ROOM}/Bob"), |p| p["type"] == "unavailable").event;
    assert!(has_status(&renamed, 303) && renamed["new_nick"] == "Robert", "{renamed}");
}

fn has_status(event: &Value, status: u16) -> bool {
    event["statuses"].as_array().is_some_and(|all| all.contains(&status.into()))
}
