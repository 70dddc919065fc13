//! Messages, private messages, history and subject (sections 7.2.13 to 7.2.15, 7.4, 7.5, 8.1, 17.2).

use super::*;
use crate::xmpp::muc::{NS_OCCUPANT_ID, NS_STANZA_ID};

#[test]
fn muc_7_4_1_and_7_4_2_a_message_goes_whole_to_everybody() {
    let mut w = World::new();
    w.all_join(&[ROMEO, JULIET]);
    w.sends(
        JULIET,
        "<message type='groupchat' id='m1'><body>hi</body><html xmlns='http://jabber.org/protocol/xhtml-im'/></message>",
    );
    for who in [ROMEO, JULIET] {
        let seen = w.receives_one(who);
        assert_eq!((line(&seen).as_str(), seen.attr("id")), ("message juliet: hi", Some("m1")));
        assert!(seen.has_child("html", "http://jabber.org/protocol/xhtml-im"), "muc_17_2_4");
        let by_room = seen.get_child("stanza-id", NS_STANZA_ID).expect("a stanza-id");
        assert_eq!(by_room.attr("by"), Some(ROOM));
        assert!(seen.has_child("occupant-id", NS_OCCUPANT_ID));
    }
}

#[test]
fn r24_forged_parts_do_not_pass() {
    let mut w = World::new();
    w.all_join(&[ROMEO, JULIET]);
    w.sends(
        JULIET,
        &format!(
            "<message type='groupchat'><body>hi</body><stanza-id xmlns='{NS_STANZA_ID}' by='{ROOM}' id='forged'/>\
             <delay xmlns='{NS_DELAY}' from='{ROOM}' stamp='1999-01-01T00:00:00Z'/>\
             <x xmlns='{NS_USER}'><status code='307'/></x><occupant-id xmlns='{NS_OCCUPANT_ID}' id='forged'/></message>"
        ),
    );
    let seen = w.receives_one(ROMEO);
    let names: Vec<&str> = seen.children().map(Element::name).collect();
    assert_eq!(names, ["body", "occupant-id", "stanza-id"]);
    assert!(!String::from(&seen).contains("forged"));
}

#[test]
fn muc_7_4_4_visitors_do_not_write() {
    let mut w = World::with(|c| c.moderated = true);
    w.all_join(&[NURSE, JULIET]);
    w.says(JULIET, "hi");
    assert_eq!(w.receives(JULIET), ["message error auth forbidden"]);
    assert!(w.receives(NURSE).is_empty());
}

#[test]
fn muc_7_4_5_and_17_2_2_strangers_do_not_write() {
    let mut w = World::new();
    w.all_join(&[ROMEO]);
    w.says(JULIET, "hi");
    assert_eq!(w.receives(JULIET), ["message error modify not-acceptable"]);
    w.sends(JULIET, &format!("<message type='chat' to='{ROOM}/romeo'><body>hi</body></message>"));
    assert_eq!(w.receives(JULIET), ["message error modify not-acceptable"], "muc_7_5_7");
    assert!(w.receives(ROMEO).is_empty());
}

#[test]
fn muc_7_5_4_private_messages() {
    let mut w = World::new();
    w.all_join(&[ROMEO, JULIET, NURSE]);
    w.joins("romeo@b.example/phone", "romeo");
    w.forget();
    w.sends(
        JULIET,
        &format!("<message type='chat' id='p' to='{ROOM}/romeo'><body>psst</body></message>"),
    );
    for client in [ROMEO, "romeo@b.example/phone"] {
        let seen = w.receives_one(client);
        assert_eq!(
            (line(&seen).as_str(), seen.attr("type"), seen.attr("id")),
            ("message juliet private: psst", Some("chat"), Some("p"))
        );
        assert!(seen.has_child("x", NS_USER));
        assert!(!String::from(&seen).contains("a.example"), "muc_17_4_3: her address stays hers");
    }
    assert!(w.receives(JULIET).is_empty() && w.receives(NURSE).is_empty());
}

#[test]
fn muc_7_5_5_and_7_5_6_private_messages_that_cannot_be() {
    let mut w = World::new();
    w.all_join(&[ROMEO, JULIET]);
    w.sends(
        JULIET,
        &format!("<message type='groupchat' to='{ROOM}/romeo'><body>hi</body></message>"),
    );
    assert_eq!(w.receives(JULIET), ["message error modify bad-request"]);
    w.sends(
        JULIET,
        &format!("<message type='chat' to='{ROOM}/tybalt'><body>hi</body></message>"),
    );
    assert_eq!(w.receives(JULIET), ["message error cancel item-not-found"]);
    assert!(w.receives(ROMEO).is_empty());
}

