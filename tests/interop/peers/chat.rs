//! A chat user: slixmpp behind `chat.py`, one JSON object a line each way.

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{ChildStdin, Stdio},
    time::Instant,
};

use cusax::app::{
    child::{self, Supervised},
    prosody::Prosody,
};
use serde_json::{Value, json};

use super::events::{Events, Seen};

/// A logged-in chat user.
#[derive(Debug)]
pub(crate) struct Chat {
    pub(crate) events: Events,
    orders: ChildStdin,
    next_id: u64,
    _child: Supervised,
}

impl Chat {
    /// Logs a user of [`super::prosody`] in: the password is the name.
    pub(crate) fn login(prosody: &Prosody, folder: &Path, user: &str) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/peers/chat.py");
        let mut command = child::command(&python(), "python3").expect("slixmpp is there: ./check installs it");
        let address = prosody.client_address();
        let jid = format!("{user}@{}/test", prosody.setup().domain);
        command
            .arg(script)
            .args([&jid, user, &address.ip().to_string(), &address.port().to_string()]);
        let log = std::fs::File::create(folder.join(format!("chat-{user}.log"))).expect("writable");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
        let mut child = Supervised::start(user, command).expect("python starts");
        let output = BufReader::new(child.stdout().expect("piped"));
        let events = Events::new(user, move |tell| {
            for line in output.lines().map_while(Result::ok) {
                match serde_json::from_str(&line) {
                    Ok(event) => tell(event),
                    Err(_) => tell(json!({"event": "noise", "line": line})),
                }
            }
        });
        let mut chat = Self {
            events,
            orders: child.stdin().expect("piped"),
            next_id: 1,
            _child: child,
        };
        chat.wait("online", |e| e["event"] == "online");
        chat
    }

    /// Carries out an order of `chat.py`; the value of its result, or the error's condition.
    pub(crate) fn order(&mut self, name: &str, arguments: Value) -> Result<Value, String> {
        let id = self.next_id;
        self.next_id += 1;
        let mut order = arguments;
        order["id"] = id.into();
        order["do"] = name.into();
        writeln!(self.orders, "{order}").expect("the driver takes orders");
        let result = self.wait(name, |e| e["event"] == "result" && e["id"] == id).event;
        if result["ok"] == true {
            Ok(result["value"].clone())
        } else {
            Err(result["condition"].as_str().unwrap_or_default().to_owned())
        }
    }

    /// Joins a room; see `do_join` for what it tells.
    pub(crate) fn join(&mut self, room: &str, nick: &str) -> Value {
        self.order("join", json!({"room": room, "nick": nick})).expect("joined")
    }

    /// Says something in a room.
    pub(crate) fn say(&mut self, room: &str, text: &str) {
        self.order("say", json!({"room": room, "text": text})).expect("sent");
    }

    /// Sets somebody's role in a room (XEP-0045 section 8); `none` is a kick.
    pub(crate) fn set_role(&mut self, room: &str, nick: &str, role: &str) -> Result<Value, String> {
        self.order("role", json!({"room": room, "nick": nick, "role": role}))
    }

    /// Sets somebody's affiliation in a room (XEP-0045 section 9); `outcast` is a ban.
    pub(crate) fn set_affiliation(&mut self, room: &str, jid: &str, affiliation: &str) -> Result<Value, String> {
        self.order("affiliation", json!({"room": room, "jid": jid, "affiliation": affiliation}))
    }

    /// What disco#info tells of an address.
    pub(crate) fn info(&mut self, jid: &str) -> Value {
        self.order("info", json!({"jid": jid})).expect("disco#info")
    }

    /// Waits for a presence from this occupant address that fits.
    pub(crate) fn presence(&mut self, from: &str, fits: impl Fn(&Value) -> bool) -> Seen {
        self.wait(&format!("presence of {from}"), |e| {
            e["event"] == "presence" && e["from"] == from && fits(e)
        })
    }

    /// Waits for a message with this body.
    pub(crate) fn message(&mut self, body: &str) -> Seen {
        self.wait(&format!("message {body:?}"), |e| e["event"] == "message" && e["body"] == body)
    }

    /// Waits for an event that came since [`Chat::forget`].
    pub(crate) fn wait(&mut self, what: &str, fits: impl Fn(&Value) -> bool) -> Seen {
        self.events.wait(what, fits)
    }

    /// Forgets what came so far, and tells when that was.
    pub(crate) fn forget(&mut self) -> Instant {
        self.events.forget()
    }
}

/// The interpreter that has slixmpp: `CUSAX_PYTHON`, else the newest one that `check` has installed.
fn python() -> String {
    if let Ok(python) = std::env::var("CUSAX_PYTHON") {
        return python;
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers");
    let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
    let newest: Option<PathBuf> = entries.map(|e| e.path().join("bin/python")).filter(|p| p.is_file()).max();
    newest
        .unwrap_or_else(|| folder.join("slixmpp/bin/python"))
        .to_string_lossy()
        .into_owned()
}
