//! What somebody typed at the door, and the numbers that lead to rooms.

use std::collections::BTreeMap;

use super::RoomName;

/// What a caller shows at the door of a room, besides who they are.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Entry {
    /// Nothing.
    #[default]
    Nothing,
    /// What they typed: a PIN, or a join code (rule R2). The room knows which.
    Typed(String),
    /// A join code, and that they mean to join as the one who got it.
    Confirmed(String),
}

/// Without the digits.
impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Nothing => "Nothing",
            Self::Typed(_) => "Typed(***)",
            Self::Confirmed(_) => "Confirmed(***)",
        })
    }
}

/// Where a number leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NumberTarget {
    /// To the spoken menu, which asks for a room.
    Menu,
    /// Into this room.
    Room(RoomName),
}

/// The number map: which numbers lead where (rule R14).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NumberMap(BTreeMap<String, NumberTarget>);

impl NumberMap {
    /// Has a number lead there; false if it leads somewhere already.
    pub fn insert(&mut self, number: String, target: NumberTarget) -> bool {
        let is_new = !self.0.contains_key(&number);
        if is_new {
            self.0.insert(number, target);
        }
        is_new
    }

    /// Where a number leads.
    pub fn get(&self, number: &str) -> Option<&NumberTarget> {
        self.0.get(number)
    }

    /// Every number.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &NumberTarget)> {
        self.0.iter().map(|(number, target)| (number.as_str(), target))
    }
}

/// A telephone number without its visual separators (RFC 3966 section 5.1.1) and parameters: digits, and a `+` before them if it had one.
/// `None` for anything else.
pub fn plain_number(text: &str) -> Option<String> {
    let text = text.split(';').next().unwrap_or_default();
    let plain: String = text.chars().filter(|c| !"-.() ".contains(*c)).collect();
    let digits = plain.strip_prefix('+').unwrap_or(&plain);
    (!digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())).then_some(plain)
}

/// A PIN: digits, not too few and no more than anybody types.
pub fn check_pin(pin: &str) -> Result<(), &'static str> {
    let fits = (4..=16).contains(&pin.len()) && pin.bytes().all(|b| b.is_ascii_digit());
    if fits { Ok(()) } else { Err("must be 4 to 16 digits") }
}

/// The number by which the spoken menu knows a room.
pub fn check_room_number(number: &str) -> Result<(), &'static str> {
    let fits = (1..=12).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_digit());
    if fits { Ok(()) } else { Err("must be 1 to 12 digits") }
}

/// The numbers by which rooms are known to the spoken menu; each is of one room. Answers come from memory.
pub trait RoomNumbers: Send + Sync + std::fmt::Debug {
    /// Gives a room this number instead of what it had; false, and nothing changes, if another room has it.
    fn claim(&self, room: &RoomName, number: Option<&str>) -> bool;
    /// The room of a number.
    fn find(&self, number: &str) -> Option<RoomName>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r14_numbers_are_read_without_what_only_eyes_need() {
        for (text, number) in [
            ("+49 (30) 5550-100", Some("+49305550100")),
            ("030.5550", Some("0305550")),
            ("7042;phone-context=example.com", Some("7042")),
            ("7042", Some("7042")),
            ("+", None),
            ("", None),
            ("standup", None),
            ("49+30", None),
            ("*6", None),
        ] {
            assert_eq!(plain_number(text).as_deref(), number, "{text}");
        }
    }

    #[test]
    fn what_was_typed_is_in_no_log() {
        assert_eq!(format!("{:?}", Entry::Typed("123456".into())), "Typed(***)");
    }
}