#[test]
fn a_text_to_the_room_itself_is_no_message_to_everybody() {
    let mut w = World::new();
    w.all_join(&[ROMEO, JULIET]);
    w.sends(JULIET, "<message type='chat'><body>hi</body></message>");
    assert_eq!(w.receives(JULIET), ["message error modify bad-request"]);
    w.sends(JULIET, "<message type='headline'><body>hi</body></message>");
    assert!(w.receives(JULIET).is_empty() && w.receives(ROMEO).is_empty());
}

#[test]
fn muc_7_2_14_4_no_history_for_who_wants_none() {
    let mut w = World::new();
    w.all_join(&[ROMEO]);
    w.says(ROMEO, "hi");
    let join = |history: &str| format!("<presence to='{ROOM}/juliet'><x xmlns='http://jabber.org/protocol/muc'>{history}</x></presence>");
    w.sends(JULIET, &join("<history maxchars='0'/>"));
    assert!(!w.receives(JULIET).iter().any(|l| l.contains("earlier")));
    w.sends(NURSE, &join("<history maxstanzas='1'/>").replace("juliet", "nurse"));
    assert_eq!(w.receives(NURSE).iter().filter(|l| l.contains("earlier")).count(), 1);
}

#[test]
fn muc_7_2_13_2_history_tells_when_and_by_whom() {
    let mut w = World::new();
    w.all_join(&[ROMEO]);
    w.says(ROMEO, "hi");
    w.sends(ROMEO, &format!("<presence type='unavailable' to='{ROOM}/romeo'/>"));
    w.run_for(Duration::from_secs(60));
    w.joins(JULIET, "juliet");
    let inbox = w.inbox(JULIET);
    let old = inbox.iter().find(|s| line(s) == "message romeo earlier: hi").expect("history");
    let delay = old.get_child("delay", NS_DELAY).expect("a delay");
    assert_eq!(
        (delay.attr("from"), delay.attr("stamp")),
        (Some(ROOM), Some("2027-01-15T08:00:00Z"))
    );
    assert!(old.has_child("occupant-id", NS_OCCUPANT_ID), "xep 0421 section 4: history too");
    assert!(old.has_child("stanza-id", NS_STANZA_ID));
}

#[test]
fn muc_8_1_1_to_8_1_6_the_subject() {
    let mut w = World::new();
    w.all_join(&[NURSE, ROMEO]);
    w.sends(ROMEO, "<message type='groupchat'><subject>love</subject></message>");
    assert_eq!(w.receives(ROMEO), ["message error auth forbidden"]);
    w.sends(NURSE, "<message type='groupchat'><subject>duty</subject></message>");
    assert_eq!(w.receives(ROMEO), ["subject nurse: duty"]);
    assert_eq!(w.muc.subject(), "duty");
    w.sends(
        NURSE,
        "<message type='groupchat'><subject>x</subject><body>not a subject</body></message>",
    );
    assert_eq!(w.muc.subject(), "duty", "muc_8_1_3");
    w.joins(JULIET, "juliet");
    assert_eq!(
        w.receives(JULIET).last().map(String::as_str),
        Some("subject nurse earlier: duty"),
        "muc_8_1_5, muc_7_2_15_2"
    );
    w.sends(NURSE, "<message type='groupchat'><subject/></message>");
    w.forget();
    w.joins(JULIET, "juliet");
    assert_eq!(
        w.receives(JULIET).last().map(String::as_str),
        Some("subject nurse earlier: "),
        "muc_7_2_15_5: cleared, and by whom"
    );
}

#[test]
fn an_open_subject_is_everybodys() {
    let mut w = World::with(|c| c.open_subject = true);
    w.all_join(&[ROMEO]);
    w.sends(ROMEO, "<message type='groupchat'><subject>love</subject></message>");
    assert_eq!(w.receives(ROMEO), ["subject romeo: love"]);
    w.sends(
        ROMEO,
        &format!("<message type='groupchat'><subject>{}</subject></message>", "x".repeat(5000)),
    );
    assert_eq!(w.receives(ROMEO), ["message error modify not-acceptable"]);
}

