//! What one leg alone hears: speech, waiting music, its own volume.

mod common;

use std::{f64::consts::TAU, sync::Arc};

use common::{CODECS, Phone, RATES, Room, Says, amplitude};
use mixer::{Codec, Command, Event, Keys, Leg, Mixer, OutputKind, Packet, Player, Rate, Sound, Step, Stock};

const SPEECH_HZ: f64 = 1000.0;

fn samples(hz: f64, amplitude: f64, rate: Rate, ms: usize) -> Arc<[i16]> {
    let sample = |n| (amplitude * (TAU * hz * n as f64 / f64::from(rate.hz())).sin()) as i16;
    (0..rate.hz() as usize * ms / 1000).map(sample).collect()
}

fn speech(ms: usize) -> Box<Player> {
    Player::new(samples(SPEECH_HZ, 8000.0, Rate::Narrow, ms), Rate::Narrow, 0, false)
}

/// Mixes, and gives the events.
fn events(room: &mut Room) -> Vec<Event> {
    let told = std::mem::take(&mut room.events);
    let speaking = |event: &Event| matches!(event, Event::Speaking(..));
    told.into_iter().filter(|event| !speaking(event)).collect()
}

/// Somebody who makes a tone, and two who hear it.
fn tone_and_two(codec: Codec, rate: Rate) -> Room {
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
fn who_is_spoken_to_hears_the_room_12_db_lower_and_nobody_else_hears_anything_of_it() {
    for (codec, rate) in CODECS.into_iter().flat_map(|codec| RATES.map(|rate| (codec, rate))) {
        let mut room = tone_and_two(codec, rate);
        let (before, other) = (room.phones[1].steepest(400), room.phones[2].steepest(400));
        assert!(room.mixer.say(Leg(2), Some(speech(1000))).is_none());
        room.run(45);
        let [mixed, said] = [440.0, SPEECH_HZ].map(|hz| room.phones[1].level(hz, 500));
        assert!((mixed + 12.0).abs() < 1.0 && said.abs() < 1.0, "{codec:?} {rate:?}: {mixed} {said}");
        let [mixed, said] = [440.0, SPEECH_HZ].map(|hz| room.phones[2].level(hz, 500));
        assert!(mixed.abs() < 1.0 && said < -30.0, "{codec:?} {rate:?}: {mixed} {said}");
        room.run(40);
        assert_eq!(events(&mut room), [Event::Said(Leg(2))]);
        assert!(room.mixer.poll_said().is_some() && room.mixer.poll_said().is_none());
        let [mixed, said] = [440.0, SPEECH_HZ].map(|hz| room.phones[1].level(hz, 400));
        assert!(mixed.abs() < 1.0 && said < -30.0, "{codec:?} {rate:?}: {mixed} {said}");
        // A tone of 1000 Hz is steeper than one of 440, and what is heard of both as steep as both together; no click is in it.
        let bound = before + 6_300 * 8_000 / codec.rate().hz() as i32 + 150;
        let steepest = room.phones[1].steepest(1700);
        assert!(steepest < bound, "{codec:?} {rate:?}: {before}, {steepest}");
        let steepest = room.phones[2].steepest(1700);
        assert!(steepest < other + 150, "{codec:?} {rate:?}: {other}, {steepest}");
    }
}

#[test]
fn r64_200_short_words_do_not_disturb_what_one_hears() {
    for codec in CODECS {
        let mut room = tone_and_two(codec, Rate::Full);
        let before = room.phones[1].steepest(400);
        for turn in 0..200 {
            // Silent words: what is heard is the room, lower and back again.
            let word = Player::new(Arc::from([0; 320]), Rate::Narrow, 0, false);
            assert!(room.mixer.say(Leg(2), Some(word)).is_none());
            room.run(20);
            assert!(room.mixer.poll_said().is_some());
            let steepest = room.phones[1].steepest(400);
            assert!(steepest < before + 400, "{codec:?}, turn {turn}: {before} {steepest}");
        }
        assert_eq!(events(&mut room).len(), 200);
    }
}

#[test]
fn who_talks_is_spoken_to_as_well() {
    for codec in CODECS {
        let mut room = Room::new(Rate::Full, vec![Phone::tone(1, codec, 440.0), Phone::tone(2, codec, 700.0)]);
        room.run(50);
        assert!(room.mixer.say(Leg(1), Some(speech(2000))).is_none());
        room.run(50);
        let [own, mixed, said] = [440.0, 700.0, SPEECH_HZ].map(|hz| room.phones[0].level(hz, 500));
        assert!(
            own < -30.0 && (mixed + 12.0).abs() < 1.0 && said.abs() < 1.0,
            "{codec:?}: {own} {mixed} {said}"
        );
        assert!(room.phones[1].level(440.0, 500).abs() < 1.0, "{codec:?}");
    }
}

#[test]
fn alone_or_among_the_silent_one_hears_what_is_said() {
    for codec in CODECS {
        for says in [
            Says::Nothing,
            Says::Tone {
                hz: 440.0,
                amplitude: 8000.0,
            },
        ] {
            let mut room = Room::new(Rate::Full, vec![Phone::new(1, codec, says)]);
            room.run(30);
            assert!(room.mixer.say(Leg(1), Some(speech(1000))).is_none());
            room.run(45);
            let (own, said) = (room.phones[0].level(440.0, 500), room.phones[0].level(SPEECH_HZ, 500));
            assert!(said.abs() < 1.0 && own < -30.0, "{codec:?}: {said} {own}");
            room.run(40);
            assert!(room.phones[0].level(SPEECH_HZ, 400) < -30.0, "{codec:?}");
        }
    }
}

#[test]
fn something_else_is_said_instead_and_only_what_ends_by_itself_is_told() {
    let mut room = tone_and_two(Codec::Pcmu, Rate::Narrow);
    assert!(room.mixer.say(Leg(2), Some(speech(60_000))).is_none());
    room.run(10);
    let other = |hz| Player::new(samples(hz, 8000.0, Rate::Wide, 500), Rate::Wide, 0, false);
    assert!(room.mixer.say(Leg(2), Some(other(1500.0))).is_none());
    assert!(room.mixer.say(Leg(2), Some(other(2000.0))).is_some(), "never begun");
    room.run(20);
    let [first, second, third] = [SPEECH_HZ, 1500.0, 2000.0].map(|hz| room.phones[1].level(hz, 300));
    assert!(first < -30.0 && second < -30.0 && third.abs() < 1.5, "{first} {second} {third}");
    assert_eq!(events(&mut room), []);
    room.run(20);
    assert_eq!(events(&mut room), [Event::Said(Leg(2))]);
    // Ended, and said to nobody.
    assert!(room.mixer.say(Leg(2), Some(speech(60_000))).is_none());
    room.run(10);
    assert!(room.mixer.say(Leg(2), None).is_none());
    room.run(20);
    assert_eq!(events(&mut room), []);
    assert_eq!(std::iter::from_fn(|| room.mixer.poll_said()).count(), 3);
    assert!(room.mixer.say(Leg(99), Some(speech(20))).is_some());
}

#[test]
fn speech_follows_from_the_vestibule_into_a_room_and_waits_for_who_is_sent_nothing() {
    let mut vestibule = Room::new(Rate::Full, vec![]);
    vestibule.mixer = Mixer::vestibule(10).unwrap();
    let phone = Phone::new(2, Codec::Pcmu, Says::Nothing);
    vestibule.command(Command::Add(Leg(2), phone.audio()));
    vestibule.phones.push(phone);
    vestibule.command(Command::Send(Leg(2), false));
    assert!(vestibule.mixer.say(Leg(2), Some(speech(600))).is_none());
    vestibule.run(50);
    assert_eq!(events(&mut vestibule), []);
    vestibule.command(Command::Send(Leg(2), true));
    vestibule.run(15);
    assert!(vestibule.phones[0].level(SPEECH_HZ, 200).abs() < 1.0);
    let audio = vestibule.command(Command::Remove(Leg(2))).unwrap();
    let mut room = Room::new(Rate::Full, vec![Phone::tone(1, Codec::Pcma, 440.0)]);
    room.run(30);
    room.command(Command::Add(Leg(2), audio));
    room.phones.push(vestibule.phones.remove(0));
    room.run(12);
    let [mixed, said] = [440.0, SPEECH_HZ].map(|hz| room.phones[1].level(hz, 200));
    assert!((mixed + 12.0).abs() < 1.5 && said.abs() < 1.0, "{mixed} {said}");
    room.run(30);
    assert!(room.phones[1].level(440.0, 200).abs() < 1.0);
    assert_eq!(events(&mut room), [Event::Said(Leg(2))]);
}

#[test]
fn who_waits_hears_music_and_the_others_in_the_vestibule_nothing() {
    for codec in CODECS {
        let mut room = Room::new(Rate::Full, vec![]);
        room.mixer = Mixer::vestibule(10).unwrap();
        for leg in 1..=3 {
            let phone = Phone::tone(leg, codec, 300.0);
            room.command(Command::Add(Leg(leg), phone.audio()));
            room.phones.push(phone);
        }
        let music = Player::new(samples(700.0, 8000.0, Rate::Wide, 1000), Rate::Wide, 0, true);
        room.mixer.play(Sound(0), music).unwrap();
        room.run(20);
        room.command(Command::Wait(Leg(1), true));
        room.command(Command::Wait(Leg(2), true));
        room.run(60);
        for (phone, heard) in [(0, true), (1, true), (2, false)] {
            let level = room.phones[phone].level(700.0, 500);
            assert!(if heard { level.abs() < 1.0 } else { level < -40.0 }, "{codec:?} {phone}: {level}");
            assert!(room.phones[phone].level(300.0, 500) < -40.0, "nobody is heard here");
        }
        let steepest = room.phones[0].steepest(1400);
        // 8000 sin(2π 700 t), sample by sample.
        let bound = (8000.0 * TAU * 700.0 / f64::from(codec.rate().hz())) as i32 + 1000;
        assert!(steepest < bound, "{codec:?}: a click of {steepest}");
        assert!(room.mixer.say(Leg(1), Some(speech(1000))).is_none());
        room.run(40);
        let [music, said] = [700.0, SPEECH_HZ].map(|hz| room.phones[0].level(hz, 500));
        assert!((music + 12.0).abs() < 1.0 && said.abs() < 1.0, "{codec:?}: {music} {said}");
        room.command(Command::Wait(Leg(1), false));
        room.command(Command::Wait(Leg(2), false));
        room.run(60);
        assert!((0..3).all(|phone| room.phones[phone].level(700.0, 400) < -40.0), "{codec:?}");
        assert_eq!(events(&mut room), [Event::Said(Leg(1))]);
    }
}

#[test]
fn r63_five_volumes_of_3_db_both_ways() {
    for codec in CODECS {
        for steps in -2..=2 {
            let mut room = tone_and_two(codec, Rate::Full);
            let usual = room.phones[1].level(440.0, 400);
            let set = |hear, speak| {
                let (hear, speak) = (Step::new(hear), Step::new(speak));
                move |leg| Command::Volume {
                    leg: Leg(leg),
                    hear,
                    speak,
                }
            };
            room.command(set(steps, 0)(2));
            room.run(40);
            let (level, other) = (room.phones[1].level(440.0, 400), room.phones[2].level(440.0, 400));
            let wanted = 3.0 * f64::from(steps);
            assert!((level - usual - wanted).abs() < 0.3, "{codec:?} {steps}: {usual} {level}");
            assert!((other - usual).abs() < 0.2, "{codec:?} {steps}: {usual} {other}");
            room.command(set(0, 0)(2));
            room.command(set(0, steps)(1));
            room.run(40);
            let level = room.phones[1].level(440.0, 400);
            assert!((level - usual - wanted).abs() < 0.3, "{codec:?} {steps}: {usual} {level}");
            // As steep as it is loud.
            let bound = 2.1 * 8000.0 * TAU * 440.0 / f64::from(codec.rate().hz()) + 300.0;
            let steepest = room.phones[1].steepest(1500);
            assert!(f64::from(steepest) < bound, "{codec:?} {steps}: {steepest}");
        }
    }
}

#[test]
fn r63_who_hears_at_the_same_volume_shares_an_encoder() {
    let mut phones = vec![Phone::tone(0, Codec::Pcmu, 440.0), Phone::tone(1, Codec::Pcma, 700.0)];
    phones.extend((2..60).map(|leg| Phone::new(leg, Codec::Opus, Says::Nothing)));
    let mut room = Room::new(Rate::Full, phones);
    for leg in 2..60 {
        let hear = Step::new(leg as i8 % 5 - 2);
        room.command(Command::Volume {
            leg: Leg(leg),
            hear,
            speak: Step::default(),
        });
        // One after another, lest each have an encoder of its own at the same time while it changes.
        room.run(6);
    }
    room.restock = false;
    let waits = room.stock.waits();
    room.run(100);
    assert_eq!(room.stock.waits(), waits, "five encoders are enough for all of them");
    for (phone, like) in [(12, 7), (13, 8), (14, 9), (15, 10), (16, 11)] {
        let last = |phone: usize| &room.phones[phone].got.last().unwrap().2;
        assert_eq!(last(phone), last(like), "{phone} hears what {like} does");
    }
}

#[test]
fn loud_voices_made_louder_are_not_cut() {
    let phones = vec![
        Phone::new(
            1,
            Codec::Pcma,
            Says::Tone {
                hz: 440.0,
                amplitude: 30_000.0,
            },
        ),
        Phone::new(2, Codec::G722, Says::Nothing),
    ];
    let mut room = Room::new(Rate::Full, phones);
    for leg in [1, 2] {
        let step = Step::new(2);
        room.command(Command::Volume {
            leg: Leg(leg),
            hear: step,
            speak: step,
        });
    }
    room.run(100);
    let heard = room.phones[1].last_ms(500);
    let tone = amplitude(heard, 440.0, 16_000);
    let thirds = amplitude(heard, 1320.0, 16_000);
    assert!(thirds < tone / 100.0, "a cut tone has overtones: {tone} {thirds}");
}

#[test]
fn r70_keys_are_found_in_the_vestibule_by_what_a_leg_sounds_like() {
    for codec in CODECS {
        let mut vestibule = Mixer::vestibule(4).unwrap();
        let mut stock = Stock::new().unwrap();
        let mut phones: Vec<Phone> = (1..=2).map(|leg| Phone::new(leg, codec, Says::Nothing)).collect();
        for phone in &phones {
            vestibule.handle(Command::Add(phone.leg, phone.audio())).unwrap();
        }
        assert!(vestibule.find_keys(Leg(1), Some(Keys::new())).is_none());
        let mut told = Vec::new();
        for tick in 0..100 {
            for phone in &mut phones {
                phone.says = match tick % 10 {
                    // The tones of 5, a hundred ms long.
                    0..5 => Says::Pair {
                        hz: [770.0, 1336.0],
                        amplitude: 5000.0,
                    },
                    _ => Says::Nothing,
                };
                for sent in phone.packets() {
                    vestibule.push(phone.leg, sent.packet());
                }
            }
            vestibule.tick(&mut stock);
            vestibule.outputs(|_, output| assert_eq!(output.kind, OutputKind::Audio));
            told.extend(std::iter::from_fn(|| vestibule.poll_event()));
        }
        assert_eq!(told, [Event::Key(Leg(1), '5'); 10], "{codec:?}");
        assert!(vestibule.find_keys(Leg(1), None).is_some());
    }
}

/// Says G.711 to a vestibule, and gives the keys that are found in it.
fn keys_in(bytes: &[u8]) -> Vec<Event> {
    let mut vestibule = Mixer::vestibule(1).expect("made");
    let mut stock = Stock::new().expect("made");
    let phone = Phone::new(1, Codec::Pcmu, Says::Nothing);
    vestibule.handle(Command::Add(phone.leg, phone.audio())).expect("made");
    vestibule.find_keys(phone.leg, Some(Keys::new()));
    let mut told = Vec::new();
    for (n, payload) in bytes.chunks_exact(160).enumerate() {
        let packet = Packet {
            ssrc: 1,
            sequence: n as u16,
            timestamp: 160 * n as u32,
            marker: n == 0,
            level: None,
            since_tick_us: 10_000,
            payload,
        };
        vestibule.push(phone.leg, packet);
        vestibule.tick(&mut stock);
        told.extend(std::iter::from_fn(|| vestibule.poll_event()));
    }
    told
}

#[test]
fn r70_speech_holds_no_keys() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../src/media/prompts/en");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut seconds = 0;
    for file in files {
        let bytes = std::fs::read(&file).unwrap();
        let data = bytes.windows(4).position(|window| window == b"data").unwrap() + 8;
        assert_eq!(keys_in(&bytes[data..]), [], "{}", file.display());
        seconds += (bytes.len() - data) / 8000;
    }
    assert!(seconds > 30, "{seconds} s of speech");
    // The same way finds a key.
    let five = |n: usize| {
        let tone = |hz: f64| (TAU * hz * n as f64 / 8000.0).sin();
        common::g711::mu((6000.0 * (tone(770.0) + tone(1336.0))) as i16)
    };
    let bytes: Vec<u8> = (0..1600).map(five).collect();
    assert_eq!(keys_in(&bytes), [Event::Key(Leg(1), '5')]);
}
