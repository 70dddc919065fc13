//! Calls that rooms make (rule R47): from a room's wish to the answer, which the room lets in, or to the reason why there is none.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::model::media::{Opening, PortKind};
use crate::model::srtp::Policy;
use crate::model::{CallId, DialFailure, DialId, DialPlan, DialTarget, LegId, MediaOrder, MediaPlane, Now, RoomName};
use crate::sip::endpoint::{Body, EarlyMedia, EndCause, Flow, InviteArgs, Presentation, Reason};
use crate::sip::locate::Way;
use crate::sip::msg::{Host, Response, Uri, user_of_room};
use crate::sip::sdp::{LocalDtls, LocalMedia, Negotiation, Terms};

use super::call::Call;
use super::record::CallRecord;
use super::ways::{OutWay, is_the_ways_fault};
use super::{RoomLookup, SipFront};
use crate::peers::sip::{DialOut, ToRoom};

/// What calls of ours are made by.
#[derive(Debug, Clone)]
pub struct DialSettings {
    /// What may be called: asked again about whoever answers that they have moved (RFC 3261 section 21.3).
    pub plan: std::sync::Arc<DialPlan>,
    /// Where calls to our own people and to telephones are sent.
    pub proxy: Option<Uri>,
    /// How long somebody's phone rings.
    pub no_answer: Duration,
    /// Calls of ours at once, those that were answered included.
    pub at_once: usize,
    /// Begun within a minute, by all.
    pub per_minute: usize,
    /// Begun within a minute at one asker's wish.
    pub per_asker: usize,
    /// Minutes of calls that leave our own domain, from midnight UTC to midnight.
    pub minutes_per_day: u64,
}

impl Default for DialSettings {
    fn default() -> Self {
        Self {
            plan: std::sync::Arc::default(),
            proxy: None,
            no_answer: Duration::from_secs(60),
            at_once: 20,
            per_minute: 20,
            per_asker: 5,
            minutes_per_day: 600,
        }
    }
}

/// All calls of ours that aren't answered yet, and what limits are kept by.
#[derive(Debug, Default)]
pub(super) struct Dials {
    open: BTreeMap<CallId, Dialing>,
    /// When calls were begun in the last minute, and at whose wish.
    begun: VecDeque<(Instant, String)>,
    meter: Meter,
}

/// One call of ours that isn't answered yet.
#[derive(Debug)]
struct Dialing {
    out: DialOut,
    life: Option<u64>,
    leg: LegId,
    ssrc: u32,
    negotiation: Negotiation,
    /// The ways that are left, the present one first.
    ways: VecDeque<OutWay>,
    /// Whom we call now: not whom we were asked for once they have sent us on.
    target: DialTarget,
    redirected: bool,
    /// When we give up.
    until: Instant,
    /// Why we have given up.
    given_up: Option<DialFailure>,
    alerted: bool,
    /// Of the REFER that asked for it: which other call ours is to take the place of.
    headers: Vec<(String, String)>,
}

/// Minutes that were spoken in calls that leave our own domain.
#[derive(Debug, Default)]
struct Meter {
    day: u64,
    spent_ms: u64,
    /// Since when, ms since the UNIX epoch.
    running: BTreeMap<LegId, u64>,
}

const MS_PER_DAY: u64 = 86_400_000;
const MINUTE: Duration = Duration::from_secs(60);
/// Media towards a peer whose name isn't resolved yet goes out by the way that leads to the world: an address of documentation (RFC 5737), to
/// which nothing is ever sent.
const SOMEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

impl Meter {
    fn begin(&mut self, now: Now, leg: LegId) {
        self.running.insert(leg, now.unix_ms);
    }

    fn end(&mut self, now: Now, leg: LegId) {
        if let Some(since) = self.running.remove(&leg) {
            self.turn_page(now);
            self.spent_ms += now.unix_ms.saturating_sub(since.max(self.day * MS_PER_DAY));
        }
    }

