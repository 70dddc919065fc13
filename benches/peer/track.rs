//! What a listener heard, and which of the samples that were sent is where in it.

use std::{ops::Range, time::Instant};

use mixer::{Coder, Rate};

use crate::{
    Outcome,
    load::Heard,
    server::Codec,
    speech::{NARROW, OpusEar},
};

/// Samples a millisecond, in what is compared.
pub(crate) const MS: usize = 8;

/// Longest delay that is looked for, in samples at 8000 Hz.
const MAX_DELAY: usize = 500 * MS;

/// A listener's recording.
pub(crate) struct Track {
    /// At 8000 Hz.
    pub(crate) narrow: Vec<f32>,
    /// At 16000 Hz; of Opus only.
    pub(crate) wide: Vec<f32>,
    /// The first sample at 8000 Hz of each packet, and when it came.
    pub(crate) packets: Vec<(usize, Instant)>,
}

impl Track {
    pub(crate) fn new(codec: Codec, heard: &[Heard]) -> Outcome<Self> {
        let mut ears = Ears::new(codec)?;
        let mut track = Self {
            narrow: Vec::new(),
            wide: Vec::new(),
            packets: Vec::new(),
        };
        let Some(first) = heard.first().map(|h| h.timestamp) else {
            return Ok(track);
        };
        for packet in heard {
            let elapsed = packet.timestamp.wrapping_sub(first) / codec.step();
            let at = elapsed as usize * NARROW;
            // A packet out of order, or a jump of more than a second, is no part of an undisturbed recording.
            if at < track.narrow.len() || at > track.narrow.len() + 1000 * MS {
                continue;
            }
            let (narrow, wide) = ears.hear(&packet.payload)?;
            track.narrow.resize(at, 0.0);
            track.narrow.extend(narrow.into_iter().map(f32::from));
            track.wide.resize(at * 2, 0.0);
            track.wide.extend(wide.into_iter().map(f32::from));
            track.packets.push((at, packet.at));
        }
        Ok(track)
    }

    /// Where the samples from `at` on, so many, are in `sent`, whose first sample was sent at `start`; and how alike they are, up to 1.
    /// `near` is where to look first.
    pub(crate) fn find(&self, sent: &[f32], start: Instant, at: usize, length: usize, near: Option<usize>) -> Option<(usize, f32)> {
        let part = self.narrow.get(at..at + length)?;
        let (_, came) = self.packets.iter().rev().find(|(first, _)| *first <= at)?;
        let now = (came.saturating_duration_since(start).as_secs_f64() * 1000.0 * MS as f64) as usize;
        if let Some(near) = near {
            let found = best(sent, part, near.saturating_sub(10 * MS)..near + 10 * MS);
            if found.is_some_and(|(_, alike)| alike > 0.9) {
                return found;
            }
        }
        best(sent, part, now.saturating_sub(MAX_DELAY)..now + 1)
    }
}

/// The place at which `sent` is most like `part`: found roughly first.
fn best(sent: &[f32], part: &[f32], places: Range<usize>) -> Option<(usize, f32)> {
    let places = places.start..places.end.min((sent.len() + 1).saturating_sub(part.len()));
    let reach = sent.get(places.start..places.end.checked_sub(1)? + part.len())?;
    let (thin_reach, thin_part) = (thin(reach), thin(part));
    let (rough, _) = search(&thin_reach, &thin_part, 0..(thin_reach.len() + 1).saturating_sub(thin_part.len()))?;
    let middle = places.start + rough * THINNING;
    let near = middle.saturating_sub(THINNING).max(places.start)..(middle + THINNING + 1).min(places.end);
    search(sent, part, near)
}

fn search(sent: &[f32], part: &[f32], places: Range<usize>) -> Option<(usize, f32)> {
    let own = dot(part, part);
    places
        .filter_map(|at| {
            let there = &sent[at..at + part.len()];
            let power = dot(there, there) * own;
            (power > 0.0).then(|| (at, dot(there, part) / power.sqrt()))
        })
        .max_by(|(_, a), (_, b)| a.total_cmp(b))
}

/// Speech is strongest below 1000 Hz, so a rate of 2000 Hz is enough to find about where it is.
const THINNING: usize = 4;

fn thin(samples: &[f32]) -> Vec<f32> {
    samples.chunks_exact(THINNING).map(|c| c.iter().sum()).collect()
}

/// Adds up in lanes, which the compiler turns into vectors.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0; 16];
    for (a, b) in a.chunks_exact(16).zip(b.chunks_exact(16)) {
        lanes.iter_mut().zip(a.iter().zip(b)).for_each(|(sum, (a, b))| *sum += a * b);
    }
    lanes.iter().sum()
}

enum Ears {
    Pcmu(Coder),
    /// At 8000 and at 16000 Hz.
    Opus(OpusEar, OpusEar),
}

impl Ears {
    fn new(codec: Codec) -> Outcome<Self> {
        Ok(match codec {
            Codec::Pcmu => Self::Pcmu(Coder::new(mixer::Codec::Pcmu, Rate::Narrow)?),
            Codec::Opus => Self::Opus(OpusEar::new(8000)?, OpusEar::new(16_000)?),
        })
    }

    fn hear(&mut self, payload: &[u8]) -> Outcome<(Vec<i16>, Vec<i16>)> {
        Ok(match self {
            Self::Pcmu(coder) => (coder.decode(payload), Vec::new()),
            Self::Opus(narrow, wide) => (narrow.decode(payload)?, wide.decode(payload)?),
        })
    }
}
