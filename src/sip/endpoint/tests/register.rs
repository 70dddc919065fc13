//! Registrations of ours, and whether peers are there (RFC 3261 sections 10 and 11).

use super::*;
use crate::sip::{
    auth::{Authenticator, Credentials, Verdict, digest_keys},
    msg::Uri,
    register::{Liveness, PingArgs, RegisterArgs, Registration},
};

const REALM: &str = "telco.example";

fn args(registrar: &str) -> RegisterArgs {
    RegisterArgs {
        registrar: Uri::parse(registrar).expect("a URI"),
        user: "+49305550".to_owned(),
        credentials: Some(Credentials::new("+49305550", "hush")),
        expires: 600,
        instance: "urn:uuid:01234567-89ab-8def-8123-456789abcdef".to_owned(),
    }
}

fn registering() -> (Lab, crate::model::RegistrationId, Request) {
    let mut lab = Lab::new();
    let id = lab.endpoint.register(lab.now, args("sip:192.0.2.1:5070"));
    let request = lab.request();
    (lab, id, request)
}

fn state(lab: &mut Lab) -> Registration {
    let event = lab.event();
    let Event::Registration { state, .. } = event else {
        panic!("a registration, not {event:?}")
    };
    state
}

fn refused(status: u16, reason: &str) -> Registration {
    Registration::Refused {
        status,
        reason: reason.to_owned(),
    }
}

fn contact(expires: u32) -> String {
    format!("Contact: <sip:+49305550@198.51.100.1:5060>;expires={expires}\r\n")
}

fn header(request: &Request, name: &str) -> String {
    String::from_utf8_lossy(request.headers.first(name).unwrap_or_default()).into_owned()
}

/// Challenges from a registrar that checks what comes back.
fn challenge(server: &mut Authenticator, now: Instant, stale: bool) -> String {
    let challenges = server.challenges(now, stale);
    challenges.iter().map(|c| format!("WWW-Authenticate: {c}\r\n")).collect()
}

#[test]
fn rfc3261_10_2_a_registration_is_made_and_refreshed_with_the_nonce_that_is_known() {
    let (mut lab, _, first) = registering();
    assert_eq!(
        (
            first.uri.to_string().as_str(),
            header(&first, "To").as_str(),
            header(&first, "Expires").as_str()
        ),
        ("sip:192.0.2.1:5070", "<sip:+49305550@192.0.2.1>", "600")
    );
    assert_eq!(
        header(&first, "Contact"),
        "<sip:+49305550@198.51.100.1:5060>;+sip.instance=\"<urn:uuid:01234567-89ab-8def-8123-456789abcdef>\";reg-id=1"
    );
    let mut server = Authenticator::new(REALM, [1; 32], lab.now);
    let keys = |user: &str| (user == "+49305550").then(|| digest_keys(user, REALM, "hush"));
    let asked = challenge(&mut server, lab.now, false);
    lab.answer(&first, 401, "r", &asked);
    let signed = lab.request();
    assert!(matches!(server.verify(lab.now, &signed, keys), Verdict::Proven { .. }));
    assert!(
        header(&signed, "Authorization").contains("algorithm=SHA-256"),
        "RFC 8760 section 2.4"
    );
    lab.answer(&signed, 200, "r", &contact(120));
    let Registration::Registered { until } = state(&mut lab) else {
        panic!("registered")
    };
    assert_eq!(until, lab.now + Duration::from_secs(120), "the registrar decides");

    lab.pass(Duration::from_secs(87));
    assert!(lab.brief().is_empty());
    lab.pass(Duration::from_secs(1));
    let again = lab.request();
    assert_eq!(header(&again, "Call-ID"), header(&first, "Call-ID"), "RFC 3261 section 10.2.4");
    assert_eq!(
        again.headers.cseq().expect("CSeq").number,
        first.headers.cseq().expect("CSeq").number + 2
    );
    assert!(header(&again, "Authorization").contains("nc=00000002"));
    assert!(matches!(server.verify(lab.now, &again, keys), Verdict::Proven { .. }));
    lab.answer(
        &again,
        200,
        "r",
        &format!("{}Authentication-Info: nextnonce=\"fresh\", qop=auth\r\n", contact(120)),
    );
    assert!(matches!(state(&mut lab), Registration::Registered { .. }));
    lab.pass(Duration::from_secs(88));
    let third = header(&lab.request(), "Authorization");
    assert!(
        third.contains("nonce=\"fresh\"") && third.contains("nc=00000001"),
        "RFC 7615 section 3: {third}"
    );
}

#[test]
fn a_stale_nonce_is_replaced_and_wrong_credentials_are_not_sent_for_ever() {
    let (mut lab, _, first) = registering();
    let mut server = Authenticator::new(REALM, [1; 32], lab.now);
    let asked = challenge(&mut server, lab.now, false);
    lab.answer(&first, 401, "r", &asked);
    let signed = lab.request();
    let asked = challenge(&mut server, lab.now, true);
    lab.answer(&signed, 401, "r", &asked);
    let fresh = lab.request();
    let asked = challenge(&mut server, lab.now, false);
    lab.answer(&fresh, 401, "r", &asked);
    assert_eq!(state(&mut lab), refused(401, "Unauthorized"));
    assert!(lab.brief().is_empty());
    // A registrar that calls every nonce stale is no better.
    lab.pass(Duration::from_secs(30));
    let mut tries = 0;
    loop {
        let sent = lab.sent();
        let Some(Message::Request(request)) = sent.into_iter().next() else {
            break;
        };
        tries += 1;
        let asked = challenge(&mut server, lab.now, true);
        lab.answer(&request, 401, "r", &asked);
    }
    assert_eq!(tries, 5);
    assert_eq!(state(&mut lab), refused(401, "Unauthorized"));
}

