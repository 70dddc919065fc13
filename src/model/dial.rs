//! Whom rooms may call (rule R47): addresses and numbers as people type them, their classes (checklist F-1, F-2, X-5), and how such a call ends.
//!
//! It reads text strictly and resolves nothing; who may call is the room's policy, how a call is made the phone door's matter.

use std::fmt;

/// Digits of an internal extension, at most: a longer number in our own domain goes to the telephone network.
const EXTENSION_DIGITS: usize = 6;
/// Characters of a target, at most.
const TARGET_MAX: usize = 256;

/// Somebody whom a room is to call, by what the call leads through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DialTarget {
    /// Somebody in a domain of ours: a SIP URI.
    Internal(String),
    /// A telephone: `+` and digits (E.164), or the digits that a trunk is to dial.
    Number(String),
    /// Somebody in another domain: a SIP URI.
    Foreign(String),
}

impl DialTarget {
    /// The call leaves our own domain, and may cost money (checklist F-1).
    pub fn leaves(&self) -> bool {
        match self {
            Self::Internal(_) => false,
            Self::Number(_) | Self::Foreign(_) => true,
        }
    }

    /// As a URI: a number as `tel:` (RFC 3966).
    pub fn uri(&self) -> String {
        match self {
            Self::Internal(uri) | Self::Foreign(uri) => uri.clone(),
            Self::Number(number) => format!("tel:{number}"),
        }
    }
}

/// Why something that was typed is not called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undialable {
    /// It is neither a number nor a SIP address that can be called.
    Unreadable,
    /// An emergency number: whoever answers would not know where the caller is.
    Emergency,
    /// A number at a special rate.
    Premium,
    /// Calls of this class are switched off (checklist F-2).
    Class,
}

/// Who may have rooms call somebody.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DialRight {
    /// The operator alone.
    Operator,
    /// Moderators too.
    #[default]
    Moderators,
    /// Everybody in a room who has voice.
    Participants,
}

/// What may be called, and by whom: the same for all rooms.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DialPlan {
    /// Who may.
    pub right: DialRight,
    /// Our own domains, in lower case; the first completes what has none.
    pub domains: Vec<String>,
    /// People in our own domains may be called.
    pub internal: bool,
    /// Telephones may be called.
    pub numbers: bool,
    /// People in other domains may be called.
    pub foreign: bool,
    /// Beginnings of numbers at special rates, with `+` or as dialled.
    pub premium: Vec<String>,
    /// Numbers that are never called.
    pub emergency: Vec<String>,
    /// Calls that one room makes or has made at once.
    pub per_room: usize,
}

impl DialPlan {
    /// Reads what somebody typed: `+49 30 1234`, `tel:+49301234`, `sip:bob@example.com`, `bob@example.com`, `1004`.
    ///
    /// # Errors
    ///
    /// If it can't be called, or may not be.
    pub fn read(&self, text: &str) -> Result<DialTarget, Undialable> {
        let text = text.trim();
        if text.len() > TARGET_MAX {
            return Err(Undialable::Unreadable);
        }
        let (target, number) = self.classify(text).ok_or(Undialable::Unreadable)?;
        if let Some(number) = &number {
            self.check_number(number)?;
        }
        let allowed = match &target {
            DialTarget::Internal(_) => self.internal,
            DialTarget::Number(_) => self.numbers,
            DialTarget::Foreign(_) => self.foreign,
        };
        if allowed { Ok(target) } else { Err(Undialable::Class) }
    }

