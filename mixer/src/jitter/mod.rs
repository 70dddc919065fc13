//! Puts packets in order and in time.
//!
//! [`Jitter`] joins a [`Timing`], which decides when a packet is played and whether it comes too late, with a [`Store`] that holds what
//! waits. All times are in units of the codec's RTP clock. It neither decodes nor conceals.

mod packets;
mod samples;
mod timing;

pub(crate) use packets::Packets;
pub(crate) use samples::{ALL, Mask, NOTHING, Samples};
pub(crate) use timing::Turn;

use timing::{Arrival, Timing};

use crate::Packet;

/// What happened in a leg's jitter buffer so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct JitterStats {
    /// Packets that came.
    pub received: u64,
    /// Packets that had come before.
    pub duplicates: u64,
    /// Packets that came after their turn.
    pub late: u64,
    /// Packets too far ahead, or too many at once.
    pub early: u64,
    /// Payloads that can't be the codec's: empty, too long, or with an impossible length inside.
    pub invalid: u64,
    /// Ticks in which something was missing when its turn came.
    pub concealed: u64,
    /// Ticks of audio left out to get the delay down.
    pub dropped: u64,
    /// Ticks put in to get the delay up.
    pub inserted: u64,
}

/// Holds what waits for its turn.
pub(crate) trait Store {
    /// Units ahead of the next turn that fit in.
    const ROOM: u32;

    /// How long a payload lasts, in units; `None` if it can't be one.
    fn duration(payload: &[u8]) -> Option<u32>;

    /// Keeps a payload that begins that many units after the next turn does (before, if negative); `false` if there is no place.
    fn put(&mut self, offset: i32, payload: &[u8]) -> bool;

    /// Moves on by a tick; what lay in it is gone.
    fn pass(&mut self);

    /// Forgets everything.
    fn clear(&mut self);
}

/// One leg's jitter buffer.
#[derive(Debug)]
pub(crate) struct Jitter<S> {
    timing: Timing,
    store: S,
    stats: JitterStats,
}

impl<S: Store> Jitter<S> {
    /// Makes a buffer whose ticks last that many units.
    pub(crate) fn new(tick: u32, store: S) -> Self {
        Self {
            timing: Timing::new(tick),
            store,
            stats: JitterStats::default(),
        }
    }

    pub(crate) fn push(&mut self, packet: &Packet<'_>) {
        self.stats.received += 1;
        let Some(duration) = S::duration(packet.payload) else {
            self.stats.invalid += 1;
            return;
        };
        match self.timing.arrive(packet, duration, S::ROOM) {
            Arrival::Keep { offset } => self.keep(offset, packet.payload),
            Arrival::Restart { offset } => {
                self.store.clear();
                self.keep(offset, packet.payload);
            }
            Arrival::Duplicate => self.stats.duplicates += 1,
            Arrival::Late => self.stats.late += 1,
            Arrival::Early => self.stats.early += 1,
        }
    }

    fn keep(&mut self, offset: i32, payload: &[u8]) {
        if !self.store.put(offset, payload) {
            self.stats.early += 1;
        }
    }

    /// Begins a tick. On [`Turn::Play`] the store is at the tick's beginning: the caller takes what is there, then calls [`Self::pass`].
    pub(crate) fn turn(&mut self) -> Turn {
        let turn = self.timing.turn();
        match turn {
            Turn::Idle => {}
            Turn::Insert => self.stats.inserted += 1,
            Turn::Play { skipped } => {
                // No more than the store can hold is ever left out.
                (0..skipped).for_each(|_| self.store.pass());
                self.stats.dropped += u64::from(skipped);
            }
        }
        turn
    }

    /// Ends a [`Turn::Play`].
    pub(crate) fn pass(&mut self) {
        self.store.pass();
    }

    pub(crate) fn store(&mut self) -> &mut S {
        &mut self.store
    }

    /// Lets a tick pass unheard.
    pub(crate) fn skim(&mut self) {
        match self.turn() {
            Turn::Play { .. } => self.pass(),
            Turn::Idle | Turn::Insert => {}
        }
    }

    /// Counts a tick in which something was missing.
    pub(crate) fn count_concealed(&mut self) {
        self.stats.concealed += 1;
    }

    pub(crate) fn stats(&self) -> JitterStats {
        self.stats
    }
}
