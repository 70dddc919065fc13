//! Where a URI leads (RFC 3263): what is known at once, what has to be asked of the DNS, and which answer comes first. Sans-IO: the questions are
//! asked by others.

mod search;

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

pub use self::search::{Naptr, Query, Records, Search, Srv};
use super::{
    endpoint::{Target, Transport},
    msg::{Host, SipUri, Uri},
};

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// There, and nowhere else.
    To(Target),
    /// To where this URI leads: an outbound proxy, a trunk, a route.
    By(Uri),
    /// There as long as that works, else to where the URI leads (RFC 5626 section 4.3).
    First(Target, Uri),
}

/// One place to which a request may go.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hop {
    /// How.
    pub transport: Transport,
    /// To where.
    pub address: SocketAddr,
    /// Whom a certificate there has to name: what was looked up, not what the DNS made of it (RFC 5922 section 4); none: the address.
    pub name: Option<Arc<str>>,
}

/// What is to be looked up: all of a URI that decides where it leads.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Question {
    /// The domain, in lower case.
    pub host: Arc<str>,
    /// The port, if one was named: then there is nothing to be asked but the address.
    pub port: Option<u16>,
    /// The transport, if one was named.
    pub transport: Option<Transport>,
    /// `sips`: only what is protected.
    pub secure: bool,
    /// Whom a certificate has to name.
    pub name: Arc<str>,
}

/// A lookup that waits for [`handle_lookup`](crate::sip::endpoint::Endpoint::handle_lookup). Never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LookupId(pub u64);

/// Something to be looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lookup {
    /// For the answer.
    pub id: LookupId,
    /// What.
    pub question: Question,
    /// The transports that we have a socket for.
    pub usable: Vec<Transport>,
    /// Chance, for the order of equals (RFC 2782).
    pub seed: u64,
}

/// Why a name leads nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    /// The DNS says that there is nothing.
    #[error("there is no such name, or nothing that we could use")]
    Nothing,
    /// The DNS said nothing, or nothing useful.
    #[error("the DNS doesn't answer")]
    NoAnswer,
    /// Too many lookups are under way.
    #[error("too many lookups are under way")]
    TooMany,
}

/// What a lookup has come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookupAnswer {
    /// Which.
    pub id: LookupId,
    /// Where to go, in the order in which that is tried.
    pub found: Result<Vec<Hop>, LookupError>,
}

/// What is known of a URI without asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Located {
    /// The one place.
    Hop(Hop),
    /// A name.
    Name(Question),
}

/// Why a URI can't be gone to at all.
pub(crate) type Nowhere = &'static str;

pub(crate) const ONLY_BY_FLOW: Nowhere = "its WebSocket connection is gone";

/// The transport that a URI names (RFC 3261 section 19.1.1).
fn transport_of(uri: &SipUri) -> Result<Option<Transport>, Nowhere> {
    let named = uri.params.get("transport").map(str::to_ascii_lowercase);
    match (uri.secure, named.as_deref()) {
        (_, None) => Ok(None),
        (false, Some("udp")) => Ok(Some(Transport::Udp)),
        (false, Some("tcp")) => Ok(Some(Transport::Tcp)),
        // `sips` says TLS, and `transport` over what: `tls` is an old spelling of `tcp` there (RFC 3261 section 26.2.2, RFC 5630 section 3.1.4).
        (false, Some("tls")) | (true, Some("tcp" | "tls")) => Ok(Some(Transport::Tls)),
        // The peer connects, never we: behind such a Contact, whose host is `.invalid` mostly, there is only its flow (RFC 7118 section 5).
        (_, Some("ws")) => Err(ONLY_BY_FLOW),
        (_, Some(_)) => Err("cannot resolve: a transport that we don't have"),
    }
}

