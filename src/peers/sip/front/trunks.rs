//! Which trunk a request comes from, and whom it vouches for (RFC 3325).

use std::net::IpAddr;

use crate::model::account::DigestKeys;
use crate::model::trunk::{AssertedIdentity, Trunk};
use crate::model::{RoomName, TrunkId};
use crate::sip::auth::digest_keys;
use crate::sip::msg::{NameAddr, Request, Uri};

/// All trunks, in the order in which they are tried.
#[derive(Debug)]
pub(super) struct Trunks {
    list: Vec<Known>,
}

#[derive(Debug)]
struct Known {
    trunk: Trunk,
    /// What it signs in with here.
    login: Option<(String, DigestKeys)>,
}

/// Whom a trunk asserts a caller to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asserted {
    /// The number, `+` and digits or as dialled, without visual separators; the user name where it is none.
    pub(super) number: String,
    /// The URI as given.
    pub(super) uri: Uri,
    /// The display name as given.
    pub(super) name: Option<String>,
}

impl Trunks {
    pub(super) fn new(list: Vec<Trunk>, realm: &str) -> Self {
        let known = |trunk: Trunk| Known {
            login: trunk.credentials.as_ref().filter(|_| trunk.login).map(|c| {
                let keys = digest_keys(&c.user, realm, &c.secret.0);
                (c.user.clone(), keys)
            }),
            trunk,
        };
        Self {
            list: list.into_iter().map(known).collect(),
        }
    }

    /// What a trunk of this user name signs in with.
    pub(super) fn keys_of(&self, user: &str) -> Option<DigestKeys> {
        let logins = self.list.iter().filter_map(|known| known.login.as_ref());
        logins.into_iter().find(|(name, _)| name == user).map(|(_, keys)| keys.clone())
    }

    /// The trunk that a request comes from: all that is said of how it is known holds. `names`: whom its certificate names; `user`: who has signed
    /// in by it.
    pub(super) fn incoming(&self, source: IpAddr, names: &[String], user: Option<&str>) -> Option<&Trunk> {
        let holds = |known: &&Known| {
            let Known { trunk, login } = known;
            let named = |certificate: &String| names.iter().any(|name| name.eq_ignore_ascii_case(certificate));
            trunk.calls_in()
                && is_within(trunk, source)
                && trunk.certificate.as_ref().is_none_or(named)
                && login.as_ref().is_none_or(|(name, _)| user == Some(name))
                // Whoever signs in as one trunk doesn't call as another.
                && user.is_none_or(|user| login.as_ref().is_some_and(|(name, _)| name == user))
        };
        self.list.iter().find(holds).map(|known| &known.trunk)
    }

    /// The trunks that may carry a call to this number, in the order in which they are tried.
    pub(super) fn carriers(&self, number: &str) -> impl Iterator<Item = &Trunk> {
        self.list
            .iter()
            .map(|known| &known.trunk)
            .filter(move |trunk| trunk.carries(number))
    }

    /// Whether callers by this trunk reach this room.
    pub(super) fn reaches(&self, trunk: &TrunkId, room: &RoomName) -> bool {
        self.list.iter().any(|known| known.trunk.id == *trunk && known.trunk.reaches(room))
    }

    /// Whether a request that carries no credentials may come from a trunk that has to sign in: from its addresses, or by its name in `From`.
    pub(super) fn has_to_sign_in(&self, source: IpAddr, request: &Request) -> bool {
        let from = request.headers.from().ok();
        let user = from.as_ref().and_then(|from| from.uri.as_sip()?.user.as_deref());
        self.list.iter().any(|Known { trunk, login }| {
            login.as_ref().is_some_and(|(name, _)| {
                (!trunk.addresses.is_empty() && is_within(trunk, source)) || (is_within(trunk, source) && user == Some(name))
            })
        })
    }
}

fn is_within(trunk: &Trunk, source: IpAddr) -> bool {
    trunk.addresses.is_empty() || trunk.addresses.iter().any(|network| network.contains(source))
}

/// Whom a trunk asserts the caller to be, if it is believed: the telephone number before the SIP address, where both are given (RFC 3325
/// section 9.1).
pub(super) fn asserted(trunk: &Trunk, request: &Request) -> Option<Asserted> {
    match trunk.identity {
        AssertedIdentity::Ignored => None,
        AssertedIdentity::Number | AssertedIdentity::Account => {
            let list = request.headers.asserted_identities().ok()?;
            let mut readable = list.into_iter().filter_map(read);
            let first = readable.next()?;
            Some(match readable.next() {
                Some(second) if is_tel(&second.uri) && !is_tel(&first.uri) && trunk.identity == AssertedIdentity::Number => second,
                Some(_) | None => first,
            })
        }
    }
}

