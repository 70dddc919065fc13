//! The table of open connections: who is connected, how much waits for each, and the limits.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::sync::{mpsc, oneshot};

use super::{
    SipSocketCounters,
    stream::{self, PATIENCE, Patience},
    tls::Handshakes,
};
use crate::sip::{
    customer,
    endpoint::{ConnectionId, Flow, Inbound, Target, Transport},
};

/// Connections in all: each costs two file descriptors' worth of kernel buffers and some 14 KiB of ours, 22 with TLS.
const MAX_CONNECTIONS: usize = 4_096;
/// Connections from one address, or one IPv6 network of 2^64: an office behind one NAT.
const MAX_PER_SOURCE: usize = 512;
/// Bytes that may wait for one peer: four of the longest messages. A peer that is further behind is cut.
const MAX_WAITING: usize = 256 * 1024;
/// Messages that may wait for one peer, whatever their length.
const MAX_WAITING_MESSAGES: usize = 512;

const _: () = {
    // What slow readers can make us keep, all together.
    assert!(MAX_CONNECTIONS * MAX_WAITING <= 1 << 30);
};

/// Whom a connection leads to: messages to the same peer share one (RFC 3261 section 18, RFC 5923).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Peer {
    pub(super) transport: Transport,
    pub(super) remote: SocketAddr,
    /// Whom its certificate has to name; none: its address.
    pub(super) name: Option<Arc<str>>,
}

impl Peer {
    /// As the endpoint names it.
    pub(super) fn target(self, local: SocketAddr) -> Target {
        let Self { transport, remote, name } = self;
        Target::Connect {
            transport,
            local,
            remote,
            name,
        }
    }
}

/// What is to be written, and how much of it there is.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) queue: mpsc::Receiver<Vec<u8>>,
    pub(super) bytes: Arc<AtomicUsize>,
    /// Resolves when the connection is to be cut.
    pub(super) cut: oneshot::Receiver<()>,
}

#[derive(Debug)]
struct Handle {
    source: IpAddr,
    /// Under whom it is found for new requests.
    peer: Option<Peer>,
    queue: mpsc::Sender<Vec<u8>>,
    bytes: Arc<AtomicUsize>,
    /// Cuts the connection when dropped.
    _cut: oneshot::Sender<()>,
}

impl Handle {
    /// Whether there was room.
    fn push(&self, message: Vec<u8>) -> bool {
        let length = message.len();
        if self.bytes.fetch_add(length, Ordering::Relaxed) + length > MAX_WAITING {
            return false;
        }
        self.queue.try_send(message).is_ok()
    }
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    by_id: BTreeMap<ConnectionId, Handle>,
    by_peer: BTreeMap<Peer, ConnectionId>,
    per_source: BTreeMap<IpAddr, usize>,
}

impl Table {
    fn remove(&mut self, id: ConnectionId) -> Option<Handle> {
        let handle = self.by_id.remove(&id)?;
        if let Some(peer) = &handle.peer
            && self.by_peer.get(peer) == Some(&id)
        {
            self.by_peer.remove(peer);
        }
        if let Some(count) = self.per_source.get_mut(&handle.source) {
            *count -= 1;
            if *count == 0 {
                self.per_source.remove(&handle.source);
            }
        }
        Some(handle)
    }
}

/// All open connections. The lock is held for a lookup at a time, never across a wait.
#[derive(Debug, Clone)]
pub(super) struct Connections {
    table: Arc<Mutex<Table>>,
    pub(super) inbound: mpsc::Sender<Inbound>,
    pub(super) handshakes: Arc<Handshakes>,
    pub(super) counters: Arc<SipSocketCounters>,
    /// Pages whose scripts may connect by WebSocket; all if empty.
    pub(super) origins: Arc<[String]>,
    pub(super) patience: Patience,
}

