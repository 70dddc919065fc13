//! Our SIP with sockets and DNS, and nothing above it: what calls out where the server under test doesn't.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use cusax::{
    io::{resolve::Resolver, sip::SipTransport},
    sip::{
        endpoint::{Body, Counters, EndCause, Endpoint, EndpointConfig, Event, Inbound, InviteArgs, Listener, Presentation, Transport},
        locate::LookupAnswer,
        msg::Uri,
    },
};
use tokio::{
    sync::mpsc,
    time::{sleep_until, timeout},
};

use super::dns::Dns;

const DEADLINE: Duration = Duration::from_secs(30);
const SDP: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n";

/// One that calls.
#[derive(Debug)]
pub(crate) struct Uac {
    endpoint: Endpoint,
    transport: SipTransport,
    inbound: mpsc::Receiver<Inbound>,
    resolver: Resolver,
    lookups: mpsc::Receiver<LookupAnswer>,
}

impl Uac {
    pub(crate) fn new(dns: &Dns) -> Self {
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

    pub(crate) fn invite(&mut self, to: &str) {
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
                let due = self.endpoint.poll_timeout().map_or_else(|| Instant::now() + DEADLINE, |(at, _)| at);
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
    pub(crate) async fn outcome(&mut self) -> Result<SocketAddr, EndCause> {
        loop {
            let event = self.event().await;
            if let Event::Answered { flow, .. } = event {
                return Ok(flow.remote);
            }
            if let Event::Ended { cause, .. } = event {
                return Err(cause);
            }
        }
    }

    /// Does its part until something is seen elsewhere.
    pub(crate) async fn until(&mut self, seen: impl Fn() -> bool) {
        let end = Instant::now() + DEADLINE;
        while !seen() {
            assert!(Instant::now() < end, "never seen");
            // Nothing is told of forks that aren't kept.
            let told = timeout(Duration::from_millis(50), self.event()).await;
            assert!(told.is_err(), "nothing is to be told, but {told:?}");
        }
    }

    /// What its endpoint has counted.
    pub(crate) fn counters(&self) -> &Counters {
        self.endpoint.counters()
    }

    /// Hangs up, and waits until that is through.
    pub(crate) async fn hang_up(&mut self) {
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
