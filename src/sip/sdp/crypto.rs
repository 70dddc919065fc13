//! `a=crypto`: SRTP keys in session descriptions (RFC 4568; AES-GCM by RFC 7714 section 14).
//!
//! Only what a receiver needs not guess at: one key without MKI, derived once, everything encrypted and authenticated.

use std::fmt;

use data_encoding::{BASE64, BASE64_NOPAD};
use rand::RngCore;

use super::text::MediaLine;
use crate::model::srtp::{Keys, MAX_KEY_LEN, MAX_SALT_LEN, Profile};

/// What we offer, best first.
pub(super) const OFFERED: [Profile; 2] = [Profile::AeadAes128Gcm, Profile::Aes128CmSha1_80];

/// What we take.
const TAKEN: [Profile; 4] = [
    Profile::AeadAes256Gcm,
    Profile::AeadAes128Gcm,
    Profile::Aes128CmSha1_80,
    Profile::Aes128CmSha1_32,
];

/// The longest lifetime of a key, in packets (RFC 3711 section 9.2).
const MAX_LIFETIME: u64 = 1 << 48;

/// One attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Crypto {
    /// Ties an answer to its offer.
    pub(super) tag: u32,
    /// For what its sender sends.
    pub(super) keys: Keys,
}

/// Why an attribute, or all of them, can't be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadCrypto {
    /// There is none.
    #[error("no a=crypto")]
    Missing,
    /// It doesn't follow the grammar.
    #[error("malformed a=crypto")]
    Form,
    /// A suite that we don't have.
    #[error("no crypto-suite in common")]
    Suite,
    /// A key of the wrong length, or another key method than `inline`.
    #[error("a key that does not fit its crypto-suite")]
    Key,
    /// A master key identifier, or several keys, which need one.
    #[error("master key identifiers are not supported")]
    Mki,
    /// `UNENCRYPTED_SRTP` and the like, `KDR`, `FEC_…`, or one that nobody knows.
    #[error("a session parameter that is not supported")]
    Parameter,
    /// An answer whose tag and suite weren't offered, or with the very key of the offer.
    #[error("the answer's a=crypto does not fit the offer")]
    Mismatch,
}

impl Crypto {
    /// Those of a media line that can be used.
    pub(super) fn all(line: &MediaLine) -> impl Iterator<Item = Self> {
        let lines = line.attributes.iter().filter(|a| a.name == "crypto");
        lines.filter_map(|a| Self::parse(a.value.as_deref()?).ok())
    }

    /// The first attribute of a media line that can be used. The error is that of the line that came nearest.
    pub(super) fn pick(line: &MediaLine) -> Result<Self, BadCrypto> {
        let mut why = BadCrypto::Missing;
        for attribute in line.attributes.iter().filter(|a| a.name == "crypto") {
            match Self::parse(attribute.value.as_deref().unwrap_or_default()) {
                Ok(crypto) => return Ok(crypto),
                Err(flaw) if matches!(why, BadCrypto::Missing | BadCrypto::Suite) => why = flaw,
                Err(_) => {}
            }
        }
        Err(why)
    }

    /// Reads `tag suite key-params [session-params]` (RFC 4568 section 9.1).
    fn parse(value: &str) -> Result<Self, BadCrypto> {
        let mut words = value.split_ascii_whitespace();
        let (Some(tag), Some(suite), Some(key)) = (words.next(), words.next(), words.next()) else {
            return Err(BadCrypto::Form);
        };
        let tag = Some(tag)
            .filter(|t| t.len() <= 9)
            .and_then(|t| t.parse().ok())
            .ok_or(BadCrypto::Form)?;
        let profile = TAKEN.into_iter().find(|p| p.suite() == suite).ok_or(BadCrypto::Suite)?;
        let keys = parse_key(profile, key)?;
        if !words.all(is_harmless) {
            return Err(BadCrypto::Parameter);
        }
        Ok(Self { tag, keys })
    }
}

/// Reads `inline:key||salt[|lifetime][|MKI:length]` (RFC 4568 sections 6.1 and 9.2).
fn parse_key(profile: Profile, text: &str) -> Result<Keys, BadCrypto> {
    if text.contains(';') {
        return Err(BadCrypto::Mki);
    }
    let mut parts = text.strip_prefix("inline:").ok_or(BadCrypto::Key)?.split('|');
    let inline = parts.next().unwrap_or_default().trim_end_matches('=');
    let raw = BASE64_NOPAD.decode(inline.as_bytes()).map_err(|_| BadCrypto::Key)?;
    let key_len = profile.key_len();
    if raw.len() != key_len + profile.salt_len() {
        return Err(BadCrypto::Key);
    }
    let mut keys = Keys {
        profile,
        key: [0; MAX_KEY_LEN],
        salt: [0; MAX_SALT_LEN],
    };
    keys.key[..key_len].copy_from_slice(&raw[..key_len]);
    keys.salt[..profile.salt_len()].copy_from_slice(&raw[key_len..]);
    for (place, part) in parts.enumerate() {
        match part.split_once(':') {
            // No byte of it in the packets.
            Some((_, "0")) => {}
            Some(_) => return Err(BadCrypto::Mki),
            None if place == 0 && is_lifetime(part) => {}
            None => return Err(BadCrypto::Form),
        }
    }
    Ok(keys)
}

