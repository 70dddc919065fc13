//! Stanzas of ours that came back (section 18.1.2): who can't be reached is out. No error is ever answered.

use minidom::Element;

use super::{MucRoom, flood::Verdict, room::Inbound};
use crate::{
    model::Now,
    room::{OccupantCause, Room},
    xmpp::{
        muc::weight,
        stanza::{self, Kind, MessageKind, set},
    },
};

/// Conditions that say a client is no longer there. A server says `service-unavailable` for a groupchat message to a client that is gone
/// (RFC 6121 section 8.5.3.2.1).
const GONE: [&str; 8] = [
    "gone",
    "item-not-found",
    "jid-malformed",
    "recipient-unavailable",
    "redirect",
    "remote-server-not-found",
    "remote-server-timeout",
    "service-unavailable",
];

impl MucRoom {
    /// A presence or message of type error.
    pub(super) fn bounced(&mut self, now: Now, room: &mut Room, inbound: Inbound) {
        let (Some(id), Some(client)) = (inbound.sender, inbound.client().cloned()) else {
            return;
        };
        if says_gone(&inbound.stanza) {
            return self.client_gone(now, room, &client, OccupantCause::Unreachable);
        }
        // The other end of a private message hears that it wasn't liked.
        let is_message = stanza::kind(&inbound.stanza) == Kind::Message(MessageKind::Error);
        let target = inbound
            .nick
            .as_deref()
            .and_then(|n| self.occupants.by_nick(n))
            .filter(|t| is_message && t.id != id);
        // Errors are free to send as far as they are news to the room alone; what goes on to others costs what a message costs.
        let spent = self.buckets.spend(now.at, &client.to_bare(), weight(&inbound.stanza), false);
        let target = target.filter(|_| spent == Verdict::Pass);
        let (Some(target), Some(sender)) = (target, self.occupants.get(id)) else {
            return;
        };
        let mut error = inbound.stanza;
        self.forger.clean(&mut error);
        set(&mut error, "from", format!("{}/{}", self.jid, sender.nick));
        let copies: Vec<Element> = target
            .sessions
            .iter()
            .map(|s| super::join::addressed(error.clone(), &s.jid))
            .collect();
        self.outbox.extend(copies);
    }
}

/// Whether an error says that its sender is no longer there.
pub(super) fn says_gone(error: &Element) -> bool {
    let Some(error) = error.get_child("error", stanza::NS) else {
        return false;
    };
    GONE.iter().any(|condition| error.has_child(condition, stanza::NS_STANZAS))
}
