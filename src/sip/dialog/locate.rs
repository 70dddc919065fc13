//! Where a URI points to: the one place that a resolver (RFC 3263) would go into. Now: addresses, and names of this machine.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::Dialog;
use crate::sip::{
    endpoint::{Flow, Target, Transport},
    msg::{DEFAULT_PORT, Host, Uri},
    transaction::{Unsendable, Ways},
};

/// The way to what a URI names. `local`: our listening address to be preferred.
pub(crate) fn locate(uri: &Uri, ways: &Ways, local: Option<SocketAddr>) -> Result<Target, Unsendable> {
    let uri = uri.as_sip().ok_or(Unsendable("cannot resolve: not a SIP URI"))?;
    if uri.secure {
        return Err(Unsendable("cannot resolve: no TLS"));
    }
    let transport = match uri.params.get("transport") {
        None => Transport::Udp,
        Some(name) if name.eq_ignore_ascii_case("udp") => Transport::Udp,
        Some(name) if name.eq_ignore_ascii_case("tcp") => Transport::Tcp,
        Some(_) => return Err(Unsendable("cannot resolve: a transport that we don't have")),
    };
    let address = match &uri.host {
        Host::Ip(ip) => *ip,
        Host::Name(name) if name.eq_ignore_ascii_case("localhost") => IpAddr::V4(Ipv4Addr::LOCALHOST),
        Host::Name(_) => return Err(Unsendable("cannot resolve: a name, not an address")),
    };
    let remote = SocketAddr::new(address, uri.port.unwrap_or(DEFAULT_PORT));
    let listener = ways.listener(transport, remote, local)?;
    let local = listener.local;
    Ok(match transport {
        Transport::Udp => Target::Flow(Flow {
            transport,
            local,
            remote,
            connection: None,
        }),
        Transport::Tcp => Target::Connect { transport, local, remote },
    })
}

impl Dialog {
    /// The way for requests inside the dialog: the first route, else the remote target (RFC 3261 section 12.2.1.1).
    ///
    /// A peer that reaches us without a proxy is answered over its connection, and, where its Contact is an address other than the one that it
    /// sends from, where it sends from: behind a NAT nothing else gets through (the idea of RFC 5626, for peers that don't ask for it).
    pub(crate) fn hop(&self, ways: &Ways) -> Result<Target, Unsendable> {
        if let Some(route) = self.routes.first() {
            return locate(&route.uri, ways, Some(self.local_address));
        }
        let by_contact = locate(&self.target, ways, Some(self.local_address));
        match (self.direct, by_contact) {
            (Some(flow), _) if flow.transport == Transport::Tcp => Ok(Target::Flow(flow)),
            (Some(flow), Ok(target)) if target.remote().ip() != flow.remote.ip() => Ok(Target::Flow(flow)),
            (Some(flow), Err(_)) => Ok(Target::Flow(flow)),
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
        for uri in [
            "sip:a@example.com",
            "sips:a@192.0.2.1",
            "tel:+123",
            "sip:a@192.0.2.1;transport=sctp",
        ] {
            assert!(find(uri).expect_err("not to be found").starts_with("cannot resolve"), "{uri}");
        }
        assert!(find("sip:a@[::1];transport=tcp").is_err(), "no such listener");
    }
}
