//! What keys pressed in a call do: a table, of the whole service or of one room.

use std::time::Duration;

/// What a sequence of keys does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyAction {
    /// Mutes oneself, or takes that back; silenced by others: tells the moderators of the wish to speak (rule R32).
    Mute,
    /// Raises one's hand, or lowers it.
    Hand,
    /// The room is heard by 3 dB softer.
    Quieter,
    /// The room is heard by 3 dB louder.
    Louder,
    /// Tells how many are here.
    Who,
    /// Tells what the keys do.
    Help,
    /// Moderators: lets nobody new enter, or lets them again (rule R10).
    Lock,
    /// Moderators: mutes everybody else.
    MuteAll,
    /// Moderators: ends everybody's call, once that is confirmed with `1`.
    End,
}

/// What the keys pressed so far come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pressed {
    /// This.
    Action(KeyAction),
    /// The beginning of something.
    Beginning,
    /// Nothing.
    Nothing,
}

/// A table of keys. No sequence in it begins with another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keypad {
    bindings: Vec<(String, KeyAction)>,
    pause: Duration,
}

/// Why a sequence is not taken into a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadKeys {
    /// Not one to four keys.
    #[error("must be one to four of 0123456789*#, like \"*6\"; empty to do without")]
    NotKeys,
    /// It begins with another one, or another one with it.
    #[error("clashes with `{}`, which would always be found first", .0.name())]
    Clash(KeyAction),
}

impl KeyAction {
    /// Every one, in the order in which help tells of them.
    pub const ALL: [Self; 9] = [
        Self::Mute,
        Self::Hand,
        Self::Quieter,
        Self::Louder,
        Self::Who,
        Self::Help,
        Self::Lock,
        Self::MuteAll,
        Self::End,
    ];

    /// Its name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mute => "mute",
            Self::Hand => "hand",
            Self::Quieter => "quieter",
            Self::Louder => "louder",
            Self::Who => "who",
            Self::Help => "help",
            Self::Lock => "lock",
            Self::MuteAll => "mute_all",
            Self::End => "end",
        }
    }

    /// Nobody else may do it.
    pub fn is_for_moderators(self) -> bool {
        match self {
            Self::Mute | Self::Hand | Self::Quieter | Self::Louder | Self::Who | Self::Help => false,
            Self::Lock | Self::MuteAll | Self::End => true,
        }
    }

    /// Its keys if nothing else is said.
    pub fn usual_keys(self) -> &'static str {
        match self {
            Self::Mute => "*6",
            Self::Hand => "*5",
            Self::Quieter => "*4",
            Self::Louder => "*7",
            Self::Who => "*2",
            Self::Help => "*0",
            Self::Lock => "*1",
            Self::MuteAll => "*8",
            Self::End => "*9",
        }
    }
}

impl Default for Keypad {
    fn default() -> Self {
        Self {
            bindings: KeyAction::ALL.map(|action| (action.usual_keys().to_owned(), action)).into(),
            pause: Duration::from_secs(3),
        }
    }
}

impl Keypad {
    /// A table without keys, whose sequences are forgotten after so long a pause between two keys.
    pub fn empty(pause: Duration) -> Self {
        Self {
            bindings: Vec::new(),
            pause,
        }
    }

    /// Has a sequence do this.
    pub fn bind(&mut self, action: KeyAction, keys: &str) -> Result<(), BadKeys> {
        let fits = (1..=4).contains(&keys.len()) && keys.bytes().all(|k| k.is_ascii_digit() || b"*#".contains(&k));
        if !fits {
            return Err(BadKeys::NotKeys);
        }
        let clash = self
            .bindings
            .iter()
            .find(|(other, _)| other.starts_with(keys) || keys.starts_with(other.as_str()));
        if let Some((_, other)) = clash {
            return Err(BadKeys::Clash(*other));
        }
        self.bindings.push((keys.to_owned(), action));
        Ok(())
    }

    /// The keys that do this, if any do.
    pub fn keys(&self, action: KeyAction) -> Option<&str> {
        self.bindings.iter().find(|(_, a)| *a == action).map(|(keys, _)| keys.as_str())
    }

    /// The longest pause within a sequence.
    pub fn pause(&self) -> Duration {
        self.pause
    }

    /// What these keys come to.
    pub fn look_up(&self, typed: &str) -> Pressed {
        let found = self.bindings.iter().find(|(keys, _)| keys.starts_with(typed));
        match found {
            Some((keys, action)) if keys == typed => Pressed::Action(*action),
            Some(_) => Pressed::Beginning,
            None => Pressed::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_keys_could_be_bound_by_hand() {
        let mut keypad = Keypad::empty(Duration::from_secs(3));
        for action in KeyAction::ALL {
            assert_eq!(keypad.bind(action, action.usual_keys()), Ok(()), "{action:?}");
        }
        assert_eq!(keypad, Keypad::default());
        assert_eq!(keypad.keys(KeyAction::Mute), Some("*6"));
    }

    #[test]
    fn sequences_that_hide_each_other_are_refused() {
        let mut keypad = Keypad::empty(Duration::from_secs(3));
        assert_eq!(keypad.bind(KeyAction::Mute, "*6"), Ok(()));
        for keys in ["*6", "*", "*61"] {
            assert_eq!(keypad.bind(KeyAction::Who, keys), Err(BadKeys::Clash(KeyAction::Mute)), "{keys}");
        }
        for keys in ["", "*a", "12345", "é"] {
            assert_eq!(keypad.bind(KeyAction::Who, keys), Err(BadKeys::NotKeys), "{keys}");
        }
        assert_eq!(keypad.look_up("*"), Pressed::Beginning);
        assert_eq!(keypad.look_up("*6"), Pressed::Action(KeyAction::Mute));
        assert_eq!(keypad.look_up("6"), Pressed::Nothing);
    }
}
