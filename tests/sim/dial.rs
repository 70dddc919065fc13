//! Calls that rooms make, through the whole bridge (rule R47).

use std::time::Duration;

use cusax::model::control::{RoomCommand, RoomReply, RoomReport};
use cusax::model::srtp::Policy;

use super::world::{Manner, World};

fn order(target: &str, confirmed: bool) -> RoomCommand {
    RoomCommand::Dial {
        target: target.to_owned(),
        name: None,
        confirmed,
    }
}

/// The operator has the room call this address.
fn dial(w: &mut World, target: &str) {
    let reply = w.operator("blue", order(target, true));
    assert!(matches!(reply, RoomReply::Dialing { .. }), "{reply:?}");
}

fn show(w: &mut World) -> RoomReport {
    let reply = w.operator("blue", RoomCommand::Show);
    let RoomReply::Show(report) = reply else { panic!("{reply:?}") };
    report
}

/// The operator has the room call this address, and is told why not.
fn refused(w: &mut World, target: &str, confirmed: bool) -> String {
    let reply = w.operator("blue", order(target, confirmed));
    let RoomReply::Refused { message } = reply else {
        panic!("{target}: {reply:?}")
    };
    message
}

/// State and cause of the last call that the room makes.
fn last(w: &mut World) -> (String, String) {
    let report = show(w);
    let call = report.dials.last().expect("a call");
    (call.state.clone(), call.why.clone().unwrap_or_default())
}

fn fails_with(w: &mut World, target: &str, why: &str) {
    dial(w, target);
    w.run_for(Duration::from_secs(3));
    assert_eq!(last(w), ("failed".to_owned(), why.to_owned()), "{target}");
    assert_eq!(w.calls(), 0);
    assert!(w.plane.legs.values().all(|l| l.closed), "no media is left over");
}

#[test]
fn r47_whoever_is_called_comes_in_when_they_answer() {
    let mut w = World::new(1);
    w.join_by_phone("ann", "blue");
    let bob = w.takes_calls("zoe", Manner::Answer);
    dial(&mut w, &bob);
    assert_eq!(last(&mut w).0, "dialing-out");
    w.run_until("zoe is heard", |w| w.is_heard("zoe", "blue"));
    w.run_for(Duration::from_millis(50));
    let report = show(&mut w);
    assert!(report.dials.is_empty(), "{:?}", report.dials);
    let zoe = report.people.iter().find(|p| p.name == "zoe").expect("a row");
    assert_eq!(zoe.legs[0].state, "up");
    let invite = w
        .at("zoe")
        .received
        .iter()
        .find(|m| m.starts_with("INVITE"))
        .expect("a call")
        .clone();
    for part in [
        "Call-Info: <xmpp:blue@rooms.example.com?join>;purpose=impp\r\n",
        "From: \"Blue room\" <sip:blue@conf.example.com>",
        ";isfocus\r\n",
    ] {
        assert!(invite.contains(part), "{part} in {invite}");
    }
    w.hang_up("zoe");
    w.run_for(Duration::from_secs(1));
    assert_eq!(show(&mut w).people.len(), 1);
    assert!(
        w.records
            .iter()
            .any(|r| r.dialed_out && r.answered_unix_ms.is_some() && r.cause == "hung up")
    );
}

#[test]
fn r47_a_call_that_comes_to_nothing_says_why_and_leaves_the_view() {
    let mut w = World::new(2);
    for (status, why) in [
        (486, "busy"),
        (600, "busy"),
        (480, "no answer"),
        (603, "declined"),
        (404, "nobody of that name or number is there"),
        (503, "can't be reached"),
        (500, "refused with 500"),
        (401, "refused with 401"),
    ] {
        let zoe = w.takes_calls("zoe", Manner::Refuse(status, Vec::new()));
        fails_with(&mut w, &zoe, why);
        w.run_for(Duration::from_secs(61));
        assert!(show(&mut w).dials.is_empty(), "forgotten");
    }
}

