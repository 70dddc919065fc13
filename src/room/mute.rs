//! Mutes of audio (rules R4 to R6, R9): by oneself, by a host; and the wish to speak.

use std::time::Duration;

use crate::model::{Mute, Now, PersonId, mute::MuteKind};

use super::policy::{self, Asking};
use super::{Accepted, Event, Refusal, Room};

/// Moderators hear of one person's wish to speak at most this often: a key can be pressed faster than it can be answered.
const WISH_INTERVAL: Duration = Duration::from_secs(10);

impl Room {
    pub(super) fn mute(&mut self, asking: &Asking, id: PersonId, why: Option<String>) -> Result<Accepted, Refusal> {
        let own = asking.person == Some(id);
        if !own {
            policy::act_on(asking.power, self.standing(id).ok_or(Refusal::NoSuchTarget)?)?;
        }
        let before = self.shown(id);
        let mute = if own {
            Mute::OwnChoice
        } else {
            Mute::Host {
                by: asking.actor.clone(),
                why: why.clone(),
            }
        };
        if !self.roster.person_mut(id).is_some_and(|p| p.mutes.insert(mute)) {
            return Ok(Accepted::Unchanged);
        }
        self.announce(id, before, &asking.actor, why.as_deref());
        Ok(Accepted::Done)
    }

    pub(super) fn unmute(&mut self, now: Now, asking: &Asking, id: PersonId) -> Result<Accepted, Refusal> {
        let person = self.roster.person(id).ok_or(Refusal::NoSuchTarget)?;
        let own = asking.person == Some(id);
        if !own {
            policy::moderate(asking.power)?;
        }
        if !person.mutes.is_muted() {
            return Ok(Accepted::Unchanged);
        }
        let silenced = person.is_silenced();
        let hosted = person.mutes.has(MuteKind::Host);
        let needs_grant = person.mutes.has(MuteKind::ChatVoice) || person.mutes.has(MuteKind::Policy);
        let clears_own = own && person.mutes.has(MuteKind::OwnChoice);
        let clears_others = silenced && asking.power.moderates();
        if clears_own || clears_others {
            let before = self.shown(id);
            if clears_others && needs_grant {
                self.grant_voice(id);
            }
            if let Some(person) = self.roster.person_mut(id) {
                if clears_others {
                    person.mutes.remove(MuteKind::Host);
                    person.hand_raised = false;
                }
                if clears_own {
                    person.mutes.remove(MuteKind::OwnChoice);
                }
            }
            self.announce(id, before, &asking.actor, None);
        }
        if own && silenced && !clears_others {
            self.wish_to_speak(now, id);
        }
        if clears_own || clears_others {
            Ok(Accepted::Done)
        } else if !own {
            self.ask_to_unmute(asking, id);
            Err(Refusal::OwnMute)
        } else if hosted {
            Err(Refusal::NotModerator)
        } else {
            Err(Refusal::PolicyMute)
        }
    }

    /// Nobody clears somebody's own mute for them: they are asked (rule R4).
    fn ask_to_unmute(&mut self, asking: &Asking, id: PersonId) {
        let Some(occupant) = self.roster.person(id).and_then(|p| p.chats.first().copied()) else {
            return;
        };
        let who = self.shown_actor(&asking.actor);
        self.out.tell(Event::Notice {
            to: Some(occupant),
            text: format!("{who} asks you to unmute yourself."),
        });
    }

    /// Rule R32: the wish of somebody who was muted by others reaches those who can answer it.
    pub(super) fn wish_to_speak(&mut self, now: Now, id: PersonId) {
        let Some(person) = self.roster.person_mut(id) else { return };
        let raised = std::mem::replace(&mut person.hand_raised, true);
        let told = person.wished.is_some_and(|at| now.at.saturating_duration_since(at) < WISH_INTERVAL);
        if !told {
            person.wished = Some(now.at);
        }
        if !raised {
            let by = Some(self.actor(id));
            self.out.tell(Event::AudioChanged { person: id, by });
        }
        if !told {
            let name = self.roster.person(id).map(|p| self.name_of(p)).unwrap_or_default();
            self.out.tell(Event::Notice {
                to: None,
                text: format!("{name} would like to speak."),
            });
        }
    }
}
