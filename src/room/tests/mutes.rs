use super::*;
use crate::model::{Mute, mute::MuteKind};

fn host(s: &Story, leg: LegId) -> bool {
    s.of_leg(leg).mutes.has(MuteKind::Host)
}

#[test]
fn r04_everybody_clears_their_own_mute_and_nobody_elses() {
    let mut s = Story::new();
    let olga = s.enter("olga");
    let ann = s.enter("ann");
    let leg = s.call("ann");
    assert_eq!(s.mute(Asker::Leg(leg), leg), Ok(Accepted::Done));
    assert_eq!(
        s.mute(Asker::Occupant(ann), leg),
        Ok(Accepted::Unchanged),
        "the same person by another door"
    );
    assert!(s.is_muted(leg));
    assert_eq!(s.of_leg(leg).audio, AudioLevel::MutedBySelf);
    s.hush();
    assert_eq!(s.unmute(Asker::Occupant(olga), leg), Err(Refusal::OwnMute));
    assert!(
        matches!(&s.events[..], [Event::Notice { to: Some(to), .. }] if *to == ann),
        "they are asked instead"
    );
    assert_eq!(s.unmute(Asker::Occupant(ann), leg), Ok(Accepted::Done));
    assert!(!s.is_muted(leg));
    assert_eq!(s.unmute(Asker::Leg(leg), leg), Ok(Accepted::Unchanged));
}

#[test]
fn r04_reasons_are_a_set() {
    let mut s = Story::new();
    let olga = s.enter("olga");
    let leg = s.call("ann");
    s.mute(Asker::Leg(leg), leg).expect("their own");
    s.mute(Asker::Occupant(olga), leg).expect("a host's");
    assert_eq!(s.of_leg(leg).audio, AudioLevel::MutedByHost);
    s.unmute(Asker::Occupant(olga), leg).expect("the host's is cleared");
    assert!(s.is_muted(leg), "their own stays");
    s.unmute(Asker::Leg(leg), leg).expect("their own is cleared");
    assert!(!s.is_muted(leg));
    assert_eq!(
        s.orders.iter().filter(|o| matches!(o, MediaOrder::Mute(..))).count(),
        2,
        "the mix hears of changes only"
    );
}

#[test]
fn r04_moderators_clear_a_hosts_mute_and_others_may_only_wish() {
    let mut s = Story::new();
    let olga = s.enter("olga");
    let ann = s.enter("ann");
    let bob = s.enter("bob");
    let leg = s.call("ann");
    assert_eq!(s.mute(Asker::Occupant(bob), leg), Err(Refusal::NotModerator));
    s.mute(Asker::Occupant(olga), leg).expect("a moderator may");
    s.hush();
    assert_eq!(s.unmute(Asker::Occupant(bob), leg), Err(Refusal::NotModerator));
    assert_eq!(s.unmute(Asker::Leg(leg), leg), Err(Refusal::NotModerator));
    assert!(
        matches!(&s.events[..], [Event::AudioChanged { .. }, Event::Notice { to: None, text }] if text == "ann would like to speak."),
        "{:?}",
        s.events
    );
    assert_eq!(s.unmute(Asker::Leg(leg), leg), Err(Refusal::NotModerator));
    assert_eq!(s.events.len(), 2, "wishes are rate-limited");
    // The one moderator leaves; the next one who comes can clear it.
    s.report(Report::OccupantGone(olga, OccupantCause::Left));
    assert!(host(&s, leg));
    s.ask(
        Asker::Operator,
        Request::SetAffiliation {
            jid: jid("eve@x.org"),
            affiliation: Affiliation::Admin,
            why: None,
        },
    )
    .expect("operator");
    let eve = s.enter("eve");
    assert_eq!(s.unmute(Asker::Occupant(eve), leg), Ok(Accepted::Done));
    assert!(!s.is_muted(leg));
    assert_eq!(
        s.of(ann).role,
        Role::Participant,
        "an audio mute of somebody with a nick leaves the chat alone"
    );
}

