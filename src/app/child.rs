//! Child processes that end when we do, however we end. Does not restart them, and runs no shell.

use std::{
    ffi::OsStr,
    io,
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, ExitStatus},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

/// A child process, killed when this value is dropped and when our process dies.
#[derive(Debug)]
pub struct Supervised {
    name: String,
    child: Child,
    /// Keeps the spawning thread alive: the kernel sends the parent-death signal when that *thread* ends (prctl(2)).
    _holder: mpsc::Sender<()>,
}

/// Why a child could not be started.
#[derive(Debug, thiserror::Error)]
pub enum ChildError {
    /// The program isn't in `PATH`.
    #[error("`{program}` is not installed (Debian: apt-get install {package})")]
    NotInstalled {
        /// The program.
        program: String,
        /// Where Debian has it.
        package: &'static str,
    },
    /// The kernel refused.
    #[error("`{program}` does not start")]
    Spawn {
        /// The program.
        program: String,
        /// Its words.
        source: io::Error,
    },
}

/// A command that will be sent SIGKILL when the thread that spawns it ends; add arguments, then hand it to [`Supervised::start`].
///
/// `setpriv` (util-linux, on every Debian) sets the parent-death signal and then becomes the program, so that the process id stays.
pub fn command(program: &str, package: &'static str) -> Result<Command, ChildError> {
    if !is_installed(program) {
        return Err(ChildError::NotInstalled {
            program: program.to_owned(),
            package,
        });
    }
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--", program]);
    Ok(command)
}

/// Whether a program of this name, or at this path, can be started.
pub fn is_installed(program: &str) -> bool {
    if program.contains('/') {
        return Path::new(program).is_file();
    }
    std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).is_file()))
}

impl Supervised {
    /// Starts a [`command`]. `name` is for messages.
    pub fn start(name: &str, mut command: Command) -> Result<Self, ChildError> {
        let failed = |source| ChildError::Spawn {
            program: name.to_owned(),
            source,
        };
        let (spawned, result) = mpsc::channel();
        let (holder, released) = mpsc::channel::<()>();
        thread::Builder::new()
            .name(format!("hold {name}"))
            .spawn(move || {
                let sent = spawned.send(command.spawn());
                // The command keeps our ends of the child's pipes: without them a reader would never see the end of file.
                drop(command);
                if sent.is_ok() {
                    let _until_the_owner_is_gone = released.recv();
                }
            })
            .map_err(failed)?;
        let child = result.recv().map_err(io::Error::other).and_then(|r| r).map_err(failed)?;
        Ok(Self {
            name: name.to_owned(),
            child,
            _holder: holder,
        })
    }

    /// Its name, as given.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its standard input, once, if the command asked for a pipe.
    pub fn stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// Its standard output, once, if the command asked for a pipe.
    pub fn stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Waits for its end, at most `limit`.
    pub fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        wait_until(limit, || self.ended())
    }

    /// Asks it to end (SIGTERM). Does nothing if it has ended.
    pub fn terminate(&mut self) {
        self.signal("TERM");
    }

    /// Sends a signal by name. Does nothing if it has ended.
    pub fn signal(&mut self, signal: &str) {
        // The process is ours and not yet waited for, so its id can't have been given to another one.
        if self.ended().is_none() {
            // The shell's own `kill`: the program of that name is in no package that has to be installed.
            let _it_may_have_ended_since = Command::new("sh")
                .arg("-c")
                .arg(format!("kill -{signal} {}", self.id()))
                .stderr(std::process::Stdio::null())
                .status();
        }
    }

    /// Ends it at once (SIGKILL) and waits for that.
    pub fn kill(&mut self) {
        let _it_may_have_ended = self.child.kill();
        let _its_status_is_of_no_use = self.child.wait();
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Polls `check` until it gives something, at most `limit`; the last try is at the limit.
pub fn wait_until<T>(limit: Duration, mut check: impl FnMut() -> Option<T>) -> Option<T> {
    /// Short against any start of a process, long against the cost of a look.
    const STEP: Duration = Duration::from_millis(10);
    let deadline = Instant::now() + limit;
    loop {
        let last = Instant::now() >= deadline;
        match check() {
            None if !last => thread::sleep(STEP),
            found => return found,
        }
    }
}

/// The last lines of a log, for an error message.
pub fn tail(log: impl AsRef<OsStr>, lines: usize) -> String {
    let text = std::fs::read(Path::new(&log)).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{io::Read, process::Stdio};

    #[test]
    fn a_missing_program_is_named_with_its_package() {
        let error = command("no-such-program", "no-such-package").expect_err("it does not exist");
        assert_eq!(
            error.to_string(),
            "`no-such-program` is not installed (Debian: apt-get install no-such-package)"
        );
    }

    #[test]
    fn a_child_ends_with_its_owner() {
        let mut command = command("sleep", "coreutils").expect("coreutils");
        command.arg("600");
        let mut child = Supervised::start("sleep", command).expect("it starts");
        let stat = format!("/proc/{}/stat", child.id());
        assert_eq!(child.ended(), None);
        assert!(Path::new(&stat).exists());
        drop(child);
        assert!(!Path::new(&stat).exists());
    }

    #[test]
    fn a_child_outlives_the_thread_that_asked_for_it() {
        let mut child = thread::spawn(|| {
            let mut command = command("cat", "coreutils").expect("coreutils");
            command.stdin(Stdio::piped()).stdout(Stdio::piped());
            Supervised::start("cat", command).expect("it starts")
        })
        .join()
        .expect("no panic");
        let mut output = child.stdout().expect("piped");
        drop(child.stdin());
        let status = child.wait(Duration::from_secs(20)).expect("it ends at the end of its input");
        assert!(status.success(), "ended by {status}, not by itself");
        let mut text = String::new();
        assert_eq!(output.read_to_string(&mut text).expect("readable"), 0);
    }

    #[test]
    fn a_child_can_be_asked_to_end() {
        let mut command = command("sleep", "coreutils").expect("coreutils");
        command.arg("600");
        let mut child = Supervised::start("sleep", command).expect("it starts");
        child.terminate();
        assert!(child.wait(Duration::from_secs(20)).is_some());
    }
}
