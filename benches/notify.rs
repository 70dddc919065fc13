//! What it costs to tell a thousand subscribers that somebody has joined (rule R54): from the request to the last NOTIFY ready to be sent.
//!
//! `cargo bench --bench notify`. The last line is for machines: milliseconds of processor time per join, the median of many.
#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench reads the clock and prints what it measured"
)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cusax::config::ConfigDirectory;
use cusax::model::{BareJid, Caller, Correlation, Directory, LegId, Now, RoomConfig, RoomName, RoomRecord};
use cusax::peers::sip::{FromRoom, SipRoom, SipRoomSettings, ToRoom, Watcher};
use cusax::room::{Room, RoomSettings};
use cusax::sip::endpoint::{Body, Endpoint, EndpointConfig, Event, Flow, Inbound, Listener, Presentation, Transport};

/// Callers are watched by themselves: each has a call and a subscription.
const SUBSCRIBERS: u64 = 1000;

fn main() {
    // `cargo bench` says so; as a test a few subscribers are enough.
    let (subscribers, joins) = if std::env::args().any(|argument| argument == "--bench") {
        (SUBSCRIBERS, 21)
    } else {
        (20, 1)
    };
    let mut world = World::new(subscribers);
    let mut times: Vec<f64> = (0..joins).map(|_| world.join_told_to_all(subscribers)).collect();
    times.sort_by(f64::total_cmp);
    println!("subscribers={subscribers} notify_ms={:.2}", times[times.len() / 2]);
}

struct World {
    now: Now,
    room: Room,
    door: SipRoom,
    endpoint: Endpoint,
    next_leg: u64,
}

impl World {
    fn new(subscribers: u64) -> Self {
        let now = Now {
            at: Instant::now(),
            unix_ms: 1_800_000_000_000,
        };
        let record = RoomRecord {
            name: RoomName::new("hall").expect("a room name"),
            config: RoomConfig {
                persistent: true,
                max_people: 5000,
                ..RoomConfig::default()
            },
            locked_until_configured: false,
            from_config: false,
            affiliations: BTreeMap::new(),
            voice: BTreeMap::new(),
            subject: None,
            history: Vec::new(),
        };
        let directory: Arc<dyn Directory> = Arc::new(ConfigDirectory::new(Vec::new()));
        let settings = RoomSettings::new(BareJid::new("phones.example.com").expect("a domain"));
        let watching = SipRoomSettings {
            domain: "conf.example.com".to_owned(),
            rooms_domain: "rooms.example.com".to_owned(),
            join_uri: true,
            notify_interval: Duration::from_secs(5),
            max_watchers: 5000,
        };
        let listener = Listener::plain(Transport::Udp, address(0));
        let mut world = Self {
            now,
            room: Room::new(record, settings, directory, [7; 32], 1, now),
            door: SipRoom::new(watching),
            endpoint: Endpoint::new(EndpointConfig::new(vec![listener]), 1),
            next_leg: 0,
        };
        for number in 1..=subscribers {
            let leg = world.join();
            world.tell_watchers();
            world.subscribe(number, leg);
        }
        world.settle();
        world
    }

    fn join(&mut self) -> LegId {
        self.next_leg += 1;
        let leg = LegId(self.next_leg);
        let caller = Caller::Claimed {
            uri: format!("sip:+4930{:07}@gateway.example", self.next_leg),
            name: Some(format!("Caller {}", self.next_leg)),
        };
        let join = ToRoom::Join {
            leg,
            caller,
            account: None,
            ssrc: 1,
            endpoint: "sip:phone@192.0.2.1".to_owned(),
            correlation: Correlation(self.next_leg),
            entry: cusax::model::Entry::Nothing,
        };
        self.door.handle(self.now, &mut self.room, join);
        self.door.handle(self.now, &mut self.room, ToRoom::Confirmed(leg));
        leg
    }

    /// Hands the room's events to its door and the documents to the endpoint; says how many NOTIFYs are ready to be sent.
    fn tell_watchers(&mut self) -> usize {
        while self.room.poll_media().is_some() {}
        while let Some(event) = self.room.poll_event() {
            self.door.handle_event(self.now, &self.room, &event);
        }
        self.door.flush(self.now, &mut self.room, None);
        let mut told = 0;
        while let Some(command) = self.door.poll_command() {
            if let FromRoom::Notify(subscription, document) = command {
                let body = Body {
                    content_type: "application/conference-info+xml".to_owned(),
                    bytes: document,
                };
                self.endpoint.notify(self.now.at, subscription, body).expect("it is active");
                told += 1;
            }
        }
        told
    }

