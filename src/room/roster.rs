//! The rows, nicks and calls of a room, and the indexes between them. It keeps them consistent and decides nothing.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::model::{BareJid, Caller, Correlation, LegId, MuteSet, OccupantId, PersonId, Role, mute::MuteKind};

use super::OccupantKind;
use super::binding::Key;
use super::keypad::Keys;
use super::nick::Look;
use super::quarantine::Barred;

/// One row.
#[derive(Debug)]
pub(super) struct Person {
    pub(super) key: Key,
    /// The address under which affiliation and voice are kept: the account's, or for an AOR alone its stand-in's. Unproven callers have none.
    pub(super) listed: Option<BareJid>,
    /// How they last called, and what they were called then.
    pub(super) caller: Option<(Caller, String)>,
    /// Their stand-in's JID, once they have called.
    pub(super) phone: Option<BareJid>,
    pub(super) stand_in: StandIn,
    /// Role of all their nicks (rule R8), mutes apart.
    pub(super) role: Role,
    pub(super) mutes: MuteSet,
    pub(super) legs: Vec<LegId>,
    /// Their nicks in the chat, in order of entry, without the stand-in.
    pub(super) chats: Vec<OccupantId>,
    pub(super) hidden_entity: String,
    /// That of the door by which they came first: the same in every log line of theirs (rule R80).
    pub(super) correlation: Correlation,
    /// When the moderators last heard that they would like to speak.
    pub(super) wished: Option<Instant>,
    /// When they last began to speak or stopped, ms since the UNIX epoch.
    pub(super) spoke_unix_ms: Option<u64>,
    /// They would like to speak.
    pub(super) hand_raised: bool,
    /// One of their calls came in by the moderators' PIN.
    pub(super) moderates_by_phone: bool,
    /// The account behind a caller who doesn't want it shown (rule R13).
    pub(super) account: Option<Key>,
}

/// Where a person's stand-in is (rules R26 to R28).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StandIn {
    /// Not called for: they have a nick of their own, or no call.
    Absent,
    /// Their last nick has just gone (rule R27).
    Due(Instant),
    /// The room shows as many as it may (rule R28).
    Crowded,
    /// Shown.
    Here(OccupantId),
}

impl Person {
    pub(super) fn new(key: Key, listed: Option<BareJid>, role: Role, hidden_entity: String, correlation: Correlation) -> Self {
        Self {
            key,
            listed,
            caller: None,
            phone: None,
            stand_in: StandIn::Absent,
            role,
            mutes: MuteSet::default(),
            legs: Vec::new(),
            chats: Vec::new(),
            hidden_entity,
            correlation,
            wished: None,
            spoke_unix_ms: None,
            hand_raised: false,
            moderates_by_phone: false,
            account: None,
        }
    }

    /// The account that the server or the directory vouches for.
    pub(super) fn jid(&self) -> Option<&BareJid> {
        match &self.key {
            Key::Jid(jid) => Some(jid),
            Key::Aor(_) | Key::Leg(_) => None,
        }
    }

    /// By what they are known again when they come back.
    pub(super) fn barred(&self) -> Option<Barred> {
        match &self.account {
            Some(account) => Some(Barred::Proven(account.clone())),
            None => Barred::of(&self.key, self.caller.as_ref().map(|(caller, _)| caller)),
        }
    }

    /// In by phone alone.
    pub(super) fn is_audio_only(&self) -> bool {
        self.chats.is_empty()
    }

    /// Muted by anybody but themselves.
    pub(super) fn is_silenced(&self) -> bool {
        [MuteKind::Host, MuteKind::ChatVoice, MuteKind::Policy]
            .into_iter()
            .any(|kind| self.mutes.has(kind))
    }

    /// Their nicks, the stand-in included.
    pub(super) fn occupants(&self) -> impl Iterator<Item = OccupantId> {
        let stand_in = match self.stand_in {
            StandIn::Here(id) => Some(id),
            StandIn::Absent | StandIn::Due(_) | StandIn::Crowded => None,
        };
        self.chats.iter().copied().chain(stand_in)
    }
}

/// One nick.
#[derive(Debug)]
pub(super) struct Occupant {
    pub(super) person: PersonId,
    pub(super) nick: String,
    pub(super) look: Look,
    pub(super) jid: BareJid,
    pub(super) kind: OccupantKind,
    entry: u64,
}

/// One call.
#[derive(Debug)]
pub(super) struct Leg {
    pub(super) person: PersonId,
    pub(super) endpoint: String,
    pub(super) ssrc: u32,
    pub(super) joined_unix_ms: u64,
    pub(super) correlation: Correlation,
    pub(super) confirmed: bool,
    pub(super) held: bool,
    pub(super) listens_only: bool,
    pub(super) speaking: bool,
    pub(super) keys: Keys,
    pub(super) dialed_out: bool,
}

/// Everybody.
#[derive(Debug, Default)]
pub(super) struct Roster {
    people: BTreeMap<PersonId, Person>,
    by_key: BTreeMap<Key, PersonId>,
    occupants: BTreeMap<OccupantId, Occupant>,
    entries: BTreeMap<u64, OccupantId>,
    legs: BTreeMap<LegId, Leg>,
    last_person: u32,
    last_entry: u64,
}