#[test]
fn what_was_said_and_the_subject_outlive_a_restart() {
    let mut w = World::new();
    w.all_join(&[NURSE]);
    w.says(NURSE, "hi");
    w.sends(NURSE, "<message type='groupchat'><subject>duty</subject></message>");
    let mut record = record(|_| ());
    for op in w.stored {
        match op {
            StoreOp::SetSubject(_, item) => record.subject = Some(item),
            StoreOp::Append(_, item, at_most) => {
                assert_eq!(at_most, 50);
                record.history.push(item);
            }
            StoreOp::SaveRoom(_) | StoreOp::DeleteRoom(_) | StoreOp::SetAffiliation(..) | StoreOp::SetVoice(..) => {}
        }
    }
    let mut w = World::from_record(record);
    w.joins(JULIET, "juliet");
    assert_eq!(
        w.receives(JULIET)[1..],
        ["message nurse earlier: hi".to_owned(), "subject nurse earlier: duty".to_owned()]
    );
}

#[test]
fn a_room_that_ends_with_its_people_stores_nothing_until_it_is_to_stay() {
    let mut w = World::with(|c| c.persistent = false);
    w.all_join(&[CAPULET]);
    w.says(CAPULET, "hi");
    w.sends(CAPULET, "<message type='groupchat'><subject>duty</subject></message>");
    let said = |w: &World| {
        w.stored
            .iter()
            .filter(|op| matches!(op, StoreOp::Append(..) | StoreOp::SetSubject(..)))
            .count()
    };
    assert_eq!(said(&w), 0);
    let form = "<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'>\
                <field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#roomconfig</value></field>\
                <field var='muc#roomconfig_persistentroom'><value>1</value></field></x></query>";
    assert_eq!(w.iq(CAPULET, "set", form), "iq result");
    assert_eq!(said(&w), 2);
    w.says(CAPULET, "ho");
    assert_eq!(said(&w), 3);
}

#[test]
fn muc_18_1_2_1_who_cannot_be_reached_is_out() {
    for condition in [
        "gone",
        "item-not-found",
        "recipient-unavailable",
        "redirect",
        "remote-server-not-found",
        "remote-server-timeout",
    ] {
        let mut w = World::new();
        w.all_join(&[ROMEO, JULIET]);
        let error = format!("<error type='cancel'><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>");
        w.sends(JULIET, &format!("<message type='error' to='{ROOM}/romeo'>{error}</message>"));
        assert_eq!(
            w.receives(ROMEO),
            ["presence juliet gone none none [307 333]"],
            "muc_11_1_1, muc_11_1_2: {condition}"
        );
    }
}

#[test]
fn one_client_that_cannot_be_reached_leaves_the_others_in() {
    let mut w = World::new();
    w.all_join(&[ROMEO, JULIET]);
    w.joins("juliet@a.example/phone", "juliet");
    w.forget();
    let error = "<error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>";
    w.sends("juliet@a.example/phone", &format!("<message type='error'>{error}</message>"));
    assert_eq!(w.receives(ROMEO), ["presence juliet none participant"]);
    w.says(ROMEO, "hi");
    assert_eq!(w.receives(JULIET).last().map(String::as_str), Some("message romeo: hi"));
    assert_eq!(
        w.receives("juliet@a.example/phone"),
        ["presence juliet gone none none [110 307 333]"]
    );
}

#[test]
fn other_errors_reach_the_other_end_of_a_private_message_and_nobody_else() {
    let mut w = World::new();
    w.all_join(&[ROMEO, JULIET, NURSE]);
    let error = "<error type='cancel'><not-allowed xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>";
    w.sends(JULIET, &format!("<message type='error' id='p' to='{ROOM}/romeo'>{error}</message>"));
    let seen = w.receives_one(ROMEO);
    assert_eq!(
        (line(&seen).as_str(), seen.attr("from")),
        ("message error cancel not-allowed", Some("blue@rooms.example/juliet"))
    );
    w.sends(JULIET, &format!("<message type='error' id='p'>{error}</message>"));
    w.sends(
        "tybalt@a.example/x",
        &format!("<message type='error' to='{ROOM}/romeo'>{error}</message>"),
    );
    for who in [ROMEO, JULIET, NURSE, "tybalt@a.example/x"] {
        assert!(w.receives(who).is_empty(), "r23: {who}");
    }
}

#[test]
fn muc_7_2_14_2_the_rooms_limit_holds_for_what_was_kept_before() {
    let mut record = record(|c| c.history_length = 2);
    let item = |n: u64| crate::model::HistoryItem {
        unix_ms: n,
        nick: "romeo".to_owned(),
        stanza: format!("<message xmlns='jabber:client' type='groupchat' from='{ROOM}/romeo'><body>{n}</body></message>"),
    };
    record.history = (0..5).map(item).collect();
    let mut w = World::from_record(record);
    w.joins(JULIET, "juliet");
    assert_eq!(
        w.receives(JULIET)[1..],
        ["message romeo earlier: 3", "message romeo earlier: 4", "subject room: "]
    );
}
