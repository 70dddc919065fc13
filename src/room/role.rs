//! Roles: what somebody may do during this visit, the voice they have, and the memory of it (XEP-0045 section 5.1, rule R5).

use crate::model::{Actor, Affiliation, BareJid, Mute, MuteSet, PersonId, Role, StoreOp, mute::MuteKind};

use super::binding::Key;
use super::policy::{self, Asking, Standing};
use super::roster::Person;
use super::{Accepted, Event, Refusal, Room};

/// What everybody can see of a person's standing: taken before a change, compared after it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Shown {
    standing: Standing,
    mutes: MuteSet,
}

/// The role that everybody is shown. In by phone alone, it mirrors the mute: a visitor may not speak either (rule R26).
pub(super) fn shown(person: &Person, affiliation: Affiliation) -> Role {
    if !person.is_audio_only() {
        person.role
    } else if affiliation >= Affiliation::Admin || person.moderates_by_phone {
        // XEP-0045 section 8.4: an admin's voice isn't taken away; a mute of theirs shows as one.
        Role::Moderator
    } else if person.is_silenced() {
        Role::Visitor
    } else {
        person.role.max(Role::Participant)
    }
}

impl Room {
    pub(super) fn shown(&self, id: PersonId) -> Option<Shown> {
        let standing = self.standing(id)?;
        let mutes = self.roster.person(id)?.mutes.clone();
        Some(Shown { standing, mutes })
    }

    /// Tells the difference between then and now: to the media plane first, then to everybody.
    pub(super) fn announce(&mut self, id: PersonId, before: Option<Shown>, by: &Actor, why: Option<&str>) {
        let (Some(before), Some(after), Some(person)) = (before, self.shown(id), self.roster.person(id)) else {
            return;
        };
        if before.mutes.is_muted() != after.mutes.is_muted() {
            for leg in &person.legs {
                self.out.order(crate::model::MediaOrder::Mute(*leg, after.mutes.is_muted()));
            }
        }
        let Standing { role, affiliation } = after.standing;
        let occupants: Vec<_> = person.occupants().collect();
        let restanding = before.standing != after.standing;
        if restanding {
            for occupant in &occupants {
                let why = why.map(str::to_owned);
                self.out.tell(Event::StandingChanged {
                    occupant: *occupant,
                    role,
                    affiliation,
                    by: by.clone(),
                    why,
                });
            }
        }
        if before.mutes != after.mutes || (restanding && occupants.is_empty()) {
            self.out.tell(Event::AudioChanged {
                person: id,
                by: Some(by.clone()),
            });
        }
    }

    /// The role and mute that somebody starts with (XEP-0045 section 5.1.2; rules R5, R6).
    pub(super) fn first_standing(&self, key: &Key, listed: Option<&BareJid>) -> (Role, Option<Mute>) {
        let affiliation = listed.map_or(Affiliation::None, |jid| self.lists.affiliation(jid));
        let role = self.default_role(affiliation);
        // A lecture is about voices alone: who listens may still write.
        let lecture = self.config.lecture.then_some(Mute::Policy);
        match listed.and_then(|jid| self.lists.voice(jid)) {
            _ if role == Role::Moderator => (role, None),
            Some(true) => (Role::Participant, None),
            // Whoever has no chat half lost their voice as a caller.
            Some(false) if self.config.chat_voice_governs_audio || matches!(key, Key::Aor(_)) => (Role::Visitor, Some(Mute::ChatVoice)),
            Some(false) => (Role::Visitor, lecture),
            None if role == Role::Visitor && self.config.chat_voice_governs_audio => (role, Some(Mute::Policy)),
            None => (role, lecture),
        }
    }

    fn default_role(&self, affiliation: Affiliation) -> Role {
        match affiliation {
            Affiliation::Owner | Affiliation::Admin => Role::Moderator,
            Affiliation::Member => Role::Participant,
            Affiliation::None | Affiliation::Outcast if self.config.moderated => Role::Visitor,
            Affiliation::None | Affiliation::Outcast => Role::Participant,
        }
    }

    pub(super) fn set_role(&mut self, asking: &Asking, id: PersonId, role: Role, why: Option<&str>) -> Result<Accepted, Refusal> {
        let target = self.standing(id).ok_or(Refusal::NoSuchTarget)?;
        policy::set_role(asking.power, target, role)?;
        if target.role == role {
            return Ok(Accepted::Unchanged);
        }
        let before = self.shown(id);
        if role == Role::Visitor {
            self.revoke_voice(id);
        } else if target.role == Role::Visitor || role == Role::Moderator {
            self.grant_voice(id);
            // A grant is the only unmute that a chat client can give to somebody who is in by phone alone (rule R4).
            if let Some(person) = self.roster.person_mut(id).filter(|p| p.is_audio_only()) {
                person.mutes.remove(MuteKind::Host);
            }
        }
        if let Some(person) = self.roster.person_mut(id) {
            person.role = role;
        }
        self.announce(id, before, &asking.actor, why);
        Ok(Accepted::Done)
    }

    /// Gives voice (rule R5): clears what only that clears.
    pub(super) fn grant_voice(&mut self, id: PersonId) {
        let Some(person) = self.roster.person_mut(id) else { return };
        person.role = person.role.max(Role::Participant);
        person.mutes.remove(MuteKind::ChatVoice);
        person.mutes.remove(MuteKind::Policy);
        person.hand_raised = false;
        self.remember_voice(id, true);
    }

    fn revoke_voice(&mut self, id: PersonId) {
        let governs = self.config.chat_voice_governs_audio;
        let Some(person) = self.roster.person_mut(id) else { return };
        person.role = Role::Visitor;
        if governs || person.is_audio_only() {
            person.mutes.insert(Mute::ChatVoice);
        }
        self.remember_voice(id, false);
    }

    /// Keeps voice for the next visit, unless a newcomer of that affiliation would have it anyway.
    fn remember_voice(&mut self, id: PersonId, voice: bool) {
        let Some(jid) = self.roster.person(id).and_then(|p| p.listed.clone()) else {
            return;
        };
        let usual = !self.config.lecture && self.default_role(self.lists.affiliation(&jid)) >= Role::Participant;
        self.keep_voice(&jid, if voice && usual { None } else { Some(voice) });
    }

    pub(super) fn keep_voice(&mut self, jid: &BareJid, voice: Option<bool>) {
        if self.lists.set_voice(jid, voice) {
            self.out.keep(StoreOp::SetVoice(self.name.clone(), jid.clone(), voice));
        }
    }
}
