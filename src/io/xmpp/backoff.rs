//! How long to wait between attempts to connect.

use std::time::Duration;

use rand::Rng;

/// The first wait, doubled after each failure up to the longest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// After the first failure.
    pub first: Duration,
    /// At most.
    pub longest: Duration,
}

impl Default for Pace {
    /// 1, 2, 4 and so on to 30 s.
    fn default() -> Self {
        Self {
            first: Duration::from_secs(1),
            longest: Duration::from_secs(30),
        }
    }
}

/// Counts failures.
#[derive(Debug)]
pub(super) struct Backoff {
    pace: Pace,
    next: Duration,
}

impl Backoff {
    pub(super) fn new(pace: Pace) -> Self {
        Self { pace, next: pace.first }
    }

    /// The wait after another failure: up to a fifth longer by chance, so that not all components of a server return at once.
    pub(super) fn wait(&mut self, chance: &mut impl Rng) -> Duration {
        let wait = self.next;
        self.next = (wait * 2).min(self.pace.longest);
        wait + wait.mul_f64(chance.random_range(0.0..0.2))
    }

    /// The connection was good.
    pub(super) fn reset(&mut self) {
        self.next = self.pace.first;
    }
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    #[test]
    fn waits_double_to_thirty_seconds_with_jitter() {
        let mut chance = StdRng::seed_from_u64(1);
        let mut backoff = Backoff::new(Pace::default());
        for expected in [1, 2, 4, 8, 16, 30, 30] {
            let wait = backoff.wait(&mut chance).as_secs_f64();
            let expected = f64::from(expected);
            assert!((expected..expected * 1.2).contains(&wait), "{wait} instead of {expected}");
        }
        backoff.reset();
        assert!(backoff.wait(&mut chance) < Duration::from_millis(1_200));
    }
}
