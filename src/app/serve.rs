//! The server: everything wired together, started in an order in which nothing is lost, and stopped within three seconds.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use minidom::Element;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sha2::{Digest, Sha256};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
use tracing::{debug, info, warn};

use crate::config::{self, Config, Create};
use crate::hub::{
    ChatInput, ChatOut, ChatTask, Hub, Input, Line, Outward, PhoneInputs, PhoneTask, RoomFactory, SharedPlane, SipOut, StoreOut,
};
use crate::io::sip::SipTransport;
use crate::io::store::Store;
use crate::io::xmpp::{LinkSettings, Links, Outgoing, Pace, XmppInbound};
use crate::media::{Interface, Plane, PlaneConfig};
use crate::model::media::{NoPorts, OpenLeg};
use crate::model::{Correlation, Directory, LegId, MediaOrder, MediaPlane, MediaReport, Now, Pii, RoomRecord, StoreOp};
use crate::peers::muc::{Creation, MucService, MucSettings, ServiceSettings};
use crate::peers::sip::{FrontCounters, FrontSettings, MediaSettings, SipFront, SipRoomSettings};
use crate::room::RoomSettings;
use crate::sip::endpoint::{Counters as SipCounters, Endpoint, EndpointConfig, Listener, Transmit, Transport};
use crate::xmpp::stream::{KeepAlive, Settings as StreamSettings, Told};

use super::control::{Context, ControlServer};

