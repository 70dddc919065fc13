//! Both directions of one leg, over changes of keys.

use std::time::{Duration, Instant};

use super::{Keys, ReceiveContext, Refused, SendContext};

/// How long packets under the old key are still taken after the first one under the new (RFC 4568 section 7.1.4).
const LATE: Duration = Duration::from_secs(2);

/// The longest packet that is tried under two keys: what a datagram of a leg may have.
const MAX_PACKET: usize = 2048;

/// The two contexts of a leg.
#[derive(Debug, Clone)]
pub struct Session {
    local: Keys,
    remote: Keys,
    send: SendContext,
    receive: ReceiveContext,
    /// Stays when it has ended, since nothing may be freed where packets are read.
    old: Option<Box<Old>>,
}

/// The key before this one.
#[derive(Debug, Clone)]
struct Old {
    receive: ReceiveContext,
    /// Set by the first packet under the new key; until then the peer may not know that it was agreed on.
    ends: Option<Instant>,
}

impl Session {
    /// Keys of what we send, and of what we receive.
    pub fn new(local: Keys, remote: Keys) -> Self {
        Self {
            local,
            remote,
            send: SendContext::new(&local),
            receive: ReceiveContext::new(&remote),
            old: None,
        }
    }

    /// Takes the keys of a new agreement: one that stays keeps its counters, a new one starts over, and what is still on its way under
    /// the old one is heard. Unlike all else here it may allocate.
    pub fn renew(&mut self, local: Keys, remote: Keys) {
        if local != self.local {
            self.send = SendContext::new(&local);
            self.local = local;
        }
        if remote != self.remote {
            let receive = std::mem::replace(&mut self.receive, ReceiveContext::new(&remote));
            self.old = Some(Box::new(Old { receive, ends: None }));
            self.remote = remote;
        }
    }

    /// As [`SendContext::protect`].
    pub fn protect(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, Refused> {
        self.send.protect(buffer, len)
    }

    /// As [`SendContext::protect_rtcp`].
    pub fn protect_rtcp(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, Refused> {
        self.send.protect_rtcp(buffer, len)
    }

    /// As [`ReceiveContext::unprotect`].
    pub fn unprotect(&mut self, now: Instant, packet: &mut [u8]) -> Result<usize, Refused> {
        self.open(now, packet, ReceiveContext::unprotect)
    }

    /// As [`ReceiveContext::unprotect_rtcp`].
    pub fn unprotect_rtcp(&mut self, now: Instant, packet: &mut [u8]) -> Result<usize, Refused> {
        self.open(now, packet, ReceiveContext::unprotect_rtcp)
    }

    fn open(
        &mut self,
        now: Instant,
        packet: &mut [u8],
        open: impl Fn(&mut ReceiveContext, &mut [u8]) -> Result<usize, Refused>,
    ) -> Result<usize, Refused> {
        let old = self.old.as_deref_mut();
        let Some(old) = old.filter(|old| old.ends.is_none_or(|ends| now < ends)) else {
            return open(&mut self.receive, packet);
        };
        // Whoever refuses a packet may spoil it.
        let mut copy = [0; MAX_PACKET];
        let copy = copy.get_mut(..packet.len()).ok_or(Refused::Malformed)?;
        copy.copy_from_slice(packet);
        match open(&mut self.receive, packet) {
            Ok(len) => {
                old.ends.get_or_insert(now + LATE);
                Ok(len)
            }
            Err(refused) => {
                let len = open(&mut old.receive, copy).map_err(|_| refused)?;
                packet[..len].copy_from_slice(&copy[..len]);
                Ok(len)
            }
        }
    }
}
