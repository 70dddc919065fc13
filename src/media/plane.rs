//! The ordering side of the media threads: opens sockets, builds codecs and mixers, knows which thread has which leg.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::UdpSocket,
    ops::RangeInclusive,
    sync::{Arc, atomic::Ordering, mpsc},
    thread::{self, JoinHandle},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use mixer::{Keys, LegAudio, LegSettings, Rate, Stock};
use rand::{Rng, RngCore, SeedableRng, rngs::StdRng};
use tokio::sync::{mpsc::Sender, oneshot};

use super::{
    clerk::{Clerk, Gone},
    counters::{Cost, Counters, Gauge, PlaneStats, ThreadStats},
    handshake::{Agreement, Errand, Handshakes, ToHandshakes},
    hook::{self, PREFIX},
    identity,
    leg::{Leg, NewLeg, Sockets},
    order::{LegOrder, Line, Order, RoomKey, Spot},
    pace::PHASE,
    ports::{Interface, Pair, Ports},
    recording::{Recorder, RecordingConfig},
    room::Room,
    sounds::{Clip, Sounds},
    sys::{Epoll, Ticker, Wake},
    voice::Voice,
    whereabouts::Whereabouts,
    worker::{Setup, Worker},
};
mod balance;
mod sound;

use crate::{
    model::{
        LegId, LegMedia, LegStats, MediaOrder, MediaReport, RoomName, Seat,
        dtls::Fingerprint,
        media::{MediaPlane, OpenLeg, Opening, PortKind, Unopened},
        srtp::Security,
    },
    rtp::{self, rtcp::NtpClock},
};

/// Rule R45.
const SILENCE_LIMIT: Duration = Duration::from_secs(60);

/// How the media plane is set up.
#[derive(Debug, Clone)]
pub struct PlaneConfig {
    /// Local addresses; one is chosen per leg by its peer.
    pub interfaces: Vec<Interface>,
    /// RTP takes the even ports, RTCP the odd ones above them.
    pub ports: RangeInclusive<u16>,
    /// Media threads.
    pub threads: usize,
    /// Silence of RTP and RTCP after which a leg is reported as gone, and after half of it as quiet (rule R45). In whole seconds.
    pub silence_limit: Duration,
    /// Where recordings go; without it nothing is recorded.
    pub recording: Option<RecordingConfig>,
    /// Played to a caller who is alone.
    pub music: Option<Clip>,
    /// Speaks to callers.
    pub voice: Voice,
    /// Talkers are brought to one level.
    pub gain_control: bool,
    /// Noise is taken out of what talkers say.
    pub noise_suppression: bool,
    /// For SSRCs, first sequence numbers, ports and report intervals: to be unguessable (RFC 3550 section 9).
    pub seed: u64,
}

impl PlaneConfig {
    /// Ports 16384 to 32767, and as many threads as there are cores.
    pub fn new(interfaces: Vec<Interface>, seed: u64) -> Self {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        Self {
            interfaces,
            ports: 16_384..=32_767,
            threads,
            silence_limit: SILENCE_LIMIT,
            recording: None,
            music: None,
            voice: Voice::built_in(),
            gain_control: false,
            noise_suppression: false,
            seed,
        }
    }
}

/// The media threads, as signalling sees them. Dropping it says good-bye on every leg and ends the threads.
#[derive(Debug)]
pub struct Plane {
    workers: Vec<Crew>,
    ports: Ports,
    rng: StdRng,
    legs: BTreeMap<LegId, Known>,
    rooms: BTreeMap<RoomName, KnownRoom>,
    silence_limit: Duration,
    gain_control: bool,
    noise_suppression: bool,
    next_room: u64,
    /// Calls of `balance` until the threads' figures can be believed again.
    settling: u32,
    /// Rooms that moved to another thread so far.
    moves: u64,
    gone: mpsc::Receiver<Gone>,
    counters: Arc<Counters>,
    handshakes: ToHandshakes,
    fingerprint: Fingerprint,
    reports: Sender<MediaReport>,
    sounds: Sounds,
    recorder: Option<Recorder>,
    /// Rooms that are recorded.
    recorded: BTreeSet<RoomName>,
}

