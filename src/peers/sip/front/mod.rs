//! Beside the SIP endpoint, once: finds the room, proves the caller, negotiates media. Holds no state of any room.

mod call;
mod caller;
mod dial;
mod entrance;
mod factory;
mod info;
mod keypad;
mod links;
mod lockout;
mod menu;
mod proof;
mod record;
mod refer;
mod succession;
mod trunks;
mod watch;
mod ways;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::model::control::TrunkReport;
use crate::model::dtls::Fingerprint;
use crate::model::entry::NumberMap;
use crate::model::media::Codec;
use crate::model::srtp::Policy;
use crate::model::trunk::Trunk;
use crate::model::{CallId, Directory, LegId, MediaPlane, MediaReport, Now, ReferId, RoomName, RoomRecord, SubscriptionId};
use crate::sip::auth::{Algorithm, Authenticator};
use crate::sip::endpoint::{Endpoint, Event, Inbound, OptionsAnswer, OptionsId, Presentation, Rejection, Transmit};
use crate::sip::locate::{Lookup, LookupAnswer};
use crate::sip::msg::{Host, Request, Uri, room_of_user};

use super::{FromRoom, ToRoom};
use call::Call;
pub use dial::DialSettings;
use dial::Dials;
use entrance::Entrances;
pub use factory::{FactoryRight, FactorySettings};
use links::Links;
use menu::Menu;
use proof::Proofs;
pub use record::CallRecord;
use refer::Referred;
use trunks::Trunks;
use watch::Watch;

/// Call records waiting for their last numbers from the media plane; beyond it they are written without.
const RECORDS_MAX: usize = 4096;

/// How often a phone on hold, which owes no packets, is asked whether it is still there (rule R44): as often as others would be missed.
const PROBE_EVERY: Duration = Duration::from_secs(30);

/// Events that are seen to between two looks at the sockets: some 2 ms.
const SLICE: usize = 16;

/// Messages that wait for rooms; beyond it events wait, within the endpoint's limits.
const ROOMS_BACKLOG: usize = 1024;

/// What the front is told about its service.
#[derive(Debug, Clone)]
pub struct FrontSettings {
    /// Domain of the conference URIs, and hosts that mean the same: advertised names and addresses.
    pub hosts: Vec<String>,
    /// Digest realm.
    pub realm: String,
    /// Digest algorithms, best first; not empty.
    pub digest: Vec<Algorithm>,
    /// Callers without an account are let through to the rooms, which may still refuse them (rule R14).
    pub unproven_callers: bool,
    /// Codecs and the like.
    pub media: MediaSettings,
    /// Numbers that lead to rooms, or to the menu (rule R14).
    pub numbers: NumberMap,
    /// What an overloaded or closing server tells callers to wait.
    pub retry_after: Duration,
    /// Providers and PBXs, in the order in which they are tried.
    pub trunks: Vec<Trunk>,
    /// Calls that rooms make (rule R47).
    pub dial: DialSettings,
    /// Which calls make rooms (RFC 4579 section 5.4).
    pub factory: Option<FactorySettings>,
}

/// What calls are offered and answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaSettings {
    /// Best first; not empty.
    pub codecs: Vec<Codec>,
    /// Comfort noise may be negotiated (rule R62).
    pub comfort_noise: bool,
    /// Whether it has to be protected (rule R72).
    pub srtp: Policy,
    /// Of the certificate that DTLS-SRTP shows; without it there is none.
    pub fingerprint: Option<Fingerprint>,
}

/// Whether a room can be dialled.
pub trait RoomLookup {
    /// It exists and takes calls.
    fn dialable(&self, name: &RoomName) -> bool;
    /// The room with this number (rule R14), which may not be dialled.
    fn by_number(&self, number: &str) -> Option<RoomName>;
    /// Which room has this name now: another number than all that had it before. `None` if there is none.
    fn life(&self, name: &RoomName) -> Option<u64>;
    /// How many rooms there are.
    fn count(&self) -> usize;
}

