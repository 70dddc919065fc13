//! Presence of occupants as each viewer may see it (rule R13), and who is told. Changes no occupant.

use jid::Jid;
use minidom::Element;

use super::{MucRoom, marks, occupants::Shown};
use crate::{
    model::{Actor, BareJid, FullJid, Now, OccupantId, Role, Whois},
    room::{Room, View},
    xmpp::{
        muc::{self, ActorRef, Destroy, Item, UserX, status},
        stanza::{self, element, with},
    },
};

/// One occupant's presence before it is addressed to anybody.
#[derive(Debug, Clone, Default)]
pub(super) struct Sketch {
    pub(super) unavailable: bool,
    pub(super) nick: String,
    pub(super) payload: Vec<Element>,
    pub(super) token: String,
    pub(super) mark: Option<Element>,
    /// Standing as everybody sees it; JIDs are added for those who may see them.
    pub(super) item: Item,
    pub(super) full_jid: Option<Jid>,
    pub(super) actor_jid: Option<BareJid>,
    pub(super) codes: Vec<u16>,
    pub(super) destroy: Option<Destroy>,
}

impl Sketch {
    /// An occupant who is here.
    pub(super) fn here(shown: &Shown, room: &Room) -> Self {
        Self {
            nick: shown.nick.clone(),
            payload: shown.payload().to_vec(),
            token: shown.token.clone(),
            mark: room.person(shown.person).map(|p| marks::of(&p).to_element()),
            item: Item {
                affiliation: Some(shown.affiliation),
                role: Some(shown.role),
                ..Item::default()
            },
            full_jid: shown.full_jid(),
            ..Self::default()
        }
    }

    /// An occupant who goes, with these codes.
    pub(super) fn gone(shown: &Shown, codes: &[u16]) -> Self {
        Self {
            unavailable: true,
            nick: shown.nick.clone(),
            token: shown.token.clone(),
            item: Item {
                affiliation: Some(shown.affiliation),
                role: Some(Role::None),
                ..Item::default()
            },
            full_jid: shown.full_jid(),
            codes: codes.to_vec(),
            ..Self::default()
        }
    }

    /// Says whose act it was. An absent account is named to those who see JIDs.
    pub(super) fn by(mut self, actor: &Actor, why: Option<&String>) -> Self {
        match actor {
            Actor::Person { name, .. } => {
                self.item.actor = Some(ActorRef {
                    nick: Some(name.clone()),
                    jid: None,
                });
            }
            Actor::Account(jid) => self.actor_jid = Some(jid.clone()),
            Actor::Operator | Actor::Room => {}
        }
        self.item.reason = why.cloned();
        self
    }

    /// Addresses it. `own`: the codes that only the occupant themselves get, if the viewer is they.
    pub(super) fn to(&self, room: &BareJid, viewer: &FullJid, sees_jids: bool, own: Option<&[u16]>) -> Element {
        let mut item = self.item.clone();
        if sees_jids {
            item.jid = self.full_jid.clone();
            if let Some(jid) = &self.actor_jid {
                item.actor.get_or_insert_default().jid = Some(jid.clone());
            }
        }
        let mut codes = self.codes.clone();
        if let Some(own) = own {
            codes.insert(0, status::SELF);
            codes.extend_from_slice(own);
        }
        let x = UserX {
            item: Some(item),
            codes,
            destroy: self.destroy.clone(),
        };
        let presence = element(
            "presence",
            stanza::NS,
            &[
                ("type", self.unavailable.then_some("unavailable")),
                ("from", Some(&format!("{room}/{}", self.nick))),
                ("to", Some(viewer.as_str())),
            ],
        );
        let ours = [Some(muc::occupant_id(&self.token)), self.mark.clone(), Some(x.to_element())];
        with(presence, self.payload.iter().cloned().chain(ours.into_iter().flatten()))
    }
}

/// Whether this occupant may see real JIDs (section 7.2.3 and 7.2.4, rule R13).
pub(super) fn sees_jids(viewer: &Shown, room: &Room) -> bool {
    view_of(viewer) == View::Moderator || room.config().whois == Whois::Anyone
}

/// The view class of an occupant.
pub(super) fn view_of(viewer: &Shown) -> View {
    match viewer.role {
        Role::Moderator => View::Moderator,
        Role::None | Role::Visitor | Role::Participant => View::Member,
    }
}

impl MucRoom {
    /// Sends everybody an occupant's presence, the occupant's own clients last and with these codes.
    pub(super) fn broadcast(&mut self, room: &Room, about: OccupantId, sketch: &Sketch, own_codes: &[u16]) {
        let to = |viewer: &Shown, jid: &FullJid| {
            let own = (viewer.id == about).then_some(own_codes);
            sketch.to(&self.jid, jid, sees_jids(viewer, room), own)
        };
        let others = self.occupants.sessions().filter(|(v, _)| v.id != about).map(|(v, jid)| to(v, jid));
        let own = self.occupants.sessions().filter(|(v, _)| v.id == about).map(|(v, jid)| to(v, jid));
        let all: Vec<Element> = others.chain(own).collect();
        self.outbox.extend(all);
    }

    /// Sends everybody how an occupant is now; their mark goes along.
    pub(super) fn show(&mut self, now: Now, room: &Room, about: OccupantId, change: impl FnOnce(Sketch) -> Sketch, own_codes: &[u16]) {
        let Some(shown) = self.occupants.get_mut(about) else { return };
        marks::sent(now, room, shown);
        let sketch = change(Sketch::here(shown, room));
        self.broadcast(room, about, &sketch, own_codes);
    }

    /// A client's presence changed: everybody sees it (section 7.7).
    pub(super) fn presence_changed(&mut self, now: Now, room: &Room, jid: &FullJid, payload: Vec<Element>) {
        let Some(id) = self.occupants.by_session(jid) else { return };
        self.occupants.update(jid, payload);
        self.show(now, room, id, |sketch| sketch, &[]);
    }

    /// Tells one client that it is out, while its nick stays for the others.
    pub(super) fn dismiss(&mut self, room: &Room, jid: &FullJid, codes: &[u16]) {
        let Some(shown) = self.occupants.by_session(jid).and_then(|id| self.occupants.get(id)) else {
            return;
        };
        let gone = Sketch::gone(shown, codes).to(&self.jid, jid, sees_jids(shown, room), Some(&[]));
        self.outbox.push_back(gone);
    }
}
