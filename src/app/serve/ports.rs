//! How rooms and doors, which know no socket, reach the sockets, the media threads and the database. None of these waits.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use minidom::Element;
use tokio::sync::{mpsc, oneshot};
use tracing::debug;

use crate::hub::{ChatInput, ChatOut, SharedPlane, SipOut, StoreOut};
use crate::io::resolve::Resolver;
use crate::io::sip::SipTransport;
use crate::io::store::Store;
use crate::io::xmpp::{Outgoing, XmppInbound};
use crate::media::{Clip, Plane, PlaneConfig, PlaneStats, ThreadStats};
use crate::model::dtls::Fingerprint;
use crate::model::media::{OpenLeg, Opening, Unopened};
use crate::model::{LegId, LegStats, MediaOrder, MediaPlane, MediaReport, RoomName, StoreOp};
use crate::sip::endpoint::Transmit;
use crate::sip::locate::Lookup;

/// Chat stanzas to the connections; a stanza for a room that is gone back to the service.
#[derive(Debug)]
pub(super) struct ToChat {
    pub(super) out: Outgoing,
    pub(super) back: mpsc::Sender<ChatInput>,
}

impl ChatOut for ToChat {
    fn send(&self, stanza: Element) {
        if let Err(why) = self.out.send(&stanza) {
            // Counted there; when the stream is up or has room again, occupants are compared (rule R30).
            debug!("a stanza is lost: {why}");
        }
    }

    fn send_back(&self, stanza: Element) {
        // The chat task is behind by its whole inbox: the sender will ask again.
        if self.back.try_send(ChatInput::Stanza(stanza)).is_err() {
            debug!("a stanza for a room that has just ended is lost");
        }
    }
}

impl From<XmppInbound> for ChatInput {
    fn from(inbound: XmppInbound) -> Self {
        match inbound {
            XmppInbound::Up(domain) => Self::Up(domain),
            XmppInbound::Down(domain) => Self::Down(domain),
            XmppInbound::Stanza(stanza) => Self::Stanza(stanza),
            XmppInbound::Overflow(domain) => Self::Overflow(domain),
        }
    }
}

/// Changes to the database's thread.
#[derive(Debug)]
pub(super) struct ToStore(pub(super) Store);

impl StoreOut for ToStore {
    fn store(&self, op: StoreOp) {
        self.0.store(op);
    }
}

/// SIP messages to the sockets, and questions to the DNS.
#[derive(Debug)]
pub(super) struct ToSockets {
    pub(super) transport: Arc<SipTransport>,
    pub(super) resolver: Resolver,
}

impl SipOut for ToSockets {
    fn send(&self, transmit: Transmit) {
        self.transport.send(transmit);
    }

    fn look_up(&self, lookup: Lookup) {
        self.resolver.look_up(lookup);
    }
}

/// The threads' figures are of one second.
const BALANCE_EVERY: Duration = Duration::from_secs(1);

/// One media plane for the rooms and the SIP task: each holds it for one order at a time, and never while waiting.
#[derive(Debug, Clone)]
pub(super) struct SharedMedia(Arc<Mutex<Plane>>);

impl SharedMedia {
    pub(super) fn start(config: PlaneConfig, reports: mpsc::Sender<MediaReport>) -> std::io::Result<Self> {
        Ok(Self(Arc::new(Mutex::new(Plane::start(config, reports)?))))
    }

    /// What the media threads have counted.
    pub(super) fn stats(&self) -> PlaneStats {
        self.plane().stats()
    }

    /// Moves rooms between threads as their load asks for, once a second, for as long as the server runs.
    pub(super) async fn balance(self) {
        let mut every = tokio::time::interval(BALANCE_EVERY);
        loop {
            every.tick().await;
            self.plane().balance();
        }
    }

    /// Plays a clip in a room; `false` if nobody is there to hear it.
    pub(super) fn play(&self, room: &RoomName, clip: &Clip) -> bool {
        self.plane().play(room, clip)
    }

    /// How each media thread is doing.
    pub(super) fn threads(&self) -> Vec<ThreadStats> {
        self.plane().threads()
    }

    /// Of the certificate that DTLS shows.
    pub(super) fn fingerprint(&self) -> Fingerprint {
        self.plane().fingerprint().clone()
    }

    /// Asks for a leg's numbers so far.
    pub(super) fn measure(&self, leg: LegId) -> oneshot::Receiver<LegStats> {
        self.plane().measure(leg)
    }

    /// A panic while an order was passed on leaves the plane usable: its threads are elsewhere.
    fn plane(&self) -> MutexGuard<'_, Plane> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MediaPlane for SharedMedia {
    fn open(&mut self, opening: &Opening) -> Result<OpenLeg, Unopened> {
        self.plane().open(opening)
    }

    fn order(&mut self, order: MediaOrder) {
        self.plane().order(order);
    }
}

impl SharedPlane for SharedMedia {
    fn share(&self) -> Box<dyn SharedPlane> {
        Box::new(self.clone())
    }
}
