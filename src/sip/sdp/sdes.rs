//! Keys in offers and answers over the life of one call (RFC 4568 sections 5 and 7, rule R72).

use rand::rngs::StdRng;

use super::{
    crypto::{BadCrypto, Crypto, OFFERED, new_keys},
    negotiation::{Terms, Unacceptable},
    text::{Attribute, MediaLine},
};
use crate::model::srtp::{Keys, Policy, Profile, Sdes, Security};

/// RTP/AVPF adds feedback that nobody has to send.
const PLAIN: [&str; 2] = ["RTP/AVP", "RTP/AVPF"];
const SECURE: [&str; 2] = ["RTP/SAVP", "RTP/SAVPF"];

fn is_secure(line: &MediaLine) -> bool {
    SECURE.iter().any(|p| p.eq_ignore_ascii_case(&line.protocol))
}

/// The keys of a peer's line that can be used; `None`: plain RTP. Keys beside RTP/AVP are taken where they are usable, and ignored
/// where they aren't.
pub(super) fn read(line: &MediaLine, terms: Terms) -> Result<Option<Crypto>, Unacceptable> {
    let secure = is_secure(line);
    let plain = PLAIN.iter().any(|p| p.eq_ignore_ascii_case(&line.protocol));
    let crypto = match terms.policy {
        Policy::Never if secure => return Err(Unacceptable::Protocol),
        Policy::Never => None,
        Policy::Allowed | Policy::Required if secure => Some(Crypto::pick(line)?),
        Policy::Allowed | Policy::Required => Crypto::pick(line).ok(),
    };
    if !secure && !plain {
        return Err(Unacceptable::Protocol);
    }
    let protected = crypto.is_some() && terms.signalling_protected;
    if terms.policy == Policy::Required && !protected {
        return Err(Unacceptable::Unprotected);
    }
    Ok(crypto)
}

/// Our keys, and which of theirs they belong to.
#[derive(Debug, Clone)]
pub(super) struct KeyRing {
    terms: Terms,
    rng: StdRng,
    /// At most one for each profile.
    ours: Vec<Keys>,
    theirs: Option<Keys>,
    /// Our call was refused once for its protection.
    fallen_back: bool,
}

impl KeyRing {
    pub(super) fn new(terms: Terms, rng: StdRng) -> Self {
        Self {
            terms,
            rng,
            ours: Vec::new(),
            theirs: None,
            fallen_back: false,
        }
    }

    pub(super) fn terms(&self) -> Terms {
        self.terms
    }

    /// Keys travel in the open from now on.
    pub(super) fn expose(&mut self) {
        self.terms.signalling_protected = false;
    }

    /// Answers an offer's keys. Ours stay as long as theirs do: whoever comes with a new key may be another device, which can't know
    /// how far the counters of our old one are (section 7.1.4).
    pub(super) fn answer(&mut self, offered: Option<Crypto>, line: &mut MediaLine) -> Security {
        let Some(Crypto { tag, keys: remote }) = offered else {
            self.retire();
            return Security::Plain;
        };
        if self.theirs != Some(remote) {
            self.ours.clear();
        }
        let local = self.own(remote.profile);
        line.attributes.push(Attribute::new("crypto", Crypto { tag, keys: local }));
        self.agreed(local, remote)
    }

    /// The protocol of our next offer, of which `before` is the one in use. A call that we make insists on SRTP at first.
    pub(super) fn protocol(&self, before: Option<&str>, dials: bool) -> String {
        let secure = match self.terms.policy {
            Policy::Never => false,
            Policy::Allowed => dials && !self.fallen_back,
            Policy::Required => true,
        };
        before.unwrap_or(if secure { SECURE[0] } else { PLAIN[0] }).to_owned()
    }

    /// Puts keys into an offer of ours.
    pub(super) fn offer(&mut self, line: &mut MediaLine) {
        if self.terms.policy == Policy::Never || self.fallen_back {
            return;
        }
        for (profile, tag) in OFFERED.into_iter().zip(1..) {
            let keys = self.own(profile);
            line.attributes.push(Attribute::new("crypto", Crypto { tag, keys }));
        }
    }

    /// Whether a refusal of our call is worth one more try without protection (rule R72). `offered` is the line that was refused.
    pub(super) fn falls_back(&mut self, status: u16, offered: &MediaLine) -> bool {
        let again = status == 488 && self.terms.policy == Policy::Allowed && is_secure(offered);
        again && !std::mem::replace(&mut self.fallen_back, true)
    }

    /// Reads the answer to our offer: SRTP stays SRTP, whoever stands between.
    pub(super) fn read_answer(
        &mut self,
        offered: &MediaLine,
        answer: &MediaLine,
        crypto: Option<Crypto>,
    ) -> Result<Security, Unacceptable> {
        if is_secure(offered) != is_secure(answer) {
            return Err(Unacceptable::Mismatch);
        }
        let Some(Crypto { tag, keys: remote }) = crypto else {
            self.retire();
            return Ok(Security::Plain);
        };
        let mut ours = Crypto::all(offered).peekable();
        if ours.peek().is_none() {
            // They weren't asked.
            self.retire();
            return Ok(Security::Plain);
        }
        let fits = |c: &Crypto| c.tag == tag && c.keys.profile == remote.profile && c.keys != remote && self.ours.contains(&c.keys);
        let local = ours.find(fits).ok_or(BadCrypto::Mismatch)?.keys;
        Ok(self.agreed(local, remote))
    }

    /// Keys that were offered but not chosen are forgotten: one that went out of use must never come back, for its counters would
    /// start over and its keystream repeat (RFC 3711 section 9.1).
    fn agreed(&mut self, local: Keys, remote: Keys) -> Security {
        self.ours.retain(|keys| *keys == local);
        self.theirs = Some(remote);
        Security::Sdes(Sdes {
            local,
            remote,
            signalling_protected: self.terms.signalling_protected,
        })
    }

    /// The call goes on without keys of ours. Those that it had are out of use.
    pub(super) fn retire(&mut self) {
        // Those that were only offered protect nothing yet.
        if self.theirs.take().is_some() {
            self.ours.clear();
        }
    }

    fn own(&mut self, profile: Profile) -> Keys {
        if let Some(keys) = self.ours.iter().find(|k| k.profile == profile) {
            return *keys;
        }
        let keys = new_keys(profile, &mut self.rng);
        self.ours.push(keys);
        keys
    }
}