#[test]
fn r04_a_grant_clears_a_hosts_mute_for_audio_only_people() {
    let mut s = Story::new();
    let olga = s.enter("olga");
    let phil = s.call("phil");
    s.mute(Asker::Occupant(olga), phil).expect("a moderator may");
    let stand_in = s.stand_in(phil).expect("shown");
    assert_eq!(stand_in.role, Role::Visitor, "an audio mute changes the role of audio-only people");
    assert_eq!(s.set_role(olga, stand_in.id, Role::Participant), Ok(Accepted::Done));
    assert!(!s.is_muted(phil) && !s.of_leg(phil).mutes.is_muted());
    // For somebody with a nick, it doesn't.
    let ann = s.enter("ann");
    let leg = s.call("ann");
    s.mute(Asker::Occupant(olga), leg).expect("a moderator may");
    s.set_role(olga, ann, Role::Visitor).expect("voice revoked");
    s.set_role(olga, ann, Role::Participant).expect("voice granted");
    assert!(host(&s, leg) && s.is_muted(leg));
}

#[test]
fn r04_an_unmute_from_another_door_is_a_grant() {
    let mut s = Story::with(|r| r.config.moderated = true);
    let olga = s.enter("olga");
    let ann = s.enter("ann");
    let leg = s.call("ann");
    assert_eq!(s.unmute(Asker::Leg(leg), leg), Err(Refusal::PolicyMute));
    let host_leg = s.call("olga");
    assert_eq!(s.unmute(Asker::Leg(host_leg), leg), Ok(Accepted::Done));
    assert_eq!(s.of(ann).role, Role::Participant);
    assert!(!s.is_muted(leg));
    s.set_role(olga, ann, Role::Visitor).expect("revoked");
    assert!(s.is_muted(leg));
    assert_eq!(
        s.ask(
            Asker::Operator,
            Request::Unmute {
                target: Target::Occupant(ann)
            }
        ),
        Ok(Accepted::Done)
    );
    assert_eq!(s.of(ann).role, Role::Participant);
}

#[test]
fn r04_an_own_mute_ends_with_the_call() {
    let mut s = Story::new();
    s.enter("ann");
    let leg = s.call("ann");
    s.mute(Asker::Leg(leg), leg).expect("their own");
    s.report(Report::LegGone(leg, LegCause::Departed));
    let again = s.call("ann");
    assert!(!s.is_muted(again) && s.of_leg(again).audio == AudioLevel::TwoWay);
}

#[test]
fn r05_revoked_voice_mutes_and_granted_voice_unmutes() {
    let mut s = Story::new();
    let olga = s.enter("olga");
    let ann = s.enter("ann");
    let leg = s.call("ann");
    s.set_role(olga, ann, Role::Visitor).expect("a moderator may");
    assert!(s.is_muted(leg) && s.of_leg(leg).mutes.has(MuteKind::ChatVoice));
    assert_eq!(s.ask(Asker::Occupant(ann), Request::Write(ann)), Err(Refusal::NoVoice));
    s.set_role(olga, ann, Role::Participant).expect("a moderator may");
    assert!(!s.is_muted(leg));
    assert_eq!(s.ask(Asker::Occupant(ann), Request::Write(ann)), Ok(Accepted::Done));
}

#[test]
fn r05_voice_is_kept_over_visits_and_a_join_clears_no_mute() {
    let mut s = Story::new();
    let olga = s.enter("olga");
    let ann = s.enter("ann");
    let leg = s.call("ann");
    s.set_role(olga, ann, Role::Visitor).expect("a moderator may");
    assert!(
        s.kept
            .contains(&StoreOp::SetVoice(s.room.name().clone(), jid("ann@x.org"), Some(false)))
    );
    s.report(Report::OccupantGone(ann, OccupantCause::Left));
    let back = s.enter("ann");
    assert_eq!(s.of(back).role, Role::Visitor);
    assert!(s.is_muted(leg));
    // All gone and back, by phone first.
    s.report(Report::OccupantGone(back, OccupantCause::Left));
    s.report(Report::LegGone(leg, LegCause::Departed));
    let leg = s.call("ann");
    assert!(s.is_muted(leg));
    let ann = s.enter("ann");
    s.set_role(olga, ann, Role::Participant).expect("a grant");
    assert!(s.kept.contains(&StoreOp::SetVoice(s.room.name().clone(), jid("ann@x.org"), None)));
    assert!(!s.is_muted(leg));
}

