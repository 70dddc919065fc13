//! What was typed at the door: a PIN (rule R14), the moderators', or a join code (rule R2).

use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::model::{Actor, Entry, LegId, MediaOrder, Now, PersonId, Phrase, Role, mute::MuteKind};

use super::policy::{Asking, Power};
use super::{Refusal, Room, code};

/// What somebody's digits give them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Right {
    /// Nothing: none were typed, or the wrong ones.
    None,
    /// Entry.
    Pin,
    /// Entry, and the moderation of the call.
    Moderator,
    /// Entry as this person, whose code it is; they have yet to say that they mean it.
    Asked(PersonId),
    /// Entry as this person.
    Bound(PersonId),
}

impl Room {
    /// What was typed is worth, if anything. Wrong codes are counted.
    pub(super) fn right_of(&mut self, now: Now, entry: &Entry) -> Result<Right, Refusal> {
        let (typed, confirmed) = match entry {
            Entry::Nothing => return Ok(Right::None),
            Entry::Typed(typed) => (typed, false),
            Entry::Confirmed(typed) => (typed, true),
        };
        if !confirmed {
            // Both are compared, whatever the first says: the time that it takes tells nothing.
            let moderator = is_secret(self.config.moderator_pin.as_deref(), typed);
            let pin = is_secret(self.config.pin.as_deref(), typed);
            if moderator {
                return Ok(Right::Moderator);
            } else if pin {
                return Ok(Right::Pin);
            }
        }
        let owner = self.codes.owner(now.at, typed).filter(|id| self.roster.person(*id).is_some());
        match owner {
            Some(person) if confirmed => Ok(Right::Bound(person)),
            Some(person) => Ok(Right::Asked(person)),
            None => {
                if typed.len() == code::DIGITS {
                    self.codes.failed(now.at);
                }
                Err(Refusal::Pin)
            }
        }
    }

    /// A code lets in once (rule R2).
    pub(super) fn use_up(&mut self, entry: &Entry) {
        if let Entry::Confirmed(code) = entry {
            self.codes.consume(code);
        }
    }

    /// Whoever knows the moderators' PIN moderates by phone, as long as they are on it. In the chat they are what they were.
    pub(super) fn moderates_by_pin(&mut self, leg: LegId, id: PersonId) {
        let before = self.shown(id);
        if let Some(person) = self.roster.person_mut(id) {
            person.moderates_by_phone = true;
            person.mutes.remove(MuteKind::Policy);
        }
        self.announce(id, before, &Actor::Room, None);
        self.out.order(MediaOrder::Say(leg, vec![Phrase::YouModerate]));
    }

    /// Somebody who asks by a call of theirs: the moderators' PIN counts there and nowhere else.
    pub(super) fn asking_leg(&self, leg: LegId) -> Result<Asking, Refusal> {
        let person = self.person_of_leg(leg);
        let mut asking = self.asking_person(person)?;
        if let Power::Of(standing) = &mut asking.power
            && person.and_then(|id| self.roster.person(id)).is_some_and(|p| p.moderates_by_phone)
        {
            standing.role = Role::Moderator;
        }
        Ok(asking)
    }
}

/// Compares without telling by the time it takes how much is right: what is compared are keyed digests of both.
fn is_secret(secret: Option<&str>, typed: &str) -> bool {
    let Some(secret) = secret.filter(|s| !s.is_empty()) else {
        return false;
    };
    let mac = |text: &str| {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes a key of any length (RFC 2104 section 2)");
        mac.update(text.as_bytes());
        mac
    };
    mac(typed).verify(&mac(secret).finalize().into_bytes()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r14_a_pin_is_the_whole_pin() {
        assert!(is_secret(Some("123456"), "123456"));
        for typed in ["", "1", "12345", "1234567", "654321"] {
            assert!(!is_secret(Some("123456"), typed), "{typed}");
        }
        assert!(!is_secret(None, ""));
        assert!(!is_secret(Some(""), ""), "an empty PIN opens nothing");
    }
}
