//! What is heard: softphones in rooms.

use mixer::Rate;

use super::{
    super::{
        softphone::{Softphone, SoftphoneConfig, Source},
        tone::tone_level_db,
    },
    *,
};

pub(super) const ANN: f64 = 440.0;
pub(super) const BOB: f64 = 1000.0;

/// At or over this a tone is there; they are sent at -12 dB.
const THERE_DB: f64 = -20.0;

/// Under this it isn't.
const GONE_DB: f64 = -55.0;

/// A leg, configured, and the phone at its other end.
pub(super) struct Caller {
    pub(super) leg: LegId,
    pub(super) phone: Softphone,
    pub(super) media: LegMedia,
}

pub(super) fn call(world: &mut World, codec: Codec, hz: f64) -> Caller {
    let (leg, open) = world.open();
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("bound");
    let media = media(socket.local_addr().expect("address"), codec);
    world.plane.order(MediaOrder::Configure(leg, Box::new(media.clone())));
    let config = SoftphoneConfig {
        socket,
        remote: open.rtp,
        codec,
        payload_type: media.payload_type_in,
        rate: Rate::Full,
        source: Source::Tone { hz, level_db: -12.0 },
        ssrc: leg.0 as u32,
        security: Security::Plain,
    };
    Caller {
        leg,
        phone: Softphone::start(config).expect("a softphone"),
        media,
    }
}

impl Caller {
    /// The level of a tone over the last 200 ms.
    pub(super) fn level(&self, hz: f64) -> Option<f64> {
        let (rate, mark) = (self.phone.rate(), self.phone.mark());
        let from = mark.checked_sub(rate as usize / 5)?;
        Some(tone_level_db(&self.phone.heard_since(from)[..rate as usize / 5], rate, hz))
    }

    pub(super) fn hears(&self, hz: f64) {
        wait_for(&format!("{hz} Hz to be heard"), || {
            self.level(hz).is_some_and(|level| level >= THERE_DB)
        });
    }

    /// Packets go on, and the tone isn't in them.
    pub(super) fn misses(&self, hz: f64) {
        wait_for(&format!("{hz} Hz to be gone"), || {
            self.level(hz).is_some_and(|level| level < GONE_DB)
        });
    }
}

/// Two callers in one room, each hearing the other.
fn meet(world: &mut World, ann: Codec, bob: Codec, rate: u32) -> (Caller, Caller) {
    let (ann, bob) = (call(world, ann, ANN), call(world, bob, BOB));
    world.place(ann.leg, "blue", rate);
    world.place(bob.leg, "blue", rate);
    ann.hears(BOB);
    bob.hears(ANN);
    (ann, bob)
}

#[test]
fn pcmu_and_pcmu_hear_each_other_and_not_themselves() {
    let mut world = World::new(1);
    let (ann, bob) = meet(&mut world, Codec::Pcmu, Codec::Pcmu, 8000);
    ann.misses(ANN);
    bob.misses(BOB);
    for leg in [ann.leg, bob.leg] {
        world.expect("speaking", |r| *r == MediaReport::Speaking(leg, true));
    }
}

#[test]
fn pcmu_and_opus_hear_each_other_and_not_themselves() {
    let mut world = World::new(2);
    let (ann, bob) = meet(&mut world, Codec::Pcmu, Codec::Opus, 16_000);
    ann.misses(ANN);
    bob.misses(BOB);
}

#[test]
fn r60_callers_in_the_vestibule_hear_silence_and_are_not_heard() {
    let mut world = World::new(1);
    let (ann, bob) = meet(&mut world, Codec::Pcmu, Codec::Pcma, 16_000);
    let eve = call(&mut world, Codec::Pcmu, 2000.0);
    for hz in [ANN, BOB] {
        eve.misses(hz);
    }
    ann.misses(2000.0);
    world.plane.order(MediaOrder::Place(bob.leg, None));
    ann.misses(BOB);
    bob.misses(ANN);
}

