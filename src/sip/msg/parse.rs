//! Bytes to messages. Refuses what breaks the message as a whole; what one header means is left to its accessor.

use memchr::{memchr, memchr2};

use super::{
    access::HeaderError,
    headers::{Headers, Mandatory},
    lex::{Cursor, lossy, trim},
    message::{Message, Request, Response},
    method::Method,
    name::Name,
    salvage::malformed,
    uri::{BadUri, Uri},
};

/// No SIP message is longer: the most that a UDP datagram holds, and our limit on streams.
pub const MAX_MESSAGE: usize = 65_536;

/// Header fields of one message, at most. Real messages have under 60; each costs us some 60 bytes, and the smallest 4 on the wire.
pub const MAX_HEADERS: usize = 512;

/// Room for the header values of most messages, in bytes: one allocation does.
const USUAL_HEAD: usize = 1024;

/// A message that can't be used, and the answer to it if one can be given (rule R40).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Malformed {
    /// What is wrong.
    pub why: Why,
    /// A 400, or the code that fits better, with the request's `Via`, `From`, `To`, `Call-ID` and `CSeq` as far as they could be read. `None`
    /// for responses and ACK, which nobody answers, and without a usable `Via`. It has no `To` tag.
    pub reply: Option<Box<Response>>,
}

/// What is wrong with a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Why {
    /// Nothing but line ends: a keep-alive (RFC 5626 section 3.5.1), to be ignored.
    #[error("no message")]
    Empty,
    /// The first line is neither a Request-Line nor a Status-Line.
    #[error("start line: {0}")]
    StartLine(&'static str),
    /// The Request-URI is none, or holds headers (RFC 3261 section 19.1.5).
    #[error("Request-URI: {0}")]
    RequestUri(&'static str),
    /// Not `SIP/2.0`.
    #[error("another version than SIP/2.0")]
    Version,
    /// A line in the head that is no header field.
    #[error("header field: {0}")]
    HeaderLine(&'static str),
    /// A header that every message needs can't be used.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// `CSeq` names another method than the Request-Line.
    #[error("CSeq names another method than the request line")]
    MethodMismatch,
    /// `Content-Length` is larger than what came.
    #[error("Content-Length is larger than the body")]
    Truncated,
    /// On a stream: no `Content-Length` (RFC 3261 section 18.3).
    #[error("no Content-Length on a stream")]
    NoLength,
    /// Larger than [`MAX_MESSAGE`].
    #[error("larger than {MAX_MESSAGE} bytes")]
    TooLarge,
}

impl Why {
    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::Version => 505,
            Self::TooLarge => 513,
            Self::Empty
            | Self::StartLine(_)
            | Self::RequestUri(_)
            | Self::HeaderLine(_)
            | Self::Header(_)
            | Self::MethodMismatch
            | Self::Truncated
            | Self::NoLength => 400,
        }
    }
}

/// Reads the one message of a datagram. What follows the body is ignored; without `Content-Length` the body is all the rest (RFC 3261
/// section 18.3).
pub fn parse_datagram(bytes: &[u8]) -> Result<Message, Malformed> {
    let start = bytes.iter().position(|b| *b != b'\r' && *b != b'\n').ok_or(Malformed {
        why: Why::Empty,
        reply: None,
    })?;
    let bytes = &bytes[start..];
    let read = if bytes.len() > MAX_MESSAGE {
        Err(Why::TooLarge)
    } else {
        whole(bytes)
    };
    read.map_err(|why| malformed(bytes, why))
}

fn whole(bytes: &[u8]) -> Result<Message, Why> {
    let (mut message, length, body) = strict(bytes)?;
    let body = body.ok_or(Why::HeaderLine("no empty line after the headers"))?;
    let body = match length {
        None => body,
        Some(length) => usize::try_from(length).ok().and_then(|l| body.get(..l)).ok_or(Why::Truncated)?,
    };
    set_body(&mut message, body);
    Ok(message)
}

