//! Standing in a room, in the words of XEP-0045 section 5.

/// Long-lived standing of an account in a room (XEP-0045 section 5.2). Ordered: a greater one outranks a lesser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Affiliation {
    /// Banned.
    Outcast,
    /// Nothing special.
    None,
    /// On the member list.
    Member,
    /// May ban, and moderates.
    Admin,
    /// May configure and destroy.
    Owner,
}

/// What an occupant may do during this visit (XEP-0045 section 5.1). Ordered likewise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Not in the room.
    None,
    /// Reads only.
    Visitor,
    /// Reads and writes.
    Participant,
    /// May kick, and grant or revoke voice.
    Moderator,
}

impl Affiliation {
    /// The attribute value on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Outcast => "outcast",
            Self::None => "none",
            Self::Member => "member",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }

    /// Reads the attribute value on the wire; `None` for anything that XEP-0045 does not name.
    pub fn parse(s: &str) -> Option<Self> {
        Some(match s {
            "outcast" => Self::Outcast,
            "none" => Self::None,
            "member" => Self::Member,
            "admin" => Self::Admin,
            "owner" => Self::Owner,
            _ => return None,
        })
    }
}

impl Role {
    /// The attribute value on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Visitor => "visitor",
            Self::Participant => "participant",
            Self::Moderator => "moderator",
        }
    }

    /// Reads the attribute value on the wire; `None` for anything that XEP-0045 does not name.
    pub fn parse(s: &str) -> Option<Self> {
        Some(match s {
            "none" => Self::None,
            "visitor" => Self::Visitor,
            "participant" => Self::Participant,
            "moderator" => Self::Moderator,
            _ => return None,
        })
    }
}
