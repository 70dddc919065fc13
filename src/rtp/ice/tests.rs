use is::stun::TransId;
use rand::{Rng, RngCore, SeedableRng, rngs::StdRng};

use super::*;

const HERE: &str = "192.0.2.1:4000";
const THERE: &str = "198.51.100.7:6000";

fn addr(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn ours() -> IceCredentials {
    IceCredentials {
        ufrag: "lite".into(),
        password: "correct horse battery st".into(),
    }
}

fn theirs() -> IceCredentials {
    IceCredentials {
        ufrag: "full".into(),
        password: "another password of theirs".into(),
    }
}

fn agent() -> Lite {
    Lite::new(ours(), theirs())
}

#[derive(Clone, Copy)]
struct Check<'a> {
    username: &'a str,
    password: &'a str,
    controlling: bool,
    nominates: bool,
}

const VALID: Check<'_> = Check {
    username: "lite:full",
    password: "correct horse battery st",
    controlling: true,
    nominates: false,
};

impl Check<'_> {
    fn bytes(self) -> Vec<u8> {
        let mut bytes = vec![0; 256];
        let message = StunMessage::binding_request(self.username, TransId::new(), self.controlling, 7, 1, self.nominates);
        let len = message
            .to_bytes(Some(self.password.as_bytes()), &mut bytes, sha1_hmac)
            .expect("space");
        bytes.truncate(len);
        bytes
    }

    fn to(self, agent: &mut Lite, now: Instant, source: &str) -> Result<(Answer, Vec<u8>), Refused> {
        let bytes = self.bytes();
        let mut reply = [0; MAX_REPLY];
        let answer = agent.handle(now, addr(source), &Request::parse(&bytes).expect("a check"), &mut reply)?;
        Ok((answer, reply[..answer.len].to_vec()))
    }
}

const NOMINATING: Check<'_> = Check { nominates: true, ..VALID };

#[test]
fn a_valid_check_is_answered_with_its_source_and_signed() {
    let mut agent = agent();
    let (answer, reply) = VALID.to(&mut agent, Instant::now(), HERE).expect("valid");
    let reply = StunMessage::parse(&reply).expect("a STUN message");
    assert!(reply.is_successful_binding_response());
    assert_eq!(reply.mapped_address(), Some(addr(HERE)));
    assert!(reply.verify(ours().password.as_bytes(), sha1_hmac));
    assert_eq!(answer.change, Change::Source(None));
    assert_eq!(agent.nominated(), None);
    assert!(agent.sources().eq([addr(HERE)]));
    let (_, six) = VALID.to(&mut agent, Instant::now(), "[2001:db8::1]:9").expect("valid");
    assert_eq!(
        StunMessage::parse(&six).expect("parses").mapped_address(),
        Some(addr("[2001:db8::1]:9"))
    );
}

#[test]
fn a_check_without_our_password_leaves_no_trace() {
    let mut agent = agent();
    for (check, why) in [
        (
            Check {
                password: "wrong",
                ..NOMINATING
            },
            Refused::Integrity,
        ),
        (
            Check {
                username: "lite:other",
                ..NOMINATING
            },
            Refused::User,
        ),
        (
            Check {
                username: "other:full",
                ..NOMINATING
            },
            Refused::User,
        ),
    ] {
        assert_eq!(check.to(&mut agent, Instant::now(), HERE), Err(why));
    }
    assert_eq!((agent.sources().count(), agent.nominated()), (0, None));
}

#[test]
fn use_candidate_is_valid_at_once() {
    let mut agent = agent();
    let (answer, _) = NOMINATING.to(&mut agent, Instant::now(), HERE).expect("valid");
    assert!(answer.nominated);
    assert_eq!(agent.nominated(), Some(addr(HERE)), "no check of ours is waited for");
}

#[test]
fn the_latest_nomination_wins() {
    let (mut agent, now) = (agent(), Instant::now());
    NOMINATING.to(&mut agent, now, HERE).expect("valid");
    VALID.to(&mut agent, now, THERE).expect("valid");
    assert_eq!(agent.nominated(), Some(addr(HERE)), "a check alone moves nothing");
    NOMINATING.to(&mut agent, now, THERE).expect("valid");
    assert_eq!(agent.nominated(), Some(addr(THERE)));
    NOMINATING.to(&mut agent, now, HERE).expect("valid");
    assert_eq!(agent.nominated(), Some(addr(HERE)));
}

#[test]
fn a_role_conflict_is_answered_487_and_changes_nothing() {
    let mut agent = agent();
    let controlled = Check {
        controlling: false,
        ..NOMINATING
    };
    let (answer, reply) = controlled.to(&mut agent, Instant::now(), HERE).expect("answered");
    let reply = StunMessage::parse(&reply).expect("a STUN message");
    assert_eq!(reply.error_code().map(|(code, _)| code), Some(487));
    assert!(reply.verify(ours().password.as_bytes(), sha1_hmac));
    assert_eq!((answer.nominated, answer.change), (false, Change::None));
    assert_eq!((agent.sources().count(), agent.nominated()), (0, None));
    let badly_signed = Check {
        password: "wrong",
        ..controlled
    };
    assert_eq!(
        badly_signed.to(&mut agent, Instant::now(), HERE),
        Err(Refused::Integrity),
        "no answer to anybody"
    );
}

