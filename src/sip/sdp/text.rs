//! Session descriptions as text (RFC 8866): read leniently, written in order. What the lines mean to a call is left to `negotiation`.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};

/// Media lines of one description, at most: more than any phone offers, few enough to answer each.
pub const MAX_MEDIA: usize = 32;

/// Attributes of one description, at most. Browsers with many candidates come near 300.
pub const MAX_ATTRIBUTES: usize = 1024;

/// A session description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sdp {
    /// `o=`.
    pub origin: Origin,
    /// `c=` of the session.
    pub connection: Option<Connection>,
    /// `a=` of the session.
    pub attributes: Vec<Attribute>,
    /// `m=` sections.
    pub media: Vec<MediaLine>,
}

/// `o=` (RFC 8866 section 5.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// User name.
    pub user: String,
    /// Session id.
    pub session: u64,
    /// Session version.
    pub version: u64,
    /// The address.
    pub address: Connection,
}

/// An address: of `c=`, `o=` or `a=rtcp`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Connection {
    /// `IN IP4` or `IN IP6` with an address; of multicast addresses the TTL is dropped.
    Ip(IpAddr),
    /// A name, as written.
    Name(String),
}

/// `a=` (RFC 8866 section 5.13).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// Before the colon.
    pub name: String,
    /// Behind it.
    pub value: Option<String>,
}

/// `m=` with the lines below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaLine {
    /// `audio`, `video`, …
    pub kind: String,
    /// Zero refuses or ends the stream (RFC 3264 section 6).
    pub port: u16,
    /// `RTP/AVP`, …
    pub protocol: String,
    /// Payload types, or whatever the protocol lists.
    pub formats: Vec<String>,
    /// `c=` of this stream.
    pub connection: Option<Connection>,
    /// `a=` of this stream.
    pub attributes: Vec<Attribute>,
}

/// Why a body is no session description.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("session description: {0}")]
pub struct BadSdp(pub &'static str);

impl Sdp {
    /// Reads a body. Order, unknown lines, missing `s=` and `t=`, and lone line feeds are forgiven.
    pub fn parse(body: &[u8]) -> Result<Self, BadSdp> {
        let text = String::from_utf8_lossy(body);
        let mut lines = text.lines().map(str::trim_end).filter(|l| !l.is_empty());
        if lines.next() != Some("v=0") {
            return Err(BadSdp("doesn't start with v=0"));
        }
        let mut origin = None;
        let mut sdp = Self {
            origin: Origin::nobody(),
            connection: None,
            attributes: Vec::new(),
            media: Vec::new(),
        };
        let mut attributes = 0;
        for line in lines {
            let Some((key, value)) = line.split_once('=') else {
                return Err(BadSdp("a line without an equals sign"));
            };
            match key {
                "o" => origin = Some(Origin::parse(value)?),
                "c" => {
                    let connection = Some(Connection::parse(value)?);
                    match sdp.media.last_mut() {
                        Some(media) => media.connection = connection,
                        None => sdp.connection = connection,
                    }
                }
                "a" => {
                    attributes += 1;
                    if attributes > MAX_ATTRIBUTES {
                        return Err(BadSdp("too many attributes"));
                    }
                    let list = sdp.media.last_mut().map_or(&mut sdp.attributes, |m| &mut m.attributes);
                    list.push(Attribute::parse(value));
                }
                "m" if sdp.media.len() == MAX_MEDIA => return Err(BadSdp("too many media lines")),
                "m" => sdp.media.push(MediaLine::parse(value)?),
                _ => {}
            }
        }
        sdp.origin = origin.ok_or(BadSdp("no o= line"))?;
        Ok(sdp)
    }
}

impl Origin {
    fn nobody() -> Self {
        Self {
            user: "-".to_owned(),
            session: 0,
            version: 0,
            address: Connection::Name(String::new()),
        }
    }

    fn parse(value: &str) -> Result<Self, BadSdp> {
        let mut words = value.split_ascii_whitespace();
        let (Some(user), Some(session), Some(version)) = (words.next(), words.next(), words.next()) else {
            return Err(BadSdp("o= with less than three words"));
        };
        let address = Connection::parse(&words.collect::<Vec<_>>().join(" ")).unwrap_or_else(|_| Connection::Name(String::new()));
        // The ids are the peer's own business, and some are no numbers.
        let number = |word: &str| word.parse().unwrap_or(0);
        Ok(Self {
            user: user.to_owned(),
            session: number(session),
            version: number(version),
            address,
        })
    }
}

impl Connection {
    fn parse(value: &str) -> Result<Self, BadSdp> {
        let mut words = value.split_ascii_whitespace();
        let (Some(net), Some(family), Some(address)) = (words.next(), words.next(), words.next()) else {
            return Err(BadSdp("an address with less than three words"));
        };
        if !net.eq_ignore_ascii_case("IN") || !(family.eq_ignore_ascii_case("IP4") || family.eq_ignore_ascii_case("IP6")) {
            return Err(BadSdp("an address of another network than IN"));
        }
        let address = address.split('/').next().unwrap_or_default();
        Ok(address.parse().map_or_else(|_| Self::Name(address.to_owned()), Self::Ip))
    }
}

impl Attribute {
    /// `name:value`.
    pub fn new(name: &str, value: impl fmt::Display) -> Self {
        Self {
            name: name.to_owned(),
            value: Some(value.to_string()),
        }
    }

    /// `name`.
    pub fn flag(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            value: None,
        }
    }

    fn parse(value: &str) -> Self {
        match value.split_once(':') {
            Some((name, value)) => Self::new(name, value.trim()),
            None => Self::flag(value),
        }
    }
}