#[test]
fn r47_nobody_answers_and_is_not_called_for_ever() {
    let mut w = World::new(3);
    let zoe = w.takes_calls("zoe", Manner::Ring);
    dial(&mut w, &zoe);
    w.run_for(Duration::from_secs(59));
    assert_eq!(last(&mut w).0, "alerting");
    w.run_for(Duration::from_secs(2));
    assert_eq!(last(&mut w), ("failed".to_owned(), "no answer".to_owned()));
    assert!(w.at("zoe").received.iter().any(|m| m.starts_with("CANCEL")));
    assert_eq!(w.calls(), 0);
}

#[test]
fn r41_a_call_is_taken_back_by_a_kick_and_a_late_answer_is_hung_up() {
    let mut w = World::new(4);
    let zoe = w.takes_calls("zoe", Manner::Ring);
    dial(&mut w, &zoe);
    w.run_until("it rings", |w| w.at("zoe").log.iter().any(|l| l.starts_with("called")));
    w.run_for(Duration::from_millis(20));
    let kick = RoomCommand::Kick {
        who: "zoe".into(),
        why: None,
    };
    assert_eq!(w.operator("blue", kick), RoomReply::Done);
    assert_eq!(last(&mut w), ("failed".to_owned(), "taken back".to_owned()));
    w.run_for(Duration::from_secs(1));
    assert!(w.at("zoe").received.iter().any(|m| m.starts_with("CANCEL")));

    // Taken back while the answer is on its way.
    let yan = w.takes_calls("yan", Manner::Answer);
    dial(&mut w, &yan);
    w.run_for(Duration::from_millis(3));
    let kick = RoomCommand::Kick {
        who: "#d2".into(),
        why: None,
    };
    assert_eq!(w.operator("blue", kick), RoomReply::Done);
    w.run_for(Duration::from_secs(1));
    assert!(w.at("yan").received.iter().any(|m| m.starts_with("BYE")), "{:?}", w.at("yan").log);
    assert_eq!(w.calls(), 0);
    assert!(w.plane.legs.values().all(|l| l.closed && l.room.is_none()), "nobody was heard");
}

#[test]
fn r47_a_conference_is_not_called_into_a_conference() {
    let mut w = World::new(5);
    let focus = w.takes_calls("zoe", Manner::Focus);
    fails_with(&mut w, &focus, "that is a conference itself");
    assert!(
        w.at("zoe").received.iter().any(|m| m.starts_with("BYE")),
        "what answered is hung up"
    );
    // Ours, by name and by address.
    fails_with(&mut w, "sip:blue@conf.example.com", "that is a conference itself");
    fails_with(&mut w, "sip:blue@192.0.2.1", "that is a conference itself");
    // Sent back to us by whoever was called.
    let back = w.takes_calls(
        "yan",
        Manner::Refuse(302, vec![("Contact", "<sip:blue@conf.example.com>".to_owned())]),
    );
    fails_with(&mut w, &back, "they sent the call on to where we don't call");
}

#[test]
fn r47_a_redirection_is_followed_once_and_to_nowhere_dearer() {
    let mut w = World::new(6);
    let yan = w.takes_calls("yan", Manner::Answer);
    let zoe = w.takes_calls("zoe", Manner::Refuse(302, vec![("Contact", format!("<{yan}>"))]));
    dial(&mut w, &zoe);
    w.run_until("yan is heard", |w| w.is_heard("yan", "blue"));
    w.hang_up("yan");
    w.run_for(Duration::from_secs(1));

    let away = "they sent the call on to where we don't call";
    for contact in [
        "<sip:+19005550123@192.0.2.99>",
        "<tel:+4930123456>",
        "<sip:112@conf.example.com>",
        "<mailto:x@y>",
    ] {
        let zoe = w.takes_calls("zoe", Manner::Refuse(302, vec![("Contact", contact.to_owned())]));
        fails_with(&mut w, &zoe, away);
        w.run_for(Duration::from_secs(61));
    }
    let again = w.takes_calls("yan", Manner::Refuse(301, vec![("Contact", format!("<{yan}>"))]));
    fails_with(&mut w, &again, away);
}

