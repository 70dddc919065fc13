//! What keys do in a room: `[keypad]` for all rooms, `[room.keypad]` for one.

use std::time::Duration;

use super::read::Section;
use crate::model::{KeyAction, Keypad};

/// Reads a table of keys; what it doesn't say is as in `base`.
pub(super) fn keypad(mut s: Section<'_>, base: &Keypad) -> Keypad {
    let pause = s.number("pause_s", 1..=60).map_or_else(|| base.pause(), Duration::from_secs);
    let mut keypad = Keypad::empty(pause);
    for action in KeyAction::ALL {
        let name = action.name();
        let keys = s.text(name, |text| Ok(text.to_owned()));
        let usual = base.keys(action).unwrap_or_default();
        let keys = keys.as_deref().unwrap_or(usual);
        if !keys.is_empty()
            && let Err(problem) = keypad.bind(action, keys)
        {
            s.mistake(name, problem.to_string());
        }
    }
    s.finish();
    keypad
}

/// The table that a room has to itself.
pub(super) fn own_keypad(room: &mut Section<'_>, base: &Keypad) -> Option<Keypad> {
    let mut own = room.section("keypad");
    own.name = format!("{}.keypad", room.name);
    room.any_given(&["keypad"]).then(|| keypad(own, base))
}