pub(crate) fn set_body(message: &mut Message, body: &[u8]) {
    match message {
        Message::Request(r) => r.body = body.to_vec(),
        Message::Response(r) => r.body = body.to_vec(),
    }
}

/// Where the head ends (its last line end included) and the body starts, for the first empty line at or after `from`.
pub(crate) fn find_head_end(bytes: &[u8], from: usize) -> Option<(usize, usize)> {
    let mut at = from;
    loop {
        at += memchr(b'\n', bytes.get(at..)?)? + 1;
        match bytes.get(at..) {
            Some([b'\n', ..]) => return Some((at, at + 1)),
            Some([b'\r', b'\n', ..]) => return Some((at, at + 2)),
            _ => {}
        }
    }
}

/// Reads a head up to but without its empty line, and its `Content-Length`.
pub(crate) fn parse_head(head: &[u8]) -> Result<(Message, Option<u64>), Malformed> {
    match strict(head) {
        Ok((message, length, _)) => Ok((message, length)),
        Err(why) => Err(malformed(head, why)),
    }
}

/// A message without its body, its `Content-Length`, and what is behind the empty line.
type Strict<'a> = (Message, Option<u64>, Option<&'a [u8]>);

fn strict(bytes: &[u8]) -> Result<Strict<'_>, Why> {
    let (start_line, rest) = split_line(bytes);
    let mut headers = Headers::with_room(rest.len().min(USUAL_HEAD));
    let behind = read_fields(rest, |field| match field {
        Ok(_) if headers.len() == MAX_HEADERS => Err(Why::HeaderLine("too many")),
        Ok((name, value, folds)) => {
            headers.push_parsed(name, value, folds);
            Ok(())
        }
        Err(flaw) => Err(Why::HeaderLine(flaw)),
    })?;
    match start_line.strip_prefix(b"SIP/") {
        Some(rest) => {
            let (status, reason) = status_line(rest)?;
            let length = check(&mut headers, None)?;
            let body = Vec::new();
            let response = Response {
                status,
                reason,
                headers,
                body,
            };
            Ok((Message::Response(response), length, behind))
        }
        None => {
            let (method, uri) = request_line(start_line)?;
            let length = check(&mut headers, Some(&method))?;
            let body = Vec::new();
            let request = Request {
                method,
                uri,
                headers,
                body,
            };
            Ok((Message::Request(request), length, behind))
        }
    }
}

/// What every message needs (RFC 3261 section 8.1.1), and what a request does. `Max-Forwards` is missing from requests of RFC 2543 and may be.
fn check(headers: &mut Headers, request: Option<&Method>) -> Result<Option<u64>, Why> {
    let via = headers.top_via()?;
    if via.protocol != "SIP/2.0" {
        return Err(Why::Version);
    }
    let from = headers.from()?;
    let to = headers.to()?;
    headers.call_id()?;
    let cseq = headers.cseq()?;
    if let Some(method) = request {
        if cseq.method != *method {
            return Err(Why::MethodMismatch);
        }
        headers.max_forwards()?;
    }
    let length = headers.content_length()?;
    headers.remember(Mandatory { via, from, to, cseq });
    Ok(length)
}

fn request_line(line: &[u8]) -> Result<(Method, Uri), Why> {
    let mut parts = line.split(|b| *b == b' ');
    let (Some(method), Some(uri), Some(version), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err(Why::StartLine("not three parts, each after one space"));
    };
    let method = std::str::from_utf8(method)
        .ok()
        .and_then(Method::parse)
        .ok_or(Why::StartLine("no method"))?;
    match version.get(..4).map(<[u8]>::to_ascii_uppercase).as_deref() {
        Some(b"SIP/") if &version[4..] == b"2.0" => {}
        Some(b"SIP/") => return Err(Why::Version),
        _ => return Err(Why::StartLine("no version")),
    }
    let uri = std::str::from_utf8(uri).map_err(|_| Why::RequestUri("not UTF-8"))?;
    let uri = Uri::parse(uri).map_err(|BadUri(flaw)| Why::RequestUri(flaw))?;
    if uri.as_sip().is_some_and(|u| u.headers.is_some()) {
        return Err(Why::RequestUri("with headers"));
    }
    Ok((method, uri))
}

