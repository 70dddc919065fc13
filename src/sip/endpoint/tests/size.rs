//! Requests too long for a datagram (rule R42).

use super::*;

fn subscribed() -> (Lab, SubscriptionId) {
    let mut lab = Lab::new();
    lab.hear(&Ask::new("SUBSCRIBE", "sub", 1).with("Event: conference\r\n").text());
    let Event::Subscribe { subscription, .. } = lab.event() else {
        panic!("a subscription")
    };
    lab.endpoint.accept_subscription(lab.now, subscription, &focus()).expect("it waits");
    lab.transmits();
    (lab, subscription)
}

fn document(length: usize) -> Body {
    Body {
        content_type: "application/conference-info+xml".to_owned(),
        bytes: vec![b'x'; length],
    }
}

fn via_transport(transmit: &Transmit) -> String {
    let Ok(Message::Request(request)) = parse_datagram(&transmit.bytes) else {
        panic!("a request")
    };
    request.headers.top_via().expect("Via").transport.into_owned()
}

#[test]
fn r42_a_long_request_goes_by_tcp_with_the_via_changed() {
    let (mut lab, subscription) = subscribed();
    lab.endpoint.notify(lab.now, subscription, document(2_000)).expect("it is active");
    let sent = lab.transmits();
    let [notify] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!(
        notify.target,
        Target::Connect {
            transport: Transport::Tcp,
            local: address(LISTEN),
            remote: address(PEER),
            name: None,
        }
    );
    assert_eq!(via_transport(notify), "TCP");
    lab.pass(Duration::from_secs(5));
    assert!(lab.sent().is_empty(), "TCP sees to delivery");
    assert_eq!(lab.endpoint.counters().moved_to_tcp, 1);
}

#[test]
fn r42_a_short_request_stays_a_datagram() {
    let (mut lab, subscription) = subscribed();
    lab.endpoint.notify(lab.now, subscription, document(500)).expect("it is active");
    assert_eq!(lab.transmits()[0].target.transport(), Transport::Udp);
}

#[test]
fn r42_without_a_connection_it_comes_back_to_udp_and_that_is_remembered() {
    let (mut lab, subscription) = subscribed();
    lab.endpoint.notify(lab.now, subscription, document(2_000)).expect("it is active");
    let target = lab.transmits()[0].target.clone();
    lab.endpoint.handle_inbound(lab.now, Inbound::Unreachable(target));
    let sent = lab.transmits();
    assert_eq!(
        (sent.len(), sent[0].target.transport(), via_transport(&sent[0])),
        (1, Transport::Udp, "UDP".to_owned())
    );
    lab.pass(Duration::from_millis(500));
    let again = lab.transmits();
    assert_eq!(again[0].target.transport(), Transport::Udp, "resent as datagrams are");
    let Ok(Message::Request(notify)) = parse_datagram(&again[0].bytes) else {
        panic!("a request")
    };
    lab.answer(&notify, 200, "", "");
    assert!(matches!(
        lab.event(),
        Event::Notified {
            outcome: NotifyOutcome::Delivered,
            ..
        }
    ));
    lab.endpoint.notify(lab.now, subscription, document(2_000)).expect("it is active");
    assert_eq!(lab.transmits()[0].target.transport(), Transport::Udp, "remembered");
    assert_eq!((lab.endpoint.counters().moved_to_tcp, lab.endpoint.counters().back_to_udp), (1, 1));
}

#[test]
fn r42_what_no_datagram_holds_fails_clearly() {
    let (mut lab, subscription) = subscribed();
    lab.endpoint.notify(lab.now, subscription, document(62_000)).expect("it is active");
    let target = lab.transmits()[0].target.clone();
    lab.endpoint.handle_inbound(lab.now, Inbound::Unreachable(target));
    assert!(lab.sent().is_empty());
    assert!(matches!(
        lab.event(),
        Event::SubscriptionEnded {
            why: SubscriptionEnd::Lost,
            ..
        }
    ));
    lab.assert_settles();
}
