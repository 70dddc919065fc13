//! Affiliations: who may change whose, and what follows for somebody present (XEP-0045 sections 9 and 10; bans by rule R3).

use crate::model::{Actor, Affiliation, AudioAccess, BareJid, Now, PersonId, Role, StoreOp};

use super::binding::Key;
use super::policy::{self, Asking};
use super::quarantine::Barred;
use super::{Accepted, EndCause, Event, LeaveCause, Refusal, Room};

impl Room {
    pub(super) fn set_affiliation(
        &mut self,
        now: Now,
        asking: &Asking,
        jid: BareJid,
        affiliation: Affiliation,
        why: Option<String>,
    ) -> Result<Accepted, Refusal> {
        policy::administer(asking.power)?;
        if affiliation == Affiliation::Outcast
            && let Some(id) = self.roster.by_phone(&jid)
            && self.roster.person(id).is_some_and(|p| p.listed.is_none())
        {
            return self.ban_number(now, asking, id, why);
        }
        let (jid, person) = self.bearer(jid)?;
        let from = self.lists.affiliation(&jid);
        let own = person.is_some() && person == asking.person || asking.actor == Actor::Account(jid.clone());
        policy::set_affiliation(asking.power, own, from, affiliation)?;
        if from == affiliation {
            return Ok(Accepted::Unchanged);
        }
        if from == Affiliation::Owner && !asking.power.is_operator() {
            if self.fixed_owners.contains(&jid) {
                return Err(Refusal::FixedByConfig);
            }
            if self.lists.owners() == 1 {
                return Err(Refusal::LastOwner);
            }
        }
        if from == Affiliation::None && self.lists.is_full() {
            return Err(Refusal::Full);
        }

        let before = person.and_then(|id| self.shown(id));
        self.lists.set_affiliation(&jid, affiliation, self.directory.as_ref());
        self.out.keep(StoreOp::SetAffiliation(self.name.clone(), jid.clone(), affiliation));
        if affiliation == Affiliation::Outcast {
            self.keep_voice(&jid, None);
        }
        let by = asking.actor.clone();
        let seen = person.is_some_and(|id| self.roster.person(id).is_some_and(|p| p.occupants().next().is_some()));
        match person {
            Some(id) if affiliation == Affiliation::Outcast => {
                let leave = LeaveCause::Banned {
                    by: by.clone(),
                    why: why.clone(),
                };
                self.put_out(
                    id,
                    &leave,
                    &EndCause::Banned {
                        by: by.clone(),
                        why: why.clone(),
                    },
                );
            }
            Some(id) => {
                self.adapt_role(id, from, affiliation);
                if affiliation < Affiliation::Member {
                    let leave = LeaveCause::MembershipLost {
                        by: by.clone(),
                        why: why.clone(),
                    };
                    self.enforce_membership(now, id, &leave);
                }
                self.announce(id, before, &by, why.as_deref());
            }
            None => {}
        }
        if !seen {
            self.out.tell(Event::AbsentAffiliation { jid, affiliation, by, why });
        }
        self.settle();
        Ok(Accepted::Done)
    }

    pub(super) fn ban(&mut self, now: Now, asking: &Asking, id: PersonId, why: Option<String>) -> Result<Accepted, Refusal> {
        policy::administer(asking.power)?;
        match self.roster.person(id).and_then(|p| p.listed.clone()) {
            Some(jid) => self.set_affiliation(now, asking, jid, Affiliation::Outcast, why),
            None => self.ban_number(now, asking, id, why),
        }
    }

    /// Rule R3: a number that a trunk vouches for is banned for a while; who has not even that leaves nothing that a ban could hold on to.
    fn ban_number(&mut self, now: Now, asking: &Asking, id: PersonId, why: Option<String>) -> Result<Accepted, Refusal> {
        policy::act_on(asking.power, self.standing(id).ok_or(Refusal::NoSuchTarget)?)?;
        let barred = self
            .roster
            .person(id)
            .and_then(|p| Barred::number(p.caller.as_ref().map(|(caller, _)| caller)));
        self.weak_bans
            .add(now.at, barred.ok_or(Refusal::CannotBan)?, now.at + self.settings.weak_ban);
        let by = asking.actor.clone();
        let leave = LeaveCause::Banned {
            by: by.clone(),
            why: why.clone(),
        };
        self.put_out(id, &leave, &EndCause::Banned { by, why });
        self.settle();
        Ok(Accepted::Done)
    }

    /// Whose standing is kept under this address: a stand-in's JID means the person behind it.
    fn bearer(&self, jid: BareJid) -> Result<(BareJid, Option<PersonId>), Refusal> {
        let Some(id) = self.roster.by_phone(&jid) else {
            let person = self.roster.by_key(&Key::Jid(jid.clone()));
            return Ok((jid, person));
        };
        match self.roster.person(id).and_then(|p| p.listed.clone()) {
            Some(listed) => Ok((listed, Some(id))),
            // Made up for this call: a standing for it would be nobody's.
            None => Err(Refusal::NoSuchTarget),
        }
    }

    /// The role that comes or goes with an affiliation (XEP-0045 section 5.1.3, note).
    fn adapt_role(&mut self, id: PersonId, from: Affiliation, to: Affiliation) {
        let Some(role) = self.roster.person(id).map(|p| p.role) else {
            return;
        };
        let becomes = if to >= Affiliation::Admin {
            Role::Moderator
        } else if from >= Affiliation::Admin {
            role.min(Role::Participant)
        } else if to == Affiliation::Member && self.config.moderated {
            role.max(Role::Participant)
        } else {
            role
        };
        if (role == Role::Visitor && becomes > role) || becomes == Role::Moderator {
            self.grant_voice(id);
        }
        if let Some(person) = self.roster.person_mut(id) {
            person.role = becomes;
        }
    }

    /// Puts out of a members-only room whoever is no member: from the chat always, from the audio by the room's policy (rule R7).
    pub(super) fn enforce_membership(&mut self, now: Now, id: PersonId, leave: &LeaveCause) {
        let governs = self.config.membership_governs_audio && (self.config.members_only || self.config.audio == AudioAccess::Members);
        if governs && self.config.members_only {
            self.put_out(id, leave, &EndCause::MembershipLost);
        } else if governs {
            for leg in self.legs_of(id) {
                self.end_leg(leg, EndCause::MembershipLost, &LeaveCause::Withdrawn);
            }
        } else if self.config.members_only {
            for occupant in self.roster.person(id).map(|p| p.chats.clone()).unwrap_or_default() {
                self.leave_chat(now, occupant, leave);
            }
        }
    }
}
