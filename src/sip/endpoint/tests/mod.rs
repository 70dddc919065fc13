//! The endpoint against hand-written messages, on fake time.

mod dialogs;
mod hops;
mod intake;
mod limits;
mod mutation;
mod offers;
mod refer;
mod register;
mod reliable;
mod replaces;
mod sessions;
mod size;
mod subscriptions;
mod tls;
mod uac;
mod uas;
mod ws;

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use super::*;
use crate::sip::msg::{Message, Method, Name, Request, Response, parse_datagram};

/// An endpoint, and a peer that the test plays.
pub(super) struct Lab {
    pub(super) endpoint: Endpoint,
    pub(super) now: Instant,
    pub(super) flow: Flow,
    /// What went out and wasn't looked at yet.
    out: Vec<Transmit>,
}

pub(super) const PEER: &str = "192.0.2.1:5070";
const LISTEN: &str = "198.51.100.1:5060";
const LISTEN_TLS: &str = "198.51.100.1:5061";
const LISTEN_WSS: &str = "198.51.100.1:443";

pub(super) fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

pub(super) fn udp_from(remote: &str) -> Flow {
    Flow {
        transport: Transport::Udp,
        local: address(LISTEN),
        remote: address(remote),
        connection: None,
    }
}

pub(super) fn config() -> EndpointConfig {
    EndpointConfig::new(vec![
        Listener::plain(Transport::Udp, address(LISTEN)),
        Listener::plain(Transport::Tcp, address(LISTEN)),
        Listener::plain(Transport::Tls, address(LISTEN_TLS)),
        Listener::plain(Transport::Wss, address(LISTEN_WSS)),
    ])
}

impl Lab {
    pub(super) fn new() -> Self {
        Self::with(config())
    }

    pub(super) fn with(config: EndpointConfig) -> Self {
        Self {
            endpoint: Endpoint::new(config, 7),
            now: Instant::now(),
            flow: udp_from(PEER),
            out: Vec::new(),
        }
    }

    /// The peer comes over a connection from now on.
    pub(super) fn over_tcp(mut self) -> Self {
        self.flow.transport = Transport::Tcp;
        self.flow.connection = Some(ConnectionId(1));
        self
    }

    /// Likewise, over TLS.
    pub(super) fn over_tls(mut self) -> Self {
        self = self.over_tcp();
        self.flow.transport = Transport::Tls;
        self.flow.local = address(LISTEN_TLS);
        self
    }

    /// The peer sends this.
    pub(super) fn hear(&mut self, text: &str) {
        let inbound = match self.flow.transport {
            Transport::Udp | Transport::Ws | Transport::Wss => Inbound::Datagram {
                flow: self.flow,
                bytes: text.as_bytes().to_vec(),
            },
            Transport::Tcp | Transport::Tls => Inbound::Message {
                flow: self.flow,
                message: parse_datagram(text.as_bytes()),
            },
        };
        self.endpoint.handle_inbound(self.now, inbound);
        self.collect();
    }

