//! RFC 4475 at the endpoint: which message is answered with which code, and which ones reach the application.

use std::{net::SocketAddr, time::Instant};

use cusax::sip::{
    endpoint::{Endpoint, EndpointConfig, Event, Flow, Inbound, Listener, Transport},
    msg::{Message, parse_datagram},
};

use super::rfc4475::{Fate, TABLE, load};

/// The status codes that went out, and what the application heard.
fn answers(bytes: &[u8]) -> (Vec<u16>, Vec<Event>) {
    let local: SocketAddr = "192.0.2.100:5060".parse().expect("an address");
    let mut endpoint = Endpoint::new(EndpointConfig::new(vec![Listener::plain(Transport::Udp, local)]), 1);
    let remote = "192.0.2.1:5060".parse().expect("an address");
    let flow = Flow {
        transport: Transport::Udp,
        local,
        remote,
        connection: None,
    };
    endpoint.handle_inbound(
        Instant::now(),
        Inbound::Datagram {
            flow,
            bytes: bytes.to_vec(),
        },
    );
    let status = |bytes: &[u8]| -> u16 {
        let line = bytes.strip_prefix(b"SIP/2.0 ").expect("a response");
        String::from_utf8_lossy(&line[..3]).parse().expect("a status code")
    };
    let codes = std::iter::from_fn(|| endpoint.poll_transmit()).map(|t| status(&t.bytes)).collect();
    let events = std::iter::from_fn(|| endpoint.poll_event()).collect();
    (codes, events)
}

#[test]
fn s3_each_message_gets_its_code_or_reaches_the_application() {
    for case in TABLE {
        let Some(bytes) = load(case.name) else { return };
        let (codes, events) = answers(&bytes);
        match case.fate {
            Fate::Refused(code) => assert_eq!((&codes[..], events.len()), (&[code][..], 0), "{}", case.name),
            Fate::Dropped => assert!(codes.is_empty() && events.is_empty(), "{}: {codes:?} {events:?}", case.name),
            Fate::Read if matches!(parse_datagram(&bytes), Ok(Message::Response(_))) => {
                assert!(codes.is_empty() && events.is_empty(), "{}: a response to nothing", case.name);
            }
            Fate::Read if case.answers.is_empty() => assert_eq!(codes.len() + events.len(), 1, "{}: {codes:?} {events:?}", case.name),
            Fate::Read => {
                assert!(codes.iter().all(|code| case.answers.contains(code)), "{}: {codes:?}", case.name);
                assert_eq!((codes.len(), events.len()), (1, 0), "{}", case.name);
            }
        }
    }
}

#[test]
fn s3_2_1_and_3_3_11_and_3_4_1_reach_the_application() {
    for name in ["badbranch", "zeromf", "inv2543", "longreq", "transports"] {
        let Some(bytes) = load(name) else { return };
        let (codes, events) = answers(&bytes);
        assert!(codes.is_empty(), "{name}: {codes:?}");
        assert!(
            matches!(events[..], [Event::Options { .. } | Event::Invite { .. }]),
            "{name}: {events:?}"
        );
    }
}
