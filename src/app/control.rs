//! The operator's UNIX socket: one line of JSON in, one line out, as often as the client likes.
//!
//! Whoever may open the socket may do everything: its file belongs to the server's user alone.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::time::Instant;
use tracing::debug;

use crate::hub::{Hub, Input};
use crate::model::control::{ControlReply, ControlRequest, RoomCommand, RoomReply, RoomReport, RoomSummary, TrunkReport};
use crate::model::{LegId, LegStats, RoomName};
use crate::peers::sip::SipRoomSettings;

/// A request line, at most, in bytes: a room, a name and a reason.
const LINE_MAX: u64 = 16 * 1024;
/// Operators connected at once.
const CLIENTS_MAX: usize = 32;
/// A room answers at once or not at all.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Media threads answer between two ticks, unless they are stuck.
const MEASURED_WITHIN: Duration = Duration::from_secs(1);
/// A client that says nothing for so long is gone.
const IDLE: Duration = Duration::from_secs(60);

/// Reads the counters of every part of the server.
pub(super) type Counters = Arc<dyn Fn() -> BTreeMap<String, u64> + Send + Sync>;

/// Asks the media threads for a call's numbers.
pub(super) type Measure = Arc<dyn Fn(LegId) -> oneshot::Receiver<LegStats> + Send + Sync>;

/// Plays a file in a room, `false` if nobody is there to hear it; waits for the disk.
pub(super) type Play = Arc<dyn Fn(&RoomName, &Path) -> io::Result<bool> + Send + Sync>;

/// Listens until dropped, and then removes its file.
#[derive(Debug)]
pub(super) struct ControlServer {
    path: PathBuf,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for ControlServer {
    fn drop(&mut self) {
        self.task.abort();
        // Gone already is as good.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// What requests are answered from.
#[derive(Clone)]
pub(super) struct Context {
    pub(super) hub: Hub,
    pub(super) uris: SipRoomSettings,
    pub(super) counters: Counters,
    pub(super) trunks: watch::Receiver<Vec<TrunkReport>>,
    pub(super) measure: Measure,
    pub(super) play: Play,
    pub(super) drain: Arc<watch::Sender<bool>>,
}

impl ControlServer {
    /// Opens the socket; a file left behind by a server that died is replaced, one in use is an error.
    pub(super) fn start(path: &Path, context: Context) -> io::Result<Self> {
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, "another server listens there"));
        }
        match std::fs::symlink_metadata(path) {
            // A slip in the configuration must not cost somebody a file.
            Ok(found) if !found.file_type().is_socket() => {
                return Err(io::Error::new(
                    io::ErrorKind::AlreadyExists,
                    "there is something else, which is not a socket",
                ));
            }
            Ok(_) => std::fs::remove_file(path)?,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
        if let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
            std::fs::create_dir_all(parent)?;
        }
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        let task = tokio::spawn(accept(listener, context));
        Ok(Self {
            path: path.to_owned(),
            task,
        })
    }
}

async fn accept(listener: UnixListener, context: Context) {
    let places = Arc::new(Semaphore::new(CLIENTS_MAX));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let context = context.clone();
                tokio::spawn(async move {
                    if let Err(e) = serve(stream, &context).await {
                        debug!("a control connection ended: {e}");
                    }
                    drop(place);
                });
            }
            Err(e) => {
                // Out of file descriptors, most likely: let others finish first.
                debug!("no control connection could be taken: {e}");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }
}

async fn serve(stream: UnixStream, context: &Context) -> io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    loop {
        let mut line = Vec::new();
        let took = tokio::time::timeout(IDLE, (&mut read).take(LINE_MAX).read_until(b'\n', &mut line)).await;
        let Ok(took) = took else { return Ok(()) };
        if took? == 0 {
            return Ok(());
        }
        let (reply, go_on) = match serde_json::from_slice(&line) {
            Ok(request) => (answer(request, context).await, true),
            Err(e) => (
                ControlReply::Error {
                    message: format!("not a request: {e}"),
                },
                line.ends_with(b"\n"),
            ),
        };
        let mut text = serde_json::to_vec(&reply)?;
        text.push(b'\n');
        write.write_all(&text).await?;
        if !go_on {
            return Ok(());
        }
    }
}

