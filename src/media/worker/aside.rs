//! What a media thread does for one leg alone: speech, waiting music, volume, keys in sound.

use mixer::{Keys, Player};

use super::{super::order::Task, Worker};
use crate::model::Volume;

impl Worker {
    /// Says something to a leg as soon as a packet can be sent to it, in place of what is being said or was to be.
    pub(super) fn say(&mut self, index: usize, speech: Option<Box<Player>>) {
        let Some(leg) = self.legs.at_mut(index) else { return };
        let unsaid = std::mem::replace(&mut leg.speech, speech);
        let room = leg.room.and_then(|r| self.rooms[r].as_mut());
        let unsaid_there = room.and_then(|room| room.say(index, None));
        for speech in [unsaid, unsaid_there].into_iter().flatten() {
            self.put_away(Task::Played(speech));
        }
        self.begin_speech(index);
    }

    /// Begins what was to be said to a leg, if now a packet can be sent to it.
    pub(super) fn begin_speech(&mut self, index: usize) {
        let Some(leg) = self.legs.at_mut(index).filter(|leg| leg.speech.is_some() && leg.is_ready()) else {
            return;
        };
        if let Some(room) = leg.room.and_then(|r| self.rooms[r].as_mut())
            && let Some(unsaid) = room.say(index, leg.speech.take())
        {
            self.put_away(Task::Played(unsaid));
        }
    }

    /// Lets a leg in the vestibule hear the music, or no more.
    pub(super) fn wait(&mut self, index: usize, on: bool) {
        let Some(leg) = self.legs.at_mut(index) else { return };
        leg.waits = on && leg.spot.room.is_none();
        self.redirect(index);
    }

    pub(super) fn set_volume(&mut self, index: usize, volume: Volume) {
        let Some(leg) = self.legs.at_mut(index) else { return };
        leg.volume = volume;
        self.redirect(index);
    }

    /// Has keys be found in a leg's sound, or no more.
    pub(super) fn find_keys(&mut self, index: usize, keys: Option<Box<Keys>>) {
        let Some(leg) = self.legs.at_mut(index) else { return };
        leg.wants_keys = keys.is_some();
        let before = std::mem::replace(&mut leg.keys, keys);
        let room = leg.room.and_then(|r| self.rooms[r].as_mut());
        let used = room.and_then(|room| room.find_keys(index, None));
        for keys in [before, used].into_iter().flatten() {
            self.put_away(Task::Unneeded(keys));
        }
        self.mind_keys(index);
    }

    /// Has keys be found, or no more, by what was ordered and negotiated so far.
    pub(super) fn mind_keys(&mut self, index: usize) {
        let Some(leg) = self.legs.at_mut(index) else { return };
        let Some(room) = leg.room.and_then(|r| self.rooms[r].as_mut()) else {
            return;
        };
        if !leg.finds_keys() {
            leg.keys = room.find_keys(index, None).or_else(|| leg.keys.take());
        } else if let Some(keys) = leg.keys.take() {
            leg.keys = room.find_keys(index, Some(keys));
        }
    }

    fn redirect(&mut self, index: usize) {
        let Some(leg) = self.legs.at_mut(index) else { return };
        if let Some(room) = leg.room.and_then(|r| self.rooms[r].as_mut()) {
            room.direct(index, leg);
        }
    }
}
