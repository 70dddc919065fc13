use super::*;
use crate::model::Prompt;

/// A room that can be recorded, with Olga in the chat, who owns it, and Ann on the phone.
fn story() -> (Story, Asker) {
    let mut s = Story::with_settings(|_| (), |settings| settings.records = true);
    let olga = s.enter("olga");
    s.call("ann");
    s.hush();
    (s, Asker::Occupant(olga))
}

fn begin(s: &mut Story, by: Asker) {
    assert_eq!(s.ask(by, Request::Record(true)), Ok(Accepted::Done));
}

fn ended(error: Option<&str>) -> Report {
    Report::RecordingEnded {
        lost_ms: 0,
        error: error.map(str::to_owned),
    }
}

fn record(s: &Story, on: bool) -> MediaOrder {
    MediaOrder::Record {
        room: s.room.name().clone(),
        on,
    }
}

fn prompt(s: &Story, prompt: Prompt) -> MediaOrder {
    MediaOrder::Prompt(s.room.name().clone(), prompt)
}

fn music(s: &Story, on: bool) -> MediaOrder {
    MediaOrder::Music(s.room.name().clone(), on)
}

/// Prompts since the last hush, in order.
fn prompts(s: &Story) -> Vec<Prompt> {
    let prompt = |order: &MediaOrder| match order {
        MediaOrder::Prompt(_, prompt) => Some(*prompt),
        MediaOrder::Configure(..)
        | MediaOrder::Place(..)
        | MediaOrder::Mute(..)
        | MediaOrder::Close(_)
        | MediaOrder::Record { .. }
        | MediaOrder::Music(..)
        | MediaOrder::Say(..)
        | MediaOrder::Wait(..)
        | MediaOrder::Volume(..)
        | MediaOrder::InBandKeys(..) => None,
    };
    s.orders.iter().filter_map(prompt).collect()
}

/// Changes of the recording since the last hush, and whether they were somebody's act.
fn changes(s: &Story) -> Vec<(bool, bool)> {
    let change = |event: &Event| {
        if let Event::RecordingChanged { on, by } = event {
            Some((*on, by.is_some()))
        } else {
            None
        }
    };
    s.events.iter().filter_map(change).collect()
}

#[test]
fn r82_a_recording_is_announced_at_its_beginning_and_its_end() {
    let (mut s, olga) = story();
    begin(&mut s, olga.clone());
    assert_eq!(s.orders, [record(&s, true), prompt(&s, Prompt::RecordingStarted)]);
    let by = Actor::Person {
        id: PersonId(1),
        name: "olga".to_owned(),
    };
    let view = s.room.recording().expect("it is recorded");
    assert_eq!((&view.by, view.since_unix_ms, view.file.as_deref()), (&by, s.now.unix_ms, None));
    assert_eq!(s.events, [Event::RecordingChanged { on: true, by: Some(by) }]);
    assert_eq!(s.ask(olga.clone(), Request::Record(true)), Ok(Accepted::Unchanged));

    s.hush();
    s.report(Report::RecordingStarted {
        file: "/rec/blue".to_owned(),
    });
    assert_eq!(s.room.recording().and_then(|r| r.file.as_deref()), Some("/rec/blue"));
    assert_eq!(s.events, [Event::Audit("the call is recorded into /rec/blue, by olga".to_owned())]);

    s.hush();
    assert_eq!(s.ask(olga.clone(), Request::Record(false)), Ok(Accepted::Done));
    assert_eq!(s.orders, [record(&s, false), prompt(&s, Prompt::RecordingStopped)]);
    assert_eq!(changes(&s), [(false, true)]);
    assert_eq!(s.room.recording(), None);
    s.hush();
    assert_eq!(s.ask(olga, Request::Record(false)), Ok(Accepted::Unchanged));
    s.report(ended(None));
    assert!(s.orders.is_empty() && s.events.is_empty(), "the end was told already");
}

#[test]
fn r82_moderators_and_the_operator_record_and_nobody_else() {
    let (mut s, olga) = story();
    let bob = s.enter("bob");
    for on in [true, false] {
        assert_eq!(s.ask(Asker::Occupant(bob), Request::Record(on)), Err(Refusal::NotModerator));
    }
    begin(&mut s, olga);
    assert_eq!(s.ask(Asker::Occupant(bob), Request::Record(false)), Err(Refusal::NotModerator));
    assert_eq!(s.ask(Asker::Operator, Request::Record(false)), Ok(Accepted::Done));
    begin(&mut s, Asker::Operator);
}

