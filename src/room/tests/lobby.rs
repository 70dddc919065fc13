//! The lobby, waiting for a moderator, lectures.

use super::*;
use crate::model::{MuteSet, Phrase, mute::MuteKind};

fn with_lobby() -> Story {
    Story::with(|r| r.config.lobby = true)
}

fn with_moderator_needed() -> Story {
    Story::with(|r| r.config.wait_for_moderator = true)
}

/// Calls and may have to wait.
fn call(s: &mut Story, caller: Caller) -> LegId {
    s.try_call(caller).expect("answered")
}

fn waits(s: &Story, leg: LegId) -> bool {
    let listed = |w: &WaitingView| matches!(w.guest, Guest::Caller { leg: l, .. } if l == leg);
    let waits = s.room.waiting().any(|w| listed(&w));
    assert_ne!(waits, s.room.person_of_leg(leg).is_some(), "either in or at the door");
    waits
}

fn admit(s: &mut Story, by: Asker, target: Target) -> Result<Accepted, Refusal> {
    s.ask(by, Request::Admit(target))
}

fn notices(s: &Story) -> Vec<&str> {
    let all = s.events.iter();
    all.filter_map(|e| {
        if let Event::Notice { to: None, text } = e {
            Some(text.as_str())
        } else {
            None
        }
    })
    .collect()
}

#[test]
fn a_caller_in_the_lobby_is_answered_and_unseen() {
    let mut s = with_lobby();
    let olga = s.enter("olga");
    s.hush();
    let leg = call(&mut s, claimed("+49301234567"));
    assert!(waits(&s, leg));
    assert_eq!(
        s.orders,
        [MediaOrder::Wait(leg, true), MediaOrder::Say(leg, vec![Phrase::WaitInLobby])],
        "answered, on music, and not placed"
    );
    assert_eq!(
        (s.room.people().count(), s.room.occupants().count()),
        (1, 1),
        "nobody but Olga is to be seen"
    );
    assert!(
        !s.events
            .iter()
            .any(|e| matches!(e, Event::LegJoined { .. } | Event::OccupantEntered(_)))
    );
    assert!(notices(&s).iter().any(|n| n.contains("waits on the phone")), "{:?}", s.events);
    assert_eq!(
        s.ask(Asker::Leg(leg), Request::Watch),
        Err(Refusal::NotInRoom),
        "who waits reads nothing"
    );
    s.hush();
    assert_eq!(admit(&mut s, Asker::Occupant(olga), Target::Leg(leg)), Ok(Accepted::Done));
    assert!(!waits(&s, leg));
    let seat = |o: &MediaOrder| matches!(o, MediaOrder::Place(l, Some(_)) if *l == leg);
    assert!(s.orders.iter().any(seat), "{:?}", s.orders);
    assert_eq!(s.of_leg(leg).audio, AudioLevel::TwoWay, "its ACK had come while it waited");
    assert_eq!(admit(&mut s, Asker::Occupant(olga), Target::Leg(leg)), Ok(Accepted::Unchanged));
}

#[test]
fn members_pass_and_only_moderators_let_others_in() {
    let mut s = with_lobby();
    let olga = s.enter("olga");
    s.affiliate(olga, "ann", Affiliation::Member).expect("an owner");
    let ann = s.enter("ann");
    let leg = call(&mut s, proven("bob"));
    let row = s.room.waiting().next().expect("Bob").row;
    assert_eq!(admit(&mut s, Asker::Occupant(ann), Target::Leg(leg)), Err(Refusal::NotModerator));
    assert_eq!(admit(&mut s, Asker::Leg(leg), Target::Leg(leg)), Err(Refusal::NotInRoom));
    assert_eq!(admit(&mut s, Asker::Operator, Target::Person(row)), Ok(Accepted::Done));
    assert_eq!(s.of_leg(leg).id, row, "the row that was told while he waited");
    // A member who is made one while waiting needs nobody any more.
    let phil = call(&mut s, proven("eve"));
    s.affiliate(olga, "eve", Affiliation::Member).expect("an owner");
    assert!(!waits(&s, phil));
}

#[test]
fn r07_who_waits_can_be_sent_away_and_stays_out() {
    let mut s = with_lobby();
    let olga = s.enter("olga");
    let leg = call(&mut s, proven("bob"));
    s.hush();
    s.kick(Asker::Occupant(olga), Target::Leg(leg)).expect("a moderator");
    assert_eq!(s.orders, [MediaOrder::Close(leg)]);
    assert!(
        matches!(&s.events[..], [Event::Lobby { step: LobbyStep::CallOver(l, EndCause::Kicked { .. }), .. }] if *l == leg),
        "{:?}",
        s.events
    );
    assert_eq!(s.try_call(proven("bob")), Err(Refusal::KickedRecently));
    s.pass(Duration::from_secs(61));
    let again = call(&mut s, proven("bob"));
    s.ask(
        Asker::Occupant(olga),
        Request::SetAffiliation {
            jid: jid("bob@x.org"),
            affiliation: Affiliation::Outcast,
            why: None,
        },
    )
    .expect("an owner");
    let over = |e: &Event| matches!(e, Event::Lobby { step: LobbyStep::CallOver(l, EndCause::Banned { .. }), .. } if *l == again);
    assert!(s.events.iter().any(over), "a ban ends the wait");
}

