//! Recording, and how everybody comes to know of it (rule R82). What is written where is the media plane's matter.

use std::time::{Duration, Instant};

use crate::model::{Actor, MediaOrder, Now, Prompt};

use super::policy::{self, Asking};
use super::{Accepted, Event, RecordingView, Refusal, Room};

/// Newcomers who come in at once hear one announcement; it is made for them at most this often.
const ANNOUNCE_EVERY: Duration = Duration::from_secs(10);

/// What is recorded, and who has been told.
#[derive(Debug)]
pub(super) struct Recording {
    view: RecordingView,
    announced_at: Instant,
    /// Somebody has come to the phone since.
    unheard: bool,
}

impl Room {
    /// Who has the call recorded, since when and into which file; `None` while nobody has.
    pub fn recording(&self) -> Option<&RecordingView> {
        self.recording.as_ref().map(|recording| &recording.view)
    }

    pub(super) fn record(&mut self, now: Now, asking: &Asking, on: bool) -> Result<Accepted, Refusal> {
        policy::record(asking.power, self.settings.records)?;
        if self.recording.is_some() == on {
            return Ok(Accepted::Unchanged);
        }
        let by = asking.actor.clone();
        if !on {
            self.stop_recording(Some(by));
            return Ok(Accepted::Done);
        }
        if self.roster.legs() == 0 {
            return Err(Refusal::NobodyOnPhone);
        }
        self.recording = Some(Recording {
            view: RecordingView {
                by: by.clone(),
                since_unix_ms: now.unix_ms,
                file: None,
            },
            announced_at: now.at,
            unheard: false,
        });
        self.order_recording(true);
        self.prompt(Prompt::RecordingStarted);
        self.adjust_music();
        self.out.tell(Event::RecordingChanged { on: true, by: Some(by) });
        Ok(Accepted::Done)
    }

    /// Ends the recording, if there is one; with the room's last call it ends by itself.
    pub(super) fn stop_recording(&mut self, by: Option<Actor>) {
        if self.recording.is_some() {
            self.order_recording(false);
            self.ending_recordings += 1;
            self.recording_is_over(by);
        }
    }

    pub(super) fn recording_started(&mut self, file: String) {
        // Of one that is over by now only the log wants to know.
        let mut text = format!("the call is recorded into {file}");
        if let Some(recording) = self.recording.as_mut().filter(|_| self.ending_recordings == 0) {
            recording.view.file = Some(file);
            let by = recording.view.by.clone();
            text = format!("{text}, by {}", self.shown_actor(&by));
        }
        self.out.tell(Event::Audit(text));
    }

    /// The media plane answers every recording with one end. The room had ended those that it still waits for; another one failed.
    pub(super) fn recording_ended(&mut self, lost_ms: u64, error: Option<&str>) {
        if self.ending_recordings > 0 {
            self.ending_recordings -= 1;
        } else if self.recording.is_some() {
            // So that nothing begins again by itself.
            self.order_recording(false);
            self.recording_is_over(None);
        }
        if lost_ms > 0 {
            self.notify_moderators(format!("The recording lacks {lost_ms} ms of sound: the disk was too slow."));
        }
        if let Some(error) = error {
            self.out.tell(Event::Audit(format!("the recording failed: {error}")));
            self.notify_moderators("The recording has failed; the server's log says why.".to_owned());
        }
    }

    /// Somebody has begun to hear the room: whoever is being recorded has to know.
    pub(super) fn somebody_hears(&mut self, now: Now) {
        if let Some(recording) = &mut self.recording {
            recording.unheard = true;
            self.announce_recording(now);
        }
    }

    /// Announces the recording to newcomers, if that is due.
    pub(super) fn announce_recording(&mut self, now: Now) {
        let due = self.next_announcement().is_some_and(|at| at <= now.at);
        if let Some(recording) = self.recording.as_mut().filter(|_| due) {
            (recording.unheard, recording.announced_at) = (false, now.at);
            self.prompt(Prompt::RecordingStarted);
        }
    }

    pub(super) fn next_announcement(&self) -> Option<Instant> {
        let recording = self.recording.as_ref().filter(|r| r.unheard)?;
        Some(recording.announced_at + ANNOUNCE_EVERY)
    }

    fn recording_is_over(&mut self, by: Option<Actor>) {
        self.recording = None;
        if self.roster.legs() > 0 {
            self.prompt(Prompt::RecordingStopped);
        }
        self.adjust_music();
        self.out.tell(Event::RecordingChanged { on: false, by });
    }

    fn order_recording(&mut self, on: bool) {
        let room = self.name.clone();
        self.out.order(MediaOrder::Record { room, on });
    }

    fn notify_moderators(&mut self, text: String) {
        self.out.tell(Event::Notice { to: None, text });
    }
}
