//! The demo: a whole installation on loopback with a room in it, for people to join, or for a scripted phone and a scripted chat user.
//!
//! Everything is what an operator would run: a real chat server, a configuration file, the ordinary server; callers and chat users come in by
//! its doors. Leaves nothing behind but the recording.

mod chat;
mod script;
mod sound;
mod stage;

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use rand::{Rng, SeedableRng, rngs::StdRng};

use self::stage::Stage;
use super::{phone::PhoneError, prosody::ProsodyError, serve::StartError};
use crate::{config::Mistakes, media::wav::Wav};

/// How the demo is run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Play the script, and end within so many seconds; without, until told to stop.
    pub seconds: Option<u64>,
    /// Where configuration, data and logs go, and stay; without, a temporary folder.
    pub dir: Option<PathBuf>,
    /// Where the mix goes, as heard.
    pub out: PathBuf,
}

/// Why the demo did not do what it promised.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DemoError {
    /// A file or folder can't be written.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The chat server.
    #[error(transparent)]
    Prosody(#[from] ProsodyError),
    /// No port for SIP.
    #[error("no free port for SIP")]
    Port(#[source] io::Error),
    /// The limit of open files.
    #[error("the limit of open files can't be read")]
    Files(#[source] io::Error),
    /// The generated configuration.
    #[error(transparent)]
    Config(#[from] Mistakes),
    /// The server.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The bot or the listener.
    #[error("a phone of the demo")]
    Phone(#[from] PhoneError),
    /// The bot's chat half.
    #[error("the chat server does not let the room in: {0}")]
    Chat(String),
    /// A step of the script did not happen.
    #[error("FAILED: {step}: {why}")]
    Step {
        /// What should have happened.
        step: &'static str,
        /// What did instead.
        why: String,
    },
    /// The time was over before the script was.
    #[error("FAILED: {0} seconds are too few for the script on this machine; 20 are plenty on a busy one")]
    TooFewSeconds(u64),
    /// Told to stop in the middle of the script.
    #[error("stopped before the script was through")]
    Stopped,
    /// The process goes down.
    #[error("the demo was aborted")]
    Aborted,
}

/// Takes what the demo prints, a line at a time.
pub type Print = Arc<dyn Fn(&str) + Send + Sync>;

/// Prints with the time since the start.
#[derive(Clone)]
struct Teller {
    since: Instant,
    print: Print,
}

impl fmt::Debug for Teller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Teller").field("since", &self.since).finish_non_exhaustive()
    }
}

impl Teller {
    fn say(&self, text: &str) {
        (self.print)(&format!("{:8.3}  {text}", self.since.elapsed().as_secs_f64()));
    }
}

/// Runs the demo until it is through or `stop` completes, and cleans up in each case.
pub async fn run(options: Options, print: Print, stop: impl Future<Output = ()>) -> Result<(), DemoError> {
    let teller = Teller {
        since: Instant::now(),
        print: Arc::clone(&print),
    };
    let folder = Folder::new(options.dir.as_deref())?;
    let limit = options
        .seconds
        .map(|seconds| (Duration::from_secs(seconds), DemoError::TooFewSeconds(seconds)));
    tokio::pin!(stop);
    let play = async {
        let stage = Stage::start(&folder.path, &teller).await?;
        print(&stage.ways_in());
        Ok::<Stage, DemoError>(stage)
    };
    let Some((limit, too_few)) = limit else {
        let stage = tokio::select! {
            stage = play => stage?,
            () = &mut stop => return Ok(()),
        };
        print("until you press Ctrl-C:");
        stop.await;
        return save(&stage.stop().await, &options.out, &teller);
    };
    let until = tokio::time::Instant::now() + limit;
    let stage = tokio::select! {
        stage = play => stage?,
        () = &mut stop => return Err(DemoError::Stopped),
        () = tokio::time::sleep_until(until) => return Err(too_few),
    };
    let played = tokio::select! {
        played = script::play(&stage, &teller) => played,
        () = &mut stop => Err(DemoError::Stopped),
        () = tokio::time::sleep_until(until) => Err(too_few),
    };
    let wav = stage.stop().await;
    save(&wav, &options.out, &teller)?;
    played?;
    script::check_recording(&wav)?;
    teller.say("ok: everything happened");
    Ok(())
}

fn save(wav: &Wav, out: &Path, teller: &Teller) -> Result<(), DemoError> {
    fs::write(out, wav.to_bytes()).map_err(|source| DemoError::File {
        path: out.to_owned(),
        source,
    })?;
    let shown = fs::canonicalize(out).unwrap_or_else(|_| out.to_owned());
    let length = wav.samples.len() as f64 / f64::from(wav.rate);
    teller.say(&format!("the mix as heard, {length:.1} s: {}", shown.display()));
    Ok(())
}

/// The demo's folder; a temporary one is removed at the end.
#[derive(Debug)]
struct Folder {
    path: PathBuf,
    temporary: bool,
}

impl Folder {
    fn new(chosen: Option<&Path>) -> Result<Self, DemoError> {
        let (path, created) = match chosen {
            Some(chosen) => (chosen.to_owned(), fs::create_dir_all(chosen)),
            None => {
                let chance: u32 = StdRng::from_os_rng().random();
                let path = std::env::temp_dir().join(format!("cusax-demo-{chance:08x}"));
                // Not one that is there already: it may be somebody else's.
                let created = fs::create_dir(&path);
                (path, created)
            }
        };
        let path = created
            .and_then(|()| fs::canonicalize(&path))
            .map_err(|source| DemoError::File { path, source })?;
        Ok(Self {
            path,
            temporary: chosen.is_none(),
        })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.temporary {
            // What can't be removed is in the system's folder for such things.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}
