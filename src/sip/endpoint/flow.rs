//! Where bytes come from and go to.

use std::{fmt, net::SocketAddr};

use crate::sip::msg::{Malformed, Message};

/// How messages travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// A stream.
    Tcp,
}

impl Transport {
    /// The name in a `Via` (RFC 3261 section 20.42).
    pub fn as_via(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
        }
    }

    /// The name in a `transport` parameter (RFC 3261 section 19.1.1).
    pub fn as_param(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        }
    }

    /// Whether the transport itself sees to delivery (RFC 3261 section 17).
    pub fn is_reliable(self) -> bool {
        match self {
            Self::Udp => false,
            Self::Tcp => true,
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_param())
    }
}

/// One connection of a stream transport. Unique in the process, never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// The way between one of our sockets and one of a peer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Flow {
    /// How.
    pub transport: Transport,
    /// The listening address that this belongs to, as bound; also for connections that we opened ourselves.
    pub local: SocketAddr,
    /// The peer's socket.
    pub remote: SocketAddr,
    /// Which connection, for streams.
    pub connection: Option<ConnectionId>,
}

/// Where bytes are to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// A known way.
    Flow(Flow),
    /// A connection to this address: the one there is, else a new one.
    Connect {
        /// Over which stream transport.
        transport: Transport,
        /// Under which of our listening addresses messages from there are to be reported.
        local: SocketAddr,
        /// To where.
        remote: SocketAddr,
    },
}

impl Target {
    /// The far end.
    pub fn remote(&self) -> SocketAddr {
        match self {
            Self::Flow(flow) => flow.remote,
            Self::Connect { remote, .. } => *remote,
        }
    }

    /// Our listening address that it belongs to.
    pub fn local(&self) -> SocketAddr {
        match self {
            Self::Flow(flow) => flow.local,
            Self::Connect { local, .. } => *local,
        }
    }

    /// How bytes travel there.
    pub fn transport(&self) -> Transport {
        match self {
            Self::Flow(flow) => flow.transport,
            Self::Connect { transport, .. } => *transport,
        }
    }
}

/// Bytes to be sent: always one whole message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transmit {
    /// To where.
    pub target: Target,
    /// The message.
    pub bytes: Vec<u8>,
}

/// What the sockets report.
#[derive(Debug)]
pub enum Inbound {
    /// A datagram, unread.
    Datagram {
        /// Where from.
        flow: Flow,
        /// Its bytes.
        bytes: Vec<u8>,
    },
    /// A message cut out of a stream.
    Message {
        /// Where from.
        flow: Flow,
        /// The message, or what is left of it.
        message: Result<Message, Malformed>,
    },
    /// A connection is gone; nothing more comes from it, nothing more reaches it.
    FlowLost(Flow),
    /// Nobody listens there, or no connection came about within 2 s (rule R42), or the socket refused the bytes.
    Unreachable(Target),
}
