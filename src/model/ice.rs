//! What ICE on one leg needs to know of an offer and answer (RFC 8839).

/// What a side is called in connectivity checks, and what it signs them with (RFC 8839 section 5.4).
#[derive(Clone, PartialEq, Eq)]
pub struct IceCredentials {
    /// `ice-ufrag`, 4 to 256 characters.
    pub ufrag: String,
    /// `ice-pwd`, 22 to 256 characters.
    pub password: String,
}

impl std::fmt::Debug for IceCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IceCredentials").field("ufrag", &self.ufrag).finish_non_exhaustive()
    }
}

/// Both sides of one leg.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IceMedia {
    /// Ours: checks to us are for this user, and signed with this password.
    pub local: IceCredentials,
    /// Theirs.
    pub remote: IceCredentials,
}
