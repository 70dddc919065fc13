//! Puts what several ticks made into one packet.

use crate::{
    Codec,
    codec::{BYTES_PER_TICK, opus::MAX_ENCODED},
};

/// The longest packets, in ms and in ticks.
const LONGEST_MS: usize = 60;
const MAX_FRAMES: usize = LONGEST_MS / 20;
/// Bytes that an Opus packet of several frames has beside them: its first two, and two for each length (RFC 6716 section 3.2.5).
const MAX_HEAD: usize = 2 + 2 * MAX_FRAMES;

/// Collects frames until a packet is full.
pub(crate) enum Pack {
    Bytes(Box<Bytes>),
    Opus(Box<Frames>),
}

impl Pack {
    /// Makes packets of that many ms, more than a tick.
    pub(crate) fn new(codec: Codec, ptime_ms: u8) -> Self {
        match codec {
            Codec::Pcmu | Codec::Pcma | Codec::G722 => Self::Bytes(Box::new(Bytes::new(usize::from(ptime_ms)))),
            Codec::Opus => Self::Opus(Box::new(Frames::new(usize::from(ptime_ms) / 20))),
        }
    }

    /// Adds a tick's frame, due at that time; if that completes a packet, gives the time of its beginning.
    pub(crate) fn add(&mut self, frame: &[u8], timestamp: u32) -> Option<u32> {
        match self {
            Self::Bytes(bytes) => bytes.add(frame, timestamp),
            Self::Opus(frames) => frames.add(frame, timestamp),
        }
    }

    /// Makes a packet of what is there.
    pub(crate) fn flush(&mut self) -> Option<u32> {
        match self {
            Self::Bytes(bytes) => bytes.flush(),
            Self::Opus(frames) => frames.flush(),
        }
    }

    pub(crate) fn clear(&mut self) {
        match self {
            Self::Bytes(bytes) => bytes.waiting = 0,
            Self::Opus(frames) => frames.count = 0,
        }
    }

    /// The packet made last.
    pub(crate) fn done(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => &bytes.bytes[..bytes.done],
            Self::Opus(frames) => &frames.done[..frames.done_length],
        }
    }
}

/// For codecs whose packets may be cut anywhere: what waits lies behind the packet made last.
pub(crate) struct Bytes {
    wanted: usize,
    bytes: [u8; 2 * MAX_FRAMES * BYTES_PER_TICK],
    done: usize,
    waiting: usize,
    /// When the first byte that waits is due; a byte lasts one unit of the RTP clock.
    timestamp: u32,
}

impl Bytes {
    fn new(ptime_ms: usize) -> Self {
        Self {
            wanted: ptime_ms.min(LONGEST_MS) * BYTES_PER_TICK / 20,
            bytes: [0; 2 * MAX_FRAMES * BYTES_PER_TICK],
            done: 0,
            waiting: 0,
            timestamp: 0,
        }
    }

    fn add(&mut self, frame: &[u8], timestamp: u32) -> Option<u32> {
        self.bytes.copy_within(self.done..self.done + self.waiting, 0);
        self.done = 0;
        if self.waiting == 0 {
            self.timestamp = timestamp;
        }
        // Less than a packet waits, and a frame is shorter than one: both fit.
        let frame = &frame[..frame.len().min(BYTES_PER_TICK)];
        self.bytes[self.waiting..][..frame.len()].copy_from_slice(frame);
        self.waiting += frame.len();
        (self.waiting >= self.wanted).then(|| self.cut(self.wanted))
    }

    fn flush(&mut self) -> Option<u32> {
        self.bytes.copy_within(self.done..self.done + self.waiting, 0);
        self.done = 0;
        (self.waiting > 0).then(|| self.cut(self.waiting))
    }

    fn cut(&mut self, length: usize) -> u32 {
        (self.done, self.waiting) = (length, self.waiting - length);
        let begin = self.timestamp;
        self.timestamp = begin.wrapping_add(length as u32);
        begin
    }
}

/// For Opus, whose packets have frames.
pub(crate) struct Frames {
    /// Frames that make a packet.
    wanted: usize,
    frames: [[u8; MAX_ENCODED]; MAX_FRAMES],
    lengths: [usize; MAX_FRAMES],
    count: usize,
    /// When the first frame is due.
    timestamp: u32,
    done: [u8; MAX_HEAD + MAX_ENCODED * MAX_FRAMES],
    done_length: usize,
}

impl Frames {
    fn new(wanted: usize) -> Self {
        Self {
            wanted: wanted.min(MAX_FRAMES),
            frames: [[0; MAX_ENCODED]; MAX_FRAMES],
            lengths: [0; MAX_FRAMES],
            count: 0,
            timestamp: 0,
            done: [0; MAX_HEAD + MAX_ENCODED * MAX_FRAMES],
            done_length: 0,
        }
    }

