//! The two doors: entering the chat under a nick, coming in by phone, and what occupants ask about themselves.

use crate::model::{Affiliation, Aor, BareJid, Caller, Correlation, Entry, LegId, MediaOrder, Now, OccupantId, PersonId, media::Seat};

use super::binding::{self, Key};
use super::entry::Right;
use super::keypad::Keys;
use super::lobby::LegFacts;
use super::nick::Look;
use super::policy::{self, Arriving, Asking, Doors};
use super::quarantine::{Barred, Quarantine};
use super::roster::{Leg, Person, StandIn};
use super::{Accepted, Event, Hold, LeaveCause, OccupantKind, Refusal, Room, STAND_IN_IDS, Stage, Target, View, nick};

/// Nicks of one person, at most: clients have a handful of devices.
const MAX_NICKS_EACH: usize = 10;
/// Calls of one person, at most, likewise.
const MAX_LEGS_EACH: usize = 10;

/// A caller at the door.
#[derive(Debug)]
pub(super) struct Knock {
    pub(super) leg: LegId,
    pub(super) caller: Caller,
    pub(super) account: Option<Aor>,
    pub(super) ssrc: u32,
    pub(super) endpoint: String,
    pub(super) correlation: Correlation,
    /// The room called them itself (rule R47): the entity that they were shown under meanwhile.
    pub(super) invited: Option<String>,
    /// What they typed is worth.
    pub(super) right: Right,
}

impl Room {
    pub(super) fn enter(
        &mut self,
        now: Now,
        occupant: OccupantId,
        jid: BareJid,
        nick: String,
        password: Option<&str>,
        correlation: Correlation,
    ) -> Result<Accepted, Refusal> {
        let key = Key::Jid(jid.clone());
        let barred = Barred::Proven(key.clone());
        let present = self.roster.by_key(&key);
        let who = Arriving {
            affiliation: self.lists.affiliation(&jid),
            is_in: present.is_some(),
            quarantined: self.quarantine.holds(now.at, &barred),
            invited: false,
            has_pin: false,
        };
        policy::enter(self.doors(), who, password)?;
        let look = nick::check(&nick)?;
        // Whoever only waits for a moderator may wait in the chat: that is for callers.
        if self.hold(now, who, Some(&barred)) == Some(Hold::Lobby) {
            self.knock(now, jid, nick);
            return Err(Refusal::Lobby);
        }
        if !self.is_free(&nick, &look, present) || occupant.0 >= STAND_IN_IDS || self.roster.occupant(occupant).is_some() {
            return Err(Refusal::NickTaken);
        }
        if present
            .and_then(|id| self.roster.person(id))
            .is_some_and(|p| p.chats.len() >= MAX_NICKS_EACH)
        {
            return Err(Refusal::Full);
        }
        let person = present.unwrap_or_else(|| {
            let row = self.roster.next_row();
            self.add_person(row, key, Some(jid.clone()), correlation)
        });
        self.stop_knocking(&jid);
        // Rule R27: never both at once.
        if let Some(row) = self.roster.person_mut(person) {
            match row.stand_in {
                StandIn::Here(stand_in) => self.drop_occupant(stand_in, LeaveCause::Withdrawn),
                StandIn::Due(_) | StandIn::Crowded => row.stand_in = StandIn::Absent,
                StandIn::Absent => {}
            }
        }
        self.roster.add_occupant(occupant, person, nick, jid, OccupantKind::Chat);
        tracing::debug!(%correlation, room = %self.name, person = person.0, "entered the chat");
        self.out.tell(Event::OccupantEntered(occupant));
        Ok(Accepted::Entered { person })
    }

    pub(super) fn join(&mut self, now: Now, knock: Knock, entry: &Entry) -> Result<Accepted, Refusal> {
        if self.roster.leg(knock.leg).is_some() || self.lobby.find(&Target::Leg(knock.leg)).is_some() {
            return Ok(Accepted::Unchanged);
        }
        let right = self.right_of(now, entry)?;
        if let Right::Asked(person) = right {
            let name = self.roster.person(person).map(|p| self.name_of(p)).unwrap_or_default();
            return Ok(Accepted::Confirm(name));
        }
        let knock = Knock { right, ..knock };
        let who = self.may_join(now, &knock, false)?;
        self.use_up(entry);
        if right != Right::Moderator
            && let Some(hold) = self.hold(now, who, self.barred(&knock).as_ref())
        {
            return Ok(self.wait(now, knock, hold));
        }
        let person = self.place(now, knock, None, LegFacts::default());
        Ok(Accepted::Joined { person })
    }

