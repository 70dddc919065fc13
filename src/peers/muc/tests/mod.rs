//! A room with its chat door, and people who send and receive. What they receive is told in one line a stanza.

mod admin;
mod bridge;
mod disco;
mod flood;
mod hostile;
mod invite;
mod iq;
mod join;
mod link;
mod marks;
mod message;
mod owner;
mod phone;
mod recording;
mod service;

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use minidom::Element;

use super::{MucRoom, MucSettings};
use crate::{
    model::{
        Account, Affiliation, Aor, BareJid, Caller, Correlation, Directory, Door, LegId, Now, Origin, RoomConfig, RoomName, RoomRecord,
        StoreOp, origin::Asker,
    },
    room::{Report, Request, Room, RoomSettings},
    xmpp::{
        mark,
        muc::{NS_DELAY, NS_USER},
        stanza::{self, set},
    },
};

pub(super) const ROOM: &str = "blue@rooms.example";
const KEY: [u8; 32] = [7; 32];

/// Owner of the room.
pub(super) const CAPULET: &str = "capulet@a.example/hall";
/// Admin of the room.
pub(super) const NURSE: &str = "nurse@a.example/kitchen";
/// Nobody special.
pub(super) const JULIET: &str = "juliet@a.example/balcony";
/// Nobody special.
pub(super) const ROMEO: &str = "romeo@b.example/orchard";

#[derive(Debug)]
struct People;

impl Directory for People {
    fn by_sip_user(&self, _: &str) -> Option<Account> {
        None
    }
    fn by_aor(&self, aor: &Aor) -> Option<Account> {
        (aor.as_str() == "sip:romeo@b.example").then(|| Account {
            id: "romeo".to_owned(),
            name: "Romeo".to_owned(),
            aor: Some(aor.clone()),
            jid: Some(BareJid::new("romeo@b.example").expect("a JID")),
            digest: None,
        })
    }
    fn by_jid(&self, _: &BareJid) -> Option<Account> {
        None
    }
}

pub(super) struct World {
    pub(super) now: Now,
    pub(super) room: Room,
    pub(super) muc: MucRoom,
    pub(super) stored: Vec<StoreOp>,
    inboxes: BTreeMap<String, Vec<Element>>,
    last_leg: u64,
    last_seq: u64,
}

pub(super) fn record(change: impl FnOnce(&mut RoomConfig)) -> RoomRecord {
    let mut config = RoomConfig {
        persistent: true,
        ..RoomConfig::default()
    };
    change(&mut config);
    let jid = |full: &str| BareJid::new(full.split('/').next().unwrap_or_default()).expect("a JID");
    RoomRecord {
        name: RoomName::new("blue").expect("a name"),
        config,
        locked_until_configured: false,
        from_config: false,
        affiliations: BTreeMap::from([(jid(CAPULET), Affiliation::Owner), (jid(NURSE), Affiliation::Admin)]),
        voice: BTreeMap::new(),
        subject: None,
        history: Vec::new(),
    }
}

impl World {
    pub(super) fn new() -> Self {
        Self::with(|_| ())
    }

    pub(super) fn with(change: impl FnOnce(&mut RoomConfig)) -> Self {
        Self::from_record(record(change))
    }

    pub(super) fn from_record(record: RoomRecord) -> Self {
        let now = Now {
            at: Instant::now(),
            unix_ms: 1_800_000_000_000,
        };
        let settings = MucSettings {
            rooms_domain: BareJid::new("rooms.example").expect("a domain"),
            sip_host: "conf.example".to_owned(),
            service_key: KEY,
        };
        let muc = MucRoom::new(Arc::new(settings), &record, 1);
        let phones = BareJid::new("phones.example").expect("a domain");
        let mut settings = RoomSettings::new(phones);
        settings.records = true;
        let room = Room::new(record, settings, Arc::new(People), KEY, 2, now);
        Self {
            now,
            room,
            muc,
            stored: Vec::new(),
            inboxes: BTreeMap::new(),
            last_leg: 0,
            last_seq: 0,
        }
    }

    /// Does what the room's task does after each call.
    fn settle(&mut self) {
        while self.room.poll_media().is_some() {}
        while let Some(event) = self.room.poll_event() {
            assert!(event.seq > self.last_seq);
            self.last_seq = event.seq;
            self.muc.handle_event(self.now, &self.room, &event);
        }
        self.stored.extend(std::iter::from_fn(|| self.room.poll_store()));
        self.stored.extend(std::iter::from_fn(|| self.muc.poll_store()));
        while let Some(stanza) = self.muc.poll_stanza() {
            let from = stanza::from(&stanza).expect("each stanza says whom it is from");
            assert_eq!(from.domain().as_str(), "rooms.example", "r20: {}", String::from(&stanza));
            let to = stanza.attr("to").expect("each stanza is addressed").to_owned();
            assert!(!to.contains("phones.example"), "r26: nothing is sent to stand-ins");
            self.inboxes.entry(to).or_default().push(stanza);
        }
    }

