//! Names and numbers of things, as types that can't be mixed up.

use std::{fmt, sync::Arc};

/// A room's name: the local part of its JID and (percent-encoded) the user of its SIP URI (rule R14).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoomName(Arc<str>);

/// Why a string is no room name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRoomName {
    /// Not a JID local part after preparation.
    #[error("not a valid local part of a JID")]
    NotALocalPart,
    /// Digits only: those names belong to the number map.
    #[error("room names of digits only belong to the number map")]
    DigitsOnly,
}

impl RoomName {
    /// Prepares (RFC 7622 section 3.3) and checks a name.
    pub fn new(name: &str) -> Result<Self, BadRoomName> {
        let node = jid::NodePart::new(name).map_err(|_| BadRoomName::NotALocalPart)?;
        if node.as_str().bytes().all(|b| b.is_ascii_digit()) {
            return Err(BadRoomName::DigitsOnly);
        }
        Ok(Self(node.as_str().into()))
    }

    /// The prepared name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RoomName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A SIP address of record, normalised: `sip:user@host`, host in lower case, no port 5060, no parameters, escapes decoded where they need not be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Aor(String);

impl Aor {
    /// Wraps what `sip::msg::Uri::aor` or the config check has normalised.
    pub fn from_normalised(uri: String) -> Self {
        Self(uri)
    }

    /// The URI.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The user part, still escaped.
    pub fn user(&self) -> &str {
        let rest = self.0.split_once(':').map_or(self.0.as_str(), |(_, r)| r);
        rest.rsplit_once('@').map_or("", |(u, _)| u)
    }
}

impl fmt::Display for Aor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A trunk: a provider or a PBX that carries calls to and from other numbers, by its name in the configuration.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrunkId(Arc<str>);

impl TrunkId {
    /// Wraps a name.
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TrunkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! number_id {
    ($(#[$doc:meta] $name:ident($int:ty);)*) => {$(
        #[$doc]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $int);
    )*};
}

number_id! {
    /// One row of a room: a person, with any of legs and occupants. Unique in its room, never reused.
    PersonId(u32);
    /// One call's media. Unique in the process, never reused.
    LegId(u64);
    /// One nick of a room during one unbroken occupancy. Unique in its room, never reused.
    OccupantId(u32);
    /// One call known to the SIP endpoint. Unique in the process, never reused.
    CallId(u64);
    /// One subscription known to the SIP endpoint. Unique in the process, never reused.
    SubscriptionId(u64);
    /// One REFER known to the SIP endpoint, of a peer's or of ours. Unique in the process, never reused.
    ReferId(u64);
    /// One registration of ours with somebody else's registrar. Unique in the process, never reused.
    RegistrationId(u64);
    /// One peer that is asked whether it is there. Unique in the process, never reused.
    PingId(u64);
    /// Follows one person through SIP, XMPP, media and HTTP logs (rule R80). Printed as 16 hex digits.
    Correlation(u64);
    /// One call that a room has somebody made. Unique in its room, never reused.
    DialId(u32);
}

impl fmt::Display for Correlation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}
