//! A SIP endpoint calls another one over a net that loses, doubles and reorders, on fake time. Whatever happens, nothing is left over.

mod gone;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    time::{Duration, Instant},
};

use cusax::model::{CallId, SubscriptionId};
use cusax::sip::{
    endpoint::{
        Body, EndCause, Endpoint, EndpointConfig, Event, Flow, Inbound, InviteArgs, Listener, OptionsAnswer, Population, Presentation,
        Rejection, SubscriptionEnd, Target, Transport,
    },
    msg::{Message, Method, Name, Request, Response, Uri, parse_datagram},
};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

/// Both sides are tried with each of these.
const SEEDS: [u64; 3] = [1, 2, 3];
/// Longer than anything takes that is still under way.
const PATIENCE: Duration = Duration::from_secs(120);
/// Longer than any timer of a call or subscription that nobody ends.
const FOR_EVER: Duration = Duration::from_secs(4 * 3_600);

/// One side: an endpoint with an application that takes everything, and notes it.
struct Side {
    endpoint: Endpoint,
    address: SocketAddr,
    log: Vec<Event>,
    /// Offers again, when that failed for a glare.
    stubborn: bool,
}

/// Two sides, a subscriber made of messages, and the net between them.
struct Net {
    start: Instant,
    now: Instant,
    rng: StdRng,
    sides: [Side; 2],
    watcher: Watcher,
    wire: BTreeMap<(Instant, u64), Packet>,
    sent: u64,
    /// Nothing comes from there or gets there any more.
    gone: Option<SocketAddr>,
    /// Everything that was sent, for comparing runs.
    trace: Vec<(Duration, Vec<u8>)>,
}

enum Packet {
    Datagram { from: SocketAddr, to: SocketAddr, bytes: Vec<u8> },
    Refused { to: SocketAddr, target: Target },
}

/// A subscriber: sends its request until it is answered, and answers every NOTIFY.
struct Watcher {
    address: SocketAddr,
    request: Option<(Instant, Vec<u8>)>,
    tag: Option<String>,
    cseq: u32,
    /// `Subscription-State` and body of each NOTIFY, once each.
    seen: BTreeMap<u32, (String, usize)>,
}

const HOST: usize = 0;
const GUEST: usize = 1;

fn address(host: u8) -> SocketAddr {
    ([10, 0, 0, host], 5060).into()
}

impl Side {
    fn new(host: u8, seed: u64) -> Self {
        let address = address(host);
        let listeners = vec![Listener::plain(Transport::Udp, address), Listener::plain(Transport::Tcp, address)];
        Self {
            endpoint: Endpoint::new(EndpointConfig::new(listeners), seed),
            address,
            log: Vec::new(),
            stubborn: true,
        }
    }

    fn react(&mut self, now: Instant) {
        while let Some(event) = self.endpoint.poll_event() {
            let endpoint = &mut self.endpoint;
            let done = match &event {
                Event::Reoffer { call, .. } => endpoint.accept_reoffer(now, *call, Body::sdp("answer")),
                Event::ReofferFailed { call, .. } if self.stubborn => endpoint.reinvite(now, *call, Body::sdp("again")),
                Event::Subscribe { subscription, .. } => {
                    let done = endpoint.accept_subscription(now, *subscription, &focus());
                    done.and_then(|()| endpoint.notify(now, *subscription, document(1)))
                }
                Event::Refreshed { subscription, .. } => {
                    // One may be under way: then the test sends the next.
                    let _ = endpoint.notify(now, *subscription, document(2));
                    Ok(())
                }
                Event::Options { options, .. } => endpoint.answer_options(now, *options, OptionsAnswer::Rejected(Rejection::new(404))),
                Event::Refer { refer, .. } => endpoint.accept_refer(now, *refer, &focus()),
                Event::Invite { .. }
                | Event::Confirmed { .. }
                | Event::ReofferWithdrawn { .. }
                | Event::ReofferAnswered { .. }
                | Event::ReofferFailed { .. }
                | Event::Info { .. }
                | Event::Progress { .. }
                | Event::Answered { .. }
                | Event::Ended { .. }
                | Event::Notified { .. }
                | Event::SubscriptionEnded { .. }
                | Event::EarlyAnswer { .. }
                | Event::ReferProgress { .. }
                | Event::ReferFailed { .. }
                | Event::Registration { .. }
                | Event::Pinged { .. } => Ok(()),
            };
            done.expect("what an event asks for can be done");
            self.log.push(event);
        }
    }

