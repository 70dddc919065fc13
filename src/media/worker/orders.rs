//! How a media thread carries out orders, between ticks.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::Ordering,
    time::Instant,
};

use mixer::LegAudio;
use rand::Rng;

use super::{
    super::{
        leg::{Leg, Sockets},
        order::{LegOrder, Order, RoomKey, RoomOrder, Spot, Task},
        room::Room,
    },
    VESTIBULE, Worker,
};
use crate::model::{LegId, LegMedia, LegStats};

/// Orders that may wait for one leg on its way between threads, which takes less than a tick; with more it is closed instead.
const MAX_WAITING: usize = 64;

/// Where a leg is, as far as this thread knows.
#[derive(Debug)]
pub(super) enum Where {
    /// At this index.
    Here(usize),
    /// On its way to here, with the orders that wait for it.
    Coming(VecDeque<LegOrder>),
}

/// How far orders were carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::media) enum Carried {
    /// None is left.
    All,
    /// The time for them was over.
    Some,
    /// The last one was to stop.
    Stop,
}

/// Orders between two looks at the ticker, some 1 ms of work: many calls that begin at once don't make a tick late. Not a time, since a thread that
/// the kernel kept waiting must not read packets before what was ordered long ago.
const ORDERS_AT_ONCE: usize = 64;

impl Worker {
    /// Carries out orders that have come, until none is left or a tick may be due.
    pub(in crate::media) fn carry_out(&mut self, now: Instant) -> Carried {
        for _ in 0..ORDERS_AT_ONCE {
            let Ok(order) = self.mailbox.orders.try_recv() else {
                return Carried::All;
            };
            match order {
                Order::Open(leg) => self.arrive(now, leg),
                Order::Arrive(id, leg) => {
                    let waiting = match self.directory.remove(&id) {
                        Some(Where::Coming(waiting)) => waiting,
                        Some(Where::Here(_)) | None => VecDeque::new(),
                    };
                    if let Some(leg) = leg {
                        self.arrive(now, leg);
                    }
                    // Each finds the leg wherever the one before has left it.
                    waiting.into_iter().for_each(|order| self.carry_out_guarded(now, id, order));
                }
                Order::Leg(id, order) => self.carry_out_guarded(now, id, order),
                Order::Start(room) => self.start(room),
                Order::Room(key, order) => self.carry_out_in(key, order),
                Order::End(key) => {
                    if let Some((index, room)) = self.room(key) {
                        room.ending = true;
                        self.end_if_over(index);
                    }
                }
                Order::Share(interface, socket) => self.share(interface, socket),
                Order::Admit(interface, whereabouts, media) => {
                    if let Some(Some(port)) = self.ports.get_mut(interface) {
                        port.admit(whereabouts, *media);
                    }
                }
                Order::Dismiss(interface, leg) => {
                    if let Some(Some(port)) = self.ports.get_mut(interface) {
                        port.dismiss(leg);
                    }
                    self.rest_if_idle();
                }
                Order::Supply(supply) => {
                    self.awaits_supply = false;
                    self.stock.fill(supply);
                }
                Order::Stop => {
                    (0..self.legs.end()).for_each(|index| self.close(now, index));
                    (0..self.legs.end()).for_each(|index| self.retire(index));
                    return Carried::Stop;
                }
                #[cfg(test)]
                Order::Shed(step) => {
                    self.load.shed(step);
                    self.serve();
                }
                #[cfg(test)]
                Order::Panic(key) => {
                    if let Some((_, room)) = self.room(key) {
                        room.panics = true;
                    }
                }
            }
        }
        Carried::Some
    }

