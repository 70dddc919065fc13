//! The `<x/>` of muc#user: what the service says of occupants, and invitations. Says nothing about who may see what.

use jid::Jid;
use minidom::Element;

use super::NS_USER;
use crate::{
    model::{Affiliation, BareJid, Role},
    xmpp::stanza::{element, text, with},
};

/// Status codes (section 16.6.2).
pub mod status {
    /// Everybody here may see full JIDs.
    pub const NON_ANONYMOUS: u16 = 100;
    /// Something that isn't about privacy was configured.
    pub const CONFIGURED: u16 = 104;
    /// This presence is about its receiver.
    pub const SELF: u16 = 110;
    /// Full JIDs are shown from now on.
    pub const NOW_NON_ANONYMOUS: u16 = 172;
    /// Full JIDs are shown to moderators only from now on.
    pub const NOW_SEMI_ANONYMOUS: u16 = 173;
    /// The room is new.
    pub const CREATED: u16 = 201;
    /// The service changed the nick.
    pub const NICK_CHANGED: u16 = 210;
    /// Banned.
    pub const BANNED: u16 = 301;
    /// A new nick follows.
    pub const RENAMED: u16 = 303;
    /// Kicked.
    pub const KICKED: u16 = 307;
    /// Removed by a change of affiliation.
    pub const AFFILIATION_LOST: u16 = 321;
    /// Removed since the room is for members now.
    pub const MEMBERS_ONLY: u16 = 322;
    /// Removed since the service goes down.
    pub const SHUTDOWN: u16 = 332;
    /// Removed since stanzas to them fail.
    pub const UNREACHABLE: u16 = 333;
}

/// Who did it, as the receiver may know them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ActorRef {
    /// By nick.
    pub nick: Option<String>,
    /// By bare JID.
    pub jid: Option<BareJid>,
}

impl ActorRef {
    fn to_element(&self) -> Element {
        let jid = self.jid.as_ref().map(BareJid::to_string);
        element("actor", NS_USER, &[("nick", self.nick.as_deref()), ("jid", jid.as_deref())])
    }
}

/// One occupant's or account's standing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Item {
    /// Affiliation; printed whenever it is there, `none` included.
    pub affiliation: Option<Affiliation>,
    /// Role; likewise.
    pub role: Option<Role>,
    /// Real JID: full of occupants, bare of absent people.
    pub jid: Option<Jid>,
    /// Nick: the new one with status 303.
    pub nick: Option<String>,
    /// Who did it.
    pub actor: Option<ActorRef>,
    /// Why.
    pub reason: Option<String>,
}

impl Item {
    /// Prints it in the namespace of muc#user or muc#admin.
    pub fn to_element(&self, ns: &'static str) -> Element {
        let item = element(
            "item",
            ns,
            &[
                ("affiliation", self.affiliation.map(Affiliation::as_str)),
                ("role", self.role.map(Role::as_str)),
                ("jid", self.jid.as_ref().map(Jid::as_str)),
                ("nick", self.nick.as_deref()),
            ],
        );
        let actor = self.actor.iter().filter(|a| **a != ActorRef::default()).map(ActorRef::to_element);
        let reason = self.reason.iter().map(|r| text("reason", ns, r));
        with(item, actor.chain(reason).collect::<Vec<_>>())
    }
}

/// The room is gone (section 10.9).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Destroy {
    /// Where to go instead.
    pub alternate: Option<BareJid>,
    /// Why.
    pub reason: Option<String>,
}

impl Destroy {
    fn to_element(&self) -> Element {
        let jid = self.alternate.as_ref().map(BareJid::to_string);
        let reason = self.reason.iter().map(|r| text("reason", NS_USER, r));
        with(element("destroy", NS_USER, &[("jid", jid.as_deref())]), reason.collect::<Vec<_>>())
    }
}

/// An `<x/>` that says something about one occupant, or only carries codes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct UserX {
    /// Standing.
    pub item: Option<Item>,
    /// Status codes, in this order.
    pub codes: Vec<u16>,
    /// The room is gone.
    pub destroy: Option<Destroy>,
}

impl UserX {
    /// One that carries codes only.
    pub fn codes(codes: impl Into<Vec<u16>>) -> Self {
        Self {
            codes: codes.into(),
            ..Self::default()
        }
    }

    /// Prints it.
    pub fn to_element(&self) -> Element {
        let item = self.item.iter().map(|i| i.to_element(NS_USER));
        let destroy = self.destroy.iter().map(Destroy::to_element);
        let codes = self
            .codes
            .iter()
            .map(|c| element("status", NS_USER, &[("code", Some(&c.to_string()))]));
        with(Element::bare("x", NS_USER), item.chain(destroy).chain(codes).collect::<Vec<_>>())
    }
}

/// A mediated invitation, or its refusal (section 7.8.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// Whether it is a refusal.
    pub declined: bool,
    /// To whom it goes on.
    pub to: Jid,
    /// What they are told.
    pub reason: Option<String>,
}

impl Invitation {
    /// Finds the invitations and refusals in a message's `<x/>`; those without a JID are left out.
    pub fn all(message: &Element) -> Vec<Self> {
        let Some(x) = message.get_child("x", NS_USER) else {
            return Vec::new();
        };
        x.children()
            .filter(|c| matches!(c.name(), "invite" | "decline") && c.has_ns(NS_USER))
            .filter_map(|c| {
                Some(Self {
                    declined: c.name() == "decline",
                    to: Jid::new(c.attr("to")?).ok()?,
                    reason: c.get_child("reason", NS_USER).map(Element::text),
                })
            })
            .collect()
    }

    /// Prints it as the room passes it on, naming who it is from.
    pub fn to_element(&self, from: &str, password: Option<&str>) -> Element {
        let name = if self.declined { "decline" } else { "invite" };
        let reason = self.reason.iter().map(|r| text("reason", NS_USER, r));
        let invite = with(element(name, NS_USER, &[("from", Some(from))]), reason.collect::<Vec<_>>());
        let password = password.map(|p| text("password", NS_USER, p));
        with(Element::bare("x", NS_USER), [Some(invite), password].into_iter().flatten())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn muc_5_1_5_and_5_2_3_none_is_printed() {
        let item = Item {
            affiliation: Some(Affiliation::None),
            role: Some(Role::None),
            ..Item::default()
        };
        let printed = item.to_element(NS_USER);
        assert_eq!((printed.attr("affiliation"), printed.attr("role")), (Some("none"), Some("none")));
    }

    #[test]
    fn an_actor_nobody_may_know_is_left_out() {
        let item = Item {
            actor: Some(ActorRef::default()),
            reason: Some("enough".to_owned()),
            ..Item::default()
        };
        let printed = item.to_element(NS_USER);
        assert!(!printed.has_child("actor", NS_USER));
        assert_eq!(printed.get_child("reason", NS_USER).map(Element::text).as_deref(), Some("enough"));
    }

    #[test]
    fn invitations_without_a_jid_are_left_out() {
        let message: Element = "<message xmlns='jabber:client'><x xmlns='http://jabber.org/protocol/muc#user'>\
             <invite to='bob@a.example'><reason>come</reason></invite><invite/><decline to='ann@a.example'/></x></message>"
            .parse()
            .expect("a test's own XML");
        let found = Invitation::all(&message);
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].declined, found[0].reason.as_deref()), (false, Some("come")));
        assert!(found[1].declined);
    }
}
