//! What callers' stand-ins answer (rules R23, R26), at the phones domain and under their nicks in rooms. Nothing reaches the caller.

use std::{collections::BTreeMap, time::Duration};

use minidom::Element;

use crate::{
    model::Now,
    xmpp::{
        muc::{NS_INFO, NS_ITEMS, NS_PING, NS_USER, NS_VCARD},
        stanza::{self, DefinedCondition, IqKind, Kind, MessageKind, PresenceKind, element, text, with},
    },
};

/// A sender is told at most once in this time that a caller can't read.
const TELL_AGAIN_AFTER: Duration = Duration::from_secs(60);
/// Senders remembered at once; beyond that nobody new is told.
const MAX_TOLD: usize = 1000;

/// What a text to a caller is answered with.
const CANT_READ: &str = "on the phone, cannot read this";

/// Answers for stand-ins.
#[derive(Debug, Default)]
pub(super) struct StandIns {
    told: BTreeMap<(String, String), std::time::Instant>,
}

impl StandIns {
    /// The answer of the stand-in to which a stanza is addressed, if it answers. `name` is what others are shown.
    pub(super) fn answer(&mut self, now: Now, stanza: &Element, name: &str) -> Option<Element> {
        match stanza::kind(stanza) {
            Kind::Iq(IqKind::Get) => answer_get(stanza, name),
            Kind::Iq(IqKind::Set) => stanza::refuse_iq(stanza, DefinedCondition::ServiceUnavailable),
            Kind::Message(MessageKind::Normal | MessageKind::Chat) => self.cant_read(now, stanza),
            Kind::Presence(PresenceKind::Probe) => Some(turned(stanza, "presence", "unavailable")),
            Kind::Presence(PresenceKind::Subscribe) => Some(turned(stanza, "presence", "unsubscribed")),
            Kind::Iq(IqKind::Result | IqKind::Error | IqKind::Bogus)
            | Kind::Message(MessageKind::GroupChat | MessageKind::Headline | MessageKind::Error)
            | Kind::Presence(
                PresenceKind::Available
                | PresenceKind::Unavailable
                | PresenceKind::Subscribed
                | PresenceKind::Unsubscribe
                | PresenceKind::Unsubscribed
                | PresenceKind::Error
                | PresenceKind::Bogus,
            )
            | Kind::Other => None,
        }
    }

    fn cant_read(&mut self, now: Now, message: &Element) -> Option<Element> {
        let invites = message.get_child("x", NS_USER).is_some_and(|x| x.children().next().is_some());
        if invites || !message.has_child("body", stanza::NS) {
            return None;
        }
        let key = (message.attr("from")?.to_owned(), message.attr("to")?.to_owned());
        self.told.retain(|_, at| now.at.saturating_duration_since(*at) < TELL_AGAIN_AFTER);
        if self.told.contains_key(&key) || self.told.len() >= MAX_TOLD {
            return None;
        }
        self.told.insert(key, now.at);
        let answer = turned(message, "message", message.attr("type").unwrap_or("normal"));
        Some(with(answer, [text("body", stanza::NS, CANT_READ)]))
    }
}

fn answer_get(iq: &Element, name: &str) -> Option<Element> {
    let payload = stanza::payload(iq)?;
    let result = match (payload.name(), payload.ns().as_str()) {
        ("query", NS_INFO) if payload.attr("node").is_none() => Some(info("client", "phone", name, &[NS_INFO, NS_PING])),
        ("query", NS_ITEMS) if payload.attr("node").is_none() => Some(Element::bare("query", NS_ITEMS)),
        ("vCard", NS_VCARD) => Some(masked_vcard(name)),
        ("ping", NS_PING) => None,
        _ => return stanza::refuse_iq(iq, DefinedCondition::ServiceUnavailable),
    };
    stanza::result(iq, result)
}

/// A disco#info answer (XEP-0030 section 3.1).
pub(super) fn info(category: &str, type_: &str, name: &str, features: &[&str]) -> Element {
    let identity = element(
        "identity",
        NS_INFO,
        &[("category", Some(category)), ("type", Some(type_)), ("name", Some(name))],
    );
    let features = features.iter().map(|f| element("feature", NS_INFO, &[("var", Some(f))]));
    with(Element::bare("query", NS_INFO), std::iter::once(identity).chain(features))
}