    fn carry_out_in(&mut self, key: RoomKey, order: RoomOrder) {
        let room = self.room(key).map(|(_, room)| room);
        let (played, recorded) = match (room, order) {
            (Some(room), RoomOrder::Play(sound, player)) => (room.play(sound, player), None),
            (Some(room), RoomOrder::StopSound(sound)) => {
                room.stop_sound(sound);
                (None, None)
            }
            (Some(room), RoomOrder::Record(tape)) => (None, room.record(tape)),
            (None, RoomOrder::Play(_, player)) => (Some(player), None),
            (None, RoomOrder::Record(tape)) => (None, tape),
            (None, RoomOrder::StopSound(_)) => (None, None),
        };
        let tasks = played.map(Task::Played).into_iter().chain(recorded.map(Task::Recorded));
        for task in tasks {
            let _ = self.tasks.send(task);
        }
    }

    /// Hands on sounds that are over.
    pub(super) fn put_sounds_away(&mut self) {
        for room in self.rooms.iter_mut().flatten() {
            while let Some(player) = room.poll_played() {
                let _ = self.tasks.send(Task::Played(player));
            }
        }
    }

    fn start(&mut self, mut room: Box<Room>) {
        let free = self.rooms.iter().skip(VESTIBULE + 1).position(Option::is_none);
        let place = free.map_or(self.rooms.len(), |free| free + VESTIBULE + 1);
        room.take_turn(place);
        room.serve(self.load.service());
        match self.rooms.get_mut(place) {
            Some(slot) => *slot = Some(room),
            None => self.rooms.push(Some(room)),
        }
    }

    /// A panic costs the leg's room, or if it sits in none the leg.
    fn carry_out_guarded(&mut self, now: Instant, id: LegId, order: LegOrder) {
        let done = catch_unwind(AssertUnwindSafe(|| self.carry_out_for(now, id, order)));
        if done.is_err()
            && let Some(Where::Here(index)) = self.directory.get(&id)
        {
            let index = *index;
            match self.legs.at_mut(index).and_then(|leg| leg.room) {
                Some(room) => self.fail(now, room),
                None => self.close(now, index),
            }
        }
    }

    fn carry_out_for(&mut self, now: Instant, id: LegId, order: LegOrder) {
        let index = match self.directory.get_mut(&id) {
            Some(Where::Here(index)) => *index,
            Some(Where::Coming(waiting)) => {
                if waiting.len() >= MAX_WAITING {
                    waiting.clear();
                    waiting.push_back(LegOrder::Close);
                } else {
                    waiting.push_back(order);
                }
                return;
            }
            None => return self.carry_out_for_nobody(id, order),
        };
        match order {
            LegOrder::Expect => {}
            LegOrder::Configure(media, audio) => self.configure(now, index, *media, audio),
            LegOrder::Place(spot) => self.place(index, spot),
            LegOrder::Mute(on) => self.mute(index, on),
            LegOrder::Say(speech) => self.say(index, speech),
            LegOrder::Wait(on) => self.wait(index, on),
            LegOrder::Volume(volume) => self.set_volume(index, volume),
            LegOrder::FindKeys(keys) => self.find_keys(index, keys),
            LegOrder::Measure(tell) => {
                if let Some(stats) = self.measure(index) {
                    // Whoever asked may have run out of patience.
                    let _ = tell.send(stats);
                }
            }
            LegOrder::Close => {
                if let Some(leg) = self.legs.at_mut(index) {
                    leg.awaits_tick = true;
                }
                self.close(now, index);
            }
            LegOrder::News(_, news) => self.hear(index, news),
        }
    }

