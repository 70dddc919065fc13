//! What a bad network does to a voice, and what hostile packets don't do to the mixer.

mod common;

use common::{CODECS, Dice, Phone, RATES, Room, Says, Sent};
use mixer::{Codec, Command, Leg, LegAudio, LegSettings, Mixer, Packet, Rate, Stock};

fn pair(codec: Codec) -> Room {
    Room::new(
        Rate::Wide,
        vec![Phone::tone(1, codec, 440.0), Phone::new(2, Codec::Pcmu, Says::Nothing)],
    )
}

#[test]
fn one_lost_packet_in_ten_is_missed_by_nobody() {
    for codec in CODECS {
        let (mut room, mut count) = (pair(codec), 0);
        room.run(20);
        let before = room.mixer.jitter(Leg(1)).unwrap();
        room.run_with(200, |leg, mut sent| {
            count += u32::from(leg == Leg(1));
            sent.retain(|_| leg == Leg(2) || count % 10 != 0);
            sent
        });
        let (listener, after) = (&room.phones[1], room.mixer.jitter(Leg(1)).unwrap());
        assert_eq!(after.concealed - before.concealed, 20, "{codec:?}: {after:?}");
        assert!(
            listener.level(440.0, 3000).abs() < 1.5,
            "{codec:?}: {}",
            listener.level(440.0, 3000)
        );
        assert!(listener.steepest(3000) < 5500, "{codec:?}: {}", listener.steepest(3000));
    }
}

#[test]
fn a_long_gap_fades_and_the_voice_comes_back() {
    for codec in CODECS {
        let mut room = pair(codec);
        room.run(50);
        room.run_with(15, |_, _| Vec::new());
        assert!(
            room.phones[1].level(440.0, 60) < -25.0,
            "{codec:?}: {}",
            room.phones[1].level(440.0, 60)
        );
        assert!(room.phones[1].steepest(300) < 5500, "{codec:?}: {}", room.phones[1].steepest(300));
        room.run(20);
        assert!(
            room.phones[1].level(440.0, 200).abs() < 1.0,
            "{codec:?}: {}",
            room.phones[1].level(440.0, 200)
        );
    }
}

#[test]
fn order_and_repetition_on_the_way_are_put_right() {
    for codec in CODECS {
        let (mut room, mut held, mut n) = (pair(codec), Vec::<Sent>::new(), 0);
        let mut crooked = |leg, sent: Vec<Sent>| {
            if leg != Leg(1) {
                return sent;
            }
            n += 1;
            // Every third packet waits for the next one, and comes twice.
            if n % 3 == 1 {
                held = sent;
                return Vec::new();
            }
            let late = std::mem::take(&mut held);
            sent.into_iter().chain(late.clone()).chain(late).collect()
        };
        room.run_with(50, &mut crooked);
        let before = room.mixer.jitter(Leg(1)).unwrap();
        room.run_with(100, &mut crooked);
        let after = room.mixer.jitter(Leg(1)).unwrap();
        assert_eq!(
            (after.late, after.concealed),
            (before.late, before.concealed),
            "{codec:?}: {after:?}"
        );
        assert!(after.duplicates >= before.duplicates + 33, "{codec:?}: {after:?}");
        assert!(
            room.phones[1].level(440.0, 1800).abs() < 0.5,
            "{codec:?}: {}",
            room.phones[1].level(440.0, 1800)
        );
        assert!(room.phones[1].steepest(1800) < 3500, "{codec:?}: {}", room.phones[1].steepest(1800));
    }
}

#[test]
fn a_new_source_and_a_jumping_clock_are_followed() {
    for codec in CODECS {
        for change in [
            |phone: &mut Phone| phone.ssrc += 1,
            |phone: &mut Phone| phone.timestamp = phone.timestamp.wrapping_add(0x7000_0000),
            |phone: &mut Phone| phone.timestamp = phone.timestamp.wrapping_sub(48_000 * 60),
            |phone: &mut Phone| phone.sequence = phone.sequence.wrapping_add(30_000),
            |phone: &mut Phone| (phone.sequence, phone.timestamp, phone.ssrc) = (0, 0, 99),
        ] {
            let mut room = pair(codec);
            room.run(50);
            change(&mut room.phones[0]);
            room.run(30);
            assert!(
                room.phones[1].level(440.0, 400).abs() < 1.0,
                "{codec:?}: {}",
                room.phones[1].level(440.0, 400)
            );
        }
    }
}