/// One media thread.
#[derive(Debug)]
struct Crew {
    line: Line,
    thread: Option<JoinHandle<()>>,
    gauge: Arc<Gauge>,
    legs: usize,
}

/// Where a leg will be once all orders so far are carried out.
#[derive(Debug)]
struct Known {
    spot: Spot,
    room: Option<RoomName>,
    settings: Option<LegSettings>,
    whereabouts: Arc<Whereabouts>,
    socket: Arc<UdpSocket>,
    /// Where it has its place at a shared port: that one's thread and interface.
    place: Option<(usize, usize)>,
    /// It has an association, or is to have one.
    shakes_hands: bool,
}

#[derive(Debug)]
struct KnownRoom {
    key: RoomKey,
    worker: usize,
    /// Of its mixing rate.
    cap: Rate,
    legs: usize,
    cost: Arc<Cost>,
    /// Music plays in it.
    music: bool,
}

impl Plane {
    /// Starts the threads. Reports are sent without waiting; while the channel is full they wait per leg, the last state of each kind.
    pub fn start(config: PlaneConfig, reports: Sender<MediaReport>) -> io::Result<Self> {
        hook::install();
        let mut rng = StdRng::seed_from_u64(config.seed);
        let counters = Arc::new(Counters::default());
        let clock = NtpClock::new(Instant::now(), SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default());
        let (task_sender, tasks) = mpsc::channel();
        let (gone_sender, gone) = mpsc::channel();
        let wakes: Vec<_> = (0..config.threads.max(1))
            .map(|_| Ok(Arc::new(Wake::new()?)))
            .collect::<io::Result<_>>()?;
        let (lines, mailboxes): (Vec<_>, Vec<_>) = wakes.iter().map(|wake| Line::new(Arc::clone(wake))).unzip();
        let clerk = Clerk {
            lines: lines.clone(),
            reports: reports.clone(),
            gone: gone_sender,
        };
        thread::Builder::new()
            .name(format!("{PREFIX}clerk"))
            .spawn(move || clerk.run(&tasks))?;
        let identity = Arc::new(identity::generate()?);
        let fingerprint = identity.fingerprint().clone();
        let (handshakes, errands) = mpsc::channel();
        let crypt = Handshakes::new(identity, lines.clone(), Arc::clone(&counters));
        thread::Builder::new()
            .name(format!("{PREFIX}dtls"))
            .spawn(move || crypt.run(&errands))?;
        let sounds = Sounds::new(config.music, config.voice);
        let mut workers = Vec::new();
        for (own, (mailbox, wake)) in mailboxes.into_iter().zip(wakes).enumerate() {
            let gauge = Arc::new(Gauge::default());
            let setup = Setup {
                own,
                lines: lines.clone(),
                mailbox,
                handshakes: handshakes.clone(),
                wake,
                epoll: Epoll::new()?,
                ticker: Ticker::new(PHASE)?,
                tasks: task_sender.clone(),
                reports: reports.clone(),
                counters: Arc::clone(&counters),
                gauge: Arc::clone(&gauge),
                clock,
                rng: StdRng::from_rng(&mut rng),
                vestibule: Room::vestibule(&sounds.waiting()).map_err(io::Error::other)?,
                waiting: sounds.waiting(),
                stock: Stock::new().map_err(io::Error::other)?,
            };
            let body = move || match Worker::new(setup) {
                Ok(worker) => worker.run(),
                Err(error) => tracing::error!(%error, "a media thread can't start"),
            };
            let thread = thread::Builder::new().name(format!("{PREFIX}{own}")).spawn(body)?;
            workers.push(Crew {
                line: lines[own].clone(),
                thread: Some(thread),
                gauge,
                legs: 0,
            });
        }
        let ports = Ports::new(config.interfaces, &config.ports);
        Ok(Self {
            workers,
            ports,
            rng,
            legs: BTreeMap::new(),
            rooms: BTreeMap::new(),
            silence_limit: config.silence_limit,
            gain_control: config.gain_control,
            noise_suppression: config.noise_suppression,
            next_room: 0,
            settling: 0,
            moves: 0,
            sounds,
            recorder: config
                .recording
                .map(|c| Recorder::start(c, reports.clone(), Arc::clone(&counters)))
                .transpose()?,
            recorded: BTreeSet::new(),
            reports,
            gone,
            counters,
            handshakes,
            fingerprint,
        })
    }

