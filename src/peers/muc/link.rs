//! The chat server goes and comes back (rule R30): who is still there is asked, and views are compared. Calls go on meanwhile.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use minidom::Element;

use super::{
    MucRoom,
    bounce::says_gone,
    occupants::Shown,
    presence::{Sketch, sees_jids},
    room::Inbound,
};
use crate::{
    model::{FullJid, Now},
    room::{OccupantCause, Report, Room},
    xmpp::{
        muc::NS_INFO,
        stanza::{self, element, with},
    },
};

/// Between two questions: fifty in a second fill no server's queue, and five hundred clients are asked in ten seconds.
const PAUSE: Duration = Duration::from_millis(20);
/// Rule R30.
const PATIENCE: Duration = Duration::from_secs(30);
/// Nicks that went and are remembered: a full room.
const MAX_GONE: usize = 1000;
/// How long a nick that went is remembered while the link is up: stanzas that were lost are found out sooner.
const REMEMBERED: Duration = Duration::from_secs(600);

/// The chat server's side of the room.
#[derive(Debug)]
pub(super) struct Link {
    up: bool,
    to_ask: VecDeque<FullJid>,
    next_question: Option<Instant>,
    /// Asked by this id; out at this time.
    asked: BTreeMap<String, (FullJid, Instant)>,
    /// Who went, oldest first: perhaps not everybody was told.
    gone: VecDeque<(Instant, Shown)>,
}

impl Default for Link {
    fn default() -> Self {
        Self {
            up: true,
            to_ask: VecDeque::new(),
            next_question: None,
            asked: BTreeMap::new(),
            gone: VecDeque::new(),
        }
    }
}

impl Link {
    pub(super) fn is_up(&self) -> bool {
        self.up
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        let answer = self.asked.values().map(|(_, until)| *until).min();
        self.next_question.into_iter().chain(answer).min()
    }

    /// Remembers who went, in case not everybody hears of it.
    pub(super) fn went(&mut self, now: Now, shown: Shown) {
        let is_old = |at: &Instant| self.up && now.at.saturating_duration_since(*at) > REMEMBERED;
        while self.gone.front().is_some_and(|(at, _)| is_old(at)) || self.gone.len() >= MAX_GONE {
            self.gone.pop_front();
        }
        self.gone.push_back((now.at, shown));
    }
}

impl MucRoom {
    /// The chat server went (`false`) or is back (`true`). Said again while it is there, it means that stanzas were lost on the way out:
    /// then too it is found out who is there, and each is shown everybody.
    pub fn handle_link(&mut self, now: Now, room: &mut Room, up: bool) {
        if !up && !self.link.up {
            return;
        }
        room.report(now, Report::ChatLink(up));
        self.settle_marks(room);
        self.link.up = up;
        self.link.asked.clear();
        self.link.to_ask.clear();
        self.link.next_question = None;
        if up {
            self.link.to_ask = self.occupants.sessions().map(|(_, client)| client.clone()).collect();
            self.link.next_question = Some(now.at);
            self.link_timeout(now, room);
        } else {
            self.relay.clear();
            self.outbox.clear();
            self.answer = None;
        }
    }

    /// Asks the next clients, and gives up on those that don't answer.
    pub(super) fn link_timeout(&mut self, now: Now, room: &mut Room) {
        while let Some(at) = self.link.next_question.filter(|at| *at <= now.at) {
            match self.link.to_ask.pop_front() {
                Some(client) => {
                    self.ask(now, &client);
                    self.link.next_question = Some(at + PAUSE);
                }
                None => self.link.next_question = None,
            }
        }
        let late = |(_, until): &(FullJid, Instant)| *until <= now.at;
        let ids: Vec<String> = self.link.asked.iter().filter(|(_, a)| late(a)).map(|(id, _)| id.clone()).collect();
        let silent: Vec<FullJid> = ids
            .iter()
            .filter_map(|id| self.link.asked.remove(id))
            .map(|(client, _)| client)
            .collect();
        for client in silent {
            self.client_gone(now, room, &client, OccupantCause::Unreachable);
        }
        self.forget_gone();
    }

    fn ask(&mut self, now: Now, client: &FullJid) {
        // They may have left, or been put out, since the link is back.
        if self.occupants.by_session(client).is_none() {
            return;
        }
        let id = self.fresh_id(now);
        let question = element(
            "iq",
            stanza::NS,
            &[
                ("type", Some("get")),
                ("id", Some(&id)),
                ("from", Some(self.jid.as_str())),
                ("to", Some(client.as_str())),
            ],
        );
        self.outbox.push_back(with(question, [Element::bare("query", NS_INFO)]));
        self.link.asked.insert(id, (client.clone(), now.at + PATIENCE));
    }

    /// An answer to a question of ours: the client is there and catches up, or it is out.
    pub(super) fn probe_answer(&mut self, now: Now, room: &mut Room, inbound: &Inbound) {
        let Some((id, client)) = stanza::id(&inbound.stanza).zip(inbound.client().cloned()) else {
            return;
        };
        if self.link.asked.get(id).is_none_or(|(asked, _)| *asked != client) {
            return;
        }
        self.link.asked.remove(id);
        if inbound.stanza.attr("type") == Some("error") && says_gone(&inbound.stanza) {
            self.client_gone(now, room, &client, OccupantCause::Unreachable);
        } else {
            self.catch_up(room, &client);
        }
        self.forget_gone();
    }

    /// Shows a client what it missed: who went, and who is here.
    fn catch_up(&mut self, room: &Room, client: &FullJid) {
        let Some(own) = self.occupants.by_session(client).and_then(|id| self.occupants.get(id)) else {
            return;
        };
        let sees = sees_jids(own, room);
        let gone = self
            .link
            .gone
            .iter()
            .map(|(_, gone)| gone)
            .filter(|g| self.occupants.by_nick(&g.nick).is_none());
        let gone: Vec<Element> = gone.map(|g| Sketch::gone(g, &[]).to(&self.jid, client, sees, None)).collect();
        self.outbox.extend(gone);
        self.tell_presence(room, client, &[]);
    }

    fn forget_gone(&mut self) {
        if self.link.up && self.link.to_ask.is_empty() && self.link.asked.is_empty() {
            self.link.gone.clear();
        }
    }
}