#[test]
fn r45_facts_about_who_waits_are_taken_note_of() {
    let mut s = with_lobby();
    s.enter("olga");
    let [gone, silent, held] = ["bob", "eve", "ann"].map(|who| call(&mut s, proven(who)));
    s.report(Report::LegGone(gone, LegCause::Departed));
    s.report(Report::LegHeld(held, true));
    s.report(Report::LegQuiet(silent, 60));
    s.report(Report::LegQuiet(held, 60));
    assert_eq!([gone, silent, held].map(|leg| waits_at_all(&s, leg)), [false, false, true]);
    s.pass(Duration::from_secs(3600));
    assert!(!waits_at_all(&s, held), "nobody waits for ever");
    assert_eq!(s.orders.iter().filter(|o| matches!(o, MediaOrder::Close(_))).count(), 3);
}

fn waits_at_all(s: &Story, leg: LegId) -> bool {
    s.room
        .waiting()
        .any(|w| matches!(w.guest, Guest::Caller { leg: l, .. } if l == leg))
}

#[test]
fn who_was_in_comes_back_without_waiting_if_they_can_be_known() {
    let mut s = with_lobby();
    let olga = s.enter("olga");
    let bob = call(&mut s, proven("bob"));
    let stranger = call(&mut s, claimed("+49301234567"));
    for leg in [bob, stranger] {
        admit(&mut s, Asker::Occupant(olga), Target::Leg(leg)).expect("a moderator");
        s.report(Report::LegGone(leg, LegCause::Departed));
    }
    let bob = call(&mut s, proven("bob"));
    assert!(!waits(&s, bob));
    let stranger = call(&mut s, claimed("+49301234567"));
    assert!(waits(&s, stranger), "a number that anybody may claim opens no door (rule R1)");
    s.report(Report::LegGone(bob, LegCause::Failed));
    s.pass(Duration::from_secs(601));
    let bob = call(&mut s, proven("bob"));
    assert!(waits(&s, bob), "not for ever");
    admit(&mut s, Asker::Occupant(olga), Target::Leg(bob)).expect("a moderator");
    s.kick(Asker::Occupant(olga), Target::Leg(bob)).expect("a moderator");
    s.pass(Duration::from_secs(61));
    let bob = call(&mut s, proven("bob"));
    assert!(waits(&s, bob), "who was put out has no pass");
}

#[test]
fn in_the_chat_a_lobby_is_a_refused_join() {
    let mut s = with_lobby();
    let olga = s.enter("olga");
    s.hush();
    assert_eq!(s.try_enter("bob", "Bobby"), Err(Refusal::Lobby));
    assert_eq!(s.try_enter("bob", "Bobby"), Err(Refusal::Lobby));
    assert_eq!(notices(&s).len(), 1, "moderators hear of it once");
    assert!(notices(&s)[0].contains("Bobby (bob@x.org)"));
    assert_eq!(s.room.occupants().count(), 1, "nobody reads along");
    let target = s.room.find_waiting("Bobby").expect("at the door");
    assert_eq!(admit(&mut s, Asker::Occupant(olga), target), Ok(Accepted::Done));
    let invited = |e: &Event| matches!(e, Event::Lobby { step: LobbyStep::Invited(j), .. } if *j == jid("bob@x.org"));
    assert!(s.events.iter().any(invited));
    let bob = s.try_enter("bob", "Bobby").expect("let in");
    assert_eq!(s.room.waiting().count(), 0);
    // Who is in by one door need not wait at the other.
    let leg = call(&mut s, proven("bob"));
    assert!(!waits(&s, leg));
    s.report(Report::LegGone(leg, LegCause::Departed));
    s.report(Report::OccupantGone(bob, OccupantCause::Unreachable));
    assert!(s.try_enter("bob", "Bobby").is_ok(), "comes back");
    s.hush();
    assert_eq!(s.try_enter("eve", "eve"), Err(Refusal::Lobby));
    let target = s.room.find_waiting("eve").expect("at the door");
    s.kick(Asker::Occupant(olga), target).expect("a moderator");
    assert_eq!(s.try_enter("eve", "eve"), Err(Refusal::KickedRecently));
}

#[test]
fn knocking_is_bounded_and_forgotten() {
    let mut s = with_lobby();
    for n in 0..150 {
        assert_eq!(s.try_enter(&format!("u{n}"), &format!("nick {n}")), Err(Refusal::Lobby));
    }
    assert_eq!(s.room.waiting().count(), 100);
    s.pass(Duration::from_secs(601));
    assert_eq!(s.try_enter("late", "late"), Err(Refusal::Lobby));
    assert_eq!(s.room.waiting().count(), 1);
}

