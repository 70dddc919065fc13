//! The floor: a server that only receives and sends, with the product's own system calls and sockets, and mixes nothing.

use std::{
    io::{BufRead, BufReader, Write},
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    process::Stdio,
    time::Duration,
};

use cusax::app::child::{self, Supervised};

use crate::{
    Outcome, machine,
    server::{Codec, Server},
};

#[path = "../../src/media/batch.rs"]
#[allow(dead_code, unused_imports, reason = "the media plane uses more of it, and its tests are there")]
mod batch;
#[path = "../../src/media/sys.rs"]
#[allow(dead_code, unused_imports, reason = "the media plane uses more of it, and its tests are there")]
mod sys;

use batch::{Inbox, Outbox};
use sys::{Epoll, Ticker};

/// As often as the media threads look at their sockets, four times in a tick.
const PHASE: Duration = Duration::from_millis(5);
const PHASES: u64 = 4;

/// A PCMU packet of 20 ms.
const PACKET: usize = 172;

/// The first argument that makes this program such a server.
pub(crate) const ARGUMENT: &str = "floor";

/// A leg's sockets as the product has them, and where its packets come from.
struct Leg {
    rtp: UdpSocket,
    rtcp: UdpSocket,
    peer: Option<SocketAddr>,
}

/// Serves that many legs until the process is killed; tells their ports in a line.
pub(crate) fn serve(legs: usize) -> Outcome<()> {
    sys::raise_open_file_limit()?;
    let (mut epoll, ticker, mut inbox, mut outbox) = (Epoll::new()?, Ticker::new(PHASE)?, Inbox::new(), Outbox::new());
    let mut all = Vec::with_capacity(legs);
    let mut ports = String::new();
    for token in 0..legs as u64 {
        let (rtp, rtcp) = (
            UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?,
            UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?,
        );
        epoll.add(&rtp, 2 * token)?;
        epoll.add(&rtcp, 2 * token + 1)?;
        ports += &format!("{} ", rtp.local_addr()?.port());
        all.push(Leg { rtp, rtcp, peer: None });
    }
    writeln!(std::io::stdout(), "{ports}")?;
    let mut alarm = Epoll::new()?;
    alarm.add(&ticker, 0)?;
    ticker.arm(true)?;
    let mut phases = 0;
    loop {
        let _interrupted = alarm.wait();
        let (before, elapsed) = (phases, ticker.elapsed());
        phases += elapsed;
        while let Ok(ready @ 1..) = epoll.ready() {
            for token in (0..ready).map(|i| epoll.token(i)) {
                let leg: &mut Leg = &mut all[(token >> 1) as usize];
                if token & 1 == 1 {
                    inbox.receive(&leg.rtcp, 1);
                } else if inbox.receive(&leg.rtp, 1) == 1 {
                    leg.peer = inbox.datagram(0).map(|(source, _)| source).or(leg.peer);
                }
            }
        }
        for tick in before / PHASES..phases / PHASES {
            for leg in &all {
                let Some(peer) = leg.peer else { continue };
                outbox.push(&leg.rtp, peer, |slot| {
                    slot[..PACKET].fill(0xff);
                    slot[..2].copy_from_slice(&[0x80, 0]);
                    slot[2..4].copy_from_slice(&(tick as u16).to_be_bytes());
                    PACKET
                });
            }
            outbox.flush();
        }
    }
}

/// Such a server as a process of its own.
pub(crate) struct Floor {
    process: Supervised,
    ports: std::vec::IntoIter<u16>,
}

impl Floor {
    pub(crate) fn start(legs: usize) -> Outcome<Self> {
        let program = std::env::current_exe()?;
        let mut command = child::command(program.to_str().ok_or("a path in UTF-8")?, "cusax")?;
        command
            .args([ARGUMENT, &legs.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let mut process = Supervised::start(ARGUMENT, command)?;
        let mut line = String::new();
        BufReader::new(process.stdout().ok_or("no output")?).read_line(&mut line)?;
        let ports: Vec<u16> = line.split_whitespace().map_while(|p| p.parse().ok()).collect();
        machine::pin(process.id(), machine::SERVER_CORE)?;
        Ok(Self {
            process,
            ports: ports.into_iter(),
        })
    }
}

impl Server for Floor {
    fn id(&self) -> u32 {
        self.process.id()
    }

    fn join(&mut self, _room: usize, _codec: Codec, _port: u16) -> Outcome<SocketAddr> {
        let port = self.ports.next().ok_or("it has fewer legs")?;
        Ok((Ipv4Addr::LOCALHOST, port).into())
    }
}
