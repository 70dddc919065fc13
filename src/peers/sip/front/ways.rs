//! By which ways a telephone is called: trunk after trunk, then the proxy (rule R47).

use std::collections::VecDeque;

use crate::model::TrunkId;
use crate::model::trunk::Trunk;
use crate::sip::auth::Credentials;
use crate::sip::msg::{Host, Response, Uri};

use super::SipFront;
use super::links::{Availability, OUR_USER};

/// One way to whom is called.
#[derive(Debug, Clone)]
pub(super) struct OutWay {
    /// Whom to call there: Request-URI and To.
    pub(super) to: Uri,
    /// Where to send it instead of to where that leads.
    pub(super) via: Option<Uri>,
    /// By which trunk, and who we are to it.
    pub(super) by: Option<ByTrunk>,
}

/// What a call says of us to a trunk.
#[derive(Debug, Clone)]
pub(super) struct ByTrunk {
    /// Which.
    pub(super) trunk: TrunkId,
    /// Who calls: From.
    pub(super) from: Uri,
    /// The display name in From.
    pub(super) name: Option<String>,
    /// What its challenges are answered with.
    pub(super) credentials: Option<Credentials>,
    /// It is of our trust domain (RFC 3325 section 5): it may know more than it needs.
    pub(super) trusted: bool,
}

impl OutWay {
    /// A way by no trunk.
    pub(super) fn plain(to: Uri, via: Option<Uri>) -> Self {
        Self { to, via, by: None }
    }
}

impl SipFront {
    /// The trunks that may carry a call to this number, in the order in which they are tried: those that are there, then those that are busy.
    pub(super) fn trunk_ways(&self, number: &str) -> VecDeque<OutWay> {
        let carriers = self
            .trunks
            .carriers(number)
            .map(|trunk| (self.links.availability(&trunk.id), trunk));
        let mut usable: Vec<(Availability, &Trunk)> = carriers.filter(|(state, _)| *state != Availability::Down).collect();
        usable.sort_by_key(|(state, _)| *state);
        let domain = self.settings.hosts.first().and_then(|host| Host::parse(host).ok());
        usable
            .into_iter()
            .filter_map(|(_, trunk)| way(trunk, number, domain.as_ref()))
            .collect()
    }
}

fn way(trunk: &Trunk, number: &str, domain: Option<&Host>) -> Option<OutWay> {
    let server = Uri::parse(trunk.server.as_deref()?).ok()?;
    let host = server.as_sip()?.host.clone();
    let mut to = Uri::sip(Some(number), host.clone(), None);
    to.as_sip_mut()?.params.set("user", Some("phone"));
    let credentials = trunk.credentials.as_ref();
    let user = trunk.caller_id.as_deref().or_else(|| credentials.map(|c| c.user.as_str()));
    // Whoever has an account there calls from it; others call from here.
    let home = if credentials.is_some() { host } else { domain?.clone() };
    Some(OutWay {
        to,
        via: Some(server),
        by: Some(ByTrunk {
            trunk: trunk.id.clone(),
            from: Uri::sip(Some(user.unwrap_or(OUR_USER)), home, None),
            name: trunk.caller_name.clone(),
            credentials: credentials.map(|c| Credentials::new(&c.user, &c.secret.0)),
            trusted: trunk.trusted,
        }),
    })
}

/// Whether a refusal says nothing of whom we call, but of the way: the next one is worth a try.
pub(super) fn is_the_ways_fault(response: &Response) -> bool {
    response.status == 408 || (500..600).contains(&response.status)
}
