//! What rooms are played, and what of them is recorded.

use std::time::{SystemTime, UNIX_EPOCH};

use mixer::{Player, Sound};
use rand::Rng;

use super::{
    super::{
        order::{Order, RoomOrder},
        sounds::{Clip, FILE, MUSIC, PROMPT, TONE, once},
    },
    KnownRoom, Plane,
};
use crate::model::{MediaReport, RoomName, media::Prompt};

impl Plane {
    /// Plays a clip to everybody in a room; `false` if nobody is there to hear it.
    pub fn play(&self, name: &RoomName, clip: &Clip) -> bool {
        let room = self.rooms.get(name);
        if let Some(room) = room {
            self.play_in(room, FILE, once(clip));
        }
        room.is_some()
    }

    pub(super) fn prompt(&self, name: &RoomName, prompt: Prompt) {
        if let Some(room) = self.rooms.get(name) {
            let sound = match prompt {
                Prompt::RecordingStarted | Prompt::RecordingStopped => PROMPT,
                Prompt::Joined | Prompt::Left => TONE,
            };
            self.play_in(room, sound, self.sounds.prompt(prompt));
        }
    }

    /// Begins or ends the music of a room.
    pub(super) fn music(&mut self, name: &RoomName, on: bool) {
        let Some(room) = self.rooms.get_mut(name) else { return };
        if std::mem::replace(&mut room.music, on) == on {
            return;
        }
        let room = &self.rooms[name];
        match self.sounds.music() {
            Some(player) if on => self.play_in(room, MUSIC, player),
            Some(_) | None => self.tell_room(room, RoomOrder::StopSound(MUSIC)),
        }
    }

    /// Begins or ends the recording of a room.
    pub(super) fn record(&mut self, name: &RoomName, on: bool) {
        let Some(recorder) = &self.recorder else {
            if on {
                self.refuse_recording(name);
            }
            return;
        };
        let tape = if on {
            if !self.recorded.insert(name.clone()) {
                return;
            }
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            recorder.record(name, now.as_millis() as u64, self.rng.random());
            self.rooms.contains_key(name).then(|| recorder.tape(name))
        } else {
            if !self.recorded.remove(name) {
                return;
            }
            recorder.stop(name);
            None
        };
        if let Some(room) = self.rooms.get(name) {
            self.tell_room(room, RoomOrder::Record(tape));
        }
    }

    /// A server without a folder for recordings was asked for one.
    fn refuse_recording(&self, room: &RoomName) {
        let ended = MediaReport::RecordingEnded {
            room: room.clone(),
            lost_ms: 0,
            error: Some("this server records nothing".to_owned()),
        };
        // If the channel is full, the room's own state stays as it is, and the operator has the log.
        if self.reports.try_send(ended).is_err() {
            tracing::error!(%room, "this server records nothing");
        }
    }

    /// Gives a mixer that has just started for a room what belongs to the room.
    pub(super) fn furnish(&self, name: &RoomName, room: &KnownRoom) {
        if let Some(recorder) = self.recorder.as_ref().filter(|_| self.recorded.contains(name)) {
            self.tell_room(room, RoomOrder::Record(Some(recorder.tape(name))));
        }
        if let Some(player) = self.sounds.music().filter(|_| room.music) {
            self.play_in(room, MUSIC, player);
        }
    }

    fn play_in(&self, room: &KnownRoom, sound: Sound, player: Box<Player>) {
        self.tell_room(room, RoomOrder::Play(sound, player));
    }

    fn tell_room(&self, room: &KnownRoom, order: RoomOrder) {
        self.workers[room.worker].line.send(Order::Room(room.key, order));
    }
}
