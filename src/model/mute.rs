//! Why somebody's audio is muted (rule R4): a set of reasons, muted while it isn't empty.

use super::Actor;

/// One reason for a mute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mute {
    /// Their own choice.
    OwnChoice,
    /// A moderator's act.
    Host {
        /// Who did it.
        by: Actor,
        /// What they said about it.
        why: Option<String>,
    },
    /// Voice was revoked in the chat (rule R5).
    ChatVoice,
    /// The room is moderated and they have no voice yet (rule R6): nobody's act.
    Policy,
}

/// At most one of each reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MuteSet {
    reasons: Vec<Mute>,
}

impl MuteSet {
    /// Whether anything mutes them.
    pub fn is_muted(&self) -> bool {
        !self.reasons.is_empty()
    }

    /// Adds a reason, or replaces the one of the same kind; says whether the set changed.
    pub fn insert(&mut self, mute: Mute) -> bool {
        match self.reasons.iter_mut().find(|r| r.kind() == mute.kind()) {
            Some(r) if *r == mute => false,
            Some(r) => {
                *r = mute;
                true
            }
            None => {
                self.reasons.push(mute);
                true
            }
        }
    }

    /// Removes the reason of this kind; says whether it was there.
    pub fn remove(&mut self, kind: MuteKind) -> bool {
        let before = self.reasons.len();
        self.reasons.retain(|r| r.kind() != kind);
        self.reasons.len() != before
    }

    /// Whether a reason of this kind is in the set.
    pub fn has(&self, kind: MuteKind) -> bool {
        self.reasons.iter().any(|r| r.kind() == kind)
    }

    /// The reasons, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Mute> {
        self.reasons.iter()
    }
}

/// The kind of a reason, without its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MuteKind {
    /// See [`Mute::OwnChoice`].
    OwnChoice,
    /// See [`Mute::Host`].
    Host,
    /// See [`Mute::ChatVoice`].
    ChatVoice,
    /// See [`Mute::Policy`].
    Policy,
}

impl Mute {
    /// The kind of this reason.
    pub fn kind(&self) -> MuteKind {
        match self {
            Self::OwnChoice => MuteKind::OwnChoice,
            Self::Host { .. } => MuteKind::Host,
            Self::ChatVoice => MuteKind::ChatVoice,
            Self::Policy => MuteKind::Policy,
        }
    }
}