async fn answer(request: ControlRequest, context: &Context) -> ControlReply {
    match request {
        ControlRequest::List => ControlReply::Rooms { rooms: list(context) },
        ControlRequest::Trunks => ControlReply::Trunks {
            trunks: context.trunks.borrow().clone(),
        },
        ControlRequest::Stats => ControlReply::Stats {
            counters: (context.counters)(),
        },
        ControlRequest::Drain { on } => {
            context.drain.send_replace(on);
            ControlReply::Draining { on }
        }
        ControlRequest::Play { room, file } => match RoomName::new(&room) {
            Ok(name) => play(name, file, context).await,
            Err(e) => ControlReply::Error {
                message: format!("{room:?}: {e}"),
            },
        },
        ControlRequest::Room { room, command } => match RoomName::new(&room) {
            Ok(name) => ask(&name, command, context).await,
            Err(e) => ControlReply::Error {
                message: format!("{room:?}: {e}"),
            },
        },
    }
}

async fn ask(name: &RoomName, command: RoomCommand, context: &Context) -> ControlReply {
    let (reply, answer) = oneshot::channel();
    if context.hub.send(name, Input::Control(command, reply)).await.is_err() {
        return ControlReply::Error {
            message: format!("there is no room {name}"),
        };
    }
    match tokio::time::timeout(ANSWER_WITHIN, answer).await {
        Ok(Ok(mut reply)) => {
            if let RoomReply::Show(report) = &mut reply {
                add_voices(report, context).await;
            }
            ControlReply::Room { reply }
        }
        Ok(Err(_)) => ControlReply::Error {
            message: format!("the room {name} has just ended"),
        },
        Err(_) => ControlReply::Error {
            message: format!("the room {name} does not answer"),
        },
    }
}

async fn play(name: RoomName, file: PathBuf, context: &Context) -> ControlReply {
    let play = Arc::clone(&context.play);
    let shown = format!("{}", file.display());
    let played = tokio::task::spawn_blocking(move || play(&name, &file)).await;
    let refused = |message| RoomReply::Refused { message };
    let reply = match played.unwrap_or_else(|e| Err(io::Error::other(e))) {
        Ok(true) => RoomReply::Done,
        Ok(false) => refused("nobody is in the room by phone".to_owned()),
        Err(e) => refused(format!("{shown}: {e}")),
    };
    ControlReply::Room { reply }
}

/// Adds what only the media threads know. Asks for all calls first, then waits: each answers within a tick.
async fn add_voices(report: &mut RoomReport, context: &Context) {
    let legs = report.people.iter_mut().flat_map(|person| &mut person.legs);
    let asked: Vec<_> = legs.map(|leg| ((context.measure)(LegId(leg.leg)), &mut leg.voice)).collect();
    let until = Instant::now() + MEASURED_WITHIN;
    for (told, voice) in asked {
        *voice = tokio::time::timeout_at(until, told).await.ok().and_then(Result::ok);
    }
}

fn list(context: &Context) -> Vec<RoomSummary> {
    let directory = context.hub.directory();
    let summary = |name: RoomName| {
        let handle = directory.find(&name)?;
        Some(RoomSummary {
            title: handle.summary.title(),
            occupants: handle.summary.occupants(),
            legs: handle.summary.legs(),
            sip: handle.summary.is_dialable().then(|| context.uris.room_uri(&name)),
            xmpp: format!("{name}@{}", context.uris.rooms_domain),
            name: name.to_string(),
        })
    };
    directory.names().into_iter().filter_map(summary).collect()
}