#[test]
fn consent_lasts_30_s_beyond_the_last_check() {
    let (mut agent, start) = (agent(), Instant::now());
    NOMINATING.to(&mut agent, start, HERE).expect("valid");
    let later = start + Duration::from_secs(20);
    VALID.to(&mut agent, later, HERE).expect("valid");
    assert_eq!(agent.expire(start + Duration::from_secs(31)), None);
    assert_eq!(agent.expire(later + CONSENT), Some(addr(HERE)));
    assert_eq!((agent.nominated(), agent.sources().count()), (None, 0));
    assert_eq!(agent.expire(later + CONSENT), None);
    NOMINATING.to(&mut agent, later + CONSENT, HERE).expect("valid");
    assert_eq!(agent.nominated(), Some(addr(HERE)), "it may come back");
}

#[test]
fn after_40_s_of_silence_a_check_is_answered_as_before() {
    let (mut agent, start) = (agent(), Instant::now());
    NOMINATING.to(&mut agent, start, HERE).expect("valid");
    let late = start + Duration::from_secs(40);
    while agent.expire(late).is_some() {}
    assert!(NOMINATING.to(&mut agent, late, THERE).is_ok());
    assert_eq!(agent.nominated(), Some(addr(THERE)));
}

#[test]
fn sources_are_bounded_and_the_one_in_use_keeps_its_place() {
    let (mut agent, start) = (agent(), Instant::now());
    NOMINATING.to(&mut agent, start, HERE).expect("valid");
    let mut evicted = 0;
    for port in 1..=1000u64 {
        let now = start + Duration::from_millis(port);
        let (answer, _) = VALID.to(&mut agent, now, &format!("203.0.113.5:{port}")).expect("valid");
        evicted += usize::from(matches!(answer.change, Change::Source(Some(_))));
    }
    assert_eq!(agent.sources().count(), MAX_SOURCES);
    assert_eq!(
        evicted,
        1000 - (MAX_SOURCES - 1),
        "each one is given back, so that nobody else keeps state for it"
    );
    assert!(agent.sources().any(|s| s == addr(HERE)));
    assert_eq!(agent.nominated(), Some(addr(HERE)));
}

#[test]
fn a_restart_keeps_the_path_until_a_new_check_nominates() {
    let (mut agent, now) = (agent(), Instant::now());
    NOMINATING.to(&mut agent, now, HERE).expect("valid");
    let local = IceCredentials {
        ufrag: "anew".into(),
        password: "a password after restarting".into(),
    };
    agent.renew(local.clone(), theirs());
    assert_eq!(NOMINATING.to(&mut agent, now, THERE), Err(Refused::User), "the old name is over");
    assert_eq!(agent.nominated(), Some(addr(HERE)));
    let renewed = Check {
        username: "anew:full",
        password: &local.password,
        ..NOMINATING
    };
    renewed.to(&mut agent, now, THERE).expect("valid");
    assert_eq!(agent.nominated(), Some(addr(THERE)));
}

#[test]
fn garbage_and_mutated_checks_are_no_checks() {
    let mut rng = StdRng::seed_from_u64(8489);
    let (mut agent, now) = (agent(), Instant::now());
    let valid = NOMINATING.bytes();
    let (mut reply, mut read) = ([0; MAX_REPLY], 0u32);
    for _ in 0..100_000 {
        let mut bytes = valid.clone();
        if rng.random_bool(0.2) {
            bytes = vec![0; rng.random_range(0..200)];
            rng.fill_bytes(&mut bytes);
        } else {
            for _ in 0..rng.random_range(1..4) {
                // Not the fingerprint behind the integrity, which nobody needs who has that.
                let at = rng.random_range(0..bytes.len() - 8);
                bytes[at] ^= rng.random_range(1..=u8::MAX);
            }
            if rng.random_bool(0.2) {
                bytes.truncate(rng.random_range(0..bytes.len()));
            }
        }
        if bytes == valid {
            continue;
        }
        if let Some(request) = Request::parse(&bytes) {
            read += 1;
            assert!(agent.handle(now, addr(HERE), &request, &mut reply).is_err());
        }
    }
    assert!(read > 1000, "some get as far as the integrity: {read}");
    assert_eq!(agent.sources().count(), 0);
}

#[test]
fn answers_and_indications_are_no_checks() {
    let mut agent = agent();
    let (_, reply) = VALID.to(&mut agent, Instant::now(), HERE).expect("valid");
    assert!(Request::parse(&reply).is_none());
    let mut indication = VALID.bytes();
    indication[1] |= 0x10;
    assert!(Request::parse(&indication).is_none());
}
