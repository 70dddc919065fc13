//! Rule R72: who offers what, what is taken, what is refused, and when keys change.

use super::*;
use crate::model::media::PortKind;
use crate::model::srtp::{Profile, Protection, Sdes};

const CM: &str = "inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";
const OTHER: &str = "inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj";
const GCM: &str = "inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubA==";

fn terms(policy: Policy, signalling_protected: bool) -> Terms {
    Terms {
        policy,
        signalling_protected,
    }
}

fn with(policy: Policy, signalling_protected: bool) -> Negotiation {
    party(&[Codec::Pcmu], terms(policy, signalling_protected), 1)
}

fn audio(protocol: &str, crypto: &[&str]) -> String {
    let lines: String = crypto.iter().map(|c| format!("a=crypto:{c}\r\n")).collect();
    format!("m=audio 4000 {protocol} 0\r\n{lines}")
}

fn cm(tag: u32, key: &str) -> String {
    format!("{tag} AES_CM_128_HMAC_SHA1_80 {key}")
}

fn sdes(media: &LegMedia) -> Sdes {
    match &media.security {
        Security::Sdes(sdes) => *sdes,
        Security::Plain | Security::Dtls(_) => panic!("no SRTP"),
    }
}

fn refusal(policy: Policy, protected: bool, lines: &str) -> Unacceptable {
    with(policy, protected).answer(&offer(lines), from()).expect_err(lines)
}

#[test]
fn r72_what_is_answered_to_whom() {
    use Policy::{Allowed, Never, Required};
    let (plain, secure, both) = (
        audio("RTP/AVP", &[]),
        audio("RTP/SAVP", &[&cm(1, CM)]),
        audio("RTP/AVP", &[&cm(1, CM)]),
    );
    for (policy, protected, lines, expected) in [
        (Never, true, &plain, Protection::None),
        (Never, true, &both, Protection::None),
        (Allowed, true, &plain, Protection::None),
        (Allowed, false, &secure, Protection::SdesInTheOpen),
        (Allowed, false, &both, Protection::SdesInTheOpen),
        (Allowed, true, &secure, Protection::Sdes),
        (Allowed, true, &both, Protection::Sdes),
        (Required, true, &secure, Protection::Sdes),
        (Required, true, &both, Protection::Sdes),
    ] {
        let (text, media) = answered(&mut with(policy, protected), lines);
        assert_eq!(media.security.protection(), expected, "{policy:?} {protected} {lines}");
        assert_eq!(text.contains("a=crypto"), expected != Protection::None, "{text}");
    }
    assert_eq!(refusal(Never, true, &secure), Unacceptable::Protocol);
    for (protected, lines) in [(true, &plain), (false, &plain), (false, &secure), (false, &both)] {
        assert_eq!(
            refusal(Required, protected, lines),
            Unacceptable::Unprotected,
            "{protected} {lines}"
        );
    }
    assert_eq!(Unacceptable::Unprotected.status(), 488);
    assert_eq!(
        Unacceptable::Unprotected.warning("conf.example"),
        "399 conf.example \"encrypted media is required, with keys that others cannot read\""
    );
    // Nothing is opened for what can't be met.
    let check = |lines: &str| check(&offer(lines), &[Codec::Pcmu], HERE.parse().unwrap(), terms(Required, true), true);
    assert_eq!((check(&plain), check(&secure)), (Err(Unacceptable::Unprotected), Ok(PortKind::Own)));
}

#[test]
fn the_first_usable_key_is_answered_under_its_tag() {
    let lines = audio(
        "RTP/SAVPF",
        &[
            &format!("1 AES_256_CM_HMAC_SHA1_80 {CM}"),
            &format!("2 AES_CM_128_HMAC_SHA1_80 {CM}|2^20|1:4"),
            &format!("7 AEAD_AES_128_GCM {GCM}|2^31"),
            &cm(8, CM),
        ],
    );
    let (text, media) = answered(&mut with(Policy::Allowed, true), &lines);
    assert!(text.contains("m=audio 20000 RTP/SAVPF 0\r\n"), "{text}");
    assert!(text.contains("\r\na=crypto:7 AEAD_AES_128_GCM inline:"), "{text}");
    assert_eq!(text.matches("a=crypto").count(), 1);
    let Sdes { local, remote, .. } = sdes(&media);
    assert_eq!(local.profile, remote.profile);
    assert_ne!(local, remote, "section 7.1.2: keys of our own");
    let (text, _) = answered(
        &mut with(Policy::Allowed, true),
        &audio("RTP/SAVP", &[&format!("1 AES_CM_128_HMAC_SHA1_32 {CM}")]),
    );
    assert!(text.contains("a=crypto:1 AES_CM_128_HMAC_SHA1_32"), "{text}");
}

