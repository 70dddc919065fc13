//! Header values in parts, each with a reader of its own. Which header holds which, and how often, is in `access`.

use std::{borrow::Cow, fmt, net::IpAddr};

use super::{
    lex::{Cursor, delta_seconds, is_space, is_token, lossy, number, quote, trim, unquote},
    method::Method,
    params::Params,
    uri::{Host, Uri, parse_host_port, parse_v6},
};

/// What is wrong with a value.
type Flaw = &'static str;

/// One hop (RFC 3261 section 20.42).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Via {
    /// `SIP/2.0`.
    pub protocol: Cow<'static, str>,
    /// `UDP`, `TCP`, … in capitals.
    pub transport: Cow<'static, str>,
    /// Host of the sent-by.
    pub host: Host,
    /// Port of the sent-by, if written.
    pub port: Option<u16>,
    /// `branch`, `received`, `rport`, `maddr`, `ttl`, …
    pub params: Params,
}

/// A URI with a display name and header parameters: `From`, `To`, `Contact`, `Route`, … (RFC 3261 section 20.10).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameAddr {
    /// The display name, without quotes and escapes.
    pub display: Option<String>,
    /// The URI.
    pub uri: Uri,
    /// What follows the URI's closing bracket: `tag`, `expires`, `q`, `isfocus`, …
    pub params: Params,
}

/// `Contact` (RFC 3261 section 20.10).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Contacts {
    /// `*`.
    Star,
    /// Addresses, perhaps none.
    List(Vec<NameAddr>),
}

/// `CSeq` (RFC 3261 section 20.16).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CSeq {
    /// At most 2^31 - 1.
    pub number: u32,
    /// The method.
    pub method: Method,
}

/// `RAck` (RFC 3262 section 7.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RAck {
    /// The `RSeq` of the response that is acknowledged.
    pub rseq: u32,
    /// The `CSeq` of that response.
    pub cseq: CSeq,
}

/// A token with parameters: `Event`, `Subscription-State`, `Reason`, `Content-Disposition`, …
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tagged {
    /// The token: event package, subscription state, protocol.
    pub token: String,
    /// `id`, `expires`, `reason`, `retry-after`, …
    pub params: Params,
}

/// A media type or range with parameters (RFC 3261 sections 20.1, 20.15).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaType {
    /// Before the slash, in lower case; `*` in a range.
    pub kind: String,
    /// After the slash, in lower case; `*` in a range.
    pub subtype: String,
    /// `boundary`, `q`, …
    pub params: Params,
}

/// `Session-Expires` (RFC 4028 section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionExpires {
    /// The interval, in seconds.
    pub seconds: u32,
    /// Who refreshes, once that is settled.
    pub refresher: Option<Refresher>,
}

/// Who refreshes a session (RFC 4028 section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refresher {
    /// The caller of this transaction.
    Uac,
    /// The callee of this transaction.
    Uas,
}

impl Via {
    /// A hop of our own, with `rport` to be filled in (RFC 3581).
    pub fn new(transport: &'static str, host: Host, port: Option<u16>, branch: &str) -> Self {
        let mut params = Params::default();
        params.set("branch", Some(branch));
        params.set("rport", None);
        Self {
            protocol: SIP_2_0.into(),
            transport: transport.into(),
            host,
            port,
            params,
        }
    }

    /// The transaction's name (RFC 3261 section 8.1.1.7).
    pub fn branch(&self) -> Option<&str> {
        self.params.get("branch").filter(|b| !b.is_empty())
    }

    /// Where the request really came from. RFC 5118 section 4.5: IPv6 with or without brackets.
    pub fn received(&self) -> Option<IpAddr> {
        let text = self.params.get("received")?;
        let inner = text.trim_start_matches('[').trim_end_matches(']');
        inner.parse().ok().or_else(|| parse_v6(inner).map(IpAddr::V6))
    }

    /// The port that the request really came from, if it is filled in.
    pub fn rport(&self) -> Option<u16> {
        self.params.get("rport")?.parse().ok()
    }

    pub(crate) fn read(c: &mut Cursor<'_>) -> Result<Self, Flaw> {
        let mut via = Self::read_hop(c)?;
        via.params = Params::read(c)?;
        Ok(via)
    }

    /// The topmost hop of a value that is broken behind it: with the parameters up to the first that can't be read.
    pub(crate) fn read_start(value: &[u8]) -> Option<Self> {
        let mut cursor = Cursor::new(value);
        let mut via = Self::read_hop(&mut cursor).ok()?;
        via.params = Params::read_start(&mut cursor);
        Some(via)
    }

