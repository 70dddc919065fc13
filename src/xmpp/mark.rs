//! Our presence extension that shows by which means somebody takes part (checklist M-6). Does not say who speaks: that changes too fast.
//!
//! ```xml
//! <participation xmlns='urn:cusax:participation:0' text='two-way' audio='muted-host'>
//!   <muted reason='host' by='Ann'>too loud</muted>
//! </participation>
//! ```
//! `text` is one of `two-way`, `read-only`, `none`; `audio` one of `two-way`, `listen-only`, `muted-self`, `muted-host`, `on-hold`, `joining`, `none`.
//! `<muted/>` stands once for each reason in force: `self`, `host`, `chat-voice`, `policy`. `by` is a nick and, like the text, stands with `host` only.

use minidom::Element;

use super::stanza::{element, text, with};

/// The namespace of the extension.
pub const NS: &str = "urn:cusax:participation:0";

/// Which way somebody takes part in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Text {
    /// Reads and writes.
    TwoWay,
    /// Reads.
    ReadOnly,
    /// Isn't in the chat.
    None,
}

/// Which way somebody takes part in the audio.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audio {
    /// Speaks and listens.
    TwoWay,
    /// Listens, by their own phone's choice.
    ListenOnly,
    /// Muted by themselves.
    MutedSelf,
    /// Muted by somebody else, or by the room.
    MutedHost,
    /// On hold.
    OnHold,
    /// Not yet connected.
    Joining,
    /// Not in the audio.
    None,
}

/// Why somebody is muted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// By themselves.
    OwnChoice,
    /// By a host.
    Host {
        /// The host's nick, where others may know it.
        by: Option<String>,
        /// What the host said.
        why: Option<String>,
    },
    /// By losing voice in the chat.
    ChatVoice,
    /// By the room's policy.
    Policy,
}

/// One person's participation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// In the text.
    pub text: Text,
    /// In the audio.
    pub audio: Audio,
    /// Why they are muted; empty if they aren't.
    pub muted: Vec<Reason>,
}

impl Mark {
    /// Prints it.
    pub fn to_element(&self) -> Element {
        let own = element(
            "participation",
            NS,
            &[("text", Some(self.text.as_str())), ("audio", Some(self.audio.as_str()))],
        );
        with(own, self.muted.iter().map(Reason::to_element))
    }
}

impl Text {
    /// The attribute value on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TwoWay => "two-way",
            Self::ReadOnly => "read-only",
            Self::None => "none",
        }
    }
}

impl Audio {
    /// The attribute value on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TwoWay => "two-way",
            Self::ListenOnly => "listen-only",
            Self::MutedSelf => "muted-self",
            Self::MutedHost => "muted-host",
            Self::OnHold => "on-hold",
            Self::Joining => "joining",
            Self::None => "none",
        }
    }
}

impl Reason {
    fn to_element(&self) -> Element {
        let plain = |reason| element("muted", NS, &[("reason", Some(reason))]);
        match self {
            Self::OwnChoice => plain("self"),
            Self::ChatVoice => plain("chat-voice"),
            Self::Policy => plain("policy"),
            Self::Host { by, why } => {
                let mut muted = text("muted", NS, why.as_deref().unwrap_or(""));
                super::stanza::set(&mut muted, "reason", "host");
                if let Some(by) = by {
                    super::stanza::set(&mut muted, "by", by.clone());
                }
                muted
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m6_the_schema_stays_as_it_is() {
        let mark = Mark {
            text: Text::ReadOnly,
            audio: Audio::MutedHost,
            muted: vec![
                Reason::Host {
                    by: Some("Ann".to_owned()),
                    why: Some("too loud".to_owned()),
                },
                Reason::ChatVoice,
            ],
        };
        let expected: Element = "<participation xmlns='urn:cusax:participation:0' text='read-only' audio='muted-host'>\
             <muted reason='host' by='Ann'>too loud</muted><muted reason='chat-voice'/></participation>"
            .parse()
            .expect("a test's own XML");
        assert_eq!(mark.to_element(), expected);
    }
}
