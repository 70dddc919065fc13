//! The way out: stanzas are checked and serialised by whoever sends them, queued without waiting, and written by the link's task.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
};

use minidom::Element;
use tokio::sync::{Notify, mpsc};

use crate::xmpp::stream::{NotWritten, Wire, Writer};

/// Stanzas queued for one server. A room of 500 that fills at once makes 250,000 presences.
const MAX_QUEUED: usize = 300_000;

/// Bytes queued for one server, for the same reason.
const MAX_QUEUED_BYTES: usize = 64 * 1024 * 1024;

/// Sends stanzas; cheap to clone.
#[derive(Debug, Clone)]
pub struct Outgoing {
    lines: Arc<[Line]>,
}

/// Why a stanza was not queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotSent {
    /// The stream is down. When it is up again all is compared anyway (rule R30).
    #[error("the chat server is not connected")]
    Down,
    /// The queue is full: its backlog is dropped, and all is to be compared.
    #[error("the chat server is too slow")]
    Full,
    /// The stanza must not be sent at all.
    #[error(transparent)]
    NotWritten(#[from] NotWritten),
}

/// What became of the stanzas of one domain, since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Came from the server.
    pub received: u64,
    /// Refused at the border (rule R21).
    pub refused: u64,
    /// Handed to the connection.
    pub sent: u64,
    /// Would have ended the stream, and were not sent (rule R20).
    pub not_written: u64,
    /// Lost since the queue was full.
    pub lost: u64,
    /// Bytes in the queue now.
    pub queued_bytes: usize,
}

impl Outgoing {
    pub(super) fn new(lines: Vec<Line>) -> Self {
        Self { lines: lines.into() }
    }

    /// Queues a stanza on the stream of its sender's domain. Never waits.
    ///
    /// # Errors
    ///
    /// The stanza is lost.
    pub fn send(&self, stanza: &Element) -> Result<(), NotSent> {
        let line = self.lines.iter().find(|l| l.writer.serves(stanza)).or_else(|| self.lines.first());
        line.ok_or(NotSent::Down)?.send(stanza)
    }

    /// What became of the stanzas of a domain; a stanza from no domain of ours counts for the first.
    pub fn counts(&self, domain: &str) -> Option<Counts> {
        self.lines.iter().find(|l| l.writer.domain() == domain).map(|l| l.state.counts())
    }
}

/// The sending end of one connection.
#[derive(Debug)]
pub(super) struct Line {
    writer: Writer,
    queue: mpsc::Sender<Wire>,
    state: Arc<LineState>,
}

/// What the sending end and the link's task both know.
#[derive(Debug, Default)]
pub(super) struct LineState {
    online: AtomicBool,
    overflowed: AtomicBool,
    /// Wakes the task for an overflow.
    pub(super) wake: Notify,
    queued_bytes: AtomicUsize,
    received: AtomicU64,
    refused: AtomicU64,
    sent: AtomicU64,
    not_written: AtomicU64,
    lost: AtomicU64,
}

impl Line {
    pub(super) fn new(domain: &str) -> (Self, mpsc::Receiver<Wire>) {
        let (queue, out) = mpsc::channel(MAX_QUEUED);
        (
            Self {
                writer: Writer::new(domain),
                queue,
                state: Arc::default(),
            },
            out,
        )
    }

    pub(super) fn state(&self) -> Arc<LineState> {
        Arc::clone(&self.state)
    }

    fn send(&self, stanza: &Element) -> Result<(), NotSent> {
        let state = &*self.state;
        let wire = self.writer.write(stanza).inspect_err(|_| {
            state.not_written.fetch_add(1, Relaxed);
        })?;
        if !state.online.load(Relaxed) {
            return Err(NotSent::Down);
        }
        let length = wire.len();
        let fits = state.queued_bytes.fetch_add(length, Relaxed) + length <= MAX_QUEUED_BYTES;
        match if fits {
            self.queue
                .try_send(wire)
                .map_err(|e| matches!(e, mpsc::error::TrySendError::Full(_)))
        } else {
            Err(true)
        } {
            Ok(()) => Ok(()),
            Err(full) => {
                state.queued_bytes.fetch_sub(length, Relaxed);
                if !full {
                    return Err(NotSent::Down);
                }
                state.lost.fetch_add(1, Relaxed);
                state.overflowed.store(true, Relaxed);
                state.wake.notify_one();
                Err(NotSent::Full)
            }
        }
    }
}

impl LineState {
    /// The task says whether stanzas can be sent.
    pub(super) fn set_online(&self, online: bool) {
        self.online.store(online, Relaxed);
    }