    /// Of the certificate that DTLS shows.
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    /// What went wrong so far, in numbers.
    pub fn stats(&self) -> PlaneStats {
        PlaneStats {
            moved_rooms: self.moves,
            ..self.counters.snapshot()
        }
    }

    /// Asks for a leg's numbers so far; the answer comes between two ticks, or not at all if the leg is gone.
    pub fn measure(&self, leg: LegId) -> oneshot::Receiver<LegStats> {
        let (tell, told) = oneshot::channel();
        if let Some(known) = self.legs.get(&leg) {
            self.workers[known.spot.worker].line.send(Order::Leg(leg, LegOrder::Measure(tell)));
        }
        told
    }

    /// How each thread is doing.
    pub fn threads(&self) -> Vec<ThreadStats> {
        let stats = |crew: &Crew| ThreadStats {
            busy: crew.gauge.busy.load(Ordering::Relaxed),
            shed: crew.gauge.step.load(Ordering::Relaxed),
            legs: crew.legs,
        };
        self.workers.iter().map(stats).collect()
    }

    /// Notes which ports are free again and what failed.
    fn settle(&mut self) {
        while let Ok(gone) = self.gone.try_recv() {
            match gone {
                Gone::Leg(leg, slot) => {
                    slot.into_iter().for_each(|slot| self.ports.free(slot));
                    self.forget(leg);
                }
                Gone::Room(name, key) => {
                    if self.rooms.get(&name).is_some_and(|room| room.key == key) {
                        self.rooms.remove(&name);
                    }
                }
            }
        }
    }

    /// Forgets a leg that is closed or being closed.
    fn forget(&mut self, leg: LegId) {
        if let Some(known) = self.legs.remove(&leg) {
            self.workers[known.spot.worker].legs -= 1;
            if known.shakes_hands {
                let _ = self.handshakes.send(Errand::End(leg));
            }
            if let Some((worker, interface)) = known.place {
                self.workers[worker].line.send(Order::Dismiss(interface, leg));
            }
            self.leave(known.room, known.spot.room);
        }
    }

    /// Counts one leg less in the room that a leg was in, and ends the room after its last.
    fn leave(&mut self, name: Option<RoomName>, key: Option<RoomKey>) {
        let Some(name) = name else { return };
        // The room of this name may be another one, after a failure.
        let Some(room) = self.rooms.get_mut(&name).filter(|room| Some(room.key) == key) else {
            return;
        };
        room.legs -= 1;
        if room.legs == 0 {
            self.workers[room.worker].line.send(Order::End(room.key));
            self.rooms.remove(&name);
            // Whoever comes next has not been told (rule R82).
            self.record(&name, false);
        }
    }

    fn configure(&mut self, leg: LegId, media: Box<LegMedia>) {
        let Some(known) = self.legs.get_mut(&leg) else { return };
        let settings = LegSettings {
            agc: self.gain_control,
            denoise: self.noise_suppression,
            ..settings(&media)
        };
        let audio = if known.settings == Some(settings) {
            None
        } else {
            match LegAudio::new(settings) {
                Ok(audio) => Some(audio),
                Err(error) => {
                    tracing::error!(leg = leg.0, %error, "the leg stays without audio");
                    return;
                }
            }
        };
        known.settings = Some(settings);
        let (ice, security, rtp) = (media.ice.clone(), media.security.clone(), media.rtp);
        self.workers[known.spot.worker]
            .line
            .send(Order::Leg(leg, LegOrder::Configure(media, audio)));
        // Behind it, so that what they find out finds the leg prepared.
        if let Security::Dtls(media) = security {
            let agreement = Agreement {
                whereabouts: Arc::clone(&known.whereabouts),
                socket: Arc::clone(&known.socket),
                media,
                to: ice.is_none().then_some(rtp),
            };
            known.shakes_hands = true;
            let _ = self.handshakes.send(Errand::Agree(Box::new(agreement)));
        } else if std::mem::take(&mut known.shakes_hands) {
            let _ = self.handshakes.send(Errand::End(leg));
        }
        if let (Some(ice), Some((worker, interface))) = (ice, known.place) {
            let whereabouts = Arc::clone(&known.whereabouts);
            self.workers[worker].line.send(Order::Admit(interface, whereabouts, Box::new(ice)));
        }
    }

