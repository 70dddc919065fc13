//! Our component stream at a real Prosody: it is let in, carries stanzas both ways, outlives what its users send, and returns.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use cusax::{
    app::prosody::Prosody,
    io::xmpp::{LinkSettings, Links, Outgoing, Pace, XmppInbound},
    model::Pii,
    xmpp::{
        stanza,
        stream::{Component, Event, Item, KeepAlive, Reader, Settings, Told},
    },
};
use data_encoding::BASE64;
use minidom::Element;
use tokio::{runtime, sync::mpsc, time::timeout};

use super::peers::{self, Folder};

/// Longer than anything here takes, on a machine that is busy building.
const LIMIT: Duration = Duration::from_secs(30);

fn settings(prosody: &Prosody, domain: &str) -> LinkSettings {
    LinkSettings {
        server: prosody.component_address().to_string(),
        stream: Settings {
            domain: domain.into(),
            secret: Pii(prosody.setup().secret.clone()),
            told: Told::Everybody,
            keep_alive: KeepAlive::default(),
        },
        pace: Pace {
            first: Duration::from_millis(50),
            longest: Duration::from_millis(200),
        },
    }
}

/// The links, and what they say.
struct Bench {
    runtime: runtime::Runtime,
    links: Links,
    outgoing: Outgoing,
    inbound: mpsc::Receiver<XmppInbound>,
}

impl Bench {
    fn start(links: Vec<LinkSettings>) -> Self {
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let (tell, inbound) = mpsc::channel(16);
        let (links, outgoing) = runtime.block_on(async { Links::start(links, &tell, 7) });
        Self {
            runtime,
            links,
            outgoing,
            inbound,
        }
    }

    fn next(&mut self) -> XmppInbound {
        let next = async { timeout(LIMIT, self.inbound.recv()).await };
        self.runtime.block_on(next).expect("something in time").expect("the links live")
    }

    fn next_stanza(&mut self) -> Element {
        let next = self.next();
        let XmppInbound::Stanza(stanza) = next else {
            panic!("{next:?} instead of a stanza")
        };
        stanza
    }

    fn send(&self, stanza: &Element) {
        self.outgoing.send(stanza).expect("queued");
    }

    fn close(self) {
        self.runtime.block_on(self.links.close());
    }
}

/// A chat user who may say anything, well-formed or not, as a library would not let them.
struct RawUser {
    stream: TcpStream,
    reader: Reader,
    unread: Vec<u8>,
}

impl RawUser {
    fn log_in(prosody: &Prosody, name: &str) -> Self {
        let stream = TcpStream::connect(prosody.client_address()).expect("the port answers");
        stream.set_read_timeout(Some(LIMIT)).expect("a socket option");
        let mut user = Self {
            stream,
            reader: Reader::default(),
            unread: Vec::new(),
        };
        user.open();
        let secret = BASE64.encode(format!("\0{name}\0{name}").as_bytes());
        user.say(&format!(
            "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{secret}</auth>"
        ));
        assert_eq!(user.hear().name(), "success");
        user.open();
        user.say("<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>x</resource></bind></iq>");
        assert_eq!(user.hear().attr("type"), Some("result"));
        user
    }

    fn open(&mut self) {
        self.reader = Reader::default();
        self.say("<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='localhost' version='1.0'>");
        assert_eq!(self.hear().name(), "stream");
        assert_eq!(self.hear().name(), "features");
    }

    fn say(&mut self, xml: &str) {
        self.stream.write_all(xml.as_bytes()).expect("written");
    }

    fn hear(&mut self) -> Element {
        loop {
            let mut bytes = self.unread.as_slice();
            let item = self.reader.next(&mut bytes).expect("a server's XML");
            self.unread = bytes.to_vec();
            match item {
                Some(Item::Header(element) | Item::Element(element)) => return element,
                Some(other) => panic!("{other:?}"),
                None => {
                    let mut buffer = [0; 4096];
                    let n = self.stream.read(&mut buffer).expect("an answer in time");
                    assert_ne!(n, 0, "the server hung up");
                    self.unread.extend_from_slice(&buffer[..n]);
                }
            }
        }
    }

    /// Pings a domain, which the test answers, and hears the answer.
    fn ping(&mut self, bench: &mut Bench, domain: &str, id: &str) {
        self.say(&format!(
            "<iq type='get' id='{id}' to='{domain}'><ping xmlns='urn:xmpp:ping'/></iq>"
        ));
        let ping = bench.next_stanza();
        assert_eq!((ping.attr("from"), ping.attr("id")), (Some("ann@localhost/x"), Some(id)));
        assert!(stanza::payload(&ping).is_some_and(|p| p.is("ping", "urn:xmpp:ping")));
        bench.send(&stanza::result(&ping, None).expect("a get is answered"));
        let answer = self.hear();
        assert_eq!(
            (answer.attr("type"), answer.attr("from"), answer.attr("id")),
            (Some("result"), Some(domain), Some(id))
        );
    }
}

#[test]
fn r30_online_ping_and_back_after_a_kill() {
    let folder = Folder::new("component");
    let mut prosody = peers::prosody(&folder, &["ann"]);
    let domains = ["rooms.localhost", "phones.localhost"];
    let mut bench = Bench::start(domains.map(|d| settings(&prosody, d)).to_vec());
    let both = |expected: fn(String) -> XmppInbound, bench: &mut Bench| {
        let seen = [bench.next(), bench.next()];
        assert!(domains.into_iter().all(|d| seen.contains(&expected(d.into()))), "{seen:?}");
    };
    both(XmppInbound::Up, &mut bench);
    let mut ann = RawUser::log_in(&prosody, "ann");
    for domain in domains {
        ann.ping(&mut bench, domain, domain);
    }
    prosody.kill();
    both(XmppInbound::Down, &mut bench);
    prosody.restart().expect("it starts again");
    both(XmppInbound::Up, &mut bench);
    RawUser::log_in(&prosody, "ann").ping(&mut bench, "rooms.localhost", "again");
    bench.close();
}

