//! The whole bridge on fake time: the server's own front, service and rooms, phones that are SIP endpoints of ours, chat users that are lists of
//! stanzas, and a seeded net between phones and server that may lose, double and delay. No socket, no task, no clock.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use cusax::hub::{Cell, Input, RoomFactory};
use cusax::model::control::{RoomCommand, RoomReply};
use cusax::model::dtls::{Fingerprint, FingerprintHash};
use cusax::model::entry::{NumberMap, NumberTarget};
use cusax::model::srtp::Policy;
use cusax::model::trunk::Trunk;
use cusax::model::{
    Affiliation, BareJid, CallId, Directory, LegId, MediaPlane, MediaReport, Now, RoomConfig, RoomName, RoomRecord, StoreOp, media::Codec,
};
use cusax::peers::muc::{Creation, MucService, MucSettings, Route, ServiceSettings};
use cusax::peers::sip::{
    CallRecord, DialSettings, FactoryRight, FactorySettings, FrontCounters, FrontSettings, MediaSettings, SipFront, SipRoomSettings,
};
use cusax::room::Numbered;
use cusax::sip::auth::Credentials;
use cusax::sip::endpoint::{
    Body, ConnectionId, Endpoint, EndpointConfig, Event, Flow, Inbound, InviteArgs, Listener, Outside, Presentation, ReferArgs,
    ReferFailure, Referee, Rejection, Target, Transmit, Transport,
};
use cusax::sip::locate::Way;
use cusax::sip::msg::{ReferTo, Request, Uri, parse_datagram};
use minidom::Element;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::fakes::{Accounts, FakePlane, Index, Out, dial_plan, recorded};

/// The SIP domain of the simulated service.
pub(crate) const CONF: &str = "conf.example.com";
/// Its rooms' domain.
pub(crate) const ROOMS: &str = "rooms.example.com";
/// Its phones' domain.
pub(crate) const PHONES: &str = "phones.example.com";
/// How long a stanza or a datagram takes.
const HOP: Duration = Duration::from_millis(2);

/// How bad the net between phones and server is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Net {
    /// Of 100 datagrams, so many are lost.
    pub(crate) loss: u32,
    /// Of 100 datagrams, so many arrive twice.
    pub(crate) doubled: u32,
    /// Extra delay at most, in ms: later ones may overtake.
    pub(crate) jitter_ms: u64,
}

/// Nothing is lost.
pub(crate) const PERFECT: Net = Net {
    loss: 0,
    doubled: 0,
    jitter_ms: 0,
};

/// Everything.
pub(crate) struct World {
    start: Instant,
    now: Instant,
    net: Net,
    rng: StdRng,
    wire: Vec<(Instant, u64, SocketAddr, Inbound)>,
    sent: u64,
    front: SipFront,
    pub(crate) plane: FakePlane,
    service: MucService,
    factory: RoomFactory,
    pub(crate) rooms: BTreeMap<RoomName, Cell>,
    /// Rooms opened so far, by name.
    lives: BTreeMap<RoomName, u64>,
    phones: BTreeMap<String, Phone>,
    chats: BTreeMap<String, Chat>,
    pub(crate) stored: Vec<StoreOp>,
    pub(crate) events: Vec<(RoomName, Numbered)>,
    /// Calls that are over.
    pub(crate) records: Vec<CallRecord>,
    /// When the input arrived that is being carried out: what delays are measured from.
    pub(crate) input_at: Instant,
}

/// One phone.
pub(crate) struct Phone {
    endpoint: Endpoint,
    /// To the server.
    way: Flow,
    address: SocketAddr,
    pub(crate) call: Option<CallId>,
    credentials: Option<Credentials>,
    aor: String,
    /// What happened to it, in words: `180`, `200`, `ended: …`.
    pub(crate) log: Vec<String>,
    /// Requests and responses as they came, first lines.
    pub(crate) received: Vec<String>,
    /// Conference documents, in order.
    pub(crate) documents: Vec<String>,
    dead: bool,
    /// What it does when it is called.
    pub(crate) manner: Manner,
}

