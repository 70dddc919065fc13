//! How long a server keeps a sample: from the arrival of the packet that holds it to the departure of the packet that holds it.

use std::time::Instant;

use crate::{
    Outcome,
    load::{Load, Participant},
    server::Codec,
    speech::NARROW,
    track::{MS, Track},
};

/// What is looked for in what was sent.
const BLOCK: usize = 400 * MS;
/// From one block to the next.
const STEP: usize = 100 * MS;
/// Less alike than this, a block isn't taken: a pause, or sound that was stretched.
const ALIKE: f32 = 0.8;
/// Samples in a packet that are followed.
const FOLLOWED: usize = 4;
/// Frames after a turn's begin, and before its end, that aren't taken.
const MARGIN: usize = 15;

/// How long samples were kept, and in which frame they had been sent.
pub(crate) struct Delays(pub(crate) Vec<(usize, f64)>);

impl Delays {
    /// Follows whoever speaks to the first of their room who records.
    pub(crate) fn new(load: &Load<'_>, codec: Codec, room: usize) -> Outcome<Self> {
        let here = |p: &&Participant| p.part.room == room;
        let listener = load.people.iter().filter(here).find(|p| p.part.records).ok_or("nobody records")?;
        let track = Track::new(codec, &listener.heard)?;
        let mut all = Vec::new();
        for speaker in load.people.iter().filter(here).filter(|p| !p.part.script.speaks.is_empty()) {
            all.extend(follow(load, &track, speaker, look_ahead(codec)));
        }
        Ok(Self(all))
    }

    /// Milliseconds of those sent in these frames, in rising order.
    pub(crate) fn sorted(&self, frames: impl Fn(usize) -> bool) -> Vec<f64> {
        let mut sorted: Vec<f64> = self.0.iter().filter(|(frame, _)| frames(*frame)).map(|(_, ms)| *ms).collect();
        sorted.sort_by(f64::total_cmp);
        sorted
    }
}

/// By how many samples an encoder lags: libopus puts the last 6.5 ms of a frame into the next packet. What the speaker's encoder does isn't
/// the server's delay; what the server's own does is.
fn look_ahead(codec: Codec) -> usize {
    match codec {
        Codec::Pcmu => 0,
        Codec::Opus => 13 * MS / 2,
    }
}

fn follow(load: &Load<'_>, track: &Track, speaker: &Participant, look_ahead: usize) -> Vec<(usize, f64)> {
    let sent = load.sounds.narrow(&speaker.part, load.frames());
    let speaks = &speaker.part.script.speaks;
    let mut found = Vec::new();
    let mut near = None;
    for at in (0..track.narrow.len().saturating_sub(BLOCK)).step_by(STEP) {
        let middle = at + BLOCK / 2;
        let Some(came) = arrival(track, middle) else { continue };
        let frame = (came.saturating_duration_since(load.start).as_millis() / 20) as usize;
        if frame < speaks.start + MARGIN || frame + MARGIN > speaks.end {
            continue;
        }
        let Some((place, alike)) = track.find(&sent, load.start, at, BLOCK, near) else {
            continue;
        };
        if alike < ALIKE {
            near = None;
            continue;
        }
        near = Some(place + STEP);
        for &(first, departed) in track.packets.iter().filter(|(first, _)| (middle..middle + STEP).contains(first)) {
            for sample in (0..FOLLOWED).map(|n| first + n * NARROW / FOLLOWED) {
                let frame = (place + sample - at + look_ahead) / NARROW;
                if let Some(Some(arrived)) = speaker.sent.get(frame) {
                    found.push((frame, 1000.0 * departed.saturating_duration_since(*arrived).as_secs_f64()));
                }
            }
        }
    }
    found
}

fn arrival(track: &Track, sample: usize) -> Option<Instant> {
    let after = track.packets.partition_point(|(first, _)| *first <= sample);
    track.packets[..after].last().map(|(_, at)| *at)
}