/// Counts of what the front refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FrontCounters {
    /// Calls that asked to come in.
    pub calls: u64,
    /// Calls admitted by a room.
    pub admitted: u64,
    /// Calls refused by a room.
    pub refused: u64,
    /// Requests for rooms that don't exist or take no calls.
    pub not_found: u64,
    /// Challenges sent.
    pub challenged: u64,
    /// Wrong credentials.
    pub bad_credentials: u64,
    /// Right credentials of a trunk, sent from where that trunk doesn't call.
    pub misplaced_credentials: u64,
    /// Identities asserted by peers that aren't believed (RFC 3325 section 5).
    pub ignored_identities: u64,
    /// Offers that could not be met.
    pub not_acceptable: u64,
    /// Calls refused for want of ports.
    pub no_ports: u64,
    /// Refused because the media threads are busy.
    pub overloaded: u64,
    /// Calls that there are now.
    pub open: u64,
    /// No new ones are taken (rule R81).
    pub draining: bool,
    /// Answered by the menu.
    pub menus: u64,
    /// Of those, the ones that it gave up.
    pub menus_left: u64,
    /// Room numbers, PINs and join codes that were wrong.
    pub wrong_entries: u64,
    /// Calls refused for too many of them.
    pub locked_out: u64,
    /// Of those that there are now, the ones whose ACK is missing: they can't be told goodbye yet (rule R41).
    pub unacknowledged: u64,
    /// Calls that rooms wanted made.
    pub dials: u64,
    /// Of those, the ones that a limit, a loop or want of a way kept from being made.
    pub dials_refused: u64,
    /// Those that were answered.
    pub dials_answered: u64,
    /// Those that came to nothing.
    pub dials_failed: u64,
    /// REFERs, which ask rooms to add or remove somebody.
    pub refers: u64,
    /// Of those, the ones that were refused.
    pub refers_refused: u64,
}

/// Beside the SIP endpoint.
#[derive(Debug)]
pub struct SipFront {
    settings: FrontSettings,
    endpoint: Endpoint,
    authenticator: Authenticator,
    trunks: Trunks,
    links: Links,
    accounts: Arc<dyn Directory>,
    rng: StdRng,
    next_leg: u64,
    calls: BTreeMap<CallId, Call>,
    legs: BTreeMap<LegId, CallId>,
    watches: BTreeMap<SubscriptionId, Watch>,
    records: BTreeMap<LegId, CallRecord>,
    proofs: Proofs,
    entrances: Entrances,
    closing: bool,
    draining: bool,
    counters: FrontCounters,
    to_rooms: VecDeque<(RoomName, ToRoom)>,
    finished: VecDeque<CallRecord>,
    dials: Dials,
    referred: BTreeMap<ReferId, Referred>,
    created: VecDeque<RoomRecord>,
}

impl SipFront {
    /// Puts the front beside an endpoint. Media keys follow from `seed`, which therefore nobody may guess.
    pub fn new(settings: FrontSettings, mut endpoint: Endpoint, accounts: Arc<dyn Directory>, seed: [u8; 32], now: Now) -> Self {
        let mut rng = StdRng::from_seed(seed);
        let authenticator = Authenticator::new(&settings.realm, rng.random(), now.at).offering(settings.digest.clone());
        Self {
            links: Links::start(
                now,
                &mut endpoint,
                &settings.trunks,
                settings.hosts.first().map_or("invalid", String::as_str),
            ),
            trunks: Trunks::new(settings.trunks.clone(), &settings.realm),
            settings,
            endpoint,
            authenticator,
            accounts,
            rng,
            next_leg: 1,
            calls: BTreeMap::new(),
            legs: BTreeMap::new(),
            watches: BTreeMap::new(),
            records: BTreeMap::new(),
            proofs: Proofs::default(),
            entrances: Entrances::default(),
            closing: false,
            draining: false,
            counters: FrontCounters::default(),
            to_rooms: VecDeque::new(),
            finished: VecDeque::new(),
            dials: Dials::default(),
            referred: BTreeMap::new(),
            created: VecDeque::new(),
        }
    }

    /// Takes what the sockets report; [`work`](Self::work) sees to what it means for calls and rooms. So a burst is answered at once with
    /// what transactions say by themselves, however long the rest takes.
    pub fn receive(&mut self, now: Now, inbound: Inbound) {
        self.proofs.note(&inbound);
        self.endpoint.handle_inbound(now.at, inbound);
    }