    /// Time passes; timers fire at their moments.
    pub(super) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some((at, _)) = self.endpoint.poll_timeout().filter(|(at, _)| *at <= end) {
            self.now = self.now.max(at);
            self.endpoint.handle_timeout(self.now);
            self.collect();
        }
        self.now = end;
    }

    fn collect(&mut self) {
        while let Some(transmit) = self.endpoint.poll_transmit() {
            self.out.push(transmit);
        }
    }

    /// What went out since the last look.
    pub(super) fn transmits(&mut self) -> Vec<Transmit> {
        self.collect();
        std::mem::take(&mut self.out)
    }

    /// Likewise, read.
    pub(super) fn sent(&mut self) -> Vec<Message> {
        self.transmits()
            .iter()
            .map(|t| parse_datagram(&t.bytes).expect("what we write can be read"))
            .collect()
    }

    /// The one response that went out.
    pub(super) fn response(&mut self) -> Response {
        let mut sent = self.sent();
        match (sent.pop(), sent.is_empty()) {
            (Some(Message::Response(response)), true) => response,
            other => panic!("one response, not {other:?} after {sent:?}"),
        }
    }

    /// The one request that went out.
    pub(super) fn request(&mut self) -> Request {
        let mut sent = self.sent();
        match (sent.pop(), sent.is_empty()) {
            (Some(Message::Request(request)), true) => request,
            other => panic!("one request, not {other:?} after {sent:?}"),
        }
    }

    /// What went out since the last look, in short: methods and status codes.
    pub(super) fn brief(&mut self) -> Vec<String> {
        let brief = |message: &Message| match message {
            Message::Request(request) => request.method.to_string(),
            Message::Response(response) => response.status.to_string(),
        };
        self.sent().iter().map(brief).collect()
    }

    pub(super) fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.endpoint.poll_event()).collect()
    }

    /// The one event.
    pub(super) fn event(&mut self) -> Event {
        let mut events = self.events();
        match (events.pop(), events.is_empty()) {
            (Some(event), true) => event,
            other => panic!("one event, not {other:?} after {events:?}"),
        }
    }

    /// The one thing that ended, and why.
    pub(super) fn ended(&mut self) -> EndCause {
        let event = self.event();
        let Event::Ended { cause, .. } = event else {
            panic!("an end, not {event:?}")
        };
        cause
    }

    /// Answers a request of the endpoint's.
    pub(super) fn answer(&mut self, request: &Request, status: u16, to_tag: &str, more: &str) {
        let mut response = Response::to_request(request, status);
        let to = response.headers.to().expect("To");
        if to.tag().is_none() {
            response.headers.set(Name::To, to.with_tag(to_tag));
        }
        let text = String::from_utf8(response.to_bytes()).expect("text");
        let (head, _) = text.split_once("Content-Length").expect("a length");
        let (fields, body) = more.split_once("\r\n\r\n").unwrap_or((more, ""));
        let fields = if fields.is_empty() || fields.ends_with("\r\n") {
            fields.to_owned()
        } else {
            format!("{fields}\r\n")
        };
        self.hear(&format!("{head}{fields}Content-Length: {}\r\n\r\n{body}", body.len()));
    }

    /// Everything that was alive is gone, once all timers have run.
    pub(super) fn assert_settles(&mut self) {
        self.pass(Duration::from_secs(2 * 3600));
        self.events();
        self.transmits();
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
        assert_eq!(self.endpoint.population(), nothing);
        assert_eq!(self.endpoint.poll_timeout(), None);
    }

    /// A call of the peer's that rings: its number.
    pub(super) fn ringing(&mut self) -> CallId {
        self.hear(&Ask::invite().text());
        let event = self.event();
        let Event::Invite { call, .. } = event else {
            panic!("a call, not {event:?}")
        };
        call
    }

    /// A call of the peer's that is up: its number, and our tag.
    pub(super) fn up(&mut self) -> (CallId, String) {
        let call = self.ringing();
        self.endpoint
            .accept(self.now, call, focus(), Body::sdp("answer"))
            .expect("it rings");
        let tag = tag_of(&self.response());
        self.hear(&Ask::ack().inside(&tag).text());
        assert!(matches!(self.event(), Event::Confirmed { .. }));
        (call, tag)
    }
}

pub(super) fn focus() -> Presentation {
    Presentation { user: None, focus: true }
}

pub(super) fn tag_of(response: &Response) -> String {
    response.headers.to().expect("To").tag().expect("a tag").to_owned()
}

/// A request that the peer sends.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    method: String,
    uri: String,
    branch: String,
    to_tag: String,
    cseq: u32,
    fields: String,
    body: String,
}

impl Ask {
    pub(super) fn new(method: &str, branch: &str, cseq: u32) -> Self {
        Self {
            method: method.to_owned(),
            uri: "sip:room@conf.example.com".to_owned(),
            branch: branch.to_owned(),
            to_tag: String::new(),
            cseq,
            fields: "Contact: <sip:ann@192.0.2.1:5070>\r\n".to_owned(),
            body: String::new(),
        }
    }

    pub(super) fn invite() -> Self {
        Self::new("INVITE", "one", 10).sdp("offer")
    }

    /// The ACK for a 2xx to `invite`.
    pub(super) fn ack() -> Self {
        Self::new("ACK", "ack", 10)
    }

    pub(super) fn to(mut self, uri: &str) -> Self {
        uri.clone_into(&mut self.uri);
        self
    }

    pub(super) fn inside(mut self, tag: &str) -> Self {
        self.to_tag = format!(";tag={tag}");
        self
    }

    /// With further header fields, each with its line end.
    pub(super) fn with(mut self, fields: &str) -> Self {
        self.fields.push_str(fields);
        self
    }

    /// With these instead of a Contact.
    pub(super) fn only(mut self, fields: &str) -> Self {
        fields.clone_into(&mut self.fields);
        self
    }

    pub(super) fn sdp(mut self, body: &str) -> Self {
        body.clone_into(&mut self.body);
        self.with("Content-Type: application/sdp\r\n")
    }

    pub(super) fn text(&self) -> String {
        let Self {
            method,
            uri,
            branch,
            to_tag,
            cseq,
            fields,
            body,
        } = self;
        format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5070;rport;branch=z9hG4bK{branch}\r\nFrom: Ann <sip:ann@example.com>;tag=ann\r\n\
             To: <sip:room@conf.example.com>{to_tag}\r\nCall-ID: call@example.com\r\nCSeq: {cseq} {method}\r\nMax-Forwards: 70\r\n{fields}\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }
}
