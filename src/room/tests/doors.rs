use super::*;
use crate::model::AudioAccess;

#[test]
fn r01_a_leg_and_an_occupant_are_one_person_by_the_directory_only() {
    let mut s = Story::new();
    let ann = s.enter("ann");
    let leg = s.call("ann");
    assert_eq!(s.of_leg(leg).id, s.of(ann).person);
    // An AOR that two accounts claim, and a caller who merely says who they are, are rows of their own.
    let shared = s.call("shared");
    let liar = s
        .try_call(Caller::Claimed {
            uri: "sip:ann@x.org".to_owned(),
            name: Some("ann".to_owned()),
        })
        .expect("may join");
    let ids = [s.of_leg(leg).id, s.of_leg(shared).id, s.of_leg(liar).id];
    assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2]);
    assert_eq!(s.of_leg(liar).jid, None);
}

#[test]
fn r01_rows_live_as_long_as_either_half() {
    let mut s = Story::new();
    let leg = s.call("ann");
    let row = s.of_leg(leg).id;
    let ann = s.enter("ann");
    assert_eq!(s.of(ann).person, row);
    s.report(Report::LegGone(leg, LegCause::Departed));
    assert!(s.room.person(row).is_some());
    let again = s.call("ann");
    assert_eq!(s.of_leg(again).id, row);
    s.report(Report::OccupantGone(ann, OccupantCause::Left));
    s.report(Report::LegGone(again, LegCause::Departed));
    assert!(s.room.person(row).is_none());
    let later = s.enter("ann");
    assert_ne!(s.of(later).person, row, "ids are not used twice");
}

#[test]
fn r10_lock_keeps_out_who_is_new_and_nobody_else() {
    let mut s = Story::new();
    let olga = s.enter("olga");
    let ann = s.enter("ann");
    assert_eq!(s.ask(Asker::Occupant(ann), Request::Lock(true)), Err(Refusal::NotModerator));
    assert_eq!(s.ask(Asker::Occupant(olga), Request::Lock(true)), Ok(Accepted::Done));
    assert_eq!(s.ask(Asker::Occupant(olga), Request::Lock(true)), Ok(Accepted::Unchanged));
    assert_eq!(s.try_enter("bob", "bob"), Err(Refusal::Locked));
    assert_eq!(s.try_call(proven("bob")), Err(Refusal::Locked));
    assert!(s.try_call(proven("ann")).is_ok(), "who is in by one door isn't new at the other");
    assert_eq!(s.room.occupants().count(), 2);
    s.ask(Asker::Operator, Request::Lock(false)).expect("the operator may");
    assert!(s.try_enter("bob", "bob").is_ok());
}

#[test]
fn r14_audio_access() {
    let table = [
        (AudioAccess::Off, Err(Refusal::AudioOff), Err(Refusal::AudioOff)),
        (AudioAccess::Members, Ok(()), Err(Refusal::MembersOnly)),
        (AudioAccess::Pin, Ok(()), Err(Refusal::Pin)),
        (AudioAccess::Anyone, Ok(()), Ok(())),
    ];
    for (audio, member, stranger) in table {
        let mut s = Story::with(|r| r.config.audio = audio);
        assert_eq!(s.try_call(proven("olga")).map(|_| ()), member, "{audio:?}");
        assert_eq!(s.try_call(claimed("+49301234567")).map(|_| ()), stranger, "{audio:?}");
    }
    let mut s = Story::with(|r| r.config.members_only = true);
    assert_eq!(
        s.try_call(claimed("1")).map(|_| ()),
        Err(Refusal::MembersOnly),
        "the chat's condition holds for callers"
    );
}

#[test]
fn r14_a_password_is_asked_for_at_both_doors() {
    let mut s = Story::with(|r| r.config.password = Some("sesame".to_owned()));
    assert_eq!(s.try_enter("ann", "ann"), Err(Refusal::Password));
    assert_eq!(s.try_call(proven("ann")), Err(Refusal::Password));
    let entering = |password: &str| Request::Enter {
        occupant: OccupantId(77),
        jid: jid("ann@x.org"),
        nick: "ann".to_owned(),
        password: Some(password.to_owned()),
        correlation: Correlation(1),
    };
    assert_eq!(s.ask(Asker::Jid(jid("ann@x.org")), entering("seasame")), Err(Refusal::Password));
    s.ask(Asker::Jid(jid("ann@x.org")), entering("sesame")).expect("the right one");
    assert!(
        s.try_call(proven("ann")).is_ok(),
        "who showed it in the chat need not show it again"
    );
}

