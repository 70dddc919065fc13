//! Our side as client: answers to challenges.

use super::{Algorithm, AuthParams, Proof, digest_keys, quoted};
use crate::sip::msg::{Method, Name, Response, lex::Cursor};

/// A user name and a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    user: String,
    secret: String,
}

impl Credentials {
    /// Takes both.
    pub fn new(user: &str, secret: &str) -> Self {
        Self {
            user: user.to_owned(),
            secret: secret.to_owned(),
        }
    }
}

/// Challenges that were taken up: signs requests until the server sends new ones.
#[derive(Clone)]
pub struct Session {
    taken: Vec<Taken>,
    cnonce: String,
    stale: bool,
}

#[derive(Clone)]
struct Taken {
    answer: Name,
    user: String,
    realm: String,
    nonce: String,
    opaque: Option<String>,
    algorithm: Algorithm,
    /// `algorithm` was named in the challenge.
    named: bool,
    /// `qop=auth` was offered.
    qop: bool,
    key: String,
    count: u32,
}

/// Why a challenge can't be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unanswerable {
    /// No digest challenge is in it.
    #[error("no digest challenge")]
    NoChallenge,
    /// No algorithm, or no kind of protection, that we know.
    #[error("no challenge with an algorithm and a protection that we know")]
    Unsupported,
}

impl Session {
    /// Takes up the challenges of a 401 or 407: of each realm the first that we know (RFC 8760 section 2.4). `cnonce` is fresh chance.
    pub fn new(response: &Response, credentials: &Credentials, cnonce: &str) -> Result<Self, Unanswerable> {
        let mut taken: Vec<Taken> = Vec::new();
        let mut why = Unanswerable::NoChallenge;
        let mut stale = false;
        for (name, answer) in [
            (Name::WwwAuthenticate, Name::Authorization),
            (Name::ProxyAuthenticate, Name::ProxyAuthorization),
        ] {
            for params in response.headers.all(name).filter_map(AuthParams::read).flatten() {
                stale |= params.get("stale").is_some_and(|s| s.eq_ignore_ascii_case("true"));
                match Taken::new(&params, answer.clone(), credentials) {
                    Some(new) if taken.iter().any(|t| t.answer == new.answer && t.realm == new.realm) => {}
                    Some(new) => taken.push(new),
                    None => why = Unanswerable::Unsupported,
                }
            }
        }
        if taken.is_empty() {
            Err(why)
        } else {
            Ok(Self {
                taken,
                cnonce: cnonce.to_owned(),
                stale,
            })
        }
    }

    /// Takes a nonce for the next request from the answer to one of ours (RFC 7615 section 3).
    pub fn follow(&mut self, response: &Response) {
        let offered = response.headers.all("Authentication-Info").filter_map(|value| {
            let params = AuthParams::read_list(&mut Cursor::new(value)).ok()?;
            params.get("nextnonce").map(str::to_owned)
        });
        if let Some(nonce) = offered.last() {
            for taken in self.taken.iter_mut().filter(|taken| taken.answer == Name::Authorization) {
                taken.nonce.clone_from(&nonce);
                taken.count = 0;
            }
        }
    }

    /// Whether the server says that only the nonce was old: then it is worth one more try with the same secret.
    pub fn is_stale(&self) -> bool {
        self.stale
    }

    /// The headers to add to a request with this Request-URI.
    pub fn sign(&mut self, method: &Method, uri: &str) -> Vec<(Name, String)> {
        let cnonce = &self.cnonce;
        self.taken
            .iter_mut()
            .map(|t| (t.answer.clone(), t.sign(method, uri, cnonce)))
            .collect()
    }
}

impl Taken {
    fn new(params: &AuthParams, answer: Name, credentials: &Credentials) -> Option<Self> {
        let realm = params.get("realm")?;
        let algorithm = Algorithm::parse(params.get("algorithm"))?;
        let qop = match params.get("qop") {
            None => false,
            Some(offered) => offered.split(',').any(|q| q.trim().eq_ignore_ascii_case("auth")).then_some(true)?,
        };
        Some(Self {
            answer,
            user: credentials.user.clone(),
            realm: realm.to_owned(),
            nonce: params.get("nonce")?.to_owned(),
            opaque: params.get("opaque").map(str::to_owned),
            algorithm,
            named: params.get("algorithm").is_some(),
            qop,
            key: algorithm
                .key(&digest_keys(&credentials.user, realm, &credentials.secret))
                .to_owned(),
            count: 0,
        })
    }

