//! How much one leg costs in one tick of 20 ms: packet into the jitter buffer, level, mix, encode, output; no sockets.
//!
//! `cargo bench -p mixer`. The last line is for machines: microseconds per leg, medians over all ticks.
#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench reads the clock and prints what it measured"
)]

use std::{hint::black_box, time::Instant};

use mixer::{Codec, Command, Leg, LegAudio, LegSettings, Mixer, Packet, Rate, Stock};
use opusic_c::{Application, Channels, Encoder, SampleRate};

const TALKERS: u64 = 3;
/// Ticks between the packets of a silent Opus client, which uses DTX.
const DTX_TICKS: u32 = 20;

fn main() {
    // `cargo bench` says so; as a test a few ticks are enough.
    let ticks = if std::env::args().any(|argument| argument == "--bench") {
        1000
    } else {
        30
    };
    let pcmu = pcmu_room(1000, ticks);
    let opus = opus_room(400, ticks);
    polished_room(ticks);
    let talking = talking_room(48, ticks);
    println!("pcmu_us_per_leg={pcmu:.3} opus_us_per_leg={opus:.3} talking_us_per_leg={talking:.3}");
}

/// All send all the time: three speak, half of the others sit in a quiet room, and half in one whose noise must be decoded to be told from
/// speech.
fn pcmu_room(legs: u64, ticks: u32) -> f64 {
    // µ-law: a sign bit, then the amplitude, inverted.
    let bytes = |byte: fn(u32) -> u8, period| (0..160).map(|n: u32| byte(n) ^ ((n / period % 2) << 7) as u8).collect();
    let voice: Vec<u8> = bytes(|n| 0x9a + (n * n % 11) as u8, 9);
    let quiet: Vec<u8> = bytes(|n| 0xfb + (n * n % 5) as u8, 3);
    let noise: Vec<u8> = bytes(|n| if n % 16 == 0 { 0xf4 } else { 0xfd }, 2);
    let mixer = room(Rate::Narrow, LegSettings::plain(Codec::Pcmu), legs);
    run("PCMU, 3 talk", mixer, legs, ticks, 160, |leg, _| match leg {
        0..TALKERS => Some(&voice),
        _ => Some(if leg % 2 == 0 { &noise } else { &quiet }),
    })
}

/// Four talkers whose voices are worked on before they are mixed.
fn polished_room(ticks: u32) {
    let voice: Vec<u8> = (0..160u32)
        .map(|n| (0x9a + (n * n % 11) as u8) ^ ((n / 9 % 2) << 7) as u8)
        .collect();
    for (name, agc, denoise) in [
        ("PCMU as it comes", false, false),
        ("PCMU with gain control", true, false),
        ("PCMU with noise suppression", false, true),
    ] {
        let plain = LegSettings::plain(Codec::Pcmu);
        let mixer = room(Rate::Narrow, LegSettings { agc, denoise, ..plain }, 4);
        run(name, mixer, 4, ticks, 160, |_, _| Some(&voice));
    }
}

/// Three speak, the others' clients send a packet every 400 ms.
fn opus_room(legs: u64, ticks: u32) -> f64 {
    let voice = opus_packets(voice);
    let silence = opus_packets(|_| 0.0);
    let mixer = room(Rate::Full, LegSettings::plain(Codec::Opus), legs);
    run("Opus, 3 talk", mixer, legs, ticks, 960, |leg, tick| {
        let packets = if leg < TALKERS { &voice } else { &silence };
        let due = leg < TALKERS || (tick + leg as u32).is_multiple_of(DTX_TICKS);
        due.then(|| &packets[tick as usize % packets.len()])
    })
}

/// All speak at once.
fn talking_room(legs: u64, ticks: u32) -> f64 {
    let voice = opus_packets(voice);
    let mixer = room(Rate::Full, LegSettings::plain(Codec::Opus), legs);
    run("Opus, all talk", mixer, legs, ticks, 960, |leg, tick| {
        Some(&voice[(tick as usize + leg as usize) % voice.len()])
    })
}

/// A tone that wanders like a voice.
fn voice(n: u32) -> f64 {
    (f64::from(n) * (0.03 + 0.01 * (f64::from(n) / 4000.0).sin())).sin() * 9000.0
}

fn opus_packets(sample: impl Fn(u32) -> f64) -> Vec<Vec<u8>> {
    let mut encoder = Encoder::new(Channels::Mono, SampleRate::Hz48000, Application::Voip).expect("libopus has memory");
    let packet = |tick: u32| {
        let pcm: Vec<u16> = (0..960u32).map(|n| sample(tick * 960 + n) as i16 as u16).collect();
        let mut packet = vec![0; 1275];
        let length = encoder.encode_to_slice(&pcm, &mut packet).expect("20 ms can be encoded");
        packet.truncate(length);
        packet
    };
    (0..50).map(packet).collect()
}

fn room(rate: Rate, settings: LegSettings, legs: u64) -> Mixer {
    let mut mixer = Mixer::new(rate, legs as usize).expect("libopus has memory");
    for leg in 0..legs {
        let audio = LegAudio::new(settings).expect("good settings");
        mixer.handle(Command::Add(Leg(leg), audio)).expect("there is room");
    }
    mixer
}

/// Runs a room; gives the median of microseconds per leg and tick.
fn run<'a>(name: &str, mut mixer: Mixer, legs: u64, ticks: u32, step: u32, payload: impl Fn(u64, u32) -> Option<&'a Vec<u8>>) -> f64 {
    let mut parts = [const { Vec::new() }; 4];
    let mut stock = Stock::new().expect("libopus has memory");
    for tick in 0..ticks {
        let start = Instant::now();
        for leg in 0..legs {
            if let Some(payload) = payload(leg, tick) {
                let packet = Packet {
                    ssrc: leg as u32,
                    sequence: tick as u16,
                    timestamp: tick * step,
                    marker: false,
                    level: None,
                    since_tick_us: 10_000,
                    payload,
                };
                mixer.push(Leg(leg), packet);
            }
        }
        let pushed = Instant::now();
        mixer.tick(&mut stock);
        let mixed = Instant::now();
        let mut bytes = 0;
        mixer.outputs(|leg, output| bytes += output.payload.len() + leg.0 as usize);
        black_box(bytes);
        while mixer.poll_event().is_some() {}
        let done = Instant::now();
        if let Some(lack) = stock.lack() {
            stock.fill(lack.make().expect("libopus has memory"));
        }
        // The first ticks fill the jitter buffers.
        if tick >= 5 {
            for (part, time) in parts.iter_mut().zip([done - start, pushed - start, mixed - pushed, done - mixed]) {
                part.push(time.as_secs_f64() * 1e6 / legs as f64);
            }
        }
    }
    let least = parts[0].iter().copied().fold(f64::MAX, f64::min);
    let [all, push, tick, outputs] = parts.map(median);
    println!("{name}, {legs} legs: {all:.3} us per leg and tick (push {push:.3}, tick {tick:.3}, outputs {outputs:.3}; least {least:.3})");
    all
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
