//! Header extensions (RFC 8285): the sender's level on what arrives (RFC 6464), the mixed talkers and their levels on what we send
//! (RFC 3550 section 5.1, RFC 6465).

use super::packet::{HEADER_LEN, Header};

/// The profile of elements with a head of one byte (RFC 8285 section 4.2).
const ONE_BYTE: u16 = 0xbede;
/// That of elements with a head of two bytes, without the four bits that are the application's (section 4.3).
const TWO_BYTE: u16 = 0x1000;

/// Contributing sources that a header can name.
pub const MAX_SOURCES: usize = 15;

/// Bytes of the longest header that we write: with all sources, and the extension with a level for each.
pub const MAX_HEADER: usize = HEADER_LEN + 4 * MAX_SOURCES + 4 + 1 + MAX_SOURCES;

/// The header extension of a received packet; empty if it has none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Extension<'a> {
    profile: u16,
    elements: &'a [u8],
}

impl<'a> Extension<'a> {
    pub(super) fn new(profile: u16, elements: &'a [u8]) -> Self {
        Self { profile, elements }
    }

    /// The data of the first element with that number, 1 to 14 (1 to 255 with long heads).
    pub fn element(&self, wanted: u8) -> Option<&'a [u8]> {
        let short = self.profile == ONE_BYTE;
        if !short && self.profile & 0xfff0 != TWO_BYTE {
            return None;
        }
        let mut rest = self.elements;
        while let Some((&head, after)) = rest.split_first() {
            // Padding has no length.
            if head == 0 {
                rest = after;
                continue;
            }
            let (id, length, after) = if short {
                (head >> 4, usize::from(head & 0x0f) + 1, after)
            } else {
                let (&length, after) = after.split_first()?;
                (head, length.into(), after)
            };
            // 15 ends the list (section 4.2).
            if short && id == 15 {
                return None;
            }
            let (data, after) = after.split_at_checked(length)?;
            if id == wanted {
                return Some(data);
            }
            rest = after;
        }
        None
    }

    /// How loud the packet is as its sender says, in -dBov: 0 is the loudest, 127 silence (RFC 6464 section 3).
    pub fn level(&self, id: u8) -> Option<u8> {
        self.element(id)?.first().map(|octet| octet & 0x7f)
    }
}

/// Writes a header that names the talkers in the packet, by their source and level in -dBov; levels only with the number of their
/// extension. Gives its length. Sources beyond [`MAX_SOURCES`] are left out.
pub fn write_header(header: &Header, talkers: impl Iterator<Item = (u32, u8)>, levels: Option<u8>, into: &mut [u8; MAX_HEADER]) -> usize {
    let (mut count, mut heard) = (0, [0; MAX_SOURCES]);
    let (fixed, rest) = into.split_first_chunk_mut().expect("MAX_HEADER holds a fixed header");
    header.write(fixed);
    let (sources, extension) = rest.split_at_mut(4 * MAX_SOURCES);
    for ((place, level), talker) in sources.chunks_exact_mut(4).zip(&mut heard).zip(talkers) {
        place.copy_from_slice(&talker.0.to_be_bytes());
        *level = talker.1.min(127);
        count += 1;
    }
    fixed[0] |= count as u8;
    let end = HEADER_LEN + 4 * count;
    let Some(id) = levels.filter(|id| (1..=14).contains(id) && count > 0) else {
        return end;
    };
    fixed[0] |= 0x10;
    // Head and levels fill whole words.
    let words = (1 + count).div_ceil(4);
    let length = 4 + 4 * words;
    extension[..length].fill(0);
    extension[..2].copy_from_slice(&ONE_BYTE.to_be_bytes());
    extension[3] = words as u8;
    extension[4] = id << 4 | (count - 1) as u8;
    extension[5..5 + count].copy_from_slice(&heard[..count]);
    into.copy_within(HEADER_LEN + 4 * MAX_SOURCES..HEADER_LEN + 4 * MAX_SOURCES + length, end);
    end + length
}

#[cfg(test)]
mod tests {
    use super::{super::Packet, *};

    const HEADER: Header = Header {
        payload_type: 111,
        marker: true,
        sequence: 7,
        timestamp: 9,
        ssrc: 0xdead_beef,
    };

    #[test]
    fn r69_talkers_and_levels_are_written_as_the_rfcs_say() {
        let mut bytes = [0xaa; MAX_HEADER];
        let length = write_header(&HEADER, [(0x0102_0304, 20), (5, 200)].into_iter(), Some(3), &mut bytes);
        assert_eq!(bytes[0], 0x80 | 0x10 | 2);
        assert_eq!(
            &bytes[HEADER_LEN..length],
            &[1, 2, 3, 4, 0, 0, 0, 5, 0xbe, 0xde, 0, 1, 0x31, 20, 127, 0]
        );
        let length = write_header(&HEADER, [(5, 20)].into_iter(), None, &mut bytes);
        assert_eq!((bytes[0], length), (0x81, HEADER_LEN + 4));
        let length = write_header(&HEADER, [].into_iter(), Some(3), &mut bytes);
        assert_eq!((bytes[0], length), (0x80, HEADER_LEN), "no talker, no level");
    }

    #[test]
    fn r69_headers_of_any_number_of_talkers_are_read_back() {
        for count in 0..=20u8 {
            for levels in [None, Some(14)] {
                let mut bytes = [0; MAX_HEADER];
                let length = write_header(&HEADER, (0..count).map(|n| (n.into(), n)), levels, &mut bytes);
                let packet = [&bytes[..length], b"voice"].concat();
                let packet = Packet::parse(&packet).expect("a packet");
                assert_eq!((packet.header, packet.payload), (HEADER, &b"voice"[..]));
                let told: Vec<u8> = (0..count.min(15)).collect();
                let wanted = levels.filter(|_| count > 0).map(|_| &told[..]);
                assert_eq!(packet.extension.element(14), wanted);
            }
        }
    }

    #[test]
    fn levels_are_found_among_others_in_both_forms() {
        let short = Extension::new(0xbede, &[0x21, 9, 9, 0, 0x10, 0x80 | 42, 0x32, 1, 2, 3]);
        assert_eq!(
            (short.level(1), short.element(3), short.level(4)),
            (Some(42), Some(&[1, 2, 3][..]), None)
        );
        let long = Extension::new(0x1004, &[2, 0, 0, 1, 1, 30, 200, 2, 7, 7]);
        assert_eq!(
            (long.level(1), long.element(2), long.element(200)),
            (Some(30), Some(&[][..]), Some(&[7, 7][..]))
        );
        assert_eq!(Extension::new(0x1234, &[0x10, 1]).level(1), None, "another profile");
    }

    #[test]
    fn lengths_that_lie_and_the_stop_end_the_list() {
        assert_eq!(Extension::new(0xbede, &[0x13, 1, 2]).element(1), None);
        assert_eq!(Extension::new(0xbede, &[0xf0, 1, 0x10, 2]).element(1), None, "15 ends it");
        assert_eq!(Extension::new(0x1000, &[1]).element(1), None);
        assert_eq!(Extension::new(0x1000, &[1, 9, 0]).element(1), None);
        assert_eq!(Extension::default().element(0), None);
    }
}