    /// The target, and the number that its user part spells, in whichever domain: a gateway elsewhere reaches the same telephones.
    fn classify(&self, text: &str) -> Option<(DialTarget, Option<Number>)> {
        let scheme = |name: &str| {
            text.get(..name.len())
                .filter(|s| s.eq_ignore_ascii_case(name))
                .map(|_| &text[name.len()..])
        };
        if let Some(rest) = scheme("tel:") {
            // A local number means what its context says (RFC 3966 section 5.1.5), which no trunk could be told.
            let (number, parameters) = rest.split_once(';').unwrap_or((rest, ""));
            let local = parameters.to_ascii_lowercase().contains("phone-context");
            let number = Number::read(number).filter(|_| !local)?;
            return Some((DialTarget::Number(number.0.clone()), Some(number)));
        }
        let (secure, rest) = match (scheme("sips:"), scheme("sip:")) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => (false, text),
        };
        match rest.split_once('@') {
            Some((user, host)) => self.address(secure, user, host),
            None if rest == text => self.bare(text),
            None => None,
        }
    }

    fn bare(&self, text: &str) -> Option<(DialTarget, Option<Number>)> {
        let number = Number::read(text)?;
        if number.is_extension() {
            let domain = self.domains.first()?;
            return Some((DialTarget::Internal(format!("sip:{}@{domain}", number.0)), Some(number)));
        }
        Some((DialTarget::Number(number.0.clone()), Some(number)))
    }

    fn address(&self, secure: bool, user: &str, rest: &str) -> Option<(DialTarget, Option<Number>)> {
        let (place, parameters) = rest.split_once(';').unwrap_or((rest, ""));
        let place = Some(place.to_ascii_lowercase()).filter(|p| is_place(p))?;
        let spelled = unescape(user).filter(|_| is_user(user))?;
        let mut kept = String::new();
        let mut telephone = spelled.starts_with('+');
        for parameter in parameters.split(';').filter(|p| !p.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let clean = value.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~:%".contains(&b));
            match (name.to_ascii_lowercase().as_str(), clean) {
                ("user", _) => telephone |= value.eq_ignore_ascii_case("phone"),
                // Where to, and which of somebody's phones (RFC 5627). Others would lead elsewhere, `maddr` first of all.
                (name @ ("transport" | "gr"), true) if !value.is_empty() => kept.push_str(&format!(";{name}={value}")),
                _ => {}
            }
        }
        let number = Number::read(&spelled);
        // `;user=phone` and `+` promise a number.
        if telephone && number.is_none() {
            return None;
        }
        let host = place
            .rsplit_once(':')
            .filter(|(h, _)| !h.starts_with('[') || h.ends_with(']'))
            .map_or(place.as_str(), |(h, _)| h);
        let ours = self.domains.iter().any(|d| d == host);
        if ours && let Some(number) = number.clone().filter(|n| telephone || !n.is_extension()) {
            return Some((DialTarget::Number(number.0.clone()), Some(number)));
        }
        let phone = if telephone { ";user=phone" } else { "" };
        let uri = format!("{}:{user}@{place}{kept}{phone}", if secure { "sips" } else { "sip" });
        let target = if ours {
            DialTarget::Internal(uri)
        } else {
            DialTarget::Foreign(uri)
        };
        Some((target, number))
    }

    fn check_number(&self, number: &Number) -> Result<(), Undialable> {
        let forms = number.forms();
        if self
            .emergency
            .iter()
            .any(|e| forms.iter().any(|f| f == e || f.strip_prefix('+') == Some(e)))
        {
            return Err(Undialable::Emergency);
        }
        if !number.is_extension() && self.premium.iter().any(|p| forms.iter().any(|f| f.starts_with(p.as_str()))) {
            return Err(Undialable::Premium);
        }
        Ok(())
    }
}

/// A number: `+` and digits, or digits.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Number(String);

impl Number {
    /// Without what only separates (RFC 3966 section 5.1.1).
    fn read(text: &str) -> Option<Self> {
        let dense: String = text.chars().filter(|c| !matches!(c, ' ' | '-' | '.' | '(' | ')' | '/')).collect();
        let digits = dense.strip_prefix('+').unwrap_or(&dense);
        // E.164 has 15 digits at most; an access code may stand before them.
        let fits = (1..=20).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        fits.then_some(Self(dense))
    }

    fn is_extension(&self) -> bool {
        !self.0.starts_with('+') && self.0.len() <= EXTENSION_DIGITS
    }

