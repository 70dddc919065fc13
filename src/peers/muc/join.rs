//! Entering, returning, renaming and leaving, as clients ask for it (sections 7.2, 7.6, 7.14). Whether they may is the room's matter.

use jid::{FullJid, Jid};
use minidom::Element;
use precis_core::profile::PrecisFastInvocation;
use precis_profiles::Nickname;
use rand::RngCore;

use super::{
    MucRoom,
    occupants::{MAX_SESSIONS, Session, on_the_wire},
    presence::{Sketch, sees_jids},
    refusal::failure,
    room::Inbound,
};
use crate::{
    model::{Affiliation, Correlation, Now, OccupantId, Role, Whois},
    room::{OccupantCause, OccupantKind, Refusal, Report, Request, Room, STAND_IN_IDS},
    xmpp::{
        muc::{HistoryWish, Item, Join, UserX, groupchat, status, weight},
        stanza::{self, DefinedCondition, Failure, element, set, text, with},
    },
};

/// What one presence may say beside what it is: kept for each occupant, and sent to each newcomer.
const MAX_PAYLOAD: usize = 16 * 1024;

/// Somebody the room has let in, until its event comes back.
#[derive(Debug)]
pub(super) struct Entering {
    pub(super) session: Session,
    pub(super) asked_nick: String,
    pub(super) history: HistoryWish,
}

/// A nick that the room has agreed to, until its event comes back.
#[derive(Debug)]
pub(super) struct Renaming {
    pub(super) occupant: OccupantId,
    client: FullJid,
    payload: Vec<Element>,
    pub(super) asked_nick: String,
    /// The client asked as if it weren't in: it gets everything again (section 17.3).
    again: Option<HistoryWish>,
}

impl MucRoom {
    /// Presence without a type.
    pub(super) fn available(&mut self, now: Now, room: &mut Room, inbound: Inbound) {
        let Some(client) = inbound.client().cloned() else { return };
        let (Some(nick), true) = (inbound.nick.clone(), weight(&inbound.stanza) <= MAX_PAYLOAD) else {
            let condition = if inbound.nick.is_none() {
                DefinedCondition::JidMalformed
            } else {
                DefinedCondition::PolicyViolation
            };
            return self.refuse(&inbound, condition);
        };
        let join = Join::read(&inbound.stanza);
        let payload = self.payload(&inbound.stanza);
        match (inbound.sender.and_then(|id| self.occupants.get(id)), join) {
            (Some(own), join) if same_nick(&own.nick, &nick) => self.update(now, room, &client, payload, join),
            (Some(own), join) => {
                let (id, again) = (own.id, join.map(|j| j.history));
                self.rename(
                    now,
                    room,
                    &inbound,
                    Renaming {
                        occupant: id,
                        client,
                        payload,
                        asked_nick: nick,
                        again,
                    },
                );
            }
            (None, Some(join)) => self.enter(now, room, &inbound, Session { jid: client, payload }, nick, join),
            (None, None) => {
                let Ok(to) = self.jid.with_resource_str(&nick) else { return };
                self.outbox.push_back(out_of_sync(&client.into(), &to.into()));
            }
        }
    }

    /// What others are to see of a presence.
    fn payload(&self, presence: &Element) -> Vec<Element> {
        let mut presence = presence.clone();
        self.forger.clean(&mut presence);
        presence.children().cloned().collect()
    }

    fn update(&mut self, now: Now, room: &Room, client: &FullJid, payload: Vec<Element>, join: Option<Join>) {
        let Some(join) = join else {
            return self.presence_changed(now, room, client, payload);
        };
        // Section 17.3: somebody who is in asks to enter, so they have lost track.
        let shown = self.occupants.by_session(client).and_then(|id| self.occupants.get(id));
        if shown.is_some_and(|s| s.payload() != payload) {
            self.presence_changed(now, room, client, payload);
        }
        self.tell_everything(now, room, client, join.history, &[]);
    }

