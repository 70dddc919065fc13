//! Sounds that no leg makes, and what a recording takes.

mod common;

use std::{f64::consts::TAU, sync::Arc};

use common::{Phone, RATES, Room, Says, amplitude};
use mixer::{Codec, Player, Rate, Sound};

const SOUND: Sound = Sound(7);

fn tone(hz: f64, rate: Rate, ms: usize) -> Arc<[i16]> {
    let sample = |n| (8000.0 * (TAU * hz * n as f64 / f64::from(rate.hz())).sin()) as i16;
    (0..rate.hz() as usize * ms / 1000).map(sample).collect()
}

#[test]
fn a_sound_of_any_rate_is_heard_by_talkers_and_listeners_alike() {
    for rate in RATES {
        let phones = vec![
            Phone::tone(1, Codec::Pcmu, 440.0),
            Phone::new(2, Codec::Opus, Says::Nothing),
            Phone::new(3, Codec::Pcma, Says::Nothing),
        ];
        let mut room = Room::new(Rate::Full, phones);
        // Whoever talks loudest has the only place.
        room.set_voices(1);
        room.run(30);
        room.mixer
            .play(SOUND, Player::new(tone(1000.0, rate, 5000), rate, 0, true))
            .unwrap();
        room.run(50);
        for phone in &room.phones {
            let level = phone.level(1000.0, 500);
            assert!(level.abs() < 1.5, "{rate:?}: {:?} hears it at {level} dB", phone.settings.codec);
        }
        assert!(room.phones[2].level(440.0, 500).abs() < 1.5, "{rate:?}: the talker goes on");
    }
}

#[test]
fn a_sound_is_nobody_and_ends_by_itself_or_when_told() {
    let mut room = Room::new(Rate::Narrow, vec![Phone::new(1, Codec::Pcmu, Says::Nothing)]);
    room.mixer
        .play(SOUND, Player::new(tone(1000.0, Rate::Narrow, 200), Rate::Narrow, 0, false))
        .unwrap();
    room.run(9);
    assert!(room.mixer.poll_played().is_none(), "one tick of it is left");
    room.run(1);
    assert_eq!(room.mixer.poll_played().map(|(sound, _)| sound), Some(SOUND));
    assert!(room.phones[0].level(1000.0, 100).abs() < 1.5);
    room.mixer
        .play(SOUND, Player::new(tone(1000.0, Rate::Narrow, 200), Rate::Narrow, 0, true))
        .unwrap();
    room.run(50);
    room.mixer.stop(SOUND);
    room.run(1);
    assert!(room.mixer.poll_played().is_some());
    room.run(20);
    assert!(room.phones[0].level(1000.0, 200) < -40.0);
    assert!(room.events.is_empty(), "{:?}", room.events);
    room.mixer.outputs(|_, output| assert!(output.talkers.is_empty()));
    let longest = room.phones[0].steepest(1500);
    assert!(longest < 7000, "a click of {longest}");
}

#[test]
fn no_more_sounds_than_can_play() {
    let mut room = Room::new(Rate::Narrow, Vec::new());
    let mut play = |n| {
        let player = Player::new(tone(440.0, Rate::Narrow, 100), Rate::Narrow, 20, false);
        room.mixer.play(Sound(n), player)
    };
    assert!((0..8).all(|n| play(n).is_ok()));
    assert!(play(8).is_err());
    assert_eq!(room.mixer.take_players().count(), 8);
}

#[test]
fn r82_however_often_a_sound_is_begun_the_last_one_is_heard() {
    let mut room = Room::new(Rate::Narrow, vec![Phone::new(1, Codec::Pcmu, Says::Nothing)]);
    for hz in [400.0; 20].into_iter().chain([1000.0]) {
        // Whatever comes back is out of use.
        let _ = room
            .mixer
            .play(SOUND, Player::new(tone(hz, Rate::Narrow, 5000), Rate::Narrow, 0, true));
    }
    room.run(30);
    let [late, early] = [1000.0, 400.0].map(|hz| room.phones[0].level(hz, 200));
    assert!(late > -3.0 && early < -40.0, "{late} {early}");
    for _ in 0..20 {
        let _ = room
            .mixer
            .play(SOUND, Player::new(tone(400.0, Rate::Narrow, 5000), Rate::Narrow, 0, true));
        room.run(1);
    }
    room.run(30);
    let [late, early] = [400.0, 1000.0].map(|hz| room.phones[0].level(hz, 200));
    assert!(late > -3.0 && early < -40.0, "{late} {early}");
}

#[test]
fn a_recording_takes_all_that_is_said_and_played() {
    let phones = vec![Phone::tone(1, Codec::Pcmu, 440.0), Phone::tone(2, Codec::Opus, 700.0)];
    let mut room = Room::new(Rate::Full, phones);
    room.mixer
        .play(SOUND, Player::new(tone(1000.0, Rate::Wide, 5000), Rate::Wide, 0, true))
        .unwrap();
    let (mut taken, mut rates) = (Vec::new(), Vec::new());
    for _ in 0..60 {
        room.run(1);
        let (samples, rate) = room.mixer.mixed();
        assert_eq!(samples.len(), rate.hz() as usize / 50);
        taken.extend_from_slice(samples);
        rates.push(rate);
    }
    rates.dedup();
    let rate = rates.last().unwrap().hz() as usize;
    let last = &taken[taken.len() - rate / 2..];
    for hz in [440.0, 700.0, 1000.0] {
        let level = 20.0 * (amplitude(last, hz, rate) / 8000.0).log10();
        assert!(level.abs() < 1.5, "{hz} Hz at {level} dB");
    }
}
