//! How one audio line is carried when it isn't plain RTP: DTLS-SRTP (RFC 5763, RFC 8842), ICE (RFC 8839), BUNDLE (RFC 9143), all on one
//! port with RTCP (RFC 5761, RFC 8858).

use std::net::SocketAddr;

use data_encoding::BASE64;
use sha2::{Digest, Sha256};

use crate::model::{
    dtls::{DtlsMedia, DtlsRole, Fingerprint},
    ice::{IceCredentials, IceMedia},
};

use super::text::{Attribute, MediaLine, Sdp, find};

/// What we offer first (RFC 5764 section 8), with the feedback that browsers insist on.
pub(super) const DTLS_PROTOCOL: &str = "UDP/TLS/RTP/SAVPF";

/// Priority of our one candidate: a host's, first component (RFC 8445 section 5.1.2.1).
const PRIORITY: u32 = (126 << 24) | (65_535 << 8) | 255;

/// Whether a line's protocol is SRTP with keys by DTLS.
pub(super) fn is_dtls(protocol: &str) -> bool {
    [DTLS_PROTOCOL, "UDP/TLS/RTP/SAVP"].iter().any(|p| p.eq_ignore_ascii_case(protocol))
}

/// Our end of DTLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalDtls {
    /// Of our certificate.
    pub fingerprint: Fingerprint,
    /// Our own first offer is for it; without this only theirs brings it about.
    pub offer: bool,
}

/// What the credentials of one call are made from, by chance: restarts need new ones (RFC 8839 section 4.4.3.1.1).
#[derive(Clone, PartialEq, Eq)]
pub struct IceSeed(pub [u8; 32]);

impl std::fmt::Debug for IceSeed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IceSeed")
    }
}

impl IceSeed {
    /// Our credentials after so many restarts: 48 and 144 bits, where 24 and 128 are asked for (RFC 8445 section 5.3). Base 64 has
    /// just the characters that they may have.
    pub(super) fn credentials(&self, restarts: u32) -> IceCredentials {
        let hash = Sha256::new().chain_update(self.0).chain_update(restarts.to_be_bytes()).finalize();
        IceCredentials {
            ufrag: BASE64.encode(&hash[..6]),
            password: BASE64.encode(&hash[6..24]),
        }
    }
}

/// `a=setup` (RFC 4145 section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Setup {
    Active,
    Passive,
    ActPass,
    HoldConn,
}

impl Setup {
    fn parse(value: &str) -> Option<Self> {
        match value.to_ascii_lowercase().as_str() {
            "active" => Some(Self::Active),
            "passive" => Some(Self::Passive),
            "actpass" => Some(Self::ActPass),
            "holdconn" => Some(Self::HoldConn),
            _ => None,
        }
    }
}

/// What a description says of how its audio line is carried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Carriage {
    fingerprints: Vec<Fingerprint>,
    setup: Option<Setup>,
    ice: Option<IceCredentials>,
    mid: Option<String>,
    /// It is in a group that shares one port.
    bundled: bool,
    /// RTCP is on the same port.
    pub(super) mux: bool,
}

/// What we say of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ours<'a> {
    pub(super) fingerprint: &'a Fingerprint,
    pub(super) setup: OurSetup,
    pub(super) ice: Option<(IceCredentials, SocketAddr)>,
    pub(super) mid: Option<&'a str>,
    pub(super) bundled: bool,
}

/// What we may say: `actpass` only where it is an offer (RFC 5763 section 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OurSetup {
    Offer,
    Answer(Option<DtlsRole>),
}

impl Carriage {
    /// Before anything is known of theirs: our own first offer.
    pub(super) fn first() -> Self {
        Self {
            fingerprints: Vec::new(),
            setup: None,
            ice: None,
            mid: Some("0".to_owned()),
            bundled: true,
            mux: true,
        }
    }

