//! Which transaction a request belongs to (RFC 3261 section 17.2.3), and where its responses go (section 18.2).

use std::{net::SocketAddr, sync::Arc};

use crate::sip::{
    endpoint::{Flow, Target, Transport},
    msg::{Access, Host, Method, Request, Via},
};

/// Starts every branch since RFC 3261 (section 8.1.1.7).
pub(crate) const MAGIC: &str = "z9hG4bK";

/// What a request says of itself, read once.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// The way it came.
    pub(crate) flow: Flow,
    /// The tag of `From`; RFC 2543 had none.
    pub(crate) from_tag: Option<String>,
    /// The tag of `To`: there is, or was, a dialog.
    pub(crate) to_tag: Option<String>,
    /// `Call-ID`.
    pub(crate) call_id: String,
    /// The number in `CSeq`.
    pub(crate) cseq: u32,
    /// It came straight from the peer: there is one `Via`.
    pub(crate) direct: bool,
    via: Via,
    /// The key without the method.
    stem: String,
}

impl Seen {
    /// Reads a request whose topmost `Via` was completed by [`note_source`].
    pub(crate) fn read(flow: Flow, request: &Request) -> Access<Self> {
        let headers = &request.headers;
        let via = headers.top_via()?;
        let from_tag = headers.from()?.tag().map(str::to_owned);
        let to_tag = headers.to()?.tag().map(str::to_owned);
        let call_id = headers.call_id()?.to_owned();
        let cseq = headers.cseq()?.number;
        let sent_by = format!("{}:{}", via.host, via.port.unwrap_or_else(|| flow.transport.default_port())).to_ascii_lowercase();
        let stem = match via.branch().and_then(|b| b.strip_prefix(MAGIC)) {
            Some(rest) if !rest.is_empty() => format!("{rest}\n{sent_by}"),
            // RFC 2543 has no branch to go by, and "z9hG4bK" alone is none (RFC 4475 section 3.2.1).
            _ => format!(
                "\n{call_id}\n{}\n{cseq}\n{}\n{via}",
                from_tag.as_deref().unwrap_or_default(),
                request.uri
            ),
        };
        let direct = headers.vias()?.len() == 1;
        Ok(Self {
            flow,
            from_tag,
            to_tag,
            call_id,
            cseq,
            direct,
            via,
            stem,
        })
    }

    /// The key of the transaction of this method: an ACK belongs to its INVITE, a CANCEL to the request with the same stem.
    pub(crate) fn key(&self, method: &Method) -> String {
        let method = if *method == Method::Ack { &Method::Invite } else { method };
        format!("{method}\n{}", self.stem)
    }

    /// Requests with the same of these are the same request, come over different ways (RFC 3261 section 8.2.2.2).
    pub(crate) fn merge_key(&self, method: &Method) -> Option<String> {
        let from_tag = self.from_tag.as_deref()?;
        self.to_tag
            .is_none()
            .then(|| format!("{method}\n{}\n{from_tag}\n{}", self.call_id, self.cseq))
    }

    /// Where responses go (RFC 3261 section 18.2.2, RFC 3581 section 4).
    ///
    /// `maddr` isn't honoured: with it anybody could have us send to a third party.
    pub(crate) fn response_target(&self) -> Target {
        match self.flow.transport {
            Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss => Target::Flow(self.flow),
            Transport::Udp => {
                let mut flow = self.flow;
                if !self.via.params.has("rport") {
                    flow.remote.set_port(self.via.port.unwrap_or_else(|| flow.transport.default_port()));
                }
                Target::Flow(flow)
            }
        }
    }

    /// Where responses go when the connection is gone (RFC 3261 section 18.2.2).
    pub(crate) fn response_fallback(&self) -> Option<Target> {
        match self.flow.transport {
            // To a browser only the browser can connect (RFC 7118 section 5.3).
            Transport::Udp | Transport::Ws | Transport::Wss => None,
            transport @ (Transport::Tcp | Transport::Tls) => Some(Target::Connect {
                transport,
                local: self.flow.local,
                remote: SocketAddr::new(self.flow.remote.ip(), self.via.port.unwrap_or_else(|| transport.default_port())),
                name: match &self.via.host {
                    Host::Name(name) if transport == Transport::Tls => Some(Arc::from(name.as_str())),
                    Host::Name(_) | Host::Ip(_) => None,
                },
            }),
        }
    }
}

