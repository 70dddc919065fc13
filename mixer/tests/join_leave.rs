//! Coming, going, muting, moving.

mod common;

use common::{CODECS, Phone, Room, Says};
use mixer::{Codec, Command, Event, Leg, Mixer, Rate, Stock};

fn three(codec: Codec) -> Room {
    let phones = vec![
        Phone::tone(1, codec, 440.0),
        Phone::tone(2, codec, 840.0),
        Phone::new(3, Codec::Pcmu, Says::Nothing),
    ];
    let mut room = Room::new(Rate::Wide, phones);
    room.run(25);
    room.events.clear();
    room
}

#[test]
fn r12_a_mute_is_in_force_at_the_next_tick() {
    for codec in CODECS {
        let mut room = three(codec);
        room.command(Command::Mute(Leg(1), true));
        room.run(1);
        assert!(room.events.contains(&Event::Applied(Leg(1))), "{:?}", room.events);
        assert!(room.events.contains(&Event::Speaking(Leg(1), false)));
        // The first 5 ms of that tick lead the voice to zero, and the filters delay that.
        let rest = &room.phones[2].last_ms(10);
        assert!(
            common::amplitude(rest, 440.0, 8000) < 250.0,
            "{codec:?}: {}",
            common::amplitude(rest, 440.0, 8000)
        );
        room.run(20);
        assert!(room.phones[2].level(440.0, 300) < -40.0);
        assert!(room.phones[2].level(840.0, 300).abs() < 1.0);
        room.events.clear();
        room.command(Command::Mute(Leg(1), false));
        room.run(1);
        assert_eq!(room.events, [Event::Applied(Leg(1))]);
        room.run(20);
        assert!(room.phones[2].level(440.0, 300).abs() < 1.0);
        assert!(room.events.contains(&Event::Speaking(Leg(1), true)));
    }
}

#[test]
fn nobody_clicks_when_they_come_or_go() {
    for (codec, rate) in CODECS
        .into_iter()
        .flat_map(|codec| [Rate::Narrow, Rate::Wide].map(|rate| (codec, rate)))
    {
        // So low that a click is much steeper; and ticks begin anywhere in its period.
        let mut room = Room::new(rate, vec![Phone::tone(1, codec, 115.0), Phone::new(3, Codec::Pcmu, Says::Nothing)]);
        room.run(50);
        let most = room.phones[1].steepest(600) + 1200;
        for ticks in 3..12 {
            room.command(Command::Mute(Leg(1), ticks % 2 == 1));
            room.run(ticks);
            assert!(
                room.phones[1].steepest(20 * ticks + 20) < most,
                "{codec:?} {rate:?} {ticks}: {}",
                room.phones[1].steepest(20 * ticks + 20)
            );
        }
        room.command(Command::Mute(Leg(1), false));
        for _ in 0..4 {
            room.run(11);
            assert!(room.command(Command::Remove(Leg(1))).is_some());
            room.run(4);
            assert!(
                room.phones[1].steepest(100) < most,
                "{codec:?} {rate:?}: {}",
                room.phones[1].steepest(100)
            );
            let audio = room.phones[0].audio();
            room.command(Command::Add(Leg(1), audio));
        }
        assert!(room.events.contains(&Event::Applied(Leg(1))) && room.events.contains(&Event::Speaking(Leg(1), false)));
    }
}

#[test]
fn r44_a_held_leg_is_not_heard_but_hears() {
    let mut room = three(Codec::Pcma);
    room.command(Command::Hear(Leg(1), false));
    room.run(20);
    assert!(room.phones[2].level(440.0, 300) < -40.0);
    assert!(room.phones[0].level(840.0, 300).abs() < 1.0);
    assert!(!room.events.contains(&Event::Applied(Leg(1))));
    room.command(Command::Send(Leg(1), false));
    let got = room.phones[0].got.len();
    room.run(10);
    assert_eq!(room.phones[0].got.len(), got);
    room.command(Command::Send(Leg(1), true));
    room.run(1);
    let (time, marker, _) = &room.phones[0].got[got];
    assert_eq!((*time, *marker), (room.phones[0].got[got - 1].0 + 11 * 160, true));
}

