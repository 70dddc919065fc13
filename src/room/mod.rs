//! The room: who is in it, by which doors, what they may do. One owner, `&mut self`; no protocol, no socket, no clock.
//!
//! Everything that changes a room is a [`Request`] (which may be refused) or a [`Report`] (a fact, which may not).
//! After any call drain [`Room::poll_media`], then [`Room::poll_event`], then [`Room::poll_store`].

mod affiliation;
mod binding;
mod code;
mod configure;
mod dial;
mod doors;
mod entry;
mod event;
mod facts;
mod keypad;
mod lasting;
mod limits;
mod lists;
mod lobby;
mod meeting;
mod mute;
mod nick;
mod outbox;
mod phone;
mod policy;
mod quarantine;
mod recording;
mod refusal;
mod removal;
mod report;
mod request;
mod role;
mod roster;
mod settings;
mod show;
mod sound;
mod succession;
mod view;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use rand::{SeedableRng, rngs::StdRng};

use crate::model::{
    Actor, Affiliation, BareJid, Directory, MediaOrder, Now, OccupantId, Origin, PersonId, Role, RoomConfig, RoomName, RoomRecord, StoreOp,
    origin::Asker,
};

use binding::{Key, Pseudonyms};
use code::Codes;
use dial::Dials;
use limits::Timing;
use lists::Lists;
use lobby::Lobby;
use outbox::Outbox;
use policy::{Asking, Power, Standing};
use quarantine::Quarantine;
use recording::Recording;
use roster::{Person, Roster};

pub use event::{DialChange, DialOrder, EndCause, Event, LeaveCause, LobbyStep, Numbered};
pub use phone::STAND_IN_IDS;
pub use refusal::Refusal;
pub use report::{LegCause, OccupantCause, Report};
pub use request::{Accepted, Request, Target};
pub use settings::RoomSettings;
pub use view::{
    AudioLevel, DialView, Guest, Hold, LegState, LegView, OccupantKind, OccupantView, PersonView, RecordingView, TextLevel, View,
    WaitingView,
};

/// One room.
#[derive(Debug)]
pub struct Room {
    name: RoomName,
    config: RoomConfig,
    settings: RoomSettings,
    directory: Arc<dyn Directory>,
    pseudonyms: Pseudonyms,
    lists: Lists,
    roster: Roster,
    quarantine: Quarantine,
    codes: Codes,
    /// Numbers that are banned for a while (rule R3).
    weak_bans: Quarantine,
    lobby: Lobby,
    timing: Timing,
    out: Outbox,
    rng: StdRng,
    stage: Stage,
    /// Rule R10.
    locked: bool,
    /// The chat server in front can be reached.
    linked: bool,
    /// Declared in the server's configuration.
    from_config: bool,
    /// Owners by the server's configuration: those that a declared room has from the start.
    fixed_owners: BTreeSet<BareJid>,
    last_stand_in: u32,
    /// Rule R82.
    recording: Option<Recording>,
    /// Recordings that the room has ended, and the media plane hasn't yet.
    ending_recordings: u32,
    /// Music is being played.
    music: bool,
    dials: Dials,
}

/// How far the room's life has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Waiting for its creator's configuration (XEP-0045 section 10.1).
    Unconfigured,
    Open,
    Over,
}

impl Room {
    /// Takes a room up from its record, with nobody in it. `service_key` keys the names of phone occupants (rule R26), `seed` all chance.
    pub fn new(
        record: RoomRecord,
        settings: RoomSettings,
        directory: Arc<dyn Directory>,
        service_key: [u8; 32],
        seed: u64,
        _now: Now,
    ) -> Self {
        let owners = record
            .affiliations
            .iter()
            .filter(|(_, a)| record.from_config && **a == Affiliation::Owner);
        let mut room = Self {
            fixed_owners: owners.map(|(jid, _)| jid.clone()).collect(),
            name: record.name,
            config: record.config,
            pseudonyms: Pseudonyms::new(service_key, settings.phones_domain.clone()),
            lists: Lists::new(record.affiliations, record.voice, directory.as_ref()),
            settings,
            directory,
            roster: Roster::default(),
            quarantine: Quarantine::default(),
            codes: Codes::default(),
            weak_bans: Quarantine::default(),
            lobby: Lobby::default(),
            timing: Timing::default(),
            out: Outbox::default(),
            rng: StdRng::seed_from_u64(seed),
            stage: if record.locked_until_configured {
                Stage::Unconfigured
            } else {
                Stage::Open
            },
            locked: false,
            linked: true,
            from_config: record.from_config,
            last_stand_in: STAND_IN_IDS,
            recording: None,
            ending_recordings: 0,
            music: false,
            dials: Dials::default(),
        };
        if !room.claim_number(room.config.number.as_deref()) {
            room.config.number = None;
            room.out.tell(Event::Audit(
                "another room has the number of this one, which has none now".to_owned(),
            ));
        }
        room
    }

