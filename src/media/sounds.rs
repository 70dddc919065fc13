//! The sounds that a room is played: prompts, tones, music.

use std::sync::Arc;

use mixer::{Player, Rate, Sound};

use super::{
    tone::Tone,
    voice::Voice,
    wav::{BadWav, Wav},
};
use crate::model::{Phrase, media::Prompt};

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

/// How often somebody who waits hears that the call is still there, in seconds, where there is no music.
const SIGN_S: usize = 10;

/// What that sounds like, in Hz.
pub(super) const SIGN_HZ: f64 = 523.25;

/// Samples of a rate that a mixer knows.
#[derive(Debug, Clone)]
pub struct Clip {
    samples: Arc<[i16]>,
    rate: Rate,
}

/// Why a file can't be played.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadClip {
    /// It isn't a WAV file of one channel.
    #[error(transparent)]
    Wav(#[from] BadWav),
    /// Another rate than 8000, 16000 or 48000 Hz.
    #[error("{0} Hz: only 8000, 16000 and 48000 Hz can be played")]
    Rate(u32),
}

impl Clip {
    /// Reads a WAV file's bytes: one channel, in 16 bits or as G.711, at 8000, 16000 or 48000 Hz.
    pub fn parse(bytes: &[u8]) -> Result<Self, BadClip> {
        let Wav { rate, samples } = Wav::parse(bytes)?;
        let rate = Rate::from_hz(rate).ok_or(BadClip::Rate(rate))?;
        let samples = samples.into();
        Ok(Self { samples, rate })
    }

    pub(super) fn samples(&self) -> &Arc<[i16]> {
        &self.samples
    }

    pub(super) fn rate(&self) -> Rate {
        self.rate
    }

    /// The same, filled up with silence to so many seconds.
    fn followed_by_silence(self, seconds: usize) -> Self {
        let mut samples = self.samples.to_vec();
        samples.resize(seconds * self.rate.hz() as usize, 0);
        Self {
            samples: samples.into(),
            rate: self.rate,
        }
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
    voice: Voice,
    joined: Clip,
    left: Clip,
}

impl Sounds {
    pub(super) fn new(music: Option<Clip>, voice: Voice) -> Self {
        Self {
            music,
            voice,
            joined: Clip::notes(523.25, 659.26),
            left: Clip::notes(659.26, 523.25),
        }
    }

    pub(super) fn prompt(&self, prompt: Prompt) -> Box<Player> {
        match prompt {
            Prompt::RecordingStarted => self.voice.play("recording-started"),
            Prompt::RecordingStopped => self.voice.play("recording-stopped"),
            Prompt::Joined => once(&self.joined),
            Prompt::Left => once(&self.left),
        }
    }

    /// Says something.
    pub(super) fn speech(&self, phrases: &[Phrase]) -> Box<Player> {
        self.voice.say(phrases)
    }

    /// What those hear who wait: the music, or if there is none a sign of life now and then.
    pub(super) fn waiting(&self) -> Waiting {
        let (clip, quieter_db) = match &self.music {
            Some(music) => (music.clone(), MUSIC_QUIETER_DB),
            None => (Clip::notes(SIGN_HZ, SIGN_HZ).followed_by_silence(SIGN_S), 0),
        };
        Waiting { clip, quieter_db }
    }

    pub(super) fn music(&self) -> Option<Box<Player>> {
        let Clip { samples, rate } = self.music.as_ref()?;
        Some(Player::new(Arc::clone(samples), *rate, MUSIC_QUIETER_DB, true))
    }
}

/// What is played over and over to those who wait.
#[derive(Debug, Clone)]
pub(super) struct Waiting {
    clip: Clip,
    quieter_db: u8,
}

impl Waiting {
    pub(super) fn player(&self) -> Box<Player> {
        Player::new(Arc::clone(&self.clip.samples), self.clip.rate, self.quieter_db, true)
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
        let sounds = Sounds::new(None, Voice::built_in());
        for clip in [&sounds.joined, &sounds.left] {
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
