//! The reference: rules R3 to R10 and XEP-0045 section 5 in the plainest words, without ids, queues, timers or media.

use std::collections::{BTreeMap, BTreeSet};

use cusax::model::{Affiliation, Role};

/// Who somebody is: the name of an account, or a call that proves nothing.
pub(crate) type Who = String;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reason {
    Own,
    Host,
    Voice,
    Policy,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) role: Role,
    pub(crate) reasons: BTreeSet<Reason>,
    pub(crate) legs: usize,
    pub(crate) nicks: usize,
}

/// Whoever acts: their row, or an absent account's affiliation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Doer {
    Operator,
    Is(Who),
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Reference {
    pub(crate) rows: BTreeMap<Who, Row>,
    pub(crate) affiliations: BTreeMap<Who, Affiliation>,
    pub(crate) voice: BTreeMap<Who, bool>,
    pub(crate) moderated: bool,
    pub(crate) members_only: bool,
    pub(crate) chat_voice_governs: bool,
    pub(crate) membership_governs: bool,
    pub(crate) locked: bool,
    pub(crate) recorded: bool,
    /// Until which second somebody stays out.
    pub(crate) out: BTreeMap<Who, u64>,
    pub(crate) second: u64,
}

impl Reference {
    pub(crate) fn affiliation(&self, who: &str) -> Affiliation {
        self.affiliations.get(who).copied().unwrap_or(Affiliation::None)
    }

    /// Only calls of accounts prove anything; only these have a name without `#`.
    fn is_proven(who: &str) -> bool {
        !who.contains('#')
    }

    fn has_chat_half(who: &str) -> bool {
        Self::is_proven(who) && who != super::action::PHONE_ONLY
    }

    pub(crate) fn shown_role(&self, who: &str) -> Role {
        let row = &self.rows[who];
        if row.nicks > 0 {
            row.role
        } else if self.affiliation(who) >= Affiliation::Admin {
            Role::Moderator
        } else if row.reasons.iter().any(|r| *r != Reason::Own) {
            Role::Visitor
        } else {
            row.role.max(Role::Participant)
        }
    }

    fn level(&self, doer: &Doer) -> Affiliation {
        match doer {
            Doer::Operator => Affiliation::Owner,
            Doer::Is(who) => self.affiliation(who),
        }
    }

    fn moderates(&self, doer: &Doer) -> bool {
        let by_role = |who: &Who| self.rows.contains_key(who) && self.shown_role(who) == Role::Moderator;
        self.level(doer) >= Affiliation::Admin || matches!(doer, Doer::Is(who) if by_role(who))
    }

    fn may_act_on(&self, doer: &Doer, whom: &str) -> bool {
        let level = self.affiliation(whom);
        let protected = level >= Affiliation::Admin && self.level(doer) < level;
        let colleague = self.shown_role(whom) == Role::Moderator && self.level(doer) < Affiliation::Admin;
        self.moderates(doer) && !protected && !colleague
    }

    fn usual_role(&self, who: &str) -> Role {
        match self.affiliation(who) {
            Affiliation::Owner | Affiliation::Admin => Role::Moderator,
            Affiliation::None if self.moderated => Role::Visitor,
            Affiliation::Member | Affiliation::None | Affiliation::Outcast => Role::Participant,
        }
    }

    fn come(&mut self, who: &str) -> &mut Row {
        let usual = self.usual_role(who);
        let taken = self.voice.get(who) == Some(&false);
        let given = self.voice.get(who) == Some(&true);
        let governs = self.chat_voice_governs;
        self.rows.entry(who.to_owned()).or_insert_with(|| {
            let mut row = Row {
                role: usual,
                reasons: BTreeSet::new(),
                legs: 0,
                nicks: 0,
            };
            if usual == Role::Moderator {
            } else if taken {
                row.role = Role::Visitor;
                if governs || !Self::has_chat_half(who) {
                    row.reasons.insert(Reason::Voice);
                }
            } else if given {
                row.role = Role::Participant;
            } else if usual == Role::Visitor && governs {
                row.reasons.insert(Reason::Policy);
            }
            row
        })
    }

    fn door_is_open(&self, who: &str) -> bool {
        let level = self.affiliation(who);
        level != Affiliation::Outcast
            && self.out.get(who).is_none_or(|until| *until <= self.second)
            && (!self.locked || self.rows.contains_key(who) || level >= Affiliation::Admin)
            && (!self.members_only || level >= Affiliation::Member)
    }

