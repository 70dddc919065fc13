//! How somebody sounds in a mixer when packets get lost on the way to it: `hear CODEC PERCENT RUN SEED FROM.wav TO.wav`.
//!
//! CODEC is `pcmu` (files of 8000 Hz) or `opus` (from 48000 Hz, with forward error correction, to 16000 Hz); PERCENT of the packets get lost,
//! RUN of them in a row each time. Both ways are encoded: what is heard is what a listener in the room hears.
#![expect(clippy::print_stdout, reason = "a tool that tells what it did")]

use std::{error::Error, fs};

use mixer::{Codec, Command, Leg, LegAudio, LegSettings, Mixer, Packet, Rate, Stock};
use opusic_c::{Application, Bitrate, Channels, Decoder, Encoder, InbandFec, SampleRate, Signal};

const TALKER: Leg = Leg(1);
const LISTENER: Leg = Leg(2);

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [codec, percent, run, seed, from, to] = arguments.as_slice() else {
        return Err("usage: hear pcmu|opus PERCENT RUN SEED FROM.wav TO.wav".into());
    };
    let codec = match codec.as_str() {
        "pcmu" => Codec::Pcmu,
        "opus" => Codec::Opus,
        other => return Err(format!("no codec {other}").into()),
    };
    let (percent, run): (u64, usize) = (percent.parse()?, run.parse()?);
    let samples = samples(&fs::read(from)?).ok_or("not a WAV file of 16 bits, mono")?;
    let mut dice = Dice(seed.parse()?);
    let mut lost = std::iter::repeat_with(|| dice.below(100) < percent).flat_map(|lost| std::iter::repeat_n(lost, run));

    let mut mixer = Mixer::new(Rate::Full, 2).map_err(|e| e.to_string())?;
    let mut stock = Stock::new().map_err(|e| e.to_string())?;
    for leg in [TALKER, LISTENER] {
        let audio = LegAudio::new(LegSettings::plain(codec)).map_err(|e| e.to_string())?;
        mixer.handle(Command::Add(leg, audio)).map_err(|e| e.to_string())?;
    }
    let (mut mouth, mut ear) = (Coder::new(codec)?, Coder::new(codec)?);
    let mut heard = Vec::new();
    for (n, frame) in samples.chunks_exact(codec.clock_hz() as usize / 50).enumerate() {
        let payload = mouth.encode(frame)?;
        if !lost.next().unwrap_or(false) {
            let packet = Packet {
                ssrc: 1,
                sequence: n as u16,
                timestamp: (n * frame.len()) as u32,
                marker: false,
                level: None,
                since_tick_us: 10_000,
                payload: &payload,
            };
            mixer.push(TALKER, packet);
        }
        mixer.tick(&mut stock);
        let mut sent = Vec::new();
        mixer.outputs(|leg, output| {
            if leg == LISTENER {
                sent = output.payload.to_vec();
            }
        });
        heard.extend(ear.decode(&sent)?);
    }
    fs::write(to, wav(if codec == Codec::Opus { 16_000 } else { 8000 }, &heard))?;
    println!("{:?}", mixer.jitter(TALKER).ok_or("the talker left")?);
    Ok(())
}

/// A phone's codec.
enum Coder {
    Pcmu(mixer::Coder),
    Opus(Encoder, Decoder),
}

impl Coder {
    fn new(codec: Codec) -> Outcome<Self> {
        if codec == Codec::Pcmu {
            let coder = mixer::Coder::new(codec, Rate::Narrow).map_err(|e| e.to_string())?;
            return Ok(Self::Pcmu(coder));
        }
        let failed = |e| format!("libopus: {e:?}");
        let mut encoder = Encoder::new(Channels::Mono, SampleRate::Hz48000, Application::Voip).map_err(failed)?;
        encoder.set_bitrate(Bitrate::Value(32_000)).map_err(failed)?;
        encoder.set_complexity(10).map_err(failed)?;
        encoder.set_signal(Signal::Voice).map_err(failed)?;
        encoder.set_inband_fec(InbandFec::Mode1).map_err(failed)?;
        encoder.set_packet_loss(10).map_err(failed)?;
        let decoder = Decoder::new(Channels::Mono, SampleRate::Hz16000).map_err(failed)?;
        Ok(Self::Opus(encoder, decoder))
    }

    fn encode(&mut self, frame: &[i16]) -> Outcome<Vec<u8>> {
        match self {
            Self::Pcmu(coder) => Ok(coder.encode(frame)),
            Self::Opus(encoder, _) => {
                // The binding takes C's shorts as u16.
                let frame: Vec<u16> = frame.iter().map(|&sample| sample as u16).collect();
                let mut packet = vec![0; 1275];
                let length = encoder
                    .encode_to_slice(&frame, &mut packet)
                    .map_err(|e| format!("libopus: {e:?}"))?;
                packet.truncate(length);
                Ok(packet)
            }
        }
    }

    fn decode(&mut self, payload: &[u8]) -> Outcome<Vec<i16>> {
        match self {
            Self::Pcmu(coder) => Ok(coder.decode(payload)),
            Self::Opus(_, decoder) => {
                let mut samples = vec![0; 320];
                let count = decoder
                    .decode_to_slice(payload, &mut samples, false)
                    .map_err(|e| format!("libopus: {e:?}"))?;
                Ok(samples[..count].iter().map(|&sample| sample as i16).collect())
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

/// The samples of a WAV file as sox writes it.
fn samples(file: &[u8]) -> Option<Vec<i16>> {
    let data = file.windows(4).position(|w| w == b"data")?;
    let bytes = file.get(data + 8..)?;
    Some(bytes.chunks_exact(2).map(|b| i16::from_le_bytes([b[0], b[1]])).collect())
}

fn wav(rate: u32, samples: &[i16]) -> Vec<u8> {
    let length = 2 * samples.len() as u32;
    let mut file = Vec::new();
    for part in [
        &b"RIFF"[..],
        &(length + 36).to_le_bytes(),
        b"WAVEfmt ",
        &16u32.to_le_bytes(),
        // PCM, mono.
        &[1, 0, 1, 0],
        &rate.to_le_bytes(),
        &(2 * rate).to_le_bytes(),
        // Bytes and bits of a sample.
        &[2, 0, 16, 0],
        b"data",
        &length.to_le_bytes(),
    ] {
        file.extend(part);
    }
    samples.iter().for_each(|sample| file.extend(sample.to_le_bytes()));
    file
}