    /// There is something for [`work`](Self::work), and rooms keep up.
    pub fn has_work(&self) -> bool {
        self.endpoint.has_event() && self.to_rooms.len() < ROOMS_BACKLOG
    }

    /// The same at once, with a slice of the work.
    pub fn handle_inbound(&mut self, now: Now, inbound: Inbound, plane: &mut dyn MediaPlane, rooms: &dyn RoomLookup) {
        self.proofs.note(&inbound);
        self.endpoint.handle_inbound(now.at, inbound);
        self.work(now, plane, rooms);
    }

    /// Runs the endpoint's timers that are due.
    pub fn handle_timeout(&mut self, now: Now, plane: &mut dyn MediaPlane, rooms: &dyn RoomLookup) {
        self.endpoint.handle_timeout(now.at);
        self.probe_held(now);
        self.dials_due(now);
        self.time_menus(now, plane, rooms);
        self.work(now, plane, rooms);
    }

    /// Takes a room's answer or order.
    pub fn handle_room(&mut self, now: Now, message: FromRoom, plane: &mut dyn MediaPlane, rooms: &dyn RoomLookup) {
        match message {
            FromRoom::Admit(leg, correlation) => self.admit(now, leg, correlation, plane),
            FromRoom::Refuse(leg, refusal) => self.refuse(now, leg, refusal, plane, rooms),
            FromRoom::Confirm(leg, name) => self.confirm(now, leg, &name, plane, rooms),
            FromRoom::Code { room, code, until } => self.learn_code(now, room, code.0, until),
            FromRoom::HangUp(leg, cause) => self.hang_up(now, leg, &cause),
            FromRoom::AcceptWatch(subscription) => self.accept_watch(now, subscription),
            FromRoom::RefuseWatch(subscription, refusal) => self.refuse_watch(now, subscription, refusal),
            FromRoom::Notify(subscription, document) => self.notify(now, subscription, document),
            FromRoom::Terminate(subscription, why) => self.terminate(now, subscription, why),
            FromRoom::Dial(out) => self.dial(now, *out, plane, rooms),
            FromRoom::TakeBack(room, dial) => self.take_back(now, &room, dial),
            FromRoom::AcceptRefer(refer) => self.accept_refer(now, refer),
            FromRoom::RefuseRefer(refer, refusal) => self.refuse_refer(now, refer, refusal),
            FromRoom::EndRefer(refer) => self.end_refer(now, refer, 200),
        }
        self.work(now, plane, rooms);
    }

    /// A room's task is gone: whatever it left open is ended. Another room may have its name already.
    pub fn handle_room_gone(&mut self, now: Now, room: &RoomName, plane: &mut dyn MediaPlane, rooms: &dyn RoomLookup) {
        let life = rooms.life(room);
        self.abandon_calls(now, room, life, plane);
        self.abandon_watches(now, room, life);
        self.abandon_dials(now, room, life);
        self.abandon_refers(now, room);
        self.work(now, plane, rooms);
    }

    /// Takes a fact from the media plane.
    pub fn handle_media(&mut self, now: Now, report: MediaReport, plane: &mut dyn MediaPlane, rooms: &dyn RoomLookup) {
        match report {
            MediaReport::Speaking(leg, speaking) => self.tell_room_of(leg, ToRoom::Speaking(leg, speaking)),
            MediaReport::Quiet(leg, seconds) => self.tell_room_of(leg, ToRoom::Quiet(leg, seconds)),
            MediaReport::Resumed(leg) => self.tell_room_of(leg, ToRoom::Quiet(leg, 0)),
            MediaReport::Failed(leg, why) => self.media_failed(now, leg, why),
            MediaReport::RoomFailed(room) => self.to_rooms.push_back((room, ToRoom::MediaFailed)),
            MediaReport::Closed(leg, stats) => self.media_closed(leg, *stats),
            MediaReport::Digit(leg, key) => self.key_by_media(now, leg, key, plane, rooms),
            MediaReport::Said(leg) => _ = self.in_menu_of(now, leg, plane, rooms, Menu::handle_said),
            // Nobody waits for the first tick without a voice but tests.
            MediaReport::Applied(_) => {}
            MediaReport::RecordingStarted { room, file } => self.to_rooms.push_back((room, ToRoom::RecordingStarted { file })),
            MediaReport::RecordingEnded { room, lost_ms, error } => {
                self.to_rooms.push_back((room, ToRoom::RecordingEnded { lost_ms, error }));
            }
        }
        self.work(now, plane, rooms);
    }

