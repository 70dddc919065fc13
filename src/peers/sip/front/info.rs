//! Key presses that come in INFO requests: what phones did before telephone-event, and gateways still do. No RFC has it; the bodies are those
//! in use, `application/dtmf-relay` (`Signal=5` and `Duration=160`, a line each) and `application/dtmf` (the key alone).

use crate::sip::endpoint::Body;

/// The key that an INFO's body tells of, if it tells of one. However long it was pressed, it is one press.
pub(super) fn key(body: &Body) -> Option<char> {
    let kind = body.content_type.split(';').next()?.trim();
    let text = str::from_utf8(&body.bytes).ok()?;
    let mut lines = text.lines();
    if kind.eq_ignore_ascii_case("application/dtmf-relay") {
        lines.find_map(signal).and_then(named)
    } else if kind.eq_ignore_ascii_case("application/dtmf") {
        // Some say it like the other one.
        let line = lines.next()?;
        named(signal(line).unwrap_or_else(|| line.trim()))
    } else {
        None
    }
}

/// The value of a line `Signal=VALUE`.
fn signal(line: &str) -> Option<&str> {
    let (name, value) = line.split_once('=')?;
    name.trim().eq_ignore_ascii_case("signal").then(|| value.trim())
}

/// A key by its sign, or by the number of its event (RFC 4733 section 3.2) where that has two digits.
fn named(value: &str) -> Option<char> {
    let mut signs = value.chars();
    match (signs.next()?, signs.next()) {
        (key @ ('0'..='9' | '*' | '#' | 'A'..='D'), None) => Some(key),
        (key @ 'a'..='d', None) => Some(key.to_ascii_uppercase()),
        _ => Some(match value {
            "10" => '*',
            "11" => '#',
            "12" => 'A',
            "13" => 'B',
            "14" => 'C',
            "15" => 'D',
            _ => return None,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(content_type: &str, bytes: &[u8]) -> Option<char> {
        key(&Body {
            content_type: content_type.to_owned(),
            bytes: bytes.to_owned(),
        })
    }

    #[test]
    fn r70_a_relayed_key_is_found_as_phones_write_it() {
        let relay = |text: &str| told("application/dtmf-relay", text.as_bytes());
        assert_eq!(relay("Signal=5\r\nDuration=160\r\n"), Some('5'));
        assert_eq!(relay("Signal= *\r\nDuration= 250"), Some('*'));
        assert_eq!(relay("Duration=100\nsignal = d\n"), Some('D'));
        assert_eq!(relay("Signal=10\r\n"), Some('*'));
        assert_eq!(relay("Signal=11\r\n"), Some('#'));
        assert_eq!(told("Application/DTMF-Relay; charset=utf-8", b"Signal=#"), Some('#'));
        for key in "0123456789*#ABCD".chars() {
            assert_eq!(relay(&format!("Signal={key}\r\nDuration=100\r\n")), Some(key));
        }
    }

    #[test]
    fn the_plain_form_is_the_key_alone() {
        assert_eq!(told("application/dtmf", b"7"), Some('7'));
        assert_eq!(told("application/dtmf", b" #\r\n"), Some('#'));
        assert_eq!(told("application/dtmf", b"Signal=3\r\nDuration=100"), Some('3'));
    }

    #[test]
    fn anything_else_is_no_key() {
        for (kind, bytes) in [
            ("application/dtmf-relay", &b"Duration=160\r\n"[..]),
            ("application/dtmf-relay", b"Signal=\r\n"),
            ("application/dtmf-relay", b"Signal=16\r\n"),
            ("application/dtmf-relay", b"Signal=55\r\n"),
            ("application/dtmf-relay", b"5"),
            ("application/dtmf", b""),
            ("application/dtmf", b"12345"),
            ("application/dtmf", b"\xff"),
            ("application/dtmf", "é".as_bytes()),
            ("application/media_control+xml", b"Signal=5"),
            ("", b"Signal=5"),
        ] {
            assert_eq!(told(kind, bytes), None, "{kind} {bytes:?}");
        }
    }
}
