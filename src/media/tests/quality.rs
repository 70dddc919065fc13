//! How a call sounds, as its numbers tell while it lasts.

use super::{
    wire::{Wire, phone},
    *,
};
use crate::rtp::{
    rtcp::{MAX_BUILT, NtpClock, Report, Reports},
    session::{Reception, Sender},
};

fn measure(world: &World, leg: LegId) -> LegStats {
    world.plane.measure(leg).blocking_recv().expect("the leg is there")
}

/// Sends a hundred packets, leaving out every one whose number is a multiple of `lost`, and waits until they were read.
fn talk(world: &World, leg: LegId, wire: &mut Wire, lost: u16) -> LegStats {
    for n in 1..=100 {
        if n % lost == 0 {
            wire.skip();
        } else {
            wire.send(0, u32::from(n) * 160, &[0xff; 160]);
        }
    }
    let mut stats = measure(world, leg);
    wait_for("the packets", || {
        stats = measure(world, leg);
        stats.received >= 100 - 100 / u64::from(lost)
    });
    stats
}

#[test]
fn loss_lowers_the_score_and_a_call_without_packets_has_none() {
    let mut world = World::new(1);
    let (clean, mut clean_wire) = phone(&mut world);
    let (poor, mut poor_wire) = phone(&mut world);
    assert_eq!((measure(&world, clean).mos, measure(&world, clean).peer_mos), (None, None));
    let (good, bad) = (talk(&world, clean, &mut clean_wire, 1000), talk(&world, poor, &mut poor_wire, 5));
    // The hundredth packet is missing too, but nobody can know that yet.
    assert_eq!((good.lost, bad.lost), (0, 19));
    let (good, bad) = (good.mos.expect("a score"), bad.mos.expect("a score"));
    // They came all at once, so that the last ones wait for 200 ms.
    assert!(good > 4.1, "{good}");
    assert!((1.5..3.5).contains(&bad), "{bad}");
}

#[test]
fn what_the_peer_reports_of_our_packets_is_told() {
    let mut world = World::new(1);
    let (leg, mut wire) = phone(&mut world);
    // Latched by the first packets, so that its reports are believed.
    talk(&world, leg, &mut wire, 1000);
    report(&wire);
    wait_for("the report", || measure(&world, leg).peer_lost == Some(30));
    let stats = measure(&world, leg);
    assert_eq!(stats.peer_jitter_ms, Some(10.0));
    assert!(stats.peer_mos.is_some_and(|mos| mos < 4.0), "{stats:?}");
}

/// Reports that a quarter of our packets got lost lately.
fn report(wire: &Wire) {
    let (now, sender) = (Instant::now(), Sender::new(5, 0, 0));
    let report = Report {
        now,
        ntp: NtpClock::new(now, Duration::ZERO).at(now),
        sender: &sender,
        reception: Some(Reception {
            ssrc: wire.to.ssrc,
            fraction_lost: 64,
            lost: 30,
            highest: 100,
            jitter: 80,
        }),
        cname: "phone",
        bye: false,
    };
    let mut bytes = [0; MAX_BUILT];
    let length = Reports::new(now, 0).write(report, 0, &mut bytes);
    wire.rtcp.send_to(&bytes[..length], wire.to.rtcp).expect("sent");
}

#[test]
fn an_opus_peer_that_reports_loss_is_sent_error_correction() {
    let mut world = World::new(1);
    let (listener, open) = world.open();
    let mut wire = Wire::new(open);
    let opus = media(wire.rtp.local_addr().expect("address"), Codec::Opus);
    world
        .plane
        .order(MediaOrder::Configure(listener, Box::new(LegMedia { fec: true, ..opus })));
    let (talker, mut voice) = phone(&mut world);
    for leg in [listener, talker] {
        world.place(leg, "blue", 48_000);
    }
    // Silence, but enough to latch.
    for n in 0..5 {
        wire.send(111, n * 960, &[0xf8, 0xff, 0xfe]);
    }
    wait_for("the packets", || measure(&world, listener).received == 5);
    let mut tick = 0;
    let mut is_corrected = || {
        // Syllables, one packet for each that comes back: what stays the same is no voice to the encoder.
        let amplitude = if tick / 5 % 2 == 0 { 0x10 } else { 0x40 };
        let payload: [u8; 160] = std::array::from_fn(|n| amplitude | ((n / 9 % 2) << 7) as u8);
        voice.send(0, tick * 160, &payload);
        tick += 1;
        // After the first byte come, at even odds each, the bits for voice and for error correction (RFC 6716 section 4.2.3).
        wire.next_payload()[1] & 0x40 != 0
    };
    assert!(!(0..50).any(|_| is_corrected()));
    report(&wire);
    wait_for("error correction", is_corrected);
}

#[test]
fn a_leg_that_is_gone_has_no_numbers() {
    let mut world = World::new(1);
    let (leg, _wire) = phone(&mut world);
    world.close(leg);
    assert!(world.plane.measure(leg).blocking_recv().is_err());
}