#[test]
fn srtp_without_usable_keys_is_refused_by_name() {
    let refused = |crypto: &[&str]| refusal(Policy::Allowed, true, &audio("RTP/SAVP", crypto));
    assert_eq!(refused(&[]), Unacceptable::Crypto(BadCrypto::Missing));
    assert_eq!(refused(&["1 F8_128_HMAC_SHA1_80 inline:x"]), Unacceptable::Crypto(BadCrypto::Suite));
    let mki = format!("2 AES_CM_128_HMAC_SHA1_80 {CM}|1:4");
    let why = refused(&["1 F8_128_HMAC_SHA1_80 inline:x", &mki]);
    assert_eq!(why.warning("h"), "399 h \"SRTP: master key identifiers are not supported\"");
    // Beside RTP/AVP they are merely no help.
    let (_, media) = answered(&mut with(Policy::Allowed, true), &audio("RTP/AVP", &[&mki]));
    assert_eq!(media.security, Security::Plain);
    // The next line may do better.
    let two = format!("{}{}", audio("RTP/SAVP", &[&mki]), audio("RTP/AVP", &[]));
    let (text, media) = answered(&mut with(Policy::Allowed, true), &two);
    assert_eq!(media.security, Security::Plain);
    assert!(text.contains("m=audio 0 RTP/SAVP 0\r\n"), "{text}");
    assert_eq!(refusal(Policy::Required, true, &two), Unacceptable::Unprotected);
}

#[test]
fn our_key_stays_while_theirs_does() {
    let mut n = with(Policy::Allowed, true);
    let (first, media) = answered(&mut n, &audio("RTP/SAVP", &[&cm(1, CM)]));
    let (again, held) = answered(&mut n, &format!("{}a=sendonly\r\n", audio("RTP/SAVP", &[&cm(1, CM)])));
    assert_eq!(held.security, media.security);
    assert_eq!(version(&again), version(&first) + 1);
    let (_, renewed) = answered(&mut n, &audio("RTP/SAVP", &[&cm(1, OTHER)]));
    assert_ne!(sdes(&renewed).remote, sdes(&media).remote);
    assert_ne!(sdes(&renewed).local, sdes(&media).local, "it may be another device");
    // An offer that can't be met changes nothing.
    assert!(n.answer(&offer(&audio("RTP/SAVP", &[])), from()).is_err());
    let (_, same) = answered(&mut n, &audio("RTP/SAVP", &[&cm(1, OTHER)]));
    assert_eq!(same.security, renewed.security);
}

#[test]
fn r72_dialling_insists_first_and_falls_back_once() {
    let mut n = with(Policy::Allowed, true);
    let first = n.dial();
    assert!(first.contains("m=audio 20000 RTP/SAVP 0 "), "{first}");
    let (gcm, cm) = (
        first.find("a=crypto:1 AEAD_AES_128_GCM inline:"),
        first.find("a=crypto:2 AES_CM_128_HMAC_SHA1_80 inline:"),
    );
    assert!(gcm.is_some() && gcm < cm, "{first}");
    assert_eq!(n.fall_back(486), None);
    let second = n.fall_back(488).expect("a second try");
    assert!(
        second.contains("m=audio 20000 RTP/AVP 0 ") && !second.contains("crypto"),
        "{second}"
    );
    assert_eq!(n.fall_back(488), None, "once");
    let media = n.read_answer(&offer(&audio("RTP/AVP", &[])), from()).expect("agreed");
    assert_eq!(media.security.protection(), Protection::None);
    for mut n in [with(Policy::Required, true), with(Policy::Never, true)] {
        n.dial();
        assert_eq!(n.fall_back(488), None);
    }
    assert!(!with(Policy::Never, true).dial().contains("SAVP"));
}

