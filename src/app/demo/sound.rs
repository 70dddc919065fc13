//! What the demo plays, and how it finds out what is heard.

use std::{f64::consts::TAU, sync::Arc, time::Duration};

use crate::media::tone::tone_level_db;

/// What bob's phone says, in Hz.
pub(super) const VOICE_HZ: f64 = 440.0;
/// How loud, in dB under full scale.
pub(super) const VOICE_DB: f64 = -12.0;
/// The bot's notes, in Hz: far above bob's, so that a short listen tells them apart.
pub(super) const MELODY_HZ: [f64; 4] = [1046.5, 1318.5, 1568.0, 2093.0];
/// A tone above this is heard, below it is not: 18 dB from what is sent, and more from what the bot leaks into a short listen.
const HEARD_DB: f64 = -30.0;
/// The shortest listen: what one packet carries.
pub(super) const BLOCK: Duration = Duration::from_millis(20);

/// The bot's melody: up and down its notes without a rest, so that the bot goes on speaking; to be repeated.
pub(super) fn melody(rate: u32) -> Arc<[i16]> {
    let length = rate * 3 / 10;
    let note = |hz: f64| {
        (0..length).map(move |n| {
            let (at, left) = (f64::from(n) / f64::from(rate), f64::from(length - n) / f64::from(rate));
            // A struck bar: there within 10 ms, fading, gone within 10 ms.
            let loudness = (at / 0.01).min(left / 0.01).min(1.0) * (-4.0 * at).exp();
            (0.12 * f64::from(i16::MAX) * loudness * (TAU * hz * at).sin()) as i16
        })
    };
    let [one, two, three, four] = MELODY_HZ;
    [one, two, three, four, three, two].into_iter().flat_map(note).collect()
}

/// Whether a tone is in these samples.
pub(super) fn has(samples: &[i16], rate: u32, hz: f64) -> bool {
    !samples.is_empty() && tone_level_db(samples, rate, hz) > HEARD_DB
}

/// When a tone began and ended in a recording, as far as it goes.
pub(super) struct Heard {
    /// Start of the first block that has it.
    pub(super) first: Option<Duration>,
    /// End of the last block that has it.
    pub(super) last: Option<Duration>,
    /// How long the recording is.
    pub(super) length: Duration,
}

/// Looks for a tone in blocks of 20 ms.
pub(super) fn listen(samples: &[i16], rate: u32, hz: f64) -> Heard {
    let block = (f64::from(rate) * BLOCK.as_secs_f64()) as usize;
    let time = |blocks: usize| BLOCK * u32::try_from(blocks).unwrap_or(u32::MAX);
    let blocks = samples.chunks_exact(block.max(1));
    let length = time(blocks.len());
    let with: Vec<usize> = blocks.enumerate().filter(|(_, b)| has(b, rate, hz)).map(|(n, _)| n).collect();
    Heard {
        first: with.first().map(|n| time(*n)),
        last: with.last().map(|n| time(n + 1)),
        length,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::tone::Tone;

    #[test]
    fn a_voice_is_found_under_the_melody_and_the_melody_is_no_voice() {
        for rate in [8000, 16_000, 48_000] {
            let mut samples = melody(rate).to_vec();
            assert!(listen(&samples, rate, VOICE_HZ).first.is_none(), "at {rate} Hz");
            assert!(listen(&samples, rate, MELODY_HZ[0]).first.is_some(), "at {rate} Hz");
            let part = rate as usize / 10..rate as usize / 2;
            let mut voice = vec![0; part.len()];
            Tone::new(VOICE_HZ, VOICE_DB, rate).fill(&mut voice);
            samples[part].iter_mut().zip(voice).for_each(|(s, v)| *s += v);
            let heard = listen(&samples, rate, VOICE_HZ);
            assert_eq!(heard.first, Some(Duration::from_millis(100)));
            assert_eq!(heard.last, Some(Duration::from_millis(500)));
            assert_eq!(heard.length, Duration::from_millis(1800));
        }
    }
}
