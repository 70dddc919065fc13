//! Why a stream ended, in words that say how to mend it.

use std::time::Duration;

use minidom::Element;

use super::ReadError;
use crate::xmpp::border::clean;

/// The namespace of streams (RFC 6120 section 4.8.1).
pub(super) const NS_STREAM: &str = "http://etherx.jabber.org/streams";

/// The namespace of what is wrong with them (RFC 6120 section 4.9.2).
const NS_STREAMS: &str = "urn:ietf:params:xml:ns:xmpp-streams";

/// Characters of the server's own words that are passed on to a log.
const MAX_WORDS: usize = 200;

/// Why a stream ended.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Ending {
    /// The server closed it in good order.
    #[error("the server closed the stream")]
    Closed,
    /// The connection broke.
    #[error("the connection broke")]
    Broken,
    /// The server sent a stream error (RFC 6120 section 4.9).
    #[error("the server ended the stream: {condition}{}{}", words(.text), advice(.condition))]
    Error {
        /// The defined condition.
        condition: String,
        /// The server's own words.
        text: Option<String>,
    },
    /// What the server sent can't be read.
    #[error("the server sent what can't be read: {0}")]
    Unreadable(#[from] ReadError),
    /// What the server sent is no component stream.
    #[error("this is no component stream: {0}; is this the server's component port?")]
    NotAStream(&'static str),
    /// The server didn't answer in this time.
    #[error("the server didn't answer for {} s", .0.as_secs())]
    Silent(Duration),
}

impl Ending {
    /// Reads a `<stream:error/>`.
    pub(super) fn from_error(error: &Element) -> Self {
        let words = |e: &Element| clean(&e.text()).chars().take(MAX_WORDS).collect();
        let mut conditions = error.children().filter(|c| c.has_ns(NS_STREAMS) && c.name() != "text");
        Self::Error {
            condition: conditions
                .next()
                .map_or("undefined-condition", Element::name)
                .chars()
                .take(MAX_WORDS)
                .collect(),
            text: error.get_child("text", NS_STREAMS).map(words),
        }
    }

    /// What we tell the server before we close the stream on it; `None` if there is nothing to tell, or nobody.
    pub(super) fn condition(&self) -> Option<&'static str> {
        match self {
            Self::Closed | Self::Broken | Self::Error { .. } => None,
            Self::Unreadable(ReadError::Xml(rxml::Error::RestrictedXml(_))) => Some("restricted-xml"),
            Self::Unreadable(ReadError::Xml(_)) => Some("not-well-formed"),
            Self::Unreadable(ReadError::Header(_) | ReadError::Endless) => Some("policy-violation"),
            Self::NotAStream(_) => Some("invalid-namespace"),
            Self::Silent(_) => Some("connection-timeout"),
        }
    }
}

fn words(text: &Option<String>) -> String {
    text.as_ref().map_or_else(String::new, |t| format!(" ({t})"))
}

fn advice(condition: &str) -> &'static str {
    match condition {
        "conflict" => {
            ": another program is connected as this component; stop it, or have the server prefer the newest \
             (Prosody: component_conflict_resolve = \"kick_old\")"
        }
        "not-authorized" => ": the secret is wrong; it must equal the component's secret in the server's configuration",
        "host-unknown" => ": the server's configuration has no component of this name",
        "invalid-namespace" => ": this is not the server's component port",
        "invalid-from" | "improper-addressing" => ": the server thinks that we used an address outside our domain",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conflict_says_what_to_do() {
        let error = "<e xmlns='x'><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>\
                     <text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>Component already connected</text></e>";
        let ending = Ending::from_error(&error.parse().expect("XML"));
        let message = ending.to_string();
        assert!(
            message.starts_with("the server ended the stream: conflict (Component already connected): another program"),
            "{message}"
        );
        assert!(message.contains("kick_old"), "{message}");
    }

    #[test]
    fn an_error_without_a_condition_is_still_an_ending() {
        let ending = Ending::from_error(&Element::bare("error", NS_STREAM));
        assert_eq!(
            ending,
            Ending::Error {
                condition: "undefined-condition".into(),
                text: None
            }
        );
    }
}