#[test]
fn rfc3261_10_2_8_a_registrar_that_wants_longer_gets_it() {
    let (mut lab, _, first) = registering();
    lab.answer(&first, 423, "r", "Min-Expires: 3600\r\n");
    let longer = lab.request();
    assert_eq!(header(&longer, "Expires"), "3600");
    lab.answer(&longer, 200, "r", "Expires: 3600\r\n");
    let Registration::Registered { until } = state(&mut lab) else {
        panic!("registered")
    };
    assert_eq!(until, lab.now + Duration::from_secs(3600));
    // One that wants ever longer, or shorter than it was offered, is refused.
    for nonsense in ["Min-Expires: 60\r\n", "Min-Expires: 4294967295\r\n", ""] {
        let (mut lab, _, first) = registering();
        lab.answer(&first, 423, "r", nonsense);
        assert_eq!(state(&mut lab), refused(423, "Interval Too Brief"), "{nonsense}");
    }
}

#[test]
fn rfc5626_4_5_failures_are_tried_again_ever_later() {
    let (mut lab, _, first) = registering();
    lab.answer(&first, 503, "r", "Retry-After: 300\r\n");
    assert_eq!(state(&mut lab), refused(503, "Service Unavailable"));
    lab.pass(Duration::from_secs(299));
    assert!(lab.brief().is_empty(), "it asked for that");
    lab.pass(Duration::from_secs(1));
    let mut waits = Vec::new();
    for _ in 0..8 {
        assert_eq!(lab.brief()[0], "REGISTER");
        lab.pass(Duration::from_secs(32));
        assert_eq!(state(&mut lab), Registration::Unreachable("no answer"));
        lab.transmits();
        let (at, _) = lab.endpoint.poll_timeout().expect("it goes on");
        waits.push((at - lab.now).as_secs());
        lab.pass(at - lab.now);
    }
    assert!(
        (29..=60).contains(&waits[0]) && waits.last().is_some_and(|w| (900..=1800).contains(w)),
        "{waits:?}"
    );
    let request = lab.sent().into_iter().find_map(|m| match m {
        Message::Request(request) => Some(request),
        Message::Response(_) => None,
    });
    lab.answer(&request.expect("a REGISTER"), 200, "r", &contact(600));
    assert!(matches!(state(&mut lab), Registration::Registered { .. }));
}

#[test]
fn rfc3261_10_2_2_a_registration_is_taken_back() {
    let (mut lab, id, first) = registering();
    lab.answer(&first, 200, "r", &contact(600));
    lab.events();
    lab.endpoint.unregister(lab.now, id);
    let goodbye = lab.request();
    assert_eq!(header(&goodbye, "Expires"), "0");
    lab.answer(&goodbye, 200, "r", "");
    assert_eq!(state(&mut lab), Registration::Ended);
    lab.assert_settles();
    // A registrar that doesn't answer holds nobody up.
    let (mut lab, id, _) = registering();
    lab.endpoint.unregister(lab.now, id);
    lab.pass(Duration::from_millis(1500));
    assert_eq!(state(&mut lab), Registration::Ended);
    lab.assert_settles();
}

#[test]
fn rfc5626_4_2_a_lost_connection_is_noticed_and_registered_anew() {
    let mut lab = Lab::new();
    lab.endpoint.register(lab.now, args("sip:192.0.2.1:5070;transport=tcp"));
    let first = lab.request();
    lab.flow.transport = Transport::Tcp;
    lab.flow.connection = Some(ConnectionId(1));
    lab.answer(&first, 200, "r", "Expires: 600\r\n");
    lab.events();
    let flow = lab.flow;
    lab.endpoint.handle_inbound(lab.now, Inbound::FlowLost(flow));
    assert_eq!(state(&mut lab), Registration::Unreachable("the connection is gone"));
    lab.pass(Duration::from_secs(30));
    assert_eq!(lab.brief(), ["REGISTER"]);
}

#[test]
fn rfc3261_11_any_answer_is_a_sign_of_life_and_503_says_busy() {
    let mut lab = Lab::new();
    lab.endpoint.ping(
        lab.now,
        PingArgs {
            to: Uri::parse("sip:192.0.2.1:5070").expect("a URI"),
            from: Uri::parse("sip:conference@conf.example.com").expect("a URI"),
            every: Duration::from_secs(30),
        },
    );
    lab.pass(Duration::ZERO);
    for (status, expected) in [
        (200, Liveness::Alive),
        (404, Liveness::Alive),
        (401, Liveness::Alive),
        (503, Liveness::Busy),
    ] {
        let options = lab.request();
        assert_eq!(options.method, Method::Options);
        lab.answer(&options, status, "p", "");
        assert!(
            matches!(lab.event(), Event::Pinged { liveness, .. } if liveness == expected),
            "{status}"
        );
        lab.pass(Duration::from_secs(30));
    }
    lab.pass(Duration::from_secs(32));
    assert!(matches!(
        lab.event(),
        Event::Pinged {
            liveness: Liveness::Down("no answer"),
            ..
        }
    ));
    lab.transmits();
    lab.pass(Duration::from_secs(30));
    let options = lab.request();
    lab.answer(&options, 200, "p", "");
    assert!(matches!(
        lab.event(),
        Event::Pinged {
            liveness: Liveness::Alive,
            ..
        }
    ));
}
