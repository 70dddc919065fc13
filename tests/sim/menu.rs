//! The spoken menu through the whole bridge (rules R2, R14): which calls it answers, where it leads them, and when it gives up.

use std::time::Duration;

use cusax::model::{AudioAccess, LegId, MediaOrder, MediaReport, Phrase};

use super::world::{PERFECT, ROOMS, World};

const MENU: &str = "+49305550199";

fn world(seed: u64) -> World {
    World::with(seed, PERFECT, |config| {
        config.audio = AudioAccess::Pin;
        config.pin = Some("123456".to_owned());
        config.moderator_pin = Some("987654".to_owned());
        config.number = Some("4711".to_owned());
    })
}

/// Calls, and waits until the menu speaks.
fn call(w: &mut World, phone: &str, user: &str) -> LegId {
    if !w.has_phone(phone) {
        w.phone(phone);
    }
    w.plane.log.clear();
    w.dial(phone, user);
    w.run_until("the menu speaks", |w| !said(w).is_empty());
    let leg = w
        .plane
        .log
        .iter()
        .find_map(|o| if let MediaOrder::Say(leg, _) = o { Some(*leg) } else { None });
    w.media(MediaReport::Said(leg.expect("it was spoken to")));
    leg.expect("likewise")
}

fn press(w: &mut World, leg: LegId, keys: &str) {
    w.plane.log.clear();
    for key in keys.chars() {
        w.media(MediaReport::Digit(leg, key));
    }
    w.run_for(Duration::from_millis(20));
}

fn said(w: &World) -> Vec<Phrase> {
    let said = w.plane.log.iter().filter_map(|o| {
        if let MediaOrder::Say(_, phrases) = o {
            Some(phrases.clone())
        } else {
            None
        }
    });
    said.flatten().collect()
}

fn last_status(w: &World, phone: &str) -> String {
    w.at(phone).log.last().cloned().unwrap_or_default()
}

#[test]
fn r14_a_room_with_a_pin_asks_for_it() {
    let mut w = world(41);
    let leg = call(&mut w, "guest", "blue");
    assert_eq!(said(&w), [Phrase::EnterPin]);
    assert_eq!(last_status(&w, "guest"), "200");
    assert_eq!(w.leg_of("guest", "blue"), None, "answered, and not in the room");
    press(&mut w, leg, "111111#");
    assert_eq!(said(&w), [Phrase::WrongTryAgain, Phrase::EnterPin]);
    press(&mut w, leg, "123456#");
    assert_eq!(w.leg_of("guest", "blue"), Some(leg));
    assert!(w.is_heard("guest", "blue"));
    assert!(w.plane.log.contains(&MediaOrder::InBandKeys(leg, false)));
    press(&mut w, leg, "*6");
    assert_eq!(said(&w), [Phrase::Muted], "from now on keys are the room's");
    w.hang_up("guest");
    w.run_for(Duration::from_secs(1));
    assert_eq!(w.records[0].room.as_ref().map(|r| r.as_str()), Some("blue"));
}

#[test]
fn r14_a_member_is_let_in_without_a_word() {
    let mut w = world(42);
    w.join_by_phone("ann", "blue");
    assert!(w.is_heard("ann", "blue"));
    assert_eq!(said(&w), []);
}

#[test]
fn r14_the_menu_asks_for_the_room_and_then_for_its_pin() {
    let mut w = world(43);
    let leg = call(&mut w, "guest", MENU);
    assert_eq!(said(&w), [Phrase::EnterRoomOrCode]);
    press(&mut w, leg, "4712#");
    assert_eq!(said(&w), [Phrase::WrongTryAgain, Phrase::EnterRoomOrCode]);
    press(&mut w, leg, "4711#");
    assert_eq!(said(&w), [Phrase::EnterPin]);
    w.media(MediaReport::Said(leg));
    press(&mut w, leg, "987654");
    w.run_for(Duration::from_secs(5));
    assert_eq!(w.leg_of("guest", "blue"), Some(leg), "a pause ends what is typed");
    assert_eq!(said(&w), [Phrase::YouModerate]);
    press(&mut w, leg, "*1");
    assert_eq!(said(&w), [Phrase::Locked]);
    // RFC 4579 section 3.4: the menu's number is all that this phone knows.
    w.subscribe("guest", MENU, 3600);
    w.run_until("a document came", |w| !w.at("guest").documents.is_empty());
    assert!(w.at("guest").documents[0].contains("moderator"), "{}", w.at("guest").documents[0]);
}

