//! Asks everything of whatever bytes come in: what tests with broken input, and a fuzzer, call. Panics only where a parser does.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use rand::{SeedableRng, rngs::StdRng};

use super::{
    auth::Authenticator,
    msg::{Headers, Message, StreamDecoder, parse_datagram},
    sdp::{LocalDtls, LocalMedia, Negotiation, Sdp, Terms},
};
use crate::model::{
    dtls::{Fingerprint, FingerprintHash},
    media::Codec,
    srtp::Policy,
};

/// Reads a datagram and every header, prints it, and reads it as a stream.
pub fn probe_message(bytes: &[u8]) {
    match parse_datagram(bytes) {
        Ok(message) => {
            probe_headers(message.headers());
            let printed = message.to_bytes();
            debug_assert!(parse_datagram(&printed).is_ok(), "what was read and printed is read again");
            if let Message::Request(request) = &message {
                let _ = request.uri.aor();
                let _ = request.uri.equivalent(&request.uri);
            }
        }
        Err(bad) => {
            if let Some(reply) = bad.reply {
                debug_assert!(reply.headers.top_via().is_ok(), "an answer can be sent");
                let _ = reply.to_bytes();
            }
        }
    }
    let mut stream = StreamDecoder::new();
    for piece in bytes.chunks(bytes.len() / 3 + 1) {
        stream.push(piece);
        while let Some(Ok(_)) = stream.next() {}
    }
}

fn probe_headers(headers: &Headers) {
    let _ = (
        headers.vias(),
        headers.from(),
        headers.to(),
        headers.cseq(),
        headers.call_id().map(str::len),
    );
    let _ = (
        headers.contacts(),
        headers.contact(),
        headers.route(),
        headers.record_route(),
        headers.asserted_identities(),
    );
    let _ = (
        headers.max_forwards(),
        headers.content_type(),
        headers.accept(),
        headers.expires(),
        headers.min_expires(),
    );
    let _ = (
        headers.retry_after(),
        headers.event(),
        headers.subscription_state(),
        headers.session_expires(),
        headers.min_se(),
    );
    let _ = (
        headers.rseq(),
        headers.rack(),
        headers.reasons(),
        headers.require(),
        headers.supported(),
        headers.allow(),
    );
    let _ = (headers.allow_events(), headers.privacy(), format!("{headers:?}"));
}

/// Reads a description, answers it, and reads it as the answer to an offer.
pub fn probe_description(bytes: &[u8]) {
    let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let address = SocketAddr::new(here, 20_000);
    let codecs = vec![Codec::Opus, Codec::G722, Codec::Pcma, Codec::Pcmu];
    let local = LocalMedia {
        rtp: address,
        rtcp: address,
        session: 1,
        codecs,
        comfort_noise: true,
        dtls: Some(LocalDtls {
            fingerprint: Fingerprint::new(FingerprintHash::Sha256, &[7; 32]),
            offer: false,
        }),
        ice: None,
        terms: Terms {
            policy: Policy::Allowed,
            signalling_protected: false,
        },
    };
    let mut negotiation = Negotiation::new(local, StdRng::seed_from_u64(1));
    if let Ok((answer, _)) = negotiation.answer(bytes, here) {
        debug_assert!(Sdp::parse(answer.as_bytes()).is_ok(), "what we write we read");
        let _ = negotiation.answer(bytes, here);
    }
    let _ = negotiation.dial();
    let _ = negotiation.read_answer(bytes, here);
    let _ = negotiation.offer();
    let _ = negotiation.read_answer(bytes, here);
}

/// Judges a request's credentials, if it is one.
pub fn probe_credentials(authenticator: &mut Authenticator, now: std::time::Instant, bytes: &[u8]) {
    if let Ok(Message::Request(request)) = parse_datagram(bytes) {
        let _ = authenticator.verify(now, &request, |_| None);
    }
}