#[test]
fn r72_encryption_is_asked_for_first_and_done_without_once() {
    let mut w = World::secured(7, Policy::Allowed);
    let zoe = w.takes_calls("zoe", Manner::Plain);
    dial(&mut w, &zoe);
    w.run_until("zoe is heard", |w| w.is_heard("zoe", "blue"));
    let offers: Vec<&str> = w
        .at("zoe")
        .received
        .iter()
        .filter(|m| m.starts_with("INVITE"))
        .filter_map(|m| m.lines().find(|l| l.starts_with("m=audio")))
        .collect();
    assert!(
        offers.len() == 2 && offers[0].contains("RTP/SAVP ") && offers[1].contains("RTP/AVP "),
        "{offers:?}"
    );

    let mut w = World::secured(8, Policy::Required);
    let zoe = w.takes_calls("zoe", Manner::Plain);
    fails_with(&mut w, &zoe, "no codec or encryption in common");
}

#[test]
fn f1_f2_x5_what_costs_money_is_confirmed_and_what_must_not_be_called_is_not() {
    let mut w = World::new(9);
    for (target, told) in [
        ("+4930123456", "may cost money"),
        ("bob@elsewhere.example", "may cost money"),
        ("sip:+49301234567@conf.example.com", "may cost money"),
        ("+1 900 5550123", "special rates"),
        ("sip:0019005550123@conf.example.com;user=phone", "special rates"),
        ("112", "emergency"),
        ("bob", "no number or address"),
    ] {
        let message = refused(&mut w, target, false);
        assert!(message.contains(told), "{target}: {message}");
    }
    assert!(show(&mut w).dials.is_empty());
}

#[test]
fn r47_limits_hold_for_a_room_and_for_an_asker() {
    let mut w = World::new(10);
    let zoe = w.takes_calls("zoe", Manner::Ring);
    for _ in 0..3 {
        dial(&mut w, &zoe);
    }
    let message = refused(&mut w, &zoe, true);
    assert!(message.contains("as many people as it may"), "{message}");
    w.run_for(Duration::from_secs(1));
    for number in 1..=3 {
        let kick = RoomCommand::Kick {
            who: format!("#d{number}"),
            why: None,
        };
        assert_eq!(w.operator("blue", kick), RoomReply::Done);
    }
    w.run_for(Duration::from_secs(1));
    dial(&mut w, &zoe);
    let kick = RoomCommand::Kick {
        who: "#d4".into(),
        why: None,
    };
    w.operator("blue", kick);
    w.run_for(Duration::from_secs(1));
    // The fifth within a minute.
    fails_with(&mut w, &zoe, "too many calls, or minutes");
    w.run_for(Duration::from_secs(60));
    dial(&mut w, &zoe);
    w.run_for(Duration::from_secs(1));
    assert_eq!(last(&mut w).0, "alerting", "a minute later");
}

#[test]
fn r33_a_moderator_dials_by_chat_and_is_told_what_became_of_it() {
    let mut w = World::new(11);
    w.enter("ann", "blue");
    w.enter("bob", "blue");
    let zoe = w.takes_calls("zoe", Manner::Refuse(486, Vec::new()));
    let say = |w: &mut World, who: &str, body: &str| {
        w.forget(who);
        w.say(
            who,
            &format!("<message type='chat' to='blue@rooms.example.com/bridge'><body>{body}</body></message>"),
        );
    };
    say(&mut w, "bob", &format!("dial! {zoe}"));
    assert!(w.saw("bob", &["only moderators may do this"]));
    say(&mut w, "ann", &format!("dial {zoe}"));
    assert!(w.saw("ann", &["this call leaves conf.example.com and may cost money", "dial!"]));
    say(&mut w, "ann", &format!("dial! {zoe} as Zoe Lee"));
    assert!(w.saw("ann", &["calling Zoe Lee"]));
    w.run_for(Duration::from_secs(1));
    assert!(w.saw("ann", &["Zoe Lee: busy"]));
    assert!(!w.saw("bob", &["Zoe Lee: busy"]));

    w.takes_calls("zoe", Manner::Ring);
    say(&mut w, "ann", &format!("dial! {zoe} as Zoe Lee"));
    w.run_for(Duration::from_secs(1));
    say(&mut w, "ann", "who");
    assert!(w.saw("ann", &["Zoe Lee: alerting"]));
    say(&mut w, "ann", "kick Zoe Lee");
    assert!(w.saw("ann", &["done"]));
    w.run_for(Duration::from_secs(1));
    assert_eq!(w.calls(), 0);
}

