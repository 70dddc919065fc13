//! How trunks stand: whether we are registered with them, and whether they are there.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::model::control::TrunkReport;
use crate::model::trunk::Trunk;
use crate::model::{Now, PingId, RegistrationId, TrunkId};
use crate::sip::auth::Credentials;
use crate::sip::endpoint::Endpoint;
use crate::sip::msg::{Host, Uri};
use crate::sip::register::{Liveness, PingArgs, RegisterArgs, Registration};

/// The user part of who asks trunks whether they are there, and of calls from no other number.
pub(super) const OUR_USER: &str = "conference";

/// What keeps us in touch with trunks.
#[derive(Debug, Default)]
pub(super) struct Links {
    registrations: BTreeMap<RegistrationId, TrunkId>,
    pings: BTreeMap<PingId, TrunkId>,
    /// In the order in which they are tried.
    all: Vec<Link>,
}

#[derive(Debug)]
struct Link {
    trunk: TrunkId,
    server: Option<String>,
    /// None until the first answer; nothing to be told if we don't register.
    registers: bool,
    registration: Option<Registration>,
    probed: bool,
    liveness: Option<Liveness>,
    /// When either changed, ms since the UNIX epoch.
    since_unix_ms: u64,
}

impl Links {
    /// Begins to register with trunks and to ask them whether they are there, as far as they want it.
    pub(super) fn start(now: Now, endpoint: &mut Endpoint, trunks: &[Trunk], domain: &str) -> Self {
        let mut links = Self::default();
        for trunk in trunks {
            links.begin(now, endpoint, trunk, domain);
            links.all.push(Link {
                trunk: trunk.id.clone(),
                server: trunk.server.clone(),
                registers: trunk.register.is_some(),
                registration: None,
                probed: trunk.probe.is_some(),
                liveness: None,
                since_unix_ms: now.unix_ms,
            });
        }
        links
    }

    fn begin(&mut self, now: Now, endpoint: &mut Endpoint, trunk: &Trunk, domain: &str) {
        let Some(server) = trunk.server.as_deref().and_then(|text| Uri::parse(text).ok()) else {
            return;
        };
        if let (Some(expires), Some(credentials)) = (trunk.register, &trunk.credentials) {
            let args = RegisterArgs {
                registrar: server.clone(),
                user: credentials.user.clone(),
                credentials: Some(Credentials::new(&credentials.user, &credentials.secret.0)),
                expires: u32::try_from(expires.as_secs()).unwrap_or(u32::MAX),
                instance: instance(domain, &trunk.id),
            };
            self.registrations.insert(endpoint.register(now.at, args), trunk.id.clone());
        }
        if let Some((every, host)) = trunk.probe.zip(Host::parse(domain).ok()) {
            let args = PingArgs {
                to: server,
                from: Uri::sip(Some(OUR_USER), host, None),
                every,
            };
            self.pings.insert(endpoint.ping(now.at, args), trunk.id.clone());
        }
    }

    /// A registration stands differently, or was refreshed.
    pub(super) fn registered(&mut self, now: Now, id: RegistrationId, state: Registration) {
        let Some(trunk) = self.registrations.get(&id).cloned() else {
            return;
        };
        if state == Registration::Ended {
            self.registrations.remove(&id);
        }
        let Some(link) = self.all.iter_mut().find(|link| link.trunk == trunk) else {
            return;
        };
        let before = link.registration.replace(state).as_ref().map(said_of_registration);
        let after = link.registration.as_ref().map(said_of_registration);
        if before != after {
            link.since_unix_ms = now.unix_ms;
            match &link.registration {
                Some(Registration::Registered { .. } | Registration::Ended) => {
                    tracing::info!(%trunk, registration = after, "the registration has changed");
                }
                Some(Registration::Refused { .. } | Registration::Unreachable(_)) | None => {
                    tracing::warn!(%trunk, registration = after, "the registration has failed; it is tried again");
                }
            }
        }
    }