    /// A leg that isn't here is expected, or was closed by a failure while the order was on its way.
    fn carry_out_for_nobody(&mut self, id: LegId, order: LegOrder) {
        match order {
            LegOrder::Expect => {
                self.directory.insert(id, Where::Coming(VecDeque::new()));
            }
            LegOrder::Configure(_, Some(audio)) => self.discard(audio),
            LegOrder::Say(Some(speech)) => self.put_away(Task::Played(speech)),
            LegOrder::FindKeys(Some(keys)) => self.put_away(Task::Unneeded(keys)),
            LegOrder::Place(spot) if spot.worker != self.own => self.lines[spot.worker].send(Order::Arrive(id, None)),
            // It has moved on meanwhile.
            LegOrder::News(whereabouts, news) if whereabouts.worker() != self.own => {
                let line = &self.lines[whereabouts.worker()];
                line.send(Order::Leg(id, LegOrder::News(whereabouts, news)));
            }
            LegOrder::News(..)
            | LegOrder::Configure(_, None)
            | LegOrder::Place(_)
            | LegOrder::Mute(_)
            | LegOrder::Say(None)
            | LegOrder::Wait(_)
            | LegOrder::Volume(_)
            | LegOrder::FindKeys(None)
            | LegOrder::Measure(_)
            | LegOrder::Close => {}
        }
    }

    /// Takes a leg in.
    fn arrive(&mut self, now: Instant, leg: Box<Leg>) {
        if self.legs.is_empty() {
            match self.ticker.arm(true) {
                // From now on each phase looks for orders.
                Ok(()) => self.wake.rest(false),
                Err(_) => tracing::error!("the tick can't be started"),
            }
            self.pace.start(Instant::now());
        }
        let id = leg.id;
        let index = self.legs.insert(leg);
        self.directory.insert(id, Where::Here(index));
        let Some(leg) = self.legs.at_mut(index) else { return };
        let token = 2 * index as u64;
        let watched = match &leg.sockets {
            Sockets::Own { rtp, rtcp, .. } => self.epoll.add(rtp, token).and_then(|()| self.epoll.add(rtcp, token + 1)),
            Sockets::Shared(_) => Ok(()),
        };
        if let Err(error) = watched {
            tracing::error!(leg = id.0, %error, "the leg's sockets can't be watched");
            self.close(now, index);
            return;
        }
        self.seat(index);
    }

    /// Takes a leg out, to be handed on.
    fn take(&mut self, index: usize) -> Option<Box<Leg>> {
        let leg = self.legs.remove(index)?;
        if let Sockets::Own { rtp, rtcp, .. } = &leg.sockets {
            // Fails only if it was never watched.
            let _ = self.epoll.remove(rtp);
            let _ = self.epoll.remove(rtcp);
        }
        self.rest_if_idle();
        Some(leg)
    }

    /// Without legs here or at a port here nothing is left to tick for, nor to give anything up for.
    fn rest_if_idle(&mut self) {
        if !self.legs.is_empty() || self.ports.iter().flatten().any(|port| !port.is_empty()) {
            return;
        }
        self.wake.rest(true);
        self.rested = true;
        if self.ticker.arm(false).is_err() {
            tracing::error!("the tick can't be stopped");
        }
        if std::mem::take(&mut self.load).step() > 0 {
            self.serve();
        }
        self.gauge.busy.store(0, Ordering::Relaxed);
    }

    fn configure(&mut self, now: Instant, index: usize, media: LegMedia, audio: Option<Box<LegAudio>>) {
        let Some(leg) = self.legs.at_mut(index) else { return };
        leg.configure(now, media);
        let room = leg.room.and_then(|r| self.rooms[r].as_mut());
        match (room, audio) {
            (Some(room), audio) => {
                let old = audio.and_then(|audio| room.replace(index, audio));
                room.direct(index, leg);
                old.into_iter().for_each(|old| self.discard(old));
            }
            (None, Some(audio)) => {
                if let Some(old) = leg.audio.replace(audio) {
                    self.discard(old);
                }
                self.seat(index);
            }
            (None, None) => {}
        }
        self.mind_keys(index);
        self.begin_speech(index);
    }

    fn mute(&mut self, index: usize, on: bool) {
        let Some(leg) = self.legs.at_mut(index) else { return };
        leg.muted = on;
        leg.awaits_tick = true;
        match leg.room.and_then(|r| self.rooms[r].as_mut()) {
            Some(room) => room.mute(index, on),
            None => {
                // Nobody hears a leg that sits nowhere.
                leg.awaits_tick = false;
                leg.pending.applied();
                self.legs.tell(index);
            }
        }
    }

