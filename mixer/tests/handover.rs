//! Encoders take turns, and nobody hears it.

mod common;

use common::{CODECS, Phone, RATES, Room, Says};
use mixer::{Codec, Command, Effort, Leg, Rate};

/// Somebody who listens to a tone, and takes the floor now and then.
fn tone_and_listener(codec: Codec, rate: Rate) -> Room {
    let phones = vec![
        Phone::tone(1, Codec::Pcma, 440.0),
        Phone::new(2, codec, Says::Nothing),
        Phone::new(3, codec, Says::Nothing),
    ];
    let mut room = Room::new(rate, phones);
    room.run(50);
    room
}

#[test]
fn r64_200_turns_do_not_disturb_what_one_hears() {
    for (codec, rate) in CODECS.into_iter().flat_map(|codec| RATES.map(|rate| (codec, rate))) {
        let mut room = tone_and_listener(codec, rate);
        let before = room.phones[1].steepest(400);
        for turn in 0..67 {
            room.phones[1].says = if turn % 2 == 0 {
                Says::Tone {
                    hz: 700.0,
                    amplitude: 6000.0,
                }
            } else {
                Says::Nothing
            };
            // Longer than the hang-over, so that shared and own encoder take turns.
            for _ in 0..20 + turn % 3 {
                room.run(1);
                let (steepest, level) = (room.phones[1].steepest(25), room.phones[1].level(440.0, 20));
                assert!(steepest < before + 150, "{codec:?} {rate:?} turn {turn}: {before} {steepest}");
                // The first turn raises the mixing rate: while both are heard, they may weaken one another.
                assert!(turn == 0 || level.abs() < 3.0, "{codec:?} {rate:?} turn {turn}: {level} dB");
            }
        }
    }
}

#[test]
fn a_change_of_effort_is_not_heard() {
    for rate in RATES {
        let mut room = tone_and_listener(Codec::Opus, rate);
        let before = room.phones[1].steepest(400);
        for complexity in [10, 0, 5, 9, 1, 10, 0, 0, 7] {
            room.mixer.set_effort(Effort {
                complexity,
                ..Effort::default()
            });
            room.run(10);
            let (steepest, level) = (room.phones[1].steepest(225), room.phones[1].level(440.0, 200));
            assert!(steepest < before + 150, "{rate:?} {complexity}: {before} {steepest}");
            // With no effort at all at 8000 Hz, a tone comes out softer.
            assert!(level.abs() < 2.0, "{rate:?} {complexity}: {level} dB");
        }
    }
}

#[test]
fn in_band_fec_is_for_those_who_ask_for_it_and_lose_packets() {
    for (asks, loses, expected) in [(true, 20, true), (true, 0, false), (false, 20, false)] {
        let mut room = tone_and_listener(Codec::Opus, Rate::Full);
        room.phones[1].settings.fec = asks;
        let audio = room.phones[1].audio();
        room.command(Command::Replace(Leg(2), audio));
        room.command(Command::Lose(Leg(2), loses));
        for syllable in 0..20 {
            // What stays the same is no voice to the encoder.
            let amplitude = [8000.0, 1000.0][syllable % 2];
            room.phones[0].says = Says::Tone { hz: 440.0, amplitude };
            room.run(5);
        }
        // After the first byte come, at even odds each, the bits for voice and for FEC (RFC 6716 section 4.2.3).
        let with_fec = room.phones[1].got.iter().rev().take(80).filter(|got| got.2[1] & 0x40 != 0).count();
        assert!(if expected { with_fec > 40 } else { with_fec == 0 }, "{asks} {loses}: {with_fec}");
    }
}
