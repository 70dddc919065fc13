//! What `cusax room …` says to a running server, over a UNIX socket: one line of JSON each way.

use serde::{Deserialize, Serialize};

use super::LegStats;

/// One question or order of the operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum ControlRequest {
    /// All rooms.
    List,
    /// Counters of the whole server.
    Stats,
    /// All trunks, and how they stand.
    Trunks,
    /// Plays a file to everybody who is in a room by phone.
    Play {
        /// Which room.
        room: String,
        /// A WAV file of one channel and 16 bits, as the server's machine calls it.
        file: std::path::PathBuf,
    },
    /// Takes no new calls and ends when the last one is over (`true`), or goes on as before.
    Drain {
        /// From now on.
        on: bool,
    },
    /// Something about one room.
    Room {
        /// Which.
        room: String,
        /// What.
        command: RoomCommand,
    },
}

/// One question or order about one room. `who` is a nick, a display name, or the number of a row as `show` prints it (`#3`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum RoomCommand {
    /// Everybody in it.
    Show,
    /// Silences somebody.
    Mute {
        /// Whom.
        who: String,
    },
    /// Takes that back.
    Unmute {
        /// Whom.
        who: String,
    },
    /// Puts somebody out by both doors.
    Kick {
        /// Whom.
        who: String,
        /// Said to them.
        why: Option<String>,
    },
    /// Nobody new enters, or they may again.
    Lock {
        /// Locked from now on.
        on: bool,
    },
    /// The call is recorded, or no longer; everybody in the room is told.
    Record {
        /// Recorded from now on.
        on: bool,
    },
    /// Lets somebody in who waits.
    Admit {
        /// Whom.
        who: String,
    },
    /// Silences everybody on the phone but moderators, or takes back what hosts have muted.
    MuteAll {
        /// Silent from now on.
        on: bool,
    },
    /// Ends all calls; the chat goes on.
    End,
    /// Has the room call somebody.
    Dial {
        /// A number or an address.
        target: String,
        /// What they are called.
        name: Option<String>,
        /// The call may leave our own domain and cost money.
        confirmed: bool,
    },
}

/// The server's answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum ControlReply {
    /// To [`ControlRequest::List`].
    Rooms {
        /// In order of name.
        rooms: Vec<RoomSummary>,
    },
    /// To [`ControlRequest::Stats`].
    Stats {
        /// Name and value, in order of name.
        counters: std::collections::BTreeMap<String, u64>,
    },
    /// To [`ControlRequest::Drain`].
    Draining {
        /// No new calls are taken.
        on: bool,
    },
    /// To [`ControlRequest::Trunks`].
    Trunks {
        /// In the order in which they are tried.
        trunks: Vec<TrunkReport>,
    },
    /// To [`ControlRequest::Room`].
    Room {
        /// The room's own answer.
        reply: RoomReply,
    },
    /// There is no such room, or the request could not be read.
    Error {
        /// In words.
        message: String,
    },
}

/// One row of `cusax room list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomSummary {
    /// Its name.
    pub name: String,
    /// Its title.
    pub title: String,
    /// Nicks in the chat.
    pub occupants: u32,
    /// Calls.
    pub legs: u32,
    /// How to dial it; none if it takes no calls.
    pub sip: Option<String>,
    /// How to enter it by chat.
    pub xmpp: String,
}

/// One row of `cusax trunk list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrunkReport {
    /// Its name.
    pub name: String,
    /// Where it takes our calls; none if it only calls us.
    pub server: Option<String>,
    /// `registered`, `refused: STATUS REASON`, `unreachable: WHY`, `asked`; none if we don't register.
    pub registration: Option<String>,
    /// `alive`, `busy`, `down: WHY`, `asked`; none if it isn't asked.
    pub state: Option<String>,
    /// When either of them changed, ms since the UNIX epoch.
    pub since_unix_ms: u64,
}

/// A room's answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum RoomReply {
    /// To [`RoomCommand::Show`].
    Show(RoomReport),
    /// It is done.
    Done,
    /// It was so already.
    Unchanged,
    /// Somebody is being called.
    Dialing {
        /// The call's number, as `show` has it among `dials`; gone from there when they have answered.
        dial: u32,
    },
    /// It was refused.
    Refused {
        /// In words.
        message: String,
    },
    /// It was begun, and came to nothing.
    Failed {
        /// Why, in words.
        message: String,
    },
}

/// Everything that an operator sees of a room.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RoomReport {
    /// Its name.
    pub name: String,
    /// Its title.
    pub title: String,
    /// Nobody new enters.
    pub locked: bool,
    /// The call is being recorded.
    pub recording: bool,
    /// Who began that, as everybody sees them.
    pub recording_by: Option<String>,
    /// Since when, ms since the UNIX epoch.
    pub recording_since_unix_ms: Option<u64>,
    /// Into which file, as soon as it is open.
    pub recording_file: Option<String>,
    /// In order of arrival.
    pub people: Vec<PersonReport>,
    /// Calls that the room makes, and those that have just come to nothing.
    #[serde(default)]
    pub dials: Vec<DialReport>,
    /// Who waits to be let in, likewise.
    pub waiting: Vec<WaitingReport>,
}

/// Somebody who waits to be let in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingReport {
    /// The number of the row that they will have.
    pub row: u32,
    /// What they are called.
    pub name: String,
    /// `admission` or `moderator`.
    pub waits_for: String,
    /// `phone` or `chat`.
    pub door: String,
    /// Since when, ms since the UNIX epoch.
    pub since_unix_ms: u64,
}

/// One call that the room makes, as an operator sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DialReport {
    /// Its number.
    pub dial: u32,
    /// Whom, as everybody sees them.
    pub name: String,
    /// `dialing-out`, `alerting` or `failed`.
    pub state: String,
    /// Why it failed.
    pub why: Option<String>,
    /// When it began, ms since the UNIX epoch.
    pub since_unix_ms: u64,
    /// Follows the person through all logs.
    pub correlation: String,
}

/// One person, as an operator sees them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PersonReport {
    /// The row's number.
    pub row: u32,
    /// As everybody sees them.
    pub name: String,
    /// `two-way`, `read-only`, `none`.
    pub text: String,
    /// `two-way`, `listen-only`, `muted-self`, `muted-host`, `on-hold`, `joining`, `none`.
    pub audio: String,
    /// Who muted them, in words.
    pub muted_by: Vec<String>,
    /// Speaking now.
    pub speaking: bool,
    /// They would like to speak.
    pub hand_raised: bool,
    /// `moderator`, `participant`, `visitor`.
    pub role: String,
    /// `owner`, `admin`, `member`, `none`.
    pub affiliation: String,
    /// Nicks.
    pub nicks: Vec<String>,
    /// Calls.
    pub legs: Vec<LegReport>,
}

/// One call, as an operator sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LegReport {
    /// Its number.
    pub leg: u64,
    /// `joining`, `up`, `held`.
    pub state: String,
    /// When it joined, ms since the UNIX epoch.
    pub joined_unix_ms: u64,
    /// Follows the person through all logs.
    pub correlation: String,
    /// How its voice travels; none if the media threads don't know the call, or didn't answer in time.
    pub voice: Option<LegStats>,
}
