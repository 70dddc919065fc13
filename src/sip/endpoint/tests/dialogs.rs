//! Requests inside a dialog, both ways.

use super::*;

#[test]
fn r40_an_old_cseq_gets_500_and_a_gap_is_fine() {
    let mut lab = Lab::new();
    let (_, tag) = lab.up();
    lab.hear(&Ask::new("OPTIONS", "a", 20).inside(&tag).text());
    assert_eq!(lab.response().status, 200);
    lab.hear(&Ask::new("INFO", "b", 15).inside(&tag).text());
    assert_eq!(lab.response().status, 500);
    assert!(lab.events().is_empty());
}

#[test]
fn m1_options_inside_a_call_say_what_we_are() {
    let mut lab = Lab::new();
    let (_, tag) = lab.up();
    lab.hear(&Ask::new("OPTIONS", "a", 11).inside(&tag).text());
    let response = lab.response();
    assert_eq!(response.status, 200);
    assert!(response.headers.contact().expect("Contact").params.has("isfocus"));
    assert!(response.headers.has(Name::Allow));
}

#[test]
fn info_is_answered_and_passed_up() {
    let mut lab = Lab::new();
    let (_, tag) = lab.up();
    let ask = Ask::new("INFO", "a", 11)
        .inside(&tag)
        .with("Content-Type: application/dtmf-relay\r\n");
    let text = ask.text().replace("Content-Length: 0\r\n\r\n", "Content-Length: 8\r\n\r\nSignal=1");
    lab.hear(&text);
    assert_eq!(lab.response().status, 200);
    let Event::Info { body, .. } = lab.event() else { panic!("INFO") };
    assert_eq!(
        body,
        Some(Body {
            content_type: "application/dtmf-relay".to_owned(),
            bytes: b"Signal=1".to_vec()
        })
    );
}

#[test]
fn the_dialog_is_found_by_all_of_its_tags() {
    let mut lab = Lab::new();
    let (_, tag) = lab.up();
    let bye = Ask::new("BYE", "bye", 11).inside(&tag).text();
    for wrong in [bye.replace("tag=ann", "tag=eve"), bye.replace("call@", "other@")] {
        lab.hear(&wrong.replace("z9hG4bKbye", &format!("z9hG4bKwrong{}", wrong.len())));
        assert_eq!(lab.response().status, 481);
    }
    lab.hear(&bye);
    assert_eq!(lab.response().status, 200);
}

#[test]
fn the_route_set_is_followed() {
    let mut lab = Lab::new();
    lab.flow = udp_from("203.0.113.1:5060");
    lab.hear(
        &Ask::invite()
            .with("Record-Route: <sip:203.0.113.1;lr>, <sip:203.0.113.2:5080;lr>\r\n")
            .text(),
    );
    let Event::Invite { call, .. } = lab.event() else {
        panic!("a call")
    };
    lab.endpoint.accept(lab.now, call, focus(), Body::sdp("answer")).expect("it rings");
    let ok = lab.response();
    assert_eq!(ok.headers.record_route().expect("readable").len(), 2, "copied into the response");
    lab.hear(&Ask::ack().inside(&tag_of(&ok)).text());
    lab.endpoint.hang_up(lab.now, call, None).expect("it is up");
    let transmit = lab.transmits().pop().expect("a BYE");
    assert_eq!(transmit.target.remote(), address("203.0.113.1:5060"));
    let Ok(Message::Request(bye)) = parse_datagram(&transmit.bytes) else {
        panic!("a request")
    };
    assert_eq!(bye.uri.to_string(), "sip:ann@192.0.2.1:5070");
    assert_eq!(bye.headers.route().expect("Route").len(), 2);
}

#[test]
fn a_peer_behind_a_nat_is_reached_where_it_sends_from() {
    let mut lab = Lab::new();
    lab.flow = udp_from("203.0.113.9:40000");
    let (call, _) = lab.up();
    lab.endpoint.hang_up(lab.now, call, None).expect("it is up");
    assert_eq!(lab.transmits().pop().expect("a BYE").target.remote(), address("203.0.113.9:40000"));
}

#[test]
fn a_peer_on_a_connection_is_reached_over_it_and_else_by_its_contact() {
    let mut lab = Lab::new().over_tcp();
    lab.flow.remote.set_port(50_000);
    let (call, _) = lab.up();
    lab.endpoint.probe(lab.now, call).expect("it is up");
    assert_eq!(lab.transmits().pop().expect("OPTIONS").target, Target::Flow(lab.flow));
    lab.endpoint.handle_inbound(lab.now, Inbound::FlowLost(lab.flow));
    lab.endpoint.hang_up(lab.now, call, None).expect("it is up");
    assert_eq!(lab.transmits().pop().expect("a BYE").target.remote(), address("192.0.2.1:5070"));
}

#[test]
fn r44_a_probe_finds_out_who_is_gone() {
    for (status, gone) in [(200, false), (405, false), (481, true), (408, true)] {
        let mut lab = Lab::new();
        let (call, _) = lab.up();
        lab.endpoint.probe(lab.now, call).expect("it is up");
        let options = lab.request();
        assert_eq!(options.method, Method::Options);
        lab.answer(&options, status, "", "");
        let ended = lab.events().iter().any(|e| matches!(e, Event::Ended { cause: EndCause::Lost, .. }));
        assert_eq!(ended, gone, "{status}");
    }
    let mut lab = Lab::new();
    let (call, _) = lab.up();
    lab.endpoint.probe(lab.now, call).expect("it is up");
    lab.pass(Duration::from_secs(33));
    assert_eq!(lab.ended(), EndCause::Lost);
    lab.assert_settles();
}
