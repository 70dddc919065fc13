//! The choice alone: legs are levels, and time is ticks.

use super::*;
use crate::level::SPEAK_FLOOR;

/// A room whose legs tell their level and are decoded some ticks later.
struct World {
    floor: Floor,
    /// What each leg said so far, in ticks.
    said: Vec<Vec<Level>>,
    /// Ticks from a packet's arrival to its turn.
    delay: usize,
    claims: bool,
    sequence: u16,
    /// Legs that were probed in the last tick.
    probed: Vec<usize>,
    /// A leg that is in truth that loud.
    liar: Option<(usize, Level)>,
}

impl World {
    fn new(legs: usize, places: usize) -> Self {
        let mut floor = Floor::new(legs, places);
        (0..legs).for_each(|at| floor.insert(at));
        Self {
            floor,
            said: vec![Vec::new(); legs],
            delay: 2,
            claims: true,
            sequence: 1,
            probed: Vec::new(),
            liar: None,
        }
    }

    /// One tick in which each leg is that loud, in dB under 0 dBov.
    fn tick(&mut self, levels: &[u8]) {
        self.sequence = self.sequence.wrapping_add(1);
        for (at, &level) in levels.iter().enumerate() {
            // An Opus packet of which the encoder says whether it is a voice; nobody looks any further.
            let payload = [0x78, if level < 60 { 0x80 } else { 0 }, 0, 0];
            let packet = Packet {
                ssrc: 1,
                sequence: self.sequence,
                timestamp: 0,
                marker: false,
                level: self.claims.then_some(level),
                payload: &payload,
                since_tick_us: 0,
            };
            self.floor.arrive(at, Codec::Opus, &packet, None);
            self.floor.turn(at, true);
            self.said[at].push(Level::from_dbov(level));
        }
        self.floor.doubt();
        self.probed.clear();
        while let Some(at) = self.floor.next_probe() {
            self.probed.push(at);
            let level = self
                .liar
                .filter(|&(liar, _)| liar == at)
                .map_or_else(|| Level::from_dbov(levels[at]), |(_, level)| level);
            self.floor.probed(at, level);
        }
        self.floor.choose();
        for at in 0..levels.len() {
            if self.floor.standing(at) != Standing::Out {
                let level = self.played(at);
                self.floor.gate(at).take(level);
                self.floor.heard(at);
            }
        }
    }

    fn run(&mut self, ticks: usize, levels: &[u8]) {
        (0..ticks).for_each(|_| self.tick(levels));
    }

    /// What a leg's turn is in this tick.
    fn played(&self, at: usize) -> Level {
        if let Some((_, level)) = self.liar.filter(|&(liar, _)| liar == at) {
            return level;
        }
        let said = &self.said[at];
        said.len().checked_sub(1 + self.delay).map_or(Level::SILENCE, |then| said[then])
    }

    fn chosen(&self) -> Vec<usize> {
        (0..self.said.len()).filter(|&at| self.floor.standing(at) == Standing::In).collect()
    }

    /// The loudest of what a leg said in its last ticks.
    fn peak(&self, at: usize, ticks: usize) -> Level {
        self.said[at].iter().rev().take(ticks).copied().max().unwrap_or_default()
    }
}

/// Silence, as it is claimed.
const MUM: u8 = 127;

#[test]
fn r65_whoever_begins_has_a_free_place_at_once() {
    for claims in [true, false] {
        let mut world = World::new(6, 4);
        world.claims = claims;
        world.run(20, &[MUM; 6]);
        assert!(world.chosen().is_empty());
        world.tick(&[MUM, 40, MUM, 20, MUM, MUM]);
        assert_eq!(world.chosen(), [1, 3], "{claims}");
        world.tick(&[30, 40, MUM, 20, 50, MUM]);
        assert_eq!(world.chosen(), [0, 1, 3, 4], "{claims}");
    }
}

#[test]
fn r65_a_pause_between_words_keeps_the_floor() {
    let mut world = World::new(2, 1);
    world.run(20, &[20, MUM]);
    for _ in 0..5 {
        world.run(9, &[MUM, 20]);
        assert_eq!(world.chosen(), [0]);
        world.run(5, &[20, 20]);
        assert_eq!(world.chosen(), [0]);
    }
    // Who stops for longer gives way to who speaks, and then has to wait in turn.
    world.run(YIELDS, &[MUM, 20]);
    assert_eq!(world.chosen(), [1]);
    world.run(50, &[20, 20]);
    assert_eq!(world.chosen(), [1]);
}

