mod slow;
mod tls;
mod ws;

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UdpSocket},
    time::timeout,
};

use super::*;
use crate::sip::{endpoint::Flow, msg::Message};

const DEADLINE: Duration = Duration::from_secs(10);

fn bound() -> (SipTransport, mpsc::Receiver<Inbound>, SocketAddr, SocketAddr) {
    let any: SocketAddr = ([127, 0, 0, 1], 0).into();
    let (transport, received) = SipTransport::bind(&[(Transport::Udp, any), (Transport::Tcp, any)], None, &[]).expect("free ports");
    let (udp, tcp) = (transport.listening()[0].1, transport.listening()[1].1);
    (transport, received, udp, tcp)
}

async fn next(received: &mut mpsc::Receiver<Inbound>) -> Inbound {
    timeout(DEADLINE, received.recv()).await.expect("in time").expect("open")
}

fn options(number: u32) -> String {
    format!(
        "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK{number}\r\nFrom: <sip:c@d>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: x\r\n\
         CSeq: {number} OPTIONS\r\nContent-Length: 4\r\n\r\nbody"
    )
}

async fn next_request(received: &mut mpsc::Receiver<Inbound>) -> (Flow, u32) {
    let Inbound::Message {
        flow,
        message: Ok(Message::Request(request)),
    } = next(received).await
    else {
        panic!("a request")
    };
    (flow, request.headers.cseq().expect("CSeq").number)
}

#[tokio::test]
async fn datagrams_go_both_ways_and_keep_alives_stay_outside() {
    let (transport, mut received, udp, _) = bound();
    let peer = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    peer.send_to(b"\r\n\r\n", udp).await.expect("sent");
    peer.send_to(b"hello", udp).await.expect("sent");
    let Inbound::Datagram { flow, bytes } = next(&mut received).await else {
        panic!("a datagram")
    };
    assert_eq!(
        (flow.local, flow.remote, &bytes[..]),
        (udp, peer.local_addr().expect("bound"), &b"hello"[..])
    );
    transport.send(Transmit {
        target: Target::Flow(flow),
        bytes: b"back".to_vec(),
    });
    let mut buffer = [0; 16];
    let (length, from) = timeout(DEADLINE, peer.recv_from(&mut buffer))
        .await
        .expect("in time")
        .expect("received");
    assert_eq!((&buffer[..length], from), (&b"back"[..], udp));
}

#[tokio::test]
async fn streams_are_cut_into_messages_and_pings_are_answered() {
    let (transport, mut received, _, tcp) = bound();
    let mut peer = TcpStream::connect(tcp).await.expect("connected");
    let bytes = format!("{}{}\r\n\r\n{}", options(1), options(2), options(3));
    let (first, rest) = bytes.as_bytes().split_at(300);
    peer.write_all(first).await.expect("written");
    assert_eq!(next_request(&mut received).await.1, 1);
    peer.write_all(rest).await.expect("written");
    assert_eq!(next_request(&mut received).await.1, 2);
    let (flow, number) = next_request(&mut received).await;
    assert_eq!(number, 3);
    let mut pong = [0; 2];
    timeout(DEADLINE, peer.read_exact(&mut pong)).await.expect("in time").expect("read");
    assert_eq!(&pong, b"\r\n");
    transport.send(Transmit {
        target: Target::Flow(flow),
        bytes: b"back".to_vec(),
    });
    let mut back = [0; 4];
    timeout(DEADLINE, peer.read_exact(&mut back)).await.expect("in time").expect("read");
    assert_eq!(&back, b"back");
    drop(peer);
    assert!(matches!(next(&mut received).await, Inbound::FlowLost(lost) if lost == flow));
}

#[tokio::test]
async fn garbage_is_reported_and_its_connection_closed() {
    let (_transport, mut received, _, tcp) = bound();
    let mut peer = TcpStream::connect(tcp).await.expect("connected");
    peer.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("written");
    assert!(matches!(next(&mut received).await, Inbound::Message { message: Err(_), .. }));
    let mut rest = Vec::new();
    timeout(DEADLINE, peer.read_to_end(&mut rest))
        .await
        .expect("closed in time")
        .expect("read");
    assert!(matches!(next(&mut received).await, Inbound::FlowLost(_)));
}