#[test]
fn r10_a_lock_holds_for_who_waits_until_a_moderator_opens() {
    let mut s = with_moderator_needed();
    let leg = call(&mut s, proven("bob"));
    s.ask(Asker::Operator, Request::Lock(true)).expect("the operator");
    let olga = s.enter("olga");
    assert!(waits(&s, leg), "nobody new enters by themselves");
    admit(&mut s, Asker::Occupant(olga), Target::Leg(leg)).expect("a moderator has the key");
    assert!(!waits(&s, leg));
}

#[test]
fn callers_wait_for_a_moderator_who_comes_by_either_door() {
    for by_phone in [false, true] {
        let mut s = with_moderator_needed();
        let ann = s.enter("ann");
        let legs = [call(&mut s, proven("ann")), call(&mut s, claimed("+4930"))];
        assert_eq!(legs.map(|leg| waits(&s, leg)), [true, true], "in the chat or not");
        assert!(s.orders.contains(&MediaOrder::Say(legs[0], vec![Phrase::WaitForModerator])));
        let olga = if by_phone {
            let leg = call(&mut s, proven("olga"));
            assert!(!waits(&s, leg));
            None
        } else {
            Some(s.enter("olga"))
        };
        assert_eq!(legs.map(|leg| waits(&s, leg)), [false, false]);
        assert_eq!(s.of_leg(legs[0]).id, s.of(ann).person, "one row");
        let Some(olga) = olga else { continue };
        s.report(Report::OccupantGone(olga, OccupantCause::Left));
        assert_eq!(legs.map(|leg| waits(&s, leg)), [false, false], "the meeting goes on");
        let late = call(&mut s, proven("bob"));
        assert!(waits(&s, late));
    }
}

#[test]
fn a_lobby_comes_after_the_wait_for_a_moderator() {
    let mut s = Story::with(|r| (r.config.lobby, r.config.wait_for_moderator) = (true, true));
    let leg = call(&mut s, proven("bob"));
    s.enter("olga");
    assert!(waits(&s, leg), "she has to let him in");
    let config = RoomConfig {
        lobby: false,
        ..s.room.config().clone()
    };
    s.ask(Asker::Operator, Request::Configure(Box::new(config))).expect("the operator");
    assert!(!waits(&s, leg), "without a lobby nobody waits in it");
}

#[test]
fn who_waits_takes_a_place_and_goes_with_the_room() {
    let mut s = Story::with(|r| (r.config.lobby, r.config.max_people, r.config.persistent) = (true, 2, false));
    let olga = s.enter("olga");
    let leg = call(&mut s, proven("bob"));
    assert_eq!(s.try_call(proven("eve")), Err(Refusal::Full));
    s.hush();
    s.report(Report::OccupantGone(olga, OccupantCause::Left));
    assert!(s.room.is_over(), "who isn't in keeps no room");
    assert!(s.orders.contains(&MediaOrder::Close(leg)));
    let over = |e: &Event| matches!(e, Event::Lobby { step: LobbyStep::CallOver(l, EndCause::RoomGone), .. } if *l == leg);
    assert!(s.events.iter().any(over));
}

#[test]
fn r06_in_a_lecture_everybody_but_moderators_is_muted_until_given_voice() {
    let mut s = Story::with(|r| r.config.lecture = true);
    let policy = |mutes: &MuteSet| mutes.has(MuteKind::Policy);
    let olga = s.enter("olga");
    let ann = s.enter("ann");
    let [host, both, phone] = ["olga", "ann", "phil"].map(|who| s.call(who));
    assert_eq!([host, both, phone].map(|leg| policy(&s.of_leg(leg).mutes)), [false, true, true]);
    assert_eq!([host, both, phone].map(|leg| s.is_muted(leg)), [false, true, true]);
    assert_eq!(s.of(ann).role, Role::Participant, "a lecture is about voices: she may write");
    assert_eq!(s.unmute(Asker::Leg(phone), phone), Err(Refusal::PolicyMute));
    assert!(s.of_leg(phone).hand_raised, "an unmute is a wish to speak");
    let stand_in = s.stand_in(phone).expect("shown").id;
    s.set_role(olga, stand_in, Role::Participant).expect("voice by the chat");
    s.unmute(Asker::Occupant(olga), both).expect("voice by unmuting");
    assert_eq!([both, phone].map(|leg| s.is_muted(leg)), [false, false]);
    assert!(!s.of_leg(phone).hand_raised, "it was answered");
    // Given voice lasts over visits (rule R5).
    s.report(Report::LegGone(phone, LegCause::Departed));
    let phone = s.call("phil");
    assert!(!s.is_muted(phone));
    let eve = s.call("eve");
    s.affiliate(olga, "eve", Affiliation::Admin).expect("an owner");
    assert!(!s.is_muted(eve), "a new moderator speaks");
    let bob = s.call("bob");
    let config = RoomConfig {
        lecture: false,
        ..s.room.config().clone()
    };
    s.ask(Asker::Operator, Request::Configure(Box::new(config))).expect("the operator");
    assert!(!s.is_muted(bob), "a rule that the room no longer has silences nobody");
}
