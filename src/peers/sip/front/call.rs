//! Calls: from INVITE to the room's answer, and to the end.

use std::net::IpAddr;
use std::time::Instant;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::model::media::{MediaFailure, Opening, PortKind, Unopened};
use crate::model::srtp::Policy;
use crate::model::{CallId, Correlation, Direction, Entry, LegId, LegMedia, LegStats, MediaOrder, MediaPlane, Now, RoomName};
use crate::room::{EndCause as RoomEnd, LegCause, Refusal};
use crate::sip::endpoint::{Body, EndCause, Flow, Presentation, Reason, Rejection};
use crate::sip::msg::{Host, Request, Uri, user_of_room};
use crate::sip::sdp::{self, IceSeed, LocalDtls, LocalMedia, Negotiation, Terms, Unacceptable};

use super::caller::Known;
use super::entrance::{Destination, Knock};
use super::keypad::KeyWay;
use super::lockout::Suspect;
use super::menu::{Menu, Question};
use super::record::CallRecord;
use super::succession::Pointed;
use super::{PROBE_EVERY, RoomLookup, SipFront, watch};
use crate::peers::sip::{ToRoom, refusal_response};

/// One call.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) leg: LegId,
    /// The room that it is in or asks; in the menu there may be none yet.
    pub(super) room: Option<RoomName>,
    /// Which of the rooms of this name.
    pub(super) life: Option<u64>,
    pub(super) flow: Flow,
    /// Their Contact URI as given: what a SUBSCRIBE of the same phone carries again.
    pub(super) contact: String,
    /// The proxies between them and us, likewise.
    pub(super) routes: Vec<(Host, Option<u16>)>,
    negotiation: Negotiation,
    /// Our answer, or our offer if theirs is to come with the ACK.
    pub(super) description: String,
    pub(super) state: State,
    /// What rooms are told of the caller, until one has let them in.
    pub(super) knock: Option<Box<Knock>>,
    /// Our 200 was acknowledged.
    pub(super) confirmed: bool,
    /// Our 200 brings our offer: their ACK has to bring the answer.
    awaits_answer: bool,
    pub(super) held: bool,
    /// When a phone on hold is asked for a sign of life.
    pub(super) probe_at: Option<Instant>,
    pub(super) listens_only: bool,
    /// By which way its keys come, once one has.
    pub(super) keys_by: Option<KeyWay>,
    /// The room called.
    ours: bool,
    /// The call whose place it takes, once it is let in (RFC 3891).
    pub(super) replaces: Option<CallId>,
}

impl Call {
    /// One that the room made, and that was answered.
    pub(super) fn of_ours(leg: LegId, room: RoomName, life: Option<u64>, flow: Flow, contact: String, negotiation: Negotiation) -> Self {
        Self {
            leg,
            room: Some(room),
            life,
            flow,
            contact,
            routes: Vec::new(),
            negotiation,
            description: String::new(),
            state: State::Accepted,
            knock: None,
            confirmed: true,
            awaits_answer: false,
            held: false,
            probe_at: None,
            listens_only: false,
            keys_by: None,
            ours: true,
            replaces: None,
        }
    }

    /// Whether the room made it.
    pub(super) fn is_ours(&self) -> bool {
        self.ours
    }
}

#[derive(Debug)]
pub(super) enum State {
    /// The room hasn't answered.
    Asked,
    /// Our 200 is out, and the caller is in the room.
    Accepted,
    /// Our 200 is out, and the caller is in no room yet.
    Menu(Box<Menu>),
}

impl Call {
    /// Its menu, and who is in it.
    pub(super) fn in_menu(&mut self) -> Option<(&mut Menu, &Knock)> {
        match (&mut self.state, &self.knock) {
            (State::Menu(menu), Some(knock)) => Some((menu, knock)),
            (State::Asked | State::Accepted | State::Menu(_), _) => None,
        }
    }

    /// Its menu, if it is in one.
    pub(super) fn menu(&self) -> Option<&Menu> {
        match &self.state {
            State::Menu(menu) => Some(menu),
            State::Asked | State::Accepted => None,
        }
    }
}

