//! Rule R66 through a whole mixer: what a voice sounds like, and how long it takes, whatever the way does to its packets.

mod common;

use common::{CODECS, Dice, Phone, Room, Says, Way};
use mixer::{Codec, Event, JitterStats, Leg, Rate};

const TALKER: Leg = Leg(1);

/// Somebody with a tone, and somebody who listens.
fn pair(codec: Codec, hz: f64) -> Room {
    Room::new(
        Rate::Wide,
        vec![Phone::tone(1, codec, hz), Phone::new(2, Codec::Pcmu, Says::Nothing)],
    )
}

/// Runs while the talker's packets take so many microseconds, told the tick that they are sent in.
fn run(room: &mut Room, way: &mut Way, ticks: usize, mut under_way: impl FnMut(usize) -> Option<u64>) -> JitterStats {
    let mut tick = 0;
    room.run_with(ticks, |leg, sent| {
        if leg != TALKER {
            return sent;
        }
        tick += 1;
        way.carry(sent, || under_way(tick - 1))
    });
    room.mixer.jitter(TALKER).expect("the talker is there")
}

#[test]
fn r66_after_a_stall_the_delay_is_back_in_two_seconds_and_nobody_hears_how() {
    for codec in CODECS {
        let (mut room, mut way) = (pair(codec, 115.0), Way::default());
        let before = run(&mut room, &mut way, 250, |_| Some(0));
        let steepest = room.phones[1].steepest(2000);
        let stall = |tick: usize| Some(200_000u64.saturating_sub(20_000 * tick as u64));
        let stalled = run(&mut room, &mut way, 10, stall);
        assert!(stalled.concealed > before.concealed, "{codec:?}");
        let after = run(&mut room, &mut way, 110, |_| Some(0));
        assert!(after.delay_us.abs_diff(before.delay_us) <= 9000, "{codec:?}: {after:?}");
        assert_eq!((after.late, after.early), (0, 0), "{codec:?}: what came late is heard");
        // The end of the gap aside: there the voice comes back.
        assert!(
            room.phones[1].steepest(1900) < steepest * 3 / 2,
            "{codec:?}: {} {steepest}",
            room.phones[1].steepest(1900)
        );
        run(&mut room, &mut way, 50, |_| Some(0));
        assert!(
            room.phones[1].level(115.0, 800).abs() < 1.0,
            "{codec:?}: {}",
            room.phones[1].level(115.0, 800)
        );
    }
}

#[test]
fn r66_speech_is_back_within_5_ms_since_it_pauses() {
    for codec in CODECS {
        let (mut room, mut way) = (pair(codec, 150.0), Way::default());
        let mut talk = |ticks, stall: u64| {
            for tick in 0..ticks {
                // Words of 200 ms and pauses of 60.
                let loud = tick % 13 < 10;
                room.phones[0].says = Says::Tone {
                    hz: 150.0,
                    amplitude: if loud { 8000.0 } else { 20.0 },
                };
                run(&mut room, &mut way, 1, |_| Some(stall.saturating_sub(20_000 * tick as u64)));
            }
            room.mixer.jitter(TALKER).expect("the talker is there")
        };
        let (before, _, after) = (talk(250, 0), talk(10, 200_000), talk(100, 0));
        assert!(after.delay_us.abs_diff(before.delay_us) <= 5000, "{codec:?}: {before:?} {after:?}");
        assert_eq!(after.late, 0, "{codec:?}");
    }
}

#[test]
fn a_clock_that_drifts_is_followed_without_a_gap_or_a_click() {
    for codec in CODECS {
        for ppm in [-500i64, 500] {
            let (mut room, mut way) = (pair(codec, 200.0), Way::default());
            run(&mut room, &mut way, 50, |_| Some(30_000));
            let steepest = room.phones[1].steepest(600);
            let (before, mut sent) = (room.mixer.jitter(TALKER).expect("there"), 0i64);
            let after = run(&mut room, &mut way, 2400, |_| {
                sent += 1;
                Some((30_000 - sent * 20_000 * ppm / 1_000_000) as u64)
            });
            assert_eq!(
                (after.late, after.concealed),
                (before.late, before.concealed),
                "{codec:?} {ppm}: {after:?}"
            );
            let moved = if ppm > 0 { after.dropped_ms } else { after.inserted_ms };
            assert!((15..45).contains(&moved), "{codec:?} {ppm}: {after:?}");
            assert!(after.delay_us < 30_000, "{codec:?} {ppm}: {after:?}");
            assert!(
                room.phones[1].steepest(47_000) < steepest * 5 / 4,
                "{codec:?} {ppm}: {} {steepest}",
                room.phones[1].steepest(47_000)
            );
        }
    }
}