    fn sign(&mut self, method: &Method, uri: &str, cnonce: &str) -> String {
        self.count += 1;
        let count = format!("{:08x}", self.count);
        let fresh = self.qop.then_some((count.as_str(), cnonce));
        let proof = Proof {
            algorithm: self.algorithm,
            key: &self.key,
            nonce: &self.nonce,
            fresh,
            method: method.as_str(),
            uri,
        };
        let mut parts = vec![
            quoted("Digest username", &self.user),
            quoted("realm", &self.realm),
            quoted("nonce", &self.nonce),
            quoted("uri", uri),
            quoted("response", &proof.response()),
        ];
        if self.named {
            parts.push(format!("algorithm={}", self.algorithm.as_str()));
        }
        if let Some((count, cnonce)) = fresh {
            parts.push(quoted("cnonce", cnonce));
            parts.push(format!("qop=auth, nc={count}"));
        }
        if let Some(opaque) = &self.opaque {
            parts.push(quoted("opaque", opaque));
        }
        parts.join(", ")
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials(***)")
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let realms: Vec<&str> = self.taken.iter().map(|t| t.realm.as_str()).collect();
        f.debug_struct("Session").field("realms", &realms).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::msg::Request;

    fn session(challenges: &[(Name, &str)]) -> Result<Session, Unanswerable> {
        let request = Request::new(Method::Invite, "sip:a@b".parse().unwrap());
        let mut response = Response::to_request(&request, 401);
        for (name, value) in challenges {
            response.headers.push(name.clone(), *value);
        }
        Session::new(&response, &Credentials::new("u", "s"), "c")
    }

    #[test]
    fn each_realm_is_answered_once_with_the_first_algorithm_known() {
        let mut session = session(&[
            (
                Name::WwwAuthenticate,
                r#"Digest realm="r", nonce="0", qop="auth", algorithm=SHA-512-256"#,
            ),
            (
                Name::WwwAuthenticate,
                r#"Digest realm="r", nonce="1", qop="auth-int,auth", algorithm=SHA-256, opaque="o""#,
            ),
            (Name::WwwAuthenticate, r#"Digest realm="r", nonce="1", qop="auth", algorithm=MD5"#),
            (Name::ProxyAuthenticate, r#"Digest realm="p", nonce="2""#),
        ])
        .unwrap();
        let signed = session.sign(&Method::Invite, "sip:a@b");
        assert_eq!(signed.len(), 2);
        assert_eq!(signed[0].0, Name::Authorization);
        assert!(signed[0].1.contains("algorithm=SHA-256") && signed[0].1.contains("nc=00000001") && signed[0].1.ends_with("opaque=\"o\""));
        assert_eq!(signed[1].0, Name::ProxyAuthorization);
        assert!(
            !signed[1].1.contains("qop") && !signed[1].1.contains("algorithm"),
            "a server of RFC 2069 gets what it knows"
        );
        assert!(session.sign(&Method::Invite, "sip:a@b")[0].1.contains("nc=00000002"));
        assert!(!session.is_stale());
    }

    #[test]
    fn what_cannot_be_answered_is_said() {
        assert_eq!(session(&[]).err(), Some(Unanswerable::NoChallenge));
        assert_eq!(
            session(&[(Name::WwwAuthenticate, "Basic realm=x")]).err(),
            Some(Unanswerable::NoChallenge)
        );
        let other = r#"Digest realm="r", nonce="1", qop="auth-int""#;
        assert_eq!(session(&[(Name::WwwAuthenticate, other)]).err(), Some(Unanswerable::Unsupported));
        let stale = r#"Digest realm="r", nonce="1", stale=TRUE"#;
        assert!(session(&[(Name::WwwAuthenticate, stale)]).unwrap().is_stale());
    }
}
