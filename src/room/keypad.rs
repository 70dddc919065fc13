//! Keys pressed in the room: what they come to, and what the one who pressed them hears. What they do goes through the same requests as by
//! every other door.

use std::time::{Duration, Instant};

use crate::model::{Door, KeyAction, Keypad, LegId, MediaOrder, Now, Origin, Phrase, Volume, keypad::Pressed, origin::Asker};

use super::{Refusal, Request, Room, Target};

/// How long the question whether the meeting is to end waits for its answer.
const CONFIRM_WITHIN: Duration = Duration::from_secs(10);
/// What confirms it.
const CONFIRM: char = '1';
/// Steps of volume either way (rule R63).
const STEPS: i8 = 2;

/// What one call has typed, and the state that keys alone change.
#[derive(Debug, Default)]
pub(super) struct Keys {
    typed: String,
    last: Option<Instant>,
    /// When they were asked whether they mean to end the meeting.
    asked: Option<Instant>,
    /// Steps of 3 dB by which they hear the room louder (rule R63).
    hear: i8,
}

/// What a key completes.
#[derive(Debug, PartialEq, Eq)]
enum Complete {
    Action(KeyAction),
    /// The end of the meeting, which they were asked about.
    End,
}

impl Keys {
    /// Takes one key.
    fn press(&mut self, now: Instant, keypad: &Keypad, key: char) -> Option<Complete> {
        let within = |since: Option<Instant>, limit| since.is_some_and(|at| now.saturating_duration_since(at) <= limit);
        if within(self.asked.take(), CONFIRM_WITHIN) && key == CONFIRM {
            return Some(Complete::End);
        }
        if !within(self.last.replace(now), keypad.pause()) {
            self.typed.clear();
        }
        self.typed.push(key);
        if keypad.look_up(&self.typed) == Pressed::Nothing {
            // A slip: what follows may be meant again.
            self.typed = key.to_string();
        }
        match keypad.look_up(&self.typed) {
            Pressed::Beginning => None,
            Pressed::Nothing => {
                self.typed.clear();
                None
            }
            Pressed::Action(action) => {
                self.typed.clear();
                Some(Complete::Action(action))
            }
        }
    }
}

impl Room {
    /// Somebody on the phone pressed a key.
    pub(super) fn key(&mut self, now: Now, leg: LegId, key: char) {
        let keypad = self.config.keypad.as_ref().unwrap_or(&self.settings.keypad);
        let Some(keys) = self.roster.leg_mut(leg).map(|l| &mut l.keys) else {
            return;
        };
        let said = match keys.press(now.at, keypad, key) {
            None => return,
            Some(Complete::Action(action)) => self.key_action(now, leg, action),
            Some(Complete::End) => self.by_key(now, leg, Request::EndForAll, Phrase::MeetingEnds),
        };
        // Whoever has just ended the meeting hears nothing any more.
        if self.roster.leg(leg).is_some() {
            self.out.order(MediaOrder::Say(leg, said));
        }
    }

    /// Does it, and says what came of it.
    fn key_action(&mut self, now: Now, leg: LegId, action: KeyAction) -> Vec<Phrase> {
        match action {
            KeyAction::Mute => self.mute_by_key(now, leg),
            KeyAction::Hand => {
                let up = !self
                    .person_of_leg(leg)
                    .and_then(|id| self.roster.person(id))
                    .is_some_and(|p| p.hand_raised);
                let said = if up { Phrase::HandRaised } else { Phrase::HandLowered };
                self.by_key(now, leg, Request::RaiseHand(up), said)
            }
            KeyAction::Quieter => self.turn(leg, -1),
            KeyAction::Louder => self.turn(leg, 1),
            KeyAction::Who => self.count_by_voice(),
            KeyAction::Help => self.help(leg),
            KeyAction::Lock => {
                let lock = !self.locked;
                let said = if lock { Phrase::Locked } else { Phrase::Unlocked };
                self.by_key(now, leg, Request::Lock(lock), said)
            }
            KeyAction::MuteAll => self.by_key(now, leg, Request::MuteAll(true), Phrase::AllMuted),
            KeyAction::End if self.moderates_by_key(leg) => {
                if let Some(keys) = self.roster.leg_mut(leg).map(|l| &mut l.keys) {
                    keys.asked = Some(now.at);
                }
                vec![Phrase::MeetingEnds, Phrase::PressOneToConfirm]
            }
            KeyAction::End => vec![Phrase::NotAllowed],
        }
    }