    /// What was spoken since midnight, in ms.
    fn today(&mut self, now: Now) -> u64 {
        self.turn_page(now);
        let midnight = self.day * MS_PER_DAY;
        let running: u64 = self
            .running
            .values()
            .map(|since| now.unix_ms.saturating_sub((*since).max(midnight)))
            .sum();
        self.spent_ms + running
    }

    fn turn_page(&mut self, now: Now) {
        let day = now.unix_ms / MS_PER_DAY;
        if self.day != day {
            (self.day, self.spent_ms) = (day, 0);
        }
    }
}

impl Dials {
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    pub(super) fn next_limit(&self) -> Option<Instant> {
        let waiting = self.open.values().filter(|d| d.given_up.is_none());
        waiting.map(|d| d.until).min()
    }

    /// A call is over: its minutes are counted.
    pub(super) fn hung_up(&mut self, now: Now, leg: LegId) {
        self.meter.end(now, leg);
    }

    fn find(&self, room: &RoomName, dial: DialId) -> Option<CallId> {
        self.open
            .iter()
            .find(|(_, d)| d.out.room == *room && d.out.dial == dial)
            .map(|(id, _)| *id)
    }
}

impl SipFront {
    /// Calls somebody for a room.
    pub(super) fn dial(&mut self, now: Now, out: DialOut, plane: &mut dyn MediaPlane, rooms: &dyn RoomLookup) {
        self.counters.dials += 1;
        let (room, dial, refer) = (out.room.clone(), out.dial, out.order.refer);
        if let Err(why) = self.try_dial(now, out, plane, rooms) {
            self.counters.dials_refused += 1;
            self.fail_refer(now, refer, why);
            self.to_rooms.push_back((room, ToRoom::DialFailed(dial, why)));
        }
    }

    fn try_dial(&mut self, now: Now, out: DialOut, plane: &mut dyn MediaPlane, rooms: &dyn RoomLookup) -> Result<(), DialFailure> {
        if self.closing || self.draining {
            return Err(DialFailure::Overloaded);
        }
        self.check_limits(now, &out)?;
        let ways = self.ways(&out.order.target, rooms)?;
        let first = ways.front().ok_or(DialFailure::NoWay)?;
        let leads = first.via.as_ref().unwrap_or(&first.to).clone();
        let leg = LegId(self.next_leg);
        let correlation = out.order.correlation;
        let opening = Opening {
            leg,
            correlation,
            peer: leads.as_sip().map_or(SOMEWHERE, |uri| place(&uri.host)),
            room: Some(out.room.clone()),
            port: PortKind::Own,
        };
        let open = plane.open(&opening).map_err(|_| DialFailure::Overloaded)?;
        self.next_leg += 1;
        let terms = Terms {
            policy: self.settings.media.srtp,
            signalling_protected: is_protected(&leads),
        };
        let local = LocalMedia {
            rtp: open.rtp,
            rtcp: open.rtcp,
            session: self.rng.random_range(1..=i64::MAX as u64),
            codecs: self.settings.media.codecs.clone(),
            comfort_noise: self.settings.media.comfort_noise,
            dtls: self.settings.media.fingerprint.clone().map(|fingerprint| LocalDtls {
                fingerprint,
                // Of the two kinds of keys the one that can count here.
                offer: terms.policy == Policy::Required && !terms.signalling_protected,
            }),
            ice: None,
            terms,
        };
        let mut negotiation = Negotiation::new(local, StdRng::from_rng(&mut self.rng));
        let offer = negotiation.dial();
        let dialing = Dialing {
            life: rooms.life(&out.room),
            target: out.order.target.clone(),
            leg,
            ssrc: open.ssrc,
            negotiation,
            ways,
            redirected: false,
            until: now.at + self.settings.dial.no_answer,
            given_up: None,
            alerted: false,
            headers: out
                .order
                .refer
                .and_then(|refer| self.referred.remove(&refer))
                .map(|referred| referred.headers)
                .unwrap_or_default(),
            out,
        };
        let record = CallRecord::dialed(now, correlation, &dialing.out.room, &callee(&dialing.out.order.target));
        self.records.insert(leg, record);
        self.send_invite(now, dialing, offer).map_err(|_| {
            plane.order(MediaOrder::Close(leg));
            if let Some(record) = self.records.get_mut(&leg) {
                record.ended(now, DialFailure::Unreachable.to_string());
            }
            DialFailure::Unreachable
        })
    }

