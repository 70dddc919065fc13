//! Recordings: what rooms mix, written to files by a thread of its own.
//!
//! A media thread puts each tick on a [`Tape`], without waiting. A disk that is slow or full costs the recording, which then has silence for
//! what is lost, and never the sound. Who may record, and who has to be told, is decided in the room (rule R82).

mod sink;
mod tape;

use std::{
    fs::File,
    io,
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread,
    time::Duration,
};

use mixer::{Rate, Resampler};
use rtrb::Consumer;
use tokio::sync::mpsc as reports;

pub use sink::Format;
pub(super) use tape::Tape;

use self::{
    sink::{OggSink, Sink, WavSink},
    tape::Tick,
};
use super::{
    counters::{Counters, add},
    hook::PREFIX,
};
use crate::model::{MediaReport, RoomName};

/// How often waiting ticks are written.
const EVERY: Duration = Duration::from_millis(100);

/// Rounds of writing between two mends of a file: a second.
const MEND: u32 = 10;

/// Silence written for missing time at most: an hour, beyond which something else is wrong.
const MAX_SILENCE: u32 = 3600 * 50;

/// Where recordings go, and as what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordingConfig {
    /// The folder; it has to be there.
    pub folder: PathBuf,
    /// The kind of file.
    pub format: Format,
    /// Samples a second.
    pub rate: Rate,
}

/// To the recorder.
#[derive(Debug)]
enum Task {
    /// A room begins to be recorded; `serial` is for Ogg.
    Start { room: RoomName, path: PathBuf, serial: u32 },
    /// The room's sound comes by this from now on, after what the one before still holds.
    Listen(RoomName, Consumer<Tick>),
    /// The room is no longer recorded.
    Stop(RoomName),
}

/// The recorder's thread, as the ordering side sees it. The thread ends when this is dropped and everything is written.
#[derive(Debug)]
pub(super) struct Recorder {
    config: RecordingConfig,
    tasks: Sender<Task>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Recorder {
    pub(super) fn start(mut config: RecordingConfig, reports: reports::Sender<MediaReport>, counters: Arc<Counters>) -> io::Result<Self> {
        // Operators are told where their files are, wherever they ask from.
        config.folder = std::path::absolute(config.folder)?;
        let (tasks, orders) = channel();
        let (format, rate) = (config.format, config.rate);
        let desk = Desk {
            open: Box::new(move |path, serial| open(path, format, rate, serial)),
            rate,
            reports,
            counters,
            recordings: Vec::new(),
        };
        let thread = thread::Builder::new()
            .name(format!("{PREFIX}recorder"))
            .spawn(move || desk.run(&orders))?;
        Ok(Self {
            config,
            tasks,
            thread: Some(thread),
        })
    }

    /// Begins a recording. The file's name tells room and time; `unix_ms` is the present, `serial` by chance.
    pub(super) fn record(&self, room: &RoomName, unix_ms: u64, serial: u32) {
        let name = format!("{}-{unix_ms}.{}", plain(room), self.config.format.extension());
        let path = self.config.folder.join(name);
        self.tell(Task::Start {
            room: room.clone(),
            path,
            serial,
        });
    }

    /// A tape for a room that is recorded.
    pub(super) fn tape(&self, room: &RoomName) -> Box<Tape> {
        let (tape, ticks) = Tape::new();
        self.tell(Task::Listen(room.clone(), ticks));
        Box::new(tape)
    }

    /// Ends a recording once what is on its tapes is written.
    pub(super) fn stop(&self, room: &RoomName) {
        self.tell(Task::Stop(room.clone()));
    }

    fn tell(&self, task: Task) {
        // The thread lives as long as this.
        let _ = self.tasks.send(task);
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.tasks = channel().0;
        // One that panicked has nothing left to write.
        let _ = self.thread.take().map(thread::JoinHandle::join);
    }
}

/// A room's name as part of a file's: nothing in it leads elsewhere.
fn plain(room: &RoomName) -> String {
    let keep = |c: char| if c.is_alphanumeric() || c == '-' || c == '_' { c } else { '_' };
    // With the time and the ending it stays under what a folder's entry may have, 255 bytes.
    let fits = |(at, c): &(usize, char)| at + c.len_utf8() <= 200;
    room.as_str().char_indices().take_while(fits).map(|(_, c)| keep(c)).collect()
}

fn open(path: &std::path::Path, format: Format, rate: Rate, serial: u32) -> io::Result<Box<dyn Sink>> {
    // What people say is for the operator alone.
    let file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
    let file = io::BufWriter::new(file);
    Ok(match format {
        Format::Wav => Box::new(WavSink::new(file, rate)?),
        Format::Ogg => Box::new(OggSink::new(file, rate, serial)?),
    })
}

type Open = Box<dyn FnMut(&std::path::Path, u32) -> io::Result<Box<dyn Sink>> + Send>;

/// The recorder itself. May wait for the disk, and for the channel of reports.
struct Desk {
    open: Open,
    rate: Rate,
    reports: reports::Sender<MediaReport>,
    counters: Arc<Counters>,
    recordings: Vec<Recording>,
}

/// One file under way.
#[derive(Debug)]
struct Recording {
    room: RoomName,
    sink: Box<dyn Sink>,
    /// In the order in which they are written: a room that moves to another thread gets a new one.
    tapes: Vec<Consumer<Tick>>,
    resampler: Resampler,
    lost: u32,
    rounds: u32,
    stopping: bool,
}

impl Desk {
    fn run(mut self, tasks: &Receiver<Task>) {
        let mut ending = false;
        while !ending {
            match tasks.recv_timeout(EVERY) {
                Ok(task) => {
                    self.handle(task);
                    continue;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    self.recordings.iter_mut().for_each(|recording| recording.stopping = true);
                    ending = true;
                }
            }
            self.write();
        }
    }

