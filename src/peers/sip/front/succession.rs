//! Calls that point at other calls: to take their place in the room (RFC 3891), or to join the conference that they are in (RFC 3911).

use crate::model::{CallId, Now, RoomName};
use crate::peers::sip::ToRoom;
use crate::sip::endpoint::Rejection;

use super::SipFront;

/// What a new call wants of one that there is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pointed {
    /// To take its place.
    pub(super) replaces: Option<CallId>,
    /// To be with it.
    pub(super) join: Option<CallId>,
}

impl SipFront {
    /// The room of the call that is pointed at, whatever the request's URI says; `None` if none is.
    pub(super) fn room_pointed_at(&self, pointed: Pointed) -> Result<Option<RoomName>, Rejection> {
        let Some(call) = pointed.replaces.or(pointed.join) else {
            return Ok(None);
        };
        // It has ended in this very moment.
        let call = self.calls.get(&call).ok_or_else(|| Rejection::new(481))?;
        // Whoever is in the menu is in no room.
        let room = call.room.clone().filter(|_| call.menu().is_none());
        room.map(Some).ok_or_else(|| Rejection::new(481))
    }

    /// The wish to come in, of a call that takes another's place: the room sees both at once.
    pub(super) fn as_successor(&self, replaces: Option<CallId>, join: ToRoom) -> ToRoom {
        let Some(old) = replaces.and_then(|call| self.calls.get(&call)) else {
            return join;
        };
        ToRoom::TakeOver {
            old: old.leg,
            join: Box::new(join),
        }
    }

    /// The successor is in, and the room has let the other one go.
    pub(super) fn hang_up_replaced(&mut self, now: Now, replaced: CallId) {
        if let Some(record) = self.calls.get(&replaced).and_then(|call| self.records.get_mut(&call.leg)) {
            record.ended(now, "replaced".to_owned());
        }
        // Gone: it has hung up by itself.
        let _ = self.endpoint.hang_up(now.at, replaced, None);
    }
}