#[test]
fn packets_change_their_length_in_a_call_and_nobody_hears_it() {
    for codec in CODECS {
        let (mut room, mut way) = (pair(codec, 440.0), Way::default());
        run(&mut room, &mut way, 50, |_| Some(0));
        let steepest = room.phones[1].steepest(600);
        for ptime in [60, 10, 40, 20, 60, 20] {
            room.phones[0].sends_ms = ptime;
            run(&mut room, &mut way, 60, |_| Some(0));
            let settled = run(&mut room, &mut way, 90, |_| Some(0)).concealed;
            let after = run(&mut room, &mut way, 90, |_| Some(0));
            assert_eq!((after.concealed, after.late), (settled, 0), "{codec:?} {ptime} ms: {after:?}");
            assert!(
                room.phones[1].level(440.0, 1700).abs() < 1.0,
                "{codec:?} {ptime} ms: {}",
                room.phones[1].level(440.0, 1700)
            );
            assert!(room.phones[1].steepest(1700) < steepest * 5 / 4, "{codec:?} {ptime} ms");
        }
    }
}

#[test]
fn gaps_two_seconds_of_nothing_and_heavy_loss_end_nothing() {
    for codec in CODECS {
        let (mut room, mut way, mut dice) = (pair(codec, 440.0), Way::default(), Dice(9));
        run(&mut room, &mut way, 100, |_| Some(0));
        run(&mut room, &mut way, 200, |_| (dice.below(10) >= 6).then_some(0));
        // A packet every 400 ms, then two seconds that come all at once.
        run(&mut room, &mut way, 100, |tick| (tick % 20 == 0).then_some(0));
        run(&mut room, &mut way, 100, |tick| Some(2_000_000 - 20_000 * tick as u64));
        let after = run(&mut room, &mut way, 150, |_| Some(0));
        assert!(after.delay_us < 35_000, "{codec:?}: {after:?}");
        assert!(
            room.phones[1].level(440.0, 800).abs() < 1.0,
            "{codec:?}: {} {after:?}",
            room.phones[1].level(440.0, 800)
        );
    }
}

/// What a room sends when its ways are as bad as the dice have it.
fn replay(seed: u64) -> (Vec<Vec<u8>>, Vec<Event>, Vec<JitterStats>) {
    let mut dice = Dice(seed);
    let phones = (0..8).map(|n| Phone::tone(n, CODECS[n as usize % 4], 200.0 + 60.0 * n as f64));
    let mut room = Room::new(Rate::Full, phones.collect());
    let mut ways: Vec<Way> = (0..8).map(|_| Way::default()).collect();
    let (mut stalls, mut chance) = ([0u64; 8], Dice(dice.below(1 << 30)));
    for _ in 0..40 {
        let n = dice.below(8) as usize;
        match dice.below(6) {
            0 => room.phones[n].sends_ms = [10, 20, 40, 60][dice.below(4) as usize],
            1 => room.phones[n].timestamp = room.phones[n].timestamp.wrapping_add(dice.below(1 << 32) as u32),
            2 => room.phones[n].ssrc += 1,
            3 => room.phones[n].sequence = room.phones[n].sequence.wrapping_add(dice.below(1 << 16) as u16),
            4 => stalls[n] = dice.below(2_500_000),
            _ => room.phones[n].since_tick_us = dice.below(20_001) as u32,
        }
        room.run_with(20, |leg, sent| {
            let n = leg.0 as usize;
            stalls[n] = stalls[n].saturating_sub(20_000);
            let come = ways[n].carry(sent, || {
                let jitter = chance.below(if n < 4 { 3000 } else { 80_000 });
                (chance.below(10) > 0).then_some(stalls[n] + jitter)
            });
            come.into_iter()
                .flat_map(|sent| std::iter::repeat_n(sent, if chance.below(30) == 0 { 2 } else { 1 }))
                .collect()
        });
    }
    let sent = room.phones.iter().flat_map(|phone| phone.got.iter().map(|got| got.2.clone()));
    let stats = (0..8).filter_map(|n| room.mixer.jitter(Leg(n)));
    (sent.collect(), room.events.clone(), stats.collect())
}

#[test]
fn replays_over_the_worst_of_ways_are_bit_exact_and_lose_no_count() {
    for seed in 0..6 {
        let once = replay(seed);
        assert!(once == replay(seed), "{seed}");
        for stats in &once.2 {
            let counted = stats.duplicates + stats.late + stats.early + stats.invalid;
            assert!(stats.received > 200 && counted < stats.received / 2, "{seed}: {stats:?}");
            assert!(stats.delay_us <= 260_000, "{seed}: {stats:?}");
        }
    }
}
