use std::net::IpAddr;

use rand::{SeedableRng, rngs::StdRng};

use super::*;
use crate::model::{
    Direction, LegMedia,
    media::{Codec, Levels, OpusClass},
    srtp::{Policy, Security},
};

mod security;

const HERE: &str = "198.51.100.1";

fn from() -> IpAddr {
    "203.0.113.9".parse().unwrap()
}

const PLAIN: Terms = Terms {
    policy: Policy::Never,
    signalling_protected: false,
};

fn ours(codecs: &[Codec]) -> Negotiation {
    party(codecs, PLAIN, 1)
}

fn party(codecs: &[Codec], terms: Terms, seed: u64) -> Negotiation {
    let local = LocalMedia {
        rtp: format!("{HERE}:20000").parse().unwrap(),
        rtcp: format!("{HERE}:20001").parse().unwrap(),
        session: 7,
        codecs: codecs.to_vec(),
        comfort_noise: true,
        dtls: None,
        ice: None,
        terms,
    };
    Negotiation::new(local, StdRng::seed_from_u64(seed))
}

fn all() -> Negotiation {
    ours(&[Codec::Opus, Codec::G722, Codec::Pcma, Codec::Pcmu])
}

fn offer(lines: &str) -> Vec<u8> {
    format!("v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n{lines}").into_bytes()
}

fn answered(n: &mut Negotiation, lines: &str) -> (String, LegMedia) {
    n.answer(&offer(lines), from()).unwrap_or_else(|e| panic!("{lines}: {e}"))
}

fn refused(lines: &str) -> Unacceptable {
    all().answer(&offer(lines), from()).expect_err(lines)
}

fn version(text: &str) -> u64 {
    Sdp::parse(text.as_bytes()).unwrap().origin.version
}

#[test]
fn a_plain_phone_is_answered_with_one_codec() {
    let (text, media) = answered(
        &mut all(),
        "m=audio 4000 RTP/AVP 0 8 101 13\r\na=rtpmap:101 telephone-event/8000\r\na=ptime:30\r\n",
    );
    assert_eq!(
        text,
        "v=0\r\no=- 7 1 IN IP4 198.51.100.1\r\ns=-\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\nm=audio 20000 RTP/AVP 8 13 101\r\n\
         a=rtpmap:8 PCMA/8000\r\na=rtpmap:13 CN/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:30\r\na=maxptime:60\r\n\
         a=sendrecv\r\n"
    );
    let expected = LegMedia {
        codec: Codec::Pcma,
        payload_type_out: 8,
        payload_type_in: 8,
        ptime_ms: 30,
        dtmf_in: Some(101),
        comfort_noise: true,
        dtx: false,
        fec: false,
        opus: OpusClass::Full,
        levels: Levels::default(),
        rtp: "192.0.2.1:4000".parse().unwrap(),
        rtcp: "192.0.2.1:4001".parse().unwrap(),
        rtcp_mux: false,
        security: Security::Plain,
        signalled_from: from(),
        direction: Direction::SendRecv,
        on_hold: false,
        ice: None,
    };
    assert_eq!(media, expected);
}

#[test]
fn r70_key_presses_have_the_clock_of_the_codec_in_use() {
    let both = "m=audio 4000 RTP/AVP 96 0 97 98\r\na=rtpmap:96 opus/48000/2\r\na=fmtp:96 usedtx=1\r\na=rtpmap:97 telephone-event/8000\r\n\
                a=rtpmap:98 telephone-event/48000\r\na=rtcp-mux\r\n";
    let (text, media) = answered(&mut all(), both);
    assert_eq!(
        (media.codec, media.payload_type_out, media.dtmf_in, media.dtx),
        (Codec::Opus, 96, Some(98), true)
    );
    assert!(
        media.rtcp_mux && media.rtcp == media.rtp && text.contains("a=rtcp-mux\r\n"),
        "{text}"
    );
    assert_eq!(answered(&mut ours(&[Codec::Pcmu]), both).1.dtmf_in, Some(97));
    let one = "m=audio 4000 RTP/AVP 96 97\r\na=rtpmap:96 opus/48000/2\r\na=rtpmap:97 telephone-event/8000\r\n";
    assert_eq!(answered(&mut all(), one).1.dtmf_in, Some(97));
    let text = all().offer();
    for map in [
        "111 opus/48000/2",
        "9 G722/8000",
        "8 PCMA/8000",
        "0 PCMU/8000",
        "13 CN/8000",
        "101 telephone-event/8000",
        "110 telephone-event/48000",
    ] {
        assert!(text.contains(&format!("a=rtpmap:{map}\r\n")), "{text}");
    }
}

