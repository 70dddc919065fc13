//! Who sends too much (flood limits).

use super::*;

#[test]
fn a_flood_is_refused_and_then_put_out() {
    let mut w = World::new();
    w.all_join(&[ROMEO, JULIET]);
    for n in 0..200 {
        w.says(JULIET, &n.to_string());
    }
    let own = w.receives(JULIET);
    let refused = own.iter().filter(|l| *l == "message error wait resource-constraint").count();
    assert!((1..=20).contains(&refused), "{refused}");
    assert_eq!(own.last().map(String::as_str), Some("presence juliet gone none none [110 307 333]"));
    let seen = w.receives(ROMEO);
    assert!(seen.len() <= 101, "{}", seen.len());
    assert_eq!(seen.last().map(String::as_str), Some("presence juliet gone none none [307 333]"));
    w.says(ROMEO, "phew");
    assert_eq!(w.receives(ROMEO), ["message romeo: phew"]);
}

#[test]
fn leaving_and_coming_back_is_no_way_round() {
    let mut w = World::new();
    w.all_join(&[ROMEO]);
    for _ in 0..300 {
        w.joins(JULIET, "juliet");
        w.sends(JULIET, "<presence type='unavailable'/>");
    }
    assert!(w.receives(ROMEO).len() <= 210);
}

#[test]
fn who_pauses_is_heard_again() {
    let mut w = World::new();
    w.all_join(&[ROMEO, JULIET]);
    for n in 0..105 {
        w.says(JULIET, &n.to_string());
    }
    w.run_for(Duration::from_secs(11));
    w.forget();
    w.says(JULIET, "sorry");
    assert_eq!(w.receives(ROMEO), ["message juliet: sorry"]);
}

#[test]
fn goodbyes_and_errors_are_always_taken() {
    let mut w = World::new();
    w.all_join(&[ROMEO, JULIET]);
    for n in 0..105 {
        w.says(JULIET, &n.to_string());
    }
    w.forget();
    w.sends(JULIET, "<presence type='unavailable'/>");
    assert_eq!(w.receives(ROMEO), ["presence juliet gone none none"]);
}

#[test]
fn r23_errors_are_no_way_round() {
    let mut w = World::new();
    w.all_join(&[ROMEO, JULIET]);
    let error = "<error type='cancel'><not-allowed xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>";
    for _ in 0..300 {
        w.sends(JULIET, &format!("<message type='error' to='{ROOM}/romeo'>{error}</message>"));
    }
    assert!(w.receives(ROMEO).len() <= 100);
    assert!(w.receives(JULIET).is_empty());
}
