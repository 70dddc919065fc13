//! AES in counter mode with HMAC-SHA1 (RFC 3711 section 4). Key schedule and pads are made once.

use aes::Aes128Enc;
use ctr::{
    Ctr32BE,
    cipher::{BlockCipher, BlockEncrypt, BlockSizeUser, InnerIvInit, KeyInit, StreamCipher, consts::U16},
};
use hmac::{Hmac, Mac};
use sha1::Sha1;

use super::{
    ENCRYPTED, INDEX_LEN, Keys, Profile, RTCP_HEAD, Refused,
    derive::{Label, derive},
};

/// Bytes of the tag of 80 bits.
const LONG_TAG: usize = 10;
/// Bytes of the tag of 32 bits.
const SHORT_TAG: usize = 4;

/// Session keys of one direction.
#[derive(Clone)]
pub(super) struct Cm {
    rtp: Half,
    rtcp: Half,
    /// Bytes of the tag on RTP.
    tag: usize,
}

/// Session keys of RTP or of RTCP.
#[derive(Clone)]
struct Half {
    aes: Aes128Enc,
    salt: [u8; 14],
    mac: Hmac<Sha1>,
}

impl Cm {
    pub(super) fn new(keys: &Keys) -> Self {
        Self {
            rtp: Half::new(keys, Label::RtpKey, Label::RtpTag, Label::RtpSalt),
            rtcp: Half::new(keys, Label::RtcpKey, Label::RtcpTag, Label::RtcpSalt),
            tag: if keys.profile == Profile::Aes128CmSha1_32 {
                SHORT_TAG
            } else {
                LONG_TAG
            },
        }
    }

    /// Encrypts what is behind `head` and adds the tag; gives the new length.
    pub(super) fn seal_rtp(&self, ssrc: u32, index: u64, head: usize, buffer: &mut [u8], len: usize) -> Result<usize, Refused> {
        let (packet, tag) = split_for(buffer, len, self.tag)?;
        self.rtp.apply(ssrc, index, &mut packet[head..]);
        tag.copy_from_slice(&self.rtp.tag(packet, rollover(index))[..tag.len()]);
        Ok(len + self.tag)
    }

    /// Checks the tag, then decrypts; gives the length without the tag.
    pub(super) fn open_rtp(&self, ssrc: u32, index: u64, head: usize, packet: &mut [u8]) -> Result<usize, Refused> {
        let len = packet
            .len()
            .checked_sub(self.tag)
            .filter(|len| *len >= head)
            .ok_or(Refused::Malformed)?;
        let (packet, tag) = packet.split_at_mut(len);
        self.rtp.check(packet, rollover(index), tag)?;
        self.rtp.apply(ssrc, index, &mut packet[head..]);
        Ok(len)
    }

    pub(super) fn seal_rtcp(&self, ssrc: u32, index: u32, buffer: &mut [u8], len: usize) -> Result<usize, Refused> {
        let (packet, trailer) = split_for(buffer, len, INDEX_LEN + LONG_TAG)?;
        self.rtcp.apply(ssrc, index.into(), &mut packet[RTCP_HEAD..]);
        let (word, tag) = trailer.split_at_mut(INDEX_LEN);
        word.copy_from_slice(&(ENCRYPTED | index).to_be_bytes());
        tag.copy_from_slice(&self.rtcp.tag(packet, word)[..LONG_TAG]);
        Ok(len + INDEX_LEN + LONG_TAG)
    }

    /// The last bytes of an SRTCP packet that aren't its E bit and index.
    pub(super) const BEHIND_INDEX: usize = LONG_TAG;

    pub(super) fn open_rtcp(&self, ssrc: u32, word: u32, packet: &mut [u8]) -> Result<usize, Refused> {
        let len = packet
            .len()
            .checked_sub(INDEX_LEN + LONG_TAG)
            .filter(|len| *len >= RTCP_HEAD)
            .ok_or(Refused::Malformed)?;
        let (packet, trailer) = packet.split_at_mut(len);
        let (raw, tag) = trailer.split_at(INDEX_LEN);
        self.rtcp.check(packet, raw, tag)?;
        if word & ENCRYPTED != 0 {
            self.rtcp.apply(ssrc, (word & !ENCRYPTED).into(), &mut packet[RTCP_HEAD..]);
        }
        Ok(len)
    }
}

impl Half {
    fn new(keys: &Keys, key: Label, tag: Label, salt: Label) -> Self {
        Self {
            aes: Aes128Enc::new(&derive::<16>(keys, key).into()),
            salt: derive(keys, salt),
            mac: <Hmac<Sha1> as Mac>::new_from_slice(&derive::<20>(keys, tag)).expect("HMAC takes keys of any length"),
        }
    }

    /// Encrypts or decrypts (section 4.1.1).
    fn apply(&self, ssrc: u32, index: u64, bytes: &mut [u8]) {
        let mut block = [0; 16];
        block[..14].copy_from_slice(&self.salt);
        xor(&mut block[4..8], &ssrc.to_be_bytes());
        // Of the eight bytes of the index the first two are zero.
        xor(&mut block[6..14], &index.to_be_bytes());
        keystream(&self.aes, &block, bytes);
    }

    /// The tag, of which the left part is sent (section 4.2.1).
    fn tag(&self, packet: &[u8], behind: impl AsRef<[u8]>) -> [u8; 20] {
        self.mac
            .clone()
            .chain_update(packet)
            .chain_update(behind)
            .finalize()
            .into_bytes()
            .into()
    }

    /// Compares in constant time.
    fn check(&self, packet: &[u8], behind: impl AsRef<[u8]>, tag: &[u8]) -> Result<(), Refused> {
        let mac = self.mac.clone().chain_update(packet).chain_update(behind);
        mac.verify_truncated_left(tag).map_err(|_| Refused::Forged)
    }
}

/// XORs bytes with AES in counter mode. The last two bytes of the first block are the count of blocks, and zero.
pub(super) fn keystream<C>(aes: &C, block: &[u8; 16], bytes: &mut [u8])
where
    C: BlockEncrypt + BlockCipher + BlockSizeUser<BlockSize = U16>,
{
    let core = ctr::CtrCore::<&C, ctr::flavors::Ctr32BE>::inner_iv_init(aes, block.into());
    Ctr32BE::from_core(core).apply_keystream(bytes);
}

fn rollover(index: u64) -> [u8; 4] {
    ((index >> 16) as u32).to_be_bytes()
}

/// The packet, and the bytes that are added behind it.
pub(super) fn split_for(buffer: &mut [u8], len: usize, more: usize) -> Result<(&mut [u8], &mut [u8]), Refused> {
    Ok(buffer.get_mut(..len + more).ok_or(Refused::Malformed)?.split_at_mut(len))
}

pub(super) fn xor(into: &mut [u8], with: &[u8]) {
    into.iter_mut().zip(with).for_each(|(a, b)| *a ^= b);
}
