//! A port that many legs share: who a datagram is for, by the name in a connectivity check, and then by the source that has checked.
//!
//! It stays on the thread that it was opened on. A leg that moves to another thread (rule R60) leaves its place here behind: what is
//! for it is passed on through a bounded queue, and what it sends goes out of the same socket, from wherever it is.

use std::{
    collections::{BTreeMap, HashMap},
    net::{SocketAddr, UdpSocket},
    sync::Arc,
    time::Instant,
};

use super::whereabouts::Whereabouts;
use crate::{
    model::{LegId, ice::IceMedia},
    rtp::ice::{Answer, Change, Lite, MAX_REPLY, Refused, Request},
};

/// One port and its legs.
#[derive(Debug)]
pub(super) struct SharedPort {
    pub(super) socket: Arc<UdpSocket>,
    guests: BTreeMap<LegId, Guest>,
    by_name: BTreeMap<String, LegId>,
    /// Sources with a valid check, each of one leg. Looked up, never walked.
    by_source: HashMap<SocketAddr, LegId>,
}

#[derive(Debug)]
struct Guest {
    ice: Lite,
    whereabouts: Arc<Whereabouts>,
    /// Where the leg was last told to send.
    told: Option<SocketAddr>,
}

/// Why a datagram that claims to be a connectivity check isn't answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unanswered {
    /// No check, or for nobody here.
    Stray,
    /// Not signed as agreed.
    Refused(Refused),
    /// Its source is another leg's, which still consents.
    Taken,
}

/// A leg and where it is to send from now on.
pub(super) type Moved = (Arc<Whereabouts>, Option<SocketAddr>);

impl SharedPort {
    pub(super) fn new(socket: Arc<UdpSocket>) -> Self {
        Self {
            socket,
            guests: BTreeMap::new(),
            by_name: BTreeMap::new(),
            by_source: HashMap::new(),
        }
    }

    /// Takes a leg in, or what was agreed for it anew.
    pub(super) fn admit(&mut self, whereabouts: Arc<Whereabouts>, media: IceMedia) {
        let leg = whereabouts.leg;
        let name = media.local.ufrag.clone();
        match self.guests.get_mut(&leg) {
            Some(guest) => {
                self.by_name.remove(guest.ice.ufrag());
                guest.ice.renew(media.local, media.remote);
            }
            None => {
                let guest = Guest {
                    ice: Lite::new(media.local, media.remote),
                    whereabouts,
                    told: None,
                };
                self.guests.insert(leg, guest);
            }
        }
        self.by_name.insert(name, leg);
    }

    /// Whether it has no legs.
    pub(super) fn is_empty(&self) -> bool {
        self.guests.is_empty()
    }

    /// Forgets a leg.
    pub(super) fn dismiss(&mut self, leg: LegId) {
        let Some(guest) = self.guests.remove(&leg) else { return };
        self.by_name.remove(guest.ice.ufrag());
        for source in guest.ice.sources() {
            self.by_source.remove(&source);
        }
    }

    /// Whose a source is.
    pub(super) fn guest(&self, source: SocketAddr) -> Option<&Arc<Whereabouts>> {
        let leg = self.by_source.get(&source)?;
        self.guests.get(leg).map(|guest| &guest.whereabouts)
    }

    /// Judges a check; gives the length of the answer, and where the leg is to send if that has changed.
    pub(super) fn check(
        &mut self,
        now: Instant,
        source: SocketAddr,
        datagram: &[u8],
        reply: &mut [u8; MAX_REPLY],
    ) -> Result<(usize, Option<Moved>), Unanswered> {
        let request = Request::parse(datagram).ok_or(Unanswered::Stray)?;
        let leg = *self.by_name.get(request.ufrag()).ok_or(Unanswered::Stray)?;
        // Whoever can send from another's address must not take its place.
        if self.by_source.get(&source).is_some_and(|holder| *holder != leg) {
            return Err(Unanswered::Taken);
        }
        let guest = self.guests.get_mut(&leg).ok_or(Unanswered::Stray)?;
        let Answer { len, change, .. } = guest.ice.handle(now, source, &request, reply).map_err(Unanswered::Refused)?;
        if let Change::Source(gone) = change {
            if let Some(gone) = gone {
                self.by_source.remove(&gone);
            }
            self.by_source.insert(source, leg);
        }
        Ok((len, guest.moved()))
    }

    /// Forgets sources whose consent is over; to be called about once a second.
    pub(super) fn expire(&mut self, now: Instant, mut moved: impl FnMut(Moved)) {
        for guest in self.guests.values_mut() {
            while let Some(gone) = guest.ice.expire(now) {
                self.by_source.remove(&gone);
            }
            guest.moved().into_iter().for_each(&mut moved);
        }
    }
}

impl Guest {
    fn moved(&mut self) -> Option<Moved> {
        let to = self.ice.nominated();
        (std::mem::replace(&mut self.told, to) != to).then(|| (Arc::clone(&self.whereabouts), to))
    }
}
