//! What a recording is written as: WAV, or Ogg Opus (RFC 7845). One channel, 20 ms at a time.

use std::{
    fmt,
    io::{self, Seek, SeekFrom, Write},
};

use mixer::{Codec, Coder, Rate};
use ogg::writing::{PacketWriteEndInfo, PacketWriter};

use super::super::wav;

/// Samples of 48000 Hz that a decoder drops at the start: libopus's look-ahead (RFC 7845 section 4.2).
const PRE_SKIP: u16 = 312;

/// Units of 48000 Hz in a tick, which is what positions in an Ogg Opus stream are counted in.
const TICK: u64 = 960;

/// Ticks in a page: a second, so that not much is lost when the machine dies.
const PAGE: u64 = 50;

/// The kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// 16-bit PCM.
    Wav,
    /// Opus in Ogg.
    Ogg,
}

impl Format {
    /// How names of such files end.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Wav => "wav",
            Self::Ogg => "ogg",
        }
    }
}

/// Takes 20 ms after 20 ms of samples.
pub(super) trait Sink: Send + fmt::Debug {
    /// Writes one tick, at the rate that the sink was made for.
    fn write(&mut self, tick: &[i16]) -> io::Result<()>;

    /// Makes the file readable as far as it goes; called about once a second.
    fn mend(&mut self) -> io::Result<()>;

    /// Ends the file.
    fn finish(&mut self) -> io::Result<()>;
}

/// A WAV file: its header's sizes are mended as it grows.
pub(super) struct WavSink<W> {
    file: W,
    rate: u32,
    bytes: u32,
    line: Vec<u8>,
}

impl<W: Write + Seek> WavSink<W> {
    pub(super) fn new(mut file: W, rate: Rate) -> io::Result<Self> {
        file.write_all(&wav::header(rate.hz(), 0))?;
        Ok(Self {
            file,
            rate: rate.hz(),
            bytes: 0,
            line: Vec::new(),
        })
    }
}

impl<W: Write + Seek + Send> Sink for WavSink<W> {
    fn write(&mut self, tick: &[i16]) -> io::Result<()> {
        let more = 2 * tick.len() as u32;
        // The format can't tell of more than 4 GiB, a day and a half at 16000 Hz.
        let bytes = self.bytes.checked_add(more).ok_or(io::ErrorKind::FileTooLarge)?;
        self.line.clear();
        self.line.extend(tick.iter().flat_map(|sample| sample.to_le_bytes()));
        self.file.write_all(&self.line)?;
        self.bytes = bytes;
        Ok(())
    }

    fn mend(&mut self) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&wav::header(self.rate, self.bytes))?;
        self.file.seek(SeekFrom::End(0))?;
        self.file.flush()
    }

    fn finish(&mut self) -> io::Result<()> {
        self.mend()
    }
}

impl<W> fmt::Debug for WavSink<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WavSink").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

/// An Ogg file with one Opus stream.
pub(super) struct OggSink<W: Write> {
    file: PacketWriter<'static, W>,
    serial: u32,
    coder: Coder,
    ticks: u64,
    /// Held back, since the last packet has to say that it is.
    held: Option<Vec<u8>>,
}

impl<W: Write> OggSink<W> {
    /// Starts a stream; its serial number is to be random (RFC 3533 section 6).
    pub(super) fn new(file: W, rate: Rate, serial: u32) -> io::Result<Self> {
        let coder = Coder::new(Codec::Opus, rate).map_err(io::Error::other)?;
        let mut file = PacketWriter::new(file);
        file.write_packet(head(rate), serial, PacketWriteEndInfo::EndPage, 0)?;
        file.write_packet(tags(), serial, PacketWriteEndInfo::EndPage, 0)?;
        Ok(Self {
            file,
            serial,
            coder,
            ticks: 0,
            held: None,
        })
    }

    fn release(&mut self, last: bool) -> io::Result<()> {
        let Some(packet) = self.held.take() else { return Ok(()) };
        let end = match last {
            true => PacketWriteEndInfo::EndStream,
            false if self.ticks.is_multiple_of(PAGE) => PacketWriteEndInfo::EndPage,
            false => PacketWriteEndInfo::NormalPacket,
        };
        self.file.write_packet(packet, self.serial, end, self.ticks * TICK)
    }
}

