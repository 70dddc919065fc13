//! Rule R72 through the whole bridge: which calls come in, how they are protected, and when keys change.

use std::time::Duration;

use cusax::model::srtp::{Policy, Protection, Security};
use cusax::model::{LegMedia, MediaOrder};
use cusax::sip::endpoint::{Inbound, Transport};

use super::world::World;

const KEY: &str = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\n";
const OTHER_KEY: &str = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj\r\n";

/// What the media plane was told so far.
fn configured(w: &World) -> Vec<&LegMedia> {
    fn media(order: &MediaOrder) -> Option<&LegMedia> {
        match order {
            MediaOrder::Configure(_, media) => Some(media),
            MediaOrder::Place(..)
            | MediaOrder::Mute(..)
            | MediaOrder::Close(_)
            | MediaOrder::Record { .. }
            | MediaOrder::Prompt(..)
            | MediaOrder::Music(..)
            | MediaOrder::Say(..)
            | MediaOrder::Wait(..)
            | MediaOrder::Volume(..)
            | MediaOrder::InBandKeys(..) => None,
        }
    }
    w.plane.log.iter().filter_map(media).collect()
}

/// Calls from a phone; gives how the call is protected, or what it was refused with.
fn call(policy: Policy, transport: Transport, media: &str) -> Result<Protection, String> {
    let mut w = World::secured(7, policy);
    w.phone_over("guest", transport);
    w.dial_media("guest", "blue", &[], media);
    w.run_until("an answer", |w| {
        w.at("guest").log.iter().any(|l| l == "200" || l.starts_with("ended"))
    });
    w.run_for(Duration::from_millis(50));
    if w.at("guest").log.iter().any(|l| l == "200") {
        return Ok(configured(&w).last().expect("negotiated").security.protection());
    }
    assert!(w.plane.legs.is_empty(), "a call that can't be met costs no port");
    let response = w
        .at("guest")
        .received
        .iter()
        .find(|r| r.starts_with("SIP/2.0 4"))
        .expect("a refusal");
    let kept = |line: &&str| line.starts_with("SIP/2.0") || line.starts_with("Warning");
    Err(response.lines().filter(kept).collect::<Vec<_>>().join("; "))
}

#[test]
fn r72_who_comes_in_and_how_protected() {
    use Policy::{Allowed, Never, Required};
    let (plain, both, secure) = (
        "RTP/AVP 0\r\n".to_owned(),
        format!("RTP/AVP 0\r\n{KEY}"),
        format!("RTP/SAVP 0\r\n{KEY}"),
    );
    let (udp, tls, wss) = (Transport::Udp, Transport::Tls, Transport::Wss);
    for (policy, transport, media, expected) in [
        (Never, tls, &plain, Protection::None),
        (Never, tls, &both, Protection::None),
        (Allowed, udp, &plain, Protection::None),
        (Allowed, udp, &both, Protection::SdesInTheOpen),
        (Allowed, udp, &secure, Protection::SdesInTheOpen),
        (Allowed, tls, &plain, Protection::None),
        (Allowed, tls, &both, Protection::Sdes),
        (Allowed, tls, &secure, Protection::Sdes),
        (Required, tls, &both, Protection::Sdes),
        (Required, tls, &secure, Protection::Sdes),
        (Required, wss, &secure, Protection::Sdes),
    ] {
        assert_eq!(call(policy, transport, media), Ok(expected), "{policy:?} {transport} {media}");
    }
    let unprotected = "SIP/2.0 488 Not Acceptable Here; \
                       Warning: 399 conf.example.com \"encrypted media is required, with keys that others cannot read\"";
    for (transport, media) in [(udp, &plain), (udp, &both), (udp, &secure), (tls, &plain)] {
        assert_eq!(call(Required, transport, media), Err(unprotected.to_owned()), "{transport} {media}");
    }
    assert_eq!(
        call(Never, tls, &secure),
        Err("SIP/2.0 488 Not Acceptable Here; Warning: 302 conf.example.com \"audio over a protocol that is not supported\"".to_owned())
    );
    assert_eq!(
        call(Allowed, tls, "RTP/SAVP 0\r\na=crypto:1 F8_128_HMAC_SHA1_80 inline:x\r\n"),
        Err("SIP/2.0 488 Not Acceptable Here; Warning: 399 conf.example.com \"SRTP: no crypto-suite in common\"".to_owned())
    );
}

#[test]
fn r01_a_certificate_proves_an_account_for_as_long_as_its_connection_is_up() {
    let mut w = World::new(10);
    w.phone_over("ann", Transport::Tls);
    let names = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
    let challenged_after_call = |w: &mut World| {
        let answers = |w: &World| w.at("ann").log.iter().filter(|l| *l == "200").count();
        let before = answers(w);
        w.dial("ann", "blue");
        w.run_until("the call is up", |w| answers(w) > before);
        w.hang_up("ann");
        w.run_for(Duration::from_secs(2));
        assert_eq!(w.leg_of("ann", "blue"), None);
        w.front_counters().challenged
    };
    w.connection("ann", |flow| Inbound::Proven {
        flow,
        names: names(&["conf.example.com", "SIP:ann@Conf.example.com:5060"]),
    });
    assert_eq!(challenged_after_call(&mut w), 0);
    // Somebody else's certificate, and a domain's.
    for (others, challenged) in [(names(&["sip:bob@conf.example.com"]), 1), (names(&["conf.example.com"]), 2)] {
        w.connection("ann", |flow| Inbound::Proven { flow, names: others });
        assert_eq!(challenged_after_call(&mut w), challenged);
    }
    w.connection("ann", |flow| Inbound::Proven {
        flow,
        names: names(&["sip:ann@conf.example.com"]),
    });
    w.connection("ann", Inbound::FlowLost);
    assert_eq!(challenged_after_call(&mut w), 3);
}

