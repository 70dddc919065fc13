//! RTP packets in place (RFC 3550 section 5.1): views on received bytes, headers written into a caller's buffer.

use super::Extension;

/// Bytes of a header without contributing sources and extension.
pub const HEADER_LEN: usize = 12;

/// Why bytes are no RTP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Shorter than its own header says.
    #[error("the packet is cut short")]
    Short,
    /// Not version 2.
    #[error("not RTP version 2")]
    Version,
    /// More padding than payload, or none although announced.
    #[error("padding longer than the payload")]
    Padding,
}

/// The fixed part of a header (RFC 3550 section 5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// 0 to 127.
    pub payload_type: u8,
    /// Starts a talk spurt.
    pub marker: bool,
    /// Rises by one per packet.
    pub sequence: u16,
    /// When the first sample was taken, in units of the codec's RTP clock.
    pub timestamp: u32,
    /// Synchronisation source.
    pub ssrc: u32,
}

impl Header {
    /// Reads the fixed part alone, of what may be encrypted behind it.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let fixed = bytes.first_chunk::<HEADER_LEN>().filter(|b| b[0] >> 6 == 2)?;
        Some(Self::of(fixed))
    }

    fn of(fixed: &[u8; HEADER_LEN]) -> Self {
        Self {
            payload_type: fixed[1] & 0x7f,
            marker: fixed[1] & 0x80 != 0,
            sequence: u16::from_be_bytes([fixed[2], fixed[3]]),
            timestamp: u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
            ssrc: u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
        }
    }

    /// Writes the header into the first [`HEADER_LEN`] bytes.
    pub fn write(&self, into: &mut [u8; HEADER_LEN]) {
        into[0] = 0x80;
        into[1] = (self.payload_type & 0x7f) | (u8::from(self.marker) << 7);
        into[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        into[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        into[8..12].copy_from_slice(&self.ssrc.to_be_bytes());
    }
}

/// A received packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// The fixed part of its header.
    pub header: Header,
    /// Its header extension.
    pub extension: Extension<'a>,
    /// What the codec gets: without extension and padding.
    pub payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Reads one datagram; contributing sources are stepped over.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let (fixed, rest) = bytes.split_first_chunk::<HEADER_LEN>().ok_or(Malformed::Short)?;
        if fixed[0] >> 6 != 2 {
            return Err(Malformed::Version);
        }
        let sources = usize::from(fixed[0] & 0x0f) * 4;
        let mut payload = rest.get(sources..).ok_or(Malformed::Short)?;
        let mut extension = Extension::default();
        if fixed[0] & 0x10 != 0 {
            let (head, after) = payload.split_first_chunk::<4>().ok_or(Malformed::Short)?;
            let [profile, words] = [[head[0], head[1]], [head[2], head[3]]].map(u16::from_be_bytes);
            let (elements, after) = after.split_at_checked(usize::from(words) * 4).ok_or(Malformed::Short)?;
            extension = Extension::new(profile, elements);
            payload = after;
        }
        if fixed[0] & 0x20 != 0 {
            let padding = usize::from(*payload.last().ok_or(Malformed::Padding)?);
            let kept = payload
                .len()
                .checked_sub(padding)
                .filter(|_| padding > 0)
                .ok_or(Malformed::Padding)?;
            payload = &payload[..kept];
        }
        let header = Header::of(fixed);
        Ok(Self {
            header,
            extension,
            payload,
        })
    }
}

/// Whether a datagram on a multiplexed port is RTCP (RFC 5761 section 4): its packet type lies in 192 to 223.
pub fn is_rtcp(bytes: &[u8]) -> bool {
    bytes.get(1).is_some_and(|kind| (192..=223).contains(kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Header = Header {
        payload_type: 111,
        marker: true,
        sequence: 0xfffe,
        timestamp: 0x0102_0304,
        ssrc: 0xdead_beef,
    };

    fn bytes(payload: &[u8]) -> Vec<u8> {
        let mut head = [0; HEADER_LEN];
        HEADER.write(&mut head);
        [&head, payload].concat()
    }

    #[test]
    fn what_is_written_is_read() {
        let raw = bytes(b"abc");
        assert_eq!(
            Packet::parse(&raw),
            Ok(Packet {
                header: HEADER,
                extension: Extension::default(),
                payload: b"abc"
            })
        );
        assert_eq!(&raw[..4], &[0x80, 0xef, 0xff, 0xfe]);
    }

    #[test]
    fn sources_extension_and_padding_are_stepped_over() {
        let mut raw = bytes(&[]);
        raw[0] = 0x80 | 0x20 | 0x10 | 2;
        raw.extend([9; 8]);
        raw.extend([0xbe, 0xde, 0, 1, 7, 7, 7, 7]);
        raw.extend(b"voice");
        raw.extend([0, 0, 3]);
        assert_eq!(Packet::parse(&raw).map(|p| p.payload), Ok(&b"voice"[..]));
    }

    #[test]
    fn lengths_that_lie_are_refused() {
        assert_eq!(Packet::parse(&bytes(&[])[..11]), Err(Malformed::Short));
        let with_first = |first: u8, tail: &[u8]| {
            let mut raw = bytes(tail);
            raw[0] = first;
            Packet::parse(&raw).map(|p| p.payload.len())
        };
        assert_eq!(with_first(0x40, b"x"), Err(Malformed::Version));
        assert_eq!(with_first(0x81, &[0; 3]), Err(Malformed::Short));
        assert_eq!(with_first(0x90, &[0, 0, 0, 2, 0, 0, 0, 0]), Err(Malformed::Short));
        assert_eq!(with_first(0x90, &[0, 0]), Err(Malformed::Short));
        assert_eq!(with_first(0xa0, &[]), Err(Malformed::Padding));
        assert_eq!(with_first(0xa0, &[1, 0]), Err(Malformed::Padding));
        assert_eq!(with_first(0xa0, &[1, 3]), Err(Malformed::Padding));
        assert_eq!(with_first(0xa0, &[1, 2]), Ok(0));
    }

    #[test]
    fn rtcp_is_told_from_rtp_with_marker() {
        assert!(is_rtcp(&[0x80, 200]));
        assert!(!is_rtcp(&[0x80, 0x80]));
        assert!(!is_rtcp(&[0x80, 0x80 | 111]));
        assert!(!is_rtcp(&[0x80]));
    }
}
