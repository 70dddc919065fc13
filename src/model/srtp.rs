//! What is agreed on the protection of media: policy, SRTP profiles, master keys. What is done with them is `rtp::srtp`.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::dtls::DtlsMedia;

/// Bytes of the longest master key.
pub const MAX_KEY_LEN: usize = 32;

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
    /// The same with keys of 256 bits.
    AeadAes256Gcm,
}

impl Profile {
    /// Bytes of the master key.
    pub fn key_len(self) -> usize {
        match self {
            Self::Aes128CmSha1_80 | Self::Aes128CmSha1_32 | Self::AeadAes128Gcm => 16,
            Self::AeadAes256Gcm => MAX_KEY_LEN,
        }
    }

    /// Bytes of the master salt (RFC 3711 section 8.2, RFC 7714 section 12).
    pub fn salt_len(self) -> usize {
        match self {
            Self::Aes128CmSha1_80 | Self::Aes128CmSha1_32 => MAX_SALT_LEN,
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 12,
        }
    }

    /// Its name in SDP (RFC 4568 section 6.2, RFC 7714 section 14.2).
    pub fn suite(self) -> &'static str {
        match self {
            Self::Aes128CmSha1_80 => "AES_CM_128_HMAC_SHA1_80",
            Self::Aes128CmSha1_32 => "AES_CM_128_HMAC_SHA1_32",
            Self::AeadAes128Gcm => "AEAD_AES_128_GCM",
            Self::AeadAes256Gcm => "AEAD_AES_256_GCM",
        }
    }
}

/// A master key and its salt, for one direction. Doesn't print them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Keys {
    /// What they are for.
    pub profile: Profile,
    /// The master key; of a shorter one the rest is zero.
    pub key: [u8; MAX_KEY_LEN],
    /// The master salt; of a shorter one the rest is zero (RFC 7714 section 11).
    pub salt: [u8; MAX_SALT_LEN],
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("profile", &self.profile).finish_non_exhaustive()
    }
}

/// Whether media is to be protected (rule R72).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Policy {
    /// Not at all.
    Never,
    /// With whom it can be agreed on.
    #[default]
    Allowed,
    /// Without it there is no call.
    Required,
}

/// How one leg's media is protected.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Security {
    /// Plain RTP.
    #[default]
    Plain,
    /// SRTP with keys from `a=crypto` (RFC 4568).
    Sdes(Sdes),
    /// SRTP with keys by DTLS (RFC 5764): until they are there, and if the peer isn't who it says, nothing flows either way.
    Dtls(DtlsMedia),
}

/// What two `a=crypto` attributes agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sdes {
    /// For what we send.
    pub local: Keys,
    /// For what we receive.
    pub remote: Keys,
    /// Nobody on the way could read the keys.
    pub signalling_protected: bool,
}

impl Security {
    /// Whether it is just this by DTLS.
    pub fn is_dtls(&self, media: &DtlsMedia) -> bool {
        match self {
            Self::Dtls(agreed) => agreed == media,
            Self::Plain | Self::Sdes(_) => false,
        }
    }

    /// The same without keys, for people.
    pub fn protection(&self) -> Protection {
        match self {
            Self::Plain => Protection::None,
            Self::Sdes(sdes) if sdes.signalling_protected => Protection::Sdes,
            Self::Sdes(_) => Protection::SdesInTheOpen,
            Self::Dtls(_) => Protection::Dtls,
        }
    }
}

/// How far media is protected, and by what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protection {
    /// Plain RTP.
    #[default]
    None,
    /// SRTP, but whoever saw the signalling has its keys: as good as none (rule R72).
    SdesInTheOpen,
    /// SRTP with keys from protected signalling.
    Sdes,
    /// SRTP with keys by DTLS, which nobody can have seen.
    Dtls,
}

impl Protection {
    /// Whether it counts (rule R72).
    pub fn is_protected(self) -> bool {
        match self {
            Self::None | Self::SdesInTheOpen => false,
            Self::Sdes | Self::Dtls => true,
        }
    }

    /// As operators read it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::SdesInTheOpen => "sdes-in-the-open",
            Self::Sdes => "sdes",
            Self::Dtls => "dtls",
        }
    }
}
