//! The server under test: the real program with a generated configuration, in front of a [`super::prosody`].

use std::{
    fmt::Write as _,
    fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use cusax::app::{
    child::{self, Supervised},
    prosody::Prosody,
};
use serde_json::Value;

use super::{
    Authority, Line,
    events::{Events, LIMIT},
};

/// A running server with the room `standup`, which Ann owns.
#[derive(Debug)]
pub(crate) struct Server {
    folder: PathBuf,
    child: Supervised,
    ports: Ports,
    authority: Authority,
    /// How often both chat connections came up.
    chat_ups: usize,
}

/// Where it takes calls.
#[derive(Debug, Clone, Copy)]
struct Ports {
    udp: SocketAddr,
    tcp: SocketAddr,
    tls: SocketAddr,
    wss: SocketAddr,
}

/// Where a configuration differs from that of most tests.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Special<'a> {
    /// Lines for `[sip]`.
    pub(crate) sip: &'a str,
    /// Lines for `[media]`.
    pub(crate) media: &'a str,
    /// Where components connect, if not at the Prosody's own port.
    pub(crate) chat_server: Option<SocketAddr>,
    /// More tables.
    pub(crate) more: &'a str,
}

/// The room's chat address.
pub(crate) const ROOM: &str = "standup@rooms.localhost";
/// Domain of the SIP addresses.
pub(crate) const DOMAIN: &str = "conf.localhost";

impl Server {
    /// Starts it; every user of the Prosody has an account of the same name at both halves, with their name as secret. `more` is added to the configuration.
    pub(crate) fn start(prosody: &Prosody, folder: &Path, more: &str) -> Self {
        Self::start_with(
            prosody,
            folder,
            &Special {
                more,
                ..Special::default()
            },
        )
    }

    /// The same with a configuration that differs elsewhere too.
    pub(crate) fn start_with(prosody: &Prosody, folder: &Path, special: &Special<'_>) -> Self {
        let folder = folder.join("server");
        fs::create_dir_all(&folder).expect("writable");
        fs::write(folder.join("cusax.toml"), config(prosody, special)).expect("writable");
        let authority = Authority::new(&folder, DOMAIN);
        let (child, ports) = Self::spawn(&folder);
        let mut server = Self {
            folder,
            child,
            ports,
            authority,
            chat_ups: 0,
        };
        server.wait_chat();
        server
    }

    fn spawn(folder: &Path) -> (Supervised, Ports) {
        let mut command = child::command(env!("CARGO_BIN_EXE_cusax"), "").expect("cargo has built it");
        let log = fs::File::options()
            .append(true)
            .create(true)
            .open(folder.join("log"))
            .expect("writable");
        command.args(["serve", "--config", "cusax.toml"]).current_dir(folder);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let mut child = Supervised::start("cusax", command).expect("it starts");
        let output = BufReader::new(child.stdout().expect("piped"));
        let mut lines = Events::new("cusax", move |tell| {
            output.lines().map_while(Result::ok).for_each(|line| tell(line.into()))
        });
        let ready = lines
            .wait("the line that says it is ready", |line| {
                line.as_str().is_some_and(|l| l.starts_with("ready: "))
            })
            .event;
        let address = |transport: &str| {
            let words = ready.as_str().unwrap_or_default().split(' ');
            words
                .filter_map(|w| w.split_once(':'))
                .find(|(t, _)| t.eq_ignore_ascii_case(transport))
                .and_then(|(_, a)| a.parse().ok())
        };
        let ports = Ports {
            udp: address("udp").expect("it listens by UDP"),
            tcp: address("tcp").expect("by TCP"),
            tls: address("tls").expect("by TLS"),
            wss: address("wss").expect("and by secure WebSocket"),
        };
        (child, ports)
    }