/// Room commands that may wait for the SIP task; beyond it they wait in their rooms.
const ROOM_TO_SIP: usize = 4096;
/// Media reports that may wait; beyond it the media threads count them as lost.
const MEDIA_REPORTS: usize = 8192;
/// Stanzas that may wait for the chat task; connections are awaited beyond it.
const CHAT_INBOX: usize = 1024;
/// Everything is told goodbye and written within this time.
const STOP_WITHIN: Duration = Duration::from_millis(2700);
/// The database gets so much in any case.
const LAST_WRITE: Duration = Duration::from_millis(200);

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A listening address.
    #[error("[sip] listen: {0}")]
    Sip(#[source] std::io::Error),
    /// The media threads.
    #[error("[media]: {0}")]
    Media(#[source] std::io::Error),
    /// The database.
    #[error("[store] path: {0}")]
    Store(#[from] crate::io::store::StoreError),
    /// The operator's socket.
    #[error("[control] socket {path}: {source}")]
    Control {
        /// Which.
        path: String,
        /// Why.
        source: std::io::Error,
    },
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    hub: Hub,
    close_phones: oneshot::Sender<oneshot::Sender<()>>,
    links: Links,
    store: Store,
    _control: ControlServer,
    tasks: Vec<JoinHandle<()>>,
    sip: Vec<(Transport, SocketAddr)>,
}

impl Server {
    /// Starts everything that the configuration asks for: the database first, the sockets last.
    pub async fn start(config: &Config, transcript: Option<broadcast::Sender<Line>>) -> Result<Self, StartError> {
        // Unguessable where it starts: tags, branches, SSRCs and nonces all come from here.
        let mut rng = StdRng::from_os_rng();
        let seed: u64 = rng.random();
        let (store, kept) = Store::open(&config.store, |_| {})?;
        let store_out: Arc<dyn StoreOut> = Arc::new(ToStore(store.clone()));
        // Temporary rooms end with their last guest; those that a crash left behind have none.
        let (kept, ended): (Vec<RoomRecord>, Vec<RoomRecord>) = kept.into_iter().partition(|r| r.from_config || r.config.persistent);
        for record in ended {
            store_out.store(StoreOp::DeleteRoom(record.name));
        }
        let records = merge(kept, &config.declared);
        for record in records.iter().filter(|r| r.from_config) {
            store_out.store(StoreOp::SaveRoom(Box::new(record.clone())));
        }

        let (reports, media) = mpsc::channel(MEDIA_REPORTS);
        let plane = SharedMedia::start(config, rng.random(), reports).map_err(StartError::Media)?;
        let (transport, sockets) = SipTransport::bind(&listen_addresses(config)).map_err(StartError::Sip)?;
        let transport = Arc::new(transport);
        let listeners = listeners(config, transport.listening().to_vec());
        let sip_addresses = listeners.iter().map(|l| (l.transport, l.local)).collect();

        let (chat_inbox, chat) = mpsc::channel(CHAT_INBOX);
        let (links, outgoing) = Links::start(link_settings(config), &chat_inbox, rng.random());
        let chat_out: Arc<dyn ChatOut> = Arc::new(ToChat {
            out: outgoing.clone(),
            back: chat_inbox,
        });

        let (sip_inbox, rooms) = mpsc::channel(ROOM_TO_SIP);
        let outward = Outward {
            plane: Box::new(plane.clone()),
            chat: Arc::clone(&chat_out),
            store: Arc::clone(&store_out),
            sip: sip_inbox,
            transcript,
        };
        let accounts: Arc<dyn Directory> = config.directory.clone();
        let factory = room_factory(config, Arc::clone(&accounts), seed);
        let uris = factory.sip.clone();
        let hub = Hub::new(factory, outward);
        for record in &records {
            hub.open(record);
        }

        let endpoint = Endpoint::new(EndpointConfig::new(listeners.clone()), rng.random());
        let front = SipFront::new(front_settings(config, &listeners), endpoint, accounts, rng.random(), now());
        let (phones, counters) = PhoneTask::new(
            front,
            hub.clone(),
            Box::new(plane.clone()),
            Arc::new(ToSockets(Arc::clone(&transport))),
        );
        let (close_phones, close) = oneshot::channel();
        let service = MucService::new(service_settings(config));
        let chat_task = ChatTask::new(service, hub.clone(), chat_out, store_out, config.xmpp.rooms.to_string());
        let tasks = vec![
            tokio::spawn(phones.run(PhoneInputs {
                sockets,
                rooms,
                media,
                close,
            })),
            tokio::spawn(chat_task.run(chat)),
        ];

        let domains = [config.xmpp.rooms.to_string(), config.xmpp.phones.to_string()];
        let read = move || read_counters(&counters, &transport, &plane, &outgoing, &domains);
        let context = Context {
            hub: hub.clone(),
            uris,
            counters: Arc::new(read),
        };
        let control = ControlServer::start(&config.control, context).map_err(|source| StartError::Control {
            path: config.control.display().to_string(),
            source,
        })?;
        info!(rooms = records.len(), "serving");
        Ok(Self {
            hub,
            close_phones,
            links,
            store,
            _control: control,
            tasks,
            sip: sip_addresses,
        })
    }

    /// Where calls are taken, with the ports that the system chose where the configuration said 0.
    pub fn sip_addresses(&self) -> &[(Transport, SocketAddr)] {
        &self.sip
    }

    /// Refuses new calls, says goodbye at both doors, writes what is to be kept; within three seconds, whatever peers do.
    pub async fn stop(self) {
        let until = Instant::now() + STOP_WITHIN;
        let (done, phones_done) = oneshot::channel();
        // The task is gone already if its sockets failed.
        let _ = self.close_phones.send(done);
        for handle in self.hub.directory().handles() {
            let _ = timeout_at(until, handle.inbox.send(Input::Shutdown)).await;
        }
        if timeout_at(until, phones_done).await.is_err() {
            warn!("some calls did not answer our goodbye and are abandoned");
        }
        let _ = timeout_at(until, self.links.close()).await;
        for task in self.tasks {
            task.abort();
        }
        let left = until.saturating_duration_since(Instant::now()).max(LAST_WRITE);
        if !self.store.flush(left).await {
            warn!("the database is slow: what it has not taken yet may be lost");
        }
    }
}

/// SIGINT and SIGTERM.
#[derive(Debug)]
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Takes both signals over from here on.
    ///
    /// # Errors
    ///
    /// The system refuses.
    pub fn new() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for either.
    pub async fn received(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Rooms as they were kept, with what the configuration declares about them; declared rooms that are new.
fn merge(kept: Vec<RoomRecord>, declared: &[RoomRecord]) -> Vec<RoomRecord> {
    let mut rooms: BTreeMap<_, _> = kept.into_iter().map(|r| (r.name.clone(), r)).collect();
    for record in rooms.values_mut() {
        // A room whose declaration was removed lives on as an ordinary persistent one.
        record.from_config = false;
    }
    for declaration in declared {
        match rooms.get_mut(&declaration.name) {
            Some(room) => {
                room.from_config = true;
                room.locked_until_configured = false;
                room.config = declaration.config.clone();
                room.affiliations.extend(declaration.affiliations.clone());
            }
            None => {
                rooms.insert(declaration.name.clone(), declaration.clone());
            }
        }
    }
    rooms.into_values().collect()
}

fn listen_addresses(config: &Config) -> Vec<(Transport, SocketAddr)> {
    let transport = |t| match t {
        config::Transport::Udp => Transport::Udp,
        config::Transport::Tcp => Transport::Tcp,
    };
    config.sip.listen.iter().map(|l| (transport(l.transport), l.address)).collect()
}

/// What peers are told of the bound addresses (rule R46). An address that says "everywhere" is told as the one that the kernel would send from.
fn listeners(config: &Config, bound: Vec<(Transport, SocketAddr)>) -> Vec<Listener> {
    let listener = |(transport, local): (Transport, SocketAddr)| {
        let mut listener = Listener::plain(transport, local);
        match config.sip.advertise.of(local.ip()) {
            Some(public) => listener.host = plain_host(public),
            None if local.ip().is_unspecified() => listener.host = plain_host(outward_ip(local.ip())),
            None => {}
        }
        listener
    };
    bound.into_iter().map(listener).collect()
}

fn plain_host(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}

/// The address that the kernel sends from towards the world; loopback on a machine without a route.
fn outward_ip(unspecified: IpAddr) -> IpAddr {
    // Documentation addresses (RFC 5737, RFC 3849): connecting a datagram socket sends nothing.
    let (world, loopback): (SocketAddr, IpAddr) = match unspecified {
        IpAddr::V4(_) => (SocketAddr::from(([192, 0, 2, 1], 9)), Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(_) => (SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], 9)), Ipv6Addr::LOCALHOST.into()),
    };
    let routed = UdpSocket::bind(SocketAddr::new(unspecified, 0)).and_then(|s| s.connect(world).and_then(|()| s.local_addr()));
    routed.map_or(loopback, |a| a.ip())
}

fn link_settings(config: &Config) -> Vec<LinkSettings> {
    let link = |domain: String, secret: &config::Secret, told| LinkSettings {
        server: config.xmpp.server.clone(),
        stream: StreamSettings {
            domain,
            secret: Pii(secret.reveal().to_owned()),
            told,
            keep_alive: KeepAlive::default(),
        },
        pace: Pace::default(),
    };
    vec![
        link(config.xmpp.rooms.to_string(), &config.xmpp.rooms_secret, Told::Everybody),
        link(config.xmpp.phones.to_string(), &config.xmpp.phones_secret, Told::Askers),
    ]
}

fn room_factory(config: &Config, accounts: Arc<dyn Directory>, seed: u64) -> RoomFactory {
    let service_key = service_key(config);
    let mut room = RoomSettings::new(config.xmpp.phones.clone());
    room.kick_quarantine = config.rooms.kick_quarantine;
    room.phone_occupant_delay = config.rooms.phone_delay;
    room.max_phone_occupants = config.rooms.phone_occupants;
    room.silence_limit_s = u32::try_from(config.media.timeout.as_secs()).unwrap_or(u32::MAX);
    RoomFactory {
        room,
        muc: Arc::new(MucSettings {
            rooms_domain: config.xmpp.rooms.clone(),
            sip_host: config.sip.domain.clone(),
            service_key,
        }),
        sip: SipRoomSettings {
            domain: config.sip.domain.clone(),
            rooms_domain: config.xmpp.rooms.to_string(),
            join_uri: config.xmpp.join_uri,
            notify_interval: config.sip.notify_interval,
            max_watchers: config.rooms.template.max_people as usize,
        },
        accounts,
        service_key,
        seed,
    }
}

/// Names of phone occupants have to be the same after a restart (rule R26), so the key comes from a secret that stays.
fn service_key(config: &Config) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(b"cusax names of phone occupants\0");
    hash.update(config.xmpp.rooms_secret.reveal().as_bytes());
    hash.finalize().into()
}

