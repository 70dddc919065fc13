//! Reports taken note of. Each may come late, twice, or about somebody who is gone.

use crate::model::{LegId, Now};

use super::roster::{Leg, Person};
use super::{EndCause, Event, LeaveCause, LegCause, OccupantCause, Report, Room};

impl Room {
    pub(super) fn take_note(&mut self, now: Now, report: Report) {
        if self.note_waiting(&report) {
            return;
        }
        match report {
            Report::OccupantGone(occupant, cause) => {
                let cause = match cause {
                    OccupantCause::Left => LeaveCause::Left,
                    OccupantCause::Unreachable | OccupantCause::Flooded => LeaveCause::Unreachable,
                };
                self.leave_chat(now, occupant, &cause);
                self.settle();
            }
            Report::LegGone(leg, cause) => {
                let cause = match cause {
                    LegCause::Departed => EndCause::Departed,
                    LegCause::Failed => EndCause::Failed,
                };
                self.lose_leg(now, leg, cause);
                self.settle();
            }
            Report::LegConfirmed(leg) => self.begins_to_hear(now, leg, |l| l.confirmed = true),
            Report::LegHeld(leg, held) => self.begins_to_hear(now, leg, |l| l.held = held),
            Report::LegListensOnly(leg, listens_only) => self.note(leg, |l| l.listens_only = listens_only),
            Report::Speaking(leg, speaking) => {
                if let Some(person) = self.person_of_leg(leg).and_then(|id| self.roster.person_mut(id)) {
                    person.spoke_unix_ms = Some(now.unix_ms);
                }
                self.note(leg, |l| l.speaking = speaking);
            }
            Report::LegQuiet(leg, seconds) => self.quiet(now, leg, seconds),
            Report::ChatLink(linked) => self.chat_link(linked),
            Report::MediaFailed => {
                for leg in self.roster.leg_ids() {
                    self.lose_leg(now, leg, EndCause::Failed);
                }
                self.settle();
            }
            Report::RecordingStarted { file } => self.recording_started(file),
            Report::RecordingEnded { lost_ms, error } => self.recording_ended(lost_ms, error.as_deref()),
            Report::Key(leg, key) => self.key(now, leg, key),
            Report::LegSucceeds { leg, old } => self.succeed(leg, old),
            Report::Shutdown => self.shut_down(),
            Report::DialAlerts(dial) => self.dial_alerts(dial),
            Report::DialFailed(dial, why) => self.fail_dial(now, dial, why),
        }
    }

    /// A call is over by nobody's decision here.
    fn lose_leg(&mut self, now: Now, leg: LegId, cause: EndCause) {
        let Some(id) = self.person_of_leg(leg) else { return };
        let barred = self.roster.person(id).and_then(Person::barred);
        self.end_leg(leg, cause, &LeaveCause::Withdrawn);
        if self.roster.person(id).is_none() {
            self.give_pass(now, barred);
        }
    }

    /// Changes a leg; if it is one that hears the room only now, it is told what the others have been told.
    fn begins_to_hear(&mut self, now: Now, leg: LegId, change: impl FnOnce(&mut Leg)) {
        let hears = |room: &Self| room.roster.leg(leg).is_some_and(|l| l.confirmed && !l.held);
        let before = hears(self);
        self.note(leg, change);
        if !before && hears(self) {
            self.somebody_hears(now);
        }
    }

    /// Changes a leg, and tells if that changes how its person is shown.
    fn note(&mut self, leg: LegId, change: impl FnOnce(&mut Leg)) {
        let Some(id) = self.person_of_leg(leg) else { return };
        let before = self.audio_shown(id);
        if let Some(leg) = self.roster.leg_mut(leg) {
            change(leg);
        }
        if self.audio_shown(id) != before {
            self.out.tell(Event::AudioChanged { person: id, by: None });
        }
    }

    fn quiet(&mut self, now: Now, leg: LegId, seconds: u32) {
        // Rule R44: a phone on hold owes no packets.
        if self.roster.leg(leg).is_none_or(|l| l.held) {
            return;
        }
        if seconds >= self.settings.silence_limit_s {
            self.lose_leg(now, leg, EndCause::Failed);
            self.settle();
        } else if seconds > 0 {
            self.note(leg, |l| l.speaking = false);
        }
    }

    /// Nobody leaves by an outage; what changes is who can be reached by text.
    fn chat_link(&mut self, linked: bool) {
        if self.linked == linked {
            return;
        }
        self.linked = linked;
        let chatting: Vec<_> = self.roster.people().filter(|(_, p)| !p.is_audio_only()).map(|(id, _)| id).collect();
        for person in chatting {
            self.out.tell(Event::AudioChanged { person, by: None });
        }
    }
}
