//! One room's chat door: takes stanzas in, hands stanzas out, and keeps what the room core doesn't. The verbs are in the modules beside it.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Instant,
};

use data_encoding::HEXLOWER;
use hmac::{Hmac, Mac};
use jid::Jid;
use minidom::Element;
use rand::{RngCore, SeedableRng, rngs::StdRng};
use sha2::Sha256;

use super::{
    flood::{Buckets, Verdict},
    history::{History, Kept},
    invite::Invited,
    join::{Entering, Renaming},
    link::Link,
    occupants::Occupants,
    relay::Relay,
    stand_in::StandIns,
};
use crate::{
    model::{BareJid, Door, FullJid, Now, OccupantId, Origin, RoomRecord, StoreOp, origin::Asker},
    room::{OccupantCause, Report, Room},
    xmpp::{
        muc::{Forger, weight},
        stanza::{self, DefinedCondition, Failure, IqKind, Kind, MessageKind, PresenceKind},
    },
};

/// What all rooms of a service share.
#[derive(Debug, Clone)]
pub struct MucSettings {
    /// Domain of the rooms.
    pub rooms_domain: BareJid,
    /// Host of the rooms' SIP URIs, as `audio-video-uri` tells them.
    pub sip_host: String,
    /// Makes occupant-ids that nobody can make out or make up (XEP-0421).
    pub service_key: [u8; 32],
}

/// One room's chat door.
#[derive(Debug)]
pub struct MucRoom {
    pub(super) settings: Arc<MucSettings>,
    pub(super) jid: BareJid,
    pub(super) from_config: bool,
    /// Whether subject and history outlive the room's last occupant, as the store was last told.
    pub(super) kept: bool,
    pub(super) occupants: Occupants,
    pub(super) entering: BTreeMap<OccupantId, Entering>,
    pub(super) renaming: Option<Renaming>,
    /// What the one who is just leaving says as they go.
    pub(super) farewell: Option<(OccupantId, Vec<Element>)>,
    pub(super) subject: Option<Kept>,
    pub(super) history: History,
    pub(super) relay: Relay,
    pub(super) invited: Invited,
    pub(super) link: Link,
    pub(super) stand_ins: StandIns,
    pub(super) buckets: Buckets,
    pub(super) forger: Forger,
    pub(super) rng: StdRng,
    pub(super) last_occupant: u32,
    pub(super) outbox: VecDeque<Element>,
    /// The answer to a request whose events have still to come: it goes out between the stanzas to the target and those to the others
    /// (section 8.2), and at the latest when all else is out.
    pub(super) answer: Option<Element>,
    pub(super) store: VecDeque<StoreOp>,
}

/// A stanza, and what it says of its sender.
#[derive(Debug)]
pub(super) struct Inbound {
    pub(super) stanza: Element,
    pub(super) from: Jid,
    /// The nick it is addressed to; `None`: the room.
    pub(super) nick: Option<String>,
    /// The sender's nick, if that client is in the room.
    pub(super) sender: Option<OccupantId>,
}

impl Inbound {
    /// The client that sent it.
    pub(super) fn client(&self) -> Option<&FullJid> {
        self.from.try_as_full().ok()
    }

    /// On whose behalf it asks.
    pub(super) fn origin(&self) -> Origin {
        let by = self.sender.map_or_else(|| Asker::Jid(self.from.to_bare()), Asker::Occupant);
        Origin { door: Door::Chat, by }
    }
}

impl MucRoom {
    /// Opens the chat door of a room with what was kept of it.
    pub fn new(settings: Arc<MucSettings>, record: &RoomRecord, seed: u64) -> Self {
        let jid = BareJid::new(&format!("{}@{}", record.name, settings.rooms_domain)).expect("a prepared room name is a local part");
        Self {
            from_config: record.from_config,
            kept: record.from_config || record.config.persistent,
            occupants: Occupants::default(),
            entering: BTreeMap::new(),
            renaming: None,
            farewell: None,
            subject: record.subject.as_ref().and_then(Kept::read),
            history: History::read(&record.history),
            relay: Relay::default(),
            invited: Invited::default(),
            link: Link::default(),
            stand_ins: StandIns::default(),
            buckets: Buckets::default(),
            forger: Forger::new(jid.clone()),
            rng: StdRng::seed_from_u64(seed),
            last_occupant: 0,
            outbox: VecDeque::new(),
            answer: None,
            store: VecDeque::new(),
            settings,
            jid,
        }
    }

    /// The room's address.
    pub fn jid(&self) -> &BareJid {
        &self.jid
    }

    /// The room's subject; empty if there is none.
    pub fn subject(&self) -> String {
        let subject = self.subject.as_ref().and_then(|k| k.stanza.get_child("subject", stanza::NS));
        subject.map(Element::text).unwrap_or_default()
    }

