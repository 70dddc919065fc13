//! Puts packets in order and in time (rule R66).
//!
//! [`Jitter`] joins a [`Timing`], which decides when a packet is played and whether it comes too late, with a [`Store`] that holds what
//! waits. All times are in units of the codec's RTP clock. It neither decodes nor conceals.

mod delay;
mod packets;
mod samples;
mod sequence;
#[cfg(test)]
mod tests;
mod timing;

pub(crate) use packets::Packets;
pub(crate) use samples::{Run, Samples};
pub(crate) use timing::Turn;

use timing::{Arrival, Shape, Timing};

use crate::Packet;

const TICK_US: u32 = crate::TICK_MS * 1000;

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
    /// Ticks in which it was there once more, in the next packet (forward error correction).
    pub repaired: u64,
    /// Milliseconds of audio left out to get the delay down.
    pub dropped_ms: u64,
    /// Milliseconds of audio put in to get the delay up.
    pub inserted_ms: u64,
    /// Microseconds that the newest packet had to wait for its turn.
    pub delay_us: u32,
}

/// Holds what waits for its turn.
pub(crate) trait Store {
    /// Units ahead of the next turn that fit in.
    const ROOM: u32;

    /// How long a payload lasts, in units; `None` if it can't be one.
    fn duration(payload: &[u8]) -> Option<u32>;

    /// Whether a payload holds what was in the one before once more.
    fn repeats(_payload: &[u8]) -> bool {
        false
    }

    /// Keeps a payload that begins that many units after the next turn does (before, if negative); `false` if there is no place.
    fn put(&mut self, offset: i32, payload: &[u8]) -> bool;

    /// Moves on by so many units; what lay in them is gone.
    fn pass(&mut self, units: u32);

    /// Goes back to what was passed over, by no more than so many units; tells by how many.
    fn rewind(&mut self, units: u32) -> u32;

    /// Forgets everything.
    fn clear(&mut self);
}

/// One leg's jitter buffer.
#[derive(Debug)]
pub(crate) struct Jitter<S> {
    /// Units in a tick.
    tick: u32,
    timing: Timing,
    store: S,
    stats: JitterStats,
    /// Units left out and put in.
    dropped: u64,
    inserted: u64,
}

impl<S: Store> Jitter<S> {
    /// Makes a buffer whose ticks last that many units.
    pub(crate) fn new(tick: u32, store: S) -> Self {
        Self {
            tick,
            timing: Timing::new(tick),
            store,
            stats: JitterStats::default(),
            dropped: 0,
            inserted: 0,
        }
    }

    pub(crate) fn push(&mut self, packet: &Packet<'_>) {
        self.stats.received += 1;
        let Some(duration) = S::duration(packet.payload) else {
            self.stats.invalid += 1;
            return;
        };
        match self.timing.arrive(
            packet,
            Shape {
                duration,
                repeats: S::repeats(packet.payload),
            },
            S::ROOM,
        ) {
            Arrival::Keep { offset, skipped } => {
                if skipped > 0 {
                    self.dropped += u64::from(skipped);
                    self.store.pass(skipped);
                }
                self.keep(offset, packet);
            }
            Arrival::Restart { offset } => {
                self.store.clear();
                self.keep(offset, packet);
            }
            Arrival::Duplicate => self.stats.duplicates += 1,
            Arrival::Late => self.stats.late += 1,
            Arrival::Early => self.stats.early += 1,
        }
    }

    fn keep(&mut self, offset: i32, packet: &Packet<'_>) {
        if !self.store.put(offset, packet.payload) {
            self.stats.early += 1;
        }
        let wait = i64::from(TICK_US - packet.since_tick_us.min(TICK_US));
        let waits = wait + i64::from(offset) * i64::from(TICK_US) / i64::from(self.tick);
        self.stats.delay_us = waits.clamp(0, u32::MAX.into()) as u32;
    }

    /// Begins a tick. On [`Turn::Play`] the store is at the tick's beginning: the caller takes what is there, then calls [`Self::pass`].
    pub(crate) fn turn(&mut self) -> Turn {
        let turn = self.timing.turn();
        if turn == Turn::Idle {
            self.timing.pass(self.tick);
        }
        turn
    }

    /// Ends a [`Turn::Play`] in which so many units were played.
    pub(crate) fn pass(&mut self, played: u32) {
        self.dropped += u64::from(played.saturating_sub(self.tick));
        self.inserted += u64::from(self.tick.saturating_sub(played));
        self.timing.pass(played);
        self.store.pass(played);
    }

    /// Lets a tick pass unheard.
    pub(crate) fn skim(&mut self) {
        if let Turn::Play { excess, .. } = self.turn() {
            self.pass(self.tick.saturating_add_signed(excess));
        }
    }

    /// Goes back to what came so many ticks ago, if that was passed over since (rule R65). The delay is longer by so much, until it falls
    /// again.
    pub(crate) fn rewind(&mut self, ticks: u32) {
        let back = ((ticks + 1) * self.tick).saturating_sub(self.timing.ready());
        let back = self.store.rewind(back.min(ticks * self.tick));
        self.timing.rewind(back);
    }

    pub(crate) fn store(&mut self) -> &mut S {
        &mut self.store
    }

    /// From now on ticks come at other times: what was learnt about packets' ways doesn't hold any more.
    pub(crate) fn forget(&mut self) {
        self.timing.forget();
    }

    /// Counts a tick in which something was missing.
    pub(crate) fn count_concealed(&mut self) {
        self.stats.concealed += 1;
    }

    /// Counts a tick in which a later packet helped out.
    pub(crate) fn count_repaired(&mut self) {
        self.stats.repaired += 1;
    }

    pub(crate) fn stats(&self) -> JitterStats {
        let ms = |units: u64| units * u64::from(crate::TICK_MS) / u64::from(self.tick);
        JitterStats {
            dropped_ms: ms(self.dropped),
            inserted_ms: ms(self.inserted),
            ..self.stats
        }
    }
}