    fn enter(&mut self, now: Now, room: &mut Room, inbound: &Inbound, session: Session, asked_nick: String, join: Join) {
        let Some(nick) = prepared(&asked_nick) else {
            return self.refuse_entry(inbound, failure(Refusal::BadNick));
        };
        let account = session.jid.to_bare();
        let own = self
            .occupants
            .by_nick(&nick)
            .filter(|s| s.kind == OccupantKind::Chat && s.jid == account);
        if let Some(own) = own {
            if own.sessions.len() >= MAX_SESSIONS {
                return self.refuse_entry(inbound, failure(Refusal::Full));
            }
            let (id, client) = (own.id, session.jid.clone());
            self.occupants.add_session(id, session);
            let codes: &[u16] = if nick == asked_nick { &[] } else { &[status::NICK_CHANGED] };
            // The other clients and occupants see the new client's presence; the new one gets everything in order.
            self.show_except(now, room, id, &client);
            return self.tell_everything(now, room, &client, join.history, codes);
        }
        let Some(occupant) = self.last_occupant.checked_add(1).filter(|id| *id < STAND_IN_IDS) else {
            return self.refuse_entry(inbound, failure(Refusal::Full));
        };
        let request = Request::Enter {
            occupant: OccupantId(occupant),
            jid: account,
            nick,
            password: join.password,
            correlation: Correlation(self.rng.next_u64()),
        };
        match room.request(now, &inbound.origin(), request) {
            Ok(_) => {
                self.last_occupant = occupant;
                let entering = Entering {
                    session,
                    asked_nick,
                    history: join.history,
                };
                self.entering.insert(OccupantId(occupant), entering);
            }
            Err(refusal) => self.refuse_entry(inbound, failure(refusal)),
        }
    }

    /// Section 7.2: such errors carry the `<x/>` of the join that they answer.
    fn refuse_entry(&mut self, inbound: &Inbound, failure: Failure) {
        let error = stanza::refuse(&inbound.stanza, failure.by(self.jid.clone()));
        let x = Element::bare("x", crate::xmpp::muc::NS_MUC);
        self.outbox.extend(error.map(|e| with(e, [x])));
    }

    fn rename(&mut self, now: Now, room: &mut Room, inbound: &Inbound, renaming: Renaming) {
        let Some(nick) = prepared(&renaming.asked_nick) else {
            return self.refuse(inbound, failure(Refusal::BadNick));
        };
        let request = Request::Rename {
            occupant: renaming.occupant,
            nick,
        };
        match room.request(now, &inbound.origin(), request) {
            Ok(_) => self.renaming = Some(renaming),
            Err(refusal) => self.refuse(inbound, failure(refusal)),
        }
    }

    /// The room has changed a nick: shows it (section 7.6).
    pub(super) fn renamed(&mut self, now: Now, room: &Room, id: OccupantId, from: &str) {
        let Some(nick) = room.occupant(id).map(|view| on_the_wire(&view.nick)) else {
            return;
        };
        let renaming = self.renaming.take().filter(|r| r.occupant == id);
        let Some(shown) = self.occupants.get_mut(id) else { return };
        let mut gone = Sketch::gone(shown, &[status::RENAMED]);
        gone.nick = on_the_wire(from);
        gone.item.role = Some(shown.role);
        gone.item.nick = Some(nick.clone());
        shown.nick.clone_from(&nick);
        self.broadcast(room, id, &gone, &[]);
        let mut codes: &[u16] = &[];
        if let Some(renaming) = &renaming {
            if renaming.asked_nick != nick {
                codes = &[status::NICK_CHANGED];
            }
            self.occupants.update(&renaming.client, renaming.payload.clone());
        }
        self.show(now, room, id, |sketch| sketch, codes);
        if let Some((client, wish)) = renaming.and_then(|r| Some((r.client, r.again?))) {
            self.tell_everything(now, room, &client, wish, &[]);
        }
    }

    /// Sends one client everything in the order of section 7.1: the others, themselves, what was said, what it is about.
    pub(super) fn tell_everything(&mut self, now: Now, room: &Room, client: &FullJid, wish: HistoryWish, own_codes: &[u16]) {
        self.tell_presence(room, client, own_codes);
        // The room's own limit may have become narrower since the messages were kept.
        let at_most = u64::from(room.config().history_length);
        let wish = HistoryWish {
            max_stanzas: Some(wish.max_stanzas.map_or(at_most, |wanted| wanted.min(at_most))),
            ..wish
        };
        let history = self.history.since(now, self.jid.as_str(), wish);
        self.outbox.extend(history.into_iter().map(|m| addressed(m, client)));
        let subject = match &self.subject {
            Some(kept) => kept.late(self.jid.as_str()),
            None => with(groupchat(self.jid.as_str()), [text("subject", stanza::NS, "")]),
        };
        self.outbox.push_back(addressed(subject, client));
        let moderates = self.occupants.by_session(client).and_then(|id| self.occupants.get(id));
        if moderates.is_some_and(|s| s.role == Role::Moderator) {
            self.tell_who_waits(room, client);
        }
        // Rule R82: with the words of now, behind those of then.
        if let Some(recording) = room.recording() {
            let by = room.shown_actor(&recording.by);
            self.say_to(
                now,
                client,
                &format!("The call in this room is being recorded; {by} has started that."),
            );
        }
    }

