//! Builds a compound packet.

use super::{super::session::Sender, BYE, Block, CNAME, Ntp, RECEIVER_REPORT, SENDER_REPORT, SOURCE_DESCRIPTION};

/// Bytes of a report at most: SR with one block, SDES with a CNAME of [`MAX_CNAME`], BYE.
pub const MAX_BUILT: usize = 28 + 24 + 8 + (2 + MAX_CNAME + 2) + 8;

/// Bytes of a CNAME that are sent; ours are 16 hex digits and a host.
pub const MAX_CNAME: usize = 64;

/// What a compound packet is built from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Compound<'a> {
    pub(super) sender: &'a Sender,
    /// The RTP time of the report.
    pub(super) timestamp: u32,
    pub(super) ntp: Option<Ntp>,
    pub(super) block: Option<Block>,
    pub(super) cname: &'a str,
    pub(super) bye: bool,
}

/// Appends to a fixed buffer that its constant sizes.
struct Writer<'a> {
    into: &'a mut [u8; MAX_BUILT],
    len: usize,
}

impl Writer<'_> {
    fn bytes(&mut self, bytes: &[u8]) {
        self.into[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    fn word(&mut self, word: u32) {
        self.bytes(&word.to_be_bytes());
    }

    /// Writes a header, then the body, then the length that the body turned out to have.
    fn packet(&mut self, kind: u8, count: u8, body: impl FnOnce(&mut Self)) {
        let start = self.len;
        self.bytes(&[0x80 | count, kind, 0, 0]);
        body(self);
        let words = ((self.len - start) / 4 - 1) as u16;
        self.into[start + 2..start + 4].copy_from_slice(&words.to_be_bytes());
    }
}

pub(super) fn build(compound: &Compound<'_>, into: &mut [u8; MAX_BUILT]) -> usize {
    let mut w = Writer { into, len: 0 };
    let sender = compound.sender;
    let kind = if compound.ntp.is_some() { SENDER_REPORT } else { RECEIVER_REPORT };
    w.packet(kind, u8::from(compound.block.is_some()), |w| {
        w.word(sender.ssrc());
        if let Some(ntp) = compound.ntp {
            w.bytes(&ntp.0.to_be_bytes());
            w.word(compound.timestamp);
            w.word(sender.packets() as u32);
            w.word(sender.octets() as u32);
        }
        if let Some(block) = compound.block {
            write_block(w, &block);
        }
    });
    w.packet(SOURCE_DESCRIPTION, 1, |w| {
        let name = compound.cname.as_bytes();
        let name = &name[..name.len().min(MAX_CNAME)];
        w.word(sender.ssrc());
        w.bytes(&[CNAME, name.len() as u8]);
        w.bytes(name);
        // A null octet ends the list, more fill the word (section 6.5).
        let zeros = 4 - w.len % 4;
        w.bytes(&[0; 4][..zeros]);
    });
    if compound.bye {
        w.packet(BYE, 1, |w| w.word(sender.ssrc()));
    }
    w.len
}

fn write_block(w: &mut Writer<'_>, block: &Block) {
    let r = &block.reception;
    w.word(r.ssrc);
    w.word((u32::from(r.fraction_lost) << 24) | (r.lost as u32 & 0x00ff_ffff));
    w.word(r.highest);
    w.word(r.jitter);
    w.word(block.last_sr);
    w.word(block.since_sr);
}
