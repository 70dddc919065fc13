//! The lobby and the wait for a moderator, through both doors.

use std::time::Duration;

use cusax::model::control::{RoomCommand, RoomReply, RoomReport};
use cusax::model::{LegId, MediaOrder, RoomName};

use super::world::{PERFECT, ROOMS, World};

const SHORT: Duration = Duration::from_millis(100);

fn with_lobby(seed: u64) -> World {
    let mut w = World::with(seed, PERFECT, |config| config.lobby = true);
    w.enter("ann", "blue");
    w
}

fn show(w: &mut World) -> RoomReport {
    let reply = w.operator("blue", RoomCommand::Show);
    let RoomReply::Show(report) = reply else { panic!("{reply:?}") };
    report
}

fn whisper(w: &mut World, who: &str, body: &str) {
    w.say(
        who,
        &format!("<message type='chat' to='blue@{ROOMS}/bridge'><body>{body}</body></message>"),
    );
}

fn placed(w: &World) -> Vec<LegId> {
    let blue = RoomName::new("blue").expect("a name");
    let there = w.plane.legs.iter().filter(|(_, l)| l.room.as_ref() == Some(&blue) && !l.closed);
    there.map(|(leg, _)| *leg).collect()
}

fn pending(document: &str) -> bool {
    document.contains("<status>pending</status>")
}

#[test]
fn a_phone_waits_unseen_by_all_but_moderators_and_is_let_in_from_the_chat() {
    let mut w = with_lobby(1);
    w.set_affiliation("ann", "blue", "bob@example.com", "member");
    for phone in ["ann", "bob"] {
        w.join_by_phone(phone, "blue");
        w.subscribe(phone, "blue", 3600);
        w.run_until("a document came", |w| !w.at(phone).documents.is_empty());
    }
    w.enter("bob", "blue");
    w.run_for(Duration::from_secs(6));
    for chat in ["ann", "bob"] {
        w.forget(chat);
    }
    let members_documents = w.at("bob").documents.len();
    w.join_by_phone("guest", "blue");
    w.run_for(Duration::from_secs(6));

    assert_eq!(placed(&w).len(), 2, "answered, and not in the room");
    assert!(w.plane.log.iter().any(|o| matches!(o, MediaOrder::Wait(_, true))));
    assert!(w.saw("ann", &["waits on the phone to be let in"]));
    assert!(!w.chats_saw_anything("bob"), "nobody but moderators hears of it");
    assert_eq!(w.at("bob").documents.len(), members_documents);
    let told = w.at("ann").documents.last().expect("documents").clone();
    assert!(pending(&told) && !told.contains("<user-count>3"), "{told}");
    let waiting = show(&mut w).waiting;
    assert_eq!((waiting.len(), waiting[0].door.as_str()), (1, "phone"));
    w.subscribe("guest", "blue", 3600);
    w.run_until("an answer came", |w| {
        w.at("guest")
            .received
            .iter()
            .any(|m| m.starts_with("SIP/2.0 403") || m.starts_with("SIP/2.0 401"))
    });
    assert!(w.at("guest").documents.is_empty(), "who waits reads nothing");

    whisper(&mut w, "bob", "admit all");
    assert_eq!(placed(&w).len(), 2, "members don't let in");
    let name = waiting[0].name.clone();
    whisper(&mut w, "ann", &format!("admit {name}"));
    w.run_for(Duration::from_secs(6));
    assert_eq!(placed(&w).len(), 3);
    assert!(w.is_heard("guest", "blue"));
    assert!(w.saw("bob", &["<presence", "(phone)"]));
    for phone in ["ann", "bob"] {
        let told = w.at(phone).documents.last().expect("documents").clone();
        assert!(told.contains("<user-count>3</user-count>") && told.contains("connected"), "{told}");
    }
    assert!(show(&mut w).waiting.is_empty());
}

#[test]
fn m7_who_waits_is_sent_away_with_a_reason() {
    let mut w = with_lobby(2);
    w.join_by_phone("guest", "blue");
    let name = show(&mut w).waiting[0].name.clone();
    whisper(&mut w, "ann", &format!("kick {name}"));
    w.run_until("the call is over", |w| w.calls() == 0);
    assert!(
        w.at("guest")
            .received
            .iter()
            .any(|m| m.starts_with("BYE") && m.contains("\r\nReason: "))
    );
    w.run_for(SHORT);
    assert_eq!(w.records.len(), 1);
    assert_eq!(w.records[0].cause, "removed");
}

#[test]
fn in_the_chat_a_lobby_is_a_refused_join_and_an_invitation() {
    let mut w = with_lobby(3);
    w.enter("bob", "blue");
    assert!(w.saw("bob", &["registration-required"]));
    assert!(w.saw("ann", &["bob (bob@example.com) asks to be let in"]));
    w.say(
        "ann",
        &format!("<message type='groupchat' to='blue@{ROOMS}'><body>secret</body></message>"),
    );
    assert!(!w.saw("bob", &["secret"]), "nobody reads along");
    whisper(&mut w, "ann", "admit bob");
    assert!(w.saw("bob", &["<invite", "blue@rooms.example.com"]));
    w.forget("bob");
    w.enter("bob", "blue");
    assert!(w.saw("bob", &["<presence", "/ann"]));
}

#[test]
fn callers_wait_for_a_moderator_and_a_late_one_is_told_who_waits() {
    let mut w = World::with(4, PERFECT, |config| (config.wait_for_moderator, config.lobby) = (true, false));
    w.join_by_phone("guest", "blue");
    w.join_by_phone("bob", "blue");
    assert!(placed(&w).is_empty());
    w.enter("ann", "blue");
    assert_eq!(placed(&w).len(), 2);
    w.leave("ann", "blue");
    w.run_for(SHORT);
    assert_eq!(placed(&w).len(), 2, "a meeting that runs goes on");

    let mut w = World::with(5, PERFECT, |config| config.lobby = true);
    w.join_by_phone("guest", "blue");
    w.enter("ann", "blue");
    assert!(w.saw("ann", &["waits on the phone"]));
    w.hang_up("guest");
    w.run_until("the call is over", |w| w.calls() == 0);
    assert!(show(&mut w).waiting.is_empty());
}
