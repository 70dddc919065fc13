//! PINs at the phone's door (rule R14), and join codes (rule R2).

use super::*;
use crate::model::{AudioAccess, Entry, Phrase, Pii};

fn pins() -> Story {
    Story::with(|record| {
        record.config.audio = AudioAccess::Pin;
        record.config.pin = Some("123456".to_owned());
        record.config.moderator_pin = Some("987654".to_owned());
        record.affiliations.insert(jid("bob@x.org"), Affiliation::Member);
    })
}

fn typed(digits: &str) -> Entry {
    Entry::Typed(digits.to_owned())
}

impl Story {
    fn code(&mut self, occupant: OccupantId) -> String {
        match self.ask(Asker::Occupant(occupant), Request::IssueCode(occupant)) {
            Ok(Accepted::Code(Pii(code))) => code,
            other => panic!("no code: {other:?}"),
        }
    }

    /// What the last of these keys has said to that leg.
    fn keys_say(&mut self, leg: LegId, keys: &str) -> Vec<Phrase> {
        self.hush();
        for key in keys.chars() {
            self.report(Report::Key(leg, key));
        }
        let said = |order: &MediaOrder| {
            if let MediaOrder::Say(_, phrases) = order {
                Some(phrases.clone())
            } else {
                None
            }
        };
        self.orders.iter().rev().find_map(said).unwrap_or_default()
    }

    fn affiliate_by_operator(&mut self, who: &str, affiliation: Affiliation) {
        let jid = jid(&format!("{who}@x.org"));
        let request = Request::SetAffiliation {
            jid,
            affiliation,
            why: None,
        };
        self.ask(Asker::Operator, request).expect("the operator may");
    }

    fn of_person(&self, occupant: OccupantId) -> PersonView {
        self.room.person(self.of(occupant).person).expect("in the room")
    }
}

#[test]
fn r14_members_are_not_asked_and_others_need_the_pin() {
    let mut s = pins();
    s.call("bob");
    let stranger = || claimed("+491701");
    assert_eq!(s.knock(stranger(), Entry::Nothing).1, Err(Refusal::Pin));
    assert_eq!(s.knock(stranger(), typed("654321")).1, Err(Refusal::Pin));
    assert_eq!(
        s.knock(stranger(), Entry::Confirmed("123456".into())).1,
        Err(Refusal::Pin),
        "a PIN is no code"
    );
    let (leg, answer) = s.knock(stranger(), typed("123456"));
    assert!(matches!(answer, Ok(Accepted::Joined { .. })), "{answer:?}");
    assert_eq!(s.of_leg(leg).role, Role::Participant);
    assert_eq!(s.keys_say(leg, "*1"), [Phrase::NotAllowed]);
}

#[test]
fn r14_the_moderators_pin_moderates_by_phone_and_nowhere_else() {
    let mut s = pins();
    let (leg, answer) = s.knock(proven("eve"), typed("987654"));
    assert!(matches!(answer, Ok(Accepted::Joined { .. })), "{answer:?}");
    assert_eq!(s.orders.last(), Some(&MediaOrder::Say(leg, vec![Phrase::YouModerate])));
    s.report(Report::LegConfirmed(leg));
    assert_eq!(s.of_leg(leg).role, Role::Moderator);
    assert_eq!(s.keys_say(leg, "*1"), [Phrase::Locked]);
    s.keys_say(leg, "*1");
    // In the chat they are what they were: a participant.
    let eve = s.enter("eve");
    assert_eq!(s.of(eve).role, Role::Participant);
    assert_eq!(s.ask(Asker::Occupant(eve), Request::Lock(true)), Err(Refusal::NotModerator));
    assert_eq!(s.keys_say(leg, "*1"), [Phrase::Locked], "by the call it is still so");
    s.report(Report::LegGone(leg, LegCause::Departed));
    let again = s.knock(proven("eve"), typed("123456")).0;
    assert_eq!(s.keys_say(again, "*1"), [Phrase::NotAllowed], "another call begins without");
}

#[test]
fn r14_a_right_pin_opens_neither_a_locked_room_nor_one_that_bans() {
    let mut s = pins();
    s.affiliate_by_operator("eve", Affiliation::Outcast);
    assert_eq!(s.knock(proven("eve"), typed("123456")).1, Err(Refusal::Banned));
    s.ask(Asker::Operator, Request::Lock(true)).expect("the operator may");
    assert_eq!(s.knock(claimed("+491701"), typed("123456")).1, Err(Refusal::Locked));
}

#[test]
fn r02_a_code_makes_the_call_the_occupants_own() {
    let mut s = pins();
    let ann = s.enter("ann");
    let code = s.code(ann);
    let (_, asked) = s.knock(claimed("+491701"), typed(&code));
    assert_eq!(asked, Ok(Accepted::Confirm("ann".to_owned())), "as whom, before anything happens");
    assert!(s.of_person(ann).legs.is_empty());
    let (leg, answer) = s.knock(claimed("+491701"), Entry::Confirmed(code.clone()));
    assert!(matches!(answer, Ok(Accepted::Joined { .. })), "{answer:?}");
    assert_eq!(s.of_person(ann).legs.iter().map(|l| l.id).collect::<Vec<_>>(), [leg]);
    assert_eq!(s.knock(claimed("+491702"), typed(&code)).1, Err(Refusal::Pin), "it was good once");
    let olga = s.enter("olga");
    s.kick(Asker::Occupant(olga), Target::Occupant(ann)).expect("an owner may");
    assert_eq!(s.room.person_of_leg(leg), None, "rule R8: all of a person's calls go");
}

#[test]
fn r02_a_code_dies_with_its_owner_and_after_five_minutes() {
    let mut s = pins();
    let ann = s.enter("ann");
    let code = s.code(ann);
    s.report(Report::OccupantGone(ann, OccupantCause::Left));
    assert_eq!(s.knock(claimed("+491701"), typed(&code)).1, Err(Refusal::Pin));
    let ann = s.enter("ann");
    let code = s.code(ann);
    s.pass(Duration::from_secs(300));
    assert_eq!(s.knock(claimed("+491701"), typed(&code)).1, Err(Refusal::Pin));
}

#[test]
fn r02_a_code_does_not_launder_a_ban() {
    let mut s = pins();
    s.affiliate_by_operator("eve", Affiliation::Outcast);
    let ann = s.enter("ann");
    let code = s.code(ann);
    assert_eq!(s.knock(proven("eve"), Entry::Confirmed(code)).1, Err(Refusal::Banned));
}

#[test]
fn r02_a_wrong_code_does_not_open_a_room_that_is_open_to_anyone() {
    let mut s = Story::new();
    assert_eq!(s.knock(claimed("+491701"), typed("12345678")).1, Err(Refusal::Pin));
    assert!(s.knock(claimed("+491701"), Entry::Nothing).1.is_ok());
}