    fn place(&mut self, leg: LegId, seat: Option<Seat>) {
        let Some(known) = self.legs.get(&leg) else { return };
        let (from, room) = (known.spot, seat.as_ref().map(|seat| seat.room.clone()));
        if known.room == room {
            return;
        }
        let spot = match seat {
            None => Spot { room: None, ..from },
            Some(seat) => match self.enter(seat) {
                Some(spot) => spot,
                None => return,
            },
        };
        self.seat(leg, spot);
        let before = self.legs.get_mut(&leg).and_then(|known| std::mem::replace(&mut known.room, room));
        self.leave(before, from.room);
    }

    /// Counts one leg more in a room; the first one starts the room on the idlest thread.
    fn enter(&mut self, seat: Seat) -> Option<Spot> {
        if let Some(room) = self.rooms.get_mut(&seat.room) {
            room.legs += 1;
            return Some(Spot {
                worker: room.worker,
                room: Some(room.key),
            });
        }
        let worker = self.idlest();
        let cap = Rate::from_hz(seat.rate).unwrap_or(Rate::Full);
        let (key, cost) = self.start_room(&seat.room, worker, cap)?;
        let room = KnownRoom {
            key,
            worker,
            cap,
            legs: 1,
            cost,
            music: false,
        };
        self.furnish(&seat.room, &room);
        self.rooms.insert(seat.room, room);
        Some(Spot { worker, room: Some(key) })
    }

    fn tell_leg(&self, leg: LegId, order: LegOrder) {
        if let Some(known) = self.legs.get(&leg) {
            self.workers[known.spot.worker].line.send(Order::Leg(leg, order));
        }
    }

    /// Has a leg sit somewhere else.
    fn seat(&mut self, leg: LegId, spot: Spot) {
        let Some(known) = self.legs.get_mut(&leg) else { return };
        let from = std::mem::replace(&mut known.spot, spot);
        if spot.worker != from.worker {
            self.workers[spot.worker].legs += 1;
            self.workers[from.worker].legs -= 1;
            // Before the leg can be handed over, and before any later order to it.
            self.workers[spot.worker].line.send(Order::Leg(leg, LegOrder::Expect));
        }
        self.workers[from.worker].line.send(Order::Leg(leg, LegOrder::Place(spot)));
    }

    #[cfg(test)]
    pub(super) fn panic_in(&self, name: &RoomName) {
        let room = &self.rooms[name];
        self.workers[room.worker].line.send(Order::Panic(room.key));
    }

    #[cfg(test)]
    pub(super) fn shed(&self, step: usize) {
        self.workers.iter().for_each(|crew| crew.line.send(Order::Shed(step)));
    }

    #[cfg(test)]
    pub(super) fn thread_of(&self, leg: LegId) -> usize {
        self.legs[&leg].spot.worker
    }
}

/// What the mixer needs to know of an offer and answer.
fn settings(media: &LegMedia) -> LegSettings {
    LegSettings {
        ptime_ms: media.ptime_ms,
        opus: media.opus,
        dtx: media.dtx,
        fec: media.fec,
        comfort_noise: media.comfort_noise,
        ..LegSettings::plain(media.codec)
    }
}