#[test]
fn r14_a_room_that_waits_for_its_configuration_lets_its_creator_in_alone() {
    let mut s = Story::with(|r| {
        r.locked_until_configured = true;
        r.config.persistent = false;
    });
    let olga = s.enter("olga");
    assert_eq!(s.try_enter("ann", "ann"), Err(Refusal::NotConfigured));
    assert_eq!(s.try_call(proven("olga")), Err(Refusal::NotConfigured), "it can't be dialled");
    let config = RoomConfig {
        title: "Blue".to_owned(),
        ..s.room.config().clone()
    };
    s.ask(Asker::Occupant(olga), Request::Configure(Box::new(config)))
        .expect("an owner");
    assert!(!s.room.is_unconfigured());
    assert!(
        matches!(&s.kept[..], [StoreOp::SaveRoom(_), StoreOp::SetAffiliation(_, owner, Affiliation::Owner)] if *owner == jid("olga@x.org"))
    );
    assert!(s.try_enter("ann", "ann").is_ok());
}

#[test]
fn r14_a_temporary_room_ends_with_its_last_occupant_and_leg() {
    let mut s = Story::with(|r| r.config.persistent = false);
    let ann = s.enter("ann");
    let leg = s.call("ann");
    s.report(Report::OccupantGone(ann, OccupantCause::Left));
    assert!(!s.room.is_over(), "a call goes on");
    s.report(Report::LegGone(leg, LegCause::Departed));
    assert!(s.room.is_over());
    assert_eq!(s.events.last(), Some(&Event::Closed { destroyed: None }));
    assert_eq!(s.kept, [StoreOp::DeleteRoom(s.room.name().clone())]);
    assert_eq!(s.try_enter("ann", "ann"), Err(Refusal::Closing));
    let count = s.events.len();
    s.report(Report::Shutdown);
    assert_eq!(s.events.len(), count, "it ends once");
}

#[test]
fn r14_a_new_room_whose_first_guest_is_refused_ends() {
    let mut s = Story::with(|r| r.config.persistent = false);
    assert_eq!(s.try_enter("olga", "x (phone)"), Err(Refusal::BadNick));
    assert!(s.room.is_over());
}

#[test]
fn r14_rooms_of_the_configuration_stay() {
    let mut s = Story::with(|r| {
        r.from_config = true;
        r.config.persistent = false;
    });
    let olga = s.enter("olga");
    let eve = s.enter("eve");
    s.affiliate(olga, "eve", Affiliation::Owner).expect("an owner makes another");
    assert_eq!(s.affiliate(eve, "olga", Affiliation::None), Err(Refusal::FixedByConfig));
    assert_eq!(
        s.ask(
            Asker::Occupant(olga),
            Request::Destroy {
                alternate: None,
                why: None
            }
        ),
        Err(Refusal::FixedByConfig)
    );
    s.report(Report::OccupantGone(olga, OccupantCause::Left));
    s.report(Report::OccupantGone(eve, OccupantCause::Left));
    assert!(!s.room.is_over());
}

#[test]
fn full_rooms_keep_places_for_admins() {
    let mut s = Story::with(|r| r.config.max_people = 2);
    s.enter("ann");
    s.call("bob");
    assert_eq!(s.room.occupants().count(), 2, "a stand-in takes no place of its own");
    assert_eq!(s.try_enter("eve", "eve"), Err(Refusal::Full));
    assert_eq!(s.try_call(proven("ann")), Err(Refusal::Full));
    assert!(s.try_enter("olga", "olga").is_ok());
}

#[test]
fn one_person_has_a_bounded_number_of_nicks_and_calls() {
    let mut s = Story::new();
    let entered = (0..50)
        .filter(|n| s.try_enter("ann", &format!("ann-{}", ["x", "y"][n % 2].repeat(n + 1))).is_ok())
        .count();
    let called = (0..50).filter(|_| s.try_call(proven("ann")).is_ok()).count();
    assert_eq!((entered, called), (10, 10));
}

#[test]
fn nicks_are_not_mistaken_for_one_another() {
    let mut s = Story::new();
    let ann = s.enter("ann");
    for taken in ["ann", "Ann", "аnn", "bridge", "Bridge"] {
        assert_eq!(s.try_enter("bob", taken), Err(Refusal::NickTaken), "{taken}");
    }
    let second = s
        .try_enter("ann", "ann")
        .expect("a second client of the same person (XEP-0045 section 7.2.8)");
    assert_eq!(s.of(second).person, s.of(ann).person);
    let bob = s.enter("bob");
    s.hush();
    let rename = |nick: &str| Request::Rename {
        occupant: bob,
        nick: nick.to_owned(),
    };
    assert_eq!(s.ask(Asker::Occupant(bob), rename("ANN")), Err(Refusal::NickTaken));
    assert_eq!(s.ask(Asker::Occupant(bob), rename("Bob (phone)")), Err(Refusal::BadNick));
    assert_eq!(s.ask(Asker::Occupant(bob), rename("bob")), Ok(Accepted::Unchanged));
    assert_eq!(s.ask(Asker::Occupant(bob), rename("Bobby")), Ok(Accepted::Done));
    assert_eq!(
        s.events,
        [Event::Renamed {
            occupant: bob,
            from: "bob".to_owned()
        }]
    );
    assert_eq!(s.room.occupant_by_nick("Bobby"), Some(bob));
}
