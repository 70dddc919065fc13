//! URIs: SIP and SIPS in parts, any other scheme as it is written. No name is looked up here.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    str::FromStr,
    sync::Arc,
};

use super::{
    escape::{normalise, user_of_room},
    lex::{Class, split_once},
    params::Params,
};
use crate::model::{Aor, RoomName};

/// A URI. `==` compares spelling; [`Uri::equivalent`] compares as RFC 3261 section 19.1.4 does, which isn't transitive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Uri {
    /// `sip:` or `sips:`. Shared, as copies are many and changes few.
    Sip(Arc<SipUri>),
    /// Any other scheme, verbatim.
    Other(String),
}

/// A SIP or SIPS URI (RFC 3261 section 19.1.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SipUri {
    /// `sips:`.
    pub secure: bool,
    /// The user part, still escaped.
    pub user: Option<String>,
    /// The password, still escaped.
    pub password: Option<String>,
    /// The host.
    pub host: Host,
    /// The port, if written.
    pub port: Option<u16>,
    /// URI parameters.
    pub params: Params,
    /// What follows `?`, verbatim: `name=value&name=value`.
    pub headers: Option<String>,
}

/// A host name or address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// A name, as written.
    Name(String),
    /// An address.
    Ip(IpAddr),
}

/// Why a string is no URI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadUri(pub &'static str);

impl Uri {
    /// A SIP URI of a user at a host.
    pub fn sip(user: Option<&str>, host: Host, port: Option<u16>) -> Self {
        let params = Params::default();
        Self::Sip(Arc::new(SipUri {
            secure: false,
            user: user.map(str::to_owned),
            password: None,
            host,
            port,
            params,
            headers: None,
        }))
    }

    /// The SIP URI of a room (rule R14).
    pub fn of_room(room: &RoomName, host: Host, port: Option<u16>) -> Self {
        Self::sip(Some(&user_of_room(room)), host, port)
    }

    /// Reads a URI without the white space or brackets around it.
    pub fn parse(text: &str) -> Result<Self, BadUri> {
        let (scheme, rest) = split_once(text, b':').ok_or(BadUri("a URI without a scheme"))?;
        const SCHEME: Class = Class::of(b"+-.");
        if !scheme.as_bytes().first().is_some_and(u8::is_ascii_alphabetic) || !scheme.bytes().all(|b| SCHEME.has(b)) {
            return Err(BadUri("a scheme with other characters than letters and digits"));
        }
        const LEGAL: Class = Class::of(b"!#$%&'()*+,-./:;=?@[\\]^_`{|}~");
        if !text.bytes().all(|b| LEGAL.has(b) || b >= 0x80) {
            return Err(BadUri("a character in a URI that has to be escaped"));
        }
        if rest.is_empty() {
            return Err(BadUri("a URI of a scheme only"));
        }
        let secure = scheme.eq_ignore_ascii_case("sips");
        if secure || scheme.eq_ignore_ascii_case("sip") {
            return SipUri::parse(rest, secure).map(|uri| Self::Sip(Arc::new(uri)));
        }
        Ok(Self::Other(text.to_owned()))
    }

    /// The parts, if it is a SIP or SIPS URI.
    pub fn as_sip(&self) -> Option<&SipUri> {
        match self {
            Self::Sip(uri) => Some(uri),
            Self::Other(_) => None,
        }
    }

    /// Likewise, to change.
    pub fn as_sip_mut(&mut self) -> Option<&mut SipUri> {
        match self {
            Self::Sip(uri) => Some(Arc::make_mut(uri)),
            Self::Other(_) => None,
        }
    }

    /// The scheme as written, without the colon.
    pub fn scheme(&self) -> &str {
        match self {
            Self::Sip(uri) if uri.secure => "sips",
            Self::Sip(_) => "sip",
            Self::Other(text) => text.split(':').next().unwrap_or_default(),
        }
    }

    /// Whether both name the same resource by RFC 3261 section 19.1.4. Other schemes are compared by spelling, but for the case of the scheme.
    pub fn equivalent(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Sip(a), Self::Sip(b)) => a.equivalent(b),
            (Self::Other(a), Self::Other(b)) => {
                let parts = |text: &str| text.split_once(':').map(|(s, r)| (s.to_ascii_lowercase(), r.to_owned()));
                parts(a) == parts(b)
            }
            (Self::Sip(_), Self::Other(_)) | (Self::Other(_), Self::Sip(_)) => false,
        }
    }

    /// The address of record: no password, parameters, headers or default port, host in lower case, needless escapes decoded; with the scheme
    /// `sip` for both, which name one resource (RFC 5630 section 4).
    /// `None` without a user, and for other schemes.
    pub fn aor(&self) -> Option<Aor> {
        let uri = self.as_sip()?;
        let user = normalise(uri.user.as_deref()?);
        let host = uri.host.to_string().to_ascii_lowercase();
        Some(Aor::from_normalised(match uri.port {
            None | Some(DEFAULT_PORT) => format!("sip:{user}@{host}"),
            Some(DEFAULT_TLS_PORT) if uri.secure => format!("sip:{user}@{host}"),
            Some(port) => format!("sip:{user}@{host}:{port}"),
        }))
    }
}

