//! Who is heard (rules R65 and R69).
#![expect(clippy::unwrap_used, reason = "test code")]

mod common;

use common::{CODECS, Dice, Phone, Room, Says, dbov};
use mixer::{Codec, Command, Event, Leg, LegAudio, LegSettings, Mixer, Packet, Rate, Stock, Talker};
use opusic_c::{Application, Bitrate, Channels, Encoder, SampleRate};

/// Legs whose decode is risked in a tick only to find out how loud they are.
const PROBES: u64 = 4;

fn tone(hz: f64, amplitude: f64) -> Says {
    Says::Tone { hz, amplitude }
}

/// Whose voices the leg is sent.
fn heard_by(mixer: &Mixer, leg: u64) -> Vec<Talker> {
    let mut talkers = Vec::new();
    mixer.outputs(|to, output| {
        if to == Leg(leg) {
            talkers = output.talkers.to_vec();
        }
    });
    talkers
}

fn legs(talkers: &[Talker]) -> Vec<u64> {
    talkers.iter().map(|talker| talker.leg.0).collect()
}

/// Stretches in which a phone heard more than a tenth of what a phone says, in ms, with the level of each one's first 60 ms.
fn bursts(phone: &Phone) -> Vec<(usize, f64)> {
    let part = phone.hz() / 200;
    let loud: Vec<bool> = phone.heard.chunks_exact(part).map(|p| p.iter().any(|s| s.abs() > 800)).collect();
    let mut bursts = Vec::new();
    let mut at = 0;
    while at < loud.len() {
        if !loud[at] {
            at += 1;
            continue;
        }
        // A tone has a loud sample every few ms: 20 ms without is a pause.
        let end = (at..loud.len())
            .find(|&n| !loud[n..(n + 4).min(loud.len())].contains(&true))
            .unwrap_or(loud.len());
        let first = &phone.heard[at * part..(at + 12) * part];
        let square = first.iter().map(|&s| f64::from(s).powi(2)).sum::<f64>() / first.len() as f64;
        bursts.push((5 * (end - at), 10.0 * (square / (8000f64.powi(2) / 2.0)).log10()));
        at = end;
    }
    bursts
}

#[test]
fn r65_no_word_is_clipped_when_talkers_take_turns() {
    let kinds: [(Codec, bool, bool); 5] = [
        (Codec::Pcmu, false, false),
        (Codec::Pcma, true, false),
        (Codec::Opus, true, false),
        (Codec::Opus, false, false),
        (Codec::Opus, false, true),
    ];
    for (codec, claims, dtx) in kinds {
        // With all places free, and with all of them taken by rooms that aren't quiet.
        for noises in [0, 4] {
            let mut phones = vec![Phone::new(0, Codec::Pcmu, Says::Nothing)];
            for leg in 1..=6 {
                let mut phone = Phone::new(leg, codec, Says::Nothing);
                phone.claims = claims;
                if dtx {
                    phone.use_dtx();
                }
                phones.push(phone);
            }
            phones.extend((0..noises).map(|n| Phone::new(10 + n, Codec::Pcmu, tone(90.0 + 10.0 * n as f64, 110.0))));
            let mut room = Room::new(Rate::Wide, phones);
            let mut dice = Dice(5);
            room.run(60);
            let mut said = Vec::new();
            for turn in 0..24 {
                let talker = 1 + (turn * 5 + dice.below(2) as usize) % 6;
                let ticks = 8 + dice.below(25) as usize;
                room.phones[talker].says = tone(300.0 + 50.0 * talker as f64, 8000.0);
                room.run(ticks);
                room.phones[talker].says = Says::Nothing;
                said.push(20 * ticks);
                room.run(6 + dice.below(25) as usize);
            }
            room.run(20);
            let heard = bursts(&room.phones[0]);
            let name = format!("{codec:?}, claims {claims}, DTX {dtx}, {noises} noises");
            assert_eq!(heard.len(), said.len(), "{name}: {heard:?} {said:?}");
            for ((length, level), said) in heard.into_iter().zip(said) {
                assert!(length.abs_diff(said) <= 15, "{name}: {length} of {said} ms");
                assert!(level.abs() < 1.5, "{name}: the first 60 ms have {level} dB");
            }
        }
    }
}

