//! Which way a request goes, and how we are named on it: our listening addresses, and who takes no TCP (rule R42).

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    time::{Duration, Instant},
};

use super::{
    Dice, Wire,
    client::{Ack, Ahead},
    key::MAGIC,
};
use crate::sip::{
    endpoint::{Flow, Listener, Presentation, Target, Transport},
    locate::{Hop, Located, ONLY_BY_FLOW, Way, locate},
    msg::{Headers, Host, Name, NameAddr, Request, Uri, Via},
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

    /// The transports by which we go to others, each once: over WebSocket they come to us (RFC 7118 section 5).
    pub(super) fn usable(&self) -> Vec<Transport> {
        let ours = |transport: &Transport| !matches!(transport, Transport::Ws | Transport::Wss);
        let mut usable: Vec<Transport> = self.listeners.iter().map(|l| l.transport).filter(ours).collect();
        usable.sort_unstable();
        usable.dedup();
        usable
    }

    /// A hop as a target, from the listening address `preferred` if that fits.
    pub(super) fn target(&self, hop: &Hop, preferred: Option<SocketAddr>) -> Result<Target, Unsendable> {
        let Hop { transport, address, name } = hop;
        let local = self.listener(*transport, *address, preferred)?.local;
        Ok(match transport {
            Transport::Udp => Target::Flow(Flow {
                transport: *transport,
                local,
                remote: *address,
                connection: None,
            }),
            Transport::Tcp | Transport::Tls => Target::Connect {
                transport: *transport,
                local,
                remote: *address,
                name: name.clone().filter(|_| transport.is_protected()),
            },
            Transport::Ws | Transport::Wss => return Err(Unsendable(ONLY_BY_FLOW)),
        })
    }

    /// Where a URI leads, if that is known without asking.
    pub(crate) fn at_once(&self, uri: &Uri, preferred: Option<SocketAddr>) -> Result<Option<Target>, Unsendable> {
        match locate(uri).map_err(Unsendable)? {
            Located::Hop(hop) => self.target(&hop, preferred).map(Some),
            Located::Name(_) => Ok(None),
        }
    }

    /// The hops of a way, as far as they are known, and what has to be asked for the others.
    pub(super) fn ahead(&self, way: Way, preferred: Option<SocketAddr>) -> Result<Ahead, Unsendable> {
        let mut ahead = Ahead::default();
        let uri = match way {
            Way::To(target) => {
                ahead.hops.push_back(target);
                return Ok(ahead);
            }
            Way::By(uri) => uri,
            Way::First(target, uri) => {
                ahead.hops.push_back(target);
                uri
            }
        };
        match locate(&uri).map_err(Unsendable) {
            Ok(Located::Name(question)) => ahead.question = Some(question),
            Ok(Located::Hop(hop)) => match self.target(&hop, preferred) {
                Ok(target) if ahead.hops.contains(&target) => {}
                Ok(target) => ahead.hops.push_back(target),
                Err(why) if ahead.hops.is_empty() => return Err(why),
                Err(_) => {}
            },
            Err(why) if ahead.hops.is_empty() => return Err(why),
            Err(_) => {}
        }
        Ok(ahead)
    }

    /// Sends an ACK that has all headers but `Via`.
    pub(super) fn send_ack(&self, wire: &mut Wire, dice: &mut Dice, ack: &mut Ack, target: Target) -> Result<(), Unsendable> {
        let branch = format!("{MAGIC}{}", dice.token());
        self.name(&mut ack.request.headers, &target, &branch)?;
        ack.target = Some(target);
        ack.send(wire);
        Ok(())
    }

    /// Our Contact for a peer that is reached this way; `secure`: as a `sips` URI, where the way is protected.
    pub(crate) fn contact(&self, way: &Target, presentation: &Presentation, secure: bool) -> Result<NameAddr, Unsendable> {
        let listener = self.listener(way.transport(), way.remote(), Some(way.local()))?;
        let mut uri = Uri::sip(presentation.user.as_deref(), host_of(listener)?, Some(listener.port));
        if let Some(sip) = uri.as_sip_mut() {
            match way.transport() {
                Transport::Udp => {}
                // `sips` says it all (RFC 5630 section 3.1.4).
                Transport::Tls if secure => sip.secure = true,
                // `ws` is no old spelling of something else, so it is said beside `sips` too (RFC 7118 section 5.5).
                transport @ (Transport::Ws | Transport::Wss) => {
                    sip.secure = secure;
                    sip.params.set("transport", Some(transport.as_param()));
                }
                transport @ (Transport::Tcp | Transport::Tls) => sip.params.set("transport", Some(transport.as_param())),
            }
        }
        let mut contact = NameAddr::new(uri);
        if presentation.focus {
            contact.params.set("isfocus", None);
        }
        Ok(contact)
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