    pub(crate) fn enter(&mut self, who: &str) -> bool {
        let ok = self.door_is_open(who);
        if ok {
            self.come(who).nicks += 1;
        }
        ok
    }

    pub(crate) fn call(&mut self, who: &str) -> bool {
        let ok = self.door_is_open(who);
        if ok {
            self.come(who).legs += 1;
        }
        ok
    }

    pub(crate) fn leave(&mut self, who: &str) {
        if let Some(row) = self.rows.get_mut(who) {
            row.nicks -= 1;
        }
        self.forget_if_gone(who);
    }

    pub(crate) fn hang_up(&mut self, who: &str) {
        if let Some(row) = self.rows.get_mut(who) {
            row.legs -= 1;
            if row.legs == 0 {
                row.reasons.remove(&Reason::Own);
            }
        }
        self.forget_if_gone(who);
    }

    fn forget_if_gone(&mut self, who: &str) {
        if self.rows.get(who).is_some_and(|r| r.legs + r.nicks == 0) {
            self.rows.remove(who);
        }
    }

    pub(crate) fn mute(&mut self, doer: &Doer, whom: &str) -> bool {
        let own = *doer == Doer::Is(whom.to_owned());
        let ok = own || self.may_act_on(doer, whom);
        if ok {
            let row = self.rows.get_mut(whom).expect("present");
            row.reasons.insert(if own { Reason::Own } else { Reason::Host });
        }
        ok
    }

    pub(crate) fn unmute(&mut self, doer: &Doer, whom: &str) -> bool {
        let own = *doer == Doer::Is(whom.to_owned());
        let moderates = self.moderates(doer);
        let row = self.rows.get_mut(whom).expect("present");
        if !own && !moderates {
            return false;
        }
        let before = row.reasons.clone();
        if own {
            row.reasons.remove(&Reason::Own);
        }
        if moderates {
            row.reasons.remove(&Reason::Host);
            if row.reasons.contains(&Reason::Voice) || row.reasons.contains(&Reason::Policy) {
                self.grant(whom);
            }
        }
        before.is_empty() || self.rows[whom].reasons != before
    }

    fn grant(&mut self, whom: &str) {
        let usual = self.usual_role(whom);
        let row = self.rows.get_mut(whom).expect("present");
        row.role = row.role.max(Role::Participant);
        row.reasons.remove(&Reason::Voice);
        row.reasons.remove(&Reason::Policy);
        self.voice.remove(whom);
        if usual == Role::Visitor && Self::is_proven(whom) {
            self.voice.insert(whom.to_owned(), true);
        }
    }

    pub(crate) fn role(&mut self, doer: &Doer, whom: &str, to: Role) -> bool {
        let from = self.shown_role(whom);
        let level = self.affiliation(whom);
        let ok = match to {
            Role::Moderator => self.level(doer) >= Affiliation::Admin,
            Role::Participant if from == Role::Moderator => level < Affiliation::Admin && self.may_act_on(doer, whom),
            Role::Participant => self.moderates(doer),
            Role::Visitor => {
                let equal = level == Affiliation::Member && self.level(doer) <= level;
                level < Affiliation::Admin && !equal && self.may_act_on(doer, whom)
            }
            Role::None => self.may_act_on(doer, whom),
        };
        if !ok || from == to {
            return ok;
        }
        let alone = self.rows[whom].nicks == 0;
        if to == Role::Visitor {
            let governs = self.chat_voice_governs;
            let row = self.rows.get_mut(whom).expect("present");
            if governs || alone {
                row.reasons.insert(Reason::Voice);
            }
            if Self::is_proven(whom) {
                self.voice.insert(whom.to_owned(), false);
            }
        } else if from == Role::Visitor {
            self.grant(whom);
            if alone {
                self.rows.get_mut(whom).expect("present").reasons.remove(&Reason::Host);
            }
        }
        self.rows.get_mut(whom).expect("present").role = to;
        true
    }

    pub(crate) fn kick_leg(&mut self, doer: &Doer, whom: &str) -> bool {
        let ok = self.may_act_on(doer, whom);
        if ok {
            self.hang_up(whom);
            self.keep_out(whom);
        }
        ok
    }

    pub(crate) fn kick(&mut self, doer: &Doer, whom: &str) -> bool {
        let ok = self.may_act_on(doer, whom);
        if ok {
            self.rows.remove(whom);
            self.keep_out(whom);
        }
        ok
    }