fn front_settings(config: &Config, listeners: &[Listener]) -> FrontSettings {
    let mut hosts = vec![config.sip.domain.clone()];
    for listener in listeners {
        hosts.push(listener.host.trim_matches(['[', ']']).to_owned());
        hosts.push(listener.local.ip().to_string());
    }
    hosts.sort();
    hosts.dedup();
    // The domain stands first: it is how we name ourselves.
    hosts.retain(|h| *h != config.sip.domain);
    hosts.insert(0, config.sip.domain.clone());
    FrontSettings {
        hosts,
        realm: config.sip.realm.clone(),
        unproven_callers: config.sip.anonymous,
        media: MediaSettings {
            codecs: config.sip.codecs.clone(),
            comfort_noise: false,
        },
        retry_after: Duration::from_secs(30),
    }
}

fn service_settings(config: &Config) -> ServiceSettings {
    ServiceSettings {
        rooms_domain: config.xmpp.rooms.clone(),
        phones_domain: config.xmpp.phones.clone(),
        name: config.xmpp.name.clone(),
        creation: match config.rooms.create {
            Create::OwnDomains => Creation::OwnDomains,
            Create::Admins => Creation::Admins,
            Create::Anyone => Creation::Anyone,
            Create::Nobody => Creation::Nobody,
        },
        own_domains: config.rooms.own_domains.clone(),
        admins: config.rooms.admins.clone(),
        default_config: config.rooms.template.clone(),
        max_rooms: config.rooms.limit,
    }
}