impl MediaLine {
    fn parse(value: &str) -> Result<Self, BadSdp> {
        let mut words = value.split_ascii_whitespace().map(str::to_owned);
        let (Some(kind), Some(port), Some(protocol)) = (words.next(), words.next(), words.next()) else {
            return Err(BadSdp("m= with less than three words"));
        };
        // `49170/2` asks for two ports, which only layered encodings do: the first counts.
        let port = port
            .split('/')
            .next()
            .and_then(|p| p.parse().ok())
            .ok_or(BadSdp("m= without a port"))?;
        Ok(Self {
            kind,
            port,
            protocol,
            formats: words.collect(),
            connection: None,
            attributes: Vec::new(),
        })
    }

    /// The first attribute of this name; empty if it has no value.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        find(&self.attributes, name)
    }

    /// The same line refused, as an answer must repeat it (RFC 3264 section 6).
    pub fn refused(&self) -> Self {
        let formats = if self.formats.is_empty() {
            vec!["0".to_owned()]
        } else {
            self.formats.clone()
        };
        Self {
            port: 0,
            formats,
            connection: None,
            attributes: Vec::new(),
            ..self.clone()
        }
    }

    /// The text behind the payload type of attributes such as `rtpmap` and `fmtp`.
    pub fn about(&self, name: &str, payload_type: &str) -> Option<&str> {
        let values = self.attributes.iter().filter(|a| a.name == name).filter_map(|a| a.value.as_deref());
        values
            .filter_map(|v| v.split_once(' '))
            .find(|(pt, _)| *pt == payload_type)
            .map(|(_, rest)| rest.trim())
    }
}

pub(crate) fn find<'a>(attributes: &'a [Attribute], name: &str) -> Option<&'a str> {
    attributes
        .iter()
        .find(|a| a.name == name)
        .map(|a| a.value.as_deref().unwrap_or_default())
}

/// Port and address of `a=rtcp` (RFC 3605).
pub(crate) fn rtcp_attribute(value: &str, same: IpAddr) -> Option<SocketAddr> {
    let (port, address) = value.split_once(' ').map_or((value, None), |(p, a)| (p, Some(a)));
    let ip = match address.map(Connection::parse) {
        Some(Ok(Connection::Ip(ip))) => ip,
        Some(Ok(Connection::Name(_)) | Err(_)) | None => same,
    };
    Some(SocketAddr::new(ip, port.parse().ok().filter(|p| *p > 0)?))
}

