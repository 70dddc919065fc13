//! Calls that the room makes (rule R47): who may, who comes in, what is said.

use super::*;
use crate::model::dial::DialRight;
use crate::model::{DialFailure, DialId, DialPlan, DialState};

fn plan(right: DialRight) -> DialPlan {
    DialPlan {
        right,
        domains: vec!["x.org".to_owned()],
        internal: true,
        numbers: true,
        per_room: 2,
        ..DialPlan::default()
    }
}

fn story(right: DialRight) -> Story {
    Story::with_settings(|_| (), |settings| settings.dial = Arc::new(plan(right)))
}

fn dial(target: &str) -> Request {
    Request::Dial {
        target: target.to_owned(),
        name: None,
        confirmed: true,
        refer: None,
    }
}

/// The call's number.
fn begun(s: &mut Story, by: Asker, target: &str) -> DialId {
    match s.ask(by, dial(target)) {
        Ok(Accepted::Dialing(dial)) => dial,
        other => panic!("{other:?}"),
    }
}

fn answer(s: &mut Story, dial: DialId, leg: u64, redirected: bool) -> Result<Accepted, Refusal> {
    let answered = Request::Answered {
        dial,
        leg: LegId(leg),
        ssrc: 7,
        endpoint: "sip:phone@192.0.2.7".to_owned(),
        correlation: Correlation(7),
        redirected,
    };
    s.ask(Asker::Operator, answered)
}

#[test]
fn r47_who_may_dial_is_the_operators_choice() {
    for (right, operator, moderator, participant) in [
        (DialRight::Operator, true, Err(Refusal::NotDialable), Err(Refusal::NotDialable)),
        (DialRight::Moderators, true, Ok(()), Err(Refusal::NotModerator)),
        (DialRight::Participants, true, Ok(()), Ok(())),
    ] {
        let may = |who: Option<&str>| {
            let mut s = story(right);
            let by = who.map_or(Asker::Operator, |who| Asker::Occupant(s.enter(who)));
            s.ask(by, dial("ann@x.org")).map(|_| ())
        };
        assert_eq!(may(None).is_ok(), operator);
        assert_eq!(may(Some("olga")), moderator, "{right:?}");
        assert_eq!(may(Some("bob")), participant, "{right:?}");
    }
    let mut s = story(DialRight::Participants);
    let stranger = Asker::Jid(jid("eve@x.org"));
    assert_eq!(
        s.ask(stranger, dial("ann@x.org")),
        Err(Refusal::NotModerator),
        "who isn't in the room has no voice there"
    );
}

#[test]
fn r01_who_answers_at_their_own_address_is_one_with_their_nick() {
    let mut s = story(DialRight::Moderators);
    let ann = s.enter("ann");
    let call = begun(&mut s, Asker::Operator, "ann@x.org");
    let view = s.room.dials().next().expect("a call");
    assert_eq!((view.person, view.state), (Some(s.of(ann).person), DialState::DialingOut));
    assert!(answer(&mut s, call, 90, false).is_ok());
    assert_eq!(s.of_leg(LegId(90)).id, s.of(ann).person);
    assert_eq!(s.room.dials().count(), 0);
    assert!(s.of_leg(LegId(90)).legs[0].dialed_out);

    // Somebody else's telephone proves nothing of her.
    let call = begun(&mut s, Asker::Operator, "ann@x.org");
    assert!(answer(&mut s, call, 91, true).is_ok());
    assert_ne!(s.of_leg(LegId(91)).id, s.of(ann).person);
}

#[test]
fn r47_an_invitation_opens_what_a_moderator_could_open_and_no_more() {
    let mut s = Story::with_settings(
        |record| {
            record.config.members_only = true;
            record.config.password = Some("secret".to_owned());
        },
        |settings| settings.dial = Arc::new(plan(DialRight::Moderators)),
    );
    let call = begun(&mut s, Asker::Operator, "+4930123456");
    assert!(
        answer(&mut s, call, 90, false).is_ok(),
        "neither membership nor password are asked of whom a moderator calls"
    );

    let ban = Request::SetAffiliation {
        jid: jid("ann@x.org"),
        affiliation: Affiliation::Outcast,
        why: None,
    };
    s.ask(Asker::Operator, ban).expect("the operator may");
    let call = begun(&mut s, Asker::Operator, "ann@x.org");
    assert_eq!(answer(&mut s, call, 91, false), Err(Refusal::Banned));
    let failed = s.room.dials().next().expect("shown still").state;
    assert!(
        matches!(
            failed,
            DialState::Failed {
                why: DialFailure::NotAdmitted,
                ..
            }
        ),
        "{failed:?}"
    );
}

#[test]
fn r47_late_and_repeated_reports_change_nothing() {
    let mut s = story(DialRight::Moderators);
    let call = begun(&mut s, Asker::Operator, "ann@x.org");
    s.report(Report::DialFailed(call, DialFailure::Busy));
    let told = s.events.len();
    s.report(Report::DialAlerts(call));
    s.report(Report::DialFailed(call, DialFailure::NoAnswer));
    s.report(Report::DialFailed(DialId(99), DialFailure::NoAnswer));
    assert_eq!(answer(&mut s, call, 90, false), Err(Refusal::NoSuchTarget));
    assert_eq!(s.events.len(), told);
    assert_eq!(s.kick(Asker::Operator, Target::Dial(call)), Err(Refusal::NoSuchTarget));
    s.pass(Duration::from_secs(31));
    assert_eq!(s.room.dials().count(), 0);
}

#[test]
fn r47_a_room_calls_no_more_than_it_may() {
    let mut s = story(DialRight::Moderators);
    let first = begun(&mut s, Asker::Operator, "+4930123451");
    begun(&mut s, Asker::Operator, "+4930123452");
    assert_eq!(s.ask(Asker::Operator, dial("+4930123453")), Err(Refusal::TooManyDials));
    assert!(answer(&mut s, first, 90, false).is_ok());
    assert_eq!(
        s.ask(Asker::Operator, dial("+4930123453")),
        Err(Refusal::TooManyDials),
        "who has answered counts"
    );
    s.report(Report::LegGone(LegId(90), LegCause::Departed));
    assert!(s.ask(Asker::Operator, dial("+4930123453")).is_ok());
}

#[test]
fn r13_a_number_is_masked_in_all_that_is_said() {
    let mut s = story(DialRight::Moderators);
    let call = begun(&mut s, Asker::Operator, "+4930123456");
    s.report(Report::DialFailed(call, DialFailure::Busy));
    let said = format!("{:?}", s.room.dials().map(|d| d.name).collect::<Vec<_>>());
    assert_eq!(said, "[\"+49…56\"]");
    let notice = Event::Notice {
        to: None,
        text: "+49…56: busy".to_owned(),
    };
    assert!(s.events.contains(&notice), "{:?}", s.events);
}