/// A pause's ticks, those until the pause has its turn, and the one in which it is seen.
const YIELDS: usize = 10 + 2 + 1;

#[test]
fn r65_equally_loud_talkers_do_not_flap() {
    for legs in 2..8 {
        let mut world = World::new(legs, legs - 1);
        let mut dice = Dice(legs as u64);
        world.run(5, &vec![20; legs]);
        let chosen = world.chosen();
        for _ in 0..2000 {
            let levels: Vec<u8> = (0..legs).map(|_| 18 + dice.below(10) as u8).collect();
            world.tick(&levels);
            assert_eq!(world.chosen(), chosen);
        }
    }
}

#[test]
fn r65_the_clearly_louder_gets_the_floor_soon_and_noise_gives_way_at_once() {
    for (holder, challenger, ticks) in [
        (30, 27, 8),
        (30, 24, 4),
        (30, 20, 3),
        (30, 15, 2),
        (40, 16, 1),
        (46, 45, 1),
        (50, 44, 1),
    ] {
        let mut world = World::new(2, 1);
        world.run(50, &[holder, MUM]);
        world.run(ticks - 1, &[holder, challenger]);
        assert_eq!(world.chosen(), [0], "{holder} {challenger}");
        world.tick(&[holder, challenger]);
        assert_eq!(world.chosen(), [1], "{holder} {challenger}");
        assert_eq!(world.floor.standing(0), Standing::Leaving);
        world.tick(&[holder, challenger]);
        assert_eq!(world.floor.standing(0), Standing::Out);
    }
    let mut world = World::new(2, 1);
    world.run(50, &[30, MUM]);
    world.run(500, &[30, 28]);
    assert_eq!(world.chosen(), [0], "a little louder isn't clearly louder");
    // One click of a door isn't either.
    for _ in 0..20 {
        world.tick(&[30, 10]);
        world.run(30, &[30, MUM]);
        assert_eq!(world.chosen(), [0]);
    }
}

#[test]
fn fewer_places_leave_the_loudest() {
    let mut world = World::new(6, 4);
    world.run(20, &[25, 20, 40, 30, MUM, MUM]);
    world.floor.set_places(2);
    world.tick(&[25, 20, 40, 30, MUM, MUM]);
    assert_eq!(world.chosen(), [0, 1]);
    assert_eq!([2, 3].map(|at| world.floor.standing(at)), [Standing::Leaving; 2]);
    world.floor.set_places(0);
    world.run(2, &[25, 20, 40, 30, MUM, MUM]);
    assert!(world.chosen().is_empty());
    world.floor.set_places(6);
    world.tick(&[25, 20, 40, 30, MUM, MUM]);
    assert_eq!(world.chosen(), [0, 1, 2, 3]);
}

#[test]
fn r65_a_liar_loses_the_claim_and_with_it_the_floor() {
    let mut world = World::new(2, 1);
    world.liar = Some((1, Level::from_dbov(70)));
    let mut held = 0;
    for _ in 0..200 {
        world.tick(&[30, 5]);
        held += usize::from(world.floor.standing(1) == Standing::In);
    }
    assert!(held < 60, "{held}");
    assert_eq!(world.chosen(), [0]);
}

#[test]
fn r65_a_claim_of_silence_is_checked_where_nobody_decodes() {
    // Its client writes 127 into every packet, whatever is said.
    let mut floor = Floor::new(1, 4);
    floor.insert(0);
    for sequence in 0..200 {
        let packet = Packet {
            ssrc: 1,
            sequence,
            timestamp: 0,
            marker: false,
            level: Some(127),
            payload: &[0x78, 0x80, 0, 0],
            since_tick_us: 0,
        };
        floor.arrive(0, Codec::Opus, &packet, None);
        floor.turn(0, true);
        floor.doubt();
        while let Some(at) = floor.next_probe() {
            floor.probed(at, Level::from_dbov(25));
        }
        floor.choose();
        if floor.standing(0) == Standing::In {
            floor.gate(0).take(Level::from_dbov(25));
            floor.heard(0);
            assert!(sequence > 30);
        }
    }
    assert_eq!(floor.standing(0), Standing::In);
}

