//! One media thread: waits for orders and ticks, and owns every leg and room that it was given.
//!
//! Packets don't wake it: nothing becomes of them before a tick, so sockets are read when a phase begins, many at a time. The kernel
//! notes when each packet came.
//!
//! The tick itself neither locks, allocates, frees, logs nor waits (rule R71). Orders are carried out, reports told and closed legs
//! handed on between ticks.

use std::{
    collections::BTreeMap,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, atomic::Ordering, mpsc},
    time::{Duration, Instant},
};

use mixer::Stock;
use rand::{Rng, rngs::StdRng};
use tokio::sync::mpsc::{Sender, error::TrySendError};

use super::{
    batch::{Inbox, Outbox, READ_BUDGET},
    counters::{Counters, Gauge, add},
    handshake::{ToHandshakes, pass_on},
    load::Load,
    order::{Line, Mailbox, Task},
    pace::{PHASES, Pace},
    room::Room,
    shared::SharedPort,
    slab::Slab,
    sounds::Waiting,
    sys::{Epoll, Ticker, Wake},
};
use crate::{
    model::{LegId, MediaReport},
    rtp::{Kind, rtcp::NtpClock},
};

mod aside;
mod orders;
mod shared;

pub(super) use orders::Carried;
use orders::Where;

/// Tokens of epoll that are no sockets; those are an index times two, plus one for RTCP.
const WAKE: u64 = u64::MAX;
const TICK: u64 = u64::MAX - 1;

/// Times that sockets are looked at in one phase: what then is left in a flooded one waits for the next.
const ROUNDS: usize = 4;
/// The first token of the shared ports, which are counted from here by their interface.
const PORTS: u64 = 1 << 32;

/// How often consent is looked at.
const CONSENT_PERIOD: Duration = Duration::from_secs(1);

/// Index of the vestibule among the rooms.
const VESTIBULE: usize = 0;

/// Phases over which the once-a-second work on legs is spread.
const SPREAD: u64 = 50 * PHASES;

/// What a media thread is given.
#[derive(Debug)]
pub(super) struct Setup {
    pub(super) own: usize,
    /// The ways to all media threads.
    pub(super) lines: Vec<Line>,
    pub(super) mailbox: Mailbox,
    pub(super) handshakes: ToHandshakes,
    pub(super) wake: Arc<Wake>,
    pub(super) epoll: Epoll,
    pub(super) ticker: Ticker,
    pub(super) tasks: mpsc::Sender<Task>,
    pub(super) reports: Sender<MediaReport>,
    pub(super) counters: Arc<Counters>,
    pub(super) gauge: Arc<Gauge>,
    pub(super) clock: NtpClock,
    pub(super) rng: StdRng,
    pub(super) vestibule: Room,
    pub(super) waiting: Waiting,
    pub(super) stock: Stock,
}

/// A media thread's all.
#[derive(Debug)]
pub(super) struct Worker {
    own: usize,
    lines: Vec<Line>,
    mailbox: Mailbox,
    handshakes: ToHandshakes,
    wake: Arc<Wake>,
    tasks: mpsc::Sender<Task>,
    reports: Sender<MediaReport>,
    counters: Arc<Counters>,
    gauge: Arc<Gauge>,
    load: Load,
    clock: NtpClock,
    rng: StdRng,
    /// What is waited for: orders and ticks.
    alarm: Epoll,
    /// The legs' sockets, looked at when a tick comes.
    epoll: Epoll,
    ticker: Ticker,
    inbox: Inbox,
    outbox: Outbox,
    pace: Pace,
    legs: Slab,
    directory: BTreeMap<LegId, Where>,
    rooms: Vec<Option<Box<Room>>>,
    /// By interface.
    ports: Vec<Option<SharedPort>>,
    /// When consent at them is looked at again.
    consent_due: Instant,
    /// For another vestibule, should this one fail.
    waiting: Waiting,
    stock: Stock,
    /// The ticker was stopped in this turn.
    rested: bool,
    /// The clerk was asked to fill it up.
    awaits_supply: bool,
    /// How many of its waits the plane's counters have.
    waits_told: u64,
}

impl Worker {
    /// To be made on the thread that it runs on.
    pub(super) fn new(setup: Setup) -> std::io::Result<Self> {
        let alarm = Epoll::new()?;
        alarm.add(&*setup.wake, WAKE)?;
        alarm.add(&setup.ticker, TICK)?;
        Ok(Self {
            own: setup.own,
            lines: setup.lines,
            mailbox: setup.mailbox,
            handshakes: setup.handshakes,
            wake: setup.wake,
            tasks: setup.tasks,
            reports: setup.reports,
            counters: setup.counters,
            gauge: setup.gauge,
            load: Load::default(),
            clock: setup.clock,
            rng: setup.rng,
            alarm,
            epoll: setup.epoll,
            ticker: setup.ticker,
            inbox: Inbox::new(),
            outbox: Outbox::new(),
            pace: Pace::new(Instant::now()),
            legs: Slab::default(),
            directory: BTreeMap::new(),
            rooms: vec![Some(Box::new(setup.vestibule))],
            ports: Vec::new(),
            consent_due: Instant::now(),
            waiting: setup.waiting,
            stock: setup.stock,
            rested: false,
            awaits_supply: false,
            waits_told: 0,
        })
    }