    fn read_hop(c: &mut Cursor<'_>) -> Result<Self, Flaw> {
        c.skip_space();
        let name = c.token_bytes().ok_or("no protocol")?;
        if !c.eat(b'/') {
            return Err("no protocol version");
        }
        let version = c.token_bytes().ok_or("no protocol version")?;
        if !c.eat(b'/') {
            return Err("no transport");
        }
        let transport = c.token_bytes().ok_or("no transport")?;
        c.skip_space();
        let (host, port) = read_sent_by(c)?;
        let protocol = match (name.eq_ignore_ascii_case(b"SIP"), version) {
            (true, b"2.0") => SIP_2_0.into(),
            _ => format!("{}/{}", lossy(name), lossy(version)).into(),
        };
        let known = ["UDP", "TCP", "TLS", "WS", "WSS", "SCTP"]
            .into_iter()
            .find(|t| t.as_bytes().eq_ignore_ascii_case(transport));
        let transport = known.map_or_else(|| Cow::Owned(lossy(transport).to_ascii_uppercase()), Cow::Borrowed);
        Ok(Self {
            protocol,
            transport,
            host,
            port,
            params: Params::default(),
        })
    }
}

/// `host [COLON port]`, which may have white space about the colon.
fn read_sent_by(c: &mut Cursor<'_>) -> Result<(Host, Option<u16>), Flaw> {
    let start = read_word(c)?;
    c.skip_space();
    let spaced = start.ends_with(':') || c.peek() == Some(b':');
    if !spaced {
        return parse_host_port(start).map_err(|bad| bad.0);
    }
    let mut sent_by = start.to_owned();
    // The colon may stand alone between white space.
    for _ in 0..2 {
        sent_by.push_str(read_word(c)?);
        c.skip_space();
    }
    parse_host_port(&sent_by).map_err(|bad| bad.0)
}

fn read_word<'a>(c: &mut Cursor<'a>) -> Result<&'a str, Flaw> {
    let word = c.take_while(|b| !is_space(b) && b != b';' && b != b',');
    std::str::from_utf8(word).map_err(|_| "a host that isn't UTF-8")
}

const SIP_2_0: &str = "SIP/2.0";

impl NameAddr {
    /// A URI alone.
    pub fn new(uri: Uri) -> Self {
        Self {
            display: None,
            uri,
            params: Params::default(),
        }
    }

    /// The `tag` parameter.
    pub fn tag(&self) -> Option<&str> {
        self.params.get("tag").filter(|t| !t.is_empty())
    }

    /// The same with this `tag`.
    #[must_use]
    pub fn with_tag(mut self, tag: &str) -> Self {
        self.params.set("tag", Some(tag));
        self
    }

    /// The `expires` parameter, in seconds, at most 2^32 - 1.
    pub fn expires(&self) -> Option<u32> {
        delta_seconds(self.params.get("expires")?.as_bytes())
    }

    pub(crate) fn read(c: &mut Cursor<'_>) -> Result<Self, Flaw> {
        c.skip_space();
        let (display, bracket) = read_display(c)?;
        let uri = if bracket {
            // White space inside the brackets is against the grammar; RFC 4475 section 3.1.2.14 lets us ignore it.
            trim(c.until(b'>').ok_or("a bracket that doesn't close")?)
        } else {
            // Without brackets all parameters are the header's, and `?` has no place (RFC 3261 section 20).
            let uri = c.take_while(|b| !is_space(b) && b != b';' && b != b',' && b != b'?');
            if c.peek() == Some(b'?') {
                return Err("a question mark in a URI without brackets");
            }
            uri
        };
        let uri = std::str::from_utf8(uri).map_err(|_| "a URI that isn't UTF-8")?;
        let uri = Uri::parse(uri).map_err(|bad| bad.0)?;
        Ok(Self {
            display,
            uri,
            params: Params::read(c)?,
        })
    }
}

/// A display name up to and with `<`. Without a bracket nothing is taken, and `false` comes with it.
fn read_display(c: &mut Cursor<'_>) -> Result<(Option<String>, bool), Flaw> {
    let start = c.clone();
    let display = if c.peek() == Some(b'"') {
        let quoted = c.quoted().ok_or("a quoted string that doesn't end")?;
        unquote(&String::from_utf8_lossy(quoted))
    } else {
        lossy(trim(c.take_while(|b| is_token(b) || is_space(b) || b >= 0x80)))
    };
    if c.eat(b'<') {
        return Ok((Some(display).filter(|d| !d.is_empty()), true));
    }
    if start.peek() == Some(b'"') {
        return Err("a display name without a URI in brackets");
    }
    *c = start;
    Ok((None, false))
}