#[test]
fn r05_a_moderated_room_remembers_who_was_given_voice() {
    let mut s = Story::with(|r| r.config.moderated = true);
    let olga = s.enter("olga");
    let ann = s.enter("ann");
    s.set_role(olga, ann, Role::Participant).expect("a grant");
    s.report(Report::OccupantGone(ann, OccupantCause::Left));
    let ann = s.enter("ann");
    assert_eq!(s.of(ann).role, Role::Participant);
    assert!(!s.room.person(s.of(ann).person).expect("a row").mutes.is_muted());
}

#[test]
fn r06_a_visitor_at_join_is_muted_by_policy_not_by_a_host() {
    let mut s = Story::with(|r| r.config.moderated = true);
    let ann = s.enter("ann");
    let leg = s.call("ann");
    assert_eq!(s.of(ann).role, Role::Visitor);
    assert_eq!(s.of_leg(leg).mutes.iter().collect::<Vec<_>>(), [&Mute::Policy]);
    assert!(
        matches!(&s.orders[..], [MediaOrder::Mute(_, true), MediaOrder::Place(..)]),
        "never heard, not for one tick"
    );
    let phil = s.call("phil");
    assert_eq!(s.of_leg(phil).mutes.iter().collect::<Vec<_>>(), [&Mute::Policy]);
    assert_eq!(s.stand_in(phil).expect("shown").role, Role::Visitor);
    let host = s.call("olga");
    assert!(!s.is_muted(host));
}

#[test]
fn r06_chat_voice_governs_audio_only_where_the_room_says_so() {
    let mut s = Story::with(|r| {
        r.config.moderated = true;
        r.config.chat_voice_governs_audio = false;
    });
    let olga = s.enter("olga");
    let ann = s.enter("ann");
    let leg = s.call("ann");
    assert!(!s.is_muted(leg));
    s.set_role(olga, ann, Role::Participant).expect("a grant");
    s.set_role(olga, ann, Role::Visitor).expect("a revocation");
    assert!(!s.is_muted(leg));
    // Of a caller, it is an act on the call itself.
    let phil = s.call("phil");
    let stand_in = s.stand_in(phil).expect("shown");
    assert_eq!(stand_in.role, Role::Participant);
    s.set_role(olga, stand_in.id, Role::Visitor).expect("a moderator may");
    assert!(s.is_muted(phil));
}

#[test]
fn r06_a_rule_that_is_lifted_silences_nobody() {
    let mut s = Story::with(|r| r.config.moderated = true);
    let olga = s.enter("olga");
    let ann = s.enter("ann");
    let leg = s.call("ann");
    let bob = s.enter("bob");
    s.set_role(olga, bob, Role::Participant).expect("given");
    s.set_role(olga, bob, Role::Visitor).expect("and taken");
    let config = RoomConfig {
        moderated: false,
        ..s.room.config().clone()
    };
    s.ask(Asker::Occupant(olga), Request::Configure(Box::new(config)))
        .expect("an owner may");
    assert!(!s.is_muted(leg));
    assert_eq!(
        (s.of(ann).role, s.of(bob).role),
        (Role::Participant, Role::Visitor),
        "what a moderator took stays taken"
    );
}

