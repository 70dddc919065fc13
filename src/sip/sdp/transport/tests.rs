use rand::{SeedableRng, rngs::StdRng};

use super::*;
use crate::{
    model::{
        Direction, LegMedia,
        dtls::FingerprintHash,
        media::{Codec, PortKind},
        srtp::{Policy, Security},
    },
    sip::sdp::{LocalMedia, Negotiation, Terms, Unacceptable, check},
};

const TERMS: Terms = Terms {
    policy: Policy::Allowed,
    signalling_protected: false,
};

const CODECS: [Codec; 2] = [Codec::Opus, Codec::Pcmu];

fn here() -> std::net::IpAddr {
    "198.51.100.1".parse().unwrap()
}

fn ours(ice: bool, offer: bool) -> Negotiation {
    let local = LocalMedia {
        rtp: SocketAddr::new(here(), 20_000),
        rtcp: SocketAddr::new(here(), 20_001),
        session: 7,
        codecs: CODECS.to_vec(),
        comfort_noise: false,
        dtls: Some(LocalDtls {
            fingerprint: Fingerprint::new(FingerprintHash::Sha256, &[0xab; 32]),
            offer,
        }),
        ice: ice.then_some(IceSeed([3; 32])),
        terms: TERMS,
    };
    Negotiation::new(local, StdRng::seed_from_u64(1))
}

fn print() -> String {
    Fingerprint::new(FingerprintHash::Sha256, &[0x11; 32]).to_string()
}

/// What a browser offers, as far as it matters here.
fn browser(ufrag: &str, more: &str) -> Vec<u8> {
    format!(
        "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\na=extmap-allow-mixed\r\na=msid-semantic: WMS x\r\n\
         m=audio 9 UDP/TLS/RTP/SAVPF 111 63 0 110\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\n\
         a=candidate:1 1 udp 2113937151 3f2c.local 54321 typ host generation 0 network-cost 999\r\n\
         a=ice-ufrag:{ufrag}\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\na=ice-options:trickle\r\na=fingerprint:{}\r\na=setup:actpass\r\na=mid:0\r\n\
         a=sendrecv\r\na=rtcp-mux\r\na=rtcp-rsize\r\na=rtpmap:111 opus/48000/2\r\na=rtpmap:63 red/48000/2\r\na=rtpmap:110 telephone-event/48000\r\n\
         m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=mid:1\r\na=rtpmap:96 VP8/90000\r\na=bundle-only\r\n{more}",
        print()
    )
    .into_bytes()
}

/// A phone with DTLS-SRTP on ports of its own.
fn phone(lines: &str) -> Vec<u8> {
    format!(
        "v=0\r\no=- 1 2 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
         m=audio 4000 UDP/TLS/RTP/SAVP 0\r\na=fingerprint:{}\r\n{lines}",
        print()
    )
    .into_bytes()
}

fn answered(n: &mut Negotiation, offer: &[u8]) -> (String, LegMedia) {
    n.answer(offer, here())
        .unwrap_or_else(|e| panic!("{}: {e}", String::from_utf8_lossy(offer)))
}

fn role(media: &LegMedia) -> Option<DtlsRole> {
    match &media.security {
        Security::Dtls(dtls) => dtls.role,
        Security::Plain | Security::Sdes(_) => panic!("no DTLS"),
    }
}

#[test]
fn a_browser_is_answered_in_full() {
    let mut n = ours(true, false);
    let (text, media) = answered(&mut n, &browser("full", ""));
    let local = IceSeed([3; 32]).credentials(0);
    assert_eq!(
        text,
        format!(
            "v=0\r\no=- 7 1 IN IP4 198.51.100.1\r\ns=-\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\na=ice-lite\r\na=group:BUNDLE 0\r\n\
             m=audio 20000 UDP/TLS/RTP/SAVPF 111 110\r\na=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10;useinbandfec=1\r\n\
             a=rtpmap:110 telephone-event/48000\r\na=fmtp:110 0-15\r\na=ptime:20\r\na=maxptime:60\r\na=sendrecv\r\na=rtcp-mux\r\na=mid:0\r\n\
             a=fingerprint:{}\r\na=setup:passive\r\na=ice-ufrag:{}\r\na=ice-pwd:{}\r\n\
             a=candidate:1 1 udp 2130706431 198.51.100.1 20000 typ host\r\na=end-of-candidates\r\nm=video 0 UDP/TLS/RTP/SAVPF 96\r\n",
            Fingerprint::new(FingerprintHash::Sha256, &[0xab; 32]),
            local.ufrag,
            local.password,
        )
    );
    let remote = IceCredentials {
        ufrag: "full".into(),
        password: "abcdefghijklmnopqrstuvwx".into(),
    };
    assert_eq!(media.ice, Some(IceMedia { local, remote }));
    let dtls = DtlsMedia {
        role: Some(DtlsRole::Passive),
        fingerprints: vec![print().parse().unwrap()],
    };
    assert_eq!(media.security, Security::Dtls(dtls));
    assert!(media.rtcp_mux && !media.on_hold);
    assert_eq!(
        media.direction,
        Direction::SendRecv,
        "0.0.0.0 is no hold before candidates are known"
    );
}

