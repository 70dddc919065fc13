//! Dialogs (RFC 3261 section 12): tags, sequence numbers, route set, remote target, and the way there.
//!
//! A dialog may have several usages (RFC 5057): a call and its subscriptions. What they do is not known here.

mod table;
mod way;

pub(crate) use table::{DialogNo, Dialogs};

use super::{
    endpoint::{Flow, Target},
    locate::{Located, locate},
    msg::{Access, CSeq, HeaderError, Method, Name, NameAddr, Request, Response, Uri},
    transaction::Seen,
};

/// Hops that a route set may have: each costs bytes in every request, and real ones have a few.
const MAX_ROUTES: usize = 20;
/// `Max-Forwards` of our requests (RFC 3261 section 8.1.1.6).
pub(crate) const MAX_FORWARDS: &str = "70";

/// One dialog, as seen from our side.
#[derive(Debug)]
pub(crate) struct Dialog {
    pub(crate) call_id: String,
    /// Our tag, which is random.
    pub(crate) local_tag: String,
    /// Their tag; RFC 2543 had none.
    pub(crate) remote_tag: Option<String>,
    /// We are in `From` by this.
    local: NameAddr,
    /// They are in `To` by this.
    remote: NameAddr,
    local_seq: u32,
    remote_seq: Option<u32>,
    target: Uri,
    routes: Vec<NameAddr>,
    reached: Reached,
    /// Where the last request of ours came through, until the remote target changes.
    settled: Option<Target>,
    /// Our listening address on which it began.
    pub(crate) local_address: std::net::SocketAddr,
    /// Our Contact.
    pub(crate) contact: NameAddr,
    /// The call was ours (rule R40: who waits how long after a 491).
    pub(crate) owns_call_id: bool,
}

/// How they reached us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reached {
    /// Through a proxy.
    Proxied,
    /// Without one.
    Direct {
        /// The way that they took last; none since that connection is gone.
        flow: Option<Flow>,
        /// Others could not read what went that way.
        protected: bool,
    },
}

impl Reached {
    fn new(direct: bool, flow: Flow) -> Self {
        if direct {
            Self::Direct {
                flow: Some(flow),
                protected: flow.is_protected(),
            }
        } else {
            Self::Proxied
        }
    }
}

/// The request is older than one that was handled (RFC 3261 section 12.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OldCSeq;

impl Dialog {
    /// Our half of the dialog that a request of theirs makes (RFC 3261 section 12.1.1).
    pub(crate) fn as_uas(seen: &Seen, request: &Request, local_tag: &str, first_seq: u32, contact: NameAddr) -> Access<Self> {
        let target = match request.headers.contact() {
            // RFC 2543 asked for no Contact: such callers, known by their missing tag, are reached at what From says.
            Err(HeaderError::Missing(_)) if seen.from_tag.is_none() => request.headers.from()?.uri,
            contact => contact?.uri,
        };
        let mut routes = request.headers.record_route()?;
        routes.truncate(MAX_ROUTES);
        let reached = Reached::new(seen.direct && routes.is_empty(), seen.flow);
        Ok(Self {
            call_id: seen.call_id.clone(),
            local_tag: local_tag.to_owned(),
            remote_tag: seen.from_tag.clone(),
            local: request.headers.to()?.with_tag(local_tag),
            remote: request.headers.from()?,
            local_seq: first_seq,
            remote_seq: Some(seen.cseq),
            target,
            routes,
            reached,
            settled: None,
            local_address: seen.flow.local,
            contact,
            owns_call_id: false,
        })
    }

    /// Our half of the dialog that a 2xx to a request of ours makes (RFC 3261 section 12.1.2).
    pub(crate) fn as_uac(flow: Flow, request: &Request, response: &Response, contact: NameAddr) -> Access<Self> {
        let mut routes = response.headers.record_route()?;
        routes.truncate(MAX_ROUTES);
        routes.reverse();
        let local = request.headers.from()?;
        let remote = response.headers.to()?;
        // Some answer without a Contact: what we called goes on being the target.
        let target = response
            .headers
            .contact()
            .map_or_else(|_| request.uri.clone(), |contact| contact.uri);
        // Who answers from where we called, or from where it says that it is, needs no proxy; a name may have led to one.
        let is_there = |uri: &Uri| matches!(locate(uri), Ok(Located::Hop(hop)) if hop.address == flow.remote);
        let direct = routes.is_empty() && (is_there(&target) || is_there(&request.uri) && !request.headers.has(Name::Route));
        Ok(Self {
            call_id: request.headers.call_id()?.to_owned(),
            local_tag: local.tag().unwrap_or_default().to_owned(),
            remote_tag: remote.tag().map(str::to_owned),
            local,
            remote,
            local_seq: request.headers.cseq()?.number,
            remote_seq: None,
            target,
            reached: Reached::new(direct, flow),
            settled: None,
            routes,
            local_address: flow.local,
            contact,
            owns_call_id: true,
        })
    }

