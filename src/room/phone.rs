//! Stand-ins: callers shown in the chat as occupants (rules R26 to R28), so that any chat client can moderate them.

use std::time::Instant;

use crate::model::{Now, OccupantId, PersonId};

use super::nick::{self, Look};
use super::roster::StandIn;
use super::{Event, OccupantKind, Room};

/// Ids from here on are the room's own, for stand-ins; a chat peer counts below it.
pub const STAND_IN_IDS: u32 = 1 << 31;

impl Room {
    /// People in by phone alone whom the chat doesn't show, because the room shows as many as it may (rule R28).
    pub fn unshown_callers(&self) -> usize {
        self.roster.people().filter(|(_, p)| p.stand_in == StandIn::Crowded).count()
    }

    /// Shows somebody in the chat who is in by phone alone, if there is a place.
    pub(super) fn show_stand_in(&mut self, id: PersonId) {
        let crowded = self.roster.stand_ins() >= self.settings.max_phone_occupants;
        let Some(person) = self.roster.person_mut(id).filter(|p| p.is_audio_only() && !p.legs.is_empty()) else {
            return;
        };
        if crowded {
            person.stand_in = StandIn::Crowded;
            return;
        }
        let (Some(jid), Some((_, name))) = (person.phone.clone(), person.caller.clone()) else {
            return;
        };
        let listed = person.listed.clone();
        let nick = nick::of_stand_in(&name, |look| self.is_taken(look, id, listed.as_ref()));
        self.last_stand_in += 1;
        let occupant = OccupantId(self.last_stand_in);
        self.roster.add_occupant(occupant, id, nick, jid, OccupantKind::Phone);
        self.out.tell(Event::OccupantEntered(occupant));
    }

    /// Whether a caller shown by this name could be taken for somebody else.
    fn is_taken(&self, look: &Look, id: PersonId, listed: Option<&crate::model::BareJid>) -> bool {
        self.roster.occupants().any(|(_, o)| o.person != id && o.look.resembles(look))
            || self.is_reserved(look)
            || self.lists.knows_look(look, listed)
    }

    /// Gives free places to those who wait for one, longest in the room first.
    pub(super) fn show_crowded(&mut self) {
        let free = self.settings.max_phone_occupants.saturating_sub(self.roster.stand_ins());
        let waiting: Vec<PersonId> = self
            .roster
            .people()
            .filter(|(_, p)| p.stand_in == StandIn::Crowded)
            .take(free)
            .map(|(id, _)| id)
            .collect();
        for id in waiting {
            self.show_stand_in(id);
        }
    }

    pub(super) fn show_due_stand_ins(&mut self, now: Now) {
        let due: Vec<PersonId> = self
            .roster
            .people()
            .filter(|(_, p)| matches!(p.stand_in, StandIn::Due(at) if at <= now.at))
            .map(|(id, _)| id)
            .collect();
        for id in due {
            self.show_stand_in(id);
        }
    }

    pub(super) fn next_stand_in_due(&self) -> Option<Instant> {
        self.roster
            .people()
            .filter_map(|(_, p)| match p.stand_in {
                StandIn::Due(at) => Some(at),
                StandIn::Absent | StandIn::Crowded | StandIn::Here(_) => None,
            })
            .min()
    }
}
