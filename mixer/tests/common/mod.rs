//! A room of simulated phones around a mixer, with codecs of their own.
#![allow(dead_code, clippy::unwrap_used, reason = "test code, of which each test file uses its part")]

use std::f64::consts::TAU;

use mixer::{Codec, Coder, Command, Effort, Event, Leg, LegAudio, LegSettings, Mixer, Output, OutputKind, Packet, Rate, Stock};
use opusic_c::{Application, Bitrate, Channels, Decoder, Encoder, SampleRate};

pub(crate) const RATES: [Rate; 3] = [Rate::Narrow, Rate::Wide, Rate::Full];
pub(crate) const CODECS: [Codec; 4] = [Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::Opus];

/// What a phone says.
#[derive(Clone, Copy)]
pub(crate) enum Says {
    Nothing,
    Tone {
        hz: f64,
        amplitude: f64,
    },
    /// Two tones, each of that amplitude.
    Pair {
        hz: [f64; 2],
        amplitude: f64,
    },
}

/// One simulated phone.
pub(crate) struct Phone {
    pub(crate) leg: Leg,
    pub(crate) settings: LegSettings,
    pub(crate) says: Says,
    /// Length of the packets that it sends, in ms.
    pub(crate) sends_ms: usize,
    pub(crate) ssrc: u32,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    /// When its packets arrive: microseconds after the mixer's tick.
    pub(crate) since_tick_us: u32,
    /// It tells how loud its packets are (RFC 6464).
    pub(crate) claims: bool,
    /// What it heard, at its own rate: see [`Self::hz`].
    pub(crate) heard: Vec<i16>,
    /// Time stamp, marker, payload of what it got, one for each packet.
    pub(crate) got: Vec<(u32, bool, Vec<u8>)>,
    said: usize,
    sent_ms: usize,
    ticks: usize,
    encoder: Encoder,
    decoder: Decoder,
    /// The mixer's own, which has its reference to answer to.
    g722: Coder,
}

impl Phone {
    pub(crate) fn new(leg: u64, codec: Codec, says: Says) -> Self {
        let mut encoder = Encoder::new(Channels::Mono, SampleRate::Hz48000, Application::Voip).unwrap();
        encoder.set_bitrate(Bitrate::Value(40_000)).unwrap();
        Self {
            leg: Leg(leg),
            settings: LegSettings::plain(codec),
            says,
            sends_ms: 20,
            ssrc: leg as u32,
            sequence: 65_500,
            timestamp: u32::MAX - 5000,
            since_tick_us: 10_000,
            claims: false,
            heard: Vec::new(),
            got: Vec::new(),
            said: 0,
            sent_ms: 0,
            ticks: 0,
            encoder,
            decoder: Decoder::new(Channels::Mono, SampleRate::Hz48000).unwrap(),
            g722: Coder::new(Codec::G722, Rate::Wide).unwrap(),
        }
    }

    /// Begins anew with other settings: another source, and what it says goes on at its new rate.
    pub(crate) fn renew(&mut self) {
        let now = Self::new(self.leg.0, self.settings.codec, self.says);
        let said_ms = self.sent_ms;
        *self = Self {
            settings: self.settings,
            ssrc: self.ssrc ^ 1,
            said: said_ms * now.hz() / 1000,
            sent_ms: said_ms,
            ticks: self.ticks,
            ..now
        };
    }

    pub(crate) fn tone(leg: u64, codec: Codec, hz: f64) -> Self {
        Self::new(leg, codec, Says::Tone { hz, amplitude: 8000.0 })
    }

    /// Sends nothing in silence but a packet now and then.
    pub(crate) fn use_dtx(&mut self) {
        self.encoder.set_dtx(true).unwrap();
    }

    pub(crate) fn audio(&self) -> Box<LegAudio> {
        LegAudio::new(self.settings).unwrap()
    }

    /// Samples a second of what it says and hears.
    pub(crate) fn hz(&self) -> usize {
        self.settings.codec.rate().hz() as usize
    }

    /// The packets that it sends in the next 20 ms, without their turn to arrive.
    pub(crate) fn packets(&mut self) -> Vec<Sent> {
        self.ticks += 1;
        let mut packets = Vec::new();
        while self.sent_ms + self.sends_ms <= self.ticks * 20 {
            self.sent_ms += self.sends_ms;
            packets.push(self.packet());
        }
        packets
    }

