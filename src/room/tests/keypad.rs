//! Keys pressed in the room (rules R4, R10, R32, R63).

use super::*;
use crate::model::{KeyAction, Keypad, Phrase, Volume};

impl Story {
    /// Presses these keys one after the other; gives what is said to that leg, and to nobody else.
    fn keys(&mut self, leg: LegId, keys: &str) -> Vec<Vec<Phrase>> {
        self.hush();
        for key in keys.chars() {
            self.report(Report::Key(leg, key));
        }
        let said = self.orders.iter().filter_map(|order| {
            if let MediaOrder::Say(to, phrases) = order {
                assert_eq!(*to, leg);
                Some(phrases.clone())
            } else {
                None
            }
        });
        said.collect()
    }
}

#[test]
fn r04_a_key_mutes_and_unmutes_oneself() {
    let mut s = Story::new();
    let bob = s.call("bob");
    assert_eq!(s.keys(bob, "*6"), [[Phrase::Muted]]);
    assert!(s.is_muted(bob));
    assert_eq!(s.of_leg(bob).audio, AudioLevel::MutedBySelf);
    assert_eq!(s.keys(bob, "*6"), [[Phrase::Unmuted]]);
    assert_eq!(s.of_leg(bob).audio, AudioLevel::TwoWay);
}

#[test]
fn r32_a_key_of_somebody_muted_by_a_host_is_a_wish_to_speak() {
    let mut s = Story::new();
    let olga = s.enter("olga");
    let bob = s.call("bob");
    s.mute(Asker::Occupant(olga), bob).expect("an owner may");
    assert_eq!(s.keys(bob, "*6"), [[Phrase::HandRaised]]);
    assert_eq!(s.of_leg(bob).audio, AudioLevel::MutedByHost);
    assert!(
        s.events
            .iter()
            .any(|e| matches!(e, Event::Notice { to: None, text } if text.contains("bob"))),
        "{:?}",
        s.events
    );
}

#[test]
fn r10_a_key_locks_for_moderators_alone() {
    let mut s = Story::new();
    let (olga, bob) = (s.call("olga"), s.call("bob"));
    assert_eq!(s.keys(bob, "*1"), [[Phrase::NotAllowed]]);
    assert!(!s.room.is_locked());
    assert_eq!(s.keys(olga, "*1"), [[Phrase::Locked]]);
    assert!(s.room.is_locked());
    assert_eq!(s.keys(olga, "*1"), [[Phrase::Unlocked]]);
    assert!(!s.room.is_locked());
}

#[test]
fn r63_a_callers_own_volume_has_five_steps() {
    let mut s = Story::new();
    let bob = s.call("bob");
    let mut volumes = |keys: &str| {
        s.keys(bob, keys);
        let heard = |o: &MediaOrder| {
            if let MediaOrder::Volume(_, volume) = o {
                Some(volume.hear)
            } else {
                None
            }
        };
        s.orders.iter().filter_map(heard).collect::<Vec<_>>()
    };
    assert_eq!(volumes("*7*7*7"), [1, 2, 2]);
    assert_eq!(volumes("*4*4*4*4*4"), [1, 0, -1, -2, -2]);
    assert_eq!(s.orders.last().map(|_| Volume::default().speak), Some(0));
}

#[test]
fn keys_tell_how_many_are_here_and_what_keys_do() {
    let mut s = Story::new();
    let bob = s.call("bob");
    assert_eq!(s.keys(bob, "*2"), [[Phrase::OnlyYou]]);
    let olga = s.call("olga");
    s.enter("ann");
    assert_eq!(s.keys(bob, "*2"), [[Phrase::PeopleHere, Phrase::Number(3)]]);
    let lock = Phrase::Spell("*1".to_owned());
    let mute = [Phrase::Press, Phrase::Spell("*6".to_owned()), Phrase::ToMute];
    let help = s.keys(bob, "*0").concat();
    assert!(help.starts_with(&mute) && !help.contains(&lock), "{help:?}");
    assert!(s.keys(olga, "*0").concat().contains(&lock));
}

#[test]
fn slips_pauses_and_other_keys_do_nothing() {
    let mut s = Story::new();
    let bob = s.call("bob");
    assert!(s.keys(bob, "1234567890#A*").is_empty());
    assert_eq!(s.keys(bob, "*6"), [[Phrase::Muted]], "`**` begins anew");
    assert_eq!(s.keys(bob, "*3*6"), [[Phrase::Unmuted]]);
    s.keys(bob, "*");
    s.pass(Duration::from_secs(4));
    assert!(s.keys(bob, "6").is_empty(), "too late to belong together");
    assert!(s.keys(LegId(99), "*6").is_empty(), "nobody's");
}

#[test]
fn a_room_may_have_a_table_of_its_own() {
    let mut own = Keypad::empty(Duration::from_secs(3));
    own.bind(KeyAction::Mute, "0").expect("a key");
    let mut s = Story::with(|record| record.config.keypad = Some(own));
    let bob = s.call("bob");
    assert!(s.keys(bob, "*6").is_empty());
    assert_eq!(s.keys(bob, "0"), [[Phrase::Muted]]);
    assert!(s.keys(bob, "*0").len() == 1, "the key is found behind a slip");
}

#[test]
fn r32_a_key_raises_and_lowers_the_hand() {
    let mut s = Story::new();
    let bob = s.call("bob");
    assert_eq!(s.keys(bob, "*5"), [[Phrase::HandRaised]]);
    assert!(s.of_leg(bob).hand_raised);
    assert_eq!(s.keys(bob, "*5"), [[Phrase::HandLowered]]);
    assert!(!s.of_leg(bob).hand_raised);
}

#[test]
fn r09_keys_of_moderators_mute_all_and_end_the_call_once_that_is_confirmed() {
    let mut s = Story::new();
    let (olga, bob) = (s.call("olga"), s.call("bob"));
    assert_eq!(s.keys(bob, "*8*91"), [[Phrase::NotAllowed], [Phrase::NotAllowed]]);
    assert_eq!(s.keys(olga, "*8"), [[Phrase::AllMuted]]);
    assert!(s.is_muted(bob) && !s.is_muted(olga));
    assert_eq!(s.keys(olga, "*92"), [[Phrase::MeetingEnds, Phrase::PressOneToConfirm]]);
    assert!(s.keys(olga, "1").is_empty(), "they were asked, and pressed something else");
    s.keys(olga, "*9");
    s.pass(Duration::from_secs(11));
    assert!(s.keys(olga, "1").is_empty(), "too late");
    s.keys(olga, "*9");
    assert!(s.keys(olga, "1").is_empty());
    assert_eq!(s.room.person_of_leg(bob), None);
    assert_eq!(s.room.person_of_leg(olga), None);
}