#[test]
fn a_slower_way_is_waited_for_and_a_faster_one_made_use_of() {
    for codec in CODECS {
        let (mut room, mut queue) = (pair(codec), std::collections::VecDeque::from(vec![Vec::new(); 5]));
        room.phones[0].says = Says::Tone {
            hz: 115.0,
            amplitude: 8000.0,
        };
        room.run(50);
        let steepest = room.phones[1].steepest(600) + 600;
        let delayed = |leg: Leg, sent: Vec<Sent>| {
            if leg != Leg(1) {
                return sent;
            }
            queue.push_back(sent);
            queue.pop_front().unwrap_or_default()
        };
        room.run_with(60, delayed);
        assert!(
            room.phones[1].level(115.0, 800).abs() < 1.0,
            "{codec:?}: {}",
            room.phones[1].level(115.0, 800)
        );
        let before = room.mixer.jitter(Leg(1)).unwrap();
        // Now all that was under way arrives at once, and from then on nothing is delayed.
        let mut rest: Vec<Sent> = queue.into_iter().flatten().collect();
        room.run_with(700, |leg, sent| {
            if leg == Leg(1) {
                std::mem::take(&mut rest).into_iter().chain(sent).collect()
            } else {
                sent
            }
        });
        let after = room.mixer.jitter(Leg(1)).unwrap();
        assert!((95..=105).contains(&(after.dropped_ms - before.dropped_ms)), "{codec:?}: {after:?}");
        assert!(
            room.phones[1].steepest(14_000) < steepest,
            "{codec:?}: what is left out leaves no click: {}",
            room.phones[1].steepest(14_000)
        );
        assert_eq!(after.concealed, before.concealed, "{codec:?}");
    }
}

#[test]
fn r68_skipped_ticks_cost_their_time_and_no_more() {
    for codec in CODECS {
        let mut room = pair(codec);
        room.run(50);
        room.mixer.skip(7);
        let stalled: Vec<Sent> = (0..7).flat_map(|_| room.phones[0].packets()).collect();
        stalled.iter().for_each(|sent| room.mixer.push(Leg(1), sent.packet()));
        room.run(40);
        let listener = &room.phones[1];
        assert_eq!(listener.got.len(), 90, "sequence numbers don't skip");
        assert_eq!(listener.got[50].0.wrapping_sub(listener.got[49].0), 8 * 160, "RTP time does");
        assert!(listener.got[50].1 && !listener.got[51].1, "marker after a gap");
        assert!(listener.level(440.0, 400).abs() < 1.0, "{codec:?}");
    }
}

#[test]
fn hostile_packets_never_panic() {
    let mut dice = Dice(7);
    for (rate, codec) in RATES.into_iter().flat_map(|rate| CODECS.map(|codec| (rate, codec))) {
        let (mut mixer, mut stock) = (Mixer::new(rate, 2).unwrap(), Stock::new().unwrap());
        let mut phone = Phone::tone(1, codec, 440.0);
        for leg in [1, 2] {
            mixer
                .handle(Command::Add(Leg(leg), LegAudio::new(LegSettings::plain(codec)).unwrap()))
                .unwrap();
        }
        let seeds: Vec<Sent> = (0..20).flat_map(|_| phone.packets()).collect();
        // 9 pairs, so 200,000 payloads in all.
        for n in 0..22_223 {
            let mut sent = seeds[n % seeds.len()].clone();
            mutate(&mut sent, &mut dice);
            mixer.push(Leg(1), sent.packet());
            mixer.push(
                Leg(2),
                Packet {
                    timestamp: n as u32 * 960,
                    sequence: n as u16,
                    ..sent.packet()
                },
            );
            if n % 16 == 0 {
                mixer.tick(&mut stock);
                mixer.outputs(|_, output| assert!(!output.payload.is_empty()));
            }
        }
        let jitter = mixer.jitter(Leg(2)).unwrap();
        assert_eq!(jitter.received, 22_223);
        assert!(
            jitter.invalid > 0 && jitter.early > 0 && jitter.duplicates + jitter.late < jitter.received,
            "{jitter:?}"
        );
    }
}

fn mutate(sent: &mut Sent, dice: &mut Dice) {
    match dice.below(8) {
        0 => sent.payload.clear(),
        1 => sent.payload = (0..dice.below(2000)).map(|_| dice.below(256) as u8).collect(),
        2 => sent.payload.truncate(dice.below(1 + sent.payload.len() as u64) as usize),
        3 => sent.payload.resize(60_000, 0xff),
        4 => sent.payload.extend_from_within(..),
        _ => {}
    }
    for _ in 0..dice.below(4) {
        if !sent.payload.is_empty() {
            let at = dice.below(sent.payload.len() as u64) as usize;
            sent.payload[at] = dice.below(256) as u8;
        }
    }
    match dice.below(6) {
        0 => sent.timestamp = dice.below(1 << 32) as u32,
        1 => sent.timestamp = sent.timestamp.wrapping_add(dice.below(10_000) as u32),
        2 => sent.sequence = dice.below(1 << 16) as u16,
        3 => sent.marker = true,
        4 if dice.below(20) == 0 => sent.ssrc = dice.below(1 << 32) as u32,
        _ => {}
    }
}