#[test]
fn r65_the_first_word_of_who_takes_the_floor_from_another_is_whole() {
    for (codec, claims) in [(Codec::Pcmu, false), (Codec::Pcma, true), (Codec::Opus, true), (Codec::Opus, false)] {
        let mut phones: Vec<Phone> = (0..4)
            .map(|n| Phone::new(n, Codec::Pcmu, tone(300.0 + 40.0 * n as f64, 2000.0)))
            .collect();
        phones.push(Phone::new(5, codec, Says::Nothing));
        phones[4].claims = claims;
        phones.push(Phone::new(9, Codec::Pcmu, Says::Nothing));
        let mut room = Room::new(Rate::Wide, phones);
        for attempt in 0..5 {
            room.phones[4].says = Says::Nothing;
            room.run(80 + attempt);
            assert!(!legs(&heard_by(&room.mixer, 9)).contains(&5));
            let before = room.phones[5].heard.len();
            // A word of two sounds, the first of 60 ms.
            room.phones[4].says = tone(1000.0, 6000.0);
            room.run(3);
            room.phones[4].says = tone(1800.0, 6000.0);
            room.run(15);
            let heard = &room.phones[5].heard[before..];
            let loud = |hz| {
                heard
                    .chunks_exact(40)
                    .filter(|part| common::amplitude(part, hz, 8000) > 2500.0)
                    .count()
                    * 5
            };
            assert!((45..=70).contains(&loud(1000.0)), "{codec:?} {claims}: {} of 60 ms", loud(1000.0));
            assert!(loud(1800.0) > 200, "{codec:?} {claims}: {} ms", loud(1800.0));
            assert!(room.phones[5].steepest(360) < 20_000);
        }
    }
}

#[test]
fn r65_of_five_talkers_the_softest_is_not_heard_until_clearly_louder() {
    for codec in CODECS {
        for claims in [false, true] {
            // A steady tone is no voice to Opus, and softer than it is to who looks at G.722.
            if matches!(codec, Codec::Opus | Codec::G722) && !claims {
                continue;
            }
            let amplitudes = [6000.0, 8000.0, 5000.0, 7000.0, 2500.0];
            let hz = [440.0, 640.0, 840.0, 1040.0, 1240.0];
            let mut phones: Vec<Phone> = (0..5).map(|n| Phone::new(n as u64, codec, tone(hz[n], amplitudes[n]))).collect();
            phones.iter_mut().for_each(|phone| phone.claims = claims);
            phones.push(Phone::new(9, Codec::Pcmu, Says::Nothing));
            let mut room = Room::new(Rate::Narrow, phones);
            room.run(100);
            assert_eq!(legs(&heard_by(&room.mixer, 9)), [0, 1, 2, 3], "{codec:?} {claims}");
            assert!(room.phones[5].level(1240.0, 500) < -35.0, "{codec:?} {claims}");
            let before = room.phones[5].steepest(500);
            // Not just a little louder than the softest of them.
            room.phones[4].says = tone(1240.0, 5500.0);
            room.run(100);
            assert_eq!(legs(&heard_by(&room.mixer, 9)), [0, 1, 2, 3], "{codec:?} {claims}");
            room.phones[4].says = tone(1240.0, 11_000.0);
            room.run(15);
            assert_eq!(legs(&heard_by(&room.mixer, 9)), [0, 1, 3, 4], "{codec:?} {claims}");
            // Neither who comes nor who goes clicks.
            let most = before + (11_000.0 * std::f64::consts::TAU * 1240.0 / 8000.0) as i32;
            assert!(
                room.phones[5].steepest(300) < most,
                "{codec:?} {claims} {} {before}",
                room.phones[5].steepest(300)
            );
            room.run(50);
            assert!(
                room.phones[5].level(840.0, 500) < -35.0,
                "{codec:?} {claims} {}",
                room.phones[5].level(840.0, 500)
            );
            assert!(
                (room.phones[5].level(1240.0, 500) - 2.8).abs() < 1.0,
                "{codec:?} {claims} {}",
                room.phones[5].level(1240.0, 500)
            );
        }
    }
}