/// XEP-0054 wants a NUMBER in each TEL, and has it empty where there is none to give.
fn masked_vcard(name: &str) -> Element {
    let tel = with(
        Element::bare("TEL", NS_VCARD),
        [Element::bare("VOICE", NS_VCARD), Element::bare("NUMBER", NS_VCARD)],
    );
    with(Element::bare("vCard", NS_VCARD), [text("FN", NS_VCARD, name), tel])
}

/// A new stanza of this type the other way.
fn turned(stanza: &Element, name: &'static str, type_: &str) -> Element {
    element(
        name,
        stanza::NS,
        &[("type", Some(type_)), ("from", stanza.attr("to")), ("to", stanza.attr("from"))],
    )
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn ask(stand_ins: &mut StandIns, now: Now, xml: &str) -> Option<Element> {
        let addressed = xml.replacen(
            ' ',
            " xmlns='jabber:client' from='ann@a.example/x' to='p-abc@phones.example/phone' id='1' ",
            1,
        );
        stand_ins.answer(now, &addressed.parse().expect("a test's own XML"), "+49…12 (phone)")
    }

    fn now() -> Now {
        Now {
            at: Instant::now(),
            unix_ms: 0,
        }
    }

    #[test]
    fn r26_stand_ins_answer_as_phones() {
        let (mut all, now) = (StandIns::default(), now());
        let info = ask(
            &mut all,
            now,
            "<iq type='get'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>",
        )
        .expect("info");
        let identity = info
            .get_child("query", NS_INFO)
            .and_then(|q| q.get_child("identity", NS_INFO))
            .expect("identity");
        assert_eq!((identity.attr("category"), identity.attr("type")), (Some("client"), Some("phone")));
        let card = ask(&mut all, now, "<iq type='get'><vCard xmlns='vcard-temp'/></iq>").expect("card");
        let card = card.get_child("vCard", NS_VCARD).expect("vCard");
        assert_eq!(card.get_child("FN", NS_VCARD).map(Element::text).as_deref(), Some("+49…12 (phone)"));
        let number = card
            .get_child("TEL", NS_VCARD)
            .and_then(|t| t.get_child("NUMBER", NS_VCARD))
            .expect("NUMBER");
        assert_eq!(number.text(), "");
        for (xml, type_) in [
            ("<iq type='get'><ping xmlns='urn:xmpp:ping'/></iq>", "result"),
            ("<iq type='get'><query xmlns='jabber:iq:version'/></iq>", "error"),
            ("<iq type='get'><time xmlns='urn:xmpp:time'/></iq>", "error"),
            ("<iq type='set'><vCard xmlns='vcard-temp'/></iq>", "error"),
            ("<presence type='subscribe'/>", "unsubscribed"),
            ("<presence type='probe'/>", "unavailable"),
        ] {
            let answer = ask(&mut all, now, xml).unwrap_or_else(|| panic!("no answer to {xml}"));
            assert_eq!(answer.attr("type"), Some(type_), "{xml}");
        }
    }

    #[test]
    fn r23_a_private_text_gets_one_ordinary_text() {
        let (mut all, now) = (StandIns::default(), now());
        let first = ask(&mut all, now, "<message type='chat'><body>hi</body></message>").expect("told once");
        assert_eq!(first.attr("type"), Some("chat"));
        assert_eq!(first.get_child("body", stanza::NS).map(Element::text).as_deref(), Some(CANT_READ));
        assert_eq!(ask(&mut all, now, "<message type='chat'><body>hi?</body></message>"), None);
        let later = Now {
            at: now.at + TELL_AGAIN_AFTER,
            ..now
        };
        assert!(ask(&mut all, later, "<message type='chat'><body>hi!</body></message>").is_some());
    }

    #[test]
    fn r23_stand_ins_never_answer_with_errors_to_messages_and_presence() {
        let (mut all, now) = (StandIns::default(), now());
        for xml in [
            "<message type='groupchat'><body>hi</body></message>",
            "<message type='error'><body>hi</body></message>",
            "<message type='headline'><body>hi</body></message>",
            "<message ><active xmlns='http://jabber.org/protocol/chatstates'/></message>",
            "<message ><body>come</body><x xmlns='http://jabber.org/protocol/muc#user'><invite from='a@b'/></x></message>",
            "<presence />",
            "<presence type='error'/>",
            "<iq type='result'/>",
            "<iq type='error'/>",
        ] {
            assert_eq!(ask(&mut all, now, xml), None, "{xml}");
        }
    }
}
