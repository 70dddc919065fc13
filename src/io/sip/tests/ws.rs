//! WebSocket connections, good and bad (RFC 7118, RFC 6455).

use futures_util::{SinkExt as _, StreamExt as _};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{
        Error, Message as Frame,
        client::IntoClientRequest as _,
        http::{HeaderValue, Response},
        protocol::{CloseFrame, frame::coding::CloseCode},
    },
};

use super::{tls::counted, *};

type Browser = WebSocketStream<TcpStream>;

fn bound(origins: &[&str]) -> (SipTransport, mpsc::Receiver<Inbound>, SocketAddr) {
    let any: SocketAddr = ([127, 0, 0, 1], 0).into();
    let origins: Vec<String> = origins.iter().map(|o| (*o).to_owned()).collect();
    let (transport, received) = SipTransport::bind(&[(Transport::Ws, any)], None, &origins).expect("a free port");
    let local = transport.listening()[0].1;
    (transport, received, local)
}

async fn try_connect(to: SocketAddr, headers: &[(&'static str, &'static str)]) -> Result<(Browser, Response<Option<Vec<u8>>>), Error> {
    let mut request = format!("ws://{to}/").into_client_request().expect("a request");
    for (name, value) in headers {
        request.headers_mut().insert(*name, HeaderValue::from_static(value));
    }
    let stream = TcpStream::connect(to).await.expect("connected");
    timeout(DEADLINE, client_async(request, stream)).await.expect("in time")
}

async fn connect(to: SocketAddr) -> Browser {
    let (browser, response) = try_connect(to, &[("Sec-WebSocket-Protocol", "sip")]).await.expect("a WebSocket");
    assert_eq!(response.headers()["Sec-WebSocket-Protocol"], "sip");
    browser
}

async fn say(browser: &mut Browser, frame: Frame) {
    timeout(DEADLINE, browser.send(frame)).await.expect("in time").expect("sent");
}

async fn hear(browser: &mut Browser) -> Frame {
    timeout(DEADLINE, browser.next())
        .await
        .expect("in time")
        .expect("open")
        .expect("well-formed")
}

async fn heard(received: &mut mpsc::Receiver<Inbound>) -> (Flow, Vec<u8>) {
    let inbound = next(received).await;
    let Inbound::Datagram { flow, bytes } = inbound else {
        panic!("a message, not {inbound:?}")
    };
    (flow, bytes)
}

#[tokio::test]
async fn rfc7118_4_2_messages_come_in_text_and_binary_and_in_pieces() {
    let (transport, mut received, local) = bound(&[]);
    let mut browser = connect(local).await;
    say(&mut browser, Frame::text(options(1))).await;
    let (flow, bytes) = heard(&mut received).await;
    assert_eq!((flow.transport, flow.local, bytes), (Transport::Ws, local, options(1).into_bytes()));
    assert!(flow.connection.is_some() && !flow.is_protected());
    say(&mut browser, Frame::binary([&options(2).into_bytes()[..], &[0xff]].concat())).await;
    assert_eq!(heard(&mut received).await.1.last(), Some(&0xff));
    // One message in three fragments, with a ping between them.
    let bytes = options(3).into_bytes();
    let raw = browser.get_mut();
    raw.write_all(&masked(0x01, &bytes[..20])).await.expect("written");
    raw.write_all(&masked(0x89, b"?")).await.expect("written");
    raw.write_all(&masked(0x00, &bytes[20..50])).await.expect("written");
    raw.write_all(&masked(0x80, &bytes[50..])).await.expect("written");
    assert_eq!(heard(&mut received).await.1, bytes);
    assert_eq!(hear(&mut browser).await, Frame::Pong(b"?".to_vec().into()));

    let reply = |bytes: &[u8]| Transmit {
        target: Target::Flow(flow),
        bytes: bytes.to_vec(),
    };
    transport.send(reply(b"caf\xc3\xa9"));
    assert_eq!(hear(&mut browser).await, Frame::text("caf\u{e9}"));
    transport.send(reply(b"caf\xe9"));
    assert_eq!(hear(&mut browser).await, Frame::binary(b"caf\xe9".to_vec()));
    timeout(DEADLINE, browser.close(None)).await.expect("in time").expect("closed");
    assert!(matches!(next(&mut received).await, Inbound::FlowLost(lost) if lost == flow));
}

