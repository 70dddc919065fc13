//! How long packets have to wait so that 99 of 100 come in time: the 0.99 quantile of their transit times, with forgetting (rule R66).

/// Buckets of transit time, half a millisecond each: 256 ms, more than any delay.
const BUCKETS: usize = 512;
/// Buckets in a tick of 20 ms.
const BUCKETS_PER_TICK: u32 = 40;
/// Buckets that are kept free below the first packet, which may not have been the quickest: 64 ms.
const BELOW: i32 = 128;

/// What one packet weighs when it comes, and as many packets as all together may weigh.
const WEIGHT: u16 = 256;
const MOST_PACKETS: u32 = 128;
/// Packets after which all weights lose an eighth: one of 100 packets ago counts for half.
const FORGET_AFTER: u8 = 16;
/// The part of all weights that may come later than the quantile: one hundredth.
const LATE_PART: u32 = 100;

/// A packet so much later than the quantile is a spike: something on its way stood still. 40 ms, in buckets.
const SPIKE: i32 = 80;
/// A spike ends with a packet that is hardly later than the quantile: 5 ms, in buckets.
const SPIKE_END: i32 = 10;
/// Ticks after which that is no spike, but how long the way has become: half a second.
const SPIKE_TICKS: u8 = 25;
/// No delay is longer than 200 ms. What differs more than that from the quantile, and isn't a spike, came another way.
const MOST: i32 = 400;

/// Transit times of one source's packets. They are measured from an arbitrary zero, in units of the codec's RTP clock.
#[derive(Debug)]
pub(super) struct Delay {
    /// Units in a bucket.
    unit: i32,
    /// The number of the first bucket.
    first: i32,
    weights: [u16; BUCKETS],
    total: u32,
    /// The highest bucket that may weigh anything.
    top: usize,
    /// Packets since weights were last lowered.
    fresh: u8,
    /// Ticks that a spike has lasted.
    spike: Option<u8>,
}

