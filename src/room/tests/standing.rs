use super::*;
use crate::model::Whois;

#[test]
fn roles_change_by_the_table_of_xep_0045_5_1_3() {
    let mut s = Story::new();
    let olga = s.enter("olga");
    let (ann, bob, eve) = (s.enter("ann"), s.enter("bob"), s.enter("eve"));
    assert_eq!(s.set_role(ann, bob, Role::Visitor), Err(Refusal::NotModerator));
    assert_eq!(s.set_role(olga, ann, Role::Moderator), Ok(Accepted::Done));
    assert_eq!(s.set_role(ann, bob, Role::Visitor), Ok(Accepted::Done));
    assert_eq!(s.set_role(ann, bob, Role::Visitor), Ok(Accepted::Unchanged));
    assert_eq!(s.set_role(ann, bob, Role::Participant), Ok(Accepted::Done));
    assert_eq!(s.set_role(ann, bob, Role::Moderator), Err(Refusal::NotAdmin));
    assert_eq!(s.set_role(olga, bob, Role::Moderator), Ok(Accepted::Done));
    for role in [Role::Participant, Role::Visitor, Role::None] {
        assert_eq!(
            s.set_role(ann, bob, role),
            Err(Refusal::Outranked),
            "moderators are admins' to demote: {role:?}"
        );
    }
    s.affiliate(olga, "eve", Affiliation::Admin).expect("an owner may");
    assert_eq!(s.of(eve).role, Role::Moderator);
    assert_eq!(s.set_role(eve, bob, Role::Participant), Ok(Accepted::Done));
    assert_eq!(s.set_role(olga, eve, Role::Participant), Err(Refusal::Outranked), "section 9.7");
    assert_eq!(s.set_role(olga, eve, Role::Visitor), Err(Refusal::Outranked), "section 8.4");
    s.affiliate(olga, "bob", Affiliation::Member).expect("an owner may");
    assert_eq!(
        s.set_role(ann, bob, Role::Visitor),
        Err(Refusal::Outranked),
        "section 8.4: above the moderator's level"
    );
    assert_eq!(
        s.set_role(ann, bob, Role::None),
        Ok(Accepted::Done),
        "but section 8.2 protects admins and owners only"
    );
}

#[test]
fn affiliations_change_by_the_table_of_xep_0045_5_2_2() {
    use Affiliation::{Admin, Member, None, Outcast, Owner};
    let table = [
        // Who, from, to, and what comes of it.
        (Admin, None, Member, Ok(Accepted::Done)),
        (Admin, Member, Outcast, Ok(Accepted::Done)),
        (Admin, Outcast, None, Ok(Accepted::Done)),
        (Admin, None, Admin, Err(Refusal::NotOwner)),
        (Admin, Member, Owner, Err(Refusal::NotOwner)),
        (Admin, Admin, None, Err(Refusal::Outranked)),
        (Admin, Owner, Outcast, Err(Refusal::Outranked)),
        (Owner, Admin, Outcast, Ok(Accepted::Done)),
        (Owner, Owner, Member, Ok(Accepted::Done)),
        (Owner, None, Owner, Ok(Accepted::Done)),
        (Member, None, Member, Err(Refusal::NotAdmin)),
        (None, None, Outcast, Err(Refusal::NotAdmin)),
    ];
    for (who, from, to, expected) in table {
        let mut s = Story::with(|r| {
            r.affiliations.insert(jid("ann@x.org"), who);
            r.affiliations.insert(jid("bob@x.org"), from);
        });
        let present = s.enter("ann");
        assert_eq!(s.affiliate(present, "bob", to), expected, "{who:?}: {from:?} -> {to:?}");
        assert_eq!(s.room.affiliation(&jid("bob@x.org")), if expected.is_ok() { to } else { from });
    }
}

#[test]
fn an_absent_owner_acts_and_absent_people_change() {
    let mut s = Story::new();
    let ban = Request::SetAffiliation {
        jid: jid("bob@x.org"),
        affiliation: Affiliation::Outcast,
        why: Some("spam".to_owned()),
    };
    assert_eq!(s.ask(Asker::Jid(jid("ann@x.org")), ban.clone()), Err(Refusal::NotAdmin));
    s.ask(Asker::Jid(jid("olga@x.org")), ban).expect("an owner may, from wherever");
    assert_eq!(
        s.events,
        [Event::AbsentAffiliation {
            jid: jid("bob@x.org"),
            affiliation: Affiliation::Outcast,
            by: Actor::Account(jid("olga@x.org")),
            why: Some("spam".to_owned()),
        }]
    );
}