    /// Our tag and theirs.
    fn tags(&self) -> (String, Option<String>) {
        (self.local_tag.clone(), self.remote_tag.clone())
    }

    /// Whether a request inside a dialog is inside this one.
    fn is_of(&self, seen: &Seen) -> bool {
        self.call_id == seen.call_id && self.remote_tag == seen.from_tag
    }

    /// Takes the sequence number of a request of theirs. Gaps are fine: a proxy's challenge makes them (rule R40).
    pub(crate) fn take_cseq(&mut self, cseq: u32) -> Result<(), OldCSeq> {
        if self.remote_seq.is_some_and(|last| cseq <= last) {
            return Err(OldCSeq);
        }
        self.remote_seq = Some(cseq);
        Ok(())
    }

    /// Takes the new remote target of a target refresh request or its 2xx (RFC 3261 section 12.2), and the way that it came.
    pub(crate) fn refresh_target(&mut self, contact: Access<NameAddr>, flow: Flow) {
        if let Ok(contact) = contact {
            if self.routes.is_empty() && self.target != contact.uri {
                self.settled = None;
            }
            self.target = contact.uri;
        }
        if self.reached != Reached::Proxied {
            self.reached = Reached::new(true, flow);
        }
    }

    /// The 2xx is there: what it says of route and target holds (RFC 3261 section 13.2.2.4), and counting goes on.
    pub(crate) fn confirm(&mut self, by_2xx: Self) {
        *self = Self {
            local_seq: self.local_seq.max(by_2xx.local_seq),
            remote_seq: self.remote_seq,
            ..by_2xx
        };
    }

    /// Leaves out sequence numbers that may be used up: gaps are fine (RFC 3261 section 12.2.2).
    pub(crate) fn skip(&mut self, numbers: u32) {
        self.local_seq += numbers;
    }

    /// A connection is gone.
    fn handle_flow_lost(&mut self, flow: Flow) {
        if let Reached::Direct { flow: way, .. } = &mut self.reached
            && *way == Some(flow)
            && flow.transport.is_reliable()
        {
            *way = None;
        }
    }

    /// A request inside the dialog, with the next sequence number and all headers but `Via`.
    pub(crate) fn request(&mut self, method: Method) -> Request {
        self.local_seq += 1;
        let refreshes = matches!(
            method,
            Method::Invite | Method::Update | Method::Subscribe | Method::Notify | Method::Refer
        );
        let mut request = self.write(method, self.local_seq);
        if refreshes {
            request.headers.push(Name::Contact, self.contact.clone());
        }
        request
    }

    /// The ACK for a 2xx to the INVITE with this sequence number.
    pub(crate) fn ack(&self, cseq: u32) -> Request {
        self.write(Method::Ack, cseq)
    }

    fn write(&self, method: Method, cseq: u32) -> Request {
        let (uri, routes) = self.route();
        let mut request = Request::new(method.clone(), uri);
        let headers = &mut request.headers;
        headers.push(Name::MaxForwards, MAX_FORWARDS);
        for route in routes {
            headers.push(Name::Route, route);
        }
        headers.push(Name::From, self.local.clone());
        headers.push(Name::To, self.remote.clone());
        headers.push(Name::CallId, self.call_id.as_str());
        headers.push(Name::CSeq, CSeq::new(cseq, method));
        request
    }

    /// Request-URI and Route headers (RFC 3261 section 12.2.1.1): a strict router in front gets its URI in the first line, the target goes last.
    fn route(&self) -> (Uri, Vec<NameAddr>) {
        match self.routes.split_first() {
            Some((first, rest)) if first.uri.as_sip().is_some_and(|uri| !uri.is_loose_router()) => {
                let mut routes = rest.to_vec();
                routes.push(NameAddr::new(self.target.clone()));
                (first.uri.clone(), routes)
            }
            Some(_) | None => (self.target.clone(), self.routes.clone()),
        }
    }
}

