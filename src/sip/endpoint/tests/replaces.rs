//! INVITEs that point at other calls: Replaces (RFC 3891 section 3) and Join (RFC 3911 section 4).

use super::*;
use crate::sip::msg::Uri;

/// Another call of the peer's: Call-ID `other`.
fn second(fields: &str) -> String {
    let ask = Ask::new("INVITE", "two", 1).sdp("offer").with(fields);
    ask.text()
        .replace("Call-ID: call@example.com", "Call-ID: other")
        .replace(";tag=ann", ";tag=bob")
}

fn named(header: &str, ours: &str) -> String {
    format!("{header}: call@example.com;to-tag={ours};from-tag=ann\r\n")
}

#[test]
fn rfc3891_3_an_answered_call_is_found_and_gives_way() {
    for header in ["Replaces", "Join"] {
        let mut lab = Lab::new();
        let (old, tag) = lab.up();
        lab.hear(&second(&format!("{}Require: {}\r\n", named(header, &tag), header.to_lowercase())));
        let event = lab.event();
        let Event::Invite { call, replaces, join, .. } = event else {
            panic!("a call, not {event:?}")
        };
        let expected = if header == "Replaces" {
            (Some(old), None)
        } else {
            (None, Some(old))
        };
        assert_eq!((replaces, join), expected);
        lab.endpoint.accept(lab.now, call, focus(), Body::sdp("answer")).expect("it rings");
        let supported = lab.response().headers.supported().expect("readable");
        assert!(supported.contains(&"replaces".to_owned()) && supported.contains(&"join".to_owned()));
        lab.endpoint.hang_up(lab.now, old, None).expect("it is up");
        assert_eq!(lab.request().method, Method::Bye);
        lab.endpoint.hang_up(lab.now, call, None).expect("it is up");
        lab.assert_settles();
    }
}

#[test]
fn rfc3891_3_what_cannot_be_replaced() {
    let refused = |lab: &mut Lab, fields: &str, status: u16| {
        lab.hear(&second(fields));
        let response = lab.sent().pop();
        assert!(
            matches!(response, Some(Message::Response(r)) if r.status == status),
            "{fields} {status}"
        );
        assert!(!lab.events().iter().any(|e| matches!(e, Event::Invite { .. })));
        lab.pass(Duration::from_secs(40));
        lab.sent();
    };
    let mut lab = Lab::new();
    let (call, tag) = lab.up();
    for header in ["Replaces", "Join"] {
        refused(&mut lab, &named(header, "nobody"), 481);
        refused(&mut lab, &named(header, &tag).replace("from-tag=ann", "from-tag=x"), 481);
        refused(&mut lab, &named(header, &tag).replace("call@", "x@"), 481);
        refused(&mut lab, &format!("{header}: call@example.com;to-tag={tag}\r\n"), 400);
    }
    refused(&mut lab, &named("Replaces", &tag).replace("\r\n", ";early-only\r\n"), 486);
    refused(&mut lab, &format!("{}{}", named("Replaces", &tag), named("Join", &tag)), 400);
    refused(&mut lab, &named("Replaces", &tag).repeat(2), 400);
    let options = Ask::new("OPTIONS", "options", 3).with(&named("Replaces", &tag));
    lab.hear(&options.text());
    assert_eq!(lab.response().status, 400, "only an INVITE can");
    // A call that is being hung up: whoever was put out doesn't come back that way.
    lab.endpoint.hang_up(lab.now, call, None).expect("it is up");
    lab.sent();
    lab.hear(&second(&named("Replaces", &tag)));
    assert_eq!(lab.response().status, 603);
    lab.assert_settles();
}

#[test]
fn rfc3891_3_an_early_dialog_is_replaced_by_the_side_that_called_alone() {
    // Theirs rings with us: what they would replace is not ours to give.
    let mut lab = Lab::new();
    let call = lab.ringing();
    lab.endpoint.ring(lab.now, call, 180, focus()).expect("it rings");
    let tag = tag_of(&lab.response());
    lab.hear(&second(&named("Replaces", &tag)));
    assert_eq!(lab.response().status, 481);
    lab.endpoint.reject(lab.now, call, Rejection::new(486)).expect("it rings");
    lab.assert_settles();

    // Ours rings with them: it may be.
    let mut lab = Lab::new();
    let args = InviteArgs {
        to: Uri::parse("sip:bob@192.0.2.1:5070").expect("a URI"),
        from: Uri::parse("sip:room@conf.example.com").expect("a URI"),
        name: None,
        presentation: focus(),
        offer: Body::sdp("offer"),
        credentials: None,
        via: None,
        headers: Vec::new(),
    };
    let ours = lab.endpoint.invite(lab.now, args).expect("reachable");
    let invite = lab.request();
    lab.answer(
        &invite,
        183,
        "bob",
        "Contact: <sip:bob@192.0.2.1:5070>\r\nContent-Type: application/sdp\r\n\r\nearly",
    );
    lab.events();
    let text = |name| String::from_utf8_lossy(invite.headers.first(name).expect("it is there")).into_owned();
    let tag = invite.headers.from().expect("From").tag().expect("a tag").to_owned();
    lab.hear(&second(&format!(
        "Replaces: {};to-tag={tag};from-tag=bob;early-only\r\n",
        text(Name::CallId)
    )));
    let event = lab.event();
    let Event::Invite { call, replaces, .. } = event else {
        panic!("a call, not {event:?}")
    };
    assert_eq!(replaces, Some(ours));
    lab.endpoint.accept(lab.now, call, focus(), Body::sdp("answer")).expect("it rings");
    lab.endpoint.hang_up(lab.now, ours, None).expect("it calls");
    assert_eq!(lab.brief(), ["200", "CANCEL"]);
    lab.endpoint.hang_up(lab.now, call, None).expect("it is up");
    lab.answer(&invite, 487, "bob", "");
    lab.assert_settles();
}
