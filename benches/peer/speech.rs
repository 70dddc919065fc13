//! What participants say: speech of several synthetic voices, encoded beforehand.

use std::{fs, path::Path, process::Command};

use cusax::media::wav::Wav;
use mixer::{Coder, Rate};
use opusic_c::{Application, Bitrate, Channels, InbandFec, SampleRate, Signal};

use crate::{
    Outcome,
    load::{Part, Script},
    server::{Codec, OPUS_RATE},
};

/// Samples of 20 ms at 8000 and at 16000 Hz.
pub(crate) const NARROW: usize = 160;
const WIDE: usize = 320;
const FULL: usize = 960;

/// Encoder effort of the participants; theirs isn't measured.
pub(crate) const EFFORT: u8 = 10;
/// Loss in per cent that an encoder with FEC is told to expect.
const EXPECTED_LOSS: u8 = 10;

/// Sentences of the Harvard lists (IEEE 297-1969), balanced in their sounds.
const SENTENCES: [&str; 12] = [
    "The birch canoe slid on the smooth planks.",
    "Glue the sheet to the dark blue background.",
    "It's easy to tell the depth of a well.",
    "These days a chicken leg is a rare dish.",
    "Rice is often served in round bowls.",
    "The juice of lemons makes fine punch.",
    "The box was thrown beside the parked truck.",
    "The hogs were fed chopped corn and garbage.",
    "Four hours of steady work faced us.",
    "A large size in stockings is hard to sell.",
    "The boy was there when the sun rose.",
    "A rod is used to catch pink salmon.",
];

/// Voices of espeak-ng that sound unlike each other.
const VOICES: [&str; 12] = [
    "en-gb+f2",
    "en-us+m3",
    "en-gb-scotland+m1",
    "en-us+f4",
    "en-gb+m7",
    "en-gb-x-rp+f3",
    "en-us+m5",
    "en-029+f1",
    "en-gb+m2",
    "en-us+f5",
    "en-gb-x-gbclan+m4",
    "en-gb+f4",
];

/// A stretch of speech, the same in all forms; said over and over.
pub(crate) struct Voice {
    /// Samples at 16000 Hz as they were spoken.
    pub(crate) wide: Vec<i16>,
    pub(crate) pcmu: Said,
    pub(crate) opus: Said,
    /// Opus with in-band FEC.
    pub(crate) opus_fec: Said,
}

/// Packets of 20 ms, and what a decoder makes of them.
#[derive(Default)]
pub(crate) struct Said {
    pub(crate) packets: Vec<Vec<u8>>,
    /// Samples at 8000 Hz.
    pub(crate) narrow: Vec<i16>,
}

/// All that can be said.
pub(crate) struct Sounds {
    pub(crate) voices: Vec<Voice>,
    silence: [Vec<u8>; 2],
}

impl Sounds {
    /// Lets so many voices speak for that long, with peaks at -6 dBFS.
    pub(crate) fn new(folder: &Path, count: usize, seconds: usize) -> Outcome<Self> {
        Ok(Self {
            voices: (0..count.min(VOICES.len()))
                .map(|n| voice(folder, n, seconds))
                .collect::<Outcome<_>>()?,
            silence: [silence(Codec::Pcmu)?, silence(Codec::Opus)?],
        })
    }

    /// What somebody's voice says in their codec.
    pub(crate) fn said(&self, part: &Part) -> &Said {
        let voice = &self.voices[part.script.voice % self.voices.len()];
        match part.codec {
            Codec::Pcmu => &voice.pcmu,
            Codec::Opus if part.script.fec => &voice.opus_fec,
            Codec::Opus => &voice.opus,
        }
    }

    /// What somebody sends in a frame.
    pub(crate) fn payload(&self, part: &Part, frame: usize) -> &[u8] {
        if part.script.speaks.contains(&frame) {
            let packets = &self.said(part).packets;
            &packets[(frame + part.script.from) % packets.len()]
        } else {
            &self.silence[usize::from(part.codec == Codec::Opus)]
        }
    }

    /// Samples that somebody has sent in the first frames, at 8000 Hz as a decoder has them.
    pub(crate) fn narrow(&self, part: &Part, frames: usize) -> Vec<f32> {
        signal(&self.said(part).narrow, NARROW, &part.script, frames)
    }

    /// Samples that somebody has spoken in the first frames, at 16000 Hz.
    pub(crate) fn wide(&self, part: &Part, frames: usize) -> Vec<f32> {
        signal(&self.voices[part.script.voice % self.voices.len()].wide, WIDE, &part.script, frames)
    }
}

fn signal(voice: &[i16], length: usize, script: &Script, frames: usize) -> Vec<f32> {
    let mut signal = vec![0.0; frames * length];
    for (frame, out) in signal
        .chunks_exact_mut(length)
        .enumerate()
        .filter(|(n, _)| script.speaks.contains(n))
    {
        let at = (frame + script.from) * length % voice.len();
        out.iter_mut().zip(&voice[at..]).for_each(|(to, &from)| *to = from.into());
    }
    signal
}

