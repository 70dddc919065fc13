//! Our side as server: challenges, and what comes back.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::{Algorithm, AuthParams, Proof, quoted};
use crate::{
    model::account::DigestKeys,
    sip::msg::{Request, SipUri, Uri},
};

/// Nonces that were used to log in and are remembered, at most. Each phone has one or two; at 48 bytes each this is 200 kB. The oldest is
/// forgotten first, and counts as stale from then on.
const MAX_NONCES: usize = 4096;

/// How long a nonce may be used. Longer costs memory, shorter costs every phone a round trip more often.
const NONCE_LIFE: Duration = Duration::from_secs(300);

/// Checks digest credentials for one realm. Nonces carry their own proof of origin, so that strangers cost no memory.
pub struct Authenticator {
    realm: String,
    /// Best first.
    offered: Vec<Algorithm>,
    key: [u8; 32],
    epoch: Instant,
    issued: u32,
    /// Nonces that somebody has logged in with, oldest first.
    used: BTreeMap<NonceId, Window>,
    /// Everything up to this nonce is forgotten.
    forgotten: Option<NonceId>,
}

/// What credentials are worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// They prove that the sender knows this user's secret.
    Proven {
        /// The user name, as in the account.
        user: String,
    },
    /// There are none for this realm: challenge.
    Absent,
    /// The secret is right, the nonce is worn out or was used before: challenge with `stale=true`, the phone asks nobody.
    Stale,
    /// Unknown user or wrong secret: challenge again, or 403.
    Wrong {
        /// The user name that was claimed.
        user: String,
    },
    /// They can't be understood: 400.
    Bad(BadCredentials),
}

