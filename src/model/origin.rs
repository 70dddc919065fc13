//! Who asks, and through which door: the only thing in which the same act from two doors differs.

use super::{OccupantId, PersonId};

/// The door through which a request came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Door {
    /// A SIP request.
    Sip,
    /// A stanza.
    Chat,
    /// A key pressed in a call.
    Keypad,
    /// The operator's command line.
    Control,
    /// The room's own rules: timers, limits.
    Rule,
}

/// Who acts, as the room knows them. `name` is what others may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// Somebody in the room.
    Person {
        /// Their row.
        id: PersonId,
        /// Their nick or display name at the time.
        name: String,
    },
    /// An account acting from outside the room (an absent owner), by bare JID.
    Account(jid::BareJid),
    /// The operator: may do everything.
    Operator,
    /// The room itself.
    Room,
}

/// Where a request comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Through which door.
    pub door: Door,
    /// On whose behalf.
    pub by: Asker,
}

/// On whose behalf a request is made, before the room has looked them up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asker {
    /// A present chat occupant.
    Occupant(OccupantId),
    /// A present caller.
    Leg(super::LegId),
    /// An account that isn't in the room, or is just arriving.
    Jid(jid::BareJid),
    /// A caller who isn't in the room, or is just arriving.
    Caller(super::Caller),
    /// The operator.
    Operator,
}
