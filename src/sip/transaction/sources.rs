//! What each source address may hold and waste: limits per source, and the brake for scanners (rule R48).

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv6Addr},
    time::{Duration, Instant},
};

use crate::sip::endpoint::Limits;

/// What one refused request costs its source: a steady 20 a second are answered.
const REFUSAL_COST: Duration = Duration::from_millis(50);
/// How far a source may run ahead of that: 200 refusals at once, as from a gateway whose room has just gone.
const REFUSAL_BURST: Duration = Duration::from_secs(10);
/// Sources remembered, about 100 bytes each. More senders than that at once are forged; the limits in all hold for them.
const MAX_SOURCES: usize = 16_384;
/// How often a full table is searched for entries that can go: the search takes about a millisecond.
const PRUNE_EVERY: Duration = Duration::from_secs(1);

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Server transactions.
    Transaction,
    /// Calls, either way.
    Call,
    /// Subscriptions.
    Subscription,
}

#[derive(Debug, Clone, Copy, Default)]
struct Held([usize; 3]);

impl Held {
    fn of(&mut self, kind: Kind) -> &mut usize {
        &mut self.0[match kind {
            Kind::Transaction => 0,
            Kind::Call => 1,
            Kind::Subscription => 2,
        }]
    }
}

#[derive(Debug, Default)]
struct Source {
    held: Held,
    /// When all its refusals so far are paid for.
    paid_at: Option<Instant>,
}

impl Source {
    fn is_idle(&self, now: Instant) -> bool {
        self.held.0 == [0; 3] && self.paid_at.is_none_or(|at| at <= now)
    }
}

/// All sources that hold something or were refused lately.
#[derive(Debug)]
pub(crate) struct Sources {
    limits: Limits,
    total: Held,
    by_address: BTreeMap<IpAddr, Source>,
    pruned_at: Option<Instant>,
}

impl Sources {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            total: Held::default(),
            by_address: BTreeMap::new(),
            pruned_at: None,
        }
    }

    /// Takes one more for a source; `false` if it or all of them have reached their limit.
    pub(crate) fn take(&mut self, kind: Kind, address: IpAddr) -> bool {
        let (all, each) = match kind {
            Kind::Transaction => (self.limits.transactions, self.limits.transactions_per_source),
            Kind::Call => (self.limits.calls, self.limits.calls_per_source),
            Kind::Subscription => (self.limits.subscriptions, self.limits.subscriptions_per_source),
        };
        // Never more entries than things held and refusals remembered, so this insertion is bounded by the limits.
        let source = self.by_address.entry(customer(address)).or_default();
        if *self.total.of(kind) >= all || *source.held.of(kind) >= each {
            self.forget_if_unused(address);
            return false;
        }
        *source.held.of(kind) += 1;
        *self.total.of(kind) += 1;
        true
    }

    /// Gives one back.
    pub(crate) fn give_back(&mut self, kind: Kind, address: IpAddr) {
        if let Some(source) = self.by_address.get_mut(&customer(address)) {
            let held = source.held.of(kind);
            debug_assert!(*held > 0, "given back more than was taken");
            *held = held.saturating_sub(1);
            let total = self.total.of(kind);
            *total = total.saturating_sub(1);
        }
        self.forget_if_unused(address);
    }

    /// Notes that a request of this source was refused.
    pub(crate) fn refused(&mut self, now: Instant, address: IpAddr) {
        let address = customer(address);
        if self.by_address.len() >= MAX_SOURCES && !self.by_address.contains_key(&address) {
            self.prune(now);
            if self.by_address.len() >= MAX_SOURCES {
                return;
            }
        }
        let source = self.by_address.entry(address).or_default();
        let from = source.paid_at.map_or(now, |at| at.max(now));
        source.paid_at = Some(from + REFUSAL_COST);
    }

    /// Whether a source has had so many requests refused that its next ones are dropped.
    pub(crate) fn is_throttled(&self, now: Instant, address: IpAddr) -> bool {
        let paid_at = self.by_address.get(&customer(address)).and_then(|source| source.paid_at);
        paid_at.is_some_and(|at| at > now + REFUSAL_BURST)
    }

    fn forget_if_unused(&mut self, address: IpAddr) {
        let address = customer(address);
        if self
            .by_address
            .get(&address)
            .is_some_and(|s| s.held.0 == [0; 3] && s.paid_at.is_none())
        {
            self.by_address.remove(&address);
        }
    }

    fn prune(&mut self, now: Instant) {
        if self.pruned_at.is_some_and(|at| now < at + PRUNE_EVERY) {
            return;
        }
        self.pruned_at = Some(now);
        self.by_address.retain(|_, source| !source.is_idle(now));
    }
}

/// One customer's IPv6 network is one source: whoever has one address of it has 2^64.
pub(crate) fn customer(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits {
            calls: 3,
            calls_per_source: 2,
            ..Limits::default()
        }
    }

    #[test]
    fn limits_hold_per_source_and_in_all() {
        let (ann, bob): (IpAddr, IpAddr) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        let mut sources = Sources::new(limits());
        assert!(sources.take(Kind::Call, ann) && sources.take(Kind::Call, ann));
        assert!(!sources.take(Kind::Call, ann), "two per source");
        assert!(sources.take(Kind::Call, bob));
        assert!(!sources.take(Kind::Call, bob), "three in all");
        sources.give_back(Kind::Call, ann);
        assert!(sources.take(Kind::Call, bob));
        for (source, times) in [(ann, 1), (bob, 2)] {
            (0..times).for_each(|_| sources.give_back(Kind::Call, source));
        }
        assert!(sources.by_address.is_empty());
        assert_eq!(sources.total.0, [0; 3]);
    }

    #[test]
    fn one_ipv6_network_is_one_source() {
        let mut sources = Sources::new(limits());
        for last in 1..=2_u16 {
            assert!(sources.take(Kind::Call, Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, last).into()));
        }
        assert!(!sources.take(Kind::Call, Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 9, 9, 9, 9).into()));
        assert!(sources.take(Kind::Call, Ipv6Addr::new(0x2001, 0xdb8, 0, 2, 0, 0, 0, 1).into()));
    }

    #[test]
    fn r48_a_scanner_is_braked_and_let_go_again() {
        let now = Instant::now();
        let scanner: IpAddr = [10, 0, 0, 1].into();
        let mut sources = Sources::new(limits());
        for _ in 0..200 {
            assert!(!sources.is_throttled(now, scanner));
            sources.refused(now, scanner);
        }
        sources.refused(now, scanner);
        assert!(sources.is_throttled(now, scanner));
        assert!(!sources.is_throttled(now, [10, 0, 0, 2].into()));
        assert!(!sources.is_throttled(now + REFUSAL_COST, scanner));
    }

    #[test]
    fn r48_the_table_is_bounded() {
        let now = Instant::now();
        let mut sources = Sources::new(limits());
        for n in 0..(MAX_SOURCES as u32 + 100) {
            sources.refused(now, std::net::Ipv4Addr::from(n).into());
        }
        assert_eq!(sources.by_address.len(), MAX_SOURCES);
        sources.refused(now + PRUNE_EVERY * 2, std::net::Ipv4Addr::from(u32::MAX).into());
        assert_eq!(sources.by_address.len(), 1);
    }
}