#[test]
fn which_port_an_offer_needs_is_known_before_one_is_opened() {
    let of = |offer: &[u8]| check(offer, &CODECS, here(), TERMS, true);
    assert_eq!(of(&browser("full", "")), Ok(PortKind::Shared));
    assert_eq!(of(&phone("")), Ok(PortKind::Own));
    let lite = String::from_utf8(browser("full", ""))
        .unwrap()
        .replace("s=-\r\n", "s=-\r\na=ice-lite\r\n");
    assert_eq!(of(lite.as_bytes()), Ok(PortKind::Own), "of two lite agents nobody checks");
    let apart = String::from_utf8(browser("full", "")).unwrap().replace("a=rtcp-mux\r\n", "");
    assert_eq!(of(apart.as_bytes()), Ok(PortKind::Own));
    let short = String::from_utf8(browser("full", ""))
        .unwrap()
        .replace("a=ice-ufrag:full", "a=ice-ufrag:abc");
    assert_eq!(of(short.as_bytes()), Ok(PortKind::Own));
    assert_eq!(
        check(&browser("full", ""), &CODECS, here(), TERMS, false),
        Err(Unacceptable::Protocol)
    );
    let never = Terms {
        policy: Policy::Never,
        ..TERMS
    };
    assert_eq!(
        check(&browser("full", ""), &CODECS, here(), never, true),
        Err(Unacceptable::Protocol)
    );
    let required = Terms {
        policy: Policy::Required,
        ..TERMS
    };
    assert_eq!(
        check(&phone(""), &CODECS, here(), required, true),
        Ok(PortKind::Own),
        "r72: its keys are in no signalling"
    );
    let unproven = String::from_utf8(browser("full", ""))
        .unwrap()
        .replace("a=fingerprint:sha-256", "a=fingerprint:sha-1");
    assert_eq!(
        of(unproven.as_bytes()),
        Err(Unacceptable::Protocol),
        "nothing to check a certificate by"
    );
}

#[test]
fn r72_setup_is_answered_with_the_other_half_and_never_with_actpass() {
    for (theirs, answer, expected) in [
        ("a=setup:actpass\r\n", "passive", Some(DtlsRole::Passive)),
        ("", "passive", Some(DtlsRole::Passive)),
        ("a=setup:active\r\n", "passive", Some(DtlsRole::Passive)),
        ("a=setup:PASSIVE\r\n", "active", Some(DtlsRole::Active)),
        ("a=setup:holdconn\r\n", "holdconn", None),
    ] {
        let (text, media) = answered(&mut ours(false, false), &phone(theirs));
        assert!(
            text.contains(&format!("a=setup:{answer}\r\n")) && !text.contains("actpass"),
            "{text}"
        );
        assert_eq!(role(&media), expected);
        assert!(text.contains("m=audio 20000 UDP/TLS/RTP/SAVP 0\r\n"), "{text}");
        assert!(
            !text.contains("ice-") && !text.contains("candidate") && !text.contains("a=mid"),
            "{text}"
        );
    }
}

#[test]
fn r72_our_offer_is_actpass_and_the_answer_decides() {
    for (theirs, expected) in [
        ("a=setup:active\r\n", Some(DtlsRole::Passive)),
        ("a=setup:passive\r\n", Some(DtlsRole::Active)),
        ("a=setup:holdconn\r\n", None),
        ("", Some(DtlsRole::Passive)),
    ] {
        let mut n = ours(false, true);
        let text = n.offer();
        assert!(
            text.contains("a=setup:actpass\r\n") && text.contains("m=audio 20000 UDP/TLS/RTP/SAVPF 111 0"),
            "{text}"
        );
        let media = n.read_answer(&phone(theirs), here()).unwrap();
        assert_eq!(role(&media), expected);
        let again = n.offer();
        assert!(
            again.contains("a=setup:actpass\r\n") && again.contains("UDP/TLS/RTP/SAVPF"),
            "{again}"
        );
    }
    assert!(ours(false, false).offer().contains("RTP/AVP 111 0"), "not unless wanted");
    let mut n = ours(false, true);
    n.offer();
    let plain = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\nc=IN IP4 192.0.2.1\r\nm=audio 4000 RTP/AVP 0\r\n";
    assert_eq!(
        n.read_answer(plain, here()),
        Err(Unacceptable::Mismatch),
        "no way back to plain RTP"
    );
}

