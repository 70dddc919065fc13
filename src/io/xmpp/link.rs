//! One connection's task.

use std::{sync::Arc, time::Duration};

use rand::rngs::StdRng;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::{mpsc, watch},
    time::{Instant, sleep, sleep_until, timeout},
};
use tracing::{debug, info, warn};

use super::{CLOSE_LIMIT, LinkSettings, XmppInbound, backoff::Backoff, outgoing::LineState};
use crate::xmpp::stream::{Component, Ending, Event, Wire};

/// Bytes read at once: each may hold thousands of stanzas, which are then handed on before the next read.
const READ_BYTES: usize = 16 * 1024;

/// Bytes taken from the queue before they are written.
const WRITE_BYTES: usize = 64 * 1024;

/// With more than this in the queue nothing is read: what we send mostly follows from what we read.
const BACKLOG_BYTES: usize = 4 * 1024 * 1024;

/// How long a TCP connection may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// A stream that lasted this long was good: the next wait is the shortest. Two programs that replace each other in turn don't get there.
const GOOD_AFTER: Duration = Duration::from_secs(60);

/// One connection, over and over.
#[derive(Debug)]
pub(super) struct Link<T> {
    settings: LinkSettings,
    line: Arc<LineState>,
    queue: mpsc::Receiver<Wire>,
    inbound: mpsc::Sender<T>,
    shutdown: watch::Receiver<bool>,
    chance: StdRng,
    /// What was last logged: a server that is away for a day is one line, not thousands.
    last_trouble: String,
}

/// Nobody wants to hear of this connection any more.
struct Unwanted;

impl<T: From<XmppInbound>> Link<T> {
    pub(super) fn new(
        settings: LinkSettings,
        line: Arc<LineState>,
        queue: mpsc::Receiver<Wire>,
        inbound: mpsc::Sender<T>,
        shutdown: watch::Receiver<bool>,
        chance: StdRng,
    ) -> Self {
        Self {
            settings,
            line,
            queue,
            inbound,
            shutdown,
            chance,
            last_trouble: String::new(),
        }
    }

    /// Runs until shutdown.
    pub(super) async fn run(mut self) {
        let mut backoff = Backoff::new(self.settings.pace);
        loop {
            let started = Instant::now();
            let Ok(trouble) = self.connect().await else { return };
            if started.elapsed() > GOOD_AFTER {
                backoff.reset();
            }
            let wait = backoff.wait(&mut self.chance);
            self.log_trouble(trouble, wait);
            tokio::select! {
                () = sleep(wait) => {}
                () = told(&mut self.shutdown) => return,
            }
        }
    }

    fn domain(&self) -> &str {
        &self.settings.stream.domain
    }

    fn log_trouble(&mut self, trouble: String, wait: Duration) {
        let (domain, server) = (self.domain(), &self.settings.server);
        let again_in_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        if trouble == self.last_trouble {
            debug!(domain, server, again_in_ms, "no chat server: {trouble}");
        } else {
            warn!(domain, server, again_in_ms, "no chat server: {trouble}");
            self.last_trouble = trouble;
        }
    }

    /// One attempt, from the connection to its end; gives what went wrong.
    async fn connect(&mut self) -> Result<String, Unwanted> {
        let attempt = timeout(CONNECT_LIMIT, TcpStream::connect(&self.settings.server));
        let connected = tokio::select! {
            connected = attempt => connected,
            () = told(&mut self.shutdown) => return Err(Unwanted),
        };
        let stream = match connected {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Ok(error.to_string()),
            Err(_) => return Ok(format!("no connection within {} s", CONNECT_LIMIT.as_secs())),
        };
        // Small stanzas are urgent: a mute takes at most 40 ms (rule R12). Without it the stream still works.
        let _ = stream.set_nodelay(true);
        let ended = self.serve(stream).await;
        self.line.set_online(false);
        // Nobody compares for these: when the stream is up again all is compared.
        self.drop_backlog();
        ended.map(|ending| ending.to_string())
    }

