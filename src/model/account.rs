//! People whom the provider knows, and callers whom it may not.

use super::{Aor, BareJid, TrunkId};

/// One person's account for both halves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The account's name in the directory; never shown to others.
    pub id: String,
    /// What others are shown.
    pub name: String,
    /// Address of record at the SIP half.
    pub aor: Option<Aor>,
    /// Address at the chat half.
    pub jid: Option<BareJid>,
    /// The secret of the SIP half, as digest keys.
    pub digest: Option<DigestKeys>,
}

/// `H(user:realm:secret)` in lower-case hex (RFC 7616 section 3.4.2), so that no secret is kept in the clear.
#[derive(Clone, PartialEq, Eq)]
pub struct DigestKeys {
    /// With MD5: 32 digits.
    pub md5: String,
    /// With SHA-256: 64 digits.
    pub sha256: String,
}

impl std::fmt::Debug for DigestKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DigestKeys(***)")
    }
}

/// Looks people up. Answers come from memory: a lookup never waits.
pub trait Directory: Send + Sync + std::fmt::Debug {
    /// The account with this user name for SIP digest, which is the AOR's user part.
    fn by_sip_user(&self, user: &str) -> Option<Account>;
    /// The one account with this AOR; `None` also when two claim it (rule R1).
    fn by_aor(&self, aor: &Aor) -> Option<Account>;
    /// The account with this JID.
    fn by_jid(&self, jid: &BareJid) -> Option<Account>;
}

/// Who is calling, and how far that is proven (rules R1, R3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// Proven by digest.
    Account {
        /// Their address of record.
        aor: Aor,
        /// Their account's display name.
        name: String,
    },
    /// Says so itself; proves nothing. Such a caller can't be banned by this claim (rule R3).
    Claimed {
        /// The `From` URI as given.
        uri: String,
        /// The `From` display name, cleaned of control characters.
        name: Option<String>,
    },
    /// Asked to stay unknown (RFC 3325, RFC 3323).
    Anonymous,
    /// A trunk that is believed says so (RFC 3325 section 5). Several people may share such a number: it is no account, and bans by it are weak
    /// (rule R3).
    Trunk {
        /// Which.
        trunk: TrunkId,
        /// The number, in full, or the user name where it is none.
        number: String,
        /// The display name that the trunk gives, cleaned of control characters.
        name: Option<String>,
    },
}
