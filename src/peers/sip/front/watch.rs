//! Subscriptions to conference state (RFC 4575, RFC 6665): who asks, and the way to the room.

use crate::model::{CallId, Now, RoomName, SubscriptionId};
use crate::peers::sip::{ToRoom, WatchEnd, Watcher, refusal_response};
use crate::room::Refusal;
use crate::sip::endpoint::{Body, CommandError, Flow, Rejection, TerminationReason};
use crate::sip::msg::{Host, Request};

use super::entrance::Destination;
use super::{RoomLookup, SipFront, focus};

/// The type of a conference document.
const CONFERENCE_INFO: &str = "application/conference-info+xml";

/// One subscription.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) room: RoomName,
    life: Option<u64>,
}

impl SipFront {
    pub(super) fn subscribe(
        &mut self,
        now: Now,
        subscription: SubscriptionId,
        call: Option<CallId>,
        flow: Flow,
        request: &Request,
        rooms: &dyn RoomLookup,
    ) {
        match self.try_subscribe(now, call, flow, request, rooms) {
            Ok((room, watcher)) => {
                self.to_rooms.push_back((room.clone(), ToRoom::Watch { subscription, watcher }));
                let life = rooms.life(&room);
                self.watches.insert(subscription, Watch { room, life });
            }
            Err(rejection) => {
                // Gone: the transaction has run out meanwhile.
                let _ = self.endpoint.reject_subscription(now.at, subscription, rejection);
            }
        }
    }

    fn try_subscribe(
        &mut self,
        now: Now,
        call: Option<CallId>,
        flow: Flow,
        request: &Request,
        rooms: &dyn RoomLookup,
    ) -> Result<(RoomName, Watcher), Rejection> {
        // RFC 4575 section 3.4: without Accept, conference-info is meant.
        let accepted = match request.headers.accept() {
            Ok(Some(types)) => types.iter().any(|t| t.covers("application", "conference-info+xml")),
            Ok(None) => true,
            Err(_) => return Err(Rejection::new(400).because("Bad Accept")),
        };
        if !accepted {
            return Err(Rejection::new(406).with("Accept", CONFERENCE_INFO));
        }
        if let Some(call) = call.and_then(|id| self.calls.get(&id)) {
            // In the menu there is nothing to watch yet.
            let room = call.room.clone().filter(|_| call.menu().is_none());
            return room.map(|room| (room, Watcher::Leg(call.leg))).ok_or_else(|| Rejection::new(480));
        }
        let Some(destination) = self.destination(&request.uri, rooms) else {
            self.counters.not_found += 1;
            return Err(Rejection::new(404));
        };
        // RFC 4579 section 3.4 wants the SUBSCRIBE outside of the call's dialog. A phone without an account is known again by the flow of
        // its call, and the Contact and the proxies that it named there: whoever forges all that has the documents sent to that phone.
        let contact = request.headers.contact().ok().map(|c| c.uri.to_string());
        let routes = routes(request);
        let own_call = self
            .calls
            .values()
            .filter(|c| c.flow == flow && Some(&c.contact) == contact.as_ref() && c.routes == routes && c.menu().is_none())
            .filter_map(|c| Some((c.room.as_ref()?, c.leg)))
            // Whoever has called the menu knows its number alone.
            .find(|(room, _)| matches!(&destination, Destination::Menu) || destination == Destination::Room((*room).clone()));
        if let Some((room, leg)) = own_call {
            return Ok((room.clone(), Watcher::Leg(leg)));
        }
        let Destination::Room(room) = destination else {
            return Err(Rejection::new(404));
        };
        Ok((room, Watcher::Caller(self.proven_caller(now, flow, request)?)))
    }

    pub(super) fn accept_watch(&mut self, now: Now, subscription: SubscriptionId) {
        let done = self.endpoint.accept_subscription(now.at, subscription, &focus());
        self.drop_if_gone(subscription, done);
    }

    pub(super) fn refuse_watch(&mut self, now: Now, subscription: SubscriptionId, refusal: Refusal) {
        self.watches.remove(&subscription);
        // Watching is a right that they lack, whatever the room calls it.
        let (status, reason) = if refusal == Refusal::NotInRoom {
            (403, "Only Participants May Watch")
        } else {
            refusal_response(refusal)
        };
        let _ = self
            .endpoint
            .reject_subscription(now.at, subscription, Rejection::new(status).because(reason));
    }

    pub(super) fn notify(&mut self, now: Now, subscription: SubscriptionId, document: Vec<u8>) {
        let body = Body {
            content_type: CONFERENCE_INFO.to_owned(),
            bytes: document,
        };
        let done = self.endpoint.notify(now.at, subscription, body);
        self.drop_if_gone(subscription, done);
    }

    pub(super) fn terminate(&mut self, now: Now, subscription: SubscriptionId, why: WatchEnd) {
        self.watches.remove(&subscription);
        let reason = match why {
            WatchEnd::NoResource => TerminationReason::NoResource,
            WatchEnd::Rejected => TerminationReason::Rejected,
        };
        let _ = self.endpoint.terminate(now.at, subscription, reason, None);
    }

    /// The room's task is gone; `life` is of the room that has its name now.
    pub(super) fn abandon_watches(&mut self, now: Now, room: &RoomName, life: Option<u64>) {
        let is_left = |watch: &Watch| watch.room == *room && (life.is_none() || watch.life != life);
        let left: Vec<SubscriptionId> = self.watches.iter().filter(|(_, w)| is_left(w)).map(|(id, _)| *id).collect();
        for subscription in left {
            if life.is_some() {
                // Asked of the one room, it may have come to the other.
                self.tell_watch(subscription, ToRoom::Unwatch(subscription));
            }
            self.terminate(now, subscription, WatchEnd::NoResource);
        }
    }

    /// A subscription that the endpoint has forgotten must not linger in the room.
    fn drop_if_gone(&mut self, subscription: SubscriptionId, done: Result<(), CommandError>) {
        if done == Err(CommandError::Gone)
            && let Some(watch) = self.watches.remove(&subscription)
        {
            self.to_rooms.push_back((watch.room, ToRoom::Unwatch(subscription)));
        }
    }
}

/// The hosts through which a dialog with the sender leads. The rest of a route differs from dialog to dialog.
pub(super) fn routes(request: &Request) -> Vec<(Host, Option<u16>)> {
    let routes = request.headers.record_route().unwrap_or_default();
    routes
        .iter()
        .filter_map(|route| route.uri.as_sip())
        .map(|uri| (uri.host.clone(), uri.port))
        .collect()
}
