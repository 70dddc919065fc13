use super::*;
use crate::model::TrunkId;

fn left(s: &Story, leg: LegId) -> Vec<EndCause> {
    s.events
        .iter()
        .filter_map(|e| {
            if let Event::LegLeft { leg: l, cause, .. } = e {
                (*l == leg).then(|| cause.clone())
            } else {
                None
            }
        })
        .collect()
}

fn closes(s: &Story, leg: LegId) -> usize {
    s.orders.iter().filter(|o| **o == MediaOrder::Close(leg)).count()
}

#[test]
fn r07_a_kick_ends_the_call_and_keeps_out_for_a_minute() {
    let mut s = Story::new();
    let olga = s.enter("olga");
    let ann = s.enter("ann");
    let leg = s.call("ann");
    assert_eq!(s.kick(Asker::Occupant(olga), Target::Occupant(ann)), Ok(Accepted::Done));
    assert!(
        matches!(&left(&s, leg)[..], [EndCause::Kicked { by: Actor::Person { name, .. }, why: Some(why) }] if name == "olga" && why == "enough")
    );
    assert_eq!(closes(&s, leg), 1);
    s.report(Report::LegGone(leg, LegCause::Departed));
    s.report(Report::OccupantGone(ann, OccupantCause::Left));
    assert_eq!((left(&s, leg).len(), closes(&s, leg)), (1, 1), "late reports change nothing");
    assert_eq!(s.try_enter("ann", "ann"), Err(Refusal::KickedRecently));
    assert_eq!(s.try_call(proven("ann")), Err(Refusal::KickedRecently));
    s.pass(Duration::from_secs(59));
    assert_eq!(s.try_call(proven("ann")), Err(Refusal::KickedRecently));
    s.pass(Duration::from_secs(1));
    assert!(s.try_call(proven("ann")).is_ok());
}

#[test]
fn r07_a_claimed_number_is_kept_out_weakly() {
    let mut s = Story::new();
    let olga = s.enter("olga");
    let liar = s
        .try_call(Caller::Claimed {
            uri: "sip:ann@x.org".to_owned(),
            name: None,
        })
        .expect("may join");
    let nobody = s.try_call(Caller::Anonymous).expect("may join");
    s.kick(Asker::Occupant(olga), Target::Leg(liar)).expect("a moderator may");
    s.kick(Asker::Occupant(olga), Target::Leg(nobody)).expect("a moderator may");
    assert_eq!(
        s.try_call(Caller::Claimed {
            uri: "sip:ann@x.org".to_owned(),
            name: None
        }),
        Err(Refusal::KickedRecently)
    );
    assert!(s.try_call(proven("ann")).is_ok(), "a claim never refuses who proves it");
    assert!(s.try_call(Caller::Anonymous).is_ok());
}

#[test]
fn r07_losing_the_chat_half_leaves_the_call() {
    for cause in [OccupantCause::Left, OccupantCause::Unreachable, OccupantCause::Flooded] {
        let mut s = Story::new();
        let ann = s.enter("ann");
        let leg = s.call("ann");
        s.report(Report::OccupantGone(ann, cause));
        assert_eq!(left(&s, leg), []);
        assert_eq!((s.of_leg(leg).text, s.of_leg(leg).audio), (TextLevel::None, AudioLevel::TwoWay));
    }
}

#[test]
fn r07_membership_governs_audio_where_the_room_says_so() {
    for governs in [false, true] {
        let mut s = Story::with(|r| {
            r.config.members_only = true;
            r.config.membership_governs_audio = governs;
            r.affiliations.insert(jid("ann@x.org"), Affiliation::Member);
        });
        let olga = s.enter("olga");
        s.enter("ann");
        let leg = s.call("ann");
        s.hush();
        s.affiliate(olga, "ann", Affiliation::None).expect("an owner may");
        let gone = s.events.iter().any(|e| {
            matches!(
                e,
                Event::OccupantLeft {
                    cause: LeaveCause::MembershipLost { .. },
                    ..
                }
            )
        });
        assert!(
            gone && !s.events.iter().any(|e| matches!(e, Event::StandingChanged { .. })),
            "XEP-0045 section 9.4: only the removal is told"
        );
        let expected: &[EndCause] = if governs { &[EndCause::MembershipLost] } else { &[] };
        assert_eq!(left(&s, leg), expected);
        assert_eq!(s.try_enter("ann", "ann"), Err(Refusal::MembersOnly));
    }
}

#[test]
fn r07_becoming_members_only_shows_others_out_of_the_chat() {
    let mut s = Story::new();
    let olga = s.enter("olga");
    let ann = s.enter("ann");
    let leg = s.call("ann");
    let config = RoomConfig {
        members_only: true,
        ..s.room.config().clone()
    };
    s.ask(Asker::Occupant(olga), Request::Configure(Box::new(config)))
        .expect("an owner may");
    assert!(
        s.events
            .iter()
            .any(|e| matches!(e, Event::OccupantLeft { occupant, cause: LeaveCause::MembersOnlyNow, .. } if *occupant == ann))
    );
    assert_eq!(left(&s, leg), []);
    assert_eq!(s.room.occupants().count(), 1);
}

