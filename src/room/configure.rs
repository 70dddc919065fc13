//! What owners set, and what follows from it for those present (XEP-0045 sections 10.1, 10.2).

use crate::model::{Actor, Affiliation, Now, PersonId, Role, RoomConfig, RoomRecord, StoreOp, mute::MuteKind};

use super::policy::{self, Asking};
use super::{Accepted, Event, LeaveCause, Refusal, Room, Stage};

impl Room {
    pub(super) fn configure(&mut self, now: Now, asking: &Asking, config: RoomConfig) -> Result<Accepted, Refusal> {
        policy::own(asking.power)?;
        let first = self.stage == Stage::Unconfigured;
        if config == self.config && !first {
            return Ok(Accepted::Unchanged);
        }
        if config.number != self.config.number && !self.claim_number(config.number.as_deref()) {
            return Err(Refusal::NumberTaken);
        }
        let old = std::mem::replace(&mut self.config, config);
        self.stage = Stage::Open;
        self.save(first);
        let whois_changed = old.whois != self.config.whois;
        let other_changed = RoomConfig {
            whois: self.config.whois,
            ..old.clone()
        } != self.config;
        self.out.tell(Event::ConfigChanged {
            whois_changed,
            other_changed,
        });
        if self.config.members_only && !old.members_only {
            for id in self.people_below(Affiliation::Member) {
                self.enforce_membership(now, id, &LeaveCause::MembersOnlyNow);
            }
        }
        let lifted = old.moderated && !self.config.moderated
            || old.chat_voice_governs_audio && !self.config.chat_voice_governs_audio
            || old.lecture && !self.config.lecture;
        if lifted {
            for id in self.roster.ids() {
                self.lift_policy(id);
            }
        }
        self.settle();
        Ok(Accepted::Done)
    }

    pub(super) fn read_affiliations(&self, asking: &Asking, list: Affiliation) -> Result<Accepted, Refusal> {
        policy::read_affiliations(asking.power, list, self.config.whois == crate::model::Whois::Anyone)?;
        Ok(Accepted::List(self.lists.with(list)))
    }

    /// Says whether the room has this number now, instead of the one it had.
    pub(super) fn claim_number(&self, number: Option<&str>) -> bool {
        self.settings
            .numbers
            .as_ref()
            .is_none_or(|numbers| numbers.claim(&self.name, number))
    }

    fn people_below(&self, affiliation: Affiliation) -> Vec<PersonId> {
        self.roster
            .people()
            .filter(|(_, p)| self.affiliation_of(p) < affiliation)
            .map(|(id, _)| id)
            .collect()
    }

    /// A rule that the room no longer has silences nobody (rules R4, R6).
    fn lift_policy(&mut self, id: PersonId) {
        let before = self.shown(id);
        let Some(person) = self.roster.person(id) else { return };
        let was_policy = person.mutes.has(MuteKind::Policy);
        let revoked = person.listed.as_ref().is_some_and(|jid| self.lists.voice(jid) == Some(false));
        let (moderated, governs, audio_only) = (self.config.moderated, self.config.chat_voice_governs_audio, person.is_audio_only());
        let still = self.config.lecture || (moderated && governs && person.role < Role::Participant);
        let Some(person) = self.roster.person_mut(id) else { return };
        if !still {
            person.mutes.remove(MuteKind::Policy);
        }
        if !moderated && (was_policy || !revoked) {
            // Visitors by the old rule alone; those whose voice a moderator took stay without.
            person.role = person.role.max(Role::Participant);
        }
        // Of somebody in by phone alone it is a moderator's act on the call itself.
        if !governs && !audio_only {
            person.mutes.remove(MuteKind::ChatVoice);
        }
        self.announce(id, before, &Actor::Room, None);
    }

    /// Keeps the configuration; with the lists, when the room begins to exist for others.
    fn save(&mut self, with_lists: bool) {
        let record = RoomRecord {
            name: self.name.clone(),
            config: self.config.clone(),
            locked_until_configured: false,
            from_config: self.from_config,
            affiliations: self.lists.affiliations().map(|(jid, a)| (jid.clone(), a)).collect(),
            voice: self.lists.voices().clone(),
            subject: None,
            history: Vec::new(),
        };
        let lists: Vec<_> = if with_lists {
            record.affiliations.clone().into_iter().collect()
        } else {
            Vec::new()
        };
        self.out.keep(StoreOp::SaveRoom(Box::new(record)));
        for (jid, affiliation) in lists {
            self.out.keep(StoreOp::SetAffiliation(self.name.clone(), jid, affiliation));
        }
    }
}
