use super::*;

const DELAY: Duration = Duration::from_secs(20);

#[test]
fn r26_a_caller_is_shown_in_the_chat() {
    let mut s = Story::new();
    let phil = s.call("phil");
    let shown = s.stand_in(phil).expect("shown");
    assert_eq!(
        (shown.nick.as_str(), shown.role, shown.affiliation),
        ("phil (phone)", Role::Participant, Affiliation::None)
    );
    assert_eq!(
        s.events[..2],
        [
            Event::LegJoined {
                person: shown.person,
                leg: phil
            },
            Event::OccupantEntered(shown.id)
        ]
    );
    let text = shown.jid.to_string();
    assert!(
        text.starts_with("p-") && text.ends_with("@phones.x.org") && !text.contains("phil"),
        "{text}"
    );
    let rename = Request::Rename {
        occupant: shown.id,
        nick: "phil".to_owned(),
    };
    assert_eq!(s.ask(Asker::Leg(phil), rename), Err(Refusal::BadNick));
    // The same for the same AOR, in another call; another for anybody else, and for each unproven call.
    s.report(Report::LegGone(phil, LegCause::Departed));
    let again = s.call("phil");
    assert_eq!(s.stand_in(again).expect("shown").jid, shown.jid);
    let one = s.try_call(claimed("+49301234567")).expect("may join");
    let two = s.try_call(claimed("+49301234567")).expect("may join");
    assert_ne!(s.stand_in(one).expect("shown").jid, s.stand_in(two).expect("shown").jid);
    assert_eq!(s.stand_in(one).expect("shown").nick, "+49…67 (phone)");
    assert_eq!(s.stand_in(two).expect("shown").nick, "+49…67 2 (phone)");
}

#[test]
fn r26_a_callers_name_is_nobody_elses() {
    let mut s = Story::with(|r| {
        r.affiliations.insert(jid("eve@x.org"), Affiliation::Member);
    });
    s.enter("bob");
    for (name, nick) in [
        ("Bob", "Bob 2 (phone)"),
        ("ВоЬ", "ВоЬ 3 (phone)"),
        ("EVE", "EVE 2 (phone)"),
        ("bridge", "bridge 2 (phone)"),
    ] {
        let caller = Caller::Claimed {
            uri: "sip:a@b".to_owned(),
            name: Some(name.to_owned()),
        };
        let leg = s.try_call(caller).expect("may join");
        assert_eq!(s.stand_in(leg).expect("shown").nick, nick);
    }
    let eve = s.call("eve");
    assert_eq!(
        s.stand_in(eve).expect("shown").nick,
        "eve (phone)",
        "one's own place on the list is no conflict"
    );
    assert!(
        s.try_enter("shared", "Bob 2").is_ok(),
        "a caller's name keeps nobody out of the chat"
    );
}

#[test]
fn r26_the_role_mirrors_the_mute_and_moderators_act_on_it() {
    let mut s = Story::new();
    let olga = s.enter("olga");
    let phil = s.call("phil");
    let shown = s.stand_in(phil).expect("shown");
    s.hush();
    s.set_role(olga, shown.id, Role::Visitor).expect("a moderator may");
    assert_eq!(s.orders, [MediaOrder::Mute(phil, true)]);
    assert!(matches!(
        &s.events[..],
        [
            Event::StandingChanged { role: Role::Visitor, .. },
            Event::AudioChanged { by: Some(_), .. }
        ]
    ));
    assert_eq!(s.unmute(Asker::Leg(phil), phil), Err(Refusal::PolicyMute));
    s.set_role(olga, shown.id, Role::Participant).expect("a moderator may");
    assert!(!s.is_muted(phil));
    s.mute(Asker::Leg(phil), phil).expect("their own");
    assert_eq!(
        s.stand_in(phil).expect("shown").role,
        Role::Participant,
        "one's own mute is no revoked voice"
    );
    s.set_role(olga, shown.id, Role::None).expect("a kick");
    assert_eq!(s.orders.last(), Some(&MediaOrder::Close(phil)));
    assert!(s.events.iter().any(|e| matches!(
        e,
        Event::OccupantLeft {
            cause: LeaveCause::Kicked { .. },
            ..
        }
    )));
}

#[test]
fn r26_voice_taken_from_a_proven_caller_stays_taken() {
    let mut s = Story::new();
    let olga = s.enter("olga");
    let phil = s.call("phil");
    let shown = s.stand_in(phil).expect("shown");
    s.set_role(olga, shown.id, Role::Visitor).expect("a moderator may");
    s.report(Report::LegGone(phil, LegCause::Departed));
    let phil = s.call("phil");
    assert!(s.is_muted(phil) && s.stand_in(phil).expect("shown").role == Role::Visitor);
}