#[test]
fn r14_numbers_lead_to_rooms_however_they_are_written() {
    for (seed, user) in [
        (44, "+49305550100"),
        (45, "+49-30-5550-100"),
        (46, "%2B49305550100;phone-context=x"),
        (47, "4711"),
    ] {
        let mut w = World::with(seed, PERFECT, |config| config.number = Some("4711".to_owned()));
        w.join_by_phone("guest", user);
        assert!(w.is_heard("guest", "blue"), "{user}");
    }
    let mut w = World::new(48);
    w.phone("guest");
    w.dial("guest", "+49305550111");
    w.run_for(Duration::from_secs(1));
    assert!(last_status(&w, "guest").contains("404"), "{}", last_status(&w, "guest"));
}

#[test]
fn r02_wrong_pins_end_the_call_and_then_lock_out_their_source_for_longer_and_longer() {
    let mut w = world(49);
    for _ in 0..2 {
        let leg = call(&mut w, "guest", "blue");
        for _ in 0..3 {
            press(&mut w, leg, "000000#");
        }
        assert_eq!(said(&w), [Phrase::Goodbye]);
        w.media(MediaReport::Said(leg));
        w.run_until("the menu hangs up", |w| last_status(w, "guest").starts_with("ended"));
        assert!(w.plane.legs[&leg].closed);
    }
    w.dial("guest", "blue");
    w.run_for(Duration::from_secs(1));
    let refused = w.at("guest").received.last().expect("an answer").clone();
    assert!(
        refused.starts_with("SIP/2.0 480") && refused.contains("Retry-After: 5"),
        "{refused}"
    );
    w.dial("guest", MENU);
    w.run_for(Duration::from_secs(1));
    assert!(w.at("guest").received.last().expect("an answer").starts_with("SIP/2.0 480"));
    w.join_by_phone("ann", "blue");
    assert!(w.is_heard("ann", "blue"), "who isn't asked isn't locked out");
    w.run_for(Duration::from_secs(60));
    call(&mut w, "guest", "blue");
}

#[test]
fn r14_silence_ends_in_goodbye_and_nothing_is_left() {
    let mut w = world(50);
    let leg = call(&mut w, "guest", "blue");
    w.run_until("the menu hangs up", |w| last_status(w, "guest").starts_with("ended"));
    w.run_for(Duration::from_secs(1));
    assert!(w.plane.legs[&leg].closed);
    assert_eq!(w.calls(), 0);
    assert_eq!(w.records.len(), 1);
}

#[test]
fn r02_a_join_code_makes_caller_and_chat_user_one_person() {
    let mut w = world(51);
    w.enter("bob", "blue");
    w.forget("bob");
    w.say(
        "bob",
        &format!("<message type='chat' to='blue@{ROOMS}/bridge'><body>code</body></message>"),
    );
    let told = w.seen("bob").concat();
    let code: String = told.split("type ").nth(1).expect("a code is told").chars().take(8).collect();
    let leg = call(&mut w, "guest", MENU);
    press(&mut w, leg, &format!("{code}#"));
    assert_eq!(
        said(&w),
        [Phrase::JoinAs, Phrase::Spell("bob".to_owned()), Phrase::PressOneToConfirm]
    );
    press(&mut w, leg, "1");
    assert_eq!(w.leg_of("guest", "blue"), Some(leg));
    let cell = &w.rooms[&cusax::model::RoomName::new("blue").expect("a name")];
    let people: Vec<_> = cell.room().people().collect();
    assert_eq!((people.len(), people[0].name.as_str(), people[0].legs.len()), (1, "bob", 1));
    // It was good once.
    let leg = call(&mut w, "other", MENU);
    press(&mut w, leg, &format!("{code}#"));
    assert_eq!(said(&w), [Phrase::WrongTryAgain, Phrase::EnterRoomOrCode]);
}

#[test]
fn a_caller_may_hang_up_anywhere_in_the_menu() {
    for (seed, keys) in [(52, ""), (53, "47"), (54, "4711#"), (55, "4711#123456")] {
        let mut w = world(seed);
        let leg = call(&mut w, "guest", MENU);
        press(&mut w, leg, keys);
        w.hang_up("guest");
        w.run_for(Duration::from_secs(40));
        assert!(w.plane.legs[&leg].closed, "{keys}");
        assert_eq!((w.calls(), w.records.len()), (0, 1), "{keys}");
    }
}

#[test]
fn r81_a_server_that_stops_ends_calls_in_the_menu() {
    let mut w = world(56);
    call(&mut w, "guest", MENU);
    w.shutdown();
    w.run_for(Duration::from_secs(2));
    assert_eq!(w.calls(), 0);
}