    /// Works until it is told to stop.
    pub(super) fn run(mut self) {
        let mut turned = Instant::now();
        let mut more = false;
        loop {
            // An interrupted wait is one in which nothing was ready.
            let ready = if more { self.alarm.ready() } else { self.alarm.wait() }.unwrap_or(0);
            let now = Instant::now();
            let is_ready = |token| (0..ready).any(|i| self.alarm.token(i) == token);
            let (woken, ticked) = (is_ready(WAKE), is_ready(TICK));
            if woken {
                self.wake.clear();
            }
            // Before packets are read that were sent by what was ordered.
            more = match self.carry_out(now) {
                Carried::All => false,
                Carried::Some => true,
                Carried::Stop => return,
            };
            if ticked {
                let slots = self.keep_pace();
                self.read_all(now);
                self.tick(now, slots);
            }
            // Whoever ordered something meanwhile saw us tick.
            more |= std::mem::take(&mut self.rested);
            if now >= self.consent_due {
                self.consent_due = now + CONSENT_PERIOD;
                self.expire_consent(now);
            }
            self.put_sounds_away();
            self.tell();
            self.mind_stock();
            let before = std::mem::replace(&mut turned, Instant::now());
            self.mind_load(turned - before, turned - now);
        }
    }

    /// Has the clerk fill up the stock of codec states if it runs low, and put away what is too much.
    fn mind_stock(&mut self) {
        let waits = self.stock.waits();
        add(&self.counters.codec_waits, waits - std::mem::replace(&mut self.waits_told, waits));
        if let Some(lack) = self.stock.lack()
            && !self.awaits_supply
        {
            self.awaits_supply = self.tasks.send(Task::Make { worker: self.own, lack }).is_ok();
        }
        if let Some(surplus) = self.stock.surplus() {
            let _ = self.tasks.send(Task::Surplus(surplus));
        }
    }

    /// Takes how long a turn was and how much of it was work; gives up or takes back a step of service if that is due.
    fn mind_load(&mut self, elapsed: Duration, busy: Duration) {
        if self.load.handle(elapsed, busy) {
            self.serve();
        }
        self.gauge.busy.store(self.load.busy(), Ordering::Relaxed);
    }

    /// Serves as the load allows from now on, and tells so.
    pub(super) fn serve(&mut self) {
        let service = self.load.service();
        self.rooms.iter_mut().flatten().for_each(|room| room.serve(service));
        self.gauge.step.store(self.load.step() as u32, Ordering::Relaxed);
        self.gauge.full.store(!service.opens, Ordering::Relaxed);
        let _ = self.tasks.send(Task::Served {
            worker: self.own,
            step: self.load.step(),
            service,
        });
    }

    /// Reads all sockets. Most have one packet, and asking for more costs as much as a second one would; the others show up again.
    fn read_all(&mut self, now: Instant) {
        self.inbox.set_clock();
        for most in std::iter::once(1).chain(std::iter::repeat_n(READ_BUDGET, ROUNDS - 1)) {
            let ready = self.epoll.ready().unwrap_or(0);
            if ready == 0 {
                break;
            }
            for i in 0..ready {
                match self.epoll.token(i) {
                    port @ PORTS.. => self.read_shared(now, (port - PORTS) as usize),
                    socket => self.read(now, socket, most),
                }
            }
        }
        self.collect();
    }

    /// Reads one socket, up to so many datagrams.
    pub(super) fn read(&mut self, now: Instant, token: u64, most: usize) {
        let index = (token >> 1) as usize;
        let Self {
            legs,
            rooms,
            inbox,
            clock,
            handshakes,
            counters,
            ..
        } = self;
        let Some(leg) = legs.at_mut(index) else { return };
        let is_rtcp = token & 1 == 1;
        let room = leg.room;
        let read = catch_unwind(AssertUnwindSafe(|| {
            let count = if is_rtcp {
                inbox.receive(leg.sockets.rtcp(), most)
            } else {
                inbox.receive(leg.sockets.rtp(), most)
            };
            for i in 0..count {
                let now = now.checked_sub(inbox.waited(i)).unwrap_or(now);
                let Some((source, bytes)) = inbox.datagram(i) else { continue };
                if is_rtcp {
                    leg.handle_rtcp(now, clock, source, bytes);
                } else if Kind::of(bytes) == Kind::Dtls {
                    let taken = leg.admits_dtls(source) && pass_on(handshakes, &leg.whereabouts, source, bytes);
                    add(&counters.dtls_refused, u64::from(!taken));
                } else if let Some(packet) = leg.handle_rtp(now, clock, source, bytes)
                    && let Some(room) = room.and_then(|r| rooms[r].as_mut())
                {
                    room.push(now, index, packet);
                }
            }
            leg.pending.waits()
        }));
        match (read, room) {
            (Ok(true), _) => legs.tell(index),
            (Ok(false), _) => {}
            (Err(_), Some(room)) => self.fail(now, room),
            (Err(_), None) => self.close(now, index),
        }
    }

