//! Messages to everybody, to one occupant, and to the room itself (sections 7.4, 7.5, 8.1). Who may write is the room's matter.

use minidom::Element;

use super::{
    MucRoom, bridge,
    history::{Kept, is_kept},
    join::addressed,
    refusal::failure,
    room::Inbound,
};
use crate::{
    model::{FullJid, Now, OccupantId, StoreOp},
    room::{OccupantKind, Refusal, Request, Room},
    xmpp::{
        muc::{Invitation, NS_USER, groupchat, occupant_id, stanza_id, subject_change},
        stanza::{self, DefinedCondition, ErrorType, Failure, MessageKind, set, text, unset, with},
    },
};

/// Longest subject, in bytes: it is sent to each newcomer, and shown in conference state.
const MAX_SUBJECT: usize = 4096;

impl MucRoom {
    /// A message that isn't an error.
    pub(super) fn message(&mut self, now: Now, room: &mut Room, inbound: Inbound, kind: MessageKind) {
        match (kind, inbound.nick.is_some()) {
            (MessageKind::GroupChat, false) => self.say_to_everybody(now, room, inbound),
            (MessageKind::GroupChat, true) => self.refuse(&inbound, DefinedCondition::BadRequest),
            (MessageKind::Normal | MessageKind::Chat, true) => self.whisper(now, room, inbound),
            (MessageKind::Normal | MessageKind::Chat, false) => self.take_room_message(now, room, inbound),
            // Alerts aren't for rooms, and errors were seen to before.
            (MessageKind::Headline | MessageKind::Error, _) => {}
        }
    }

    fn say_to_everybody(&mut self, now: Now, room: &mut Room, inbound: Inbound) {
        let Some(id) = inbound.sender else {
            let why = if room.is_unconfigured() {
                Refusal::NotConfigured
            } else {
                Refusal::NotInRoom
            };
            return self.refuse(&inbound, failure(why));
        };
        let subject = subject_change(&inbound.stanza);
        if subject.as_ref().is_some_and(|s| s.len() > MAX_SUBJECT) {
            let too_long = Failure::from(DefinedCondition::NotAcceptable).with_text("the subject is too long");
            return self.refuse(&inbound, too_long);
        }
        let request = if subject.is_some() {
            Request::SetSubject(id)
        } else {
            Request::Write(id)
        };
        match room.request(now, &inbound.origin(), request) {
            Ok(_) => self.reflect(now, room, inbound.stanza, id, subject.is_some()),
            Err(refusal) => self.refuse(&inbound, failure(refusal)),
        }
    }

    /// Sends a message whole to everybody, its sender included (section 7.4), and keeps it for newcomers.
    fn reflect(&mut self, now: Now, room: &Room, mut message: Element, sender: OccupantId, is_subject: bool) {
        let Some(shown) = self.occupants.get(sender) else { return };
        let (nick, token) = (shown.nick.clone(), shown.token.clone());
        self.forger.clean(&mut message);
        set(&mut message, "from", format!("{}/{nick}", self.jid));
        unset(&mut message, "to");
        let id = self.fresh_id(now);
        let message = with(message, [occupant_id(&token), stanza_id(&id, self.jid.as_str())]);
        self.outbox
            .extend(self.occupants.sessions().map(|(_, client)| addressed(message.clone(), client)));
        let name = room.name().clone();
        if is_subject {
            let (kept, item) = Kept::new(now, &nick, message);
            self.subject = Some(kept);
            if self.kept {
                self.store.push_back(StoreOp::SetSubject(name, item));
            }
        } else if is_kept(&message) {
            let (kept, item) = Kept::new(now, &nick, message);
            let at_most = room.config().history_length;
            self.history.push(kept, usize::try_from(at_most).unwrap_or(usize::MAX));
            if self.kept {
                self.store.push_back(StoreOp::Append(name, item, at_most));
            }
        }
    }

    /// A private message (section 7.5).
    fn whisper(&mut self, now: Now, room: &mut Room, inbound: Inbound) {
        if inbound.nick.as_deref() == Some(bridge::NICK) {
            return self.command(now, room, &inbound);
        }
        let Some(sender) = inbound.sender.and_then(|id| self.occupants.get(id)) else {
            return self.refuse(&inbound, failure(Refusal::NotInRoom));
        };
        let target = inbound.nick.as_deref().and_then(|n| self.occupants.by_nick(n));
        let Some(target) = target else {
            return self.refuse(&inbound, failure(Refusal::NoSuchTarget));
        };
        match target.kind {
            OccupantKind::Phone | OccupantKind::Service => {
                let nick = target.nick.clone();
                self.outbox.extend(self.stand_ins.answer(now, &inbound.stanza, &nick));
            }
            OccupantKind::Chat => {
                let clients: Vec<_> = target.sessions.iter().map(|s| s.jid.clone()).collect();
                let (from, token) = (format!("{}/{}", self.jid, sender.nick), sender.token.clone());
                let mut message = inbound.stanza;
                self.forger.clean(&mut message);
                set(&mut message, "from", from);
                let message = with(message, [Element::bare("x", NS_USER), occupant_id(&token)]);
                self.outbox.extend(clients.iter().map(|client| addressed(message.clone(), client)));
            }
        }
    }

    /// A message to the room itself: an invitation, its refusal, or a wish to speak.
    fn take_room_message(&mut self, now: Now, room: &mut Room, inbound: Inbound) {
        let invitations = Invitation::all(&inbound.stanza);
        if !invitations.is_empty() {
            return self.invitations(now, room, &inbound, invitations);
        }
        if let Some(form) = super::voice::read(&inbound.stanza) {
            return self.voice_form(now, room, &inbound, form);
        }
        let condition = if inbound.sender.is_some() {
            DefinedCondition::BadRequest
        } else {
            DefinedCondition::NotAcceptable
        };
        self.refuse(&inbound, Failure::from(condition).of_type(ErrorType::Modify));
    }

    /// Tells every client in the room's own name that something has changed, with these status codes (section 10.2.1).
    pub(super) fn announce(&mut self, now: Now, codes: &[u16]) {
        self.by_room(now, crate::xmpp::muc::UserX::codes(codes).to_element());
    }

    /// Says something to every client in the room's own name. Newcomers don't get it with the history: they are told what holds then.
    pub(super) fn say(&mut self, now: Now, body: &str) {
        self.by_room(now, text("body", stanza::NS, body));
    }

    /// The same to one client.
    pub(super) fn say_to(&mut self, now: Now, client: &FullJid, body: &str) {
        let message = self.of_room(now, text("body", stanza::NS, body));
        self.outbox.push_back(addressed(message, client));
    }

    fn by_room(&mut self, now: Now, payload: Element) {
        let message = self.of_room(now, payload);
        self.outbox
            .extend(self.occupants.sessions().map(|(_, client)| addressed(message.clone(), client)));
    }

    fn of_room(&mut self, now: Now, payload: Element) -> Element {
        let id = self.fresh_id(now);
        with(groupchat(self.jid.as_str()), [payload, stanza_id(&id, self.jid.as_str())])
    }
}
