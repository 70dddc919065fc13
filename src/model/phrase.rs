//! What a caller is told by a voice.

/// A piece of what is said to one caller. Each is a file of that name, `FOLDER/LANGUAGE/NAME.wav`, or the built-in one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phrase {
    /// Asks for a room number.
    EnterRoom,
    /// Asks for the room's PIN.
    EnterPin,
    /// Asks for a room number or a join code (rule R2).
    EnterRoomOrCode,
    /// What was typed leads nowhere; another try.
    WrongTryAgain,
    /// The call ends.
    Goodbye,
    /// Before the name or number as which a join code lets in (rule R2).
    JoinAs,
    /// Asks to confirm that.
    PressOneToConfirm,
    /// Nobody hears the caller any more.
    Muted,
    /// The caller is heard again.
    Unmuted,
    /// A moderator wants the caller silent, who can't change that (rule R4).
    MutedByModerator,
    /// The caller's wish to speak is known (rule R32).
    HandRaised,
    /// It was taken back.
    HandLowered,
    /// The room opens when a moderator comes.
    WaitForModerator,
    /// Somebody has to let the caller in.
    WaitInLobby,
    /// Nobody new enters the room (rule R10).
    Locked,
    /// Everybody may enter again.
    Unlocked,
    /// Everybody else is muted.
    AllMuted,
    /// After how many.
    PeopleHere,
    /// Nobody else is there.
    OnlyYou,
    /// The call leaves our network and may cost something (checklist F-1).
    CallLeaves,
    /// Calls out of our network aren't allowed (checklist F-2).
    NotAllowed,
    /// The meeting is ended.
    MeetingEnds,
    /// The meeting has no place left.
    RoomFull,
    /// The caller is a moderator now.
    YouModerate,
    /// The caller hears louder, or is heard louder.
    Louder,
    /// The caller hears less loud, or is heard less loud.
    Quieter,
    /// Begins a line of help, before keys.
    Press,
    /// After keys: mutes the caller, or lets them be heard.
    ToMute,
    /// After keys: raises the hand, or lowers it.
    ToRaiseHand,
    /// After keys: the room is louder for the caller.
    ToHearLouder,
    /// After keys: the room is less loud for the caller.
    ToHearQuieter,
    /// After keys: the caller is louder for the room.
    ToSpeakLouder,
    /// After keys: the caller is less loud for the room.
    ToSpeakQuieter,
    /// After keys: tells how many are here.
    ToCount,
    /// After keys: repeats this help.
    ToHelp,
    /// After keys: mutes everybody else.
    ToMuteAll,
    /// After keys: locks or unlocks the room.
    ToLock,
    /// After keys: ends the meeting for all.
    ToEnd,
    /// A number; above 99 digit by digit.
    Number(u32),
    /// Digits, `*`, `#` and letters from A to Z one by one; other characters are passed over.
    Spell(String),
}

impl Phrase {
    /// All that are one file each: all but numbers and what is spelled.
    pub const FIXED: [Self; 38] = [
        Self::EnterRoom,
        Self::EnterPin,
        Self::EnterRoomOrCode,
        Self::WrongTryAgain,
        Self::Goodbye,
        Self::JoinAs,
        Self::PressOneToConfirm,
        Self::Muted,
        Self::Unmuted,
        Self::MutedByModerator,
        Self::HandRaised,
        Self::HandLowered,
        Self::WaitForModerator,
        Self::WaitInLobby,
        Self::Locked,
        Self::Unlocked,
        Self::AllMuted,
        Self::PeopleHere,
        Self::OnlyYou,
        Self::CallLeaves,
        Self::NotAllowed,
        Self::MeetingEnds,
        Self::RoomFull,
        Self::YouModerate,
        Self::Louder,
        Self::Quieter,
        Self::Press,
        Self::ToMute,
        Self::ToRaiseHand,
        Self::ToHearLouder,
        Self::ToHearQuieter,
        Self::ToSpeakLouder,
        Self::ToSpeakQuieter,
        Self::ToCount,
        Self::ToHelp,
        Self::ToMuteAll,
        Self::ToLock,
        Self::ToEnd,
    ];

    /// The file's name without its ending; `None` for what is put together of several.
    pub fn file(&self) -> Option<&'static str> {
        Some(match self {
            Self::EnterRoom => "enter-room",
            Self::EnterPin => "enter-pin",
            Self::EnterRoomOrCode => "enter-room-or-code",
            Self::WrongTryAgain => "wrong-try-again",
            Self::Goodbye => "goodbye",
            Self::JoinAs => "join-as",
            Self::PressOneToConfirm => "press-one-to-confirm",
            Self::Muted => "muted",
            Self::Unmuted => "unmuted",
            Self::MutedByModerator => "muted-by-moderator",
            Self::HandRaised => "hand-raised",
            Self::HandLowered => "hand-lowered",
            Self::WaitForModerator => "wait-for-moderator",
            Self::WaitInLobby => "wait-in-lobby",
            Self::Locked => "locked",
            Self::Unlocked => "unlocked",
            Self::AllMuted => "all-muted",
            Self::PeopleHere => "people-here",
            Self::OnlyYou => "only-you",
            Self::CallLeaves => "call-leaves",
            Self::NotAllowed => "not-allowed",
            Self::MeetingEnds => "meeting-ends",
            Self::RoomFull => "room-full",
            Self::YouModerate => "you-moderate",
            Self::Louder => "louder",
            Self::Quieter => "quieter",
            Self::Press => "press",
            Self::ToMute => "to-mute",
            Self::ToRaiseHand => "to-raise-hand",
            Self::ToHearLouder => "to-hear-louder",
            Self::ToHearQuieter => "to-hear-quieter",
            Self::ToSpeakLouder => "to-speak-louder",
            Self::ToSpeakQuieter => "to-speak-quieter",
            Self::ToCount => "to-count",
            Self::ToHelp => "to-help",
            Self::ToMuteAll => "to-mute-all",
            Self::ToLock => "to-lock",
            Self::ToEnd => "to-end",
            Self::Number(_) | Self::Spell(_) => return None,
        })
    }
}
