//! A phone: baresip without a display, steered over its control port. It sends a tone, or silence, and records what it hears.

use std::{
    fmt::Write as _,
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use cusax::app::child::{self, Supervised};
use serde_json::{Value, json};

use super::{
    Server,
    events::{Events, LIMIT, Seen},
    ports::free_port,
    server::DOMAIN,
    sound::{self, Recording},
};

/// How a phone is set up.
#[derive(Debug, Clone)]
pub(crate) struct PhoneSetup {
    pub(crate) user: String,
    /// Signs in here, with its user name as password; else it is a stranger to every server.
    pub(crate) account: Option<SocketAddr>,
    /// `udp`, `tcp` or `tls`.
    pub(crate) transport: &'static str,
    /// As baresip calls it: `PCMU/8000/1`, `PCMA/8000/1`, `G722/16000/1`, `opus/48000/2`.
    pub(crate) codec: &'static str,
    /// What it sends, in Hz; 0: silence.
    pub(crate) tone: u32,
    /// Its voice is encrypted, as baresip calls it: `srtp` (keys beside RTP/AVP), `srtp-mand` (RTP/SAVP), `dtls_srtp`.
    pub(crate) encryption: Option<&'static str>,
}

impl PhoneSetup {
    /// A PCMU phone over UDP without an account, that sends a tone.
    pub(crate) fn new(user: &str, tone: u32) -> Self {
        Self {
            user: user.into(),
            account: None,
            transport: "udp",
            codec: "PCMU/8000/1",
            tone,
            encryption: None,
        }
    }

    /// The same for a user whom the server knows.
    pub(crate) fn of_account(user: &str, tone: u32, server: &Server) -> Self {
        Self {
            account: Some(server.udp()),
            ..Self::new(user, tone)
        }
    }
}

/// A port found free may be taken before baresip has it, by TCP if not by UDP; then other ones are tried.
const PORT_TRIES: usize = 3;

/// A running phone.
#[derive(Debug)]
pub(crate) struct Phone {
    pub(crate) events: Events,
    setup: PhoneSetup,
    folder: PathBuf,
    control: TcpStream,
    address: SocketAddr,
    child: Supervised,
}

impl Phone {
    /// Starts it with a folder of its own, and waits until it takes orders.
    pub(crate) fn start(folder: &Path, setup: PhoneSetup) -> Self {
        let mut tries = 0;
        loop {
            tries += 1;
            match Self::try_start(folder, setup.clone()) {
                Ok(phone) => return phone,
                Err(log) => assert!(tries < PORT_TRIES, "baresip is not ready:\n{log}"),
            }
        }
    }

    /// The same once; else its log.
    fn try_start(folder: &Path, setup: PhoneSetup) -> Result<Self, String> {
        let folder = folder.join(format!("phone-{}", setup.user));
        fs::create_dir_all(&folder).expect("writable");
        let [address, control] = [(); 2].map(|()| SocketAddr::from((Ipv4Addr::LOCALHOST, free_port())));
        let rate = setup.codec.split('/').nth(1).and_then(|hz| hz.parse().ok()).expect("a rate");
        // Longer than any test.
        sound::write_tone(&folder.join("tone.wav"), setup.tone, rate, Duration::from_secs(180));
        fs::write(folder.join("config"), config(&folder, address, control)).expect("writable");
        fs::write(folder.join("accounts"), account(&setup, address)).expect("writable");

        let mut command = child::command("baresip", "baresip-core").expect("./check installs it");
        command.arg("-f").arg(&folder).arg("-v").current_dir(&folder).stdin(Stdio::null());
        if setup.encryption.is_some_and(|kind| kind.starts_with("dtls")) {
            give_certificate(&folder, &mut command);
        }
        let log = fs::File::create(folder.join("log")).expect("writable");
        command.stdout(log.try_clone().expect("a descriptor")).stderr(log);
        let mut child = Supervised::start(&setup.user, command).expect("it starts");
        let ready = || {
            let is_ready = child::tail(folder.join("log"), 400).contains("baresip is ready");
            (is_ready || child.ended().is_some()).then_some(is_ready)
        };
        if child::wait_until(LIMIT, ready) != Some(true) {
            return Err(child::tail(folder.join("log"), 30));
        }
        let control = TcpStream::connect(control).expect("its control port answers");
        let mut input = control.try_clone().expect("a descriptor");
        let events = Events::new(&setup.user, move |tell| {
            let mut bytes = Vec::new();
            let mut buffer = [0; 4096];
            while let Ok(n @ 1..) = input.read(&mut buffer) {
                bytes.extend_from_slice(&buffer[..n]);
                while let Some(event) = netstring(&mut bytes) {
                    tell(event);
                }
            }
        });
        Ok(Self {
            events,
            setup,
            folder,
            control,
            address,
            child,
        })
    }

    /// Where others call it.
    pub(crate) fn uri(&self) -> String {
        format!("sip:{}@{}", self.setup.user, self.address)
    }

    /// Where it takes calls.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Gives an order of baresip's menu.
    pub(crate) fn order(&mut self, command: &str, parameters: &str) {
        let order = json!({"command": command, "params": parameters, "token": command}).to_string();
        write!(self.control, "{}:{order},", order.len()).expect("it takes orders");
        let answer = self.events.wait(command, |e| e["response"] == true && e["token"] == command);
        assert_eq!(answer.event["ok"], true, "{command} {parameters}: {}", answer.event);
    }

    /// Calls, and waits until the call is up.
    pub(crate) fn call(&mut self, uri: &str) -> Seen {
        self.events.forget();
        self.order("dial", uri);
        self.established()
    }

    /// Waits until a call is up.
    pub(crate) fn established(&mut self) -> Seen {
        self.wait("CALL_ESTABLISHED")
    }

    /// Waits until the call is over; `param` says why.
    pub(crate) fn closed(&mut self) -> Seen {
        self.wait("CALL_CLOSED")
    }

    /// Waits for an event of this type that came since the last call or [`Events::forget`].
    pub(crate) fn wait(&mut self, kind: &str) -> Seen {
        self.events.wait(kind, |e| e["event"] == true && e["type"] == kind)
    }

    /// Ends its call.
    pub(crate) fn hang_up(&mut self) {
        self.order("hangup", "");
        self.closed();
    }

    /// Ends it as a cut cable would, without a word to the other side.
    pub(crate) fn kill(&mut self) {
        self.child.kill();
    }

    /// Stops it in the middle of everything: it takes no packet and answers none, but its ports stay open.
    pub(crate) fn freeze(&mut self) {
        self.child.signal("STOP");
    }

    /// What it has heard so far in its last call.
    pub(crate) fn heard(&self) -> Recording {
        let files = fs::read_dir(&self.folder).expect("readable").flatten().map(|e| e.path());
        let newest = files.filter(|p| p.to_string_lossy().ends_with("-dec.wav")).max();
        newest.map_or(
            Recording {
                rate: 8000,
                samples: Vec::new(),
            },
            |path| Recording::read(&path),
        )
    }

    /// Waits until the last `length` of what it hears has, or has not, this tone.
    pub(crate) fn hears(&self, hz: u32, present: bool, length: Duration) {
        let fits = || {
            let heard = self.heard();
            let level = heard.level_db(hz, length);
            let right = if present { level > PRESENT_DB } else { level < ABSENT_DB };
            (heard.length() >= length && right).then_some(())
        };
        child::wait_until(LIMIT, fits).unwrap_or_else(|| {
            let heard = self.heard();
            let level = heard.level_db(hz, length);
            panic!(
                "{}: {hz} Hz at {level:.0} dB in the last {length:?} of {:?}",
                self.setup.user,
                heard.length()
            )
        });
    }
}

/// A tone sent at -12 dB is there if this much of it is.
const PRESENT_DB: f64 = -26.0;
/// And gone below this.
const ABSENT_DB: f64 = -46.0;

/// Has baresip's DTLS show a certificate with ECDSA.
fn give_certificate(folder: &Path, command: &mut Command) {
    let (source, library, pem) = (folder.join("ecdsa.c"), folder.join("ecdsa.so"), folder.join("ecdsa.pem"));
    fs::write(&source, include_str!("ecdsa.c")).expect("writable");
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .arg(&library)
        .arg(&source)
        .status();
    assert!(compiled.is_ok_and(|status| status.success()), "cc");
    let key = rcgen::KeyPair::generate().expect("a key");
    let certificate = rcgen::CertificateParams::default().self_signed(&key).expect("a certificate");
    fs::write(&pem, certificate.pem() + &key.serialize_pem()).expect("writable");
    command.env("LD_PRELOAD", library).env("ECDSA_PEM", pem);
}

fn config(folder: &Path, address: SocketAddr, control: SocketAddr) -> String {
    let folder = folder.display();
    let mut text = format!(
        "poll_method epoll\nsip_listen {address}\nnet_interface 127.0.0.1\ncall_max_calls 4\n\
         audio_player aubridge,nowhere\naudio_source aufile,{folder}/tone.wav\nausrc_channels 1\nauplay_channels 1\n\
         audio_buffer 20-160\njitter_buffer_delay 1-10\nrtp_stats yes\n\
         rtp_ports 20000-27999\nsnd_path {folder}\nctrl_tcp_listen {control}\nmodule_path /usr/lib/baresip/modules\n"
    );
    for module in ["g711", "g722", "opus", "aufile", "aubridge", "sndfile", "srtp", "dtls_srtp"] {
        let _a_string_takes_all = writeln!(text, "module {module}.so");
    }
    text + "module_tmp uuid.so\nmodule_tmp account.so\nmodule_app menu.so\nmodule_app ctrl_tcp.so\n"
}

fn account(setup: &PhoneSetup, address: SocketAddr) -> String {
    let PhoneSetup {
        user,
        transport,
        codec,
        account,
        encryption,
        ..
    } = setup;
    let aor = match account {
        Some(server) => format!(
            "<sip:{user}@{DOMAIN};transport={transport}>;outbound=\"sip:{server};transport={transport}\";auth_user={user};auth_pass={user}"
        ),
        None => format!("<sip:{user}@{address};transport={transport}>"),
    };
    let encryption = encryption.map(|kind| format!(";mediaenc={kind}")).unwrap_or_default();
    format!("{aor};regint=0;answermode=auto;audio_codecs={codec}{encryption}\n")
}

/// Takes one `length:json,` off the front, if it is whole.
fn netstring(bytes: &mut Vec<u8>) -> Option<Value> {
    let colon = bytes.iter().position(|b| *b == b':')?;
    let length: usize = std::str::from_utf8(&bytes[..colon]).ok()?.parse().ok()?;
    let body = bytes.get(colon + 1..colon + 1 + length)?;
    let value = serde_json::from_slice(body).unwrap_or_else(|_| json!({"noise": String::from_utf8_lossy(body)}));
    bytes.drain(..(colon + length + 2).min(bytes.len()));
    Some(value)
}