#[test]
fn r60_a_moved_leg_goes_on_where_it_was() {
    for codec in CODECS {
        let mut phone = Phone::tone(1, codec, 440.0);
        let (mut vestibule, mut stock) = (Mixer::vestibule(10).unwrap(), Stock::new().unwrap());
        vestibule.handle(Command::Add(phone.leg, phone.audio())).unwrap();
        for _ in 0..30 {
            phone.packets().iter().for_each(|sent| vestibule.push(phone.leg, sent.packet()));
            vestibule.tick(&mut stock);
            vestibule.outputs(|_, output| phone.hear(&output));
        }
        let audio = vestibule.handle(Command::Remove(Leg(1))).unwrap().unwrap();
        let mut room = Room::new(Rate::Wide, vec![Phone::tone(2, codec, 700.0)]);
        room.run(25);
        room.phones.push(phone);
        room.command(Command::Add(Leg(1), audio));
        room.run(25);
        let phone = &room.phones[1];
        assert_eq!(phone.got.len(), 55);
        let step = codec.clock_hz() / 50;
        assert!(
            phone.got.windows(2).all(|w| w[1].0.wrapping_sub(w[0].0) == step && !w[1].1),
            "{codec:?}"
        );
        assert!(phone.level(700.0, 400).abs() < 1.0);
        // What waited in the jitter buffer came along: no gap.
        let jitter = room.mixer.jitter(Leg(1)).unwrap();
        assert_eq!((jitter.received, jitter.concealed), (55, 0), "{jitter:?}");
        assert!(room.phones[0].level(440.0, 400).abs() < 1.0);
    }
}

#[test]
fn r67_a_leg_moves_as_it_is_between_rooms_of_any_rates() {
    for codec in CODECS {
        for (from, to) in [(Rate::Narrow, Rate::Full), (Rate::Full, Rate::Wide), (Rate::Wide, Rate::Narrow)] {
            let mut one = Room::new(from, vec![Phone::tone(1, codec, 440.0)]);
            one.run(25);
            let audio = one.command(Command::Remove(Leg(1))).unwrap();
            let mut other = Room::new(
                to,
                vec![Phone::tone(2, Codec::Opus, 700.0), Phone::new(3, Codec::Opus, Says::Nothing)],
            );
            other.run(5);
            assert_eq!(other.mixer.rate(), to);
            other.phones.append(&mut one.phones);
            other.command(Command::Add(Leg(1), audio));
            other.run(25);
            let levels = [other.phones[0].level(440.0, 300), other.phones[2].level(700.0, 300)];
            assert!(
                levels.iter().all(|level| level.abs() < 1.0),
                "{codec:?} {from:?} {to:?}: {levels:?}"
            );
            let got = &other.phones[2].got;
            assert!(got.windows(2).all(|w| w[1].0.wrapping_sub(w[0].0) == codec.clock_hz() / 50));
        }
    }
}

#[test]
fn a_renegotiated_codec_keeps_mute_and_time() {
    let mut room = three(Codec::Pcmu);
    room.command(Command::Mute(Leg(1), true));
    room.run(1);
    room.phones[0].settings.codec = Codec::Pcma;
    let audio = room.phones[0].audio();
    let before = room.command(Command::Replace(Leg(1), audio)).unwrap();
    assert_eq!(before.settings().codec, Codec::Pcmu);
    let got = room.phones[0].got.len();
    room.run(20);
    assert_eq!(room.phones[0].got[got].0, room.phones[0].got[got - 1].0 + 160);
    assert!(room.phones[2].level(440.0, 300) < -40.0, "still muted");
    assert!(room.phones[0].level(840.0, 300).abs() < 1.0);
    room.command(Command::Mute(Leg(1), false));
    room.run(20);
    assert!(room.phones[2].level(440.0, 300).abs() < 1.0);
}

