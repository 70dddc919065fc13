//! SIP's sockets: UDP, TCP and TLS, in and out, and WebSocket, in. Moves bytes and cuts streams into messages; knows no transaction.
//!
//! Towards the SIP task there is one bounded channel: who writes to it waits, so that a flood stays with its sender. Away from the SIP task nothing
//! ever waits: a datagram that the kernel won't take is lost, a connection that doesn't keep up is cut.

mod connections;
mod places;
mod stream;
mod tls;
mod udp;
mod ws;

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::{sync::mpsc, task::JoinSet};

pub use self::tls::{Tls, Visitors};
use self::{
    connections::{Connections, Peer},
    tls::Handshakes,
    udp::UdpPort,
};
use crate::sip::endpoint::{Inbound, Target, Transmit, Transport};

/// Messages that wait for the SIP task, some 8 MB at most as a rule: a burst of calls, which it answers within 200 ms (RFC 3261 section 17.2.1). Beyond that
/// senders wait.
const INBOUND_QUEUE: usize = 8_192;

/// Numbers since the start.
#[derive(Debug, Default)]
pub struct SipSocketCounters {
    /// Datagrams that the kernel didn't take.
    pub datagrams_dropped: AtomicU64,
    /// Messages for connections that are gone.
    pub messages_dropped: AtomicU64,
    /// Connections refused because there were too many, in all or from one address.
    pub connections_refused: AtomicU64,
    /// Connections cut because the peer didn't read what we wrote.
    pub connections_cut: AtomicU64,
    /// Connections closed because they said nothing, or nothing to the end, for too long.
    pub connections_idle: AtomicU64,
    /// TLS handshakes refused, or given up for somebody else's, because there were too many at a time, in all or from one address.
    pub handshakes_refused: AtomicU64,
    /// TLS handshakes that took too long.
    pub handshakes_late: AtomicU64,
    /// TLS handshakes that came to nothing: no TLS, no version or cipher in common, a certificate that isn't believed, a peer that left.
    pub handshakes_failed: AtomicU64,
    /// TLS and WebSocket connections that ended in a breach of the protocol, renegotiation among them.
    pub connections_broken: AtomicU64,
    /// WebSocket handshakes that were refused, or were none.
    pub upgrades_refused: AtomicU64,
    /// WebSocket handshakes that took too long.
    pub upgrades_late: AtomicU64,
    /// Connections closed because of a message longer than 64 KiB.
    pub messages_too_long: AtomicU64,
}

impl SipSocketCounters {
    fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// All sockets of SIP. Dropped, it closes them.
#[derive(Debug)]
pub struct SipTransport {
    ports: Vec<UdpPort>,
    listening: Vec<(Transport, SocketAddr)>,
    connections: Connections,
    inbound: mpsc::Sender<Inbound>,
    counters: Arc<SipSocketCounters>,
    /// Receivers and acceptors: ended with us.
    _tasks: JoinSet<()>,
}

impl SipTransport {
    /// Opens all sockets, and reports what comes on them; to be called inside of a tokio runtime. Port 0 takes any: see [`listening`](Self::listening).
    /// Without `tls` every handshake fails. `origins` are the pages whose scripts may connect by WebSocket, all if empty.
    pub fn bind(listen: &[(Transport, SocketAddr)], tls: Option<Tls>, origins: &[String]) -> io::Result<(Self, mpsc::Receiver<Inbound>)> {
        let (inbound, received) = mpsc::channel(INBOUND_QUEUE);
        let counters = Arc::new(SipSocketCounters::default());
        let handshakes = Handshakes::new(tls, Arc::clone(&counters));
        let connections = Connections::new(inbound.clone(), handshakes, Arc::clone(&counters), origins);
        let mut tasks = JoinSet::new();
        let mut ports = Vec::new();
        let mut listening = Vec::new();
        for (transport, address) in listen {
            match transport {
                Transport::Udp => {
                    let port = UdpPort::bind(*address).map_err(|e| named(*transport, *address, &e))?;
                    listening.push((Transport::Udp, port.local()));
                    tasks.spawn(port.clone().receive(inbound.clone()));
                    ports.push(port);
                }
                Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss => {
                    let listener = stream::listen(*address).map_err(|e| named(*transport, *address, &e))?;
                    let local = listener.local_addr()?;
                    listening.push((*transport, local));
                    tasks.spawn(stream::accept(listener, *transport, local, connections.clone()));
                }
            }
        }
        let transport = Self {
            ports,
            listening,
            connections,
            inbound,
            counters,
            _tasks: tasks,
        };
        Ok((transport, received))
    }

    /// The addresses as bound, in the order asked for: the `local` of flows.
    pub fn listening(&self) -> &[(Transport, SocketAddr)] {
        &self.listening
    }

    /// Numbers since the start.
    pub fn counters(&self) -> &SipSocketCounters {
        &self.counters
    }

    /// Exchanges the certificate, and whom we trust, for all handshakes from now on; connections that are up go on.
    pub fn exchange_tls(&self, tls: Tls) {
        self.connections.handshakes.exchange(tls);
    }

    /// Sends, or begins to; never waits. What can't be delivered is reported as [`Inbound::Unreachable`] or [`Inbound::FlowLost`] where that is
    /// known.
    pub fn send(&self, transmit: Transmit) {
        let Transmit { target, bytes } = transmit;
        match target {
            Target::Flow(flow) if flow.transport == Transport::Udp => {
                let port = self.ports.iter().find(|port| port.local() == flow.local);
                match port.map(|port| port.send(flow.remote, &bytes)) {
                    Some(Ok(())) => {}
                    Some(Err(e)) if e.kind() == io::ErrorKind::WouldBlock => SipSocketCounters::count(&self.counters.datagrams_dropped),
                    // No route, or too long: it won't get better by waiting.
                    Some(Err(_)) | None => {
                        SipSocketCounters::count(&self.counters.datagrams_dropped);
                        self.report(Inbound::Unreachable(target));
                    }
                }
            }
            Target::Flow(flow) => {
                if !flow.connection.is_some_and(|id| self.connections.send(id, bytes)) {
                    SipSocketCounters::count(&self.counters.messages_dropped);
                }
            }
            // There is nothing to connect, or nothing to connect to.
            Target::Connect {
                transport: Transport::Udp | Transport::Ws | Transport::Wss,
                ..
            } => self.report(Inbound::Unreachable(target)),
            Target::Connect {
                transport,
                local,
                remote,
                ref name,
            } => {
                let peer = Peer {
                    transport,
                    remote,
                    name: name.clone(),
                };
                if !self.connections.connect(local, peer, bytes) {
                    SipSocketCounters::count(&self.counters.messages_dropped);
                    self.report(Inbound::Unreachable(target));
                }
            }
        }
    }

    /// We are called by the task that empties this channel, so we can't wait for it: when it is full, the transaction's own timer has to tell.
    fn report(&self, inbound: Inbound) {
        if self.inbound.try_send(inbound).is_err() {
            SipSocketCounters::count(&self.counters.messages_dropped);
        }
    }
}

impl Drop for SipTransport {
    fn drop(&mut self) {
        self.connections.close_all();
    }
}

/// With several addresses the operator needs to know which.
fn named(transport: Transport, address: SocketAddr, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{transport}:{address}: {error}"))
}

#[cfg(test)]
mod tests;