#[test]
fn r08_a_kick_acts_on_all_nicks_and_legs_and_a_leg_on_itself() {
    let mut s = Story::new();
    let olga = s.enter("olga");
    s.enter("ann");
    let tablet = s.try_enter("ann", "anns-tablet").expect("a second nick");
    let (desk, mobile) = (s.call("ann"), s.call("ann"));
    s.kick(Asker::Occupant(olga), Target::Leg(desk)).expect("a moderator may");
    assert_eq!((left(&s, desk).len(), left(&s, mobile).len()), (1, 0));
    assert!(s.try_call(proven("ann")).is_ok(), "who is still here was not put out");
    s.set_role(olga, tablet, Role::Visitor).expect("a moderator may");
    assert!(
        s.room
            .occupants()
            .filter(|o| o.person == s.of(tablet).person)
            .all(|o| o.role == Role::Visitor)
    );
    s.kick(Asker::Occupant(olga), Target::Occupant(tablet)).expect("a moderator may");
    assert_eq!(s.room.occupants().count(), 1);
    assert_eq!((s.room.people().count(), closes(&s, mobile)), (1, 1));
}

#[test]
fn r03_a_ban_holds_at_both_doors_until_it_is_lifted() {
    let mut s = Story::new();
    let olga = s.enter("olga");
    s.enter("ann");
    let leg = s.call("ann");
    s.affiliate(olga, "ann", Affiliation::Outcast).expect("an owner may");
    assert!(matches!(&left(&s, leg)[..], [EndCause::Banned { .. }]));
    assert!(s.events.iter().any(|e| matches!(
        e,
        Event::OccupantLeft {
            cause: LeaveCause::Banned { .. },
            affiliation: Affiliation::Outcast,
            ..
        }
    )));
    assert!(s.kept.contains(&StoreOp::SetAffiliation(
        s.room.name().clone(),
        jid("ann@x.org"),
        Affiliation::Outcast
    )));
    assert_eq!(s.try_enter("ann", "ann"), Err(Refusal::Banned));
    assert_eq!(s.try_call(proven("ann")), Err(Refusal::Banned));
    s.affiliate(olga, "ann", Affiliation::None).expect("an owner may");
    assert!(s.try_enter("ann", "ann").is_ok());
    assert!(s.try_call(proven("ann")).is_ok());
}

#[test]
fn r03_an_aor_without_a_chat_account_is_banned_by_its_stand_ins_jid() {
    let mut s = Story::new();
    let olga = s.enter("olga");
    let phil = s.call("phil");
    let stand_in = s.stand_in(phil).expect("shown");
    s.ask(
        Asker::Occupant(olga),
        Request::Ban {
            target: Target::Occupant(stand_in.id),
            why: None,
        },
    )
    .expect("an owner may");
    assert_eq!(s.try_call(proven("phil")), Err(Refusal::Banned));
    assert_eq!(
        s.room.affiliation(&stand_in.jid),
        Affiliation::Outcast,
        "so the ban list of any chat client has it"
    );
    let lift = Request::SetAffiliation {
        jid: stand_in.jid,
        affiliation: Affiliation::None,
        why: None,
    };
    s.ask(Asker::Occupant(olga), lift).expect("an owner may");
    assert!(s.try_call(proven("phil")).is_ok());
}

#[test]
fn r03_unproven_callers_cannot_be_banned() {
    let mut s = Story::new();
    let olga = s.enter("olga");
    for caller in [claimed("+49301234567"), Caller::Anonymous] {
        let leg = s.try_call(caller).expect("may join");
        assert_eq!(
            s.ask(
                Asker::Occupant(olga),
                Request::Ban {
                    target: Target::Leg(leg),
                    why: None
                }
            ),
            Err(Refusal::CannotBan)
        );
        let jid = s.stand_in(leg).expect("shown").jid;
        let by_list = Request::SetAffiliation {
            jid,
            affiliation: Affiliation::Outcast,
            why: None,
        };
        assert_eq!(s.ask(Asker::Occupant(olga), by_list), Err(Refusal::CannotBan));
        assert_eq!(s.kick(Asker::Occupant(olga), Target::Leg(leg)), Ok(Accepted::Done));
    }
}