    /// What the doors say to a caller; `has_key`: to one whom a moderator lets in, whether or not the room is locked.
    pub(super) fn may_join(&self, now: Now, knock: &Knock, has_key: bool) -> Result<Arriving, Refusal> {
        let present = self.roster.by_key(&self.key_of(knock));
        let waits = self.lobby.find(&Target::Leg(knock.leg)).is_some();
        let doors = self.doors();
        let doors = Doors {
            locked: doors.locked && !has_key,
            places: doors.places - usize::from(waits),
            ..doors
        };
        let barred = self.barred(knock);
        let holds = |list: &Quarantine| barred.as_ref().is_some_and(|barred| list.holds(now.at, barred));
        let affiliation = if holds(&self.weak_bans) {
            Affiliation::Outcast
        } else {
            self.affiliation_of_knock(knock)
        };
        let who = Arriving {
            affiliation,
            is_in: present.is_some(),
            quarantined: holds(&self.quarantine),
            invited: knock.invited.is_some(),
            has_pin: matches!(knock.right, Right::Pin | Right::Moderator | Right::Bound(_)),
        };
        policy::join(doors, who)?;
        let calls = present.and_then(|id| self.roster.person(id)).map_or(0, |p| p.legs.len());
        if calls >= MAX_LEGS_EACH { Err(Refusal::Full) } else { Ok(who) }
    }

    /// Whose row theirs is: that of somebody whose code they have (rule R2), or their own.
    fn key_of(&self, knock: &Knock) -> Key {
        self.bound_to(knock)
            .map_or_else(|| self.own_key(knock), |person| person.key.clone())
    }

    fn bound_to(&self, knock: &Knock) -> Option<&Person> {
        match knock.right {
            Right::Bound(id) => self.roster.person(id),
            Right::None | Right::Pin | Right::Moderator | Right::Asked(_) => None,
        }
    }

    /// Who calls, whatever they typed: bans and quarantine hold for them.
    fn own_key(&self, knock: &Knock) -> Key {
        Key::of_caller(self.directory.as_ref(), knock.leg, &knock.caller)
    }

    /// The account behind somebody who doesn't want it shown: rule R13 hides who calls, and rule R3 still knows them.
    fn hidden_account(&self, knock: &Knock) -> Option<Key> {
        knock.account.as_ref().map(|aor| Key::of_aor(self.directory.as_ref(), aor))
    }

    /// By what a caller is known again.
    pub(super) fn barred(&self, knock: &Knock) -> Option<Barred> {
        match self.hidden_account(knock) {
            Some(account) => Some(Barred::Proven(account)),
            None => Barred::of(&self.own_key(knock), Some(&knock.caller)),
        }
    }

    /// A ban holds by account and by AOR (rule R8), also when the directory has come to bind the one to the other since.
    fn affiliation_of_knock(&self, knock: &Knock) -> Affiliation {
        let aor = knock.account.as_ref().or(match &knock.caller {
            Caller::Account { aor, .. } => Some(aor),
            Caller::Claimed { .. } | Caller::Anonymous | Caller::Trunk { .. } => None,
        });
        if aor.is_some_and(|aor| self.lists.affiliation(&self.pseudonyms.of_aor(aor)) == Affiliation::Outcast) {
            return Affiliation::Outcast;
        }
        let key = self.hidden_account(knock).unwrap_or_else(|| self.own_key(knock));
        let own = self.listed(&key).map_or(Affiliation::None, |jid| self.lists.affiliation(&jid));
        match self.bound_to(knock) {
            Some(person) if own > Affiliation::Outcast => self.affiliation_of(person),
            Some(_) | None => own,
        }
    }

    /// Takes a caller into the room: their leg is placed and heard from the next tick on. `row` is the one that they had while they waited.
    pub(super) fn place(&mut self, now: Now, knock: Knock, row: Option<PersonId>, state: LegFacts) -> PersonId {
        let key = self.key_of(&knock);
        let account = self.hidden_account(&knock);
        let Knock {
            leg,
            caller,
            account: _,
            ssrc,
            endpoint,
            correlation,
            invited,
            right,
        } = knock;
        let dialed_out = invited.is_some();
        let phone = match &caller {
            Caller::Account { aor, .. } => self.pseudonyms.of_aor(aor),
            Caller::Claimed { .. } | Caller::Anonymous | Caller::Trunk { .. } => self.pseudonyms.of_nobody(&mut self.rng),
        };
        let present = self.roster.by_key(&key);
        let person = match present {
            Some(present) => present,
            None => {
                let listed = self.listed(&key);
                let row = row.unwrap_or_else(|| self.roster.next_row());
                self.add_person(row, key, listed, correlation)
            }
        };
        let muted = self.roster.person_mut(person).is_some_and(|row| {
            if let Some(entity) = invited.filter(|_| present.is_none()) {
                row.hidden_entity = entity;
            }
            let name = nick::of_caller(&caller);
            row.phone.get_or_insert(phone);
            row.caller = Some((caller.clone(), name));
            // Whoever is in the chat is known by that.
            if !matches!(right, Right::Bound(_)) {
                row.account = account;
            }
            row.mutes.is_muted()
        });
        let endpoint = match caller {
            // Checklist X-6: a Contact names its owner.
            Caller::Anonymous => self.roster.person(person).map(|p| p.hidden_entity.clone()).unwrap_or_default(),
            Caller::Account { .. } | Caller::Claimed { .. } | Caller::Trunk { .. } => endpoint,
        };
        self.roster.add_leg(
            leg,
            Leg {
                person,
                endpoint,
                ssrc,
                joined_unix_ms: now.unix_ms,
                correlation,
                confirmed: state.confirmed,
                held: state.held,
                listens_only: state.listens_only,
                speaking: false,
                keys: Keys::default(),
                dialed_out,
            },
        );
        if muted {
            self.out.order(MediaOrder::Mute(leg, true));
        }
        let seat = Seat {
            room: self.name.clone(),
            rate: self.config.mixing_rate,
        };
        self.out.order(MediaOrder::Place(leg, Some(seat)));
        tracing::debug!(%correlation, room = %self.name, person = person.0, leg = leg.0, "came in by phone");
        self.sound_of_joining(person);
        self.out.tell(Event::LegJoined { person, leg });
        if right == Right::Moderator {
            self.moderates_by_pin(leg, person);
        }
        if self.roster.person(person).is_some_and(|p| p.stand_in == StandIn::Absent) {
            self.show_stand_in(person);
        }
        person
    }