/// How a phone takes calls.
#[derive(Debug, Clone, Default)]
pub(crate) enum Manner {
    /// Doesn't hear.
    #[default]
    Deaf,
    /// Rings and is not picked up.
    Ring,
    /// Rings and is picked up.
    Answer,
    /// Answers as a conference does.
    Focus,
    /// Refuses, with further header fields.
    Refuse(u16, Vec<(&'static str, String)>),
    /// Refuses what is encrypted and picks up what isn't.
    Plain,
}

impl Phone {
    fn called(&mut self, now: Instant, call: CallId, offer: Option<&Body>, request: &Request) {
        self.call = Some(call);
        self.log.push(format!("called: {}", request.uri));
        let presentation = |focus| Presentation {
            user: Some("phone".to_owned()),
            focus,
        };
        let (host, port) = (self.address.ip(), self.address.port() + 1000);
        let encrypted = offer.is_some_and(|o| String::from_utf8_lossy(&o.bytes).contains("RTP/SAVP"));
        let protocol = if encrypted { "RTP/SAVP" } else { "RTP/AVP" };
        let crypto = if encrypted {
            "a=crypto:2 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\n"
        } else {
            ""
        };
        let answer = Body::sdp(format!(
            "v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\nm=audio {port} {protocol} 0\r\n{crypto}"
        ));
        let endpoint = &mut self.endpoint;
        let done = match &self.manner {
            Manner::Deaf => Ok(()),
            Manner::Ring => endpoint.ring(now, call, 180, presentation(false)),
            Manner::Answer => endpoint
                .ring(now, call, 180, presentation(false))
                .and_then(|()| endpoint.accept(now, call, presentation(false), answer)),
            Manner::Focus => endpoint.accept(now, call, presentation(true), answer),
            Manner::Plain if encrypted => endpoint.reject(now, call, Rejection::new(488)),
            Manner::Plain => endpoint.accept(now, call, presentation(false), answer),
            Manner::Refuse(status, headers) => {
                let rejection = headers
                    .iter()
                    .fold(Rejection::new(*status), |r, (name, value)| r.with(name, value.clone()));
                endpoint.reject(now, call, rejection)
            }
        };
        done.expect("a call that has just come can be answered");
    }
}

/// One chat user.
#[derive(Default)]
pub(crate) struct Chat {
    pub(crate) jid: String,
    pub(crate) inbox: VecDeque<Element>,
    /// Everything that ever came, as text.
    pub(crate) seen: Vec<String>,
}

/// The number map: one number leads to the room, one to the menu.
fn numbers() -> NumberMap {
    let mut map = NumberMap::default();
    map.insert(
        "+49305550100".to_owned(),
        NumberTarget::Room(RoomName::new("blue").expect("a room name")),
    );
    map.insert("+49305550199".to_owned(), NumberTarget::Menu);
    map
}

/// Where the simulated server takes calls.
pub(super) const SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)), 5060);

impl World {
    /// A provider with accounts `ann`, `bob`, `carol`, `dave`, and the room `blue` of the configuration, owned by `ann`.
    pub(crate) fn new(seed: u64) -> Self {
        Self::with(seed, PERFECT, |_| {})
    }

    /// The same with another net and another configuration of the room.
    pub(crate) fn with(seed: u64, net: Net, configure: impl FnOnce(&mut RoomConfig)) -> Self {
        Self::build(seed, net, Policy::Allowed, Vec::new(), configure)
    }

    /// The same as [`World::new`], with another policy on encrypted voice (rule R72).
    pub(crate) fn secured(seed: u64, srtp: Policy) -> Self {
        Self::build(seed, PERFECT, srtp, Vec::new(), |_| {})
    }

    /// The same as [`World::new`], with trunks.
    pub(crate) fn trunked(seed: u64, trunks: Vec<Trunk>) -> Self {
        Self::build(seed, PERFECT, Policy::Allowed, trunks, |_| {})
    }

    /// What the front has counted.
    pub(crate) fn counters(&self) -> FrontCounters {
        self.front.counters().0
    }