    /// No new calls from now on: 503 with Retry-After; and we are registered nowhere any more.
    pub fn close(&mut self, now: Now) {
        self.closing = true;
        self.links.close(now, &mut self.endpoint);
        self.close_menus(now);
    }

    /// No new calls, until that is taken back; those that there are go on (rule R81).
    pub fn drain(&mut self, on: bool) {
        self.draining = on;
    }

    /// No call is left, of none that was is the last line still to be written (rule R80), every watcher was told of the end, and no registration stands.
    pub fn is_idle(&self) -> bool {
        let calls = self.calls.is_empty() && self.dials.is_empty() && self.records.is_empty();
        calls && self.watches.is_empty() && self.links.is_over() && !self.endpoint.has_event()
    }

    /// Calls that are still known to the endpoint.
    pub fn calls(&self) -> usize {
        self.calls.len() + self.dials.len()
    }

    /// What was refused, by the front and by the endpoint.
    pub fn counters(&self) -> (FrontCounters, crate::sip::endpoint::Counters) {
        let mut front = self.counters;
        front.open = self.calls() as u64;
        front.draining = self.draining;
        front.unacknowledged = self.calls.keys().filter(|call| self.endpoint.awaits_ack(**call)).count() as u64;
        (front, *self.endpoint.counters())
    }

    /// How trunks stand.
    pub fn trunks(&self) -> Vec<TrunkReport> {
        self.links.reports()
    }

