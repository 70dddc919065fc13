//! What DTLS-SRTP on one leg needs to know of an offer and answer (RFC 5763).

use std::{fmt, str::FromStr};

/// Which hash a fingerprint is made with (RFC 8122 section 5). Older ones than SHA-256 prove nothing any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FingerprintHash {
    /// 32 bytes.
    Sha256,
    /// 48 bytes.
    Sha384,
    /// 64 bytes.
    Sha512,
}

impl FingerprintHash {
    const ALL: [Self; 3] = [Self::Sha256, Self::Sha384, Self::Sha512];

    fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha-256",
            Self::Sha384 => "sha-384",
            Self::Sha512 => "sha-512",
        }
    }

    /// Bytes of its digests.
    fn len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

/// The digest of a certificate, as `a=fingerprint` writes it (RFC 8122 section 5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint {
    hash: FingerprintHash,
    digest: Box<[u8]>,
}

impl Fingerprint {
    /// A digest that was computed.
    pub fn new(hash: FingerprintHash, digest: &[u8]) -> Self {
        Self {
            hash,
            digest: digest.into(),
        }
    }

    /// How it was made.
    pub fn hash(&self) -> FingerprintHash {
        self.hash
    }
}

/// Why text is no fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no fingerprint by SHA-256, SHA-384 or SHA-512")]
pub struct BadFingerprint;

impl FromStr for Fingerprint {
    type Err = BadFingerprint;

    fn from_str(text: &str) -> Result<Self, BadFingerprint> {
        let (name, digest) = text.split_once(' ').ok_or(BadFingerprint)?;
        let hash = FingerprintHash::ALL.into_iter().find(|h| h.name().eq_ignore_ascii_case(name));
        let byte = |pair: &str| {
            let two_digits = pair.len() == 2 && pair.bytes().all(|b| b.is_ascii_hexdigit());
            two_digits
                .then(|| u8::from_str_radix(pair, 16).ok())
                .flatten()
                .ok_or(BadFingerprint)
        };
        let digest: Box<[u8]> = digest.trim().split(':').map(byte).collect::<Result<_, _>>()?;
        let hash = hash.filter(|h| h.len() == digest.len()).ok_or(BadFingerprint)?;
        Ok(Self { hash, digest })
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.hash.name())?;
        let mut between = ' ';
        self.digest.iter().try_for_each(|byte| {
            let result = write!(f, "{between}{byte:02X}");
            between = ':';
            result
        })
    }
}

/// Who starts the handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DtlsRole {
    /// We do.
    Active,
    /// They do.
    Passive,
}

/// What was agreed for one leg.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DtlsMedia {
    /// Our role; `None`: they want no association yet (`holdconn`, RFC 4145 section 4).
    pub role: Option<DtlsRole>,
    /// Their certificate has one of these, or there is no media. Not empty.
    pub fingerprints: Vec<Fingerprint>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_back() {
        for hash in FingerprintHash::ALL {
            let print = Fingerprint::new(hash, &vec![0xa5; hash.len()]);
            assert_eq!(print.to_string().parse(), Ok(print.clone()));
            assert_eq!(print.to_string().to_lowercase().parse(), Ok(print));
        }
    }

    #[test]
    fn what_proves_nothing_is_refused() {
        let good = Fingerprint::new(FingerprintHash::Sha256, &[7; 32]).to_string();
        for bad in [
            "",
            "sha-256",
            "sha-1 07:07:07:07:07:07:07:07:07:07:07:07:07:07:07:07:07:07:07:07",
            &good[..good.len() - 3],
            &good.replace("07", "+7"),
            &good.replace(':', ""),
            &good.replace("sha-256", "sha-384"),
        ] {
            assert_eq!(bad.parse::<Fingerprint>(), Err(BadFingerprint), "{bad}");
        }
    }
}