#[test]
fn r27_a_stand_in_appears_late_and_leaves_early() {
    let mut s = Story::new();
    let ann = s.enter("ann");
    let leg = s.call("ann");
    assert_eq!(s.stand_in(leg), None);
    s.report(Report::OccupantGone(ann, OccupantCause::Unreachable));
    assert_eq!(s.room.poll_timeout().map(|(at, _)| at), Some(s.now.at + DELAY));
    s.pass(DELAY - Duration::from_millis(1));
    assert_eq!(s.stand_in(leg), None);
    s.pass(Duration::from_millis(1));
    let shown = s.stand_in(leg).expect("shown");
    s.hush();
    let ann = s.enter("ann");
    assert!(
        matches!(&s.events[..], [Event::OccupantLeft { occupant, cause: LeaveCause::Withdrawn, .. }, Event::OccupantEntered(id)] if *occupant == shown.id && *id == ann)
    );
    assert_eq!(s.of(ann).person, shown.person);
}

#[test]
fn r27_a_short_absence_shows_no_stand_in() {
    let mut s = Story::new();
    let ann = s.enter("ann");
    let leg = s.call("ann");
    s.report(Report::OccupantGone(ann, OccupantCause::Left));
    s.pass(DELAY / 2);
    let second = s.call("ann");
    assert_eq!(s.stand_in(leg), None, "another call doesn't shorten it");
    s.report(Report::LegGone(second, LegCause::Departed));
    s.enter("ann");
    s.hush();
    s.pass(DELAY * 2);
    assert_eq!(s.events, []);
    assert_eq!(s.room.poll_timeout(), None);
}

#[test]
fn r27_who_hangs_up_meanwhile_is_never_shown() {
    let mut s = Story::new();
    let ann = s.enter("ann");
    let leg = s.call("ann");
    s.report(Report::OccupantGone(ann, OccupantCause::Left));
    s.report(Report::LegGone(leg, LegCause::Departed));
    s.hush();
    s.pass(DELAY * 2);
    assert_eq!(s.events, []);
}

#[test]
fn r28_a_crowd_is_shown_in_part_and_served_in_full() {
    let mut s = Story::with_settings(|_| (), |settings| settings.max_phone_occupants = 2);
    let olga = s.enter("olga");
    let legs: Vec<_> = (0..4)
        .map(|_| s.try_call(Caller::Anonymous).expect("audio doesn't depend on it"))
        .collect();
    let shown: Vec<_> = legs.iter().map(|leg| s.stand_in(*leg).is_some()).collect();
    assert_eq!((shown, s.room.unshown_callers()), (vec![true, true, false, false], 2));
    assert_eq!(s.mute(Asker::Occupant(olga), legs[3]), Ok(Accepted::Done), "moderated by command");
    assert!(s.is_muted(legs[3]));
    s.report(Report::LegGone(legs[0], LegCause::Departed));
    assert!(s.stand_in(legs[2]).is_some(), "a free place goes to who waits longest");
    assert_eq!(s.room.unshown_callers(), 1);
    s.report(Report::LegGone(legs[1], LegCause::Departed));
    assert_eq!(
        s.stand_in(legs[3]).expect("shown").role,
        Role::Visitor,
        "the role mirrors the mute from the start"
    );
    s.report(Report::LegGone(legs[3], LegCause::Departed));
    assert_eq!(s.room.unshown_callers(), 0);
}

#[test]
fn r13_a_hidden_entity_stays_over_the_call_and_tells_nothing() {
    let mut s = Story::new();
    let leg = s.call("ann");
    let entity = s.of_leg(leg).hidden_entity;
    assert!(entity.starts_with("sip:p-") && entity.ends_with("@anonymous.invalid"), "{entity}");
    s.enter("ann");
    assert_eq!(s.of_leg(leg).hidden_entity, entity);
    let other = s.call("bob");
    assert_ne!(s.of_leg(other).hidden_entity, entity);
    assert!(!entity.contains(s.of_leg(leg).jid.expect("bound").node().expect("a user").as_str()));
}

#[test]
fn x6_anonymous_callers_stay_unknown_everywhere() {
    let mut s = Story::new();
    let leg = s.try_call(Caller::Anonymous).expect("may join");
    let view = s.of_leg(leg);
    assert_eq!(
        (view.jid.as_ref(), view.name.as_str(), view.caller.as_ref()),
        (None, "Anonymous", Some(&Caller::Anonymous))
    );
    assert_eq!(view.legs[0].endpoint, view.hidden_entity, "a Contact names its owner");
    assert_eq!(s.stand_in(leg).expect("shown").nick, "Anonymous (phone)");
    let second = s.try_call(Caller::Anonymous).expect("may join");
    assert_ne!(s.of_leg(second).id, view.id);
    assert_eq!(s.stand_in(second).expect("shown").nick, "Anonymous 2 (phone)");
}
