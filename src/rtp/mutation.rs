//! Mutated packets harm nothing.

use std::time::{Duration, Instant};

use rand::{Rng, RngCore, SeedableRng, rngs::StdRng};

use super::{
    Candidates, Heard, Keypad, Latch, Packet, Receiver, Sender,
    packet::{HEADER_LEN, Header},
    rtcp::{MAX_BUILT, Ntp, Report, Reports, parts},
    session::{Outgoing, Reception},
};

fn rtp_seed(rng: &mut StdRng) -> Vec<u8> {
    let mut head = [0; HEADER_LEN];
    Header {
        payload_type: 0,
        marker: false,
        sequence: rng.random(),
        timestamp: rng.random(),
        ssrc: 7,
    }
    .write(&mut head);
    let mut bytes = head.to_vec();
    bytes.extend((0..rng.random_range(0..40)).map(|i| i as u8));
    bytes
}

fn rtcp_seed(now: Instant, rng: &mut StdRng) -> Vec<u8> {
    let (mut buffer, mut sender) = ([0; MAX_BUILT], Sender::new(9, 0, 0));
    sender.next(
        now,
        Outgoing {
            payload_type: 0,
            timestamp: 0,
            marker: true,
            clock: 8000,
            octets: 160,
        },
    );
    let reception = Reception {
        ssrc: 7,
        fraction_lost: 1,
        lost: 2,
        highest: 3,
        jitter: 4,
    };
    let report = Report {
        now,
        ntp: Ntp(rng.random()),
        sender: &sender,
        reception: Some(reception),
        cname: "a@b",
        bye: true,
    };
    let len = Reports::new(now, 0).write(report, 0, &mut buffer);
    buffer[..len].to_vec()
}

fn mutate(bytes: &mut Vec<u8>, rng: &mut StdRng) {
    for _ in 0..rng.random_range(1..4) {
        let at = rng.random_range(0..=bytes.len());
        match rng.random_range(0..4) {
            0 if at < bytes.len() => bytes[at] ^= 1 << rng.random_range(0..8),
            1 if at < bytes.len() => bytes[at] = rng.random(),
            2 => bytes.truncate(at),
            _ => bytes.insert(at, rng.random()),
        }
    }
}

#[test]
fn two_hundred_thousand_mutated_packets_harm_nothing() {
    let (mut rng, start) = (StdRng::seed_from_u64(11), Instant::now());
    let source = "192.0.2.1:4000".parse().expect("an address");
    let candidates = Candidates {
        sdp: source,
        signalled_from: source.ip(),
    };
    let (mut latch, mut receiver, mut keypad) = (Latch::new(candidates), Receiver::default(), Keypad::default());
    let (mut reports, mut played, mut pieces) = (Reports::new(start, 0), 0, 0);
    for i in 0..200_000u64 {
        let now = start + Duration::from_millis(i);
        let mut bytes = if i % 2 == 0 { rtp_seed(&mut rng) } else { rtcp_seed(now, &mut rng) };
        if i % 100 == 99 {
            bytes = vec![0; rng.random_range(0..200)];
            rng.fill_bytes(&mut bytes);
        }
        mutate(&mut bytes, &mut rng);
        if let Ok(packet) = Packet::parse(&bytes) {
            latch.handle(now, source, &packet.header);
            let heard = receiver.handle(&packet.header);
            played += u32::from(matches!(heard, Heard::Next | Heard::Start | Heard::Late));
            receiver.handle_arrival(now, packet.header.timestamp, 8000);
            keypad.handle(now, packet.header.timestamp, packet.payload);
            receiver.report();
        }
        reports.handle(now, Ntp(i << 20), 7, &bytes);
        pieces += parts(&bytes).count();
    }
    assert!(
        played > 0 && pieces > 100_000,
        "mutants must get past the first check: {played}, {pieces}"
    );
    assert!(receiver.jitter_ms().is_finite());
}