impl SipFront {
    /// Whether a request says that it comes from a room of ours: whose calls we make ourselves.
    fn is_from_room(&self, request: &Request, rooms: &dyn RoomLookup) -> bool {
        let from = request.headers.from().ok().map(|from| from.uri);
        let is_account = |uri: &Uri| uri.aor().is_some_and(|aor| self.accounts.by_aor(&aor).is_some());
        from.filter(|uri| !is_account(uri))
            .and_then(|uri| self.room_named(&uri))
            .is_some_and(|room| rooms.life(&room).is_some())
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of one event, and the two things outside that it touches"
    )]
    pub(super) fn invite(
        &mut self,
        now: Now,
        call: CallId,
        flow: Flow,
        request: &Request,
        offer: Option<Body>,
        pointed: Pointed,
        plane: &mut dyn MediaPlane,
        rooms: &dyn RoomLookup,
    ) {
        self.counters.calls += 1;
        match self.try_invite(now, call, flow, request, offer, pointed, plane, rooms) {
            Ok(()) => {}
            Err(rejection) => {
                // Gone: they hung up while we looked.
                let _ = self.endpoint.reject(now.at, call, rejection);
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "as above")]
    fn try_invite(
        &mut self,
        now: Now,
        call: CallId,
        flow: Flow,
        request: &Request,
        offer: Option<Body>,
        pointed: Pointed,
        plane: &mut dyn MediaPlane,
        rooms: &dyn RoomLookup,
    ) -> Result<(), Rejection> {
        if self.closing || self.draining {
            return Err(Rejection::new(503).retry_after(self.settings.retry_after));
        }
        let destination = match self.room_pointed_at(pointed)? {
            Some(room) => Destination::Room(room),
            None => self.destination(&request.uri, rooms).ok_or_else(|| {
                self.counters.not_found += 1;
                Rejection::new(404)
            })?,
        };
        // A call of ours that was sent back to us.
        if self.is_from_room(request, rooms) {
            return Err(Rejection::new(482));
        }
        let known = self.caller(now, flow, request)?;
        let suspects = Suspect::of(&known.caller, known.trunk.as_ref(), flow.remote.ip());
        let (room, created) = match destination {
            Destination::Room(room) => (Some(room), None),
            Destination::Factory => {
                let record = self.new_room(now, &known, rooms)?;
                (Some(record.name.clone()), Some(record))
            }
            Destination::Menu => match self.locked_out(now, &suspects) {
                Some(rejection) => return Err(rejection),
                None => (None, None),
            },
        };
        let Known { caller, account, trunk } = known;
        if let (Some(trunk), Some(room)) = (&trunk, &room)
            && !self.trunks.reaches(trunk, room)
        {
            self.counters.not_found += 1;
            return Err(Rejection::new(404));
        }
        let leg = LegId(self.next_leg);
        let correlation = Correlation(self.rng.random());
        let peer = flow.remote.ip();
        let terms = Terms {
            policy: self.settings.media.srtp,
            signalling_protected: flow.is_protected(),
        };
        let mut port = PortKind::Own;
        // What can't be met must not cost a port.
        if let Some(offer) = &offer {
            let (codecs, dtls) = (&self.settings.media.codecs, self.settings.media.fingerprint.is_some());
            port = sdp::check(&offer.bytes, codecs, peer, terms, dtls).map_err(|why| self.unacceptable(why))?;
        }
        let opening = Opening {
            leg,
            correlation,
            peer,
            room: room.clone(),
            port,
        };
        let open = plane.open(&opening).map_err(|why| {
            match why {
                Unopened::NoPorts => self.counters.no_ports += 1,
                Unopened::Overloaded => self.counters.overloaded += 1,
            }
            Rejection::new(503).retry_after(self.settings.retry_after)
        })?;
        self.next_leg += 1;
        let local = LocalMedia {
            rtp: open.rtp,
            rtcp: open.rtcp,
            session: self.rng.random_range(1..=i64::MAX as u64),
            codecs: self.settings.media.codecs.clone(),
            comfort_noise: self.settings.media.comfort_noise,
            dtls: self.settings.media.fingerprint.clone().map(|fingerprint| LocalDtls {
                fingerprint,
                // Of the two kinds of keys, asked for an offer, the one that can count here.
                offer: terms.policy == Policy::Required && !terms.signalling_protected,
            }),
            ice: (port == PortKind::Shared).then(|| IceSeed(self.rng.random())),
            terms,
        };
        let mut negotiation = Negotiation::new(local, StdRng::from_rng(&mut self.rng));
        let (description, media) = match describe(&mut negotiation, offer.as_ref(), peer) {
            Ok(done) => done,
            Err(why) => {
                plane.order(MediaOrder::Close(leg));
                return Err(self.unacceptable(why));
            }
        };
        let contact = request.headers.contact().map(|c| c.uri.to_string()).unwrap_or_default();
        self.records.insert(leg, CallRecord::new(now, correlation, room.as_ref(), &caller));
        self.legs.insert(leg, call);
        let knock = Knock {
            caller,
            account,
            trunk,
            ssrc: open.ssrc,
            correlation,
            suspects,
            entry: Entry::Nothing,
        };
        self.created.extend(created);
        self.calls.insert(
            call,
            Call {
                leg,
                room: None,
                life: None,
                flow,
                contact,
                routes: watch::routes(request),
                negotiation,
                description,
                state: State::Asked,
                knock: Some(Box::new(knock)),
                confirmed: false,
                awaits_answer: offer.is_none(),
                held: false,
                probe_at: None,
                listens_only: false,
                keys_by: None,
                ours: false,
                replaces: pointed.replaces,
            },
        );
        let (leads_to_menu, target) = (room.is_none(), room);
        if let Some(room) = target {
            self.knock(call, room, Entry::Nothing, rooms);
        }
        if let Some(media) = media {
            self.configure(now, call, media, plane);
        }
        if leads_to_menu {
            self.answer_by_menu(now, call, Question::Room, plane);
        }
        Ok(())
    }

    /// Hands what was negotiated to the media plane, and what people should see of it to the room.
    pub(super) fn configure(&mut self, now: Now, call: CallId, media: LegMedia, plane: &mut dyn MediaPlane) {
        let Some(call) = self.calls.get_mut(&call) else { return };
        let leg = call.leg;
        let (held, listens_only) = (media.on_hold, !media.on_hold && media.direction == Direction::SendOnly);
        if let Some(record) = self.records.get_mut(&leg) {
            record.codec = Some(media.codec);
        }
        plane.order(MediaOrder::Configure(leg, Box::new(media)));
        call.probe_at = held.then(|| now.at + PROBE_EVERY);
        let was_held = std::mem::replace(&mut call.held, held);
        let listened_only = std::mem::replace(&mut call.listens_only, listens_only);
        if was_held != held {
            self.tell_room_of(leg, ToRoom::Held(leg, held));
        }
        if listened_only != listens_only {
            self.tell_room_of(leg, ToRoom::ListensOnly(leg, listens_only));
        }
    }

    pub(super) fn admit(&mut self, now: Now, leg: LegId, correlation: Correlation, plane: &mut dyn MediaPlane) {
        // Hung up meanwhile: the room hears of it behind its own answer.
        let Some((id, call)) = self.by_leg(leg) else { return };
        if call.menu().is_some() {
            let (room, replaced) = (call.room.clone(), call.replaces.take());
            self.counters.admitted += 1;
            self.leave_menu(id, plane);
            if let Some(replaced) = replaced {
                self.hang_up_replaced(now, replaced);
            }
            if let Some(record) = self.records.get_mut(&leg) {
                (record.correlation, record.room) = (correlation, room);
            }
            return;
        }
        call.state = State::Accepted;
        let ours = call.ours;
        let replaced = call.replaces.take();
        call.knock = None;
        let description = Body::sdp(call.description.clone());
        // The factory's caller learns the room's own URI (RFC 4579 section 5.4).
        let presentation = Presentation {
            user: call.room.as_ref().map(user_of_room),
            focus: true,
        };
        self.counters.admitted += 1;
        if let Some(record) = self.records.get_mut(&leg) {
            record.answered(now, correlation);
        }
        if ours {
            return;
        }
        // Gone: the end of the call is reported by an event of its own.
        let _ = self.endpoint.accept(now.at, id, presentation, description);
        if let Some(replaced) = replaced {
            self.hang_up_replaced(now, replaced);
        }
    }

    pub(super) fn refuse(&mut self, now: Now, leg: LegId, refusal: Refusal, plane: &mut dyn MediaPlane, rooms: &dyn RoomLookup) {
        let Some((id, call)) = self.by_leg(leg) else {
            return plane.order(MediaOrder::Close(leg));
        };
        if call.menu().is_some() {
            return self.refused_in_menu(now, id, refusal, plane, rooms);
        }
        let ours = call.ours;
        // They may have one.
        let asked = call
            .knock
            .as_ref()
            .filter(|_| refusal == Refusal::Pin)
            .map(|knock| knock.suspects.clone());
        let rejection = match asked {
            Some(suspects) => match self.locked_out(now, &suspects) {
                None => return self.answer_by_menu(now, id, Question::Pin, plane),
                locked => locked,
            },
            None => None,
        };
        plane.order(MediaOrder::Close(leg));
        self.counters.refused += 1;
        if let Some(record) = self.records.get_mut(&leg) {
            record.ended(now, format!("refused: {refusal}"));
        }
        let (status, reason) = refusal_response(refusal);
        if ours {
            let text = reason.to_owned();
            let _ = self.endpoint.hang_up(now.at, id, Some(Reason { cause: status, text }));
        } else {
            let rejection = rejection.unwrap_or_else(|| Rejection::new(status).because(reason));
            let _ = self.endpoint.reject(now.at, id, rejection);
        }
    }

    pub(super) fn hang_up(&mut self, now: Now, leg: LegId, cause: &RoomEnd) {
        let Some((id, _)) = self.by_leg(leg) else { return };
        if let Some(record) = self.records.get_mut(&leg) {
            record.ended(now, ended_by_room(cause).to_owned());
        }
        let reason = reason(cause);
        let _ = self.endpoint.hang_up(now.at, id, reason);
    }

    pub(super) fn confirmed(&mut self, now: Now, call: CallId, answer: Option<Body>, plane: &mut dyn MediaPlane, rooms: &dyn RoomLookup) {
        let awaits_answer = self
            .calls
            .get_mut(&call)
            .is_some_and(|call| std::mem::take(&mut call.awaits_answer));
        if awaits_answer && answer.is_none() {
            return self.give_up(now, call, Unacceptable::Mismatch);
        }
        self.read_answer(now, call, answer, plane);
        if let Some(call) = self.calls.get_mut(&call) {
            call.confirmed = true;
            let leg = call.leg;
            // Only now they hear what they are asked.
            if !self.in_menu_of(now, leg, plane, rooms, Menu::begin) {
                self.tell_room_of(leg, ToRoom::Confirmed(leg));
            }
        }
    }

    /// Their answer to our offer has come before the call is taken.
    pub(super) fn early_answer(&mut self, now: Now, call: CallId, answer: Body, plane: &mut dyn MediaPlane) {
        if let Some(call) = self.calls.get_mut(&call) {
            call.awaits_answer = false;
        }
        self.read_answer(now, call, Some(answer), plane);
    }

    pub(super) fn reoffer_answered(&mut self, now: Now, call: CallId, answer: Option<Body>, plane: &mut dyn MediaPlane) {
        self.read_answer(now, call, answer, plane);
    }

    fn read_answer(&mut self, now: Now, id: CallId, answer: Option<Body>, plane: &mut dyn MediaPlane) {
        let (Some(answer), Some(call)) = (answer, self.calls.get_mut(&id)) else {
            return;
        };
        match call.negotiation.read_answer(&answer.bytes, call.flow.remote.ip()) {
            Ok(media) => self.configure(now, id, media, plane),
            Err(why) => self.give_up(now, id, why),
        }
    }

    /// The media of a call can't begin or go on.
    pub(super) fn media_failed(&mut self, now: Now, leg: LegId, why: MediaFailure) {
        let Some(id) = self.legs.get(&leg).copied() else { return };
        let (cause, text) = match why {
            MediaFailure::Fingerprint => (488, "the certificate does not fit the fingerprint"),
            MediaFailure::Handshake => (408, "no DTLS handshake"),
            MediaFailure::Closed => (200, "the media was closed"),
        };
        let text = text.to_owned();
        self.break_off(now, id, Reason { cause, text });
    }

    /// Ends a call whose media can't be agreed.
    fn give_up(&mut self, now: Now, id: CallId, why: Unacceptable) {
        self.counters.not_acceptable += 1;
        let (cause, text) = (why.status(), why.to_string());
        self.break_off(now, id, Reason { cause, text });
    }

    /// Ends a call for a reason of its own. The room, which has let it in, hears of it from here alone.
    pub(super) fn break_off(&mut self, now: Now, id: CallId, reason: Reason) {
        let Some(call) = self.calls.get(&id) else { return };
        let leg = call.leg;
        self.tell_room_of(leg, ToRoom::Gone(leg, LegCause::Failed));
        if let Some(record) = self.records.get_mut(&leg) {
            record.ended(now, reason.text.clone());
        }
        let _ = self.endpoint.hang_up(now.at, id, Some(reason));
    }

    pub(super) fn reoffer(&mut self, now: Now, id: CallId, flow: Flow, offer: Option<Body>, plane: &mut dyn MediaPlane) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        // An offer that is refused changes nothing (rule R43), the terms included.
        let mut next = call.negotiation.clone();
        if !flow.is_protected() {
            next.expose();
        }
        match describe(&mut next, offer.as_ref(), call.flow.remote.ip()) {
            Ok((description, media)) => {
                call.negotiation = next;
                if self.endpoint.accept_reoffer(now.at, id, Body::sdp(description)).is_ok()
                    && let Some(media) = media
                {
                    self.configure(now, id, media, plane);
                }
            }
            Err(why) => {
                let rejection = self.unacceptable(why);
                let _ = self.endpoint.reject_reoffer(now.at, id, rejection);
            }
        }
    }

    fn unacceptable(&mut self, why: Unacceptable) -> Rejection {
        self.counters.not_acceptable += 1;
        let agent = self.settings.hosts.first().map_or("cusax", String::as_str);
        Rejection::new(why.status()).with("Warning", why.warning(agent))
    }

    pub(super) fn ended(&mut self, now: Now, id: CallId, cause: &EndCause, plane: &mut dyn MediaPlane) {
        let Some(call) = self.calls.remove(&id) else { return };
        self.legs.remove(&call.leg);
        self.dials.hung_up(now, call.leg);
        let (leg_cause, words) = ended_by_peer(cause);
        if let Some(record) = self.records.get_mut(&call.leg) {
            record.ended(now, words.to_owned());
        }
        self.finish(call.leg);
        self.bound_records();
        match cause {
            // The room knows, or never took the call in.
            EndCause::WeHungUp | EndCause::Rejected => {}
            EndCause::TheyHungUp { .. }
            | EndCause::Cancelled { .. }
            | EndCause::Unanswered
            | EndCause::NoAck
            | EndCause::Refused { .. }
            | EndCause::WeCancelled
            | EndCause::Unreachable(_)
            | EndCause::Expired
            | EndCause::Lost => self
                .to_rooms
                .extend(call.room.map(|room| (room, ToRoom::Gone(call.leg, leg_cause)))),
        }
        // The room closes the media of calls that it took in; of others nobody else will.
        if matches!(call.state, State::Asked | State::Menu(_)) {
            plane.order(MediaOrder::Close(call.leg));
        }
    }

    /// Asks phones on hold for a sign of life; the endpoint ends the calls of those that give none.
    pub(super) fn probe_held(&mut self, now: Now) {
        for (id, call) in self.calls.iter_mut().filter(|(_, c)| c.probe_at.is_some_and(|at| at <= now.at)) {
            call.probe_at = Some(now.at + PROBE_EVERY);
            // Busy with another request is a sign of life, and a call that is over needs none.
            let _ = self.endpoint.probe(now.at, *id);
        }
    }

    /// The room's task is gone; `life` is of the room that has its name now.
    pub(super) fn abandon_calls(&mut self, now: Now, room: &RoomName, life: Option<u64>, plane: &mut dyn MediaPlane) {
        let left: Vec<(CallId, LegId, bool)> = self
            .calls
            .iter()
            .filter(|(_, c)| c.room.as_ref() == Some(room) && (life.is_none() || c.life != life))
            .map(|(id, c)| (*id, c.leg, matches!(c.state, State::Asked)))
            .collect();
        for (id, leg, unanswered) in left {
            plane.order(MediaOrder::Close(leg));
            if life.is_some() {
                // Asked of the one room, it may have been let in by the other.
                self.tell_room_of(leg, ToRoom::Gone(leg, LegCause::Failed));
            }
            let _ = if unanswered {
                self.endpoint.reject(now.at, id, Rejection::new(480))
            } else {
                self.endpoint.hang_up(now.at, id, reason(&RoomEnd::RoomGone))
            };
        }
    }

    fn by_leg(&mut self, leg: LegId) -> Option<(CallId, &mut Call)> {
        let id = *self.legs.get(&leg)?;
        Some((id, self.calls.get_mut(&id)?))
    }

    /// The media of a call is closed.
    pub(super) fn media_closed(&mut self, leg: LegId, stats: LegStats) {
        if let Some(record) = self.records.get_mut(&leg) {
            record.stats = Some(stats);
        }
        // By the room's order, and then it doesn't know the leg any more; or for a failure over there, which it hears of from here alone.
        self.tell_room_of(leg, ToRoom::Gone(leg, LegCause::Failed));
        self.finish(leg);
    }

    /// A call is over when its dialog and its media are.
    fn finish(&mut self, leg: LegId) {
        let counted = self.records.get(&leg).is_some_and(|record| record.stats.is_some());
        if counted && !self.legs.contains_key(&leg) {
            self.finished.extend(self.records.remove(&leg));
        }
    }

    /// Legs whose last numbers never came must not pile up.
    fn bound_records(&mut self) {
        while self.records.len() > self.calls.len() + super::RECORDS_MAX {
            let Some(oldest) = self.records.keys().find(|leg| !self.legs.contains_key(leg)).copied() else {
                return;
            };
            self.finished.extend(self.records.remove(&oldest));
        }
    }
}

