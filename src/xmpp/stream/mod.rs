//! The component's side of an XEP-0114 stream, sans-IO: header, handshake, stanzas both ways, keep-alive.
//! Does not connect or reconnect, and does not know what stanzas mean.

mod ending;
mod reader;
#[cfg(test)]
mod tests;
mod writer;

use std::{
    collections::VecDeque,
    fmt::Write as _,
    mem,
    time::{Duration, Instant},
};

use minidom::Element;
use sha1::{Digest, Sha1};
use xmpp_parsers::ping::Ping;

use self::ending::NS_STREAM;
pub use self::{
    ending::Ending,
    reader::{Item, ReadError, Reader, Refused},
    writer::{NotWritten, Wire, Writer},
};
use super::{
    border::{NS_COMPONENT, clean},
    stanza::{self, DefinedCondition, Failure, IqKind, Kind},
};
use crate::model::Pii;

/// What a stream has to know.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The component's domain.
    pub domain: String,
    /// The secret that it shares with the server.
    pub secret: Pii<String>,
    /// Who is told of a refused stanza.
    pub told: Told,
    /// When a silent server is asked, and given up.
    pub keep_alive: KeepAlive,
}

/// Who is told that a stanza was refused at the border (rules R21, R23).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// Whoever sent a stanza that may be answered at all: the domain is a service.
    Everybody,
    /// Whoever sent an IQ get or set: the domain's occupants of rooms elsewhere would be removed for any other error.
    Askers,
}

/// When a silent server is asked, and given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeepAlive {
    /// After this much silence the server is asked for a sign of life.
    pub silence: Duration,
    /// How long it may then take; also how long it may take to let us in.
    pub patience: Duration,
}

impl Default for KeepAlive {
    /// A stopped server is noticed within 75 s.
    fn default() -> Self {
        Self {
            silence: Duration::from_secs(60),
            patience: Duration::from_secs(15),
        }
    }
}

/// What happened on the stream.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The server let us in: stanzas may be sent.
    Online,
    /// A stanza came, in `jabber:client`.
    Stanza(Element),
    /// A stanza over a limit came and was left out; its sender has been told where the rules let us.
    Refused(Refused),
    /// The stream is over: the last event. What [`Component::poll_transmit`] still gives should be sent if it can be.
    Ended(Ending),
}

/// How far the stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Our header is sent.
    Opening { since: Instant },
    /// Our handshake is sent.
    Proving { since: Instant },
    /// Stanzas flow.
    Online { heard: Instant, asked: Option<Instant> },
    /// Our end tag is sent.
    Closing { since: Instant },
    /// Over.
    Ended,
}

/// One stream, from its first byte to its last.
///
/// After each call, drain [`Self::poll_event`] and [`Self::poll_transmit`]: both hold no more than one call makes.
#[derive(Debug)]
pub struct Component {
    settings: Settings,
    reader: Reader,
    writer: Writer,
    state: State,
    out: Vec<u8>,
    events: VecDeque<Event>,
    /// Numbers the pings, so that each has its own id.
    pings: u64,
}

impl Component {
    /// A stream on a fresh connection: the header is ready to be sent.
    pub fn new(settings: Settings, now: Instant) -> Self {
        let domain = clean(&settings.domain).replace(['\'', '<', '&'], "");
        let header = format!("<?xml version='1.0'?><stream:stream xmlns='{NS_COMPONENT}' xmlns:stream='{NS_STREAM}' to='{domain}'>");
        Self {
            reader: Reader::default(),
            writer: Writer::new(settings.domain.clone()),
            settings,
            state: State::Opening { since: now },
            out: header.into_bytes(),
            events: VecDeque::new(),
            pings: 0,
        }
    }

    /// Takes what the server sent. At most some tens of kilobytes at a time: each may hold thousands of stanzas.
    pub fn handle_bytes(&mut self, now: Instant, mut bytes: &[u8]) {
        if let State::Online { heard, asked } = &mut self.state {
            *heard = now;
            *asked = None;
        }
        while self.state != State::Ended {
            match self.reader.next(&mut bytes) {
                Ok(Some(item)) => self.handle_item(now, item),
                Ok(None) => break,
                Err(error) => self.end(error.into()),
            }
        }
    }

    /// The connection is gone.
    pub fn handle_closed(&mut self) {
        self.end(Ending::Broken);
    }

