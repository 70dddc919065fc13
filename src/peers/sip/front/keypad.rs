//! Keys pressed in calls, whichever the way by which they come.

use crate::model::{CallId, LegId, MediaPlane, Now};
use crate::peers::sip::ToRoom;
use crate::sip::endpoint::Body;

use super::{RoomLookup, SipFront, info};

/// How a call's keys come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyWay {
    /// With the voice: telephone-event (RFC 4733), or its sound.
    Media,
    /// In INFO requests.
    Info,
}

impl SipFront {
    /// The media plane heard a key.
    pub(super) fn key_by_media(&mut self, now: Now, leg: LegId, key: char, plane: &mut dyn MediaPlane, rooms: &dyn RoomLookup) {
        if let Some(call) = self.legs.get(&leg).copied()
            && self.counts(call, KeyWay::Media)
        {
            self.key(now, leg, key, plane, rooms);
        }
    }

    /// An INFO came in a call.
    pub(super) fn info(&mut self, now: Now, call: CallId, body: Option<&Body>, plane: &mut dyn MediaPlane, rooms: &dyn RoomLookup) {
        if let Some(key) = body.and_then(info::key)
            && let Some(leg) = self.calls.get(&call).map(|call| call.leg)
            && self.counts(call, KeyWay::Info)
        {
            self.key(now, leg, key, plane, rooms);
        }
    }

    /// Some phones send each key by both ways, and some negotiate telephone-event and send INFO alone: the way of a call's first key is that of
    /// all its keys, so that each press counts once.
    fn counts(&mut self, id: CallId, way: KeyWay) -> bool {
        self.calls.get_mut(&id).is_some_and(|call| *call.keys_by.get_or_insert(way) == way)
    }

    fn key(&mut self, now: Now, leg: LegId, key: char, plane: &mut dyn MediaPlane, rooms: &dyn RoomLookup) {
        if !self.in_menu_of(now, leg, plane, rooms, |menu, now| menu.handle_key(now, key)) {
            self.tell_room_of(leg, ToRoom::Digit(leg, key));
        }
    }
}