#[test]
fn membership_gives_voice_in_a_moderated_room() {
    let mut s = Story::with(|r| r.config.moderated = true);
    let olga = s.enter("olga");
    let ann = s.enter("ann");
    let leg = s.call("ann");
    assert!(s.is_muted(leg));
    s.affiliate(olga, "ann", Affiliation::Member).expect("an owner may");
    assert_eq!(s.of(ann).role, Role::Participant);
    assert!(!s.is_muted(leg), "it is a grant of voice");
}

#[test]
fn lists_are_read_by_those_who_may() {
    let read = |s: &mut Story, who: &str, list| s.ask(Asker::Jid(jid(&format!("{who}@x.org"))), Request::ReadAffiliations(list));
    let mut s = Story::with(|r| {
        r.affiliations.insert(jid("ann@x.org"), Affiliation::Admin);
        r.affiliations.insert(jid("bob@x.org"), Affiliation::Member);
    });
    assert_eq!(read(&mut s, "ann", Affiliation::Member), Ok(Accepted::List(vec![jid("bob@x.org")])));
    assert_eq!(read(&mut s, "ann", Affiliation::Owner), Err(Refusal::NotOwner));
    assert_eq!(read(&mut s, "bob", Affiliation::Member), Err(Refusal::NotAdmin));
    let config = RoomConfig {
        whois: Whois::Anyone,
        ..s.room.config().clone()
    };
    s.ask(Asker::Operator, Request::Configure(Box::new(config)))
        .expect("the operator may");
    assert!(matches!(
        s.events.last(),
        Some(Event::ConfigChanged {
            whois_changed: true,
            other_changed: false
        })
    ));
    assert!(
        read(&mut s, "bob", Affiliation::Owner).is_ok(),
        "nothing to hide in a non-anonymous room"
    );
    assert_eq!(read(&mut s, "bob", Affiliation::Outcast), Err(Refusal::NotAdmin));
    assert_eq!(read(&mut s, "eve", Affiliation::Member), Err(Refusal::NotAdmin));
    let olga = s.enter("olga");
    let eve = s.enter("eve");
    assert_eq!(
        s.ask(Asker::Occupant(eve), Request::ReadRoles(Role::Participant)),
        Err(Refusal::NotModerator)
    );
    assert_eq!(
        s.ask(Asker::Occupant(olga), Request::ReadRoles(Role::Moderator)),
        Ok(Accepted::Done)
    );
    assert_eq!(s.ask(Asker::Occupant(eve), Request::ReadConfig), Err(Refusal::NotOwner));
    assert_eq!(s.ask(Asker::Occupant(eve), Request::SetSubject(eve)), Err(Refusal::NotModerator));
    assert_eq!(s.ask(Asker::Occupant(olga), Request::SetSubject(olga)), Ok(Accepted::Done));
}

#[test]
fn r53_watching_is_for_participants_and_accounts() {
    let mut s = Story::with(|r| {
        r.affiliations.insert(jid("bob@x.org"), Affiliation::Outcast);
    });
    let watch = |s: &mut Story, by| s.ask(by, Request::Watch);
    assert_eq!(watch(&mut s, Asker::Caller(proven("ann"))), Ok(Accepted::View(View::Other)));
    assert_eq!(watch(&mut s, Asker::Caller(proven("olga"))), Ok(Accepted::View(View::Moderator)));
    assert_eq!(watch(&mut s, Asker::Caller(proven("bob"))), Err(Refusal::Banned));
    assert_eq!(watch(&mut s, Asker::Caller(claimed("+49301234567"))), Err(Refusal::NotInRoom));
    assert_eq!(watch(&mut s, Asker::Caller(Caller::Anonymous)), Err(Refusal::NotInRoom));
    let leg = s.try_call(Caller::Anonymous).expect("may join");
    assert_eq!(watch(&mut s, Asker::Leg(leg)), Ok(Accepted::View(View::Member)));
    s.report(Report::LegGone(leg, LegCause::Departed));
    assert_eq!(watch(&mut s, Asker::Leg(leg)), Err(Refusal::NotInRoom));
}