impl fmt::Display for Sdp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Origin {
            user,
            session,
            version,
            address,
        } = &self.origin;
        write!(f, "v=0\r\no={user} {session} {version} {address}\r\ns=-\r\n")?;
        if let Some(connection) = &self.connection {
            write!(f, "c={connection}\r\n")?;
        }
        f.write_str("t=0 0\r\n")?;
        self.attributes.iter().try_for_each(|a| write!(f, "a={a}\r\n"))?;
        self.media.iter().try_for_each(|m| m.fmt(f))
    }
}

impl fmt::Display for MediaLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "m={} {} {}", self.kind, self.port, self.protocol)?;
        self.formats.iter().try_for_each(|format| write!(f, " {format}"))?;
        f.write_str("\r\n")?;
        if let Some(connection) = &self.connection {
            write!(f, "c={connection}\r\n")?;
        }
        self.attributes.iter().try_for_each(|a| write!(f, "a={a}\r\n"))
    }
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        match &self.value {
            Some(value) => write!(f, ":{value}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(ip @ IpAddr::V4(_)) => write!(f, "IN IP4 {ip}"),
            Self::Ip(ip @ IpAddr::V6(_)) => write!(f, "IN IP6 {ip}"),
            Self::Name(name) => write!(f, "IN IP4 {name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_back() {
        let text = "v=0\r\no=- 1 2 IN IP6 2001:db8::1\r\ns=-\r\nc=IN IP6 2001:db8::1\r\nt=0 0\r\na=sendrecv\r\n\
                    m=audio 4000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\na=ptime:20\r\nm=video 0 RTP/AVP 31\r\n";
        let sdp = Sdp::parse(text.as_bytes()).unwrap();
        assert_eq!(sdp.to_string(), text);
        assert_eq!(sdp.media[0].about("rtpmap", "101"), Some("telephone-event/8000"));
        assert_eq!(sdp.media[0].attribute("ptime"), Some("20"));
    }

    #[test]
    fn what_the_field_writes_is_forgiven() {
        let sdp = Sdp::parse(b"v=0\no=x 18446744073709551616 a IN IP4 host.example\nb=AS:84\nk=clear:x\nm=audio 4000/2 RTP/AVP 0\nc=IN IP4 224.2.1.1/127/3\na= \xff\n").unwrap();
        assert_eq!((sdp.origin.session, sdp.origin.version), (0, 0));
        assert_eq!(sdp.media[0].port, 4000);
        assert_eq!(sdp.media[0].connection, Some(Connection::Ip("224.2.1.1".parse().unwrap())));
    }

    #[test]
    fn what_is_no_description_is_refused() {
        for text in [
            "",
            "v=1\r\n",
            "v=0\r\n",
            "v=0\r\no=x\r\n",
            "v=0\r\no=- 1 1 IN IP4 a\r\nm=audio x RTP/AVP 0\r\n",
            "v=0\r\no=- 1 1 IN IP4 a\r\nxyz\r\n",
        ] {
            assert!(Sdp::parse(text.as_bytes()).is_err(), "{text}");
        }
        let many = |what: &str, count| format!("v=0\r\no=- 1 1 IN IP4 a\r\n{}", what.repeat(count));
        assert!(Sdp::parse(many("m=audio 1 RTP/AVP 0\r\n", MAX_MEDIA).as_bytes()).is_ok());
        assert!(Sdp::parse(many("m=audio 1 RTP/AVP 0\r\n", MAX_MEDIA + 1).as_bytes()).is_err());
        assert!(Sdp::parse(many("a=x\r\n", MAX_ATTRIBUTES + 1).as_bytes()).is_err());
    }
}
