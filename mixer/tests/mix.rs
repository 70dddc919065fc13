//! Who hears what.

mod common;

use std::collections::BTreeMap;

use common::{CODECS, Phone, RATES, Room, Says};
use mixer::{Codec, Command, Event, Leg, LegAudio, LegSettings, Mixer, OutputKind, Rate, Refused, Stock, Unbuildable};

#[test]
fn everybody_hears_the_others_and_not_themselves() {
    let tones = [440.0, 700.0, 1100.0];
    for rate in RATES {
        let mut room = Room::new(rate, (0..3).map(|n| Phone::tone(n as u64, CODECS[n], tones[n])).collect());
        room.run(75);
        for (own, phone) in room.phones.iter().enumerate() {
            for (n, &hz) in tones.iter().enumerate() {
                let level = phone.level(hz, 500);
                if n == own {
                    assert!(level < -30.0, "{rate:?}: {:?} hears itself at {level} dB", phone.settings.codec);
                } else {
                    assert!(
                        level.abs() < 1.5,
                        "{rate:?}: {:?} hears {hz} Hz at {level} dB",
                        phone.settings.codec
                    );
                }
            }
        }
    }
}

#[test]
fn r63_all_who_hear_the_same_share_one_encode() {
    let mut phones = vec![Phone::tone(1, Codec::Pcmu, 440.0), Phone::tone(2, Codec::Opus, 700.0)];
    phones.extend((3..15).map(|n| Phone::new(n, CODECS[n as usize % 4], Says::Nothing)));
    let mut room = Room::new(Rate::Wide, phones);
    room.run(20);
    let mut addresses: BTreeMap<Leg, *const u8> = BTreeMap::new();
    room.mixer.outputs(|leg, output| {
        addresses.insert(leg, output.payload.as_ptr());
    });
    for a in 3..15 {
        for b in 3..15 {
            assert_eq!(addresses[&Leg(a)] == addresses[&Leg(b)], a % 4 == b % 4, "{a} {b}");
        }
        assert!(addresses[&Leg(a)] != addresses[&Leg(1)] && addresses[&Leg(a)] != addresses[&Leg(2)]);
    }
}

#[test]
fn r62_an_idle_room_sends_silence_of_every_codec() {
    for rate in RATES {
        let mut room = Room::new(rate, (0..8).map(|n| Phone::new(n, CODECS[n as usize % 4], Says::Nothing)).collect());
        room.run(50);
        for phone in &room.phones {
            assert_eq!(phone.got.len(), 50);
            let step = phone.settings.codec.clock_hz() / 50;
            assert!(phone.got.windows(2).all(|w| w[1].0.wrapping_sub(w[0].0) == step && !w[1].1));
            assert!(phone.heard.iter().all(|sample| sample.abs() <= 8), "{:?}", phone.settings.codec);
        }
        assert!(room.events.is_empty());
    }
}

#[test]
fn r60_nobody_hears_anybody_in_a_vestibule() {
    let (mut mixer, mut stock) = (Mixer::vestibule(3).unwrap(), Stock::new().unwrap());
    let mut phones: Vec<Phone> = (0..3).map(|n| Phone::tone(n, CODECS[n as usize], 440.0)).collect();
    for phone in &phones {
        mixer.handle(Command::Add(phone.leg, phone.audio())).unwrap();
    }
    for _ in 0..50 {
        for phone in &mut phones {
            phone.packets().iter().for_each(|sent| mixer.push(phone.leg, sent.packet()));
        }
        mixer.tick(&mut stock);
        mixer.outputs(|leg, output| phones[leg.0 as usize].hear(&output));
        assert_eq!(mixer.poll_event(), None);
    }
    assert!(
        phones
            .iter()
            .all(|phone| phone.got.len() == 50 && phone.heard.iter().all(|sample| sample.abs() <= 8))
    );
}

#[test]
fn packets_of_any_length_are_taken() {
    for (codec, lengths) in [
        (Codec::Pcmu, &[10, 20, 30, 40, 60][..]),
        (Codec::Pcma, &[10, 30, 60]),
        (Codec::Opus, &[10, 20, 40, 60]),
    ] {
        for &ms in lengths {
            let mut talker = Phone::tone(1, codec, 440.0);
            talker.sends_ms = ms;
            let mut room = Room::new(Rate::Narrow, vec![talker, Phone::new(2, Codec::Pcmu, Says::Nothing)]);
            room.run(100);
            let level = room.phones[1].level(440.0, 1000);
            assert!(level.abs() < 1.0, "{codec:?} {ms} ms: {level} dB");
            assert!(
                room.phones[1].steepest(1000) < 3500,
                "{codec:?} {ms} ms: {}",
                room.phones[1].steepest(1000)
            );
            let jitter = room.mixer.jitter(Leg(1)).unwrap();
            assert!(
                jitter.late + jitter.early + jitter.invalid + jitter.dropped_ms + jitter.inserted_ms == 0,
                "{codec:?} {ms} ms: {jitter:?}"
            );
        }
    }
}

