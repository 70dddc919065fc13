//! The ordering side of the media threads: opens sockets, builds codecs and mixers, knows which thread has which leg.

use std::{
    collections::BTreeMap,
    io,
    net::IpAddr,
    ops::RangeInclusive,
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use mixer::{LegAudio, LegSettings, Rate};
use rand::{Rng, RngCore, SeedableRng, rngs::StdRng};
use tokio::sync::{mpsc::Sender, oneshot};

use super::{
    clerk::{Clerk, Gone},
    counters::{Counters, PlaneStats},
    hook::{self, PREFIX},
    leg::{Leg, NewLeg, Sockets},
    order::{LegOrder, Line, Order, RoomKey, Spot},
    pace::PHASE,
    ports::{Interface, Ports},
    room::Room,
    sys::{Epoll, Ticker, Wake},
    worker::{Setup, Worker},
};
use crate::{
    model::{
        Correlation, LegId, LegMedia, LegStats, MediaOrder, MediaReport, RoomName, Seat,
        media::{MediaPlane, NoPorts, OpenLeg},
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
    next_room: u64,
    gone: mpsc::Receiver<Gone>,
    counters: Arc<Counters>,
}

/// One media thread.
#[derive(Debug)]
struct Crew {
    line: Line,
    thread: Option<JoinHandle<()>>,
    legs: usize,
}

/// Where a leg will be once all orders so far are carried out.
#[derive(Debug)]
struct Known {
    spot: Spot,
    room: Option<RoomName>,
    settings: Option<LegSettings>,
}

#[derive(Debug)]
struct KnownRoom {
    key: RoomKey,
    worker: usize,
    legs: usize,
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
        let (lines, receivers): (Vec<_>, Vec<_>) = wakes.iter().map(|wake| Line::new(Arc::clone(wake))).unzip();
        let clerk = Clerk {
            reports: reports.clone(),
            gone: gone_sender,
        };
        thread::Builder::new()
            .name(format!("{PREFIX}clerk"))
            .spawn(move || clerk.run(&tasks))?;
        let mut workers = Vec::new();
        for (own, (orders, wake)) in receivers.into_iter().zip(wakes).enumerate() {
            let setup = Setup {
                own,
                lines: lines.clone(),
                orders,
                wake,
                epoll: Epoll::new()?,
                ticker: Ticker::new(PHASE)?,
                tasks: task_sender.clone(),
                reports: reports.clone(),
                counters: Arc::clone(&counters),
                clock,
                rng: StdRng::from_rng(&mut rng),
                vestibule: Room::vestibule().map_err(io::Error::other)?,
            };
            let body = move || match Worker::new(setup) {
                Ok(worker) => worker.run(),
                Err(error) => tracing::error!(%error, "a media thread can't start"),
            };
            let thread = thread::Builder::new().name(format!("{PREFIX}{own}")).spawn(body)?;
            workers.push(Crew {
                line: lines[own].clone(),
                thread: Some(thread),
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
            next_room: 0,
            gone,
            counters,
        })
    }

    /// What went wrong so far, in numbers.
    pub fn stats(&self) -> PlaneStats {
        self.counters.snapshot()
    }

    /// Asks for a leg's numbers so far; the answer comes between two ticks, or not at all if the leg is gone.
    pub fn measure(&self, leg: LegId) -> oneshot::Receiver<LegStats> {
        let (tell, told) = oneshot::channel();
        if let Some(known) = self.legs.get(&leg) {
            self.workers[known.spot.worker].line.send(Order::Leg(leg, LegOrder::Measure(tell)));
        }
        told
    }

    /// Notes which ports are free again and what failed.
    fn settle(&mut self) {
        while let Ok(gone) = self.gone.try_recv() {
            match gone {
                Gone::Leg(leg, slot) => {
                    self.ports.free(slot);
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
            self.leave(&known);
        }
    }

    /// Counts one leg less in the room that a leg was in, and ends the room after its last.
    fn leave(&mut self, known: &Known) {
        let Some(name) = &known.room else { return };
        // The room of this name may be another one, after a failure.
        let Some(room) = self.rooms.get_mut(name).filter(|room| Some(room.key) == known.spot.room) else {
            return;
        };
        room.legs -= 1;
        if room.legs == 0 {
            self.workers[room.worker].line.send(Order::End(room.key));
            self.rooms.remove(name);
        }
    }

    fn configure(&mut self, leg: LegId, media: Box<LegMedia>) {
        let Some(known) = self.legs.get_mut(&leg) else { return };
        let settings = settings(&media);
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
        self.workers[known.spot.worker]
            .line
            .send(Order::Leg(leg, LegOrder::Configure(media, audio)));
    }

    fn place(&mut self, leg: LegId, seat: Option<Seat>) {
        let Some(known) = self.legs.get(&leg) else { return };
        let (from, settings, room) = (known.spot, known.settings, seat.as_ref().map(|seat| seat.room.clone()));
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
        if spot.worker != from.worker {
            self.workers[spot.worker].legs += 1;
            self.workers[from.worker].legs -= 1;
            // Before the leg can be handed over, and before any later order to it.
            self.workers[spot.worker].line.send(Order::Leg(leg, LegOrder::Expect));
        }
        self.workers[from.worker].line.send(Order::Leg(leg, LegOrder::Place(spot)));
        if let Some(before) = self.legs.insert(leg, Known { spot, room, settings }) {
            self.leave(&before);
        }
    }

    /// Counts one leg more in a room; the first one starts the room on the thread with the fewest legs.
    fn enter(&mut self, seat: Seat) -> Option<Spot> {
        if let Some(room) = self.rooms.get_mut(&seat.room) {
            room.legs += 1;
            return Some(Spot {
                worker: room.worker,
                room: Some(room.key),
            });
        }
        let cap = Rate::from_hz(seat.rate).unwrap_or(Rate::Full);
        let (key, worker) = (RoomKey(self.next_room), self.idlest());
        let room = match Room::new(key, seat.room.clone(), cap) {
            Ok(room) => room,
            Err(error) => {
                tracing::error!(room = %seat.room, %error, "the room can't be mixed");
                return None;
            }
        };
        self.next_room += 1;
        self.workers[worker].line.send(Order::Start(Box::new(room)));
        self.rooms.insert(seat.room, KnownRoom { key, worker, legs: 1 });
        Some(Spot { worker, room: Some(key) })
    }

    fn idlest(&self) -> usize {
        (0..self.workers.len()).min_by_key(|&i| self.workers[i].legs).unwrap_or(0)
    }

    #[cfg(test)]
    pub(super) fn panic_in(&self, name: &RoomName) {
        let room = &self.rooms[name];
        self.workers[room.worker].line.send(Order::Panic(room.key));
    }

    #[cfg(test)]
    pub(super) fn thread_of(&self, leg: LegId) -> usize {
        self.legs[&leg].spot.worker
    }
}

/// What the mixer needs to know of an offer and answer.
fn settings(media: &LegMedia) -> LegSettings {
    let ptime_ms = match media.ptime_ms {
        40 => 40,
        60.. => 60,
        _ => 20,
    };
    LegSettings {
        codec: media.codec,
        ptime_ms,
        dtx: media.dtx,
        comfort_noise: media.comfort_noise,
    }
}

impl MediaPlane for Plane {
    fn open(&mut self, leg: LegId, correlation: Correlation, peer: IpAddr) -> Result<OpenLeg, NoPorts> {
        self.settle();
        let pair = self.ports.open(peer, &mut self.rng)?;
        let (ssrc, sequence, offset) = (self.rng.random(), self.rng.random(), self.rng.random());
        let worker = self.idlest();
        let spot = Spot { worker, room: None };
        let new = NewLeg {
            id: leg,
            sockets: Sockets {
                rtp: pair.rtp,
                rtcp: pair.rtcp,
                slot: pair.slot,
            },
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
            },
        );
        let (rtp, mut rtcp) = (pair.advertised, pair.advertised);
        rtcp.set_port(rtp.port() + 1);
        tracing::debug!(leg = leg.0, %correlation, port = rtp.port(), "media opened");
        Ok(OpenLeg { rtp, rtcp, ssrc })
    }

    fn order(&mut self, order: MediaOrder) {
        self.settle();
        match order {
            MediaOrder::Configure(leg, media) => self.configure(leg, media),
            MediaOrder::Place(leg, seat) => self.place(leg, seat),
            MediaOrder::Mute(leg, on) => {
                if let Some(known) = self.legs.get(&leg) {
                    self.workers[known.spot.worker].line.send(Order::Leg(leg, LegOrder::Mute(on)));
                }
            }
            MediaOrder::Close(leg) => {
                if let Some(known) = self.legs.get(&leg) {
                    self.workers[known.spot.worker].line.send(Order::Leg(leg, LegOrder::Close));
                    self.forget(leg);
                }
            }
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
