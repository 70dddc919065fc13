//! Connections of SIP: one task each, which reads, writes, and ends when either is over.

use std::{
    io,
    net::SocketAddr,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, TcpKeepalive, Type};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf, split},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::mpsc,
    time::{Instant, sleep, timeout},
};

use super::{
    SipSocketCounters,
    connections::{Connections, Peer, Waiting},
    tls::{self, End},
    udp::mark,
    ws,
};
use crate::sip::{
    endpoint::{Flow, Inbound, Transport},
    msg::{FramingLost, StreamDecoder, StreamItem, Why},
};

/// How long a connection may take to come about (rule R42).
const CONNECT_LIMIT: Duration = Duration::from_secs(2);
/// How long peers are borne.
pub(super) const PATIENCE: Patience = Patience {
    message: Duration::from_secs(30),
    // Longer than the longest subscription, so that its refresh still finds it.
    idle: Duration::from_secs(65 * 60),
    upgrade: Duration::from_secs(10),
    silence: Duration::from_secs(60),
};
/// How long one write may take before the peer counts as gone.
pub(super) const WRITE_LIMIT: Duration = Duration::from_secs(30);
/// How long we go on writing after a stream that can't be read on, so that the 400 gets out.
pub(super) const LINGER: Duration = Duration::from_secs(1);
/// When the kernel begins to ask a silent peer whether it lives.
const KEEPALIVE: Duration = Duration::from_secs(60);
/// How long the acceptor rests when the process is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// One read: a few messages.
pub(super) const READ: usize = 8 * 1024;
/// Connections that wait to be accepted.
const BACKLOG: i32 = 512;

/// How long peers are borne that say nothing, or nothing to the end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// Any message to come to its end; the first one to come, but by WebSocket.
    pub(super) message: Duration,
    /// From one message to the next.
    pub(super) idle: Duration,
    /// A connection to become a WebSocket, which is one round trip.
    pub(super) upgrade: Duration,
    /// From one whole WebSocket frame to the next; two pings go unanswered meanwhile.
    pub(super) silence: Duration,
}

/// Opens a listening socket.
pub(super) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    mark(&socket, address)?;
    // A restart must not wait for the last run's connections to time out.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::from(address))?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Accepts until it is aborted.
