//! The task that owns the chat service: routes stanzas to rooms, answers for the service, opens rooms on demand.

use std::sync::Arc;

use minidom::Element;
use tokio::sync::mpsc;

use crate::model::{RoomName, StoreOp};
use crate::peers::muc::{MucService, RoomIndex, RoomSummary, Route};

use super::{ChatOut, Hub, Input, StoreOut, clock};

/// What the chat task hears.
#[derive(Debug)]
pub enum ChatInput {
    /// The stream of this domain is up.
    Up(String),
    /// The stream of this domain is down.
    Down(String),
    /// A stanza to one of our domains.
    Stanza(Element),
    /// Stanzas to the server were lost on the stream of this domain.
    Overflow(String),
}

/// Owns the service.
#[derive(Debug)]
pub struct ChatTask {
    service: MucService,
    hub: Hub,
    chat: Arc<dyn ChatOut>,
    store: Arc<dyn StoreOut>,
    rooms_domain: String,
}

impl ChatTask {
    /// Joins the service with the rooms it serves.
    pub fn new(service: MucService, hub: Hub, chat: Arc<dyn ChatOut>, store: Arc<dyn StoreOut>, rooms_domain: String) -> Self {
        Self {
            service,
            hub,
            chat,
            store,
            rooms_domain,
        }
    }

    /// Runs until the sender is gone.
    pub async fn run(mut self, mut input: mpsc::Receiver<ChatInput>) {
        while let Some(message) = input.recv().await {
            match message {
                ChatInput::Stanza(stanza) => self.stanza(stanza).await,
                // The phones domain carries no occupancy of hosted rooms: only the rooms' own stream matters to them.
                ChatInput::Up(domain) if domain == self.rooms_domain => self.tell_all(|| Input::ChatLink(true)).await,
                ChatInput::Down(domain) if domain == self.rooms_domain => self.tell_all(|| Input::ChatLink(false)).await,
                ChatInput::Overflow(domain) if domain == self.rooms_domain => self.tell_all(|| Input::ChatOverflow).await,
                // The streams log it themselves.
                ChatInput::Up(_) | ChatInput::Down(_) | ChatInput::Overflow(_) => {}
            }
        }
    }

    async fn stanza(&mut self, stanza: Element) {
        match self.service.route(clock::now(), stanza, &Index(&self.hub)) {
            Route::ToRoom(name, stanza) => {
                // A room that ended this very moment is gone from the directory: ask the service again, once.
                if let Err(Input::Stanza(stanza)) = self.hub.send(&name, Input::Stanza(stanza)).await {
                    self.chat.send_back(stanza);
                }
            }
            Route::Create(record, stanza) => {
                self.store.store(StoreOp::SaveRoom(record.clone()));
                let handle = self.hub.open(&record);
                if let Err(mpsc::error::SendError(Input::Stanza(stanza))) = handle.inbox.send(Input::Stanza(stanza)).await {
                    self.chat.send_back(stanza);
                }
            }
            Route::Reply(stanzas) => {
                for stanza in stanzas {
                    // A lost answer of the service is a time-out at the asker: nothing to compare.
                    self.chat.send(stanza);
                }
            }
            Route::Drop => {}
        }
    }

    async fn tell_all(&self, input: impl Fn() -> Input) {
        for handle in self.hub.directory().handles() {
            // A room that is just ending has nobody to compare.
            let _ = handle.inbox.send(input()).await;
        }
    }
}

/// What the service may know of rooms without asking them.
struct Index<'a>(&'a Hub);

impl RoomIndex for Index<'_> {
    fn contains(&self, name: &RoomName) -> bool {
        self.0.directory().find(name).is_some()
    }

    fn public_rooms(&self, at_most: usize) -> Vec<RoomSummary> {
        let directory = self.0.directory();
        let listed = |name: RoomName| {
            let summary = directory.find(&name)?.summary;
            summary.is_public().then(|| RoomSummary {
                title: summary.title(),
                occupants: summary.occupants() as usize,
                name,
            })
        };
        directory.names().into_iter().filter_map(listed).take(at_most).collect()
    }

    fn count(&self) -> usize {
        self.0.directory().len()
    }
}
