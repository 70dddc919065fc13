//! A headless Chromium on a page of ours, which takes a call with its microphone; the test carries offer and answer.

use std::{
    collections::VecDeque,
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::Path,
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use cusax::app::child::{self, Supervised};
use serde_json::Value;

use super::{
    events::{Events, Seen},
    sound,
};

/// Half the width in which a frequency is found: a bin of the page's analyser, and then some.
const NEAR_HZ: f64 = 8.0;

/// A tone sent at -12 dB is there if this much of it is, in dB of the analyser.
const PRESENT_DB: f64 = -45.0;

/// A running browser with its page.
#[derive(Debug)]
pub(crate) struct Browser {
    pub(crate) events: Events,
    orders: Arc<Mutex<VecDeque<&'static str>>>,
    _child: Supervised,
}

/// What a page asks for and gets: path and body in, kind and text out.
type Page<'a> = dyn FnMut(&str, &str) -> (&'static str, String) + 'a;

impl Browser {
    /// Starts it with a microphone that hears a tone. `carry` takes the page's offer to the server, and brings the answer.
    pub(crate) fn start(folder: &Path, tone: u32, mut carry: impl FnMut(&str) -> String + Send + 'static) -> Self {
        Self::open(folder, tone, &[], move |path, body| match path {
            "/" => ("text/html", include_str!("browser/call.html").to_owned()),
            "/offer" => ("application/sdp", carry(body)),
            _ => ("text/plain", String::new()),
        })
    }

    /// Starts it on another page, with further arguments.
    pub(crate) fn open(
        folder: &Path,
        tone: u32,
        arguments: &[String],
        mut page: impl FnMut(&str, &str) -> (&'static str, String) + Send + 'static,
    ) -> Self {
        let folder = folder.join("browser");
        fs::create_dir_all(&folder).expect("writable");
        let microphone = folder.join("tone.wav");
        sound::write_tone(&microphone, tone, 48_000, Duration::from_secs(60));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = format!("http://{}/", listener.local_addr().expect("bound"));
        let orders = Arc::default();
        let given = Arc::clone(&orders);
        let events = Events::new("browser", move |tell| {
            for stream in listener.incoming().flatten() {
                // A browser that goes away in the middle has nothing to tell.
                let _ = serve(&stream, &mut page, tell, &given);
            }
        });
        let mut command = child::command("chromium", "chromium").expect("./check installs it");
        command
            .args([
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
                "--disable-dev-shm-usage",
            ])
            .args(["--autoplay-policy=no-user-gesture-required", "--use-fake-ui-for-media-stream"])
            .args(["--use-fake-device-for-media-stream", "--allow-loopback-in-peer-connection"])
            .arg(format!("--use-file-for-fake-audio-capture={}", microphone.display()))
            .arg(format!("--user-data-dir={}", folder.join("profile").display()))
            .args(arguments)
            .arg(address)
            .env("HOME", &folder)
            .stdin(Stdio::null());
        let log = fs::File::create(folder.join("log")).expect("writable");
        command.stdout(log.try_clone().expect("a descriptor")).stderr(log);
        Self {
            events,
            orders,
            _child: Supervised::start("chromium", command).expect("it starts"),
        }
    }

    /// Waits until what the page hears is loudest at this frequency; gives its report.
    pub(crate) fn hears(&mut self, hz: u32) -> Seen {
        self.events.wait(&format!("{hz} Hz"), |e| {
            let near = e["hz"].as_f64().is_some_and(|heard| (heard - f64::from(hz)).abs() < NEAR_HZ);
            near && e["db"].as_f64().is_some_and(|level| level > PRESENT_DB)
        })
    }

    /// Has the page end its call, as when its tab is closed.
    pub(crate) fn hang_up(&self) {
        self.order("hang up");
    }

    /// Has the page do something, soon.
    pub(crate) fn order(&self, order: &'static str) {
        self.orders.lock().expect("nobody panicked").push_back(order);
    }
}

/// Answers one request.
fn serve(
    stream: &TcpStream,
    page: &mut Page<'_>,
    tell: &mut dyn FnMut(Value),
    orders: &Mutex<VecDeque<&'static str>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if reader.read_until(b'\n', &mut head)? == 0 {
            return Ok(());
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let length = head
        .lines()
        .find_map(|l| l.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body)?;
    let body = String::from_utf8_lossy(&body).into_owned();
    let (kind, answer) = match head.split(' ').nth(1) {
        Some("/report") => {
            tell(serde_json::from_str(&body).unwrap_or(Value::String(body)));
            let order = orders.lock().expect("nobody panicked").pop_front();
            ("text/plain", order.unwrap_or_default().to_owned())
        }
        Some("/common.js") => ("text/javascript", include_str!("browser/common.js").to_owned()),
        path => page(path.unwrap_or_default(), &body),
    };
    let length = answer.len();
    let mut stream = stream;
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{answer}"
    )
}
