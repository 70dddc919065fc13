//! Rule R82 through the whole bridge: a recording is known at both doors, whoever began it.

use std::time::Duration;

use cusax::model::control::{RoomCommand, RoomReply, RoomReport};
use cusax::model::{MediaOrder, MediaReport, Prompt, RoomName};

use super::world::{ROOMS, World};

const FREE_TEXT: &str = "<free-text>This conference is being recorded.</free-text>";

fn blue() -> RoomName {
    RoomName::new("blue").expect("a room's name")
}

/// Ann, who owns the room, in the chat, and a watching guest on the phone.
fn world(seed: u64) -> World {
    let mut w = World::new(seed);
    w.enter("ann", "blue");
    w.join_by_phone("guest", "blue");
    w.subscribe("guest", "blue", 3600);
    w.run_until("a document came", |w| !w.at("guest").documents.is_empty());
    w.run_for(Duration::from_secs(6));
    w
}

fn bridge(w: &mut World, who: &str, command: &str) {
    w.say(
        who,
        &format!("<message type='chat' to='blue@{ROOMS}/bridge'><body>{command}</body></message>"),
    );
}

fn record(on: bool) -> MediaOrder {
    MediaOrder::Record { room: blue(), on }
}

fn prompts(w: &World, prompt: Prompt) -> usize {
    let wanted = MediaOrder::Prompt(blue(), prompt);
    w.plane.log.iter().filter(|order| **order == wanted).count()
}

fn shown(w: &mut World) -> RoomReport {
    let RoomReply::Show(report) = w.operator("blue", RoomCommand::Show) else {
        panic!("the operator is shown every room")
    };
    report
}

fn last_document(w: &World) -> &str {
    w.at("guest").documents.last().expect("the guest watches")
}

#[test]
fn r82_a_moderators_recording_is_known_at_both_doors() {
    let mut w = world(21);
    w.forget("ann");
    bridge(&mut w, "ann", "record");
    assert!(w.plane.log.contains(&record(true)));
    assert_eq!(prompts(&w, Prompt::RecordingStarted), 1);
    assert!(w.saw("ann", &["groupchat", "ann has started a recording of the call."]));
    w.run_until("the watcher is told", |w| last_document(w).contains(FREE_TEXT));
    w.media(MediaReport::RecordingStarted {
        room: blue(),
        file: "/rec/blue.ogg".to_owned(),
    });
    let report = shown(&mut w);
    assert_eq!(report.recording_by.as_deref(), Some("ann"));
    let age_ms = report.recording_since_unix_ms.map(|since| w.clock().unix_ms - since);
    assert!(age_ms.is_some_and(|ms| ms < 60_000), "{age_ms:?} ms");
    assert_eq!((report.recording, report.recording_file.as_deref()), (true, Some("/rec/blue.ogg")));

    // Whoever comes later, by whichever door.
    w.enter("bob", "blue");
    assert!(w.saw("bob", &["groupchat", "is being recorded"]));
    w.run_for(Duration::from_secs(10));
    w.join_by_phone("late", "blue");
    assert_eq!(prompts(&w, Prompt::RecordingStarted), 2);
    let at_the_chat = ["ann", "bob"].iter().any(|who| w.saw(who, &["/rec/"]));
    let by_phone = w.at("guest").documents.iter().any(|d| d.contains("/rec/"));
    assert!(!at_the_chat && !by_phone, "where the file is is the operator's matter");

    bridge(&mut w, "ann", "record off");
    assert_eq!(prompts(&w, Prompt::RecordingStopped), 1);
    assert!(w.saw("bob", &["groupchat", "ann has ended the recording"]));
    w.run_until("the watcher is told", |w| {
        let last = last_document(w);
        last.contains("<conference-description>") && !last.contains("free-text")
    });
    assert!(!shown(&mut w).recording);
}

#[test]
fn r82_the_operators_recording_ends_with_the_last_call() {
    let mut w = world(22);
    assert_eq!(w.operator("blue", RoomCommand::Record { on: true }), RoomReply::Done);
    assert_eq!(w.operator("blue", RoomCommand::Record { on: true }), RoomReply::Unchanged);
    assert!(w.saw("ann", &["groupchat", "The operator has started a recording of the call."]));
    w.hang_up("guest");
    w.run_until("no call is left", |w| w.calls() == 0);
    assert_eq!(w.plane.log.last(), Some(&record(false)));
    assert!(w.saw("ann", &["groupchat", "The recording of the call has ended."]));
    let refused = RoomReply::Refused {
        message: "nobody is on the phone".to_owned(),
    };
    assert_eq!(w.operator("blue", RoomCommand::Record { on: true }), refused);
}

#[test]
fn r82_a_recording_that_fails_is_told_at_both_doors() {
    let mut w = world(23);
    bridge(&mut w, "ann", "record");
    w.run_until("the watcher is told", |w| last_document(w).contains(FREE_TEXT));
    w.media(MediaReport::RecordingEnded {
        room: blue(),
        lost_ms: 500,
        error: Some("No space left on device".to_owned()),
    });
    assert_eq!(prompts(&w, Prompt::RecordingStopped), 1);
    assert!(w.saw("ann", &["groupchat", "The recording of the call has ended."]));
    assert!(w.saw("ann", &["bridge", "The recording has failed"]));
    assert!(w.saw("ann", &["bridge", "lacks 500 ms"]));
    assert!(!w.saw("ann", &["No space left"]));
    w.run_until("the watcher is told", |w| !last_document(w).contains("free-text"));
    assert!(!shown(&mut w).recording);
}
