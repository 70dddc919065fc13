//! Rule R66 on simulated ways: what arrives when, what is played when, and how long it waited. With `--nocapture` they tell the figures.
#![expect(clippy::print_stdout, reason = "figures worth knowing")]

use super::*;

/// Units of 8000 Hz in a tick and in a millisecond.
const TICK: u32 = 160;
const MS: f64 = 8.0;
/// The first timestamp.
const BEGIN: u32 = 1_000_000;

/// The same dice on every run.
struct Dice(u64);

impl Dice {
    /// Between 0 and 1.
    fn roll(&mut self) -> f64 {
        // Knuth's MMIX generator; its high bits are good enough.
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// A sender, and how its packets come.
struct Way<'a> {
    /// Milliseconds of a packet.
    ptime: f64,
    /// How much the sender's clock goes too fast, in millionths.
    ppm: f64,
    /// Milliseconds under way; `None` if it is lost.
    delay: &'a mut dyn FnMut(u32) -> Option<f64>,
}

/// What became of it.
#[derive(Default)]
struct Played {
    stats: JitterStats,
    /// For each packet played: when it came, in ms, and how long it waited.
    waits: Vec<(f64, f64)>,
    /// Ticks in which the delay changed.
    changes: u32,
}

impl Played {
    fn quantile(&self, part: f64) -> f64 {
        let mut waits: Vec<f64> = self.waits.iter().map(|&(_, wait)| wait).collect();
        waits.sort_by(f64::total_cmp);
        waits[((waits.len() - 1) as f64 * part) as usize]
    }

    /// The mean wait of packets that came within those milliseconds.
    fn mean(&self, from: f64, to: f64) -> f64 {
        let within: Vec<f64> = self.waits.iter().filter(|w| (from..to).contains(&w.0)).map(|w| w.1).collect();
        within.iter().sum::<f64>() / within.len() as f64
    }