pub(super) async fn accept(listener: TcpListener, transport: Transport, local: SocketAddr, connections: Connections) {
    loop {
        match listener.accept().await {
            Ok((stream, remote)) => {
                // Without room the stream is dropped, which closes it.
                if let Some((flow, waiting)) = connections.accept(transport, local, remote) {
                    tokio::spawn(welcome(stream, flow, waiting, connections.clone()));
                }
            }
            Err(_) => sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// Serves a connection of theirs. Of one that doesn't come about nobody has to know.
async fn welcome(stream: TcpStream, flow: Flow, waiting: Waiting, connections: Connections) {
    let end = if flow.transport == Transport::Wss {
        End::Browsers
    } else {
        End::Server
    };
    if run(stream, flow, end, waiting, &connections).await.is_none()
        && let Some(id) = flow.connection
    {
        connections.close(id);
    }
}

/// Connects, then serves.
pub(super) async fn dial(flow: Flow, peer: Peer, waiting: Waiting, connections: Connections) {
    let served = match timeout(CONNECT_LIMIT, connect(flow)).await {
        Ok(Ok(stream)) => run(stream, flow, End::Client(peer.name.clone()), waiting, &connections).await,
        Ok(Err(_)) | Err(_) => None,
    };
    if served.is_none() {
        if let Some(id) = flow.connection {
            connections.close(id);
        }
        // Fails only when the SIP task is gone.
        let _ = connections.inbound.send(Inbound::Unreachable(peer.target(flow.local))).await;
    }
}

async fn connect(flow: Flow) -> io::Result<TcpStream> {
    let socket = if flow.remote.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    if !flow.local.ip().is_unspecified() {
        socket.bind(SocketAddr::new(flow.local.ip(), 0))?;
    }
    socket.connect(flow.remote).await
}

/// Protects a connection where it is to be, and serves it; none if that fails.
async fn run(stream: TcpStream, flow: Flow, end: End, mut waiting: Waiting, connections: &Connections) -> Option<()> {
    tune(&stream);
    match flow.transport {
        Transport::Tls | Transport::Wss => {
            let stream = tokio::select! {
                secured = connections.handshakes.secure(stream, flow.remote, end) => secured?,
                _ = &mut waiting.cut => return None,
            };
            let names = tls::names(&stream);
            if !names.is_empty() {
                connections.inbound.send(Inbound::Proven { flow, names }).await.ok()?;
            }
            talk(stream, flow, waiting, connections).await
        }
        Transport::Udp | Transport::Tcp | Transport::Ws => talk(stream, flow, waiting, connections).await,
    }
}

/// Serves a connection in the manner of its transport; none if it didn't come to that.
async fn talk(stream: impl AsyncRead + AsyncWrite + Unpin, flow: Flow, mut waiting: Waiting, connections: &Connections) -> Option<()> {
    match flow.transport {
        Transport::Ws | Transport::Wss => {
            let socket = tokio::select! {
                socket = ws::upgrade(stream, connections) => socket?,
                _ = &mut waiting.cut => return None,
            };
            ws::serve(socket, flow, waiting, connections).await;
        }
        Transport::Udp | Transport::Tcp | Transport::Tls => serve(stream, flow, waiting, connections).await,
    }
    Some(())
}

/// Reads and writes until either is over, and says so.
pub(super) async fn serve(stream: impl AsyncRead + AsyncWrite, flow: Flow, waiting: Waiting, connections: &Connections) {
    let (reader, mut writer) = split(stream);
    let Waiting { queue, bytes, cut } = waiting;
    let readable = tokio::select! {
        () = read(reader, flow, connections) => true,
        () = write(&mut writer, queue, &bytes) => false,
        // Resolves with an error when the table forgets us: that is the signal.
        _ = cut => false,
    };
    if readable {
        // So that a TLS peer knows that nothing was cut off (RFC 8446 section 6.1).
        let _ = timeout(LINGER, writer.shutdown()).await;
    }
    if let Some(id) = flow.connection {
        connections.close(id);
    }
    // Fails only when the SIP task is gone.
    let _ = connections.inbound.send(Inbound::FlowLost(flow)).await;
}

/// What can be refused without harm.
fn tune(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
    let socket = SockRef::from(stream);
    let _ = socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE));
    let _ = socket.set_tcp_user_timeout(Some(WRITE_LIMIT));
}

async fn read(mut reader: ReadHalf<impl AsyncRead>, flow: Flow, connections: &Connections) {
    let mut decoder = StreamDecoder::new();
    let mut buffer = vec![0; READ];
    let mut spoken = false;
    // When the message under way has to be there.
    let Patience { message: whole, idle, .. } = connections.patience;
    let mut due = Instant::now() + whole;
    loop {
        let limit = if spoken && decoder.pending() == 0 {
            idle
        } else {
            due.saturating_duration_since(Instant::now())
        };
        let length = match timeout(limit, reader.read(&mut buffer)).await {
            Ok(Ok(0)) => return,
            Ok(Err(error)) => {
                // That is what breaches of TLS come as; a connection that breaks off is nothing special.
                if error.kind() == io::ErrorKind::InvalidData {
                    SipSocketCounters::count(&connections.counters.connections_broken);
                }
                return;
            }
            Ok(Ok(length)) => length,
            Err(_) => {
                SipSocketCounters::count(&connections.counters.connections_idle);
                return;
            }
        };
        if decoder.pending() == 0 && spoken {
            due = Instant::now() + whole;
        }
        decoder.push(&buffer[..length]);
        while let Some(item) = decoder.next() {
            spoken = true;
            due = Instant::now() + whole;
            let message = match item {
                Ok(StreamItem::Message(message)) => Ok(message),
                Ok(StreamItem::Malformed(malformed)) => Err(malformed),
                Ok(StreamItem::KeepAlive) => {
                    // RFC 5626 section 4.4.1; who asks faster than they read is cut like anybody else.
                    if let Some(id) = flow.connection {
                        connections.send(id, b"\r\n".to_vec());
                    }
                    continue;
                }
                Err(FramingLost(malformed)) => {
                    if malformed.why == Why::TooLarge {
                        SipSocketCounters::count(&connections.counters.messages_too_long);
                    }
                    let _ = connections
                        .inbound
                        .send(Inbound::Message {
                            flow,
                            message: Err(malformed),
                        })
                        .await;
                    sleep(LINGER).await;
                    return;
                }
            };
            // While we wait, nothing is read: the flood stays in the peer's own send buffer.
            if connections.inbound.send(Inbound::Message { flow, message }).await.is_err() {
                return;
            }
        }
    }
}

async fn write(writer: &mut WriteHalf<impl AsyncWrite>, mut queue: mpsc::Receiver<Vec<u8>>, bytes: &AtomicUsize) {
    while let Some(message) = queue.recv().await {
        let written = async {
            writer.write_all(&message).await?;
            // TLS keeps back what the kernel doesn't take.
            writer.flush().await
        };
        match timeout(WRITE_LIMIT, written).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return,
        }
        bytes.fetch_sub(message.len(), Ordering::Relaxed);
    }
}
