//! What clients may not say in a room's name is taken out before a room passes their stanzas on (rule R24).

use jid::Jid;
use minidom::{Element, Node};

use super::{NS_DELAY, NS_MUC, NS_OCCUPANT_ID, NS_STANZA_ID, NS_USER};
use crate::{model::BareJid, xmpp::mark};

/// Knows whose word in a client's stanza would be forged: the room's and its service's.
#[derive(Debug, Clone)]
pub struct Forger {
    room: BareJid,
}

impl Forger {
    /// For one room.
    pub fn new(room: BareJid) -> Self {
        Self { room }
    }

    /// Takes out, at the top of a stanza, all that only the room may say.
    pub fn clean(&self, stanza: &mut Element) {
        let kept: Vec<Node> = stanza
            .take_nodes()
            .into_iter()
            .filter(|n| !n.as_element().is_some_and(|e| self.is_forged(e)))
            .collect();
        for node in kept {
            stanza.append_node(node);
        }
    }

    fn is_forged(&self, child: &Element) -> bool {
        let ns = child.ns();
        match ns.as_str() {
            NS_MUC | NS_USER | NS_OCCUPANT_ID | mark::NS => true,
            NS_STANZA_ID => child.name() == "stanza-id" && self.is_ours(child.attr("by")),
            // XEP-0203, and its ancestor XEP-0091 which some clients still read.
            NS_DELAY | "jabber:x:delay" => self.is_ours(child.attr("from")),
            _ if ns.starts_with("urn:xmpp:hats:") || ns.starts_with("http://prosody.im/protocol/hats") => true,
            _ if ns.starts_with("urn:xmpp:mam:") => child.name() == "result",
            // XEP-0425: at the top in version 1, inside <apply-to/> or <retracted/> in version 0.
            _ => is_moderation(child) || child.children().any(is_moderation),
        }
    }

    /// Whether an address is the room, an occupant of it, or the service; what is no address counts as ours.
    fn is_ours(&self, address: Option<&str>) -> bool {
        address
            .and_then(|a| Jid::new(a).ok())
            .is_none_or(|jid| jid.domain() == self.room.domain())
    }
}

fn is_moderation(element: &Element) -> bool {
    element.name() == "moderated" && element.ns().starts_with("urn:xmpp:message-moderate:")
}

/// About how many bytes an element takes on the wire.
pub fn weight(element: &Element) -> usize {
    let own: usize = element.name().len()
        + element
            .attrs()
            .iter()
            .map(|((_, name), value)| name.len() + value.len() + 4)
            .sum::<usize>();
    let inner: usize = element
        .nodes()
        .map(|n| n.as_element().map_or_else(|| n.as_text().map_or(0, str::len), weight))
        .sum();
    // "<a></a>" and a namespace now and then.
    2 * own + inner + 20
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cleaned(children: &str) -> String {
        let mut message: Element = format!("<message xmlns='jabber:client'>{children}</message>")
            .parse()
            .expect("a test's own XML");
        Forger::new(BareJid::new("blue@rooms.example").expect("a JID")).clean(&mut message);
        message.children().map(|c| c.name().to_owned()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn r24_what_only_the_room_may_say_is_taken_out() {
        for forged in [
            "<x xmlns='http://jabber.org/protocol/muc#user'><status code='307'/></x>",
            "<x xmlns='http://jabber.org/protocol/muc'/>",
            "<occupant-id xmlns='urn:xmpp:occupant-id:0' id='x'/>",
            "<stanza-id xmlns='urn:xmpp:sid:0' by='blue@rooms.example' id='x'/>",
            "<stanza-id xmlns='urn:xmpp:sid:0' by='BLUE@rooms.example' id='x'/>",
            "<stanza-id xmlns='urn:xmpp:sid:0' id='x'/>",
            "<hats xmlns='urn:xmpp:hats:0'/>",
            "<hats xmlns='http://prosody.im/protocol/hats:1'/>",
            "<participation xmlns='urn:cusax:participation:0' audio='two-way'/>",
            "<moderated xmlns='urn:xmpp:message-moderate:1'/>",
            "<apply-to xmlns='urn:xmpp:fasten:0'><moderated xmlns='urn:xmpp:message-moderate:0'/></apply-to>",
            "<retract xmlns='urn:xmpp:message-retract:1'><moderated xmlns='urn:xmpp:message-moderate:1'/></retract>",
            "<result xmlns='urn:xmpp:mam:2' id='x'/>",
            "<delay xmlns='urn:xmpp:delay' from='blue@rooms.example' stamp='1970-01-01T00:00:00Z'/>",
            "<delay xmlns='urn:xmpp:delay' from='blue@rooms.example/ann' stamp='1970-01-01T00:00:00Z'/>",
            "<x xmlns='jabber:x:delay' from='rooms.example'/>",
        ] {
            assert_eq!(cleaned(&format!("{forged}<body>hi</body>")), "body", "{forged}");
        }
    }

    #[test]
    fn r24_muc_17_2_4_the_rest_passes() {
        for kept in [
            "<stanza-id xmlns='urn:xmpp:sid:0' by='ann@a.example' id='x'/>",
            "<origin-id xmlns='urn:xmpp:sid:0' id='x'/>",
            "<delay xmlns='urn:xmpp:delay' from='ann@a.example' stamp='1970-01-01T00:00:00Z'/>",
            "<html xmlns='http://jabber.org/protocol/xhtml-im'/>",
            "<encrypted xmlns='eu.siacs.conversations.axolotl'/>",
            "<retract xmlns='urn:xmpp:message-retract:1' id='1'/>",
        ] {
            assert!(!cleaned(kept).is_empty(), "{kept}");
        }
    }

    #[test]
    fn weight_grows_with_text_and_attributes() {
        let light: Element = "<a xmlns='b'/>".parse().expect("a test's own XML");
        let heavy: Element = format!("<a xmlns='b' c='{0}'>{0}</a>", "x".repeat(1000))
            .parse()
            .expect("a test's own XML");
        assert!(weight(&light) < 100);
        assert!(weight(&heavy) > 2000);
    }
}