    fn add(&mut self, frame: &[u8], timestamp: u32) -> Option<u32> {
        // An Opus packet has one configuration: when the encoder changes its mind, what is there goes first, shorter than it might be.
        let other = self.count > 0 && self.frames[0].first() != frame.first();
        let ready = if other { self.flush() } else { None };
        if self.count == 0 {
            self.timestamp = timestamp;
        }
        // No encoder makes longer frames.
        let length = frame.len().min(MAX_ENCODED);
        self.frames[self.count][..length].copy_from_slice(&frame[..length]);
        self.lengths[self.count] = length;
        self.count += 1;
        if self.count < self.wanted { ready } else { self.flush() }
    }

    fn flush(&mut self) -> Option<u32> {
        if self.count == 0 {
            return None;
        }
        self.done_length = 0;
        // A lone frame is a packet already.
        let skip = if self.count > 1 { self.head() } else { 0 };
        for (frame, &length) in self.frames.iter().zip(&self.lengths[..self.count]) {
            let rest = &frame[skip.min(length)..length];
            self.done[self.done_length..][..rest.len()].copy_from_slice(rest);
            self.done_length += rest.len();
        }
        self.count = 0;
        Some(self.timestamp)
    }

    /// Writes the beginning of an Opus packet with a signalled number of frames of different lengths (code 3), whose frames go without
    /// their own first byte. Our encoder makes packets of one frame (code 0) only.
    fn head(&mut self) -> usize {
        const ANY_NUMBER: u8 = 3;
        const ANY_LENGTH: u8 = 0x80;
        self.write(&[self.frames[0][0] | ANY_NUMBER, ANY_LENGTH | self.count as u8]);
        for n in 0..self.count - 1 {
            match self.lengths[n] - 1 {
                short @ 0..252 => self.write(&[short as u8]),
                long => self.write(&[252 + (long % 4) as u8, ((long - 252 - long % 4) / 4) as u8]),
            }
        }
        1
    }

    fn write(&mut self, bytes: &[u8]) {
        self.done[self.done_length..][..bytes.len()].copy_from_slice(bytes);
        self.done_length += bytes.len();
    }
}

#[cfg(test)]
mod tests {
    use opusic_c::{SampleRate, utils};

    use super::*;

    #[test]
    fn opus_frames_of_any_length_become_one_packet() {
        for lengths in [[3, 40, 100], [252, 253, 254], [1, 1, 1], [300, 299, 256], [255, 2, 300]] {
            let mut pack = Pack::new(Codec::Opus, 60);
            for (n, length) in lengths.into_iter().enumerate() {
                let mut frame = vec![n as u8; length];
                frame[0] = 0x48;
                assert_eq!(pack.add(&frame, n as u32 * 960), (n == 2).then_some(0));
            }
            let packet = pack.done();
            assert_eq!(utils::get_nb_frames(packet), Ok(3));
            assert_eq!(utils::get_nb_samples(packet, SampleRate::Hz48000), Ok(2880));
            let body = &packet[packet.len() - lengths.iter().map(|length| length - 1).sum::<usize>()..];
            let wanted: Vec<u8> = lengths
                .iter()
                .enumerate()
                .flat_map(|(n, length)| vec![n as u8; length - 1])
                .collect();
            assert_eq!(body, wanted);
            let mut decoder = opusic_c::Decoder::new(opusic_c::Channels::Mono, SampleRate::Hz48000).expect("libopus works");
            assert_eq!(decoder.decode_to_slice(packet, &mut [0; 2880], false), Ok(2880), "{lengths:?}");
        }
    }

    #[test]
    fn a_change_of_configuration_ends_a_packet() {
        let mut pack = Pack::new(Codec::Opus, 40);
        assert_eq!(pack.add(&[0x48, 1], 0), None);
        assert_eq!(pack.add(&[0x58, 2], 960), Some(0));
        assert_eq!(pack.done(), [0x48, 1]);
        assert_eq!(pack.add(&[0x58, 3, 4], 1920), Some(960));
        assert_eq!(pack.done(), [0x58 | 3, 0x82, 1, 2, 3, 4]);
    }

    #[test]
    fn bytes_are_cut_at_any_ten_ms() {
        for codec in [Codec::Pcmu, Codec::Pcma, Codec::G722] {
            for (ptime_ms, ticks) in [(30, &[1, 2, 4, 5][..]), (40, &[1, 3, 5]), (50, &[2, 4]), (60, &[2, 5])] {
                let mut pack = Pack::new(codec, ptime_ms);
                let mut sent = Vec::new();
                for tick in 0..6u32 {
                    let frame: Vec<u8> = (0..160).map(|n| ((tick * 160 + n) % 251) as u8).collect();
                    if let Some(time) = pack.add(&frame, 7 + tick * 160) {
                        assert_eq!(time as usize, 7 + sent.len(), "{ptime_ms}");
                        assert!(
                            ticks.contains(&tick) && pack.done().len() == usize::from(ptime_ms) * 8,
                            "{ptime_ms} {tick}"
                        );
                        sent.extend_from_slice(pack.done());
                    }
                }
                if let Some(time) = pack.flush() {
                    assert_eq!(time as usize, 7 + sent.len());
                    sent.extend_from_slice(pack.done());
                }
                assert!(sent.len() == 960 && (0..960).all(|n| sent[n] == (n % 251) as u8), "{ptime_ms}");
                assert_eq!(pack.flush(), None);
            }
        }
    }
}
