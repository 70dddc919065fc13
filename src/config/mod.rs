//! The configuration: a TOML file and secrets from files and environment become a checked [`Config`], or all mistakes at once.
//!
//! Opens no socket and starts nothing; `check-config` and `serve` read the same way.

mod check;
mod dial;
mod directory;
mod keypad;
mod meeting;
mod mistake;
mod numbers;
mod parse;
mod prompts;
mod read;
mod secret;
#[cfg(test)]
mod tests;
mod tls;
mod trunk;

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    ops::RangeInclusive,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use crate::model::{BareJid, Keypad, RoomConfig, RoomName, RoomRecord, entry::NumberMap, media::Codec, srtp::Policy, trunk::Trunk};

pub use dial::Dial;
pub use directory::ConfigDirectory;
pub use mistake::{Mistake, Mistakes};
pub use secret::Secret;
pub use tls::{TlsContent, TlsFiles, TlsMistake};

/// Every key with its meaning and default, as TOML that may be used as it is.
pub const REFERENCE: &str = include_str!("reference.toml");

/// A checked configuration.
#[derive(Clone)]
pub struct Config {
    /// The phone door.
    pub sip: Sip,
    /// Voice.
    pub media: Media,
    /// The chat door.
    pub xmpp: Xmpp,
    /// What holds for all rooms.
    pub rooms: Rooms,
    /// The rooms that are always there, in order of the file; each with `from_config`.
    pub declared: Vec<RoomRecord>,
    /// The people whom the file names.
    pub directory: Arc<ConfigDirectory>,
    /// Providers and PBXs, in the order in which they are tried.
    pub trunks: Vec<Trunk>,
    /// The database.
    pub store: PathBuf,
    /// The operator's socket.
    pub control: PathBuf,
    /// Recordings; without it nothing is recorded.
    pub recording: Option<Recording>,
    /// The log.
    pub log: Log,
    /// What keys do in rooms that have no table of their own.
    pub keypad: Keypad,
    /// Calls that rooms make.
    pub dial: Dial,
    /// The folder of what is said in place of the built-in voice.
    pub prompts: Option<PathBuf>,
    /// Numbers that lead to rooms, or to the spoken menu.
    pub numbers: NumberMap,
    /// What is odd but no mistake.
    pub warnings: Vec<Mistake>,
}

/// Without the declared rooms' records, which hold passwords.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("sip", &self.sip)
            .field("media", &self.media)
            .field("xmpp", &self.xmpp)
            .field("rooms", &self.rooms)
            .field("directory", &self.directory)
            .field("trunks", &self.trunks)
            .field("store", &self.store)
            .field("control", &self.control)
            .field("recording", &self.recording)
            .field("log", &self.log)
            .field("keypad", &self.keypad)
            .field("dial", &self.dial)
            .field("numbers", &self.numbers)
            .field("warnings", &self.warnings)
            .finish_non_exhaustive()
    }
}

/// The phone door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sip {
    /// Domain of the rooms' addresses, in lower case.
    pub domain: String,
    /// Where calls are taken; never empty.
    pub listen: Vec<Listen>,
    /// What is told instead of the listening addresses.
    pub advertise: Advertise,
    /// Where certificate and key are; given if one of the listening addresses is for TLS or secure WebSocket.
    pub tls: Option<TlsFiles>,
    /// What is told over TLS instead of an address, in lower case.
    pub tls_name: Option<String>,
    /// The pages whose scripts may connect by WebSocket, as browsers name them; all if empty.
    pub websocket_origins: Vec<String>,
    /// Realm of digest authentication.
    pub realm: String,
    /// Digest algorithms, best first; never empty.
    pub digest: Vec<Digest>,
    /// Callers without an account may enter rooms open to anyone.
    pub anonymous: bool,
    /// Best first; never empty.
    pub codecs: Vec<Codec>,
    /// Between two documents to one subscriber (rule R51).
    pub notify_interval: Duration,
    /// The user part of the factory's URI: calls there make rooms of their own.
    pub factory: Option<RoomName>,
    /// The DNS servers that are asked; those of the system if empty.
    pub dns: Vec<SocketAddr>,
    /// How long a hop may say nothing when there is another (RFC 3263 section 4.3).
    pub hop_limit: Duration,
}

/// How signalling travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// Streams.
    Tcp,
    /// Protected streams.
    Tls,
    /// WebSocket.
    Ws,
    /// Secure WebSocket.
    Wss,
}

