//! The participation mark on occupants' presence (checklist M-6), sent for its own sake at most once in 2 s (rule R29). Decides no level.

use std::time::{Duration, Instant};

use super::{MucRoom, occupants::Shown};
use crate::{
    model::{Actor, Mute, Now, PersonId},
    room::{AudioLevel, PersonView, Room, TextLevel},
    xmpp::mark::{Audio, Mark, Reason, Text},
};

/// Rule R29.
const PAUSE: Duration = Duration::from_secs(2);

/// What others are shown of a person's participation.
pub(super) fn of(person: &PersonView) -> Mark {
    Mark {
        text: match person.text {
            TextLevel::TwoWay => Text::TwoWay,
            TextLevel::ReadOnly => Text::ReadOnly,
            TextLevel::None => Text::None,
        },
        audio: match person.audio {
            AudioLevel::TwoWay => Audio::TwoWay,
            AudioLevel::ListenOnly => Audio::ListenOnly,
            AudioLevel::MutedBySelf => Audio::MutedSelf,
            AudioLevel::MutedByHost => Audio::MutedHost,
            AudioLevel::OnHold => Audio::OnHold,
            AudioLevel::Joining => Audio::Joining,
            AudioLevel::None => Audio::None,
        },
        muted: person.mutes.iter().map(reason).collect(),
    }
}

fn reason(mute: &Mute) -> Reason {
    match mute {
        Mute::OwnChoice => Reason::OwnChoice,
        Mute::ChatVoice => Reason::ChatVoice,
        Mute::Policy => Reason::Policy,
        Mute::Host { by, why } => Reason::Host {
            by: match by {
                Actor::Person { name, .. } => Some(name.clone()),
                // Who they are is for those who see JIDs; a mark is the same for all.
                Actor::Account(_) | Actor::Operator | Actor::Room => None,
            },
            why: why.clone(),
        },
    }
}

/// Notes that others are about to see an occupant's mark as it is now.
pub(super) fn sent(now: Now, room: &Room, shown: &mut Shown) {
    shown.mark = room.person(shown.person).map(|p| of(&p));
    shown.marked_at = Some(now.at);
    shown.mark_due = None;
}

impl MucRoom {
    /// A person's level of participation may have changed: sends their marks, or puts it off.
    pub(super) fn person_changed(&mut self, now: Now, room: &Room, person: PersonId) {
        let Some(view) = room.person(person).filter(|_| self.link.is_up()) else {
            return;
        };
        let mark = of(&view);
        for shown in self.occupants.iter_mut().filter(|s| s.person == person) {
            shown.mark_due = (shown.mark.as_ref() != Some(&mark)).then(|| shown.marked_at.map_or(now.at, |at| at + PAUSE));
        }
        self.send_due_marks(now, room);
    }

    /// Sends the marks whose time has come.
    pub(super) fn send_due_marks(&mut self, now: Now, room: &Room) {
        let is_due = |s: &Shown| s.mark_due.is_some_and(|due| due <= now.at);
        let due: Vec<_> = self.occupants.iter().filter(|s| is_due(s)).map(|s| s.id).collect();
        for id in due {
            self.show(now, room, id, |sketch| sketch, &[]);
        }
    }

    /// Takes all marks as seen: after an outage every client is shown everybody (rule R30), and while it lasts nobody sees anything.
    pub(super) fn settle_marks(&mut self, room: &Room) {
        for shown in self.occupants.iter_mut() {
            shown.mark = room.person(shown.person).map(|p| of(&p));
            shown.mark_due = None;
        }
    }

    /// When the next mark is due.
    pub(super) fn next_mark(&self) -> Option<Instant> {
        self.occupants.iter().filter_map(|s| s.mark_due).min()
    }
}
