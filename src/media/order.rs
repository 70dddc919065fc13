//! What goes between the ordering side, the media threads and the clerk: always with everything already built.

use std::{
    net::{SocketAddr, UdpSocket},
    sync::{
        Arc,
        mpsc::{self, SyncSender},
    },
    time::Instant,
};

use mixer::{Keys, Lack, LegAudio, Player, Sound, Supply};
use tokio::sync::oneshot;

use super::{leg::Leg, load::Service, recording::Tape, room::Room, sys::Wake, whereabouts::Whereabouts};
use crate::{
    model::{LegId, LegMedia, LegStats, Volume, dtls::DtlsMedia, ice::IceMedia},
    rtp::{dtls::End, srtp},
};

/// Bytes of a datagram that is passed on between threads.
const PARCEL: usize = 1500;

/// Phases of a tick for which a datagram follows a leg that moves.
const PARCEL_TRIES: u8 = 8;

/// Datagrams that may wait for a thread: a quarter of a second's of a hundred legs. Memory is taken only as they come.
const PARCELS: usize = 1250;

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
    /// About one room. One that has ended needs nothing any more.
    Room(RoomKey, RoomOrder),
    /// Nobody sits in the room any more, or is on the way.
    End(RoomKey),
    /// A port that this thread is to read: the one of this interface.
    Share(usize, Arc<UdpSocket>),
    /// A leg gets a place at a shared port of this thread, or what was agreed for it changes.
    Admit(usize, Arc<Whereabouts>, Box<IceMedia>),
    /// A leg leaves its place there.
    Dismiss(usize, LegId),
    /// Codec states that it asked for.
    Supply(Supply),
    /// Closes everything and ends the thread.
    Stop,
    #[cfg(test)]
    Panic(RoomKey),
    /// As many steps of service are to be given up.
    #[cfg(test)]
    Shed(usize),
}

/// About one room.
#[derive(Debug)]
pub(super) enum RoomOrder {
    /// Plays a sound to everybody.
    Play(Sound, Box<Player>),
    /// Fades a sound out.
    StopSound(Sound),
    /// Records from now on, or no more.
    Record(Option<Box<Tape>>),
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
    /// Says something to it alone, in place of what is being said; `None` only ends that.
    Say(Option<Box<Player>>),
    /// It waits, or does no longer.
    Wait(bool),
    Volume(Volume),
    /// Has keys be found in its sound, or no more.
    FindKeys(Option<Box<Keys>>),
    /// Tells the leg's numbers; dropped unanswered if there is no such leg.
    Measure(oneshot::Sender<LegStats>),
    Close,
    /// From the leg's port or handshake.
    News(Arc<Whereabouts>, News),
}

/// What others have found out for a leg.
#[derive(Debug)]
pub(super) enum News {
    /// Where ICE says to send, if anywhere.
    Path(Option<SocketAddr>),
    /// What DTLS has agreed for this, with a peer whose fingerprint is right.
    Keys(DtlsMedia, Box<srtp::Session>),
    /// For this there are no keys, or no peer any more.
    Ended(DtlsMedia, End),
}

/// A datagram for a leg on another thread than its port.
#[derive(Debug)]
pub(super) struct Parcel {
    pub(super) whereabouts: Arc<Whereabouts>,
    pub(super) source: SocketAddr,
    pub(super) came: Instant,
    /// How often the leg wasn't where it was looked for.
    tries: u8,
    len: usize,
    bytes: [u8; PARCEL],
}

impl Parcel {
    /// `None`: longer than any packet of audio.
    pub(super) fn new(came: Instant, whereabouts: Arc<Whereabouts>, source: SocketAddr, datagram: &[u8]) -> Option<Self> {
        let mut bytes = [0; PARCEL];
        bytes.get_mut(..datagram.len())?.copy_from_slice(datagram);
        let len = datagram.len();
        Some(Self {
            whereabouts,
            source,
            came,
            tries: 0,
            len,
            bytes,
        })
    }

    /// Whether it is worth another try: a leg on its way arrives within a tick.
    pub(super) fn try_again(&mut self) -> bool {
        self.tries += 1;
        self.tries < PARCEL_TRIES
    }

    pub(super) fn bytes(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.len]
    }
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
    /// Sounds that are over.
    Played(Box<Player>),
    /// What a room was recorded on.
    Recorded(Box<Tape>),
    /// Audio that nobody needs.
    Drop(Box<LegAudio>),
    /// No keys are to be found any more.
    Unneeded(Box<Keys>),
    /// A thread's stock of codec states runs low.
    Make { worker: usize, lack: Lack },
    /// Codec states that a thread has too many of.
    Surplus(Supply),
}

/// The way to one media thread.
#[derive(Debug, Clone)]
pub(super) struct Line {
    orders: mpsc::Sender<Order>,
    parcels: SyncSender<Parcel>,
    wake: Arc<Wake>,
}

/// What comes to one media thread.
#[derive(Debug)]
pub(super) struct Mailbox {
    pub(super) orders: mpsc::Receiver<Order>,
    pub(super) parcels: mpsc::Receiver<Parcel>,
}

impl Line {
    pub(super) fn new(wake: Arc<Wake>) -> (Self, Mailbox) {
        let (orders, from_orders) = mpsc::channel();
        let (parcels, from_parcels) = mpsc::sync_channel(PARCELS);
        let mailbox = Mailbox {
            orders: from_orders,
            parcels: from_parcels,
        };
        (Self { orders, parcels, wake }, mailbox)
    }

    /// Passes a datagram on, to be read with the next tick; `false` if too many wait.
    pub(super) fn forward(&self, parcel: Parcel) -> bool {
        self.parcels.try_send(parcel).is_ok()
    }

    /// Passes an order on without waiting. A thread that has ended takes none, and nobody is left to hear of it.
    pub(super) fn send(&self, order: Order) {
        if self.orders.send(order).is_ok() {
            self.wake.wake();
        }
    }
}