    /// Sends the INVITE by the first of the ways that are left.
    fn send_invite(&mut self, now: Now, dialing: Dialing, offer: String) -> Result<(), Box<Dialing>> {
        let room = &dialing.out.room;
        let host = self.settings.hosts.first().and_then(|host| Host::parse(host).ok());
        let Some((OutWay { to, via, by }, host)) = dialing.ways.front().cloned().zip(host) else {
            return Err(Box::new(dialing));
        };
        let title = &dialing.out.order.title;
        let name = if title.is_empty() { room.to_string() } else { title.clone() };
        // Checklist S-6: whoever is called learns where the chat is, but no carrier that has no need to.
        let chat = ("Call-Info".to_owned(), format!("<{}>;purpose=impp", dialing.out.chat));
        let (from, name, credentials, headers) = match by {
            None => (Uri::of_room(room, host, None), Some(name), None, vec![chat]),
            Some(by) => {
                tracing::debug!(correlation = %dialing.out.order.correlation, trunk = %by.trunk, "calls by trunk");
                // RFC 3325 section 5: only where it is kept.
                let asserted = ("P-Asserted-Identity".to_owned(), format!("<{}>", by.from));
                let headers = if by.trusted { vec![asserted, chat] } else { Vec::new() };
                (by.from, by.name, by.credentials, headers)
            }
        };
        let args = InviteArgs {
            to,
            from,
            name,
            presentation: Presentation {
                user: Some(user_of_room(room)),
                focus: true,
            },
            offer: Body::sdp(offer),
            credentials,
            via: via.map(Way::By),
            headers: headers.into_iter().chain(dialing.headers.iter().cloned()).collect(),
        };
        match self.endpoint.invite(now.at, args) {
            Ok(call) => {
                self.legs.insert(dialing.leg, call);
                self.dials.open.insert(call, dialing);
                Ok(())
            }
            Err(_) => Err(Box::new(dialing)),
        }
    }
}

impl SipFront {
    /// A room takes a call back.
    pub(super) fn take_back(&mut self, now: Now, room: &RoomName, dial: DialId) {
        if let Some(call) = self.dials.find(room, dial) {
            self.give_up_dial(now, call, DialFailure::Cancelled);
        }
    }

    /// Gives up calls that nobody answers, and ends those for which no minutes are left.
    pub(super) fn dials_due(&mut self, now: Now) {
        let due = |d: &Dialing| d.given_up.is_none() && d.until <= now.at;
        let late: Vec<CallId> = self.dials.open.iter().filter(|(_, d)| due(d)).map(|(id, _)| *id).collect();
        for call in late {
            self.give_up_dial(now, call, DialFailure::NoAnswer);
        }
    }

    fn give_up_dial(&mut self, now: Now, call: CallId, why: DialFailure) {
        if let Some(dialing) = self.dials.open.get_mut(&call) {
            dialing.given_up.get_or_insert(why);
            // CANCEL; what crosses it is told goodbye by the endpoint (rule R41).
            let _ = self.endpoint.hang_up(now.at, call, None);
        }
    }

