//! Where bytes come from and go to.

use std::{fmt, net::SocketAddr, sync::Arc};

use crate::sip::msg::{DEFAULT_PORT, DEFAULT_TLS_PORT, DEFAULT_WS_PORT, DEFAULT_WSS_PORT, Malformed, Message};

/// How messages travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// A stream.
    Tcp,
    /// A stream that nobody between reads or changes (RFC 3261 section 26.2.1).
    Tls,
    /// WebSocket messages (RFC 7118): the only stream that a browser has. Only peers connect.
    Ws,
    /// The same over TLS.
    Wss,
}

impl Transport {
    /// The name in a `Via` (RFC 3261 section 20.42).
    pub fn as_via(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            Self::Ws => "WS",
            Self::Wss => "WSS",
        }
    }

    /// The name in a `transport` parameter (RFC 3261 section 19.1.1); there WebSocket has one name, secure or not (RFC 7118 section 5.2).
    pub fn as_param(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Ws | Self::Wss => "ws",
        }
    }

    /// Whether the transport itself sees to delivery (RFC 3261 section 17).
    pub fn is_reliable(self) -> bool {
        match self {
            Self::Udp => false,
            Self::Tcp | Self::Tls | Self::Ws | Self::Wss => true,
        }
    }

    /// Whether what travels, keys included, is hidden from others on this hop (rule R72, RFC 4568 section 7).
    pub fn is_protected(self) -> bool {
        match self {
            Self::Udp | Self::Tcp | Self::Ws => false,
            Self::Tls | Self::Wss => true,
        }
    }

    /// The port where none is named (RFC 3261 sections 18.2.2 and 19.1.2, RFC 7118 section 5.5).
    pub fn default_port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => DEFAULT_PORT,
            Self::Tls => DEFAULT_TLS_PORT,
            Self::Ws => DEFAULT_WS_PORT,
            Self::Wss => DEFAULT_WSS_PORT,
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Wss => "wss",
            Self::Udp | Self::Tcp | Self::Tls | Self::Ws => self.as_param(),
        })
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

impl Flow {
    /// Whether the hop between us and the peer is protected (rule R72); what lies behind a proxy is not known.
    pub fn is_protected(&self) -> bool {
        self.transport.is_protected()
    }
}

/// Where bytes are to go.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
        /// Whom the certificate there has to name, over TLS (RFC 5922 section 7.2); none: the address itself.
        name: Option<Arc<str>>,
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
    /// A datagram or a WebSocket message, unread: the transport keeps messages apart.
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
    /// Nobody listens there, or no connection came about within 2 s (rule R42), or the peer there can't prove its name, or the socket refused the bytes.
    Unreachable(Target),
    /// Whom a peer's certificate proves it to be: the `sip` URIs of people, and domains (RFC 5922). Comes before the first message of a connection,
    /// and holds until it is lost.
    Proven {
        /// Over this connection.
        flow: Flow,
        /// As the certificate has them.
        names: Vec<String>,
    },
}
