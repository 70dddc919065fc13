//! Header names: those we know, with their compact forms, and any other token.

use std::fmt;

macro_rules! names {
    ($($variant:ident = $text:literal $(/ $compact:literal)?,)*) => {
        /// A header field's name. Compact forms (RFC 3261 section 7.3.3) are read as the long ones; case does not matter.
        #[derive(Debug, Clone)]
        #[expect(missing_docs, reason = "the names speak for themselves")]
        pub enum Name {
            $($variant,)*
            /// Any other token, as written.
            Other(Box<str>),
        }

        impl Name {
            /// The name on the wire, long form.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)*
                    Self::Other(name) => name,
                }
            }

            /// Reads a name, whatever its case; compact forms as well.
            pub fn parse(name: &str) -> Self {
                Self::known(name.as_bytes()).unwrap_or_else(|| Self::Other(name.into()))
            }

            /// A name that isn't [`Name::Other`].
            pub(crate) fn known(name: &[u8]) -> Option<Self> {
                if let [letter] = name {
                    let letter = letter.to_ascii_lowercase();
                    $($(if letter == $compact { return Some(Self::$variant); })?)*
                }
                // Nearly all write a name as the documents do, which is quickly seen.
                $(if name == $text.as_bytes() { return Some(Self::$variant); })*
                $(if name.eq_ignore_ascii_case($text.as_bytes()) { return Some(Self::$variant); })*
                None
            }
        }
    };
}

names! {
    Via = "Via" / b'v',
    From = "From" / b'f',
    To = "To" / b't',
    CallId = "Call-ID" / b'i',
    CSeq = "CSeq",
    Contact = "Contact" / b'm',
    MaxForwards = "Max-Forwards",
    ContentLength = "Content-Length" / b'l',
    ContentType = "Content-Type" / b'c',
    ContentEncoding = "Content-Encoding" / b'e',
    ContentDisposition = "Content-Disposition",
    Route = "Route",
    RecordRoute = "Record-Route",
    Require = "Require",
    ProxyRequire = "Proxy-Require",
    Supported = "Supported" / b'k',
    Unsupported = "Unsupported",
    Allow = "Allow",
    AllowEvents = "Allow-Events" / b'u',
    Event = "Event" / b'o',
    SubscriptionState = "Subscription-State",
    Expires = "Expires",
    MinExpires = "Min-Expires",
    Accept = "Accept",
    AcceptEncoding = "Accept-Encoding",
    AcceptLanguage = "Accept-Language",
    Authorization = "Authorization",
    ProxyAuthorization = "Proxy-Authorization",
    WwwAuthenticate = "WWW-Authenticate",
    ProxyAuthenticate = "Proxy-Authenticate",
    SessionExpires = "Session-Expires" / b'x',
    MinSe = "Min-SE",
    RSeq = "RSeq",
    RAck = "RAck",
    Reason = "Reason",
    RetryAfter = "Retry-After",
    Warning = "Warning",
    Subject = "Subject" / b's',
    Server = "Server",
    UserAgent = "User-Agent",
    Date = "Date",
    Timestamp = "Timestamp",
    CallInfo = "Call-Info",
    ReferTo = "Refer-To" / b'r',
    ReferredBy = "Referred-By" / b'b',
    Replaces = "Replaces",
    Join = "Join",
    ReferSub = "Refer-Sub",
    PAssertedIdentity = "P-Asserted-Identity",
    PPreferredIdentity = "P-Preferred-Identity",
    Privacy = "Privacy",
    Path = "Path",
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
            && match (self, other) {
                (Self::Other(a), Self::Other(b)) => a.eq_ignore_ascii_case(b),
                _ => true,
            }
    }
}

impl Eq for Name {}

impl From<&str> for Name {
    fn from(name: &str) -> Self {
        Self::parse(name)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_and_compact_forms_do_not_matter() {
        for (spelling, name) in [
            ("VIA", Name::Via),
            ("v", Name::Via),
            ("F", Name::From),
            ("t", Name::To),
            ("i", Name::CallId),
            ("m", Name::Contact),
            ("l", Name::ContentLength),
            ("c", Name::ContentType),
            ("k", Name::Supported),
            ("o", Name::Event),
            ("u", Name::AllowEvents),
            ("x", Name::SessionExpires),
            ("min-se", Name::MinSe),
        ] {
            assert_eq!(Name::parse(spelling), name, "{spelling}");
        }
        assert_eq!(Name::parse("X-Odd"), Name::parse("x-odd"));
        assert_ne!(Name::parse("X-Odd"), Name::parse("X-Even"));
        assert_ne!(Name::parse("X-Odd"), Name::Via);
    }
}