    /// Waits until both chat connections are up: for the first time, or once more than before.
    pub(crate) fn wait_chat(&mut self) {
        self.chat_ups += 1;
        let up = |domain: &str, log: &str| {
            let told = format!("connected to the chat server domain=\"{domain}\"");
            log.lines().filter(|l| l.contains(&told)).count() >= self.chat_ups
        };
        let both = || {
            let log = fs::read_to_string(self.log()).unwrap_or_default();
            (up("rooms.localhost", &log) && up("phones.localhost", &log)).then_some(())
        };
        child::wait_until(LIMIT, both).unwrap_or_else(|| panic!("the chat doors stay shut:\n{}", child::tail(self.log(), 30)));
    }

    /// Its log.
    pub(crate) fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Where it takes calls by UDP.
    pub(crate) fn udp(&self) -> SocketAddr {
        self.ports.udp
    }

    /// Where it takes calls by TCP.
    pub(crate) fn tcp(&self) -> SocketAddr {
        self.ports.tcp
    }

    /// Where it takes calls by TLS.
    pub(crate) fn tls(&self) -> SocketAddr {
        self.ports.tls
    }

    /// Where it takes calls by secure WebSocket.
    pub(crate) fn wss(&self) -> SocketAddr {
        self.ports.wss
    }

    /// Who vouches for it.
    pub(crate) fn authority(&self) -> &Authority {
        &self.authority
    }

    /// How a phone dials a room.
    pub(crate) fn room_uri(&self, room: &str, transport: &str) -> String {
        let address = match transport {
            "tls" => self.ports.tls,
            "tcp" => self.ports.tcp,
            _ => self.ports.udp,
        };
        format!("sip:{room}@{address};transport={transport}")
    }

    /// How SIPp reaches the room, as an account that the server knows, or doesn't.
    pub(crate) fn line(&self, user: &str, transport: &'static str) -> Line {
        let server = if transport == "tcp" { self.ports.tcp } else { self.ports.udp };
        Line {
            server,
            transport,
            domain: DOMAIN.into(),
            room: "standup".into(),
            user: user.into(),
        }
    }

    /// Runs `cusax ARGUMENTS --json` against it; the answer, and whether it was a good one.
    pub(crate) fn operator(&self, arguments: &[&str]) -> (Value, bool) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cusax"));
        command
            .args(arguments)
            .arg("--json")
            .arg("--socket")
            .arg(self.folder.join("control.sock"));
        let output = command.output().expect("it runs");
        let text = String::from_utf8_lossy(&output.stdout);
        (
            serde_json::from_str(&text).unwrap_or_else(|_| panic!("{arguments:?}: {output:?}")),
            output.status.success(),
        )
    }

    /// Everybody in a room, as `cusax room show` tells.
    pub(crate) fn people(&self, room: &str) -> Vec<Value> {
        let (answer, _) = self.operator(&["room", "show", room]);
        answer["reply"]["people"].as_array().cloned().unwrap_or_default()
    }

    /// Waits until the people of a room are so.
    pub(crate) fn wait_people(&self, room: &str, what: &str, fits: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let look = || Some(self.people(room)).filter(|p| fits(p));
        child::wait_until(LIMIT, look).unwrap_or_else(|| panic!("never {what}, but: {:#?}", self.people(room)))
    }

    /// Asks it to stop; how long that took.
    pub(crate) fn stop(&mut self) -> Duration {
        let asked = Instant::now();
        self.child.terminate();
        let status = self.child.wait(LIMIT).expect("it stops");
        assert!(status.success(), "it stopped with {status}");
        asked.elapsed()
    }

    /// Sends it a signal by name, without waiting for what it does.
    pub(crate) fn signal(&mut self, signal: &str) {
        self.child.signal(signal);
    }

    /// Starts it again with what it kept; the ports are new ones.
    pub(crate) fn restart(&mut self) {
        self.child.kill();
        (self.child, self.ports) = Self::spawn(&self.folder);
        self.wait_chat();
    }
}

