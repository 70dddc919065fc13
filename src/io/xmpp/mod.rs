//! The component's connections: one task each, that connects, serves the stream, and connects again for as long as the program runs.
//!
//! Speaks no TLS: an address off loopback is a matter of the configuration's check (rule R34).

mod backoff;
mod link;
mod outgoing;
#[cfg(test)]
mod tests;

use std::time::Duration;

use minidom::Element;
use rand::{SeedableRng, rngs::StdRng};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::timeout,
};
use tracing::warn;

pub use self::{
    backoff::Pace,
    outgoing::{Counts, NotSent, Outgoing},
};
use self::{link::Link, outgoing::Line};
use crate::xmpp::stream::Settings;

/// One connection.
#[derive(Debug, Clone)]
pub struct LinkSettings {
    /// Where the server listens for components: `host:port`.
    pub server: String,
    /// What the stream has to know.
    pub stream: Settings,
    /// How long to wait before the next attempt.
    pub pace: Pace,
}

/// What comes from the connections.
#[derive(Debug, Clone, PartialEq)]
pub enum XmppInbound {
    /// The stream of this domain is up. Whatever was known about the other side has to be compared (rule R30).
    Up(String),
    /// The stream of this domain is down.
    Down(String),
    /// A stanza, in `jabber:client`.
    Stanza(Element),
    /// Stanzas to the server were lost on the stream of this domain, which is up: compare again (rule R30).
    Overflow(String),
}

/// The running connections.
#[derive(Debug)]
pub struct Links {
    shutdown: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

/// How long the queues may take to be written at shutdown, and the servers to say goodbye.
const CLOSE_LIMIT: Duration = Duration::from_secs(3);

impl Links {
    /// Starts a task for each connection. All share one channel, which they wait for; what is sent never waits.
    pub fn start<T: From<XmppInbound> + Send + 'static>(
        settings: Vec<LinkSettings>,
        inbound: &mpsc::Sender<T>,
        seed: u64,
    ) -> (Self, Outgoing) {
        let (shutdown, told) = watch::channel(false);
        let mut tasks = Vec::with_capacity(settings.len());
        let mut lines = Vec::with_capacity(settings.len());
        for (number, settings) in (0..).zip(settings) {
            let (line, queue) = Line::new(&settings.stream.domain);
            let chance = StdRng::seed_from_u64(seed.wrapping_add(number));
            let link = Link::new(settings, line.state(), queue, inbound.clone(), told.clone(), chance);
            tasks.push(tokio::spawn(link.run()));
            lines.push(line);
        }
        (Self { shutdown, tasks }, Outgoing::new(lines))
    }

    /// Sends what is queued, closes the streams, and waits for it no longer than a few seconds.
    pub async fn close(self) {
        // Without receivers there are no tasks to be told.
        let _ = self.shutdown.send(true);
        for mut task in self.tasks {
            if timeout(CLOSE_LIMIT + Duration::from_secs(1), &mut task).await.is_err() {
                warn!("a chat connection did not close in time");
                task.abort();
            }
        }
    }
}