#[test]
fn r10_a_locked_room_calls_nobody_and_a_lock_meanwhile_keeps_them_out() {
    let mut w = World::new(12);
    w.operator("blue", RoomCommand::Lock { on: true });
    let zoe = w.takes_calls("zoe", Manner::Answer);
    assert_eq!(refused(&mut w, &zoe, true), "the room is locked");
    w.operator("blue", RoomCommand::Lock { on: false });
    dial(&mut w, &zoe);
    w.operator("blue", RoomCommand::Lock { on: true });
    w.run_for(Duration::from_secs(1));
    assert_eq!(last(&mut w), ("failed".to_owned(), "the room did not let them in".to_owned()));
    assert!(w.at("zoe").received.iter().any(|m| m.starts_with("BYE")));
    assert_eq!(w.calls(), 0);
}

#[test]
fn r52_watchers_are_told_of_each_step() {
    let mut w = World::new(13);
    w.join_by_phone("ann", "blue");
    w.subscribe("ann", "blue", 3600);
    w.run_for(Duration::from_secs(6));
    let zoe = w.takes_calls("zoe", Manner::Ring);
    dial(&mut w, &zoe);
    w.run_for(Duration::from_secs(8));
    let told = |w: &World, parts: &[&str]| w.at("ann").documents.iter().any(|d| parts.iter().all(|p| d.contains(p)));
    assert!(told(
        &w,
        &["<status>dialing-out</status>", "<joining-method>dialed-out</joining-method>"]
    ));
    assert!(told(&w, &["<status>alerting</status>"]));
    let kick = RoomCommand::Kick {
        who: "zoe".into(),
        why: None,
    };
    w.operator("blue", kick);
    w.run_for(Duration::from_secs(8));
    assert!(told(&w, &["<status>disconnected</status>", "<reason>taken back</reason>"]));
    w.takes_calls("zoe", Manner::Refuse(486, Vec::new()));
    dial(&mut w, &zoe);
    w.run_for(Duration::from_secs(8));
    assert!(told(&w, &["<disconnection-method>busy</disconnection-method>"]));
    w.run_for(Duration::from_secs(60));
    let last = w.at("ann").documents.last().cloned().unwrap_or_default();
    assert!(last.contains("state=\"deleted\"") || !last.contains("zoe"), "{last}");
}

#[test]
fn r47_a_room_that_ends_takes_its_calls_back() {
    let mut w = World::new(14);
    let zoe = w.takes_calls("zoe", Manner::Ring);
    dial(&mut w, &zoe);
    w.run_for(Duration::from_secs(1));
    w.shutdown();
    w.run_for(Duration::from_secs(2));
    assert!(w.at("zoe").received.iter().any(|m| m.starts_with("CANCEL")));
    assert_eq!(w.calls(), 0);
    assert!(w.plane.legs.values().all(|l| l.closed));
}

#[test]
fn r47_our_own_people_and_numbers_are_called_through_the_proxy() {
    let mut w = World::new(15);
    // The proxy is the first phone.
    w.takes_calls("proxy", Manner::Answer);
    w.enter("bob", "blue");
    let reply = w.operator("blue", order("bob@conf.example.com", false));
    assert!(matches!(reply, RoomReply::Dialing { .. }), "{reply:?}");
    w.run_for(Duration::from_secs(1));
    assert!(
        w.at("proxy").log.contains(&"called: sip:bob@conf.example.com".to_owned()),
        "{:?}",
        w.at("proxy").log
    );
    let report = show(&mut w);
    assert_eq!(
        report.people.len(),
        1,
        "rule R1: the account's own address, and one person: {:?}",
        report.people
    );
    assert_eq!(report.people[0].legs.len(), 1);

    dial(&mut w, "+49 30 123456");
    w.run_for(Duration::from_secs(1));
    let called = "called: sip:+4930123456@conf.example.com;user=phone".to_owned();
    assert!(w.at("proxy").log.contains(&called), "{:?}", w.at("proxy").log);
    let report = show(&mut w);
    assert!(report.people.iter().any(|p| p.name == "+49…56"), "rule R13: {:?}", report.people);
}
