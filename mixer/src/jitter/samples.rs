//! Store for codecs of one byte a unit of the RTP clock: packets of any length lie side by side, and may be cut anywhere.

use super::Store;

/// Units ahead of the next turn that fit: 320 ms, a delay of 200 ms with packets of 120.
const AHEAD: usize = 2560;
/// Units that stay when they were passed over, for a leg that is to be heard from its first word on (rule R65): 64 ms.
const PAST: usize = 512;
const SIZE: usize = AHEAD + PAST;
const WORDS: usize = SIZE / 64;

/// Longest payload accepted: 120 ms.
const LONGEST: usize = 960;

/// A ring of bytes, the next of which is at `head`.
#[derive(Debug)]
pub(crate) struct Samples {
    head: usize,
    /// Bit `n % 64` of word `n / 64`: byte `n` is there.
    there: [u64; WORDS],
    bytes: [u8; SIZE],
}

/// What lies side by side.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Run<'a> {
    There(&'a [u8]),
    Missing(usize),
}

impl Samples {
    pub(crate) fn new() -> Self {
        Self {
            head: 0,
            there: [0; WORDS],
            bytes: [0; SIZE],
        }
    }

    /// Shows what is at so many units after the next turn's beginning, at most that many of them, and at least one.
    pub(crate) fn run(&self, at: usize, most: usize) -> Run<'_> {
        let from = (self.head + at) % SIZE;
        let most = most.min(SIZE - from);
        let is_there = self.there[from / 64] >> (from % 64) & 1 == 1;
        let mut length = 0;
        while length < most {
            let bit = (from + length) % 64;
            let word = self.there[(from + length) / 64];
            let same = if is_there {
                (!word >> bit).trailing_zeros()
            } else {
                (word >> bit).trailing_zeros()
            };
            let same = (same as usize).min(64 - bit);
            length += same;
            if same < 64 - bit {
                break;
            }
        }
        let length = length.min(most);
        if is_there {
            Run::There(&self.bytes[from..from + length])
        } else {
            Run::Missing(length)
        }
    }

    /// Applies a change to the bits of places that lie side by side, round the ring.
    fn change(&mut self, from: usize, count: usize, change: impl Fn(&mut u64, u64)) {
        let mut at = from;
        let mut left = count;
        while left > 0 {
            let bit = at % 64;
            let here = left.min(64 - bit);
            change(&mut self.there[at / 64], (u64::MAX >> (64 - here)) << bit);
            at = (at + here) % SIZE;
            left -= here;
        }
    }
}

impl Store for Samples {
    const ROOM: u32 = AHEAD as u32;

    fn duration(payload: &[u8]) -> Option<u32> {
        (1..=LONGEST).contains(&payload.len()).then_some(payload.len() as u32)
    }

    fn put(&mut self, offset: i32, payload: &[u8]) -> bool {
        let missed = (-offset).max(0) as usize;
        let at = offset.max(0) as usize;
        let payload = payload.get(missed..).unwrap_or_default();
        if at + payload.len() > AHEAD {
            return false;
        }
        let from = (self.head + at) % SIZE;
        let (here, round) = payload.split_at(payload.len().min(SIZE - from));
        self.bytes[from..from + here.len()].copy_from_slice(here);
        self.bytes[..round.len()].copy_from_slice(round);
        self.change(from, payload.len(), |word, bits| *word |= bits);
        true
    }

    fn pass(&mut self, units: u32) {
        // What lies longest behind makes room for what comes.
        self.change((self.head + AHEAD) % SIZE, (units as usize).min(SIZE), |word, bits| *word &= !bits);
        self.head = (self.head + units as usize) % SIZE;
    }

    fn rewind(&mut self, units: u32) -> u32 {
        let back = (units as usize).min(PAST);
        let first = (1..=back).rev().find(|back| {
            let at = (self.head + SIZE - back) % SIZE;
            self.there[at / 64] >> (at % 64) & 1 == 1
        });
        let back = first.unwrap_or(0);
        self.head = (self.head + SIZE - back) % SIZE;
        // What now lies behind is what was farthest ahead.
        self.change((self.head + AHEAD) % SIZE, back, |word, bits| *word &= !bits);
        back as u32
    }