impl<W: Write + Send> Sink for OggSink<W> {
    fn write(&mut self, tick: &[i16]) -> io::Result<()> {
        self.release(false)?;
        self.ticks += 1;
        self.held = Some(self.coder.encode(tick));
        Ok(())
    }

    fn mend(&mut self) -> io::Result<()> {
        self.file.inner_mut().flush()
    }

    fn finish(&mut self) -> io::Result<()> {
        self.release(true)?;
        self.file.inner_mut().flush()
    }
}

impl<W: Write> fmt::Debug for OggSink<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OggSink").field("ticks", &self.ticks).finish_non_exhaustive()
    }
}

/// The identification header (RFC 7845 section 5.1).
fn head(rate: Rate) -> Vec<u8> {
    let mut head = b"OpusHead".to_vec();
    // Version, channels.
    head.extend([1, 1]);
    head.extend(PRE_SKIP.to_le_bytes());
    head.extend(rate.hz().to_le_bytes());
    // No gain, one stream in the usual order.
    head.extend([0, 0, 0]);
    head
}

/// The comment header (RFC 7845 section 5.2): who wrote it, and no comments.
fn tags() -> Vec<u8> {
    let vendor = concat!("cusax ", env!("CARGO_PKG_VERSION"));
    let mut tags = b"OpusTags".to_vec();
    tags.extend((vendor.len() as u32).to_le_bytes());
    tags.extend(vendor.as_bytes());
    tags.extend([0; 4]);
    tags
}

#[cfg(test)]
mod tests {
    use std::{f64::consts::TAU, io::Cursor};

    use ogg::PacketReader;

    use super::*;
    use crate::media::{tone::tone_level_db, wav::Wav};

    fn tone(ticks: usize) -> Vec<i16> {
        (0..ticks * 320)
            .map(|n| (8000.0 * (TAU * 440.0 * n as f64 / 16_000.0).sin()) as i16)
            .collect()
    }

    #[test]
    fn a_wav_file_is_readable_while_it_grows() {
        let mut bytes = Cursor::new(Vec::new());
        let mut sink = WavSink::new(&mut bytes, Rate::Wide).expect("writable");
        for tick in tone(100).chunks_exact(320) {
            sink.write(tick).expect("writable");
        }
        sink.mend().expect("writable");
        sink.write(&[0; 320]).expect("writable");
        let read = Wav::parse(&bytes.into_inner()).expect("a WAV file");
        assert_eq!((read.rate, &read.samples[..]), (16_000, &tone(100)[..]));
    }

    #[test]
    fn an_ogg_file_is_an_opus_stream_with_the_sound_in_it() {
        let mut bytes = Vec::new();
        let mut sink = OggSink::new(&mut bytes, Rate::Wide, 4711).expect("writable");
        for tick in tone(120).chunks_exact(320) {
            sink.write(tick).expect("writable");
        }
        sink.finish().expect("writable");
        drop(sink);
        let mut reader = PacketReader::new(Cursor::new(bytes));
        let mut next = || reader.read_packet().expect("an Ogg file");
        assert!(next().is_some_and(|p| p.data.starts_with(b"OpusHead\x01\x01") && p.first_in_stream()));
        assert!(next().is_some_and(|p| p.data.starts_with(b"OpusTags")));
        let (mut coder, mut heard, mut last) = (Coder::new(Codec::Opus, Rate::Wide).expect("set up"), Vec::new(), None);
        while let Some(packet) = next() {
            heard.extend(coder.decode(&packet.data));
            last = Some((packet.last_in_stream(), packet.absgp_page()));
        }
        assert_eq!(last, Some((true, 120 * TICK)));
        assert_eq!(heard.len(), 120 * 320);
        let level = tone_level_db(&heard[heard.len() - 16_000..], 16_000, 440.0);
        assert!((-14.0..-10.0).contains(&level), "{level}");
    }
}
