//! How a media thread reads its shared ports, and gets what other threads' ports have for its legs.

use std::{
    net::{SocketAddr, UdpSocket},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Instant,
};

use super::{
    super::{
        batch::READ_BUDGET,
        counters::add,
        handshake::{Errand, pass_on},
        order::{LegOrder, News, Order, Parcel},
        shared::{Moved, SharedPort, Unanswered},
    },
    PORTS, Where, Worker,
};
use crate::{
    model::LegId,
    rtp::{Kind, ice::MAX_REPLY},
};

/// How often in a row a shared port is read while there is more: as much as it gets in a phase of a tick from a thousand legs.
const ROUNDS: usize = 16;

/// Where a datagram is.
enum At<'a> {
    /// The last batch read, at this index.
    Inbox(usize),
    Parcel(&'a mut Parcel),
}

impl Worker {
    /// Takes a port to read.
    pub(super) fn share(&mut self, interface: usize, socket: Arc<UdpSocket>) {
        if let Err(error) = self.epoll.add(&socket, PORTS + interface as u64) {
            tracing::error!(%error, "a shared port can't be watched");
        }
        if self.ports.len() <= interface {
            self.ports.resize_with(interface + 1, || None);
        }
        self.ports[interface] = Some(SharedPort::new(socket));
    }

    /// Reads a shared port.
    pub(in crate::media) fn read_shared(&mut self, now: Instant, interface: usize) {
        for _ in 0..ROUNDS {
            let Some(Some(port)) = self.ports.get(interface) else { return };
            let count = self.inbox.receive(&port.socket, READ_BUDGET);
            (0..count).for_each(|i| self.sort(now, interface, i));
            if count < READ_BUDGET {
                break;
            }
        }
        self.outbox.flush();
    }

    /// Finds whom a datagram is for.
    fn sort(&mut self, now: Instant, interface: usize, at: usize) {
        let now = now.checked_sub(self.inbox.waited(at)).unwrap_or(now);
        let Some((source, bytes)) = self.inbox.datagram(at) else { return };
        let Some(Some(port)) = self.ports.get_mut(interface) else { return };
        match Kind::of(bytes) {
            Kind::Stun => self.answer(now, interface, at),
            Kind::Dtls => {
                let taken = port
                    .guest(source)
                    .is_some_and(|whereabouts| pass_on(&self.handshakes, whereabouts, source, bytes));
                add(&self.counters.dtls_refused, u64::from(!taken));
            }
            Kind::Rtp | Kind::Rtcp => match port.guest(source).map(Arc::clone) {
                Some(whereabouts) if self.deliver(now, whereabouts.leg, source, At::Inbox(at)) => {}
                Some(whereabouts) => {
                    let datagram = self.inbox.datagram(at);
                    let parcel = datagram.and_then(|(_, bytes)| Parcel::new(now, whereabouts, source, bytes));
                    let passed = parcel.is_some_and(|parcel| self.lines[parcel.whereabouts.worker()].forward(parcel));
                    add(&self.counters.misrouted, u64::from(!passed));
                }
                None => add(&self.counters.strays, 1),
            },
            Kind::Other => add(&self.counters.strays, 1),
        }
    }

    /// Answers a connectivity check.
    fn answer(&mut self, now: Instant, interface: usize, at: usize) {
        let Some((source, bytes)) = self.inbox.datagram(at) else { return };
        let Some(Some(port)) = self.ports.get_mut(interface) else { return };
        let mut reply = [0; MAX_REPLY];
        match port.check(now, source, bytes, &mut reply) {
            Ok((len, moved)) => {
                add(&self.counters.checks, 1);
                self.outbox.push(&port.socket, source, |slot| {
                    slot[..len].copy_from_slice(&reply[..len]);
                    len
                });
                if let Some(moved) = moved {
                    self.point(moved);
                }
            }
            Err(Unanswered::Stray) => add(&self.counters.strays, 1),
            Err(Unanswered::Refused(_) | Unanswered::Taken) => add(&self.counters.checks_refused, 1),
        }
    }

    /// Tells a leg where it is to send.
    fn point(&mut self, (whereabouts, to): Moved) {
        if let Some(to) = to {
            // Fails only at the very end.
            let _ = self.handshakes.send(Errand::Path(whereabouts.leg, to));
        }
        match self.directory.get(&whereabouts.leg) {
            Some(Where::Here(index)) => self.hear(*index, News::Path(to)),
            Some(Where::Coming(_)) | None => {
                let (leg, line) = (whereabouts.leg, &self.lines[whereabouts.worker()]);
                line.send(Order::Leg(leg, LegOrder::News(whereabouts, News::Path(to))));
            }
        }
    }

    /// Has a leg take what others have found out.
    pub(super) fn hear(&mut self, index: usize, news: News) {
        let Some(leg) = self.legs.at_mut(index) else { return };
        leg.handle_news(news);
        if leg.pending.waits() {
            self.legs.tell(index);
        }
        self.begin_speech(index);
    }

    /// Takes what other threads' ports have passed on, and sends on what is for a leg that has moved meanwhile.
    pub(super) fn collect(&mut self) {
        while let Ok(mut parcel) = self.mailbox.parcels.try_recv() {
            let (came, leg, source) = (parcel.came, parcel.whereabouts.leg, parcel.source);
            if self.deliver(came, leg, source, At::Parcel(&mut parcel)) {
                continue;
            }
            let worker = parcel.whereabouts.worker();
            let passed = parcel.try_again() && self.lines[worker].forward(parcel);
            add(&self.counters.misrouted, u64::from(!passed));
            if passed && worker == self.own {
                // The leg is on its way here: the rest waits with it for the next phase.
                return;
            }
        }
    }

    /// Gives a leg a packet that its port has let through; `false` if it isn't here. A panic costs its room, or if it sits in none the
    /// leg.
    fn deliver(&mut self, now: Instant, id: LegId, source: SocketAddr, at: At<'_>) -> bool {
        let Self {
            legs,
            rooms,
            inbox,
            clock,
            directory,
            ..
        } = self;
        let here = match directory.get(&id) {
            Some(Where::Here(index)) => Some(*index),
            Some(Where::Coming(_)) | None => None,
        };
        let Some((index, leg)) = here.and_then(|index| Some((index, legs.at_mut(index)?))) else {
            return false;
        };
        let bytes = match at {
            At::Inbox(i) => match inbox.datagram(i) {
                Some((_, bytes)) => bytes,
                None => return true,
            },
            At::Parcel(parcel) => parcel.bytes(),
        };
        let room = leg.room;
        let read = catch_unwind(AssertUnwindSafe(|| {
            if let Some(packet) = leg.handle_rtp(now, clock, source, bytes)
                && let Some(room) = room.and_then(|r| rooms[r].as_mut())
            {
                room.push(now, index, packet);
            }
            leg.pending.waits()
        }));
        match (read, room) {
            (Ok(true), _) => legs.tell(index),
            (Ok(false), _) => {}
            (Err(_), Some(room)) => self.fail(now, room),
            (Err(_), None) => self.close(now, index),
        }
        true
    }

    /// Ends the consent of silent peers; about once a second.
    pub(super) fn expire_consent(&mut self, now: Instant) {
        let mut moved = Vec::new();
        for port in self.ports.iter_mut().flatten() {
            port.expire(now, |m| moved.push(m));
        }
        moved.into_iter().for_each(|m| self.point(m));
    }
}