    /// Somebody whom we call says how it goes. What is to be heard before the answer reaches their leg in the vestibule: it holds the way
    /// open, and nobody in the room hears it.
    pub(super) fn progress(&mut self, now: Now, call: CallId, response: &Response, early: Option<EarlyMedia>, plane: &mut dyn MediaPlane) {
        let Some(dialing) = self.dials.open.get_mut(&call) else { return };
        if let Some(refer) = dialing.out.order.refer {
            let _ = self.endpoint.refer_progress(now.at, refer, response.status, "", false);
        }
        if let Some(EarlyMedia { flow, answer }) = early {
            // Another branch may answer.
            let mut negotiation = dialing.negotiation.clone();
            if !flow.is_protected() {
                negotiation.expose();
            }
            if let Ok(media) = negotiation.read_answer(&answer.bytes, flow.remote.ip()) {
                plane.order(MediaOrder::Configure(dialing.leg, Box::new(media)));
            }
        }
        // 181 and 182 say that nobody rings yet; 183 may, or is the network's own voice.
        if response.status == 180 && !std::mem::replace(&mut dialing.alerted, true) {
            self.to_rooms
                .push_back((dialing.out.room.clone(), ToRoom::DialAlerts(dialing.out.dial)));
        }
    }

    /// Somebody whom we called has answered: the room is asked to let them in.
    pub(super) fn answered(
        &mut self,
        now: Now,
        id: CallId,
        flow: Flow,
        answer: Option<&Body>,
        response: &Response,
        plane: &mut dyn MediaPlane,
    ) {
        let Some(mut dialing) = self.dials.open.remove(&id) else { return };
        let contact = response.headers.contact().ok();
        // Checklist M-1 read the other way round: two mixes that hear each other would never fall silent.
        if contact.as_ref().is_some_and(|c| c.params.has("isfocus")) {
            return self.unwanted(now, id, &dialing, (DialFailure::Loop, 482, "that is a conference"), plane);
        }
        if !flow.is_protected() {
            dialing.negotiation.expose();
        }
        let media = answer.map(|body| dialing.negotiation.read_answer(&body.bytes, flow.remote.ip()));
        let Some(Ok(media)) = media else {
            self.counters.not_acceptable += 1;
            return self.unwanted(now, id, &dialing, (DialFailure::NoMedia, 488, "no media in common"), plane);
        };
        let Dialing { out, life, leg, ssrc, .. } = dialing;
        self.counters.dials_answered += 1;
        if let Some(refer) = out.order.refer {
            self.end_refer(now, refer, 200);
        }
        if dialing.target.leaves() {
            self.dials.meter.begin(now, leg);
        }
        let contact = contact.map(|c| c.uri.to_string()).unwrap_or_default();
        self.to_rooms.push_back((
            out.room.clone(),
            ToRoom::Answered {
                dial: out.dial,
                leg,
                ssrc,
                endpoint: contact.clone(),
                correlation: out.order.correlation,
                redirected: dialing.redirected,
            },
        ));
        // Acknowledged already, by the endpoint.
        self.to_rooms.push_back((out.room.clone(), ToRoom::Confirmed(leg)));
        self.calls
            .insert(id, Call::of_ours(leg, out.room, life, flow, contact, dialing.negotiation));
        self.configure(now, id, media, plane);
    }

    /// They answered, and the call can't be.
    fn unwanted(
        &mut self,
        now: Now,
        id: CallId,
        dialing: &Dialing,
        (why, cause, text): (DialFailure, u16, &str),
        plane: &mut dyn MediaPlane,
    ) {
        let text = text.to_owned();
        let _ = self.endpoint.hang_up(now.at, id, Some(Reason { cause, text }));
        self.dial_failed(now, dialing, why, plane);
    }

    /// A call of ours is over before it was answered; `false` if it isn't one.
    pub(super) fn dial_ended(
        &mut self,
        now: Now,
        id: CallId,
        cause: &EndCause,
        plane: &mut dyn MediaPlane,
        rooms: &dyn RoomLookup,
    ) -> bool {
        let Some(dialing) = self.dials.open.remove(&id) else {
            return false;
        };
        let left = match (cause, dialing.given_up) {
            (EndCause::Refused { response }, None) if is_the_ways_fault(response) => self.go_round(now, dialing),
            (EndCause::Refused { response }, None) => self.try_again(now, dialing, response, rooms),
            (EndCause::Unreachable(_), None) => self.go_round(now, dialing),
            _ => Err(Box::new(dialing)),
        };
        if let Err(dialing) = left {
            let why = dialing.given_up.unwrap_or_else(|| failure(cause));
            self.dial_failed(now, &dialing, why, plane);
        }
        true
    }