/// A packet of silence.
fn silence(codec: Codec) -> Outcome<Vec<u8>> {
    let packets = match codec {
        Codec::Pcmu => pcmu(&[0; NARROW])?.packets,
        // An encoder takes some frames to settle.
        Codec::Opus => opus(&[0; 10 * FULL], false)?.packets,
    };
    packets.into_iter().next_back().ok_or_else(|| "no silence".into())
}

fn voice(folder: &Path, number: usize, seconds: usize) -> Outcome<Voice> {
    let raw = folder.join(format!("voice-{number}.wav"));
    let mut text = SENTENCES;
    text.rotate_left(number);
    let text = text.join(" ");
    // Said twice, since some voices are quick.
    let text = format!("{text} {text}");
    run(Command::new("espeak-ng").args(["-v", VOICES[number], "-w"]).arg(&raw).arg(text))?;
    let at = |rate: u32, frame: usize| -> Outcome<Vec<i16>> {
        let file = folder.join(format!("voice-{number}-{rate}.wav"));
        let (rate, length) = (rate.to_string(), seconds.to_string());
        let mut sox = Command::new("sox");
        // Without dither, which would be noise of its own in each form.
        sox.arg("-D").arg(&raw).args(["-r", &rate, "-b", "16"]).arg(&file);
        run(sox.args(["gain", "-n", "-6", "rate", &rate, "trim", "0", &length]))?;
        let mut samples = Wav::parse(&fs::read(&file)?)?.samples;
        samples.truncate(samples.len() / frame * frame);
        Ok(samples)
    };
    let (narrow, wide, full) = (at(8000, NARROW)?, at(16_000, WIDE)?, at(48_000, FULL)?);
    if [narrow.len() / NARROW, wide.len() / WIDE, full.len() / FULL] != [seconds * 50; 3] {
        return Err(format!("voice {} speaks for less than {seconds} s", VOICES[number]).into());
    }
    Ok(Voice {
        wide,
        pcmu: pcmu(&narrow)?,
        opus: opus(&full, false)?,
        opus_fec: opus(&full, true)?,
    })
}

fn pcmu(narrow: &[i16]) -> Outcome<Said> {
    let mut coder = Coder::new(mixer::Codec::Pcmu, Rate::Narrow)?;
    let packets: Vec<Vec<u8>> = narrow.chunks_exact(NARROW).map(|frame| coder.encode(frame)).collect();
    let narrow = packets.iter().flat_map(|p| coder.decode(p)).collect();
    Ok(Said { packets, narrow })
}

fn opus(full: &[i16], fec: bool) -> Outcome<Said> {
    let failed = |e| format!("libopus: {e:?}");
    let mut encoder = opusic_c::Encoder::new(Channels::Mono, SampleRate::Hz48000, Application::Voip).map_err(failed)?;
    encoder.set_bitrate(Bitrate::Value(OPUS_RATE)).map_err(failed)?;
    encoder.set_complexity(EFFORT).map_err(failed)?;
    encoder.set_signal(Signal::Voice).map_err(failed)?;
    if fec {
        encoder.set_inband_fec(InbandFec::Mode1).map_err(failed)?;
        encoder.set_packet_loss(EXPECTED_LOSS).map_err(failed)?;
    }
    let mut decoder = OpusEar::new(8000)?;
    let mut said = Said::default();
    for frame in full.chunks_exact(FULL) {
        let mut packet = vec![0; 1275];
        // The binding takes C's shorts as u16.
        let frame: Vec<u16> = frame.iter().map(|&s| s as u16).collect();
        let length = encoder.encode_to_slice(&frame, &mut packet).map_err(failed)?;
        packet.truncate(length);
        said.narrow.extend(decoder.decode(&packet)?);
        said.packets.push(packet);
    }
    Ok(said)
}

/// A decoder at a listener's rate.
pub(crate) struct OpusEar {
    decoder: opusic_c::Decoder,
    frame: usize,
}

impl OpusEar {
    /// For 8000 or 16000 Hz.
    pub(crate) fn new(rate: u32) -> Outcome<Self> {
        let sample_rate = if rate == 8000 { SampleRate::Hz8000 } else { SampleRate::Hz16000 };
        let decoder = opusic_c::Decoder::new(Channels::Mono, sample_rate).map_err(|e| format!("libopus: {e:?}"))?;
        Ok(Self {
            decoder,
            frame: rate as usize / 50,
        })
    }

    /// Decodes a packet of 20 ms.
    pub(crate) fn decode(&mut self, packet: &[u8]) -> Outcome<Vec<i16>> {
        let mut samples = vec![0; self.frame];
        let got = self.decoder.decode_to_slice(packet, &mut samples, false);
        samples.truncate(got.map_err(|e| format!("libopus: {e:?}"))?);
        Ok(samples.into_iter().map(|s| s as i16).collect())
    }
}

fn run(command: &mut Command) -> Outcome<()> {
    let done = command.output()?;
    if done.status.success() {
        return Ok(());
    }
    Err(format!("{command:?}: {}", String::from_utf8_lossy(&done.stderr)).into())
}
