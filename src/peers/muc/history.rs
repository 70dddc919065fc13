//! What was said before somebody came (sections 7.2.13 and 7.2.14). Keeps no archive: only what newcomers get.

use std::collections::VecDeque;

use minidom::Element;

use crate::{
    model::{HistoryItem, Now},
    xmpp::{
        muc::{HistoryWish, NS_HINTS, delay},
        stanza::{self, with},
    },
};

/// All messages of a room together, serialised: as much as an hour of talk, and little beside the memory of a room.
const MAX_BYTES: usize = 1 << 20;

/// One message as it was reflected.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) unix_ms: u64,
    pub(super) stanza: Element,
    bytes: usize,
}

impl Kept {
    /// Reads what the store kept; `None` if it is no stanza.
    pub(super) fn read(item: &HistoryItem) -> Option<Self> {
        let stanza: Element = item.stanza.parse().ok()?;
        (stanza::kind(&stanza) != stanza::Kind::Other).then(|| Self {
            unix_ms: item.unix_ms,
            bytes: item.stanza.len(),
            stanza,
        })
    }

    /// Keeps a reflected stanza; gives also what goes to the store.
    pub(super) fn new(now: Now, nick: &str, stanza: Element) -> (Self, HistoryItem) {
        let item = HistoryItem {
            unix_ms: now.unix_ms,
            nick: nick.to_owned(),
            stanza: String::from(&stanza),
        };
        let kept = Self {
            unix_ms: now.unix_ms,
            bytes: item.stanza.len(),
            stanza,
        };
        (kept, item)
    }

    /// As the store keeps it.
    pub(super) fn to_item(&self) -> HistoryItem {
        let from = stanza::from(&self.stanza);
        HistoryItem {
            unix_ms: self.unix_ms,
            nick: from.and_then(|f| f.resource().map(|r| r.as_str().to_owned())).unwrap_or_default(),
            stanza: String::from(&self.stanza),
        }
    }

    /// As a newcomer gets it: stamped by the room (section 7.2.13).
    pub(super) fn late(&self, room: &str) -> Element {
        with(self.stanza.clone(), [delay(room, self.unix_ms)])
    }
}

/// The last messages.
#[derive(Debug, Default)]
pub(super) struct History {
    kept: VecDeque<Kept>,
    bytes: usize,
}

impl History {
    /// Reads what the store kept, oldest first.
    pub(super) fn read(items: &[HistoryItem]) -> Self {
        let mut history = Self::default();
        for kept in items.iter().filter_map(Kept::read) {
            history.push(kept, items.len());
        }
        history
    }

    /// Adds a message, and drops what is over so many messages or too many bytes.
    pub(super) fn push(&mut self, kept: Kept, at_most: usize) {
        self.bytes += kept.bytes;
        self.kept.push_back(kept);
        while self.kept.len() > at_most || self.bytes > MAX_BYTES {
            let Some(oldest) = self.kept.pop_front() else { break };
            self.bytes -= oldest.bytes;
        }
    }

    /// The messages, oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Kept> {
        self.kept.iter()
    }

    /// What somebody gets who wants so much and comes now, oldest first, stamped: the least that all limits allow.
    pub(super) fn since(&self, now: Now, room: &str, wish: HistoryWish) -> Vec<Element> {
        let seconds_ago = wish.seconds.map(|s| now.unix_ms.saturating_sub(s.saturating_mul(1000)));
        let from = seconds_ago.max(wish.since_unix_ms).unwrap_or(0);
        let stanzas = usize::try_from(wish.max_stanzas.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
        let mut chars = wish.max_chars.unwrap_or(u64::MAX);
        let mut wanted: Vec<Element> = Vec::new();
        for kept in self.kept.iter().rev().take_while(|k| k.unix_ms >= from).take(stanzas) {
            let late = kept.late(room);
            // Whole stanzas are counted (section 7.2.14); without a limit the counting would be for nothing.
            if wish.max_chars.is_some() {
                let length = u64::try_from(String::from(&late).chars().count()).unwrap_or(u64::MAX);
                let Some(left) = chars.checked_sub(length) else { break };
                chars = left;
            }
            wanted.push(late);
        }
        wanted.reverse();
        wanted
    }
}