    /// Reads the line and what is said for all lines. A line that rides on another one's port leaves to that one what they share
    /// (RFC 9143 section 7.1.3).
    pub(super) fn read(sdp: &Sdp, line: &MediaLine) -> Self {
        let mid = line.attribute("mid").map(str::to_owned);
        let group = bundle(sdp).into_iter().find(|g| mid.as_deref().is_some_and(|mid| g.contains(&mid)));
        let tagged = group
            .as_ref()
            .and_then(|g| g.first())
            .and_then(|first| sdp.media.iter().find(|l| l.attribute("mid") == Some(first)));
        let levels = [Some(&line.attributes), tagged.map(|l| &l.attributes), Some(&sdp.attributes)];
        let level = |name: &str| levels.into_iter().flatten().find(|l| find(l, name).is_some());
        let value = |name| level(name).and_then(|l| find(l, name));
        let all = |name: &'static str| {
            let list = level(name).into_iter().flatten();
            list.filter(move |a| a.name == name).filter_map(|a| a.value.as_deref())
        };
        let ice = value("ice-ufrag").zip(value("ice-pwd")).map(|(ufrag, password)| IceCredentials {
            ufrag: ufrag.to_owned(),
            password: password.to_owned(),
        });
        // A lite agent like us waits for checks that nobody would send (RFC 8445 section 6.1.1).
        let lite = find(&sdp.attributes, "ice-lite").is_some();
        let well_formed = |c: &IceCredentials| (4..=256).contains(&c.ufrag.len()) && (22..=256).contains(&c.password.len());
        Self {
            fingerprints: all("fingerprint").filter_map(|f| f.parse().ok()).collect(),
            setup: value("setup").and_then(Setup::parse),
            ice: ice.filter(|c| !lite && well_formed(c)),
            mux: value("rtcp-mux").is_some() || value("rtcp-mux-only").is_some(),
            bundled: group.is_some(),
            mid,
        }
    }

    /// Whether the line wants a certificate that can be checked.
    pub(super) fn has_fingerprint(&self) -> bool {
        !self.fingerprints.is_empty()
    }

    /// Their credentials, if there can be ICE: all on one port, since a lite agent has but one candidate here.
    pub(super) fn ice(&self) -> Option<&IceCredentials> {
        self.ice.as_ref().filter(|_| self.mux)
    }

    /// What it is called among the lines.
    pub(super) fn mid(&self) -> Option<&str> {
        self.mid.as_deref()
    }

    pub(super) fn bundled(&self) -> bool {
        self.bundled
    }

    /// Our role in an association with them. If they leave it to us, `before` goes on (RFC 8842 section 5.5), and without one they
    /// start: they know when ICE has found a way. `None`: not now.
    pub(super) fn role(&self, before: Option<DtlsRole>) -> Option<DtlsRole> {
        match self.setup {
            Some(Setup::ActPass) | None => Some(before.unwrap_or(DtlsRole::Passive)),
            Some(Setup::Active) => Some(DtlsRole::Passive),
            Some(Setup::Passive) => Some(DtlsRole::Active),
            Some(Setup::HoldConn) => None,
        }
    }

    /// What the media plane needs to know.
    pub(super) fn dtls(&self, role: Option<DtlsRole>) -> DtlsMedia {
        let fingerprints = self.fingerprints.clone();
        DtlsMedia { role, fingerprints }
    }

    pub(super) fn ice_media(&self, local: Option<IceCredentials>) -> Option<IceMedia> {
        let remote = self.ice()?.clone();
        local.map(|local| IceMedia { local, remote })
    }
}

/// The groups that share a port, each with its lines' names (RFC 9143 section 5).
fn bundle(sdp: &Sdp) -> Vec<Vec<&str>> {
    let groups = sdp
        .attributes
        .iter()
        .filter(|a| a.name == "group")
        .filter_map(|a| a.value.as_deref());
    let names = groups.map(|g| g.split_ascii_whitespace().collect::<Vec<_>>());
    names.filter(|g| g.first() == Some(&"BUNDLE")).map(|g| g[1..].to_vec()).collect()
}

impl Ours<'_> {
    /// Writes it below our audio line.
    pub(super) fn write(&self, line: &mut MediaLine) {
        let mut add = |name, value: &dyn std::fmt::Display| line.attributes.push(Attribute::new(name, value));
        if let Some(mid) = self.mid {
            add("mid", &mid);
        }
        add("fingerprint", self.fingerprint);
        let setup = match self.setup {
            OurSetup::Offer => "actpass",
            OurSetup::Answer(Some(DtlsRole::Active)) => "active",
            OurSetup::Answer(Some(DtlsRole::Passive)) => "passive",
            OurSetup::Answer(None) => "holdconn",
        };
        add("setup", &setup);
        if let Some((credentials, at)) = &self.ice {
            add("ice-ufrag", &credentials.ufrag);
            add("ice-pwd", &credentials.password);
            add("candidate", &format_args!("1 1 udp {PRIORITY} {} {} typ host", at.ip(), at.port()));
            line.attributes.push(Attribute::flag("end-of-candidates"));
            if self.setup == OurSetup::Offer {
                line.attributes.push(Attribute::flag("rtcp-mux-only"));
            }
        }
    }

    /// What is said of it for the whole session.
    pub(super) fn session(&self) -> Vec<Attribute> {
        let lite = self.ice.as_ref().map(|_| Attribute::flag("ice-lite"));
        let group = self
            .mid
            .filter(|_| self.bundled)
            .map(|mid| Attribute::new("group", format_args!("BUNDLE {mid}")));
        lite.into_iter().chain(group).collect()
    }
}

#[cfg(test)]
mod tests;
