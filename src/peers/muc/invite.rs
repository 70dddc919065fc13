//! Invitations through the room, and their refusals (section 7.8.2). Admits nobody by itself.

use std::collections::VecDeque;

use jid::Jid;
use minidom::Element;

use super::{MucRoom, join::addressed, refusal::failure, room::Inbound};
use crate::{
    model::{Affiliation, BareJid, Now, OccupantId},
    room::{OccupantKind, Refusal, Request, Room},
    xmpp::{
        muc::Invitation,
        stanza::{self, DefinedCondition, element, with},
    },
};

/// Invitations in one message, at most.
const MAX_AT_ONCE: usize = 10;
/// Invitations whose refusal still finds its way back.
const MAX_OPEN: usize = 100;

/// Who was invited by whom, oldest first: only they may refuse, and only once.
#[derive(Debug, Default)]
pub(super) struct Invited {
    open: VecDeque<(BareJid, OccupantId)>,
}

impl MucRoom {
    /// Passes invitations and refusals on.
    pub(super) fn invitations(&mut self, now: Now, room: &mut Room, inbound: &Inbound, invitations: Vec<Invitation>) {
        if invitations.len() > MAX_AT_ONCE {
            return self.refuse(inbound, DefinedCondition::NotAcceptable);
        }
        for invitation in invitations {
            if invitation.declined {
                self.declined(inbound, &invitation);
            } else if let Err(refusal) = self.invite(now, room, inbound, &invitation) {
                return self.refuse(inbound, failure(refusal));
            }
        }
    }

    fn invite(&mut self, now: Now, room: &mut Room, inbound: &Inbound, invitation: &Invitation) -> Result<(), Refusal> {
        let inviter = inbound.sender.ok_or(Refusal::NotInRoom)?;
        let invitee = invitation.to.to_bare();
        if room.config().members_only && room.affiliation(&invitee) == Affiliation::None {
            // Only who may add members may invite others than members; the invitation adds them (section 9.5).
            let member = Request::SetAffiliation {
                jid: invitee.clone(),
                affiliation: Affiliation::Member,
                why: invitation.reason.clone(),
            };
            room.request(now, &inbound.origin(), member)?;
        }
        let Some(nick) = self.occupants.get(inviter).map(|s| s.nick.clone()) else {
            return Err(Refusal::NotInRoom);
        };
        if self.invited.open.len() >= MAX_OPEN {
            self.invited.open.pop_front();
        }
        self.invited.open.push_back((invitee, inviter));
        let x = invitation.to_element(&format!("{}/{nick}", self.jid), room.config().password.as_deref());
        let message = self.in_own_name(&invitation.to, x);
        self.outbox.push_back(message);
        Ok(())
    }

    fn declined(&mut self, inbound: &Inbound, refusal: &Invitation) {
        let invitee = inbound.from.to_bare();
        let is_inviter = |id: OccupantId| {
            let inviter = self.occupants.get(id).filter(|s| s.kind == OccupantKind::Chat)?;
            let by_nick = refusal
                .to
                .resource()
                .is_some_and(|r| refusal.to.to_bare() == self.jid && r.as_str() == inviter.nick);
            (by_nick || refusal.to.to_bare() == inviter.jid).then_some(inviter)
        };
        let found = self
            .invited
            .open
            .iter()
            .position(|(who, by)| *who == invitee && is_inviter(*by).is_some());
        let Some((_, by)) = found.and_then(|at| self.invited.open.remove(at)) else {
            return;
        };
        let Some(inviter) = self.occupants.get(by) else { return };
        let x = refusal.to_element(invitee.as_str(), None);
        let message = self.in_own_name(&self.jid.clone().into(), x);
        let copies: Vec<Element> = inviter.sessions.iter().map(|s| addressed(message.clone(), &s.jid)).collect();
        self.outbox.extend(copies);
    }

    /// The room's own invitation of a new member.
    pub(super) fn own_invitation(&self, room: &Room, member: &BareJid, reason: Option<String>) -> Element {
        let to: Jid = member.clone().into();
        let invitation = Invitation {
            declined: false,
            to: to.clone(),
            reason,
        };
        self.in_own_name(&to, invitation.to_element(self.jid.as_str(), room.config().password.as_deref()))
    }

    fn in_own_name(&self, to: &Jid, x: Element) -> Element {
        let message = element(
            "message",
            stanza::NS,
            &[("from", Some(self.jid.as_str())), ("to", Some(to.as_str()))],
        );
        with(message, [x])
    }
}
