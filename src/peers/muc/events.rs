//! What the room says has changed, as the chat shows it. The only place where this door's view of people changes.

use super::{
    MucRoom,
    history::Kept,
    join::Entering,
    occupants::Shown,
    presence::{Sketch, sees_jids},
};
use crate::{
    model::{Actor, Affiliation, BareJid, Now, OccupantId, Role, StoreOp, Whois},
    room::{Event, LeaveCause, LobbyStep, Numbered, Room},
    xmpp::{
        muc::{Destroy, HistoryWish, Item, UserX, status},
        stanza::{self, element, with},
    },
};

impl MucRoom {
    /// Shows one change. To be called for every event, in order, before the next stanza or timeout.
    pub fn handle_event(&mut self, now: Now, room: &Room, numbered: &Numbered) {
        match &numbered.event {
            Event::OccupantEntered(id) => self.entered(now, room, *id),
            Event::OccupantLeft {
                occupant,
                affiliation,
                cause,
                ..
            } => self.left(now, room, *occupant, *affiliation, cause),
            Event::Renamed { occupant, from } => self.renamed(now, room, *occupant, from),
            Event::StandingChanged {
                occupant,
                role,
                affiliation,
                by,
                why,
            } => self.standing_changed(now, room, *occupant, (*role, *affiliation), by, why.as_ref()),
            Event::AbsentAffiliation { jid, affiliation, by, why } => self.absent_affiliation(jid, *affiliation, by, why.clone()),
            Event::LegJoined { person, .. } | Event::LegLeft { person, .. } | Event::AudioChanged { person, .. } => {
                self.person_changed(now, room, *person);
            }
            // What discovery tells has changed (checklist M-4).
            Event::LockChanged(_) => self.announce(now, &[status::CONFIGURED]),
            Event::RecordingChanged { on, by } => {
                self.say(now, &spoken(room, *on, by.as_ref()));
                self.announce(now, &[status::CONFIGURED]);
            }
            Event::ConfigChanged {
                whois_changed,
                other_changed,
            } => self.config_changed(now, room, *whois_changed, *other_changed),
            Event::Notice { to, text } => self.tell(*to, text),
            Event::Lobby {
                step: LobbyStep::Invited(jid),
                ..
            } => {
                let invitation = self.own_invitation(room, jid, Some("You may come in now.".to_owned()));
                self.outbox.push_back(invitation);
            }
            Event::Said(text) => self.say(now, text),
            // Who is called comes in and is shown then; whoever asked hears what became of it by a notice.
            Event::Audit(_) | Event::Lobby { .. } | Event::Dial { .. } | Event::CodeIssued { .. } => {}
            Event::Closed { .. } => self.entering.clear(),
        }
    }

    fn entered(&mut self, now: Now, room: &Room, id: OccupantId) {
        let entering = self.entering.remove(&id);
        let Some(view) = room.occupant(id) else { return };
        let token = self.token(&view.jid);
        let (session, asked_nick, history) = match entering {
            Some(Entering {
                session,
                asked_nick,
                history,
            }) => (Some(session), asked_nick, history),
            None => (None, view.nick.clone(), HistoryWish::default()),
        };
        let client = session.as_ref().map(|s| s.jid.clone());
        let shown = Shown::new(view, token, session);
        let codes: &[u16] = if asked_nick == shown.nick { &[] } else { &[status::NICK_CHANGED] };
        self.occupants.insert(shown);
        match client {
            Some(client) => {
                self.show_except(now, room, id, &client);
                self.tell_everything(now, room, &client, history, codes);
            }
            None => self.show(now, room, id, |sketch| sketch, &[]),
        }
    }

    fn left(&mut self, now: Now, room: &Room, id: OccupantId, affiliation: Affiliation, cause: &LeaveCause) {
        self.entering.remove(&id);
        let farewell = self.farewell.take().filter(|(who, _)| *who == id).map(|(_, payload)| payload);
        let Some(mut shown) = self.occupants.remove(id) else { return };
        let saw_jids = sees_jids(&shown, room);
        shown.affiliation = affiliation;
        let mut sketch = departure(&shown, cause);
        sketch.payload = farewell.unwrap_or_default();
        let own: Vec<_> = shown
            .sessions
            .iter()
            .map(|s| sketch.to(&self.jid, &s.jid, saw_jids, Some(&[])))
            .collect();
        self.outbox.extend(own);
        // Section 8.2: first who is put out, then the moderator, then the others.
        self.release_answer();
        // When all go, each hears of their own going only (sections 10.9 and 11.2).
        if !matches!(cause, LeaveCause::Destroyed { .. } | LeaveCause::Shutdown) {
            self.broadcast(room, id, &sketch, &[]);
        }
        self.link.went(now, shown);
    }

