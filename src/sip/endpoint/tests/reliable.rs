//! Reliable provisional responses, both ways (RFC 3262), what is heard before the answer, and forks (RFC 3261 section 13.2.2.4, RFC 6228).

use super::*;
use crate::sip::msg::Uri;

/// A call of the peer's that rings.
fn ringing(invite: &Ask) -> (Lab, CallId) {
    let mut lab = Lab::new();
    lab.hear(&invite.text());
    let event = lab.event();
    let Event::Invite { call, .. } = event else {
        panic!("a call, not {event:?}")
    };
    (lab, call)
}

fn supported() -> Ask {
    Ask::invite().with("Supported: 100rel\r\n")
}

fn late_offer() -> Ask {
    Ask::new("INVITE", "one", 10).with("Supported: 100rel\r\n")
}

fn early(lab: &mut Lab, call: CallId, status: u16) -> Response {
    lab.endpoint
        .ring_with(lab.now, call, status, focus(), Body::sdp("early"))
        .expect("it rings");
    lab.response()
}

fn rseq(response: &Response) -> u32 {
    assert!(response.headers.require().expect("readable").contains(&"100rel".to_owned()));
    response.headers.rseq().expect("readable").expect("RSeq")
}

fn prack(to: &Response, cseq: u32) -> Ask {
    Ask::new("PRACK", &format!("prack{cseq}"), cseq)
        .inside(&tag_of(to))
        .with(&format!("RAck: {} 10 INVITE\r\n", rseq(to)))
}

#[test]
fn rfc3262_3_a_description_goes_reliably_and_the_200_waits_for_its_prack() {
    let (mut lab, call) = ringing(&supported());
    let progress = early(&mut lab, call, 183);
    assert_eq!((progress.status, &*progress.body), (183, &b"early"[..]));
    lab.endpoint.accept(lab.now, call, focus(), Body::sdp("early")).expect("it rings");
    assert!(lab.sent().is_empty(), "not yet");
    lab.hear(&prack(&progress, 11).text());
    let sent = lab.sent();
    let [Message::Response(of_prack), Message::Response(ok)] = sent.as_slice() else {
        panic!("two responses, not {sent:?}")
    };
    assert_eq!(of_prack.headers.cseq().expect("CSeq").method, Method::Prack);
    assert_eq!(
        (of_prack.status, ok.status, ok.body.len()),
        (200, 200, 0),
        "RFC 3262 section 5: all is said"
    );
    assert!(ok.headers.supported().expect("readable").contains(&"100rel".to_owned()));
    lab.hear(&Ask::ack().inside(&tag_of(ok)).text());
    assert!(matches!(lab.event(), Event::Confirmed { answer: None, .. }));
    lab.hear(&prack(&progress, 12).text());
    assert_eq!(lab.response().status, 481, "it is acknowledged already");
    lab.hear(&Ask::new("BYE", "bye", 13).inside(&tag_of(ok)).text());
    lab.sent();
    lab.events();
    lab.assert_settles();
}

#[test]
fn rfc3262_3_without_a_prack_it_is_sent_again_and_then_given_up() {
    let (mut lab, call) = ringing(&supported());
    let progress = early(&mut lab, call, 183);
    let start = lab.now;
    let mut times = Vec::new();
    while lab.now < start + Duration::from_secs(31) {
        lab.pass(Duration::from_millis(100));
        let again = lab.sent();
        assert!(again.iter().all(|m| *m == Message::Response(progress.clone())));
        times.extend(again.iter().map(|_| (lab.now - start).as_millis()));
    }
    assert_eq!(times, [500, 1500, 3500, 7500, 15500], "it doubles without a ceiling");
    lab.pass(Duration::from_secs(1));
    let sent = lab.brief();
    assert_eq!(sent, ["183", "504"]);
    assert_eq!(lab.ended(), EndCause::NoAck);
    lab.assert_settles();
}