#[test]
fn r82_a_server_without_a_place_for_recordings_records_nothing() {
    let mut s = Story::new();
    s.call("ann");
    s.hush();
    assert_eq!(s.ask(Asker::Operator, Request::Record(true)), Err(Refusal::RecordsNothing));
    assert!(s.orders.is_empty() && s.events.is_empty());
}

#[test]
fn r82_a_recording_ends_with_the_last_call_and_does_not_begin_again_by_itself() {
    let mut s = Story::with_settings(|_| (), |settings| settings.records = true);
    let olga = Asker::Occupant(s.enter("olga"));
    assert_eq!(s.ask(olga.clone(), Request::Record(true)), Err(Refusal::NobodyOnPhone));
    let (ann, bob) = (s.call("ann"), s.call("bob"));
    begin(&mut s, olga);
    s.report(Report::LegGone(ann, LegCause::Departed));
    assert!(s.room.recording().is_some());
    s.hush();
    s.report(Report::LegGone(bob, LegCause::Departed));
    assert_eq!(s.orders, [MediaOrder::Close(bob), record(&s, false)], "nobody is there to hear it");
    assert_eq!(changes(&s), [(false, false)]);
    s.hush();
    s.call("ann");
    assert!(s.room.recording().is_none() && prompts(&s).is_empty());
}

#[test]
fn r82_it_ends_before_the_room_does() {
    let (mut s, olga) = story();
    begin(&mut s, olga);
    s.hush();
    s.report(Report::Shutdown);
    assert_eq!(changes(&s), [(false, false)]);
    assert!(matches!(s.events.last(), Some(Event::Closed { .. })));
    assert_eq!(s.orders.last(), Some(&record(&s, false)));
}

#[test]
fn r82_whoever_comes_to_the_phone_later_hears_it_too() {
    let (mut s, olga) = story();
    begin(&mut s, olga);
    s.pass(Duration::from_secs(60));
    s.hush();
    s.call("bob");
    assert_eq!(prompts(&s), [Prompt::RecordingStarted]);
    // Two who come in the next 10 s hear one together.
    s.pass(Duration::from_secs(3));
    s.call("eve");
    s.call("phil");
    s.pass(Duration::from_millis(6999));
    assert_eq!(prompts(&s), [Prompt::RecordingStarted]);
    s.pass(Duration::from_millis(1));
    assert_eq!(prompts(&s), [Prompt::RecordingStarted; 2]);
    s.pass(Duration::from_secs(60));
    assert_eq!(prompts(&s).len(), 2);
    assert_eq!(s.room.poll_timeout(), None);
}

#[test]
fn r82_who_could_not_hear_the_announcement_is_told_when_they_can() {
    let (mut s, olga) = story();
    let bob = s.call("bob");
    s.report(Report::LegHeld(bob, true));
    begin(&mut s, olga);
    s.pass(Duration::from_secs(60));
    s.hush();
    s.report(Report::LegConfirmed(bob));
    assert_eq!(prompts(&s), [], "on hold, and known already");
    s.report(Report::LegHeld(bob, false));
    s.report(Report::LegHeld(bob, false));
    s.pass(Duration::from_secs(60));
    assert_eq!(prompts(&s), [Prompt::RecordingStarted]);
}

#[test]
fn r82_nobody_is_told_of_what_is_over() {
    let (mut s, olga) = story();
    begin(&mut s, olga.clone());
    s.call("bob");
    s.ask(olga, Request::Record(false)).expect("may end it");
    s.hush();
    s.pass(Duration::from_secs(60));
    assert_eq!(prompts(&s), []);
}

#[test]
fn r82_a_recording_that_fails_is_over() {
    let (mut s, olga) = story();
    begin(&mut s, olga.clone());
    s.hush();
    s.report(ended(Some("disk full")));
    assert_eq!(s.room.recording(), None);
    assert_eq!(s.orders, [record(&s, false), prompt(&s, Prompt::RecordingStopped)]);
    assert_eq!(changes(&s), [(false, false)]);
    assert!(s.events.contains(&Event::Audit("the recording failed: disk full".to_owned())));
    let told = |e: &Event| matches!(e, Event::Notice { to: None, text } if text.contains("has failed") && !text.contains("disk full"));
    assert!(
        s.events.iter().any(told),
        "moderators are told, without the server's own words: {:?}",
        s.events
    );
    begin(&mut s, olga);
}