fn now() -> Now {
    let unix_ms = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |d| d.as_millis() as u64);
    Now {
        at: std::time::Instant::now(),
        unix_ms,
    }
}

/// Every counter of the server by name, for `cusax stats`.
fn read_counters(
    phones: &watch::Receiver<(FrontCounters, SipCounters)>,
    sockets: &SipTransport,
    media: &SharedMedia,
    chat: &Outgoing,
    domains: &[String],
) -> BTreeMap<String, u64> {
    let (front, sip) = *phones.borrow();
    let transport = sockets.counters();
    let plane = media.plane().stats();
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let mut all: BTreeMap<String, u64> = [
        ("calls.asked", front.calls),
        ("calls.admitted", front.admitted),
        ("calls.refused", front.refused),
        ("calls.not_found", front.not_found),
        ("calls.challenged", front.challenged),
        ("calls.bad_credentials", front.bad_credentials),
        ("calls.not_acceptable", front.not_acceptable),
        ("calls.no_ports", front.no_ports),
        ("sip.requests", sip.requests),
        ("sip.repeated", sip.repeated),
        ("sip.malformed_answered", sip.malformed_answered),
        ("sip.malformed_dropped", sip.malformed_dropped),
        ("sip.stray_responses", sip.stray_responses),
        ("sip.stray_acks", sip.stray_acks),
        ("sip.no_dialog", sip.no_dialog),
        ("sip.merged", sip.merged),
        ("sip.refused", sip.refused),
        ("sip.overload", sip.overload),
        ("sip.throttled", sip.throttled),
        ("sip.unanswered", sip.unanswered),
        ("sip.timed_out", sip.timed_out),
        ("sip.unsendable", sip.unsendable),
        ("sip.moved_to_tcp", sip.moved_to_tcp),
        ("sip.back_to_udp", sip.back_to_udp),
        ("sip.datagrams_dropped", read(&transport.datagrams_dropped)),
        ("sip.messages_dropped", read(&transport.messages_dropped)),
        ("sip.connections_refused", read(&transport.connections_refused)),
        ("sip.connections_cut", read(&transport.connections_cut)),
        ("sip.connections_idle", read(&transport.connections_idle)),
        ("media.late_ticks", plane.late_ticks),
        ("media.skipped_ticks", plane.skipped_ticks),
        ("media.unsent", plane.unsent),
        ("media.delayed_reports", plane.delayed_reports),
        ("media.lost_digits", plane.lost_digits),
        ("media.panics", plane.panics),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    for (domain, counts) in domains.iter().filter_map(|d| Some((d, chat.counts(d)?))) {
        for (name, value) in [
            ("received", counts.received),
            ("refused", counts.refused),
            ("sent", counts.sent),
            ("not_written", counts.not_written),
            ("lost", counts.lost),
            ("queued_bytes", counts.queued_bytes as u64),
        ] {
            all.insert(format!("chat.{domain}.{name}"), value);
        }
    }
    all
}

/// Chat stanzas to the connections; a stanza for a room that is gone back to the service.
#[derive(Debug)]
struct ToChat {
    out: Outgoing,
    back: mpsc::Sender<ChatInput>,
}

impl ChatOut for ToChat {
    fn send(&self, stanza: Element) {
        if let Err(why) = self.out.send(&stanza) {
            // Counted there; when the stream is up or has room again, occupants are compared (rule R30).
            debug!("a stanza is lost: {why}");
        }
    }

    fn send_back(&self, stanza: Element) {
        // The chat task is behind by its whole inbox: the sender will ask again.
        if self.back.try_send(ChatInput::Stanza(stanza)).is_err() {
            debug!("a stanza for a room that has just ended is lost");
        }
    }
}

impl From<XmppInbound> for ChatInput {
    fn from(inbound: XmppInbound) -> Self {
        match inbound {
            XmppInbound::Up(domain) => Self::Up(domain),
            XmppInbound::Down(domain) => Self::Down(domain),
            XmppInbound::Stanza(stanza) => Self::Stanza(stanza),
            XmppInbound::Overflow(domain) => Self::Overflow(domain),
        }
    }
}

/// Changes to the database's thread.
#[derive(Debug)]
struct ToStore(Store);

impl StoreOut for ToStore {
    fn store(&self, op: StoreOp) {
        self.0.store(op);
    }
}

/// SIP messages to the sockets.
#[derive(Debug)]
struct ToSockets(Arc<SipTransport>);

impl SipOut for ToSockets {
    fn send(&self, transmit: Transmit) {
        self.0.send(transmit);
    }
}

/// One media plane for the rooms and the SIP task: each holds it for one order at a time, and never while waiting.
#[derive(Debug, Clone)]
struct SharedMedia(Arc<Mutex<Plane>>);

impl SharedMedia {
    fn start(config: &Config, seed: u64, reports: mpsc::Sender<MediaReport>) -> std::io::Result<Self> {
        let interface = |listen: &IpAddr| Interface {
            listen: *listen,
            advertise: config.media.advertise.of(*listen),
        };
        let mut plane = PlaneConfig::new(config.media.listen.iter().map(interface).collect(), seed);
        plane.ports = config.media.ports.clone();
        plane.silence_limit = config.media.timeout;
        if config.media.threads > 0 {
            plane.threads = config.media.threads;
        }
        Ok(Self(Arc::new(Mutex::new(Plane::start(plane, reports)?))))
    }

    /// A panic while an order was passed on leaves the plane usable: its threads are elsewhere.
    fn plane(&self) -> MutexGuard<'_, Plane> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MediaPlane for SharedMedia {
    fn open(&mut self, leg: LegId, correlation: Correlation, peer: IpAddr) -> Result<OpenLeg, NoPorts> {
        self.plane().open(leg, correlation, peer)
    }

    fn order(&mut self, order: MediaOrder) {
        self.plane().order(order);
    }
}

impl SharedPlane for SharedMedia {
    fn share(&self) -> Box<dyn SharedPlane> {
        Box::new(self.clone())
    }
}
