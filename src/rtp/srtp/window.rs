//! What was received under one key: packet indices beyond their 16 bits, and replays (RFC 3711 section 3.3).

use super::Refused;

/// Packets that may come out of order (RFC 3711 section 3.3.2 asks for 64 at least).
const WIDTH: u64 = 128;

/// Sources under one key in one direction. A leg has one at a time; forgetting one would let its packets be played again.
const MAX_SOURCES: usize = 16;

/// One past the last index of RTP: 16 bits of sequence number, 32 of rollover counter.
pub(super) const RTP_INDICES: u64 = 1 << 48;

/// The sources of one key.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Windows {
    known: [Window; MAX_SOURCES],
    len: usize,
}

#[derive(Debug, Clone, Copy, Default)]
struct Window {
    ssrc: u32,
    highest: u64,
    /// Bit `n`: `highest - n` was received.
    seen: u128,
}

/// A packet that wasn't received yet, if it is authentic.
#[derive(Debug, Clone, Copy)]
pub(super) struct Claim {
    pub(super) index: u64,
    ssrc: u32,
    place: usize,
}

impl Windows {
    /// The index that a sequence number most likely stands for; changes nothing.
    pub(super) fn claim_sequence(&self, ssrc: u32, sequence: u16) -> Result<Claim, Refused> {
        let place = self.place(ssrc)?;
        // A source starts with a rollover counter of zero (RFC 4568 section 6.4).
        let index = match self.get(place) {
            Some(window) => estimate(window.highest, sequence).ok_or(Refused::Exhausted)?,
            None => sequence.into(),
        };
        self.claim(ssrc, place, index)
    }

    /// The same for an index that is sent in full.
    pub(super) fn claim_index(&self, ssrc: u32, index: u32) -> Result<Claim, Refused> {
        self.claim(ssrc, self.place(ssrc)?, index.into())
    }

    fn claim(&self, ssrc: u32, place: usize, index: u64) -> Result<Claim, Refused> {
        if self.get(place).is_some_and(|window| window.has(index)) {
            return Err(Refused::Replayed);
        }
        Ok(Claim { index, ssrc, place })
    }

    /// Notes that the packet was authentic; only now may its source be a new one.
    pub(super) fn note(&mut self, claim: Claim) {
        if claim.place == self.len {
            self.known[claim.place] = Window {
                ssrc: claim.ssrc,
                highest: claim.index,
                seen: 1,
            };
            self.len += 1;
        } else {
            self.known[claim.place].mark(claim.index);
        }
    }

    /// Where a source is, or would be.
    fn place(&self, ssrc: u32) -> Result<usize, Refused> {
        let known = self.known[..self.len].iter().position(|w| w.ssrc == ssrc);
        let place = known.unwrap_or(self.len);
        if place < MAX_SOURCES { Ok(place) } else { Err(Refused::Crowded) }
    }

    fn get(&self, place: usize) -> Option<&Window> {
        self.known[..self.len].get(place)
    }
}

impl Window {
    /// Whether an index was received, or is too old to tell.
    fn has(&self, index: u64) -> bool {
        match self.highest.checked_sub(index) {
            None => false,
            Some(age) => age >= WIDTH || self.seen & (1 << age) != 0,
        }
    }

    fn mark(&mut self, index: u64) {
        if let Some(age) = self.highest.checked_sub(index) {
            self.seen |= 1 << age;
            return;
        }
        let ahead = index - self.highest;
        self.seen = if ahead < WIDTH { self.seen << ahead | 1 } else { 1 };
        self.highest = index;
    }
}

/// The index nearest to the highest one received (RFC 3711 section 3.3.1 and appendix A); none past the last.
fn estimate(highest: u64, sequence: u16) -> Option<u64> {
    let same = highest & !0xffff | u64::from(sequence);
    let ahead = i64::from(sequence) - (highest & 0xffff) as i64;
    let index = if ahead < -(1 << 15) {
        same + (1 << 16)
    } else if ahead > 1 << 15 {
        // There is nothing before the first round.
        same.checked_sub(1 << 16).unwrap_or(same)
    } else {
        same
    };
    (index < RTP_INDICES).then_some(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_follow_the_nearest_round() {
        for (highest, sequence, index) in [
            (0, 1, 1),
            (100, 40_000, 40_000),
            (0xffff, 0, 0x1_0000),
            (0x1_0000, 0xffff, 0xffff),
            (0x2_fff0, 5, 0x3_0005),
            (0x3_0005, 0xfff0, 0x2_fff0),
            (0x3_8000, 0, 0x3_0000),
            (0x3_8001, 0, 0x4_0000),
            (0x3_7fff, 0xffff, 0x3_ffff),
            (0x3_7ffe, 0xffff, 0x2_ffff),
        ] {
            assert_eq!(estimate(highest, sequence), Some(index), "{highest:x} {sequence:x}");
        }
        assert_eq!(estimate(RTP_INDICES - 1, 0), None);
    }

    #[test]
    fn each_index_is_taken_once_and_none_that_is_too_old() {
        let mut windows = Windows::default();
        let mut take = |index| windows.claim_index(7, index).map(|claim| windows.note(claim)).is_ok();
        assert!([1000, 1001, 1005, 1003].into_iter().all(&mut take));
        assert!(![1000, 1001, 1005, 1003].into_iter().any(&mut take));
        assert!(take(1002) && take(1004));
        assert!(take(1005 - WIDTH as u32 + 1) && !take(1005 - WIDTH as u32));
        assert!(take(1_000_000) && !take(1_000_000) && take(999_999) && !take(1005));
    }

    #[test]
    fn sources_are_bounded_and_none_is_forgotten() {
        let mut windows = Windows::default();
        for ssrc in 0..MAX_SOURCES as u32 {
            let claim = windows.claim_sequence(ssrc, 9).expect("a place");
            windows.note(claim);
        }
        assert_eq!(windows.claim_sequence(99, 1).err(), Some(Refused::Crowded));
        assert_eq!(windows.claim_sequence(0, 9).err(), Some(Refused::Replayed));
        assert!(windows.claim_sequence(0, 10).is_ok());
    }
}