#[test]
fn our_offer_by_ice_has_all_that_an_answer_has_and_asks_for_one_port() {
    let mut n = ours(true, false);
    let text = n.offer();
    for line in [
        "a=ice-lite",
        "a=group:BUNDLE 0",
        "a=mid:0",
        "a=setup:actpass",
        "a=rtcp-mux",
        "a=rtcp-mux-only",
        "a=end-of-candidates",
    ] {
        assert!(text.contains(&format!("{line}\r\n")), "{line} in {text}");
    }
    let answer = String::from_utf8(browser("full", "")).unwrap();
    let one_line = answer.split("m=video").next().unwrap().replace("actpass", "active");
    let media = n.read_answer(one_line.as_bytes(), here()).unwrap();
    assert_eq!(media.ice.map(|i| i.remote.ufrag), Some("full".into()));
    let mut n = ours(true, false);
    n.offer();
    assert_eq!(
        n.read_answer(&phone("a=setup:active\r\n"), here()),
        Err(Unacceptable::Protocol),
        "a shared port is no use without ICE"
    );
}

#[test]
fn a_restart_gets_new_credentials_and_keeps_the_association() {
    let mut n = ours(true, false);
    let (first, before) = answered(&mut n, &browser("full", ""));
    let (same, again) = answered(&mut n, &browser("full", ""));
    assert_eq!((&first, &before), (&same, &again));
    let (text, after) = answered(&mut n, &browser("anew", ""));
    let (before, after) = (before.ice.unwrap(), after.ice.unwrap());
    assert_ne!(before.local, after.local);
    assert_eq!(after.remote.ufrag, "anew");
    assert!(text.contains(&after.local.ufrag) && text.contains(&after.local.password) && text.contains("a=setup:passive\r\n"));
    assert_eq!(answered(&mut n, &browser("anew", "")).1.ice, Some(after), "one restart is one");
    assert!(n.answer(b"v=0\r\n", here()).is_err());
    assert_eq!(
        answered(&mut n, &browser("anew", "")).1.ice.unwrap().local,
        IceSeed([3; 32]).credentials(1),
        "r43: what fails changes nothing"
    );
}

#[test]
fn a_role_once_taken_stays_when_it_is_left_to_us() {
    let mut n = ours(false, false);
    let (_, media) = answered(&mut n, &phone("a=setup:passive\r\n"));
    assert_eq!(role(&media), Some(DtlsRole::Active));
    let (text, media) = answered(&mut n, &phone("a=setup:actpass\r\n"));
    assert_eq!(role(&media), Some(DtlsRole::Active));
    assert!(text.contains("a=setup:active\r\n"), "{text}");
}

#[test]
fn an_audio_line_that_rides_on_another_ones_port_takes_its_attributes() {
    let text = String::from_utf8(browser("full", "")).unwrap();
    let (head, audio) = text.split_at(text.find("m=audio").unwrap());
    let audio = audio.split("m=video").next().unwrap();
    let (shared, own): (Vec<&str>, Vec<&str>) = audio.lines().partition(|l| {
        ["a=ice-ufrag", "a=ice-pwd", "a=fingerprint", "a=setup", "a=candidate"]
            .iter()
            .any(|a| l.starts_with(a))
    });
    let own = own.join("\r\n").replace("m=audio 9", "m=audio 0");
    let video_first = format!(
        "{}m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=mid:1\r\na=rtcp-mux\r\n{}\r\n{own}\r\na=bundle-only\r\n",
        head.replace("BUNDLE 0 1", "BUNDLE 1 0"),
        shared.join("\r\n")
    );
    let (text, media) = answered(&mut ours(true, false), video_first.as_bytes());
    assert_eq!(media.ice.map(|i| i.remote.ufrag), Some("full".into()));
    assert_eq!(role_of(&text), "passive");
    assert!(
        text.contains("m=video 0 ") && text.contains("m=audio 20000 ") && text.contains("a=group:BUNDLE 0\r\n"),
        "{text}"
    );
}

fn role_of(text: &str) -> &str {
    text.lines().find_map(|l| l.strip_prefix("a=setup:")).unwrap_or("none")
}

#[test]
fn credentials_have_the_length_and_the_characters_asked_for() {
    for restarts in 0..1000 {
        let IceCredentials { ufrag, password } = IceSeed([9; 32]).credentials(restarts);
        assert_eq!((ufrag.len(), password.len()), (8, 24));
        let ice_char = |b: u8| b.is_ascii_alphanumeric() || b == b'+' || b == b'/';
        assert!(ufrag.bytes().chain(password.bytes()).all(ice_char));
    }
}
