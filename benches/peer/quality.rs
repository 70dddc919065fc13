//! How good a mix sounds: against the ideal sum of what was said, and by PESQ (ITU-T P.862, wide band P.862.2).

use std::{fs, process::Command, time::Instant};

use cusax::media::wav::Wav;

use crate::{
    Outcome,
    folder::Folder,
    load::{Load, Participant},
    server::Codec,
    track::{MS, Track},
};

/// A stretch over which delays are taken to be constant.
const BLOCK: usize = 1000 * MS;

/// Below this a voice isn't found in the mix.
const PRESENT: f32 = 0.15;

/// Where PESQ is to be found: a Python with the package `pesq`.
const PYTHON: &str = "CUSAX_PESQ_PYTHON";
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peer/score.py");

/// A recording beside what it should be.
pub(crate) struct Pair {
    codec: Codec,
    /// At the rate of the codec's PESQ.
    ideal: Vec<f32>,
    heard: Vec<f32>,
    /// Of each second, in dB; of PCMU only, since Opus isn't after the form of a wave.
    pub(crate) snr: Vec<f64>,
}

/// What one voice sent, from a first moment on: as a decoder has it at 8000 Hz, and as it was spoken at 16000 Hz.
pub(crate) struct Sent {
    pub(crate) narrow: Vec<f32>,
    pub(crate) wide: Vec<f32>,
}

impl Sent {
    pub(crate) fn new(load: &Load<'_>, speaker: &Participant) -> Self {
        Self {
            narrow: load.sounds.narrow(&speaker.part, load.frames()),
            wide: load.sounds.wide(&speaker.part, load.frames()),
        }
    }
}

impl Pair {
    /// Finds each voice in a recording, and adds up what should have been heard. Each voice has a delay of its own: for PESQ the one that
    /// it has most of the time, for each second's SNR the one that it has then.
    pub(crate) fn new(codec: Codec, track: &Track, voices: &[Sent], start: Instant) -> Option<Self> {
        let length = track.narrow.len() / BLOCK * BLOCK;
        let blocks: Vec<usize> = (0..length).step_by(BLOCK).collect();
        let shifts: Vec<Vec<usize>> = voices.iter().map(|v| shifts(track, &v.narrow, start, &blocks)).collect();
        let mut usual = Vec::new();
        for shifts in &shifts {
            let mut sorted = shifts.clone();
            sorted.sort_unstable();
            usual.push(*sorted.get(sorted.len() / 2)?);
        }
        let narrow = || voices.iter().map(|v| &v.narrow[..]);
        let (ideal, heard) = match codec {
            Codec::Pcmu => (add(narrow().zip(usual.iter().copied()), length), &track.narrow[..length]),
            Codec::Opus => {
                let wide = voices.iter().map(|v| &v.wide[..]).zip(usual.iter().map(|at| 2 * at));
                (add(wide, 2 * length), &track.wide[..2 * length])
            }
        };
        let snr = blocks.iter().enumerate().filter(|_| codec == Codec::Pcmu).map(|(n, &at)| {
            let places = shifts.iter().map(|s| s[n] + at);
            snr(&add(narrow().zip(places), BLOCK), &track.narrow[at..at + BLOCK])
        });
        Some(Self {
            codec,
            snr: snr.collect(),
            heard: heard.to_vec(),
            ideal,
        })
    }
}

/// How far behind its place in the recording each block is in what was sent. A block in which the voice isn't found has the shift of the
/// one before; the first ones that of the first that has one.
fn shifts(track: &Track, sent: &[f32], start: Instant, blocks: &[usize]) -> Vec<usize> {
    let mut found: Vec<usize> = Vec::new();
    for &at in blocks {
        let near = found.last().map(|shift| shift + at);
        let here = track.find(sent, start, at, BLOCK, near).filter(|(_, alike)| *alike > PRESENT);
        match here.map(|(place, _)| place.saturating_sub(at)).or_else(|| found.last().copied()) {
            Some(shift) if found.is_empty() => found.resize(at / BLOCK + 1, shift),
            Some(shift) => found.push(shift),
            None => {}
        }
    }
    found
}

fn add<'a>(voices: impl Iterator<Item = (&'a [f32], usize)>, length: usize) -> Vec<f32> {
    let mut sum = vec![0.0; length];
    for (voice, place) in voices {
        sum.iter_mut()
            .zip(voice.get(place..).unwrap_or_default())
            .for_each(|(sum, sample)| *sum += sample);
    }
    sum.iter_mut().for_each(|s| *s = s.clamp(f32::from(i16::MIN), f32::from(i16::MAX)));
    sum
}

fn snr(ideal: &[f32], heard: &[f32]) -> f64 {
    let power = |samples: &mut dyn Iterator<Item = f32>| samples.map(|s| f64::from(s * s)).sum::<f64>().max(1.0);
    let noise = power(&mut ideal.iter().zip(heard).map(|(a, b)| a - b));
    10.0 * (power(&mut ideal.iter().copied()) / noise).log10()
}

/// PESQ of each pair; none without a Python that has it, or if it fails, which it tells.
pub(crate) fn pesq(pairs: &[&Pair]) -> Vec<f64> {
    let Some(python) = std::env::var_os(PYTHON).filter(|_| !pairs.is_empty()) else {
        return Vec::new();
    };
    score(Command::new(python).arg(SCRIPT), pairs).unwrap_or_else(|error| {
        eprintln!("no PESQ: {error}");
        Vec::new()
    })
}

fn score(command: &mut Command, pairs: &[&Pair]) -> Outcome<Vec<f64>> {
    let folder = Folder::new("pesq");
    for (number, pair) in pairs.iter().enumerate() {
        let (band, rate) = match pair.codec {
            Codec::Pcmu => ("nb", 8000),
            Codec::Opus => ("wb", 16_000),
        };
        command.arg(band);
        for (kind, samples) in [("ideal", &pair.ideal), ("heard", &pair.heard)] {
            let file = folder.join(format!("{kind}-{number}.wav"));
            let samples = samples.iter().map(|&s| s as i16).collect();
            fs::write(&file, Wav { rate, samples }.to_bytes())?;
            command.arg(file);
        }
    }
    let done = command.output()?;
    let text = String::from_utf8_lossy(&done.stdout);
    let scores: Vec<f64> = text.lines().map_while(|l| l.parse().ok()).collect();
    if !done.status.success() || scores.len() != pairs.len() {
        return Err(String::from_utf8_lossy(&done.stderr).into());
    }
    Ok(scores)
}