    /// Takes in one stanza that is addressed to the room or to one of its nicks.
    pub fn handle_stanza(&mut self, now: Now, room: &mut Room, stanza: Element) {
        self.release_answer();
        let (Some(from), Some(to)) = (stanza::from(&stanza), stanza::to(&stanza)) else {
            return;
        };
        if to.to_bare() != self.jid {
            return;
        }
        let inbound = Inbound {
            sender: from.try_as_full().ok().and_then(|client| self.occupants.by_session(client)),
            nick: to.resource().map(|r| r.as_str().to_owned()),
            stanza,
            from,
        };
        if !self.admit(now, room, &inbound) {
            return;
        }
        match stanza::kind(&inbound.stanza) {
            Kind::Presence(PresenceKind::Available) => self.available(now, room, inbound),
            Kind::Presence(PresenceKind::Unavailable) => self.unavailable(now, room, inbound),
            Kind::Presence(PresenceKind::Error) | Kind::Message(MessageKind::Error) => self.bounced(now, room, inbound),
            // Section 17.3: neither joins nor leaves; nobody subscribes to a room.
            Kind::Presence(
                PresenceKind::Subscribe
                | PresenceKind::Subscribed
                | PresenceKind::Unsubscribe
                | PresenceKind::Unsubscribed
                | PresenceKind::Probe
                | PresenceKind::Bogus,
            )
            | Kind::Other => {}
            Kind::Message(kind) => self.message(now, room, inbound, kind),
            Kind::Iq(kind) => self.iq(now, room, inbound, kind),
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Now, room: &mut Room) {
        self.release_answer();
        self.send_due_marks(now, room);
        self.relay_timeout(now);
        self.link_timeout(now, room);
    }

    /// When [`MucRoom::handle_timeout`] wants to be called, and what for.
    pub fn poll_timeout(&self) -> Option<(Instant, &'static str)> {
        let timers = [
            (self.next_mark(), "participation mark"),
            (self.relay.next_timeout(), "query between clients"),
            (self.link.next_timeout(), "who is still there"),
        ];
        timers.into_iter().filter_map(|(at, why)| Some((at?, why))).min()
    }

    /// The next stanza to send.
    pub fn poll_stanza(&mut self) -> Option<Element> {
        if !self.link.is_up() {
            // Nobody hears them, and after the outage views are compared (rule R30).
            self.outbox.clear();
            self.answer = None;
            return None;
        }
        self.outbox.pop_front().or_else(|| self.answer.take())
    }

    /// The next change to what is kept.
    pub fn poll_store(&mut self) -> Option<StoreOp> {
        self.store.pop_front()
    }

    /// Whether a stanza is within its sender's means (answers and goodbyes always are); if not, it is dealt with here.
    fn admit(&mut self, now: Now, room: &mut Room, inbound: &Inbound) -> bool {
        let strike = match stanza::kind(&inbound.stanza) {
            Kind::Iq(IqKind::Get | IqKind::Set) => false,
            Kind::Presence(PresenceKind::Available) => true,
            Kind::Message(MessageKind::Normal | MessageKind::Chat | MessageKind::GroupChat | MessageKind::Headline) => true,
            Kind::Iq(IqKind::Result | IqKind::Error | IqKind::Bogus)
            | Kind::Message(MessageKind::Error)
            | Kind::Presence(_)
            | Kind::Other => return true,
        };
        match self.buckets.spend(now.at, &inbound.from.to_bare(), weight(&inbound.stanza), strike) {
            Verdict::Pass => true,
            Verdict::Wait => {
                let failure = Failure::from(DefinedCondition::ResourceConstraint).with_text("you send too fast");
                self.refuse(inbound, failure);
                false
            }
            Verdict::Flood => {
                if let Some(id) = inbound.sender {
                    room.report(now, Report::OccupantGone(id, OccupantCause::Flooded));
                }
                false
            }
        }
    }

    /// Answers that it can't be done, if such a stanza is answered at all.
    pub(super) fn refuse(&mut self, inbound: &Inbound, failure: impl Into<Failure>) {
        let failure = failure.into().by(self.jid.clone());
        self.outbox.extend(stanza::refuse(&inbound.stanza, failure));
    }

    /// Answers an IQ.
    pub(super) fn result(&mut self, inbound: &Inbound, payload: Option<Element>) {
        self.outbox.extend(stanza::result(&inbound.stanza, payload));
    }

    pub(super) fn release_answer(&mut self) {
        self.outbox.extend(self.answer.take());
    }

    /// The occupant-id of an account in this room (XEP-0421 section 4.1).
    pub(super) fn token(&self, account: &BareJid) -> String {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.settings.service_key).expect("HMAC takes a key of any length (RFC 2104 section 2)");
        for part in [self.jid.as_str(), "\0", account.as_str()] {
            mac.update(part.as_bytes());
        }
        HEXLOWER.encode(&mac.finalize().into_bytes())
    }

    /// An identifier that nobody can foretell, and that isn't used again after a restart.
    pub(super) fn fresh_id(&mut self, now: Now) -> String {
        format!("{:x}-{:016x}", now.unix_ms, self.rng.next_u64())
    }
}