#[test]
fn r72_what_answers_to_our_offers_bring() {
    let ours = |policy, protected, dials| {
        let mut n = with(policy, protected);
        if dials {
            n.dial()
        } else {
            n.offer()
        };
        n
    };
    let answer = |n: &mut Negotiation, lines: &str| n.read_answer(&offer(lines), from()).map(|m| m.security.protection());
    let (good, plain) = (cm(2, CM), audio("RTP/AVP", &[]));
    // Asked for an offer, we leave it to them.
    assert_eq!(answer(&mut ours(Policy::Allowed, true, false), &plain), Ok(Protection::None));
    assert_eq!(
        answer(&mut ours(Policy::Allowed, true, false), &audio("RTP/AVP", &[&good])),
        Ok(Protection::Sdes)
    );
    assert_eq!(
        answer(&mut ours(Policy::Required, true, false), &audio("RTP/SAVP", &[&good])),
        Ok(Protection::Sdes)
    );
    assert_eq!(
        answer(&mut ours(Policy::Required, true, false), &plain),
        Err(Unacceptable::Unprotected)
    );
    assert_eq!(
        answer(&mut ours(Policy::Required, false, true), &audio("RTP/SAVP", &[&good])),
        Err(Unacceptable::Unprotected)
    );
    // Somebody between takes the S off.
    assert_eq!(answer(&mut ours(Policy::Allowed, true, true), &plain), Err(Unacceptable::Mismatch));
    assert_eq!(
        answer(&mut ours(Policy::Allowed, true, true), &audio("RTP/AVP", &[&good])),
        Err(Unacceptable::Mismatch)
    );
    // A tag, suite or key that doesn't fit.
    let mismatch = Err(Unacceptable::Crypto(BadCrypto::Mismatch));
    for bad in [cm(1, CM), cm(3, CM), format!("2 AES_CM_128_HMAC_SHA1_32 {CM}")] {
        assert_eq!(
            answer(&mut ours(Policy::Allowed, true, true), &audio("RTP/SAVP", &[&bad])),
            mismatch,
            "{bad}"
        );
    }
    let mut n = with(Policy::Allowed, true);
    let own = n.dial();
    let own = own.lines().find_map(|l| l.strip_prefix("a=crypto:2 ")).expect("offered").to_owned();
    assert_eq!(
        answer(&mut n, &audio("RTP/SAVP", &[&format!("2 {own}")])),
        mismatch,
        "our own key comes back"
    );
    // Keys that nobody asked for.
    assert_eq!(
        answer(&mut ours(Policy::Never, true, true), &audio("RTP/AVP", &[&good])),
        Ok(Protection::None)
    );
}

#[test]
fn two_of_us_agree_and_stay_agreed() {
    let (mut caller, mut callee) = (
        party(&[Codec::Pcmu], terms(Policy::Required, true), 1),
        party(&[Codec::Pcmu], terms(Policy::Required, true), 2),
    );
    let offer = caller.dial();
    let (answer, theirs) = callee.answer(offer.as_bytes(), from()).expect("acceptable");
    let ours = caller.read_answer(answer.as_bytes(), from()).expect("agreed");
    let (a, b) = (sdes(&ours), sdes(&theirs));
    assert_eq!((a.local, a.remote), (b.remote, b.local));
    assert_eq!(a.local.profile, Profile::AeadAes128Gcm, "the best comes first");
    // Later offers, from either side, go on with the same keys.
    let offer = callee.offer();
    let (answer, ours) = caller.answer(offer.as_bytes(), from()).expect("acceptable");
    let theirs = callee.read_answer(answer.as_bytes(), from()).expect("agreed");
    assert_eq!((sdes(&ours), sdes(&theirs)), (a, b));
    assert!(offer.contains("RTP/SAVP "), "{offer}");
}

#[test]
fn a_key_that_went_out_of_use_never_comes_back() {
    let mut n = with(Policy::Allowed, true);
    n.dial();
    let gcm = audio("RTP/SAVP", &[&format!("1 AEAD_AES_128_GCM {GCM}")]);
    let read = |n: &mut Negotiation, lines: &str| n.read_answer(&offer(lines), from()).map(|m| sdes(&m).local);
    let first = read(&mut n, &gcm).expect("agreed");
    // As a refresh of the session that is answered by the other suite.
    let cm = audio("RTP/SAVP", &[&cm(2, CM)]);
    assert_eq!(read(&mut n, &cm), Err(Unacceptable::Crypto(BadCrypto::Mismatch)));
    // Offered anew, it may be chosen; then the first is a new one.
    n.offer();
    assert!(read(&mut n, &cm).is_ok());
    n.offer();
    assert_ne!(read(&mut n, &gcm).expect("agreed"), first);
}

#[test]
fn a_key_does_not_come_back_after_a_while_without_encryption() {
    let mut n = with(Policy::Allowed, true);
    let secure = audio("RTP/SAVP", &[&cm(1, CM)]);
    let first = sdes(&answered(&mut n, &secure).1).local;
    assert_eq!(answered(&mut n, &audio("RTP/AVP", &[])).1.security, Security::Plain);
    // Its counters would start over, under a peer's key that is the same.
    let second = sdes(&answered(&mut n, &secure).1).local;
    assert_ne!(first, second);
    // The same by an answer to an offer of ours: whoever leaves the keys out gets new ones with the next offer.
    let mut n = with(Policy::Allowed, true);
    let keyed = audio("RTP/AVP", &[&cm(1, CM)]);
    let first = sdes(&answered(&mut n, &keyed).1).local;
    n.offer();
    let plain = n.read_answer(&offer(&audio("RTP/AVP", &[])), from()).expect("acceptable");
    assert_eq!(plain.security, Security::Plain);
    assert_ne!(first, sdes(&answered(&mut n, &keyed).1).local);
}
