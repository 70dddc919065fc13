//! The whole server as its own process: the real binary, a generated configuration, free loopback ports.

use std::{
    fmt::Write as _,
    fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use cusax::app::{
    child::{self, Supervised},
    prosody::Prosody,
};
use serde_json::Value;

use super::peers::events::LIMIT;

/// What the configuration says beside addresses; each text is lines of its table.
#[derive(Debug, Clone, Default)]
pub(crate) struct ServerSetup {
    /// Accounts at both doors: `sip:NAME@conf.localhost` with the name as its secret, and `NAME@localhost`.
    pub(crate) users: Vec<String>,
    pub(crate) sip: String,
    pub(crate) media: String,
    pub(crate) rooms: String,
    /// Tables of rooms; empty: one room `standup`, that ann owns.
    pub(crate) room: String,
}

impl ServerSetup {
    /// These accounts, and a room `standup` that ann owns.
    pub(crate) fn new(users: &[&str]) -> Self {
        Self {
            users: users.iter().map(|u| (*u).to_owned()).collect(),
            ..Self::default()
        }
    }
}

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    folder: PathBuf,
    child: Supervised,
    udp: SocketAddr,
    tcp: SocketAddr,
}

impl Server {
    /// Starts it beside this chat server, with a database and a log in the folder, and waits until both doors are open.
    pub(crate) fn start(folder: &Path, prosody: &Prosody, setup: &ServerSetup) -> Self {
        Self::start_at(folder, &prosody.component_address().to_string(), &prosody.setup().secret, setup).wait_linked(1)
    }

    /// Starts it and waits for the phone door only: the chat server may be anything.
    pub(crate) fn start_at(folder: &Path, chat_server: &str, secret: &str, setup: &ServerSetup) -> Self {
        fs::write(folder.join("cusax.toml"), config(chat_server, secret, setup)).expect("writable");
        let mut command = child::command(env!("CARGO_BIN_EXE_cusax"), "cusax").expect("cargo has built it");
        command.args(["serve", "--config"]).arg(folder.join("cusax.toml"));
        // The first one's log goes on when a test starts the server again.
        let log = fs::File::options().create(true).append(true).open(folder.join("cusax.log"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log.expect("writable"));
        let mut child = Supervised::start("cusax", command).expect("it starts");
        let output = BufReader::new(child.stdout().expect("piped"));
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let _the_test_may_be_over = tell.send(line);
            }
        });
        let ready = told.recv_timeout(LIMIT).unwrap_or_default();
        let address = |transport: &str| {
            let found = ready
                .split(' ')
                .find_map(|word| word.strip_prefix(transport)?.strip_prefix(':')?.parse().ok());
            found.unwrap_or_else(|| {
                panic!(
                    "the server said {ready:?}, and in its log:\n{}",
                    child::tail(folder.join("cusax.log"), 20)
                )
            })
        };
        Self {
            udp: address("udp"),
            tcp: address("tcp"),
            folder: folder.to_owned(),
            child,
        }
    }

    /// Waits until both components are connected for the `times`-th time since the folder was made.
    pub(crate) fn wait_linked(self, times: usize) -> Self {
        let linked = || {
            let log = self.log();
            let connects = |domain: &str| {
                log.matches(&format!("connected to the chat server domain=\"{domain}.localhost\""))
                    .count()
            };
            (connects("rooms") >= times && connects("phones") >= times).then_some(())
        };
        child::wait_until(LIMIT, linked).unwrap_or_else(|| panic!("no link to the chat server:\n{}", self.log()));
        self
    }

    /// Where it takes calls by UDP.
    pub(crate) fn udp(&self) -> SocketAddr {
        self.udp
    }

    /// Where it takes calls by TCP.
    pub(crate) fn tcp(&self) -> SocketAddr {
        self.tcp
    }

    /// A room as phones dial it.
    pub(crate) fn room_uri(&self, room: &str) -> String {
        format!("sip:{room}@{}", self.udp)
    }

    /// All that it has logged.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.folder.join("cusax.log")).unwrap_or_default()).into_owned()
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal by name, without waiting for what it does.
    pub(crate) fn signal(&mut self, name: &str) {
        self.child.signal(name);
    }

    /// Whether it runs.
    pub(crate) fn is_alive(&mut self) -> bool {
        self.child.ended().is_none()
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        self.child.wait(limit)
    }

    /// Asks it to end, and waits for that; a good end only.
    pub(crate) fn stop(mut self) {
        self.child.terminate();
        let status = self.child.wait(LIMIT).expect("it ends in time");
        assert!(status.success(), "{status}:\n{}", self.log());
    }

    /// Runs `cusax` as its operator, with `--json`: whether the exit code was 0, and what was printed.
    pub(crate) fn operator(&self, arguments: &[&str]) -> (bool, Value) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cusax"));
        command
            .args(arguments)
            .arg("--json")
            .arg("--socket")
            .arg(self.folder.join("control.sock"));
        let output = command.output().expect("it runs");
        let printed = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
        (output.status.success(), printed)
    }

    /// The report of `room show`.
    pub(crate) fn show(&self, room: &str) -> Value {
        let (good, mut reply) = self.operator(&["room", "show", room]);
        assert!(good, "{reply}");
        reply["reply"].take()
    }

    /// Waits until `room show` fits.
    pub(crate) fn wait_shown(&self, room: &str, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let found = child::wait_until(LIMIT, || Some(self.show(room)).filter(&fits));
        found.unwrap_or_else(|| panic!("{room} was never shown with {what}, but: {:#}", self.show(room)))
    }

    /// One counter of `stats`.
    pub(crate) fn counter(&self, name: &str) -> u64 {
        let (good, reply) = self.operator(&["stats"]);
        assert!(good, "{reply}");
        reply["counters"][name]
            .as_u64()
            .unwrap_or_else(|| panic!("no counter {name} in {reply:#}"))
    }

    /// Waits until a counter fits.
    pub(crate) fn wait_counter(&self, name: &str, fits: impl Fn(u64) -> bool) -> u64 {
        let found = child::wait_until(LIMIT, || Some(self.counter(name)).filter(|n| fits(*n)));
        found.unwrap_or_else(|| panic!("{name} stays {}", self.counter(name)))
    }
}

fn config(chat_server: &str, secret: &str, setup: &ServerSetup) -> String {
    let ServerSetup {
        users,
        sip,
        media,
        rooms,
        room,
    } = setup;
    let room = if room.is_empty() {
        "[[room]]\nname = \"standup\"\nowners = [\"ann@localhost\"]\n"
    } else {
        room
    };
    let mut text = format!(
        "[sip]\ndomain = \"conf.localhost\"\nlisten = [\"udp:127.0.0.1:0\", \"tcp:127.0.0.1:0\"]\n{sip}\n\
         [media]\nlisten = [\"127.0.0.1\"]\n{media}\n\
         [xmpp]\nserver = \"{chat_server}\"\nrooms = \"rooms.localhost\"\nphones = \"phones.localhost\"\nsecret = \"{secret}\"\n\
         [rooms]\n{rooms}\n{room}\n\
         [store]\npath = \"cusax.db\"\n[control]\nsocket = \"control.sock\"\n"
    );
    for user in users {
        let _a_string_takes_all = write!(
            text,
            "[[user]]\nid = \"{user}\"\nsip = \"{user}\"\nsecret = \"{user}\"\njid = \"{user}@localhost\"\n"
        );
    }
    text
}