/// Packets that the peer sends under its key at most, as a number or a power of two. It is the peer's to count them.
fn is_lifetime(text: &str) -> bool {
    let packets = match text.strip_prefix("2^") {
        Some(exponent) => exponent.parse().ok().and_then(|e| 1u64.checked_shl(e)),
        None => text.parse().ok(),
    };
    packets.is_some_and(|n| (1..=MAX_LIFETIME).contains(&n))
}

/// Whether a session parameter changes nothing: a hint at the replay window's size, or one that may be ignored (RFC 4568 section 6.3).
fn is_harmless(parameter: &str) -> bool {
    let window = parameter.strip_prefix("WSH=");
    parameter.starts_with('-') || window.is_some_and(|size| size.parse::<u16>().is_ok())
}

/// A key by chance, which has to be of cryptographic quality (RFC 4568 section 6.1).
pub(super) fn new_keys(profile: Profile, rng: &mut impl RngCore) -> Keys {
    let mut keys = Keys {
        profile,
        key: [0; MAX_KEY_LEN],
        salt: [0; MAX_SALT_LEN],
    };
    rng.fill_bytes(&mut keys.key[..profile.key_len()]);
    rng.fill_bytes(&mut keys.salt[..profile.salt_len()]);
    keys
}

impl fmt::Display for Crypto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Keys { profile, key, salt } = &self.keys;
        let raw = [&key[..profile.key_len()], &salt[..profile.salt_len()]].concat();
        write!(f, "{} {} inline:{}", self.tag, profile.suite(), BASE64.encode(&raw))
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng, rngs::StdRng};

    use super::*;

    /// 30 and 28 bytes.
    const CM: &str = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";
    const GCM: &str = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubA==";

    fn flaw(value: &str) -> BadCrypto {
        Crypto::parse(value).expect_err(value)
    }

    #[test]
    fn what_is_written_is_read() {
        let mut rng = StdRng::seed_from_u64(1);
        for profile in TAKEN {
            for _ in 0..100 {
                let crypto = Crypto {
                    tag: rng.random_range(0..=999_999_999),
                    keys: new_keys(profile, &mut rng),
                };
                assert_eq!(Crypto::parse(&crypto.to_string()), Ok(crypto));
            }
        }
    }

    #[test]
    fn the_examples_of_the_rfc() {
        let crypto = Crypto::parse(&format!("1 AES_CM_128_HMAC_SHA1_80 inline:{CM}|2^20")).expect("usable");
        assert_eq!((crypto.tag, crypto.keys.profile), (1, Profile::Aes128CmSha1_80));
        assert_eq!(&crypto.keys.key[..16], b"YS___semctl () {");
        assert_eq!(&crypto.keys.salt, b"\t220;}\n}\nunles");
        let short = Crypto::parse(&format!("2 AES_CM_128_HMAC_SHA1_32 inline:{CM}|1:0 WSH=64 -x")).expect("usable");
        assert_eq!((short.tag, short.keys.profile), (2, Profile::Aes128CmSha1_32));
        for gcm in [GCM, GCM.trim_end_matches('=')] {
            let gcm = Crypto::parse(&format!("3 AEAD_AES_128_GCM inline:{gcm}|1048576")).expect("usable");
            assert_eq!(&gcm.keys.salt, b"\t220;}\n}\nunl\0\0");
        }
    }

    #[test]
    fn what_changes_the_meaning_is_refused_by_name() {
        let cm = |rest: &str| format!("1 AES_CM_128_HMAC_SHA1_80 inline:{CM}{rest}");
        assert_eq!(flaw(&cm("|2^20|1:4")), BadCrypto::Mki);
        assert_eq!(flaw(&cm("|1:4")), BadCrypto::Mki);
        assert_eq!(flaw(&cm(&format!("|2^20|1:4;inline:{CM}|2^20|2:4"))), BadCrypto::Mki);
        for parameter in [
            "UNENCRYPTED_SRTP",
            "UNENCRYPTED_SRTCP",
            "UNAUTHENTICATED_SRTP",
            "KDR=1",
            "FEC_ORDER=FEC_SRTP",
            "FEC_KEY=inline:x",
            "WSH=x",
            "NEW",
        ] {
            assert_eq!(flaw(&cm(&format!(" {parameter}"))), BadCrypto::Parameter, "{parameter}");
        }
        for rest in ["|0", "|2^49", "|2^64", "|x", "|", "|2^20|2^20"] {
            assert_eq!(flaw(&cm(rest)), BadCrypto::Form, "{rest}");
        }
        assert_eq!(flaw(&format!("1 F8_128_HMAC_SHA1_80 inline:{CM}")), BadCrypto::Suite);
        assert_eq!(flaw(&format!("1 AES_CM_128_HMAC_SHA1_80 inline:{GCM}")), BadCrypto::Key);
        assert_eq!(flaw(&format!("1 AEAD_AES_128_GCM inline:{CM}")), BadCrypto::Key);
        assert_eq!(flaw("1 AES_CM_128_HMAC_SHA1_80 uri:x"), BadCrypto::Key);
        assert_eq!(flaw("1 AES_CM_128_HMAC_SHA1_80 inline:!"), BadCrypto::Key);
        for text in [
            "",
            "1",
            "1 AES_CM_128_HMAC_SHA1_80",
            "x AES_CM_128_HMAC_SHA1_80 inline:x",
            "1234567890 a b",
        ] {
            assert_eq!(flaw(text), BadCrypto::Form, "{text}");
        }
    }
}