#[test]
fn r65_equally_loud_talkers_with_pauses_between_words_do_not_flap() {
    for codec in CODECS {
        for claims in [false, true] {
            let mut phones: Vec<Phone> = (0..3).map(|n| Phone::new(n, codec, Says::Nothing)).collect();
            phones.iter_mut().for_each(|phone| phone.claims = claims);
            let mut room = Room::new(Rate::Narrow, phones);
            room.set_voices(1);
            let mut dice = Dice(8);
            let mut left = [0u64; 2];
            let mut talks = [false; 2];
            let (mut changes, mut before) = (0, Vec::new());
            for tick in 0..1500 {
                for n in 0..2 {
                    left[n] = left[n].saturating_sub(1);
                    if left[n] == 0 {
                        talks[n] = !talks[n];
                        // Words of 200 to 600 ms, pauses of up to 120.
                        left[n] = if talks[n] { 10 + dice.below(20) } else { 1 + dice.below(6) };
                        room.phones[n].says = if talks[n] {
                            tone(300.0 + 99.0 * n as f64, 8000.0)
                        } else {
                            Says::Nothing
                        };
                    }
                }
                room.run(1);
                let now = legs(&heard_by(&room.mixer, 2));
                if tick > 20 {
                    changes += usize::from(now != before);
                }
                before = now;
            }
            assert_eq!(changes, 0, "{codec:?} {claims}");
            // Both of them speak, whoever is heard.
            let spoke = |n| room.events.iter().filter(|event| **event == Event::Speaking(Leg(n), true)).count();
            assert_eq!((spoke(0), spoke(1)), (1, 1), "{codec:?} {claims}: {:?}", room.events);
        }
    }
}

#[test]
fn r65_a_false_claim_is_found_out() {
    for codec in [Codec::Pcmu, Codec::Opus] {
        // One says that it shouts and sits in silence; another says that it is silent and speaks.
        let phones = vec![
            Phone::tone(1, codec, 440.0),
            Phone::new(2, codec, tone(100.0, 60.0)),
            Phone::tone(3, codec, 640.0),
            Phone::new(9, Codec::Pcmu, Says::Nothing),
        ];
        let mut room = Room::new(Rate::Narrow, phones);
        room.set_voices(2);
        let lie = |leg: Leg, mut sent: Vec<common::Sent>| {
            sent.iter_mut().for_each(|sent| {
                sent.level = match leg.0 {
                    1 => Some(15),
                    2 => Some(5),
                    3 => Some(127),
                    _ => None,
                }
            });
            sent
        };
        room.run_with(10, lie);
        assert!(legs(&heard_by(&room.mixer, 9)).contains(&2), "{codec:?}: at first it is believed");
        room.run_with(200, lie);
        assert_eq!(legs(&heard_by(&room.mixer, 9)), [1, 3], "{codec:?}");
        assert!(room.phones[3].level(440.0, 500).abs() < 1.0 && room.phones[3].level(640.0, 500).abs() < 1.0);
    }
}

#[test]
fn r65_muted_and_held_legs_take_no_place() {
    for codec in CODECS {
        let phones = vec![
            Phone::new(1, codec, tone(440.0, 16_000.0)),
            Phone::new(2, codec, tone(640.0, 16_000.0)),
            Phone::new(3, codec, tone(840.0, 3000.0)),
            Phone::new(9, Codec::Pcmu, Says::Nothing),
        ];
        let mut room = Room::new(Rate::Narrow, phones);
        room.set_voices(1);
        room.run(50);
        room.command(Command::Mute(Leg(1), true));
        room.command(Command::Hear(Leg(2), false));
        room.run(3);
        assert_eq!(legs(&heard_by(&room.mixer, 9)), [3], "{codec:?}");
        let decoded = room.mixer.decoded();
        room.run(50);
        assert_eq!(room.mixer.decoded() - decoded, 50, "{codec:?}: only who is heard is decoded");
        assert_eq!(legs(&heard_by(&room.mixer, 9)), [3], "{codec:?}");
        room.command(Command::Remove(Leg(3)));
        room.command(Command::Hear(Leg(2), true));
        room.run(1);
        assert_eq!(legs(&heard_by(&room.mixer, 9)), [2], "{codec:?}");
    }
}

