//! How the chat learns of a recording (rule R82).

use super::bridge::whisper;
use super::disco::{INFO, field};
use super::*;

const BEGUN: &str = "message room: nurse has started a recording of the call.";
const RECORDING: &str = "{urn:cusax:room:0}recording";

/// The nurse, who moderates, and Juliet are in the chat, Mercutio is on the phone.
fn world() -> World {
    let mut w = World::new();
    w.all_join(&[NURSE, JULIET]);
    w.phones("Mercutio");
    w.run_for(Duration::from_secs(5));
    w.forget();
    w
}

#[test]
fn r82_the_room_says_when_a_recording_begins_and_ends() {
    let mut w = world();
    assert_eq!(whisper(&mut w, NURSE, "record"), "message bridge private: done");
    // That what discovery tells has changed is told like any change of the room.
    assert_eq!(w.receives(JULIET), [BEGUN, "message room [104]"]);
    assert_eq!(whisper(&mut w, NURSE, "record"), "message bridge private: it is so already");
    assert_eq!(whisper(&mut w, NURSE, "record off"), "message bridge private: done");
    assert_eq!(
        w.receives(JULIET),
        ["message room: nurse has ended the recording of the call.", "message room [104]"]
    );
    w.reports(Report::RecordingEnded { lost_ms: 0, error: None });
    w.operator(Request::Record(true));
    w.forget();
    w.reports(Report::RecordingEnded {
        lost_ms: 0,
        error: Some("disk full".to_owned()),
    });
    assert_eq!(
        w.receives(JULIET),
        ["message room: The recording of the call has ended.", "message room [104]"]
    );
    let told = w.receives(NURSE);
    assert!(
        told.contains(&"message bridge private: The recording has failed; the server's log says why.".to_owned()),
        "{told:?}"
    );
}

#[test]
fn r82_only_moderators_record_and_only_calls_are_recorded() {
    let mut w = world();
    for command in ["record", "record off"] {
        assert_eq!(
            whisper(&mut w, JULIET, command),
            "message bridge private: only moderators may do this"
        );
    }
    let mut w = World::new();
    w.all_join(&[NURSE]);
    assert_eq!(whisper(&mut w, NURSE, "record"), "message bridge private: nobody is on the phone");
}

#[test]
fn r82_newcomers_read_what_holds_and_not_what_held() {
    let mut w = world();
    whisper(&mut w, NURSE, "record");
    w.says(NURSE, "hello");
    w.joins(ROMEO, "romeo");
    let seen = w.receives(ROMEO);
    let state = "message room: The call in this room is being recorded; nurse has started that.";
    assert_eq!(
        seen[seen.len() - 3..],
        ["message nurse earlier: hello", "subject room: ", state],
        "behind the history and the subject"
    );
    assert!(!seen.iter().any(|l| l.contains("has started a recording")), "{seen:?}");
    let kept = w.stored.iter().filter(|op| matches!(op, StoreOp::Append(..))).count();
    assert_eq!(kept, 1, "what the room says isn't kept");
    whisper(&mut w, NURSE, "record off");
    w.joins(CAPULET, "capulet");
    assert!(!w.receives(CAPULET).iter().any(|l| l.contains("record")));
}

#[test]
fn r82_a_recording_is_seen_in_discovery_and_with_the_bridge() {
    let mut w = world();
    let seen = |w: &mut World| {
        let told = field(&w.query(ROMEO, "get", INFO), RECORDING);
        (told, whisper(w, JULIET, "who").contains("being recorded"))
    };
    assert_eq!(seen(&mut w), (Some("0".to_owned()), false));
    whisper(&mut w, NURSE, "record");
    assert_eq!(seen(&mut w), (Some("1".to_owned()), true));
    let mut closed = World::with(|c| c.members_only = true);
    assert_eq!(
        field(&closed.query(JULIET, "get", INFO), RECORDING),
        None,
        "no business of strangers"
    );
}