    /// The last call that came.
    fn invited(&self) -> Option<CallId> {
        self.log.iter().rev().find_map(|event| {
            if let Event::Invite { call, .. } = event {
                Some(*call)
            } else {
                None
            }
        })
    }

    fn count(&self, what: fn(&Event) -> bool) -> usize {
        self.log.iter().filter(|event| what(event)).count()
    }

    fn ended(&self) -> Vec<&EndCause> {
        self.log
            .iter()
            .filter_map(|event| {
                if let Event::Ended { cause, .. } = event {
                    Some(cause)
                } else {
                    None
                }
            })
            .collect()
    }
}

fn focus() -> Presentation {
    Presentation { user: None, focus: true }
}

/// Longer than a datagram should be: it is tried over TCP first, which nobody serves here (rule R42).
fn document(number: usize) -> Body {
    Body {
        content_type: "application/conference-info+xml".to_owned(),
        bytes: vec![b'x'; 2_000 + number],
    }
}

impl Net {
    fn new(seed: u64) -> Self {
        let start = Instant::now();
        let watcher = Watcher {
            address: address(3),
            request: None,
            tag: None,
            cseq: 0,
            seen: BTreeMap::new(),
        };
        Self {
            start,
            now: start,
            rng: StdRng::seed_from_u64(seed),
            sides: [Side::new(1, seed), Side::new(2, seed + 100)],
            watcher,
            wire: BTreeMap::new(),
            sent: 0,
            gone: None,
            trace: Vec::new(),
        }
    }

    /// A datagram sets out: one in five is lost, one in ten doubled, all are late by up to 300 ms.
    fn send(&mut self, from: SocketAddr, to: SocketAddr, bytes: Vec<u8>) {
        self.trace.push((self.now - self.start, bytes.clone()));
        let copies = match self.rng.random_range(0..10) {
            _ if self.gone == Some(from) => 0,
            0 | 1 => 0,
            2 => 2,
            _ => 1,
        };
        for _ in 0..copies {
            self.put(Packet::Datagram {
                from,
                to,
                bytes: bytes.clone(),
            });
        }
    }

    fn put(&mut self, packet: Packet) {
        let late = Duration::from_millis(self.rng.random_range(1..=300));
        self.sent += 1;
        self.wire.insert((self.now + late, self.sent), packet);
    }

    /// Everything that is to be done now is done.
    fn settle(&mut self) {
        for index in [HOST, GUEST] {
            let now = self.now;
            self.sides[index].react(now);
            while let Some(transmit) = self.sides[index].endpoint.poll_transmit() {
                let from = self.sides[index].address;
                match transmit.target {
                    Target::Flow(flow) => self.send(from, flow.remote, transmit.bytes),
                    target @ Target::Connect { .. } => self.put(Packet::Refused { to: from, target }),
                }
            }
        }
    }

    /// The next thing happens; `false` if there is none before `end`.
    fn step(&mut self, end: Instant) -> bool {
        self.settle();
        let arrival = self.wire.first_key_value().map(|(key, _)| key.0);
        let timers = self.sides.iter().filter_map(|side| side.endpoint.poll_timeout()).map(|(at, _)| at);
        let watcher = self.watcher.request.as_ref().map(|(at, _)| *at);
        let Some(next) = timers.chain(arrival).chain(watcher).min().filter(|at| *at <= end) else {
            return false;
        };
        self.now = self.now.max(next);
        for side in &mut self.sides {
            side.endpoint.handle_timeout(self.now);
        }
        self.retry_watcher();
        while let Some(entry) = self.wire.first_entry().filter(|entry| entry.key().0 <= self.now) {
            match entry.remove() {
                Packet::Datagram { from, to, bytes } => self.deliver(from, to, bytes),
                Packet::Refused { to, target } => self.sides[index_of(to)]
                    .endpoint
                    .handle_inbound(self.now, Inbound::Unreachable(target)),
            }
        }
        self.settle();
        true
    }