/// Whether newcomers should get a message: it says something, or its sender asks for it, and its sender doesn't forbid it (XEP-0334).
pub(super) fn is_kept(message: &Element) -> bool {
    let hint = |name| message.has_child(name, NS_HINTS);
    let says = message.get_child("body", stanza::NS).is_some_and(|b| !b.text().is_empty());
    (says || hint("store")) && !hint("no-store") && !hint("no-permanent-store")
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    const ROOM: &str = "blue@rooms.example";

    fn at(unix_ms: u64) -> Now {
        Now {
            at: Instant::now(),
            unix_ms,
        }
    }

    fn message(body: &str) -> Element {
        format!("<message xmlns='jabber:client' type='groupchat' from='{ROOM}/ann'><body>{body}</body></message>")
            .parse()
            .expect("a test's own XML")
    }

    /// Messages `0`, `1`, … said at each full second.
    fn history(count: u64) -> History {
        let mut history = History::default();
        for n in 0..count {
            history.push(Kept::new(at(n * 1000), "ann", message(&n.to_string())).0, 50);
        }
        history
    }

    fn bodies(found: &[Element]) -> String {
        found
            .iter()
            .filter_map(|m| m.get_child("body", stanza::NS))
            .map(Element::text)
            .collect()
    }

    #[test]
    fn muc_7_2_14_2_the_narrowest_limit_counts() {
        let (history, now) = (history(6), at(5000));
        let wish = HistoryWish::default();
        for (wish, expected) in [
            (wish, "012345"),
            (
                HistoryWish {
                    max_stanzas: Some(2),
                    ..wish
                },
                "45",
            ),
            (HistoryWish { seconds: Some(3), ..wish }, "2345"),
            (
                HistoryWish {
                    since_unix_ms: Some(4000),
                    seconds: Some(3),
                    ..wish
                },
                "45",
            ),
            (
                HistoryWish {
                    since_unix_ms: Some(1000),
                    max_stanzas: Some(1),
                    ..wish
                },
                "5",
            ),
        ] {
            assert_eq!(bodies(&history.since(now, ROOM, wish)), expected, "{wish:?}");
        }
    }

    #[test]
    fn muc_7_2_14_3_and_7_2_14_4_stanzas_are_whole_or_not_sent() {
        let (history, now) = (history(3), at(5000));
        let length = String::from(&history.since(now, ROOM, HistoryWish::default())[2]).chars().count() as u64;
        for (max_chars, expected) in [(0, ""), (length - 1, ""), (length, "2"), (2 * length, "12")] {
            let wish = HistoryWish {
                max_chars: Some(max_chars),
                ..HistoryWish::default()
            };
            assert_eq!(bodies(&history.since(now, ROOM, wish)), expected, "{max_chars}");
        }
    }

    #[test]
    fn muc_7_2_13_2_and_7_2_13_3_each_is_stamped_by_the_room() {
        let found = history(1).since(at(5000), ROOM, HistoryWish::default());
        let delay = found[0].get_child("delay", "urn:xmpp:delay").expect("a delay");
        assert_eq!(
            (delay.attr("from"), delay.attr("stamp")),
            (Some(ROOM), Some("1970-01-01T00:00:00Z"))
        );
    }

    #[test]
    fn memory_is_bounded() {
        let mut history = history(100);
        assert_eq!(history.iter().count(), 50);
        for _ in 0..30 {
            history.push(Kept::new(at(0), "ann", message(&"x".repeat(100_000))).0, 50);
        }
        assert!(history.bytes <= MAX_BYTES);
        assert_eq!(history.iter().count(), 10);
        history.push(Kept::new(at(0), "ann", message("x")).0, 0);
        assert_eq!((history.iter().count(), history.bytes), (0, 0));
    }

    #[test]
    fn hints_decide_what_is_kept() {
        let with_hint = |body: &str, hint: &str| with(message(body), [Element::bare(hint, NS_HINTS)]);
        assert!(is_kept(&message("x")));
        assert!(!is_kept(&message("")));
        assert!(is_kept(&with_hint("", "store")));
        assert!(!is_kept(&with_hint("x", "no-store")));
    }

    #[test]
    fn what_the_store_gives_back_is_what_it_was_given() {
        let (kept, item) = Kept::new(at(7), "ann", message("x"));
        assert_eq!(kept.to_item(), item);
        let read = Kept::read(&item).expect("our own stanza");
        assert_eq!((read.stanza, read.unix_ms), (kept.stanza, 7));
        let broken = HistoryItem {
            stanza: "<a".to_owned(),
            ..item
        };
        assert!(Kept::read(&broken).is_none());
    }
}