#[test]
fn r69_levels_are_agreed_in_both_roles() {
    let uri = |which| format!("urn:ietf:params:rtp-hdrext:{which}-audio-level");
    let lines = format!(
        "m=audio 4000 RTP/AVP 0\r\na=extmap:4 {}\r\na=extmap:9/recvonly {}\r\n",
        uri("ssrc"),
        uri("csrc")
    );
    let (text, media) = answered(&mut all(), &lines);
    assert_eq!((media.levels.own, media.levels.mixed), (Some(4), Some(9)));
    for line in [format!("4/recvonly {}", uri("ssrc")), format!("9/sendonly {}", uri("csrc"))] {
        assert!(text.contains(&format!("a=extmap:{line}\r\n")), "{text}");
    }
    let mut n = all();
    assert!(n.offer().contains(&format!("a=extmap:1/recvonly {}\r\n", uri("ssrc"))));
    let answer = offer(&format!("m=audio 4000 RTP/AVP 0\r\na=extmap:1/sendonly {}\r\n", uri("ssrc")));
    let media = n.read_answer(&answer, from()).unwrap();
    assert_eq!((media.levels.own, media.levels.mixed), (Some(1), None));
}

#[test]
fn r43_other_lines_are_refused_in_place() {
    let mut n = all();
    let lines = "m=video 5000 RTP/AVP 31\r\na=rtpmap:31 LPC/90000\r\nm=audio 4000 RTP/SAVP 0\r\na=crypto:1 x inline:y\r\nm=audio 4002 RTP/AVP 0\r\na=crypto:1 x inline:y\r\nm=message 9 TCP/MSRP *\r\n";
    let (text, media) = answered(&mut n, lines);
    let kinds: Vec<String> = text.lines().filter(|l| l.starts_with("m=")).map(str::to_owned).collect();
    assert_eq!(
        kinds,
        [
            "m=video 0 RTP/AVP 31",
            "m=audio 0 RTP/SAVP 0",
            "m=audio 20000 RTP/AVP 0",
            "m=message 0 TCP/MSRP *"
        ]
    );
    assert!(!text.contains("crypto"));
    assert_eq!(media.rtp.port(), 4002);
    // The lines stay when the peer asks for our offer, and what it offers less of stays away.
    let again = n.offer();
    let kinds: Vec<&str> = again.lines().filter(|l| l.starts_with("m=")).collect();
    assert_eq!(kinds.len(), 4, "{again}");
    assert!(kinds[2].starts_with("m=audio 20000 RTP/AVP 111 9 8 0"), "{again}");
}

#[test]
fn r43_the_version_rises_only_on_change() {
    let mut n = all();
    let lines = "m=audio 4000 RTP/AVP 0\r\n";
    assert_eq!(version(&answered(&mut n, lines).0), 1);
    assert_eq!(version(&answered(&mut n, lines).0), 1, "a session refresh");
    assert_eq!(version(&answered(&mut n, &format!("{lines}a=sendonly\r\n")).0), 2);
    assert!(n.answer(b"v=0\r\nnonsense", from()).is_err());
    assert!(n.answer(&offer("m=audio 4000 RTP/AVP 3\r\n"), from()).is_err());
    assert_eq!(
        version(&answered(&mut n, &format!("{lines}a=sendonly\r\n")).0),
        2,
        "a failed one leaves the session"
    );
    assert_eq!(version(&answered(&mut n, lines).0), 3);
}

