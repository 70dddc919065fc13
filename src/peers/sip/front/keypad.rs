//! Keys pressed in calls, whichever the way by which they come.

use crate::model::{CallId, LegId};
use crate::peers::sip::ToRoom;
use crate::sip::endpoint::Body;

use super::{SipFront, info};

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
    pub(super) fn key_by_media(&mut self, leg: LegId, key: char) {
        if let Some(call) = self.legs.get(&leg) {
            self.key(*call, KeyWay::Media, key);
        }
    }

    /// An INFO came in a call.
    pub(super) fn info(&mut self, call: CallId, body: Option<&Body>) {
        if let Some(key) = body.and_then(info::key) {
            self.key(call, KeyWay::Info, key);
        }
    }

    /// Some phones send each key by both ways, and some negotiate telephone-event and send INFO alone: the way of a call's first key is that of
    /// all its keys, so that each press counts once.
    fn key(&mut self, id: CallId, way: KeyWay, key: char) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        if *call.keys_by.get_or_insert(way) == way {
            let leg = call.leg;
            self.tell_room_of(leg, ToRoom::Digit(leg, key));
        }
    }
}