#[test]
fn m7_a_bound_moderator_moderates_from_the_phone() {
    let mut s = Story::new();
    let (host, ann) = (s.call("olga"), s.enter("ann"));
    assert_eq!(s.kick(Asker::Leg(host), Target::Occupant(ann)), Ok(Accepted::Done));
    assert!(
        s.events
            .iter()
            .any(|e| matches!(e, Event::OccupantLeft { occupant, cause: LeaveCause::Kicked { .. }, .. } if *occupant == ann))
    );
}

#[test]
fn m6_levels_of_participation() {
    let mut s = Story::new();
    let ann = s.enter("ann");
    let row = s.of(ann).person;
    let level = |s: &Story| s.room.person(row).map(|p| (p.text, p.audio));
    assert_eq!(level(&s), Some((TextLevel::TwoWay, AudioLevel::None)));
    let leg = LegId(900);
    let request = Request::Join {
        leg,
        account: None,
        caller: proven("ann"),
        ssrc: 9,
        endpoint: "sip:a@b".to_owned(),
        correlation: Correlation(2),
        entry: Entry::Nothing,
    };
    s.ask(Asker::Caller(proven("ann")), request).expect("may join");
    assert_eq!(level(&s), Some((TextLevel::TwoWay, AudioLevel::Joining)));
    s.report(Report::LegConfirmed(leg));
    assert_eq!(level(&s), Some((TextLevel::TwoWay, AudioLevel::TwoWay)));
    s.report(Report::LegListensOnly(leg, true));
    assert_eq!(level(&s), Some((TextLevel::TwoWay, AudioLevel::ListenOnly)));
    s.report(Report::LegListensOnly(leg, false));
    s.report(Report::LegHeld(leg, true));
    assert_eq!(level(&s), Some((TextLevel::TwoWay, AudioLevel::OnHold)));
    s.report(Report::LegHeld(leg, false));
    s.hush();
    s.report(Report::LegHeld(leg, false));
    assert_eq!(s.events, [], "what changes nothing is not told");
    s.set_role(ann, ann, Role::Visitor).expect_err("not a moderator");
    let olga = s.enter("olga");
    s.set_role(olga, ann, Role::Visitor).expect("a moderator may");
    assert_eq!(level(&s), Some((TextLevel::ReadOnly, AudioLevel::MutedByHost)));
    assert_eq!(
        s.room.people().filter(|p| p.id == row).count(),
        1,
        "one person with two endpoints is counted once"
    );
    s.report(Report::OccupantGone(ann, OccupantCause::Left));
    assert_eq!(level(&s), Some((TextLevel::None, AudioLevel::MutedByHost)));
}

#[test]
fn m5_the_call_goes_on_without_the_chat_server() {
    let mut s = Story::new();
    let ann = s.enter("ann");
    let leg = s.call("ann");
    s.hush();
    s.report(Report::ChatLink(false));
    s.report(Report::ChatLink(false));
    assert_eq!((s.of_leg(leg).text, s.of_leg(leg).audio), (TextLevel::None, AudioLevel::TwoWay));
    assert_eq!(
        s.events,
        [Event::AudioChanged {
            person: s.of(ann).person,
            by: None
        }]
    );
    assert!(s.try_call(proven("bob")).is_ok());
    s.report(Report::ChatLink(true));
    assert_eq!(s.of_leg(leg).text, TextLevel::TwoWay);
}

#[test]
fn nobody_is_shown_as_speaking_whom_nobody_hears() {
    let mut s = Story::new();
    let leg = s.call("ann");
    s.report(Report::Speaking(leg, true));
    assert!(s.of_leg(leg).speaking);
    s.mute(Asker::Leg(leg), leg).expect("their own");
    assert!(!s.of_leg(leg).speaking);
    s.hush();
    s.report(Report::Speaking(leg, false));
    s.report(Report::Speaking(leg, true));
    assert_eq!(s.events, []);
    s.unmute(Asker::Leg(leg), leg).expect("their own");
    s.report(Report::LegHeld(leg, true));
    assert!(!s.of_leg(leg).speaking);
}
