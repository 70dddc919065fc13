//! The rules of the room, each as a small story. `Story` tells who does what; its ledger of orders and events is what is asserted.

mod dial;
mod doors;
mod entry;
mod keypad;
mod lobby;
mod meeting;
mod mutes;
mod phones;
mod recording;
mod removal;
mod standing;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::*;
use crate::model::{Account, Aor, Caller, Correlation, Door, Entry, LegId};

pub(super) fn jid(s: &str) -> BareJid {
    BareJid::new(s).expect("a JID of the test")
}

pub(super) fn aor(s: &str) -> Aor {
    Aor::from_normalised(s.to_owned())
}

/// Ann, Bob and Olga have both halves; Phil has a phone only; `shared` is claimed by two JIDs.
#[derive(Debug)]
struct Book;

impl Directory for Book {
    fn by_sip_user(&self, _: &str) -> Option<Account> {
        None
    }

    fn by_aor(&self, aor: &Aor) -> Option<Account> {
        let user = aor.user();
        let jid = match user {
            "ann" | "bob" | "olga" | "eve" => Some(jid(&format!("{user}@x.org"))),
            "phil" => None,
            _ => return None,
        };
        Some(Account {
            id: user.to_owned(),
            name: user.to_owned(),
            aor: Some(aor.clone()),
            jid,
            digest: None,
        })
    }

    fn by_jid(&self, jid: &BareJid) -> Option<Account> {
        let user = jid.node()?.as_str().to_owned();
        let aor = Some(aor(&format!("sip:{user}@x.org")));
        Some(Account {
            id: user.clone(),
            name: user,
            aor,
            jid: Some(jid.clone()),
            digest: None,
        })
    }
}

/// A room and the clock beside it.
pub(super) struct Story {
    pub(super) room: Room,
    pub(super) now: Now,
    pub(super) orders: Vec<MediaOrder>,
    pub(super) events: Vec<Event>,
    pub(super) kept: Vec<StoreOp>,
    next_occupant: u32,
    next_leg: u64,
}

impl Story {
    /// An open, persistent room of Olga's, who is away.
    pub(super) fn new() -> Self {
        Self::with(|_| ())
    }

    pub(super) fn with(change: impl FnOnce(&mut RoomRecord)) -> Self {
        Self::with_settings(change, |_| ())
    }

    pub(super) fn with_settings(change: impl FnOnce(&mut RoomRecord), tune: impl FnOnce(&mut RoomSettings)) -> Self {
        let mut record = RoomRecord {
            name: RoomName::new("blue").expect("a room name"),
            config: RoomConfig {
                persistent: true,
                ..RoomConfig::default()
            },
            locked_until_configured: false,
            from_config: false,
            affiliations: BTreeMap::from([(jid("olga@x.org"), Affiliation::Owner)]),
            voice: BTreeMap::new(),
            subject: None,
            history: Vec::new(),
        };
        change(&mut record);
        let mut settings = RoomSettings::new(jid("phones.x.org"));
        tune(&mut settings);
        let now = Now {
            at: Instant::now(),
            unix_ms: 1_800_000_000_000,
        };
        let room = Room::new(record, settings, Arc::new(Book), [7; 32], 1, now);
        Self {
            room,
            now,
            orders: Vec::new(),
            events: Vec::new(),
            kept: Vec::new(),
            next_occupant: 0,
            next_leg: 0,
        }
    }

    fn drain(&mut self) {
        while let Some(order) = self.room.poll_media() {
            self.orders.push(order);
        }
        while let Some(event) = self.room.poll_event() {
            self.events.push(event.event);
        }
        while let Some(op) = self.room.poll_store() {
            self.kept.push(op);
        }
    }

    pub(super) fn ask(&mut self, by: Asker, request: Request) -> Result<Accepted, Refusal> {
        let answer = self.room.request(self.now, &Origin { door: Door::Chat, by }, request);
        self.drain();
        answer
    }

    pub(super) fn report(&mut self, report: Report) {
        self.room.report(self.now, report);
        self.drain();
    }

    pub(super) fn pass(&mut self, time: Duration) {
        self.now.at += time;
        self.now.unix_ms += u64::try_from(time.as_millis()).expect("a short test");
        while self.room.poll_timeout().is_some_and(|(at, _)| at <= self.now.at) {
            self.room.handle_timeout(self.now);
        }
        self.drain();
    }

    pub(super) fn try_enter(&mut self, who: &str, nick: &str) -> Result<OccupantId, Refusal> {
        self.next_occupant += 1;
        let occupant = OccupantId(self.next_occupant);
        let jid = jid(&format!("{who}@x.org"));
        let request = Request::Enter {
            occupant,
            jid: jid.clone(),
            nick: nick.to_owned(),
            password: None,
            correlation: Correlation(1),
        };
        self.ask(Asker::Jid(jid), request).map(|_| occupant)
    }

