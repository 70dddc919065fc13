//! Who the peers behind connections are by their certificates (RFC 5922).

use std::collections::BTreeMap;

use crate::model::{Account, Aor};
use crate::sip::endpoint::{ConnectionId, Flow, Inbound};
use crate::sip::msg::{Request, Uri};

use super::SipFront;

/// What was proven over each connection that is up: as many as there are connections, which the sockets limit.
#[derive(Debug, Default)]
pub(super) struct Proofs(BTreeMap<ConnectionId, Vec<String>>);

impl Proofs {
    /// Takes what the sockets say of a connection itself.
    pub(super) fn note(&mut self, inbound: &Inbound) {
        match inbound {
            Inbound::Proven { flow, names } => {
                if let Some(connection) = flow.connection {
                    self.0.insert(connection, names.clone());
                }
            }
            Inbound::FlowLost(flow) => {
                if let Some(connection) = flow.connection {
                    self.0.remove(&connection);
                }
            }
            Inbound::Datagram { .. } | Inbound::Message { .. } | Inbound::Unreachable(_) => {}
        }
    }
}

impl SipFront {
    /// The `sip` URIs of people, and the domains, that the peer behind a connection has proven to be; none behind most.
    pub(super) fn names_of(&self, flow: Flow) -> &[String] {
        let proven = flow.connection.and_then(|connection| self.proofs.0.get(&connection));
        proven.map_or(&[], Vec::as_slice)
    }

    /// The account that `From` names, if the certificate of the peer names it too (rule R1).
    pub(super) fn certified(&self, flow: Flow, request: &Request) -> Option<Account> {
        let claimed = request.headers.from().ok()?.uri.aor()?;
        let aor_of = |name: &String| -> Option<Aor> { Uri::parse(name).ok()?.aor() };
        if !self.names_of(flow).iter().filter_map(aor_of).any(|aor| aor == claimed) {
            return None;
        }
        self.accounts.by_aor(&claimed)
    }
}
