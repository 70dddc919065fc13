//! AES-GCM (RFC 7714).

use ring::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use super::{
    ENCRYPTED, INDEX_LEN, Keys, MAX_KEY_LEN, RTCP_HEAD, Refused,
    cm::{split_for, xor},
    derive::{Label, derive},
};

const TAG: usize = 16;

/// Session keys of one direction.
#[derive(Clone)]
pub(super) struct Gcm {
    rtp: Half,
    rtcp: Half,
}

/// Session keys of RTP or of RTCP.
#[derive(Clone)]
struct Half {
    key: LessSafeKey,
    salt: [u8; 12],
}

impl Gcm {
    pub(super) fn new(keys: &Keys) -> Self {
        Self {
            rtp: Half::new(
                &derive::<MAX_KEY_LEN>(keys, Label::RtpKey)[..keys.profile.key_len()],
                derive(keys, Label::RtpSalt),
            ),
            rtcp: Half::new(
                &derive::<MAX_KEY_LEN>(keys, Label::RtcpKey)[..keys.profile.key_len()],
                derive(keys, Label::RtcpSalt),
            ),
        }
    }

    /// Session keys as they are, for vectors that skip the derivation.
    #[cfg(test)]
    pub(super) fn of_session(key: &[u8; 16], salt: [u8; 12]) -> Self {
        Self {
            rtp: Half::new(key, salt),
            rtcp: Half::new(key, salt),
        }
    }

    /// Encrypts what is behind `head` and adds the tag; gives the new length.
    pub(super) fn seal_rtp(&self, ssrc: u32, index: u64, head: usize, buffer: &mut [u8], len: usize) -> Result<usize, Refused> {
        let (packet, tag) = split_for(buffer, len, TAG)?;
        let (head, body) = packet.split_at_mut(head);
        tag.copy_from_slice(&self.rtp.seal(self.rtp.nonce(ssrc, index), head, body)?);
        Ok(len + TAG)
    }

    /// Decrypts if the tag is right; gives the length without the tag.
    pub(super) fn open_rtp(&self, ssrc: u32, index: u64, head: usize, packet: &mut [u8]) -> Result<usize, Refused> {
        let len = packet.len().checked_sub(TAG).filter(|len| *len >= head).ok_or(Refused::Malformed)?;
        let (head, body) = packet.split_at_mut(head);
        self.rtp.open(self.rtp.nonce(ssrc, index), head, body)?;
        Ok(len)
    }

    pub(super) fn seal_rtcp(&self, ssrc: u32, index: u32, buffer: &mut [u8], len: usize) -> Result<usize, Refused> {
        let (packet, trailer) = split_for(buffer, len, TAG + INDEX_LEN)?;
        let (head, body) = packet.split_at_mut(RTCP_HEAD);
        let (tag, word) = trailer.split_at_mut(TAG);
        word.copy_from_slice(&(ENCRYPTED | index).to_be_bytes());
        let known = associated(head, word);
        tag.copy_from_slice(&self.rtcp.seal(self.rtcp.nonce(ssrc, index.into()), &known, body)?);
        Ok(len + TAG + INDEX_LEN)
    }

    /// The last bytes of an SRTCP packet that aren't its E bit and index.
    pub(super) const BEHIND_INDEX: usize = 0;

    pub(super) fn open_rtcp(&self, ssrc: u32, word: u32, packet: &mut [u8]) -> Result<usize, Refused> {
        let len = packet
            .len()
            .checked_sub(TAG + INDEX_LEN)
            .filter(|len| *len >= RTCP_HEAD)
            .ok_or(Refused::Malformed)?;
        let nonce = self.rtcp.nonce(ssrc, (word & !ENCRYPTED).into());
        if word & ENCRYPTED != 0 {
            let (sealed, word) = packet.split_at_mut(len + TAG);
            let (head, body) = sealed.split_at_mut(RTCP_HEAD);
            self.rtcp.open(nonce, &associated(head, word), body)?;
        } else {
            // All of it is associated data (section 17), from which the tag parts the last word.
            let mut tag = [0; TAG];
            tag.copy_from_slice(&packet[len..len + TAG]);
            packet.copy_within(len + TAG.., len);
            self.rtcp.open(nonce, &packet[..len + INDEX_LEN], &mut tag)?;
        }
        Ok(len)
    }
}

impl Half {
    /// With a key of 16 or of 32 bytes.
    fn new(key: &[u8], salt: [u8; 12]) -> Self {
        let algorithm = if key.len() == MAX_KEY_LEN { &AES_256_GCM } else { &AES_128_GCM };
        let key = UnboundKey::new(algorithm, key).expect("the key has the length of its algorithm");
        Self {
            key: LessSafeKey::new(key),
            salt,
        }
    }

    /// Two zero bytes, the source, and 48 bits of index, all masked by the salt (sections 8.1 and 9.1).
    fn nonce(&self, ssrc: u32, index: u64) -> Nonce {
        let mut nonce = self.salt;
        xor(&mut nonce[2..6], &ssrc.to_be_bytes());
        xor(&mut nonce[6..12], &index.to_be_bytes()[2..]);
        Nonce::assume_unique_for_key(nonce)
    }

    fn seal(&self, nonce: Nonce, known: &[u8], body: &mut [u8]) -> Result<[u8; TAG], Refused> {
        let tag = self
            .key
            .seal_in_place_separate_tag(nonce, Aad::from(known), body)
            .map_err(|_| Refused::Malformed)?;
        let mut bytes = [0; TAG];
        bytes.copy_from_slice(tag.as_ref());
        Ok(bytes)
    }

    fn open(&self, nonce: Nonce, known: &[u8], body: &mut [u8]) -> Result<(), Refused> {
        self.key
            .open_in_place(nonce, Aad::from(known), body)
            .map(|_| ())
            .map_err(|_| Refused::Forged)
    }
}

/// Associated data of an encrypted SRTCP packet: its head, its E bit and index (section 9.2).
fn associated(head: &[u8], word: &[u8]) -> [u8; RTCP_HEAD + INDEX_LEN] {
    let mut known = [0; RTCP_HEAD + INDEX_LEN];
    known[..RTCP_HEAD].copy_from_slice(head);
    known[RTCP_HEAD..].copy_from_slice(word);
    known
}
