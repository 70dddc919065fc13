//! A call that takes the place of another (RFC 3891): the place is handed over as it is, mutes included.

use crate::model::{Actor, LegId, PersonId};

use super::{EndCause, LeaveCause, Room, Target};

impl Room {
    /// The new call has come in, or waits to be let in: the old one is over, in the room or in the lobby.
    pub(super) fn succeed(&mut self, leg: LegId, old: LegId) {
        let heir = self.person_of_leg(leg);
        if heir.is_none() && self.lobby.find(&Target::Leg(leg)).is_none() {
            return;
        }
        if let (Some(heir), Some(person)) = (heir, self.person_of_leg(old)) {
            self.hand_over_mutes(person, heir);
        }
        match self.lobby.find(&Target::Leg(old)) {
            Some(row) => self.end_waiting(row, EndCause::Departed),
            None => self.end_leg(old, EndCause::Departed, &LeaveCause::Withdrawn),
        }
        self.settle();
    }

    /// Every reason for which one person was muted holds for the other too (rule R4): neither is a transfer a way out of a mute, nor is somebody
    /// heard who didn't want to be.
    fn hand_over_mutes(&mut self, person: PersonId, heir: PersonId) {
        if heir == person {
            return;
        }
        let mutes = self.roster.person(person).map(|p| p.mutes.clone()).unwrap_or_default();
        let before = self.shown(heir);
        if let Some(row) = self.roster.person_mut(heir) {
            for mute in mutes.iter() {
                row.mutes.insert(mute.clone());
            }
        }
        self.announce(heir, before, &Actor::Room, None);
    }
}
