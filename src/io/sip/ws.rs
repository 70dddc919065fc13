//! WebSocket under SIP (RFC 7118): the upgrade, then one SIP message in each WebSocket message, whose frames are limited before they take memory.
//!
//! Only peers connect. Who says nothing is asked by pings whether it is still there, which also keeps the bindings of NATs and proxies between.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use futures_util::{
    SinkExt as _, StreamExt as _,
    stream::{SplitSink, SplitStream},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval, timeout},
};
use tokio_tungstenite::{
    WebSocketStream, accept_hdr_async_with_config,
    tungstenite::{
        Error, Message,
        handshake::server::{ErrorResponse, Request, Response},
        http::{
            HeaderMap, HeaderValue, StatusCode,
            header::{ORIGIN, SEC_WEBSOCKET_PROTOCOL},
        },
        protocol::{CloseFrame, WebSocketConfig, frame::coding::CloseCode},
    },
};
use tracing::debug;

use super::{
    SipSocketCounters,
    connections::{Connections, Waiting},
    stream::{LINGER, Patience, READ, WRITE_LIMIT},
};
use crate::sip::{
    endpoint::{Flow, Inbound},
    msg::MAX_MESSAGE,
};

/// The subprotocol (RFC 7118 section 4.1).
const SUBPROTOCOL: &str = "sip";
/// How often we ask by a ping: more often than NATs and proxies forget.
const PING_EVERY: Duration = Duration::from_secs(25);

/// A connection that was upgraded.
pub(super) type WebSocket<S> = WebSocketStream<Metered<S>>;

/// Lets a connection become a WebSocket, or nothing, which is counted.
pub(super) async fn upgrade<S>(stream: S, connections: &Connections) -> Option<WebSocket<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    #[expect(clippy::result_large_err, reason = "the library asks for it, once a connection")]
    let judge = |request: &Request, mut response: Response| match refusal(request.headers(), &connections.origins) {
        None => {
            let chosen = HeaderValue::from_static(SUBPROTOCOL);
            response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, chosen);
            Ok(response)
        }
        Some((status, why)) => {
            let mut refused = ErrorResponse::new(Some(format!("{why}\n")));
            *refused.status_mut() = status;
            Err(refused)
        }
    };
    let config = WebSocketConfig::default()
        .read_buffer_size(READ)
        .write_buffer_size(0)
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE));
    match timeout(
        connections.patience.upgrade,
        accept_hdr_async_with_config(Metered::new(stream), judge, Some(config)),
    )
    .await
    {
        Ok(Ok(socket)) => Some(socket),
        Ok(Err(error)) => {
            // Anybody may ask for as many as they like (rule R48).
            debug!(%error, "no WebSocket");
            SipSocketCounters::count(&connections.counters.upgrades_refused);
            None
        }
        Err(_) => {
            SipSocketCounters::count(&connections.counters.upgrades_late);
            None
        }
    }
}

/// Why a handshake is refused. Who names no origin is no browser, and could name any.
fn refusal(headers: &HeaderMap, origins: &[String]) -> Option<(StatusCode, &'static str)> {
    let offered = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|v| v.to_str().ok());
    if !offered
        .flat_map(|v| v.split(','))
        .any(|name| name.trim().eq_ignore_ascii_case(SUBPROTOCOL))
    {
        return Some((StatusCode::BAD_REQUEST, "the WebSocket subprotocol has to be sip"));
    }
    let known = |origin: &HeaderValue| origins.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(origin.as_bytes()));
    match headers.get(ORIGIN) {
        Some(origin) if !origins.is_empty() && !known(origin) => Some((StatusCode::FORBIDDEN, "this origin may not connect")),
        Some(_) | None => None,
    }
}

/// Reads and writes until either is over, and says so.
pub(super) async fn serve<S>(socket: WebSocket<S>, flow: Flow, waiting: Waiting, connections: &Connections)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let arrived = Arc::clone(&socket.get_ref().arrived);
    let (mut writer, mut reader) = socket.split();
    let Waiting { queue, bytes, cut } = waiting;
    let end = tokio::select! {
        end = read(&mut reader, flow, connections, &arrived) => Some(end),
        () = write(&mut writer, queue, &bytes) => None,
        // Resolves with an error when the table forgets us: that is the signal.
        _ = cut => None,
    };
    if let Some(code) = end {
        let farewell = async {
            let frame = code.map(|code| CloseFrame { code, reason: "".into() });
            // They may have closed it already.
            let _ = writer.send(Message::Close(frame)).await;
            let _ = writer.close().await;
        };
        let _ = timeout(LINGER, farewell).await;
    }
    if let Some(id) = flow.connection {
        connections.close(id);
    }
    // Fails only when the SIP task is gone.
    let _ = connections.inbound.send(Inbound::FlowLost(flow)).await;
}

