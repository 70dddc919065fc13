//! Where a leg is, for those on other threads who have something for it: the thread of its shared port, and its handshake.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::model::LegId;

/// Datagrams of one leg's handshake that wait at a time: a flight, and then some.
const MAX_QUEUED: usize = 16;

/// Follows one leg.
#[derive(Debug)]
pub(super) struct Whereabouts {
    pub(super) leg: LegId,
    worker: AtomicUsize,
    queued: AtomicUsize,
}

impl Whereabouts {
    pub(super) fn new(leg: LegId, worker: usize) -> Self {
        Self {
            leg,
            worker: AtomicUsize::new(worker),
            queued: AtomicUsize::new(0),
        }
    }

    /// The thread that has the leg, or that it is on its way to.
    pub(super) fn worker(&self) -> usize {
        self.worker.load(Ordering::Relaxed)
    }

    /// To be told by the thread that hands the leg on, before it does.
    pub(super) fn set_worker(&self, worker: usize) {
        self.worker.store(worker, Ordering::Relaxed);
    }

    /// Takes a place in the queue of handshakes, if the leg has one left.
    pub(super) fn enqueue(&self) -> bool {
        let free = |queued| (queued < MAX_QUEUED).then_some(queued + 1);
        self.queued.fetch_update(Ordering::Relaxed, Ordering::Relaxed, free).is_ok()
    }

    /// Gives it back.
    pub(super) fn dequeue(&self) {
        self.queued.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_for_one_leg_is_bounded() {
        let whereabouts = Whereabouts::new(LegId(1), 0);
        assert_eq!((0..100).filter(|_| whereabouts.enqueue()).count(), MAX_QUEUED);
        whereabouts.dequeue();
        assert!(whereabouts.enqueue() && !whereabouts.enqueue());
    }
}
