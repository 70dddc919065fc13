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
/// How far a source may run ahead of its lasting rate of messages.
const MESSAGES_AHEAD: Duration = Duration::from_secs(2);
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
    /// Server transactions in which the caller was asked for credentials, and had shown none.
    Unproven,
}

#[derive(Debug, Clone, Copy, Default)]
struct Held([usize; 4]);

impl Held {
    fn count(self, kind: Kind) -> usize {
        self.0[kind as usize]
    }

    fn of(&mut self, kind: Kind) -> &mut usize {
        &mut self.0[kind as usize]
    }
}

#[derive(Debug, Default)]
struct Source {
    held: Held,
    /// When all its refusals so far are paid for.
    paid_at: Option<Instant>,
    /// When all its messages so far would be through at its lasting rate.
    through_at: Option<Instant>,
}

impl Source {
    fn is_idle(&self, now: Instant) -> bool {
        let over = |at: Option<Instant>| at.is_none_or(|at| at <= now);
        self.held.0 == [0; 4] && over(self.paid_at) && over(self.through_at)
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

    /// How many there may be in all, and of one source.
    fn limits_of(&self, kind: Kind) -> (usize, usize) {
        match kind {
            Kind::Transaction => (self.limits.transactions, self.limits.transactions_per_source),
            Kind::Call => (self.limits.calls, self.limits.calls_per_source),
            Kind::Subscription => (self.limits.subscriptions, self.limits.subscriptions_per_source),
            Kind::Unproven => (self.limits.unproven, self.limits.unproven_per_source),
        }
    }

    /// Takes one more for a source; `false` if it or all of them have reached their limit.
    pub(crate) fn take(&mut self, kind: Kind, address: IpAddr) -> bool {
        let (all, each) = self.limits_of(kind);
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
        if let Some(source) = self.remember(now, address) {
            let from = source.paid_at.map_or(now, |at| at.max(now));
            source.paid_at = Some(from + REFUSAL_COST);
        }
    }

    /// Whether a message of this source is looked at: not if there were too many lately.
    pub(crate) fn admits(&mut self, now: Instant, address: IpAddr) -> bool {
        let cost = Duration::from_secs(1) / self.limits.messages_per_source.max(1);
        let Some(source) = self.remember(now, address) else { return true };
        let through_at = source.through_at.map_or(now, |at| at.max(now)) + cost;
        let admitted = through_at <= now + MESSAGES_AHEAD;
        if admitted {
            source.through_at = Some(through_at);
        }
        admitted
    }

    /// Whether a source, or all of them, have as many of these as may be.
    pub(crate) fn is_full(&self, kind: Kind, address: IpAddr) -> bool {
        let (all, each) = self.limits_of(kind);
        let held = self.by_address.get(&customer(address)).map_or(0, |source| source.held.count(kind));
        self.total.count(kind) >= all || held >= each
    }

    /// The entry of a source, if there is room for one.
    fn remember(&mut self, now: Instant, address: IpAddr) -> Option<&mut Source> {
        let address = customer(address);
        if self.by_address.len() >= MAX_SOURCES && !self.by_address.contains_key(&address) {
            self.prune(now);
            if self.by_address.len() >= MAX_SOURCES {
                return None;
            }
        }
        Some(self.by_address.entry(address).or_default())
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
            .is_some_and(|s| s.held.0 == [0; 4] && s.paid_at.is_none() && s.through_at.is_none())
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
        assert_eq!(sources.total.0, [0; 4]);
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
    fn r48_a_flood_of_messages_is_let_through_at_its_rate() {
        let now = Instant::now();
        let flood: IpAddr = [10, 0, 0, 1].into();
        let limits = Limits {
            messages_per_source: 10,
            ..limits()
        };
        let mut sources = Sources::new(limits);
        let admitted = |sources: &mut Sources, now| (0..100).filter(|_| sources.admits(now, flood)).count();
        assert_eq!(admitted(&mut sources, now), 20);
        assert!(sources.admits(now, [10, 0, 0, 2].into()), "others are heard");
        assert_eq!(admitted(&mut sources, now + Duration::from_secs(1)), 10);
        assert_eq!(admitted(&mut sources, now + Duration::from_secs(60)), 20);
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
