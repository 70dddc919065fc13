//! What concerns everybody at once: mute all, the end for all, hands, limits.

use super::*;
use crate::model::{CallLimits, mute::MuteKind};

fn minutes(s: &mut Story, minutes: u64) {
    s.pass(Duration::from_secs(60 * minutes));
}

fn over(s: &Story) -> Vec<(LegId, String)> {
    let over = |e: &Event| {
        let Event::LegLeft {
            leg,
            cause: EndCause::MeetingOver { why, .. },
            ..
        } = e
        else {
            return None;
        };
        Some((*leg, why.clone().unwrap_or_default()))
    };
    s.events.iter().filter_map(over).collect()
}

#[test]
fn r04_mute_all_is_a_hosts_mute_of_everybody_but_moderators() {
    let mut s = Story::new();
    let olga = s.enter("olga");
    let [host, ann, phil] = ["olga", "ann", "phil"].map(|who| s.call(who));
    assert_eq!(s.ask(Asker::Leg(ann), Request::MuteAll(true)), Err(Refusal::NotModerator));
    assert_eq!(s.ask(Asker::Leg(host), Request::MuteAll(true)), Ok(Accepted::Done));
    assert_eq!(s.ask(Asker::Leg(host), Request::MuteAll(true)), Ok(Accepted::Unchanged));
    assert_eq!([host, ann, phil].map(|leg| s.is_muted(leg)), [false, true, true]);
    assert!(s.of_leg(ann).mutes.has(MuteKind::Host));
    s.mute(Asker::Leg(phil), phil).expect("oneself");
    assert_eq!(s.ask(Asker::Occupant(olga), Request::MuteAll(false)), Ok(Accepted::Done));
    assert_eq!([ann, phil].map(|leg| s.is_muted(leg)), [false, true], "one's own mute is one's own");
    let late = s.call("bob");
    assert!(!s.is_muted(late), "it is an act, not a rule");
    s.ask(Asker::Operator, Request::MuteAll(true)).expect("the operator");
    assert!(!s.is_muted(host), "moderators stay heard");
}

#[test]
fn a_moderator_ends_all_calls_and_the_chat_goes_on() {
    let mut s = Story::with(|r| r.config.wait_for_moderator = true);
    let waiting = s.try_call(proven("eve")).expect("answered");
    assert_eq!(
        s.ask(Asker::Operator, Request::EndForAll),
        Ok(Accepted::Done),
        "those who wait as well"
    );
    assert!(s.orders.contains(&MediaOrder::Close(waiting)));
    let olga = s.enter("olga");
    assert_eq!(s.ask(Asker::Occupant(olga), Request::EndForAll), Err(Refusal::NobodyOnPhone));
    let [ann, bob] = ["ann", "bob"].map(|who| s.call(who));
    assert_eq!(s.ask(Asker::Leg(ann), Request::EndForAll), Err(Refusal::NotModerator));
    s.ask(Asker::Occupant(olga), Request::EndForAll).expect("a moderator");
    assert_eq!(over(&s).into_iter().map(|(leg, _)| leg).collect::<Vec<_>>(), [ann, bob]);
    assert_eq!(s.room.occupants().map(|o| o.nick).collect::<Vec<_>>(), ["olga"]);
    assert!(s.try_call(proven("ann")).is_ok(), "the next meeting may begin");
}

#[test]
fn r32_a_hand_is_seen_until_it_is_answered() {
    let mut s = Story::new();
    let olga = s.enter("olga");
    let ann = s.call("ann");
    assert_eq!(s.ask(Asker::Leg(ann), Request::RaiseHand(false)), Ok(Accepted::Unchanged));
    s.hush();
    assert_eq!(s.ask(Asker::Leg(ann), Request::RaiseHand(true)), Ok(Accepted::Done));
    assert!(s.of_leg(ann).hand_raised);
    assert!(
        matches!(&s.events[..], [Event::AudioChanged { .. }, Event::Notice { to: None, text }] if text == "ann would like to speak."),
        "{:?}",
        s.events
    );
    s.ask(Asker::Leg(ann), Request::RaiseHand(false)).expect("oneself");
    s.ask(Asker::Leg(ann), Request::RaiseHand(true)).expect("oneself");
    let told = s.events.iter().filter(|e| matches!(e, Event::Notice { .. })).count();
    assert_eq!(told, 1, "a key can be pressed faster than it can be answered");
    assert!(s.of_leg(ann).hand_raised, "seen nevertheless");
    s.mute(Asker::Occupant(olga), ann).expect("a moderator");
    s.unmute(Asker::Occupant(olga), ann).expect("a moderator");
    assert!(!s.of_leg(ann).hand_raised);
    s.ask(Asker::Leg(ann), Request::RaiseHand(true)).expect("oneself");
    s.report(Report::LegGone(ann, LegCause::Departed));
    assert_eq!(s.ask(Asker::Leg(ann), Request::RaiseHand(true)), Err(Refusal::NotInRoom));
}

fn limited(limits: CallLimits) -> Story {
    Story::with(|r| r.config.limits = limits)
}

#[test]
fn r81_a_meeting_ends_after_its_time_and_everybody_is_told_before() {
    let mut s = limited(CallLimits {
        max_min: 30,
        ..CallLimits::default()
    });
    let ann = s.call("ann");
    minutes(&mut s, 20);
    let bob = s.call("bob");
    s.report(Report::LegGone(ann, LegCause::Departed));
    s.hush();
    minutes(&mut s, 4);
    assert_eq!(s.events, []);
    minutes(&mut s, 1);
    assert_eq!(s.events, [Event::Said("The call in this room ends in 5 minutes.".to_owned())]);
    minutes(&mut s, 5);
    assert_eq!(over(&s), [(bob, "the time of this meeting is over".to_owned())]);
    // The next meeting has its own time.
    let ann = s.call("ann");
    minutes(&mut s, 24);
    assert!(s.room.person_of_leg(ann).is_some());
    minutes(&mut s, 6);
    assert!(s.room.person_of_leg(ann).is_none());
    assert_eq!(s.room.poll_timeout(), None);
}

#[test]
fn r81_somebody_alone_is_not_kept_for_ever() {
    let mut s = limited(CallLimits {
        alone_min: 5,
        ..CallLimits::default()
    });
    let ann = s.call("ann");
    minutes(&mut s, 4);
    let bob = s.call("bob");
    minutes(&mut s, 60);
    s.report(Report::LegGone(bob, LegCause::Departed));
    minutes(&mut s, 4);
    assert_eq!(over(&s), []);
    minutes(&mut s, 1);
    assert_eq!(over(&s), [(ann, "nobody else is here".to_owned())]);
}

#[test]
fn r81_calls_end_some_time_after_the_last_moderator_has_left() {
    let mut s = limited(CallLimits {
        unmoderated_min: 10,
        ..CallLimits::default()
    });
    let olga = s.enter("olga");
    let ann = s.call("ann");
    minutes(&mut s, 60);
    s.report(Report::OccupantGone(olga, OccupantCause::Left));
    minutes(&mut s, 9);
    let olga = s.call("olga");
    minutes(&mut s, 60);
    s.report(Report::LegGone(olga, LegCause::Departed));
    minutes(&mut s, 9);
    assert_eq!(over(&s), []);
    minutes(&mut s, 1);
    assert_eq!(over(&s), [(ann, "no moderator is here".to_owned())]);
}