impl Connections {
    pub(super) fn new(
        inbound: mpsc::Sender<Inbound>,
        handshakes: Handshakes,
        counters: Arc<SipSocketCounters>,
        origins: &[String],
    ) -> Self {
        Self {
            table: Arc::default(),
            inbound,
            handshakes: Arc::new(handshakes),
            counters,
            origins: origins.into(),
            patience: PATIENCE,
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Table) -> T) -> T {
        // Nothing inside can panic half-way through a change.
        act(&mut self.table.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notes a connection of theirs, if there is room for it. New requests to where it comes from take it too by TCP, but not by TLS: who connects
    /// to us proves no name (RFC 5923 asks for both certificates). Nobody is called by WebSocket.
    pub(super) fn accept(&self, transport: Transport, local: SocketAddr, remote: SocketAddr) -> Option<(Flow, Waiting)> {
        let peer = Peer {
            transport,
            remote,
            name: None,
        };
        self.open(transport, local, remote, (transport == Transport::Tcp).then_some(peer))
    }

    fn open(&self, transport: Transport, local: SocketAddr, remote: SocketAddr, peer: Option<Peer>) -> Option<(Flow, Waiting)> {
        let source = customer(remote.ip());
        let opened = self.with(|table| {
            let from_there = table.per_source.get(&source).copied().unwrap_or_default();
            if table.by_id.len() >= MAX_CONNECTIONS || from_there >= MAX_PER_SOURCE {
                return None;
            }
            table.next += 1;
            let id = ConnectionId(table.next);
            let (queue, waiting) = mpsc::channel(MAX_WAITING_MESSAGES);
            let (cut, cut_off) = oneshot::channel();
            let bytes = Arc::new(AtomicUsize::new(0));
            table.by_id.insert(
                id,
                Handle {
                    source,
                    peer: peer.clone(),
                    queue,
                    bytes: Arc::clone(&bytes),
                    _cut: cut,
                },
            );
            if let Some(peer) = peer {
                table.by_peer.insert(peer, id);
            }
            *table.per_source.entry(source).or_default() += 1;
            let flow = Flow {
                transport,
                local,
                remote,
                connection: Some(id),
            };
            Some((
                flow,
                Waiting {
                    queue: waiting,
                    bytes,
                    cut: cut_off,
                },
            ))
        });
        if opened.is_none() {
            SipSocketCounters::count(&self.counters.connections_refused);
        }
        opened
    }

    /// Forgets a connection, which cuts it.
    pub(super) fn close(&self, id: ConnectionId) {
        drop(self.with(|table| table.remove(id)));
    }

    pub(super) fn close_all(&self) {
        drop(self.with(std::mem::take));
    }

    /// Queues a message; `false` if there is no such connection, or it had to be cut.
    pub(super) fn send(&self, id: ConnectionId, message: Vec<u8>) -> bool {
        let sent = self.with(|table| table.by_id.get(&id).map(|handle| handle.push(message)));
        if sent == Some(false) {
            SipSocketCounters::count(&self.counters.connections_cut);
            self.close(id);
        }
        sent == Some(true)
    }

    /// Queues a message for the connection to this peer, or begins to connect; `false` if that can't be.
    pub(super) fn connect(&self, local: SocketAddr, peer: Peer, message: Vec<u8>) -> bool {
        if let Some(id) = self.with(|table| table.by_peer.get(&peer).copied()) {
            return self.send(id, message);
        }
        let Some((flow, waiting)) = self.open(peer.transport, local, peer.remote, Some(peer.clone())) else {
            return false;
        };
        tokio::spawn(stream::dial(flow, peer, waiting, self.clone()));
        flow.connection.is_some_and(|id| self.send(id, message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_ipv6_network_is_one_source() {
        let counters = Arc::new(SipSocketCounters::default());
        let (inbound, _sip) = mpsc::channel(1);
        let connections = Connections::new(inbound, Handshakes::new(None, Arc::clone(&counters)), counters, &[]);
        let local = "[2001:db8::1]:5060".parse().expect("an address");
        let open = |network: u16, host: usize| {
            let remote = format!("[2001:db8:0:{network:x}::{host:x}]:5060").parse().expect("an address");
            connections.accept(Transport::Tcp, local, remote)
        };
        let kept: Vec<_> = (0..MAX_PER_SOURCE).map(|host| open(1, host)).collect();
        assert!(kept.iter().all(Option::is_some));
        assert!(open(1, MAX_PER_SOURCE).is_none());
        assert!(open(2, 1).is_some(), "others come in");
    }
}
