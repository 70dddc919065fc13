//! Chance, from one seed: everything that a peer must not guess or that must not collide.

use std::time::Duration;

use data_encoding::HEXLOWER;
use rand::{Rng as _, RngCore as _, SeedableRng as _, rngs::StdRng};

/// The endpoint's only source of chance.
#[derive(Debug)]
pub(crate) struct Dice(StdRng);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    /// A tag, branch or the like: 80 bits (RFC 3261 section 19.3 asks for 32 at least).
    pub(crate) fn token(&mut self) -> String {
        let mut bytes = [0; 10];
        self.0.fill_bytes(&mut bytes);
        HEXLOWER.encode(&bytes)
    }

    /// Chance for somebody else.
    pub(crate) fn seed(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// The first CSeq of a dialog: below 2^31 with room to count (RFC 3261 section 8.1.1.5).
    pub(crate) fn cseq(&mut self) -> u32 {
        self.0.random_range(1..1 << 16)
    }

    /// How long to wait after a 491, in steps of 10 ms (RFC 3261 section 14.1).
    pub(crate) fn glare(&mut self, owns_call_id: bool) -> Duration {
        let steps = if owns_call_id { 210..=400 } else { 0..=200 };
        Duration::from_millis(self.0.random_range(steps) * 10)
    }

    /// How long to wait after so many failures: twice as long each time, up to a limit, and of that a half to all (RFC 5626 section 4.5).
    pub(crate) fn retry(&mut self, first: Duration, failures: u32, last: Duration) -> Duration {
        let longest = first.saturating_mul(2_u32.saturating_pow(failures)).min(last);
        longest.mul_f64(self.0.random_range(0.5..=1.0))
    }

    /// Seconds for a Retry-After after a 500 (RFC 3261 section 14.2: 0 to 10).
    pub(crate) fn retry_after(&mut self) -> u32 {
        self.0.random_range(0..=10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc5626_4_5_waits_double_up_to_a_limit() {
        let mut dice = Dice::new(1);
        let (first, last) = (Duration::from_secs(30), Duration::from_secs(1800));
        for (failures, longest) in [(0, 30), (1, 60), (5, 960), (6, 1800), (u32::MAX, 1800)] {
            for _ in 0..100 {
                let wait = dice.retry(first, failures, last).as_secs_f64();
                assert!(
                    (f64::from(longest) / 2.0..=f64::from(longest)).contains(&wait),
                    "{failures}: {wait}"
                );
            }
        }
    }

    #[test]
    fn one_seed_one_sequence() {
        let (mut a, mut b) = (Dice::new(7), Dice::new(7));
        assert_eq!(a.token(), b.token());
        assert_ne!(a.token(), a.token());
        assert_eq!(a.token().len(), 20);
    }

    #[test]
    fn r40_the_owner_of_the_call_id_waits_longer() {
        let mut dice = Dice::new(1);
        for _ in 0..100 {
            let (owner, other) = (dice.glare(true).as_millis(), dice.glare(false).as_millis());
            assert!((2100..=4000).contains(&owner) && other <= 2000, "{owner} {other}");
        }
    }
}