#[test]
fn fewer_places_fade_out_those_beyond() {
    for codec in CODECS {
        let mut phones: Vec<Phone> = (0..4)
            .map(|n| Phone::new(n, codec, tone(115.0, 4000.0 + 1000.0 * n as f64)))
            .collect();
        phones.push(Phone::new(9, Codec::Pcmu, Says::Nothing));
        let mut room = Room::new(Rate::Wide, phones);
        room.run(60);
        let most = room.phones[4].steepest(500) + 300;
        for places in [2, 4, 1, 3, 0, 15] {
            room.set_voices(places);
            room.run(10);
            assert_eq!(heard_by(&room.mixer, 9).len(), places.min(4).into(), "{codec:?}");
            assert!(
                room.phones[4].steepest(220) < most,
                "{codec:?} {places}: {} {most}",
                room.phones[4].steepest(220)
            );
        }
    }
}

#[test]
fn r69_a_packet_tells_whose_voices_are_in_it_but_never_the_listeners_own() {
    for codec in CODECS {
        let mut phones: Vec<Phone> = (0..3)
            .map(|n| Phone::new(n, codec, tone(440.0, 4000.0 + 4000.0 * n as f64)))
            .collect();
        phones.extend((5..8).map(|n| Phone::new(n, CODECS[n as usize % 3], Says::Nothing)));
        let mut room = Room::new(Rate::Narrow, phones);
        room.run(3);
        let mut lists = Vec::new();
        for _ in 0..50 {
            room.run(1);
            lists.clear();
            room.mixer.outputs(|leg, output| {
                assert!(output.talkers.iter().all(|talker| talker.leg != leg));
                lists.push((leg.0, output.talkers.as_ptr(), output.talkers.to_vec()));
            });
        }
        for (leg, _, talkers) in &lists {
            let mut named = legs(talkers);
            named.sort_unstable();
            assert_eq!(named, (0..3).filter(|n| n != leg).collect::<Vec<_>>(), "{codec:?} {leg}");
            for talker in talkers {
                let amplitude = (4000 + 4000 * talker.leg.0) as i16;
                // A sine's mean square is half of its peak's.
                assert!(talker.level.abs_diff(dbov(&[amplitude]) + 3) <= 1, "{codec:?}: {talker:?}");
            }
        }
        assert!(lists[3].1 == lists[4].1 && lists[4].1 == lists[5].1, "listeners share one list");
        room.phones.iter_mut().for_each(|phone| phone.says = Says::Nothing);
        room.run(40);
        assert!((0..9).all(|leg| heard_by(&room.mixer, leg).is_empty()), "{codec:?}");
        room.phones[1].says = tone(440.0, 8000.0);
        room.run(10);
        assert!(
            heard_by(&room.mixer, 1).is_empty() && legs(&heard_by(&room.mixer, 0)) == [1],
            "{codec:?}"
        );
    }
}

/// Opus packets of a voice of that amplitude, a buzz in syllables, in a room with that noise; where there is none, the encoder sends nothing.
fn voice(amplitude: f64, noise: u64, ticks: u32) -> Vec<Vec<u8>> {
    let mut encoder = Encoder::new(Channels::Mono, SampleRate::Hz48000, Application::Voip).unwrap();
    encoder.set_bitrate(Bitrate::Value(24_000)).unwrap();
    encoder.set_dtx(true).unwrap();
    let mut dice = Dice(3);
    let mut sample = |n: u32| {
        let time = f64::from(n) / 48_000.0;
        let buzz: f64 = (1..20).map(|k| (f64::from(k) * 800.0 * time).sin() / f64::from(k)).sum();
        let noise = (dice.below(2 * noise + 1) as f64) - noise as f64;
        (amplitude * buzz * (0.3 + (12.0 * time).sin().powi(2)) + noise) as i16 as u16
    };
    let mut packet = |tick: u32| {
        let pcm: Vec<u16> = (0..960).map(|n| sample(tick * 960 + n)).collect();
        let mut packet = vec![0; 1275];
        let length = encoder.encode_to_slice(&pcm, &mut packet).unwrap();
        packet.truncate(length);
        packet
    };
    (0..ticks).map(&mut packet).collect()
}

/// A room of Opus legs, without phones at their ends.
struct Crowd {
    mixer: Mixer,
    stock: Stock,
    legs: u64,
    tick: u32,
}