    /// What a refusal leaves to be tried: without encryption (rule R72), or at another address. Gives the call back if that is nothing.
    fn try_again(&mut self, now: Now, mut dialing: Dialing, response: &Response, rooms: &dyn RoomLookup) -> Result<(), Box<Dialing>> {
        if let Some(offer) = dialing.negotiation.fall_back(response.status) {
            return self.send_invite(now, dialing, offer);
        }
        if !(300..400).contains(&response.status) {
            return Err(Box::new(dialing));
        }
        // Once, and not to where it may cost more than the asker knows of (checklist F-1, X-5).
        let moved = response.headers.contact().ok().map(|contact| contact.uri.to_string());
        let plan = &self.settings.dial.plan;
        let moved = moved
            .and_then(|uri| plan.read(&uri).ok())
            .filter(|to| is_no_dearer(to, &dialing.target));
        let way = moved
            .filter(|_| !dialing.redirected)
            .and_then(|to| Some((self.ways(&to, rooms).ok()?, to)));
        let Some((ways, target)) = way else {
            dialing.given_up = Some(DialFailure::SentAway);
            return Err(Box::new(dialing));
        };
        (dialing.redirected, dialing.target, dialing.ways) = (true, target, ways);
        let offer = dialing.negotiation.dial();
        self.send_invite(now, dialing, offer)
    }

    /// The way failed, not whom we call: the next one, if there is one.
    fn go_round(&mut self, now: Now, mut dialing: Dialing) -> Result<(), Box<Dialing>> {
        if dialing.ways.len() < 2 {
            return Err(Box::new(dialing));
        }
        dialing.ways.pop_front();
        let leads = dialing.ways.front().map(|way| way.via.as_ref().unwrap_or(&way.to));
        if !leads.is_some_and(is_protected) {
            dialing.negotiation.expose();
        }
        let offer = dialing.negotiation.dial();
        self.send_invite(now, dialing, offer)
    }

    fn dial_failed(&mut self, now: Now, dialing: &Dialing, why: DialFailure, plane: &mut dyn MediaPlane) {
        let (room, dial, leg) = (dialing.out.room.clone(), dialing.out.dial, dialing.leg);
        self.counters.dials_failed += 1;
        self.fail_refer(now, dialing.out.order.refer, why);
        if let Some(record) = self.records.get_mut(&leg) {
            record.ended(now, why.to_string());
        }
        self.legs.remove(&leg);
        plane.order(MediaOrder::Close(leg));
        self.to_rooms.push_back((room, ToRoom::DialFailed(dial, why)));
    }

    /// A room's task is gone; `life` is of the room that has its name now.
    pub(super) fn abandon_dials(&mut self, now: Now, room: &RoomName, life: Option<u64>) {
        let is_left = |d: &Dialing| d.out.room == *room && (life.is_none() || d.life != life);
        let left: Vec<CallId> = self.dials.open.iter().filter(|(_, d)| is_left(d)).map(|(id, _)| *id).collect();
        for call in left {
            self.give_up_dial(now, call, DialFailure::Cancelled);
        }
    }

    /// Rule R47: how many calls, how fast, at whose wish, how long.
    fn check_limits(&mut self, now: Now, out: &DialOut) -> Result<(), DialFailure> {
        let limits = &self.settings.dial;
        let dials = &mut self.dials;
        while dials.begun.front().is_some_and(|(at, _)| *at + MINUTE <= now.at) {
            dials.begun.pop_front();
        }
        let asker = &out.order.asker;
        let by_asker = dials.begun.iter().filter(|(_, who)| who == asker).count();
        let at_once = dials.open.len() + self.calls.values().filter(|c| c.is_ours()).count();
        let spoken = Duration::from_millis(dials.meter.today(now));
        let too_long = out.order.target.leaves() && spoken >= MINUTE * u32::try_from(limits.minutes_per_day).unwrap_or(u32::MAX);
        if at_once >= limits.at_once || dials.begun.len() >= limits.per_minute || by_asker >= limits.per_asker || too_long {
            return Err(DialFailure::Limit);
        }
        dials.begun.push_back((now.at, asker.clone()));
        Ok(())
    }