/// Whether what a request begins is to be secured by our Contact too, which then has to be a `sips` URI (RFC 3261 section 12.1.1).
pub(crate) fn asks_for_sips(request: &Request) -> bool {
    let is_sips = |uri: &Uri| uri.as_sip().is_some_and(|uri| uri.secure);
    let next = match request.headers.record_route() {
        Ok(routes) if !routes.is_empty() => routes.into_iter().next(),
        Ok(_) | Err(_) => request.headers.contact().ok(),
    };
    is_sips(&request.uri) || next.is_some_and(|next| is_sips(&next.uri))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::endpoint::Transport;
    use crate::sip::msg::{Message, parse_datagram};

    fn flow(remote: &str) -> Flow {
        Flow {
            transport: Transport::Udp,
            local: ([127, 0, 0, 1], 5060).into(),
            remote: remote.parse().expect("an address"),
            connection: None,
        }
    }

    fn dialog(record_route: &str) -> Dialog {
        let text = format!(
            "INVITE sip:room@conf SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKx\r\nFrom: <sip:c@d>;tag=1\r\nTo: <sip:room@conf>\r\n\
             Call-ID: x\r\nCSeq: 10 INVITE\r\nContact: <sip:c@192.0.2.1:5070>\r\n{record_route}\r\n"
        );
        let Ok(Message::Request(request)) = parse_datagram(text.as_bytes()) else {
            panic!("a request")
        };
        let flow = flow("192.0.2.1:5070");
        let seen = Seen::read(flow, &request).expect("readable");
        let contact = NameAddr::new(Uri::parse("sip:room@127.0.0.1").expect("a URI"));
        Dialog::as_uas(&seen, &request, "ours", 5, contact).expect("readable")
    }

    fn routes(request: &Request) -> Vec<String> {
        request.headers.route().expect("routes").iter().map(ToString::to_string).collect()
    }

    #[test]
    fn requests_go_to_the_remote_target() {
        let mut dialog = dialog("");
        let bye = dialog.request(Method::Bye);
        assert_eq!(bye.uri.to_string(), "sip:c@192.0.2.1:5070");
        assert_eq!(bye.headers.cseq().expect("CSeq").number, 6);
        assert_eq!(bye.headers.from().expect("From").tag(), Some("ours"));
        assert_eq!(bye.headers.to().expect("To").tag(), Some("1"));
        assert!(routes(&bye).is_empty() && !bye.headers.has(Name::Contact));
        assert!(dialog.request(Method::Invite).headers.has(Name::Contact));
    }

    #[test]
    fn a_loose_route_keeps_the_target_in_the_first_line() {
        let mut dialog = dialog("Record-Route: <sip:p1.example;lr>, <sip:p2.example;lr>\r\n");
        let bye = dialog.request(Method::Bye);
        assert_eq!(bye.uri.to_string(), "sip:c@192.0.2.1:5070");
        assert_eq!(routes(&bye), ["<sip:p1.example;lr>", "<sip:p2.example;lr>"]);
        assert_eq!(dialog.reached, Reached::Proxied);
    }

    #[test]
    fn a_strict_route_moves_the_target_to_the_end() {
        let mut dialog = dialog("Record-Route: <sip:p1.example>, <sip:p2.example;lr>\r\n");
        let bye = dialog.request(Method::Bye);
        assert_eq!(bye.uri.to_string(), "sip:p1.example");
        assert_eq!(routes(&bye), ["<sip:p2.example;lr>", "<sip:c@192.0.2.1:5070>"]);
    }

    #[test]
    fn r40_old_numbers_are_refused_and_gaps_are_not() {
        let mut dialog = dialog("");
        assert_eq!(dialog.take_cseq(10), Err(OldCSeq));
        assert_eq!(dialog.take_cseq(15), Ok(()));
        assert_eq!(dialog.take_cseq(12), Err(OldCSeq));
        assert_eq!(dialog.take_cseq(16), Ok(()));
    }

    #[test]
    fn the_remote_target_is_refreshed() {
        let mut dialog = dialog("");
        let moved = NameAddr::new(Uri::parse("sip:c@192.0.2.2").expect("a URI"));
        dialog.refresh_target(Ok(moved), flow("192.0.2.2:5060"));
        assert_eq!(dialog.request(Method::Bye).uri.to_string(), "sip:c@192.0.2.2");
    }
}
