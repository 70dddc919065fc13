//! SRTP and SRTCP (RFC 3711, RFC 7714) in place and without allocation: contexts made from master keys, one for each direction.
//!
//! Knows neither key exchange nor MKI nor key derivation rates: keys come in as [`Keys`], and new ones by [`Session::renew`].
//! Nothing of a packet is believed or kept before its tag was checked.

mod cm;
mod derive;
mod gcm;
mod receive;
mod send;
mod session;
mod suite;
mod window;

pub use crate::model::srtp::{Keys, MAX_KEY_LEN, MAX_SALT_LEN, Profile};
pub use receive::ReceiveContext;
pub use send::SendContext;
pub use session::Session;

/// Bytes that protection adds to a packet at most: a tag of 16, and the index of SRTCP.
pub const MAX_OVERHEAD: usize = 16 + INDEX_LEN;

/// Why a packet was neither protected nor believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No packet of its kind, or no room for the tag.
    #[error("malformed, or no room for its tag")]
    Malformed,
    /// The tag is wrong: forged, damaged, or under another key.
    #[error("not authentic")]
    Forged,
    /// Received before, or too old to tell.
    #[error("replayed, or too old to tell")]
    Replayed,
    /// One source more than are kept under one key.
    #[error("too many sources under one key")]
    Crowded,
    /// Sending it would use a packet index twice.
    #[error("the packet index was used already")]
    Reused,
    /// The key has protected as many packets as it may (RFC 3711 section 9.2).
    #[error("the key is used up")]
    Exhausted,
}

/// The E bit and index behind an SRTCP packet (RFC 3711 section 3.4).
const INDEX_LEN: usize = 4;

/// What of an RTCP packet stays readable: its first header and the sender's source (RFC 3711 section 3.4).
const RTCP_HEAD: usize = 8;

/// The E bit: the packet is encrypted.
const ENCRYPTED: u32 = 1 << 31;

/// Bytes of an RTP header with sources and extension, which stay readable, and the numbers in it.
fn rtp_head(packet: &[u8]) -> Result<(usize, u16, u32), Refused> {
    let (fixed, _) = packet.split_first_chunk::<12>().ok_or(Refused::Malformed)?;
    let mut head = 12 + usize::from(fixed[0] & 0x0f) * 4;
    if fixed[0] & 0x10 != 0 {
        let extension = packet.get(head..).and_then(<[u8]>::first_chunk::<4>).ok_or(Refused::Malformed)?;
        head += 4 + usize::from(u16::from_be_bytes([extension[2], extension[3]])) * 4;
    }
    if fixed[0] >> 6 != 2 || packet.len() < head {
        return Err(Refused::Malformed);
    }
    let sequence = u16::from_be_bytes([fixed[2], fixed[3]]);
    Ok((head, sequence, u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]])))
}

/// The sender's source of an RTCP packet.
fn rtcp_source(packet: &[u8]) -> Result<u32, Refused> {
    let head = packet
        .first_chunk::<RTCP_HEAD>()
        .filter(|head| head[0] >> 6 == 2)
        .ok_or(Refused::Malformed)?;
    Ok(u32::from_be_bytes([head[4], head[5], head[6], head[7]]))
}

#[cfg(test)]
mod tests;
