//! Levels of participation in presence (checklist M-6, rules R4, R5, R13, R29).

use super::*;
use crate::{
    model::{Mute, mute::MuteKind},
    room::Target,
};

const VISITOR: &str = "<item nick='romeo' role='visitor'/>";

/// Romeo is in by both doors, Juliet and the nurse by chat.
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

fn last_level(w: &mut World) -> Option<String> {
    w.inbox(JULIET)
        .iter()
        .rfind(|s| s.name() == "presence" && line(s).contains(" romeo"))
        .map(level)
}

#[test]
fn m6_r01_a_person_with_both_halves_is_one_and_shown_so() {
    let mut w = World::new();
    w.all_join(&[JULIET, ROMEO]);
    w.calls(Caller::Account {
        aor: Aor::from_normalised("sip:romeo@b.example".to_owned()),
        name: "Romeo".to_owned(),
    });
    w.run_for(Duration::from_secs(5));
    assert_eq!(last_level(&mut w).as_deref(), Some("two-way/two-way"));
    w.joins("tybalt@a.example/x", "tybalt");
    let seen = w.inbox("tybalt@a.example/x");
    let romeos: Vec<&Element> = seen.iter().filter(|s| line(s).starts_with("presence romeo")).collect();
    assert_eq!(romeos.len(), 1);
    assert_eq!(level(romeos[0]), "two-way/two-way");
}

#[test]
fn m7_r05_voice_taken_in_the_chat_mutes_the_phone_in_the_same_presence() {
    let (mut w, leg) = world();
    w.forget();
    assert_eq!(w.admin(NURSE, VISITOR), "iq result");
    let seen = w.receives_one(JULIET);
    assert_eq!(line(&seen), "presence romeo none visitor by nurse");
    assert_eq!(level(&seen), "read-only/muted-host");
    let mark = seen.get_child("participation", mark::NS).expect("a mark");
    assert_eq!(mark.children().next().and_then(|m| m.attr("reason")), Some("chat-voice"));
    let person = w.room.person_of_leg(leg).and_then(|id| w.room.person(id)).expect("a person");
    assert!(person.mutes.has(MuteKind::ChatVoice));
    w.run_for(Duration::from_secs(5));
    assert!(w.receives(JULIET).is_empty(), "r29: nothing if unchanged");
    assert_eq!(w.admin(NURSE, "<item nick='romeo' role='participant'/>"), "iq result");
    assert_eq!(last_level(&mut w).as_deref(), Some("two-way/two-way"));
}

#[test]
fn r29_marks_are_sent_at_most_once_in_two_seconds_and_the_last_state_wins() {
    let (mut w, leg) = world();
    let person = w.room.person_of_leg(leg).expect("a person");
    let target = Target::Person(person);
    w.forget();
    for _ in 0..5 {
        w.operator(Request::Mute {
            target: target.clone(),
            why: None,
        });
        w.run_for(Duration::from_millis(10));
        w.operator(Request::Unmute { target: target.clone() });
        w.run_for(Duration::from_millis(10));
    }
    w.operator(Request::Mute {
        target,
        why: Some("loud".to_owned()),
    });
    assert_eq!(
        w.inbox(JULIET).iter().map(level).collect::<Vec<_>>(),
        ["two-way/muted-host"],
        "the first goes at once"
    );
    w.run_for(Duration::from_secs(2));
    let seen = w.receives_one(JULIET);
    assert_eq!(level(&seen), "two-way/muted-host");
    assert_eq!(
        seen.get_child("participation", mark::NS)
            .and_then(|m| m.children().next())
            .map(Element::text)
            .as_deref(),
        Some("loud")
    );
    w.run_for(Duration::from_secs(10));
    assert!(w.receives(JULIET).is_empty());
    assert_eq!(w.muc.poll_timeout(), None);
}

#[test]
fn r29_a_change_and_its_undoing_show_nothing() {
    let (mut w, leg) = world();
    w.forget();
    w.reports(Report::LegHeld(leg, true));
    assert_eq!(last_level(&mut w).as_deref(), Some("two-way/on-hold"));
    w.reports(Report::LegHeld(leg, false));
    w.reports(Report::LegHeld(leg, true));
    w.run_for(Duration::from_secs(5));
    assert!(w.receives(JULIET).is_empty());
}

#[test]
fn presence_of_their_own_keeps_the_mark() {
    let (mut w, leg) = world();
    w.reports(Report::LegListensOnly(leg, true));
    w.run_for(Duration::from_secs(5));
    w.forget();
    w.sends(ROMEO, &format!("<presence to='{ROOM}/romeo'><show>away</show></presence>"));
    let seen = w.receives_one(JULIET);
    assert_eq!(level(&seen), "two-way/listen-only");
    assert_eq!(seen.get_child("show", stanza::NS).map(Element::text).as_deref(), Some("away"));
    w.reports(Report::LegHeld(leg, true));
    w.run_for(Duration::from_secs(5));
    let seen = w.receives_one(JULIET);
    assert_eq!(
        seen.get_child("show", stanza::NS).map(Element::text).as_deref(),
        Some("away"),
        "and the mark keeps their presence"
    );
}

#[test]
fn r13_who_muted_is_named_by_nick_only() {
    let (mut w, leg) = world();
    let person = w.room.person_of_leg(leg).expect("a person");
    let nurse = w.room.occupant_by_nick("nurse").expect("she is in");
    for (by, named) in [
        (Asker::Occupant(nurse), Some("nurse")),
        (Asker::Jid(BareJid::new("capulet@a.example").expect("a JID")), None),
    ] {
        let origin = Origin { door: Door::Chat, by };
        let mute = Request::Mute {
            target: Target::Person(person),
            why: None,
        };
        w.room.request(w.now, &origin, mute).expect("they may");
        w.settle();
        w.run_for(Duration::from_secs(3));
        let inbox = w.inbox(JULIET);
        let mark = inbox.last().and_then(|p| p.get_child("participation", mark::NS)).expect("a mark");
        let muted = mark.children().next().expect("a reason");
        assert_eq!((muted.attr("reason"), muted.attr("by")), (Some("host"), named));
        assert!(matches!(
            w.room.person(person).expect("a person").mutes.iter().next(),
            Some(Mute::Host { .. })
        ));
    }
}
