//! Characters that XML 1.0 can't carry are left out of what is sent; the rest is escaped. One of them, unescaped, ends the stream.

use std::borrow::Cow;

/// Whether XML 1.0 allows a character (section 2.2).
fn is_allowed(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{fffd}' | '\u{10000}'..)
}

/// Leaves out the characters that XML can't carry: for text that came from SIP (rule R21).
pub fn clean(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_allowed) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(text.chars().filter(|c| is_allowed(*c)).collect())
    }
}

/// Where a string is going.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Escape {
    /// Between tags.
    Text,
    /// Between single quotes. Line ends and tabs are escaped too, else the reader makes them spaces (section 3.3.3).
    Attribute,
}

/// Appends a string cleaned and escaped.
pub(crate) fn escape(text: &str, place: Escape, out: &mut Vec<u8>) {
    let bytes = text.as_bytes();
    let mut done = 0;
    let mut at = 0;
    while at < bytes.len() {
        let (length, replacement): (usize, &[u8]) = match (bytes[at], place) {
            (b'&', _) => (1, b"&amp;"),
            (b'<', _) => (1, b"&lt;"),
            // `]]>` may not stand in text (section 2.4).
            (b'>', _) => (1, b"&gt;"),
            (b'\'', Escape::Attribute) => (1, b"&apos;"),
            (b'\t', Escape::Attribute) => (1, b"&#9;"),
            (b'\n', Escape::Attribute) => (1, b"&#10;"),
            // Unescaped it would arrive as a line feed (section 2.11).
            (b'\r', _) => (1, b"&#13;"),
            (b'\t' | b'\n', Escape::Text) => (0, b""),
            (0..0x20, _) => (1, b""),
            // U+FFFE and U+FFFF.
            (0xef, _) if matches!(bytes[at + 1..], [0xbf, 0xbe | 0xbf, ..]) => (3, b""),
            _ => (0, b""),
        };
        if length == 0 {
            at += 1;
            continue;
        }
        out.extend_from_slice(&bytes[done..at]);
        out.extend_from_slice(replacement);
        at += length;
        done = at;
    }
    out.extend_from_slice(&bytes[done..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(text: &str, place: Escape) -> String {
        let mut out = Vec::new();
        escape(text, place, &mut out);
        String::from_utf8(out).expect("whole characters only")
    }

    #[test]
    fn r21_what_xml_cannot_carry_is_left_out() {
        assert_eq!(clean("a\u{0}b\u{1b}[31mc\u{fffe}\u{ffff}d\te\u{85}"), "ab[31mcd\te\u{85}");
        assert!(matches!(clean("grüße 🎤"), Cow::Borrowed(_)));
        for place in [Escape::Text, Escape::Attribute] {
            assert_eq!(escaped("a\u{0}b\u{1f}c\u{fffe}\u{ffff}d\u{fffd}ï", place), "abcd\u{fffd}ï");
        }
    }

    #[test]
    fn markup_and_line_ends_survive() {
        assert_eq!(escaped("<&>'\"\t\n\r", Escape::Text), "&lt;&amp;&gt;'\"\t\n&#13;");
        assert_eq!(escaped("<&>'\"\t\n\r", Escape::Attribute), "&lt;&amp;&gt;&apos;\"&#9;&#10;&#13;");
    }
}
