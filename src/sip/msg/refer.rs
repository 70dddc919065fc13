//! Headers that point at somebody else, or at another dialog: `Refer-To` (RFC 3515), `Replaces` (RFC 3891), `Join` (RFC 3911), `Refer-Sub`
//! (RFC 4488).

use std::fmt;

use super::{
    access::{Access, HeaderError},
    escape::percent_decode,
    headers::Headers,
    lex::{Cursor, is_space, lossy},
    method::Method,
    name::Name,
    params::Params,
    typed::NameAddr,
    uri::Uri,
};

/// A dialog as one outside of it names it, in `Replaces` or `Join` (RFC 3891 section 6.1, RFC 3911 section 7.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DialogId {
    /// `Call-ID`.
    pub call_id: String,
    /// The tag of the side that gets the request.
    pub to_tag: String,
    /// The tag of the other side.
    pub from_tag: String,
    /// `early-only`: not once it is answered (RFC 3891 section 3).
    pub early_only: bool,
}

impl DialogId {
    fn read(c: &mut Cursor<'_>) -> Result<Self, &'static str> {
        c.skip_space();
        let call_id = lossy(c.take_while(|b| !is_space(b) && b != b';' && b != b','));
        let params = Params::read(c)?;
        // RFC 3891 section 6.1 and RFC 3911 section 7.1: exactly one of each.
        let tag = |name: &str| {
            let mut tags = params.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
            match (tags.next(), tags.next()) {
                (Some((_, Some(tag))), None) if !tag.is_empty() => Some(tag.to_owned()),
                _ => None,
            }
        };
        match (tag("to-tag"), tag("from-tag")) {
            (Some(to_tag), Some(from_tag)) if !call_id.is_empty() => Ok(Self {
                call_id,
                to_tag,
                from_tag,
                early_only: params.has("early-only"),
            }),
            _ => Err("not one Call-ID, one to-tag and one from-tag"),
        }
    }

    /// Reads the value of a `Replaces` or `Join` that was embedded in a URI.
    fn parse(value: &[u8]) -> Result<Self, &'static str> {
        let mut cursor = Cursor::new(value);
        let id = Self::read(&mut cursor)?;
        if cursor.at_end() {
            Ok(id)
        } else {
            Err("something after the end of a dialog's name")
        }
    }
}

impl fmt::Display for DialogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{};to-tag={};from-tag={}", self.call_id, self.to_tag, self.from_tag)?;
        f.write_str(if self.early_only { ";early-only" } else { "" })
    }
}

/// What a `Refer-To` asks for (RFC 3515 section 2.1). Of the headers embedded in its URI only those that rule R47 names are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferTo {
    /// Whom to send the request to, without the embedded headers and the `method` parameter.
    pub uri: Uri,
    /// The display name.
    pub name: Option<String>,
    /// The request to be sent; INVITE where nothing is said.
    pub method: Method,
    /// `Replaces`: the call that the new one takes the place of.
    pub replaces: Option<DialogId>,
    /// `Join`: the call that the new one joins.
    pub join: Option<DialogId>,
    /// `Require`: what the one who is called has to know.
    pub require: Vec<String>,
}

impl ReferTo {
    /// An INVITE to a URI.
    pub fn new(uri: Uri) -> Self {
        Self {
            uri,
            name: None,
            method: Method::Invite,
            replaces: None,
            join: None,
            require: Vec::new(),
        }
    }

    fn read(address: NameAddr) -> Result<Self, &'static str> {
        let mut to = Self {
            name: address.display,
            ..Self::new(address.uri)
        };
        let Some(sip) = to.uri.as_sip_mut() else { return Ok(to) };
        if let Some(method) = sip.params.get("method") {
            to.method = Method::parse(&lossy(&percent_decode(method))).ok_or("no method")?;
            sip.params.remove("method");
        }
        for header in sip.headers.take().iter().flat_map(|all| all.split('&')) {
            let Some((name, value)) = header.split_once('=') else { continue };
            let value = percent_decode(value);
            if name.eq_ignore_ascii_case("Replaces") {
                to.replaces = Some(DialogId::parse(&value)?);
            } else if name.eq_ignore_ascii_case("Join") {
                to.join = Some(DialogId::parse(&value)?);
            } else if name.eq_ignore_ascii_case("Require") {
                to.require.extend(
                    lossy(&value)
                        .split(',')
                        .map(|tag| tag.trim().to_owned())
                        .filter(|tag| !tag.is_empty()),
                );
            }
        }
        Ok(to)
    }
}

impl fmt::Display for ReferTo {
    /// As it is sent: `<sip:bob@example.com;method=BYE?Replaces=…>`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut uri = self.uri.clone();
        if let Some(sip) = uri.as_sip_mut() {
            if self.method != Method::Invite {
                sip.params.set("method", Some(self.method.as_str()));
            }
            let escaped = |name: &str, value: String| format!("{name}={}", super::percent_encode(value.as_bytes()));
            let mut headers = Vec::new();
            headers.extend(self.replaces.as_ref().map(|id| escaped("Replaces", id.to_string())));
            headers.extend(self.join.as_ref().map(|id| escaped("Join", id.to_string())));
            if !self.require.is_empty() {
                headers.push(escaped("Require", self.require.join(",")));
            }
            sip.headers = Some(headers.join("&")).filter(|all| !all.is_empty());
        }
        let mut address = NameAddr::new(uri);
        address.display.clone_from(&self.name);
        address.fmt(f)
    }
}

