//! Mutated SIP messages and descriptions: no input panics, and none takes long.

use std::time::Instant;

use cusax::sip::{
    auth::Authenticator,
    probe::{probe_credentials, probe_description, probe_message},
};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};

/// Of each kind, unless `CUSAX_MUTATIONS` asks for more: unoptimised, each costs some 0.1 ms.
const ROUNDS: usize = 20_000;

const MESSAGES: &[&str] = &[
    "INVITE sip:r@[2001:db8::1]:5062;lr SIP/2.0\r\nVia: SIP/2.0/UDP h:5060;branch=z9hG4bK1;rport;received=1.2.3.4, SIP/2.0/TCP [::1]\r\n\
     f: \"A \\\" B\" <sip:a%20b@c>;tag=1\r\nt: sip:r@h;x=y\r\ni: 1@h\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\n\
     m: <sip:a@h;transport=tcp?x=y>;+sip.instance=\"<urn:uuid:1>\";expires=9\r\nRoute: <sip:p;lr>, <sip:q>\r\nSession-Expires: 90;refresher=uac\r\n\
     Supported: timer, 100rel\r\nl: 4\r\n\r\nv=0\r\n",
    "SIP/2.0 200 OK\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK2\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\nCall-ID: x\r\nCSeq: 2 SUBSCRIBE\r\n\
     Expires: 3600\r\nContact: *\r\nRetry-After: 5 (busy)\r\nRSeq: 1\r\nAllow: INVITE, FOO\r\nContent-Length: 0\r\n\r\n",
    "PRACK sips:u:p@h;a=b SIP/2.0\r\nVia: SIP / 2.0 / WS h ; branch = x\r\nFrom: a<tel:+1>;tag=1\r\nTo: <x:y>\r\nCall-ID: 2\r\nCSeq: 3 PRACK\r\n\
     RAck: 1 2 INVITE\r\nEvent: conference;id=1\r\nSubscription-State: active;expires=1\r\nAccept: a/b;q=0, */*\r\nReason: SIP;cause=200;text=\"x\"\r\n\
     Authorization: Digest username=\"a\", realm=\"r\", nonce=\"n\", uri=\"sips:h\", response=\"0\", qop=auth, nc=00000001, cnonce=\"c\"\r\n\
     Subject: folded\r\n line\r\n\r\n",
];

const DESCRIPTIONS: &[&str] = &[
    "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 96 0 8 13 101\r\na=rtpmap:96 opus/48000/2\r\n\
     a=fmtp:96 usedtx=1;useinbandfec=1\r\na=rtpmap:101 telephone-event/8000\r\na=ptime:40\r\na=maxptime:60\r\na=rtcp:4001 IN IP4 192.0.2.2\r\n\
     a=rtcp-mux\r\na=sendonly\r\nm=video 5000 RTP/AVP 31\r\n",
    "v=0\no=x 1 2 IN IP6 ::1\ns=\nt=0 0\na=inactive\nm=message 9 TCP/MSRP *\nm=audio 65535/2 RTP/AVPF 8 110\nc=IN IP4 h.example\na=rtpmap:110 telephone-event/48000\n",
    "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/SAVP 0\r\n\
     a=crypto:1 AEAD_AES_128_GCM inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubA==|2^31|1:0 WSH=64\r\n\
     a=crypto:2 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|1048576|1:4 KDR=1 -x\r\n",
];

/// Pieces that parsers stumble over.
const ODD: &[&[u8]] = &[
    b"\r\n",
    b"\r\n\r\n",
    b"\r\n ",
    b"\r",
    b"\0",
    b"\xff",
    b"\"",
    b"\\",
    b"<",
    b">",
    b",",
    b";",
    b"=",
    b":",
    b"@",
    b"%",
    b"%zz",
    b"[",
    b"]",
    b"*",
    b"-1",
    b"18446744073709551615",
    b"4294967296",
    b"65536",
    b"\xc3\x28",
    b"Content-Length: 9",
    b"/",
    b"?",
    b"a=",
    b"m=audio",
    b" ",
    b"0.0.0.0",
];

fn mutate(bytes: &mut Vec<u8>, rng: &mut StdRng) {
    for _ in 0..rng.random_range(1..=6) {
        let at = rng.random_range(0..=bytes.len());
        let end = rng.random_range(at..=bytes.len().min(at + 40));
        match rng.random_range(0..6) {
            0 if at < bytes.len() => bytes[at] ^= 1 << rng.random_range(0..8),
            1 if at < bytes.len() => bytes[at] = rng.random(),
            2 => drop(bytes.drain(at..end)),
            3 => bytes.extend_from_within(at..end),
            4 if rng.random_bool(0.1) => bytes.truncate(at),
            _ => drop(bytes.splice(at..at, ODD.choose(rng).unwrap().iter().copied())),
        }
    }
}

fn rounds(seeds: &[&str], seed: u64, mut probe: impl FnMut(&[u8])) {
    let mut rng = StdRng::seed_from_u64(seed);
    let rounds = std::env::var("CUSAX_MUTATIONS").ok().and_then(|n| n.parse().ok()).unwrap_or(ROUNDS);
    for round in 0..rounds {
        let mut bytes = seeds[round % seeds.len()].as_bytes().to_vec();
        if round >= seeds.len() {
            mutate(&mut bytes, &mut rng);
        }
        probe(&bytes);
    }
}

#[test]
fn no_message_panics() {
    let now = Instant::now();
    let mut authenticator = Authenticator::new("r", [1; 32], now);
    rounds(MESSAGES, 11, |bytes| {
        probe_message(bytes);
        probe_credentials(&mut authenticator, now, bytes);
    });
}

#[test]
fn no_description_panics() {
    rounds(DESCRIPTIONS, 12, probe_description);
}