#[test]
fn r65_in_a_crowd_without_claims_few_are_probed_and_the_loudest_is_found() {
    let mut world = World::new(48, 4);
    world.claims = false;
    let mut levels = [30; 48];
    for talker in 0..4 {
        levels[talker * 11] = 20;
    }
    for at in 0..levels.len() {
        world.run(1, &levels);
        assert!(world.probed.len() <= PROBES, "{at}");
    }
    world.run(50, &levels);
    assert_eq!(world.chosen(), [0, 11, 22, 33]);
    for (n, at) in (1..48).step_by(5).enumerate() {
        levels[at] = 6;
        let before = world.chosen();
        let took = (1..50).find(|_| {
            world.tick(&levels);
            assert!(world.probed.len() <= PROBES);
            world.chosen().contains(&at)
        });
        // A turn of probes, and the ticks that a challenge takes.
        assert!(took.is_some_and(|ticks| ticks <= 13), "{n}: {took:?} {before:?}");
        levels[at] = 30;
        world.run(200, &levels);
    }
}

#[test]
fn r65_a_crowd_without_voice_is_left_alone() {
    let mut world = World::new(400, 4);
    world.claims = false;
    let mut levels = [75; 400];
    (0..3).for_each(|n| levels[n * 100] = 25);
    world.run(300, &levels);
    assert_eq!(world.chosen(), [0, 100, 200]);
    let probed: usize = (0..1000)
        .map(|_| {
            world.tick(&levels);
            world.probed.len()
        })
        .sum();
    // Each once in five seconds.
    assert!(probed <= 1600, "{probed}");
}

#[test]
fn r65_the_chosen_are_the_loudest_up_to_hysteresis() {
    // Longer than any peak is remembered.
    const EVER: usize = 160;
    for seed in 0..40 {
        let mut dice = Dice(seed);
        let (legs, places) = (2 + dice.below(12) as usize, 1 + dice.below(5) as usize);
        let mut world = World::new(legs, places);
        world.delay = dice.below(4) as usize;
        world.claims = seed % 2 == 0;
        let mut levels = vec![MUM; legs];
        // For how long each leg was outside though it ought to be in.
        let mut wronged = vec![0; legs];
        for _ in 0..1500 {
            for level in &mut levels {
                if dice.below(30) == 0 {
                    *level = if dice.below(3) == 0 { MUM } else { 10 + dice.below(45) as u8 };
                }
            }
            let before = world.chosen();
            world.tick(&levels);
            let chosen = world.chosen();
            let loud: Vec<usize> = (0..legs).filter(|&at| world.said[at].last() >= Some(&MIX_FLOOR)).collect();
            assert!(chosen.len() <= places, "{seed}");
            assert!(chosen.len() >= places.min(loud.len()), "{seed}: a place stays empty");
            // Nobody who is clearly louder than some holder ever was of late stays outside for long.
            let weakest = chosen.iter().map(|&at| world.peak(at, EVER)).min().unwrap_or_default();
            for &at in &loud {
                let ought = !chosen.contains(&at) && world.peak(at, 1).above(weakest) >= MARGIN;
                wronged[at] = if ought { wronged[at] + 1 } else { 0 };
                // Who was found soft may be probed half a second later only.
                let patience = 11 + 2 * legs + if world.claims { 0 } else { 30 };
                assert!(wronged[at] <= patience, "{seed}: leg {at}, {} ticks", wronged[at]);
            }
            // Nobody who spoke of late is driven out by who isn't clearly louder.
            for &out in before.iter().filter(|at| world.floor.standing(**at) == Standing::Leaving) {
                let entered = chosen.iter().filter(|at| !before.contains(at)).map(|&at| world.peak(at, 12)).max();
                let heard = world.said[out]
                    .iter()
                    .rev()
                    .skip(world.delay + 1)
                    .take(8)
                    .copied()
                    .max()
                    .unwrap_or_default();
                assert!(
                    heard < SPEAK_FLOOR || entered.is_some_and(|level| level.above(heard) >= MARGIN),
                    "{seed}: {out} {heard:?} {entered:?}"
                );
            }
        }
    }
}

/// The same dice on every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        // Knuth's MMIX generator; its high bits are good enough.
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}