/// A Status-Line behind its `SIP/`.
fn status_line(rest: &[u8]) -> Result<(u16, String), Why> {
    let rest = rest.strip_prefix(b"2.0 ").ok_or(Why::Version)?;
    let (code, reason) = match rest.iter().position(|b| *b == b' ') {
        Some(at) => (&rest[..at], &rest[at + 1..]),
        // The space before an empty phrase is often forgotten.
        None => (rest, &[][..]),
    };
    match code {
        [hundreds @ b'1'..=b'6', tens @ b'0'..=b'9', ones @ b'0'..=b'9'] => {
            let digit = |b: u8| u16::from(b - b'0');
            Ok((digit(*hundreds) * 100 + digit(*tens) * 10 + digit(*ones), lossy(reason)))
        }
        _ => Err(Why::StartLine("not a status code from 100 to 699")),
    }
}

/// A header field: its value, and the lines that the value goes on in if it is folded (RFC 3261 section 7.3.1).
pub(crate) type Field<'a> = (Name, &'a [u8], &'a [&'a [u8]]);

/// Calls `take` for each header field up to the empty line, and returns what is behind that, if it comes.
pub(crate) fn read_fields(
    mut rest: &[u8],
    mut take: impl FnMut(Result<Field<'_>, &'static str>) -> Result<(), Why>,
) -> Result<Option<&[u8]>, Why> {
    let mut folds: Vec<&[u8]> = Vec::new();
    while !rest.is_empty() {
        if let [b'\n', behind @ ..] | [b'\r', b'\n', behind @ ..] = rest {
            return Ok(Some(behind));
        }
        let (line, next) = clean_line(rest);
        rest = next;
        let mut field = line.and_then(split_field);
        folds.clear();
        while let [b' ' | b'\t', ..] = rest {
            let (line, next) = clean_line(rest);
            rest = next;
            match line {
                Ok(line) => folds.push(trim(line)),
                Err(flaw) => field = Err(flaw),
            }
        }
        take(field.map(|(name, value)| (name, value, folds.as_slice())))?;
    }
    Ok(None)
}

fn split_field(line: &[u8]) -> Result<(Name, &[u8]), &'static str> {
    let mut cursor = Cursor::new(line);
    let name = cursor.token_bytes();
    // White space before the colon is allowed (HCOLON), before the name it would be a fold.
    let colon = cursor.eat(b':');
    match name {
        Some(name) if colon => {
            let name = Name::known(name).unwrap_or_else(|| Name::parse(&lossy(name)));
            Ok((name, trim(cursor.rest())))
        }
        _ if memchr(b':', line).is_none() => Err("a line without a colon"),
        _ => Err("a name that is no token"),
    }
}

/// The first line without its end, and the rest. Some stacks take a lone CR for a line end: what we pass on must not mean two things.
fn clean_line(bytes: &[u8]) -> (Result<&[u8], &'static str>, &[u8]) {
    let Some(end) = memchr2(b'\r', b'\n', bytes) else {
        return (Ok(bytes), &[]);
    };
    match &bytes[end..] {
        [b'\n', rest @ ..] | [b'\r', b'\n', rest @ ..] => (Ok(&bytes[..end]), rest),
        _ => (Err("a carriage return inside a line"), split_line(bytes).1),
    }
}

