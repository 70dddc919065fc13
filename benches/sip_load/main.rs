//! How many calls the server signals for a second of processor time, whether that costs memory, and how it stands bursts.
//!
//! `cargo bench --bench sip_load`, or with `-- --calls 100000` for the long look at memory. SIPp calls on loopback. First the SIP half alone
//! (sockets, transactions, dialogs), then the real program, in which each call has a port, a leg, and a place in a room. The last line is for
//! machines: calls per second of the server's processor time, both ways; ms until 99 of 100 INVITEs of a burst have a first response; ticks of the
//! media threads that came 5 ms late or more while 500 callers joined at once.
#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench reads the clock and prints what it measured"
)]

mod burst;
mod server;
mod sipp;

use std::{error::Error, fs, path::PathBuf, time::Duration};

use server::Server;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Calls a second for longer than half a minute: a transaction over UDP lives for 32 s after its call, and one source may have 32,768 of them.
const SUSTAINED: u32 = 450;

/// How much of everything.
#[derive(Debug, Clone, Copy)]
struct Size {
    calls: u32,
    /// Calls a second.
    rate: u32,
    burst: usize,
    storm: usize,
}

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|a| a == server::BARE) {
        return server::serve_bare();
    }
    // As a test a few calls are enough.
    let mut size = if arguments.iter().any(|a| a == "--bench") {
        Size {
            calls: 12_000,
            rate: 2_000,
            burst: 2_000,
            storm: 500,
        }
    } else {
        Size {
            calls: 50,
            rate: 50,
            burst: 20,
            storm: 10,
        }
    };
    if let Some(at) = arguments.iter().position(|a| a == "--calls") {
        size.calls = arguments.get(at + 1).ok_or("--calls needs a number")?.parse()?;
        size.rate = SUSTAINED;
    }
    let folder = Folder(std::env::temp_dir().join(format!("cusax-sip-load-{}", std::process::id())));
    fs::create_dir_all(&folder.0)?;

    let bare = throughput(&folder, "the SIP half alone", Server::bare()?, size)?;
    let whole = throughput(&folder, "with SDP, ports and legs", Server::whole(&folder.0)?, size)?;
    let p99 = burst(&folder, size)?;
    let behind = storm(&folder, size)?;
    println!("calls_per_cpu_s={bare:.0} media_calls_per_cpu_s={whole:.0} burst_p99_ms={p99:.1} storm_ticks_behind={behind}");
    Ok(())
}

fn throughput(folder: &Folder, what: &str, server: Server, size: Size) -> Outcome<f64> {
    // What is allocated once is there after these.
    sipp::calls(&folder.0, server.address, size.calls / 5, size.rate)?;
    let (cpu, memory) = (server.cpu()?, server.resident()?);
    let counted = sipp::calls(&folder.0, server.address, size.calls, size.rate)?;
    let used = (server.cpu()? - cpu).as_secs_f64();
    let rate = counted.good as f64 / used;
    println!(
        "{what}: {} calls in {:.1} s, {} failed, {} messages repeated; {used:.2} s of processor time, {:.0} us a call; {memory} KiB resident \
         before, {} KiB after",
        counted.good,
        counted.took.as_secs_f64(),
        counted.failed,
        counted.repeated,
        1e6 / rate,
        server.resident()?,
    );
    Ok(rate)
}

fn burst(folder: &Folder, size: Size) -> Outcome<f64> {
    let server = Server::whole(&folder.0)?;
    let burst = burst::burst(server.address, size.burst, || Ok(()))?;
    println!(
        "a burst of {} INVITEs: {} answered, {} repeated; first response after {:.1} ms (median), {:.1} (99 of 100), {:.1} (last)",
        size.burst,
        burst.answered,
        burst.repeated,
        burst.percentile(50),
        burst.percentile(99),
        burst.percentile(100),
    );
    if burst.answered < size.burst {
        return Err("calls were lost".into());
    }
    Ok(burst.percentile(99))
}

fn storm(folder: &Folder, size: Size) -> Outcome<u64> {
    let server = Server::whole(&folder.0)?;
    let (mut behind, mut late) = (0, 0);
    let storm = burst::burst(server.address, size.storm, || {
        // The counters are those of a second.
        std::thread::sleep(Duration::from_secs(2));
        behind = server.counter(&folder.0, "media.ticks_behind")?;
        late = server.counter(&folder.0, "media.late_ticks")?;
        Ok(())
    })?;
    println!(
        "{} callers join at once: {} are in; {behind} ticks began 5 ms late or more, {late} of them 20 ms",
        size.storm, storm.answered
    );
    Ok(behind)
}

/// Removed at the end.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _it_is_only_temporary = fs::remove_dir_all(&self.0);
    }
}