    fn build(seed: u64, net: Net, srtp: Policy, trunks: Vec<Trunk>, configure: impl FnOnce(&mut RoomConfig)) -> Self {
        let start = Instant::now();
        let accounts: Arc<dyn Directory> = Arc::new(Accounts(vec!["ann", "bob", "carol", "dave"]));
        let bare = |s: &str| -> BareJid { s.parse().expect("a bare JID") };
        let sip = SipRoomSettings {
            domain: CONF.to_owned(),
            rooms_domain: ROOMS.to_owned(),
            join_uri: true,
            notify_interval: Duration::from_secs(5),
            max_watchers: 100,
        };
        let factory = RoomFactory {
            room: recorded(bare(PHONES)),
            muc: Arc::new(MucSettings {
                rooms_domain: bare(ROOMS),
                sip_host: CONF.to_owned(),
                service_key: [7; 32],
            }),
            sip,
            accounts: Arc::clone(&accounts),
            service_key: [7; 32],
            seed,
        };
        let service = MucService::new(ServiceSettings {
            rooms_domain: bare(ROOMS),
            phones_domain: bare(PHONES),
            name: "Rooms".to_owned(),
            creation: Creation::OwnDomains,
            own_domains: vec![bare("example.com")],
            admins: Vec::new(),
            default_config: RoomConfig::default(),
            max_rooms: 100,
        });
        let settings = FrontSettings {
            digest: cusax::sip::auth::Algorithm::OFFERED.to_vec(),
            hosts: vec![CONF.to_owned(), SERVER.ip().to_string()],
            realm: CONF.to_owned(),
            unproven_callers: true,
            media: MediaSettings {
                codecs: vec![Codec::Pcmu, Codec::Pcma],
                comfort_noise: false,
                srtp,
                fingerprint: Some(Fingerprint::new(FingerprintHash::Sha256, &[7; 32])),
            },
            numbers: numbers(),
            retry_after: Duration::from_secs(5),
            trunks,
            factory: Some(FactorySettings {
                user: "conference".to_owned(),
                right: FactoryRight::Accounts,
                template: RoomConfig::default(),
                max_rooms: 3,
            }),
            dial: DialSettings {
                plan: Arc::new(dial_plan()),
                per_asker: 4,
                proxy: Some(Uri::parse("sip:198.51.100.1:5060").expect("a URI")),
                ..DialSettings::default()
            },
        };
        let now = Now {
            at: start,
            unix_ms: 1_800_000_000_000,
        };
        let listeners = [Transport::Udp, Transport::Tls, Transport::Wss].map(|transport| Listener::plain(transport, SERVER));
        let endpoint = Endpoint::new(EndpointConfig::new(listeners.to_vec()), seed);
        let mut world = Self {
            start,
            now: start,
            net,
            rng: StdRng::seed_from_u64(seed),
            wire: Vec::new(),
            sent: 0,
            front: SipFront::new(settings, endpoint, accounts, [seed as u8; 32], now),
            plane: FakePlane::default(),
            service,
            factory,
            rooms: BTreeMap::new(),
            lives: BTreeMap::new(),
            phones: BTreeMap::new(),
            chats: BTreeMap::new(),
            stored: Vec::new(),
            events: Vec::new(),
            records: Vec::new(),
            input_at: start,
        };
        let mut config = RoomConfig {
            title: "Blue room".to_owned(),
            persistent: true,
            ..RoomConfig::default()
        };
        configure(&mut config);
        world.open(RoomRecord {
            name: RoomName::new("blue").expect("a room name"),
            config,
            locked_until_configured: false,
            from_config: true,
            affiliations: BTreeMap::from([(bare("ann@example.com"), Affiliation::Owner)]),
            voice: BTreeMap::new(),
            subject: None,
            history: Vec::new(),
        });
        world
    }

    fn open(&mut self, record: RoomRecord) {
        let cell = self.factory.build(&record, self.clock());
        *self.lives.entry(record.name.clone()).or_default() += 1;
        self.rooms.insert(record.name, cell);
    }

    /// Both clocks at this moment.
    pub(crate) fn clock(&self) -> Now {
        Now {
            at: self.now,
            unix_ms: 1_800_000_000_000 + (self.now - self.start).as_millis() as u64,
        }
    }