    /// Somebody sends a stanza; to the room, unless it says otherwise.
    pub(super) fn sends(&mut self, who: &str, xml: &str) {
        let mut stanza: Element = xml.replacen(' ', " xmlns='jabber:client' ", 1).parse().expect("a test's own XML");
        set(&mut stanza, "from", who);
        if stanza.attr("to").is_none() {
            set(&mut stanza, "to", ROOM);
        }
        self.muc.handle_stanza(self.now, &mut self.room, stanza);
        self.settle();
    }

    /// What somebody has received since they were last asked, whole.
    pub(super) fn inbox(&mut self, who: &str) -> Vec<Element> {
        self.inboxes.remove(who).unwrap_or_default()
    }

    /// The same, one line a stanza.
    pub(super) fn receives(&mut self, who: &str) -> Vec<String> {
        self.inbox(who).iter().map(line).collect()
    }

    /// The only stanza that somebody has received.
    pub(super) fn receives_one(&mut self, who: &str) -> Element {
        let mut inbox = self.inbox(who);
        assert_eq!(inbox.len(), 1, "{who}: {:?}", inbox.iter().map(line).collect::<Vec<_>>());
        inbox.remove(0)
    }

    /// Everybody looks away.
    pub(super) fn forget(&mut self) {
        self.inboxes.clear();
    }

    pub(super) fn joins(&mut self, who: &str, nick: &str) {
        self.sends(
            who,
            &format!("<presence to='{ROOM}/{nick}'><x xmlns='http://jabber.org/protocol/muc'/></presence>"),
        );
    }

    /// They join one after the other, under their own names, and look away.
    pub(super) fn all_join(&mut self, all: &[&str]) {
        for who in all {
            let nick = who.split('@').next().unwrap_or_default().to_owned();
            self.joins(who, &nick);
        }
        self.forget();
    }

    pub(super) fn says(&mut self, who: &str, body: &str) {
        self.sends(who, &format!("<message type='groupchat' id='m'><body>{body}</body></message>"));
    }

    /// A moderator's or admin's request; gives the answer's line.
    pub(super) fn admin(&mut self, who: &str, items: &str) -> String {
        self.iq(
            who,
            "set",
            &format!("<query xmlns='http://jabber.org/protocol/muc#admin'>{items}</query>"),
        )
    }

    /// A query to the room; gives the answer's line. What else came stays unread.
    pub(super) fn iq(&mut self, who: &str, type_: &str, payload: &str) -> String {
        line(&self.query(who, type_, payload))
    }

    /// A query to the room; gives the answer.
    pub(super) fn query(&mut self, who: &str, type_: &str, payload: &str) -> Element {
        self.sends(who, &format!("<iq type='{type_}' id='q'>{payload}</iq>"));
        let inbox = self.inboxes.entry(who.to_owned()).or_default();
        let at = inbox.iter().position(|s| s.name() == "iq").expect("a query is answered");
        inbox.remove(at)
    }

    /// Somebody calls.
    pub(super) fn calls(&mut self, caller: Caller) -> LegId {
        self.last_leg += 1;
        let leg = LegId(self.last_leg);
        let join = Request::Join {
            leg,
            account: None,
            caller: caller.clone(),
            ssrc: 1,
            endpoint: "sip:x@192.0.2.1".to_owned(),
            correlation: Correlation(1),
            entry: crate::model::Entry::Nothing,
        };
        let origin = Origin {
            door: Door::Sip,
            by: Asker::Caller(caller),
        };
        self.room.request(self.now, &origin, join).expect("the caller is let in");
        self.settle();
        self.reports(Report::LegConfirmed(leg));
        leg
    }

    /// Somebody without an account calls.
    pub(super) fn phones(&mut self, name: &str) -> LegId {
        self.calls(Caller::Claimed {
            uri: "sip:gw@192.0.2.1".to_owned(),
            name: Some(name.to_owned()),
        })
    }

    pub(super) fn reports(&mut self, report: Report) {
        self.room.report(self.now, report);
        self.settle();
    }

