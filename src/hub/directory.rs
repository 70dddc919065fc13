//! Room name -> handle. Clone the handle out, drop the guard, then await.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use dashmap::DashMap;
use tokio::sync::mpsc;

use crate::model::{AudioAccess, RoomConfig, RoomName};
use crate::room::Room;

use super::cell::Input;

/// Messages that may wait for a room: senders are awaited beyond it. Two seconds of a busy room's input.
const INBOX: usize = 1024;

/// Where to reach a room, and what its service may tell of it without asking.
#[derive(Debug, Clone)]
pub struct Handle {
    /// The room's inbox: bounded, to be awaited.
    pub inbox: mpsc::Sender<Input>,
    /// What discovery shows.
    pub summary: Arc<Summary>,
    /// Tells the room from another that has its name sooner or later.
    pub(super) life: u64,
}

/// What discovery shows of a room, written by the room's task alone.
#[derive(Debug, Default)]
pub struct Summary {
    title: std::sync::Mutex<String>,
    public: AtomicBool,
    dialable: AtomicBool,
    occupants: AtomicU32,
    legs: AtomicU32,
}

impl Summary {
    /// Takes over the room's present state.
    pub fn update(&self, room: &Room) {
        let config: &RoomConfig = room.config();
        self.public.store(config.public, Ordering::Relaxed);
        self.dialable
            .store(config.audio != AudioAccess::Off && !room.is_unconfigured(), Ordering::Relaxed);
        self.occupants
            .store(room.occupants().count().try_into().unwrap_or(u32::MAX), Ordering::Relaxed);
        self.legs.store(
            room.people().map(|p| p.legs.len()).sum::<usize>().try_into().unwrap_or(u32::MAX),
            Ordering::Relaxed,
        );
        let mut title = self.title.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if *title != config.title {
            title.clone_from(&config.title);
        }
    }

    /// The room's title; empty if it has none.
    pub fn title(&self) -> String {
        self.title.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// Listed for everybody.
    pub fn is_public(&self) -> bool {
        self.public.load(Ordering::Relaxed)
    }

    /// Takes calls.
    pub fn is_dialable(&self) -> bool {
        self.dialable.load(Ordering::Relaxed)
    }

    /// Nicks present.
    pub fn occupants(&self) -> u32 {
        self.occupants.load(Ordering::Relaxed)
    }

    /// Calls present.
    pub fn legs(&self) -> u32 {
        self.legs.load(Ordering::Relaxed)
    }
}

/// All rooms of this process.
#[derive(Debug, Clone, Default)]
pub struct Directory {
    rooms: Arc<DashMap<RoomName, Handle>>,
    lives: Arc<AtomicU64>,
}

impl Directory {
    /// The room's handle.
    pub fn find(&self, name: &RoomName) -> Option<Handle> {
        self.rooms.get(name).map(|h| h.clone())
    }

    /// Claims a name: the handle and its inbox's other end, or `None` if the room exists.
    pub(super) fn claim(&self, name: &RoomName) -> Option<(Handle, mpsc::Receiver<Input>)> {
        match self.rooms.entry(name.clone()) {
            dashmap::Entry::Occupied(_) => None,
            dashmap::Entry::Vacant(slot) => {
                let (inbox, receiver) = mpsc::channel(INBOX);
                let handle = Handle {
                    inbox,
                    summary: Arc::default(),
                    life: self.lives.fetch_add(1, Ordering::Relaxed),
                };
                slot.insert(handle.clone());
                Some((handle, receiver))
            }
        }
    }

    /// Forgets a room, if it is still this one.
    pub(super) fn release(&self, name: &RoomName, handle: &Handle) {
        self.rooms.remove_if(name, |_, h| h.inbox.same_channel(&handle.inbox));
    }

    /// All names, in order.
    pub fn names(&self) -> Vec<RoomName> {
        let mut names: Vec<RoomName> = self.rooms.iter().map(|e| e.key().clone()).collect();
        names.sort();
        names
    }

    /// How many rooms there are.
    pub fn len(&self) -> usize {
        self.rooms.len()
    }

    /// No room at all.
    pub fn is_empty(&self) -> bool {
        self.rooms.is_empty()
    }

    /// All handles, in no order.
    pub fn handles(&self) -> Vec<Handle> {
        self.rooms.iter().map(|e| e.value().clone()).collect()
    }
}
