//! Callers as the chat shows them (rules R13, R23, R26, R27).

use super::*;

const STAND_IN: &str = "Mercutio (phone)";

#[test]
fn r26_m6_a_caller_is_an_occupant() {
    let mut w = World::new();
    w.all_join(&[NURSE, ROMEO]);
    let leg = w.phones("Mercutio");
    let seen = w.inbox(ROMEO);
    assert_eq!(line(&seen[0]), format!("presence {STAND_IN} none participant"));
    assert!(level(&seen[0]).starts_with("none/"));
    let told = w.receives(NURSE);
    assert!(
        told[0].contains(" p-") && told[0].contains("@phones.example/phone"),
        "muc_17_3_15: {told:?}"
    );
    w.joins(JULIET, "juliet");
    assert!(w.receives(JULIET).contains(&format!("presence {STAND_IN} none participant")));
    w.forget();
    w.reports(Report::LegGone(leg, crate::room::LegCause::Departed));
    assert_eq!(w.receives(ROMEO), [format!("presence {STAND_IN} gone none none")]);
}

#[test]
fn r26_a_caller_who_is_muted_is_a_visitor() {
    let mut w = World::new();
    w.all_join(&[NURSE, ROMEO]);
    w.phones("Mercutio");
    w.run_for(Duration::from_secs(3));
    w.forget();
    assert_eq!(w.admin(NURSE, &format!("<item nick='{STAND_IN}' role='visitor'/>")), "iq result");
    let seen = w.receives_one(ROMEO);
    assert_eq!(line(&seen), format!("presence {STAND_IN} none visitor by nurse"));
    assert_eq!(level(&seen), "none/muted-host");
    w.run_for(Duration::from_secs(3));
    assert_eq!(
        w.admin(NURSE, &format!("<item nick='{STAND_IN}' role='participant'/>")),
        "iq result"
    );
    assert_eq!(last(&mut w, ROMEO), format!("presence {STAND_IN} none participant by nurse"), "r04");
}

#[test]
fn m7_r07_kicking_a_caller_ends_the_call() {
    let mut w = World::new();
    w.all_join(&[NURSE, ROMEO]);
    let leg = w.phones("Mercutio");
    w.forget();
    assert_eq!(w.admin(NURSE, &format!("<item nick='{STAND_IN}' role='none'/>")), "iq result");
    assert_eq!(w.receives(ROMEO), [format!("presence {STAND_IN} gone none none by nurse [307]")]);
    assert_eq!(w.room.person_of_leg(leg), None);
}

#[test]
fn r03_a_caller_who_has_proven_nothing_cannot_be_banned() {
    let mut w = World::new();
    w.all_join(&[NURSE]);
    w.phones("Mercutio");
    w.forget();
    w.sends(
        NURSE,
        &format!("<iq type='set' id='q'><query xmlns='http://jabber.org/protocol/muc#admin'><item nick='{STAND_IN}' affiliation='outcast'/></query></iq>"),
    );
    let error = w.receives_one(NURSE);
    assert_eq!(line(&error), "iq error cancel not-allowed");
    assert!(String::from(&error).contains("lock the room"), "the host is told what else to do");
}

#[test]
fn r23_a_private_text_to_a_caller_gets_one_ordinary_text() {
    let mut w = World::new();
    w.all_join(&[ROMEO]);
    w.phones("Mercutio");
    w.forget();
    let whisper = format!("<message type='chat' to='{ROOM}/{STAND_IN}'><body>hi</body></message>");
    w.sends(ROMEO, &whisper);
    assert_eq!(
        w.receives(ROMEO),
        [format!("message {STAND_IN} private: on the phone, cannot read this")]
    );
    w.sends(ROMEO, &whisper);
    assert!(w.receives(ROMEO).is_empty());
    w.sends(JULIET, &whisper);
    assert_eq!(w.receives(JULIET), ["message error modify not-acceptable"]);
}

#[test]
fn r26_queries_to_a_caller_are_answered_by_the_room() {
    let mut w = World::new();
    w.all_join(&[ROMEO]);
    w.phones("+49 170 1234512");
    let nick = "+49...12 (phone)";
    assert_eq!(
        last(&mut w, ROMEO),
        format!("presence {nick} none participant"),
        "as servers spell the mask"
    );
    for (payload, expected) in [
        ("<query xmlns='http://jabber.org/protocol/disco#info'/>", "iq result"),
        ("<vCard xmlns='vcard-temp'/>", "iq result"),
        ("<ping xmlns='urn:xmpp:ping'/>", "iq result"),
        ("<query xmlns='jabber:iq:version'/>", "iq error cancel service-unavailable"),
    ] {
        w.sends(ROMEO, &format!("<iq type='get' id='q' to='{ROOM}/{nick}'>{payload}</iq>"));
        let answer = w.receives_one(ROMEO);
        assert_eq!(line(&answer), expected, "{payload}");
        assert!(!String::from(&answer).contains("1234"), "r13");
    }
}

#[test]
fn r27_who_comes_by_chat_replaces_their_stand_in() {
    let mut w = World::new();
    w.all_join(&[JULIET]);
    w.calls(Caller::Account {
        aor: Aor::from_normalised("sip:romeo@b.example".to_owned()),
        name: "Romeo".to_owned(),
    });
    assert_eq!(w.receives(JULIET)[0], "presence Romeo (phone) none participant");
    w.joins(ROMEO, "romeo");
    assert!(!w.receives(ROMEO).iter().any(|l| l.contains("(phone)")));
    let seen = w.receives(JULIET);
    assert!(seen.starts_with(&["presence Romeo (phone) gone none none".to_owned()]), "{seen:?}");
    w.sends(ROMEO, "<presence type='unavailable'/>");
    w.forget();
    w.run_for(Duration::from_secs(19));
    assert!(w.receives(JULIET).is_empty());
    w.run_for(Duration::from_secs(2));
    assert_eq!(last(&mut w, JULIET), "presence Romeo (phone) none participant");
}

#[test]
fn x6_an_anonymous_caller_stays_so() {
    let mut w = World::new();
    w.all_join(&[NURSE, ROMEO]);
    w.calls(Caller::Anonymous);
    for who in [NURSE, ROMEO] {
        let told: String = w.inbox(who).iter().map(String::from).collect();
        assert!(told.contains("Anonymous (phone)") && !told.contains("sip:"), "{told}");
    }
}

#[test]
fn m5_a_caller_stays_when_their_chat_goes_and_the_other_way_round() {
    let mut w = World::new();
    w.all_join(&[JULIET, ROMEO]);
    let leg = w.calls(Caller::Account {
        aor: Aor::from_normalised("sip:romeo@b.example".to_owned()),
        name: "Romeo".to_owned(),
    });
    let error = "<error type='cancel'><remote-server-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>";
    w.sends(ROMEO, &format!("<presence type='error' to='{ROOM}/romeo'>{error}</presence>"));
    assert_eq!(last(&mut w, JULIET), "presence romeo gone none none [307 333]");
    assert!(w.room.person_of_leg(leg).is_some(), "r07: 333 loses the text level only");
    w.all_join(&[ROMEO]);
    w.reports(Report::LegGone(leg, crate::room::LegCause::Failed));
    w.says(ROMEO, "my phone died");
    assert_eq!(last(&mut w, JULIET), "message romeo: my phone died");
}

fn last(w: &mut World, who: &str) -> String {
    w.receives(who).pop().unwrap_or_default()
}