    /// The next message to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.endpoint.poll_transmit()
    }

    /// The next name to be looked up (RFC 3263).
    pub fn poll_lookup(&mut self) -> Option<Lookup> {
        self.endpoint.poll_lookup()
    }

    /// Takes the answer to a lookup; [`work`](Self::work) sees to what it means.
    pub fn handle_lookup(&mut self, now: Now, answer: &LookupAnswer) {
        self.endpoint.handle_lookup(now.at, answer);
    }

    /// The next room that is to be opened, before the messages for it.
    pub fn poll_created(&mut self) -> Option<RoomRecord> {
        self.created.pop_front()
    }

    /// The next message for a room.
    pub fn poll_room(&mut self) -> Option<(RoomName, ToRoom)> {
        self.to_rooms.pop_front()
    }

    /// The next call that is over, for the log (rule R80).
    pub fn poll_record(&mut self) -> Option<CallRecord> {
        self.finished.pop_front()
    }

    /// When [`SipFront::handle_timeout`] is due, and what for.
    pub fn poll_timeout(&self) -> Option<(Instant, &'static str)> {
        let probe = self.calls.values().filter_map(|c| c.probe_at).min().map(|at| (at, "phone on hold"));
        let dial = self.dials.next_limit().map(|at| (at, "nobody answers"));
        let menu = self.next_menu().map(|at| (at, "menu"));
        self.endpoint
            .poll_timeout()
            .into_iter()
            .chain(probe)
            .chain(dial)
            .chain(menu)
            .min_by_key(|(at, _)| *at)
    }

    /// Sees to a slice of what has come in.
    pub fn work(&mut self, now: Now, plane: &mut dyn MediaPlane, rooms: &dyn RoomLookup) {
        for _ in 0..SLICE {
            if self.to_rooms.len() >= ROOMS_BACKLOG {
                return;
            }
            let Some(event) = self.endpoint.poll_event() else { return };
            match event {
                Event::Invite {
                    call,
                    flow,
                    request,
                    offer,
                    replaces,
                    join,
                } => {
                    let pointed = succession::Pointed { replaces, join };
                    self.invite(now, call, flow, &request, offer, pointed, plane, rooms);
                }
                Event::Confirmed { call, answer } => self.confirmed(now, call, answer, plane, rooms),
                Event::Reoffer { call, flow, offer, .. } => self.reoffer(now, call, flow, offer, plane),
                Event::EarlyAnswer { call, answer } => self.early_answer(now, call, answer, plane),
                Event::ReofferAnswered { call, answer } => self.reoffer_answered(now, call, answer, plane),
                // The session stays as it was (rule R43).
                Event::ReofferWithdrawn { .. } | Event::ReofferFailed { .. } => {}
                Event::Ended { call, cause } => {
                    if !self.dial_ended(now, call, &cause, plane, rooms) {
                        self.ended(now, call, &cause, plane);
                    }
                }
                Event::Options { options, request, .. } => self.options(now, options, &request, rooms),
                Event::Subscribe {
                    subscription,
                    call,
                    flow,
                    request,
                    ..
                } => self.subscribe(now, subscription, call, flow, &request, rooms),
                Event::Refreshed { subscription, .. } => self.tell_watch(subscription, ToRoom::Refresh(subscription)),
                Event::Notified { subscription, .. } => self.tell_watch(subscription, ToRoom::Notified(subscription)),
                Event::SubscriptionEnded { subscription, .. } => {
                    self.tell_watch(subscription, ToRoom::Unwatch(subscription));
                    self.watches.remove(&subscription);
                }
                Event::Registration { registration, state } => self.links.registered(now, registration, state),
                Event::Pinged { ping, liveness } => self.links.pinged(now, ping, liveness),
                Event::Refer {
                    refer,
                    call,
                    flow,
                    request,
                    to,
                } => self.refer(now, refer, call, flow, (&request, &to), rooms),
                Event::Info { call, body } => self.info(now, call, body.as_ref(), plane, rooms),
                Event::ReferProgress { .. } | Event::ReferFailed { .. } => {}
                Event::Progress { call, response, early } => self.progress(now, call, &response, early, plane),
                Event::Answered {
                    call,
                    flow,
                    answer,
                    response,
                } => self.answered(now, call, flow, answer.as_ref(), &response, plane),
            }
        }
    }

    /// The room that a request's URI names, if it can be dialled here.
    fn room_by_name(&self, uri: &Uri, rooms: &dyn RoomLookup) -> Option<RoomName> {
        self.room_named(uri).filter(|name| rooms.dialable(name))
    }

    /// The room that a URI names, whether there is one or not.
    fn room_named(&self, uri: &Uri) -> Option<RoomName> {
        let uri = uri.as_sip().filter(|uri| self.is_ours(&uri.host))?;
        room_of_user(uri.user.as_deref()?).ok()
    }

    fn is_ours(&self, host: &Host) -> bool {
        let host = host.to_string();
        self.settings.hosts.iter().any(|h| h.eq_ignore_ascii_case(&host))
    }

    fn options(&mut self, now: Now, options: OptionsId, request: &Request, rooms: &dyn RoomLookup) {
        let answer = if request.uri.as_sip().is_some_and(|uri| uri.user.is_none()) {
            OptionsAnswer::Capabilities(Presentation::default())
        } else if self.destination(&request.uri, rooms).is_some() {
            OptionsAnswer::Capabilities(focus())
        } else {
            self.counters.not_found += 1;
            OptionsAnswer::Rejected(Rejection::new(404))
        };
        // Gone: the transaction has run out meanwhile.
        let _ = self.endpoint.answer_options(now.at, options, answer);
    }

    fn tell_room_of(&mut self, leg: LegId, message: ToRoom) {
        let room = self.legs.get(&leg).and_then(|call| self.calls.get(call)?.room.clone());
        self.to_rooms.extend(room.map(|room| (room, message)));
    }

    fn tell_watch(&mut self, subscription: SubscriptionId, message: ToRoom) {
        if let Some(watch) = self.watches.get(&subscription) {
            self.to_rooms.push_back((watch.room.clone(), message));
        }
    }
}

/// How every answer for a room presents itself (checklist M-1).
fn focus() -> Presentation {
    Presentation { user: None, focus: true }
}