/// A frame as a client sends it, by RFC 6455 section 5.2: up to 64 KiB, with a mask of zeros.
pub(super) fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = payload.len();
    let mut frame = vec![first];
    match u8::try_from(length) {
        Ok(short) if short < 126 => frame.push(0x80 | short),
        _ => {
            frame.push(0x80 | 126);
            frame.extend((length as u16).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

#[tokio::test]
async fn rfc7118_6_a_keep_alive_is_answered() {
    let (_transport, mut received, local) = bound(&[]);
    let mut browser = connect(local).await;
    say(&mut browser, Frame::text("\r\n\r\n")).await;
    assert_eq!(hear(&mut browser).await, Frame::text("\r\n"));
    say(&mut browser, Frame::text("\r\n")).await;
    say(&mut browser, Frame::text(options(1))).await;
    assert_eq!(heard(&mut received).await.1, options(1).into_bytes());
}

#[tokio::test]
async fn rfc7118_4_1_who_does_not_offer_sip_is_refused() {
    let (transport, _received, local) = bound(&[]);
    for (headers, count) in [(&[][..], 1), (&[("Sec-WebSocket-Protocol", "mqtt, sips")][..], 2)] {
        let refused = try_connect(local, headers).await.expect_err("refused");
        assert!(matches!(&refused, Error::Http(response) if response.status() == 400), "{refused}");
        counted(&transport.counters().upgrades_refused, count).await;
    }
    let offers = [("Sec-WebSocket-Protocol", "mqtt, sip")];
    try_connect(local, &offers).await.expect("one of them is ours");
}

#[tokio::test]
async fn a_page_that_may_not_connect_is_refused() {
    let (transport, _received, local) = bound(&["https://www.example.com"]);
    let from = |origin| [("Sec-WebSocket-Protocol", "sip"), ("Origin", origin)];
    let refused = try_connect(local, &from("https://evil.example.com")).await.expect_err("refused");
    assert!(matches!(&refused, Error::Http(response) if response.status() == 403), "{refused}");
    counted(&transport.counters().upgrades_refused, 1).await;
    try_connect(local, &from("https://www.example.com")).await.expect("listed");
    connect(local).await;
}

#[tokio::test]
async fn what_is_no_handshake_ends_and_is_counted() {
    let (transport, mut received, local) = bound(&[]);
    let endless = "GET / HTTP/1.1\r\n".to_owned() + &"X: y\r\n".repeat(20_000);
    let cases = [options(1), "GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), endless];
    for (number, bytes) in (1..).zip(cases) {
        let mut peer = TcpStream::connect(local).await.expect("connected");
        // It may be cut before all of it is written.
        let _ = peer.write_all(bytes.as_bytes()).await;
        let _the_refusal_or_a_reset = timeout(DEADLINE, peer.read_to_end(&mut Vec::new())).await.expect("closed in time");
        counted(&transport.counters().upgrades_refused, number).await;
    }
    assert!(received.try_recv().is_err(), "nobody heard of them");
}

#[tokio::test]
async fn a_breach_is_told_and_counted_and_a_long_message_never_kept() {
    let (transport, mut received, local) = bound(&[]);
    let counters = transport.counters();
    // The head alone of a frame of 2^40 bytes: it is refused before any of them.
    let huge = [&[0x82, 0x80 | 127][..], &(1_u64 << 40).to_be_bytes(), &[0; 4]].concat();
    // Two fragments of 40,000 bytes.
    let half = vec![b'x'; 40_000];
    let long = [masked(0x02, &half), masked(0x80, &half)].concat();
    let cases = [
        (huge, CloseCode::Size, &counters.messages_too_long, 1),
        (long, CloseCode::Size, &counters.messages_too_long, 2),
        (b"\x82\x04text".to_vec(), CloseCode::Protocol, &counters.connections_broken, 1),
        (masked(0x83, b"reserved"), CloseCode::Protocol, &counters.connections_broken, 2),
        (masked(0x81, b"caf\xe9"), CloseCode::Invalid, &counters.connections_broken, 3),
    ];
    for (bytes, code, counter, count) in cases {
        let mut browser = connect(local).await;
        browser.get_mut().write_all(&bytes).await.expect("written");
        let close = hear(&mut browser).await;
        assert!(
            matches!(&close, Frame::Close(Some(CloseFrame { code: told, .. })) if *told == code),
            "{close:?}"
        );
        assert!(matches!(next(&mut received).await, Inbound::FlowLost(_)));
        counted(counter, count).await;
    }
}

#[tokio::test]
async fn a_browser_that_does_not_read_is_cut() {
    let (transport, mut received, local) = bound(&[]);
    let mut deaf = connect(local).await;
    say(&mut deaf, Frame::text(options(1))).await;
    let (flow, _) = heard(&mut received).await;
    for _ in 0..1_000 {
        transport.send(Transmit {
            target: Target::Flow(flow),
            bytes: vec![b'x'; 60_000],
        });
        if transport.counters().connections_cut.load(Ordering::Relaxed) > 0 {
            break;
        }
    }
    counted(&transport.counters().connections_cut, 1).await;
    assert!(matches!(next(&mut received).await, Inbound::FlowLost(lost) if lost == flow));
}

#[tokio::test]
async fn nobody_connects_to_a_browser() {
    let (transport, mut received, local) = bound(&[]);
    let target = Target::Connect {
        transport: Transport::Ws,
        local,
        remote: local,
        name: None,
    };
    transport.send(Transmit {
        target: target.clone(),
        bytes: b"one".to_vec(),
    });
    assert!(matches!(next(&mut received).await, Inbound::Unreachable(reported) if reported == target));
}
