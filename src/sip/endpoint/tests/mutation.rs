//! Broken and nonsensical messages by the thousand: nothing panics, and nothing is kept beyond its limit.

use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

use super::*;

/// Enough to hit each branch of the endpoint many times, in a few seconds.
const ROUNDS: u32 = 50_000;

/// Changes bytes, cuts, doubles, and exchanges what is meaningful.
fn mutate(rng: &mut StdRng, text: &str) -> Vec<u8> {
    const PIECES: &[&str] = &[
        "\r\n",
        "\r\n\r\n",
        ";",
        ",",
        "<",
        ">",
        "\"",
        "sip:",
        "tag=",
        "z9hG4bK",
        "0",
        "4294967296",
        "-1",
        "INVITE",
        "ACK",
        "BYE",
        "CANCEL",
        "UPDATE",
        "SUBSCRIBE",
        "SIP/2.0",
        "Content-Length: 0\r\n",
        "Expires: 0\r\n",
        "Require: timer\r\n",
        "Route: <sip:x;lr>\r\n",
        "\0",
        "é",
    ];
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..rng.random_range(0..5) {
        let at = rng.random_range(0..=bytes.len());
        match rng.random_range(0..4) {
            0 if at < bytes.len() => bytes[at] = rng.random(),
            1 => {
                let end = (at + rng.random_range(0..40)).min(bytes.len());
                bytes.drain(at..end);
            }
            2 => {
                let end = (at + rng.random_range(0..80)).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
            _ => {
                let piece = PIECES[rng.random_range(0..PIECES.len())];
                bytes.splice(at..at, piece.bytes());
            }
        }
    }
    bytes
}

#[test]
fn r48_mutated_messages_neither_panic_nor_pile_up() {
    let mut rng = StdRng::seed_from_u64(48);
    let limits = Limits {
        transactions: 500,
        calls: 50,
        subscriptions: 50,
        ..Limits::default()
    };
    let mut lab = Lab::with(EndpointConfig { limits, ..config() });
    let methods = [
        "INVITE",
        "ACK",
        "BYE",
        "CANCEL",
        "UPDATE",
        "INFO",
        "OPTIONS",
        "SUBSCRIBE",
        "NOTIFY",
        "REGISTER",
        "FOO",
    ];
    let mut heard: Vec<Vec<u8>> = Vec::new();
    let mut tags = vec!["nobody".to_owned()];
    for round in 0..ROUNDS {
        let n = rng.random_range(0..40);
        let method = methods[rng.random_range(0..methods.len())];
        let mut ask = Ask::new(method, &format!("b{n}"), round / 100 + n).with("Event: conference\r\nAllow: UPDATE\r\n");
        if rng.random_bool(0.5) {
            ask = ask.inside(&tags[rng.random_range(0..tags.len())]);
        }
        if rng.random_bool(0.5) {
            ask = ask.sdp("v=0");
        }
        let mut bytes = mutate(&mut rng, &ask.text());
        if !heard.is_empty() && rng.random_bool(0.2) {
            // What we have sent ourselves, and answers to it.
            let own = &heard[rng.random_range(0..heard.len())];
            let answered = match parse_datagram(own) {
                Ok(Message::Request(request)) => Response::to_request(&request, rng.random_range(100..700)).to_bytes(),
                Ok(Message::Response(_)) | Err(_) => own.clone(),
            };
            bytes = mutate(&mut rng, &String::from_utf8_lossy(&answered));
        }
        let remote = SocketAddr::from(([203, 0, 113, rng.random_range(0..20)], 5060));
        let flow = Flow { remote, ..lab.flow };
        lab.endpoint.handle_inbound(lab.now, Inbound::Datagram { flow, bytes });
        lab.pass(Duration::from_millis(rng.random_range(0..50)));
        for transmit in lab.transmits() {
            if let Ok(message) = parse_datagram(&transmit.bytes)
                && let Some(tag) = message.headers().to().ok().and_then(|to| to.tag().map(str::to_owned))
            {
                tags.push(tag);
            }
            heard.push(transmit.bytes);
        }
        heard.drain(..heard.len().saturating_sub(50));
        tags.drain(..tags.len().saturating_sub(20));
        react(&mut lab, &mut rng);
        let alive = lab.endpoint.population();
        assert!(
            alive.servers <= 500 && alive.calls <= 50 && alive.subscriptions <= 50 && alive.dialogs <= 100,
            "{alive:?}"
        );
        assert!(alive.clients <= 1_000, "{alive:?}");
    }
    assert!(
        lab.endpoint.counters().requests > u64::from(ROUNDS) / 50,
        "most of it was no noise: {:?}",
        lab.endpoint.counters()
    );
    lab.assert_settles();
}

/// An application that does anything at all, commands out of turn included: those may fail, and that is all.
fn react(lab: &mut Lab, rng: &mut StdRng) {
    let now = lab.now;
    for event in lab.events() {
        match event {
            Event::Invite { call, .. } | Event::Reoffer { call, .. } | Event::Confirmed { call, .. } => {
                let endpoint = &mut lab.endpoint;
                let _ = match rng.random_range(0..9) {
                    0 => endpoint.ring(now, call, 180, focus()),
                    1 | 2 => endpoint.accept(now, call, focus(), Body::sdp("v=0")),
                    3 => endpoint.reject(now, call, Rejection::new(486)),
                    4 => endpoint.accept_reoffer(now, call, Body::sdp("v=0")),
                    5 => endpoint.hang_up(now, call, None),
                    6 => endpoint.ring_with(now, call, 183, focus(), Body::sdp("v=0")),
                    7 => endpoint.reinvite(now, call, Body::sdp("v=0")),
                    _ => endpoint.probe(now, call),
                };
            }
            Event::Subscribe { subscription, .. } => {
                let _ = lab.endpoint.accept_subscription(now, subscription, &focus());
                let _ = lab.endpoint.notify(now, subscription, Body::sdp("v=0"));
            }
            Event::Options { options, .. } => {
                let _ = lab
                    .endpoint
                    .answer_options(now, options, OptionsAnswer::Rejected(Rejection::new(404)));
            }
            Event::Refer { refer, .. } => {
                let _ = lab.endpoint.accept_refer(now, refer, &focus());
                let _ = lab
                    .endpoint
                    .refer_progress(now, refer, rng.random_range(100..700), "", rng.random());
            }
            Event::ReofferWithdrawn { .. }
            | Event::ReofferAnswered { .. }
            | Event::ReofferFailed { .. }
            | Event::Info { .. }
            | Event::Progress { .. }
            | Event::Answered { .. }
            | Event::Ended { .. }
            | Event::Refreshed { .. }
            | Event::Notified { .. }
            | Event::SubscriptionEnded { .. }
            | Event::EarlyAnswer { .. }
            | Event::ReferProgress { .. }
            | Event::ReferFailed { .. }
            | Event::Registration { .. }
            | Event::Pinged { .. } => {}
        }
    }
}
