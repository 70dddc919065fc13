//! One UDP socket of SIP.

use std::{io, net::SocketAddr, sync::Arc};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tokio::{net::UdpSocket, sync::mpsc};

use crate::sip::endpoint::{Flow, Inbound, Transport};

/// The kernel's queue: a burst of some 2,000 INVITEs, while we are busy.
const RECEIVE_BUFFER: usize = 4 * 1024 * 1024;
/// The longest datagram there is.
const MAX_DATAGRAM: usize = 65_535;
/// CS3 (rule R46, RFC 4594 section 3.2), as the upper six bits of the traffic class.
const DSCP_CS3: u32 = 24 << 2;

/// One UDP socket.
#[derive(Debug, Clone)]
pub(super) struct UdpPort {
    socket: Arc<UdpSocket>,
    local: SocketAddr,
}

impl UdpPort {
    pub(super) fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        mark(&socket, address)?;
        // The kernel may give less; that is no reason not to start.
        let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
        socket.set_nonblocking(true)?;
        socket.bind(&SockAddr::from(address))?;
        let socket = UdpSocket::from_std(socket.into())?;
        let local = socket.local_addr()?;
        Ok(Self {
            socket: Arc::new(socket),
            local,
        })
    }

    pub(super) fn local(&self) -> SocketAddr {
        self.local
    }

    pub(super) fn send(&self, remote: SocketAddr, bytes: &[u8]) -> io::Result<()> {
        self.socket.try_send_to(bytes, remote).map(|_| ())
    }

    /// Receives until the SIP task is gone.
    pub(super) async fn receive(self, inbound: mpsc::Sender<Inbound>) {
        let mut buffer = vec![0; MAX_DATAGRAM];
        loop {
            // Errors are those of datagrams that we have sent (ICMP): transactions find out by themselves.
            let Ok((length, remote)) = self.socket.recv_from(&mut buffer).await else {
                continue;
            };
            let bytes = &buffer[..length];
            // A keep-alive, or somebody looking for open ports.
            if bytes.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let flow = Flow {
                transport: Transport::Udp,
                local: self.local,
                remote,
                connection: None,
            };
            // While we wait, the kernel's queue fills, and then drops: nobody else is held up.
            if inbound
                .send(Inbound::Datagram {
                    flow,
                    bytes: bytes.to_vec(),
                })
                .await
                .is_err()
            {
                return;
            }
        }
    }
}

/// Marks what a socket sends as signalling, and keeps IPv6 sockets to IPv6.
pub(super) fn mark(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    // A container may forbid the marks; that is no reason not to start.
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
        let _ = socket.set_tclass_v6(DSCP_CS3);
    } else {
        let _ = socket.set_tos_v4(DSCP_CS3);
    }
    Ok(())
}
