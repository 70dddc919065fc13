//! SRTP profiles and master keys, as offers and handshakes agree on them. What is done with them is `rtp::srtp`.

use std::fmt;

/// Bytes of a master key: AES-128 in all profiles.
pub const KEY_LEN: usize = 16;

/// Bytes of the longest master salt.
pub const MAX_SALT_LEN: usize = 14;

/// How packets are encrypted and authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Profile {
    /// AES counter mode, HMAC-SHA1 of 80 bits (RFC 3711 section 5).
    Aes128CmSha1_80,
    /// The same with a tag of 32 bits on RTP; RTCP keeps 80 (RFC 4568 section 6.2.2).
    Aes128CmSha1_32,
    /// AES-GCM with a tag of 128 bits (RFC 7714).
    AeadAes128Gcm,
}

impl Profile {
    /// Bytes of the master salt (RFC 3711 section 8.2, RFC 7714 section 12).
    pub fn salt_len(self) -> usize {
        match self {
            Self::Aes128CmSha1_80 | Self::Aes128CmSha1_32 => MAX_SALT_LEN,
            Self::AeadAes128Gcm => 12,
        }
    }

    /// Its name in SDP (RFC 4568 section 6.2, RFC 7714 section 14.2).
    pub fn suite(self) -> &'static str {
        match self {
            Self::Aes128CmSha1_80 => "AES_CM_128_HMAC_SHA1_80",
            Self::Aes128CmSha1_32 => "AES_CM_128_HMAC_SHA1_32",
            Self::AeadAes128Gcm => "AEAD_AES_128_GCM",
        }
    }
}

/// A master key and its salt, for one direction. Doesn't print them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Keys {
    /// What they are for.
    pub profile: Profile,
    /// The master key.
    pub key: [u8; KEY_LEN],
    /// The master salt; of a shorter one the rest is zero (RFC 7714 section 11).
    pub salt: [u8; MAX_SALT_LEN],
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("profile", &self.profile).finish_non_exhaustive()
    }
}