impl Headers {
    /// `Refer-To`: one, no more and no less (RFC 3515 section 2.4.2).
    pub fn refer_to(&self) -> Access<ReferTo> {
        let mut all = self.list(Name::ReferTo, NameAddr::read)?;
        match (all.pop(), all.is_empty()) {
            (Some(one), true) => ReferTo::read(one).map_err(|flaw| HeaderError::Bad(Name::ReferTo, flaw)),
            (Some(_), false) => Err(HeaderError::Repeated(Name::ReferTo)),
            (None, _) => Err(HeaderError::Missing(Name::ReferTo)),
        }
    }

    /// `Replaces` (RFC 3891).
    pub fn replaces(&self) -> Access<Option<DialogId>> {
        self.optional(Name::Replaces, DialogId::read)
    }

    /// `Join` (RFC 3911).
    pub fn join(&self) -> Access<Option<DialogId>> {
        self.optional(Name::Join, DialogId::read)
    }

    /// `Refer-Sub: false`: no subscription is wanted, or none was made (RFC 4488 section 3).
    pub fn refuses_refer_sub(&self) -> bool {
        let value = self.first(Name::ReferSub).unwrap_or_default();
        value
            .split(|b| *b == b';')
            .next()
            .is_some_and(|v| v.trim_ascii().eq_ignore_ascii_case(b"false"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::msg::{Message, Request, parse_datagram};

    fn refer(fields: &str) -> Request {
        let text = format!(
            "REFER sip:room@conf SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKx\r\nFrom: <sip:c@d>;tag=1\r\nTo: <sip:room@conf>\r\n\
             Call-ID: x\r\nCSeq: 10 REFER\r\n{fields}\r\n"
        );
        match parse_datagram(text.as_bytes()).expect("well formed") {
            Message::Request(request) => request,
            Message::Response(_) => panic!("a request"),
        }
    }

    #[test]
    fn rfc3515_2_1_a_refer_to_with_method_and_headers() {
        let to = |value: &str| refer(&format!("Refer-To: {value}\r\n")).headers.refer_to();
        assert_eq!(
            to("<sip:bob@b.example>"),
            Ok(ReferTo::new(Uri::parse("sip:bob@b.example").unwrap()))
        );
        let bye = to("\"Bob\" <sip:bob@b.example;method=BYE;transport=tcp>").unwrap();
        assert_eq!((bye.method, bye.name.as_deref()), (Method::Bye, Some("Bob")));
        assert_eq!(bye.uri.to_string(), "sip:bob@b.example;transport=tcp");
        let other = to("<tel:+49305550>").unwrap();
        assert_eq!((other.uri.to_string(), other.method), ("tel:+49305550".to_owned(), Method::Invite));
    }

    #[test]
    fn r47_of_the_embedded_headers_only_three_are_kept() {
        let value = "<sip:dave@denver.example.org?Replaces=12345%40192.168.118.3%3Bto-tag%3D12345%3Bfrom-tag%3D5FFE-3994\
                     &Require=replaces&Route=%3Csip%3Aevil%3Blr%3E&From=sip%3Apresident%40example.org&body=x>";
        let to = refer(&format!("Refer-To: {value}\r\n")).headers.refer_to().unwrap();
        assert_eq!(to.uri.to_string(), "sip:dave@denver.example.org");
        assert_eq!(to.require, ["replaces"]);
        let replaces = to.replaces.clone().unwrap();
        assert_eq!(
            (&*replaces.call_id, &*replaces.to_tag, &*replaces.from_tag),
            ("12345@192.168.118.3", "12345", "5FFE-3994")
        );
        let again = refer(&format!("Refer-To: {to}\r\n")).headers.refer_to();
        assert_eq!(again, Ok(to), "it prints as it was read");
    }

    #[test]
    fn rfc3515_2_4_2_there_is_one_refer_to() {
        assert_eq!(refer("").headers.refer_to(), Err(HeaderError::Missing(Name::ReferTo)));
        let two = Err(HeaderError::Repeated(Name::ReferTo));
        assert_eq!(refer("Refer-To: <sip:a@b>\r\nr: <sip:c@d>\r\n").headers.refer_to(), two);
        assert_eq!(refer("Refer-To: <sip:a@b>, <sip:c@d>\r\n").headers.refer_to(), two);
        assert!(refer("Refer-To: <sip:a@b?Replaces=1%3Bto-tag%3D2>\r\n").headers.refer_to().is_err());
        assert!(refer("Refer-To: <sip:a@b;method=>\r\n").headers.refer_to().is_err());
    }

    #[test]
    fn rfc3891_6_1_a_dialog_has_one_tag_for_each_side() {
        let replaces = |value: &str| refer(&format!("Replaces: {value}\r\n")).headers.replaces();
        let id = replaces("425928@bobster.example.org;to-tag=7743;from-tag=6472;early-only")
            .unwrap()
            .unwrap();
        assert!(id.early_only && id.call_id == "425928@bobster.example.org");
        for bad in [
            "x;to-tag=1",
            "x;from-tag=1",
            "x;to-tag=1;to-tag=2;from-tag=3",
            ";to-tag=1;from-tag=2",
            "x;to-tag=;from-tag=2",
            "",
        ] {
            assert!(replaces(bad).is_err(), "{bad}");
        }
        assert!(
            refer("Join: a;to-tag=1;from-tag=2\r\nJoin: b;to-tag=1;from-tag=2\r\n")
                .headers
                .join()
                .is_err()
        );
        assert_eq!(refer("").headers.join(), Ok(None));
    }

    #[test]
    fn rfc4488_a_subscription_can_be_declined() {
        for (value, refused) in [("false", true), ("FALSE ;x=y", true), ("true", false), ("", false)] {
            assert_eq!(
                refer(&format!("Refer-Sub: {value}\r\n")).headers.refuses_refer_sub(),
                refused,
                "{value}"
            );
        }
    }
}