    /// A trunk answered our question, or didn't.
    pub(super) fn pinged(&mut self, now: Now, id: PingId, liveness: Liveness) {
        let Some(trunk) = self.pings.get(&id) else { return };
        let Some(link) = self.all.iter_mut().find(|link| link.trunk == *trunk) else {
            return;
        };
        if link.liveness.replace(liveness) != Some(liveness) {
            link.since_unix_ms = now.unix_ms;
            let state = said_of_liveness(Some(liveness));
            match liveness {
                Liveness::Alive | Liveness::Busy => tracing::info!(%trunk, state, "the trunk answers"),
                Liveness::Down(_) => tracing::warn!(%trunk, state, "the trunk is passed over"),
            }
        }
    }

    /// Takes all registrations back.
    pub(super) fn close(&self, now: Now, endpoint: &mut Endpoint) {
        for id in self.registrations.keys() {
            endpoint.unregister(now.at, *id);
        }
    }

    /// Nothing stands any more.
    pub(super) fn is_over(&self) -> bool {
        self.registrations.is_empty()
    }

    /// Whether calls may go by this trunk, and if so whether others are to be tried before it. Where nobody asks, the registrar's silence tells.
    pub(super) fn availability(&self, trunk: &TrunkId) -> Availability {
        let Some(link) = self.all.iter().find(|link| link.trunk == *trunk) else {
            return Availability::Down;
        };
        match (link.liveness, &link.registration) {
            (Some(Liveness::Down(_)), _) => Availability::Down,
            (Some(Liveness::Busy), _) => Availability::Busy,
            (None, Some(Registration::Unreachable(_))) if !link.probed => Availability::Down,
            (Some(Liveness::Alive) | None, _) => Availability::Ready,
        }
    }

    /// What an operator is shown.
    pub(super) fn reports(&self) -> Vec<TrunkReport> {
        let report = |link: &Link| TrunkReport {
            name: link.trunk.to_string(),
            server: link.server.clone(),
            registration: link
                .registers
                .then(|| link.registration.as_ref().map_or_else(|| "asked".to_owned(), said_of_registration)),
            state: link.probed.then(|| said_of_liveness(link.liveness)),
            since_unix_ms: link.since_unix_ms,
        };
        self.all.iter().map(report).collect()
    }
}

/// Whether a trunk takes calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Availability {
    /// As far as is known.
    Ready,
    /// It says that it has no room.
    Busy,
    /// It doesn't answer.
    Down,
}

fn said_of_registration(state: &Registration) -> String {
    match state {
        Registration::Registered { .. } => "registered".to_owned(),
        Registration::Refused { status, reason } => format!("refused: {status} {reason}"),
        Registration::Unreachable(why) => format!("unreachable: {why}"),
        Registration::Ended => "ended".to_owned(),
    }
}

fn said_of_liveness(liveness: Option<Liveness>) -> String {
    match liveness {
        None => "asked".to_owned(),
        Some(Liveness::Alive) => "alive".to_owned(),
        Some(Liveness::Busy) => "busy".to_owned(),
        Some(Liveness::Down(why)) => format!("down: {why}"),
    }
}

/// Who we are to this trunk over all restarts (RFC 5626 section 4.1): a UUID of our own making (RFC 9562 section 5.8).
fn instance(domain: &str, trunk: &TrunkId) -> String {
    let hash = Sha256::digest(format!("cusax instance\0{domain}\0{trunk}"));
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = data_encoding::HEXLOWER.encode(&bytes);
    format!(
        "urn:uuid:{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc5626_4_1_we_are_the_same_after_a_restart_and_another_elsewhere() {
        let one = instance("conf.example.com", &TrunkId::new("telco"));
        assert_eq!(one, instance("conf.example.com", &TrunkId::new("telco")));
        assert_ne!(one, instance("conf.example.net", &TrunkId::new("telco")));
        let groups: Vec<usize> = one.trim_start_matches("urn:uuid:").split('-').map(str::len).collect();
        assert_eq!(groups, [8, 4, 4, 4, 12], "{one}");
        assert_eq!(one.as_bytes()[9 + 14], b'8', "{one}");
    }
}