#[test]
fn r09_an_owner_or_admin_is_not_silenced_by_a_lesser_moderator() {
    let mut s = Story::new();
    let olga = s.enter("olga");
    let ann = s.enter("ann");
    let eve = s.enter("eve");
    s.set_role(olga, ann, Role::Moderator).expect("an owner may");
    s.affiliate(olga, "eve", Affiliation::Admin).expect("an owner may");
    let (host, admin, ann_leg) = (s.call("olga"), s.call("eve"), s.call("ann"));
    for leg in [host, admin] {
        assert_eq!(s.mute(Asker::Occupant(ann), leg), Err(Refusal::Outranked));
        assert_eq!(s.mute(Asker::Leg(ann_leg), leg), Err(Refusal::Outranked), "whichever the door");
        assert_eq!(s.kick(Asker::Occupant(ann), Target::Leg(leg)), Err(Refusal::Outranked));
    }
    assert_eq!(s.set_role(ann, olga, Role::Visitor), Err(Refusal::Outranked));
    assert_eq!(s.set_role(ann, olga, Role::None), Err(Refusal::Outranked));
    assert_eq!(s.mute(Asker::Occupant(eve), host), Err(Refusal::Outranked));
    assert_eq!(s.mute(Asker::Occupant(olga), admin), Ok(Accepted::Done));
    assert_eq!(s.mute(Asker::Occupant(eve), ann_leg), Ok(Accepted::Done));
    assert_eq!(s.affiliate(eve, "olga", Affiliation::Outcast), Err(Refusal::Outranked));
    assert_eq!(s.affiliate(ann, "bob", Affiliation::Outcast), Err(Refusal::NotAdmin));
}

#[test]
fn m7_an_admin_by_phone_keeps_their_voice_in_the_chat() {
    let mut s = Story::new();
    let olga = s.enter("olga");
    s.affiliate(olga, "eve", Affiliation::Admin).expect("an owner may");
    let eve = s.call("eve");
    s.mute(Asker::Occupant(olga), eve).expect("an owner may");
    let stand_in = s.stand_in(eve).expect("shown");
    assert_eq!(stand_in.role, Role::Moderator, "XEP-0045 section 8.4");
    assert!(s.is_muted(eve));
    assert_eq!(s.set_role(olga, stand_in.id, Role::Visitor), Err(Refusal::Outranked));
    assert_eq!(s.unmute(Asker::Leg(eve), eve), Ok(Accepted::Done), "and moderates, themselves too");
}

#[test]
fn rfc3891_a_place_is_handed_over_with_its_mutes() {
    let mut s = Story::new();
    let olga = s.enter("olga");
    let old = s.try_call(Caller::Anonymous).expect("may join");
    s.mute(Asker::Occupant(olga), old).expect("a moderator may");
    s.mute(Asker::Leg(old), old).expect("their own");
    let heir = s.call("ann");
    s.report(Report::LegSucceeds { leg: heir, old });
    assert!(s.is_muted(heir) && host(&s, heir));
    assert!(
        s.of_leg(heir).mutes.has(MuteKind::OwnChoice),
        "who didn't want to be heard isn't by another phone either"
    );
    assert_eq!(s.room.person_of_leg(old), None);
    s.unmute(Asker::Leg(heir), heir).expect("their own");
    s.unmute(Asker::Occupant(olga), heir).expect("a moderator may");
    assert!(!s.is_muted(heir));
}

#[test]
fn rfc3891_the_same_person_goes_on_as_they_were() {
    let mut s = Story::new();
    let old = s.call("ann");
    let person = s.room.person_of_leg(old);
    s.mute(Asker::Leg(old), old).expect("their own");
    let new = s.call("ann");
    s.report(Report::LegSucceeds { leg: new, old });
    assert_eq!((s.room.person_of_leg(new), s.room.person_of_leg(old)), (person, None));
    assert!(s.is_muted(new));
    // Late, or about somebody who was never let in: nothing happens.
    s.report(Report::LegSucceeds { leg: LegId(77), old: new });
    assert_eq!(s.room.person_of_leg(new), person);
}