impl Crowd {
    fn new(legs: u64) -> Self {
        let mut mixer = Mixer::new(Rate::Full, legs as usize).unwrap();
        for leg in 0..legs {
            let audio = LegAudio::new(LegSettings::plain(Codec::Opus)).unwrap();
            mixer.handle(Command::Add(Leg(leg), audio)).unwrap();
        }
        let stock = Stock::new().unwrap();
        Self {
            mixer,
            stock,
            legs,
            tick: 0,
        }
    }

    /// One tick, in which each leg sends that packet, if there is one; gives how many were decoded.
    fn tick<'a>(&mut self, mut packet: impl FnMut(u64, usize) -> Option<&'a Vec<u8>>) -> u64 {
        for leg in 0..self.legs {
            if let Some(payload) = packet(leg, self.tick as usize) {
                let packet = Packet {
                    ssrc: leg as u32,
                    sequence: self.tick as u16,
                    timestamp: self.tick * 960,
                    marker: false,
                    level: None,
                    since_tick_us: 10_000,
                    payload,
                };
                self.mixer.push(Leg(leg), packet);
            }
        }
        self.tick += 1;
        let before = self.mixer.decoded();
        self.mixer.tick(&mut self.stock);
        self.mixer.decoded() - before
    }

    fn heard(&self) -> Vec<u64> {
        let mut heard = legs(&heard_by(&self.mixer, self.legs - 1));
        heard.sort_unstable();
        heard
    }
}

#[test]
fn r65_in_a_crowd_of_which_three_talk_few_are_decoded() {
    for noise in [0, 20] {
        let (voiced, silent) = (voice(6000.0, noise, 450), voice(0.0, noise, 450));
        let mut crowd = Crowd::new(400);
        let mut probes = 0;
        for tick in 0..450 {
            let now = crowd.tick(|leg, tick| {
                let packet = if leg % 150 == 0 { &voiced[tick] } else { &silent[tick] };
                // A client whose encoder has nothing to say sends nothing.
                (packet.len() > 2).then_some(packet)
            });
            assert!(now <= 4 + PROBES, "{noise}: {now} in tick {tick}");
            if tick >= 200 {
                assert_eq!(crowd.heard(), [0, 150, 300]);
                assert!(now <= 3 + PROBES, "{noise}: {now} in tick {tick}");
                probes += now - 3;
            }
        }
        // Whose client says that there is no voice is probed once in five seconds.
        assert!(probes <= 400, "{noise}: {probes} probes in 250 ticks");
    }
}

#[test]
fn r65_in_a_crowd_that_all_talk_the_loudest_is_found_soon() {
    let [soft, louder, loud, silent] = [800.0, 2000.0, 9000.0, 0.0].map(|amplitude| voice(amplitude, 20, 800));
    let mut crowd = Crowd::new(48);
    let mut dice = Dice(4);
    // Everybody is at another place of the same speech.
    let shift: Vec<usize> = (0..48).map(|_| dice.below(100) as usize).collect();
    let mut run = |ticks: usize, leg: u64, says: &[Vec<u8>]| {
        let mut heard = None;
        for n in 1..=ticks {
            let decoded = crowd.tick(|at, tick| {
                let voice = match at {
                    _ if at == leg => says,
                    5 | 15 | 25 | 35 => &louder,
                    _ => &soft,
                };
                Some(&voice[(tick + shift[at as usize]) % 800])
            });
            assert!(decoded <= 5 + PROBES, "{decoded}");
            if heard.is_none() && crowd.heard().contains(&leg) {
                heard = Some(n);
            }
        }
        (heard, crowd.heard())
    };
    assert_eq!(run(150, 0, &soft).1, [5, 15, 25, 35]);
    for leg in [0, 46, 20, 11, 33] {
        run(100, leg, &silent);
        let (heard, _) = run(25, leg, &loud);
        // 200 ms, and as much until the voice, which begins anywhere in a syllable, is loud.
        assert!(heard.is_some_and(|ticks| ticks <= 20), "{leg}, who begins: {heard:?}");
        assert_eq!(run(100, leg, &soft).1, [5, 15, 25, 35]);
        let (heard, _) = run(50, leg, &loud);
        assert!(heard.is_some_and(|ticks| ticks <= 30), "{leg}, who raises the voice: {heard:?}");
        assert_eq!(run(100, leg, &soft).1, [5, 15, 25, 35]);
    }
}
