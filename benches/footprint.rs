//! How much memory the server takes with nothing to do, and for each PCMU call: dialog, transaction, sockets' state and audio included.
//!
//! `cargo bench --bench footprint`. Starts the real program, without a chat server. The last line is for machines: resident megabytes idle,
//! and resident KiB per call over the idle size.
#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench reads the clock and prints what it measured"
)]

#[path = "../tests/interop/peers/caller.rs"]
#[expect(dead_code, reason = "these calls end with the server")]
mod caller;

use std::{
    error::Error,
    fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    thread,
    time::Duration,
};

use caller::{Call, Caller};
use cusax::app::child::{self, Supervised};

/// Voice that each call sends, so that its jitter buffer and latch have had something to do.
const PACKETS: u16 = 25;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    // `cargo bench` says so; as a test a few calls are enough.
    let calls = if std::env::args().any(|argument| argument == "--bench") {
        500
    } else {
        10
    };
    let folder = Folder(std::env::temp_dir().join(format!("cusax-footprint-{}", std::process::id())));
    fs::create_dir_all(&folder.0)?;
    let (server, address) = start(&folder.0)?;
    let idle = resident_kib(&server)?;

    let mut caller = Caller::new(address)?;
    let up: Vec<Call> = (0..calls)
        .map(|n| caller.call("hall", &format!("c{n}")))
        .collect::<Result<_, _>>()?;
    let signalled = resident_kib(&server)?;
    speak(&caller, &up)?;
    let spoken = resident_kib(&server)?;

    let per_call = |now: u64| now.saturating_sub(idle) as f64 / f64::from(calls);
    println!("idle: {:.1} MB resident", idle as f64 / 1024.0);
    println!("{calls} PCMU calls: {:.1} KiB each when answered", per_call(signalled));
    println!("{calls} PCMU calls: {:.1} KiB each when all have spoken", per_call(spoken));
    println!("idle_mb={:.1} leg_kib={:.1}", idle as f64 / 1024.0, per_call(spoken));
    Ok(())
}

/// Silence from every call, as a phone sends it.
fn speak(caller: &Caller, calls: &[Call]) -> Outcome<()> {
    let silence = [0xff; 160];
    for number in 0..PACKETS {
        for (call, ssrc) in calls.iter().zip(1u32..) {
            let mut packet = vec![0x80, 0];
            packet.extend(number.to_be_bytes());
            packet.extend((u32::from(number) * 160).to_be_bytes());
            packet.extend(ssrc.to_be_bytes());
            packet.extend(silence);
            caller.media().send_to(&packet, call.media)?;
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn start(folder: &Path) -> Outcome<(Supervised, SocketAddr)> {
    let config = "[sip]\ndomain = 'conf.localhost'\nlisten = ['udp:127.0.0.1:0']\n\
                  [media]\nlisten = ['127.0.0.1']\nports = '16384-32767'\ntimeout_s = 600\n\
                  [xmpp]\nserver = '127.0.0.1:1'\nrooms = 'rooms.localhost'\nphones = 'phones.localhost'\nsecret = 'none'\n\
                  [rooms]\nmax_people = 2000\n[[room]]\nname = 'hall'\n\
                  [store]\npath = 'cusax.db'\n[control]\nsocket = 'control.sock'\n[log]\nlevel = 'error'\n";
    fs::write(folder.join("cusax.toml"), config)?;
    let mut command = child::command(env!("CARGO_BIN_EXE_cusax"), "cusax")?;
    command.args(["serve", "--config", "cusax.toml"]).current_dir(folder);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut server = Supervised::start("cusax", command)?;
    let mut ready = String::new();
    BufReader::new(server.stdout().ok_or("no output")?).read_line(&mut ready)?;
    let address = ready.trim().strip_prefix("ready: udp:").ok_or("not ready")?.parse()?;
    Ok((server, address))
}

fn resident_kib(server: &Supervised) -> Outcome<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", server.id()))?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// Removed at the end.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _it_is_only_temporary = fs::remove_dir_all(&self.0);
    }
}