fn is_tel(uri: &Uri) -> bool {
    uri.scheme().eq_ignore_ascii_case("tel")
}

fn read(identity: NameAddr) -> Option<Asserted> {
    let user = match &identity.uri {
        Uri::Sip(sip) => sip.user.clone()?,
        Uri::Other(text) if is_tel(&identity.uri) => text.split_once(':')?.1.to_owned(),
        Uri::Other(_) => return None,
    };
    // A `tel` URI, and a user part that is one, go on with parameters (RFC 3966 section 3, RFC 3261 section 19.1.6).
    let user = user.split(';').next().unwrap_or_default();
    let digits: String = user.chars().filter(|c| !matches!(c, '-' | '.' | '(' | ')')).collect();
    let is_number = !digits.is_empty() && digits.strip_prefix('+').unwrap_or(&digits).bytes().all(|b| b.is_ascii_digit());
    let number = if is_number { digits } else { user.to_owned() };
    (!number.is_empty()).then_some(Asserted {
        number,
        uri: identity.uri,
        name: identity.display,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Pii, trunk::TrunkCredentials};
    use crate::sip::msg::Method;

    fn trunk(name: &str) -> Trunk {
        Trunk {
            identity: AssertedIdentity::Number,
            ..Trunk::new(TrunkId::new(name))
        }
    }

    fn signing_in(name: &str, addresses: &[&str]) -> Trunk {
        Trunk {
            addresses: addresses.iter().map(|a| a.parse().expect("a network")).collect(),
            login: true,
            credentials: Some(TrunkCredentials {
                user: name.to_owned(),
                secret: Pii(format!("{name}'s")),
            }),
            ..trunk(name)
        }
    }

    #[test]
    fn all_that_is_said_of_a_trunk_has_to_hold() {
        let by_address = Trunk {
            addresses: vec!["192.0.2.0/24".parse().expect("a network")],
            ..trunk("address")
        };
        let by_certificate = Trunk {
            certificate: Some("sip.telco.example".to_owned()),
            ..trunk("certificate")
        };
        let outgoing = Trunk {
            server: Some("sip:pbx.example".to_owned()),
            ..trunk("outgoing")
        };
        let list = vec![
            outgoing,
            signing_in("pbx", &["198.51.100.0/24"]),
            signing_in("roaming", &[]),
            by_address,
            by_certificate,
        ];
        let trunks = Trunks::new(list, "conf.example.com");
        let from = |source: &str, names: &[&str], user: Option<&str>| {
            let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
            let found = trunks.incoming(source.parse().expect("an address"), &names, user);
            found.map(|t| t.id.as_str().to_owned())
        };
        assert_eq!(from("192.0.2.9", &[], None).as_deref(), Some("address"));
        assert_eq!(from("203.0.113.1", &["SIP.telco.example"], None).as_deref(), Some("certificate"));
        assert_eq!(from("203.0.113.1", &["telco.example"], None), None);
        assert_eq!(from("198.51.100.9", &[], Some("pbx")).as_deref(), Some("pbx"));
        assert_eq!(from("198.51.100.9", &[], None), None);
        assert_eq!(from("203.0.113.1", &[], Some("roaming")).as_deref(), Some("roaming"));
        // Credentials of one trunk, from the addresses of another.
        assert_eq!(from("203.0.113.1", &[], Some("pbx")), None);
        assert_eq!(from("192.0.2.9", &[], Some("pbx")), None);
        assert!(trunks.keys_of("pbx").is_some() && trunks.keys_of("address").is_none());
    }

    #[test]
    fn rfc3325_9_1_the_number_is_read_from_either_kind_of_uri() {
        let number = |values: &[&str]| {
            let mut request = Request::new(Method::Invite, "sip:blue@conf.example.com".parse().expect("a URI"));
            for value in values {
                request.headers.push("P-Asserted-Identity", *value);
            }
            asserted(&trunk("telco"), &request).map(|a| a.number)
        };
        let telco = "\"Bob\" <sip:+493055501@telco.example;user=phone>";
        assert_eq!(number(&[telco]).as_deref(), Some("+493055501"));
        assert_eq!(number(&["<tel:+49-30-5550(1)>"]).as_deref(), Some("+493055501"));
        assert_eq!(number(&["tel:5550;phone-context=+4930"]).as_deref(), Some("5550"));
        assert_eq!(number(&["<sip:bob@telco.example>, <tel:+491>"]).as_deref(), Some("+491"));
        assert_eq!(number(&["<sip:bob@telco.example>"]).as_deref(), Some("bob"));
        for unreadable in ["<sip:telco.example>", "<mailto:bob@telco.example>", "<sip:", "<tel:;x=1>"] {
            assert_eq!(number(&[unreadable]), None, "{unreadable}");
        }
        assert_eq!(number(&[]), None);
    }
}