#[test]
fn r44_hold_is_a_two_way_peer_going_one_way() {
    let mut n = all();
    let line = "m=audio 4000 RTP/AVP 0\r\n";
    for (more, direction, held) in [
        ("", Direction::SendRecv, false),
        ("a=sendonly\r\n", Direction::RecvOnly, true),
        ("a=sendonly\r\n", Direction::RecvOnly, true),
        ("a=inactive\r\n", Direction::Inactive, true),
        ("a=sendrecv\r\n", Direction::SendRecv, false),
        ("c=IN IP4 0.0.0.0\r\n", Direction::RecvOnly, true),
        ("a=recvonly\r\n", Direction::SendOnly, false),
    ] {
        let (text, media) = answered(&mut n, &format!("{line}{more}"));
        assert_eq!((media.direction, media.on_hold), (direction, held), "{more}");
        let names = [
            ("sendrecv", Direction::SendRecv),
            ("recvonly", Direction::RecvOnly),
            ("sendonly", Direction::SendOnly),
            ("inactive", Direction::Inactive),
        ];
        let (name, _) = names.iter().find(|(_, d)| *d == direction).unwrap();
        assert!(text.ends_with(&format!("a={name}\r\n")), "{text}");
    }
}

#[test]
fn r44_a_first_offer_of_sendonly_is_a_broadcaster() {
    let mut n = all();
    let (_, media) = answered(&mut n, "a=sendonly\r\nm=audio 4000 RTP/AVP 0\r\n");
    assert_eq!((media.direction, media.on_hold), (Direction::RecvOnly, false));
    let (_, media) = answered(&mut n, "a=sendonly\r\nm=audio 4000 RTP/AVP 0\r\n");
    assert!(!media.on_hold, "still one");
}

#[test]
fn r40_what_cannot_be_met_is_a_488_with_a_warning() {
    for (lines, why, code) in [
        (
            "m=audio 4000 RTP/SAVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x\r\n",
            Unacceptable::Protocol,
            302,
        ),
        ("m=audio 4000 RTP/AVP 3 97\r\na=rtpmap:97 iLBC/8000\r\n", Unacceptable::NoCodec, 305),
        ("m=audio 0 RTP/AVP 0\r\n", Unacceptable::NoAudio, 304),
        ("m=video 4000 RTP/AVP 31\r\n", Unacceptable::NoAudio, 304),
        ("", Unacceptable::NoAudio, 304),
        ("m=audio 4000 RTP/AVP 0\r\nc=IN IP6 2001:db8::1\r\n", Unacceptable::Family, 301),
        ("m=audio 4000 RTP/AVP 0\r\nc=IN IP4 224.2.1.1/127\r\n", Unacceptable::Multicast, 330),
    ] {
        let found = refused(lines);
        assert_eq!(found, why, "{lines}");
        assert_eq!(found.status(), 488);
        assert!(found.warning("host.example").starts_with(&format!("{code} host.example \"")));
        assert_eq!(
            check(
                &offer(lines),
                &[Codec::Opus, Codec::Pcma, Codec::Pcmu],
                HERE.parse().unwrap(),
                PLAIN,
                true
            ),
            Err(why)
        );
    }
    let bad = all().answer(b"hello", from()).expect_err("no description");
    assert_eq!(bad.status(), 400);
}