/// The first line without its end, and the rest.
pub(crate) fn split_line(bytes: &[u8]) -> (&[u8], &[u8]) {
    let Some(end) = memchr(b'\n', bytes) else {
        return (bytes, &[]);
    };
    let line = &bytes[..end];
    (line.strip_suffix(b"\r").unwrap_or(line), &bytes[end + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::msg::Contacts;

    const HEAD: &str = "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1;rport\r\nFrom: <sip:a@example.com>;tag=1\r\nTo: <sip:b@example.com>\r\n\
        Call-ID: 1@a\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\n";

    fn options(more: &str) -> Vec<u8> {
        format!("OPTIONS sip:b@example.com SIP/2.0\r\n{HEAD}{more}").into_bytes()
    }

    fn request(bytes: &[u8]) -> Request {
        match parse_datagram(bytes) {
            Ok(Message::Request(r)) => r,
            other => panic!("{other:?}"),
        }
    }

    fn refused(bytes: &[u8]) -> Malformed {
        parse_datagram(bytes).expect_err("malformed")
    }

    #[test]
    fn a_datagram_without_content_length_keeps_its_body() {
        assert_eq!(request(&options("\r\nbody\r\n")).body, b"body\r\n");
        assert_eq!(request(&options("l: 4\r\n\r\nbody and more")).body, b"body");
        assert_eq!(request(&options("\r\n")).body, b"");
    }

    #[test]
    fn content_length_that_is_no_length_is_a_clear_error() {
        for (value, why) in [
            ("18446744073709551615", Why::Truncated),
            (
                "18446744073709551616",
                Why::Header(HeaderError::Bad(Name::ContentLength, "not a number below 2^64")),
            ),
            ("-1", Why::Header(HeaderError::Bad(Name::ContentLength, "not a number below 2^64"))),
            (
                "1x",
                Why::Header(HeaderError::Bad(Name::ContentLength, "something after the end of the value")),
            ),
            ("5", Why::Truncated),
            ("4\r\nContent-Length: 4", Why::Header(HeaderError::Repeated(Name::ContentLength))),
        ] {
            let bad = refused(&options(&format!("Content-Length: {value}\r\n\r\nbody")));
            assert_eq!(bad.why, why, "{value}");
            assert_eq!(bad.reply.expect("an answer").status, 400);
        }
    }

    #[test]
    fn invalid_utf8_in_a_header_is_no_reason_to_refuse() {
        let mut bytes = options("X-Name: \u{1}");
        bytes.extend_from_slice(b"\xff\xfe\r\nSubject: after\r\nContact: \"\xff\" <sip:c@d>\r\n\r\n");
        let request = request(&bytes);
        assert_eq!(request.headers.first("X-Name"), Some(&b"\x01\xff\xfe"[..]));
        assert_eq!(request.headers.first(Name::Subject), Some(&b"after"[..]));
        let Ok(Contacts::List(list)) = request.headers.contacts() else {
            panic!()
        };
        assert_eq!(list[0].display.as_deref(), Some("\u{fffd}"));
    }

    #[test]
    fn compact_forms_folds_and_lists_are_one_thing() {
        let bytes = b"INVITE sip:b@[2001:db8::1] SIP/2.0\r\nv: SIP/2.0/UDP [2001:db8::9]:5062;branch=z9hG4bK1,\r\n SIP / 2.0/ TCP  host : 5063\r\n\t;branch=x\r\n\
            f: \"A, B\" <sip:a@b>;tag=1\r\nt: sip:b@c;x=y\r\ni: 1\r\nCSeq: 0009\r\n INVITE\r\n\
            m: <sip:a@[::1]:5070;transport=tcp>;+sip.instance=\"<urn:uuid:1>\";reg-id=1, <sip:c,d@e>\r\nl: 0\r\n\r\n";
        let read = request(bytes);
        let vias = read.headers.vias().unwrap();
        assert_eq!(vias.len(), 2);
        assert_eq!((vias[0].port, vias[1].port, &*vias[1].transport), (Some(5062), Some(5063), "TCP"));
        assert_eq!(vias[0].host.to_string(), "[2001:db8::9]");
        assert_eq!(read.headers.from().unwrap().display.as_deref(), Some("A, B"));
        assert_eq!(read.headers.to().unwrap().params.get("x"), Some("y"));
        assert_eq!(read.headers.cseq().unwrap().number, 9);
        let Ok(Contacts::List(contacts)) = read.headers.contacts() else {
            panic!()
        };
        assert_eq!(contacts[0].params.text("+SIP.instance").as_deref(), Some("<urn:uuid:1>"));
        assert_eq!(contacts[1].uri.to_string(), "sip:c,d@e");
        let printed = read.to_bytes();
        assert_eq!(request(&printed), request_without_length(read));
    }

    /// Printing puts the one `Content-Length` last.
    fn request_without_length(mut request: Request) -> Request {
        let length = request.body.len().to_string();
        request.headers.remove(Name::ContentLength);
        request.headers.push(Name::ContentLength, length);
        request
    }

    #[test]
    fn r40_what_is_malformed_gets_its_400_when_via_is_usable() {
        let cut = |what: &str| String::from_utf8(options("\r\n")).unwrap().replace(what, "");
        for missing in [
            "CSeq: 1 OPTIONS\r\n",
            "Call-ID: 1@a\r\n",
            "To: <sip:b@example.com>\r\n",
            "From: <sip:a@example.com>;tag=1\r\n",
        ] {
            let reply = refused(cut(missing).as_bytes()).reply.expect("an answer");
            assert_eq!(reply.status, 400);
            assert!(reply.headers.top_via().is_ok());
            assert!(reply.reason.starts_with("Bad Request: no "), "{}", reply.reason);
        }
        assert!(
            refused(cut("Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1;rport\r\n").as_bytes())
                .reply
                .is_none()
        );
        let ack = cut("CSeq: 1 OPTIONS\r\n").replace("OPTIONS", "ACK");
        assert!(refused(ack.as_bytes()).reply.is_none());
        assert!(parse_datagram(cut("Max-Forwards: 70\r\n").as_bytes()).is_ok());
        let old = cut("").replace("SIP/2.0\r\n", "SIP/1.0\r\n");
        assert_eq!(refused(old.as_bytes()).reply.map(|r| r.status), Some(505));
    }

    #[test]
    fn line_ends_before_and_inside_a_message() {
        assert_eq!(refused(b"\r\n\r\n").why, Why::Empty);
        assert_eq!(refused(b"").why, Why::Empty);
        let mut bytes = b"\r\n\r\n".to_vec();
        bytes.extend(options("\r\n"));
        assert!(parse_datagram(&bytes).is_ok());
        assert!(matches!(refused(&options("X: a\rVia: b\r\n\r\n")).why, Why::HeaderLine(_)));
        let unix = String::from_utf8(options("\r\n")).unwrap().replace('\r', "");
        assert!(parse_datagram(unix.as_bytes()).is_ok());
        assert!(matches!(refused(&options("")).why, Why::HeaderLine(_)));
    }

    #[test]
    fn headers_are_counted() {
        assert!(parse_datagram(&options(&("X: 1\r\n".repeat(MAX_HEADERS - 6) + "\r\n"))).is_ok());
        assert_eq!(
            refused(&options(&("X: 1\r\n".repeat(MAX_HEADERS) + "\r\n"))).why,
            Why::HeaderLine("too many")
        );
    }

    #[test]
    fn status_lines() {
        let response = |line: &str| parse_datagram(format!("{line}\r\n{HEAD}\r\n").as_bytes());
        for (line, status, phrase) in [("SIP/2.0 200 OK", 200, "OK"), ("SIP/2.0 100 ", 100, ""), ("SIP/2.0 699", 699, "")] {
            let Ok(Message::Response(r)) = response(line) else {
                panic!("{line}")
            };
            assert_eq!((r.status, r.reason.as_str()), (status, phrase));
        }
        for line in [
            "SIP/2.0 099 x",
            "SIP/2.0 700 x",
            "SIP/2.0 4294967301 x",
            "SIP/2.0  200 x",
            "SIP/3.0 200 OK",
            "SIP/2.0 20",
        ] {
            let bad = response(line).expect_err(line);
            assert!(bad.reply.is_none(), "{line}");
        }
    }
}
