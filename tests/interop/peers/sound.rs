//! Tones to send, and recordings to look for them in.

use std::{fs, path::Path, time::Duration};

/// One channel of 16-bit samples.
#[derive(Debug, Clone)]
pub(crate) struct Recording {
    pub(crate) rate: u32,
    pub(crate) samples: Vec<i16>,
}

/// Writes a WAV file with a sine at a quarter of full scale.
pub(crate) fn write_tone(path: &Path, hz: u32, rate: u32, length: Duration) {
    let count = u32::try_from(length.as_millis() * u128::from(rate) / 1000).expect("a short tone");
    let step = f64::from(hz) * std::f64::consts::TAU / f64::from(rate);
    let mut bytes = Vec::new();
    let data = count * 2;
    bytes.extend(b"RIFF");
    bytes.extend((36 + data).to_le_bytes());
    bytes.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    bytes.extend(rate.to_le_bytes());
    bytes.extend((rate * 2).to_le_bytes());
    bytes.extend(b"\x02\0\x10\0data");
    bytes.extend(data.to_le_bytes());
    for n in 0..count {
        #[expect(clippy::cast_possible_truncation, reason = "within a quarter of the range")]
        let sample = (8192.0 * (f64::from(n) * step).sin()) as i16;
        bytes.extend(sample.to_le_bytes());
    }
    fs::write(path, bytes).expect("writable");
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

    /// Its last part.
    pub(crate) fn last(&self, length: Duration) -> &[i16] {
        let count = (length.as_secs_f64() * f64::from(self.rate)) as usize;
        &self.samples[self.samples.len().saturating_sub(count)..]
    }

    /// Amplitude of a tone in a part of it, as a fraction of full scale.
    pub(crate) fn tone(&self, part: &[i16], hz: u32) -> f64 {
        amplitude(part, hz, self.rate)
    }
}

/// Amplitude of one frequency, as a fraction of full scale (Goertzel).
pub(crate) fn amplitude(samples: &[i16], hz: u32, rate: u32) -> f64 {
    if samples.is_empty() {
        return 0.0;
    }
    let coefficient = 2.0 * (std::f64::consts::TAU * f64::from(hz) / f64::from(rate)).cos();
    let (mut one, mut two) = (0.0, 0.0);
    for sample in samples {
        (one, two) = (f64::from(*sample) / 32768.0 + coefficient * one - two, one);
    }
    let power = one * one + two * two - coefficient * one * two;
    2.0 * power.max(0.0).sqrt() / samples.len() as f64
}

#[test]
fn a_tone_is_found_where_it_is_and_nowhere_else() {
    let folder = super::Folder::new("sound");
    let path = folder.join("tone.wav");
    write_tone(&path, 440, 8000, Duration::from_secs(1));
    let recording = Recording::read(&path);
    assert_eq!((recording.rate, recording.length()), (8000, Duration::from_secs(1)));
    let part = recording.last(Duration::from_millis(200));
    assert!((recording.tone(part, 440) - 0.25).abs() < 0.01);
    assert!(recording.tone(part, 1000) < 0.01);
    assert!(recording.tone(&[0; 1600], 440) < 0.001);
}