/// What can be said of a URI without asking (RFC 3263 sections 4.1 and 4.2).
pub(crate) fn locate(uri: &Uri) -> Result<Located, Nowhere> {
    let uri = uri.as_sip().ok_or("cannot resolve: not a SIP URI")?;
    let transport = transport_of(uri)?;
    // RFC 3263 section 4: `maddr` is the target, if there is one.
    let maddr = uri.params.get("maddr").and_then(|maddr| Host::parse(maddr).ok());
    let target = maddr.as_ref().unwrap_or(&uri.host);
    let address = match target {
        Host::Ip(ip) => *ip,
        Host::Name(name) if name.eq_ignore_ascii_case("localhost") => IpAddr::V4(Ipv4Addr::LOCALHOST),
        Host::Name(name) => {
            return Ok(Located::Name(Question {
                host: Arc::from(name.trim_end_matches('.').to_ascii_lowercase()),
                port: uri.port,
                transport,
                secure: uri.secure,
                name: Arc::from(uri.host.to_string().trim_end_matches('.')),
            }));
        }
    };
    let transport = transport.unwrap_or_else(|| assumed(uri.secure));
    Ok(Located::Hop(Hop {
        transport,
        address: SocketAddr::new(address, uri.port.unwrap_or_else(|| transport.default_port())),
        name: match &uri.host {
            Host::Name(name) => Some(Arc::from(name.as_str())),
            Host::Ip(_) => None,
        },
    }))
}

/// The transport where nobody names one (RFC 3263 section 4.1).
pub(crate) fn assumed(secure: bool) -> Transport {
    if secure { Transport::Tls } else { Transport::Udp }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(uri: &str) -> String {
        match locate(&Uri::parse(uri).expect("a URI")) {
            Ok(Located::Hop(hop)) => format!("{} {} {}", hop.transport, hop.address, hop.name.as_deref().unwrap_or("-")),
            Ok(Located::Name(q)) => format!("{} {:?} {:?} {} {}", q.host, q.port, q.transport, q.secure, q.name),
            Err(why) => why.to_owned(),
        }
    }

    #[test]
    fn rfc3263_4_1_an_address_is_gone_to_at_once() {
        assert_eq!(find("sip:a@192.0.2.1"), "udp 192.0.2.1:5060 -");
        assert_eq!(find("sip:a@192.0.2.1:5070;transport=TCP"), "tcp 192.0.2.1:5070 -");
        assert_eq!(find("sip:a@[2001:db8::1]"), "udp [2001:db8::1]:5060 -");
        assert_eq!(find("sip:a@localhost:5070"), "udp 127.0.0.1:5070 localhost");
        assert_eq!(find("sip:a@192.0.2.1;transport=tls"), "tls 192.0.2.1:5061 -");
        assert_eq!(find("sips:a@192.0.2.1"), "tls 192.0.2.1:5061 -");
        assert_eq!(find("sips:a@192.0.2.1:5071;transport=tcp"), "tls 192.0.2.1:5071 -");
        assert_eq!(find("sips:a@localhost"), "tls 127.0.0.1:5061 localhost");
    }

    #[test]
    fn rfc3263_4_a_name_is_asked_for_with_what_the_uri_says_besides() {
        assert_eq!(find("sip:a@Example.COM."), "example.com None None false Example.COM");
        assert_eq!(
            find("sip:a@example.com:5070;transport=tls"),
            "example.com Some(5070) Some(Tls) false example.com"
        );
        assert_eq!(find("sips:a@example.com"), "example.com None None true example.com");
        assert_eq!(find("sip:a@example.com;maddr=192.0.2.7"), "udp 192.0.2.7:5060 example.com");
        assert_eq!(
            find("sip:a@192.0.2.1;maddr=other.example"),
            "other.example None None false 192.0.2.1"
        );
    }

    #[test]
    fn what_leads_nowhere_says_so() {
        for uri in ["sips:a@192.0.2.1;transport=udp", "tel:+123", "sip:a@example.com;transport=sctp"] {
            assert!(find(uri).starts_with("cannot resolve"), "{uri}");
        }
    }
}