/// Our description, and what it settles: an answer to an offer, or an offer of ours to a request without one.
fn describe(negotiation: &mut Negotiation, offer: Option<&Body>, peer: IpAddr) -> Result<(String, Option<LegMedia>), Unacceptable> {
    match offer {
        Some(offer) => negotiation.answer(&offer.bytes, peer).map(|(answer, media)| (answer, Some(media))),
        None => Ok((negotiation.offer(), None)),
    }
}

/// `Reason` of our BYE (RFC 3326).
fn reason(cause: &RoomEnd) -> Option<Reason> {
    let (cause, text) = match cause {
        RoomEnd::Departed => return None,
        RoomEnd::Failed => (408, "No media".to_owned()),
        RoomEnd::Kicked { why, .. } => (603, why.clone().unwrap_or_else(|| "Removed from the room".to_owned())),
        RoomEnd::Banned { why, .. } => (603, why.clone().unwrap_or_else(|| "Banned from the room".to_owned())),
        RoomEnd::MembershipLost => (403, "Members only".to_owned()),
        RoomEnd::RoomGone => (410, "The room is closed".to_owned()),
        RoomEnd::Shutdown => (503, "The server goes down".to_owned()),
        RoomEnd::MeetingOver { why, .. } => (200, why.clone().unwrap_or_else(|| "The meeting is over".to_owned())),
    };
    Some(Reason { cause, text })
}

