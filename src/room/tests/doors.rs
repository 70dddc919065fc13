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