    fn handle(&mut self, task: Task) {
        match task {
            Task::Start { room, path, serial } => match (self.open)(&path, serial) {
                Ok(sink) => {
                    self.recordings.push(Recording {
                        room: room.clone(),
                        sink,
                        tapes: Vec::new(),
                        resampler: Resampler::new(self.rate),
                        lost: 0,
                        rounds: 0,
                        stopping: false,
                    });
                    let file = path.display().to_string();
                    self.report(MediaReport::RecordingStarted { room, file });
                }
                Err(error) => {
                    tracing::error!(%room, path = %path.display(), %error, "the recording can't be written");
                    self.report(MediaReport::RecordingEnded {
                        room,
                        lost_ms: 0,
                        error: Some(error.to_string()),
                    });
                }
            },
            Task::Listen(room, ticks) => {
                let recording = self.recordings.iter_mut().find(|r| r.room == room && !r.stopping);
                if let Some(recording) = recording {
                    recording.tapes.push(ticks);
                }
            }
            Task::Stop(room) => {
                let recording = self.recordings.iter_mut().find(|r| r.room == room && !r.stopping);
                if let Some(recording) = recording {
                    recording.stopping = true;
                }
            }
        }
    }

    /// Writes what is waiting, and ends what is over.
    fn write(&mut self) {
        let mut ended = Vec::new();
        self.recordings.retain_mut(|recording| {
            let over = match recording.write() {
                Ok(()) if recording.stopping => recording.sink.finish().err().map(|e| e.to_string()),
                Ok(()) => return true,
                Err(error) => Some(error.to_string()),
            };
            ended.push((recording.room.clone(), recording.lost, over));
            false
        });
        for (room, lost, error) in ended {
            if let Some(error) = &error {
                tracing::error!(%room, %error, "the recording breaks off");
            }
            let lost_ms = u64::from(lost) * u64::from(mixer::TICK_MS);
            self.report(MediaReport::RecordingEnded { room, lost_ms, error });
        }
    }

