//! The task that owns the SIP endpoint and its front: sockets, rooms and media reports in, messages out.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::sleep_until;
use tracing::{info, warn};

use crate::model::control::TrunkReport;
use crate::model::{MediaReport, RoomName};
use crate::peers::sip::{CallRecord, FrontCounters, RoomLookup, SipFront, ToRoom};
use crate::sip::endpoint::{Counters, Inbound, Transmit};
use crate::sip::locate::{Lookup, LookupAnswer};

use super::{Hub, Input, Place, SharedPlane, SipInput, clock};

/// How often the counters are published.
const COUNTERS_EVERY: Duration = Duration::from_secs(1);

/// The way to the sockets.
pub trait SipOut: Send + Sync + std::fmt::Debug {
    /// Sends or queues a message; what can't be queued is counted there, and the transaction's timers see to the rest. Never waits.
    fn send(&self, transmit: Transmit);
    /// Begins to look a name up (RFC 3263). Never waits: the answer is an input.
    fn look_up(&self, lookup: Lookup);
}

/// Messages that are taken from the sockets at once: what they ask for can wait, the retransmissions of those who get no answer add to the load.
const BATCH: usize = 256;

/// Owns the front.
#[derive(Debug)]
pub struct PhoneTask {
    front: SipFront,
    hub: Hub,
    plane: Box<dyn SharedPlane>,
    out: Arc<dyn SipOut>,
    /// What a room with a full inbox is to be told: until it is, rooms and media aren't listened to, sockets are.
    held: Option<(RoomName, ToRoom)>,
    counters: watch::Sender<(FrontCounters, Counters)>,
    trunks: watch::Sender<Vec<TrunkReport>>,
}

/// Where the task hears from.
#[derive(Debug)]
pub struct PhoneInputs {
    /// The sockets.
    pub sockets: mpsc::Receiver<Inbound>,
    /// The rooms.
    pub rooms: mpsc::Receiver<SipInput>,
    /// The media threads.
    pub media: mpsc::Receiver<MediaReport>,
    /// The DNS.
    pub lookups: mpsc::Receiver<LookupAnswer>,
    /// The end: no new calls; answered when the last call has gone.
    pub close: oneshot::Receiver<oneshot::Sender<()>>,
    /// Whether new calls are refused while those that there are go on (rule R81).
    pub drain: watch::Receiver<bool>,
}

impl PhoneTask {
    /// Joins the front with the rooms; the other ends read its counters, and how trunks stand.
    pub fn new(
        front: SipFront,
        hub: Hub,
        plane: Box<dyn SharedPlane>,
        out: Arc<dyn SipOut>,
    ) -> (Self, watch::Receiver<(FrontCounters, Counters)>, watch::Receiver<Vec<TrunkReport>>) {
        let (counters, reader) = watch::channel(front.counters());
        let (trunks, stand) = watch::channel(front.trunks());
        (
            Self {
                front,
                hub,
                plane,
                out,
                held: None,
                counters,
                trunks,
            },
            reader,
            stand,
        )
    }

    /// Runs until the sockets are gone, or the last call is after a close.
    pub async fn run(mut self, mut inputs: PhoneInputs) {
        let mut closed: Option<oneshot::Sender<()>> = None;
        let mut publish = tokio::time::interval(COUNTERS_EVERY);
        loop {
            let due = self.front.poll_timeout();
            let rooms = Rooms(&self.hub);
            let free = self.held.is_none();
            let now = clock::now;
            tokio::select! {
                inbound = inputs.sockets.recv() => {
                    let Some(inbound) = inbound else { break };
                    self.front.receive(now(), inbound);
                    for _ in 1..BATCH {
                        let Ok(inbound) = inputs.sockets.try_recv() else { break };
                        self.front.receive(now(), inbound);
                    }
                }
                message = inputs.rooms.recv(), if free => match message {
                    Some(SipInput::FromRoom(message)) => self.front.handle_room(now(), message, &mut *self.plane, &rooms),
                    Some(SipInput::RoomGone(room)) => self.front.handle_room_gone(now(), &room, &mut *self.plane, &rooms),
                    None => break,
                },
                report = inputs.media.recv(), if free => {
                    let Some(report) = report else { break };
                    self.front.handle_media(now(), report, &mut *self.plane, &rooms);
                }
                Some(answer) = inputs.lookups.recv() => self.front.handle_lookup(now(), &answer),
                () = async { match due { Some((at, _)) => sleep_until(at.into()).await, None => std::future::pending().await } } => {
                    self.front.handle_timeout(now(), &mut *self.plane, &rooms);
                }
                () = async { match &self.held { Some((room, _)) => self.hub.has_place(room).await, None => std::future::pending().await } } => {}
                () = std::future::ready(()), if free && self.front.has_work() => {
                    self.front.work(now(), &mut *self.plane, &rooms);
                }
                done = &mut inputs.close, if closed.is_none() => {
                    let Ok(done) = done else { break };
                    self.front.close(clock::now());
                    closed = Some(done);
                }
                Ok(()) = inputs.drain.changed() => {
                    self.front.drain(*inputs.drain.borrow_and_update());
                    self.counters.send_replace(self.front.counters());
                }
                _ = publish.tick() => {
                    self.counters.send_replace(self.front.counters());
                    self.trunks.send_replace(self.front.trunks());
                }
            }
            self.drain();
            if closed.is_some() {
                self.counters.send_replace(self.front.counters());
                if self.front.is_idle() {
                    break;
                }
            }
        }
        if let Some(done) = closed {
            // Whoever asked may have run out of patience.
            let _ = done.send(());
        }
    }

