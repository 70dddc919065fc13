//! Peers that are slow on purpose: whatever they do, they are given up when the patience that is meant for it ends.

use tokio::{
    io::{DuplexStream, duplex},
    time::{Instant, sleep},
};

use super::{
    super::{
        connections::Connections,
        stream::{self, Patience},
        tls::Handshakes,
        ws,
    },
    ws::masked,
    *,
};

/// The patience that a test is about, in which a peer does many things; all others are longer than a test.
const SHORT: Duration = Duration::from_millis(400);
/// How often a peer does something.
const PACE: Duration = Duration::from_millis(10);
const NEVER: Duration = Duration::from_secs(3_600);
const ENDLESS: Patience = Patience {
    message: NEVER,
    idle: NEVER,
    upgrade: NEVER,
    silence: NEVER,
};

/// One connection to a server without sockets.
struct Slow {
    peer: DuplexStream,
    counters: Arc<SipSocketCounters>,
    received: mpsc::Receiver<Inbound>,
    began: Instant,
}

impl Slow {
    fn new(transport: Transport, patience: Patience) -> Self {
        let (peer, ours) = duplex(1 << 20);
        let counters = Arc::new(SipSocketCounters::default());
        let (inbound, received) = mpsc::channel(INBOUND_QUEUE);
        let handshakes = Handshakes::new(None, Arc::clone(&counters));
        let mut connections = Connections::new(inbound, handshakes, Arc::clone(&counters), &[]);
        connections.patience = patience;
        let (local, remote) = (([192, 0, 2, 1], 5060).into(), ([192, 0, 2, 9], 40_000).into());
        let (flow, waiting) = connections.accept(transport, local, remote).expect("there is room");
        tokio::spawn(async move {
            match transport {
                Transport::Udp | Transport::Tcp | Transport::Tls => stream::serve(ours, flow, waiting, &connections).await,
                Transport::Ws | Transport::Wss => {
                    if let Some(socket) = ws::upgrade(ours, &connections).await {
                        ws::serve(socket, flow, waiting, &connections).await;
                    }
                }
            }
        });
        Self {
            peer,
            counters,
            received,
            began: Instant::now(),
        }
    }

    /// After its handshake.
    async fn web_socket(patience: Patience) -> Self {
        let mut slow = Self::new(Transport::Ws, patience);
        let handshake = b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                          Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: sip\r\n\r\n";
        slow.peer.write_all(handshake).await.expect("written");
        let mut answer = [0; 12];
        slow.peer.read_exact(&mut answer).await.expect("read");
        assert_eq!(&answer, b"HTTP/1.1 101");
        slow
    }

    /// Writes one of these after another until it is cut off, which has to take as long as the patience, and is counted.
    async fn drip(
        mut self,
        pieces: impl Iterator<Item = Vec<u8>>,
        counter: impl Fn(&SipSocketCounters) -> &AtomicU64,
    ) -> mpsc::Receiver<Inbound> {
        let mut pieces = pieces.fuse();
        let mut buffer = [0; 4096];
        while self.began.elapsed() < DEADLINE {
            tokio::select! {
                biased;
                read = self.peer.read(&mut buffer) => if matches!(read, Ok(0) | Err(_)) {
                    assert!(self.began.elapsed() >= SHORT, "cut off after {:?}", self.began.elapsed());
                    assert_eq!(counter(&self.counters).load(Ordering::Relaxed), 1);
                    return self.received;
                },
                () = sleep(PACE) => if let Some(piece) = pieces.next() {
                    let _it_may_be_cut_off = self.peer.write_all(&piece).await;
                },
            }
        }
        panic!("it was borne for ever")
    }
}

fn idle(counters: &SipSocketCounters) -> &AtomicU64 {
    &counters.connections_idle
}

fn bytes_of(bytes: Vec<u8>) -> impl Iterator<Item = Vec<u8>> {
    bytes.into_iter().map(|byte| vec![byte])
}

/// Byte by byte it takes longer than any test.
fn long_request(number: u32) -> Vec<u8> {
    let call_id = format!("Call-ID: {}", "x".repeat(10_000));
    options(number).replace("Call-ID: x", &call_id).into_bytes()
}

#[tokio::test]
async fn a_message_that_comes_byte_by_byte_is_given_up() {
    let patience = Patience { message: SHORT, ..ENDLESS };
    let mut received = Slow::new(Transport::Tcp, patience).drip(bytes_of(long_request(1)), idle).await;
    assert!(
        matches!(received.recv().await, Some(Inbound::FlowLost(_))),
        "nothing was heard of it"
    );
    // Behind a good one too.
    let good_and_bad = std::iter::once(options(1).into_bytes()).chain(bytes_of(long_request(2)));
    let mut received = Slow::new(Transport::Tls, patience).drip(good_and_bad, idle).await;
    assert_eq!(next_request(&mut received).await.1, 1);
    assert!(matches!(received.recv().await, Some(Inbound::FlowLost(_))));
}

#[tokio::test]
async fn a_peer_that_never_says_anything_is_given_up() {
    let patience = Patience { message: SHORT, ..ENDLESS };
    Slow::new(Transport::Tcp, patience).drip(std::iter::empty(), idle).await;
    let patience = Patience { silence: SHORT, ..ENDLESS };
    Slow::web_socket(patience).await.drip(std::iter::empty(), idle).await;
}

#[tokio::test]
async fn a_web_socket_that_is_asked_for_byte_by_byte_never_comes_about() {
    let patience = Patience { upgrade: SHORT, ..ENDLESS };
    let request = format!("GET /{} HTTP/1.1\r\n", "x".repeat(10_000));
    let slow = Slow::new(Transport::Ws, patience);
    let mut received = slow.drip(bytes_of(request.into_bytes()), |c| &c.upgrades_late).await;
    assert!(received.try_recv().is_err());
}

#[tokio::test]
async fn a_frame_that_comes_byte_by_byte_is_given_up() {
    let patience = Patience { silence: SHORT, ..ENDLESS };
    let frame = masked(0x81, &long_request(1));
    Slow::web_socket(patience).await.drip(bytes_of(frame), idle).await;
}

#[tokio::test]
async fn a_message_of_ever_more_fragments_is_given_up_though_pings_are_answered() {
    let patience = Patience { message: SHORT, ..ENDLESS };
    let first = [masked(0x01, b"OPTIONS"), masked(0x8a, b"")].concat();
    let more = [masked(0x00, b" "), masked(0x8a, b"")].concat();
    let pieces = std::iter::once(first).chain(std::iter::repeat(more));
    Slow::web_socket(patience).await.drip(pieces, idle).await;
}

#[tokio::test]
async fn rfc7118_6_a_browser_that_answers_pings_waits_for_its_call_but_not_for_ever() {
    let patience = Patience {
        message: SHORT / 8,
        idle: SHORT,
        ..ENDLESS
    };
    let pongs = std::iter::repeat_with(|| masked(0x8a, b""));
    Slow::web_socket(patience).await.drip(pongs, idle).await;
}
