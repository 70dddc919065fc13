//! Callers in browsers, who have nothing but their WebSocket connection (RFC 7118).

use super::*;

const CONTACT: &str = "<sip:k3h9@df7jal23ls0d.invalid;transport=ws>";
const VIA: &str = "SIP/2.0/WSS df7jal23ls0d.invalid;";

/// What a browser sends instead of what a phone sends.
fn from_browser(ask: &Ask) -> String {
    let by_websocket = ask.text().replace("SIP/2.0/UDP 192.0.2.1:5070;", VIA);
    by_websocket.replace("<sip:ann@192.0.2.1:5070>", CONTACT)
}

fn browser() -> Lab {
    let mut lab = Lab::new().over_tls();
    lab.flow.transport = Transport::Wss;
    lab.flow.local = address(LISTEN_WSS);
    lab
}

/// A browser's call that is up: its number, our Contact, and our tag.
fn up(lab: &mut Lab) -> (CallId, String, String) {
    lab.hear(&from_browser(&Ask::invite()));
    let Event::Invite { call, flow, .. } = lab.event() else {
        panic!("a call")
    };
    assert!(flow.is_protected(), "keys may travel (rule R72)");
    lab.endpoint.accept(lab.now, call, focus(), Body::sdp("answer")).expect("it rings");
    let sent = lab.transmits();
    assert!(sent.iter().all(|t| t.target == Target::Flow(lab.flow)));
    let Some(Ok(Message::Response(ok))) = sent.last().map(|t| parse_datagram(&t.bytes)) else {
        panic!("an answer")
    };
    let (contact, tag) = (ok.headers.contact().expect("Contact").to_string(), tag_of(&ok));
    lab.hear(&from_browser(&Ask::ack().inside(&tag)));
    lab.events();
    (call, contact, tag)
}

#[test]
fn rfc7118_5_a_contact_that_is_invalid_is_reached_over_its_connection() {
    let mut lab = browser();
    let (call, contact, _) = up(&mut lab);
    assert_eq!(contact, "<sip:room@198.51.100.1:443;transport=ws>;isfocus");
    lab.endpoint.hang_up(lab.now, call, None).expect("it is up");
    let bye = lab.transmits().pop().expect("a BYE");
    assert_eq!(bye.target, Target::Flow(lab.flow));
    let Ok(Message::Request(bye)) = parse_datagram(&bye.bytes) else {
        panic!("a request")
    };
    let via = bye.headers.top_via().expect("Via");
    assert_eq!((&*via.transport, via.port), ("WSS", Some(443)));
    assert_eq!(bye.uri.to_string(), "sip:k3h9@df7jal23ls0d.invalid;transport=ws");
}

#[test]
fn rfc7118_5_without_its_connection_a_request_fails_at_once() {
    let mut lab = browser();
    let (call, ..) = up(&mut lab);
    lab.endpoint.handle_inbound(lab.now, Inbound::FlowLost(lab.flow));
    lab.endpoint.hang_up(lab.now, call, None).expect("it is up");
    assert!(lab.transmits().is_empty(), "nobody can connect to a browser");
    assert_eq!(lab.ended(), EndCause::WeHungUp);
    lab.assert_settles();
}

#[test]
fn rfc7118_5_a_request_under_way_fails_with_its_connection() {
    let mut lab = browser();
    let (call, ..) = up(&mut lab);
    lab.endpoint.probe(lab.now, call).expect("it is up");
    assert_eq!(lab.brief(), ["OPTIONS"]);
    lab.endpoint.handle_inbound(lab.now, Inbound::FlowLost(lab.flow));
    lab.pass(Duration::from_secs(64));
    assert!(lab.transmits().is_empty() && lab.events().is_empty(), "the voice may go on");
    lab.endpoint.hang_up(lab.now, call, None).expect("it is up");
    assert_eq!(lab.ended(), EndCause::WeHungUp);
    lab.assert_settles();
}

#[test]
fn rfc7118_5_a_browser_that_comes_back_by_another_connection_is_reached_over_that() {
    let mut lab = browser();
    let (call, _, tag) = up(&mut lab);
    lab.endpoint.handle_inbound(lab.now, Inbound::FlowLost(lab.flow));
    lab.flow.connection = Some(ConnectionId(2));
    lab.flow.remote = address("192.0.2.1:40001");
    lab.hear(&from_browser(&Ask::new("UPDATE", "update", 11).inside(&tag)));
    assert_eq!(lab.response().status, 200);
    lab.endpoint.hang_up(lab.now, call, None).expect("it is up");
    assert_eq!(lab.transmits().pop().expect("a BYE").target, Target::Flow(lab.flow));
}
