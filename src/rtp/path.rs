//! Whom one leg hears and where it sends: a source that has latched, or the one that ICE has found.

use std::{net::SocketAddr, time::Instant};

use super::{Candidates, Header, Latch, Verdict};

/// The way between a leg and its peer.
#[derive(Debug, Clone)]
pub enum Path {
    /// Found by the packets themselves (rule R61).
    Latched(Box<Latch>),
    /// Found by connectivity checks, elsewhere: only packets from checked sources come here.
    Ice(Option<SocketAddr>),
}

impl Path {
    /// Without ICE.
    pub fn latched(candidates: Candidates) -> Self {
        Self::Latched(Box::new(Latch::new(candidates)))
    }

    /// Takes the result of a new offer and answer. With ICE the way is kept until checks tell another.
    pub fn renew(&mut self, candidates: Candidates) {
        match self {
            Self::Latched(latch) => latch.renew(candidates),
            Self::Ice(_) => {}
        }
    }

    /// Where to send, if anywhere.
    pub fn target(&self) -> Option<SocketAddr> {
        match self {
            Self::Latched(latch) => latch.target(),
            Self::Ice(nominated) => *nominated,
        }
    }

    /// As [`Latch::might_be`].
    pub fn might_be(&self, now: Instant, source: SocketAddr, header: &Header) -> bool {
        match self {
            Self::Latched(latch) => latch.might_be(now, source, header),
            Self::Ice(_) => true,
        }
    }

    /// Judges a packet with a negotiated payload type.
    pub fn handle(&mut self, now: Instant, source: SocketAddr, header: &Header) -> Verdict {
        match self {
            Self::Latched(latch) => latch.handle(now, source, header),
            Self::Ice(_) => Verdict::Accept,
        }
    }

    /// Whether what isn't RTP may be the leg's.
    pub fn admits(&self, source: SocketAddr) -> bool {
        match self {
            Self::Latched(latch) => latch.admits_rtcp(source),
            Self::Ice(_) => true,
        }
    }
}
