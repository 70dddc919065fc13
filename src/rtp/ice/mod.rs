//! ICE as a lite agent (RFC 8445 section 2.5): answers the peer's connectivity checks and follows its nomination; sends none itself.
//!
//! A lite agent forms no pairs and has no priorities, so of `is` only the STUN messages are used: its agent prefers the pair of
//! the highest priority, where here the latest nomination wins, and keeps state per source without a bound.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use is::{DefaultSha1HmacProvider, Sha1HmacProvider, stun::StunMessage};

use crate::model::ice::IceCredentials;

/// How long a valid check lets us send to its source (RFC 7675 section 5.1).
pub const CONSENT: Duration = Duration::from_secs(30);

/// Sources of one peer that are remembered: its candidates times our one.
pub const MAX_SOURCES: usize = 8;

/// Bytes of the largest answer: header, mapped address or error, integrity and fingerprint.
pub const MAX_REPLY: usize = 128;

/// A binding request, not yet trusted.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a>(StunMessage<'a>);

impl<'a> Request<'a> {
    /// Reads a datagram; `None` if it is anything but a well-formed connectivity check.
    pub fn parse(datagram: &'a [u8]) -> Option<Self> {
        let message = StunMessage::parse(datagram).ok()?;
        (message.is_binding_request() && message.split_username().is_some()).then_some(Self(message))
    }

    /// Whom it is for: the first half of its USERNAME.
    pub fn ufrag(&self) -> &str {
        self.0.split_username().map_or("", |(ours, _)| ours)
    }

    fn sender(&self) -> &str {
        self.0.split_username().map_or("", |(_, theirs)| theirs)
    }
}

/// Why a check isn't answered. Nothing is remembered of its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It names other users.
    #[error("a check for somebody else")]
    User,
    /// It wasn't signed with our password.
    #[error("a check that fails its integrity")]
    Integrity,
}

/// What a valid check changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Nothing, or only how long its source may be sent to.
    None,
    /// Its source is new; the other one had to give its place.
    Source(Option<SocketAddr>),
}

/// The answer to a valid check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// Bytes of it in the buffer.
    pub len: usize,
    /// What changed.
    pub change: Change,
    /// Its source is where media goes from now on.
    pub nominated: bool,
}

#[derive(Debug, Clone, Copy)]
struct Source {
    address: SocketAddr,
    checked: Instant,
}

/// One peer's end, as a lite agent sees it.
#[derive(Debug)]
pub struct Lite {
    local: IceCredentials,
    remote: IceCredentials,
    sources: [Option<Source>; MAX_SOURCES],
    nominated: Option<SocketAddr>,
}

impl Lite {
    /// Nobody has checked yet.
    pub fn new(local: IceCredentials, remote: IceCredentials) -> Self {
        Self {
            local,
            remote,
            sources: [None; MAX_SOURCES],
            nominated: None,
        }
    }

    /// Takes the credentials of another offer and answer. After a restart media goes where it went until a new check nominates
    /// (RFC 8445 section 9).
    pub fn renew(&mut self, local: IceCredentials, remote: IceCredentials) {
        (self.local, self.remote) = (local, remote);
    }

    /// What we are called in checks.
    pub fn ufrag(&self) -> &str {
        &self.local.ufrag
    }

    /// Where media goes, if anywhere: the source of the latest nomination, while it consents.
    pub fn nominated(&self) -> Option<SocketAddr> {
        self.nominated
    }

    /// Judges a check, and writes the answer to it into `reply`.
    pub fn handle(
        &mut self,
        now: Instant,
        source: SocketAddr,
        request: &Request<'_>,
        reply: &mut [u8; MAX_REPLY],
    ) -> Result<Answer, Refused> {
        if request.ufrag() != self.local.ufrag || request.sender() != self.remote.ufrag {
            return Err(Refused::User);
        }
        let message = &request.0;
        if !message.verify(self.local.password.as_bytes(), sha1_hmac) {
            return Err(Refused::Integrity);
        }
        // A lite agent is always controlled (RFC 8445 section 6.1.1): a peer that says it is too has to change its mind (section 7.3.1.1).
        if message.ice_controlled().is_some() {
            let conflict = StunMessage::binding_role_conflict_reply(message.trans_id());
            return Ok(Answer {
                len: self.write(conflict, reply),
                change: Change::None,
                nominated: false,
            });
        }
        let change = self.note(now, source);
        // Valid at once, since we send no check of our own that could fail (RFC 8445 section 7.3.2).
        let nominated = message.use_candidate();
        if nominated {
            self.nominated = Some(source);
        }
        let success = StunMessage::binding_reply(message.trans_id(), source);
        Ok(Answer {
            len: self.write(success, reply),
            change,
            nominated,
        })
    }

    fn write(&self, message: StunMessage<'_>, reply: &mut [u8; MAX_REPLY]) -> usize {
        // Fails only for want of space, of which there is enough.
        message
            .to_bytes(Some(self.local.password.as_bytes()), reply, sha1_hmac)
            .unwrap_or(0)
    }

    fn note(&mut self, now: Instant, address: SocketAddr) -> Change {
        let source = Source { address, checked: now };
        if let Some(known) = self.sources.iter_mut().flatten().find(|s| s.address == address) {
            *known = source;
            return Change::None;
        }
        // The place of the one that was silent longest, but never of where media goes.
        let nominated = self.nominated;
        let places = self.sources.iter_mut().filter(|s| s.is_none_or(|s| Some(s.address) != nominated));
        let Some(place) = places.min_by_key(|s| s.map(|s| s.checked)) else {
            return Change::None;
        };
        Change::Source(place.replace(source).map(|s| s.address))
    }

    /// Forgets one source whose consent is over, and gives it; to be called until there is none.
    pub fn expire(&mut self, now: Instant) -> Option<SocketAddr> {
        let over = |s: &mut Source| now.saturating_duration_since(s.checked) >= CONSENT;
        let gone = self.sources.iter_mut().find_map(|s| s.take_if(over))?.address;
        self.nominated.take_if(|n| *n == gone);
        Some(gone)
    }

    /// All sources that have checked lately.
    pub fn sources(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.sources.iter().flatten().map(|s| s.address)
    }
}

fn sha1_hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 20] {
    DefaultSha1HmacProvider.sha1_hmac(key, parts)
}

#[cfg(test)]
mod tests;