impl Transport {
    /// By TLS, with our certificate.
    pub fn is_protected(self) -> bool {
        match self {
            Self::Udp | Self::Tcp | Self::Ws => false,
            Self::Tls | Self::Wss => true,
        }
    }
}

/// An algorithm of digest authentication (RFC 8760).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Digest {
    /// What every phone knows.
    Md5,
    /// What it should know.
    Sha256,
}

/// One address at which calls are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listen {
    /// How.
    pub transport: Transport,
    /// Where.
    pub address: SocketAddr,
}

/// What peers are told instead of the address that is listened at (rule R46).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Advertise {
    /// Listening address (none: every one of the same family), public address.
    entries: Vec<(Option<IpAddr>, IpAddr)>,
}

impl Advertise {
    /// The public address for a listening address: the entry for exactly it, else the one for its family.
    pub fn of(&self, listening: IpAddr) -> Option<IpAddr> {
        let exact = self.entries.iter().find(|(l, _)| *l == Some(listening));
        let family = || {
            self.entries
                .iter()
                .find(|(l, public)| l.is_none() && public.is_ipv4() == listening.is_ipv4())
        };
        exact.or_else(family).map(|(_, public)| *public)
    }
}

/// Voice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    /// Where voice is received: one or two addresses, of different families.
    pub listen: Vec<IpAddr>,
    /// What is told instead.
    pub advertise: Advertise,
    /// Ports for RTP and RTCP: even ones for RTP, each next one for RTCP.
    pub ports: RangeInclusive<u16>,
    /// Threads; 0 for one a processor.
    pub threads: usize,
    /// A WAV file that plays to a caller who is alone.
    pub music: Option<PathBuf>,
    /// Silence of RTP and RTCP after which a call ends (rule R45).
    pub timeout: Duration,
    /// Whether voice is encrypted (rule R72).
    pub srtp: Policy,
    /// Whether talkers are brought to one level.
    pub gain_control: bool,
    /// Whether noise is taken out of what talkers say.
    pub noise_suppression: bool,
}

/// Where recordings go (rule R82).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording {
    /// The folder.
    pub folder: PathBuf,
    /// The kind of file.
    pub format: RecordingFormat,
    /// Samples a second.
    pub rate: u32,
}

/// The kind of file that a recording is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordingFormat {
    /// Opus in Ogg.
    Ogg,
    /// 16-bit PCM.
    Wav,
}

/// The chat door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Xmpp {
    /// Host and port of the server's component listener.
    pub server: String,
    /// The MUC service (rule R20).
    pub rooms: BareJid,
    /// The focus and the callers' stand-ins (rule R20).
    pub phones: BareJid,
    /// Secret of the rooms component.
    pub rooms_secret: Secret,
    /// Secret of the phones component.
    pub phones_secret: Secret,
    /// What the service is called in discovery.
    pub name: String,
    /// Room addresses given to phones end in `?join`.
    pub join_uri: bool,
}

/// What holds for all rooms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rooms {
    /// Who may create rooms (rule R14).
    pub create: Create,
    /// Domains whose accounts are our own.
    pub own_domains: Vec<BareJid>,
    /// The service's admins.
    pub admins: Vec<BareJid>,
    /// Rooms at most.
    pub limit: usize,
    /// How long somebody who was put out stays out (rule R7).
    pub kick_quarantine: Duration,
    /// Stand-ins in one room, at most (rule R28).
    pub phone_occupants: usize,
    /// How long a caller's last nick must be gone before their stand-in appears (rule R27).
    pub phone_delay: Duration,
    /// What a new room starts with.
    pub template: RoomConfig,
}

/// Who may create rooms (rule R14).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Create {
    /// Accounts of our own domains.
    OwnDomains,
    /// The service's admins.
    Admins,
    /// Everybody.
    Anyone,
    /// Nobody.
    Nobody,
}

/// The log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Log {
    /// What is logged.
    pub level: tracing::Level,
    /// As JSON lines; else as text.
    pub json: bool,
}

impl Config {
    /// Reads a file, and secrets from the files that it names and from the process's environment.
    pub fn load(path: &Path) -> Result<Self, Mistakes> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| Mistakes {
            file: file.clone(),
            list: vec![Mistake {
                line: None,
                key: String::new(),
                problem: error.to_string(),
            }],
        })?;
        let folder = path.parent().unwrap_or_else(|| Path::new("."));
        check::check(&text, folder, &|name| std::env::var(name).ok()).map_err(|list| Mistakes { file, list })
    }
}
