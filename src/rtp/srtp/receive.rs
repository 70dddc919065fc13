//! The context of what we receive.

use super::{ENCRYPTED, Keys, Refused, rtcp_source, rtp_head, suite::Suite, window::Windows};

/// Checks and decrypts RTP and RTCP under one master key. Keeps nothing of what isn't authentic; what it refuses is of no use
/// afterwards, for it may be decrypted in part.
#[derive(Debug, Clone)]
pub struct ReceiveContext {
    suite: Suite,
    rtp: Windows,
    rtcp: Windows,
}

impl ReceiveContext {
    /// Has heard nothing yet.
    pub fn new(keys: &Keys) -> Self {
        Self {
            suite: Suite::new(keys),
            rtp: Windows::default(),
            rtcp: Windows::default(),
        }
    }

    /// Opens an SRTP packet; gives the length of the RTP packet that is left.
    pub fn unprotect(&mut self, packet: &mut [u8]) -> Result<usize, Refused> {
        let (head, sequence, ssrc) = rtp_head(packet)?;
        let claim = self.rtp.claim_sequence(ssrc, sequence)?;
        let len = self.suite.open_rtp(ssrc, claim.index, head, packet)?;
        self.rtp.note(claim);
        Ok(len)
    }

    /// Opens an SRTCP packet; gives the length of the RTCP packet that is left. One that isn't encrypted is believed by its tag alone,
    /// as all others are.
    pub fn unprotect_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, Refused> {
        let ssrc = rtcp_source(packet)?;
        let word = self.suite.rtcp_word(packet)?;
        let claim = self.rtcp.claim_index(ssrc, word & !ENCRYPTED)?;
        let len = self.suite.open_rtcp(ssrc, word, packet)?;
        self.rtcp.note(claim);
        Ok(len)
    }
}
