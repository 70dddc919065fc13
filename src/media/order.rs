//! What goes between the ordering side, the media threads and the clerk: always with everything already built.

use std::sync::mpsc;

use mixer::LegAudio;
use tokio::sync::oneshot;

use super::{leg::Leg, load::Service, room::Room, sys::Wake};
use crate::model::{LegId, LegMedia, LegStats};

/// A room's mixer, from its first leg to its last. Unique in the process, never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RoomKey(pub(super) u64);

/// A place for a leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spot {
    /// The thread.
    pub(super) worker: usize,
    /// The room, or the thread's vestibule.
    pub(super) room: Option<RoomKey>,
}

/// To a media thread.
#[derive(Debug)]
pub(super) enum Order {
    /// A new leg; it starts in the vestibule.
    Open(Box<Leg>),
    /// A leg from another thread; `None` if it was closed on the way.
    Arrive(LegId, Option<Box<Leg>>),
    /// About one leg. If it is on its way here, this waits for it.
    Leg(LegId, LegOrder),
    /// A new room.
    Start(Box<Room>),
    /// Nobody sits in the room any more, or is on the way.
    End(RoomKey),
    /// Closes everything and ends the thread.
    Stop,
    #[cfg(test)]
    Panic(RoomKey),
    /// As many steps of service are to be given up.
    #[cfg(test)]
    Shed(usize),
}

/// About one leg.
#[derive(Debug)]
pub(super) enum LegOrder {
    /// It will arrive from another thread.
    Expect,
    /// What was negotiated; with new audio if that needs it.
    Configure(Box<LegMedia>, Option<Box<LegAudio>>),
    /// Where it is to sit.
    Place(Spot),
    Mute(bool),
    /// Tells the leg's numbers; dropped unanswered if there is no such leg.
    Measure(oneshot::Sender<LegStats>),
    Close,
}

/// To the clerk: what takes time or frees memory.
#[derive(Debug)]
pub(super) enum Task {
    /// A room's mixer panicked.
    Failed(Box<Room>),
    /// A leg is gone.
    Closed(Box<Leg>),
    /// An empty room.
    Ended(Box<Room>),
    /// A thread serves its rooms in another way from now on.
    Served { worker: usize, step: usize, service: Service },
    /// Audio that nobody needs.
    Drop(Box<LegAudio>),
}

/// The way to one media thread.
#[derive(Debug, Clone)]
pub(super) struct Line {
    orders: mpsc::Sender<Order>,
    wake: std::sync::Arc<Wake>,
}

impl Line {
    pub(super) fn new(wake: std::sync::Arc<Wake>) -> (Self, mpsc::Receiver<Order>) {
        let (orders, receiver) = mpsc::channel();
        (Self { orders, wake }, receiver)
    }

    /// Passes an order on without waiting. A thread that has ended takes none, and nobody is left to hear of it.
    pub(super) fn send(&self, order: Order) {
        if self.orders.send(order).is_ok() {
            self.wake.wake();
        }
    }
}