    /// One request; `done` is what is said when it is granted, or was so already.
    fn by_key(&mut self, now: Now, leg: LegId, request: Request, done: Phrase) -> Vec<Phrase> {
        let said = match self.request(now, &by_keypad(leg), request) {
            Ok(_) => done,
            Err(_) => Phrase::NotAllowed,
        };
        vec![said]
    }

    /// Whoever can be heard mutes themselves; whoever can't wants to be.
    fn mute_by_key(&mut self, now: Now, leg: LegId) -> Vec<Phrase> {
        let target = Target::Leg(leg);
        let muted = |room: &Self| {
            room.person_of_leg(leg)
                .and_then(|id| room.roster.person(id))
                .is_some_and(|p| p.mutes.is_muted())
        };
        if !muted(self) {
            return self.by_key(now, leg, Request::Mute { target, why: None }, Phrase::Muted);
        }
        let answer = self.request(now, &by_keypad(leg), Request::Unmute { target });
        vec![match answer {
            Ok(_) if !muted(self) => Phrase::Unmuted,
            // Rule R32: the moderators have been told.
            Ok(_) | Err(Refusal::NotModerator | Refusal::PolicyMute) => Phrase::HandRaised,
            Err(_) => Phrase::NotAllowed,
        }]
    }

    /// Turns what a caller hears up or down by one step (rule R63).
    fn turn(&mut self, leg: LegId, by: i8) -> Vec<Phrase> {
        if let Some(keys) = self.roster.leg_mut(leg).map(|l| &mut l.keys) {
            keys.hear = (keys.hear + by).clamp(-STEPS, STEPS);
            let hear = keys.hear;
            self.out.order(MediaOrder::Volume(leg, Volume { hear, speak: 0 }));
        }
        vec![if by > 0 { Phrase::Louder } else { Phrase::Quieter }]
    }

    /// What the keys do; moderators hear of theirs too.
    fn help(&self, leg: LegId) -> Vec<Phrase> {
        let moderates = self.moderates_by_key(leg);
        let keypad = self.keypad();
        let mut said = Vec::new();
        for action in KeyAction::ALL.into_iter().filter(|action| moderates || !action.is_for_moderators()) {
            if let Some(keys) = keypad.keys(action) {
                said.extend([Phrase::Press, Phrase::Spell(keys.to_owned()), purpose(action)]);
            }
        }
        said
    }

    fn moderates_by_key(&self, leg: LegId) -> bool {
        self.asking(&Asker::Leg(leg)).is_ok_and(|asking| asking.power.moderates())
    }

    fn keypad(&self) -> &Keypad {
        self.config.keypad.as_ref().unwrap_or(&self.settings.keypad)
    }

    /// People, by whichever door.
    fn count_by_voice(&self) -> Vec<Phrase> {
        let here = self.roster.people().count();
        if here <= 1 {
            vec![Phrase::OnlyYou]
        } else {
            vec![Phrase::PeopleHere, Phrase::Number(u32::try_from(here).unwrap_or(u32::MAX))]
        }
    }
}

/// What help calls it.
fn purpose(action: KeyAction) -> Phrase {
    match action {
        KeyAction::Mute => Phrase::ToMute,
        KeyAction::Hand => Phrase::ToRaiseHand,
        KeyAction::Quieter => Phrase::ToHearQuieter,
        KeyAction::Louder => Phrase::ToHearLouder,
        KeyAction::Who => Phrase::ToCount,
        KeyAction::Help => Phrase::ToHelp,
        KeyAction::Lock => Phrase::ToLock,
        KeyAction::MuteAll => Phrase::ToMuteAll,
        KeyAction::End => Phrase::ToEnd,
    }
}

fn by_keypad(leg: LegId) -> Origin {
    Origin {
        door: Door::Keypad,
        by: Asker::Leg(leg),
    }
}
