//! Which sequence numbers came, and how many didn't.

/// The last 64 sequence numbers (like RFC 3711 section 3.3.2's replay list).
#[derive(Debug, Default)]
pub(super) struct Seen {
    newest: u16,
    /// Bit n: the number n before the newest came.
    before: u64,
}

impl Seen {
    /// Notes a number; `false` if it came before.
    pub(super) fn insert(&mut self, sequence: u16) -> bool {
        let ahead = self.ahead(sequence);
        if self.before == 0 || ahead >= 64 || ahead <= -64 {
            (self.newest, self.before) = (sequence, 1);
            return true;
        }
        if ahead > 0 {
            self.newest = sequence;
            self.before = self.before << ahead | 1;
            return true;
        }
        let bit = 1 << -ahead;
        let fresh = self.before & bit == 0;
        self.before |= bit;
        fresh
    }

    /// How far a number lies after the newest one.
    pub(super) fn ahead(&self, sequence: u16) -> i16 {
        sequence.wrapping_sub(self.newest) as i16
    }
}

/// One, in fractions of a packet.
const WHOLE: u32 = 1 << 16;
/// Packets over which loss is averaged.
const AVERAGED: u32 = 128;
/// Loss that is heavy, 2 %, until it is under 1 %.
const HEAVY: u32 = WHOLE / 50;
const LIGHT: u32 = WHOLE / 100;
/// Numbers left out at once that are no loss any more, but another run.
const MOST: i16 = 50;

/// How much is lost of late.
#[derive(Debug, Default)]
pub(super) struct Loss {
    rate: u32,
    heavy: bool,
}

impl Loss {
    /// Takes a packet whose number is so far after the newest.
    pub(super) fn record(&mut self, ahead: i16) {
        if ahead <= 0 {
            // It counted as lost, and is only late.
            self.rate = self.rate.saturating_sub(WHOLE / AVERAGED);
        } else if ahead <= MOST {
            self.rate -= self.rate / AVERAGED;
            for _ in 1..ahead {
                self.rate += (WHOLE - self.rate) / AVERAGED;
            }
        }
        self.heavy = self.rate > if self.heavy { LIGHT } else { HEAVY };
    }

    pub(super) fn is_heavy(&self) -> bool {
        self.heavy
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heavy_loss_is_noticed_within_two_seconds_and_forgotten_again() {
        let mut loss = Loss::default();
        let mut record = |ahead, count| {
            (0..count).for_each(|_| loss.record(ahead));
            loss.is_heavy()
        };
        assert!(!record(1, 100) && !record(2, 1));
        for _ in 0..5 {
            record(1, 18);
            record(2, 1);
        }
        assert!(record(1, 1), "one in twenty");
        assert!(!record(1, 250));
        // One that is overtaken isn't lost.
        for _ in 0..50 {
            assert!(!record(2, 1) && !record(-1, 1));
        }
        assert!(!record(i16::MAX, 3) && !record(i16::MIN, 3));
    }

    #[test]
    fn numbers_wrap_and_count_once() {
        let mut seen = Seen::default();
        for sequence in [65_534, 0, 65_535, 3, 1] {
            assert!(seen.insert(sequence), "{sequence}");
            assert!(!seen.insert(sequence), "{sequence}");
        }
        assert!(seen.insert(2) && !seen.insert(65_534));
        assert_eq!((seen.ahead(4), seen.ahead(65_535)), (1, -4));
        assert!(seen.insert(30_000) && seen.insert(3), "far away is another run");
    }
}
