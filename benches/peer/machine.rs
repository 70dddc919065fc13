//! The machine: which core who runs on, and who used how much of it.

use std::{
    fs,
    process::{Command, Stdio},
};

use crate::Outcome;

/// The core of the server under test.
pub(crate) const SERVER_CORE: usize = 0;

/// The core of the load generator: another one, if there is one.
pub(crate) fn load_core() -> usize {
    std::thread::available_parallelism().map_or(0, |n| (n.get() - 1).min(1))
}

/// Its processor and kernel.
pub(crate) fn describe() -> String {
    let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
    let processors = read("/proc/cpuinfo");
    let mut models = processors.lines().filter_map(|l| l.strip_prefix("model name")?.split_once(": "));
    let model = models.next().map_or("unknown processor", |(_, name)| name);
    let kernel = read("/proc/sys/kernel/osrelease");
    format!("{model}, {} of them, Linux {}", models.count() + 1, kernel.trim())
}

/// What a process is told, so that it gets its core before the others of other sessions: `nice` counts within a session only.
const FIRST: &str = "-15";

/// Binds a process with all its threads to a core.
pub(crate) fn pin(process: u32, core: usize) -> Outcome<()> {
    let done = Command::new("taskset")
        .args(["-apc", &core.to_string(), &process.to_string()])
        .stdout(Stdio::null())
        .status()?;
    if !done.success() {
        return Err(format!("process {process} can't be bound to processor {core}").into());
    }
    Ok(())
}

/// Gives a process's session the processor before others; whether that is permitted.
pub(crate) fn prefer(process: u32) -> bool {
    fs::write(format!("/proc/{process}/autogroup"), FIRST).is_ok()
}

/// Readings at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Reading {
    /// Nanoseconds that the server's threads have run.
    server: u64,
    /// The same of this process.
    load: u64,
    /// Of all processors, and of the two that are used.
    all: Ticks,
    cores: [Ticks; 2],
}

/// A line of `/proc/stat`, in ticks of the kernel's clock.
#[derive(Debug, Clone, Copy)]
struct Ticks {
    busy: u64,
    steal: u64,
    total: u64,
}

/// What was used between two readings.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    /// Per cent of a core that the server used.
    pub(crate) server: f64,
    /// Per cent of its core during which the generator's core was busy, whoever used it.
    pub(crate) load_core: f64,
    /// Per cent of the two cores that went to neither.
    pub(crate) others: f64,
    /// Per cent of all processors' time that the hypervisor gave to others.
    pub(crate) steal: f64,
}

impl Reading {
    /// Reads now, for a server with this process id.
    pub(crate) fn take(server: u32) -> Outcome<Self> {
        let stat = fs::read_to_string("/proc/stat")?;
        let line = |name: String| Ticks::parse(&stat, &name).ok_or_else(|| format!("no {name} in /proc/stat"));
        Ok(Self {
            server: run_time(server)?,
            load: run_time(std::process::id())?,
            all: line("cpu".into())?,
            cores: [line(format!("cpu{SERVER_CORE}"))?, line(format!("cpu{}", load_core()))?],
        })
    }

    /// What was used from `before` on, over that many seconds.
    pub(crate) fn since(&self, before: &Self, seconds: f64) -> Usage {
        let percent = |now: u64, then: u64| (now.saturating_sub(then)) as f64 / 1e7 / seconds;
        let share = |now: u64, then: u64, of: u64| 100.0 * now.saturating_sub(then) as f64 / of.max(1) as f64;
        let busy = |n: usize| {
            let (now, then) = (self.cores[n], before.cores[n]);
            share(now.busy, then.busy, now.total - then.total)
        };
        let (server, load) = (percent(self.server, before.server), percent(self.load, before.load));
        Usage {
            server,
            load_core: busy(1),
            others: (busy(0) + busy(1) - server - load).max(0.0) / 2.0,
            steal: share(self.all.steal, before.all.steal, self.all.total - before.all.total),
        }
    }
}

impl Ticks {
    fn parse(stat: &str, name: &str) -> Option<Self> {
        let line = stat.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(' '))?;
        let mut fields = line.split_whitespace().map_while(|f| f.parse::<u64>().ok());
        let [user, nice, system, idle, wait, irq, soft, steal] = std::array::from_fn(|_| fields.next().unwrap_or(0));
        let busy = user + nice + system + irq + soft;
        Some(Self {
            busy,
            steal,
            total: busy + idle + wait + steal,
        })
    }
}

/// Nanoseconds that all threads of a process have run, the kernel's part included: finer than the ticks in `/proc/PID/stat`.
fn run_time(process: u32) -> Outcome<u64> {
    let mut sum = 0;
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        // A thread that has just ended has no file any more.
        let text = fs::read_to_string(thread?.path().join("schedstat")).unwrap_or_default();
        sum += text.split(' ').next().and_then(|ns| ns.parse::<u64>().ok()).unwrap_or(0);
    }
    Ok(sum)
}