#[test]
fn rfc3262_3_one_at_a_time_and_numbered() {
    let (mut lab, call) = ringing(&Ask::invite().with("Require: 100rel\r\n"));
    lab.endpoint.ring(lab.now, call, 180, focus()).expect("it rings");
    let first = lab.response();
    lab.endpoint.ring(lab.now, call, 181, focus()).expect("it rings");
    lab.endpoint.ring(lab.now, call, 182, focus()).expect("it rings");
    assert!(lab.sent().is_empty());
    let wrong = [
        prack(&first, 11).text().replace(" 10 INVITE", " 9 INVITE"),
        prack(&first, 12).text().replace(" 10 INVITE", " 10 OPTIONS"),
        prack(&first, 13).text().replace(&format!("RAck: {}", rseq(&first)), "RAck: 1"),
    ];
    for text in wrong {
        lab.hear(&text);
        assert_eq!(lab.response().status, 481, "{text}");
    }
    lab.hear(&Ask::new("PRACK", "bare", 14).inside(&tag_of(&first)).text());
    assert_eq!(lab.response().status, 400);
    lab.hear(&prack(&first, 15).text());
    let sent = lab.sent();
    let [Message::Response(of_prack), Message::Response(second)] = sent.as_slice() else {
        panic!("two responses, not {sent:?}")
    };
    assert_eq!(
        (of_prack.status, second.status, rseq(second)),
        (200, 182, rseq(&first) + 1),
        "the last of them"
    );
    // Nothing is described: the 200 needn't wait, and the PRACK may come behind it.
    lab.endpoint.accept(lab.now, call, focus(), Body::sdp("answer")).expect("it rings");
    let ok = lab.response();
    assert_eq!(ok.body, b"answer");
    lab.hear(&prack(second, 16).text());
    assert_eq!(lab.response().status, 200);
    lab.hear(&Ask::ack().inside(&tag_of(&ok)).text());
    lab.events();
    lab.assert_settles();
}

#[test]
fn rfc3262_5_a_late_offer_is_answered_in_the_prack() {
    let (mut lab, call) = ringing(&late_offer());
    let progress = early(&mut lab, call, 183);
    lab.hear(&Ask::new("UPDATE", "update", 11).inside(&tag_of(&progress)).sdp("mine").text());
    assert_eq!(lab.response().status, 491, "our offer is open");
    lab.hear(&prack(&progress, 12).sdp("their answer").text());
    assert_eq!(lab.response().status, 200);
    let event = lab.event();
    let Event::EarlyAnswer { answer, .. } = event else {
        panic!("an answer, not {event:?}")
    };
    assert_eq!(answer, Body::sdp("their answer"));
    lab.endpoint.accept(lab.now, call, focus(), Body::sdp("early")).expect("it rings");
    assert!(lab.response().body.is_empty());
    lab.hear(&Ask::ack().inside(&tag_of(&progress)).text());
    assert!(matches!(lab.event(), Event::Confirmed { answer: None, .. }));
    lab.assert_settles();
}

#[test]
fn rfc3262_5_a_prack_without_the_answer_ends_the_call() {
    let (mut lab, call) = ringing(&late_offer());
    let progress = early(&mut lab, call, 183);
    lab.hear(&prack(&progress, 11).text());
    assert_eq!(lab.brief(), ["400", "400"]);
    lab.ended();
    lab.assert_settles();
}

#[test]
fn a_late_offer_needs_a_response_that_is_acknowledged() {
    let (mut lab, call) = ringing(&Ask::new("INVITE", "one", 10));
    let refused = lab.endpoint.ring_with(lab.now, call, 183, focus(), Body::sdp("early"));
    assert_eq!(refused, Err(CommandError::NotNow));
    lab.assert_settles();
}

#[test]
fn to_callers_without_100rel_the_description_is_said_twice() {
    let (mut lab, call) = ringing(&Ask::invite());
    let progress = early(&mut lab, call, 183);
    assert!(progress.body == b"early" && !progress.headers.has(Name::RSeq) && !progress.headers.has(Name::Require));
    lab.endpoint.accept(lab.now, call, focus(), Body::sdp("early")).expect("it rings");
    assert_eq!(lab.response().body, b"early");
    lab.assert_settles();
}

#[test]
fn rfc3262_5_an_offer_in_a_prack_is_answered_in_its_200() {
    let (mut lab, call) = ringing(&supported());
    let progress = early(&mut lab, call, 183);
    lab.hear(&prack(&progress, 11).sdp("hold").text());
    assert!(lab.sent().is_empty(), "the application has to answer");
    let event = lab.event();
    let Event::Reoffer {
        within: OfferIn::Prack,
        offer,
        ..
    } = event
    else {
        panic!("an offer, not {event:?}")
    };
    assert_eq!(offer, Some(Body::sdp("hold")));
    lab.endpoint.accept(lab.now, call, focus(), Body::sdp("early")).expect("it rings");
    assert!(lab.sent().is_empty(), "first the offer");
    lab.endpoint.accept_reoffer(lab.now, call, Body::sdp("held")).expect("it is open");
    let sent = lab.sent();
    let [Message::Response(of_prack), Message::Response(ok)] = sent.as_slice() else {
        panic!("two responses, not {sent:?}")
    };
    assert_eq!((&*of_prack.body, ok.body.len()), (&b"held"[..], 0));
    lab.hear(&Ask::ack().inside(&tag_of(ok)).text());
    lab.events();
    lab.assert_settles();
}