/// Why credentials can't be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Authorization: {0}")]
pub struct BadCredentials(pub &'static str);

/// When a nonce was issued, in ms since `epoch`, and its number.
type NonceId = (u64, u32);

/// Which nonce counts were seen: the highest, and a bit for each of the 64 up to it. Datagrams may overtake each other.
#[derive(Debug, Clone, Copy, Default)]
struct Window {
    highest: u32,
    seen: u64,
}

impl Authenticator {
    /// Starts with a secret key of its own; `epoch` is any instant not after the first request.
    pub fn new(realm: &str, key: [u8; 32], epoch: Instant) -> Self {
        Self {
            realm: realm.to_owned(),
            offered: Algorithm::OFFERED.to_vec(),
            key,
            epoch,
            issued: 0,
            used: BTreeMap::new(),
            forgotten: None,
        }
    }

    /// Offers, and takes, these algorithms only, best first. Phones that know MD5 alone may give up at a first challenge that is another.
    #[must_use]
    pub fn offering(self, offered: Vec<Algorithm>) -> Self {
        Self { offered, ..self }
    }

    /// The realm.
    pub fn realm(&self) -> &str {
        &self.realm
    }

    /// Values for as many `WWW-Authenticate` headers, in this order (RFC 8760 section 2.3).
    pub fn challenges(&mut self, now: Instant, stale: bool) -> Vec<String> {
        let nonce = self.nonce(now);
        let challenge = |algorithm: Algorithm| {
            let mut parts = vec![
                quoted("Digest realm", &self.realm),
                quoted("nonce", &nonce),
                "qop=\"auth\"".to_owned(),
            ];
            parts.push(format!("algorithm={}", algorithm.as_str()));
            if stale {
                parts.push("stale=true".to_owned());
            }
            parts.join(", ")
        };
        self.offered.iter().copied().map(challenge).collect()
    }

    /// Judges the credentials of a request. Not for ACK and CANCEL, which repeat those of their INVITE (RFC 3261 section 22.1).
    pub fn verify(&mut self, now: Instant, request: &Request, keys_of: impl FnOnce(&str) -> Option<DigestKeys>) -> Verdict {
        for value in request.headers.authorization() {
            match AuthParams::read(value) {
                None => {}
                Some(Err(flaw)) => return Verdict::Bad(BadCredentials(flaw)),
                Some(Ok(params)) if params.get("realm") != Some(&self.realm) => {}
                Some(Ok(params)) => {
                    return self
                        .judge(now, request, &params, keys_of)
                        .unwrap_or_else(|flaw| Verdict::Bad(BadCredentials(flaw)));
                }
            }
        }
        Verdict::Absent
    }

    fn judge(
        &mut self,
        now: Instant,
        request: &Request,
        params: &AuthParams,
        keys_of: impl FnOnce(&str) -> Option<DigestKeys>,
    ) -> Result<Verdict, &'static str> {
        let need = |name: &str, flaw| params.get(name).filter(|v| !v.is_empty()).ok_or(flaw);
        let user = need("username", "no username")?;
        let nonce = need("nonce", "no nonce")?;
        let uri = need("uri", "no uri")?;
        let response = need("response", "no response")?;
        let cnonce = need("cnonce", "no cnonce")?;
        let nc = need("nc", "no nc")?;
        if params.get("qop") != Some("auth") {
            return Err("another qop than auth");
        }
        let algorithm = Algorithm::parse(params.get("algorithm")).filter(|a| self.offered.contains(a));
        let algorithm = algorithm.ok_or("an algorithm that wasn't offered")?;
        let count = (nc.len() == 8)
            .then(|| u32::from_str_radix(nc, 16).ok())
            .flatten()
            .ok_or("not a nonce count")?;
        if !same_target(uri, &request.uri) {
            return Err("another uri than the request's");
        }
        let wrong = || Ok(Verdict::Wrong { user: user.to_owned() });
        // Strangers take the same way, so that time doesn't tell who has an account.
        let keys = keys_of(user);
        let key = keys.as_ref().map_or("", |k| algorithm.key(k));
        let proof = Proof {
            algorithm,
            key,
            nonce,
            fresh: Some((nc, cnonce)),
            method: request.method.as_str(),
            uri,
        };
        if !same(&proof.response(), &response.to_ascii_lowercase()) || keys.is_none() {
            return wrong();
        }
        // The secret is right: what remains is whether these very credentials are fresh.
        Ok(match self.opened(now, nonce) {
            Some(id) if self.first_use(id, count) => Verdict::Proven { user: user.to_owned() },
            Some(_) | None => Verdict::Stale,
        })
    }

    fn nonce(&mut self, now: Instant) -> String {
        self.issued = self.issued.wrapping_add(1);
        let mut bytes = Vec::with_capacity(NONCE_BYTES);
        bytes.extend(self.age(now).to_be_bytes());
        bytes.extend(self.issued.to_be_bytes());
        let seal = self.sealing(&bytes).finalize().into_bytes();
        bytes.extend(&seal[..SEAL_BYTES]);
        BASE64URL_NOPAD.encode(&bytes)
    }

    /// The id of a nonce that is ours, fresh and not forgotten.
    fn opened(&self, now: Instant, nonce: &str) -> Option<NonceId> {
        let bytes = BASE64URL_NOPAD.decode(nonce.as_bytes()).ok().filter(|b| b.len() == NONCE_BYTES)?;
        let (head, seal) = bytes.split_at(NONCE_BYTES - SEAL_BYTES);
        self.sealing(head).verify_truncated_left(seal).ok()?;
        let (at, number) = head.split_at(8);
        let id = (u64::from_be_bytes(at.try_into().ok()?), u32::from_be_bytes(number.try_into().ok()?));
        let age = Duration::from_millis(self.age(now).saturating_sub(id.0));
        (age <= NONCE_LIFE && self.forgotten.is_none_or(|f| id > f)).then_some(id)
    }

    fn first_use(&mut self, id: NonceId, count: u32) -> bool {
        if !self.used.contains_key(&id) && self.used.len() == MAX_NONCES {
            self.forgotten = self.used.pop_first().map(|(id, _)| id).max(self.forgotten);
            // The newcomer may itself be the oldest: then it stays unknown.
            if self.forgotten.is_some_and(|f| id <= f) {
                return false;
            }
        }
        self.used.entry(id).or_default().take(count)
    }

    fn age(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.epoch).as_millis()).unwrap_or(u64::MAX)
    }

    fn sealing(&self, bytes: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes keys of any length");
        mac.update(bytes);
        mac
    }
}

/// Half of the HMAC: nobody guesses 128 bits.
const SEAL_BYTES: usize = 16;
const NONCE_BYTES: usize = 8 + 4 + SEAL_BYTES;