    fn standing_changed(
        &mut self,
        now: Now,
        room: &Room,
        id: OccupantId,
        (role, affiliation): (Role, Affiliation),
        by: &Actor,
        why: Option<&String>,
    ) {
        let Some(shown) = self.occupants.get_mut(id) else { return };
        let saw_jids = sees_jids(shown, room);
        (shown.role, shown.affiliation) = (role, affiliation);
        let sees_more = sees_jids(shown, room) && !saw_jids;
        let clients: Vec<_> = shown.sessions.iter().map(|s| s.jid.clone()).collect();
        self.show(now, room, id, |sketch| sketch.by(by, why), &[]);
        if sees_more {
            // A new moderator learns who the others are.
            for client in &clients {
                self.show_others(room, id, client);
            }
        }
    }

    fn show_others(&mut self, room: &Room, own: OccupantId, client: &crate::model::FullJid) {
        let others = self.occupants.iter().filter(|s| s.id != own);
        let shown: Vec<_> = others.map(|s| Sketch::here(s, room).to(&self.jid, client, true, None)).collect();
        self.outbox.extend(shown);
    }

    /// Tells moderators of a change that they can't see in anybody's presence (section 9).
    fn absent_affiliation(&mut self, jid: &BareJid, affiliation: Affiliation, by: &Actor, why: Option<String>) {
        let mut sketch = Sketch::default().by(by, why.as_ref());
        if let Some(actor) = sketch.actor_jid.take() {
            sketch.item.actor.get_or_insert_default().jid = Some(actor);
        }
        let x = UserX {
            item: Some(Item {
                affiliation: Some(affiliation),
                role: Some(Role::None),
                jid: Some(jid.clone().into()),
                ..sketch.item
            }),
            ..UserX::default()
        };
        let message = with(
            element("message", stanza::NS, &[("from", Some(self.jid.as_str()))]),
            [x.to_element()],
        );
        let moderators = self.occupants.sessions().filter(|(s, _)| s.role == Role::Moderator);
        let copies: Vec<_> = moderators
            .map(|(_, client)| super::join::addressed(message.clone(), client))
            .collect();
        self.outbox.extend(copies);
    }

    fn config_changed(&mut self, now: Now, room: &Room, whois_changed: bool, other_changed: bool) {
        let whois = match room.config().whois {
            Whois::Anyone => status::NOW_NON_ANONYMOUS,
            Whois::Moderators => status::NOW_SEMI_ANONYMOUS,
        };
        let codes: Vec<u16> = [other_changed.then_some(status::CONFIGURED), whois_changed.then_some(whois)]
            .into_iter()
            .flatten()
            .collect();
        if !codes.is_empty() {
            self.announce(now, &codes);
        }
        let kept = self.from_config || room.config().persistent;
        if kept && !self.kept {
            self.store_all(room);
        }
        self.kept = kept;
    }

    /// The room is to outlive its occupants from now on, and so is what was said in it.
    fn store_all(&mut self, room: &Room) {
        let name = room.name();
        let subject = self.subject.iter().map(|s| StoreOp::SetSubject(name.clone(), s.to_item()));
        let at_most = room.config().history_length;
        let history = self
            .history
            .iter()
            .map(Kept::to_item)
            .map(|item| StoreOp::Append(name.clone(), item, at_most));
        self.store.extend(subject.chain(history));
    }
}

/// A change of the recording, in words (rule R82).
fn spoken(room: &Room, on: bool, by: Option<&Actor>) -> String {
    match (on, by.map(|by| room.shown_actor(by))) {
        (true, Some(who)) => format!("{who} has started a recording of the call."),
        (true, None) => "The call is being recorded.".to_owned(),
        (false, Some(who)) => format!("{who} has ended the recording of the call."),
        (false, None) => "The recording of the call has ended.".to_owned(),
    }
}

/// How a leave is shown, by its cause.
fn departure(shown: &Shown, cause: &LeaveCause) -> Sketch {
    let gone = |codes: &[u16]| Sketch::gone(shown, codes);
    match cause {
        LeaveCause::Left | LeaveCause::Withdrawn => gone(&[]),
        LeaveCause::Kicked { by, why } => gone(&[status::KICKED]).by(by, why.as_ref()),
        LeaveCause::Banned { by, why } => gone(&[status::BANNED]).by(by, why.as_ref()),
        LeaveCause::MembershipLost { by, why } => gone(&[status::AFFILIATION_LOST]).by(by, why.as_ref()),
        LeaveCause::MembersOnlyNow => gone(&[status::MEMBERS_ONLY]),
        // Section 11.1: 333, and 307 for clients that don't know it.
        LeaveCause::Unreachable => gone(&[status::KICKED, status::UNREACHABLE]),
        LeaveCause::Shutdown => gone(&[status::SHUTDOWN]),
        LeaveCause::Destroyed { alternate, why } => {
            let mut sketch = gone(&[]);
            sketch.item.affiliation = Some(Affiliation::None);
            sketch.destroy = Some(Destroy {
                alternate: alternate.clone(),
                reason: why.clone(),
            });
            sketch
        }
    }
}