    /// Does what somebody wants, or says why not. A refused request changes nothing; others may hear of the wish.
    pub fn request(&mut self, now: Now, origin: &Origin, request: Request) -> Result<Accepted, Refusal> {
        if self.is_over() {
            return Err(Refusal::Closing);
        }
        // A thousand watchers are asked about at each change: nothing follows from a question.
        let asks_only = request == Request::Watch;
        let answer = self.decide(now, origin, request);
        if !asks_only {
            self.follow_up(now);
        }
        answer
    }

    fn decide(&mut self, now: Now, origin: &Origin, request: Request) -> Result<Accepted, Refusal> {
        match request {
            // Whoever knocks is known by the request itself.
            Request::Enter {
                occupant,
                jid,
                nick,
                password,
                correlation,
            } => {
                let answer = self.enter(now, occupant, jid, nick, password.as_deref(), correlation);
                self.settle();
                answer
            }
            Request::Join {
                leg,
                caller,
                account,
                ssrc,
                endpoint,
                correlation,
                entry,
            } => {
                let knock = doors::Knock {
                    leg,
                    caller,
                    account,
                    ssrc,
                    endpoint,
                    correlation,
                    invited: None,
                    right: entry::Right::None,
                };
                let answer = self.join(now, knock, &entry);
                self.settle();
                answer
            }
            Request::Rename { occupant, nick } => self.rename(occupant, nick),
            Request::Write(occupant) => self.may_write(occupant),
            Request::SetSubject(occupant) => self.may_set_subject(occupant),
            Request::Mute { target, why } => {
                let asking = self.asking(&origin.by)?;
                self.mute(&asking, self.find(&target)?, why)
            }
            Request::Unmute { target } => {
                let asking = self.asking(&origin.by)?;
                self.unmute(now, &asking, self.find(&target)?)
            }
            Request::SetRole {
                target,
                role: Role::None,
                why,
            }
            | Request::Kick { target, why } => {
                let asking = self.asking(&origin.by)?;
                self.kick(now, &asking, &target, why)
            }
            Request::SetRole { target, role, why } => {
                let asking = self.asking(&origin.by)?;
                self.set_role(&asking, self.find(&target)?, role, why.as_deref())
            }
            Request::SetAffiliation { jid, affiliation, why } => {
                let asking = self.asking(&origin.by)?;
                self.set_affiliation(now, &asking, jid, affiliation, why)
            }
            Request::Ban { target, why } => {
                let asking = self.asking(&origin.by)?;
                self.ban(now, &asking, self.find(&target)?, why)
            }
            Request::Lock(locked) => {
                let asking = self.asking(&origin.by)?;
                self.lock(&asking, locked)
            }
            Request::Record(on) => {
                let asking = self.asking(&origin.by)?;
                self.record(now, &asking, on)
            }
            Request::Configure(config) => {
                let asking = self.asking(&origin.by)?;
                self.configure(now, &asking, *config)
            }
            Request::ReadConfig => policy::own(self.asking(&origin.by)?.power).map(|()| Accepted::Done),
            Request::ReadAffiliations(list) => self.read_affiliations(&self.asking(&origin.by)?, list),
            Request::ReadRoles(list) => policy::read_roles(self.asking(&origin.by)?.power, list).map(|()| Accepted::Done),
            Request::Watch => self.watch(&self.asking(&origin.by)?),
            Request::Destroy { alternate, why } => {
                let asking = self.asking(&origin.by)?;
                self.destroy(&asking, alternate, why)
            }
            Request::Dial {
                target,
                name,
                confirmed,
                refer,
            } => {
                let wish = dial::Wish {
                    target,
                    name,
                    confirmed,
                    refer,
                };
                self.dial(now, origin, &self.asking(&origin.by)?, wish)
            }
            Request::Answered {
                dial,
                leg,
                ssrc,
                endpoint,
                correlation,
                redirected,
            } => {
                let answer = dial::Answer {
                    leg,
                    ssrc,
                    endpoint,
                    correlation,
                    redirected,
                };
                let answer = self.dial_answered(now, dial, answer);
                self.settle();
                answer
            }
            Request::Admit(target) => self.admit(now, &self.asking(&origin.by)?, &target),
            Request::MuteAll(on) => self.mute_all(&self.asking(&origin.by)?, on),
            Request::EndForAll => self.end_for_all(&self.asking(&origin.by)?),
            Request::IssueCode(occupant) => self.issue_code(now, occupant),
            Request::RaiseHand(up) => self.raise_hand(now, &self.asking(&origin.by)?, up),
        }
    }

    /// What follows from any change, and from time alone.
    fn follow_up(&mut self, now: Now) {
        if !self.is_over() {
            self.review_lobby(now);
            self.keep_time(now);
        }
    }

