//! Queries between clients (section 17.4) and to oneself (XEP-0410).

use super::*;

const PING: &str = "<ping xmlns='urn:xmpp:ping'/>";

fn ask(w: &mut World, who: &str, nick: &str, payload: &str) {
    w.sends(who, &format!("<iq type='get' id='q' to='{ROOM}/{nick}'>{payload}</iq>"));
}

#[test]
fn xep_0410_pings_to_oneself_are_answered_by_the_room() {
    let mut w = World::new();
    w.all_join(&[JULIET]);
    ask(&mut w, JULIET, "juliet", PING);
    assert_eq!(w.receives(JULIET), ["iq result"]);
    ask(&mut w, "juliet@a.example/other", "juliet", PING);
    assert_eq!(
        w.receives("juliet@a.example/other"),
        ["iq error cancel not-acceptable"],
        "that client isn't in"
    );
    ask(&mut w, ROMEO, "juliet", PING);
    assert_eq!(w.receives(ROMEO), ["iq error cancel not-acceptable"]);
    ask(&mut w, JULIET, "nobody", PING);
    assert_eq!(w.receives(JULIET), ["iq error cancel item-not-found"]);
}

#[test]
fn muc_17_4_2_and_17_4_3_a_query_goes_and_its_answer_comes_back() {
    let mut w = World::new();
    w.all_join(&[JULIET, ROMEO]);
    ask(&mut w, JULIET, "romeo", "<query xmlns='jabber:iq:version'/>");
    let query = w.receives_one(ROMEO);
    assert_eq!(
        (query.attr("from"), query.attr("type")),
        (Some("blue@rooms.example/juliet"), Some("get"))
    );
    assert!(query.has_child("query", "jabber:iq:version"));
    let id = query.attr("id").expect("an id").to_owned();
    assert_ne!(id, "q", "two clients may choose the same");
    w.sends(
        ROMEO,
        &format!("<iq type='result' id='{id}' to='{ROOM}/juliet'><query xmlns='jabber:iq:version'><name>x</name></query></iq>"),
    );
    let answer = w.receives_one(JULIET);
    assert_eq!(
        (answer.attr("from"), answer.attr("id"), answer.attr("type")),
        (Some("blue@rooms.example/romeo"), Some("q"), Some("result"))
    );
    assert!(!String::from(&answer).contains("b.example") && !String::from(&query).contains("a.example"));
    w.sends(ROMEO, &format!("<iq type='result' id='{id}' to='{ROOM}/juliet'/>"));
    assert!(w.receives(JULIET).is_empty(), "once only");
}

#[test]
fn errors_come_back_as_well() {
    let mut w = World::new();
    w.all_join(&[JULIET, ROMEO]);
    ask(&mut w, JULIET, "romeo", "<query xmlns='jabber:iq:version'/>");
    let id = w.receives_one(ROMEO).attr("id").expect("an id").to_owned();
    w.sends(
        ROMEO,
        &format!(
            "<iq type='error' id='{id}' to='{ROOM}/juliet'><query xmlns='jabber:iq:version'/>\
             <error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
        ),
    );
    assert_eq!(w.receives(JULIET), ["iq error cancel service-unavailable"]);
    w.says(ROMEO, "still here");
    assert_eq!(w.receives(JULIET), ["message romeo: still here"], "an IQ error puts nobody out");
}

#[test]
fn vcards_and_avatars_are_asked_of_the_account() {
    let mut w = World::new();
    w.all_join(&[JULIET, ROMEO]);
    for payload in [
        "<vCard xmlns='vcard-temp'/>",
        "<pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:xmpp:avatar:data'/></pubsub>",
    ] {
        ask(&mut w, JULIET, "romeo", payload);
        let query = w.receives_one("romeo@b.example");
        let id = query.attr("id").expect("an id").to_owned();
        w.sends("tybalt@b.example", &format!("<iq type='result' id='{id}' to='{ROOM}/juliet'/>"));
        assert!(w.receives(JULIET).is_empty(), "an answer from elsewhere is none");
        w.sends("romeo@b.example", &format!("<iq type='result' id='{id}' to='{ROOM}/juliet'/>"));
        assert_eq!(w.receives(JULIET), ["iq result"]);
    }
}

#[test]
fn muc_6_6_1_strangers_do_not_ask() {
    let mut w = World::new();
    w.all_join(&[ROMEO]);
    ask(&mut w, JULIET, "romeo", "<query xmlns='http://jabber.org/protocol/disco#info'/>");
    assert_eq!(w.receives(JULIET), ["iq error cancel bad-request"]);
    ask(&mut w, JULIET, "romeo", "<vCard xmlns='vcard-temp'/>");
    assert_eq!(w.receives(JULIET), ["iq error cancel not-acceptable"]);
    assert!(w.receives(ROMEO).is_empty() && w.receives("romeo@b.example").is_empty());
}

#[test]
fn queries_nobody_answers_end() {
    let mut w = World::new();
    w.all_join(&[JULIET, ROMEO]);
    ask(&mut w, JULIET, "romeo", "<query xmlns='jabber:iq:version'/>");
    w.run_for(Duration::from_secs(61));
    assert_eq!(w.receives(JULIET), ["iq error wait remote-server-timeout"]);
    assert_eq!(w.muc.poll_timeout(), None);
}

#[test]
fn one_clients_open_queries_are_limited() {
    let mut w = World::new();
    w.all_join(&[JULIET, ROMEO]);
    let mut errors = 0;
    for _ in 0..30 {
        for _ in 0..10 {
            ask(&mut w, JULIET, "romeo", "<query xmlns='jabber:iq:version'/>");
        }
        errors += w.receives(JULIET).iter().filter(|l| l.ends_with("resource-constraint")).count();
        w.run_for(Duration::from_secs(1));
    }
    assert_eq!((w.receives(ROMEO).len(), errors), (200, 100));
}
