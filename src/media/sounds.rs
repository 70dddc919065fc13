//! The sounds that a room is played: prompts, tones, music.

use std::sync::Arc;

use mixer::{Player, Rate, Sound};

use super::{
    tone::Tone,
    wav::{BadWav, Wav},
};
use crate::model::media::Prompt;

/// What plays in a room at one time, each once.
pub(super) const MUSIC: Sound = Sound(0);
pub(super) const FILE: Sound = Sound(1);
pub(super) const PROMPT: Sound = Sound(2);
/// Apart from prompts, so that nobody who comes or leaves cuts an announcement short.
pub(super) const TONE: Sound = Sound(3);

/// How much quieter than it is music plays, in dB: to be talked over.
const MUSIC_QUIETER_DB: u8 = 12;

/// Length of one of the two notes of a tone, in samples of 8000 Hz: 120 ms.
const NOTE: usize = 960;

/// Level of the notes in dB, where 0 is full scale.
const NOTE_DB: f64 = -24.0;

/// Samples of a rate that a mixer knows.
#[derive(Debug, Clone)]
pub struct Clip {
    samples: Arc<[i16]>,
    rate: Rate,
}

/// Why a file can't be played.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadClip {
    /// It isn't a WAV file of one channel and 16 bits.
    #[error(transparent)]
    Wav(#[from] BadWav),
    /// Another rate than 8000, 16000 or 48000 Hz.
    #[error("{0} Hz: only 8000, 16000 and 48000 Hz can be played")]
    Rate(u32),
}

impl Clip {
    /// Reads a WAV file's bytes: one channel of 16 bits at 8000, 16000 or 48000 Hz.
    pub fn parse(bytes: &[u8]) -> Result<Self, BadClip> {
        let Wav { rate, samples } = Wav::parse(bytes)?;
        let rate = Rate::from_hz(rate).ok_or(BadClip::Rate(rate))?;
        let samples = samples.into();
        Ok(Self { samples, rate })
    }

    /// Two notes, one after the other.
    fn notes(first_hz: f64, second_hz: f64) -> Self {
        let note = |hz| {
            let mut samples = vec![0; NOTE];
            Tone::new(hz, NOTE_DB, Rate::Narrow.hz()).fill(&mut samples);
            samples
        };
        Self {
            samples: [note(first_hz), note(second_hz)].concat().into(),
            rate: Rate::Narrow,
        }
    }
}

/// All sounds of a server, ready to be played.
#[derive(Debug)]
pub(super) struct Sounds {
    music: Option<Clip>,
    started: Clip,
    stopped: Clip,
    joined: Clip,
    left: Clip,
}

impl Sounds {
    pub(super) fn new(music: Option<Clip>) -> Result<Self, BadClip> {
        Ok(Self {
            music,
            started: Clip::parse(include_bytes!("prompts/recording-started.wav"))?,
            stopped: Clip::parse(include_bytes!("prompts/recording-stopped.wav"))?,
            joined: Clip::notes(523.25, 659.26),
            left: Clip::notes(659.26, 523.25),
        })
    }

    pub(super) fn prompt(&self, prompt: Prompt) -> Box<Player> {
        let clip = match prompt {
            Prompt::RecordingStarted => &self.started,
            Prompt::RecordingStopped => &self.stopped,
            Prompt::Joined => &self.joined,
            Prompt::Left => &self.left,
        };
        once(clip)
    }

    pub(super) fn music(&self) -> Option<Box<Player>> {
        let Clip { samples, rate } = self.music.as_ref()?;
        Some(Player::new(Arc::clone(samples), *rate, MUSIC_QUIETER_DB, true))
    }
}

/// Plays a clip from its beginning to its end.
pub(super) fn once(clip: &Clip) -> Box<Player> {
    Player::new(Arc::clone(&clip.samples), clip.rate, 0, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shipped_can_be_played_and_is_short() {
        let sounds = Sounds::new(None).expect("they are there");
        for clip in [&sounds.started, &sounds.stopped, &sounds.joined, &sounds.left] {
            let ms = clip.samples.len() * 1000 / clip.rate.hz() as usize;
            assert!((200..4000).contains(&ms), "{ms} ms");
            assert!(clip.samples.iter().any(|sample| sample.unsigned_abs() > 1000));
        }
        assert!(sounds.music().is_none());
    }

    #[test]
    fn a_rate_that_no_mixer_knows_is_refused() {
        let wav = |rate| {
            Wav {
                rate,
                samples: vec![1; 100],
            }
            .to_bytes()
        };
        assert_eq!(Clip::parse(&wav(44_100)).map(|_| ()), Err(BadClip::Rate(44_100)));
        assert!(Clip::parse(&wav(48_000)).is_ok());
        assert_eq!(Clip::parse(b"x").map(|_| ()), Err(BadClip::Wav(BadWav::NotWav)));
    }
}