impl MediaPlane for Plane {
    fn open(&mut self, opening: &Opening) -> Result<OpenLeg, Unopened> {
        self.settle();
        // Where it will sit, so that it needn't move.
        let worker = opening
            .room
            .as_ref()
            .and_then(|room| self.rooms.get(room))
            .map_or_else(|| self.idlest(), |room| room.worker);
        if !self.workers[worker].opens() {
            return Err(Unopened::Overloaded);
        }
        let Opening { leg, correlation, .. } = *opening;
        let (sockets, place, rtp) = match opening.port {
            PortKind::Own => {
                let pair = self.ports.open(opening.peer, &mut self.rng)?;
                let Pair {
                    rtp,
                    rtcp,
                    slot,
                    advertised,
                } = pair;
                (Sockets::Own { rtp, rtcp, slot }, None, advertised)
            }
            PortKind::Shared => {
                let shared = self.ports.share(worker, opening.peer, &mut self.rng)?;
                if shared.is_new {
                    let socket = Arc::clone(&shared.socket);
                    self.workers[worker].line.send(Order::Share(shared.interface, socket));
                }
                (Sockets::Shared(shared.socket), Some((worker, shared.interface)), shared.advertised)
            }
        };
        let (whereabouts, socket) = (Arc::new(Whereabouts::new(leg, worker)), Arc::clone(sockets.rtp()));
        let (ssrc, offset) = (self.rng.random(), self.rng.random());
        // Below 2^15, so that an SRTP receiver that misses the first packets still counts the rounds right (RFC 4568 section 6.4).
        let sequence = self.rng.random::<u16>() >> 1;
        let spot = Spot { worker, room: None };
        let new = NewLeg {
            id: leg,
            sockets,
            whereabouts: Arc::clone(&whereabouts),
            spot,
            sender: rtp::Sender::new(ssrc, sequence, offset),
            // Says nothing about us, and lasts one call (RFC 7022 section 4.2).
            cname: format!("{:016x}", self.rng.next_u64()),
            dice: self.rng.random(),
            silence_limit: self.silence_limit,
        };
        self.workers[worker].line.send(Order::Open(Box::new(Leg::new(Instant::now(), new))));
        self.workers[worker].legs += 1;
        self.legs.insert(
            leg,
            Known {
                spot,
                room: None,
                settings: None,
                whereabouts,
                socket,
                place,
                shakes_hands: false,
            },
        );
        let mut rtcp = rtp;
        if place.is_none() {
            rtcp.set_port(rtp.port() + 1);
        }
        tracing::debug!(leg = leg.0, %correlation, port = rtp.port(), "media opened");
        Ok(OpenLeg { rtp, rtcp, ssrc })
    }

    fn order(&mut self, order: MediaOrder) {
        self.settle();
        match order {
            MediaOrder::Configure(leg, media) => self.configure(leg, media),
            MediaOrder::Place(leg, seat) => self.place(leg, seat),
            MediaOrder::Mute(leg, on) => self.tell_leg(leg, LegOrder::Mute(on)),
            MediaOrder::Close(leg) => {
                if let Some(known) = self.legs.get(&leg) {
                    self.workers[known.spot.worker].line.send(Order::Leg(leg, LegOrder::Close));
                    self.forget(leg);
                }
            }
            MediaOrder::Record { room, on } => self.record(&room, on),
            MediaOrder::Prompt(room, prompt) => self.prompt(&room, prompt),
            MediaOrder::Music(room, on) => self.music(&room, on),
            MediaOrder::Say(leg, phrases) => {
                let speech = (!phrases.is_empty()).then(|| self.sounds.speech(&phrases));
                self.tell_leg(leg, LegOrder::Say(speech));
            }
            MediaOrder::Wait(leg, on) => self.tell_leg(leg, LegOrder::Wait(on)),
            MediaOrder::Volume(leg, volume) => self.tell_leg(leg, LegOrder::Volume(volume)),
            MediaOrder::InBandKeys(leg, on) => self.tell_leg(leg, LegOrder::FindKeys(on.then(Keys::new))),
        }
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        self.workers.iter().for_each(|crew| crew.line.send(Order::Stop));
        for crew in &mut self.workers {
            // A thread that panicked has nothing left to stop.
            let _ = crew.thread.take().map(JoinHandle::join);
        }
    }
}