impl Roster {
    /// A number that no row has or had.
    pub(super) fn next_row(&mut self) -> PersonId {
        self.last_person += 1;
        PersonId(self.last_person)
    }

    pub(super) fn add_person(&mut self, id: PersonId, person: Person) -> PersonId {
        self.by_key.insert(person.key.clone(), id);
        self.people.insert(id, person);
        id
    }

    /// Forgets a row that has neither nick nor call; says whether it was so.
    pub(super) fn drop_if_gone(&mut self, id: PersonId) -> bool {
        let gone = self
            .people
            .get(&id)
            .is_some_and(|p| p.legs.is_empty() && p.occupants().next().is_none());
        if gone && let Some(person) = self.people.remove(&id) {
            self.by_key.remove(&person.key);
        }
        gone
    }

    pub(super) fn add_occupant(&mut self, id: OccupantId, person: PersonId, nick: String, jid: BareJid, kind: OccupantKind) {
        self.last_entry += 1;
        let look = super::nick::base_look(&nick);
        self.entries.insert(self.last_entry, id);
        self.occupants.insert(
            id,
            Occupant {
                person,
                nick,
                look,
                jid,
                kind,
                entry: self.last_entry,
            },
        );
        if let Some(row) = self.people.get_mut(&person) {
            match kind {
                OccupantKind::Chat | OccupantKind::Service => row.chats.push(id),
                OccupantKind::Phone => row.stand_in = StandIn::Here(id),
            }
        }
    }

    pub(super) fn remove_occupant(&mut self, id: OccupantId) -> Option<Occupant> {
        let occupant = self.occupants.remove(&id)?;
        self.entries.remove(&occupant.entry);
        if let Some(row) = self.people.get_mut(&occupant.person) {
            row.chats.retain(|c| *c != id);
            if row.stand_in == StandIn::Here(id) {
                row.stand_in = StandIn::Absent;
            }
        }
        Some(occupant)
    }

    pub(super) fn rename(&mut self, id: OccupantId, nick: String) -> Option<String> {
        let occupant = self.occupants.get_mut(&id)?;
        occupant.look = Look::of(&nick);
        Some(std::mem::replace(&mut occupant.nick, nick))
    }

    pub(super) fn add_leg(&mut self, id: LegId, leg: Leg) {
        if let Some(row) = self.people.get_mut(&leg.person) {
            row.legs.push(id);
        }
        self.legs.insert(id, leg);
    }

    pub(super) fn remove_leg(&mut self, id: LegId) -> Option<Leg> {
        let leg = self.legs.remove(&id)?;
        if let Some(row) = self.people.get_mut(&leg.person) {
            row.legs.retain(|l| *l != id);
        }
        Some(leg)
    }

    pub(super) fn person(&self, id: PersonId) -> Option<&Person> {
        self.people.get(&id)
    }

    pub(super) fn person_mut(&mut self, id: PersonId) -> Option<&mut Person> {
        self.people.get_mut(&id)
    }

    pub(super) fn by_key(&self, key: &Key) -> Option<PersonId> {
        self.by_key.get(key).copied()
    }

    pub(super) fn by_phone(&self, phone: &BareJid) -> Option<PersonId> {
        self.people.iter().find(|(_, p)| p.phone.as_ref() == Some(phone)).map(|(id, _)| *id)
    }

    pub(super) fn people(&self) -> impl Iterator<Item = (PersonId, &Person)> {
        self.people.iter().map(|(id, p)| (*id, p))
    }

    pub(super) fn ids(&self) -> Vec<PersonId> {
        self.people.keys().copied().collect()
    }

    pub(super) fn occupant(&self, id: OccupantId) -> Option<&Occupant> {
        self.occupants.get(&id)
    }

    /// In order of entry.
    pub(super) fn occupants(&self) -> impl Iterator<Item = (OccupantId, &Occupant)> {
        self.entries.values().filter_map(|id| Some((*id, self.occupants.get(id)?)))
    }

    pub(super) fn leg(&self, id: LegId) -> Option<&Leg> {
        self.legs.get(&id)
    }

    pub(super) fn leg_mut(&mut self, id: LegId) -> Option<&mut Leg> {
        self.legs.get_mut(&id)
    }

    pub(super) fn legs(&self) -> usize {
        self.legs.len()
    }

    /// Calls that the room made itself.
    pub(super) fn dialed_out(&self) -> usize {
        self.legs.values().filter(|l| l.dialed_out).count()
    }

    pub(super) fn leg_ids(&self) -> Vec<LegId> {
        self.legs.keys().copied().collect()
    }

    /// Calls and chat users' nicks together: a stand-in takes no place of its own.
    pub(super) fn places(&self) -> usize {
        self.legs.len() + self.occupants.len() - self.stand_ins()
    }

    pub(super) fn stand_ins(&self) -> usize {
        self.people.values().filter(|p| matches!(p.stand_in, StandIn::Here(_))).count()
    }
}
