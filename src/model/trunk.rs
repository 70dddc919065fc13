//! Trunks: providers and PBXs that carry calls between us and other numbers. What the operator says of them; what becomes of it is `peers::sip`.

use std::{fmt, net::IpAddr, str::FromStr, time::Duration};

use super::{Pii, RoomName, TrunkId};

/// One trunk, as the operator describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trunk {
    /// Its name.
    pub id: TrunkId,
    /// Where it takes our calls, as a SIP URI without a user; none if it only calls us.
    pub server: Option<String>,
    /// Whence it calls. Over UDP an address can be forged; whoever does so doesn't see our answers.
    pub addresses: Vec<Network>,
    /// What its certificate has to name when it calls (RFC 5922 section 7.2).
    pub certificate: Option<String>,
    /// It signs in with its credentials when it calls.
    pub login: bool,
    /// What we answer its challenges with, and with `login` it ours.
    pub credentials: Option<TrunkCredentials>,
    /// We register with it (RFC 3261 section 10), for as long as this.
    pub register: Option<Duration>,
    /// How often it is asked by OPTIONS whether it is there; none: never.
    pub probe: Option<Duration>,
    /// Who our calls are from there: a number or user name; none: the user that signs in, else the service's own name.
    pub caller_id: Option<String>,
    /// The display name beside it.
    pub caller_name: Option<String>,
    /// It is of our trust domain: our calls carry the caller's number in `P-Asserted-Identity` too, also when it is to be hidden
    /// (RFC 3325 section 5).
    pub trusted: bool,
    /// What its own `P-Asserted-Identity` is worth.
    pub identity: AssertedIdentity,
    /// How numbers begin that may be called through it; empty: none may be.
    pub prefixes: Vec<String>,
    /// The rooms that its callers reach, as far as they take calls.
    pub rooms: Vec<RoomPattern>,
    /// Of several trunks that may carry a call the one with the lowest number is tried first, of equals the first in the file.
    pub priority: u16,
}

impl Trunk {
    /// One that neither calls nor is called: the rest is to be added.
    pub fn new(id: TrunkId) -> Self {
        Self {
            id,
            server: None,
            addresses: Vec::new(),
            certificate: None,
            login: false,
            credentials: None,
            register: None,
            probe: None,
            caller_id: None,
            caller_name: None,
            trusted: false,
            identity: AssertedIdentity::Ignored,
            prefixes: Vec::new(),
            rooms: vec![RoomPattern::all()],
            priority: 0,
        }
    }

    /// Whether it calls us at all: whether anything is said by which it is known then.
    pub fn calls_in(&self) -> bool {
        !self.addresses.is_empty() || self.certificate.is_some() || self.login
    }

    /// Whether this number may be called through it.
    pub fn carries(&self, number: &str) -> bool {
        self.server.is_some() && self.prefixes.iter().any(|prefix| number.starts_with(prefix.as_str()))
    }

    /// Whether its callers reach this room.
    pub fn reaches(&self, room: &RoomName) -> bool {
        self.rooms.iter().any(|pattern| pattern.matches(room))
    }
}

/// A user name and a secret in the clear, which is what answering a challenge takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrunkCredentials {
    /// The user name.
    pub user: String,
    /// The secret.
    pub secret: Pii<String>,
}

/// What a trunk's `P-Asserted-Identity` is worth (RFC 3325 section 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AssertedIdentity {
    /// Nothing.
    #[default]
    Ignored,
    /// It is the caller's number.
    Number,
    /// It may also name one of our accounts: the trunk is a proxy of ours, which has asked for their secret.
    Account,
}

/// A name of rooms, or with a `*` at its end the beginning of names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomPattern(String);

impl RoomPattern {
    /// All rooms.
    pub fn all() -> Self {
        Self("*".to_owned())
    }

    /// Takes a pattern; no `*` may stand anywhere but at the end.
    pub fn new(text: &str) -> Option<Self> {
        let stem = text.strip_suffix('*').unwrap_or(text);
        (!text.is_empty() && !stem.contains('*')).then(|| Self(text.to_owned()))
    }

    fn matches(&self, room: &RoomName) -> bool {
        match self.0.strip_suffix('*') {
            Some(stem) => room.as_str().starts_with(stem),
            None => room.as_str() == self.0,
        }
    }
}

/// Addresses that begin alike: `192.0.2.0/24`, or one alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    /// Bits that are compared.
    bits: u8,
}

impl Network {
    /// Whether an address is in it. IPv4 addresses in IPv6 clothes count as what they are.
    pub fn contains(&self, address: IpAddr) -> bool {
        let masked = |value: u128, width: u8| value.checked_shr(u32::from(width - self.bits)).unwrap_or(0);
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(a), IpAddr::V4(b)) => masked(a.to_bits().into(), 32) == masked(b.to_bits().into(), 32),
            (IpAddr::V6(a), IpAddr::V6(b)) => masked(a.to_bits(), 128) == masked(b.to_bits(), 128),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl FromStr for Network {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str = "must be an IP address or a network, like \"192.0.2.0/24\"";
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u8>().map_err(|_| WRONG)?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| WRONG)?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(width);
        if bits > width {
            return Err(WRONG);
        }
        Ok(Self { address, bits })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_hold_what_begins_alike() {
        for (network, inside, outside) in [
            ("192.0.2.0/24", "192.0.2.255", "192.0.3.0"),
            ("192.0.2.7", "::ffff:192.0.2.7", "192.0.2.8"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::1"),
            ("0.0.0.0/0", "203.0.113.9", "::1"),
            ("::/0", "::1", "203.0.113.9"),
        ] {
            let network: Network = network.parse().expect("a network");
            assert!(network.contains(inside.parse().expect("an address")), "{network} {inside}");
            assert!(!network.contains(outside.parse().expect("an address")), "{network} {outside}");
        }
        for wrong in ["", "192.0.2", "192.0.2.0/33", "::/129", "192.0.2.0/", "example.com"] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn rooms_are_named_in_full_or_by_their_beginning() {
        let room = RoomName::new("sales-emea").expect("a name");
        let matches = |text: &str| RoomPattern::new(text).expect("a pattern").matches(&room);
        assert!(matches("sales-emea") && matches("sales-*") && matches("*"));
        assert!(!matches("sales") && !matches("board*"));
        assert!(RoomPattern::new("a*b").is_none() && RoomPattern::new("").is_none());
    }
}
