//! The server: everything wired together, started in an order in which nothing is lost, and stopped within three seconds.

mod certificate;
mod counters;
mod ports;
mod settings;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::{Notify, broadcast, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
use tracing::{info, warn};

use crate::config::{Config, TlsMistake};
use crate::hub::{ChatOut, ChatTask, Hub, Input, Line, Outward, PhoneInputs, PhoneTask, StoreOut};
use crate::io::resolve::Resolver;
use crate::io::sip::SipTransport;
use crate::io::store::Store;
use crate::io::xmpp::Links;
use crate::model::{Directory, Now, RoomRecord, StoreOp};
use crate::peers::muc::MucService;
use crate::peers::sip::{FrontCounters, SipFront};
use crate::sip::endpoint::{Counters as SipCounters, Endpoint, EndpointConfig, Transport};

use super::control::{Context, ControlServer};
use certificate::Certificate;
use ports::{SharedMedia, ToChat, ToSockets, ToStore};

/// Room commands that may wait for the SIP task; beyond it they wait in their rooms.
const ROOM_TO_SIP: usize = 4096;
/// Media reports that may wait; beyond it the media threads count them as lost.
const MEDIA_REPORTS: usize = 8192;
/// Stanzas that may wait for the chat task; connections are awaited beyond it.
const CHAT_INBOX: usize = 1024;
/// Everything is told goodbye and written within this time.
const STOP_WITHIN: Duration = Duration::from_millis(2700);
/// So much of it is for calls that don't answer; the chat streams are closed in the rest.
const GOODBYE_WITHIN: Duration = Duration::from_millis(2200);
/// The database gets so much in any case.
const LAST_WRITE: Duration = Duration::from_millis(200);

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A listening address.
    #[error("[sip] listen: {0}")]
    Sip(#[source] std::io::Error),
    /// Certificate or key.
    #[error("[sip] {0}")]
    Tls(#[from] TlsMistake),
    /// The media threads.
    #[error("[media]: {0}")]
    Media(#[source] std::io::Error),
    /// The file of the music.
    #[error("[media] music {path}: {source}")]
    Music {
        /// Which.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// Files of the voice.
    #[error("[prompts] {folder}:{bad}")]
    Prompts {
        /// Where.
        folder: String,
        /// Which, and why: a line each.
        bad: String,
    },
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

/// Reads what the configuration's check leaves to those who use it.
pub fn check_files(config: &Config) -> Result<(), StartError> {
    settings::music(config)?;
    settings::voice(config).map(drop)
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    hub: Hub,
    close_phones: oneshot::Sender<oneshot::Sender<()>>,
    links: Links,
    store: Store,
    _control: ControlServer,
    calls: watch::Receiver<(FrontCounters, SipCounters)>,
    /// Kept, so that the SIP task hears of it as long as it runs.
    _drain: Arc<watch::Sender<bool>>,
    tasks: Vec<JoinHandle<()>>,
    /// Wakes whoever reads the certificate.
    reread: Arc<Notify>,
    sip: Vec<(Transport, SocketAddr)>,
}

impl Server {
    /// Starts everything that the configuration asks for: the database first, the sockets last. To be called inside of a tokio runtime.
    pub fn start(config: &Config, transcript: Option<broadcast::Sender<Line>>) -> Result<Self, StartError> {
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
        let plane = settings::plane_config(config, rng.random())?;
        let plane = SharedMedia::start(plane, reports).map_err(StartError::Media)?;
        let (certificate, tls) = config.sip.tls.clone().map(Certificate::open).transpose()?.unzip();
        let (transport, sockets) =
            SipTransport::bind(&settings::listen_addresses(config), tls, &config.sip.websocket_origins).map_err(StartError::Sip)?;
        let transport = Arc::new(transport);
        let listeners = settings::listeners(config, transport.listening().to_vec());
        let sip_addresses = listeners.iter().map(|l| (l.transport, l.local)).collect();

        let (chat_inbox, chat) = mpsc::channel(CHAT_INBOX);
        let (links, outgoing) = Links::start(settings::link_settings(config), &chat_inbox, rng.random());
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
        let factory = settings::room_factory(config, Arc::clone(&accounts), seed);
        let uris = factory.sip.clone();
        let hub = Hub::new(factory, outward);
        for record in &records {
            hub.open(record);
        }

        let endpoint = EndpointConfig {
            hop_limit: config.sip.hop_limit,
            ..EndpointConfig::new(listeners.clone())
        };
        let endpoint = Endpoint::new(endpoint, rng.random());
        let (resolver, lookups) = Resolver::new(&config.sip.dns);
        let front = SipFront::new(
            settings::front_settings(config, &listeners, plane.fingerprint()),
            endpoint,
            accounts,
            rng.random(),
            now(),
        );
        let (phones, counters, trunks) = PhoneTask::new(
            front,
            hub.clone(),
            Box::new(plane.clone()),
            Arc::new(ToSockets {
                transport: Arc::clone(&transport),
                resolver,
            }),
        );
        let (close_phones, close) = oneshot::channel();
        let (drain, draining) = watch::channel(false);
        let drain = Arc::new(drain);
        let service = MucService::new(settings::service_settings(config));
        let chat_task = ChatTask::new(service, hub.clone(), chat_out, store_out, config.xmpp.rooms.to_string());
        let mut tasks = vec![
            tokio::spawn(phones.run(PhoneInputs {
                sockets,
                rooms,
                media,
                lookups,
                close,
                drain: draining,
            })),
            tokio::spawn(chat_task.run(chat)),
            tokio::spawn(plane.clone().balance()),
        ];
        let reread = Arc::new(Notify::new());
        tasks.extend(certificate.map(|c| tokio::spawn(c.keep(Arc::clone(&transport), Arc::clone(&reread)))));

        let domains = [config.xmpp.rooms.to_string(), config.xmpp.phones.to_string()];
        let calls = counters.clone();
        let (measured, played) = (plane.clone(), plane.clone());
        let read = move || counters::read(&counters, &transport, &plane, &outgoing, &domains);
        let context = Context {
            hub: hub.clone(),
            uris,
            counters: Arc::new(read),
            drain: Arc::clone(&drain),
            trunks,
            measure: Arc::new(move |leg| measured.measure(leg)),
            play: Arc::new(move |room, path| Ok(played.play(room, &settings::clip(path)?))),
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
            calls,
            _drain: drain,
            tasks,
            reread,
            sip: sip_addresses,
        })
    }

    /// Where calls are taken, with the ports that the system chose where the configuration said 0.
    pub fn sip_addresses(&self) -> &[(Transport, SocketAddr)] {
        &self.sip
    }

    /// Reads the TLS certificate and its key anew, if there are any; what was read is logged.
    pub fn reread(&self) {
        self.reread.notify_one();
    }

    /// Waits until the operator has ordered to take no new calls, and the last one is over (rule R81).
    pub async fn drained(&self) {
        let mut calls = self.calls.clone();
        // The task is gone only if its sockets failed: nothing is drained by that.
        if calls.wait_for(|(front, _)| front.draining && front.open == 0).await.is_err() {
            std::future::pending().await
        }
    }

    /// Refuses new calls, says goodbye at both doors, writes what is to be kept; within three seconds, whatever peers do.
    pub async fn stop(self) {
        info!("stopping");
        let until = Instant::now() + STOP_WITHIN;
        let told = Instant::now() + GOODBYE_WITHIN;
        let (done, phones_done) = oneshot::channel();
        // The task is gone already if its sockets failed.
        let _ = self.close_phones.send(done);
        let rooms = self.hub.directory().handles();
        for room in &rooms {
            let _ = timeout_at(told, room.inbox.send(Input::Shutdown)).await;
        }
        if timeout_at(told, phones_done).await.is_err() {
            let (calls, _) = *self.calls.borrow();
            warn!(
                calls = calls.open,
                unacknowledged = calls.unacknowledged,
                "calls that did not answer our goodbye, or never acknowledged our answer, are abandoned"
            );
        }
        // A room's inbox closes when it has told everybody: until then the chat streams stay open.
        for room in rooms {
            let _ = timeout_at(told, room.inbox.closed()).await;
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

fn now() -> Now {
    let unix_ms = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |d| d.as_millis() as u64);
    Now {
        at: std::time::Instant::now(),
        unix_ms,
    }
}
