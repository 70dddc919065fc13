//! What stands in for the outside of the simulated server: media threads, accounts, the directory of rooms, a room's outlets.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use cusax::hub::{Cell, Outlets};
use cusax::model::{
    Account, Aor, AudioAccess, BareJid, DialPlan, Directory, LegId, MediaOrder, MediaPlane, MediaReport, RoomName, StoreOp,
    media::{OpenLeg, Opening, Unopened},
};
use cusax::peers::muc::{RoomIndex, RoomSummary};
use cusax::peers::sip::{FromRoom, RoomLookup};
use cusax::room::{Numbered, Room, RoomSettings};
use cusax::sip::auth::digest_keys;
use minidom::Element;

use super::world::{CONF, SERVER};

/// A media plane that only remembers.
#[derive(Debug, Default)]
pub(crate) struct FakePlane {
    pub(super) next_port: u16,
    /// Takes no new legs.
    pub(crate) overloaded: bool,
    pub(crate) legs: BTreeMap<LegId, FakeLeg>,
    pub(crate) log: Vec<MediaOrder>,
    pub(super) reports: VecDeque<MediaReport>,
}

/// What the plane knows of a leg.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct FakeLeg {
    pub(crate) configured: u32,
    pub(crate) room: Option<RoomName>,
    pub(crate) muted: bool,
    pub(crate) closed: bool,
}

impl MediaPlane for FakePlane {
    fn open(&mut self, opening: &Opening) -> Result<OpenLeg, Unopened> {
        if self.overloaded {
            return Err(Unopened::Overloaded);
        }
        let port = 20_000 + self.next_port;
        self.next_port += 2;
        self.legs.insert(opening.leg, FakeLeg::default());
        let at = |port| SocketAddr::new(SERVER.ip(), port);
        Ok(OpenLeg {
            rtp: at(port),
            rtcp: at(port + 1),
            ssrc: u32::from(port),
        })
    }

    fn order(&mut self, order: MediaOrder) {
        self.log.push(order.clone());
        match order {
            MediaOrder::Configure(leg, _) => self.leg(leg).configured += 1,
            MediaOrder::Place(leg, seat) => self.leg(leg).room = seat.map(|s| s.room),
            MediaOrder::Mute(leg, muted) => {
                self.leg(leg).muted = muted;
                self.reports.push_back(MediaReport::Applied(leg));
            }
            MediaOrder::Close(leg) => {
                if !std::mem::replace(&mut self.leg(leg).closed, true) {
                    self.reports.push_back(MediaReport::Closed(leg, Box::default()));
                }
            }
            MediaOrder::Record { .. } | MediaOrder::Prompt(..) | MediaOrder::Music(..) => {}
            MediaOrder::Say(leg, phrases) => {
                // Said in no time.
                let said = (!phrases.is_empty()).then_some(MediaReport::Said(leg));
                self.reports.extend(said);
            }
            MediaOrder::Wait(..) | MediaOrder::Volume(..) | MediaOrder::InBandKeys(..) => {}
        }
    }
}

impl FakePlane {
    fn leg(&mut self, leg: LegId) -> &mut FakeLeg {
        self.legs.get_mut(&leg).expect("orders are for legs that were opened")
    }
}

/// Accounts of the simulated provider: the SIP user, the JID and the secret are all derived from the name.
#[derive(Debug)]
pub(super) struct Accounts(pub(super) Vec<&'static str>);

impl Accounts {
    fn account(&self, name: &str) -> Option<Account> {
        self.0.contains(&name).then(|| Account {
            id: name.to_owned(),
            name: name.to_owned(),
            aor: Some(Aor::from_normalised(format!("sip:{name}@{CONF}"))),
            jid: format!("{name}@example.com").parse().ok(),
            digest: Some(digest_keys(name, CONF, "secret")),
        })
    }
}

impl Directory for Accounts {
    fn by_sip_user(&self, user: &str) -> Option<Account> {
        self.account(user)
    }

    fn by_aor(&self, aor: &Aor) -> Option<Account> {
        self.account(aor.user())
    }

    fn by_jid(&self, jid: &BareJid) -> Option<Account> {
        jid.node().and_then(|n| self.account(n.as_str()))
    }
}

pub(super) struct Index<'a>(pub(super) &'a BTreeMap<RoomName, Cell>, pub(super) &'a BTreeMap<RoomName, u64>);

impl RoomIndex for Index<'_> {
    fn contains(&self, name: &RoomName) -> bool {
        self.0.contains_key(name)
    }

    fn public_rooms(&self, at_most: usize) -> Vec<RoomSummary> {
        let listed = |cell: &Cell| RoomSummary {
            name: cell.name().clone(),
            title: cell.room().config().title.clone(),
            occupants: cell.room().occupants().count(),
        };
        self.0
            .values()
            .filter(|c| c.room().config().public)
            .map(listed)
            .take(at_most)
            .collect()
    }

    fn count(&self) -> usize {
        self.0.len()
    }
}

impl RoomLookup for Index<'_> {
    fn dialable(&self, name: &RoomName) -> bool {
        self.0
            .get(name)
            .is_some_and(|c| c.room().config().audio != AudioAccess::Off && !c.room().is_unconfigured())
    }

    fn by_number(&self, number: &str) -> Option<RoomName> {
        let has = |c: &&Cell| c.room().config().number.as_deref() == Some(number);
        self.0.values().find(has).map(|c| c.name().clone())
    }

    fn life(&self, name: &RoomName) -> Option<u64> {
        self.0.get(name).and_then(|_| self.1.get(name)).copied()
    }

    fn count(&self) -> usize {
        self.0.len()
    }
}

/// Everything may be called.
pub(super) fn dial_plan() -> DialPlan {
    DialPlan {
        domains: vec![CONF.to_owned()],
        internal: true,
        numbers: true,
        foreign: true,
        premium: vec!["+1900".to_owned()],
        emergency: vec!["112".to_owned()],
        per_room: 3,
        ..DialPlan::default()
    }
}

/// The service's choices: the rules' own, and a place for recordings.
pub(super) fn recorded(phones: BareJid) -> RoomSettings {
    let mut settings = RoomSettings::new(phones);
    settings.records = true;
    settings.dial = Arc::new(dial_plan());
    settings
}

/// Collects what one step of a room puts out.
#[derive(Default)]
pub(super) struct Out {
    pub(super) media: Vec<MediaOrder>,
    pub(super) stanzas: Vec<Element>,
    pub(super) sip: Vec<FromRoom>,
    pub(super) store: Vec<StoreOp>,
    pub(super) events: Vec<Numbered>,
}

impl Outlets for Out {
    fn media(&mut self, order: MediaOrder) {
        self.media.push(order);
    }

    fn stanza(&mut self, stanza: Element) {
        self.stanzas.push(stanza);
    }

    fn sip(&mut self, command: FromRoom) {
        self.sip.push(command);
    }

    fn store(&mut self, op: StoreOp) {
        self.store.push(op);
    }

    fn event(&mut self, _: &Room, event: &Numbered) {
        self.events.push(event.clone());
    }
}
