//! Commands by private message (rules R4, R32, R33).

use super::*;
use crate::room::Target;

pub(super) fn whisper(w: &mut World, who: &str, body: &str) -> String {
    w.forget();
    w.sends(
        who,
        &format!("<message type='chat' to='{ROOM}/bridge'><body>{body}</body></message>"),
    );
    let own = w.receives(who);
    own.into_iter().rfind(|l| l.starts_with("message bridge")).unwrap_or_default()
}

/// Romeo is in by both doors.
fn world() -> (World, LegId) {
    let mut w = World::new();
    w.all_join(&[NURSE, JULIET, ROMEO]);
    let leg = w.calls(Caller::Account {
        aor: Aor::from_normalised("sip:romeo@b.example".to_owned()),
        name: "Romeo".to_owned(),
    });
    w.run_for(Duration::from_secs(5));
    (w, leg)
}

fn is_muted(w: &World, leg: LegId) -> bool {
    let person = w.room.person_of_leg(leg).and_then(|id| w.room.person(id));
    person.expect("they are in").mutes.is_muted()
}

#[test]
fn r33_the_same_policy_as_by_every_door() {
    let (mut w, leg) = world();
    assert_eq!(
        whisper(&mut w, JULIET, "mute romeo"),
        "message bridge private: only moderators may do this"
    );
    assert_eq!(whisper(&mut w, NURSE, "mute romeo"), "message bridge private: done");
    assert!(is_muted(&w, leg));
    assert_eq!(
        whisper(&mut w, NURSE, "mute tybalt"),
        "message bridge private: nobody of that name is in the room"
    );
    assert_eq!(whisper(&mut w, NURSE, "unmute romeo"), "message bridge private: done");
    assert!(!is_muted(&w, leg));
    assert_eq!(whisper(&mut w, NURSE, "lock"), "message bridge private: done");
    assert!(w.room.is_locked());
    assert_eq!(whisper(&mut w, NURSE, "lock"), "message bridge private: it is so already");
    assert_eq!(whisper(&mut w, NURSE, "kick romeo"), "message bridge private: done");
    assert_eq!(w.room.person_of_leg(leg), None);
}

#[test]
fn r04_ones_own_mute_is_ones_own() {
    let (mut w, leg) = world();
    assert_eq!(whisper(&mut w, ROMEO, "mute"), "message bridge private: done");
    assert_eq!(
        whisper(&mut w, NURSE, "unmute romeo"),
        "message bridge private: they muted themselves"
    );
    assert!(is_muted(&w, leg));
    assert_eq!(whisper(&mut w, ROMEO, "unmute"), "message bridge private: done");
    assert!(!is_muted(&w, leg));
}

#[test]
fn r32_a_wish_to_speak_reaches_the_moderators() {
    let (mut w, leg) = world();
    w.operator(Request::Mute {
        target: Target::Leg(leg),
        why: None,
    });
    w.forget();
    w.sends(
        ROMEO,
        &format!("<message type='chat' to='{ROOM}/bridge'><body>unmute</body></message>"),
    );
    let told = w.receives(NURSE);
    assert!(
        told.iter()
            .any(|l| l.starts_with("message bridge private: romeo would like to speak")),
        "{told:?}"
    );
    assert!(w.receives(JULIET).is_empty());
}

#[test]
fn r33_who_tells_everybodys_level() {
    let (mut w, _) = world();
    w.phones("+49 170 1234512");
    let told = whisper(&mut w, JULIET, "who");
    assert!(told.contains("romeo: text two-way, audio two-way"), "{told}");
    assert!(told.contains("juliet: text two-way, audio none"), "{told}");
    assert!(told.contains("…12") && !told.contains("1234"), "r13: {told}");
}

#[test]
fn r33_strangers_are_not_served_and_others_get_help() {
    let (mut w, _) = world();
    w.sends(
        "tybalt@a.example/x",
        &format!("<message type='chat' to='{ROOM}/bridge'><body>who</body></message>"),
    );
    assert_eq!(w.receives("tybalt@a.example/x"), ["message error modify not-acceptable"]);
    assert!(whisper(&mut w, JULIET, "hello").contains("kick NAME"));
    w.sends(
        JULIET,
        &format!("<message type='chat' to='{ROOM}/bridge'><active xmlns='http://jabber.org/protocol/chatstates'/></message>"),
    );
    assert!(w.receives(JULIET).is_empty());
    for (payload, expected) in [
        ("<query xmlns='http://jabber.org/protocol/disco#info'/>", "iq result"),
        ("<ping xmlns='urn:xmpp:ping'/>", "iq result"),
        ("<vCard xmlns='vcard-temp'/>", "iq error cancel service-unavailable"),
    ] {
        w.sends(JULIET, &format!("<iq type='get' id='q' to='{ROOM}/bridge'>{payload}</iq>"));
        assert_eq!(w.receives(JULIET), [expected], "{payload}");
    }
}
