//! Percent escapes of SIP URIs (RFC 3261 sections 19.1.2 and 19.1.4), and the user part that names a room (rule R14).

use std::{borrow::Cow, fmt::Write};

use super::lex::Class;
use crate::model::{BadRoomName, RoomName};

/// `unreserved` of RFC 3261 section 25.1: the characters that are equal to their escape.
pub(crate) fn is_unreserved(b: u8) -> bool {
    const UNRESERVED: Class = Class::of(b"-_.!~*'()");
    UNRESERVED.has(b)
}

/// Decodes every escape; `%` without two hex digits stays as it is.
pub fn percent_decode(text: &str) -> Cow<'_, [u8]> {
    if !text.contains('%') {
        return Cow::Borrowed(text.as_bytes());
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        match escape_at(rest) {
            Some(byte) => {
                out.push(byte);
                rest = &rest[3..];
            }
            None => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    Cow::Owned(out)
}

/// Escapes all but unreserved characters and `+`, which leads telephone numbers.
pub fn percent_encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for &b in bytes {
        if is_unreserved(b) || b == b'+' {
            out.push(char::from(b));
        } else {
            push_escape(&mut out, b);
        }
    }
    out
}

/// One spelling for all parts that RFC 3261 section 19.1.4 calls equal: unreserved characters unescaped, what is left escaped in
/// capitals, other characters than ASCII escaped.
pub(crate) fn normalise(part: &str) -> Cow<'_, str> {
    if part.bytes().all(|b| b != b'%' && b.is_ascii()) {
        return Cow::Borrowed(part);
    }
    let mut out = String::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let [first, tail @ ..] = rest {
        match escape_at(rest) {
            Some(byte) if is_unreserved(byte) => out.push(char::from(byte)),
            Some(byte) => push_escape(&mut out, byte),
            None if first.is_ascii() => out.push(char::from(*first)),
            None => push_escape(&mut out, *first),
        }
        rest = if escape_at(rest).is_some() { &rest[3..] } else { tail };
    }
    Cow::Owned(out)
}

/// The user part of a room's SIP URI (rule R14).
pub fn user_of_room(room: &RoomName) -> String {
    percent_encode(room.as_str().as_bytes())
}

/// The room that a user part names (rule R14).
pub fn room_of_user(user: &str) -> Result<RoomName, BadRoomName> {
    let bytes = percent_decode(user);
    let name = std::str::from_utf8(&bytes).map_err(|_| BadRoomName::NotALocalPart)?;
    RoomName::new(name)
}

fn escape_at(bytes: &[u8]) -> Option<u8> {
    let [b'%', high, low, ..] = bytes else { return None };
    let digit = |b: u8| char::from(b).to_digit(16);
    u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()
}

fn push_escape(out: &mut String, byte: u8) {
    write!(out, "%{byte:02X}").expect("writing to a String succeeds");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_round_trip_and_odd_percent_signs_stay() {
        assert_eq!(&*percent_decode("%75se%72%00%zz%4"), b"user\0%zz%4");
        assert_eq!(percent_encode("a b@ö+".as_bytes()), "a%20b%40%C3%B6+");
        assert_eq!(normalise("%75se%72%3b%c3;ö"), "user%3B%C3;%C3%B6");
    }

    #[test]
    fn r14_room_names_and_users_are_the_same_string_escaped() {
        for name in ["standup", "größe", "a+b", "50%_off", "q;r", "räksmörgås.1"] {
            let room = RoomName::new(name).unwrap();
            assert_eq!(room_of_user(&user_of_room(&room)).unwrap(), room, "{name}");
        }
        assert_eq!(room_of_user("St%61ndup").unwrap().as_str(), "standup");
        assert_eq!(room_of_user("0049123"), Err(BadRoomName::DigitsOnly));
        assert!(room_of_user("%FF").is_err());
        assert!(room_of_user("a%40b").is_err());
    }
}
