//! The servers under load: the real program, and the SIP half alone.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use cusax::{
    app::child::{self, Supervised},
    io::sip::SipTransport,
    model::CallId,
    sip::endpoint::{Body, Endpoint, EndpointConfig, Event, Listener, Presentation, Transport},
};
use tokio::time::sleep_until;

use crate::Outcome;

/// A server that runs.
#[derive(Debug)]
pub(crate) struct Server {
    child: Supervised,
    /// Where it takes calls.
    pub(crate) address: SocketAddr,
}

/// The argument with which this program is the SIP half alone.
pub(crate) const BARE: &str = "bare-server";

impl Server {
    /// Starts the real program with a room `hall`, without a chat server.
    pub(crate) fn whole(folder: &Path) -> Outcome<Self> {
        let config = "[sip]\ndomain = 'conf.localhost'\nlisten = ['udp:127.0.0.1:0']\n\
                      [media]\nlisten = ['127.0.0.1']\nports = '16384-32767'\n\
                      [xmpp]\nserver = '127.0.0.1:1'\nrooms = 'rooms.localhost'\nphones = 'phones.localhost'\nsecret = 'none'\n\
                      [rooms]\nmax_people = 5000\n[[room]]\nname = 'hall'\n\
                      [store]\npath = 'cusax.db'\n[control]\nsocket = 'control.sock'\n[log]\nlevel = 'error'\n";
        fs::write(folder.join("cusax.toml"), config)?;
        let mut command = child::command(env!("CARGO_BIN_EXE_cusax"), "cusax")?;
        command.args(["serve", "--config", "cusax.toml"]).current_dir(folder);
        Self::start(command)
    }

    /// Starts the SIP half alone: sockets, transactions and dialogs, which take every call.
    pub(crate) fn bare() -> Outcome<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(BARE);
        Self::start(command)
    }

    fn start(mut command: Command) -> Outcome<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = Supervised::start("server", command)?;
        let mut ready = String::new();
        BufReader::new(child.stdout().ok_or("no output")?).read_line(&mut ready)?;
        let address = ready.trim().strip_prefix("ready: udp:").ok_or("not ready")?.parse()?;
        Ok(Self { child, address })
    }

    /// Processor time that all its threads have used, the kernel's part included.
    pub(crate) fn cpu(&self) -> Outcome<Duration> {
        let mut nanoseconds = 0;
        for thread in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            // A thread that has just ended has no file any more.
            let text = fs::read_to_string(thread?.path().join("schedstat")).unwrap_or_default();
            nanoseconds += text.split(' ').next().and_then(|ns| ns.parse::<u64>().ok()).unwrap_or(0);
        }
        Ok(Duration::from_nanos(nanoseconds))
    }

    /// Resident memory, in KiB.
    pub(crate) fn resident(&self) -> Outcome<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }

    /// A counter of `cusax stats`; of the real program only.
    pub(crate) fn counter(&self, folder: &Path, name: &str) -> Outcome<u64> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cusax"));
        command.args(["stats", "--json", "--socket"]).arg(folder.join("control.sock"));
        let answer: serde_json::Value = serde_json::from_slice(&command.output()?.stdout)?;
        Ok(answer["counters"][name].as_u64().ok_or_else(|| format!("no counter {name}"))?)
    }
}

/// Is the SIP half alone, until it is killed.
pub(crate) fn serve_bare() -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let (sockets, mut inbound) = SipTransport::bind(&[(Transport::Udp, address)], None, &[])?;
        let (_, local) = sockets.listening().first().copied().ok_or("no socket")?;
        let mut endpoint = Endpoint::new(EndpointConfig::new(vec![Listener::plain(Transport::Udp, local)]), 1);
        println!("ready: udp:{local}");
        loop {
            let due = endpoint.poll_timeout();
            tokio::select! {
                message = inbound.recv() => endpoint.handle_inbound(Instant::now(), message.ok_or("no sockets")?),
                () = async { match due { Some((at, _)) => sleep_until(at.into()).await, None => std::future::pending().await } } => {
                    endpoint.handle_timeout(Instant::now());
                }
            }
            while let Some(event) = endpoint.poll_event() {
                if let Event::Invite { call, .. } = event {
                    accept(&mut endpoint, call)?;
                }
            }
            while let Some(transmit) = endpoint.poll_transmit() {
                sockets.send(transmit);
            }
        }
    })
}

fn accept(endpoint: &mut Endpoint, call: CallId) -> Outcome<()> {
    let answer = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\na=inactive\r\n";
    let focus = Presentation {
        focus: true,
        ..Presentation::default()
    };
    Ok(endpoint.accept(Instant::now(), call, focus, Body::sdp(answer))?)
}