    /// The operator does something.
    pub(super) fn operator(&mut self, request: Request) {
        let origin = Origin {
            door: Door::Control,
            by: Asker::Operator,
        };
        self.room.request(self.now, &origin, request).expect("the operator may");
        self.settle();
    }

    pub(super) fn link(&mut self, up: bool) {
        self.muc.handle_link(self.now, &mut self.room, up);
        self.settle();
    }

    /// Time passes, and each timer goes off when it is due.
    pub(super) fn run_for(&mut self, time: Duration) {
        let end = self.now.at + time;
        for _ in 0..10_000 {
            let due = [self.muc.poll_timeout(), self.room.poll_timeout()]
                .into_iter()
                .flatten()
                .map(|(at, _)| at)
                .min();
            let Some(due) = due.filter(|at| *at <= end) else { break };
            self.turn_to(due.max(self.now.at));
            self.room.handle_timeout(self.now);
            self.settle();
            self.muc.handle_timeout(self.now, &mut self.room);
            self.settle();
        }
        self.turn_to(end);
    }

    fn turn_to(&mut self, at: Instant) {
        let passed = at.saturating_duration_since(self.now.at);
        self.now.unix_ms += u64::try_from(passed.as_millis()).expect("a short time");
        self.now.at = at;
    }
}

/// One stanza in one line.
pub(super) fn line(stanza: &Element) -> String {
    let from = stanza::from(stanza);
    let nick = from.as_ref().and_then(|f| f.resource()).map_or("room", |r| r.as_str()).to_owned();
    if let Some(error) = stanza.get_child("error", stanza::NS) {
        let condition = error.children().find(|c| c.name() != "text").map_or("none", Element::name);
        return format!("{} error {} {condition}", stanza.name(), error.attr("type").unwrap_or("untyped"));
    }
    match stanza.name() {
        "presence" => {
            let gone = if stanza.attr("type").is_some() { " gone" } else { "" };
            format!("presence {nick}{gone}{}", user_x(stanza))
        }
        "message" => {
            let child = |name| stanza.get_child(name, stanza::NS).map(Element::text);
            let earlier = if stanza.has_child("delay", NS_DELAY) { " earlier" } else { "" };
            let private = if stanza.attr("type") == Some("groupchat") { "" } else { " private" };
            match (child("subject"), child("body")) {
                (Some(subject), None) => format!("subject {nick}{earlier}: {subject}"),
                (_, Some(body)) => format!("message {nick}{private}{earlier}: {body}"),
                (None, None) => format!("message {nick}{private}{}", user_x(stanza)),
            }
        }
        _ => format!("iq {}", stanza.attr("type").unwrap_or("untyped")),
    }
}

/// ` AFFILIATION ROLE [JID] [-> NEW NICK] [by ACTOR] [because REASON] [CODES]`.
fn user_x(stanza: &Element) -> String {
    let Some(x) = stanza.get_child("x", NS_USER) else {
        return String::new();
    };
    let mut text = String::new();
    if let Some(item) = x.get_child("item", NS_USER) {
        text += &format!(" {} {}", item.attr("affiliation").unwrap_or("?"), item.attr("role").unwrap_or("?"));
        text += &item.attr("jid").map(|j| format!(" {j}")).unwrap_or_default();
        text += &item.attr("nick").map(|n| format!(" -> {n}")).unwrap_or_default();
        let actor = item.get_child("actor", NS_USER);
        text += &actor
            .and_then(|a| a.attr("nick").or_else(|| a.attr("jid")))
            .map(|a| format!(" by {a}"))
            .unwrap_or_default();
        text += &item
            .get_child("reason", NS_USER)
            .map(|r| format!(" because {}", r.text()))
            .unwrap_or_default();
    }
    if let Some(destroy) = x.get_child("destroy", NS_USER) {
        text += &format!(" destroyed for {}", destroy.attr("jid").unwrap_or("nothing"));
        text += &destroy
            .get_child("reason", NS_USER)
            .map(|r| format!(" because {}", r.text()))
            .unwrap_or_default();
    }
    let codes: Vec<&str> = x
        .children()
        .filter(|c| c.name() == "status")
        .filter_map(|c| c.attr("code"))
        .collect();
    if !codes.is_empty() {
        text += &format!(" [{}]", codes.join(" "));
    }
    text
}

/// Level of participation as a presence shows it: `TEXT/AUDIO`.
pub(super) fn level(presence: &Element) -> String {
    let mark = presence.get_child("participation", mark::NS).expect("presence is marked");
    format!("{}/{}", mark.attr("text").unwrap_or("?"), mark.attr("audio").unwrap_or("?"))
}
