//! What a datagram on a shared port is, by its first byte (RFC 7983 section 7), and of RTP which half (RFC 5761 section 4).

use super::packet::is_rtcp;

/// What a datagram claims to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A connectivity check (RFC 8489).
    Stun,
    /// Records of DTLS (RFC 6347, RFC 9147).
    Dtls,
    /// RTP or SRTP.
    Rtp,
    /// RTCP or SRTCP.
    Rtcp,
    /// Nothing that is spoken here: ZRTP, TURN channels, QUIC, garbage, nothing at all.
    Other,
}

impl Kind {
    /// Looks at the first two bytes.
    pub fn of(datagram: &[u8]) -> Self {
        match datagram.first() {
            Some(0..=3) => Self::Stun,
            Some(20..=63) => Self::Dtls,
            Some(128..=191) if is_rtcp(datagram) => Self::Rtcp,
            Some(128..=191) => Self::Rtp,
            Some(4..=19 | 64..=127 | 192..=255) | None => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_256_first_bytes_as_a_table() {
        for first in 0..=u8::MAX {
            let expected = match first {
                0..4 => Kind::Stun,
                20..64 => Kind::Dtls,
                128..192 => Kind::Rtp,
                4..20 | 64..128 | 192.. => Kind::Other,
            };
            assert_eq!(Kind::of(&[first, 0]), expected, "{first}");
            assert_eq!(Kind::of(&[first]), expected, "{first} alone");
        }
        assert_eq!(Kind::of(&[]), Kind::Other);
    }

    #[test]
    fn rtcp_is_told_from_rtp_by_its_packet_type() {
        for second in 0..=u8::MAX {
            let expected = if (192..=223).contains(&second) { Kind::Rtcp } else { Kind::Rtp };
            assert_eq!(Kind::of(&[0x80, second]), expected, "{second}");
            assert_eq!(Kind::of(&[0x16, second]), Kind::Dtls);
        }
    }
}
