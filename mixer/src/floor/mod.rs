//! Who is heard: the loudest few legs have the floor (rule R65).
//!
//! [`Floor`] keeps a [`Meter`] for each leg, by its place in the mixer. A meter learns how loud its leg is, best source first, from the
//! decoded voice, if the leg has the floor; from the sender's claim (RFC 6464), as long as that proves true; from the bytes of its packets;
//! and for Opus, whose bytes tell speech but not how loud it is, from a probe: a few packets decoded for this alone, a few legs a tick.
//!
//! Packets are judged when they arrive, so that the choice is made before their turn to be played. Nothing here decodes, and nothing knows
//! of time but by ticks.

use std::cmp::Reverse;

mod claim;
mod guess;
mod meter;
mod peek;
#[cfg(test)]
mod tests;

pub(crate) use meter::Standing;

use guess::Doubt;

use meter::Meter;

use crate::{
    Codec, Packet,
    level::{Gate, Level, MIX_FLOOR},
};

/// As many as a packet's CSRC list can name (RFC 3550 section 5.1).
const MAX_PLACES: usize = 15;

/// Voices that may sound in one tick: one more may be leaving.
pub(crate) const MAX_VOICES: usize = MAX_PLACES + 1;

/// Legs that may be probed in a tick. With 48 talkers each gets its turn in 220 ms.
const PROBES: usize = 4;

/// By how many dB a challenger must be louder than the quietest holder's loudest of late to be credited with it.
const MARGIN: u8 = 3;
/// The sum of those dB at which a challenger takes that place: 160 ms of 3 dB, 40 ms of 12. Speech goes up and down, so that somebody has to
/// speak about 6 dB louder than somebody else to get there.
const ENOUGH: u8 = 24;
/// What a tick without takes off that sum.
const LEAK: u8 = 1;

/// The legs' meters and the choice among them.
pub(crate) struct Floor {
    /// In the order of the mixer's legs.
    meters: Vec<Meter>,
    places: usize,
    /// Those of this tick that want the floor or have it.
    contenders: Vec<usize>,
    /// Those of this tick that are worth a probe.
    doubtful: Vec<(Doubt, usize)>,
}

impl Floor {
    /// Has room for so many legs, of which so many may have the floor.
    pub(crate) fn new(capacity: usize, places: usize) -> Self {
        Self {
            meters: Vec::with_capacity(capacity),
            places: places.min(MAX_PLACES),
            contenders: Vec::with_capacity(capacity),
            doubtful: Vec::with_capacity(capacity),
        }
    }

    /// How many legs may have the floor from the next tick on; those beyond leave it.
    pub(crate) fn set_places(&mut self, places: usize) {
        self.places = places.min(MAX_PLACES);
    }

    pub(crate) fn insert(&mut self, at: usize) {
        self.meters.insert(at, Meter::default());
    }

    pub(crate) fn remove(&mut self, at: usize) {
        self.meters.remove(at);
    }

    /// Other audio sits where that leg's was.
    pub(crate) fn replace(&mut self, at: usize) {
        self.meters[at].renew();
    }

    /// Takes a packet that came for the leg, with its level if that is known without a look at it.
    pub(crate) fn arrive(&mut self, at: usize, codec: Codec, packet: &Packet<'_>, found: Option<Level>) {
        self.meters[at].arrive(codec, packet, found);
    }

    /// Begins a leg's tick; a leg that isn't free to speak loses the floor at once.
    pub(crate) fn turn(&mut self, at: usize, free: bool) {
        self.meters[at].turn(free);
    }

    /// Finds the legs that are to be probed in this tick: those that may be loud enough, the most promising first. To be called after
    /// every leg's [`Self::turn`].
    pub(crate) fn doubt(&mut self) {
        let bar = self.bar();
        self.doubtful.clear();
        let doubtful = self
            .meters
            .iter()
            .enumerate()
            .filter_map(|(at, meter)| Some((meter.doubt(bar)?, at)));
        self.doubtful.extend(doubtful);
        if self.doubtful.len() > PROBES {
            self.doubtful
                .select_nth_unstable_by_key(PROBES, |&(doubt, at)| (Reverse(doubt), at));
            self.doubtful.truncate(PROBES);
        }
        self.doubtful.sort_unstable_by_key(|&(_, at)| at);
    }

    /// The next leg to probe; the caller answers with [`Self::probed`], if it can.
    pub(crate) fn next_probe(&mut self) -> Option<usize> {
        self.doubtful.pop().map(|(_, at)| at)
    }

    /// A probed leg is that loud.
    pub(crate) fn probed(&mut self, at: usize, level: Level) {
        self.meters[at].probed(level);
    }

    /// Decides who has the floor in this tick.
    pub(crate) fn choose(&mut self) {
        self.contenders.clear();
        let mut holders = 0;
        for (at, meter) in self.meters.iter_mut().enumerate() {
            meter.settle();
            holders += usize::from(meter.holds());
            if meter.holds() || meter.wants() {
                self.contenders.push(at);
            }
        }
        while holders > self.places {
            let Some(at) = self.weakest() else { break };
            self.meters[at].leave();
            holders -= 1;
        }
        while holders < self.places {
            let Some(at) = self.loudest(Meter::wants) else { break };
            self.meters[at].enter();
            holders += 1;
        }
        self.challenge();
    }

    /// Lets the loudest challenger that is ready take the weakest holder's place: one a tick.
    fn challenge(&mut self) {
        let Some(weakest) = self.weakest() else { return };
        let holder = self.meters[weakest];
        for &at in &self.contenders {
            self.meters[at].challenge(&holder);
        }
        if let Some(at) = self.loudest(Meter::is_ready) {
            self.meters[weakest].leave();
            self.meters[at].enter();
        }
    }

    /// Where a leg stands in this tick.
    pub(crate) fn standing(&self, at: usize) -> Standing {
        self.meters[at].standing
    }

    /// How many ticks ago the first word began of a leg that gets the floor in this tick and had to wait for it; at most 3.
    pub(crate) fn waited(&self, at: usize) -> u8 {
        self.meters[at].waited()
    }

    /// What takes the decoded voice of a leg that has the floor, and tells whether it is to be mixed; then comes [`Self::heard`].
    pub(crate) fn gate(&mut self, at: usize) -> &mut Gate {
        &mut self.meters[at].gate
    }

    /// The voice of a leg that has the floor was decoded; tells how loud it is.
    pub(crate) fn heard(&mut self, at: usize) -> Level {
        self.meters[at].heard()
    }

    /// Whether the leg counts as speaking, with the floor or without.
    pub(crate) fn is_speaking(&self, at: usize) -> bool {
        self.meters[at].is_speaking()
    }

    /// How loud a leg must be to be credited; `None` if there is a free place.
    fn bar(&self) -> Option<Level> {
        let holders = self.meters.iter().filter(|meter| meter.holds());
        let (count, weakest) = holders.fold((0, Level::LOUDEST), |(count, weakest), meter| {
            (count + 1, weakest.min(meter.resistance()))
        });
        (count >= self.places).then(|| weakest.raised(MARGIN).max(MIX_FLOOR))
    }

    fn weakest(&self) -> Option<usize> {
        let holders = self.contenders.iter().copied().filter(|&at| self.meters[at].holds());
        holders.min_by_key(|&at| self.meters[at].resistance())
    }

    /// The loudest of the contenders for which that is so; of equals the first.
    fn loudest(&self, which: fn(&Meter) -> bool) -> Option<usize> {
        let picked = self.contenders.iter().copied().filter(|&at| which(&self.meters[at]));
        picked.min_by_key(|&at| Reverse(self.meters[at].now))
    }
}