    /// As dialled, and as it would be written with `+`: the prefixes for calls abroad are those of most countries, and of North America.
    fn forms(&self) -> Vec<String> {
        let abroad = ["00", "011"]
            .into_iter()
            .filter_map(|prefix| self.0.strip_prefix(prefix))
            .map(|rest| format!("+{rest}"));
        std::iter::once(self.0.clone()).chain(abroad).collect()
    }
}

/// What may stand unescaped, or as an escape, in the user part (RFC 3261 section 25.1), without `;` and `?`, which have meanings elsewhere.
fn is_user(user: &str) -> bool {
    !user.is_empty() && user.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,/%".contains(&b))
}

fn unescape(user: &str) -> Option<String> {
    let mut plain = Vec::new();
    let mut bytes = user.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            plain.push(byte);
            continue;
        }
        let digit = |b: Option<u8>| (b? as char).to_digit(16);
        plain.push((digit(bytes.next())? * 16 + digit(bytes.next())?) as u8);
    }
    String::from_utf8(plain).ok()
}

/// A host name or address, and perhaps a port.
fn is_place(place: &str) -> bool {
    !place.is_empty() && place.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.:[]".contains(&b))
}

/// How a call of ours stands, before it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DialState {
    /// Nothing was heard yet.
    DialingOut,
    /// Their phone rings.
    Alerting,
    /// It came to nothing.
    Failed {
        /// Why.
        why: DialFailure,
        /// When, ms since the UNIX epoch.
        unix_ms: u64,
    },
}

impl DialState {
    /// It may still be answered.
    pub fn is_live(self) -> bool {
        match self {
            Self::DialingOut | Self::Alerting => true,
            Self::Failed { .. } => false,
        }
    }

    /// For tables and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DialingOut => "dialing-out",
            Self::Alerting => "alerting",
            Self::Failed { .. } => "failed",
        }
    }
}

/// Why a call of ours came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DialFailure {
    /// They are busy.
    Busy,
    /// Nobody answered in time.
    NoAnswer,
    /// They don't want to.
    Declined,
    /// There is nobody of that name or number.
    NotFound,
    /// They, or the network that leads to them, can't be reached.
    Unreachable,
    /// There is no way to them: no trunk, no proxy.
    NoWay,
    /// No media that both sides could agree on.
    NoMedia,
    /// It leads back into a conference, ours or another: the mixes would feed each other.
    Loop,
    /// They sent us on to where we don't call.
    SentAway,
    /// A limit of the server's on calls, their number or their minutes.
    Limit,
    /// The server is busy, or goes down.
    Overloaded,
    /// Somebody here took it back.
    Cancelled,
    /// The room didn't let them in when they answered.
    NotAdmitted,
    /// Refused with another status.
    Refused(u16),
}

