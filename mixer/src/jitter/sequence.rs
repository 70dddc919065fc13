//! Which sequence numbers came.

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

#[cfg(test)]
mod tests {
    use super::*;

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