/// Reads to the end; gives what the peer is told as the reason, if we end it.
async fn read<S>(frames: &mut SplitStream<WebSocket<S>>, flow: Flow, connections: &Connections, arrived: &AtomicUsize) -> Option<CloseCode>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    // Bytes that are no part of an unfinished message, and since when there are others.
    let mut whole = arrived.load(Ordering::Relaxed);
    let mut unfinished_since = None;
    let mut said_at = Instant::now();
    let Patience {
        message, idle, silence, ..
    } = connections.patience;
    loop {
        // Of a peer that is gone, or sends a frame byte by byte, no whole one comes.
        let bytes = match timeout(silence, frames.next()).await {
            Ok(Some(Ok(Message::Text(text)))) => text.as_bytes().to_vec(),
            Ok(Some(Ok(Message::Binary(bytes)))) => bytes.to_vec(),
            Ok(Some(Ok(Message::Ping(payload) | Message::Pong(payload)))) => {
                // Head and mask (RFC 6455 section 5.2). Pings are answered by the library.
                whole += payload.len() + 6;
                let now = Instant::now();
                if arrived.load(Ordering::Relaxed) > whole {
                    unfinished_since.get_or_insert(now);
                }
                let is_late = unfinished_since.is_some_and(|since| now > since + message);
                if is_late || now > said_at + idle {
                    SipSocketCounters::count(&connections.counters.connections_idle);
                    return Some(CloseCode::Policy);
                }
                continue;
            }
            // The library answers a close at the next read, which is the last.
            Ok(Some(Ok(Message::Close(_) | Message::Frame(_)))) => continue,
            Ok(None) => return None,
            Ok(Some(Err(error))) => return breach(&error, &connections.counters),
            Err(_) => {
                SipSocketCounters::count(&connections.counters.connections_idle);
                return Some(CloseCode::Policy);
            }
        };
        whole = arrived.load(Ordering::Relaxed);
        unfinished_since = None;
        said_at = Instant::now();
        if bytes.iter().all(u8::is_ascii_whitespace) {
            // RFC 7118 section 6, RFC 5626 section 3.5.1.
            if bytes == b"\r\n\r\n"
                && let Some(id) = flow.connection
            {
                connections.send(id, b"\r\n".to_vec());
            }
            continue;
        }
        // While we wait, nothing is read: the flood stays in the peer's own send buffer.
        if connections.inbound.send(Inbound::Datagram { flow, bytes }).await.is_err() {
            return Some(CloseCode::Away);
        }
    }
}

/// Which reason a breach of the protocol is told as (RFC 6455 section 7.4.1); a connection that breaks off is nothing special.
fn breach(error: &Error, counters: &SipSocketCounters) -> Option<CloseCode> {
    let code = match error {
        Error::Capacity(_) => {
            SipSocketCounters::count(&counters.messages_too_long);
            return Some(CloseCode::Size);
        }
        Error::Utf8(_) => CloseCode::Invalid,
        Error::Protocol(_) => CloseCode::Protocol,
        Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => CloseCode::Abnormal,
        Error::ConnectionClosed
        | Error::AlreadyClosed
        | Error::Io(_)
        | Error::Tls(_)
        | Error::WriteBufferFull(_)
        | Error::AttackAttempt
        | Error::Url(_)
        | Error::Http(_)
        | Error::HttpFormat(_) => return None,
    };
    SipSocketCounters::count(&counters.connections_broken);
    (code != CloseCode::Abnormal).then_some(code)
}

async fn write<S>(frames: &mut SplitSink<WebSocket<S>, Message>, mut queue: mpsc::Receiver<Vec<u8>>, bytes: &AtomicUsize)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut pings = interval(PING_EVERY);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pings.reset();
    loop {
        let (frame, length) = tokio::select! {
            message = queue.recv() => {
                let Some(message) = message else { return };
                let length = message.len();
                (frame(message), length)
            }
            _ = pings.tick() => (Message::Ping(Vec::new().into()), 0),
        };
        match timeout(WRITE_LIMIT, frames.send(frame)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return,
        }
        bytes.fetch_sub(length, Ordering::Relaxed);
    }
}

/// As text where it is some: that is what scripts in browsers like best (RFC 7118 section 4.2).
fn frame(message: Vec<u8>) -> Message {
    match String::from_utf8(message) {
        Ok(text) => Message::Text(text.into()),
        Err(error) => Message::Binary(error.into_bytes().into()),
    }
}

/// Counts what is read.
#[derive(Debug)]
pub(super) struct Metered<S> {
    stream: S,
    arrived: Arc<AtomicUsize>,
}

impl<S> Metered<S> {
    fn new(stream: S) -> Self {
        Self {
            stream,
            arrived: Arc::default(),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        self.arrived.fetch_add(buffer.filled().len() - before, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
