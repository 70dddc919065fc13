//! Where a URI points to: the one place that a resolver (RFC 3263) would go into. Now: addresses, and names of this machine.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use super::{Dialog, Reached};
use crate::sip::{
    endpoint::{Flow, Target, Transport},
    msg::{Host, Uri},
    transaction::{Unsendable, Ways},
};

/// The way to what a URI names. `local`: our listening address to be preferred.
pub(crate) fn locate(uri: &Uri, ways: &Ways, local: Option<SocketAddr>) -> Result<Target, Unsendable> {
    let uri = uri.as_sip().ok_or(Unsendable("cannot resolve: not a SIP URI"))?;
    let named = uri.params.get("transport").map(str::to_ascii_lowercase);
    let transport = match (uri.secure, named.as_deref()) {
        (false, None | Some("udp")) => Transport::Udp,
        (false, Some("tcp")) => Transport::Tcp,
        // `sips` says TLS, and `transport` over what: `tls` is an old spelling of `tcp` there (RFC 3261 section 26.2.2, RFC 5630 section 3.1.4).
        (false, Some("tls")) | (true, None | Some("tcp" | "tls")) => Transport::Tls,
        // The peer connects, never we: behind such a Contact, whose host is `.invalid` mostly, there is only its flow (RFC 7118 section 5).
        (_, Some("ws")) => return Err(ONLY_BY_FLOW),
        (_, Some(_)) => return Err(Unsendable("cannot resolve: a transport that we don't have")),
    };
    let (address, name) = match &uri.host {
        Host::Ip(ip) => (*ip, None),
        Host::Name(name) if name.eq_ignore_ascii_case("localhost") => (IpAddr::V4(Ipv4Addr::LOCALHOST), Some(Arc::from(name.as_str()))),
        Host::Name(_) => return Err(Unsendable("cannot resolve: a name, not an address")),
    };
    let remote = SocketAddr::new(address, uri.port.unwrap_or_else(|| transport.default_port()));
    let listener = ways.listener(transport, remote, local)?;
    let local = listener.local;
    Ok(match transport {
        Transport::Udp => Target::Flow(Flow {
            transport,
            local,
            remote,
            connection: None,
        }),
        Transport::Tcp => Target::Connect {
            transport,
            local,
            remote,
            name: None,
        },
        Transport::Tls => Target::Connect {
            transport,
            local,
            remote,
            name,
        },
        Transport::Ws | Transport::Wss => return Err(ONLY_BY_FLOW),
    })
}

const ONLY_BY_FLOW: Unsendable = Unsendable("its WebSocket connection is gone");

const IN_THE_OPEN: Unsendable = Unsendable("its TLS connection is gone, and its Contact is in the open");

impl Dialog {
    /// The way for requests inside the dialog: the first route, else the remote target (RFC 3261 section 12.2.1.1).
    ///
    /// A peer that reaches us without a proxy is answered over its connection, and, where its Contact is an address other than the one that it
    /// sends from, where it sends from: behind a NAT nothing else gets through (the idea of RFC 5626, for peers that don't ask for it). What was
    /// said over TLS isn't gone on with in the open when the connection is lost: the peer may come back by another.
    pub(crate) fn hop(&self, ways: &Ways) -> Result<Target, Unsendable> {
        if let Some(route) = self.routes.first() {
            return locate(&route.uri, ways, Some(self.local_address));
        }
        let by_contact = locate(&self.target, ways, Some(self.local_address));
        let Reached::Direct { flow, protected } = self.reached else {
            return by_contact;
        };
        match (flow, by_contact) {
            (Some(flow), _) if flow.transport.is_reliable() => Ok(Target::Flow(flow)),
            (Some(flow), Ok(target)) if target.remote().ip() != flow.remote.ip() => Ok(Target::Flow(flow)),
            (Some(flow), Err(_)) => Ok(Target::Flow(flow)),
            (None, Ok(target)) if protected && !target.transport().is_protected() => Err(IN_THE_OPEN),
            (_, by_contact) => by_contact,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::endpoint::Listener;

    fn ways() -> Ways {
        let listen = |transport, address: &str| Listener::plain(transport, address.parse().expect("an address"));
        Ways::new(vec![
            listen(Transport::Udp, "127.0.0.1:5060"),
            listen(Transport::Tcp, "127.0.0.1:5060"),
            listen(Transport::Tls, "127.0.0.1:5061"),
            listen(Transport::Udp, "[::1]:5060"),
        ])
    }

    #[test]
    fn addresses_and_localhost_are_found_and_names_fail_clearly() {
        let find = |uri: &str| {
            let target = locate(&Uri::parse(uri).expect("a URI"), &ways(), None);
            target.map(|t| format!("{} {}", t.transport(), t.remote())).map_err(|e| e.0)
        };
        assert_eq!(find("sip:a@192.0.2.1"), Ok("udp 192.0.2.1:5060".to_owned()));
        assert_eq!(find("sip:a@192.0.2.1:5070;transport=TCP"), Ok("tcp 192.0.2.1:5070".to_owned()));
        assert_eq!(find("sip:a@[2001:db8::1]"), Ok("udp [2001:db8::1]:5060".to_owned()));
        assert_eq!(find("sip:a@localhost:5070"), Ok("udp 127.0.0.1:5070".to_owned()));
        assert_eq!(find("sip:a@192.0.2.1;transport=tls"), Ok("tls 192.0.2.1:5061".to_owned()));
        assert_eq!(find("sips:a@192.0.2.1"), Ok("tls 192.0.2.1:5061".to_owned()));
        assert_eq!(find("sips:a@192.0.2.1:5071;transport=tcp"), Ok("tls 192.0.2.1:5071".to_owned()));
        for uri in [
            "sip:a@example.com",
            "sips:a@example.com",
            "sips:a@192.0.2.1;transport=udp",
            "tel:+123",
            "sip:a@192.0.2.1;transport=sctp",
        ] {
            assert!(find(uri).expect_err("not to be found").starts_with("cannot resolve"), "{uri}");
        }
        assert!(find("sip:a@[::1];transport=tcp").is_err(), "no such listener");
    }

    #[test]
    fn a_certificate_has_to_name_what_the_uri_names() {
        let name = |uri: &str| match locate(&Uri::parse(uri).expect("a URI"), &ways(), None) {
            Ok(Target::Connect { name, .. }) => name,
            other => panic!("a connection, not {other:?}"),
        };
        assert_eq!(name("sips:a@localhost").as_deref(), Some("localhost"));
        assert_eq!(name("sips:a@127.0.0.1"), None);
    }
}