    async fn serve(&mut self, mut stream: TcpStream) -> Result<Ending, Unwanted> {
        let (mut reader, mut writer) = stream.split();
        let mut component = Component::new(self.settings.stream.clone(), Instant::now().into_std());
        let mut buffer = vec![0; READ_BYTES];
        let mut out = Vec::new();
        let mut was_online = false;
        let mut close_by: Option<Instant> = None;
        let mut queue_ended = false;
        loop {
            while let Some(event) = component.poll_event() {
                was_online |= event == Event::Online;
                if let Some(ending) = self.handle(event).await? {
                    // The last words may say why we go. They are a courtesy.
                    out.extend(component.poll_transmit().unwrap_or_default());
                    let _ = timeout(CLOSE_LIMIT, writer.write_all(&out)).await;
                    if was_online {
                        self.tell(XmppInbound::Down(self.domain().to_owned())).await?;
                    }
                    return if close_by.is_some() { Err(Unwanted) } else { Ok(ending) };
                }
            }
            if self.line.take_overflow() {
                self.drop_backlog();
                warn!(domain = self.domain(), "the chat server is too slow: stanzas were lost");
                self.tell(XmppInbound::Overflow(self.domain().to_owned())).await?;
            }
            out.extend(component.poll_transmit().unwrap_or_default());
            let due = component.poll_timeout().map(|(due, _)| Instant::from_std(due));
            let due = due.into_iter().chain(close_by).min();
            tokio::select! {
                read = reader.read(&mut buffer), if self.line.queued_bytes() < BACKLOG_BYTES => match read {
                    Ok(0) | Err(_) => component.handle_closed(),
                    Ok(n) => component.handle_bytes(Instant::now().into_std(), &buffer[..n]),
                },
                written = writer.write(&out), if !out.is_empty() => match written {
                    Ok(n) => drop(out.drain(..n)),
                    Err(_) => component.handle_closed(),
                },
                wire = self.queue.recv(), if component.is_online() && out.len() < WRITE_BYTES && !queue_ended => match wire {
                    Some(wire) => self.send_batch(&mut component, wire),
                    None => {
                        queue_ended = true;
                        component.close(Instant::now().into_std());
                    }
                },
                () = self.line.wake.notified() => {}
                () = at(due) => {
                    if close_by.is_some_and(|by| by <= Instant::now()) {
                        return Err(Unwanted);
                    }
                    component.handle_timeout(Instant::now().into_std());
                }
                () = told(&mut self.shutdown), if close_by.is_none() => {
                    if !component.is_online() {
                        return Err(Unwanted);
                    }
                    close_by = Some(Instant::now() + CLOSE_LIMIT);
                    // What is queued still goes out, then the queue ends.
                    self.queue.close();
                }
            }
        }
    }

    fn send_batch(&mut self, component: &mut Component, first: Wire) {
        let mut length = first.len();
        self.send(component, &first);
        while length < WRITE_BYTES
            && let Ok(wire) = self.queue.try_recv()
        {
            length += wire.len();
            self.send(component, &wire);
        }
    }

    fn send(&self, component: &mut Component, wire: &Wire) {
        self.line.count_sent(wire);
        component.send_wire(wire);
    }

    fn drop_backlog(&mut self) {
        while let Ok(wire) = self.queue.try_recv() {
            self.line.count_lost(&wire);
        }
    }

    /// Hands an event on; gives the ending, if it is one.
    async fn handle(&mut self, event: Event) -> Result<Option<Ending>, Unwanted> {
        match event {
            Event::Online => {
                info!(
                    domain = self.domain(),
                    server = self.settings.server,
                    "connected to the chat server"
                );
                self.last_trouble.clear();
                // From senders who had not yet heard that the last stream was down.
                self.drop_backlog();
                self.line.take_overflow();
                self.line.set_online(true);
                self.tell(XmppInbound::Up(self.domain().to_owned())).await?;
            }
            Event::Stanza(stanza) => {
                self.line.count_received();
                self.tell(XmppInbound::Stanza(stanza)).await?;
            }
            Event::Refused(refused) => {
                self.line.count_refused();
                debug!(domain = self.domain(), why = %refused.why, "a stanza was refused");
            }
            Event::Ended(ending) => return Ok(Some(ending)),
        }
        Ok(None)
    }

    async fn tell(&self, message: XmppInbound) -> Result<(), Unwanted> {
        self.inbound.send(message.into()).await.map_err(|_| Unwanted)
    }
}

/// Waits for shutdown; a [`super::Links`] that was dropped without it means the same.
async fn told(shutdown: &mut watch::Receiver<bool>) {
    let _ = shutdown.wait_for(|down| *down).await;
}

async fn at(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}
