//! Digest authentication (RFC 3261 section 22, RFC 7616, RFC 8760): SHA-256 first, then MD5, always with `qop=auth`. Knows no accounts: keys
//! come from the caller. Credentials are never printed.

mod client;
mod server;

use md5::Md5;
use sha2::{Digest, Sha256};

pub use client::{Credentials, Session, Unanswerable};
pub use server::{Authenticator, BadCredentials, Verdict};

use crate::{
    model::account::DigestKeys,
    sip::msg::lex::{Cursor, lossy, quote, unquote},
};

/// A hash for digests, spelled as RFC 7616 section 3.3 does. The `-sess` kinds and SHA-512/256 aren't offered and not understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// `SHA-256`.
    Sha256,
    /// `MD5`, for phones that know no other.
    Md5,
}

impl Algorithm {
    /// What we offer, best first (RFC 8760 section 2.3).
    pub const OFFERED: [Self; 2] = [Self::Sha256, Self::Md5];

    /// The token on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "SHA-256",
            Self::Md5 => "MD5",
        }
    }

    /// Reads the token; without one it is MD5 (RFC 7616 section 3.3).
    fn parse(token: Option<&str>) -> Option<Self> {
        let Some(token) = token else { return Some(Self::Md5) };
        Self::OFFERED.into_iter().find(|a| a.as_str().eq_ignore_ascii_case(token))
    }

    fn hash(self, parts: &[&str]) -> String {
        fn run<D: Digest>(parts: &[&str]) -> String {
            let mut hasher = D::new();
            for (index, part) in parts.iter().enumerate() {
                if index > 0 {
                    hasher.update(b":");
                }
                hasher.update(part.as_bytes());
            }
            data_encoding::HEXLOWER.encode(&hasher.finalize())
        }
        match self {
            Self::Sha256 => run::<Sha256>(parts),
            Self::Md5 => run::<Md5>(parts),
        }
    }

    fn key(self, keys: &DigestKeys) -> &str {
        match self {
            Self::Sha256 => &keys.sha256,
            Self::Md5 => &keys.md5,
        }
    }
}

/// The keys of a user whose secret is known in the clear, as they are kept (RFC 7616 section 3.4.2).
pub fn digest_keys(user: &str, realm: &str, secret: &str) -> DigestKeys {
    let key = |algorithm: Algorithm| algorithm.hash(&[user, realm, secret]);
    DigestKeys {
        md5: key(Algorithm::Md5),
        sha256: key(Algorithm::Sha256),
    }
}

/// What both ends hash (RFC 7616 section 3.4.1). `qop` is `auth`; without `fresh` it is the form of RFC 2069, which only servers without `qop` get.
struct Proof<'a> {
    algorithm: Algorithm,
    key: &'a str,
    nonce: &'a str,
    fresh: Option<(&'a str, &'a str)>,
    method: &'a str,
    uri: &'a str,
}

impl Proof<'_> {
    fn response(&self) -> String {
        let a2 = self.algorithm.hash(&[self.method, self.uri]);
        match self.fresh {
            Some((nc, cnonce)) => self.algorithm.hash(&[self.key, self.nonce, nc, cnonce, "auth", &a2]),
            None => self.algorithm.hash(&[self.key, self.nonce, &a2]),
        }
    }
}

/// The parameters of a challenge or of credentials. No `Debug`: credentials don't belong into logs (rule R48).
#[derive(Clone, PartialEq, Eq)]
struct AuthParams(Vec<(String, String)>);

impl AuthParams {
    /// More than any scheme has; bounds the search for repeated names.
    const LIMIT: usize = 32;

    /// Reads `Digest name=value, …`; `None` for another scheme.
    fn read(value: &[u8]) -> Option<Result<Self, &'static str>> {
        let mut cursor = Cursor::new(value);
        cursor.skip_space();
        cursor.token().filter(|scheme| scheme.eq_ignore_ascii_case("Digest"))?;
        Some(Self::read_list(&mut cursor))
    }

    fn read_list(cursor: &mut Cursor<'_>) -> Result<Self, &'static str> {
        let mut list: Vec<(String, String)> = Vec::new();
        loop {
            cursor.skip_space();
            let name = cursor.token().ok_or("no parameter name")?.to_ascii_lowercase();
            if !cursor.eat(b'=') {
                return Err("a parameter without a value");
            }
            let value = match cursor.peek() {
                Some(b'"') => unquote(&lossy(cursor.quoted().ok_or("a quoted string that doesn't end")?)),
                _ => lossy(cursor.take_while(|b| b > b' ' && b != b',' && b != b'"')),
            };
            if list.len() == Self::LIMIT || list.iter().any(|(n, _)| *n == name) {
                return Err("a parameter twice, or too many");
            }
            list.push((name, value));
            if cursor.at_end() {
                return Ok(Self(list));
            }
            if !cursor.eat(b',') {
                return Err("no comma between parameters");
            }
        }
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

fn quoted(name: &str, value: &str) -> String {
    format!("{name}={}", quote(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc7616_3_9_1_examples() {
        let keys = digest_keys("Mufasa", "http-auth@example.org", "Circle of Life");
        for (algorithm, expected) in [
            (Algorithm::Md5, "8ca523f5e9506fed4657c9700eebdbec"),
            (
                Algorithm::Sha256,
                "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
            ),
        ] {
            let proof = Proof {
                algorithm,
                key: algorithm.key(&keys),
                nonce: "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
                fresh: Some(("00000001", "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ")),
                method: "GET",
                uri: "/dir/index.html",
            };
            assert_eq!(proof.response(), expected);
        }
    }

    #[test]
    fn parameters_are_read_or_refused() {
        let read = |text: &str| AuthParams::read(text.as_bytes());
        let params = read(r#"digest Realm="a, \"b\"", qop=auth ,nc=00000001"#)
            .expect("digest")
            .unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(
            (params.get("realm"), params.get("qop"), params.get("nc")),
            (Some("a, \"b\""), Some("auth"), Some("00000001"))
        );
        assert!(read("NoOneKnowsThisScheme opaque-data=here").is_none());
        for bad in [
            "Digest",
            "Digest a",
            "Digest a=1 b=2",
            "Digest a=1,a=2",
            "Digest a=\"1",
            "Digest a=1,",
        ] {
            assert!(read(bad).expect("digest").is_err(), "{bad}");
        }
    }
}