#[tokio::test]
async fn one_connection_serves_all_messages_to_an_address() {
    let (transport, mut received, _, tcp) = bound();
    let peer = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let remote = peer.local_addr().expect("bound");
    let target = Target::Connect {
        transport: Transport::Tcp,
        local: tcp,
        remote,
        name: None,
    };
    transport.send(Transmit {
        target: target.clone(),
        bytes: b"one".to_vec(),
    });
    transport.send(Transmit {
        target: target.clone(),
        bytes: b"two".to_vec(),
    });
    let (mut stream, _) = timeout(DEADLINE, peer.accept()).await.expect("in time").expect("accepted");
    let mut bytes = [0; 6];
    timeout(DEADLINE, stream.read_exact(&mut bytes))
        .await
        .expect("in time")
        .expect("read");
    assert_eq!(&bytes, b"onetwo");
    stream.write_all(options(9).as_bytes()).await.expect("written");
    let (flow, number) = next_request(&mut received).await;
    assert_eq!((flow.local, flow.remote, number), (tcp, remote, 9));
}

#[tokio::test]
async fn r42_a_refused_connection_is_reported() {
    let (transport, mut received, _, tcp) = bound();
    let closed = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let remote = closed.local_addr().expect("bound");
    drop(closed);
    let target = Target::Connect {
        transport: Transport::Tcp,
        local: tcp,
        remote,
        name: None,
    };
    transport.send(Transmit {
        target: target.clone(),
        bytes: b"one".to_vec(),
    });
    assert!(matches!(next(&mut received).await, Inbound::Unreachable(reported) if reported == target));
}

#[tokio::test]
async fn a_peer_that_does_not_read_is_cut_and_harms_nobody() {
    let (transport, mut received, _, tcp) = bound();
    let mut deaf = TcpStream::connect(tcp).await.expect("connected");
    deaf.write_all(options(1).as_bytes()).await.expect("written");
    let (deaf_flow, _) = next_request(&mut received).await;
    let mut good = TcpStream::connect(tcp).await.expect("connected");
    good.write_all(options(2).as_bytes()).await.expect("written");
    let (good_flow, _) = next_request(&mut received).await;
    // The kernel takes some megabytes before it is our queue's turn.
    for _ in 0..1_000 {
        transport.send(Transmit {
            target: Target::Flow(deaf_flow),
            bytes: vec![b'x'; 60_000],
        });
        if transport.counters().connections_cut.load(Ordering::Relaxed) > 0 {
            break;
        }
    }
    assert_eq!(transport.counters().connections_cut.load(Ordering::Relaxed), 1);
    transport.send(Transmit {
        target: Target::Flow(good_flow),
        bytes: b"back".to_vec(),
    });
    let mut back = [0; 4];
    timeout(DEADLINE, good.read_exact(&mut back)).await.expect("in time").expect("read");
    assert_eq!(&back, b"back");
    assert!(matches!(next(&mut received).await, Inbound::FlowLost(lost) if lost == deaf_flow));
}

#[tokio::test]
async fn a_flooding_connection_waits_and_others_get_their_turn() {
    let (_transport, mut received, _, tcp) = bound();
    let mut flood = TcpStream::connect(tcp).await.expect("connected");
    let flooding = tokio::spawn(async move {
        let message = options(1);
        // Ends with an error when the test does.
        while flood.write_all(message.as_bytes()).await.is_ok() {}
    });
    // Nobody reads: the queue fills up and the flood stands still.
    timeout(DEADLINE, async {
        while received.len() < INBOUND_QUEUE {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the queue fills up");
    let mut good = TcpStream::connect(tcp).await.expect("connected");
    good.write_all(options(2).as_bytes()).await.expect("written");
    let mut seen = 0;
    while next_request(&mut received).await.1 != 2 {
        seen += 1;
        assert!(seen < 20 * INBOUND_QUEUE, "starved by the flood");
    }
    flooding.abort();
}