    fn report(&self, report: MediaReport) {
        if let MediaReport::RecordingEnded { lost_ms, error, .. } = &report {
            add(&self.counters.recordings_failed, error.is_some().into());
            add(&self.counters.recordings_lost_ms, *lost_ms);
        }
        // Fails only when nobody listens any more.
        let _ = self.reports.blocking_send(report);
    }
}

impl Recording {
    fn write(&mut self) -> io::Result<()> {
        while let Some(tape) = self.tapes.first_mut() {
            // Asked first: what was put on before it was let go is there.
            let over = tape.is_abandoned();
            while let Ok(tick) = tape.pop() {
                self.lost = self.lost.saturating_add(tick.missing);
                for _ in 0..tick.missing.min(MAX_SILENCE) {
                    self.sink.write(self.resampler.convert(&[], tick.rate))?;
                }
                self.sink.write(self.resampler.convert(tick.samples(), tick.rate))?;
            }
            if !over {
                break;
            }
            self.tapes.remove(0);
        }
        self.rounds += 1;
        if self.rounds.is_multiple_of(MEND) {
            self.sink.mend()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{
        path::Path,
        sync::{Arc, Mutex},
    };

    use super::*;

    /// A file that takes what it may.
    #[derive(Debug)]
    struct Paper {
        written: Arc<Mutex<Vec<i16>>>,
        space: usize,
    }

    impl Sink for Paper {
        fn write(&mut self, tick: &[i16]) -> io::Result<()> {
            let mut written = self.written.lock().expect("nobody panics");
            if written.len() + tick.len() > self.space {
                return Err(io::ErrorKind::StorageFull.into());
            }
            written.extend(tick);
            Ok(())
        }

        fn mend(&mut self) -> io::Result<()> {
            Ok(())
        }

        fn finish(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn room() -> RoomName {
        RoomName::new("blue").expect("a name")
    }

    fn desk(space: usize) -> (Desk, Arc<Mutex<Vec<i16>>>, reports::Receiver<MediaReport>) {
        let written = Arc::new(Mutex::new(Vec::new()));
        let (sender, told) = reports::channel(8);
        let paper = Arc::clone(&written);
        let open: Open = Box::new(move |path: &Path, _| {
            assert_eq!(path, Path::new("blue.wav"));
            let written = Arc::clone(&paper);
            Ok(Box::new(Paper { written, space }))
        });
        let mut desk = Desk {
            open,
            rate: Rate::Narrow,
            reports: sender,
            counters: Arc::default(),
            recordings: Vec::new(),
        };
        desk.handle(Task::Start {
            room: room(),
            path: "blue.wav".into(),
            serial: 1,
        });
        (desk, written, told)
    }

    #[test]
    fn lost_time_is_silence_and_a_room_that_moved_goes_on_where_it_was() {
        let (mut desk, written, mut told) = desk(usize::MAX);
        let started = MediaReport::RecordingStarted {
            room: room(),
            file: "blue.wav".into(),
        };
        assert_eq!(told.try_recv(), Ok(started));
        let (mut here, ticks) = Tape::new();
        desk.handle(Task::Listen(room(), ticks));
        let (mut there, ticks) = Tape::new();
        desk.handle(Task::Listen(room(), ticks));
        // The new thread is quicker than the old one.
        there.record(&[3; 160], Rate::Narrow);
        here.record(&[1; 160], Rate::Narrow);
        here.skip(2);
        here.record(&[2; 160], Rate::Narrow);
        desk.write();
        drop(here);
        desk.handle(Task::Stop(room()));
        desk.write();
        let parts: Vec<i16> = written.lock().expect("nobody panics").chunks(160).map(|tick| tick[80]).collect();
        assert_eq!(parts, [1, 0, 0, 2, 3]);
        let ended = MediaReport::RecordingEnded {
            room: room(),
            lost_ms: 40,
            error: None,
        };
        assert_eq!(told.try_recv(), Ok(ended));
        assert!(desk.recordings.is_empty());
        let stats = desk.counters.snapshot();
        assert_eq!((stats.recordings_failed, stats.recordings_lost_ms), (0, 40));
    }

    #[test]
    fn a_full_disk_ends_the_recording_and_nothing_else() {
        let (mut desk, _, mut told) = desk(200);
        told.try_recv().expect("the start");
        let (mut tape, ticks) = Tape::new();
        desk.handle(Task::Listen(room(), ticks));
        tape.record(&[1; 160], Rate::Narrow);
        tape.record(&[1; 160], Rate::Narrow);
        desk.write();
        assert!(matches!(told.try_recv(), Ok(MediaReport::RecordingEnded { error: Some(_), .. })));
        assert_eq!(desk.counters.snapshot().recordings_failed, 1);
        // The room doesn't know yet, and needn't.
        tape.record(&[1; 160], Rate::Narrow);
        desk.handle(Task::Stop(room()));
        desk.write();
        assert!(told.try_recv().is_err());
    }

    #[test]
    fn no_name_of_a_room_leads_out_of_the_folder() {
        let name = RoomName::new("../etc/passwd").map(|name| plain(&name));
        assert!(name.is_err() || name.is_ok_and(|name| !name.contains(['/', '.'])));
        assert_eq!(plain(&room()), "blue");
        let long = RoomName::new(&"字".repeat(300)).map_or(0, |name| plain(&name).len());
        assert!(long <= 200, "{long} bytes");
    }
}
