//! Hops that failed lately: the next requests try the others first (RFC 3263 section 4.3).

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    time::{Duration, Instant},
};

use crate::sip::{
    endpoint::{Target, Transport},
    msg::Response,
};

/// Hops that are remembered, some 100 bytes each.
const MAX_KNOWN: usize = 4_096;
/// How long a hop that was silent or unreachable comes after the others: as long as a restart takes.
const SILENT_FOR: Duration = Duration::from_secs(30);
/// The longest rest that a hop may ask for: what says more is a mistake, or somebody who wants the others out of the way.
const LONGEST_REST: Duration = Duration::from_secs(600);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ill {
    until: Instant,
    /// It said so itself, by a 503 with Retry-After.
    rests: bool,
}

/// What is known of hops. Healthy ones aren't in it.
#[derive(Debug, Default)]
pub(super) struct Health {
    ill: BTreeMap<(Transport, SocketAddr), Ill>,
}

impl Health {
    /// Nobody was there.
    pub(super) fn failed(&mut self, now: Instant, target: &Target) {
        self.note(
            now,
            target,
            Ill {
                until: now + SILENT_FOR,
                rests: false,
            },
        );
    }

    /// Somebody was there. A 503 may ask for a rest (RFC 3261 section 21.5.4); anything else says that all is well.
    pub(super) fn answered(&mut self, now: Instant, target: &Target, response: &Response) {
        if response.status != 503 {
            self.ill.remove(&key(target));
        } else if let Ok(Some(seconds)) = response.headers.retry_after() {
            let rest = Duration::from_secs(u64::from(seconds)).min(LONGEST_REST);
            self.note(
                now,
                target,
                Ill {
                    until: now + rest,
                    rests: true,
                },
            );
        }
    }

    fn note(&mut self, now: Instant, target: &Target, ill: Ill) {
        if self.ill.len() >= MAX_KNOWN {
            self.ill.retain(|_, ill| ill.until > now);
        }
        if self.ill.len() < MAX_KNOWN {
            self.ill.insert(key(target), ill);
        }
    }

    /// The same hops, healthy ones first; those that want to rest aren't troubled as long as there is a healthy one.
    pub(super) fn ordered(&self, now: Instant, targets: Vec<Target>) -> VecDeque<Target> {
        let rank = |target: &Target| match self.ill.get(&key(target)).filter(|ill| ill.until > now) {
            None => 0,
            Some(Ill { rests: false, .. }) => 1,
            Some(Ill { rests: true, .. }) => 2,
        };
        let mut ranked: Vec<(u8, Target)> = targets.into_iter().map(|target| (rank(&target), target)).collect();
        ranked.sort_by_key(|(rank, _)| *rank);
        let healthy = ranked.first().is_some_and(|(rank, _)| *rank == 0);
        let wanted = ranked.into_iter().filter(|(rank, _)| !healthy || *rank < 2);
        wanted.map(|(_, target)| target).collect()
    }
}

fn key(target: &Target) -> (Transport, SocketAddr) {
    (target.transport(), target.remote())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::endpoint::Flow;

    #[test]
    fn what_is_remembered_is_bounded_and_forgotten() {
        let now = Instant::now();
        let target = |n: u32| {
            Target::Flow(Flow {
                transport: Transport::Udp,
                local: ([127, 0, 0, 1], 5060).into(),
                remote: (std::net::Ipv4Addr::from(n), 5060).into(),
                connection: None,
            })
        };
        let mut health = Health::default();
        for n in 0..MAX_KNOWN as u32 + 100 {
            health.failed(now, &target(n));
        }
        assert_eq!(health.ill.len(), MAX_KNOWN);
        assert_eq!(
            health.ordered(now, vec![target(0), target(u32::MAX)]),
            [target(u32::MAX), target(0)]
        );
        let later = now + SILENT_FOR;
        assert_eq!(
            health.ordered(later, vec![target(0), target(u32::MAX)]),
            [target(0), target(u32::MAX)]
        );
        health.failed(later, &target(u32::MAX));
        assert_eq!(health.ill.len(), 1);
    }
}
