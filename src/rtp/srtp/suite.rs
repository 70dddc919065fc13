//! The session keys of one direction, whichever the profile.

use std::fmt;

use super::{INDEX_LEN, Keys, Profile, Refused, cm::Cm, gcm::Gcm};

#[derive(Clone)]
#[expect(clippy::large_enum_variant, reason = "a session is boxed as a whole")]
pub(super) enum Suite {
    Cm(Cm),
    Gcm(Gcm),
}

impl Suite {
    pub(super) fn new(keys: &Keys) -> Self {
        match keys.profile {
            Profile::Aes128CmSha1_80 | Profile::Aes128CmSha1_32 => Self::Cm(Cm::new(keys)),
            Profile::AeadAes128Gcm | Profile::AeadAes256Gcm => Self::Gcm(Gcm::new(keys)),
        }
    }

    pub(super) fn seal_rtp(&self, ssrc: u32, index: u64, head: usize, buffer: &mut [u8], len: usize) -> Result<usize, Refused> {
        match self {
            Self::Cm(cm) => cm.seal_rtp(ssrc, index, head, buffer, len),
            Self::Gcm(gcm) => gcm.seal_rtp(ssrc, index, head, buffer, len),
        }
    }

    pub(super) fn open_rtp(&self, ssrc: u32, index: u64, head: usize, packet: &mut [u8]) -> Result<usize, Refused> {
        match self {
            Self::Cm(cm) => cm.open_rtp(ssrc, index, head, packet),
            Self::Gcm(gcm) => gcm.open_rtp(ssrc, index, head, packet),
        }
    }

    pub(super) fn seal_rtcp(&self, ssrc: u32, index: u32, buffer: &mut [u8], len: usize) -> Result<usize, Refused> {
        match self {
            Self::Cm(cm) => cm.seal_rtcp(ssrc, index, buffer, len),
            Self::Gcm(gcm) => gcm.seal_rtcp(ssrc, index, buffer, len),
        }
    }

    /// E bit and index of an SRTCP packet, as it says.
    pub(super) fn rtcp_word(&self, packet: &[u8]) -> Result<u32, Refused> {
        let behind = match self {
            Self::Cm(_) => Cm::BEHIND_INDEX,
            Self::Gcm(_) => Gcm::BEHIND_INDEX,
        };
        let end = packet.len().checked_sub(behind).ok_or(Refused::Malformed)?;
        let word = packet[..end].last_chunk::<INDEX_LEN>().ok_or(Refused::Malformed)?;
        Ok(u32::from_be_bytes(*word))
    }

    pub(super) fn open_rtcp(&self, ssrc: u32, word: u32, packet: &mut [u8]) -> Result<usize, Refused> {
        match self {
            Self::Cm(cm) => cm.open_rtcp(ssrc, word, packet),
            Self::Gcm(gcm) => gcm.open_rtcp(ssrc, word, packet),
        }
    }
}

impl fmt::Debug for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cm(_) => "Cm",
            Self::Gcm(_) => "Gcm",
        })
    }
}