    fn measure(&mut self, index: usize) -> Option<LegStats> {
        let leg = self.legs.at_mut(index)?;
        let seated = leg.room.and_then(|r| self.rooms[r].as_ref()?.jitter(index));
        Some(leg.stats(seated))
    }

    /// Moves a leg: to another room of this thread at once, to another thread by handing it over.
    fn place(&mut self, index: usize, spot: Spot) {
        self.unseat(index);
        let Some(leg) = self.legs.at_mut(index) else { return };
        leg.spot = spot;
        leg.waits &= spot.room.is_none();
        if spot.worker == self.own {
            return self.seat(index);
        }
        let Some(leg) = self.take(index) else { return };
        self.directory.remove(&leg.id);
        leg.whereabouts.set_worker(spot.worker);
        self.lines[spot.worker].send(Order::Arrive(leg.id, Some(leg)));
    }

    /// Lets a leg sit down where it is to sit, if it has audio already.
    fn seat(&mut self, index: usize) {
        let Some(leg) = self.legs.at_mut(index) else { return };
        let Some(audio) = leg.audio.take() else { return };
        let at = match leg.spot.room {
            None => Some(VESTIBULE),
            Some(key) => self.rooms.iter().position(|r| r.as_ref().is_some_and(|r| r.key() == Some(key))),
        };
        let Some((at, room)) = at.and_then(|at| Some((at, self.rooms[at].as_mut()?))) else {
            leg.audio = Some(audio);
            return;
        };
        match room.seat(index, leg, audio) {
            Ok(()) => leg.room = Some(at),
            Err(audio) => leg.audio = audio,
        }
        self.mind_keys(index);
        self.begin_speech(index);
    }

    /// Takes a leg from its seat; its audio is with it then.
    fn unseat(&mut self, index: usize) {
        let Some(leg) = self.legs.at_mut(index) else { return };
        let Some(room) = leg.room.take().and_then(|r| self.rooms[r].as_mut()) else {
            return;
        };
        leg.audio = room.unseat(index);
        leg.pending.speaking(false);
        self.legs.tell(index);
    }

    /// Says good-bye for a leg. It is gone after the next tick of its room, which is the first one without it.
    pub(super) fn close(&mut self, now: Instant, index: usize) {
        let Some(leg) = self.legs.at_mut(index).filter(|leg| !leg.closing) else {
            return;
        };
        leg.closing = true;
        leg.report(now, &self.clock, self.rng.random(), true, &mut self.outbox);
        self.outbox.flush();
        self.directory.remove(&leg.id);
        let room = leg.room;
        self.unseat(index);
        match room.and_then(|r| self.rooms[r].as_mut()) {
            Some(room) => room.closing.push(index),
            None => self.retire(index),
        }
    }

    /// Hands a closed leg to the clerk.
    pub(super) fn retire(&mut self, index: usize) {
        if let Some(mut leg) = self.take(index) {
            if leg.awaits_tick {
                leg.pending.applied();
            }
            let _ = self.tasks.send(Task::Closed(leg));
        }
    }

    pub(super) fn end_if_over(&mut self, index: usize) {
        if let Some(room) = self.rooms[index].take_if(|room| room.is_over()) {
            let _ = self.tasks.send(Task::Ended(room));
        }
    }

    fn room(&mut self, key: RoomKey) -> Option<(usize, &mut Room)> {
        let found = self.rooms.iter_mut().enumerate().filter_map(|(i, r)| Some((i, r.as_deref_mut()?)));
        found.into_iter().find(|(_, room)| room.key() == Some(key))
    }

    fn discard(&self, audio: Box<LegAudio>) {
        self.put_away(Task::Drop(audio));
    }

    /// Has the clerk drop something.
    pub(super) fn put_away(&self, task: Task) {
        let _ = self.tasks.send(task);
    }
}
