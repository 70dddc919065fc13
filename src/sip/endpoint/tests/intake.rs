//! What requests have to pass, and the code if they don't (rule R40).

use super::*;

fn status(ask: &Ask) -> u16 {
    let mut lab = Lab::new();
    lab.hear(&ask.text());
    let response = lab.response();
    assert!(lab.events().is_empty(), "the application hears nothing of it");
    lab.assert_settles();
    response.status
}

#[test]
fn r40_methods() {
    for (method, code) in [("FOO", 501), ("REGISTER", 405), ("MESSAGE", 405), ("PUBLISH", 405)] {
        let mut lab = Lab::new();
        lab.hear(&Ask::new(method, "one", 1).text());
        let response = lab.response();
        assert_eq!(response.status, code, "{method}");
        assert!(response.headers.allow().expect("Allow").contains(&Method::Invite), "{method}");
    }
    let mut config = config();
    config.packages.clear();
    let mut lab = Lab::with(config);
    lab.hear(&Ask::new("SUBSCRIBE", "one", 1).with("Event: conference\r\n").text());
    assert_eq!(lab.response().status, 405, "without packages nobody can subscribe");
}

#[test]
fn r40_what_a_request_asks_for() {
    let table = [
        (Ask::invite().to("tel:+123"), 416),
        (Ask::invite().to("sips:room@conf.example.com"), 416),
        (Ask::invite().with("Require: precondition\r\n"), 420),
        (Ask::new("INVITE", "one", 1).with("Content-Type: text/plain\r\n").body("x"), 415),
        (Ask::invite().with("Content-Encoding: gzip\r\n"), 415),
        (Ask::invite().with("Accept: text/plain\r\n"), 406),
        (Ask::invite().only("Content-Type: application/sdp\r\n"), 400),
        (Ask::invite().with("Require: ;\r\n"), 400),
        (Ask::new("BYE", "one", 1), 481),
        (Ask::new("UPDATE", "one", 1), 481),
        (Ask::new("INFO", "one", 1), 481),
        (Ask::new("NOTIFY", "one", 1), 481),
        (Ask::new("PRACK", "one", 1), 481),
        (Ask::new("REFER", "one", 1), 400),
        (Ask::new("BYE", "one", 1).inside("nobody"), 481),
        (Ask::invite().inside("nobody"), 481),
        (Ask::new("CANCEL", "one", 1), 481),
    ];
    for (ask, code) in table {
        assert_eq!(status(&ask), code, "{}", ask.text());
    }
}

impl Ask {
    fn body(mut self, body: &str) -> Self {
        body.clone_into(&mut self.body);
        self
    }
}

#[test]
fn r40_refusals_name_what_they_mean() {
    let header = |ask: Ask, name: Name| {
        let mut lab = Lab::new();
        lab.hear(&ask.text());
        lab.response().headers.first(name).map(|v| String::from_utf8_lossy(v).into_owned())
    };
    assert_eq!(
        header(Ask::invite().with("Require: timer, foo, bar\r\n"), Name::Unsupported).as_deref(),
        Some("foo, bar")
    );
    assert_eq!(
        header(
            Ask::new("INVITE", "one", 1).with("Content-Type: text/plain\r\n").body("x"),
            Name::Accept
        )
        .as_deref(),
        Some("application/sdp")
    );
    assert!(header(Ask::invite().with("Accept: text/plain\r\n"), Name::Warning).is_some());
}

#[test]
fn max_forwards_of_zero_is_no_matter_at_the_end_of_the_way() {
    let mut lab = Lab::new();
    lab.hear(&Ask::new("OPTIONS", "one", 1).text().replace("Max-Forwards: 70", "Max-Forwards: 0"));
    assert!(matches!(lab.event(), Event::Options { .. }));
}

#[test]
fn r40_malformed_requests_get_400_if_they_say_where_to() {
    let mut lab = Lab::new();
    lab.hear(&Ask::invite().text().replace("CSeq: 10 INVITE\r\n", ""));
    let answer = String::from_utf8(lab.transmits().pop().expect("an answer").bytes).expect("text");
    assert!(answer.starts_with("SIP/2.0 400 Bad Request: no CSeq header"), "{answer}");
    lab.hear(&Ask::invite().text().replace("SIP/2.0\r\nVia", "SIP/3.0\r\nVia"));
    assert_eq!(lab.response().status, 505);
    lab.hear("hello");
    lab.hear(&Ask::ack().text().replace("Call-ID: call@example.com\r\n", ""));
    assert!(lab.sent().is_empty());
    let counters = *lab.endpoint.counters();
    assert_eq!((counters.malformed_answered, counters.malformed_dropped), (2, 2));
    assert_eq!(lab.endpoint.population().servers, 0, "nothing is kept of it");
}

#[test]
fn r40_merged_requests_get_482() {
    let mut lab = Lab::new();
    lab.ringing();
    lab.hear(
        &Ask {
            branch: "other".to_owned(),
            ..Ask::invite()
        }
        .text(),
    );
    assert_eq!(lab.response().status, 482);
    assert!(lab.events().is_empty());
    assert_eq!(lab.endpoint.counters().merged, 1);
    // A new attempt is no merged request.
    lab.hear(
        &Ask {
            branch: "third".to_owned(),
            cseq: 11,
            ..Ask::invite()
        }
        .text(),
    );
    assert!(matches!(lab.event(), Event::Invite { .. }));
}

