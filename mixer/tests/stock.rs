//! Codec states exist only while they are used.

mod common;

use common::{Phone, Room, Says};
use mixer::{Codec, Leg, Rate, Stock};

#[test]
fn who_finds_nothing_in_stock_waits_in_silence_and_then_hears() {
    let mut room = Room::new(
        Rate::Full,
        vec![
            Phone::tone(1, Codec::Pcmu, 440.0),
            Phone::new(2, Codec::Opus, Says::Nothing),
            Phone::new(3, Codec::Pcma, Says::Nothing),
        ],
    );
    (room.stock, room.restock) = (Stock::empty(), false);
    room.run(50);
    assert!(room.phones[1].heard.iter().all(|sample| sample.abs() <= 8), "silence of its codec");
    assert_eq!(room.phones[1].got.len(), 50, "in every tick");
    assert!(room.phones[2].level(440.0, 500).abs() < 1.0, "the others don't notice");
    let waits = room.stock.waits();
    assert!((30..=50).contains(&waits), "once a tick: {waits}");
    room.stock.fill(room.stock.lack().unwrap().make().unwrap());
    room.run(25);
    assert_eq!(room.stock.waits(), waits);
    assert!(room.phones[1].level(440.0, 300).abs() < 1.0);
}

#[test]
fn states_come_back_when_nobody_needs_them() {
    let mut room = Room::new(Rate::Full, (0..40).map(|n| Phone::new(n, Codec::Opus, Says::Nothing)).collect());
    room.restock = false;
    for pair in 0..20 {
        for phone in &mut room.phones {
            phone.says = if phone.leg.0 / 2 == pair {
                Says::Tone {
                    hz: 440.0,
                    amplitude: 8000.0,
                }
            } else {
                Says::Nothing
            };
        }
        room.run(30);
        assert!(
            room.phones[pair as usize * 2].level(440.0, 100).abs() < 1.5,
            "{pair} hears its neighbour"
        );
    }
    assert_eq!(room.stock.waits(), 0, "there are fewer in stock than have spoken");
    assert_eq!(room.mixer.jitter(Leg(0)).map(|jitter| jitter.late), Some(0));
}