    /// Enters the chat under one's own name.
    pub(super) fn enter(&mut self, who: &str) -> OccupantId {
        self.try_enter(who, who).expect("may enter")
    }

    pub(super) fn try_call(&mut self, caller: Caller) -> Result<LegId, Refusal> {
        let (leg, answer) = self.knock(caller, Entry::Nothing);
        answer?;
        self.report(Report::LegConfirmed(leg));
        Ok(leg)
    }

    /// Asks to come in, with what was typed.
    pub(super) fn knock(&mut self, caller: Caller, entry: Entry) -> (LegId, Result<Accepted, Refusal>) {
        self.next_leg += 1;
        let leg = LegId(self.next_leg);
        let endpoint = "sip:u@10.0.0.9".to_owned();
        let request = Request::Join {
            leg,
            account: None,
            caller: caller.clone(),
            ssrc: 9,
            endpoint,
            correlation: Correlation(2),
            entry,
        };
        (leg, self.ask(Asker::Caller(caller), request))
    }

    /// Calls with a proven AOR.
    pub(super) fn call(&mut self, who: &str) -> LegId {
        self.try_call(proven(who)).expect("may join")
    }

    pub(super) fn of_leg(&self, leg: LegId) -> PersonView {
        self.room
            .person_of_leg(leg)
            .and_then(|id| self.room.person(id))
            .expect("in the room")
    }

    pub(super) fn of(&self, occupant: OccupantId) -> OccupantView {
        self.room.occupant(occupant).expect("in the room")
    }

    /// The stand-in of a caller.
    pub(super) fn stand_in(&self, leg: LegId) -> Option<OccupantView> {
        self.of_leg(leg)
            .occupants
            .into_iter()
            .map(|id| self.of(id))
            .find(|o| o.kind == OccupantKind::Phone)
    }

    /// The last mute order to a leg.
    pub(super) fn is_muted(&self, leg: LegId) -> bool {
        let last = self.orders.iter().rev().find_map(|o| match o {
            MediaOrder::Mute(l, muted) if *l == leg => Some(*muted),
            MediaOrder::Mute(..)
            | MediaOrder::Place(..)
            | MediaOrder::Configure(..)
            | MediaOrder::Close(_)
            | MediaOrder::Record { .. }
            | MediaOrder::Prompt(..)
            | MediaOrder::Music(..)
            | MediaOrder::Say(..)
            | MediaOrder::Wait(..)
            | MediaOrder::Volume(..)
            | MediaOrder::InBandKeys(..) => None,
        });
        last.unwrap_or(false)
    }

    pub(super) fn set_role(&mut self, by: OccupantId, target: OccupantId, role: Role) -> Result<Accepted, Refusal> {
        self.ask(
            Asker::Occupant(by),
            Request::SetRole {
                target: Target::Occupant(target),
                role,
                why: None,
            },
        )
    }

    pub(super) fn affiliate(&mut self, by: OccupantId, who: &str, affiliation: Affiliation) -> Result<Accepted, Refusal> {
        self.ask(
            Asker::Occupant(by),
            Request::SetAffiliation {
                jid: jid(&format!("{who}@x.org")),
                affiliation,
                why: None,
            },
        )
    }

    pub(super) fn mute(&mut self, by: Asker, leg: LegId) -> Result<Accepted, Refusal> {
        self.ask(
            by,
            Request::Mute {
                target: Target::Leg(leg),
                why: None,
            },
        )
    }

    pub(super) fn unmute(&mut self, by: Asker, leg: LegId) -> Result<Accepted, Refusal> {
        self.ask(by, Request::Unmute { target: Target::Leg(leg) })
    }

    pub(super) fn kick(&mut self, by: Asker, target: Target) -> Result<Accepted, Refusal> {
        self.ask(
            by,
            Request::Kick {
                target,
                why: Some("enough".to_owned()),
            },
        )
    }

    /// Forgets what was said so far.
    pub(super) fn hush(&mut self) {
        self.orders.clear();
        self.events.clear();
        self.kept.clear();
    }
}

pub(super) fn proven(who: &str) -> Caller {
    Caller::Account {
        aor: aor(&format!("sip:{who}@x.org")),
        name: who.to_owned(),
    }
}

pub(super) fn claimed(number: &str) -> Caller {
    Caller::Claimed {
        uri: format!("sip:{number}@gw.net"),
        name: None,
    }
}
