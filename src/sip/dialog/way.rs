//! The way for requests inside a dialog (RFC 3261 section 12.2.1.1).

use super::{Dialog, Reached};
use crate::sip::{
    endpoint::Target,
    locate::Way,
    msg::Uri,
    transaction::{Unsendable, Ways},
};

const IN_THE_OPEN: Unsendable = Unsendable("its TLS connection is gone, and its Contact is in the open");

impl Dialog {
    /// The way for requests inside the dialog: the first route, else the remote target.
    ///
    /// A peer that reaches us without a proxy is answered over its connection, and, where its Contact is an address other than the one that it
    /// sends from, where it sends from: behind a NAT nothing else gets through (the idea of RFC 5626, for peers that don't ask for it). What was
    /// said over TLS isn't gone on with in the open when the connection is lost: the peer may come back by another.
    pub(crate) fn way(&self, ways: &Ways) -> Result<Way, Unsendable> {
        let by = |uri: &Uri| match &self.settled {
            Some(target) => Way::First(target.clone(), uri.clone()),
            None => Way::By(uri.clone()),
        };
        if let Some(route) = self.routes.first() {
            return Ok(by(&route.uri));
        }
        let Reached::Direct { flow, protected } = self.reached else {
            return Ok(by(&self.target));
        };
        let by_contact = ways.at_once(&self.target, Some(self.local_address));
        match (flow, by_contact) {
            (Some(flow), _) if flow.transport.is_reliable() => Ok(Way::To(Target::Flow(flow))),
            (Some(flow), Ok(Some(target))) if target.remote().ip() != flow.remote.ip() => Ok(Way::To(Target::Flow(flow))),
            // What they call themselves needn't be known to anybody else: where they send from is known.
            (Some(flow), Ok(None) | Err(_)) => Ok(Way::To(Target::Flow(flow))),
            (Some(_), Ok(Some(target))) => Ok(Way::To(target)),
            (None, Ok(_)) if protected && !asks_for_protection(&self.target) => Err(IN_THE_OPEN),
            (None, Ok(Some(target))) => Ok(Way::To(target)),
            (None, Ok(None)) => Ok(by(&self.target)),
            (None, Err(why)) => Err(why),
        }
    }

    /// A request inside the dialog came through by this target, if by any: the next ones take it too (RFC 3263 section 4: all of one transaction,
    /// and better all of one dialog).
    pub(crate) fn settle_on(&mut self, target: Option<Target>) {
        self.settled = target;
    }
}

/// Whether a URI leads over TLS only.
fn asks_for_protection(uri: &Uri) -> bool {
    uri.as_sip()
        .is_some_and(|sip| sip.secure || sip.params.get("transport").is_some_and(|t| t.eq_ignore_ascii_case("tls")))
}