#[test]
fn our_offer_is_answered_with_numbers_of_the_peer() {
    let mut n = all();
    let text = n.offer();
    assert!(text.contains("a=rtcp:20001\r\n") && text.contains("a=rtcp-mux\r\n"), "{text}");
    let lines = "m=audio 4000 RTP/AVP 96 0 97\r\na=rtpmap:96 opus/48000/2\r\na=rtpmap:97 telephone-event/48000\r\na=ptime:40\r\na=rtcp:4444 IN IP4 192.0.2.77\r\n";
    let media = n.read_answer(&offer(lines), from()).unwrap();
    assert_eq!(
        (media.codec, media.payload_type_out, media.payload_type_in, media.dtmf_in),
        (Codec::Opus, 96, 111, Some(110))
    );
    assert_eq!(
        (media.ptime_ms, media.rtcp_mux, media.rtcp),
        (40, false, "192.0.2.77:4444".parse().unwrap())
    );
    assert!(!media.comfort_noise);
    // The next offer in this call keeps our numbers and counts on.
    let again = n.offer();
    assert_eq!(again, text, "nothing changed");
}

#[test]
fn answers_that_do_not_fit_are_refused() {
    assert_eq!(
        all().read_answer(&offer("m=audio 4000 RTP/AVP 0\r\n"), from()),
        Err(Unacceptable::Mismatch),
        "nothing was offered"
    );
    for (lines, why) in [
        ("m=audio 4000 RTP/AVP 0\r\nm=video 0 RTP/AVP 31\r\n", Unacceptable::Mismatch),
        ("m=audio 0 RTP/AVP 0\r\n", Unacceptable::NoAudio),
        ("m=audio 4000 RTP/AVP 3\r\n", Unacceptable::NoCodec),
    ] {
        let mut n = all();
        n.offer();
        assert_eq!(n.read_answer(&offer(lines), from()), Err(why), "{lines}");
    }
    let mut n = ours(&[Codec::Pcmu]);
    n.offer();
    let media = n.read_answer(&offer("m=audio 4000 RTP/AVP 8 0\r\n"), from()).unwrap();
    assert_eq!(media.codec, Codec::Pcmu, "what wasn't offered doesn't count");
}

#[test]
fn a_codec_in_use_stays_while_it_is_offered() {
    let mut n = all();
    assert_eq!(answered(&mut n, "m=audio 4000 RTP/AVP 0\r\n").1.codec, Codec::Pcmu);
    let richer = "m=audio 4000 RTP/AVP 96 8 0\r\na=rtpmap:96 opus/48000/2\r\na=sendonly\r\n";
    assert_eq!(answered(&mut n, richer).1.codec, Codec::Pcmu);
    assert_eq!(answered(&mut n, "m=audio 4000 RTP/AVP 8\r\n").1.codec, Codec::Pcma);
}

#[test]
fn numbers_of_the_peer_are_not_given_another_meaning() {
    let mut n = all();
    answered(&mut n, "m=audio 4000 RTP/AVP 0 111\r\na=rtpmap:111 telephone-event/8000\r\n");
    let text = n.offer();
    assert!(
        text.contains("a=rtpmap:111 telephone-event/8000\r\n") && text.contains("a=rtpmap:96 opus/48000/2\r\n"),
        "{text}"
    );
}

#[test]
fn r70_packet_lengths_are_what_the_peer_wants_if_the_codec_has_them() {
    for (lines, bytes, opus) in [
        ("", 20, 20),
        ("a=ptime:10\r\n", 10, 20),
        ("a=ptime:2\r\n", 10, 20),
        ("a=ptime:30\r\n", 30, 20),
        ("a=ptime:40\r\n", 40, 40),
        ("a=maxptime:10\r\n", 10, 20),
        ("a=maxptime:40\r\n", 20, 20),
        ("a=ptime:60\r\na=maxptime:50\r\n", 50, 40),
        ("a=ptime:500\r\n", 60, 60),
        ("a=ptime:20.0\r\n", 20, 20),
        ("a=ptime:x\r\n", 20, 20),
    ] {
        for (line, expected) in [
            ("m=audio 4000 RTP/AVP 0\r\n", bytes),
            ("m=audio 4000 RTP/AVP 8\r\n", bytes),
            ("m=audio 4000 RTP/AVP 9\r\n", bytes),
            ("m=audio 4000 RTP/AVP 96\r\na=rtpmap:96 opus/48000/2\r\n", opus),
        ] {
            let (text, media) = answered(&mut all(), &format!("{line}{lines}"));
            assert_eq!(media.ptime_ms, expected, "{line} {lines}");
            assert!(text.contains(&format!("a=ptime:{expected}\r\na=maxptime:60\r\n")), "{text}");
        }
    }
}

