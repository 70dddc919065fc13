//! Reads a compound packet as views on its bytes.

use super::{super::session::Reception, BYE, Block, CNAME, Ntp, RECEIVER_REPORT, SENDER_REPORT, SOURCE_DESCRIPTION};

/// One piece of a compound packet that we heed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part<'a> {
    /// Sender information.
    Sender {
        /// When the report was sent, on its sender's clock.
        ntp: Ntp,
    },
    /// What the peer receives of one source.
    Block(Block),
    /// A source's canonical name.
    Cname(&'a [u8]),
    /// A source leaves.
    Bye {
        /// Which.
        ssrc: u32,
    },
}

/// Whether this is a compound packet by the checks of RFC 3550 appendix A.2.
pub(super) fn is_valid(bytes: &[u8]) -> bool {
    let first = bytes.get(1).is_some_and(|&kind| matches!(kind, SENDER_REPORT | RECEIVER_REPORT));
    let mut rest = bytes;
    while !rest.is_empty() {
        match split_packet(rest) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    first
}

/// One packet of a compound.
struct Piece<'a> {
    count: usize,
    kind: u8,
    body: &'a [u8],
}

/// Takes one packet off, and gives what follows it.
fn split_packet(bytes: &[u8]) -> Option<(Piece<'_>, &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<4>()?;
    let words = usize::from(u16::from_be_bytes([head[2], head[3]]));
    if head[0] >> 6 != 2 || rest.len() < words * 4 {
        return None;
    }
    let (body, after) = rest.split_at(words * 4);
    Some((
        Piece {
            count: (head[0] & 0x1f).into(),
            kind: head[1],
            body,
        },
        after,
    ))
}

/// The parts of a compound packet; bounded, since each piece takes bytes of the datagram.
pub fn parts(bytes: &[u8]) -> impl Iterator<Item = Part<'_>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (piece, after) = split_packet(rest)?;
        rest = after;
        Some(packet_parts(&piece))
    })
    .flatten()
}

fn packet_parts<'a>(piece: &Piece<'a>) -> impl Iterator<Item = Part<'a>> + use<'a> {
    let Piece { count, kind, body } = *piece;
    let sender = (kind == SENDER_REPORT).then(|| word_at(body, 4).zip(word_at(body, 8))).flatten();
    let sender = sender.map(|(high, low)| Part::Sender {
        ntp: Ntp((u64::from(high) << 32) | u64::from(low)),
    });
    let from = match kind {
        SENDER_REPORT => 24,
        RECEIVER_REPORT => 4,
        _ => body.len(),
    };
    let blocks = body.get(from..).unwrap_or_default().chunks_exact(24).take(count);
    let byes = if kind == BYE { body } else { &[] }.chunks_exact(4).take(count);
    let cname = if kind == SOURCE_DESCRIPTION { first_cname(body) } else { None };
    let byes = byes.filter_map(|b| Some(Part::Bye { ssrc: word_at(b, 0)? }));
    sender
        .into_iter()
        .chain(blocks.filter_map(read_block).map(Part::Block))
        .chain(cname.map(Part::Cname))
        .chain(byes)
}

fn read_block(bytes: &[u8]) -> Option<Block> {
    let loss = word_at(bytes, 4)?;
    // 24 bits with a sign.
    let lost = ((loss << 8) as i32) >> 8;
    let reception = Reception {
        ssrc: word_at(bytes, 0)?,
        fraction_lost: (loss >> 24) as u8,
        lost,
        highest: word_at(bytes, 8)?,
        jitter: word_at(bytes, 12)?,
    };
    Some(Block {
        reception,
        last_sr: word_at(bytes, 16)?,
        since_sr: word_at(bytes, 20)?,
    })
}

/// The canonical name in the first chunk of a source description.
fn first_cname(body: &[u8]) -> Option<&[u8]> {
    let mut items = body.get(4..)?;
    loop {
        let (&[kind, len], rest) = items.split_first_chunk::<2>()?;
        let value = rest.get(..len.into())?;
        match kind {
            0 => return None,
            CNAME => return Some(value),
            _ => items = &rest[value.len()..],
        }
    }
}

fn word_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|b| u32::from_be_bytes(*b))
}
