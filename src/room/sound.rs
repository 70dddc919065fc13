//! What a room is told by sound besides voices: who comes and goes on the phone, and music for whoever is alone.

use crate::model::{MediaOrder, PersonId, Prompt};

use super::Room;

/// People on the phone up to whom comings and goings sound: more of them come and go all the time.
const TONES_UP_TO: usize = 8;

impl Room {
    /// Somebody's call has begun.
    pub(super) fn sound_of_joining(&mut self, person: PersonId) {
        let is_new = self.roster.person(person).is_some_and(|p| p.legs.len() == 1);
        if self.config.tones && is_new && (2..=TONES_UP_TO).contains(&self.people_on_phone()) {
            self.prompt(Prompt::Joined);
        }
        self.adjust_music();
    }

    /// Somebody's call has ended, and maybe the last of the room's.
    pub(super) fn sound_of_leaving(&mut self, person: PersonId) {
        if self.roster.legs() == 0 {
            self.stop_recording(None);
        }
        let is_gone = self.roster.person(person).is_none_or(|p| p.legs.is_empty());
        if self.config.tones && is_gone && (1..TONES_UP_TO).contains(&self.people_on_phone()) {
            self.prompt(Prompt::Left);
        }
        self.adjust_music();
    }

    /// Music is for the one caller, who hears nobody; a recording is of voices.
    pub(super) fn adjust_music(&mut self) {
        let wanted = self.settings.music && self.roster.legs() == 1 && self.recording.is_none();
        if std::mem::replace(&mut self.music, wanted) != wanted {
            self.out.order(MediaOrder::Music(self.name.clone(), wanted));
        }
    }

    pub(super) fn prompt(&mut self, prompt: Prompt) {
        self.out.order(MediaOrder::Prompt(self.name.clone(), prompt));
    }

    pub(super) fn people_on_phone(&self) -> usize {
        self.roster.people().filter(|(_, p)| !p.legs.is_empty()).count()
    }
}
