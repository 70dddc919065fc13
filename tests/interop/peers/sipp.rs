//! SIPp: a SIP stack that is not ours, running a [`Script`] once and keeping every message.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Stdio,
};

use cusax::app::child::{self, Supervised};

use super::{Script, events::LIMIT, ports::free_port};

/// Whom SIPp calls, and as whom.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) server: SocketAddr,
    /// `udp` or `tcp`.
    pub(crate) transport: &'static str,
    pub(crate) domain: String,
    pub(crate) room: String,
    /// User name; also of digest, with a password equal to it.
    pub(crate) user: String,
}

/// A running SIPp.
#[derive(Debug)]
pub(crate) struct Sipp {
    child: Supervised,
    files: PathBuf,
}

/// One message, as it was on the wire.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) received: bool,
    pub(crate) text: String,
}

impl Message {
    /// Its first line.
    pub(crate) fn start(&self) -> &str {
        self.text.lines().next().unwrap_or_default()
    }

    /// The value of a header, by its long name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let head = self.text.lines().take_while(|l| !l.is_empty());
        head.filter_map(|l| l.split_once(':'))
            .find(|(n, _)| n.trim().eq_ignore_ascii_case(name))
            .map(|(_, v)| v.trim())
    }

    /// What follows the empty line.
    pub(crate) fn body(&self) -> &str {
        self.text.split_once("\r\n\r\n").map_or("", |(_, body)| body)
    }
}

impl Sipp {
    /// Starts a script; `name` is for its files.
    pub(crate) fn start(folder: &Path, name: &str, line: &Line, script: &Script) -> Self {
        Self::start_many(folder, name, line, script, 1)
    }

    /// Starts a script as so many calls at once, 50 more each second.
    pub(crate) fn start_many(folder: &Path, name: &str, line: &Line, script: &Script, calls: u32) -> Self {
        let files = folder.join(format!("sipp-{name}"));
        fs::create_dir_all(&files).expect("writable");
        fs::write(files.join("script.xml"), script.xml()).expect("writable");
        let password = line.user.as_str();
        let values = [
            "-key",
            "domain",
            &line.domain,
            "-key",
            "user",
            &line.user,
            "-s",
            &line.room,
            "-au",
            &line.user,
            "-ap",
            password,
        ];
        let calls = calls.to_string();
        let limits = [
            "-m",
            &calls,
            "-l",
            &calls,
            "-r",
            "50",
            "-recv_timeout",
            "20000",
            "-timeout",
            "100",
            "-timeout_error",
        ];
        let mut arguments = vec!["-sf".to_owned(), "script.xml".to_owned()];
        arguments.extend(values.into_iter().chain(limits).map(str::to_owned));
        arguments.push(line.server.to_string());
        Self::run(files, line.transport, free_port(), arguments)
    }

    /// Starts SIPp's own answering side, for as long as it is kept; tells where it listens.
    pub(crate) fn answerer(folder: &Path, transport: &'static str) -> (Self, SocketAddr) {
        let files = folder.join(format!("sipp-answerer-{transport}"));
        fs::create_dir_all(&files).expect("writable");
        let port = free_port();
        let server = Self::run(files, transport, port, vec!["-sn".into(), "uas".into()]);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        // It binds after it has drawn its first screen.
        let listening = || is_bound(transport, port).then_some(());
        child::wait_until(LIMIT, listening).expect("sipp listens");
        (server, address)
    }

    fn run(files: PathBuf, transport: &str, port: u16, arguments: Vec<String>) -> Self {
        let mut command = child::command("sipp", "sip-tester").expect("./check installs it");
        let port = port.to_string();
        let media = free_port().to_string();
        command.args(["-i", "127.0.0.1", "-p", &port, "-mi", "127.0.0.1", "-mp", &media, "-nostdin"]);
        command.args(["-t", if transport == "tcp" { "t1" } else { "u1" }]);
        command.args(["-trace_msg", "-message_file", "messages", "-trace_err", "-error_file", "errors"]);
        let screen = fs::File::create(files.join("screen")).expect("writable");
        command.args(arguments).current_dir(&files).env("TERM", "dumb").stdin(Stdio::null());
        command.stdout(screen.try_clone().expect("a descriptor")).stderr(screen);
        Self {
            child: Supervised::start("sipp", command).expect("it starts"),
            files,
        }
    }

    /// Waits for the script's end, which must be as written; all messages, in order.
    pub(crate) fn finish(mut self) -> Vec<Message> {
        let status = self.child.wait(LIMIT * 4);
        let messages = self.messages();
        let good = status.is_some_and(|s| s.success());
        if !good {
            let wire: Vec<&str> = messages.iter().map(|m| m.text.as_str()).collect();
            panic!(
                "sipp ended with {status:?}:\n{}\non the wire:\n{}",
                child::tail(self.files.join("errors"), 40),
                wire.join("\n")
            );
        }
        messages
    }

    /// The messages so far.
    pub(crate) fn messages(&self) -> Vec<Message> {
        parse_trace(&String::from_utf8_lossy(&fs::read(self.files.join("messages")).unwrap_or_default()))
    }

    /// Waits for a message that fits.
    pub(crate) fn wait(&self, what: &str, fits: impl Fn(&Message) -> bool) -> Message {
        child::wait_until(LIMIT, || self.messages().into_iter().find(&fits)).unwrap_or_else(|| panic!("sipp never saw {what}"))
    }
}

/// SIPp's trace: a line of dashes and a date, `UDP message received [510] bytes :` or `UDP message sent (510 bytes):`, an empty line, the message.
fn parse_trace(trace: &str) -> Vec<Message> {
    let entry = |part: &str| {
        let (head, text) = part.split_once(":\n\n")?;
        Some(Message {
            received: head.contains("received"),
            text: text.trim_end_matches('\n').to_owned(),
        })
    };
    trace
        .split("-----------------------------------------------")
        .filter_map(entry)
        .collect()
}

/// Whether somebody on this machine has the port, by the kernel's table: asking by connecting would be taken for a call.
fn is_bound(transport: &str, port: u16) -> bool {
    let table = fs::read_to_string(format!("/proc/net/{transport}")).unwrap_or_default();
    table.contains(&format!("0100007F:{port:04X} "))
}
