//! What a room has to say, in the order in which it must be heard. Emptied after each call, so that it holds one call's worth.

use std::collections::VecDeque;

use crate::model::{MediaOrder, StoreOp};

use super::{Event, Numbered};

/// Three queues, drained in this order: audio acts before anybody is told.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    media: VecDeque<MediaOrder>,
    events: VecDeque<Numbered>,
    store: VecDeque<StoreOp>,
    last: u64,
}

impl Outbox {
    pub(super) fn order(&mut self, order: MediaOrder) {
        self.media.push_back(order);
    }

    pub(super) fn tell(&mut self, event: Event) {
        self.last += 1;
        self.events.push_back(Numbered { seq: self.last, event });
    }

    pub(super) fn keep(&mut self, op: StoreOp) {
        self.store.push_back(op);
    }

    pub(super) fn next_order(&mut self) -> Option<MediaOrder> {
        self.media.pop_front()
    }

    pub(super) fn next_event(&mut self) -> Option<Numbered> {
        self.events.pop_front()
    }

    pub(super) fn next_op(&mut self) -> Option<StoreOp> {
        self.store.pop_front()
    }
}
