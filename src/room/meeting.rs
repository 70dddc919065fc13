//! What concerns the whole meeting at once: silence for everybody, its end, and who would like to speak.

use crate::model::{Actor, Mute, Now, PersonId, mute::MuteKind};

use super::policy::{self, Asking};
use super::{Accepted, EndCause, Event, LeaveCause, Refusal, Room};

impl Room {
    /// Silences everybody on the phone whom the asker may, themselves apart; or takes back what hosts have muted. Voice is granted to nobody by that.
    pub(super) fn mute_all(&mut self, asking: &Asking, on: bool) -> Result<Accepted, Refusal> {
        policy::moderate(asking.power)?;
        let mut answer = Accepted::Unchanged;
        for id in self.roster.ids() {
            let reachable = asking.person != Some(id)
                && self.roster.person(id).is_some_and(|p| !p.legs.is_empty())
                && self.standing(id).is_some_and(|s| policy::act_on(asking.power, s).is_ok());
            let is_host = self.standing(id).is_some_and(|s| s.role == crate::model::Role::Moderator);
            if reachable && !(on && is_host) && self.set_host_mute(asking, id, on) {
                answer = Accepted::Done;
            }
        }
        Ok(answer)
    }

    fn set_host_mute(&mut self, asking: &Asking, id: PersonId, on: bool) -> bool {
        let before = self.shown(id);
        let Some(person) = self.roster.person_mut(id) else { return false };
        let (by, why) = (asking.actor.clone(), None);
        let changed = if on {
            // Whom another host has muted already, for a reason of their own, is left as they are.
            !person.mutes.has(MuteKind::Host) && person.mutes.insert(Mute::Host { by, why })
        } else {
            person.mutes.remove(MuteKind::Host)
        };
        self.announce(id, before, &asking.actor, None);
        changed
    }

    pub(super) fn end_for_all(&mut self, asking: &Asking) -> Result<Accepted, Refusal> {
        policy::moderate(asking.power)?;
        if self.roster.legs() == 0 && self.lobby.places() == 0 {
            return Err(Refusal::NobodyOnPhone);
        }
        let (by, why) = (asking.actor.clone(), None);
        self.end_calls(&EndCause::MeetingOver { by, why });
        Ok(Accepted::Done)
    }

    /// Ends every call, of those who wait too. The chat goes on (design section 4).
    pub(super) fn end_calls(&mut self, cause: &EndCause) {
        self.take_back_dials();
        for leg in self.roster.leg_ids() {
            self.end_leg(leg, cause.clone(), &LeaveCause::Withdrawn);
        }
        self.empty_callers(cause);
        self.settle();
    }

    /// Rule R32: raised, a hand is seen by those who can answer it.
    pub(super) fn raise_hand(&mut self, now: Now, asking: &Asking, up: bool) -> Result<Accepted, Refusal> {
        let id = asking.person.ok_or(Refusal::NotInRoom)?;
        let person = self.roster.person_mut(id).ok_or(Refusal::NotInRoom)?;
        if person.hand_raised == up {
            return Ok(Accepted::Unchanged);
        }
        if up {
            self.wish_to_speak(now, id);
        } else {
            person.hand_raised = false;
            self.out.tell(Event::AudioChanged {
                person: id,
                by: Some(asking.actor.clone()),
            });
        }
        Ok(Accepted::Done)
    }
}

/// A limit of the room ends its calls.
pub(super) fn by_limit(why: &str) -> EndCause {
    EndCause::MeetingOver {
        by: Actor::Room,
        why: Some(why.to_owned()),
    }
}
