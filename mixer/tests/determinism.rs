//! The same packets give the same packets, bit for bit.

mod common;

use common::{CODECS, Dice, Phone, RATES, Room, Says};
use mixer::{Codec, Command, Leg, Player, Rate, Step};

/// A lively room on a bad network; everything that it sent.
fn replay(rate: Rate, seed: u64) -> (Vec<Vec<u8>>, Vec<mixer::Event>) {
    let mut dice = Dice(seed);
    let mut phones: Vec<Phone> = (0..9)
        .map(|n| Phone::tone(n, CODECS[n as usize % 4], 300.0 + 70.0 * n as f64))
        .collect();
    phones[3].settings.ptime_ms = 40;
    phones[5].settings.ptime_ms = 60;
    phones[8].settings.dtx = true;
    let mut room = Room::new(rate, phones);
    for turn in 0..12 {
        for n in 0..9 {
            room.phones[n].says = match dice.below(2) {
                0 => Says::Nothing,
                _ => Says::Tone {
                    hz: 200.0 + dice.below(2000) as f64,
                    amplitude: dice.below(20_000) as f64,
                },
            };
        }
        room.command(Command::Mute(Leg(dice.below(9)), turn % 3 == 0));
        room.command(Command::Hear(Leg(dice.below(9)), turn % 4 != 0));
        room.command(Command::Volume {
            leg: Leg(dice.below(9)),
            hear: Step::new(dice.below(5) as i8 - 2),
            speak: Step::new(dice.below(5) as i8 - 2),
        });
        let word = Player::new((0..3000).collect::<Vec<i16>>().into(), Rate::Wide, 6, false);
        room.mixer.say(Leg(dice.below(9)), Some(word));
        let mut losses = Dice(dice.below(1 << 30));
        room.run_with(20, |_, mut sent| {
            sent.retain(|_| losses.below(10) > 0);
            sent
        });
    }
    let sent = room
        .phones
        .iter()
        .flat_map(|phone| phone.got.iter().map(|got| got.2.clone()))
        .collect();
    (sent, room.events)
}

#[test]
fn replays_are_bit_exact() {
    for rate in RATES {
        let (once, twice, other) = (replay(rate, 1), replay(rate, 1), replay(rate, 2));
        assert!(once.0.len() > 1500 && !once.1.is_empty());
        assert!(once == twice, "{rate:?}");
        assert!(once.0 != other.0, "other dice give another room");
    }
}

#[test]
fn other_legs_do_not_change_what_one_hears() {
    let alone = |extra: bool| {
        let mut phones = vec![Phone::tone(1, Codec::Opus, 440.0), Phone::new(5, Codec::Opus, Says::Nothing)];
        if extra {
            phones.extend([2, 7].map(|leg| Phone::new(leg, Codec::Opus, Says::Nothing)));
        }
        let mut room = Room::new(Rate::Full, phones);
        room.run(50);
        room.phones.swap_remove(1).got
    };
    assert!(alone(false) == alone(true));
}

#[test]
fn rooms_and_legs_can_go_to_another_thread() {
    fn sendable<T: Send>() {}
    sendable::<mixer::Mixer>();
    sendable::<mixer::LegAudio>();
    sendable::<Command>();
}