impl Delay {
    pub(super) fn new(tick: u32) -> Self {
        Self {
            unit: (tick / BUCKETS_PER_TICK) as i32,
            first: 0,
            weights: [0; BUCKETS],
            total: 0,
            top: 0,
            fresh: 0,
            spike: None,
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        *self = Self {
            unit: self.unit,
            ..Self::new(0)
        };
    }

    /// Takes a packet's transit time.
    pub(super) fn record(&mut self, transit: i32) {
        let mut bucket = transit.div_euclid(self.unit);
        let mut weight = WEIGHT;
        let usual = self.late_bucket();
        let lasts = self.spike.is_some_and(|ticks| ticks >= SPIKE_TICKS);
        if self.total == 0 || bucket < usual - MOST || (lasts && bucket > usual + MOST) {
            self.clear();
            self.first = bucket - BELOW;
        } else if bucket <= usual + if self.spike.is_some() { SPIKE_END } else { SPIKE } {
            self.spike = None;
        } else if !lasts {
            // A spike counts once, by its first packet, which came latest, and for less than one in a hundred: or else a single one would
            // be a delay for seconds.
            if self.spike.is_some() {
                return;
            }
            self.spike = Some(0);
            bucket = bucket.min(usual + MOST);
            weight = (self.total / MOST_PACKETS) as u16;
        }
        let at = self.place(bucket);
        self.weights[at] += weight;
        self.total += u32::from(weight);
        self.top = self.top.max(at);
        self.fresh += 1;
        if self.fresh == FORGET_AFTER {
            self.forget();
        }
    }

    /// Lets a tick pass.
    pub(super) fn turn(&mut self) {
        if let Some(ticks) = &mut self.spike {
            *ticks = ticks.saturating_add(1);
        }
    }

    /// Whether packets come later than usual, for now.
    pub(super) fn is_spiking(&self) -> bool {
        self.spike.is_some()
    }

    /// The transit time that 99 of 100 packets don't exceed; `None` before any.
    pub(super) fn quantile(&self) -> Option<i32> {
        (self.total > 0).then(|| (self.late_bucket() + 1) * self.unit)
    }

    fn late_bucket(&self) -> i32 {
        let (mut late, allowed) = (0, self.total / LATE_PART);
        let found = (0..=self.top).rev().find(|&at| {
            late += u32::from(self.weights[at]);
            late > allowed
        });
        self.first + found.unwrap_or(0) as i32
    }

    fn forget(&mut self) {
        self.fresh = 0;
        self.total = 0;
        for weight in &mut self.weights {
            *weight -= weight.div_ceil(8);
            self.total += u32::from(*weight);
        }
        self.top = self.weights.iter().rposition(|&weight| weight > 0).unwrap_or(0);
    }

    /// The place of a bucket; what lies there moves if it isn't among those that there are places for.
    fn place(&mut self, bucket: i32) -> usize {
        let last = BUCKETS as i32 - 1;
        let at = bucket - self.first;
        let shift = if at < 0 { at - BELOW / 2 } else { (at - last).max(0) };
        if shift != 0 {
            let mut moved = [0u16; BUCKETS];
            for (from, &weight) in (0..).zip(&self.weights) {
                moved[(from - shift).clamp(0, last) as usize] += weight;
            }
            self.weights = moved;
            self.first += shift;
            self.top = (self.top as i32 - shift).clamp(0, last) as usize;
        }
        (at - shift) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Units of 8000 Hz in a millisecond.
    const MS: i32 = 8;

    fn fed(transits: impl IntoIterator<Item = i32>) -> Delay {
        let mut delay = Delay::new(160);
        for transit in transits {
            delay.record(transit);
            delay.turn();
        }
        delay
    }

    #[test]
    fn steady_packets_have_to_wait_for_half_a_millisecond_at_most() {
        assert_eq!(fed([]).quantile(), None);
        for transit in [0, 3, -5000, 1 << 30] {
            let quantile = fed([transit; 400]).quantile().expect("packets came");
            assert!((1..=4).contains(&(quantile - transit)), "{transit} {quantile}");
        }
    }

    #[test]
    fn one_in_a_hundred_may_be_late_and_one_in_thirty_not() {
        let every = |nth: i32| fed((1..1000).map(|n| if n % nth == 0 { 30 * MS } else { 0 })).quantile();
        assert!(every(30) >= Some(30 * MS), "{:?}", every(30));
        assert!(every(400) < Some(10 * MS), "{:?}", every(400));
    }

    #[test]
    fn what_was_is_forgotten_within_15_s() {
        let long = |ticks| fed([60 * MS; 500].into_iter().chain(std::iter::repeat_n(0, ticks))).quantile();
        assert!(long(200) >= Some(60 * MS));
        assert!(long(750) <= Some(MS), "{:?}", long(750));
    }

    #[test]
    fn r66_a_spike_is_no_delay_and_a_longer_way_is() {
        let spiked = fed([0; 20].into_iter().chain([200 * MS, 180 * MS]).chain([0; 3]));
        assert!(spiked.quantile() <= Some(MS), "early in a call: {:?}", spiked.quantile());
        let spiked = fed([0; 500].into_iter().chain((0..10).map(|n| (200 - 20 * n) * MS)).chain([0; 5]));
        assert!(spiked.quantile() <= Some(MS), "{:?}", spiked.quantile());
        let longer = fed([0; 500].into_iter().chain([90 * MS; 40]));
        assert!(longer.quantile() >= Some(90 * MS), "{:?}", longer.quantile());
    }

    #[test]
    fn any_transit_time_finds_its_place() {
        let mut delay = Delay::new(960);
        for n in 0..2000i32 {
            delay.record(n.wrapping_mul(1_103_515_245) >> (n % 20));
            delay.turn();
            let weights: u32 = delay.weights.iter().map(|&weight| u32::from(weight)).sum();
            assert_eq!(delay.total, weights);
            assert!(delay.total <= MOST_PACKETS * u32::from(WEIGHT));
        }
    }
}