#[test]
fn packets_of_the_negotiated_length_are_sent() {
    for codec in CODECS {
        let lengths: &[u8] = if codec == Codec::Opus {
            &[20, 40, 60]
        } else {
            &[10, 20, 30, 40, 50, 60]
        };
        for &ptime_ms in lengths {
            let mut listener = Phone::new(2, codec, Says::Nothing);
            listener.settings.ptime_ms = ptime_ms;
            let mut room = Room::new(Rate::Wide, vec![Phone::tone(1, Codec::Pcmu, 440.0), listener]);
            room.run(120);
            let listener = &room.phones[1];
            let step = codec.clock_hz() * u32::from(ptime_ms) / 1000;
            let whole = listener.got.windows(2).filter(|w| w[1].0.wrapping_sub(w[0].0) == step).count();
            assert!(whole + 4 >= 2400 / usize::from(ptime_ms), "{codec:?} {ptime_ms}: {whole}");
            assert!(
                listener.level(440.0, 1000).abs() < 1.0,
                "{codec:?} {ptime_ms}: {}",
                listener.level(440.0, 1000)
            );
        }
    }
}

#[test]
fn many_loud_voices_are_turned_down_not_cut() {
    let phones = (0..8).map(|n| {
        Phone::new(
            n,
            Codec::Pcma,
            Says::Tone {
                hz: 300.0 + 100.0 * n as f64,
                amplitude: 16_000.0,
            },
        )
    });
    let mut room = Room::new(Rate::Narrow, phones.chain([Phone::new(9, Codec::Pcma, Says::Nothing)]).collect());
    room.set_voices(8);
    room.run(75);
    let listener = &room.phones[8];
    let levels: Vec<f64> = (0..8).map(|n| listener.level(300.0 + 100.0 * n as f64, 1000)).collect();
    let (low, high) = levels
        .iter()
        .fold((f64::MAX, f64::MIN), |(low, high), &level| (low.min(level), high.max(level)));
    assert!(high - low < 1.0, "{levels:?}");
    // Between the tones is what cutting would have put there.
    assert!(
        listener.level(350.0, 1000) < high - 25.0,
        "{} {levels:?}",
        listener.level(350.0, 1000)
    );
}

#[test]
fn speaking_begins_soon_and_ends_after_a_pause() {
    for codec in CODECS {
        let mut room = Room::new(Rate::Wide, vec![Phone::tone(1, codec, 440.0), Phone::new(2, codec, Says::Nothing)]);
        room.run(10);
        assert_eq!(room.events, [Event::Speaking(Leg(1), true)], "{codec:?}");
        room.phones[0].says = Says::Nothing;
        room.run(20);
        assert_eq!(room.events.len(), 1, "a pause isn't the end");
        room.run(20);
        assert_eq!(room.events[1..], [Event::Speaking(Leg(1), false)], "{codec:?}");
    }
}

#[test]
fn gaps_in_silence_are_where_negotiated() {
    let (mut mixer, mut stock) = (Mixer::new(Rate::Narrow, 2).unwrap(), Stock::new().unwrap());
    let noise = LegSettings {
        comfort_noise: true,
        ..LegSettings::plain(Codec::Pcmu)
    };
    let dtx = LegSettings {
        dtx: true,
        ..LegSettings::plain(Codec::Opus)
    };
    for (leg, settings) in [(1, noise), (2, dtx)] {
        mixer.handle(Command::Add(Leg(leg), LegAudio::new(settings).unwrap())).unwrap();
    }
    let mut sent = [0; 3];
    for _ in 0..500 {
        mixer.tick(&mut stock);
        mixer.outputs(|leg, output| match (leg.0, output.kind) {
            (1, OutputKind::ComfortNoise) => sent[0] += 1,
            (1, OutputKind::Audio) => sent[1] += 1,
            _ => sent[2] += 1,
        });
    }
    assert_eq!(sent, [25, 10, 34]);
}

#[test]
fn what_cannot_be_is_refused() {
    let plain = LegSettings::plain(Codec::Pcmu);
    for (codec, ptime_ms) in [
        (Codec::Opus, 30),
        (Codec::Opus, 50),
        (Codec::Pcmu, 25),
        (Codec::Pcmu, 70),
        (Codec::G722, 0),
    ] {
        let settings = LegSettings {
            ptime_ms,
            ..LegSettings::plain(codec)
        };
        assert_eq!(LegAudio::new(settings).unwrap_err(), Unbuildable::Ptime(ptime_ms));
    }
    let audio = || LegAudio::new(plain).unwrap();
    let mut mixer = Mixer::new(Rate::Narrow, 1).unwrap();
    assert!(matches!(
        mixer.handle(Command::Replace(Leg(1), audio())),
        Err(Refused::Absent(Leg(1), _))
    ));
    assert!(matches!(mixer.handle(Command::Mute(Leg(1), true)), Err(Refused::Unknown(Leg(1)))));
    assert!(mixer.handle(Command::Add(Leg(1), audio())).unwrap().is_none());
    assert!(matches!(
        mixer.handle(Command::Add(Leg(1), audio())),
        Err(Refused::Present(Leg(1), _))
    ));
    assert!(matches!(mixer.handle(Command::Add(Leg(2), audio())), Err(Refused::Full(Leg(2), _))));
    assert_eq!((mixer.len(), mixer.is_empty()), (1, false));
}
