//! Which way a request goes, and how we are named on it: our listening addresses, and who takes no TCP (rule R42).

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    time::{Duration, Instant},
};

use crate::sip::{
    endpoint::{Listener, Target, Transport},
    msg::{Headers, Host, Name, Request, Via},
};

/// Longer requests go by TCP (rule R42, RFC 3261 section 18.1.1).
const MAX_DATAGRAM: usize = 1_300;
/// The longest datagram that we send at all: beyond it lies what IPv4 can carry (65,507).
const MAX_FRAGMENTED: usize = 61_440;
/// Addresses of which we remember that they take no TCP, some 100 bytes each.
const MAX_WITHOUT_TCP: usize = 4_096;
/// How long we remember it: a phone may be reconfigured.
const WITHOUT_TCP_FOR: Duration = Duration::from_secs(3_600);

/// Why a request could not even be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unsendable(pub(crate) &'static str);

/// Where a request goes first, and where if there is no connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chosen {
    pub(super) target: Target,
    pub(super) fallback: Option<Target>,
}

/// Our listening addresses, and what we know of peers.
#[derive(Debug)]
pub(crate) struct Ways {
    listeners: Vec<Listener>,
    without_tcp: BTreeMap<SocketAddr, Instant>,
}

impl Ways {
    pub(crate) fn new(listeners: Vec<Listener>) -> Self {
        Self {
            listeners,
            without_tcp: BTreeMap::new(),
        }
    }

    /// Our listener for a transport that fits an address; the one at `preferred` if it does.
    pub(crate) fn listener(
        &self,
        transport: Transport,
        remote: SocketAddr,
        preferred: Option<SocketAddr>,
    ) -> Result<&Listener, Unsendable> {
        let fits = |l: &&Listener| l.transport == transport && l.local.is_ipv4() == remote.is_ipv4();
        let mut fitting = self.listeners.iter().filter(fits);
        let first = fitting.clone().next();
        fitting.find(|l| Some(l.local) == preferred).or(first).ok_or(NO_LISTENER)
    }

    /// Names us in a topmost `Via` for this target.
    pub(super) fn name(&self, headers: &mut Headers, target: &Target, branch: &str) -> Result<(), Unsendable> {
        let listener = self.listener(target.transport(), target.remote(), Some(target.local()))?;
        let via = Via::new(target.transport().as_via(), host_of(listener)?, Some(listener.port), branch);
        headers.insert_front(Name::Via, via);
        Ok(())
    }

    /// Names us on a request, and moves one that is too long for a datagram to TCP, where that isn't known to fail.
    pub(super) fn choose(&self, now: Instant, request: &mut Request, target: Target, branch: &str) -> Result<Chosen, Unsendable> {
        self.name(&mut request.headers, &target, branch)?;
        if target.transport() != Transport::Udp {
            return Ok(Chosen { target, fallback: None });
        }
        let length = request.to_bytes().len();
        if length <= MAX_DATAGRAM {
            return Ok(Chosen { target, fallback: None });
        }
        let remote = target.remote();
        let refused = self.without_tcp.get(&remote).is_some_and(|until| *until > now);
        let listener = self.listener(Transport::Tcp, remote, None).ok().filter(|_| !refused);
        let fits = length <= MAX_FRAGMENTED;
        match listener {
            Some(listener) => {
                let connect = Target::Connect {
                    transport: Transport::Tcp,
                    local: listener.local,
                    remote,
                    name: None,
                };
                request.headers.remove(Name::Via);
                self.name(&mut request.headers, &connect, branch)?;
                Ok(Chosen {
                    target: connect,
                    fallback: fits.then_some(target),
                })
            }
            None if fits => Ok(Chosen { target, fallback: None }),
            None => Err(Unsendable("too long for a datagram, and the peer takes no TCP")),
        }
    }

    /// Nobody took our connection there.
    pub(super) fn remember_without_tcp(&mut self, now: Instant, remote: SocketAddr) {
        if self.without_tcp.len() >= MAX_WITHOUT_TCP {
            self.without_tcp.retain(|_, until| *until > now);
        }
        if self.without_tcp.len() < MAX_WITHOUT_TCP {
            self.without_tcp.insert(remote, now + WITHOUT_TCP_FOR);
        }
    }
}

/// What others reach a listener by.
pub(crate) fn host_of(listener: &Listener) -> Result<Host, Unsendable> {
    Host::parse(&listener.host).map_err(|_| Unsendable("our own advertised address can't be read"))
}

const NO_LISTENER: Unsendable = Unsendable("we have no socket for its transport and address family");
