//! The chat server goes and comes back (rule R30, checklist M-5).

use super::*;

/// Answers a question of the room's.
fn answer(w: &mut World, who: &str, id: &str, children: &str) {
    let type_ = if children.is_empty() { "result" } else { "error" };
    w.sends(who, &format!("<iq type='{type_}' id='{id}'>{children}</iq>"));
}

fn question(w: &mut World, who: &str) -> String {
    let asked = w.receives_one(who);
    assert_eq!(
        (asked.name(), asked.attr("type"), asked.attr("from")),
        ("iq", Some("get"), Some(ROOM))
    );
    asked.attr("id").expect("an id").to_owned()
}

fn outage(w: &mut World) {
    w.link(false);
    w.run_for(Duration::from_secs(5));
    w.link(true);
    w.run_for(Duration::from_secs(1));
}

#[test]
fn r30_who_is_still_there_stays_and_sees_what_it_missed() {
    let mut w = World::new();
    w.all_join(&[JULIET, ROMEO]);
    let leg = w.phones("Mercutio");
    w.forget();
    w.link(false);
    w.reports(Report::LegGone(leg, crate::room::LegCause::Departed));
    w.phones("Benvolio");
    assert!(w.receives(JULIET).is_empty(), "nobody hears anything");
    w.link(true);
    w.run_for(Duration::from_secs(1));
    let id = question(&mut w, JULIET);
    answer(&mut w, JULIET, &id, "");
    assert_eq!(
        w.receives(JULIET),
        [
            "presence Mercutio (phone) gone none none",
            "presence romeo none participant",
            "presence Benvolio (phone) none participant",
            "presence juliet none participant [110]",
        ]
    );
    w.says(JULIET, "back");
    assert_eq!(w.receives(JULIET), ["message juliet: back"]);
}

#[test]
fn r30_who_is_gone_is_out_with_333_and_the_call_goes_on() {
    let mut w = World::new();
    w.all_join(&[JULIET, ROMEO, NURSE]);
    let leg = w.calls(Caller::Account {
        aor: Aor::from_normalised("sip:romeo@b.example".to_owned()),
        name: "Romeo".to_owned(),
    });
    w.forget();
    outage(&mut w);
    let (juliet, romeo) = (question(&mut w, JULIET), question(&mut w, ROMEO));
    answer(&mut w, JULIET, &juliet, "");
    w.forget();
    answer(
        &mut w,
        ROMEO,
        &romeo,
        "<error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>",
    );
    assert_eq!(
        w.receives(JULIET).last().map(String::as_str),
        Some("presence romeo gone none none [307 333]")
    );
    assert!(w.room.person_of_leg(leg).is_some(), "no BYE");
    w.forget();
    w.run_for(Duration::from_secs(31));
    assert!(
        w.receives(JULIET).contains(&"presence nurse gone admin none [307 333]".to_owned()),
        "30 s of silence"
    );
}

#[test]
fn r30_only_the_asked_client_answers_for_itself() {
    let mut w = World::new();
    w.all_join(&[JULIET, ROMEO]);
    w.forget();
    outage(&mut w);
    let (juliet, _) = (question(&mut w, JULIET), question(&mut w, ROMEO));
    answer(
        &mut w,
        ROMEO,
        &juliet,
        "<error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>",
    );
    answer(&mut w, "juliet@a.example/other", &juliet, "");
    assert!(w.receives(JULIET).is_empty());
}

#[test]
fn r30_questions_are_spread_over_time() {
    let mut w = World::new();
    for n in 0..100 {
        w.joins(&format!("u{n}@a.example/x"), &format!("u{n}"));
    }
    w.forget();
    w.link(false);
    w.link(true);
    let asked = |w: &mut World| (0..100).filter(|n| !w.inbox(&format!("u{n}@a.example/x")).is_empty()).count();
    assert_eq!(asked(&mut w), 1);
    w.run_for(Duration::from_millis(500));
    assert!((20..=30).contains(&asked(&mut w)));
    w.run_for(Duration::from_secs(2));
    assert!(asked(&mut w) > 60);
}

#[test]
fn a_second_outage_starts_anew() {
    let mut w = World::new();
    w.all_join(&[JULIET]);
    outage(&mut w);
    let old = question(&mut w, JULIET);
    outage(&mut w);
    let new = question(&mut w, JULIET);
    answer(&mut w, JULIET, &old, "");
    assert!(w.receives(JULIET).is_empty());
    answer(&mut w, JULIET, &new, "");
    assert_eq!(w.receives(JULIET), ["presence juliet none participant [110]"]);
    w.run_for(Duration::from_secs(60));
    assert!(w.receives(JULIET).is_empty());
    assert_eq!(w.muc.poll_timeout(), None);
}

#[test]
fn r30_stanzas_lost_on_the_way_out_are_made_up_for() {
    let mut w = World::new();
    w.all_join(&[JULIET, ROMEO]);
    w.sends(ROMEO, "<presence type='unavailable'/>");
    w.forget();
    w.link(true);
    w.run_for(Duration::from_secs(1));
    let id = question(&mut w, JULIET);
    answer(&mut w, JULIET, &id, "");
    assert_eq!(
        w.receives(JULIET),
        ["presence romeo gone none none", "presence juliet none participant [110]"]
    );
}

#[test]
fn the_first_connection_asks_nobody() {
    let mut w = World::new();
    w.link(true);
    w.run_for(Duration::from_secs(1));
    assert_eq!(w.muc.poll_timeout(), None);
    w.link(false);
    w.link(false);
    w.all_join(&[JULIET]);
    w.link(true);
    w.run_for(Duration::from_secs(1));
    assert_eq!(w.receives(JULIET), ["iq get"]);
}
