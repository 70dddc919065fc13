//! Who is shown in the chat, and from which clients: the room's nicks as the events told them, with the sessions that only this door knows.

use std::{collections::BTreeMap, time::Instant};

use minidom::Element;

use crate::{
    model::{Affiliation, BareJid, FullJid, OccupantId, PersonId, Role},
    room::{OccupantKind, OccupantView},
    xmpp::mark::Mark,
};

/// Clients of one person under one nick, at most: more is no person.
pub(super) const MAX_SESSIONS: usize = 10;

/// One client in the room.
#[derive(Debug)]
pub(super) struct Session {
    /// Where it is.
    pub(super) jid: FullJid,
    /// What its presence says, cleaned (rule R24).
    pub(super) payload: Vec<Element>,
}

/// One nick.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) id: OccupantId,
    pub(super) nick: String,
    pub(super) kind: OccupantKind,
    pub(super) jid: BareJid,
    pub(super) person: PersonId,
    pub(super) role: Role,
    pub(super) affiliation: Affiliation,
    /// Their occupant-id (XEP-0421).
    pub(super) token: String,
    /// Their clients in order of entry; the last one's presence is what others see. Stand-ins have none.
    pub(super) sessions: Vec<Session>,
    /// What others last saw of their participation, and when it was sent for its own sake (rule R29).
    pub(super) mark: Option<Mark>,
    pub(super) marked_at: Option<Instant>,
    /// When a changed mark is to be sent.
    pub(super) mark_due: Option<Instant>,
}

impl Shown {
    pub(super) fn new(view: OccupantView, token: String, session: Option<Session>) -> Self {
        Self {
            id: view.id,
            nick: on_the_wire(&view.nick),
            kind: view.kind,
            jid: view.jid,
            person: view.person,
            role: view.role,
            affiliation: view.affiliation,
            token,
            sessions: session.into_iter().collect(),
            mark: None,
            marked_at: None,
            mark_due: None,
        }
    }

    /// What others see of their presence.
    pub(super) fn payload(&self) -> &[Element] {
        self.sessions.last().map_or(&[], |s| &s.payload)
    }

    /// The full JID that those who may see it are shown; of a stand-in its own (rule R26).
    pub(super) fn full_jid(&self) -> Option<jid::Jid> {
        match self.sessions.last() {
            Some(session) => Some(session.jid.clone().into()),
            None => self.jid.with_resource_str("phone").ok().map(Into::into),
        }
    }
}

/// A nick as servers write it (RFC 7622 section 3.4): the room's own masks, such as `+49…12`, are spelt otherwise there.
pub(super) fn on_the_wire(nick: &str) -> String {
    jid::ResourcePart::new(nick).map_or_else(|_| nick.to_owned(), |prepared| prepared.as_str().to_owned())
}

/// All nicks, in order of id.
#[derive(Debug, Default)]
pub(super) struct Occupants {
    shown: BTreeMap<OccupantId, Shown>,
    by_jid: BTreeMap<FullJid, OccupantId>,
}

impl Occupants {
    pub(super) fn insert(&mut self, shown: Shown) {
        for session in &shown.sessions {
            self.by_jid.insert(session.jid.clone(), shown.id);
        }
        self.shown.insert(shown.id, shown);
    }

    pub(super) fn remove(&mut self, id: OccupantId) -> Option<Shown> {
        let shown = self.shown.remove(&id)?;
        for session in &shown.sessions {
            self.by_jid.remove(&session.jid);
        }
        Some(shown)
    }

    pub(super) fn get(&self, id: OccupantId) -> Option<&Shown> {
        self.shown.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: OccupantId) -> Option<&mut Shown> {
        self.shown.get_mut(&id)
    }

    pub(super) fn by_session(&self, jid: &FullJid) -> Option<OccupantId> {
        self.by_jid.get(jid).copied()
    }

    pub(super) fn by_nick(&self, nick: &str) -> Option<&Shown> {
        self.shown.values().find(|s| s.nick == nick)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Shown> {
        self.shown.values()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Shown> {
        self.shown.values_mut()
    }

    /// Every client, with the nick it belongs to.
    pub(super) fn sessions(&self) -> impl Iterator<Item = (&Shown, &FullJid)> {
        self.shown
            .values()
            .flat_map(|s| s.sessions.iter().map(move |session| (s, &session.jid)))
    }

    pub(super) fn add_session(&mut self, id: OccupantId, session: Session) {
        if let Some(shown) = self.shown.get_mut(&id) {
            self.by_jid.insert(session.jid.clone(), id);
            shown.sessions.push(session);
        }
    }

    /// Takes one client out and leaves the nick; says whether its presence was the one that others saw.
    pub(super) fn remove_session(&mut self, jid: &FullJid) -> bool {
        let Some(shown) = self.by_jid.remove(jid).and_then(|id| self.shown.get_mut(&id)) else {
            return false;
        };
        let was_seen = shown.sessions.last().is_some_and(|s| s.jid == *jid);
        shown.sessions.retain(|s| s.jid != *jid);
        was_seen
    }

    /// Replaces what a client's presence says, and makes it the one that others see.
    pub(super) fn update(&mut self, jid: &FullJid, payload: Vec<Element>) {
        let Some(shown) = self.by_jid.get(jid).and_then(|id| self.shown.get_mut(id)) else {
            return;
        };
        if let Some(at) = shown.sessions.iter().position(|s| s.jid == *jid) {
            let mut session = shown.sessions.remove(at);
            session.payload = payload;
            shown.sessions.push(session);
        }
    }
}