#[test]
fn rfc3311_5_1_an_update_before_the_answer() {
    let (mut lab, call) = ringing(&supported());
    lab.endpoint.ring(lab.now, call, 180, focus()).expect("it rings");
    let tag = tag_of(&lab.response());
    lab.hear(&Ask::new("UPDATE", "update11", 11).inside(&tag).sdp("hold").text());
    let refused = lab.response();
    assert!(
        refused.status == 500 && refused.headers.has(Name::RetryAfter),
        "their first offer isn't answered"
    );
    let progress = early(&mut lab, call, 183);
    lab.hear(&prack(&progress, 12).text());
    lab.response();
    lab.hear(&Ask::new("UPDATE", "update13", 13).inside(&tag).sdp("hold").text());
    assert!(matches!(
        lab.event(),
        Event::Reoffer {
            within: OfferIn::Update,
            ..
        }
    ));
    lab.endpoint.accept_reoffer(lab.now, call, Body::sdp("held")).expect("it is open");
    let ok = lab.response();
    assert!(
        ok.body == b"held" && !ok.headers.has(Name::SessionExpires),
        "there is no session to refresh yet"
    );
    lab.hear(&Ask::new("CANCEL", "one", 10).text());
    assert_eq!(lab.brief(), ["200", "487"]);
    lab.assert_settles();
}

// ---- Calling ----

fn calling() -> (Lab, CallId, Request) {
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
    let call = lab.endpoint.invite(lab.now, args).expect("reachable");
    let invite = lab.request();
    assert!(invite.headers.supported().expect("readable").contains(&"100rel".to_owned()));
    (lab, call, invite)
}

fn reliably(rseq: u32, body: &str) -> String {
    let described = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    format!("Contact: <sip:bob@192.0.2.1:5070>\r\nRequire: 100rel\r\nRSeq: {rseq}\r\n{described}\r\n\r\n{body}").replacen(
        "\r\n\r\n\r\n",
        "\r\n\r\n",
        1,
    )
}

fn answer(body: &str) -> String {
    let described = if body.is_empty() { "" } else { "\r\nContent-Type: application/sdp" };
    format!("Contact: <sip:bob@192.0.2.1:5070>{described}\r\n\r\n{body}")
}

fn heard(lab: &mut Lab) -> Vec<Option<String>> {
    let heard = |event| {
        let Event::Progress { early, .. } = event else {
            panic!("progress, not {event:?}")
        };
        early.map(|early| String::from_utf8_lossy(&early.answer.bytes).into_owned())
    };
    lab.events().into_iter().map(heard).collect()
}

fn number(request: &Request) -> u32 {
    request.headers.cseq().expect("CSeq").number
}

#[test]
fn rfc3262_4_each_reliable_response_is_acknowledged_once_and_in_order() {
    let (mut lab, call, invite) = calling();
    lab.answer(&invite, 183, "bob", &reliably(7, "early"));
    let prack = lab.request();
    let rack = prack.headers.rack().expect("readable").expect("RAck");
    assert_eq!(rack.to_string(), format!("7 {} INVITE", number(&invite)));
    assert_eq!(
        (prack.method.clone(), prack.headers.to().expect("To").tag()),
        (Method::Prack, Some("bob"))
    );
    assert_eq!(number(&prack), number(&invite) + 1);
    assert_eq!(heard(&mut lab), [Some("early".to_owned())]);
    lab.answer(&invite, 183, "bob", &reliably(7, "early"));
    lab.answer(&invite, 180, "bob", &reliably(9, ""));
    assert!(lab.sent().is_empty() && lab.events().is_empty(), "seen before, and too early");
    lab.answer(&prack, 200, "", "");
    lab.answer(&invite, 180, "bob", &reliably(8, ""));
    assert_eq!(number(&lab.request()), number(&invite) + 2);
    assert_eq!(heard(&mut lab), [None]);
    lab.answer(&invite, 200, "bob", &answer(""));
    assert_eq!(number(&lab.request()), number(&invite), "the ACK");
    let event = lab.event();
    let Event::Answered { answer, .. } = event else {
        panic!("an answer, not {event:?}")
    };
    assert_eq!(answer, Some(Body::sdp("early")), "it came before");
    assert_eq!(lab.endpoint.population().dialogs, 1);
    lab.endpoint.hang_up(lab.now, call, None).expect("it is up");
    let bye = lab.sent().pop();
    assert!(matches!(bye, Some(Message::Request(bye)) if bye.method == Method::Bye && number(&bye) == number(&invite) + 3));
    lab.assert_settles();
}

