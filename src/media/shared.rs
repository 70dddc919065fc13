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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use is::{
        DefaultSha1HmacProvider, Sha1HmacProvider,
        stun::{StunMessage, TransId},
    };

    use super::*;
    use crate::{model::ice::IceCredentials, rtp::ice::CONSENT};

    fn media(name: &str) -> IceMedia {
        let of = |side: &str| IceCredentials {
            ufrag: format!("{side}{name}"),
            password: format!("the password of {side} {name}"),
        };
        IceMedia {
            local: of("ours"),
            remote: of("theirs"),
        }
    }

    fn port(names: &[&str]) -> SharedPort {
        let mut port = SharedPort::new(Arc::new(UdpSocket::bind("127.0.0.1:0").expect("bound")));
        for (leg, name) in (1..).zip(names) {
            port.admit(Arc::new(Whereabouts::new(LegId(leg), 0)), media(name));
        }
        port
    }

    /// A nominating check for this leg.
    fn check(port: &mut SharedPort, now: Instant, name: &str, source: &str) -> Result<Option<Option<SocketAddr>>, Unanswered> {
        let IceMedia { local, remote } = media(name);
        let user = format!("{}:{}", local.ufrag, remote.ufrag);
        let mut bytes = [0; 256];
        let hmac = |key: &[u8], parts: &[&[u8]]| DefaultSha1HmacProvider.sha1_hmac(key, parts);
        let message = StunMessage::binding_request(&user, TransId::new(), true, 1, 1, true);
        let len = message.to_bytes(Some(local.password.as_bytes()), &mut bytes, hmac).expect("space");
        let (_, moved) = port.check(now, addr(source), &bytes[..len], &mut [0; MAX_REPLY])?;
        Ok(moved.map(|(_, to)| to))
    }

    fn addr(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    fn whose(port: &SharedPort, source: &str) -> Option<u64> {
        port.guest(addr(source)).map(|w| w.leg.0)
    }

    const A: &str = "192.0.2.1:1000";
    const B: &str = "192.0.2.1:2000";

    #[test]
    fn each_source_is_one_leg_s_and_each_leg_hears_once_where_to_send() {
        let (mut port, now) = (port(&["a", "b"]), Instant::now());
        assert_eq!(check(&mut port, now, "a", A), Ok(Some(Some(addr(A)))));
        assert_eq!(check(&mut port, now, "a", A), Ok(None), "told already");
        assert_eq!(check(&mut port, now, "b", A), Err(Unanswered::Taken));
        assert_eq!(check(&mut port, now, "b", B), Ok(Some(Some(addr(B)))));
        assert_eq!(check(&mut port, now, "c", B), Err(Unanswered::Stray));
        assert_eq!(
            (whose(&port, A), whose(&port, B), whose(&port, "192.0.2.1:3000")),
            (Some(1), Some(2), None)
        );
    }

    #[test]
    fn without_consent_a_source_is_nobody_s_and_its_leg_sends_nowhere() {
        let (mut port, start) = (port(&["a", "b"]), Instant::now());
        check(&mut port, start, "a", A).expect("valid");
        let mut moved = Vec::new();
        port.expire(start + CONSENT - Duration::from_secs(1), |m| moved.push(m));
        assert!(moved.is_empty());
        port.expire(start + CONSENT, |(whereabouts, to)| {
            assert_eq!((whereabouts.leg, to), (LegId(1), None))
        });
        assert_eq!(whose(&port, A), None);
        assert_eq!(
            check(&mut port, start + CONSENT, "b", A),
            Ok(Some(Some(addr(A)))),
            "free for another"
        );
    }

    #[test]
    fn a_leg_that_leaves_leaves_nothing_and_a_restart_its_old_name() {
        let (mut port, now) = (port(&["a"]), Instant::now());
        check(&mut port, now, "a", A).expect("valid");
        port.admit(Arc::new(Whereabouts::new(LegId(1), 0)), media("anew"));
        assert_eq!(check(&mut port, now, "a", A), Err(Unanswered::Stray));
        assert_eq!(check(&mut port, now, "anew", B), Ok(Some(Some(addr(B)))));
        assert_eq!(
            (whose(&port, A), whose(&port, B)),
            (Some(1), Some(1)),
            "the old way is heard until its consent ends"
        );
        port.dismiss(LegId(1));
        assert!(port.is_empty() && port.by_name.is_empty() && port.by_source.is_empty());
    }
}