/// The port of `sip:` over UDP and TCP (RFC 3261 section 19.1.2).
pub const DEFAULT_PORT: u16 = 5060;
/// The port of `sips:`, and of `sip:` over TLS (RFC 3261 section 19.1.2).
pub const DEFAULT_TLS_PORT: u16 = 5061;
/// The port of WebSocket where none is named (RFC 7118 section 5.5).
pub const DEFAULT_WS_PORT: u16 = 80;
/// The port of secure WebSocket where none is named (RFC 7118 section 5.5).
pub const DEFAULT_WSS_PORT: u16 = 443;

impl SipUri {
    fn parse(rest: &str, secure: bool) -> Result<Self, BadUri> {
        // A raw `@` stands nowhere but behind the user, which may hold `;` and `?`: so it is looked for first.
        let (userinfo, rest) = match split_once(rest, b'@') {
            Some((userinfo, rest)) => (Some(userinfo), rest),
            None => (None, rest),
        };
        let (user, password) = match userinfo.map(|u| split_once(u, b':').map_or((u, None), |(u, p)| (u, Some(p)))) {
            Some(("", _)) => return Err(BadUri("an empty user")),
            Some((user, password)) => (Some(user.to_owned()), password.map(str::to_owned)),
            None => (None, None),
        };
        let (rest, headers) = match split_once(rest, b'?') {
            Some((rest, headers)) => (rest, Some(headers.to_owned())),
            None => (rest, None),
        };
        let (host, params) = match rest.bytes().position(|b| b == b';') {
            Some(at) => (&rest[..at], Params::read_uri(&rest[at..]).map_err(BadUri)?),
            None => (rest, Params::default()),
        };
        let (host, port) = parse_host_port(host)?;
        Ok(Self {
            secure,
            user,
            password,
            host,
            port,
            params,
            headers,
        })
    }

    fn equivalent(&self, other: &Self) -> bool {
        /// Parameters that differ from their absence. `transport` isn't in the rule's list but among its examples.
        const TELLING: &[&str] = &["user", "ttl", "method", "maddr", "transport"];
        let part = |p: &Option<String>| p.as_deref().map(|p| normalise(p).into_owned());
        let params_agree = |a: &Params, b: &Params| {
            a.iter().all(|(name, value)| match b.get(name) {
                Some(theirs) => normalise(theirs).eq_ignore_ascii_case(&normalise(value.unwrap_or_default())),
                None => !TELLING.iter().any(|t| t.eq_ignore_ascii_case(name)),
            })
        };
        self.secure == other.secure
            && part(&self.user) == part(&other.user)
            && part(&self.password) == part(&other.password)
            && self.host.equivalent(&other.host)
            && self.port == other.port
            && params_agree(&self.params, &other.params)
            && params_agree(&other.params, &self.params)
            && self.sorted_headers() == other.sorted_headers()
    }

    fn sorted_headers(&self) -> Vec<String> {
        let fold = |part: &str| match part.split_once('=') {
            Some((name, value)) => format!("{}={}", name.to_ascii_lowercase(), normalise(value)),
            None => part.to_ascii_lowercase(),
        };
        let mut parts: Vec<String> = self.headers.iter().flat_map(|h| h.split('&')).map(fold).collect();
        parts.sort();
        parts
    }

    /// Whether the URI is a loose router's (`;lr`, RFC 3261 section 19.1.1).
    pub fn is_loose_router(&self) -> bool {
        self.params.has("lr")
    }
}

impl Host {
    /// Reads a name, an IPv4 address, or an IPv6 address in brackets.
    pub fn parse(text: &str) -> Result<Self, BadUri> {
        if let Some(inner) = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')) {
            return parse_v6(inner)
                .map(|ip| Self::Ip(IpAddr::V6(ip)))
                .ok_or(BadUri("not an IPv6 address"));
        }
        if text.starts_with(|c: char| c.is_ascii_digit())
            && let Ok(ip) = text.parse()
        {
            return Ok(Self::Ip(IpAddr::V4(ip)));
        }
        // Underscores are against the grammar and common.
        const HOST: Class = Class::of(b"-._");
        if text.is_empty() || !text.bytes().all(|b| HOST.has(b)) {
            return Err(BadUri("not a host"));
        }
        Ok(Self::Name(text.to_owned()))
    }

    /// Whether both are the same: names without case.
    pub fn equivalent(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Name(a), Self::Name(b)) => a.eq_ignore_ascii_case(b),
            (Self::Ip(a), Self::Ip(b)) => a == b,
            (Self::Name(_), Self::Ip(_)) | (Self::Ip(_), Self::Name(_)) => false,
        }
    }

    /// The address with a port, if it is an address.
    pub fn socket(&self, port: u16) -> Option<SocketAddr> {
        match self {
            Self::Name(_) => None,
            Self::Ip(ip) => Some(SocketAddr::new(*ip, port)),
        }
    }
}