    /// Whether the queue has overflowed since the last question.
    pub(super) fn take_overflow(&self) -> bool {
        self.overflowed.swap(false, Relaxed)
    }

    pub(super) fn queued_bytes(&self) -> usize {
        self.queued_bytes.load(Relaxed)
    }

    pub(super) fn count_received(&self) {
        self.received.fetch_add(1, Relaxed);
    }

    pub(super) fn count_refused(&self) {
        self.refused.fetch_add(1, Relaxed);
    }

    /// A stanza has left the queue, for the connection.
    pub(super) fn count_sent(&self, wire: &Wire) {
        self.queued_bytes.fetch_sub(wire.len(), Relaxed);
        self.sent.fetch_add(1, Relaxed);
    }

    /// A stanza has left the queue, for nowhere.
    pub(super) fn count_lost(&self, wire: &Wire) {
        self.queued_bytes.fetch_sub(wire.len(), Relaxed);
        self.lost.fetch_add(1, Relaxed);
    }

    fn counts(&self) -> Counts {
        Counts {
            received: self.received.load(Relaxed),
            refused: self.refused.load(Relaxed),
            sent: self.sent.load(Relaxed),
            not_written: self.not_written.load(Relaxed),
            lost: self.lost.load(Relaxed),
            queued_bytes: self.queued_bytes(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xmpp::stanza;

    fn presence(from: &str, id: &str) -> Element {
        stanza::element(
            "presence",
            stanza::NS,
            &[("from", Some(from)), ("to", Some("ann@a.example")), ("id", Some(id))],
        )
    }

    fn outgoing() -> (Outgoing, mpsc::Receiver<Wire>, mpsc::Receiver<Wire>) {
        let (rooms, rooms_queue) = Line::new("rooms.example");
        let (phones, phones_queue) = Line::new("phones.example");
        rooms.state.set_online(true);
        phones.state.set_online(true);
        (Outgoing::new(vec![rooms, phones]), rooms_queue, phones_queue)
    }

    #[test]
    fn r20_each_stanza_goes_to_its_own_stream_or_nowhere() {
        let (outgoing, mut rooms, mut phones) = outgoing();
        assert_eq!(outgoing.send(&presence("blue@rooms.example/ann", "1")), Ok(()));
        assert_eq!(outgoing.send(&presence("p-1@phones.example/x", "2")), Ok(()));
        assert_eq!(
            outgoing.send(&presence("ann@a.example", "3")),
            Err(NotSent::NotWritten(NotWritten::ForeignSender))
        );
        assert!(
            rooms
                .try_recv()
                .is_ok_and(|w| w.as_bytes().starts_with(b"<presence from='blue@rooms"))
        );
        assert!(
            phones
                .try_recv()
                .is_ok_and(|w| w.as_bytes().starts_with(b"<presence from='p-1@phones"))
        );
        assert!(rooms.try_recv().is_err() && phones.try_recv().is_err());
        assert_eq!(outgoing.counts("rooms.example").map(|c| c.not_written), Some(1));
    }

    #[test]
    fn r30_a_full_queue_loses_and_tells() {
        let (outgoing, _rooms, _phones) = outgoing();
        let stanza = presence("rooms.example", &"x".repeat(4_000));
        let mut sent = 0;
        let failure = loop {
            match outgoing.send(&stanza) {
                Ok(()) => sent += 1,
                Err(e) => break e,
            }
        };
        assert_eq!(failure, NotSent::Full);
        assert!(sent * 4_000 > MAX_QUEUED_BYTES / 2, "{sent}");
        let counts = outgoing.counts("rooms.example").expect("a domain of ours");
        assert!(counts.queued_bytes <= MAX_QUEUED_BYTES, "{counts:?}");
        assert_eq!(counts.lost, 1);
        assert!(outgoing.lines[0].state.take_overflow() && !outgoing.lines[0].state.take_overflow());
        assert_eq!(
            outgoing.send(&presence("phones.example", "1")),
            Ok(()),
            "the other stream is not concerned"
        );
    }

    #[test]
    fn nothing_is_queued_while_the_stream_is_down() {
        let (outgoing, mut rooms, _phones) = outgoing();
        outgoing.lines[0].state.set_online(false);
        assert_eq!(outgoing.send(&presence("rooms.example", "1")), Err(NotSent::Down));
        assert!(rooms.try_recv().is_err());
        assert_eq!(outgoing.counts("rooms.example").map(|c| c.queued_bytes), Some(0));
        rooms.close();
        outgoing.lines[0].state.set_online(true);
        assert_eq!(
            outgoing.send(&presence("rooms.example", "1")),
            Err(NotSent::Down),
            "the task is gone"
        );
    }
}
