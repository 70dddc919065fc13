//! Rooms over a restart: one SQLite file, one thread that writes it. Reads once, at the start; rooms live in memory.

mod database;
mod schema;
#[cfg(test)]
mod tests;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};
use tracing::{error, info};

use self::database::{BatchError, Database};
use crate::model::{RoomRecord, StoreOp};

/// Changes that wait for the disk: minutes of a busy server's.
const MAX_QUEUED: usize = 100_000;

/// Bytes of the stanzas among them, for the same reason.
const MAX_QUEUED_BYTES: usize = 64 * 1024 * 1024;

/// Changes of one transaction: each costs a write to the disk, however much is in it.
const BATCH: usize = 500;

/// How long after a failure the same batch is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// Why the file can't be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It can't be created.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// SQLite's word on it.
    #[error("the room database: {0}")]
    Database(#[from] rusqlite::Error),
    /// A later release has written it.
    #[error("the room database is of version {found}, from a later release; this one knows {known}")]
    Newer {
        /// The file's version.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// Somebody else has written it.
    #[error("the room database has {value:?} as {what} of the room {room:?}")]
    Corrupt {
        /// The room's name.
        room: String,
        /// Which value.
        what: String,
        /// The value.
        value: String,
    },
}

/// What an operator should know. Rooms live on in each case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing is written any more, but kept and tried again: the disk is full, or the file is locked.
    Failing(String),
    /// All is written that was kept since then.
    Recovered,
    /// One change can't be written at all and is lost.
    Dropped(String),
    /// So many changes are lost: more waited for the disk than may.
    Overflow(u64),
}

/// Keeps rooms. Cheap to clone; the file is closed with the last one.
#[derive(Debug, Clone)]
pub struct Store {
    queue: mpsc::Sender<Message>,
    state: Arc<State>,
}

#[derive(Debug)]
enum Message {
    Op(StoreOp),
    /// To be answered when all before it is on disk.
    Flush(oneshot::Sender<()>),
}

#[derive(Debug, Default)]
struct State {
    queued_bytes: AtomicUsize,
    lost: AtomicU64,
}

impl Store {
    /// Opens or creates the file and starts its thread; gives all rooms that are kept. Trouble is logged, and told to `tell` on that thread.
    ///
    /// # Errors
    ///
    /// The file can't be used.
    pub fn open(path: &Path, tell: impl FnMut(Trouble) + Send + 'static) -> Result<(Self, Vec<RoomRecord>), StoreError> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::create_dir_all(folder).map_err(|source| StoreError::File {
                path: path.to_owned(),
                source,
            })?;
        }
        let database = Database::open(path)?;
        let records = database.load()?;
        let (queue, messages) = mpsc::channel(MAX_QUEUED);
        let state = Arc::new(State::default());
        let writer = Writer {
            database,
            messages,
            state: Arc::clone(&state),
            tell: Box::new(tell),
            failing: false,
        };
        let spawned = thread::Builder::new().name("store".into()).spawn(move || writer.run());
        spawned.map_err(|source| StoreError::File {
            path: path.to_owned(),
            source,
        })?;
        Ok((Self { queue, state }, records))
    }

    /// Queues a change. Never waits: more than the disk can take is lost, and counted.
    pub fn store(&self, op: StoreOp) {
        let size = size(&op);
        let fits = self.state.queued_bytes.fetch_add(size, Relaxed) + size <= MAX_QUEUED_BYTES;
        if !fits || self.queue.try_send(Message::Op(op)).is_err() {
            self.state.queued_bytes.fetch_sub(size, Relaxed);
            self.state.lost.fetch_add(1, Relaxed);
        }
    }

    /// Waits until all that was queued before is on disk, but no longer than `limit`; says whether it is.
    pub async fn flush(&self, limit: Duration) -> bool {
        let (done, flushed) = oneshot::channel();
        let all = async { self.queue.send(Message::Flush(done)).await.is_ok() && flushed.await.is_ok() };
        timeout(limit, all).await.unwrap_or(false)
    }
}

/// The memory that a queued change holds on to, roughly.
fn size(op: &StoreOp) -> usize {
    match op {
        StoreOp::SaveRoom(record) => 1024 + record.history.iter().chain(&record.subject).map(|i| i.stanza.len()).sum::<usize>(),
        StoreOp::SetSubject(_, item) | StoreOp::Append(_, item, _) => 128 + item.stanza.len(),
        StoreOp::DeleteRoom(_) | StoreOp::SetAffiliation(..) | StoreOp::SetVoice(..) => 128,
    }
}

/// The thread.
struct Writer {
    database: Database,
    messages: mpsc::Receiver<Message>,
    state: Arc<State>,
    tell: Box<dyn FnMut(Trouble) + Send>,
    failing: bool,
}

impl Writer {
    fn run(mut self) {
        while let Some(first) = self.messages.blocking_recv() {
            let mut ops = Vec::new();
            let mut flushes = Vec::new();
            let mut next = Some(first);
            while let Some(message) = next {
                match message {
                    Message::Op(op) => {
                        self.state.queued_bytes.fetch_sub(size(&op), Relaxed);
                        ops.push(op);
                    }
                    Message::Flush(done) => flushes.push(done),
                }
                next = if ops.len() < BATCH { self.messages.try_recv().ok() } else { None };
            }
            self.write(ops);
            for done in flushes {
                // Whoever asked may have stopped waiting.
                let _ = done.send(());
            }
            let lost = self.state.lost.swap(0, Relaxed);
            if lost > 0 {
                self.trouble(Trouble::Overflow(lost));
            }
        }
    }

    /// Writes a batch, however long it takes, unless nobody is left to wait for it.
    fn write(&mut self, mut ops: Vec<StoreOp>) {
        while !ops.is_empty() {
            match self.database.apply(ops.iter()) {
                Ok(()) => {
                    if self.failing {
                        self.failing = false;
                        self.trouble(Trouble::Recovered);
                    }
                    return;
                }
                Err(BatchError::Never(number, error)) => {
                    ops.remove(number);
                    self.trouble(Trouble::Dropped(error.to_string()));
                }
                Err(BatchError::Later(error)) => {
                    if !self.failing {
                        self.failing = true;
                        self.trouble(Trouble::Failing(error.to_string()));
                    }
                    if self.messages.is_closed() {
                        return self.trouble(Trouble::Overflow(ops.len().try_into().unwrap_or(u64::MAX)));
                    }
                    thread::sleep(RETRY);
                }
            }
        }
    }

    fn trouble(&mut self, trouble: Trouble) {
        match &trouble {
            Trouble::Failing(why) => error!("rooms are not being saved: {why}; tried again every {} s", RETRY.as_secs()),
            Trouble::Recovered => info!("rooms are being saved again"),
            Trouble::Dropped(why) => error!("a change to a room could not be saved: {why}"),
            Trouble::Overflow(lost) => error!(lost, "changes to rooms were lost: too many were waiting for the disk"),
        }
        (self.tell)(trouble);
    }
}