fn ended_by_room(cause: &RoomEnd) -> &'static str {
    match cause {
        RoomEnd::Departed => "hung up",
        RoomEnd::Failed => "no media",
        RoomEnd::Kicked { .. } => "removed",
        RoomEnd::Banned { .. } => "banned",
        RoomEnd::MembershipLost => "members only",
        RoomEnd::RoomGone => "room gone",
        RoomEnd::Shutdown => "server went down",
        RoomEnd::MeetingOver { why: None, .. } => "meeting ended",
        RoomEnd::MeetingOver { why: Some(_), .. } => "meeting reached a limit",
    }
}

fn ended_by_peer(cause: &EndCause) -> (LegCause, &'static str) {
    match cause {
        EndCause::TheyHungUp { .. } => (LegCause::Departed, "hung up"),
        EndCause::Cancelled { .. } => (LegCause::Departed, "cancelled"),
        EndCause::WeHungUp | EndCause::WeCancelled => (LegCause::Departed, "ended"),
        EndCause::Rejected => (LegCause::Failed, "refused"),
        EndCause::Unanswered => (LegCause::Failed, "not answered"),
        EndCause::NoAck => (LegCause::Failed, "never acknowledged"),
        EndCause::Refused { .. } => (LegCause::Failed, "refused by the peer"),
        EndCause::Unreachable(_) => (LegCause::Failed, "unreachable"),
        EndCause::Expired => (LegCause::Failed, "session expired"),
        EndCause::Lost => (LegCause::Failed, "lost"),
    }
}