#[test]
fn a_mute_silences_from_the_tick_that_is_told() {
    let mut world = World::new(1);
    let (ann, bob) = meet(&mut world, Codec::Pcmu, Codec::Pcmu, 8000);
    world.plane.order(MediaOrder::Mute(ann.leg, true));
    world.expect("the mute", |r| *r == MediaReport::Applied(ann.leg));
    bob.misses(ANN);
    ann.hears(BOB);
    world.expect("the end of speech", |r| *r == MediaReport::Speaking(ann.leg, false));
    world.plane.order(MediaOrder::Mute(ann.leg, false));
    bob.hears(ANN);
}

#[test]
fn a_mute_stays_over_a_move() {
    let mut world = World::new(2);
    let (ann, bob) = meet(&mut world, Codec::Pcmu, Codec::Opus, 16_000);
    world.plane.order(MediaOrder::Mute(ann.leg, true));
    for caller in [&ann, &bob] {
        world.place(caller.leg, "red", 48_000);
    }
    ann.hears(BOB);
    bob.misses(ANN);
    world.plane.order(MediaOrder::Mute(ann.leg, false));
    bob.hears(ANN);
}

#[test]
fn r44_on_hold_a_peer_is_neither_mixed_nor_sent_to() {
    let mut world = World::new(1);
    let (ann, bob) = meet(&mut world, Codec::Pcmu, Codec::Pcmu, 8000);
    let held = LegMedia {
        direction: Direction::RecvOnly,
        on_hold: true,
        ..ann.media.clone()
    };
    world.plane.order(MediaOrder::Configure(ann.leg, Box::new(held)));
    bob.misses(ANN);
    // Nothing is sent while bob, in the same ticks, is sent a dozen packets more. One may still be on its way.
    let (before, until) = (ann.phone.received(), bob.phone.received() + 12);
    wait_for("bob's packets", || bob.phone.received() >= until);
    assert!(ann.phone.received() <= before + 1);
    world.plane.order(MediaOrder::Configure(ann.leg, Box::new(ann.media.clone())));
    bob.hears(ANN);
    ann.hears(BOB);
}

#[test]
fn new_audio_takes_over_in_a_running_call() {
    let mut world = World::new(1);
    let (ann, bob) = meet(&mut world, Codec::Pcmu, Codec::Pcmu, 16_000);
    let longer = LegMedia {
        ptime_ms: 40,
        ..bob.media.clone()
    };
    let (before, mark) = (bob.phone.received(), bob.phone.mark());
    world.plane.order(MediaOrder::Configure(bob.leg, Box::new(longer)));
    wait_for("a second of audio", || bob.phone.mark() >= mark + 8000);
    let packets = bob.phone.received() - before;
    assert!((25..40).contains(&packets), "{packets} packets of 40 ms");
    bob.hears(ANN);
    ann.hears(BOB);
}

#[test]
fn keys_of_a_softphone_are_told() {
    let mut world = World::new(1);
    let ann = call(&mut world, Codec::Pcmu, ANN);
    ann.hears_anything();
    ann.phone.press('*', 101);
    ann.phone.press('6', 101);
    world.expect("*", |r| *r == MediaReport::Digit(ann.leg, '*'));
    world.expect("6", |r| *r == MediaReport::Digit(ann.leg, '6'));
}

#[test]
fn a_softphone_stops_and_starts_to_send() {
    let mut world = World::new(1);
    let (ann, bob) = meet(&mut world, Codec::Pcmu, Codec::Opus, 16_000);
    ann.phone.send(false);
    bob.misses(ANN);
    ann.phone.send(true);
    ann.phone.play(Source::Tone {
        hz: 700.0,
        level_db: -12.0,
    });
    bob.hears(700.0);
    bob.misses(ANN);
    assert!(!bob.phone.stop().is_empty());
}

impl Caller {
    fn hears_anything(&self) {
        wait_for("a packet", || self.phone.received() > 0);
    }
}