/// Reads an IPv6 address without brackets. RFC 5118 section 4.10: a grammar error made `:::` appear, which is to be accepted.
pub(crate) fn parse_v6(text: &str) -> Option<Ipv6Addr> {
    text.parse().ok().or_else(|| text.replacen(":::", "::", 1).parse().ok())
}

/// Reads `host[:port]`.
pub(crate) fn parse_host_port(text: &str) -> Result<(Host, Option<u16>), BadUri> {
    let end = if text.starts_with('[') {
        text.find(']').map(|at| at + 1)
    } else {
        text.bytes().position(|b| b == b':')
    };
    let (host, rest) = text.split_at(end.unwrap_or(text.len()));
    let port = match rest.strip_prefix(':') {
        None if rest.is_empty() => None,
        // `parse` alone would take a sign.
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => Some(digits.parse().map_err(|_| BadUri("not a port"))?),
        None | Some(_) => return Err(BadUri("not a port")),
    };
    Ok((Host::parse(host)?, port))
}

impl FromStr for Uri {
    type Err = BadUri;

    fn from_str(text: &str) -> Result<Self, BadUri> {
        Self::parse(text)
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sip(uri) => uri.fmt(f),
            Self::Other(text) => f.write_str(text),
        }
    }
}

impl fmt::Display for SipUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.secure { "sips:" } else { "sip:" })?;
        if let Some(user) = &self.user {
            f.write_str(user)?;
            if let Some(password) = &self.password {
                write!(f, ":{password}")?;
            }
            f.write_str("@")?;
        }
        self.host.fmt(f)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        self.params.fmt(f)?;
        if let Some(headers) = &self.headers {
            write!(f, "?{headers}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Ip(IpAddr::V4(ip)) => ip.fmt(f),
            Self::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
        }
    }
}

impl From<IpAddr> for Host {
    fn from(ip: IpAddr) -> Self {
        Self::Ip(ip)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> Uri {
        Uri::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    #[test]
    fn uris_print_as_they_were_read() {
        for text in [
            "sip:alice@example.com",
            "sips:alice:secret@example.com:5061;transport=tcp;lr?Subject=x&Priority=urgent",
            "sip:[2001:db8::1]:5060;lr",
            "sip:user@[::1]",
            "sip:192.0.2.1",
            "sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@example.com",
            "sip:user;par=u%40example.net@example.com",
            "tel:+15551234",
            "soap.beep://192.0.2.103:3002",
        ] {
            assert_eq!(uri(text).to_string(), text);
        }
        assert_eq!(
            uri("sip:a@[2001:db8:::192.0.2.1]").as_sip().unwrap().host,
            Host::Ip("2001:db8::192.0.2.1".parse().unwrap())
        );
    }

    #[test]
    fn what_is_no_uri_is_refused() {
        for text in [
            "",
            "sip:",
            "alice",
            ":x",
            "sip:a b@c",
            "<sip:a@b>",
            "sip:a@",
            "sip:@b",
            "sip:a@b:port",
            "sip:a@b:+1",
            "sip:a@b:65536",
            "sip:a@[::1",
            "sip:a@[::1]x",
            "sip:a@b@c",
            "sip:a@b;;lr",
            "sip:a@b;=x",
        ] {
            assert!(Uri::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn equivalence_follows_the_examples_of_rfc3261_19_1_4() {
        for (a, b) in [
            ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtlanTa.CoM;Transport=tcp"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com;security=on"),
            (
                "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
                "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
            ),
            (
                "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
                "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
            ),
        ] {
            assert!(uri(a).equivalent(&uri(b)), "{a} {b}");
            assert!(uri(b).equivalent(&uri(a)), "{b} {a}");
        }
        for (a, b) in [
            ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
            ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
            ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"),
            ("sip:a@b", "sips:a@b"),
            ("sip:a%3Bb@c", "sip:a;b@c"),
        ] {
            assert!(!uri(a).equivalent(&uri(b)), "{a} {b}");
            assert!(!uri(b).equivalent(&uri(a)), "{b} {a}");
        }
    }

    #[test]
    fn an_aor_has_one_spelling() {
        for text in [
            "sip:%41nn@Example.COM",
            "sips:Ann:pw@example.com:5060;transport=tcp?a=b",
            "sips:Ann@example.com:5061",
        ] {
            assert_eq!(uri(text).aor().unwrap().as_str(), "sip:Ann@example.com");
        }
        assert_eq!(uri("sip:ann@example.com:5070").aor().unwrap().as_str(), "sip:ann@example.com:5070");
        assert_eq!(uri("sip:a%2fb@[2001:DB8::1]").aor().unwrap().as_str(), "sip:a%2Fb@[2001:db8::1]");
        assert_eq!(uri("sip:example.com").aor(), None);
        assert_eq!(uri("tel:+1").aor(), None);
    }
}
