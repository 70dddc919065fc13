//! What a room keeps over a restart.

use std::collections::BTreeMap;

use super::{Affiliation, BareJid, Keypad, RoomName};

/// Who sees real JIDs (XEP-0045 section 4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whois {
    /// Semi-anonymous.
    Moderators,
    /// Non-anonymous.
    Anyone,
}

/// Who may enter by phone: the `audio` field of the owner's form (rule R14).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AudioAccess {
    /// The audio half is closed; the SIP URI is not advertised.
    Off,
    /// Callers bound to a member of the room.
    Members,
    /// Callers who know the PIN (asked for by keypad), and members.
    Pin,
    /// Every caller.
    Anyone,
}

/// What owners may set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomConfig {
    /// Shown in discovery and in conference state.
    pub title: String,
    /// Longer text, shown likewise.
    pub description: String,
    /// Listed in the service's disco#items.
    pub public: bool,
    /// Outlives its last occupant and leg.
    pub persistent: bool,
    /// Only members enter.
    pub members_only: bool,
    /// Newcomers without affiliation are visitors.
    pub moderated: bool,
    /// Who sees real JIDs.
    pub whois: Whois,
    /// Participants may set the subject.
    pub open_subject: bool,
    /// Asked for at the chat door.
    pub password: Option<String>,
    /// Who may enter by phone.
    pub audio: AudioAccess,
    /// Losing voice in the chat mutes in the audio (rule R6).
    pub chat_voice_governs_audio: bool,
    /// Losing membership also ends calls (rule R7).
    pub membership_governs_audio: bool,
    /// Legs and occupants together, at most.
    pub max_people: u32,
    /// Messages kept for newcomers, at most.
    pub history_length: u32,
    /// The highest mixing rate, in Hz: 8000, 16000 or 48000 (rule R67).
    pub mixing_rate: u32,
    /// A tone when somebody comes to the phone or leaves it.
    pub tones: bool,
    /// Typed by callers to enter, with [`AudioAccess::Pin`].
    pub pin: Option<String>,
    /// Typed by callers who moderate on the phone.
    pub moderator_pin: Option<String>,
    /// The number by which the spoken menu knows the room (rule R14), no other room's.
    pub number: Option<String>,
    /// What keys do, if the server's configuration gives this room a table of its own.
    pub keypad: Option<Keypad>,
    /// Whoever is no member waits until a moderator lets them in.
    pub lobby: bool,
    /// Everybody but moderators is muted at first, until they are given voice (rules R5, R6).
    pub lecture: bool,
    /// Callers wait until a moderator is in.
    pub wait_for_moderator: bool,
    /// When the room's calls end by themselves (rule R81).
    pub limits: CallLimits,
}

/// When calls end by themselves (rule R81), in minutes; 0: never.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CallLimits {
    /// So long after the first one has begun.
    pub max_min: u32,
    /// Of somebody who has been alone on the phone for so long.
    pub alone_min: u32,
    /// When no moderator has been in, by either door, for so long.
    pub unmoderated_min: u32,
}

impl Default for RoomConfig {
    fn default() -> Self {
        Self {
            title: String::new(),
            description: String::new(),
            public: true,
            persistent: false,
            members_only: false,
            moderated: false,
            whois: Whois::Moderators,
            open_subject: false,
            password: None,
            audio: AudioAccess::Anyone,
            chat_voice_governs_audio: true,
            membership_governs_audio: false,
            max_people: 500,
            history_length: 50,
            mixing_rate: 48_000,
            tones: false,
            pin: None,
            moderator_pin: None,
            number: None,
            keypad: None,
            lobby: false,
            lecture: false,
            wait_for_moderator: false,
            limits: CallLimits::default(),
        }
    }
}

/// One room as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomRecord {
    /// Its name.
    pub name: RoomName,
    /// What owners set.
    pub config: RoomConfig,
    /// Created on demand and not yet configured (XEP-0045 section 10.1): nobody but its creator enters, and it can't be dialled.
    pub locked_until_configured: bool,
    /// Declared in the server's configuration: can't be destroyed, never answers 201.
    pub from_config: bool,
    /// Everybody with an affiliation other than none.
    pub affiliations: BTreeMap<BareJid, Affiliation>,
    /// Voice revoked (`false`) or granted (`true`) per account, over visits (rule R5).
    pub voice: BTreeMap<BareJid, bool>,
    /// The subject's stanza as last set, serialised, and when (UNIX ms).
    pub subject: Option<HistoryItem>,
    /// Messages for newcomers, oldest first.
    pub history: Vec<HistoryItem>,
}

/// One stanza as it was reflected, ready to be sent again with a delay stamp.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryItem {
    /// When it was reflected, in ms since the UNIX epoch.
    pub unix_ms: u64,
    /// The nick it came from.
    pub nick: String,
    /// The whole `<message/>`, serialised in `jabber:client`, without `to`.
    pub stanza: String,
}

/// A change to what is kept. Carried out in order, by one writer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreOp {
    /// Creates a room as it is given; of a known one, replaces the configuration (not its lists, subject or history).
    SaveRoom(Box<RoomRecord>),
    /// Forgets a room and all that belongs to it.
    DeleteRoom(RoomName),
    /// Sets one affiliation; `None` removes it.
    SetAffiliation(RoomName, BareJid, Affiliation),
    /// Sets one account's voice; `None` forgets it.
    SetVoice(RoomName, BareJid, Option<bool>),
    /// Sets the subject.
    SetSubject(RoomName, HistoryItem),
    /// Appends to the history and cuts it to the given length.
    Append(RoomName, HistoryItem, u32),
}