    pub(super) fn rename(&mut self, occupant: OccupantId, nick: String) -> Result<Accepted, Refusal> {
        let known = self.roster.occupant(occupant).ok_or(Refusal::NotInRoom)?;
        if known.kind == OccupantKind::Phone {
            // A stand-in is called as rule R26 says.
            return Err(Refusal::BadNick);
        }
        if known.nick == nick {
            return Ok(Accepted::Unchanged);
        }
        let person = known.person;
        let look = nick::check(&nick)?;
        if !self.is_free(&nick, &look, Some(person)) {
            return Err(Refusal::NickTaken);
        }
        if let Some(from) = self.roster.rename(occupant, nick) {
            self.out.tell(Event::Renamed { occupant, from });
        }
        Ok(Accepted::Done)
    }

    pub(super) fn may_write(&self, occupant: OccupantId) -> Result<Accepted, Refusal> {
        let standing = self.standing(self.occupant_person(occupant)?).ok_or(Refusal::NotInRoom)?;
        policy::write(standing.role).map(|()| Accepted::Done)
    }

    pub(super) fn may_set_subject(&self, occupant: OccupantId) -> Result<Accepted, Refusal> {
        let standing = self.standing(self.occupant_person(occupant)?).ok_or(Refusal::NotInRoom)?;
        policy::set_subject(standing.role, &self.config).map(|()| Accepted::Done)
    }

    pub(super) fn lock(&mut self, asking: &Asking, locked: bool) -> Result<Accepted, Refusal> {
        policy::moderate(asking.power)?;
        if self.locked == locked {
            return Ok(Accepted::Unchanged);
        }
        self.locked = locked;
        self.out.tell(Event::LockChanged(locked));
        Ok(Accepted::Done)
    }

    pub(super) fn watch(&self, asking: &Asking) -> Result<Accepted, Refusal> {
        let affiliation = match asking.power {
            policy::Power::Operator => Affiliation::Owner,
            policy::Power::Of(standing) => standing.affiliation,
        };
        let who = Arriving {
            affiliation,
            is_in: asking.person.is_some(),
            quarantined: false,
            invited: false,
            has_pin: false,
        };
        policy::watch(&self.config, who)?;
        Ok(Accepted::View(match asking.person {
            _ if asking.power.moderates() => View::Moderator,
            Some(_) => View::Member,
            None => View::Other,
        }))
    }

    /// Whether somebody in `person`'s row, or a newcomer, may be called so.
    fn is_free(&self, nick: &str, look: &Look, person: Option<PersonId>) -> bool {
        let others = self.roster.occupants().filter(|(_, o)| Some(o.person) != person);
        // Stand-ins are told apart by their suffix; a caller's claim to a name must not keep its owner out.
        let clash = others
            .filter(|(_, o)| o.kind != OccupantKind::Phone)
            .any(|(_, o)| o.nick == nick || o.look.resembles(look));
        !clash && !self.is_reserved(look)
    }

    pub(super) fn is_reserved(&self, look: &Look) -> bool {
        self.settings.reserved_nicks.iter().any(|nick| Look::of(nick).resembles(look))
    }

    fn add_person(&mut self, row: PersonId, key: Key, listed: Option<BareJid>, correlation: Correlation) -> PersonId {
        let (role, mute) = self.first_standing(&key, listed.as_ref());
        let mut person = Person::new(key, listed, role, binding::hidden_entity(&mut self.rng), correlation);
        if let Some(mute) = mute {
            person.mutes.insert(mute);
        }
        self.roster.add_person(row, person)
    }

    pub(super) fn doors(&self) -> Doors<'_> {
        Doors {
            config: &self.config,
            unconfigured: self.stage == Stage::Unconfigured,
            locked: self.locked,
            places: self.roster.places() + self.lobby.places(),
        }
    }
}
