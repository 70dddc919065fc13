//! Who typed too many wrong numbers, PINs and codes (rules R2, R14): they aren't asked again for a while, which doubles with each further one.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use crate::model::{Caller, TrunkId};

/// The first wait; it doubles up to the longest one.
const FIRST_WAIT: Duration = Duration::from_secs(60);
const LONGEST_WAIT: Duration = Duration::from_secs(60 * 60);
/// Failures of those who waited this long since their last are forgotten.
const FORGET_AFTER: Duration = Duration::from_secs(60 * 60);
/// Suspects remembered at once; the one that would be forgotten first makes room.
const MAX_SUSPECTS: usize = 10_000;

/// Whom failures are counted for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Suspect {
    /// An address, or an IPv6 network of 2^64.
    Source(IpAddr),
    /// Who they say or have proven to be.
    Caller(String),
    /// All of a trunk's calls together.
    Trunk(TrunkId),
}

impl Suspect {
    /// Everybody a call's failures count for. A trunk's address is many people's: there the trunk and the number count.
    pub(super) fn of(caller: &Caller, trunk: Option<&TrunkId>, source: IpAddr) -> Vec<Self> {
        let source = match source.to_canonical() {
            IpAddr::V4(_) => Self::Source(source.to_canonical()),
            IpAddr::V6(ip) => {
                let [a, b, c, d, ..] = ip.segments();
                Self::Source(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into())
            }
        };
        let name = match caller {
            Caller::Account { aor, .. } => Some(aor.as_str()),
            Caller::Claimed { uri, .. } => Some(uri.as_str()),
            Caller::Trunk { number, .. } => Some(number.as_str()),
            Caller::Anonymous => None,
        };
        match (trunk, name) {
            (Some(trunk), Some(name)) => vec![Self::Caller(format!("{trunk}/{name}")), Self::Trunk(trunk.clone())],
            (Some(trunk), None) => vec![Self::Trunk(trunk.clone())],
            (None, Some(name)) => vec![source, Self::Caller(name.to_owned())],
            (None, None) => vec![source],
        }
    }

    /// Failures that cost nothing: two calls of somebody who mistypes; of a trunk, more than its honest callers make in an hour.
    fn free(&self) -> u32 {
        match self {
            Self::Source(_) | Self::Caller(_) => 5,
            Self::Trunk(_) => 100,
        }
    }
}

#[derive(Debug)]
struct Record {
    failures: u32,
    locked_until: Option<Instant>,
    forget_at: Instant,
}

/// Everybody who failed lately.
#[derive(Debug, Default)]
pub(super) struct Lockouts(BTreeMap<Suspect, Record>);

impl Lockouts {
    /// How long one of them has to wait yet, if they have to.
    pub(super) fn wait(&self, now: Instant, suspects: &[Suspect]) -> Option<Duration> {
        let left = suspects
            .iter()
            .filter_map(|s| self.0.get(s)?.locked_until?.checked_duration_since(now));
        left.filter(|wait| !wait.is_zero()).max()
    }

    /// They typed something wrong.
    pub(super) fn failed(&mut self, now: Instant, suspects: &[Suspect]) {
        self.0.retain(|_, record| record.forget_at > now);
        for suspect in suspects {
            if self.0.len() >= MAX_SUSPECTS
                && !self.0.contains_key(suspect)
                && let Some(first) = self.0.iter().min_by_key(|(_, r)| r.forget_at).map(|(s, _)| s.clone())
            {
                self.0.remove(&first);
            }
            let record = self.0.entry(suspect.clone()).or_insert(Record {
                failures: 0,
                locked_until: None,
                forget_at: now,
            });
            record.failures = record.failures.saturating_add(1);
            let beyond = record.failures.saturating_sub(suspect.free());
            let wait = match beyond {
                0 => Duration::ZERO,
                // 2^6 minutes are over the longest.
                n => (FIRST_WAIT * 2_u32.pow((n - 1).min(6))).min(LONGEST_WAIT),
            };
            record.locked_until = Some(now + wait);
            record.forget_at = now + wait + FORGET_AFTER;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(last: u8) -> Vec<Suspect> {
        Suspect::of(&Caller::Anonymous, None, [192, 0, 2, last].into())
    }

    #[test]
    fn r02_the_wait_doubles_up_to_an_hour() {
        let (mut lockouts, mut now) = (Lockouts::default(), Instant::now());
        for _ in 0..5 {
            lockouts.failed(now, &source(1));
            assert_eq!(lockouts.wait(now, &source(1)), None);
        }
        for minutes in [1, 2, 4, 8, 16, 32, 60, 60] {
            lockouts.failed(now, &source(1));
            let wait = Duration::from_secs(minutes * 60);
            assert_eq!(lockouts.wait(now, &source(1)), Some(wait));
            assert_eq!(lockouts.wait(now, &source(2)), None);
            now += wait;
            assert_eq!(lockouts.wait(now, &source(1)), None);
        }
        now += FORGET_AFTER;
        lockouts.failed(now, &source(1));
        assert_eq!(lockouts.wait(now, &source(1)), None, "an hour later all is forgotten");
    }

    #[test]
    fn r02_a_caller_is_known_wherever_they_call_from() {
        let (mut lockouts, now) = (Lockouts::default(), Instant::now());
        let claimed = Caller::Claimed {
            uri: "sip:eve@evil.example".into(),
            name: None,
        };
        for last in 1..=6 {
            lockouts.failed(now, &Suspect::of(&claimed, None, [192, 0, 2, last].into()));
        }
        assert!(lockouts.wait(now, &Suspect::of(&claimed, None, [192, 0, 2, 9].into())).is_some());
        assert_eq!(lockouts.wait(now, &source(1)), None);
    }

    #[test]
    fn r02_one_of_a_trunks_callers_doesnt_lock_out_the_others() {
        let (mut lockouts, now) = (Lockouts::default(), Instant::now());
        let by_trunk = |number: &str| {
            let caller = Caller::Trunk {
                trunk: TrunkId::new("telco"),
                number: number.to_owned(),
                name: None,
            };
            Suspect::of(&caller, Some(&TrunkId::new("telco")), [192, 0, 2, 1].into())
        };
        for _ in 0..6 {
            lockouts.failed(now, &by_trunk("+491"));
        }
        assert!(lockouts.wait(now, &by_trunk("+491")).is_some());
        assert_eq!(lockouts.wait(now, &by_trunk("+492")), None);
        for n in 0..100 {
            lockouts.failed(now, &by_trunk(&format!("+500{n}")));
        }
        assert!(lockouts.wait(now, &by_trunk("+492")).is_some(), "but too many together do");
    }

    #[test]
    fn r02_an_ipv6_network_is_one_source() {
        let (mut lockouts, now) = (Lockouts::default(), Instant::now());
        let at = |last| Suspect::of(&Caller::Anonymous, None, IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, last]));
        for last in 0..6 {
            lockouts.failed(now, &at(last));
        }
        assert!(lockouts.wait(now, &at(99)).is_some());
    }

    #[test]
    fn r02_suspects_are_bounded() {
        let (mut lockouts, now) = (Lockouts::default(), Instant::now());
        for n in 0..MAX_SUSPECTS + 10 {
            let ms = Duration::from_millis(n as u64);
            lockouts.failed(now + ms, &[Suspect::Caller(n.to_string())]);
        }
        assert_eq!(lockouts.0.len(), MAX_SUSPECTS);
        assert!(!lockouts.0.contains_key(&Suspect::Caller("9".into())));
    }
}