    fn lost_to_lateness(&self) -> f64 {
        self.stats.late as f64 / self.stats.received as f64
    }
}

/// Plays what comes in so many milliseconds; `step` is how many units the delay may change by in a tick.
fn play(ms: u32, step: i32, way: Way<'_>) -> Played {
    let mut arrivals: Vec<(f64, u32)> = (0..(f64::from(ms) / way.ptime) as u32)
        .filter_map(|n| {
            let sent = f64::from(n) * way.ptime * (1.0 - way.ppm / 1e6);
            // Whole microseconds, so that what comes together comes in order.
            Some((((sent + (way.delay)(n)?) * 1000.0).round() / 1000.0, n))
        })
        .collect();
    arrivals.sort_by(|a, b| a.0.total_cmp(&b.0));
    let units = (way.ptime * MS) as u32;
    let mut jitter = Jitter::new(TICK, Samples::new());
    let (mut played, mut came, mut next) = (Played::default(), std::collections::BTreeMap::new(), arrivals.iter().peekable());
    for tick in 0..ms / 20 {
        let begin = f64::from(tick) * 20.0;
        while let Some((at, n)) = next.next_if(|(at, _)| *at <= begin + 20.0) {
            came.entry(BEGIN + n * units).or_insert(*at);
            jitter.push(&Packet {
                ssrc: 1,
                sequence: (65_000 + n) as u16,
                timestamp: BEGIN + n * units,
                marker: false,
                level: None,
                since_tick_us: ((at - begin) * 1000.0).max(0.0) as u32,
                payload: &[0; 960][..units as usize],
            });
        }
        if let Turn::Play { excess, .. } = jitter.turn() {
            let length = TICK.saturating_add_signed(excess.clamp(-step, step));
            let from = jitter.timing.next();
            jitter.pass(length);
            played.changes += u32::from(length != TICK);
            let begins: Vec<u32> = came.range(..from + length).map(|(&timestamp, _)| timestamp).collect();
            for timestamp in begins {
                if let Some(at) = came.remove(&timestamp).filter(|_| timestamp >= from) {
                    played.waits.push((at, begin + 20.0 - at));
                }
            }
        }
    }
    played.stats = jitter.stats();
    println!(
        "{} ms at {} ppm: late {:.4}, wait median {:.1}, p99 {:.1}, most {:.1} ms, changes {}, dropped {}, inserted {} ms",
        way.ptime,
        way.ppm,
        played.lost_to_lateness(),
        played.quantile(0.5),
        played.quantile(0.99),
        played.quantile(1.0),
        played.changes,
        played.stats.dropped_ms,
        played.stats.inserted_ms,
    );
    played
}

#[test]
fn r66_steady_packets_wait_for_the_next_tick_and_no_longer() {
    let (mut all, mut dice) = (Vec::new(), Dice(1));
    for phase in 0..80 {
        let mut delay = |_| Some(f64::from(phase) / 4.0 + 0.3 * dice.roll());
        let played = play(
            20_000,
            40,
            Way {
                ptime: 20.0,
                ppm: 0.0,
                delay: &mut delay,
            },
        );
        assert_eq!((played.stats.late, played.changes), (0, 0), "{phase}");
        all.extend(played.waits);
    }
    let all = Played {
        waits: all,
        ..Played::default()
    };
    let (median, late, most) = (all.quantile(0.5), all.quantile(0.99), all.quantile(1.0));
    println!("all phases: wait median {median:.1}, p99 {late:.1}, most {most:.1} ms");
    assert!(median <= 12.5 && late < 24.0 && most < 24.0, "{median} {late} {most}");
}

#[test]
fn r66_packets_on_the_edge_of_a_tick_neither_flip_nor_glitch() {
    for edge in [18.5, 19.0, 19.5, 20.0, 20.5, 21.0] {
        let mut dice = Dice(2);
        let mut delay = |_| Some(edge + 3.0 * (dice.roll() - 0.5));
        let played = play(
            120_000,
            40,
            Way {
                ptime: 20.0,
                ppm: 0.0,
                delay: &mut delay,
            },
        );
        // Once at most, in the beginning.
        assert!(played.changes <= 4 && played.stats.inserted_ms <= 20, "{edge}: {}", played.changes);
        assert!(played.stats.late == 0 && played.stats.dropped_ms == 0, "{edge}: {:?}", played.stats);
        assert!(played.quantile(1.0) < 26.0, "{edge}: {}", played.quantile(1.0));
    }
}

#[test]
fn r66_less_than_one_packet_in_a_hundred_comes_too_late() {
    type Roll = fn(&mut Dice) -> f64;
    let ways: [(&str, Roll, f64); 5] = [
        ("even over 10 ms", |d| 10.0 * d.roll(), 20.0),
        ("even over 60 ms", |d| 60.0 * d.roll(), 50.0),
        ("exponential, 8 ms", |d| -8.0 * (1.0 - d.roll()).ln(), 50.0),
        ("exponential, 20 ms", |d| -20.0 * (1.0 - d.roll()).ln(), 100.0),
        (
            "one in 40 is 70 ms late",
            |d| if d.roll() < 0.025 { 70.0 } else { 2.0 * d.roll() },
            80.0,
        ),
    ];
    for (name, roll, most) in ways {
        for ptime in [10.0, 20.0, 40.0, 60.0] {
            let mut dice = Dice(3);
            let played = play(
                600_000,
                40,
                Way {
                    ptime,
                    ppm: 0.0,
                    delay: &mut |_| Some(roll(&mut dice)),
                },
            );
            assert!(
                played.lost_to_lateness() < 0.01,
                "{name}, {ptime} ms: {}",
                played.lost_to_lateness()
            );
            assert!(
                played.mean(0.0, 1e9) < most + ptime,
                "{name}, {ptime} ms: {}",
                played.mean(0.0, 1e9)
            );
        }
    }
}

#[test]
fn r66_two_seconds_after_a_stall_of_200_ms_the_delay_is_what_it_was() {
    for (start, usual) in [10_000.0, 10_007.0, 10_013.0]
        .into_iter()
        .flat_map(|start| [0.0, 5.0, 14.5, 16.0, 17.5, 19.5].map(|usual| (start, usual)))
    {
        for length in [100.0, 200.0, 260.0] {
            let mut delay = |n| {
                let sent = f64::from(n) * 20.0;
                let stalled = (start..start + length).contains(&sent);
                Some(if stalled { start + length - sent } else { 0.0 } + usual)
            };
            let way = Way {
                ptime: 20.0,
                ppm: 0.0,
                delay: &mut delay,
            };
            let played = play(20_000, 60, way);
            let (before, after) = (played.mean(5000.0, 10_000.0), played.mean(start + length + 2000.0, 15_000.0));
            assert!((after - before).abs() < 5.0, "{start} {usual} {length}: {before} {after}");
            // More than 200 ms can't be held.
            assert!(
                played.stats.late == 0 && (length > 200.0 || played.stats.dropped_ms <= 200),
                "nothing of what came late is lost: {:?}",
                played.stats
            );
        }
    }
}

#[test]
fn clocks_that_drift_are_followed_for_an_hour() {
    for ppm in [-1000.0, -300.0, -50.0, 50.0, 300.0, 1000.0] {
        let mut dice = Dice(4);
        let played = play(
            3_600_000,
            40,
            Way {
                ptime: 20.0,
                ppm,
                delay: &mut |_| Some(4000.0 + 7.0 + 2.0 * dice.roll()),
            },
        );
        assert_eq!((played.stats.late, played.stats.early), (0, 0), "{ppm}");
        let moved = played.stats.inserted_ms.abs_diff(played.stats.dropped_ms) as f64;
        assert!((moved - 3.6 * f64::abs(ppm)).abs() < 60.0, "{ppm}: {moved}");
        // What is learnt about the way lags behind a quick clock.
        let most = if ppm > 300.0 { 40.0 } else { 31.0 };
        assert!(played.quantile(1.0) < most, "{ppm}: {}", played.quantile(1.0));
    }
}

#[test]
fn two_seconds_of_silence_and_then_all_at_once_cost_what_is_too_old() {
    let mut delay = |n| {
        Some(
            if (500..600).contains(&n) {
                2000.0 - f64::from(n - 500) * 20.0
            } else {
                0.0
            } + 5.0,
        )
    };
    let played = play(
        20_000,
        60,
        Way {
            ptime: 20.0,
            ppm: 0.0,
            delay: &mut delay,
        },
    );
    assert_eq!(played.stats.early, 0);
    assert!((played.mean(14_500.0, 20_000.0) - played.mean(5000.0, 10_000.0)).abs() < 5.0);
}

#[test]
fn heavy_loss_and_gaps_in_silence_do_not_change_the_delay() {
    let mut dice = Dice(5);
    let mut lossy = |_| (dice.roll() > 0.6).then_some(5.0);
    let played = play(
        60_000,
        40,
        Way {
            ptime: 20.0,
            ppm: 0.0,
            delay: &mut lossy,
        },
    );
    assert_eq!((played.stats.late, played.changes), (0, 0));
    assert!(played.quantile(1.0) < 16.0);
    // A packet every 400 ms, and now and then a second of voice.
    let mut dtx = |n| (n % 20 == 0 || n / 50 % 7 == 0).then_some(5.0);
    let played = play(
        60_000,
        40,
        Way {
            ptime: 20.0,
            ppm: 0.0,
            delay: &mut dtx,
        },
    );
    assert_eq!((played.stats.late, played.changes), (0, 0));
    assert!(played.quantile(1.0) < 16.0);
}

#[test]
fn no_arrival_pattern_holds_audio_for_longer_than_200_ms_beyond_the_next_tick() {
    for seed in 0..60 {
        let mut dice = Dice(seed);
        let (mut wander, mut stall, mut lost) = (0.0f64, 0.0f64, false);
        let harsh = dice.roll();
        let ptime = [10.0, 20.0, 30.0, 40.0, 60.0][seed as usize % 5];
        let mut last = 0.0f64;
        let mut delay = |n| {
            wander = (wander + (dice.roll() - 0.5) * 20.0 * harsh).clamp(0.0, 150.0);
            if dice.roll() < 0.005 {
                stall = dice.roll() * 600.0;
            }
            stall = (stall - ptime).max(0.0);
            lost = dice.roll() < if lost { 0.8 } else { 0.02 };
            // One in 50 is overtaken.
            let overtaken = if dice.roll() < 0.02 { 30.0 } else { 0.0 };
            let sent = f64::from(n) * ptime * (1.0 - 200.0 / 1e6);
            last = last.max(sent + wander + stall + dice.roll() * 40.0 * harsh);
            (!lost).then_some(last - sent + overtaken)
        };
        let way = Way {
            ptime,
            ppm: 200.0,
            delay: &mut delay,
        };
        let played = play(60_000, 40, way);
        // To the next tick, up to 200 ms beyond, and to where in a tick a packet begins.
        assert!(played.quantile(1.0) <= 240.0, "{seed}: {}", played.quantile(1.0));
        assert!(played.lost_to_lateness() < 0.01, "{seed}: {}", played.lost_to_lateness());
    }
}

#[test]
fn no_leap_of_a_hostile_sender_overflows() {
    let mut dice = Dice(6);
    let leaps = [
        0,
        1,
        160,
        1600,
        32_767 * 160,
        1 << 28,
        (1 << 31) - 1,
        1 << 31,
        (1 << 31) + 1,
        u32::MAX - 159,
    ];
    let mut jitter = Jitter::new(TICK, Samples::new());
    let (mut timestamp, mut sequence, mut played) = (0u32, 0u16, 0);
    for n in 0..200_000 {
        let ahead = [1, 1, 1, 2, 0, 32_767, 65_535][(dice.roll() * 7.0) as usize];
        let leap = leaps[(dice.roll() * leaps.len() as f64) as usize];
        sequence = sequence.wrapping_add(ahead);
        // In step with its numbers, or not.
        timestamp = timestamp.wrapping_add(if n % 3 == 0 { leap } else { u32::from(ahead) * 160 });
        jitter.push(&Packet {
            ssrc: 1,
            sequence,
            timestamp,
            marker: dice.roll() < 0.1,
            level: None,
            since_tick_us: (dice.roll() * 30_000.0) as u32,
            payload: &[0; 160],
        });
        // Now and then it falls silent, for long enough to be forgotten or not.
        for _ in 0..if n % 100 == 0 { (dice.roll() * 300.0) as u32 } else { 1 } {
            if let Turn::Play { excess, .. } = jitter.turn() {
                jitter.pass(TICK.saturating_add_signed(excess.clamp(-40, 40)));
                played += 1;
            }
        }
    }
    assert!(played > 100_000 && jitter.stats().received == 200_000, "{:?}", jitter.stats());
}