    fn keep_out(&mut self, who: &str) {
        if !self.rows.contains_key(who) && Self::is_proven(who) {
            self.out.insert(who.to_owned(), self.second + 60);
        }
    }

    pub(crate) fn ban(&mut self, doer: &Doer, whom: &str) -> bool {
        Self::is_proven(whom) && self.affiliate(doer, whom, Affiliation::Outcast)
    }

    pub(crate) fn affiliate(&mut self, doer: &Doer, whom: &str, to: Affiliation) -> bool {
        let from = self.affiliation(whom);
        let level = self.level(doer);
        let own = *doer == Doer::Is(whom.to_owned());
        let owners = self.affiliations.values().filter(|a| **a == Affiliation::Owner).count();
        let ok = level >= Affiliation::Admin
            && !(own && to == Affiliation::Outcast)
            && (level == Affiliation::Owner || (to < Affiliation::Admin && (from < Affiliation::Admin || own)));
        if !ok || from == to {
            return ok;
        }
        if from == Affiliation::Owner && owners == 1 && *doer != Doer::Operator {
            return false;
        }
        self.affiliations.insert(whom.to_owned(), to);
        if to == Affiliation::Outcast {
            self.voice.remove(whom);
            self.rows.remove(whom);
        } else if let Some(role) = self.rows.get(whom).map(|r| r.role) {
            let becomes = if to >= Affiliation::Admin {
                Role::Moderator
            } else if from >= Affiliation::Admin {
                role.min(Role::Participant)
            } else if to == Affiliation::Member && self.moderated {
                role.max(Role::Participant)
            } else {
                role
            };
            if role == Role::Visitor && becomes != role {
                self.grant(whom);
            }
            self.rows.get_mut(whom).expect("present").role = becomes;
            if to < Affiliation::Member {
                self.shut_out(whom);
            }
        }
        true
    }

    fn shut_out(&mut self, who: &str) {
        if self.members_only && self.membership_governs {
            self.rows.remove(who);
        } else if self.members_only {
            self.rows.get_mut(who).expect("present").nicks = 0;
            self.forget_if_gone(who);
        }
    }

    pub(crate) fn lock(&mut self, doer: &Doer, locked: bool) -> bool {
        let ok = self.moderates(doer);
        if ok {
            self.locked = locked;
        }
        ok
    }

    pub(crate) fn record(&mut self, doer: &Doer, on: bool) -> bool {
        let ok = self.moderates(doer) && (!on || self.calls() > 0);
        if ok {
            self.recorded = on;
        }
        ok
    }

    fn calls(&self) -> usize {
        self.rows.values().map(|r| r.legs).sum()
    }

    /// A recording needs a call (rule R82).
    pub(crate) fn settle(&mut self) {
        self.recorded &= self.calls() > 0;
    }

    pub(crate) fn toggle(&mut self, doer: &Doer, setting: super::action::Setting) -> bool {
        use super::action::Setting;
        if self.level(doer) != Affiliation::Owner {
            return false;
        }
        let was = self.clone();
        match setting {
            Setting::Moderated => self.moderated = !self.moderated,
            Setting::MembersOnly => self.members_only = !self.members_only,
            Setting::ChatVoiceGoverns => self.chat_voice_governs = !self.chat_voice_governs,
            Setting::MembershipGoverns => self.membership_governs = !self.membership_governs,
        }
        let everybody: Vec<Who> = self.rows.keys().cloned().collect();
        if self.members_only && !was.members_only {
            for who in everybody.iter().filter(|who| was.affiliation(who) < Affiliation::Member) {
                self.shut_out(who);
            }
        }
        let (no_rule, no_link) = (was.moderated && !self.moderated, was.chat_voice_governs && !self.chat_voice_governs);
        for who in everybody.iter().filter(|_| no_rule || no_link) {
            let taken = self.voice.get(who) == Some(&false);
            let governs = self.chat_voice_governs;
            let moderated = self.moderated;
            let Some(row) = self.rows.get_mut(who) else { continue };
            let by_rule = row.reasons.remove(&Reason::Policy);
            if !moderated && (by_rule || !taken) {
                row.role = row.role.max(Role::Participant);
            }
            if !governs && row.nicks > 0 {
                row.reasons.remove(&Reason::Voice);
            }
        }
        true
    }
}