#[test]
fn unmatched_responses_and_acks_are_dropped_and_counted() {
    let mut lab = Lab::new();
    lab.hear("SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKx\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\nCall-ID: x\r\nCSeq: 1 BYE\r\n\r\n");
    lab.hear(&Ask::ack().inside("nobody").text());
    assert!(lab.sent().is_empty() && lab.events().is_empty());
    assert_eq!(
        (lab.endpoint.counters().stray_responses, lab.endpoint.counters().stray_acks),
        (1, 1)
    );
}

#[test]
fn m1_options_outside_of_a_dialog_are_the_applications() {
    let mut lab = Lab::new();
    let ask = Ask::new("OPTIONS", "one", 1);
    lab.hear(&ask.text());
    let Event::Options { options, request, .. } = lab.event() else {
        panic!("OPTIONS")
    };
    assert_eq!(request.uri.to_string(), "sip:room@conf.example.com");
    let presentation = Presentation {
        user: Some("room".to_owned()),
        focus: true,
    };
    lab.endpoint
        .answer_options(lab.now, options, OptionsAnswer::Capabilities(presentation))
        .expect("it waits");
    let response = lab.response();
    assert_eq!(response.status, 200);
    assert!(response.headers.contact().expect("Contact").params.has("isfocus"));
    assert_eq!(response.headers.allow_events().expect("Allow-Events"), ["conference"]);
    assert!(response.headers.accept().expect("Accept").is_some());
    lab.hear(&ask.text());
    assert_eq!(lab.response().status, 200, "a retransmission gets the same");
    assert_eq!(
        lab.endpoint
            .answer_options(lab.now, options, OptionsAnswer::Rejected(Rejection::new(404))),
        Err(CommandError::Gone)
    );
    lab.assert_settles();
}

#[test]
fn responses_go_where_the_request_came_from() {
    let mut lab = Lab::new();
    lab.flow = udp_from("203.0.113.9:40000");
    lab.hear(&Ask::new("REGISTER", "one", 1).text());
    let transmit = lab.transmits().pop().expect("a response");
    assert_eq!(transmit.target, Target::Flow(lab.flow), "by rport");
    let Ok(Message::Response(response)) = parse_datagram(&transmit.bytes) else {
        panic!("a response")
    };
    let via = response.headers.top_via().expect("Via");
    assert_eq!((via.received(), via.rport()), (Some(lab.flow.remote.ip()), Some(40000)));
}

#[test]
fn a_lost_connection_is_answered_over_a_new_one() {
    let mut lab = Lab::new().over_tcp();
    let call = lab.ringing();
    lab.endpoint.handle_inbound(lab.now, Inbound::FlowLost(lab.flow));
    lab.endpoint.reject(lab.now, call, Rejection::new(486)).expect("it rings");
    let target = lab.transmits().pop().expect("a response").target;
    assert_eq!(
        target,
        Target::Connect {
            transport: Transport::Tcp,
            local: lab.flow.local,
            remote: address("192.0.2.1:5070"),
            name: None,
        }
    );
}

#[test]
fn rfc2543_requests_are_served() {
    let mut lab = Lab::new();
    let old = |method: &str, to_tag: &str| {
        format!(
            "{method} sip:room@conf.example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5070\r\nFrom: <sip:ann@example.com>\r\n\
             To: <sip:room@conf.example.com>{to_tag}\r\nCall-ID: old\r\nCSeq: 1 {method}\r\nContact: <sip:ann@192.0.2.1:5070>\r\n\r\n"
        )
    };
    lab.hear(&old("INVITE", ""));
    let Event::Invite { call, offer: None, .. } = lab.event() else {
        panic!("a call without an offer")
    };
    lab.hear(&old("INVITE", ""));
    assert!(lab.events().is_empty(), "a retransmission");
    lab.endpoint.reject(lab.now, call, Rejection::new(404)).expect("it rings");
    let tag = tag_of(&lab.response());
    lab.events();
    lab.hear(&old("ACK", &format!(";tag={tag}")));
    assert_eq!(lab.endpoint.counters().stray_acks, 0);
    lab.pass(Duration::from_secs(6));
    assert!(lab.sent().is_empty(), "the ACK was understood");
    lab.assert_settles();
}

#[test]
fn r48_a_scanner_is_answered_for_a_while_and_then_no_more() {
    let mut lab = Lab::new();
    let mut answered = 0;
    for n in 0..1_000 {
        lab.hear(
            &Ask {
                branch: n.to_string(),
                cseq: n,
                ..Ask::new("REGISTER", "", 0)
            }
            .text(),
        );
        answered += lab.sent().len();
    }
    assert_eq!(answered, 201);
    assert_eq!(lab.endpoint.counters().throttled, 799);
    lab.flow = udp_from("203.0.113.9:5060");
    lab.hear(&Ask::new("REGISTER", "elsewhere", 1).text());
    assert_eq!(lab.brief(), ["405"], "others are served");
}
