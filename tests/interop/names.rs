//! Names in SIP URIs, looked up in a real DNS and gone to over real sockets (RFC 3263).

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use cusax::{
    io::{resolve::Resolver, sip::SipTransport},
    sip::{
        endpoint::{Body, EndCause, Endpoint, EndpointConfig, Event, Inbound, InviteArgs, Listener, Presentation, Transport},
        locate::LookupAnswer,
        msg::Uri,
    },
};
use tokio::{
    sync::mpsc,
    time::{sleep_until, timeout},
};

use super::peers::{
    Folder, Sipp,
    dns::{Dns, Record},
    ports::free_port,
};

const DEADLINE: Duration = Duration::from_secs(30);
const SDP: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n";

/// Our SIP with sockets and DNS, and nothing above it.
struct Caller {
    endpoint: Endpoint,
    transport: SipTransport,
    inbound: mpsc::Receiver<Inbound>,
    resolver: Resolver,
    lookups: mpsc::Receiver<LookupAnswer>,
}

impl Caller {
    fn new(dns: &Dns) -> Self {
        let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let (transport, inbound) = SipTransport::bind(&[(Transport::Udp, local), (Transport::Tcp, local)], None, &[]).expect("sockets");
        let listeners = transport.listening().iter().map(|(t, at)| Listener::plain(*t, *at)).collect();
        let config = EndpointConfig {
            hop_limit: Duration::from_secs(1),
            ..EndpointConfig::new(listeners)
        };
        let (resolver, lookups) = Resolver::new(&[dns.address]);
        Self {
            endpoint: Endpoint::new(config, 7),
            transport,
            inbound,
            resolver,
            lookups,
        }
    }

    fn invite(&mut self, to: &str) {
        let args = InviteArgs {
            to: Uri::parse(to).expect("a URI"),
            from: Uri::parse("sip:bot@conf.example").expect("a URI"),
            name: None,
            presentation: Presentation {
                user: Some("bot".to_owned()),
                focus: true,
            },
            offer: Body::sdp(SDP),
            credentials: None,
            via: None,
            headers: Vec::new(),
        };
        self.endpoint.invite(Instant::now(), args).expect("it can be tried");
    }

    async fn event(&mut self) -> Event {
        timeout(DEADLINE, async {
            loop {
                while let Some(transmit) = self.endpoint.poll_transmit() {
                    self.transport.send(transmit);
                }
                while let Some(lookup) = self.endpoint.poll_lookup() {
                    self.resolver.look_up(lookup);
                }
                if let Some(event) = self.endpoint.poll_event() {
                    return event;
                }
                let due = self.endpoint.poll_timeout().map_or(Instant::now() + DEADLINE, |(at, _)| at);
                tokio::select! {
                    inbound = self.inbound.recv() => self.endpoint.handle_inbound(Instant::now(), inbound.expect("open")),
                    answer = self.lookups.recv() => self.endpoint.handle_lookup(Instant::now(), &answer.expect("open")),
                    () = sleep_until(due.into()) => self.endpoint.handle_timeout(Instant::now()),
                }
            }
        })
        .await
        .expect("in time")
    }

    /// Until the call is answered or over: where it was answered from, or why not.
    async fn outcome(&mut self) -> Result<SocketAddr, EndCause> {
        loop {
            match self.event().await {
                Event::Answered { flow, .. } => return Ok(flow.remote),
                Event::Ended { cause, .. } => return Err(cause),
                _ => {}
            }
        }
    }

    /// Hangs up, and waits until that is through.
    async fn hang_up(&mut self) {
        let call = self.endpoint.calls().next().expect("a call");
        self.endpoint.hang_up(Instant::now(), call, None).expect("it is up");
        assert!(matches!(
            self.event().await,
            Event::Ended {
                cause: EndCause::WeHungUp,
                ..
            }
        ));
    }
}

fn loopback() -> Record {
    Record::Address(Ipv4Addr::LOCALHOST)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rfc3263_4_3_a_dead_machine_is_left_for_the_next_and_the_call_is_answered() {
    let folder = Folder::new("names");
    for (transport, service, prefix) in [
        ("udp", "SIP+D2U", "_sip._udp.example.test"),
        ("tcp", "SIP+D2T", "_sip._tcp.example.test"),
    ] {
        let (_answerer, alive) = Sipp::answerer(&folder, transport);
        let machine = |priority, port, target| Record::Srv { priority, port, target };
        let dns = Dns::start(vec![
            (
                "example.test",
                Record::Naptr {
                    order: 1,
                    service,
                    replacement: prefix,
                },
            ),
            (prefix, machine(1, free_port(), "dead.example.test")),
            (prefix, machine(2, alive.port(), "alive.example.test")),
            ("dead.example.test", loopback()),
            ("alive.example.test", loopback()),
        ]);
        let mut caller = Caller::new(&dns);
        caller.invite("sip:bob@example.test");
        assert_eq!(caller.outcome().await, Ok(alive), "{transport}");
        assert_eq!(caller.endpoint.counters().failed_over, 1);
        caller.hang_up().await;
        // The records live for a minute.
        let asked = dns.asked_for("example.test");
        caller.invite("sip:bob@example.test");
        assert_eq!(caller.outcome().await, Ok(alive), "{transport}");
        assert_eq!(dns.asked_for("example.test"), asked, "they are kept");
        caller.hang_up().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_does_not_exist_ends_the_call_at_once() {
    let dns = Dns::start(Vec::new());
    let mut caller = Caller::new(&dns);
    caller.invite("sip:bob@nowhere.test");
    assert_eq!(caller.outcome().await, Err(EndCause::Unreachable("the name leads nowhere")));
    assert!(dns.asked_for("_sip._udp.nowhere.test") > 0, "it was looked for");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resolver_that_swallows_questions_costs_seconds_and_not_the_call() {
    let folder = Folder::new("names");
    let (_answerer, alive) = Sipp::answerer(&folder, "udp");
    let machine = Record::Srv {
        priority: 1,
        port: alive.port(),
        target: "alive.example.test",
    };
    let dns = Dns::start(vec![
        ("example.test", Record::Silence),
        ("_sip._udp.example.test", machine),
        ("alive.example.test", loopback()),
    ]);
    let mut caller = Caller::new(&dns);
    caller.invite("sip:bob@example.test");
    assert_eq!(caller.outcome().await, Ok(alive));
    caller.hang_up().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dns_that_is_silent_ends_the_call_in_time() {
    let dns = Dns::start(vec![
        ("example.test", Record::Silence),
        ("_sip._udp.example.test", Record::Silence),
        ("_sip._tcp.example.test", Record::Silence),
    ]);
    let mut caller = Caller::new(&dns);
    let began = Instant::now();
    caller.invite("sip:bob@example.test");
    assert_eq!(caller.outcome().await, Err(EndCause::Unreachable("the name leads nowhere")));
    assert!(began.elapsed() < Duration::from_secs(12), "{:?}", began.elapsed());
}
