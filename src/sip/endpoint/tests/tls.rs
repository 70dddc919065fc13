//! TLS beside the other transports, and `sips` (RFC 3261 sections 8.1.1.8, 12.1.1 and 26.2; RFC 5630).

use super::*;
use crate::sip::msg::Uri;

const SECURE: &str = "sips:room@conf.example.com";
const CONTACT: &str = "Contact: <sips:ann@192.0.2.1:5071>\r\n";

fn contact_of(headers: &crate::sip::msg::Headers) -> String {
    headers.contact().expect("Contact").to_string()
}

/// Accepts the call that has just come; the 200's Contact and our tag.
fn accepted(lab: &mut Lab) -> (CallId, String, String) {
    let event = lab.event();
    let Event::Invite { call, flow, .. } = event else {
        panic!("a call, not {event:?}")
    };
    assert!(flow.is_protected());
    lab.endpoint.accept(lab.now, call, focus(), Body::sdp("answer")).expect("it rings");
    let ok = lab.response();
    (call, contact_of(&ok.headers), tag_of(&ok))
}

#[test]
fn a_contact_names_the_transport_and_requests_take_the_same_connection() {
    let mut lab = Lab::new().over_tls();
    lab.hear(&Ask::invite().text().replace("SIP/2.0/UDP", "SIP/2.0/TLS"));
    let (call, contact, tag) = accepted(&mut lab);
    assert_eq!(contact, "<sip:room@198.51.100.1:5061;transport=tls>;isfocus");
    lab.hear(&Ask::ack().inside(&tag).text());
    lab.events();
    lab.endpoint.hang_up(lab.now, call, None).expect("it is up");
    let bye = lab.transmits().pop().expect("a BYE");
    assert_eq!(bye.target, Target::Flow(lab.flow));
    let Ok(Message::Request(bye)) = parse_datagram(&bye.bytes) else {
        panic!("a request")
    };
    let via = bye.headers.top_via().expect("Via");
    assert_eq!((&*via.transport, via.port), ("TLS", Some(5061)));
}

#[test]
fn a_sips_request_is_served_over_tls_and_answered_with_a_sips_contact() {
    for ask in [
        Ask::invite().to(SECURE),
        Ask::invite().only(CONTACT).with("Content-Type: application/sdp\r\n"),
        Ask::invite().with("Record-Route: <sips:192.0.2.7;lr>\r\n"),
    ] {
        let mut lab = Lab::new().over_tls();
        lab.hear(&ask.text());
        let (_, contact, _) = accepted(&mut lab);
        assert_eq!(contact, "<sips:room@198.51.100.1:5061>;isfocus", "{}", ask.text());
    }
}

#[test]
fn a_notify_goes_over_the_connection_of_its_subscription() {
    let mut lab = Lab::new().over_tls();
    lab.hear(
        &Ask::new("SUBSCRIBE", "sub", 1)
            .to(SECURE)
            .only(CONTACT)
            .with("Event: conference\r\n")
            .text(),
    );
    let Event::Subscribe { subscription, .. } = lab.event() else {
        panic!("a subscription")
    };
    lab.endpoint.accept_subscription(lab.now, subscription, &focus()).expect("it waits");
    lab.transmits();
    let document = Body {
        content_type: "application/conference-info+xml".to_owned(),
        bytes: vec![b'x'; 2_000],
    };
    lab.endpoint.notify(lab.now, subscription, document).expect("it is active");
    let notify = lab.transmits().pop().expect("a NOTIFY");
    assert_eq!(notify.target, Target::Flow(lab.flow));
    let Ok(Message::Request(notify)) = parse_datagram(&notify.bytes) else {
        panic!("a request")
    };
    assert_eq!(contact_of(&notify.headers), "<sips:room@198.51.100.1:5061>;isfocus");
    assert_eq!(notify.uri.to_string(), "sips:ann@192.0.2.1:5071");
}

#[test]
fn sips_over_an_open_hop_is_refused() {
    for mut lab in [Lab::new(), Lab::new().over_tcp()] {
        lab.hear(&Ask::invite().to(SECURE).text());
        assert_eq!(lab.response().status, 416);
        assert!(lab.events().is_empty());
    }
}

/// A call over TLS that has just lost its connection.
fn cut_off(contact: &str) -> (Lab, CallId, String) {
    let mut lab = Lab::new().over_tls();
    lab.hear(&Ask::invite().only(contact).with("Content-Type: application/sdp\r\n").text());
    let (call, _, tag) = accepted(&mut lab);
    lab.hear(&Ask::ack().inside(&tag).text());
    lab.events();
    lab.endpoint.handle_inbound(lab.now, Inbound::FlowLost(lab.flow));
    (lab, call, tag)
}

#[test]
fn what_was_said_over_tls_is_never_gone_on_with_in_the_open() {
    for contact in [CONTACT, "Contact: <sip:ann@192.0.2.1:5071;transport=tls>\r\n"] {
        let (mut lab, call, _) = cut_off(contact);
        lab.endpoint.hang_up(lab.now, call, None).expect("it is up");
        let target = lab.transmits().pop().expect("a BYE").target;
        assert_eq!((target.transport(), target.remote()), (Transport::Tls, address("192.0.2.1:5071")));
    }
    let (mut lab, call, _) = cut_off("Contact: <sip:ann@192.0.2.1:5070>\r\n");
    lab.endpoint.hang_up(lab.now, call, None).expect("it is up");
    assert!(lab.transmits().is_empty(), "no BYE by UDP");
    assert_eq!(lab.ended(), EndCause::WeHungUp);
}

#[test]
fn a_phone_that_comes_back_by_another_connection_is_reached_over_that() {
    let (mut lab, call, tag) = cut_off("Contact: <sip:ann@192.0.2.1:5070>\r\n");
    lab.flow.connection = Some(ConnectionId(2));
    lab.flow.remote = address("192.0.2.9:40000");
    lab.hear(&Ask::new("UPDATE", "update", 11).inside(&tag).text());
    assert_eq!(lab.response().status, 200);
    lab.endpoint.hang_up(lab.now, call, None).expect("it is up");
    let bye = lab.transmits().pop().expect("a BYE");
    assert_eq!(bye.target, Target::Flow(lab.flow));
}

#[test]
fn a_call_of_ours_to_a_sips_address_says_sips_of_itself() {
    let mut lab = Lab::new();
    let args = |to: &str| InviteArgs {
        to: Uri::parse(to).expect("a URI"),
        from: Uri::parse("sip:bot@conf.example.com").expect("a URI"),
        name: None,
        presentation: Presentation::default(),
        offer: Body::sdp("offer"),
        credentials: None,
        via: None,
        headers: Vec::new(),
    };
    for (to, contact) in [
        ("sips:bob@192.0.2.1", "<sips:198.51.100.1:5061>"),
        ("sip:bob@192.0.2.1;transport=tls", "<sip:198.51.100.1:5061;transport=tls>"),
    ] {
        lab.endpoint.invite(lab.now, args(to)).expect("reachable");
        let invite = lab.transmits().pop().expect("an INVITE");
        assert_eq!(
            (invite.target.transport(), invite.target.remote()),
            (Transport::Tls, address("192.0.2.1:5061"))
        );
        let Ok(Message::Request(invite)) = parse_datagram(&invite.bytes) else {
            panic!("a request")
        };
        assert_eq!(invite.headers.top_via().expect("Via").transport, "TLS");
        assert_eq!(contact_of(&invite.headers), contact);
    }
}