impl Server {
    /// Waits for its end.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        self.child.wait(LIMIT).expect("it ends in time")
    }

    /// Memory that the process has for itself now (`RssAnon`), in bytes. Without its code, which is several times larger unoptimised.
    pub(crate) fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).expect("it runs");
        let line = status.lines().find_map(|l| l.strip_prefix("RssAnon:")).expect("proc(5)");
        1024 * line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number")
    }

    /// Every UDP port that it has open, by the kernel's tables.
    pub(crate) fn udp_ports(&self) -> Vec<u16> {
        let files = fs::read_dir(format!("/proc/{}/fd", self.id())).expect("it runs");
        let links = files.flatten().filter_map(|f| fs::read_link(f.path()).ok());
        let name = |link: PathBuf| Some(link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned());
        let sockets: Vec<String> = links.filter_map(name).collect();
        let table = fs::read_to_string("/proc/net/udp").expect("Linux has it");
        let port = |line: &str| {
            let columns: Vec<&str> = line.split_whitespace().collect();
            let (_, port) = columns.get(1)?.split_once(':')?;
            let is_ours = columns.get(9).is_some_and(|inode| sockets.iter().any(|s| s == inode));
            is_ours.then(|| u16::from_str_radix(port, 16).ok()).flatten()
        };
        table.lines().skip(1).filter_map(port).collect()
    }

    /// One counter of `cusax stats`.
    pub(crate) fn counter(&self, name: &str) -> u64 {
        let (answer, _) = self.operator(&["stats"]);
        answer["counters"][name]
            .as_u64()
            .unwrap_or_else(|| panic!("no counter {name} in {answer:#}"))
    }

    /// Waits until a counter has come this far.
    pub(crate) fn wait_counter(&self, name: &str, least: u64) -> u64 {
        let far = || Some(self.counter(name)).filter(|n| *n >= least);
        child::wait_until(LIMIT, far).unwrap_or_else(|| panic!("{name} stays at {} below {least}", self.counter(name)))
    }
}

impl Drop for Server {
    /// Nothing that tests do may make it log an error.
    fn drop(&mut self) {
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        let errors: Vec<&str> = log.lines().filter(|l| l.contains("ERROR") || l.contains("panicked")).collect();
        if !std::thread::panicking() {
            assert!(errors.is_empty(), "the server logged errors:\n{}", errors.join("\n"));
        }
    }
}

fn config(prosody: &Prosody, special: &Special<'_>) -> String {
    let setup = prosody.setup();
    let Special {
        sip,
        media,
        chat_server,
        more,
    } = special;
    let mut text = format!(
        "[sip]\ndomain = '{DOMAIN}'\nlisten = ['udp:127.0.0.1:0', 'tcp:127.0.0.1:0', 'tls:127.0.0.1:0', 'wss:127.0.0.1:0']\n\
         tls_certificate = 'certificate.pem'\ntls_key = 'key.pem'\nnotify_interval_s = 1\ndigest = ['md5']\n{sip}\n\n\
         [media]\nlisten = ['127.0.0.1']\nports = '10000-19999'\n{media}\n\n\
         [xmpp]\nserver = '{}'\nrooms = 'rooms.localhost'\nphones = 'phones.localhost'\nsecret = '{}'\n\n\
         [rooms]\nown_domains = ['localhost']\nkick_quarantine_s = 60\nphone_delay_s = 1\n\n\
         [store]\npath = 'cusax.db'\n\n[control]\nsocket = 'control.sock'\n\n[log]\nlevel = 'debug'\n\n\
         [[room]]\nname = 'standup'\ntitle = 'Daily stand-up'\nowners = ['ann@localhost']\n",
        chat_server.unwrap_or_else(|| prosody.component_address()),
        setup.secret,
    );
    for (user, _) in &setup.users {
        let _a_string_takes_all = write!(
            text,
            "\n[[user]]\nid = '{user}'\nsip = '{user}'\nsecret = '{user}'\njid = '{user}@localhost'\n"
        );
    }
    text + "\n" + more
}
