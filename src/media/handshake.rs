//! DTLS on a thread of its own: a handshake takes milliseconds of arithmetic, a tick has no time for it, and the clerk may wait for the
//! channel of reports. Keys go to the thread that has the leg; datagrams of ours go out from here.

use std::{
    collections::BTreeMap,
    net::{SocketAddr, UdpSocket},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, Sender},
    },
    time::{Duration, Instant},
};

use super::{
    counters::{Counters, add},
    order::{LegOrder, Line, News, Order},
    whereabouts::Whereabouts,
};
use crate::{
    model::{
        LegId,
        dtls::{DtlsMedia, DtlsRole},
    },
    rtp::{
        dtls::{BUFFER, End, Identity, Next, Session},
        srtp,
    },
};

/// With nothing due.
const IDLE: Duration = Duration::from_secs(3600);

/// To the thread of the handshakes.
#[derive(Debug)]
pub(super) enum Errand {
    /// What was negotiated for a leg; the association that it has goes on if it still fits.
    Agree(Box<Agreement>),
    /// Where ICE has found the leg's peer.
    Path(LegId, SocketAddr),
    /// Claims to be DTLS, from a source that the leg admits. Has a place in the queue.
    Datagram(Arc<Whereabouts>, SocketAddr, Box<[u8]>),
    /// The leg is gone.
    End(LegId),
}

/// What is to be handshaken about.
#[derive(Debug)]
pub(super) struct Agreement {
    pub(super) whereabouts: Arc<Whereabouts>,
    pub(super) socket: Arc<UdpSocket>,
    pub(super) media: DtlsMedia,
    /// Where a handshake of ours goes; `None`: where ICE will say.
    pub(super) to: Option<SocketAddr>,
}

/// One leg's.
#[derive(Debug)]
struct Case {
    agreement: Agreement,
    /// Sources are known by checks.
    by_ice: bool,
    /// Where the peer was last heard.
    to: Option<SocketAddr>,
    session: Option<Session>,
    due: Option<Instant>,
}

/// The thread's all.
#[derive(Debug)]
pub(super) struct Handshakes {
    identity: Arc<Identity>,
    lines: Vec<Line>,
    counters: Arc<Counters>,
    cases: BTreeMap<LegId, Case>,
    buffer: Box<[u8; BUFFER]>,
}

impl Handshakes {
    pub(super) fn new(identity: Arc<Identity>, lines: Vec<Line>, counters: Arc<Counters>) -> Self {
        Self {
            identity,
            lines,
            counters,
            cases: BTreeMap::new(),
            buffer: Box::new([0; BUFFER]),
        }
    }