impl Window {
    /// Whether this count comes for the first time; counts start at 1.
    fn take(&mut self, count: u32) -> bool {
        if count > self.highest {
            let step = count - self.highest;
            self.seen = self.seen.checked_shl(step).unwrap_or(0) | 1;
            self.highest = count;
            return true;
        }
        let bit = 1u64.checked_shl(self.highest - count).unwrap_or(0);
        let fresh = count > 0 && bit != 0 && self.seen & bit == 0;
        self.seen |= bit;
        fresh
    }
}

/// Whether the credentials' uri is the request's. Parameters don't count: proxies add and remove `transport` and their own.
fn same_target(uri: &str, target: &Uri) -> bool {
    let bare = |u: &SipUri| {
        Uri::Sip(Arc::new(SipUri {
            params: Default::default(),
            headers: None,
            ..u.clone()
        }))
    };
    match (Uri::parse(uri), target) {
        (Ok(Uri::Sip(a)), Uri::Sip(b)) => bare(&a).equivalent(&bare(b)),
        (Ok(a), b) => a.equivalent(b),
        (Err(_), _) => false,
    }
}

/// Compares without telling by time how much of it is right.
fn same(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
}

impl std::fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authenticator")
            .field("realm", &self.realm)
            .field("nonces_in_use", &self.used.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::{
        auth::{Credentials, Session, digest_keys},
        msg::{Method, Name, Response},
    };

    const REALM: &str = "conf.example.com";

    struct Phone {
        server: Authenticator,
        start: Instant,
        session: Session,
    }

    fn keys(user: &str) -> Option<DigestKeys> {
        (user == "alice").then(|| digest_keys("alice", REALM, "wonder land"))
    }

    fn challenge(server: &mut Authenticator, now: Instant, stale: bool) -> Response {
        let request = Request::new(Method::Invite, "sip:standup@conf.example.com".parse().unwrap());
        let mut response = Response::to_request(&request, 401);
        for value in server.challenges(now, stale) {
            response.headers.push(Name::WwwAuthenticate, value);
        }
        response
    }

    fn phone(secret: &str, algorithms: &[&str]) -> Phone {
        let start = Instant::now();
        let mut server = Authenticator::new(REALM, [7; 32], start);
        let mut response = challenge(&mut server, start, false);
        let kept: Vec<Vec<u8>> = response
            .headers
            .all(Name::WwwAuthenticate)
            .filter(|v| {
                algorithms
                    .iter()
                    .any(|a| String::from_utf8_lossy(v).contains(&format!("algorithm={a}")))
            })
            .map(<[u8]>::to_vec)
            .collect();
        response.headers.remove(Name::WwwAuthenticate);
        kept.into_iter().for_each(|v| response.headers.push(Name::WwwAuthenticate, v));
        let session = Session::new(&response, &Credentials::new("alice", secret), "c1").unwrap();
        Phone { server, start, session }
    }

    fn signed(session: &mut Session) -> Request {
        let mut request = Request::new(Method::Invite, "sip:standup@conf.example.com;transport=tcp".parse().unwrap());
        for (name, value) in session.sign(&request.method, "sip:standup@conf.example.com") {
            request.headers.push(name, value);
        }
        request
    }

    fn proven() -> Verdict {
        Verdict::Proven { user: "alice".into() }
    }

    #[test]
    fn challenges_name_sha_256_first() {
        let mut server = Authenticator::new(REALM, [7; 32], Instant::now());
        let [sha, md5] = <[String; 2]>::try_from(server.challenges(server.epoch, true)).unwrap();
        assert!(
            sha.starts_with("Digest realm=\"conf.example.com\", nonce=\"") && sha.ends_with("algorithm=SHA-256, stale=true"),
            "{sha}"
        );
        assert!(md5.ends_with("algorithm=MD5, stale=true"), "{md5}");
    }

    #[test]
    fn both_algorithms_prove_the_user_once_per_count() {
        for algorithm in ["SHA-256", "MD5"] {
            let mut p = phone("wonder land", &[algorithm]);
            let first = signed(&mut p.session);
            let second = signed(&mut p.session);
            assert_eq!(p.server.verify(p.start, &second, keys), proven(), "{algorithm}");
            assert_eq!(p.server.verify(p.start, &first, keys), proven(), "overtaken");
            assert_eq!(p.server.verify(p.start, &first, keys), Verdict::Stale, "replayed");
            assert_eq!(p.server.verify(p.start, &second, keys), Verdict::Stale, "replayed");
            assert_eq!(p.server.verify(p.start, &signed(&mut p.session), keys), proven());
        }
    }

    #[test]
    fn wrong_secrets_unknown_users_and_other_requests_are_told_apart() {
        let mut p = phone("wrong", &["SHA-256"]);
        assert_eq!(
            p.server.verify(p.start, &signed(&mut p.session), keys),
            Verdict::Wrong { user: "alice".into() }
        );
        let mut p = phone("wonder land", &["SHA-256"]);
        assert_eq!(
            p.server.verify(p.start, &signed(&mut p.session), |_| None),
            Verdict::Wrong { user: "alice".into() }
        );
        let mut other = signed(&mut p.session);
        other.method = Method::Bye;
        assert_eq!(p.server.verify(p.start, &other, keys), Verdict::Wrong { user: "alice".into() });
        let mut other = signed(&mut p.session);
        other.uri = "sip:board@conf.example.com".parse().unwrap();
        assert_eq!(
            p.server.verify(p.start, &other, keys),
            Verdict::Bad(BadCredentials("another uri than the request's"))
        );
        let mut unknown = Request::new(Method::Invite, "sip:a@b".parse().unwrap());
        assert_eq!(p.server.verify(p.start, &unknown, keys), Verdict::Absent);
        unknown.headers.push(Name::Authorization, "NoOneKnowsThisScheme opaque-data=here");
        unknown
            .headers
            .push(Name::Authorization, "Digest realm=\"elsewhere\", username=\"x\"");
        assert_eq!(p.server.verify(p.start, &unknown, keys), Verdict::Absent);
        unknown
            .headers
            .push(Name::Authorization, "Digest realm=\"conf.example.com\", username=\"x\"");
        assert_eq!(p.server.verify(p.start, &unknown, keys), Verdict::Bad(BadCredentials("no nonce")));
    }

    #[test]
    fn old_and_foreign_nonces_are_stale() {
        let mut p = phone("wonder land", &["MD5"]);
        let request = signed(&mut p.session);
        let late = p.start + NONCE_LIFE + Duration::from_millis(1);
        assert_eq!(p.server.verify(late, &request, keys), Verdict::Stale);
        let mut restarted = Authenticator::new(REALM, [8; 32], p.start);
        assert_eq!(restarted.verify(p.start, &request, keys), Verdict::Stale);
        assert_eq!(p.server.verify(p.start + NONCE_LIFE, &request, keys), proven());
    }

    #[test]
    fn the_table_of_nonces_is_bounded_and_forgetting_opens_no_replay() {
        let mut p = phone("wonder land", &["MD5"]);
        let first = signed(&mut p.session);
        assert_eq!(p.server.verify(p.start, &first, keys), proven());
        for _ in 0..MAX_NONCES {
            let response = challenge(&mut p.server, p.start, false);
            let mut session = Session::new(&response, &Credentials::new("alice", "wonder land"), "c").unwrap();
            assert_eq!(p.server.verify(p.start, &signed(&mut session), keys), proven());
        }
        assert_eq!(p.server.used.len(), MAX_NONCES);
        assert_eq!(p.server.verify(p.start, &first, keys), Verdict::Stale);
    }

    #[test]
    fn nonce_counts_are_taken_once_each() {
        let mut window = Window::default();
        assert!(!window.take(0));
        assert!(window.take(3) && window.take(1) && window.take(2));
        assert!(!window.take(1) && !window.take(2) && !window.take(3));
        assert!(window.take(200) && !window.take(136) && window.take(137));
        assert!(window.take(u32::MAX) && !window.take(200));
    }

    #[test]
    fn r48_debug_shows_no_secret() {
        let mut p = phone("wonder land", &["MD5"]);
        let request = signed(&mut p.session);
        let shown = format!(
            "{:?} {:?} {:?} {request:?}",
            p.server,
            p.session,
            Credentials::new("alice", "wonder land")
        );
        assert!(!shown.contains("wonder") && !shown.contains("response="), "{shown}");
    }
}
