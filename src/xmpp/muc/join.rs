//! The `<x/>` with which a client asks to enter (section 7.2). Does not decide whether it may.

use minidom::Element;

use super::{NS_MUC, stamp};

/// How much of the discussion before their time somebody wants (section 7.2.14). What is `None` sets no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HistoryWish {
    /// At most so many characters of whole stanzas.
    pub max_chars: Option<u64>,
    /// At most so many stanzas.
    pub max_stanzas: Option<u64>,
    /// Only what was said in the last so many seconds.
    pub seconds: Option<u64>,
    /// Only what was said since then, in ms since the UNIX epoch.
    pub since_unix_ms: Option<u64>,
}

/// What a joining client says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Join {
    /// The room's password, as they know it.
    pub password: Option<String>,
    /// How much history they want.
    pub history: HistoryWish,
}

impl Join {
    /// Reads it from presence; `None` if the presence doesn't ask to enter. Limits that aren't numbers set no limit.
    pub fn read(presence: &Element) -> Option<Self> {
        let x = presence.get_child("x", NS_MUC)?;
        let history = x.get_child("history", NS_MUC).map(|h| {
            let number = |name: &str| h.attr(name).and_then(|v| v.trim().parse().ok());
            HistoryWish {
                max_chars: number("maxchars"),
                max_stanzas: number("maxstanzas"),
                seconds: number("seconds"),
                since_unix_ms: h.attr("since").and_then(stamp::parse),
            }
        });
        Some(Self {
            password: x.get_child("password", NS_MUC).map(Element::text),
            history: history.unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn muc_7_2_14_1_limits_are_read() {
        let presence: Element = "<presence xmlns='jabber:client'><x xmlns='http://jabber.org/protocol/muc'><password>x</password>\
             <history maxchars='0' maxstanzas='a' seconds='180' since='1970-01-01T00:00:01Z'/></x></presence>"
            .parse()
            .expect("a test's own XML");
        let join = Join::read(&presence).expect("a join");
        assert_eq!(join.password.as_deref(), Some("x"));
        let expected = HistoryWish {
            max_chars: Some(0),
            max_stanzas: None,
            seconds: Some(180),
            since_unix_ms: Some(1000),
        };
        assert_eq!(join.history, expected);
        assert_eq!(Join::read(&Element::bare("presence", "jabber:client")), None);
    }
}
