//! REFER to a room (RFC 4579 sections 5.5, 5.6 and 5.11): adds somebody by a call of ours, or removes them. Whether that is done is the room's
//! decision (rule R47); here it is found out who asks, and what exactly.

use crate::model::{CallId, DialFailure, Now, ReferId, RoomName};
use crate::peers::sip::{Referral, ToRoom, Watcher, refusal_response};
use crate::room::Refusal;
use crate::sip::endpoint::{Flow, Rejection};
use crate::sip::msg::{Method, ReferTo, Request, Uri};

use super::entrance::Destination;
use super::{RoomLookup, SipFront, focus};

/// A REFER that a room hasn't decided on, or whose call isn't begun.
#[derive(Debug)]
pub(super) struct Referred {
    room: RoomName,
    /// For the INVITE: of what was embedded in the Refer-To only what names another call (rule R47).
    pub(super) headers: Vec<(String, String)>,
}

impl SipFront {
    pub(super) fn refer(
        &mut self,
        now: Now,
        refer: ReferId,
        call: Option<CallId>,
        flow: Flow,
        (request, to): (&Request, &ReferTo),
        rooms: &dyn RoomLookup,
    ) {
        self.counters.refers += 1;
        match self.try_refer(now, call, flow, request, to, rooms) {
            Ok((room, by, what)) => {
                let headers = embedded(to);
                self.referred.insert(
                    refer,
                    Referred {
                        room: room.clone(),
                        headers,
                    },
                );
                self.to_rooms.push_back((room, ToRoom::Refer { refer, by, what }));
            }
            Err(rejection) => self.reject_refer(now, refer, rejection),
        }
    }

    fn try_refer(
        &mut self,
        now: Now,
        call: Option<CallId>,
        flow: Flow,
        request: &Request,
        to: &ReferTo,
        rooms: &dyn RoomLookup,
    ) -> Result<(RoomName, Watcher, Referral), Rejection> {
        let (room, by) = match call.and_then(|id| self.calls.get(&id)) {
            Some(call) => {
                // Whoever is in the menu is in no room.
                let room = call.room.clone().filter(|_| call.menu().is_none());
                (room.ok_or_else(|| Rejection::new(403))?, Watcher::Leg(call.leg))
            }
            None => {
                let Some(Destination::Room(room)) = self.destination(&request.uri, rooms) else {
                    self.counters.not_found += 1;
                    return Err(Rejection::new(404));
                };
                (room, Watcher::Caller(self.proven_caller(now, flow, request)?))
            }
        };
        // RFC 3261 section 21.4.14.
        let is_known = matches!(to.uri, Uri::Sip(_)) || to.uri.scheme().eq_ignore_ascii_case("tel");
        if !is_known {
            return Err(Rejection::new(416));
        }
        let target = to.uri.to_string();
        let what = if to.method == Method::Invite {
            let name = to.name.clone();
            Referral::Add { target, name }
        } else if to.method == Method::Bye {
            Referral::Remove { entity: target }
        } else {
            return Err(Rejection::new(403).because("Only INVITE And BYE Are Sent"));
        };
        Ok((room, by, what))
    }

    pub(super) fn accept_refer(&mut self, now: Now, refer: ReferId) {
        // Gone: the referrer doesn't want to know any more, and what they asked for is done all the same.
        let _ = self.endpoint.accept_refer(now.at, refer, &focus());
    }

    pub(super) fn refuse_refer(&mut self, now: Now, refer: ReferId, refusal: Refusal) {
        self.referred.remove(&refer);
        let (status, reason) = refusal_response(refusal);
        self.reject_refer(now, refer, Rejection::new(status).because(reason));
    }

    /// What was asked for is done, or came to nothing.
    pub(super) fn end_refer(&mut self, now: Now, refer: ReferId, status: u16) {
        self.referred.remove(&refer);
        let _ = self.endpoint.refer_progress(now.at, refer, status, "", true);
    }

    pub(super) fn fail_refer(&mut self, now: Now, refer: Option<ReferId>, why: DialFailure) {
        if let Some(refer) = refer {
            self.end_refer(now, refer, status(why));
        }
    }

    fn reject_refer(&mut self, now: Now, refer: ReferId, rejection: Rejection) {
        // A challenge is no refusal.
        self.counters.refers_refused += u64::from(rejection.status != 401);
        let _ = self.endpoint.reject_refer(now.at, refer, rejection);
    }

    /// A room's task is gone: what it hasn't decided on, nobody will.
    pub(super) fn abandon_refers(&mut self, now: Now, room: &RoomName) {
        let left: Vec<ReferId> = self.referred.iter().filter(|(_, r)| r.room == *room).map(|(id, _)| *id).collect();
        for refer in left {
            self.refuse_refer(now, refer, Refusal::Closing);
        }
    }
}

fn embedded(to: &ReferTo) -> Vec<(String, String)> {
    let replaces = to.replaces.iter().map(|id| ("Replaces", id.to_string()));
    let join = to.join.iter().map(|id| ("Join", id.to_string()));
    let require = Some(to.require.join(", ")).filter(|r| !r.is_empty());
    let all = replaces.chain(join).chain(require.map(|r| ("Require", r)));
    all.map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The response that a failure is told as (RFC 3515 section 2.4.5).
fn status(why: DialFailure) -> u16 {
    match why {
        DialFailure::Busy => 486,
        DialFailure::NoAnswer => 480,
        DialFailure::Declined => 603,
        DialFailure::NotFound => 404,
        DialFailure::Unreachable | DialFailure::NoWay | DialFailure::Overloaded => 503,
        DialFailure::NoMedia => 488,
        DialFailure::Loop => 482,
        DialFailure::SentAway | DialFailure::Limit | DialFailure::NotAdmitted => 403,
        DialFailure::Cancelled => 487,
        DialFailure::Refused(status) => status,
    }
}