#[test]
fn of_the_branches_that_ring_one_is_heard_and_one_answers() {
    let (mut lab, call, invite) = calling();
    lab.answer(&invite, 183, "one", &reliably(1, "first"));
    lab.answer(&invite, 183, "two", &reliably(5, "second"));
    let pracks = lab.sent();
    assert_eq!(pracks.len(), 2, "each branch has its own numbers");
    assert_eq!(heard(&mut lab), [Some("first".to_owned()), None]);
    assert_eq!(lab.endpoint.population().dialogs, 2);
    lab.answer(&invite, 200, "two", &answer(""));
    let event = lab.event();
    let Event::Answered { answer: said, .. } = event else {
        panic!("an answer, not {event:?}")
    };
    assert_eq!(said, Some(Body::sdp("second")), "that of the branch that answers");
    assert_eq!(lab.endpoint.population().dialogs, 1);
    lab.sent();
    // The other one answers as well: ACK and BYE, whose number is behind that of its PRACK (rule R41).
    lab.answer(&invite, 200, "one", &answer(""));
    let sent = lab.sent();
    let [Message::Request(ack), Message::Request(bye)] = sent.as_slice() else {
        panic!("two requests, not {sent:?}")
    };
    assert_eq!((&ack.method, &bye.method), (&Method::Ack, &Method::Bye));
    assert!(number(bye) > number(&invite) + 1 && bye.headers.to().expect("To").tag() == Some("one"));
    lab.endpoint.hang_up(lab.now, call, None).expect("it is up");
    lab.assert_settles();
}

#[test]
fn rfc6228_a_branch_that_ends_gives_its_place_to_another() {
    let (mut lab, _, invite) = calling();
    lab.answer(&invite, 183, "one", &answer("first"));
    assert_eq!(heard(&mut lab), [Some("first".to_owned())]);
    lab.answer(&invite, 199, "one", "");
    assert!(lab.events().is_empty() && lab.sent().is_empty());
    assert_eq!(lab.endpoint.population().dialogs, 0);
    lab.answer(&invite, 183, "two", &answer("second"));
    assert_eq!(heard(&mut lab), [Some("second".to_owned())]);
    lab.answer(&invite, 486, "two", "");
    assert!(matches!(lab.ended(), EndCause::Refused { .. }));
    lab.assert_settles();
}

#[test]
fn branches_are_bounded() {
    let (mut lab, _, invite) = calling();
    for branch in 0..50 {
        lab.answer(&invite, 183, &format!("b{branch}"), &reliably(1, "early"));
    }
    assert_eq!(lab.brief().len(), 8);
    assert_eq!(lab.endpoint.population().dialogs, 8);
    for number in 2..200 {
        lab.answer(&invite, 183, "b0", &reliably(number, ""));
    }
    assert_eq!(lab.brief().len(), 63);
    lab.answer(&invite, 500, "b0", "");
    lab.events();
    lab.assert_settles();
}

/// A request of the peer's in an early dialog of our INVITE.
fn from_branch(invite: &Request, tag: &str, method: &str, cseq: u32, body: &str) -> String {
    let field = |name| String::from_utf8_lossy(invite.headers.first(name).expect("it is there")).into_owned();
    format!(
        "{method} sip:room@198.51.100.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5070;rport;branch=z9hG4bK{tag}{cseq}\r\nFrom: {};tag={tag}\r\n\
         To: {}\r\nCall-ID: {}\r\nCSeq: {cseq} {method}\r\nContact: <sip:bob@192.0.2.1:5070>\r\nContent-Type: application/sdp\r\n\
         Content-Length: {}\r\n\r\n{body}",
        field(Name::To),
        field(Name::From),
        field(Name::CallId),
        body.len()
    )
}

#[test]
fn rfc3311_5_2_the_branch_that_is_heard_may_change_its_session() {
    let (mut lab, call, invite) = calling();
    lab.answer(&invite, 183, "one", &answer("first"));
    lab.answer(&invite, 183, "two", &reliably(1, "second"));
    lab.sent();
    lab.events();
    lab.hear(&from_branch(&invite, "one", "UPDATE", 1, "hold"));
    assert_eq!(lab.response().status, 491, "its answer wasn't for good");
    lab.hear(&from_branch(&invite, "two", "UPDATE", 1, "hold"));
    assert_eq!(lab.response().status, 500, "it isn't heard");
    lab.answer(&invite, 183, "one", &reliably(1, "first"));
    lab.sent();
    lab.events();
    lab.hear(&from_branch(&invite, "one", "UPDATE", 2, "hold"));
    assert!(matches!(lab.event(), Event::Reoffer { .. }));
    lab.endpoint.accept_reoffer(lab.now, call, Body::sdp("held")).expect("it is open");
    assert_eq!(lab.response().body, b"held");
    // Hanging up is for those who have answered: it ends the branch, and the call goes on.
    lab.hear(&from_branch(&invite, "two", "BYE", 2, ""));
    assert_eq!(lab.response().status, 200);
    assert_eq!(lab.endpoint.population().dialogs, 1);
    lab.answer(&invite, 200, "one", &answer(""));
    assert!(matches!(lab.event(), Event::Answered { .. }));
    lab.endpoint.hang_up(lab.now, call, None).expect("it is up");
    lab.assert_settles();
}
