//! Small pieces of stanzas that rooms send. Decides nothing.

use minidom::Element;

use super::{NS_DELAY, NS_OCCUPANT_ID, NS_STANZA_ID, stamp};
use crate::xmpp::stanza::{self, element};

/// `<delay/>` (XEP-0203).
pub fn delay(from: &str, unix_ms: u64) -> Element {
    element("delay", NS_DELAY, &[("from", Some(from)), ("stamp", Some(&stamp::print(unix_ms)))])
}

/// `<occupant-id/>` (XEP-0421).
pub fn occupant_id(id: &str) -> Element {
    element("occupant-id", NS_OCCUPANT_ID, &[("id", Some(id))])
}

/// `<stanza-id/>` (XEP-0359).
pub fn stanza_id(id: &str, by: &str) -> Element {
    element("stanza-id", NS_STANZA_ID, &[("id", Some(id)), ("by", Some(by))])
}

/// An empty `<message type='groupchat'/>`.
pub fn groupchat(from: &str) -> Element {
    element("message", stanza::NS, &[("type", Some("groupchat")), ("from", Some(from))])
}

/// The new subject, if this message sets one: `<subject/>` without body and thread (section 8.1).
pub fn subject_change(message: &Element) -> Option<String> {
    let has = |name| message.has_child(name, stanza::NS);
    if has("body") || has("thread") {
        return None;
    }
    message.get_child("subject", stanza::NS).map(Element::text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn muc_8_1_2_and_8_1_3_only_a_lone_subject_is_a_change() {
        let read = |children: &str| {
            let message: Element = format!("<message xmlns='jabber:client'>{children}</message>")
                .parse()
                .expect("a test's own XML");
            subject_change(&message)
        };
        assert_eq!(read("<subject>tea</subject>").as_deref(), Some("tea"));
        assert_eq!(read("<subject/>").as_deref(), Some(""));
        assert_eq!(read("<subject>tea</subject><body>x</body>"), None);
        assert_eq!(read("<subject>tea</subject><thread>x</thread>"), None);
        assert_eq!(read("<body>x</body>"), None);
    }
}
