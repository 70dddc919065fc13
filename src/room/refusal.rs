//! Why a request was refused. Closed: each peer maps it by a total match.

/// Why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    /// Moderators only.
    #[error("only moderators may do this")]
    NotModerator,
    /// Admins and owners only.
    #[error("only admins may do this")]
    NotAdmin,
    /// Owners only.
    #[error("only owners may do this")]
    NotOwner,
    /// The target outranks the asker (rule R9), or is of equal standing where XEP-0045 forbids it.
    #[error("they outrank you")]
    Outranked,
    /// The asker isn't in the room.
    #[error("you are not in the room")]
    NotInRoom,
    /// The target isn't in the room.
    #[error("nobody of that name is in the room")]
    NoSuchTarget,
    /// No voice: visitors don't write.
    #[error("you have no voice in this room")]
    NoVoice,
    /// Banned (chat), or the ban key is (audio).
    #[error("you are banned from this room")]
    Banned,
    /// Kicked less than 60 s ago (rule R7).
    #[error("you were removed a moment ago; try later")]
    KickedRecently,
    /// Members only.
    #[error("only members may enter")]
    MembersOnly,
    /// The password is missing or wrong.
    #[error("a password is needed")]
    Password,
    /// The nick is taken, reserved, or looks like one that is.
    #[error("that nick is taken")]
    NickTaken,
    /// The nick is empty, too long, or ends in ` (phone)` (rule R26).
    #[error("that nick is not allowed")]
    BadNick,
    /// Locked by a moderator (rule R10).
    #[error("the room is locked")]
    Locked,
    /// Not configured yet (XEP-0045 section 10.1).
    #[error("the room is not configured yet")]
    NotConfigured,
    /// No phone calls in this room (rule R14).
    #[error("this room takes no calls")]
    AudioOff,
    /// The room takes calls with a PIN only.
    #[error("a PIN is needed")]
    Pin,
    /// Full.
    #[error("the room is full")]
    Full,
    /// A moderator can't undo somebody's own mute (rule R4).
    #[error("they muted themselves")]
    OwnMute,
    /// The mute is the room's policy, and this asker can't grant voice.
    #[error("the room is moderated; a moderator has to grant voice")]
    PolicyMute,
    /// Anonymous and shared identities can't be banned (rule R3).
    #[error("an unproven caller can't be banned; lock the room, close it to callers, or remove the call")]
    CannotBan,
    /// Nobody bans themselves (XEP-0045 section 9.1).
    #[error("you can't ban yourself")]
    Oneself,
    /// The last owner can't step down.
    #[error("a room needs an owner")]
    LastOwner,
    /// A room of the configuration can't be destroyed, nor its declared owners removed.
    #[error("the server's configuration says so")]
    FixedByConfig,
    /// The operator has given no place for recordings.
    #[error("this server records nothing")]
    RecordsNothing,
    /// There is no call to record.
    #[error("nobody is on the phone")]
    NobodyOnPhone,
    /// The room is going.
    #[error("the room is closing")]
    Closing,
    /// The chat has a lobby: a moderator has been told, and may let them in.
    #[error("a moderator has to let you in first, and has been told that you are here")]
    Lobby,
    /// Neither a number nor a SIP address.
    #[error("that is no number or address that can be called")]
    BadTarget,
    /// The server's configuration doesn't allow calls there (checklist F-2).
    #[error("calls there are not allowed on this server")]
    NotDialable,
    /// Emergency numbers (rule R47).
    #[error("emergency numbers are not called from a room: use your own telephone")]
    Emergency,
    /// Numbers at special rates (rule R47).
    #[error("numbers at special rates are not called from a room")]
    Premium,
    /// The call costs money perhaps, and that hasn't been confirmed (checklist F-1).
    #[error("this call leaves our own domain and may cost money; it has to be confirmed")]
    Unconfirmed,
    /// The room makes as many calls as it may.
    #[error("this room has called as many people as it may")]
    TooManyDials,
    /// Another room has the number.
    #[error("another room has that number")]
    NumberTaken,
}
