//! Single values: text in, value or complaint out. The complaint completes a sentence that begins with the key.

use std::{
    net::{IpAddr, SocketAddr},
    ops::RangeInclusive,
    path::PathBuf,
};

use super::{Create, Digest, Listen, RecordingFormat, Transport, tls::Asked};
use crate::model::{Aor, AudioAccess, BareJid, RoomName, media::Codec, srtp::Policy};

/// A choice among named values.
pub(super) fn choice<T: Copy>(choices: &'static [(&'static str, T)]) -> impl Fn(&str) -> Result<T, String> {
    move |text| {
        choices
            .iter()
            .find(|(name, _)| *name == text)
            .map(|(_, value)| *value)
            .ok_or_else(|| {
                let names: Vec<String> = choices.iter().map(|(name, _)| format!("\"{name}\"")).collect();
                format!("must be one of {}", names.join(", "))
            })
    }
}

pub(super) const CODECS: &[(&str, Codec)] = &[
    ("opus", Codec::Opus),
    ("g722", Codec::G722),
    ("pcmu", Codec::Pcmu),
    ("pcma", Codec::Pcma),
];

pub(super) const SRTP: &[(&str, Policy)] = &[
    ("never", Policy::Never),
    ("allowed", Policy::Allowed),
    ("required", Policy::Required),
];

pub(super) const RECORDING: &[(&str, RecordingFormat)] = &[("ogg", RecordingFormat::Ogg), ("wav", RecordingFormat::Wav)];

pub(super) const TLS_CLIENT: &[(&str, Option<Asked>)] =
    &[("off", None), ("asked", Some(Asked::Asked)), ("required", Some(Asked::Required))];

pub(super) const DIGEST: &[(&str, Digest)] = &[("sha-256", Digest::Sha256), ("md5", Digest::Md5)];

pub(super) const CREATE: &[(&str, Create)] = &[
    ("own-domains", Create::OwnDomains),
    ("admins", Create::Admins),
    ("anyone", Create::Anyone),
    ("nobody", Create::Nobody),
];

pub(super) const AUDIO: &[(&str, AudioAccess)] = &[
    ("anyone", AudioAccess::Anyone),
    ("members", AudioAccess::Members),
    ("pin", AudioAccess::Pin),
    ("off", AudioAccess::Off),
];

pub(super) const LEVELS: &[(&str, tracing::Level)] = &[
    ("error", tracing::Level::ERROR),
    ("warn", tracing::Level::WARN),
    ("info", tracing::Level::INFO),
    ("debug", tracing::Level::DEBUG),
    ("trace", tracing::Level::TRACE),
];

pub(super) const FORMATS: &[(&str, bool)] = &[("text", false), ("json", true)];

/// `udp:0.0.0.0:5060`, or without the port: 5060, and 5061 for TLS (RFC 3261 section 19.1.2), 80 and 443 for WebSocket (RFC 7118 section 5.5).
pub(super) fn listen(text: &str) -> Result<Listen, String> {
    let wrong = || "must be a transport, an address and a port, like \"udp:0.0.0.0:5060\"".to_owned();
    let (transport, address) = text.split_once(':').ok_or_else(wrong)?;
    let transport = match transport {
        "udp" => Transport::Udp,
        "tcp" => Transport::Tcp,
        "tls" => Transport::Tls,
        "ws" => Transport::Ws,
        "wss" => Transport::Wss,
        _ => return Err(wrong()),
    };
    let alone = |address: &str| address.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let address = address
        .parse()
        .or_else(|_| alone(address).map(|ip| SocketAddr::new(ip, default_port(transport))))
        .map_err(|_| wrong())?;
    Ok(Listen { transport, address })
}

/// Where calls are taken if nothing else is said.
pub(super) fn default_port(transport: Transport) -> u16 {
    match transport {
        Transport::Udp | Transport::Tcp => 5060,
        Transport::Tls => 5061,
        Transport::Ws => 80,
        Transport::Wss => 443,
    }
}

/// `203.0.113.7`.
pub(super) fn ip(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| "must be an IP address".to_owned())
}

/// `192.0.2.53:53`.
pub(super) fn socket_address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| "must be an address and a port, like \"192.0.2.53:53\" or \"[2001:db8::53]:53\"".to_owned())
}

/// `203.0.113.7` or `10.0.0.5=203.0.113.7`.
pub(super) fn advertise(text: &str) -> Result<(Option<IpAddr>, IpAddr), String> {
    let (listening, public) = match text.split_once('=') {
        Some((listening, public)) => (Some(ip(listening)?), ip(public)?),
        None => (None, ip(text)?),
    };
    if public.is_unspecified() {
        return Err("must be an address that others can reach".into());
    }
    if listening.is_some_and(|l| l.is_ipv4() != public.is_ipv4()) {
        return Err("joins two address families".into());
    }
    Ok((listening, public))
}

