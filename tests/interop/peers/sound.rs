//! Tones to send, and recordings to look for them in.

use std::{fs, path::Path, time::Duration};

use cusax::media::{
    tone::{Tone, tone_level_db},
    wav::Wav,
};

/// One channel of 16-bit samples.
#[derive(Debug, Clone)]
pub(crate) struct Recording {
    pub(crate) rate: u32,
    pub(crate) samples: Vec<i16>,
}

/// Writes a WAV file with a tone 12 dB below full scale; 0 Hz is silence.
pub(crate) fn write_tone(path: &Path, hz: u32, rate: u32, length: Duration) {
    let mut samples = vec![0; usize::try_from(length.as_millis() * u128::from(rate) / 1000).expect("a short tone")];
    Tone::new(f64::from(hz), -12.0, rate).fill(&mut samples);
    fs::write(path, Wav { rate, samples }.to_bytes()).expect("writable");
}

impl Recording {
    /// Reads a WAV file that may still be growing: the lengths in its header are not trusted. Takes the first channel.
    pub(crate) fn read(path: &Path) -> Self {
        let bytes = fs::read(path).unwrap_or_default();
        let u16_at = |at: usize| bytes.get(at..at + 2).map_or(0, |b| u16::from_le_bytes([b[0], b[1]]));
        let u32_at = |at: usize| u32::from(u16_at(at)) | u32::from(u16_at(at + 2)) << 16;
        let (mut rate, mut channels, mut at) = (8000, 1, 12);
        while bytes.len() >= at + 8 && &bytes[at..at + 4] != b"data" {
            if &bytes[at..at + 4] == b"fmt " {
                assert_eq!((u16_at(at + 8), u16_at(at + 22)), (1, 16), "{} is 16-bit PCM", path.display());
                (channels, rate) = (usize::from(u16_at(at + 10)), u32_at(at + 12));
            }
            at += 8 + usize::try_from(u32_at(at + 4)).expect("64 bits");
        }
        let data = bytes.get(at + 8..).unwrap_or_default();
        let samples = data
            .chunks_exact(2 * channels.max(1))
            .map(|frame| i16::from_le_bytes([frame[0], frame[1]]))
            .collect();
        Self { rate, samples }
    }

    /// How long it is.
    pub(crate) fn length(&self) -> Duration {
        Duration::from_secs_f64(self.samples.len() as f64 / f64::from(self.rate))
    }

    fn last(&self, length: Duration) -> &[i16] {
        let count = (length.as_secs_f64() * f64::from(self.rate)) as usize;
        &self.samples[self.samples.len().saturating_sub(count)..]
    }

    /// Level of a tone in its last part, in dB below full scale.
    pub(crate) fn level_db(&self, hz: u32, length: Duration) -> f64 {
        tone_level_db(self.last(length), self.rate, f64::from(hz))
    }
}

#[test]
fn a_tone_is_found_where_it_is_and_nowhere_else() {
    let folder = super::Folder::new("sound");
    let path = folder.join("tone.wav");
    write_tone(&path, 440, 8000, Duration::from_secs(1));
    let recording = Recording::read(&path);
    assert_eq!((recording.rate, recording.length()), (8000, Duration::from_secs(1)));
    let part = Duration::from_millis(200);
    assert!((recording.level_db(440, part) + 12.0).abs() < 0.2);
    assert!(recording.level_db(1000, part) < -50.0);
}