    /// The ways to whom is to be called, in the order in which they are tried; at least one.
    fn ways(&self, target: &DialTarget, rooms: &dyn RoomLookup) -> Result<VecDeque<OutWay>, DialFailure> {
        let proxy = self.settings.dial.proxy.clone();
        let (uri, via, mut ways) = match target {
            DialTarget::Internal(uri) => (uri.clone(), proxy, VecDeque::new()),
            DialTarget::Foreign(uri) => (uri.clone(), None, VecDeque::new()),
            DialTarget::Number(number) => {
                let domain = self.settings.hosts.first().map_or("", String::as_str);
                (format!("sip:{number}@{domain};user=phone"), proxy, self.trunk_ways(number))
            }
        };
        let to = Uri::parse(&uri).map_err(|_| DialFailure::NotFound)?;
        if self.room_named(&to).is_some_and(|room| rooms.life(&room).is_some()) {
            return Err(DialFailure::Loop);
        }
        // We carry no numbers ourselves.
        if via.is_some() || !matches!(target, DialTarget::Number(_)) {
            ways.push_back(OutWay::plain(to, via));
        }
        if ways.is_empty() { Err(DialFailure::NoWay) } else { Ok(ways) }
    }
}

/// No call to a place of another class than the one that was asked for, but home.
fn is_no_dearer(to: &DialTarget, asked: &DialTarget) -> bool {
    match (to, asked) {
        (DialTarget::Internal(_), _) => true,
        (DialTarget::Number(_), DialTarget::Number(_)) => true,
        (DialTarget::Foreign(_), DialTarget::Foreign(_)) => true,
        (DialTarget::Number(_) | DialTarget::Foreign(_), _) => false,
    }
}

/// In the words of RFC 3261 section 21.
fn failure(cause: &EndCause) -> DialFailure {
    match cause {
        EndCause::Refused { response } => match response.status {
            486 | 600 => DialFailure::Busy,
            408 | 480 | 487 => DialFailure::NoAnswer,
            603 | 607 | 608 => DialFailure::Declined,
            404 | 410 | 484 | 604 => DialFailure::NotFound,
            488 | 606 | 415 => DialFailure::NoMedia,
            482 => DialFailure::Loop,
            502..=504 => DialFailure::Unreachable,
            status => DialFailure::Refused(status),
        },
        EndCause::WeCancelled | EndCause::WeHungUp => DialFailure::Cancelled,
        EndCause::Unreachable(_)
        | EndCause::TheyHungUp { .. }
        | EndCause::Cancelled { .. }
        | EndCause::Rejected
        | EndCause::Unanswered
        | EndCause::NoAck
        | EndCause::Expired
        | EndCause::Lost => DialFailure::Unreachable,
    }
}

/// Whom a call's record names (rule R80): one of our own people, or the class alone.
fn callee(target: &DialTarget) -> String {
    match target {
        DialTarget::Internal(uri) => uri.clone(),
        DialTarget::Number(_) => "a number".to_owned(),
        DialTarget::Foreign(_) => "another domain".to_owned(),
    }
}

/// The hop to there is protected, as far as its URI says.
fn is_protected(uri: &Uri) -> bool {
    uri.as_sip()
        .is_some_and(|uri| uri.secure || uri.params.get("transport").is_some_and(|t| t.eq_ignore_ascii_case("tls")))
}

fn place(host: &Host) -> IpAddr {
    match host {
        Host::Ip(ip) => *ip,
        Host::Name(name) if name.eq_ignore_ascii_case("localhost") => Ipv4Addr::LOCALHOST.into(),
        Host::Name(_) => SOMEWHERE,
    }
}