    /// Takes note of what has happened. A report about somebody who is gone changes nothing.
    pub fn report(&mut self, now: Now, report: Report) {
        if !self.is_over() {
            self.take_note(now, report);
            self.follow_up(now);
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Now) {
        if !self.is_over() {
            self.show_due_stand_ins(now);
            self.announce_recording(now);
            self.follow_up(now);
            self.forget_failed_dials(now);
        }
    }

    /// When [`Room::handle_timeout`] wants to be called next, and why.
    pub fn poll_timeout(&self) -> Option<(Instant, &'static str)> {
        let timers = [
            (self.next_stand_in_due(), "phone occupant"),
            (self.next_announcement(), "announcement of a recording"),
            (self.next_waited_too_long(), "waited to be let in for too long"),
            (self.next_limit(), "limit of a meeting"),
            (self.next_forgotten_dial(), "call that came to nothing leaves the view"),
        ];
        timers.into_iter().filter_map(|(at, why)| Some((at?, why))).min()
    }

    /// The next order to the media plane.
    pub fn poll_media(&mut self) -> Option<MediaOrder> {
        self.out.next_order()
    }

    /// The next change, to be shown.
    pub fn poll_event(&mut self) -> Option<Numbered> {
        self.out.next_event()
    }

    /// The next change to what is kept.
    pub fn poll_store(&mut self) -> Option<StoreOp> {
        self.out.next_op()
    }

    /// The room's name.
    pub fn name(&self) -> &RoomName {
        &self.name
    }

    /// What its owners have set.
    pub fn config(&self) -> &RoomConfig {
        &self.config
    }

    /// Nobody new enters (rule R10).
    pub fn is_locked(&self) -> bool {
        self.locked
    }

    /// Its creator hasn't configured it yet (XEP-0045 section 10.1).
    pub fn is_unconfigured(&self) -> bool {
        self.stage == Stage::Unconfigured
    }

    /// It has ended: every further request is refused with [`Refusal::Closing`].
    pub fn is_over(&self) -> bool {
        self.stage == Stage::Over
    }

    /// Standing of an account, present or not.
    pub fn affiliation(&self, jid: &BareJid) -> Affiliation {
        self.lists.affiliation(jid)
    }

    fn find(&self, target: &Target) -> Result<PersonId, Refusal> {
        match target {
            Target::Person(id) => self.roster.person(*id).map(|_| *id),
            Target::Occupant(id) => self.roster.occupant(*id).map(|o| o.person),
            Target::Leg(id) => self.roster.leg(*id).map(|l| l.person),
            // Nobody yet.
            Target::Dial(_) => None,
        }
        .ok_or(Refusal::NoSuchTarget)
    }

    /// Looks up who asks. Somebody present is their row, whichever of their addresses they ask from.
    fn asking(&self, by: &Asker) -> Result<Asking, Refusal> {
        let (key, listed) = match by {
            Asker::Operator => {
                return Ok(Asking {
                    actor: Actor::Operator,
                    person: None,
                    power: Power::Operator,
                });
            }
            Asker::Occupant(id) => return self.asking_person(self.roster.occupant(*id).map(|o| o.person)),
            Asker::Leg(id) => return self.asking_leg(*id),
            Asker::Jid(jid) => (Key::Jid(jid.clone()), jid.clone()),
            Asker::Caller(caller) => {
                let key = Key::of_account(self.directory.as_ref(), caller).ok_or(Refusal::NotInRoom)?;
                let listed = self.listed(&key).ok_or(Refusal::NotInRoom)?;
                (key, listed)
            }
        };
        if let Some(person) = self.roster.by_key(&key) {
            return self.asking_person(Some(person));
        }
        let standing = Standing {
            affiliation: self.lists.affiliation(&listed),
            role: Role::None,
        };
        Ok(Asking {
            actor: Actor::Account(listed),
            person: None,
            power: Power::Of(standing),
        })
    }

    fn asking_person(&self, person: Option<PersonId>) -> Result<Asking, Refusal> {
        let id = person.ok_or(Refusal::NotInRoom)?;
        let power = Power::Of(self.standing(id).ok_or(Refusal::NotInRoom)?);
        Ok(Asking {
            actor: self.actor(id),
            person,
            power,
        })
    }

    fn actor(&self, id: PersonId) -> Actor {
        Actor::Person {
            id,
            name: self.roster.person(id).map(|p| self.name_of(p)).unwrap_or_default(),
        }
    }

    /// The address under which standing is kept for whoever has this key.
    fn listed(&self, key: &Key) -> Option<BareJid> {
        match key {
            Key::Jid(jid) => Some(jid.clone()),
            Key::Aor(aor) => Some(self.pseudonyms.of_aor(aor)),
            Key::Leg(_) => None,
        }
    }

    fn affiliation_of(&self, person: &Person) -> Affiliation {
        person.listed.as_ref().map_or(Affiliation::None, |jid| self.lists.affiliation(jid))
    }

    fn standing(&self, id: PersonId) -> Option<Standing> {
        let person = self.roster.person(id)?;
        let affiliation = self.affiliation_of(person);
        Some(Standing {
            affiliation,
            role: role::shown(person, affiliation),
        })
    }

    fn occupant_person(&self, occupant: OccupantId) -> Result<PersonId, Refusal> {
        self.roster.occupant(occupant).map(|o| o.person).ok_or(Refusal::NotInRoom)
    }
}
