//! What a peer told so far, and waiting for what it will tell: on conditions, with a deadline.

use std::{
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

/// Longer than any peer takes on a busy machine; a test that passes never waits so long.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// One event, and when it was read.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) at: Instant,
    pub(crate) event: Value,
}

/// The events of one peer, read by a thread of its own.
#[derive(Debug)]
pub(crate) struct Events {
    peer: String,
    seen: Vec<Seen>,
    incoming: mpsc::Receiver<Seen>,
}

impl Events {
    /// Runs `read` in a thread until it returns; it tells each event as it comes.
    pub(crate) fn new(peer: &str, read: impl FnOnce(&mut dyn FnMut(Value)) + Send + 'static) -> Self {
        let (sender, incoming) = mpsc::channel();
        thread::spawn(move || {
            read(&mut |event| {
                let _the_test_may_be_over = sender.send(Seen { at: Instant::now(), event });
            });
        });
        Self {
            peer: peer.to_owned(),
            seen: Vec::new(),
            incoming,
        }
    }

    /// The first event since [`Events::forget`] that fits; the test fails if none comes in time.
    pub(crate) fn wait(&mut self, what: &str, fits: impl Fn(&Value) -> bool) -> Seen {
        if let Some(seen) = self.seen.iter().find(|s| fits(&s.event)) {
            return seen.clone();
        }
        let deadline = Instant::now() + LIMIT;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.incoming.recv_timeout(left) {
                Ok(seen) => {
                    self.seen.push(seen.clone());
                    if fits(&seen.event) {
                        return seen;
                    }
                }
                Err(why) => panic!("{} never saw {what} ({why}), but:\n{}", self.peer, self.told()),
            }
        }
    }

    /// All events since [`Events::forget`] that fit, without waiting.
    pub(crate) fn all(&mut self, fits: impl Fn(&Value) -> bool) -> Vec<Seen> {
        self.seen.extend(self.incoming.try_iter());
        self.seen.iter().filter(|s| fits(&s.event)).cloned().collect()
    }

    /// Forgets what came so far, and tells when that was.
    pub(crate) fn forget(&mut self) -> Instant {
        self.seen.clear();
        while self.incoming.try_recv().is_ok() {}
        Instant::now()
    }

    fn told(&self) -> String {
        self.seen.iter().map(|s| s.event.to_string()).collect::<Vec<_>>().join("\n")
    }
}
