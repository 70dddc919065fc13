//! Debian's Janus with its AudioBridge, reached by its JSON interface over a UNIX socket of packets; participants speak plain RTP.

use std::{
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr},
    os::unix::fs::symlink,
    path::Path,
    process::Stdio,
    sync::mpsc,
    thread,
    time::Duration,
};

use cusax::app::child::{self, Supervised};
use serde_json::{Value, json};
use socket2::{Domain, SockAddr, Socket, Type};

use crate::{
    Outcome, machine,
    server::{Codec, OPUS_RATE, Server},
};

/// Where Debian has its parts.
const PARTS: &str = "/usr/lib/x86_64-linux-gnu/janus";
const LIMIT: Duration = Duration::from_secs(20);
/// Its transport ends at once if its thread is quicker than the one that starts it: every twentieth time, and often many times in a row.
const STARTS: usize = 50;
/// More than the list of 300 participants that a newcomer is given.
const MAX_MESSAGE: usize = 1 << 20;

pub(crate) struct Janus {
    process: Supervised,
    line: Socket,
    answers: mpsc::Receiver<Value>,
    session: u64,
    asked: u64,
    people: u64,
}

/// Whether it is installed.
pub(crate) fn is_installed() -> bool {
    child::is_installed("janus")
}

impl Janus {
    /// Starts it with a room for each codec given, numbered from 0, and no other plugin.
    pub(crate) fn start(folder: &Path, rooms: &[Codec]) -> Outcome<Self> {
        let path = |name: &str| folder.join(name);
        for (kind, part) in [("plugins", "libjanus_audiobridge.so"), ("transports", "libjanus_pfunix.so")] {
            fs::create_dir_all(path(kind))?;
            symlink(Path::new(PARTS).join(kind).join(part), path(kind).join(part))?;
        }
        let at = folder.display();
        let config = format!(
            "general: {{ plugins_folder = \"{at}/plugins\" transports_folder = \"{at}/transports\" events_folder = \"{at}\" \
             loggers_folder = \"{at}\" session_timeout = 0 debug_level = 3 }}\nmedia: {{ }}\n"
        );
        fs::write(path("janus.jcfg"), config)?;
        fs::write(path("janus.plugin.audiobridge.jcfg"), "general: { local_ip = \"127.0.0.1\" }\n")?;
        let socket = path("api");
        let transport = format!(
            "general: {{ enabled = true json = \"compact\" path = \"{}\" type = \"SOCK_SEQPACKET\" }}\n",
            socket.display()
        );
        fs::write(path("janus.transport.pfunix.jcfg"), transport)?;
        let started = (0..STARTS).find_map(|_| launch(folder, &socket).transpose());
        let (process, line) = started.ok_or_else(|| format!("janus doesn't answer: {}", child::tail(path("log"), 5)))??;
        let mut janus = Self {
            process,
            answers: listen(line.try_clone()?),
            line,
            session: 0,
            asked: 0,
            people: 0,
        };
        janus.session = number(&janus.ask(json!({"janus": "create"}), false)?, "/data/id")?;
        let handle = janus.attach()?;
        for (room, codec) in rooms.iter().enumerate() {
            let create = json!({
                "request": "create", "room": room + 1, "sampling_rate": codec.room_rate(), "allow_rtp_participants": true,
                "audiolevel_ext": false, "record": false,
            });
            janus.tell(handle, create, false)?;
        }
        Ok(janus)
    }

    fn attach(&mut self) -> Outcome<u64> {
        let ask = json!({"janus": "attach", "session_id": self.session, "plugin": "janus.plugin.audiobridge"});
        number(&self.ask(ask, false)?, "/data/id")
    }

    /// Tells the plugin something; gives its answer, which for some requests comes behind an acknowledgement.
    fn tell(&mut self, handle: u64, body: Value, later: bool) -> Outcome<Value> {
        let ask = json!({"janus": "message", "session_id": self.session, "handle_id": handle, "body": body});
        let answer = self.ask(ask, later)?;
        let data = answer.pointer("/plugindata/data").cloned().unwrap_or_default();
        if data.get("error").is_some() || data.is_null() {
            return Err(format!("janus refuses: {answer}").into());
        }
        Ok(data)
    }

    fn ask(&mut self, mut request: Value, later: bool) -> Outcome<Value> {
        self.asked += 1;
        let transaction = self.asked.to_string();
        request["transaction"] = transaction.as_str().into();
        self.line.write_all(request.to_string().as_bytes())?;
        loop {
            let message = self.answers.recv_timeout(LIMIT)?;
            if message["transaction"] == transaction.as_str() && !(later && message["janus"] == "ack") {
                return Ok(message);
            }
        }
    }
}

/// Reads on a thread of its own, as long as Janus lives: it tells everybody of everybody, and stops mixing when nobody takes that.
/// Gives the answers.
fn listen(mut line: Socket) -> mpsc::Receiver<Value> {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        let mut buffer = vec![0; MAX_MESSAGE];
        while let Ok(length @ 1..) = line.read(&mut buffer) {
            let answer = serde_json::from_slice::<Value>(&buffer[..length]).ok();
            // Nobody waits for an answer any more once all are in.
            let _ = answer.filter(|a| a.get("transaction").is_some()).map(|a| tell.send(a));
        }
    });
    told
}

/// Starts it; `None` if it ended before it could be reached.
fn launch(folder: &Path, socket: &Path) -> Outcome<Option<(Supervised, Socket)>> {
    let log = fs::File::create(folder.join("log"))?;
    let mut command = child::command("taskset", "util-linux")?;
    command
        .args(["-c", &machine::SERVER_CORE.to_string(), "janus", "-i", "127.0.0.1", "-F"])
        .arg(folder)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    let mut process = Supervised::start("janus", command)?;
    let address = SockAddr::unix(socket)?;
    let line = child::wait_until(LIMIT, || {
        if process.ended().is_some() {
            return Some(None);
        }
        let line = Socket::new(Domain::UNIX, Type::SEQPACKET, None).ok()?;
        line.connect(&address).ok().map(|()| Some(line))
    });
    Ok(line.flatten().map(|line| (process, line)))
}

fn number(value: &Value, at: &str) -> Outcome<u64> {
    value
        .pointer(at)
        .and_then(Value::as_u64)
        .ok_or_else(|| format!("no {at} in {value}").into())
}

impl Server for Janus {
    fn id(&self) -> u32 {
        self.process.id()
    }

    fn join(&mut self, room: usize, codec: Codec, port: u16) -> Outcome<SocketAddr> {
        let handle = self.attach()?;
        self.people += 1;
        let join = json!({
            "request": "join", "room": room + 1, "id": self.people, "codec": codec.name(), "bitrate": OPUS_RATE,
            "rtp": {"ip": "127.0.0.1", "port": port, "payload_type": codec.payload_type(), "fec": true},
        });
        let joined = self.tell(handle, join, true)?;
        let port = u16::try_from(number(&joined, "/rtp/port")?)?;
        Ok((Ipv4Addr::LOCALHOST, port).into())
    }
}