impl CSeq {
    /// A number and a method.
    pub fn new(number: u32, method: Method) -> Self {
        Self { number, method }
    }

    pub(crate) fn read(c: &mut Cursor<'_>) -> Result<Self, Flaw> {
        let number = read_u31(c)?;
        c.skip_space();
        let method = c.token().and_then(Method::parse).ok_or("no method")?;
        Ok(Self { number, method })
    }
}

/// RFC 3261 section 8.1.1.5: less than 2^31.
fn read_u31(c: &mut Cursor<'_>) -> Result<u32, Flaw> {
    c.skip_space();
    let value = number(c.take_while(|b| b.is_ascii_digit()));
    value
        .and_then(|n| u32::try_from(n).ok())
        .filter(|n| *n < 1 << 31)
        .ok_or("not a number below 2^31")
}

impl RAck {
    pub(crate) fn read(c: &mut Cursor<'_>) -> Result<Self, Flaw> {
        Ok(Self {
            rseq: read_u31(c)?,
            cseq: CSeq::read(c)?,
        })
    }
}

impl Tagged {
    /// A token without parameters.
    pub fn new(token: &str) -> Self {
        Self {
            token: token.to_owned(),
            params: Params::default(),
        }
    }

    pub(crate) fn read(c: &mut Cursor<'_>) -> Result<Self, Flaw> {
        c.skip_space();
        let token = c.token().ok_or("no token")?.to_owned();
        Ok(Self {
            token,
            params: Params::read(c)?,
        })
    }
}

impl MediaType {
    /// Whether it is this type, whatever its parameters.
    pub fn is(&self, kind: &str, subtype: &str) -> bool {
        self.kind.eq_ignore_ascii_case(kind) && self.subtype.eq_ignore_ascii_case(subtype)
    }

    /// Whether this range takes in the type given (RFC 3261 section 20.1); `q=0` takes in nothing.
    pub fn covers(&self, kind: &str, subtype: &str) -> bool {
        let refused = self.params.get("q").is_some_and(|q| q.parse().is_ok_and(|q: f32| q == 0.0));
        let fits = |mine: &str, theirs: &str| mine == "*" || mine.eq_ignore_ascii_case(theirs);
        !refused && fits(&self.kind, kind) && fits(&self.subtype, subtype)
    }

    pub(crate) fn read(c: &mut Cursor<'_>) -> Result<Self, Flaw> {
        c.skip_space();
        let kind = c.token().ok_or("no media type")?.to_ascii_lowercase();
        if !c.eat(b'/') {
            return Err("no media subtype");
        }
        let subtype = c.token().ok_or("no media subtype")?.to_ascii_lowercase();
        Ok(Self {
            kind,
            subtype,
            params: Params::read(c)?,
        })
    }
}

impl SessionExpires {
    pub(crate) fn read(c: &mut Cursor<'_>) -> Result<Self, Flaw> {
        let seconds = read_delta(c)?;
        let params = Params::read(c)?;
        let refresher = match params.get("refresher").map(str::to_ascii_lowercase).as_deref() {
            Some("uac") => Some(Refresher::Uac),
            Some("uas") => Some(Refresher::Uas),
            Some(_) => return Err("an unknown refresher"),
            None => None,
        };
        Ok(Self { seconds, refresher })
    }
}

/// Seconds; more than 2^32 - 1 count as that many.
pub(crate) fn read_delta(c: &mut Cursor<'_>) -> Result<u32, Flaw> {
    c.skip_space();
    delta_seconds(c.take_while(|b| b.is_ascii_digit())).ok_or("not a number of seconds")
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} {}", self.protocol, self.transport, self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        self.params.fmt(f)
    }
}

impl fmt::Display for NameAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(display) = &self.display {
            write!(f, "{} ", quote(display))?;
        }
        write!(f, "<{}>{}", self.uri, self.params)
    }
}

impl fmt::Display for CSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number, self.method)
    }
}

impl fmt::Display for RAck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.rseq, self.cseq)
    }
}

impl fmt::Display for Tagged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.token, self.params)
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}{}", self.kind, self.subtype, self.params)
    }
}

impl fmt::Display for SessionExpires {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.seconds)?;
        match self.refresher {
            Some(Refresher::Uac) => f.write_str(";refresher=uac"),
            Some(Refresher::Uas) => f.write_str(";refresher=uas"),
            None => Ok(()),
        }
    }
}

macro_rules! into_value {
    ($($kind:ty),*) => {$(
        impl From<$kind> for Vec<u8> {
            fn from(value: $kind) -> Self {
                value.to_string().into_bytes()
            }
        }
    )*};
}
into_value!(Via, NameAddr, CSeq, RAck, Tagged, MediaType, SessionExpires);