#[test]
fn r21_hostile_stanzas_through_a_server_cost_their_sender_an_error() {
    let folder = Folder::new("hostile");
    let prosody = peers::prosody(&folder, &["ann"]);
    let mut bench = Bench::start(vec![settings(&prosody, "rooms.localhost")]);
    assert_eq!(bench.next(), XmppInbound::Up("rooms.localhost".into()));
    let mut ann = RawUser::log_in(&prosody, "ann");
    for (id, inner) in [
        ("deep", format!("{}{}", "<a>".repeat(5_000), "</a>".repeat(5_000))),
        ("deeper", format!("{}{}", "<a>".repeat(20_000), "</a>".repeat(20_000))),
        ("wide", "<a/>".repeat(15_000)),
        ("attribute", format!("<a b='{}'/>", "x".repeat(9_000))),
    ] {
        ann.say(&format!(
            "<iq type='set' id='{id}' to='rooms.localhost'><q xmlns='urn:q'>{inner}</q></iq>"
        ));
        let answer = ann.hear();
        assert_eq!((answer.attr("type"), answer.attr("id")), (Some("error"), Some(id)));
        assert!(
            answer
                .get_child("error", stanza::NS)
                .is_some_and(|e| e.has_child("policy-violation", stanza::NS_STANZAS)),
            "{id}"
        );
    }
    ann.say("<presence to='blue@rooms.localhost/ann'><priority>999</priority><show>bogus</show></presence>");
    assert!(bench.next_stanza().is("presence", stanza::NS));
    ann.say("<message to='blue@rooms.localhost' type='weird'><body>&#x9;x</body></message>");
    let message = bench.next_stanza();
    assert!(message.is("message", stanza::NS) && message.has_child("body", stanza::NS));

    // And back: what a phone's display name may bring along.
    let addresses = [
        ("from", Some("blue@rooms.localhost")),
        ("to", Some("ann@localhost/x")),
        ("id", Some("a\u{1b}[2J\u{0}\u{ffff}b")),
    ];
    bench.send(&stanza::with(
        stanza::element("message", stanza::NS, &addresses),
        [stanza::text("body", stanza::NS, "c\u{7}\u{fffe}d")],
    ));
    let heard = ann.hear();
    assert_eq!(heard.attr("id"), Some("a[2Jb"));
    assert_eq!(heard.get_child("body", stanza::NS).map(Element::text).as_deref(), Some("cd"));
    assert_eq!(bench.outgoing.counts("rooms.localhost").map(|c| c.refused), Some(4));
    ann.ping(&mut bench, "rooms.localhost", "alive");
    bench.close();
}

/// Drives a bare stream until `done` says so.
fn drive(component: &mut Component, socket: &mut TcpStream, mut done: impl FnMut(&mut Component, Option<Event>) -> bool) {
    let deadline = Instant::now() + LIMIT;
    let mut buffer = [0; 4096];
    while Instant::now() < deadline {
        while let Some(bytes) = component.poll_transmit() {
            socket.write_all(&bytes).expect("written");
        }
        let event = component.poll_event();
        if done(component, event.clone()) {
            return;
        }
        if event.is_none() {
            let n = socket.read(&mut buffer).expect("an answer in time");
            component.handle_bytes(Instant::now(), &buffer[..n]);
        }
    }
    panic!("not within {LIMIT:?}");
}

fn connect(prosody: &Prosody) -> TcpStream {
    let socket = TcpStream::connect(prosody.component_address()).expect("the port answers");
    socket.set_read_timeout(Some(LIMIT)).expect("a socket option");
    socket
}

#[test]
fn a_ping_to_ourselves_comes_back_through_the_server() {
    let folder = Folder::new("ping");
    let prosody = peers::prosody(&folder, &[]);
    let mut socket = connect(&prosody);
    let settings = settings(&prosody, "rooms.localhost").stream;
    let silence = settings.keep_alive.silence;
    let mut component = Component::new(settings, Instant::now());
    drive(&mut component, &mut socket, |_, event| event == Some(Event::Online));
    component.handle_timeout(Instant::now() + silence);
    assert_eq!(component.poll_timeout().map(|(_, what)| what), Some("ping"));
    drive(&mut component, &mut socket, |component, event| {
        assert_eq!(event, None, "nobody's business");
        component.poll_timeout().map(|(_, what)| what) == Some("silence")
    });
}

#[test]
fn a_server_that_refuses_us_says_how_to_mend_it() {
    let folder = Folder::new("refused");
    let prosody = peers::prosody(&folder, &[]);
    let good = settings(&prosody, "rooms.localhost").stream;
    let mut first_socket = connect(&prosody);
    let mut first = Component::new(good.clone(), Instant::now());
    drive(&mut first, &mut first_socket, |_, event| event == Some(Event::Online));
    for (settings, advice) in [
        (good.clone(), "another program is connected as this component"),
        (
            Settings {
                secret: Pii("wrong".into()),
                ..good.clone()
            },
            "the secret is wrong",
        ),
        (
            Settings {
                domain: "other.localhost".into(),
                ..good
            },
            "no component of this name",
        ),
    ] {
        let mut socket = connect(&prosody);
        let mut component = Component::new(settings, Instant::now());
        drive(&mut component, &mut socket, |_, event| match event {
            Some(Event::Ended(ending)) => {
                assert!(ending.to_string().contains(advice), "{ending}");
                true
            }
            Some(other) => panic!("{other:?}"),
            None => false,
        });
    }
}
