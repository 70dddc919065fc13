//! The conference factory (RFC 4579 section 5.4): a call to its URI makes a room of its own, which ends with its last guest (rule R14).

use std::collections::BTreeMap;

use rand::Rng;

use crate::model::{Affiliation, BareJid, Caller, Now, RoomConfig, RoomName, RoomRecord};
use crate::sip::endpoint::Rejection;
use crate::sip::msg::Uri;

use super::caller::Known;
use super::{RoomLookup, SipFront};

/// What calls make rooms, and which.
#[derive(Debug, Clone)]
pub struct FactorySettings {
    /// The user part of its URI.
    pub user: String,
    /// Who may.
    pub right: FactoryRight,
    /// What a room starts with.
    pub template: RoomConfig,
    /// Rooms at most, however they were made.
    pub max_rooms: usize,
}

/// Who may have rooms made: the same as who may make them by entering them (rule R14).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FactoryRight {
    /// Our own accounts.
    Accounts,
    /// The accounts of these.
    Admins(Vec<BareJid>),
    /// Every caller.
    Anyone,
    /// Nobody.
    Nobody,
}

/// Tries to find a name that is free. Of ten million the first is, but for chance.
const TRIES: usize = 8;

const FIRST: [&str; 32] = [
    "amber", "brave", "calm", "clear", "coral", "early", "fair", "fresh", "gentle", "gold", "grand", "green", "happy", "ivory", "jolly",
    "kind", "lively", "lucky", "merry", "mild", "noble", "proud", "quick", "quiet", "rapid", "ruby", "silver", "solid", "sunny", "swift",
    "warm", "wise",
];

const SECOND: [&str; 32] = [
    "badger", "beacon", "bridge", "canyon", "cedar", "cloud", "comet", "falcon", "field", "forest", "garden", "harbour", "heron", "island",
    "lake", "lantern", "maple", "meadow", "mountain", "ocean", "orchard", "otter", "pine", "planet", "river", "robin", "sparrow", "summit",
    "tiger", "valley", "willow", "zephyr",
];

impl SipFront {
    /// Whether a URI is the factory's.
    pub(super) fn is_factory(&self, uri: &Uri) -> bool {
        let user = self.settings.factory.as_ref().map(|factory| factory.user.as_str());
        user.is_some() && self.room_named(uri).as_ref().map(RoomName::as_str) == user
    }

    /// A room for this caller, which has no task yet.
    pub(super) fn new_room(&mut self, now: Now, known: &Known, rooms: &dyn RoomLookup) -> Result<RoomRecord, Rejection> {
        let Some(factory) = self.settings.factory.clone() else {
            return Err(Rejection::new(404));
        };
        let aor = match &known.caller {
            Caller::Account { aor, .. } => Some(aor),
            Caller::Claimed { .. } | Caller::Anonymous | Caller::Trunk { .. } => known.account.as_ref(),
        };
        let jid = aor.and_then(|aor| self.accounts.by_aor(aor)).and_then(|account| account.jid);
        let may = match &factory.right {
            FactoryRight::Accounts => aor.is_some(),
            FactoryRight::Admins(admins) => jid.as_ref().is_some_and(|jid| admins.contains(jid)),
            FactoryRight::Anyone => true,
            FactoryRight::Nobody => false,
        };
        if !may {
            let could_prove = aor.is_none() && factory.right != FactoryRight::Nobody;
            return Err(if could_prove {
                self.challenge(now, false)
            } else {
                Rejection::new(403)
            });
        }
        if rooms.count() + self.created.len() >= factory.max_rooms {
            return Err(Rejection::new(503).retry_after(self.settings.retry_after));
        }
        let name = (0..TRIES).find_map(|_| Some(self.new_name()).filter(|name| rooms.life(name).is_none()));
        Ok(RoomRecord {
            name: name.ok_or_else(|| Rejection::new(503).retry_after(self.settings.retry_after))?,
            config: RoomConfig {
                persistent: false,
                public: false,
                ..factory.template
            },
            locked_until_configured: false,
            from_config: false,
            affiliations: jid.map(|jid| (jid, Affiliation::Owner)).into_iter().collect(),
            voice: BTreeMap::new(),
            subject: None,
            history: Vec::new(),
        })
    }

    /// A name that can be read out.
    fn new_name(&mut self) -> RoomName {
        let [first, second] = [FIRST, SECOND].map(|words| words[self.rng.random_range(0..words.len())]);
        let number = self.rng.random_range(1_000..10_000);
        RoomName::new(&format!("{first}-{second}-{number}")).expect("letters, digits and hyphens are a local part")
    }
}
