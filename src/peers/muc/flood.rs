//! How much one account may send (token buckets). Does not remove anybody: it says when to.

use std::{collections::BTreeMap, time::Instant};

use crate::model::BareJid;

/// Tokens that a rested account has: a client that joins a large room asks every occupant for an avatar at once.
const BURST: u64 = 100 * TOKEN;
/// Tokens that come back in a second: nobody types faster.
const PER_SECOND: u64 = 10 * TOKEN;
/// Tokens are counted in thousandths, so that a millisecond gives whole numbers.
const TOKEN: u64 = 1000;
/// One token pays for so many bytes: what is sent to a room goes to everybody in it.
const BYTES_PER_TOKEN: usize = 2048;
/// So many stanzas that had to be refused without a pause, and it is a flood.
const MAX_STRIKES: u32 = 20;
/// Accounts remembered at once: above a room's largest crowd, so that only idle ones are forgotten.
const MAX_ACCOUNTS: usize = 4096;

/// What to do with a stanza.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Serve it.
    Pass,
    /// Refuse it for now.
    Wait,
    /// Answer no more, and put the sender out.
    Flood,
}

/// One bucket for each account that has sent something lately.
#[derive(Debug, Default)]
pub(super) struct Buckets {
    accounts: BTreeMap<BareJid, Bucket>,
}

#[derive(Debug)]
struct Bucket {
    left: u64,
    at: Instant,
    strikes: u32,
}

impl Buckets {
    /// Takes what a stanza of this weight costs, unless there is too little. `strike`: a refusal counts towards a flood.
    pub(super) fn spend(&mut self, now: Instant, account: &BareJid, weight: usize, strike: bool) -> Verdict {
        if !self.accounts.contains_key(account) {
            self.make_place(now);
        }
        let bucket = self.accounts.entry(account.clone()).or_insert(Bucket {
            left: BURST,
            at: now,
            strikes: 0,
        });
        bucket.refill(now);
        // Dearer than a full bucket would be never.
        let tokens = 1 + u64::try_from(weight / BYTES_PER_TOKEN).unwrap_or(u64::MAX / TOKEN);
        let cost = tokens.saturating_mul(TOKEN).min(BURST);
        if let Some(left) = bucket.left.checked_sub(cost) {
            bucket.left = left;
            return Verdict::Pass;
        }
        bucket.strikes += u32::from(strike);
        if bucket.strikes > MAX_STRIKES {
            Verdict::Flood
        } else {
            Verdict::Wait
        }
    }

    /// Forgets accounts whose bucket is full again, and if none is, the one that was quiet for longest.
    fn make_place(&mut self, now: Instant) {
        if self.accounts.len() < MAX_ACCOUNTS {
            return;
        }
        self.accounts.retain(|_, bucket| {
            bucket.refill(now);
            bucket.left < BURST
        });
        if self.accounts.len() >= MAX_ACCOUNTS {
            let oldest = self.accounts.iter().min_by_key(|(_, b)| b.at).map(|(jid, _)| jid.clone());
            if let Some(jid) = oldest {
                self.accounts.remove(&jid);
            }
        }
    }
}

impl Bucket {
    fn refill(&mut self, now: Instant) {
        let ms = now.saturating_duration_since(self.at).as_millis();
        let back = u64::try_from(ms).unwrap_or(u64::MAX).saturating_mul(PER_SECOND / 1000);
        self.left = self.left.saturating_add(back).min(BURST);
        self.at = now;
        if self.left == BURST {
            self.strikes = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn ann() -> BareJid {
        BareJid::new("ann@a.example").expect("a JID")
    }

    #[test]
    fn a_burst_passes_then_it_is_wait_then_a_flood() {
        let (mut buckets, now) = (Buckets::default(), Instant::now());
        for _ in 0..100 {
            assert_eq!(buckets.spend(now, &ann(), 100, true), Verdict::Pass);
        }
        for _ in 0..MAX_STRIKES {
            assert_eq!(buckets.spend(now, &ann(), 100, true), Verdict::Wait);
        }
        assert_eq!(buckets.spend(now, &ann(), 100, true), Verdict::Flood);
        let rested = now + Duration::from_secs(10);
        assert_eq!(buckets.spend(rested, &ann(), 100, true), Verdict::Pass);
    }

    #[test]
    fn queries_alone_are_no_flood() {
        let (mut buckets, now) = (Buckets::default(), Instant::now());
        let verdicts: Vec<Verdict> = (0..500).map(|_| buckets.spend(now, &ann(), 100, false)).collect();
        assert_eq!(verdicts.iter().filter(|v| **v == Verdict::Pass).count(), 100);
        assert!(!verdicts.contains(&Verdict::Flood));
    }

    #[test]
    fn the_heaviest_stanza_needs_a_full_bucket() {
        let (mut buckets, now) = (Buckets::default(), Instant::now());
        assert_eq!(buckets.spend(now, &ann(), 256 * 1024, true), Verdict::Pass);
        assert_eq!(buckets.spend(now, &ann(), 1, true), Verdict::Wait);
    }

    #[test]
    fn memory_is_bounded() {
        let (mut buckets, now) = (Buckets::default(), Instant::now());
        for n in 0..MAX_ACCOUNTS + 50 {
            let jid = BareJid::new(&format!("u{n}@a.example")).expect("a JID");
            buckets.spend(now, &jid, 1, true);
        }
        assert_eq!(buckets.accounts.len(), MAX_ACCOUNTS);
    }
}