    /// Sends one client the presence of everybody, its own last.
    pub(super) fn tell_presence(&mut self, room: &Room, client: &FullJid, own_codes: &[u16]) {
        let Some(own) = self.occupants.by_session(client).and_then(|id| self.occupants.get(id)) else {
            return;
        };
        let sees = sees_jids(own, room);
        let others = self.occupants.iter().filter(|s| s.id != own.id);
        let others: Vec<Element> = others.map(|s| Sketch::here(s, room).to(&self.jid, client, sees, None)).collect();
        let mut codes = own_codes.to_vec();
        if room.config().whois == Whois::Anyone {
            codes.push(status::NON_ANONYMOUS);
        }
        if room.is_unconfigured() {
            codes.push(status::CREATED);
        }
        let own = Sketch::here(own, room).to(&self.jid, client, sees, Some(&codes));
        self.outbox.extend(others);
        self.outbox.push_back(own);
    }

    /// Shows an occupant to all clients but one, which is about to get everything.
    pub(super) fn show_except(&mut self, now: Now, room: &Room, about: OccupantId, client: &FullJid) {
        let before = self.outbox.len();
        self.show(now, room, about, |sketch| sketch, &[]);
        let mut new = self.outbox.split_off(before);
        new.retain(|p| p.attr("to") != Some(client.as_str()));
        self.outbox.append(&mut new);
    }

    /// Presence of type unavailable: the client leaves, whatever nick it names.
    pub(super) fn unavailable(&mut self, now: Now, room: &mut Room, inbound: Inbound) {
        let (Some(id), Some(client)) = (inbound.sender, inbound.client()) else {
            return;
        };
        self.farewell = Some((id, self.payload(&inbound.stanza)));
        self.client_gone(now, room, &client.clone(), OccupantCause::Left);
    }

    /// A client is gone, and its nick too unless another client of the same person has it.
    pub(super) fn client_gone(&mut self, now: Now, room: &mut Room, client: &FullJid, cause: OccupantCause) {
        let Some(shown) = self.occupants.by_session(client).and_then(|id| self.occupants.get(id)) else {
            return;
        };
        let id = shown.id;
        if shown.sessions.len() <= 1 {
            return room.report(now, Report::OccupantGone(id, cause));
        }
        let codes: &[u16] = match cause {
            OccupantCause::Left => &[],
            OccupantCause::Unreachable | OccupantCause::Flooded => &[status::KICKED, status::UNREACHABLE],
        };
        self.farewell = None;
        self.dismiss(room, client, codes);
        if self.occupants.remove_session(client) {
            self.show(now, room, id, |sketch| sketch, &[]);
        }
    }
}

/// A nick as the room is asked for it (RFC 8266); `None` if it can't be one.
fn prepared(nick: &str) -> Option<String> {
    Nickname::enforce(nick).ok().map(std::borrow::Cow::into_owned)
}

fn same_nick(own: &str, asked: &str) -> bool {
    own == asked || prepared(asked).is_some_and(|p| p == own)
}

/// The same stanza to one client.
pub(super) fn addressed(mut stanza: Element, client: &FullJid) -> Element {
    set(&mut stanza, "to", client.as_str());
    stanza
}

/// What a client gets that believes to be in a room and isn't (section 7.2.18): presence without a join is from such a client.
pub(super) fn out_of_sync(client: &Jid, nick: &Jid) -> Element {
    let presence = element(
        "presence",
        stanza::NS,
        &[
            ("type", Some("unavailable")),
            ("from", Some(nick.as_str())),
            ("to", Some(client.as_str())),
        ],
    );
    let x = UserX {
        item: Some(Item {
            affiliation: Some(Affiliation::None),
            role: Some(Role::None),
            ..Item::default()
        }),
        codes: vec![status::SELF, status::KICKED, status::UNREACHABLE],
        destroy: None,
    };
    with(presence, [x.to_element()])
}
