//! The context of what we send.

use super::{ENCRYPTED, Keys, Refused, rtcp_source, rtp_head, suite::Suite, window::RTP_INDICES};

/// Protects the RTP and RTCP of one source under one master key. Never uses a packet index twice.
#[derive(Debug, Clone)]
pub struct SendContext {
    suite: Suite,
    /// Source and index of the last RTP packet.
    last: Option<(u32, u64)>,
    /// Of the next RTCP packet.
    rtcp_index: u32,
}

impl SendContext {
    /// Starts with a rollover counter of zero: the first sequence number should be below 2^15 (RFC 4568 section 6.4).
    pub fn new(keys: &Keys) -> Self {
        Self {
            suite: Suite::new(keys),
            last: None,
            rtcp_index: 0,
        }
    }

    /// Protects the RTP packet in the first `len` bytes; gives its new length. Needs [`super::MAX_OVERHEAD`] bytes behind it.
    pub fn protect(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, Refused> {
        let (head, sequence, ssrc) = rtp_head(buffer.get(..len).ok_or(Refused::Malformed)?)?;
        let index = match self.last {
            None => sequence.into(),
            Some((last, _)) if last != ssrc => return Err(Refused::Crowded),
            Some((_, last)) => match sequence.wrapping_sub(last as u16) {
                ahead @ 1..0x8000 => last + u64::from(ahead),
                _ => return Err(Refused::Reused),
            },
        };
        if index >= RTP_INDICES {
            return Err(Refused::Exhausted);
        }
        let len = self.suite.seal_rtp(ssrc, index, head, buffer, len)?;
        self.last = Some((ssrc, index));
        Ok(len)
    }

    /// Protects the RTCP packet in the first `len` bytes; gives its new length. Needs [`super::MAX_OVERHEAD`] bytes behind it.
    pub fn protect_rtcp(&mut self, buffer: &mut [u8], len: usize) -> Result<usize, Refused> {
        let ssrc = rtcp_source(buffer.get(..len).ok_or(Refused::Malformed)?)?;
        if self.rtcp_index >= ENCRYPTED {
            return Err(Refused::Exhausted);
        }
        let len = self.suite.seal_rtcp(ssrc, self.rtcp_index, buffer, len)?;
        self.rtcp_index += 1;
        Ok(len)
    }
}
