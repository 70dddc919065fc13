//! What peers and operators may read of a room.

use crate::model::{Actor, Affiliation, BareJid, Caller, Correlation, DialId, DialState, LegId, MuteSet, OccupantId, PersonId, Role};

/// How much a watcher may see (rules R13, R53). Ordered: a greater class sees more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum View {
    /// Somebody with an account who isn't in the room.
    Other,
    /// Somebody in the room.
    Member,
    /// A moderator: numbers in full.
    Moderator,
}

/// One row: a person.
#[derive(Debug, Clone, PartialEq)]
pub struct PersonView {
    /// The row's id.
    pub id: PersonId,
    /// The same in every log line of theirs, whichever door (rule R80).
    pub correlation: Correlation,
    /// What everybody is shown: a nick if there is one, else the caller's name, masked if it is a number.
    pub name: String,
    /// Who they are on the phone side, if they ever called. May be privacy-relevant: see rule R13.
    pub caller: Option<Caller>,
    /// Their real bare JID, if they are in the chat or bound to an account that has one.
    pub jid: Option<BareJid>,
    /// Standing.
    pub affiliation: Affiliation,
    /// The strongest role of their occupants; of a caller alone, what their standing gives.
    pub role: Role,
    /// Reasons for which their audio is muted, whether or not they have a leg now.
    pub mutes: MuteSet,
    /// Level of participation in text (checklist M-6).
    pub text: TextLevel,
    /// Level of participation in audio.
    pub audio: AudioLevel,
    /// One of their legs is speaking.
    pub speaking: bool,
    /// When they last began to speak or stopped, ms since the UNIX epoch.
    pub spoke_unix_ms: Option<u64>,
    /// They would like to speak (rule R32).
    pub hand_raised: bool,
    /// Their calls.
    pub legs: Vec<LegView>,
    /// Their nicks; a stand-in of kind [`OccupantKind::Phone`] is one of them.
    pub occupants: Vec<OccupantId>,
    /// A published, stable entity that hides who they are: `sip:p-…@anonymous.invalid` (rule R13).
    pub hidden_entity: String,
}

/// Level of participation in text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextLevel {
    /// Reads and writes.
    TwoWay,
    /// Reads only: a visitor.
    ReadOnly,
    /// Not in the chat.
    None,
}

/// Level of participation in audio.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AudioLevel {
    /// Speaks and listens.
    TwoWay,
    /// Listens by their own phone's choice (its SDP).
    ListenOnly,
    /// Muted by their own choice alone.
    MutedBySelf,
    /// Muted by somebody else, or by the room's policy.
    MutedByHost,
    /// On hold.
    OnHold,
    /// Not yet connected.
    Joining,
    /// No call.
    None,
}

/// One call of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegView {
    /// The leg.
    pub id: LegId,
    /// Its state.
    pub state: LegState,
    /// Its Contact URI.
    pub endpoint: String,
    /// SSRC of what we send to it.
    pub ssrc: u32,
    /// When it joined, ms since the UNIX epoch.
    pub joined_unix_ms: u64,
    /// For the logs.
    pub correlation: Correlation,
    /// The room called them (rule R47).
    pub dialed_out: bool,
}

/// A call that the room makes, until it is answered.
#[derive(Debug, Clone, PartialEq)]
pub struct DialView {
    /// Its number.
    pub id: DialId,
    /// What everybody is shown, masked if it is a number.
    pub name: String,
    /// Whom, as they will be when they answer. May be privacy-relevant: see rule R13.
    pub caller: Caller,
    /// Their row, if they are in the room already.
    pub person: Option<PersonId>,
    /// How far it has come.
    pub state: DialState,
    /// Hides who they are (rule R13); their row's own once they answer, if they have none yet.
    pub hidden_entity: String,
    /// For the logs.
    pub correlation: Correlation,
    /// Since when, ms since the UNIX epoch.
    pub since_unix_ms: u64,
}

impl DialView {
    /// It may still be answered.
    pub fn is_live(&self) -> bool {
        self.state.is_live()
    }
}

/// State of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LegState {
    /// Our 200 isn't acknowledged yet.
    Joining,
    /// Talking.
    Up,
    /// On hold.
    Held,
}

/// One nick.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OccupantView {
    /// Its id.
    pub id: OccupantId,
    /// The row it belongs to.
    pub person: PersonId,
    /// The nick.
    pub nick: String,
    /// Real bare JID; of a stand-in, its JID at the phones domain.
    pub jid: BareJid,
    /// Chat user or stand-in.
    pub kind: OccupantKind,
    /// Standing.
    pub affiliation: Affiliation,
    /// Standing.
    pub role: Role,
}

/// A recording that goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordingView {
    /// Who began it.
    pub by: Actor,
    /// When, ms since the UNIX epoch.
    pub since_unix_ms: u64,
    /// The file's path, for the operator alone; `None` until it is open.
    pub file: Option<String>,
}

/// Somebody who waits to be let in: for moderators alone.
#[derive(Debug, Clone, PartialEq)]
pub struct WaitingView {
    /// The row that they will have.
    pub row: PersonId,
    /// What they are called.
    pub name: String,
    /// What they wait for.
    pub hold: Hold,
    /// Since when, ms since the UNIX epoch.
    pub since_unix_ms: u64,
    /// At which door.
    pub guest: Guest,
}

/// At which door somebody waits.
#[derive(Debug, Clone, PartialEq)]
pub enum Guest {
    /// On the phone.
    Caller {
        /// The leg.
        leg: LegId,
        /// Who they are.
        caller: Caller,
        /// On hold.
        held: bool,
        /// As in [`PersonView::hidden_entity`].
        hidden_entity: String,
        /// For the logs.
        correlation: Correlation,
    },
    /// At the chat.
    Chat(BareJid),
}

/// What somebody waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// To be let in.
    Lobby,
    /// For a moderator to come.
    Moderator,
}

/// What stands behind a nick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OccupantKind {
    /// A chat user.
    Chat,
    /// A caller's stand-in (rule R26).
    Phone,
    /// The service itself (rule R33).
    Service,
}