    fn deliver(&mut self, from: SocketAddr, to: SocketAddr, bytes: Vec<u8>) {
        if self.gone == Some(to) {
            return;
        }
        if to == self.watcher.address {
            return self.deliver_to_watcher(from, &bytes);
        }
        let flow = Flow {
            transport: Transport::Udp,
            local: to,
            remote: from,
            connection: None,
        };
        self.sides[index_of(to)]
            .endpoint
            .handle_inbound(self.now, Inbound::Datagram { flow, bytes });
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.step(end) {}
        self.now = end;
    }

    fn until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        let end = self.now + PATIENCE;
        while !done(self) {
            assert!(self.step(end), "never came: {what}");
        }
    }

    /// The guest calls the host.
    fn invite(&mut self) -> CallId {
        let args = InviteArgs {
            to: Uri::parse("sip:room@10.0.0.1").expect("a URI"),
            from: Uri::parse("sip:ann@10.0.0.2").expect("a URI"),
            name: None,
            presentation: Presentation {
                user: Some("ann".to_owned()),
                focus: false,
            },
            offer: Body::sdp("offer"),
            credentials: None,
            via: None,
            headers: Vec::new(),
        };
        self.sides[GUEST].endpoint.invite(self.now, args).expect("an address")
    }

    /// A call that is up on both sides: the host's and the guest's number.
    fn connect(&mut self) -> (CallId, CallId) {
        let calls = self.sides[HOST].log.len();
        let guest = self.invite();
        self.until("the INVITE", |net| {
            net.sides[HOST].log[calls..].iter().any(|e| matches!(e, Event::Invite { .. }))
        });
        let host = self.sides[HOST].invited().expect("just seen");
        self.sides[HOST].endpoint.ring(self.now, host, 180, focus()).expect("it rings");
        self.sides[HOST]
            .endpoint
            .accept(self.now, host, focus(), Body::sdp("answer"))
            .expect("it rings");
        self.until("the 200 and its ACK", |net| {
            net.sides[HOST].log[calls..]
                .iter()
                .any(|e| matches!(e, Event::Confirmed { call, .. } if *call == host))
                && net.sides[GUEST]
                    .log
                    .iter()
                    .any(|e| matches!(e, Event::Answered { call, .. } if *call == guest))
        });
        (host, guest)
    }

    /// After the last timer there is nothing left.
    fn assert_nothing_is_left(&mut self) {
        self.run(FOR_EVER);
        let nothing = Population {
            servers: 0,
            clients: 0,
            dialogs: 0,
            calls: 0,
            subscriptions: 0,
            refers: 0,
            upkeep: 0,
            lookups: 0,
        };
        for side in &self.sides {
            assert_eq!(side.endpoint.population(), nothing);
            assert_eq!(side.endpoint.poll_timeout(), None);
        }
    }

    fn subscribe(&mut self, expires: u32) {
        self.watcher.cseq += 1;
        let Watcher { cseq, tag, .. } = &self.watcher;
        let to_tag = tag.as_ref().map(|tag| format!(";tag={tag}")).unwrap_or_default();
        let text = format!(
            "SUBSCRIBE sip:room@10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.3;branch=z9hG4bKw{cseq}\r\nFrom: <sip:w@10.0.0.3>;tag=w\r\n\
             To: <sip:room@10.0.0.1>{to_tag}\r\nCall-ID: w\r\nCSeq: {cseq} SUBSCRIBE\r\nContact: <sip:w@10.0.0.3>\r\nEvent: conference\r\n\
             Expires: {expires}\r\nContent-Length: 0\r\n\r\n"
        );
        self.watcher.request = Some((self.now, text.into_bytes()));
        self.retry_watcher();
    }

    fn retry_watcher(&mut self) {
        if let Some((at, bytes)) = self.watcher.request.clone().filter(|(at, _)| *at <= self.now) {
            self.watcher.request = Some((at + Duration::from_millis(500), bytes.clone()));
            self.send(self.watcher.address, address(1), bytes);
        }
    }

    fn deliver_to_watcher(&mut self, from: SocketAddr, bytes: &[u8]) {
        match parse_datagram(bytes).expect("what we write can be read") {
            Message::Response(response) => {
                let cseq = response.headers.cseq().expect("CSeq");
                if cseq.number == self.watcher.cseq && response.status == 200 {
                    self.watcher.tag = response.headers.to().expect("To").tag().map(str::to_owned);
                    self.watcher.request = None;
                }
            }
            Message::Request(request) => {
                assert_eq!(request.method, Method::Notify);
                self.watcher.note(&request);
                let answer = Response::to_request(&request, 200);
                self.send(self.watcher.address, from, answer.to_bytes());
            }
        }
    }
}

