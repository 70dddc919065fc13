//! Roles and affiliations by muc#admin (sections 8, 9 and 10.3 to 10.8). The room decides; here it is asked, item by item.

use minidom::Element;

use super::{MucRoom, refusal::failure, room::Inbound};
use crate::{
    model::{Affiliation, BareJid, Now, Role},
    room::{Accepted, Refusal, Request, Room, Target},
    xmpp::{
        muc::{AdminItem, AdminQuery, BadAdminQuery, Item, NS_ADMIN},
        stanza::{self, DefinedCondition, Failure, with},
    },
};

impl MucRoom {
    pub(super) fn admin_get(&mut self, now: Now, room: &mut Room, inbound: &Inbound, query: &Element) {
        let items = match AdminQuery::read_get(query) {
            Ok(AdminQuery::ListAffiliation(affiliation)) => self.list_affiliation(now, room, inbound, affiliation),
            Ok(AdminQuery::ListRole(role)) => self.list_role(now, room, inbound, role),
            Ok(AdminQuery::Change(_)) => return,
            Err(bad) => return self.refuse(inbound, malformed(bad)),
        };
        match items {
            Ok(items) => {
                let query = with(Element::bare("query", NS_ADMIN), items.iter().map(|i| i.to_element(NS_ADMIN)));
                self.result(inbound, Some(query));
            }
            Err(refusal) => self.refuse(inbound, failure(refusal)),
        }
    }

    /// Section 17.4: affiliation, bare JID, and the nick of who is in.
    fn list_affiliation(&self, now: Now, room: &mut Room, inbound: &Inbound, affiliation: Affiliation) -> Result<Vec<Item>, Refusal> {
        let accounts = match room.request(now, &inbound.origin(), Request::ReadAffiliations(affiliation))? {
            Accepted::List(accounts) => accounts,
            Accepted::Done
            | Accepted::Unchanged
            | Accepted::Entered { .. }
            | Accepted::Joined { .. }
            | Accepted::Waits
            | Accepted::View(_)
            | Accepted::Dialing(_)
            | Accepted::Confirm(_)
            | Accepted::Code(_) => Vec::new(),
        };
        let item = |jid: BareJid| Item {
            affiliation: Some(affiliation),
            nick: self.occupants.iter().find(|s| s.jid == jid).map(|s| s.nick.clone()),
            jid: Some(jid.into()),
            ..Item::default()
        };
        Ok(accounts.into_iter().map(item).collect())
    }

    /// Section 17.4: nick, role, affiliation, and full JID.
    fn list_role(&self, now: Now, room: &mut Room, inbound: &Inbound, role: Role) -> Result<Vec<Item>, Refusal> {
        room.request(now, &inbound.origin(), Request::ReadRoles(role))?;
        let with_role = self.occupants.iter().filter(|s| s.role == role);
        let item = with_role.map(|shown| Item {
            affiliation: Some(shown.affiliation),
            role: Some(shown.role),
            nick: Some(shown.nick.clone()),
            jid: shown.full_jid(),
            ..Item::default()
        });
        Ok(item.collect())
    }

    pub(super) fn admin_set(&mut self, now: Now, room: &mut Room, inbound: &Inbound, query: &Element) {
        let changes = match AdminQuery::read_set(query) {
            Ok(AdminQuery::Change(items)) => items,
            Ok(AdminQuery::ListAffiliation(_) | AdminQuery::ListRole(_)) => return,
            Err(bad) => return self.refuse(inbound, malformed(bad)),
        };
        // Whoever is named has to be there before anything is changed: half a change helps nobody.
        let requests: Result<Vec<Request>, Refusal> = changes.iter().map(|item| self.request_for(item)).collect();
        let done = requests.and_then(|requests| {
            requests.into_iter().try_for_each(|request| {
                let invited = self.new_member(room, &request);
                room.request(now, &inbound.origin(), request)?;
                self.outbox.extend(invited);
                Ok(())
            })
        });
        match done {
            Ok(()) => self.answer = stanza::result(&inbound.stanza, None),
            Err(refusal) => self.refuse(inbound, failure(refusal)),
        }
    }

    /// The invitation for somebody who is away and becomes a member of a members-only room (section 9.5).
    fn new_member(&self, room: &Room, request: &Request) -> Option<Element> {
        let Request::SetAffiliation { jid, affiliation, why } = request else {
            return None;
        };
        let joins = *affiliation == Affiliation::Member && room.affiliation(jid) == Affiliation::None && room.config().members_only;
        let away = self.occupants.iter().all(|s| s.jid != *jid);
        (joins && away).then(|| self.own_invitation(room, jid, why.clone()))
    }

    fn request_for(&self, item: &AdminItem) -> Result<Request, Refusal> {
        let occupant = |nick: &str| self.occupants.by_nick(nick).ok_or(Refusal::NoSuchTarget);
        Ok(match item.clone() {
            AdminItem::Role { nick, role, reason } => Request::SetRole {
                target: Target::Occupant(occupant(&nick)?.id),
                role,
                why: reason,
            },
            AdminItem::AffiliationOf {
                nick,
                affiliation: Affiliation::Outcast,
                reason,
            } => Request::Ban {
                target: Target::Occupant(occupant(&nick)?.id),
                why: reason,
            },
            AdminItem::AffiliationOf { nick, affiliation, reason } => Request::SetAffiliation {
                jid: occupant(&nick)?.jid.clone(),
                affiliation,
                why: reason,
            },
            AdminItem::Affiliation { jid, affiliation, reason } => Request::SetAffiliation {
                jid,
                affiliation,
                why: reason,
            },
        })
    }
}

fn malformed(bad: BadAdminQuery) -> Failure {
    Failure::from(DefinedCondition::BadRequest).with_text(bad.to_string())
}