/// Notes in the topmost `Via` where the request really came from (RFC 3261 section 18.2.1, RFC 3581 section 4).
pub(crate) fn note_source(flow: Flow, request: &mut Request) -> Access<()> {
    let mut via = request.headers.top_via()?;
    let source = flow.remote.ip().to_canonical();
    let wants_port = via.params.has("rport");
    let differs = via.host.socket(0).is_none_or(|sent_by| sent_by.ip().to_canonical() != source);
    if !wants_port && !differs {
        return Ok(());
    }
    via.params.set("received", Some(&source.to_string()));
    if wants_port {
        via.params.set("rport", Some(&flow.remote.port().to_string()));
    }
    request.headers.set_top_via(&via)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::msg::{Message, parse_datagram};

    fn request(method: &str, via: &str) -> Request {
        let text = format!(
            "{method} sip:a@b SIP/2.0\r\nVia: {via}\r\nFrom: <sip:c@d>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: x\r\nCSeq: 1 {method}\r\n\r\n"
        );
        match parse_datagram(text.as_bytes()).expect("well formed") {
            Message::Request(request) => request,
            Message::Response(_) => panic!("a request"),
        }
    }

    fn flow() -> Flow {
        Flow {
            transport: Transport::Udp,
            local: ([127, 0, 0, 1], 5060).into(),
            remote: ([192, 0, 2, 9], 40_000).into(),
            connection: None,
        }
    }

    fn seen(method: &str, via: &str) -> Seen {
        let mut request = request(method, via);
        note_source(flow(), &mut request).expect("a Via");
        Seen::read(flow(), &request).expect("readable")
    }

    #[test]
    fn an_ack_and_a_cancel_find_their_invite() {
        let via = "SIP/2.0/UDP h;branch=z9hG4bKx";
        let invite = seen("INVITE", via).key(&Method::Invite);
        assert_eq!(seen("ACK", via).key(&Method::Ack), invite);
        assert_eq!(seen("CANCEL", via).key(&Method::Invite), invite);
        assert_ne!(seen("CANCEL", via).key(&Method::Cancel), invite);
        assert_ne!(seen("INVITE", "SIP/2.0/UDP h:5062;branch=z9hG4bKx").key(&Method::Invite), invite);
    }

    #[test]
    fn without_a_branch_the_headers_decide() {
        for via in ["SIP/2.0/UDP h", "SIP/2.0/UDP h;branch=1", "SIP/2.0/UDP h;branch=z9hG4bK"] {
            assert_eq!(seen("ACK", via).key(&Method::Ack), seen("INVITE", via).key(&Method::Invite));
        }
    }

    #[test]
    fn responses_go_to_the_source_with_rport_else_to_the_port_of_the_via() {
        let remote = |via| seen("OPTIONS", via).response_target().remote().to_string();
        assert_eq!(remote("SIP/2.0/UDP 10.0.0.1:5070;rport;branch=z9hG4bKx"), "192.0.2.9:40000");
        assert_eq!(remote("SIP/2.0/UDP 10.0.0.1:5070;branch=z9hG4bKx"), "192.0.2.9:5070");
        assert_eq!(remote("SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKx"), "192.0.2.9:5060");
        assert_eq!(remote("SIP/2.0/UDP 10.0.0.1;maddr=198.51.100.1;branch=z9hG4bKx"), "192.0.2.9:5060");
    }

    #[test]
    fn the_source_is_noted_when_it_differs_or_is_asked_for() {
        let via = |via| {
            let mut request = request("OPTIONS", via);
            note_source(flow(), &mut request).expect("a Via");
            request.headers.top_via().expect("a Via").to_string()
        };
        assert_eq!(
            via("SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKx"),
            "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKx"
        );
        let noted = via("SIP/2.0/UDP host.example;branch=z9hG4bKx;rport");
        assert!(noted.contains("received=192.0.2.9") && noted.contains("rport=40000"), "{noted}");
        let noted = via("SIP/2.0/UDP host.example;branch=z9hG4bKx");
        assert!(noted.contains("received=192.0.2.9") && !noted.contains("rport"), "{noted}");
    }
}