impl Watcher {
    fn note(&mut self, notify: &Request) {
        let state = String::from_utf8_lossy(notify.headers.first(Name::SubscriptionState).expect("it is there")).into_owned();
        self.seen
            .insert(notify.headers.cseq().expect("CSeq").number, (state, notify.body.len()));
    }
}

fn index_of(address: SocketAddr) -> usize {
    usize::from(address != self::address(1))
}

#[test]
fn a_call_is_held_resumed_and_hung_up_from_either_side() {
    for seed in SEEDS {
        let mut net = Net::new(seed);
        for (round, leaver) in [HOST, GUEST].into_iter().enumerate() {
            let (host, guest) = net.connect();
            for again in 1..=2 {
                net.sides[GUEST]
                    .endpoint
                    .reinvite(net.now, guest, Body::sdp("hold"))
                    .expect("it is up");
                let answered = |net: &Net| net.sides[GUEST].count(|e| matches!(e, Event::ReofferAnswered { .. })) == round * 2 + again;
                net.until("the answer", answered);
            }
            let call = [host, guest][leaver];
            net.sides[leaver].endpoint.hang_up(net.now, call, None).expect("it is up");
            net.until("the end", |net| net.sides.iter().all(|side| side.ended().len() == round + 1));
            assert_eq!(net.sides[leaver].ended()[round], &EndCause::WeHungUp);
            assert!(matches!(net.sides[1 - leaver].ended()[round], EndCause::TheyHungUp { .. }));
        }
        net.assert_nothing_is_left();
    }
}

#[test]
fn r40_offers_that_clash_are_both_made_in_the_end() {
    for seed in SEEDS {
        let mut net = Net::new(seed);
        let (host, guest) = net.connect();
        net.sides[HOST]
            .endpoint
            .reinvite(net.now, host, Body::sdp("mine"))
            .expect("it is up");
        net.sides[GUEST]
            .endpoint
            .reinvite(net.now, guest, Body::sdp("mine"))
            .expect("it is up");
        net.until("both answers", |net| {
            net.sides
                .iter()
                .all(|side| side.count(|e| matches!(e, Event::ReofferAnswered { .. })) >= 1)
        });
        net.sides[HOST].endpoint.hang_up(net.now, host, None).expect("it is up");
        net.assert_nothing_is_left();
    }
}

#[test]
fn r41_a_cancel_that_races_the_answer_leaves_no_call() {
    for seed in SEEDS {
        for delay in (0..1_000).step_by(100) {
            let mut net = Net::new(seed);
            let guest = net.invite();
            net.until("the INVITE", |net| net.sides[HOST].invited().is_some());
            let host = net.sides[HOST].invited().expect("just seen");
            net.sides[HOST].endpoint.ring(net.now, host, 180, focus()).expect("it rings");
            net.run(Duration::from_millis(delay / 2));
            net.sides[GUEST].endpoint.hang_up(net.now, guest, None).expect("it calls");
            net.run(Duration::from_millis(delay));
            // Cancelled already, perhaps.
            let _ = net.sides[HOST].endpoint.accept(net.now, host, focus(), Body::sdp("answer"));
            net.assert_nothing_is_left();
            assert_eq!(net.sides[GUEST].ended(), [&EndCause::WeCancelled], "seed {seed}, {delay} ms");
            assert_eq!(net.sides[HOST].ended().len(), 1, "seed {seed}, {delay} ms");
        }
    }
}