#[test]
fn r82_the_end_of_one_recording_is_not_taken_for_that_of_the_next() {
    let (mut s, olga) = story();
    begin(&mut s, olga.clone());
    s.ask(olga.clone(), Request::Record(false)).expect("may end it");
    begin(&mut s, olga);
    s.report(Report::RecordingStarted { file: "first".to_owned() });
    assert_eq!(s.room.recording().and_then(|r| r.file.as_deref()), None);
    s.report(ended(None));
    s.report(Report::RecordingStarted { file: "second".to_owned() });
    assert_eq!(s.room.recording().and_then(|r| r.file.as_deref()), Some("second"));
    s.hush();
    s.report(ended(Some("disk full")));
    assert_eq!(s.room.recording(), None);
    s.report(ended(None));
    assert_eq!(changes(&s), [(false, false)], "a report too many changes nothing");
}

#[test]
fn r82_moderators_hear_of_sound_that_is_missing() {
    let (mut s, olga) = story();
    begin(&mut s, olga.clone());
    s.ask(olga, Request::Record(false)).expect("may end it");
    s.hush();
    s.report(Report::RecordingEnded { lost_ms: 240, error: None });
    assert!(
        matches!(&s.events[..], [Event::Notice { to: None, text }] if text.contains("240 ms")),
        "{:?}",
        s.events
    );
}

#[test]
fn tones_tell_who_comes_and_goes_where_the_owner_wants_them() {
    let mut s = Story::with(|record| record.config.tones = true);
    let ann = s.call("ann");
    assert_eq!(prompts(&s), [], "nobody is there to hear it");
    let bob = s.call("bob");
    assert_eq!(prompts(&s), [Prompt::Joined]);
    let again = s.call("bob");
    s.report(Report::LegGone(again, LegCause::Departed));
    assert_eq!(prompts(&s), [Prompt::Joined], "the same person by another phone");
    s.report(Report::LegGone(bob, LegCause::Departed));
    assert_eq!(prompts(&s), [Prompt::Joined, Prompt::Left]);
    s.report(Report::LegGone(ann, LegCause::Departed));
    assert_eq!(prompts(&s).len(), 2, "nobody is left to hear it");
    let mut silent = Story::new();
    let legs = [silent.call("ann"), silent.call("bob")];
    silent.report(Report::LegGone(legs[0], LegCause::Departed));
    assert_eq!(prompts(&silent), []);
}

#[test]
fn a_crowd_comes_and_goes_without_tones() {
    let mut s = Story::with(|record| record.config.tones = true);
    let call = |s: &mut Story, n: u32| s.try_call(claimed(&format!("+49301234{n:03}"))).expect("may join");
    let legs: Vec<LegId> = (0..9).map(|n| call(&mut s, n)).collect();
    assert_eq!(prompts(&s), [Prompt::Joined; 7]);
    s.hush();
    s.report(Report::LegGone(legs[8], LegCause::Departed));
    assert_eq!(prompts(&s), []);
    s.report(Report::LegGone(legs[7], LegCause::Departed));
    assert_eq!(prompts(&s), [Prompt::Left]);
}

#[test]
fn music_plays_to_whoever_is_alone_on_the_phone() {
    let mut s = Story::with_settings(|_| (), |settings| (settings.music, settings.records) = (true, true));
    s.enter("olga");
    let ann = s.call("ann");
    assert_eq!(s.orders.last(), Some(&music(&s, true)));
    let bob = s.call("bob");
    assert_eq!(s.orders.last(), Some(&music(&s, false)));
    s.report(Report::LegGone(ann, LegCause::Departed));
    assert_eq!(s.orders.last(), Some(&music(&s, true)));
    begin(&mut s, Asker::Operator);
    assert_eq!(s.orders.last(), Some(&music(&s, false)), "a recording is of voices");
    s.ask(Asker::Operator, Request::Record(false)).expect("may end it");
    assert_eq!(s.orders.last(), Some(&music(&s, true)));
    s.report(Report::LegGone(bob, LegCause::Departed));
    assert_eq!(s.orders.last(), Some(&music(&s, false)));
    let mut silent = Story::new();
    silent.call("ann");
    assert!(!silent.orders.contains(&music(&silent, true)));
}
