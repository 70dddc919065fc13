//! What people may think of doing.

use cusax::model::{Affiliation, Role};
use rand::{Rng, rngs::StdRng};

/// Accounts with both halves; the first owns the room.
pub(crate) const ACCOUNTS: [&str; 5] = ["olga", "ann", "bob", "eve", "dan"];
/// An account with a phone only.
pub(crate) const PHONE_ONLY: &str = "phil";

/// Who asks, drawn again from whoever is there when the action is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    /// Some nick in the room.
    Nick(usize),
    /// Some call in the room.
    Leg(usize),
    /// An account, present or not.
    Account(usize),
    /// The operator.
    Operator,
}

/// Whom it is about, likewise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whom {
    Nick(usize),
    Leg(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Setting {
    Moderated,
    MembersOnly,
    ChatVoiceGoverns,
    MembershipGoverns,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Enter(usize),
    /// An account calls; beyond the accounts: the phone-only one, a claimed number, nobody at all.
    Call(usize),
    Leave(usize),
    HangUp(usize),
    Mute(By, Whom),
    Unmute(By, Whom),
    Role(By, Whom, Role),
    Affiliate(By, usize, Affiliation),
    Ban(By, Whom),
    Kick(By, Whom),
    Lock(By, bool),
    Record(By, bool),
    /// The media plane ends a recording: as ordered, or because it failed.
    RecordingEnds,
    Toggle(By, Setting),
    Hold(usize, bool),
    Speak(usize, bool),
    /// A report about somebody who was never there, or is gone.
    Stale,
    Wait(u64),
}

fn by(dice: &mut StdRng) -> By {
    match dice.random_range(0..10) {
        0 => By::Operator,
        1..=2 => By::Account(dice.random_range(0..ACCOUNTS.len())),
        3..=5 => By::Leg(dice.random_range(0..100)),
        _ => By::Nick(dice.random_range(0..100)),
    }
}

fn whom(dice: &mut StdRng) -> Whom {
    let index = dice.random_range(0..100);
    if dice.random_bool(0.5) {
        Whom::Nick(index)
    } else {
        Whom::Leg(index)
    }
}

fn pick<T: Copy>(dice: &mut StdRng, of: &[T]) -> T {
    of[dice.random_range(0..of.len())]
}

impl Action {
    pub(crate) fn random(dice: &mut StdRng) -> Self {
        use Affiliation as A;
        match dice.random_range(0..105) {
            0..=15 => Self::Enter(dice.random_range(0..ACCOUNTS.len())),
            16..=31 => Self::Call(dice.random_range(0..ACCOUNTS.len() + 3)),
            32..=38 => Self::Leave(dice.random_range(0..100)),
            39..=45 => Self::HangUp(dice.random_range(0..100)),
            46..=53 => Self::Mute(by(dice), whom(dice)),
            54..=61 => Self::Unmute(by(dice), whom(dice)),
            62..=72 => Self::Role(
                by(dice),
                whom(dice),
                pick(dice, &[Role::Visitor, Role::Participant, Role::Moderator]),
            ),
            73..=77 => {
                let to = pick(dice, &[A::Outcast, A::None, A::None, A::Member, A::Member, A::Admin, A::Owner]);
                Self::Affiliate(by(dice), dice.random_range(0..ACCOUNTS.len()), to)
            }
            78..=79 => Self::Ban(by(dice), whom(dice)),
            80..=82 => Self::Kick(by(dice), whom(dice)),
            83..=84 => Self::Lock(by(dice), dice.random_bool(0.3)),
            85..=87 => {
                let which = [
                    Setting::Moderated,
                    Setting::Moderated,
                    Setting::MembersOnly,
                    Setting::ChatVoiceGoverns,
                    Setting::MembershipGoverns,
                ];
                Self::Toggle(by(dice), pick(dice, &which))
            }
            88..=90 => Self::Hold(dice.random_range(0..100), dice.random_bool(0.5)),
            91..=92 => Self::Speak(dice.random_range(0..100), dice.random_bool(0.5)),
            93 => Self::Stale,
            100..=102 => Self::Record(by(dice), dice.random_bool(0.7)),
            103..=104 => Self::RecordingEnds,
            _ => Self::Wait(pick(dice, &[1, 7, 19, 20, 61])),
        }
    }
}