/// An offer within the guest's call that comes by UDP, whatever way the call itself came.
fn offer_in_the_open(w: &mut World, media: &str) {
    let answer = w
        .at("guest")
        .received
        .iter()
        .find(|r| r.starts_with("SIP/2.0 200"))
        .expect("its call is up");
    let kept = ["From:", "To:", "Call-ID:"];
    let headers: Vec<&str> = answer.lines().filter(|l| kept.iter().any(|k| l.starts_with(k))).collect();
    let sdp = format!("v=0\r\no=- 1 2 IN IP4 198.51.100.1\r\ns=-\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\nm=audio 6060 {media}");
    let text = format!(
        "INVITE sip:blue@conf.example.com SIP/2.0\r\nVia: SIP/2.0/UDP {{at}};branch=z9hG4bKopen\r\n{}\r\nCSeq: 2147483647 INVITE\r\n\
         Max-Forwards: 70\r\nContact: <sip:guest@{{at}}>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
        headers.join("\r\n"),
        sdp.len()
    );
    w.raw("guest", &text);
}

#[test]
fn r72_an_offer_in_the_open_within_a_protected_call_counts_for_what_it_is() {
    for (policy, expected) in [
        (Policy::Allowed, [Protection::Sdes, Protection::SdesInTheOpen].as_slice()),
        (Policy::Required, &[Protection::Sdes]),
    ] {
        let mut w = World::secured(9, policy);
        w.phone_over("guest", Transport::Tls);
        w.dial_media("guest", "blue", &[], &format!("RTP/SAVP 0\r\n{KEY}"));
        w.run_until("the call is up", |w| w.at("guest").log.iter().any(|l| l == "200"));
        w.run_for(Duration::from_millis(50));
        offer_in_the_open(&mut w, &format!("RTP/SAVP 0\r\n{OTHER_KEY}"));
        let protections: Vec<Protection> = configured(&w).iter().map(|m| m.security.protection()).collect();
        assert_eq!(protections, expected, "{policy:?}");
    }
}

#[test]
fn r72_keys_change_when_theirs_do_and_required_survives_no_downgrade() {
    let mut w = World::secured(8, Policy::Required);
    w.phone_over("guest", Transport::Tls);
    w.dial_media("guest", "blue", &[], &format!("RTP/SAVP 0\r\n{KEY}"));
    w.run_until("the call is up", |w| w.at("guest").log.iter().any(|l| l == "200"));
    w.run_for(Duration::from_millis(50));
    let mut securities = Vec::new();
    for media in [
        format!("RTP/SAVP 0\r\n{KEY}a=sendonly\r\n"),
        format!("RTP/SAVP 0\r\n{OTHER_KEY}"),
        // Refused: the session stays as it was (rule R43).
        "RTP/AVP 0\r\n".to_owned(),
    ] {
        securities.push(configured(&w).last().expect("negotiated").security.clone());
        w.reoffer_media("guest", &media);
        w.run_for(Duration::from_millis(200));
    }
    let all = configured(&w);
    assert_eq!(all.len(), 3, "one answer and two changes");
    assert_eq!(securities[0], securities[1], "a hold keeps both keys");
    let (Security::Sdes(before), Security::Sdes(after)) = (&securities[1], &securities[2]) else {
        panic!("not by a=crypto: {securities:?}");
    };
    assert!(before.remote != after.remote && before.local != after.local);
    let refused = w.at("guest").received.iter().any(|r| r.starts_with("SIP/2.0 488"));
    assert!(refused && w.at("guest").call.is_some(), "the offer is refused, the call goes on");
}

#[test]
fn r72_asked_for_an_offer_we_make_one_that_can_be_met() {
    for (policy, line) in [
        (Policy::Never, "RTP/AVP 0 "),
        (Policy::Allowed, "RTP/AVP 0 "),
        // Keys of `a=crypto` would not count here.
        (Policy::Required, "UDP/TLS/RTP/SAVPF 0 "),
    ] {
        let mut w = World::secured(9, policy);
        w.phone("guest");
        w.raw(
            "guest",
            "INVITE sip:blue@conf.example.com SIP/2.0\r\nVia: SIP/2.0/UDP {at};branch=z9hG4bKx\r\nMax-Forwards: 70\r\n\
             From: <sip:guest@elsewhere.example>;tag=1\r\nTo: <sip:blue@conf.example.com>\r\nCall-ID: raw\r\nCSeq: 1 INVITE\r\n\
             Contact: <sip:guest@{at}>\r\nContent-Length: 0\r\n\r\n",
        );
        let answer = w.at("guest").received.iter().find(|r| r.starts_with("SIP/2.0 200")).expect("taken");
        let audio = answer.lines().find(|l| l.starts_with("m=audio")).expect("an offer");
        assert!(audio.contains(line), "{policy:?}: {audio}");
        let has = |what: &str| answer.contains(what);
        let (keys, fingerprint) = (has("a=crypto:1 AEAD_AES_128_GCM "), has("a=fingerprint:sha-256 07:07"));
        assert_eq!(
            (keys, fingerprint),
            (policy == Policy::Allowed, policy == Policy::Required),
            "{answer}"
        );
    }
}
