//! WAV files of one channel: written in 16 bits, read in those or as G.711.

use mixer::{Codec, Coder, Rate};

/// Samples and their rate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wav {
    /// Samples a second.
    pub rate: u32,
    /// One channel.
    pub samples: Vec<i16>,
}

/// Why bytes are no such file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadWav {
    /// Not RIFF/WAVE, or cut short.
    #[error("not a WAV file")]
    NotWav,
    /// Another encoding, or more channels.
    #[error("not one channel of 16-bit PCM or G.711")]
    Format,
}

const HEADER: usize = 44;

/// Numbers of encodings (RFC 2361).
const PCM: u16 = 1;
const ALAW: u16 = 6;
const MULAW: u16 = 7;

impl Wav {
    /// The file's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = header(self.rate, (self.samples.len() * 2) as u32).to_vec();
        bytes.extend(self.samples.iter().flat_map(|s| s.to_le_bytes()));
        bytes
    }

    /// Reads a file's bytes; chunks other than the format and the data are stepped over.
    pub fn parse(bytes: &[u8]) -> Result<Self, BadWav> {
        let mut chunks = bytes
            .strip_prefix(b"RIFF")
            .and_then(|b| b.get(4..)?.strip_prefix(b"WAVE"))
            .ok_or(BadWav::NotWav)?;
        let mut read = None;
        loop {
            let (head, rest) = chunks.split_first_chunk::<8>().ok_or(BadWav::NotWav)?;
            let size = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
            match &head[..4] {
                b"fmt " => read = Some(format(rest.get(..size).ok_or(BadWav::NotWav)?)?),
                b"data" => {
                    let data = &rest[..size.min(rest.len())];
                    let (rate, encoding) = read.ok_or(BadWav::NotWav)?;
                    let samples = encoding.decode(data);
                    return Ok(Self { rate, samples });
                }
                _ => {}
            }
            // Chunks begin at even places.
            chunks = rest.get(size + size % 2..).ok_or(BadWav::NotWav)?;
        }
    }
}

/// What stands before so many bytes of samples.
pub(super) fn header(rate: u32, size: u32) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"RIFF");
    put(8, b"WAVEfmt ");
    put(36, b"data");
    put(4, &size.saturating_add(HEADER as u32 - 8).to_le_bytes());
    put(16, &16u32.to_le_bytes());
    put(20, &PCM.to_le_bytes());
    put(22, &1u16.to_le_bytes());
    put(24, &rate.to_le_bytes());
    put(28, &(rate * 2).to_le_bytes());
    put(32, &2u16.to_le_bytes());
    put(34, &16u16.to_le_bytes());
    put(40, &size.to_le_bytes());
    header
}

/// How samples are written.
#[derive(Debug, Clone, Copy)]
enum Encoding {
    Pcm,
    G711(Codec),
}

impl Encoding {
    fn decode(self, data: &[u8]) -> Vec<i16> {
        match self {
            Self::Pcm => data.chunks_exact(2).map(|b| i16::from_le_bytes([b[0], b[1]])).collect(),
            // G.711 needs nothing that could be lacking.
            Self::G711(codec) => Coder::new(codec, Rate::Narrow)
                .map(|mut coder| coder.decode(data))
                .unwrap_or_default(),
        }
    }
}

/// Checks a format chunk; gives the rate and the encoding.
fn format(chunk: &[u8]) -> Result<(u32, Encoding), BadWav> {
    let chunk: &[u8; 16] = chunk.first_chunk().ok_or(BadWav::NotWav)?;
    let half = |at: usize| u16::from_le_bytes([chunk[at], chunk[at + 1]]);
    let encoding = match (half(0), half(2), half(14)) {
        (PCM, 1, 16) => Encoding::Pcm,
        (ALAW, 1, 8) => Encoding::G711(Codec::Pcma),
        (MULAW, 1, 8) => Encoding::G711(Codec::Pcmu),
        _ => return Err(BadWav::Format),
    };
    Ok((u32::from_le_bytes([chunk[4], chunk[5], chunk[6], chunk[7]]), encoding))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let wav = Wav {
            rate: 48_000,
            samples: vec![0, 1, -1, i16::MAX, i16::MIN],
        };
        assert_eq!(wav.to_bytes().len(), HEADER + 10);
        assert_eq!(Wav::parse(&wav.to_bytes()), Ok(wav));
    }

    #[test]
    fn g711_is_read() {
        for (encoding, silence) in [(MULAW, 0xff), (ALAW, 0xd5)] {
            let mut bytes = header(8000, 3).to_vec();
            bytes[20..22].copy_from_slice(&encoding.to_le_bytes());
            bytes[34..36].copy_from_slice(&8u16.to_le_bytes());
            bytes.extend([silence; 3]);
            let wav = Wav::parse(&bytes).expect("a good file");
            assert!(
                wav.samples.len() == 3 && wav.samples.iter().all(|sample| sample.abs() < 16),
                "{wav:?}"
            );
        }
    }

    #[test]
    fn other_chunks_are_stepped_over_and_other_formats_refused() {
        let wav = Wav {
            rate: 8000,
            samples: vec![7; 4],
        };
        let plain = wav.to_bytes();
        let with_list = [&plain[..12], b"LIST\x03\0\0\0abc\0", &plain[12..]].concat();
        assert_eq!(Wav::parse(&with_list), Ok(wav));
        let mut stereo = plain.clone();
        stereo[22] = 2;
        assert_eq!(Wav::parse(&stereo), Err(BadWav::Format));
        assert_eq!(Wav::parse(&plain[..30]), Err(BadWav::NotWav));
        assert_eq!(Wav::parse(b"RIFX"), Err(BadWav::NotWav));
        assert_eq!(Wav::parse(&[plain[..16].to_vec(), vec![0xff; 4]].concat()), Err(BadWav::NotWav));
    }
}
