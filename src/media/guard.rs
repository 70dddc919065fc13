//! What stands between a leg's packets and the wire: nothing, SRTP, or a shut door.

use std::time::Instant;

use crate::{
    model::srtp::Security,
    rtp::srtp::{Refused, Session},
};

/// How a leg's packets are protected.
#[derive(Debug, Default)]
pub(super) enum Guard {
    /// Not at all: plain RTP.
    #[default]
    Open,
    /// Keys are still to come: nothing flows either way.
    Shut,
    /// By SRTP.
    Srtp(Box<Session>),
}

impl Guard {
    /// Takes what was agreed on.
    pub(super) fn agree(&mut self, security: &Security) {
        match (security, &mut *self) {
            (Security::Plain, _) => *self = Self::Open,
            (Security::Sdes(keys), Self::Srtp(session)) => session.renew(keys.local, keys.remote),
            (Security::Sdes(keys), Self::Open | Self::Shut) => *self = Self::Srtp(Box::new(Session::new(keys.local, keys.remote))),
            (Security::Dtls(_), _) => *self = Self::Shut,
        }
    }

    /// Takes the keys of a handshake.
    pub(super) fn enter(&mut self, session: Box<Session>) {
        *self = Self::Srtp(session);
    }

    /// Lets nothing through any more.
    pub(super) fn shut(&mut self) {
        *self = Self::Shut;
    }

    /// Whether nothing may be sent yet.
    pub(super) fn is_shut(&self) -> bool {
        matches!(self, Self::Shut)
    }

    /// Opens what came, in place; gives the length of the RTP packet.
    pub(super) fn open(&mut self, now: Instant, packet: &mut [u8]) -> Result<usize, Refused> {
        match self {
            Self::Open => Ok(packet.len()),
            // What overtakes the keys isn't forged, but can't be told from what is none of this call's.
            Self::Shut => Err(Refused::Malformed),
            Self::Srtp(session) => session.unprotect(now, packet),
        }
    }

    /// The same for RTCP.
    pub(super) fn open_rtcp(&mut self, now: Instant, packet: &mut [u8]) -> Result<usize, Refused> {
        match self {
            Self::Open => Ok(packet.len()),
            // What overtakes the keys isn't forged, but can't be told from what is none of this call's.
            Self::Shut => Err(Refused::Malformed),
            Self::Srtp(session) => session.unprotect_rtcp(now, packet),
        }
    }

    /// Protects what is to be sent, in place; gives its length, or 0 if it may not go: a key that is used up, after centuries.
    pub(super) fn seal(&mut self, slot: &mut [u8], len: usize) -> usize {
        match self {
            Self::Open => len,
            Self::Shut => 0,
            Self::Srtp(session) => session.protect(slot, len).unwrap_or(0),
        }
    }

    /// The same for RTCP.
    pub(super) fn seal_rtcp(&mut self, slot: &mut [u8], len: usize) -> usize {
        match self {
            Self::Open => len,
            Self::Shut => 0,
            Self::Srtp(session) => session.protect_rtcp(slot, len).unwrap_or(0),
        }
    }
}