    /// Answers every NOTIFY, and lets the interval pass, until all is told.
    fn settle(&mut self) {
        loop {
            while let Some(sent) = self.endpoint.poll_transmit() {
                let text = String::from_utf8(sent.bytes).expect("text");
                if text.starts_with("NOTIFY") {
                    self.hear(answer(&text));
                }
            }
            self.now.at += Duration::from_secs(6);
            self.endpoint.handle_timeout(self.now.at);
            self.pass_on();
            if self.tell_watchers() == 0 {
                return;
            }
        }
    }

    fn pass_on(&mut self) {
        while let Some(event) = self.endpoint.poll_event() {
            if let Event::Notified { subscription, .. } = event {
                self.door.handle(self.now, &mut self.room, ToRoom::Notified(subscription));
            }
        }
    }

    fn hear(&mut self, text: String) {
        let flow = Flow {
            transport: Transport::Udp,
            local: address(0),
            remote: address(1),
            connection: None,
        };
        let bytes = text.into_bytes();
        self.endpoint.handle_inbound(self.now.at, Inbound::Datagram { flow, bytes });
    }

    fn subscribe(&mut self, number: u64, leg: LegId) {
        let us = address(1);
        self.hear(format!(
            "SUBSCRIBE sip:hall@conf.example.com SIP/2.0\r\nVia: SIP/2.0/UDP {us};branch=z9hG4bK{number}\r\nMax-Forwards: 70\r\n\
             From: <sip:zoe{number}@{us}>;tag=t{number}\r\nTo: <sip:hall@conf.example.com>\r\nCall-ID: watch-{number}\r\nCSeq: 1 SUBSCRIBE\r\n\
             Contact: <sip:zoe{number}@{us}>\r\nEvent: conference\r\nExpires: 36000\r\nContent-Length: 0\r\n\r\n"
        ));
        while let Some(event) = self.endpoint.poll_event() {
            let Event::Subscribe { subscription, .. } = event else { continue };
            let presentation = Presentation::default();
            self.endpoint
                .accept_subscription(self.now.at, subscription, &presentation)
                .expect("it waits");
            let watcher = Watcher::Leg(leg);
            self.door.handle(self.now, &mut self.room, ToRoom::Watch { subscription, watcher });
            self.tell_watchers();
        }
        self.now.at += Duration::from_millis(100);
    }

    /// Milliseconds of processor time from one caller's request to the last NOTIFY.
    fn join_told_to_all(&mut self, subscribers: u64) -> f64 {
        let start = on_cpu();
        self.join();
        let told = self.tell_watchers();
        let mut sent = Vec::with_capacity(told);
        while let Some(transmit) = self.endpoint.poll_transmit() {
            sent.push(transmit);
        }
        let spent = on_cpu() - start;
        assert_eq!(told as u64, subscribers, "every subscriber is told at once");
        for transmit in sent {
            let text = String::from_utf8(transmit.bytes).expect("text");
            self.hear(answer(&text));
        }
        self.pass_on();
        self.settle();
        spent / 1e6
    }
}

/// The 200 to a NOTIFY.
fn answer(notify: &str) -> String {
    let head = notify.split("\r\n\r\n").next().unwrap_or_default();
    let kept = ["Via:", "From:", "To:", "Call-ID:", "CSeq:"];
    let lines = head.lines().filter(|line| kept.iter().any(|name| line.starts_with(name)));
    let lines: String = lines.map(|line| format!("{line}\r\n")).collect();
    format!("SIP/2.0 200 OK\r\n{lines}Content-Length: 0\r\n\r\n")
}

fn address(last: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, last], 5060))
}

/// Nanoseconds that this thread has run: on a shared machine the clock tells mostly what others do.
fn on_cpu() -> f64 {
    let schedule = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux tells every thread its schedule");
    let spent = schedule.split(' ').next().and_then(|ns| ns.parse().ok());
    spent.expect("the first number is nanoseconds")
}
