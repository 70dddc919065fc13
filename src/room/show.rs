//! What peers and operators read: views made from the room's state at the moment of asking.

use crate::model::{Actor, LegId, OccupantId, PersonId, Role, mute::MuteKind};

use super::roster::{Leg, Occupant, Person};
use super::{AudioLevel, LegState, LegView, OccupantView, PersonView, Room, TextLevel, role};

impl Room {
    /// Everybody, in order of their rows.
    pub fn people(&self) -> impl Iterator<Item = PersonView> {
        self.roster.people().map(|(id, person)| self.view(id, person))
    }

    /// One row.
    pub fn person(&self, id: PersonId) -> Option<PersonView> {
        self.roster.person(id).map(|person| self.view(id, person))
    }

    /// Every nick, in order of entry, stand-ins included.
    pub fn occupants(&self) -> impl Iterator<Item = OccupantView> {
        self.roster
            .occupants()
            .filter_map(|(id, occupant)| self.occupant_view(id, occupant))
    }

    /// One nick.
    pub fn occupant(&self, id: OccupantId) -> Option<OccupantView> {
        self.occupant_view(id, self.roster.occupant(id)?)
    }

    /// Who bears exactly this nick.
    pub fn occupant_by_nick(&self, nick: &str) -> Option<OccupantId> {
        self.roster.occupants().find(|(_, o)| o.nick == nick).map(|(id, _)| id)
    }

    /// Whose call this is.
    pub fn person_of_leg(&self, leg: LegId) -> Option<PersonId> {
        self.roster.leg(leg).map(|l| l.person)
    }

    /// A nick if there is one, else what they are called as a caller.
    pub(super) fn name_of(&self, person: &Person) -> String {
        let nick = person
            .chats
            .first()
            .and_then(|id| self.roster.occupant(*id))
            .map(|o| o.nick.clone());
        nick.or_else(|| person.caller.as_ref().map(|(_, name)| name.clone()))
            .unwrap_or_default()
    }

    /// Whose doing something is, as everybody may read it.
    pub fn shown_actor(&self, actor: &Actor) -> String {
        match actor {
            Actor::Person { name, .. } => name.clone(),
            // An absent admin's address is not for everybody (rule R13).
            Actor::Account(_) => "An admin".to_owned(),
            Actor::Operator => "The operator".to_owned(),
            Actor::Room => "The room".to_owned(),
        }
    }

    /// The parts of a view that reports can change.
    pub(super) fn audio_shown(&self, id: PersonId) -> Option<(AudioLevel, bool, Vec<LegState>)> {
        let person = self.roster.person(id)?;
        Some((
            self.audio_level(person),
            self.is_speaking(person),
            self.legs(person).map(|(_, l)| state(l)).collect(),
        ))
    }

    fn view(&self, id: PersonId, person: &Person) -> PersonView {
        let affiliation = self.affiliation_of(person);
        let role = role::shown(person, affiliation);
        PersonView {
            id,
            correlation: person.correlation,
            name: self.name_of(person),
            caller: person.caller.as_ref().map(|(caller, _)| caller.clone()),
            jid: person.jid().cloned(),
            affiliation,
            role,
            mutes: person.mutes.clone(),
            text: self.text_level(person),
            audio: self.audio_level(person),
            speaking: self.is_speaking(person),
            spoke_unix_ms: person.spoke_unix_ms,
            hand_raised: person.hand_raised,
            legs: self.legs(person).map(|(id, leg)| leg_view(id, leg)).collect(),
            occupants: person.occupants().collect(),
            hidden_entity: person.hidden_entity.clone(),
        }
    }

    fn occupant_view(&self, id: OccupantId, occupant: &Occupant) -> Option<OccupantView> {
        let standing = self.standing(occupant.person)?;
        Some(OccupantView {
            id,
            person: occupant.person,
            nick: occupant.nick.clone(),
            jid: occupant.jid.clone(),
            kind: occupant.kind,
            affiliation: standing.affiliation,
            role: standing.role,
        })
    }

    fn text_level(&self, person: &Person) -> TextLevel {
        if !self.linked || person.is_audio_only() {
            TextLevel::None
        } else if person.role >= Role::Participant {
            TextLevel::TwoWay
        } else {
            TextLevel::ReadOnly
        }
    }

    /// The best of their legs; a mute counts for all of them.
    fn audio_level(&self, person: &Person) -> AudioLevel {
        let states: Vec<(LegState, bool)> = self.legs(person).map(|(_, l)| (state(l), l.listens_only)).collect();
        let up: Vec<bool> = states
            .iter()
            .filter(|(s, _)| *s == LegState::Up)
            .map(|(_, listens_only)| *listens_only)
            .collect();
        if states.is_empty() {
            AudioLevel::None
        } else if up.is_empty() {
            let held = states.iter().any(|(s, _)| *s == LegState::Held);
            if held { AudioLevel::OnHold } else { AudioLevel::Joining }
        } else if person.is_silenced() {
            AudioLevel::MutedByHost
        } else if person.mutes.has(MuteKind::OwnChoice) {
            AudioLevel::MutedBySelf
        } else if up.iter().all(|listens_only| *listens_only) {
            AudioLevel::ListenOnly
        } else {
            AudioLevel::TwoWay
        }
    }

    /// Nobody is shown as speaking whom nobody hears.
    fn is_speaking(&self, person: &Person) -> bool {
        !person.mutes.is_muted() && self.legs(person).any(|(_, l)| l.speaking && !l.held)
    }

    fn legs<'a>(&'a self, person: &'a Person) -> impl Iterator<Item = (LegId, &'a Leg)> {
        person.legs.iter().filter_map(|id| Some((*id, self.roster.leg(*id)?)))
    }
}

fn state(leg: &Leg) -> LegState {
    if !leg.confirmed {
        LegState::Joining
    } else if leg.held {
        LegState::Held
    } else {
        LegState::Up
    }
}

fn leg_view(id: LegId, leg: &Leg) -> LegView {
    LegView {
        id,
        state: state(leg),
        endpoint: leg.endpoint.clone(),
        ssrc: leg.ssrc,
        joined_unix_ms: leg.joined_unix_ms,
        correlation: leg.correlation,
        dialed_out: leg.dialed_out,
    }
}
