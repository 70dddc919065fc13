//! One task per room, and the directory from name to handle. Also the two tasks that own the cores which all rooms share:
//! the SIP endpoint and the chat service.
//!
//! The hub opens no socket: `io` and `media` stand above it and are reached through the traits here.

mod cell;
mod chat;
mod clock;
mod control;
mod directory;
mod journal;
mod numbers;
mod phone;
mod task;

use std::sync::Arc;

use minidom::Element;
use tokio::sync::{broadcast, mpsc};

use crate::model::{Directory as Accounts, MediaPlane, RoomName, RoomRecord, StoreOp};
use crate::peers::muc::{MucRoom, MucSettings};
use crate::peers::sip::{SipRoom, SipRoomSettings};
use crate::room::{Room, RoomSettings};

pub use cell::{Cell, Input, Outlets};
pub use chat::{ChatInput, ChatTask};
pub use directory::{Directory, Handle, Summary};
pub use journal::Line;
pub use numbers::NumberBook;
pub use phone::{PhoneInputs, PhoneTask, SipOut};
pub use task::SipInput;

/// The way to the chat server.
pub trait ChatOut: Send + Sync + std::fmt::Debug {
    /// Queues a stanza. Never waits; one that is lost is counted there, and [`ChatInput::Overflow`] follows.
    fn send(&self, stanza: Element);
    /// Gives a stanza back to the service, since the room that it was for is gone. Never waits.
    fn send_back(&self, stanza: Element);
}

/// The way to the database.
pub trait StoreOut: Send + Sync + std::fmt::Debug {
    /// Queues a change. Never waits.
    fn store(&self, op: StoreOp);
}

/// A media plane that can be handed to each room.
pub trait SharedPlane: MediaPlane + Send + Sync {
    /// Another handle to the same plane.
    fn share(&self) -> Box<dyn SharedPlane>;
}

/// Everything that a room's output goes to.
#[derive(Debug)]
pub struct Outward {
    /// Media threads.
    pub plane: Box<dyn SharedPlane>,
    /// Chat server.
    pub chat: Arc<dyn ChatOut>,
    /// Database.
    pub store: Arc<dyn StoreOut>,
    /// SIP task.
    pub sip: mpsc::Sender<SipInput>,
    /// Who follows along, if anybody does; a slow reader misses lines.
    pub transcript: Option<broadcast::Sender<Line>>,
}

impl Clone for Outward {
    fn clone(&self) -> Self {
        Self {
            plane: self.plane.share(),
            chat: Arc::clone(&self.chat),
            store: Arc::clone(&self.store),
            sip: self.sip.clone(),
            transcript: self.transcript.clone(),
        }
    }
}

/// What all rooms of this process have in common.
#[derive(Debug, Clone)]
pub struct RoomFactory {
    /// For the room core.
    pub room: RoomSettings,
    /// For the chat peer.
    pub muc: Arc<MucSettings>,
    /// For the phone peer.
    pub sip: SipRoomSettings,
    /// Who is who.
    pub accounts: Arc<dyn Accounts>,
    /// Keys the names of phone occupants (rule R26).
    pub service_key: [u8; 32],
    /// Seeds each room's chance, together with its name.
    pub seed: u64,
}

impl RoomFactory {
    /// Builds a room from its record.
    pub fn build(&self, record: &RoomRecord, now: crate::model::Now) -> Cell {
        let seed = record.name.as_str().bytes().fold(self.seed, |s, b| s.rotate_left(7) ^ u64::from(b));
        let room = Room::new(
            record.clone(),
            self.room.clone(),
            Arc::clone(&self.accounts),
            self.service_key,
            seed,
            now,
        );
        let muc = MucRoom::new(Arc::clone(&self.muc), record, seed);
        let sip = SipRoom::new(self.sip.clone());
        Cell::new(room, muc, sip)
    }
}

/// What a room's inbox has to offer.
#[derive(Debug)]
pub enum Place {
    /// A place, for one input.
    Free(mpsc::OwnedPermit<Input>),
    /// None at the moment.
    Full,
    /// There is no such room.
    Gone,
}

/// Opens rooms.
#[derive(Debug, Clone)]
pub struct Hub {
    directory: Directory,
    factory: Arc<RoomFactory>,
    outward: Outward,
}

impl Hub {
    /// A hub without rooms.
    pub fn new(factory: RoomFactory, outward: Outward) -> Self {
        Self {
            directory: Directory::default(),
            factory: Arc::new(factory),
            outward,
        }
    }

    /// All rooms.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Starts the task of a new room, and has it kept.
    pub fn create(&self, record: &RoomRecord) -> Handle {
        self.outward.store.store(StoreOp::SaveRoom(Box::new(record.clone())));
        self.open(record)
    }

    /// Starts a room's task, or returns the one that has the name already.
    pub fn open(&self, record: &RoomRecord) -> Handle {
        loop {
            if let Some((handle, inbox)) = self.directory.claim(&record.name) {
                let cell = self.factory.build(record, clock::now());
                let task = task::RoomTask::new(cell, inbox, handle.clone(), self.directory.clone(), self.outward.clone());
                tokio::spawn(task.run());
                return handle;
            }
            if let Some(handle) = self.directory.find(&record.name) {
                return handle;
            }
        }
    }

    /// A place in a room's inbox, if there is one now.
    pub fn place(&self, name: &RoomName) -> Place {
        let Some(handle) = self.directory.find(name) else {
            return Place::Gone;
        };
        match handle.inbox.try_reserve_owned() {
            Ok(permit) => Place::Free(permit),
            Err(mpsc::error::TrySendError::Full(_)) => Place::Full,
            Err(mpsc::error::TrySendError::Closed(_)) => Place::Gone,
        }
    }

    /// Waits until a room's inbox has a place, or there is no such room.
    pub async fn has_place(&self, name: &RoomName) {
        if let Some(handle) = self.directory.find(name) {
            // Gone: so it is found to be when it is sent to.
            let _ = handle.inbox.reserve().await;
        }
    }

    /// Sends to a room, waiting for a place in its inbox; gives the input back if there is no such room.
    pub async fn send(&self, name: &RoomName, input: Input) -> Result<(), Input> {
        match self.directory.find(name) {
            Some(handle) => handle.inbox.send(input).await.map_err(|e| e.0),
            None => Err(input),
        }
    }
}