    fn clear(&mut self) {
        self.there = [0; WORDS];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(store: &Samples, count: usize) -> Vec<(bool, usize)> {
        let (mut all, mut at) = (Vec::<(bool, usize)>::new(), 0);
        while at < count {
            let (there, length) = match store.run(at, count - at) {
                Run::There(bytes) => (true, bytes.len()),
                Run::Missing(length) => (false, length),
            };
            match all.last_mut() {
                Some(last) if last.0 == there => last.1 += length,
                _ => all.push((there, length)),
            }
            at += length;
        }
        all
    }

    #[test]
    fn packets_of_any_length_lie_side_by_side() {
        for length in [80, 160, 240, 320, 480, 1, 7, 164] {
            let mut store = Samples::new();
            let all: Vec<u8> = (0..14_400).map(|n| (n % 251) as u8).collect();
            let (mut given, mut taken) = (0, 0);
            // Ticks cut short and long.
            let mut steps = [160, 97, 241].into_iter().cycle();
            for payload in all.chunks(length) {
                assert!(store.put((given - taken) as i32, payload));
                given += payload.len();
                while given - taken > 500 {
                    let (step, mut at) = (steps.next().unwrap_or(0), 0);
                    while at < step {
                        let Run::There(bytes) = store.run(at, step - at) else {
                            panic!("{length} {at}")
                        };
                        assert_eq!(bytes, &all[taken + at..][..bytes.len()], "{length}");
                        at += bytes.len();
                    }
                    store.pass(step as u32);
                    taken += step;
                }
            }
            assert!(taken > 13_000);
        }
    }

    #[test]
    fn r65_what_was_passed_over_can_be_gone_back_to() {
        let mut store = Samples::new();
        let all: Vec<u8> = (0..4000).map(|n| (n % 251) as u8).collect();
        for (n, payload) in all.chunks(160).enumerate() {
            assert!(store.put(160, payload));
            store.pass(160);
            let back = store.rewind(480) as usize;
            // The newest lies ahead; before the first there was nothing.
            assert_eq!(back, 480.min(160 * n));
            let Run::There(bytes) = store.run(0, 160) else { panic!("{n}") };
            assert_eq!(bytes[0], all[160 * n - back]);
            store.pass(back as u32);
        }
        store.pass(PAST as u32 + 160);
        assert_eq!(store.rewind(480), 0, "long ago");
        store.clear();
        assert_eq!(store.rewind(480), 0);
    }

    #[test]
    fn what_is_missing_is_told() {
        let mut store = Samples::new();
        // Away from the beginning, so that the ring closes within.
        store.pass(SIZE as u32 - 100);
        assert_eq!(runs(&store, 160), [(false, 160)]);
        assert!(store.put(80, &[1; 80]));
        assert_eq!(runs(&store, 300), [(false, 80), (true, 80), (false, 140)]);
        assert!(store.put(-40, &[2; 80]), "the part whose turn hasn't come is kept");
        assert_eq!(runs(&store, 300), [(true, 40), (false, 40), (true, 80), (false, 140)]);
        store.pass(100);
        assert_eq!(runs(&store, 300), [(true, 60), (false, 240)]);
        assert!(!store.put(SIZE as i32, &[3]));
        assert!(store.put(-500, &[3; 100]), "all of it is late");
        store.clear();
        assert_eq!(runs(&store, SIZE), [(false, SIZE)]);
        store.pass(u32::MAX);
    }

    #[test]
    fn hostile_lengths_are_refused() {
        assert_eq!(Samples::duration(&[]), None);
        assert_eq!(Samples::duration(&[0; LONGEST + 1]), None);
        assert_eq!(Samples::duration(&[0; LONGEST]), Some(LONGEST as u32));
    }
}