    /// Messages out first; then the rooms, as far as their inboxes have places.
    fn drain(&mut self) {
        self.transmit();
        while let Some(record) = self.front.poll_created() {
            self.hub.create(&record);
        }
        while let Some((room, message)) = self.held.take().or_else(|| self.front.poll_room()) {
            match self.hub.place(&room) {
                Place::Free(place) => {
                    place.send(Input::Sip(message));
                }
                Place::Full => {
                    self.held = Some((room, message));
                    break;
                }
                // It ended this very moment: what it would have answered.
                Place::Gone => self
                    .front
                    .handle_room_gone(clock::now(), &room, &mut *self.plane, &Rooms(&self.hub)),
            }
        }
        self.transmit();
        while let Some(record) = self.front.poll_record() {
            log(&record);
        }
    }

    fn transmit(&mut self) {
        while let Some(transmit) = self.front.poll_transmit() {
            self.out.send(transmit);
        }
        while let Some(lookup) = self.front.poll_lookup() {
            self.out.look_up(lookup);
        }
    }
}

/// Rooms of the hub, as the front asks for them.
struct Rooms<'a>(&'a Hub);

impl RoomLookup for Rooms<'_> {
    fn dialable(&self, name: &RoomName) -> bool {
        self.0.directory().find(name).is_some_and(|handle| handle.summary.is_dialable())
    }

    fn by_number(&self, number: &str) -> Option<RoomName> {
        self.0.factory.room.numbers.as_ref()?.find(number)
    }

    fn life(&self, name: &RoomName) -> Option<u64> {
        let handle = self.0.directory().find(name)?;
        (!handle.inbox.is_closed()).then_some(handle.life)
    }

    fn count(&self) -> usize {
        self.0.directory().len()
    }
}

/// One line per call (rule R80).
fn log(record: &CallRecord) {
    let stats = record.stats.unwrap_or_default();
    if record.stats.is_none() {
        warn!(correlation = %record.correlation, "the media plane never reported the end of a call");
    }
    info!(
        target: "cusax::calls",
        correlation = %record.correlation,
        room = record.room.as_ref().map(RoomName::as_str),
        caller = record.caller,
        dialed_out = record.dialed_out,
        started_unix_ms = record.started_unix_ms,
        answered_unix_ms = record.answered_unix_ms,
        ended_unix_ms = record.ended_unix_ms,
        cause = record.cause,
        codec = record.codec.map(|c| format!("{c:?}")),
        packets_received = stats.received,
        packets_lost = stats.lost,
        packets_late = stats.late,
        packets_rejected = stats.rejected,
        packets_forged = stats.forged,
        packets_replayed = stats.replayed,
        protection = stats.protection.as_str(),
        packets_sent = stats.sent,
        jitter_ms = tenths(stats.jitter_ms),
        round_trip_ms = stats.round_trip_ms.map(tenths),
        mos = stats.mos.map(tenths),
        peer_packets_lost = stats.peer_lost,
        peer_jitter_ms = stats.peer_jitter_ms.map(tenths),
        peer_mos = stats.peer_mos.map(tenths),
        "call ended"
    );
}

/// No measurement is finer.
fn tenths(ms: f32) -> f64 {
    (f64::from(ms) * 10.0).round() / 10.0
}
