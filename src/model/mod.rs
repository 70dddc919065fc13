//! Plain data that more than one layer speaks of: ids, roles, origins, media orders, privacy. No logic beyond parsing and printing.

pub mod account;
pub mod certificate;
pub mod control;
pub mod dial;
pub mod dtls;
pub mod entry;
pub mod ice;
pub mod ids;
pub mod keypad;
pub mod media;
pub mod mute;
pub mod origin;
pub mod phrase;
pub mod pii;
pub mod record;
pub mod role;
pub mod srtp;
pub mod time;
pub mod trunk;

pub use account::{Account, Caller, Directory};
pub use dial::{DialFailure, DialPlan, DialState, DialTarget};
pub use entry::Entry;
pub use ids::{
    Aor, BadRoomName, CallId, Correlation, DialId, LegId, OccupantId, PersonId, PingId, ReferId, RegistrationId, RoomName, SubscriptionId,
    TrunkId,
};
pub use jid::{BareJid, FullJid, Jid};
pub use keypad::{KeyAction, Keypad};
pub use media::{Direction, LegMedia, LegStats, MediaOrder, MediaPlane, MediaReport, Prompt, Seat, Volume};
pub use mute::{Mute, MuteSet};
pub use origin::{Actor, Door, Origin};
pub use phrase::Phrase;
pub use pii::Pii;
pub use record::{AudioAccess, CallLimits, HistoryItem, RoomConfig, RoomRecord, StoreOp, Whois};
pub use role::{Affiliation, Role};
pub use time::Now;
