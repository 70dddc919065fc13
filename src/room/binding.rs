//! Who is one person with whom (rule R1): by the provider's directory, and by nothing that anybody says of themselves.

use data_encoding::BASE32_NOPAD;
use hmac::{Hmac, Mac};
use jid::NodePart;
use rand::{RngCore, rngs::StdRng};
use sha2::Sha256;

use crate::model::{Aor, BareJid, Caller, Directory, LegId};

/// What legs and occupants must have in common to be one person.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    /// A chat account, proven by its server; or the account that the directory names for a proven AOR.
    Jid(BareJid),
    /// A proven AOR without a chat account, or claimed by several.
    Aor(Aor),
    /// An unproven caller: nobody but this call.
    Leg(LegId),
}

impl Key {
    /// The key of a caller.
    pub(super) fn of_caller(directory: &dyn Directory, leg: LegId, caller: &Caller) -> Self {
        Self::of_account(directory, caller).unwrap_or(Self::Leg(leg))
    }

    /// The key of a caller who has proven who they are.
    pub(super) fn of_account(directory: &dyn Directory, caller: &Caller) -> Option<Self> {
        match caller {
            Caller::Account { aor, .. } => Some(Self::of_aor(directory, aor)),
            Caller::Claimed { .. } | Caller::Anonymous | Caller::Trunk { .. } => None,
        }
    }

    /// The key of a proven address: that of the account that has it, if one alone has it.
    pub(super) fn of_aor(directory: &dyn Directory, aor: &Aor) -> Self {
        let jid = directory.by_aor(aor).and_then(|account| account.jid);
        jid.map_or_else(|| Self::Aor(aor.clone()), Self::Jid)
    }
}

/// Makes the names under which callers are shown (rules R13, R26).
pub(super) struct Pseudonyms {
    service_key: [u8; 32],
    domain: BareJid,
}

impl std::fmt::Debug for Pseudonyms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pseudonyms(***)")
    }
}

impl Pseudonyms {
    pub(super) fn new(service_key: [u8; 32], domain: BareJid) -> Self {
        Self { service_key, domain }
    }

    /// The stand-in's JID of a proven caller: the same in all rooms and calls, and telling nothing of the AOR.
    pub(super) fn of_aor(&self, aor: &Aor) -> BareJid {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.service_key).expect("HMAC takes a key of any length (RFC 2104 section 2)");
        mac.update(aor.as_str().as_bytes());
        self.jid(&mac.finalize().into_bytes())
    }

    /// The stand-in's JID of a caller who has proven nothing: for one call.
    pub(super) fn of_nobody(&self, rng: &mut StdRng) -> BareJid {
        self.jid(&random::<32>(rng))
    }

    fn jid(&self, digest: &[u8]) -> BareJid {
        let node = NodePart::new(&local(digest))
            .expect("`p-` and base32 are a local part")
            .into_owned();
        BareJid::from_parts(Some(&node), self.domain.domain())
    }
}

/// An entity that hides who somebody is (RFC 4575 section 5.6), for as long as their row lives.
pub(super) fn hidden_entity(rng: &mut StdRng) -> String {
    format!("sip:{}@anonymous.invalid", local(&random::<16>(rng)))
}

fn local(bytes: &[u8]) -> String {
    format!("p-{}", BASE32_NOPAD.encode(bytes).to_ascii_lowercase())
}

fn random<const N: usize>(rng: &mut StdRng) -> [u8; N] {
    let mut bytes = [0; N];
    rng.fill_bytes(&mut bytes);
    bytes
}