/// `16384-32767`.
pub(super) fn ports(text: &str) -> Result<RangeInclusive<u16>, String> {
    let wrong = || "must be a range of at least two ports from 1024 on, like \"16384-32767\"".to_owned();
    let (first, last) = text.split_once('-').ok_or_else(wrong)?;
    let first: u16 = first.trim().parse().map_err(|_| wrong())?;
    let last: u16 = last.trim().parse().map_err(|_| wrong())?;
    // A pair begins at an even port (RFC 3550 section 11).
    if first < 1024 || u32::from(last) < u32::from(first.next_multiple_of(2)) + 1 {
        return Err(wrong());
    }
    Ok(first..=last)
}

/// `127.0.0.1:5347` or `chat.example.com:5347`.
pub(super) fn server(text: &str) -> Result<String, String> {
    let parts = text
        .rsplit_once(':')
        .filter(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|p| p != 0));
    parts
        .map(|_| text.to_owned())
        .ok_or_else(|| "must be a host and a port, like \"127.0.0.1:5347\"".to_owned())
}

/// Whether a `server` can only be reached on this machine.
pub(super) fn is_loopback(server: &str) -> bool {
    match server.parse::<SocketAddr>() {
        Ok(address) => address.ip().is_loopback(),
        // RFC 6761 section 6.3: this name is loopback, and nothing else is known to be.
        Err(_) => server
            .rsplit_once(':')
            .is_some_and(|(host, _)| host.eq_ignore_ascii_case("localhost")),
    }
}

/// The host of a SIP URI: a name or an address, in lower case.
pub(super) fn sip_host(text: &str) -> Result<String, String> {
    let host = text.to_ascii_lowercase();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok();
    let label =
        |l: &str| !l.is_empty() && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') && !l.starts_with('-') && !l.ends_with('-');
    if address || host.split('.').all(label) {
        Ok(host)
    } else {
        Err("must be a domain name".into())
    }
}

/// `https://www.example.com`, as browsers write it: in lower case, without a path (RFC 6454 section 6.2).
pub(super) fn origin(text: &str) -> Result<String, String> {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    host.filter(|host| !host.is_empty() && !host.contains(['/', '?', '#', '@', ' ']))
        .map(|_| text.to_ascii_lowercase())
        .ok_or_else(|| "must be the origin of a page, like \"https://www.example.com\"".to_owned())
}

/// A domain of the chat side, as a JID without local part.
pub(super) fn jid_domain(text: &str) -> Result<BareJid, String> {
    BareJid::new(text)
        .ok()
        .filter(|j| j.node().is_none())
        .ok_or_else(|| "must be a domain name".to_owned())
}

/// Somebody's chat address.
pub(super) fn account(text: &str) -> Result<BareJid, String> {
    BareJid::new(text)
        .ok()
        .filter(|j| j.node().is_some())
        .ok_or_else(|| "must be a chat address without resource, like \"ann@example.com\"".to_owned())
}

/// A room's name.
pub(super) fn room_name(text: &str) -> Result<RoomName, String> {
    RoomName::new(text).map_err(|e| format!("\"{text}\" can't be a room's name: {e}"))
}

/// `ann`, or `ann@conf.example.com` if it isn't of the given domain.
pub(super) fn sip_user(domain: &str) -> impl Fn(&str) -> Result<Aor, String> {
    move |text| {
        let (user, host) = text.split_once('@').unwrap_or((text, domain));
        // What stands unescaped in the user part of a SIP URI (RFC 3261 section 25.1).
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/".contains(&b);
        if user.is_empty() || !user.bytes().all(plain) {
            return Err("must be a user name of letters, digits and -_.!~*'()&=+$,;?/".into());
        }
        Ok(Aor::from_normalised(format!("sip:{user}@{}", sip_host(host)?)))
    }
}

/// So many hex digits, in lower case.
pub(super) fn hex(digits: usize) -> impl Fn(&str) -> Result<String, String> {
    move |text| {
        let right = text.len() == digits && text.bytes().all(|b| b.is_ascii_hexdigit());
        if right {
            Ok(text.to_ascii_lowercase())
        } else {
            Err(format!("must be {digits} hex digits"))
        }
    }
}

/// A path; relative ones are completed by the caller.
pub(super) fn path(text: &str) -> Result<PathBuf, String> {
    super::read::not_empty(text).map(PathBuf::from)
}

/// Any text.
#[expect(clippy::unnecessary_wraps, reason = "one of the parsers, which may complain")]
pub(super) fn any(text: &str) -> Result<String, String> {
    Ok(text.to_owned())
}
