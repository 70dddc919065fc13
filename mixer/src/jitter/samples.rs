//! Store for codecs of one byte a sample: packets of any length lie side by side.

use super::Store;
use crate::settings::NARROW_FRAME;

/// Ticks of audio that fit: 240 ms.
const TICKS: usize = 12;
const SIZE: usize = TICKS * NARROW_FRAME;

/// Which samples of a tick are there: bit `n % 32` of word `n / 32`.
pub(crate) type Mask = [u32; NARROW_FRAME / 32];
pub(crate) const NOTHING: Mask = [0; NARROW_FRAME / 32];
pub(crate) const ALL: Mask = [u32::MAX; NARROW_FRAME / 32];

/// Longest payload accepted: 120 ms.
const LONGEST: usize = 6 * NARROW_FRAME;

/// A ring of ticks, the next of which begins at `head`.
#[derive(Debug)]
pub(crate) struct Samples {
    head: usize,
    there: [Mask; TICKS],
    bytes: [[u8; NARROW_FRAME]; TICKS],
}

impl Samples {
    pub(crate) fn new() -> Self {
        Self {
            head: 0,
            there: [NOTHING; TICKS],
            bytes: [[0; NARROW_FRAME]; TICKS],
        }
    }

    /// What the next tick holds, and which of it is there.
    pub(crate) fn front(&self) -> (&[u8; NARROW_FRAME], Mask) {
        (&self.bytes[self.head], self.there[self.head])
    }
}

impl Store for Samples {
    const ROOM: u32 = SIZE as u32;

    fn duration(payload: &[u8]) -> Option<u32> {
        (1..=LONGEST).contains(&payload.len()).then_some(payload.len() as u32)
    }

    fn put(&mut self, offset: i32, payload: &[u8]) -> bool {
        let missed = (-offset).max(0) as usize;
        let mut at = offset.max(0) as usize;
        let mut rest = payload.get(missed..).unwrap_or_default();
        if at + rest.len() > SIZE {
            return false;
        }
        while !rest.is_empty() {
            let (tick, from) = ((self.head + at / NARROW_FRAME) % TICKS, at % NARROW_FRAME);
            let (here, later) = rest.split_at(rest.len().min(NARROW_FRAME - from));
            self.bytes[tick][from..from + here.len()].copy_from_slice(here);
            mark(&mut self.there[tick], from, from + here.len());
            at += here.len();
            rest = later;
        }
        true
    }

    fn pass(&mut self) {
        self.there[self.head] = NOTHING;
        self.head = (self.head + 1) % TICKS;
    }

    fn clear(&mut self) {
        self.there = [NOTHING; TICKS];
    }
}

/// Sets the bits from `from` to before `to`.
fn mark(mask: &mut Mask, from: usize, to: usize) {
    for (word, first) in mask.iter_mut().zip((0..).step_by(32)) {
        let (from, to) = (from.clamp(first, first + 32) - first, to.clamp(first, first + 32) - first);
        *word |= ((1u64 << to) - (1u64 << from)) as u32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_of_any_length_lie_side_by_side() {
        for length in [80, 160, 240, 320, 480, 1, 7, 164] {
            let mut store = Samples::new();
            let all: Vec<u8> = (0..1440).map(|n| (n % 251) as u8).collect();
            for (n, payload) in all.chunks(length).enumerate() {
                assert!(store.put((n * length) as i32, payload));
            }
            for tick in all.chunks(NARROW_FRAME) {
                let (bytes, mask) = store.front();
                assert_eq!((&bytes[..], mask), (tick, ALL), "{length}");
                store.pass();
            }
            assert_eq!(store.front().1, NOTHING);
        }
    }

    #[test]
    fn what_is_missing_is_marked() {
        let mut store = Samples::new();
        assert!(store.put(80, &[1; 80]));
        assert_eq!(store.front().1, [0, 0, 0xffff_0000, u32::MAX, u32::MAX]);
        assert!(store.put(-40, &[2; 80]), "the part whose turn hasn't come is kept");
        assert_eq!(store.front().1, [u32::MAX, 0xff, 0xffff_0000, u32::MAX, u32::MAX]);
        assert!(!store.put(SIZE as i32, &[3]));
        assert!(store.put(-500, &[3; 100]), "all of it is late");
        store.clear();
        assert_eq!(store.front().1, NOTHING);
    }

    #[test]
    fn hostile_lengths_are_refused() {
        assert_eq!(Samples::duration(&[]), None);
        assert_eq!(Samples::duration(&[0; LONGEST + 1]), None);
        assert_eq!(Samples::duration(&[0; LONGEST]), Some(LONGEST as u32));
    }
}