#[test]
fn r70_a_g722_phone_is_answered_at_8000_hz() {
    let (text, media) = answered(
        &mut ours(&[Codec::G722, Codec::Pcma]),
        "m=audio 4000 RTP/AVP 9 8 13 101\r\na=rtpmap:101 telephone-event/8000\r\n",
    );
    assert!(text.contains("m=audio 20000 RTP/AVP 9 101\r\na=rtpmap:9 G722/8000\r\n"), "{text}");
    assert_eq!(
        (media.codec, media.payload_type_in, media.dtmf_in, media.comfort_noise),
        (Codec::G722, 9, Some(101), false),
        "comfort noise is G.711's"
    );
    // A mapping with another clock isn't the static one.
    let odd = "m=audio 4000 RTP/AVP 9\r\na=rtpmap:9 G722/16000\r\n";
    assert_eq!(refused(odd), Unacceptable::NoCodec);
}

#[test]
fn r63_what_an_opus_peer_wants_is_answered_and_kept() {
    let line = "m=audio 4000 RTP/AVP 96\r\na=rtpmap:96 opus/48000/2\r\na=fmtp:96 maxplaybackrate=16000;stereo=1;sprop-stereo=1;usedtx=1;useinbandfec=1\r\n";
    let mut n = all();
    let (text, media) = answered(&mut n, line);
    assert_eq!((media.opus, media.dtx, media.fec), (OpusClass::Wide, true, true));
    assert!(text.contains("a=fmtp:96 minptime=10;useinbandfec=1\r\n"), "{text}");
    // A second offer may want something else.
    let (_, media) = answered(&mut n, &line.replace("maxplaybackrate=16000", "cbr=1"));
    assert_eq!(media.opus, OpusClass::Constant);
    let mut n = all();
    n.offer();
    let media = n.read_answer(&offer(line), from()).unwrap();
    assert_eq!(
        (media.opus, media.payload_type_out, media.payload_type_in),
        (OpusClass::Wide, 96, 111)
    );
    assert_eq!(
        answered(&mut all(), "m=audio 4000 RTP/AVP 0\r\na=fmtp:0 cbr=1\r\n").1.opus,
        OpusClass::Full
    );
}

#[test]
fn ipv6_and_names() {
    let mut n = ours(&[Codec::Pcmu]);
    let (_, media) = answered(&mut n, "m=audio 4000 RTP/AVP 0\r\nc=IN IP4 phone.example\r\n");
    assert_eq!(media.rtp, "203.0.113.9:4000".parse().unwrap(), "a name can't be looked up here");
    let local = LocalMedia {
        rtp: "[2001:db8::1]:20000".parse().unwrap(),
        rtcp: "[2001:db8::1]:20003".parse().unwrap(),
        session: 7,
        codecs: vec![Codec::Pcmu],
        comfort_noise: false,
        dtls: None,
        ice: None,
        terms: Terms::default(),
    };
    let mut six = Negotiation::new(local, StdRng::seed_from_u64(1));
    let (text, media) = answered(&mut six, "m=audio 65535 RTP/AVP 0 13\r\nc=IN IP6 2001:db8::2\r\n");
    assert!(
        text.contains("c=IN IP6 2001:db8::1\r\n") && text.contains("a=rtcp:20003\r\n") && !text.contains("CN/"),
        "{text}"
    );
    assert_eq!(media.rtp, "[2001:db8::2]:65535".parse().unwrap());
}
