//! A tone between any two codecs, and through a change of what was negotiated.

mod common;

use std::f64::consts::TAU;

use common::{CODECS, Phone, RATES, Room, Says};
use mixer::{Codec, Command, Leg, OpusClass, Rate};

/// The frequency of a tone by the places where it rises through zero.
fn frequency(samples: &[i16], rate: usize) -> f64 {
    let rises: Vec<f64> = samples
        .windows(2)
        .enumerate()
        .filter(|(_, w)| w[0] < 0 && w[1] >= 0)
        .map(|(n, w)| n as f64 - f64::from(w[0]) / f64::from(i32::from(w[1]) - i32::from(w[0])))
        .collect();
    (rises.len() - 1) as f64 * rate as f64 / (rises[rises.len() - 1] - rises[0])
}

/// The steepest slope of a tone of 8000 in samples of that rate.
fn slope(hz: f64, rate: usize) -> i32 {
    (8000.0 * TAU * hz / rate as f64) as i32
}

#[test]
fn a_tone_keeps_frequency_and_level_and_never_jumps_between_any_two_codecs() {
    for cap in RATES {
        for from in CODECS {
            for to in CODECS {
                let name = format!("{from:?} to {to:?} up to {cap:?}");
                let mut room = Room::new(cap, vec![Phone::tone(1, from, 440.0), Phone::new(2, to, Says::Nothing)]);
                room.run(75);
                let phone = &room.phones[1];
                let heard = frequency(phone.last_ms(1000), phone.hz());
                assert!((heard - 440.0).abs() < 0.5, "{name}: {heard} Hz");
                let level = phone.level(440.0, 1000);
                assert!(level.abs() < 1.0, "{name}: {level} dB");
                // What quantisation adds to the slope.
                let (steepest, most) = (phone.steepest(1000), slope(440.0, phone.hz()) + 700);
                assert!(steepest < most, "{name}: {steepest} > {most}");
            }
        }
    }
}

#[test]
fn r67_between_codecs_of_more_than_8000_hz_more_is_heard() {
    for from in [Codec::G722, Codec::Opus] {
        for to in [Codec::G722, Codec::Opus] {
            let mut room = Room::new(Rate::Full, vec![Phone::tone(1, from, 3000.0), Phone::new(2, to, Says::Nothing)]);
            room.run(75);
            for hz in [1000.0, 6000.0] {
                room.phones[0].says = Says::Tone { hz, amplitude: 8000.0 };
                room.run(75);
                let phone = &room.phones[1];
                let (heard, level) = (frequency(phone.last_ms(500), phone.hz()), phone.level(hz, 500));
                assert!(
                    (heard - hz).abs() < 1.0 && level.abs() < 1.0,
                    "{from:?} to {to:?}: {heard} Hz, {level} dB"
                );
            }
        }
    }
}

/// Two phones that talk, low enough that a click is much steeper, and one that listens; then the first one's terms change.
fn renegotiated(codec: Codec, change: impl Fn(&mut Phone)) -> (Room, i32, i32) {
    let phones = vec![
        Phone::tone(1, codec, 115.0),
        Phone::tone(2, Codec::Pcma, 90.0),
        Phone::new(3, Codec::Pcmu, Says::Nothing),
    ];
    let mut room = Room::new(Rate::Full, phones);
    room.run(75);
    let (own, others) = (room.phones[0].steepest(1000), room.phones[2].steepest(1000));
    change(&mut room.phones[0]);
    let audio = room.phones[0].audio();
    assert!(room.command(Command::Replace(Leg(1), audio)).is_some());
    (room, own, others)
}

#[test]
fn a_change_of_packet_length_or_class_is_not_heard_by_anybody() {
    for codec in CODECS {
        for (ptime_ms, opus) in [(40, OpusClass::Full), (60, OpusClass::Constant), (20, OpusClass::Wide)] {
            let (mut room, own, others) = renegotiated(codec, |phone| {
                phone.settings.ptime_ms = ptime_ms;
                phone.settings.opus = opus;
            });
            for _ in 0..30 {
                room.run(1);
                let name = format!("{codec:?} {ptime_ms} {opus:?}");
                let now = room.phones[2].steepest(40);
                assert!(now < others + 300, "{name}: the listener hears a step of {now}, after {others}");
                assert!(room.phones[2].level(115.0, 20) > -6.0, "{name}: a hole");
                let now = room.phones[0].steepest(40);
                assert!(now < own + 300, "{name}: the phone hears a step of {now}, after {own}");
            }
            assert!(room.phones[0].level(90.0, 400).abs() < 1.0);
            assert_eq!(room.mixer.jitter(Leg(1)).unwrap().concealed, 0, "{codec:?}");
        }
    }
}

#[test]
fn a_change_of_codec_clicks_for_nobody_and_costs_less_than_a_tenth_of_a_second() {
    for from in CODECS {
        for to in CODECS.into_iter().filter(|to| *to != from) {
            let (mut room, _, others) = renegotiated(from, |phone| {
                phone.settings.codec = to;
                // A phone that starts anew with another codec, as they do.
                phone.renew();
            });
            let mut silent_ms = 0;
            for tick in 0..40 {
                room.run(1);
                let name = format!("{from:?} to {to:?}, tick {tick}");
                let now = room.phones[2].steepest(40);
                assert!(now < others + 900, "{name}: the listener hears a step of {now}, after {others}");
                silent_ms += if room.phones[2].level(115.0, 20) < -10.0 { 20 } else { 0 };
            }
            assert!(silent_ms < 100, "{from:?} to {to:?}: {silent_ms} ms");
            let phone = &room.phones[0];
            assert!(
                phone.level(90.0, 400).abs() < 1.0,
                "{from:?} to {to:?}: {} dB",
                phone.level(90.0, 400)
            );
            let (steepest, most) = (phone.steepest(600), slope(90.0, phone.hz()) + 900);
            assert!(steepest < most, "{from:?} to {to:?}: the phone hears a step of {steepest}");
            assert!(room.phones[2].level(115.0, 400).abs() < 1.0);
        }
    }
}
