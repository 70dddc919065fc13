//! PINs and numbers of rooms, and the number map (rule R14).

use super::read::Section;
use crate::model::{
    AudioAccess, RoomConfig, RoomRecord,
    entry::{NumberMap, NumberTarget, plain_number},
};

/// Where a number leads that isn't a room's: to the menu.
const MENU: &str = "menu";
/// A PIN shorter than this is guessed too soon for comfort, and one shorter than the least is refused.
const COMFORT: usize = 6;

/// `[numbers]`: each key a number, each value a room's name or `menu`.
pub(super) fn numbers(mut s: Section<'_>, declared: &[RoomRecord]) -> NumberMap {
    let mut map = NumberMap::default();
    for (key, value) in s.entries() {
        let Some(number) = plain_number(&key) else {
            s.mistake(&key, "must be a number, like \"+49305550100\"");
            continue;
        };
        let target = if value == MENU {
            Some(NumberTarget::Menu)
        } else {
            let room = declared.iter().find(|room| room.name.as_str() == value);
            room.map(|room| NumberTarget::Room(room.name.clone()))
        };
        match target {
            None => s.mistake(&key, format!("there is no [[room]] \"{value}\"; a room's name, or \"{MENU}\"")),
            Some(target) => {
                if !map.insert(number, target) {
                    s.mistake(&key, "leads somewhere already");
                }
            }
        }
    }
    s.finish();
    map
}

/// The keys of a room that have to do with what callers type.
pub(super) fn entry(s: &mut Section<'_>, audio: Option<AudioAccess>, base: RoomConfig) -> RoomConfig {
    let pin = pin(s, "pin", "pin_file");
    let moderator_pin = pin_of_moderators(s);
    let number = s.text("number", room_number);
    let usual = if pin.is_some() { AudioAccess::Pin } else { AudioAccess::Anyone };
    let wanted = audio.unwrap_or(usual);
    let given = s.any_given(&["pin", "pin_file"]);
    if wanted == AudioAccess::Pin && pin.is_none() && !given {
        let variable = s.variable("pin");
        s.mistake("audio", format!("needs `pin`, `pin_file` or {variable}"));
    }
    if wanted != AudioAccess::Pin && (pin.is_some() || moderator_pin.is_some()) {
        s.warning("audio", "nobody is asked for a PIN unless this is \"pin\"");
    }
    if pin.is_some() && pin == moderator_pin {
        s.mistake("moderator_pin", "is everybody's PIN");
    }
    RoomConfig {
        audio: wanted,
        pin,
        moderator_pin,
        number,
        ..base
    }
}

fn pin_of_moderators(s: &mut Section<'_>) -> Option<String> {
    pin(s, "moderator_pin", "moderator_pin_file")
}

fn pin(s: &mut Section<'_>, key: &'static str, file_key: &'static str) -> Option<String> {
    let pin = s.secret(key, file_key)?.reveal().trim().to_owned();
    if let Err(problem) = crate::model::entry::check_pin(&pin) {
        s.mistake(key, problem);
        return None;
    }
    if pin.len() < COMFORT {
        s.warning(
            key,
            format!("has fewer than {COMFORT} digits, and is soon guessed by many callers together"),
        );
    }
    Some(pin)
}

/// What the menu takes for a room's number.
fn room_number(text: &str) -> Result<String, String> {
    crate::model::entry::check_room_number(text)
        .map(|()| text.to_owned())
        .map_err(str::to_owned)
}

/// No two rooms have one number, and none has one that the map leads elsewhere.
pub(super) fn distinct(s: &Section<'_>, number: Option<&String>, others: &[RoomRecord]) {
    if number.is_some() && others.iter().any(|other| other.config.number.as_ref() == number) {
        s.mistake("number", "another room has it");
    }
}