    /// A timeout of [`Self::poll_timeout`] may have passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.poll_timeout().is_none_or(|(due, _)| now < due) {
            return;
        }
        let KeepAlive { silence, patience } = self.settings.keep_alive;
        match self.state {
            State::Opening { .. } | State::Proving { .. } | State::Closing { .. } => self.end(Ending::Silent(patience)),
            State::Online { asked: Some(_), .. } => self.end(Ending::Silent(silence + patience)),
            State::Online { heard, asked: None } => {
                self.state = State::Online { heard, asked: Some(now) };
                self.ping();
            }
            State::Ended => {}
        }
    }

    /// When [`Self::handle_timeout`] is due, and for what.
    pub fn poll_timeout(&self) -> Option<(Instant, &'static str)> {
        let KeepAlive { silence, patience } = self.settings.keep_alive;
        match self.state {
            State::Opening { since } => Some((since + patience, "stream header")),
            State::Proving { since } => Some((since + patience, "handshake")),
            State::Online { heard, asked: None } => Some((heard + silence, "silence")),
            State::Online { asked: Some(asked), .. } => Some((asked + patience, "ping")),
            State::Closing { since } => Some((since + patience, "end of stream")),
            State::Ended => None,
        }
    }

    /// Sends a stanza.
    ///
    /// # Errors
    ///
    /// The stanza would end the stream.
    pub fn send(&mut self, stanza: &Element) -> Result<(), NotWritten> {
        let wire = self.writer.write(stanza)?;
        self.send_wire(&wire);
        Ok(())
    }

    /// Sends a stanza that a [`Writer`] of the same domain has serialised. Nothing is sent unless the stream is online.
    pub fn send_wire(&mut self, wire: &Wire) {
        if self.is_online() {
            self.out.extend_from_slice(wire.as_bytes());
        }
    }

    /// Whether stanzas may be sent.
    pub fn is_online(&self) -> bool {
        matches!(self.state, State::Online { .. })
    }

    /// Closes the stream from our side: what was sent goes out first, and the server's own end is waited for.
    pub fn close(&mut self, now: Instant) {
        match self.state {
            State::Opening { .. } | State::Proving { .. } | State::Online { .. } => {
                self.out.extend_from_slice(b"</stream:stream>");
                self.state = State::Closing { since: now };
            }
            State::Closing { .. } | State::Ended => {}
        }
    }

    /// Bytes to be sent, all that there are.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        if self.out.is_empty() {
            None
        } else {
            Some(mem::take(&mut self.out))
        }
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn handle_item(&mut self, now: Instant, item: Item) {
        match item {
            Item::Header(header) => self.handle_header(now, &header),
            Item::Element(element) if element.has_ns(NS_STREAM) => {
                if element.name() == "error" {
                    self.end(Ending::from_error(&element));
                }
            }
            Item::Element(element) => self.handle_element(now, element),
            Item::Refused(refused) => self.refuse(refused),
            Item::End => self.end(Ending::Closed),
        }
    }

    fn handle_header(&mut self, now: Instant, header: &Element) {
        // Prosody's header has no version, and XEP-0114 asks for none.
        if !header.is("stream", NS_STREAM) {
            return self.end(Ending::NotAStream("its first element is another"));
        }
        // With an error in the header, RFC 6120 section 4.9.1.1 lets the server leave all this out: the error comes next.
        let Some(id) = header.attr("id") else { return };
        let digest = Sha1::new().chain_update(id).chain_update(&self.settings.secret.0).finalize();
        self.out.extend_from_slice(b"<handshake>");
        let mut hex = String::with_capacity(40);
        for byte in digest {
            // Writing to a string can't fail.
            let _ = write!(hex, "{byte:02x}");
        }
        self.out.extend_from_slice(hex.as_bytes());
        self.out.extend_from_slice(b"</handshake>");
        self.state = State::Proving { since: now };
    }

    fn handle_element(&mut self, now: Instant, element: Element) {
        match self.state {
            State::Proving { .. } if element.is("handshake", NS_COMPONENT) => {
                self.state = State::Online { heard: now, asked: None };
                self.events.push_back(Event::Online);
            }
            State::Online { .. } | State::Closing { .. } if self.is_own_ping(&element) => {}
            State::Online { .. } | State::Closing { .. } if stanza::kind(&element) != Kind::Other => {
                self.events.push_back(Event::Stanza(element));
            }
            // Before the handshake nothing is due; later on, what is no stanza was not asked for.
            State::Opening { .. } | State::Proving { .. } | State::Online { .. } | State::Closing { .. } | State::Ended => {}
        }
    }

    /// Asks for a sign of life: an XEP-0199 ping to ourselves, which any server has to bring back, whatever its own name is.
    fn ping(&mut self) {
        self.pings += 1;
        let id = self.ping_id();
        let domain = Some(self.settings.domain.as_str());
        let iq = stanza::element(
            "iq",
            stanza::NS,
            &[("type", Some("get")), ("id", Some(&id)), ("from", domain), ("to", domain)],
        );
        let wire = self.writer.write(&stanza::with(iq, [Element::from(Ping)]));
        self.send_wire(&wire.expect("from and to are our own domain"));
    }

    fn ping_id(&self) -> String {
        format!("keep-alive-{}", self.pings)
    }

    /// Whether this is the present ping, or what a server says to it: nobody else can send from our own domain.
    fn is_own_ping(&self, element: &Element) -> bool {
        let own = Some(self.settings.domain.as_str());
        matches!(stanza::kind(element), Kind::Iq(IqKind::Get | IqKind::Result | IqKind::Error))
            && element.attr("from") == own
            && element.attr("to") == own
            && self.pings > 0
            && stanza::id(element) == Some(&self.ping_id())
    }

    fn refuse(&mut self, refused: Refused) {
        let failure = Failure::from(DefinedCondition::PolicyViolation).with_text(refused.why.to_string());
        let answer = match self.settings.told {
            Told::Everybody => stanza::refuse(&refused.header, failure),
            Told::Askers => stanza::refuse_iq(&refused.header, failure),
        };
        if let Some(answer) = answer {
            // What was addressed to nobody of ours is answered by nobody of ours.
            let _ = self.send(&answer);
        }
        self.events.push_back(Event::Refused(refused));
    }

    fn end(&mut self, ending: Ending) {
        if self.state == State::Ended {
            return;
        }
        if let Some(condition) = ending.condition() {
            let error = format!("<stream:error><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>");
            self.out.extend_from_slice(error.as_bytes());
        } else if ending == Ending::Closed && !matches!(self.state, State::Closing { .. }) {
            self.out.extend_from_slice(b"</stream:stream>");
        }
        self.state = State::Ended;
        self.events.push_back(Event::Ended(ending));
    }
}
