//! What one leg alone hears, and its keys.

use std::{fs, path::PathBuf};

use super::{
    super::{Clip, Voice, softphone::Source, sounds::SIGN_HZ, tone::Tone, wav::Wav},
    voice::{ANN, BOB, Caller, call},
    wire::{Wire, phone},
    *,
};
use crate::model::{Phrase, Volume};

/// What a voice of tones says: good-bye, and that somebody is muted.
const GOODBYE: f64 = 1500.0;
const MUTED: f64 = 2100.0;
const MUSIC: f64 = 700.0;

fn tone(hz: f64, ms: usize) -> Vec<u8> {
    let mut samples = vec![0; 8 * ms];
    Tone::new(hz, -12.0, 8000).fill(&mut samples);
    Wav { rate: 8000, samples }.to_bytes()
}

/// A plane that says tones.
fn world(threads: usize, test: &str) -> World {
    let folder: PathBuf = std::env::temp_dir().join(format!("cusax-aside-{test}-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("goodbye.wav"), tone(GOODBYE, 1500)).expect("a file");
    fs::write(folder.join("muted.wav"), tone(MUTED, 30_000)).expect("a file");
    let world = World::with(threads, |config| {
        config.voice = Voice::load(&folder).expect("tones");
        config.music = Some(Clip::parse(&tone(MUSIC, 1000)).expect("music"));
    });
    fs::remove_dir_all(folder).expect("it was there");
    world
}

fn say(world: &mut World, leg: LegId, phrases: &[Phrase]) {
    world.plane.order(MediaOrder::Say(leg, phrases.to_vec()));
}

#[test]
fn a_caller_in_the_vestibule_is_spoken_to_by_every_codec() {
    let mut world = world(1, "vestibule");
    for codec in [Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::Opus] {
        let (ann, eve) = (call(&mut world, codec, ANN), call(&mut world, codec, BOB));
        say(&mut world, ann.leg, &[Phrase::Goodbye]);
        ann.hears(GOODBYE);
        eve.misses(GOODBYE);
        world.expect("the end", |r| *r == MediaReport::Said(ann.leg));
        ann.misses(GOODBYE);
        assert!(!world.has_seen(|r| *r == MediaReport::Said(eve.leg)));
    }
}

#[test]
fn in_a_room_the_mix_is_lower_while_somebody_is_spoken_to() {
    let mut world = world(2, "room");
    let (ann, bob) = (call(&mut world, Codec::Opus, ANN), call(&mut world, Codec::G722, BOB));
    for leg in [ann.leg, bob.leg] {
        world.place(leg, "blue", 48_000);
    }
    ann.hears(BOB);
    say(&mut world, ann.leg, &[Phrase::Muted]);
    ann.hears(MUTED);
    let between = |level: Option<f64>, low: f64, high: f64| level.is_some_and(|level| (low..high).contains(&level));
    wait_for("a lower mix", || between(ann.level(BOB), -26.0, -22.0));
    bob.misses(MUTED);
    assert!(between(bob.level(ANN), -14.0, -10.0));
    // It goes along from room to room, and something else takes its place.
    world.place(ann.leg, "red", 8000);
    ann.hears(MUTED);
    say(&mut world, ann.leg, &[Phrase::Goodbye]);
    ann.hears(GOODBYE);
    ann.misses(MUTED);
    world.expect("the end", |r| *r == MediaReport::Said(ann.leg));
    say(&mut world, ann.leg, &[Phrase::Muted]);
    ann.hears(MUTED);
    say(&mut world, ann.leg, &[]);
    ann.misses(MUTED);
    world.close(ann.leg);
    let said = world.seen.iter().filter(|r| matches!(r, MediaReport::Said(_)));
    assert_eq!(said.count(), 1, "only what was said to its end");
}

#[test]
fn what_is_to_be_said_waits_for_the_first_packet_that_can_be_sent() {
    let mut world = world(1, "early");
    let (leg, open) = world.open();
    say(&mut world, leg, &[Phrase::Goodbye]);
    let wire = Wire::new(open);
    // Nowhere to send to yet.
    let mut media = wire.media();
    media.rtp.set_port(0);
    world.plane.order(MediaOrder::Configure(leg, Box::new(media)));
    let other = phone(&mut world).1;
    other.take(100);
    assert!(!world.has_seen(|r| *r == MediaReport::Said(leg)));
    world.plane.order(MediaOrder::Configure(leg, Box::new(wire.media())));
    let mut coder = mixer::Coder::new(Codec::Pcmu, mixer::Rate::Narrow).expect("G.711");
    let heard: Vec<i16> = (0..75).flat_map(|_| coder.decode(&wire.next_payload())).collect();
    // From its beginning: nearly all of the one and a half seconds.
    let loud = heard.iter().filter(|sample| sample.unsigned_abs() > 500).count();
    assert!(loud > heard.len() * 8 / 10, "{loud} of {}", heard.len());
    world.expect("the end", |r| *r == MediaReport::Said(leg));
}

#[test]
fn who_waits_hears_music_until_a_room() {
    let mut world = world(2, "waits");
    let (ann, eve) = (call(&mut world, Codec::Pcma, ANN), call(&mut world, Codec::Opus, BOB));
    // 12 dB quieter than it is.
    let music = |caller: &Caller| caller.level(MUSIC).is_some_and(|level| (-26.0..-22.0).contains(&level));
    world.plane.order(MediaOrder::Wait(ann.leg, true));
    wait_for("music", || music(&ann));
    eve.misses(MUSIC);
    world.place(ann.leg, "blue", 16_000);
    ann.misses(MUSIC);
    world.plane.order(MediaOrder::Place(ann.leg, None));
    world.plane.order(MediaOrder::Wait(eve.leg, true));
    wait_for("music", || music(&eve));
    ann.misses(MUSIC);
    world.plane.order(MediaOrder::Wait(eve.leg, false));
    eve.misses(MUSIC);
}

#[test]
fn without_music_who_waits_hears_a_sign_now_and_then() {
    let mut world = World::new(1);
    let ann = call(&mut world, Codec::G722, ANN);
    world.plane.order(MediaOrder::Wait(ann.leg, true));
    wait_for("a sign", || ann.level(SIGN_HZ).is_some_and(|level| level > -35.0));
    ann.misses(SIGN_HZ);
}

#[test]
fn r63_volumes_stay_over_a_move_and_a_new_codec() {
    let mut world = World::new(2);
    let (ann, bob) = (call(&mut world, Codec::Pcmu, ANN), call(&mut world, Codec::G722, BOB));
    let volume = Volume { hear: -2, speak: 1 };
    world.plane.order(MediaOrder::Volume(ann.leg, volume));
    let near = |level: Option<f64>, wanted: f64| level.is_some_and(|level| (level - wanted).abs() < 0.7);
    for (room, codec) in [("blue", Codec::Pcmu), ("red", Codec::Pcmu), ("red", Codec::Pcma)] {
        let media = LegMedia {
            payload_type_out: if codec == Codec::Pcma { 8 } else { 0 },
            ..ann.media.clone()
        };
        if codec == Codec::Pcmu {
            for leg in [ann.leg, bob.leg] {
                world.place(leg, room, 16_000);
            }
            wait_for("less loud", || near(ann.level(BOB), -18.0));
        } else {
            // What ann sends stays as it was; only bob can tell.
            world.plane.order(MediaOrder::Configure(ann.leg, Box::new(media)));
        }
        wait_for("louder", || near(bob.level(ANN), -9.0));
    }
}

/// A key's two tones, over and over with pauses.
fn five() -> Source {
    let tone = |hz: f64| {
        let mut samples = vec![0; 800];
        Tone::new(hz, -12.0, 8000).fill(&mut samples);
        samples
    };
    let both = tone(770.0).into_iter().zip(tone(1336.0)).map(|(a, b)| a + b);
    Source::Loop(both.chain([0; 800]).collect())
}

#[test]
fn r70_keys_in_sound_are_found_only_when_asked_for_and_without_events() {
    let mut world = World::new(1);
    let (ann, bob) = (call(&mut world, Codec::Pcmu, ANN), call(&mut world, Codec::Pcma, BOB));
    for caller in [&ann, &bob] {
        caller.phone.play(five());
    }
    let by_sound = |caller: &Caller| LegMedia {
        dtmf_in: None,
        ..caller.media.clone()
    };
    let pressed = |world: &mut World, leg| world.seen.iter().filter(|r| **r == MediaReport::Digit(leg, '5')).count();
    // Ann's keys would come by events.
    world.plane.order(MediaOrder::InBandKeys(ann.leg, true));
    world.plane.order(MediaOrder::InBandKeys(bob.leg, true));
    world.plane.order(MediaOrder::Configure(bob.leg, Box::new(by_sound(&bob))));
    wait_for("keys", || {
        world.has_seen(|_| false);
        pressed(&mut world, bob.leg) >= 3
    });
    assert_eq!(pressed(&mut world, ann.leg), 0);
    world.plane.order(MediaOrder::InBandKeys(bob.leg, false));
    world.plane.order(MediaOrder::Configure(ann.leg, Box::new(by_sound(&ann))));
    wait_for("keys", || {
        world.has_seen(|_| false);
        pressed(&mut world, ann.leg) >= 1
    });
    // Bob's last ones may be on their way; then there are no more, while ann's go on.
    let before = pressed(&mut world, bob.leg);
    let until = pressed(&mut world, ann.leg) + 5;
    wait_for("keys", || {
        world.has_seen(|_| false);
        pressed(&mut world, ann.leg) >= until
    });
    assert!(pressed(&mut world, bob.leg) <= before + 1);
    // And when events are agreed on after all, not by sound.
    world.plane.order(MediaOrder::Configure(ann.leg, Box::new(ann.media.clone())));
    world.plane.order(MediaOrder::InBandKeys(bob.leg, true));
    let (before, until) = (pressed(&mut world, ann.leg), pressed(&mut world, bob.leg) + 5);
    wait_for("keys", || {
        world.has_seen(|_| false);
        pressed(&mut world, bob.leg) >= until
    });
    assert!(pressed(&mut world, ann.leg) <= before + 1);
}

#[test]
fn a_flood_of_keys_is_told_in_part_and_counted() {
    let mut world = World::new(1);
    let (leg, mut wire) = phone(&mut world);
    wire.take(1);
    for n in 0..2000u32 {
        wire.send(101, n * 1600, &[7, 0x8a, 0, 160]);
        if n % 50 == 49 {
            wire.next();
        }
    }
    wait_for("the count", || world.plane.stats().lost_digits > 1000);
    world.has_seen(|_| false);
    let told = world.seen.iter().filter(|r| **r == MediaReport::Digit(leg, '7')).count();
    assert!((10..200).contains(&told), "{told}");
}