    /// Runs until so much time has gone by.
    pub(crate) fn run_for(&mut self, span: Duration) {
        let end = self.now + span;
        while let Some(at) = self.next_due().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.step();
        }
        self.now = end;
    }

    /// Runs until the condition holds; panics when it doesn't within a simulated minute.
    pub(crate) fn run_until(&mut self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let end = self.now + Duration::from_secs(60);
        while !holds(self) {
            let next = self.next_due().filter(|at| *at <= end);
            let Some(at) = next else { panic!("never happened: {what}") };
            self.now = self.now.max(at);
            self.step();
        }
    }

    fn next_due(&self) -> Option<Instant> {
        let wire = self.wire.iter().map(|(at, ..)| *at);
        let phones = self
            .phones
            .values()
            .filter(|p| !p.dead)
            .filter_map(|p| p.endpoint.poll_timeout())
            .map(|(at, _)| at);
        let rooms = self.rooms.values().filter_map(Cell::poll_timeout).map(|(at, _)| at);
        wire.chain(phones)
            .chain(rooms)
            .chain(self.front.poll_timeout().map(|(at, _)| at))
            .min()
    }

    /// Does everything that is due at this moment.
    fn step(&mut self) {
        self.wire.sort_by_key(|(at, number, ..)| (*at, *number));
        let due = self.wire.iter().take_while(|(at, ..)| *at <= self.now).count();
        for (_, _, to, inbound) in self.wire.drain(..due).collect::<Vec<_>>() {
            self.input_at = self.now;
            if to == SERVER {
                let clock = self.clock();
                self.front
                    .handle_inbound(clock, inbound, &mut self.plane, &Index(&self.rooms, &self.lives));
                self.settle();
            } else if let Some(name) = self.phones.iter().find(|(_, p)| p.address == to && !p.dead).map(|(n, _)| n.clone())
                && !self.watched(&name, &inbound)
            {
                self.at_phone(&name, |phone, now| phone.endpoint.handle_inbound(now, inbound));
            }
        }
        for name in self.phones.keys().cloned().collect::<Vec<_>>() {
            self.at_phone(&name, |phone, now| {
                if phone.endpoint.poll_timeout().is_some_and(|(at, _)| at <= now) {
                    phone.endpoint.handle_timeout(now);
                }
            });
        }
        let clock = self.clock();
        if self.front.poll_timeout().is_some_and(|(at, _)| at <= self.now) {
            self.front.handle_timeout(clock, &mut self.plane, &Index(&self.rooms, &self.lives));
        }
        for name in self.rooms.keys().cloned().collect::<Vec<_>>() {
            if self
                .rooms
                .get(&name)
                .and_then(Cell::poll_timeout)
                .is_some_and(|(at, _)| at <= self.now)
            {
                self.with_cell(&name, |cell, out| cell.handle_timeout(clock, out));
            }
        }
        self.settle();
    }

    fn with_cell(&mut self, name: &RoomName, work: impl FnOnce(&mut Cell, &mut Out)) {
        let Some(cell) = self.rooms.get_mut(name) else { return };
        let mut out = Out::default();
        work(cell, &mut out);
        let over = cell.is_over();
        for order in out.media {
            self.plane.order(order);
        }
        self.events.extend(out.events.into_iter().map(|e| (name.clone(), e)));
        self.stored.extend(out.store);
        for stanza in out.stanzas {
            self.deliver(stanza);
        }
        let clock = self.clock();
        for command in out.sip {
            self.front
                .handle_room(clock, command, &mut self.plane, &Index(&self.rooms, &self.lives));
        }
        if over {
            self.rooms.remove(name);
            self.front
                .handle_room_gone(clock, name, &mut self.plane, &Index(&self.rooms, &self.lives));
        }
    }

    /// Carries messages between front, rooms and plane until nothing is left, then sends what goes out.
    fn settle(&mut self) {
        loop {
            let clock = self.clock();
            if self.front.has_work() {
                self.front.work(clock, &mut self.plane, &Index(&self.rooms, &self.lives));
            }
            if let Some(record) = self.front.poll_created() {
                self.open(record);
                continue;
            }
            if let Some((room, message)) = self.front.poll_room() {
                self.with_cell(&room, |cell, out| cell.handle(clock, Input::Sip(message), out));
            } else if let Some(report) = self.plane.reports.pop_front() {
                self.front
                    .handle_media(clock, report, &mut self.plane, &Index(&self.rooms, &self.lives));
            } else {
                break;
            }
        }
        while let Some(transmit) = self.front.poll_transmit() {
            self.send(SERVER, transmit);
        }
        while let Some(record) = self.front.poll_record() {
            self.records.push(record);
        }
    }

    fn send(&mut self, from: SocketAddr, transmit: Transmit) {
        let to = transmit.target.remote();
        let inbound = |to: SocketAddr, from: SocketAddr, bytes: Vec<u8>| Inbound::Datagram {
            flow: Flow {
                transport: Transport::Udp,
                local: to,
                remote: from,
                connection: None,
            },
            bytes,
        };
        self.sent += 1;
        match transmit.target.transport() {
            Transport::Udp => {}
            // There is no TCP here: rule R42 falls back.
            Transport::Tcp => {
                self.wire.push((self.now, self.sent, from, Inbound::Unreachable(transmit.target)));
                return;
            }
            // Nothing is lost, and messages come whole.
            Transport::Tls | Transport::Ws | Transport::Wss => {
                let Target::Flow(flow) = transmit.target else {
                    panic!("the phones keep their connections")
                };
                let flow = Flow {
                    local: to,
                    remote: from,
                    ..flow
                };
                let message = parse_datagram(&transmit.bytes);
                self.wire.push((self.now + HOP, self.sent, to, Inbound::Message { flow, message }));
                return;
            }
        }
        let copies = if self.rng.random_range(0..100) < self.net.loss {
            0
        } else if self.rng.random_range(0..100) < self.net.doubled {
            2
        } else {
            1
        };
        for _ in 0..copies {
            let late = Duration::from_millis(self.rng.random_range(0..=self.net.jitter_ms));
            self.wire
                .push((self.now + HOP + late, self.sent, to, inbound(to, from, transmit.bytes.clone())));
        }
    }

    // ---- phones ----

    /// Adds a phone that signs in as this account, if there is one of that name.
    pub(crate) fn phone(&mut self, name: &str) {
        self.phone_over(name, Transport::Udp);
    }

    /// Adds a phone that signals over this transport.
    pub(crate) fn phone_over(&mut self, name: &str, transport: Transport) {
        let number = self.phones.len() as u8 + 1;
        let address = SocketAddr::from(([198, 51, 100, number], 5060));
        let credentials = ["ann", "bob", "carol", "dave"]
            .contains(&name)
            .then(|| Credentials::new(name, "secret"));
        let domain = if credentials.is_some() { CONF } else { "elsewhere.example" };
        let seed = self.rng.random();
        self.phones.insert(
            name.to_owned(),
            Phone {
                endpoint: Endpoint::new(EndpointConfig::new(vec![Listener::plain(transport, address)]), seed),
                way: Flow {
                    transport,
                    local: address,
                    remote: SERVER,
                    connection: (transport != Transport::Udp).then(|| ConnectionId(number.into())),
                },
                address,
                call: None,
                credentials,
                aor: format!("sip:{name}@{domain}"),
                log: Vec::new(),
                received: Vec::new(),
                documents: Vec::new(),
                dead: false,
                manner: Manner::default(),
            },
        );
    }

    /// The phone signs in with this from now on.
    pub(crate) fn sign_in(&mut self, phone: &str, user: &str, secret: &str) {
        if let Some(phone) = self.phones.get_mut(phone) {
            phone.credentials = Some(Credentials::new(user, secret));
        }
    }

    /// What a phone has seen.
    pub(crate) fn at(&self, phone: &str) -> &Phone {
        &self.phones[phone]
    }

    /// Calls a room; the answer is awaited by [`World::run_until`].
    pub(crate) fn dial(&mut self, phone: &str, room: &str) {
        self.dial_with(phone, room, &[]);
    }

    /// Calls with further header fields.
    pub(crate) fn dial_with(&mut self, phone: &str, room: &str, headers: &[(&str, &str)]) {
        self.dial_media(
            phone,
            room,
            headers,
            "RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n",
        );
    }

    /// Calls with an offer whose audio line has this behind its port.
    pub(crate) fn dial_media(&mut self, phone: &str, room: &str, headers: &[(&str, &str)], media: &str) {
        let headers = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let to = Uri::parse(&format!("sip:{room}@{CONF}")).expect("a URI");
        self.at_phone(phone, |phone, now| {
            let port = phone.address.port() + 1000;
            let host = phone.address.ip();
            let sdp = format!("v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\nm=audio {port} {media}");
            let args = InviteArgs {
                to,
                from: Uri::parse(&phone.aor).expect("a URI"),
                name: None,
                presentation: Presentation {
                    user: Some("phone".to_owned()),
                    focus: false,
                },
                offer: Body::sdp(sdp),
                credentials: phone.credentials.clone(),
                via: Some(Way::To(Target::Flow(phone.way))),
                headers,
            };
            phone.call = Some(phone.endpoint.invite(now, args).expect("the server can be reached"));
        });
    }

    /// Calls, and waits until the call is up.
    pub(crate) fn join_by_phone(&mut self, phone: &str, room: &str) {
        if !self.phones.contains_key(phone) {
            self.phone(phone);
        }
        self.dial(phone, room);
        self.run_until("the call is up", |w| w.at(phone).log.iter().any(|l| l == "200"));
        self.run_for(Duration::from_millis(20));
    }

    /// Subscribes to conference state outside of the call's dialog, as RFC 4579 section 3.4 has it.
    pub(crate) fn subscribe(&mut self, phone: &str, room: &str, expires: u32) {
        self.sent += 1;
        let at = self.phones[phone].address;
        let (aor, number) = (self.phones[phone].aor.clone(), self.sent);
        let text = format!(
            "SUBSCRIBE sip:{room}@{CONF} SIP/2.0\r\nVia: SIP/2.0/UDP {at};branch=z9hG4bKwatch{number}\r\nMax-Forwards: 70\r\nFrom: <{aor}>;tag=watch{number}\r\n\
             To: <sip:{room}@{CONF}>\r\nCall-ID: watch-{phone}-{number}\r\nCSeq: 1 SUBSCRIBE\r\nContact: <sip:phone@{at}>\r\nEvent: conference\r\n\
             Accept: application/conference-info+xml\r\nExpires: {expires}\r\nContent-Length: 0\r\n\r\n"
        );
        let target = Target::Flow(Flow {
            transport: Transport::Udp,
            local: at,
            remote: SERVER,
            connection: None,
        });
        self.send(
            at,
            Transmit {
                target,
                bytes: text.into_bytes(),
            },
        );
    }

    /// Sends a message of the test's own as a phone's; its answer is in what the phone received.
    pub(crate) fn raw(&mut self, phone: &str, text: &str) {
        let local = self.phones[phone].address;
        let target = Target::Flow(Flow {
            transport: Transport::Udp,
            local,
            remote: SERVER,
            connection: None,
        });
        let bytes = text.replace("{at}", &local.to_string()).into_bytes();
        self.send(local, Transmit { target, bytes });
        self.run_for(Duration::from_millis(20));
    }

    /// Takes what belongs to a phone's watching: NOTIFY is written down and answered.
    fn watched(&mut self, name: &str, inbound: &Inbound) -> bool {
        let (text, flow) = match inbound {
            Inbound::Datagram { bytes, flow } => (String::from_utf8_lossy(bytes).into_owned(), flow),
            Inbound::Message {
                message: Ok(message),
                flow,
            } => (String::from_utf8_lossy(&message.to_bytes()).into_owned(), flow),
            Inbound::Message { message: Err(_), .. } | Inbound::FlowLost(_) | Inbound::Unreachable(_) | Inbound::Proven { .. } => {
                return false;
            }
        };
        let phone = self.phones.get_mut(name).expect("the phone exists");
        phone.received.push(text.clone());
        if !text.contains("\r\nCall-ID: watch-") {
            return false;
        }
        if let Some(body) = text
            .strip_prefix("NOTIFY ")
            .and_then(|t| t.split_once("\r\n\r\n"))
            .map(|(_, body)| body)
        {
            phone.documents.push(body.to_owned());
            let kept = ["Via:", "From:", "To:", "Call-ID:", "CSeq:"];
            let headers: String = text
                .lines()
                .filter(|l| kept.iter().any(|k| l.starts_with(k)))
                .map(|l| format!("{}\r\n", l.trim_end()))
                .collect();
            let answer = format!("SIP/2.0 200 OK\r\n{headers}Content-Length: 0\r\n\r\n");
            let target = Target::Flow(*flow);
            self.send(
                flow.local,
                Transmit {
                    target,
                    bytes: answer.into_bytes(),
                },
            );
        }
        true
    }

    /// Sends a REFER: in the phone's call, or to a room as its account.
    pub(crate) fn refer(&mut self, phone: &str, room: Option<&str>, refer_to: ReferTo) {
        self.at_phone(phone, |phone, now| {
            let presentation = Presentation {
                user: Some("phone".to_owned()),
                focus: false,
            };
            let whom = match (room, phone.call) {
                (None, Some(call)) => Referee::Call(call),
                (None, None) => panic!("the phone is in no call"),
                (Some(room), _) => Referee::Outside(Box::new(Outside {
                    to: Uri::parse(&format!("sip:{room}@{CONF}")).expect("a URI"),
                    from: Uri::parse(&phone.aor).expect("a URI"),
                    name: None,
                    presentation,
                    credentials: phone.credentials.clone(),
                    via: Some(Way::To(Target::Flow(phone.way))),
                })),
            };
            let args = ReferArgs {
                whom,
                refer_to,
                headers: Vec::new(),
            };
            phone.endpoint.refer(now, args).expect("the server can be reached");
        });
    }

    /// Changes which way a phone's audio goes.
    pub(crate) fn reoffer(&mut self, phone: &str, direction: &str) {
        let media = format!("RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\na={direction}\r\n");
        self.reoffer_media(phone, &media);
    }

    /// Offers anew, as [`World::dial_media`] does.
    pub(crate) fn reoffer_media(&mut self, phone: &str, media: &str) {
        self.at_phone(phone, |phone, now| {
            let (host, port) = (phone.address.ip(), phone.address.port() + 1000);
            let sdp = format!("v=0\r\no=- 1 2 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\nm=audio {port} {media}");
            let call = phone.call.expect("the phone is in a call");
            phone
                .endpoint
                .reinvite(now, call, Body::sdp(sdp))
                .expect("nothing else is under way");
        });
    }

    /// Hangs up.
    pub(crate) fn hang_up(&mut self, phone: &str) {
        self.at_phone(phone, |phone, now| {
            if let Some(call) = phone.call {
                let _ = phone.endpoint.hang_up(now, call, None);
            }
        });
    }

    /// Pulls the plug: nothing comes from this phone any more, and nothing reaches it.
    pub(crate) fn kill(&mut self, phone: &str) {
        self.phones.get_mut(phone).expect("the phone exists").dead = true;
    }

    /// The sockets report of a phone's connection: what its certificate proves, or that it is lost.
    pub(crate) fn connection(&mut self, phone: &str, report: impl FnOnce(Flow) -> Inbound) {
        let Phone { way, address, .. } = self.phones[phone];
        let flow = Flow {
            local: SERVER,
            remote: address,
            ..way
        };
        let clock = self.clock();
        let rooms = Index(&self.rooms, &self.lives);
        self.front.handle_inbound(clock, report(flow), &mut self.plane, &rooms);
        self.settle();
    }

    /// What the front has refused so far.
    pub(crate) fn front_counters(&self) -> FrontCounters {
        self.front.counters().0
    }

    fn at_phone(&mut self, name: &str, work: impl FnOnce(&mut Phone, Instant)) {
        let now = self.now;
        let phone = self.phones.get_mut(name).expect("the phone exists");
        if phone.dead {
            return;
        }
        work(phone, now);
        while let Some(event) = phone.endpoint.poll_event() {
            match event {
                Event::Progress { response, .. } => phone.log.push(response.status.to_string()),
                Event::Answered { response, .. } => phone.log.push(response.status.to_string()),
                Event::Reoffer { call, offer, .. } => {
                    let _ = phone.endpoint.accept_reoffer(now, call, offer.unwrap_or_else(|| Body::sdp("")));
                }
                Event::Ended { cause, .. } => {
                    phone.call = None;
                    phone.log.push(format!("ended: {cause:?}"));
                }
                Event::ReferProgress { status, .. } => phone.log.push(format!("refer: {status}")),
                Event::ReferFailed {
                    failure: ReferFailure::Refused { response },
                    ..
                } => phone.log.push(format!("refer refused: {}", response.status)),
                Event::ReferFailed { failure, .. } => phone.log.push(format!("refer failed: {failure:?}")),
                Event::Invite { call, offer, request, .. } => phone.called(now, call, offer.as_ref(), &request),
                Event::Confirmed { .. }
                | Event::ReofferWithdrawn { .. }
                | Event::ReofferAnswered { .. }
                | Event::ReofferFailed { .. }
                | Event::Info { .. }
                | Event::Options { .. }
                | Event::Subscribe { .. }
                | Event::Refreshed { .. }
                | Event::Notified { .. }
                | Event::SubscriptionEnded { .. }
                | Event::Refer { .. }
                | Event::EarlyAnswer { .. }
                | Event::Registration { .. }
                | Event::Pinged { .. } => {}
            }
        }
        let mut out = Vec::new();
        while let Some(transmit) = phone.endpoint.poll_transmit() {
            out.push(transmit);
        }
        let address = phone.address;
        for transmit in out {
            self.send(address, transmit);
        }
    }

    /// Sets how a phone takes calls, and tells the address at which it is called.
    pub(crate) fn takes_calls(&mut self, name: &str, manner: Manner) -> String {
        if !self.phones.contains_key(name) {
            self.phone(name);
        }
        let phone = self.phones.get_mut(name).expect("the phone exists");
        phone.manner = manner;
        format!("sip:{name}@{}", phone.address)
    }

    /// The leg of a present phone, as the room shows it; phones are known by their Contact's address.
    pub(crate) fn leg_of(&self, phone: &str, room: &str) -> Option<LegId> {
        let address = self.phones[phone].address.ip().to_string();
        let cell = self.rooms.get(&RoomName::new(room).ok()?)?;
        cell.room()
            .people()
            .flat_map(|p| p.legs)
            .find(|l| l.endpoint.contains(&address))
            .map(|l| l.id)
    }

    /// Whether the room hears this phone.
    pub(crate) fn is_heard(&self, phone: &str, room: &str) -> bool {
        let leg = self.leg_of(phone, room).and_then(|leg| self.plane.legs.get(&leg));
        leg.is_some_and(|l| !l.closed && !l.muted && l.room.as_ref().is_some_and(|r| r.as_str() == room))
    }

    // ---- chat ----

    /// Delivers a stanza of the server's to the chat user that it is for.
    fn deliver(&mut self, stanza: Element) {
        let to = stanza.attr("to").unwrap_or_default().to_owned();
        let text = String::from(&stanza);
        // A server hands on to a client what is for its account.
        let is_for = |jid: &str| jid == to || jid.strip_prefix(&to).is_some_and(|rest| rest.starts_with('/'));
        for chat in self.chats.values_mut().filter(|c| is_for(&c.jid)) {
            chat.seen.push(text.clone());
            chat.inbox.push_back(stanza.clone());
        }
    }

    /// Adds a chat user, `name@example.com/desk`.
    pub(crate) fn chat(&mut self, name: &str) {
        self.chats.insert(
            name.to_owned(),
            Chat {
                jid: format!("{name}@example.com/desk"),
                ..Chat::default()
            },
        );
    }

    /// Sends a stanza as this user; the text is without `from`.
    pub(crate) fn say(&mut self, name: &str, stanza: &str) {
        let jid = self.chats[name].jid.clone();
        let mut element: Element = stanza.replacen(' ', " xmlns='jabber:client' ", 1).parse().expect("a stanza");
        cusax::xmpp::stanza::set(&mut element, "from", &jid);
        self.input_at = self.now;
        let mut queue = VecDeque::from([element]);
        let clock = self.clock();
        while let Some(element) = queue.pop_front() {
            match self.service.route(clock, element, &Index(&self.rooms, &self.lives)) {
                Route::ToRoom(room, stanza) => self.with_cell(&room, |cell, out| cell.handle(clock, Input::Stanza(stanza), out)),
                Route::Create(record, stanza) => {
                    let name = record.name.clone();
                    self.open(*record);
                    self.with_cell(&name, |cell, out| cell.handle(clock, Input::Stanza(stanza), out));
                }
                Route::Reply(stanzas) => {
                    for stanza in stanzas {
                        self.deliver(stanza);
                    }
                }
                Route::Drop => {}
            }
        }
        self.settle();
    }

    /// Enters a room under the user's own name.
    pub(crate) fn enter(&mut self, name: &str, room: &str) {
        if !self.chats.contains_key(name) {
            self.chat(name);
        }
        self.say(
            name,
            &format!("<presence to='{room}@{ROOMS}/{name}'><x xmlns='http://jabber.org/protocol/muc'/></presence>"),
        );
    }

    /// Leaves it.
    pub(crate) fn leave(&mut self, name: &str, room: &str) {
        self.say(name, &format!("<presence type='unavailable' to='{room}@{ROOMS}/{name}'/>"));
    }

    /// Sets a role by nick, as a moderator does.
    pub(crate) fn set_role(&mut self, name: &str, room: &str, nick: &str, role: &str) {
        self.say(
            name,
            &format!(
                "<iq type='set' id='r-{role}' to='{room}@{ROOMS}'><query xmlns='http://jabber.org/protocol/muc#admin'><item nick='{nick}' role='{role}'><reason>why not</reason></item></query></iq>"
            ),
        );
    }

    /// Sets an affiliation by JID, as an admin does.
    pub(crate) fn set_affiliation(&mut self, name: &str, room: &str, jid: &str, affiliation: &str) {
        self.say(
            name,
            &format!(
                "<iq type='set' id='a-{affiliation}' to='{room}@{ROOMS}'><query xmlns='http://jabber.org/protocol/muc#admin'><item jid='{jid}' affiliation='{affiliation}'/></query></iq>"
            ),
        );
    }

    /// Everything that has reached the user since it was last forgotten.
    pub(crate) fn seen(&self, name: &str) -> &[String] {
        &self.chats[name].seen
    }

    /// Whether there is such a phone.
    pub(crate) fn has_phone(&self, name: &str) -> bool {
        self.phones.contains_key(name)
    }

    /// Whether a stanza with all of these parts has reached the user.
    pub(crate) fn saw(&self, name: &str, parts: &[&str]) -> bool {
        self.chats[name].seen.iter().any(|s| parts.iter().all(|p| s.contains(p)))
    }

    /// Whether anything at all has reached the user.
    pub(crate) fn chats_saw_anything(&self, name: &str) -> bool {
        !self.chats[name].seen.is_empty()
    }

    /// Forgets what the user has seen so far.
    pub(crate) fn forget(&mut self, name: &str) {
        let chat = self.chats.get_mut(name).expect("the user exists");
        chat.seen.clear();
        chat.inbox.clear();
    }

    /// The operator orders something of a room.
    pub(crate) fn operator(&mut self, room: &str, command: RoomCommand) -> RoomReply {
        let (reply, mut answer) = tokio::sync::oneshot::channel();
        let (name, clock) = (RoomName::new(room).expect("a room name"), self.clock());
        self.with_cell(&name, |cell, out| cell.handle(clock, Input::Control(command, reply), out));
        self.settle();
        answer.try_recv().expect("the room answers at once")
    }

    /// The chat server in front goes away, or comes back.
    pub(crate) fn chat_link(&mut self, up: bool) {
        let clock = self.clock();
        for name in self.rooms.keys().cloned().collect::<Vec<_>>() {
            self.with_cell(&name, |cell, out| cell.handle(clock, Input::ChatLink(up), out));
        }
        self.settle();
    }

    /// The media plane reports something.
    pub(crate) fn media(&mut self, report: MediaReport) {
        self.plane.reports.push_back(report);
        self.settle();
    }

    /// The front hears once more, and late, that a room is gone.
    pub(crate) fn room_gone(&mut self, room: &str) {
        let (name, clock) = (RoomName::new(room).expect("a room name"), self.clock());
        self.front
            .handle_room_gone(clock, &name, &mut self.plane, &Index(&self.rooms, &self.lives));
        self.settle();
    }

    /// Everything ends.
    pub(crate) fn shutdown(&mut self) {
        self.front.close(self.clock());
        let clock = self.clock();
        for name in self.rooms.keys().cloned().collect::<Vec<_>>() {
            self.with_cell(&name, |cell, out| cell.handle(clock, Input::Shutdown, out));
        }
        self.settle();
    }

    /// Calls that the server still knows.
    pub(crate) fn calls(&self) -> usize {
        self.front.calls()
    }
}