    fn packet(&mut self) -> Sent {
        let count = self.hz() * self.sends_ms / 1000;
        let samples: Vec<i16> = (self.said..self.said + count).map(|n| self.sample(n)).collect();
        self.said += count;
        let level = self.claims.then(|| dbov(&samples));
        let payload = match self.settings.codec {
            Codec::Pcmu => samples.into_iter().map(g711::mu).collect(),
            Codec::Pcma => samples.into_iter().map(g711::a).collect(),
            Codec::G722 => self.g722.encode(&samples),
            Codec::Opus => {
                let mut out = vec![0; 1275];
                let samples: Vec<u16> = samples.into_iter().map(|s| s as u16).collect();
                let length = self.encoder.encode_to_slice(&samples, &mut out).unwrap();
                out.truncate(length);
                out
            }
        };
        let sent = Sent {
            ssrc: self.ssrc,
            sequence: self.sequence,
            timestamp: self.timestamp,
            marker: false,
            level,
            since_tick_us: self.since_tick_us,
            payload,
        };
        self.sequence = self.sequence.wrapping_add(1);
        let units = self.settings.codec.clock_hz() * self.sends_ms as u32 / 1000;
        self.timestamp = self.timestamp.wrapping_add(units);
        sent
    }

    fn sample(&self, n: usize) -> i16 {
        match self.says {
            Says::Nothing => 0,
            Says::Tone { hz, amplitude } => (amplitude * (TAU * hz * n as f64 / self.hz() as f64).sin()) as i16,
            Says::Pair { hz, amplitude } => {
                let tone = |hz: f64| (TAU * hz * n as f64 / self.hz() as f64).sin();
                (amplitude * (tone(hz[0]) + tone(hz[1]))) as i16
            }
        }
    }

    pub(crate) fn hear(&mut self, output: &Output<'_>) {
        assert_eq!(output.kind, OutputKind::Audio);
        self.got.push((output.timestamp, output.marker, output.payload.to_vec()));
        match self.settings.codec {
            Codec::Pcmu => self.heard.extend(output.payload.iter().map(|&byte| g711::from_mu(byte))),
            Codec::Pcma => self.heard.extend(output.payload.iter().map(|&byte| g711::from_a(byte))),
            Codec::G722 => self.heard.extend(self.g722.decode(output.payload)),
            Codec::Opus => {
                let mut out = vec![0; 5760];
                let length = self.decoder.decode_to_slice(output.payload, &mut out, false).unwrap();
                self.heard.extend(out[..length].iter().map(|&s| s as i16));
            }
        }
    }

    /// The last so many ms that it heard.
    pub(crate) fn last_ms(&self, ms: usize) -> &[i16] {
        &self.heard[self.heard.len() - ms * self.hz() / 1000..]
    }

    /// Level of a tone in the last so many ms, in dB against what a phone says.
    pub(crate) fn level(&self, hz: f64, ms: usize) -> f64 {
        20.0 * (amplitude(self.last_ms(ms), hz, self.hz()) / 8000.0).max(1e-6).log10()
    }

    /// The greatest step between neighbouring samples in the last so many ms.
    pub(crate) fn steepest(&self, ms: usize) -> i32 {
        self.last_ms(ms)
            .windows(2)
            .map(|w| (i32::from(w[1]) - i32::from(w[0])).abs())
            .max()
            .unwrap_or(0)
    }
}

/// A packet on its way.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) ssrc: u32,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) marker: bool,
    pub(crate) level: Option<u8>,
    pub(crate) since_tick_us: u32,
    pub(crate) payload: Vec<u8>,
}

impl Sent {
    pub(crate) fn packet(&self) -> Packet<'_> {
        Packet {
            ssrc: self.ssrc,
            sequence: self.sequence,
            timestamp: self.timestamp,
            marker: self.marker,
            level: self.level,
            since_tick_us: self.since_tick_us,
            payload: &self.payload,
        }
    }
}

/// A way from a phone to the mixer: what is sent comes later.
#[derive(Default)]
pub(crate) struct Way {
    /// When each packet comes, in microseconds since the first tick.
    coming: Vec<(u64, Sent)>,
    now: u64,
}

impl Way {
    /// Takes what is sent in the next tick, after the phone's own time in it; each packet is under way for so many microseconds, if it isn't
    /// lost. Gives what comes in that tick.
    pub(crate) fn carry(&mut self, sent: Vec<Sent>, mut under_way: impl FnMut() -> Option<u64>) -> Vec<Sent> {
        for packet in sent {
            if let Some(us) = under_way() {
                self.coming.push((self.now + u64::from(packet.since_tick_us) + us, packet));
            }
        }
        self.coming.sort_by_key(|(at, _)| *at);
        let begin = self.now;
        self.now += 20_000;
        let due = self.coming.partition_point(|(at, _)| *at <= self.now);
        let come = |(at, sent): (u64, Sent)| Sent {
            since_tick_us: at.saturating_sub(begin) as u32,
            ..sent
        };
        self.coming.drain(..due).map(come).collect()
    }
}