impl fmt::Display for DialFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Busy => "busy",
            Self::NoAnswer => "no answer",
            Self::Declined => "declined",
            Self::NotFound => "nobody of that name or number is there",
            Self::Unreachable => "can't be reached",
            Self::NoWay => "there is no way there: no trunk and no proxy",
            Self::NoMedia => "no codec or encryption in common",
            Self::Loop => "that is a conference itself",
            Self::SentAway => "they sent the call on to where we don't call",
            Self::Limit => "too many calls, or minutes",
            Self::Overloaded => "the server is busy",
            Self::Cancelled => "taken back",
            Self::NotAdmitted => "the room did not let them in",
            Self::Refused(status) => return write!(f, "refused with {status}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> DialPlan {
        DialPlan {
            domains: vec!["conf.example.com".to_owned(), "example.com".to_owned()],
            internal: true,
            numbers: true,
            foreign: true,
            premium: vec!["+1900".to_owned(), "+49900".to_owned(), "0900".to_owned()],
            emergency: vec!["112".to_owned(), "911".to_owned()],
            per_room: 5,
            ..DialPlan::default()
        }
    }

    #[test]
    fn f1_targets_are_told_apart_by_where_they_lead() {
        let internal = |uri: &str| Ok(DialTarget::Internal(uri.to_owned()));
        let number = |digits: &str| Ok(DialTarget::Number(digits.to_owned()));
        let foreign = |uri: &str| Ok(DialTarget::Foreign(uri.to_owned()));
        for (typed, target) in [
            ("+49 (30) 123-456", number("+4930123456")),
            ("tel:+4930123456", number("+4930123456")),
            ("TEL:+4930-123456;isub=1", number("+4930123456")),
            ("004930123456", number("004930123456")),
            ("1004", internal("sip:1004@conf.example.com")),
            (" bob@example.com ", internal("sip:bob@example.com")),
            (
                "SIP:Bob@EXAMPLE.com:5070;transport=TCP;maddr=192.0.2.9",
                internal("sip:Bob@example.com:5070;transport=TCP"),
            ),
            ("sip:+49301234567@example.com", number("+49301234567")),
            ("sip:0301234567@example.com", number("0301234567")),
            ("sip:1004@example.com;user=phone", number("1004")),
            (
                "sips:bob@biloxi.example;gr=urn:uuid:1",
                foreign("sips:bob@biloxi.example;gr=urn:uuid:1"),
            ),
            ("sip:bob@192.0.2.7:5080", foreign("sip:bob@192.0.2.7:5080")),
            ("sip:bob@[2001:db8::1]:5080", foreign("sip:bob@[2001:db8::1]:5080")),
            (
                "sip:+49301234@gw.example;user=phone",
                foreign("sip:+49301234@gw.example;user=phone"),
            ),
            ("bob@notexample.com", foreign("sip:bob@notexample.com")),
        ] {
            assert_eq!(plan().read(typed), target, "{typed}");
        }
    }

    #[test]
    fn r47_what_cannot_be_read_is_not_called() {
        for typed in [
            "",
            "bob",
            "sip:example.com",
            "sip:@example.com",
            "sip:bob:secret@example.com",
            "sip:bob@example.com?Replaces=x",
            "sip:bob@example.com>\r\nX: y",
            "sip:bob@example.com, <sip:eve@example.com>",
            "sip:%zz@example.com",
            "sip:bob@ann@example.com",
            "tel:110;phone-context=+49",
            "tel:1-800-FLOWERS",
            "sip:+1-800-FLOWERS@example.com",
            "xmpp:bob@example.com",
            "+",
            "123456789012345678901",
        ] {
            assert_eq!(plan().read(typed), Err(Undialable::Unreadable), "{typed:?}");
        }
        assert_eq!(
            plan().read(&format!("sip:{}@example.com", "x".repeat(300))),
            Err(Undialable::Unreadable)
        );
    }

    #[test]
    fn x5_premium_and_emergency_numbers_are_known_in_every_disguise() {
        for typed in [
            "+1 900 555 0123",
            "tel:+19005550123",
            "00 1900 5550123",
            "011-1-900-555-0123",
            "sip:+19005550123@example.com;user=phone",
            "sip:%2B1900%35550123@example.com",
            "sip:0019005550123@example.com",
            "sip:+1-900-555-0123@gw.elsewhere.example",
            "09001234567",
        ] {
            assert_eq!(plan().read(typed), Err(Undialable::Premium), "{typed}");
        }
        for typed in [
            "112",
            "911",
            "9-1-1",
            "tel:112",
            "+112",
            "sip:112@example.com",
            "sip:%3112@elsewhere.example",
        ] {
            assert_eq!(plan().read(typed), Err(Undialable::Emergency), "{typed}");
        }
    }

    #[test]
    fn f2_a_class_that_is_off_is_not_called() {
        let inside = DialPlan {
            numbers: false,
            foreign: false,
            ..plan()
        };
        assert!(inside.read("bob@example.com").is_ok());
        for typed in ["+4930123456", "sip:0301234567@example.com", "bob@elsewhere.example"] {
            assert_eq!(inside.read(typed), Err(Undialable::Class), "{typed}");
        }
        assert_eq!(
            DialPlan::default().read("bob@example.com"),
            Err(Undialable::Class),
            "nothing is called unless somebody said so"
        );
    }
}