#[test]
fn byes_that_cross_end_the_call_once_on_each_side() {
    for seed in SEEDS {
        let mut net = Net::new(seed);
        let (host, guest) = net.connect();
        net.sides[HOST].endpoint.hang_up(net.now, host, None).expect("it is up");
        net.sides[GUEST].endpoint.hang_up(net.now, guest, None).expect("it is up");
        net.assert_nothing_is_left();
        assert!(net.sides.iter().all(|side| side.ended().len() == 1));
    }
}

#[test]
fn r42_a_subscriber_gets_its_documents_over_a_bad_net() {
    for seed in SEEDS {
        let mut net = Net::new(seed);
        net.subscribe(600);
        let notified = |n: usize| move |net: &Net| net.sides[HOST].count(|e| matches!(e, Event::Notified { .. })) == n;
        net.until("the first NOTIFY", notified(1));
        let subscription = net.sides[HOST].log.iter().find_map(|event| {
            if let Event::Subscribe { subscription, .. } = event {
                Some(*subscription)
            } else {
                None
            }
        });
        let subscription: SubscriptionId = subscription.expect("it was notified");
        net.sides[HOST]
            .endpoint
            .notify(net.now, subscription, document(3))
            .expect("none is under way");
        net.until("the second NOTIFY", notified(2));
        net.until("the answer", |net| net.watcher.request.is_none());
        net.subscribe(0);
        net.until("the end", |net| {
            net.sides[HOST].count(|e| matches!(e, Event::SubscriptionEnded { .. })) == 1
        });
        let ended = net.sides[HOST].log.iter().any(|e| {
            matches!(
                e,
                Event::SubscriptionEnded {
                    why: SubscriptionEnd::Unsubscribed,
                    ..
                }
            )
        });
        assert!(ended);
        let seen: Vec<_> = net
            .watcher
            .seen
            .values()
            .map(|(state, length)| (state.split(';').next().unwrap_or_default(), *length))
            .collect();
        assert_eq!(seen, [("active", 2_001), ("active", 2_003), ("terminated", 2_002)]);
        net.assert_nothing_is_left();
    }
}

#[test]
fn many_calls_with_anything_happening_to_them_leave_nothing() {
    for seed in SEEDS {
        let mut net = Net::new(seed);
        let mut dice = StdRng::seed_from_u64(seed);
        for side in &mut net.sides {
            side.stubborn = false;
        }
        for _ in 0..400 {
            if dice.random_bool(0.2) {
                net.invite();
            }
            let side = dice.random_range(0..2);
            let calls: Vec<CallId> = net.sides[side].endpoint.calls().collect();
            if !calls.is_empty() {
                let call = calls[dice.random_range(0..calls.len())];
                let now = net.now;
                let endpoint = &mut net.sides[side].endpoint;
                // Out of turn as often as not.
                let _ = match dice.random_range(0..8) {
                    0 => endpoint.hang_up(now, call, None),
                    1 => endpoint.reject(now, call, Rejection::new(486)),
                    2 | 3 => endpoint.accept(now, call, focus(), Body::sdp("answer")),
                    4 => endpoint.ring(now, call, 180, focus()),
                    5 => endpoint.probe(now, call),
                    6 => endpoint.ring_with(now, call, 183, focus(), Body::sdp("early")),
                    _ => endpoint.reinvite(now, call, Body::sdp("offer")),
                };
            }
            net.run(Duration::from_millis(dice.random_range(0..400)));
        }
        for side in [HOST, GUEST] {
            let calls: Vec<CallId> = net.sides[side].endpoint.calls().collect();
            for call in calls {
                net.sides[side].endpoint.hang_up(net.now, call, None).expect("it is there");
            }
        }
        let begun = net.sides[HOST].count(|e| matches!(e, Event::Invite { .. }));
        net.assert_nothing_is_left();
        assert!(begun > 50, "{begun}");
        assert!(net.sides[HOST].ended().len() >= begun, "each call ends");
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes_at_the_same_times() {
    let run = || {
        let mut net = Net::new(9);
        let (host, _) = net.connect();
        net.sides[HOST].endpoint.hang_up(net.now, host, None).expect("it is up");
        net.assert_nothing_is_left();
        net.trace
    };
    assert_eq!(run(), run());
}