/// A mixer with its phones.
pub(crate) struct Room {
    pub(crate) mixer: Mixer,
    pub(crate) stock: Stock,
    /// The stock is filled up after a tick if it runs low.
    pub(crate) restock: bool,
    pub(crate) phones: Vec<Phone>,
    pub(crate) events: Vec<Event>,
}

impl Room {
    pub(crate) fn new(rate: Rate, phones: Vec<Phone>) -> Self {
        let mut mixer = Mixer::new(rate, 100).unwrap();
        for phone in &phones {
            mixer.handle(Command::Add(phone.leg, phone.audio())).unwrap();
        }
        Self {
            mixer,
            stock: Stock::new().unwrap(),
            restock: true,
            phones,
            events: Vec::new(),
        }
    }

    pub(crate) fn run(&mut self, ticks: usize) {
        self.run_with(ticks, |_, sent| sent);
    }

    /// Runs with a network that may change what each leg's packets of a tick are.
    pub(crate) fn run_with(&mut self, ticks: usize, mut network: impl FnMut(Leg, Vec<Sent>) -> Vec<Sent>) {
        for _ in 0..ticks {
            for phone in &mut self.phones {
                for sent in network(phone.leg, phone.packets()) {
                    self.mixer.push(phone.leg, sent.packet());
                }
            }
            self.tick();
        }
    }

    pub(crate) fn tick(&mut self) {
        self.mixer.tick(&mut self.stock);
        if let Some(lack) = self.stock.lack().filter(|_| self.restock) {
            self.stock.fill(lack.make().unwrap());
        }
        let phones = &mut self.phones;
        self.mixer.outputs(|leg, output| {
            if let Some(phone) = phones.iter_mut().find(|phone| phone.leg == leg) {
                phone.hear(&output);
            }
        });
        self.events.extend(std::iter::from_fn(|| self.mixer.poll_event()));
    }

    /// Has so many legs heard together at most.
    pub(crate) fn set_voices(&mut self, voices: u8) {
        self.mixer.set_effort(Effort {
            voices,
            ..Effort::default()
        });
    }

    pub(crate) fn command(&mut self, command: Command) -> Option<Box<LegAudio>> {
        self.mixer.handle(command).unwrap()
    }
}

/// Level of some samples, as RFC 6464 writes it: decibels under the overload point.
pub(crate) fn dbov(samples: &[i16]) -> u8 {
    let square = samples.iter().map(|&s| f64::from(s).powi(2)).sum::<f64>() / samples.len() as f64;
    (-10.0 * (square / 32768f64.powi(2)).max(1e-20).log10()).round().min(127.0) as u8
}

/// Amplitude of one frequency, by Goertzel's algorithm.
pub(crate) fn amplitude(samples: &[i16], hz: f64, rate: usize) -> f64 {
    let turn = 2.0 * (TAU * hz / rate as f64).cos();
    let (mut one, mut two) = (0.0, 0.0);
    for &sample in samples {
        (one, two) = (f64::from(sample) + turn * one - two, one);
    }
    2.0 * (one * one + two * two - turn * one * two).max(0.0).sqrt() / samples.len() as f64
}

/// The same dice on every run.
pub(crate) struct Dice(pub u64);

impl Dice {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        // Knuth's MMIX generator; its high bits are good enough.
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// G.711 by search in the values of the standard, obvious rather than quick: an oracle for the mixer's own.
pub(crate) mod g711 {
    use std::sync::LazyLock;

    pub(crate) fn from_mu(byte: u8) -> i16 {
        let code = !byte;
        let magnitude = ((2 * i32::from(code & 15) + 33) << (code >> 4 & 7)) - 33;
        (4 * if code & 0x80 == 0 { magnitude } else { -magnitude }) as i16
    }

    pub(crate) fn from_a(byte: u8) -> i16 {
        let code = byte ^ 0x55;
        let (segment, step) = (code >> 4 & 7, i32::from(code & 15));
        let magnitude = if segment == 0 {
            2 * step + 1
        } else {
            (2 * step + 33) << (segment - 1)
        };
        (8 * if code & 0x80 != 0 { magnitude } else { -magnitude }) as i16
    }

    pub(crate) fn mu(sample: i16) -> u8 {
        static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| all(from_mu));
        BYTES[usize::from(sample as u16)]
    }

    pub(crate) fn a(sample: i16) -> u8 {
        static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| all(from_a));
        BYTES[usize::from(sample as u16)]
    }

    fn all(decode: fn(u8) -> i16) -> Vec<u8> {
        let values: Vec<(u8, i32)> = (0..=255).rev().map(|byte| (byte, decode(byte).into())).collect();
        let nearest = |sample: i16| values.iter().min_by_key(|(_, value)| (value - i32::from(sample)).abs());
        (0..=u16::MAX)
            .map(|sample| nearest(sample as i16).map_or(0, |(byte, _)| *byte))
            .collect()
    }
}