#[test]
fn r03_a_ban_by_a_trunks_number_is_weak_and_limited_in_time() {
    let telco = |number: &str| Caller::Trunk {
        trunk: TrunkId::new("telco"),
        number: number.to_owned(),
        name: None,
    };
    let number = "+49301234567";
    for by_list in [false, true] {
        let mut s = Story::new();
        let olga = s.enter("olga");
        let leg = s.try_call(telco(number)).expect("may join");
        let row = s.of_leg(leg);
        assert_eq!(row.name, "+49…67", "rule R13");
        let jid = s.stand_in(leg).expect("shown").jid;
        let ban = if by_list {
            Request::SetAffiliation {
                jid,
                affiliation: Affiliation::Outcast,
                why: None,
            }
        } else {
            Request::Ban {
                target: Target::Leg(leg),
                why: None,
            }
        };
        assert_eq!(s.ask(Asker::Occupant(olga), ban), Ok(Accepted::Done));
        assert_eq!(closes(&s, leg), 1);
        assert_eq!(s.try_call(telco(number)), Err(Refusal::Banned));
        // Neither the number behind another trunk, nor another behind this one, nor whoever merely claims it.
        let other = Caller::Trunk {
            trunk: TrunkId::new("pbx"),
            number: number.to_owned(),
            name: None,
        };
        for caller in [other, telco("+49301234568"), claimed(number), proven("ann")] {
            assert!(s.try_call(caller.clone()).is_ok(), "{caller:?}");
        }
        s.pass(Duration::from_secs(24 * 3600));
        assert!(s.try_call(telco(number)).is_ok());
    }
}

#[test]
fn nobody_bans_themselves_and_a_room_keeps_an_owner() {
    let mut s = Story::new();
    let olga = s.enter("olga");
    assert_eq!(s.affiliate(olga, "olga", Affiliation::Outcast), Err(Refusal::Oneself));
    assert_eq!(s.affiliate(olga, "olga", Affiliation::Admin), Err(Refusal::LastOwner));
    s.report(Report::OccupantGone(olga, OccupantCause::Left));
    let absent = Request::SetAffiliation {
        jid: jid("olga@x.org"),
        affiliation: Affiliation::Outcast,
        why: None,
    };
    assert_eq!(s.ask(Asker::Jid(jid("olga@x.org")), absent), Err(Refusal::Oneself));
}

#[test]
fn m7_destroying_the_room_ends_every_call() {
    let mut s = Story::new();
    let olga = s.enter("olga");
    let (leg, phil) = (s.call("olga"), s.call("phil"));
    s.hush();
    let request = Request::Destroy {
        alternate: Some(jid("red@rooms.x.org")),
        why: Some("moved".to_owned()),
    };
    assert_eq!(s.ask(Asker::Leg(phil), request.clone()), Err(Refusal::NotOwner));
    s.ask(Asker::Occupant(olga), request).expect("an owner may");
    assert_eq!(
        (left(&s, leg), left(&s, phil)),
        (vec![EndCause::RoomGone], vec![EndCause::RoomGone])
    );
    assert!(matches!(
        s.events.last(),
        Some(Event::Closed {
            destroyed: Some((Some(_), Some(_)))
        })
    ));
    assert_eq!(s.kept, [StoreOp::DeleteRoom(s.room.name().clone())]);
    assert!(s.room.is_over() && s.room.people().next().is_none());
}

#[test]
fn shutdown_tells_everybody_and_keeps_a_persistent_room() {
    let mut s = Story::new();
    let olga = s.enter("olga");
    let phil = s.call("phil");
    s.hush();
    s.report(Report::Shutdown);
    assert_eq!(left(&s, phil), [EndCause::Shutdown]);
    let gone: Vec<_> = s
        .events
        .iter()
        .filter(|e| {
            matches!(
                e,
                Event::OccupantLeft {
                    cause: LeaveCause::Shutdown,
                    ..
                }
            )
        })
        .collect();
    assert_eq!(gone.len(), 2, "the stand-in as well: {olga:?}");
    assert_eq!(s.events.last(), Some(&Event::Closed { destroyed: None }));
    assert_eq!(s.kept, []);
}

#[test]
fn r45_a_silent_call_ends_after_a_minute_unless_on_hold() {
    let mut s = Story::new();
    let (ann, bob) = (s.call("ann"), s.call("bob"));
    s.report(Report::LegHeld(bob, true));
    s.report(Report::Speaking(ann, true));
    for seconds in [30, 60] {
        s.report(Report::LegQuiet(ann, seconds));
        s.report(Report::LegQuiet(bob, seconds));
        assert_eq!(left(&s, ann).len(), usize::from(seconds == 60));
    }
    assert_eq!(left(&s, ann), [EndCause::Failed]);
    assert_eq!(left(&s, bob), []);
}

#[test]
fn a_lost_mixer_ends_every_call_and_nothing_else() {
    let mut s = Story::new();
    s.enter("ann");
    let (ann, phil) = (s.call("ann"), s.call("phil"));
    s.report(Report::MediaFailed);
    assert_eq!((left(&s, ann), left(&s, phil)), (vec![EndCause::Failed], vec![EndCause::Failed]));
    assert_eq!((closes(&s, ann), closes(&s, phil)), (1, 1));
    assert_eq!(s.room.occupants().count(), 1);
}