    /// Finds which phases are due, and leaves out those that come too late (rule R68): before packets that came meanwhile are read, so
    /// that jitter buffers drop the time that passed and nothing newer.
    fn keep_pace(&mut self) -> Range<u64> {
        let due = self.pace.handle(self.ticker.elapsed());
        add(&self.counters.late, due.late.into());
        add(&self.counters.behind, due.behind());
        add(&self.counters.skipped, due.skip.into());
        if due.skip > 0 {
            self.rooms.iter_mut().flatten().for_each(|room| room.skip(due.skip));
        }
        due.slots
    }

    /// Runs the phases that are due.
    pub(super) fn tick(&mut self, now: Instant, slots: Range<u64>) {
        for slot in slots {
            for index in 0..self.rooms.len() {
                if self.rooms[index].as_ref().is_some_and(|room| room.is_due(slot)) {
                    self.tick_room(now, slot, index);
                }
            }
            self.look_round(now, slot);
        }
        add(&self.counters.unsent, self.outbox.take_failed());
    }

    fn tick_room(&mut self, now: Instant, slot: u64, index: usize) {
        let due = self.pace.due(slot);
        let Self {
            rooms,
            stock,
            legs,
            outbox,
            ..
        } = self;
        let Some(room) = rooms[index].as_mut() else { return };
        room.ticked = due;
        let begun = Instant::now();
        let ticked = catch_unwind(AssertUnwindSafe(|| room.tick(now, index, stock, legs, outbox)));
        if ticked.is_err() {
            self.outbox.clear();
            self.fail(now, index);
            return;
        }
        outbox.flush();
        room.spend(begun.elapsed());
        // The tick was the first without these: now they may go.
        while let Some(leg) = self.rooms[index].as_mut().and_then(|room| room.closing.pop()) {
            self.retire(leg);
        }
        self.end_if_over(index);
    }

    /// Looks after the legs whose turn it is in this phase, each about once a second.
    fn look_round(&mut self, now: Instant, slot: u64) {
        for index in ((slot % SPREAD) as usize..self.legs.end()).step_by(SPREAD as usize) {
            let Some(leg) = self.legs.at_mut(index).filter(|leg| !leg.closing) else {
                continue;
            };
            if leg.room.is_none() && leg.audio.is_some() {
                // Its room failed, or was full, before it could sit down.
                self.close(now, index);
                continue;
            }
            leg.handle_timeout(now, &self.clock, self.rng.random(), &mut self.outbox);
            if let Some(room) = leg.room.and_then(|r| self.rooms[r].as_mut()) {
                room.lose(index, leg.loss_there());
            }
            add(&self.counters.lost_digits, leg.take_lost_digits());
            let refused = leg.take_refused();
            add(&self.counters.rejected, refused.rejected);
            add(&self.counters.forged, refused.forged);
            add(&self.counters.replayed, refused.replayed);
            add(&self.counters.crowded, refused.crowded);
            if leg.pending.waits() {
                self.legs.tell(index);
            }
            self.begin_speech(index);
        }
        self.outbox.flush();
    }

    /// Tells what there is to tell, as far as the channel takes it; the rest waits where it is.
    fn tell(&mut self) {
        while let Some(leg) = self.legs.telling() {
            match self.reports.try_reserve() {
                Ok(permit) => {
                    if let Some(report) = leg.pending.next(leg.id) {
                        permit.send(report);
                    }
                }
                Err(TrySendError::Full(())) => {
                    add(&self.counters.delayed_reports, 1);
                    return;
                }
                Err(TrySendError::Closed(())) => return,
            }
        }
    }

    /// Gives up a room that panicked: its legs are closed, the other rooms don't notice.
    pub(super) fn fail(&mut self, now: Instant, index: usize) {
        add(&self.counters.panics, 1);
        let Some(mut room) = self.rooms[index].take() else { return };
        if index == VESTIBULE {
            self.rooms[VESTIBULE] = Room::vestibule(&self.waiting).ok().map(Box::new);
        }
        let closing = std::mem::take(&mut room.closing);
        let _ = self.tasks.send(Task::Failed(room));
        closing.into_iter().for_each(|leg| self.retire(leg));
        for leg in 0..self.legs.end() {
            if self.legs.at_mut(leg).is_some_and(|l| l.room == Some(index)) {
                self.close(now, leg);
            }
        }
    }
}