#[test]
fn events_nobody_polls_are_counted() {
    let (mut mixer, mut stock) = (Mixer::new(Rate::Narrow, 1).unwrap(), Stock::new().unwrap());
    let audio = Phone::new(1, Codec::Pcmu, Says::Nothing).audio();
    mixer.handle(Command::Add(Leg(1), audio)).unwrap();
    for n in 0..10 {
        mixer.handle(Command::Mute(Leg(1), n % 2 == 0)).unwrap();
        mixer.tick(&mut stock);
    }
    assert_eq!(std::iter::from_fn(|| mixer.poll_event()).count() as u64 + mixer.lost_events(), 10);
    assert!(mixer.lost_events() > 0);
}

#[test]
fn who_spoke_alone_never_hears_themselves() {
    for (codec, rate) in CODECS.into_iter().flat_map(|codec| common::RATES.map(|rate| (codec, rate))) {
        let mut room = Room::new(rate, vec![Phone::tone(1, codec, 440.0), Phone::new(2, codec, Says::Nothing)]);
        room.run(50);
        let quiet = room.phones[0].heard.len();
        room.phones[1].says = Says::Tone {
            hz: 40.0,
            amplitude: 400.0,
        };
        room.run(10);
        let phone = &room.phones[0];
        let own = phone.heard[quiet..]
            .chunks(phone.hz() / 200)
            .map(|part| common::amplitude(part, 440.0, phone.hz()))
            .fold(0.0, f64::max);
        assert!(own < 400.0, "{codec:?} {rate:?}: {own}");
    }
}

#[test]
fn r67_a_change_of_the_mixing_rate_is_not_heard() {
    for codec in CODECS {
        // So low that a click is much steeper.
        let phones = vec![
            Phone::tone(1, Codec::Pcmu, 115.0),
            Phone::new(2, Codec::Opus, Says::Nothing),
            Phone::new(3, codec, Says::Nothing),
            Phone::new(4, Codec::Opus, Says::Nothing),
        ];
        let mut room = Room::new(Rate::Full, phones);
        room.run(50);
        assert_eq!(room.mixer.rate(), Rate::Narrow);
        // Two tones 4 ms apart that give way to one another, and a step of G.711.
        let most = room.phones[2].steepest(600) + 200 + 256;
        room.phones[1].says = Says::Tone {
            hz: 60.0,
            amplitude: 300.0,
        };
        while room.mixer.rate() != Rate::Full {
            room.run(1);
        }
        room.run(5);
        assert!(
            room.phones[2].steepest(140) < most,
            "{codec:?}: {} > {most}",
            room.phones[2].steepest(140)
        );
        room.phones[1].says = Says::Nothing;
        let mut ticks = 0;
        while room.mixer.rate() == Rate::Full {
            room.run(1);
            ticks += 1;
        }
        // Patience, the jitter buffer and the hang-over.
        assert!((1500..1530).contains(&ticks), "{ticks}");
        assert_eq!(room.mixer.rate(), Rate::Narrow);
        room.run(5);
        assert!(
            room.phones[2].steepest(140) < most,
            "{codec:?}: {} > {most}",
            room.phones[2].steepest(140)
        );
        assert!(room.phones[2].level(115.0, 80).abs() < 1.0);
    }
}

#[test]
fn r67_a_room_of_g711_adds_samples_as_they_came() {
    let phones = vec![Phone::tone(1, Codec::Pcmu, 440.0), Phone::new(2, Codec::Pcmu, Says::Nothing)];
    let mut room = Room::new(Rate::Full, phones);
    let mut said = Vec::new();
    room.run_with(40, |leg, sent| {
        said.extend(sent.iter().filter(|_| leg == Leg(1)).flat_map(|sent| sent.payload.clone()));
        sent
    });
    assert_eq!(room.mixer.rate(), Rate::Narrow);
    let heard: Vec<u8> = room.phones[1].got.iter().skip(10).flat_map(|got| got.2.clone()).collect();
    assert!(
        said.windows(heard.len()).any(|said| said == heard),
        "what was said is heard bit for bit"
    );
}