    /// Works until all who send errands are gone.
    pub(super) fn run(mut self, errands: &Receiver<Errand>) {
        loop {
            let now = Instant::now();
            let next = self.cases.values().filter_map(|case| case.due).min();
            match errands.recv_timeout(next.map_or(IDLE, |at| at.saturating_duration_since(now))) {
                Ok(errand) => self.handle(Instant::now(), errand),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.handle_timeouts(Instant::now());
        }
    }

    fn handle(&mut self, now: Instant, errand: Errand) {
        match errand {
            Errand::Agree(agreement) => self.agree(now, *agreement),
            Errand::Path(leg, to) => {
                if let Some(case) = self.cases.get_mut(&leg) {
                    case.to = Some(to);
                    self.advance(now, leg, |case, identity| case.begin(now, identity));
                }
            }
            Errand::Datagram(whereabouts, source, bytes) => {
                whereabouts.dequeue();
                self.advance(now, whereabouts.leg, |case, identity| {
                    case.to = Some(source);
                    case.begin(now, identity);
                    if let Some(session) = &mut case.session {
                        session.handle(now, &bytes);
                    }
                });
            }
            Errand::End(leg) => {
                self.advance(now, leg, |case, _| {
                    if let Some(session) = &mut case.session {
                        session.close();
                    }
                });
                self.cases.remove(&leg);
            }
        }
    }

    fn agree(&mut self, now: Instant, agreement: Agreement) {
        let leg = agreement.whereabouts.leg;
        if let Some(case) = self.cases.get_mut(&leg)
            && case.agreement.media == agreement.media
        {
            return;
        }
        let (to, by_ice) = (agreement.to, agreement.to.is_none());
        let case = Case {
            agreement,
            by_ice,
            to,
            session: None,
            due: None,
        };
        // The way that ICE has found stays.
        let before = self.cases.insert(leg, case).and_then(|case| case.to);
        self.advance(now, leg, |case, identity| {
            case.to = case.to.or(before);
            case.begin(now, identity);
        });
    }

    fn handle_timeouts(&mut self, now: Instant) {
        let due = |case: &Case| case.due.is_some_and(|at| at <= now);
        while let Some(leg) = self.cases.iter().find(|(_, case)| due(case)).map(|(leg, _)| *leg) {
            self.advance(now, leg, |case, _| {
                if let Some(session) = &mut case.session {
                    session.handle_timeout(now);
                }
            });
            // Whatever the library says, a moment that has passed isn't waited for twice.
            if let Some(case) = self.cases.get_mut(&leg) {
                case.due = case.due.filter(|at| *at > now);
            }
        }
    }

    /// Does something about one leg and what follows from it. A panic, which isn't ours, costs the leg.
    fn advance(&mut self, now: Instant, leg: LegId, what: impl FnOnce(&mut Case, &Arc<Identity>)) {
        let Some(mut case) = self.cases.remove(&leg) else { return };
        let done = catch_unwind(AssertUnwindSafe(|| {
            what(&mut case, &self.identity);
            self.drain(&mut case)
        }));
        match done {
            Ok(true) => {
                self.cases.insert(leg, case);
            }
            Ok(false) => {}
            Err(_) => {
                add(&self.counters.handshakes_failed, 1);
                self.tell(&case.agreement, |media| News::Ended(media, End::Failed));
                tracing::error!(leg = leg.0, now = ?now, "a handshake panicked");
            }
        }
    }

    /// Whether the case stays open.
    fn drain(&mut self, case: &mut Case) -> bool {
        let Some(session) = &mut case.session else { return true };
        loop {
            match session.poll(&mut self.buffer) {
                Next::Send(len) => {
                    if let Some(to) = case.to {
                        // What the kernel doesn't take is sent again.
                        let _ = case.agreement.socket.send_to(&self.buffer[..len], to);
                    }
                }
                Next::Agreed(agreed) => {
                    add(&self.counters.handshakes, 1);
                    let keys = Box::new(srtp::Session::new(agreed.ours, agreed.theirs));
                    tracing::debug!(leg = case.agreement.whereabouts.leg.0, profile = ?agreed.ours.profile, "DTLS gave keys");
                    self.tell(&case.agreement, |media| News::Keys(media, keys));
                }
                Next::Ended(end) => {
                    let counter = match end {
                        End::Fingerprint => &self.counters.fingerprints,
                        End::Failed => &self.counters.handshakes_failed,
                        End::Closed => &self.counters.handshakes_closed,
                    };
                    add(counter, 1);
                    self.tell(&case.agreement, |media| News::Ended(media, end));
                    return false;
                }
                Next::Wait(due) => {
                    case.due = due;
                    return true;
                }
            }
        }
    }

    fn tell(&self, agreement: &Agreement, news: impl FnOnce(DtlsMedia) -> News) {
        let whereabouts = &agreement.whereabouts;
        let order = LegOrder::News(Arc::clone(whereabouts), news(agreement.media.clone()));
        self.lines[whereabouts.worker()].send(Order::Leg(whereabouts.leg, order));
    }
}

impl Case {
    /// Starts the association, once there is one to have and, if we begin it, a way to the peer.
    fn begin(&mut self, now: Instant, identity: &Arc<Identity>) {
        let DtlsMedia { role, fingerprints } = &self.agreement.media;
        let Some(role) = role.filter(|role| *role == DtlsRole::Passive || self.to.is_some()) else {
            return;
        };
        if self.session.is_none() {
            self.session = Some(Session::new(now, Arc::clone(identity), role, fingerprints.clone(), self.by_ice));
        }
    }
}

/// The way to the handshakes.
pub(super) type ToHandshakes = Sender<Errand>;

/// Passes on what claims to be DTLS, from a source that the leg admits; `false`: too much of it waits already.
pub(super) fn pass_on(handshakes: &ToHandshakes, whereabouts: &Arc<Whereabouts>, source: SocketAddr, bytes: &[u8]) -> bool {
    let has_place = whereabouts.enqueue();
    if has_place {
        // Fails only at the very end.
        let _ = handshakes.send(Errand::Datagram(Arc::clone(whereabouts), source, bytes.into()));
    }
    has_place
}
