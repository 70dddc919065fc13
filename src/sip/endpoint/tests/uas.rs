//! Being called, from INVITE to BYE (rule R41).

use super::*;

#[test]
fn m1_a_call_from_ring_to_bye() {
    let mut lab = Lab::new();
    let call = lab.ringing();
    lab.endpoint.ring(lab.now, call, 180, focus()).expect("it rings");
    let ringing = lab.response();
    assert_eq!(ringing.status, 180);
    assert!(ringing.headers.contact().expect("Contact").params.has("isfocus"));
    lab.endpoint.accept(lab.now, call, focus(), Body::sdp("answer")).expect("it rings");
    let ok = lab.response();
    assert_eq!((ok.status, &ok.body[..]), (200, &b"answer"[..]));
    assert_eq!(tag_of(&ok), tag_of(&ringing), "one dialog");
    let contact = ok.headers.contact().expect("Contact");
    assert_eq!(contact.to_string(), "<sip:room@198.51.100.1:5060>;isfocus");
    assert!(ok.headers.allow().expect("Allow").contains(&Method::Update));
    assert_eq!(ok.headers.allow_events().expect("Allow-Events"), ["conference"]);
    assert!(ok.headers.offers_option("timer"));
    lab.hear(&Ask::ack().inside(&tag_of(&ok)).text());
    assert!(matches!(lab.event(), Event::Confirmed { answer: None, .. }));
    lab.hear(
        &Ask::new("BYE", "bye", 11)
            .inside(&tag_of(&ok))
            .with("Reason: SIP;cause=200;text=\"done\"\r\n")
            .text(),
    );
    assert_eq!(lab.response().status, 200);
    assert_eq!(
        lab.ended(),
        EndCause::TheyHungUp {
            reason: Some("SIP;cause=200;text=\"done\"".to_owned())
        }
    );
    lab.assert_settles();
}

#[test]
fn trying_goes_out_by_itself() {
    let mut lab = Lab::new();
    lab.ringing();
    assert!(lab.sent().is_empty());
    lab.pass(Duration::from_millis(200));
    assert_eq!(lab.response().status, 100);
    lab.hear(&Ask::invite().text());
    assert_eq!(lab.response().status, 100, "a retransmission gets the last response");
}

#[test]
fn a_2xx_is_resent_with_doubling_until_the_ack() {
    let mut lab = Lab::new();
    let call = lab.ringing();
    lab.endpoint.accept(lab.now, call, focus(), Body::sdp("answer")).expect("it rings");
    let tag = tag_of(&lab.response());
    let mut seen = Vec::new();
    for tenth in 1..=100 {
        lab.pass(Duration::from_millis(100));
        seen.extend(lab.sent().iter().map(|_| tenth * 100));
    }
    assert_eq!(seen, [500, 1500, 3500, 7500]);
    lab.hear(&Ask::ack().inside(&tag).text());
    lab.pass(Duration::from_secs(30));
    assert!(lab.sent().is_empty());
}

#[test]
fn a_2xx_is_resent_over_tcp_too() {
    let mut lab = Lab::new().over_tcp();
    let call = lab.ringing();
    lab.endpoint.accept(lab.now, call, focus(), Body::sdp("answer")).expect("it rings");
    lab.pass(Duration::from_secs(1));
    assert_eq!(lab.brief(), ["200", "200"]);
}

#[test]
fn without_an_ack_the_call_is_torn_down() {
    let mut lab = Lab::new();
    let call = lab.ringing();
    lab.endpoint.accept(lab.now, call, focus(), Body::sdp("answer")).expect("it rings");
    lab.pass(Duration::from_millis(31_900));
    lab.transmits();
    lab.pass(Duration::from_millis(200));
    assert_eq!(lab.request().method, Method::Bye);
    assert_eq!(lab.ended(), EndCause::NoAck);
    lab.assert_settles();
}

#[test]
fn r41_a_bye_before_the_ack_stops_the_2xx() {
    let mut lab = Lab::new();
    let call = lab.ringing();
    lab.endpoint.accept(lab.now, call, focus(), Body::sdp("answer")).expect("it rings");
    let tag = tag_of(&lab.response());
    lab.hear(&Ask::new("BYE", "bye", 11).inside(&tag).text());
    assert_eq!(lab.response().status, 200);
    assert_eq!(lab.ended(), EndCause::TheyHungUp { reason: None });
    lab.pass(Duration::from_secs(40));
    assert!(lab.sent().is_empty());
    lab.assert_settles();
}

#[test]
fn r41_our_bye_waits_for_the_ack() {
    let mut lab = Lab::new();
    let call = lab.ringing();
    lab.endpoint.accept(lab.now, call, focus(), Body::sdp("answer")).expect("it rings");
    let tag = tag_of(&lab.response());
    assert!(lab.endpoint.awaits_ack(call));
    let reason = Reason {
        cause: 603,
        text: "kicked \"out\"".to_owned(),
    };
    lab.endpoint.hang_up(lab.now, call, Some(reason)).expect("it is up");
    assert!(lab.sent().is_empty());
    lab.hear(&Ask::ack().inside(&tag).text());
    let bye = lab.request();
    assert_eq!(bye.method, Method::Bye);
    assert_eq!(
        bye.headers.first(Name::Reason),
        Some(&b"SIP;cause=603;text=\"kicked \\\"out\\\"\""[..])
    );
    assert!(lab.events().is_empty(), "not confirmed, and not yet over");
    lab.answer(&bye, 200, "", "");
    assert_eq!(lab.ended(), EndCause::WeHungUp);
    lab.assert_settles();
}

#[test]
fn r41_our_bye_goes_without_an_ack_after_64_t1() {
    let mut lab = Lab::new();
    let call = lab.ringing();
    lab.endpoint.accept(lab.now, call, focus(), Body::sdp("answer")).expect("it rings");
    lab.endpoint.hang_up(lab.now, call, None).expect("it is up");
    lab.pass(Duration::from_secs(31));
    assert!(lab.brief().iter().all(|what| what == "200"));
    lab.pass(Duration::from_secs(2));
    assert!(lab.brief().contains(&"BYE".to_owned()));
    assert_eq!(lab.ended(), EndCause::WeHungUp);
    lab.assert_settles();
}

#[test]
fn r41_a_cancel_ends_what_rings() {
    let mut lab = Lab::new();
    lab.ringing();
    lab.hear(&Ask::new("CANCEL", "one", 10).with("Reason: SIP;cause=200\r\n").text());
    let sent = lab.sent();
    let [Message::Response(to_cancel), Message::Response(to_invite)] = &sent[..] else {
        panic!("{sent:?}")
    };
    assert_eq!((to_cancel.status, to_invite.status), (200, 487));
    assert_eq!(
        lab.ended(),
        EndCause::Cancelled {
            reason: Some("SIP;cause=200".to_owned())
        }
    );
    let mut again = Vec::new();
    for tenth in 1..=40 {
        lab.pass(Duration::from_millis(100));
        again.extend(lab.brief().iter().map(|what| (tenth * 100, what.clone())));
    }
    assert_eq!(again, [(500, "487".to_owned()), (1500, "487".to_owned()), (3500, "487".to_owned())]);
    lab.hear(
        &Ask {
            branch: "one".to_owned(),
            ..Ask::ack().inside(&tag_of(to_invite))
        }
        .text(),
    );
    lab.pass(Duration::from_secs(10));
    assert!(lab.sent().is_empty());
    lab.assert_settles();
}

#[test]
fn r41_a_cancel_after_the_answer_changes_nothing() {
    let mut lab = Lab::new();
    let (call, _) = lab.up();
    lab.hear(&Ask::new("CANCEL", "one", 10).text());
    assert_eq!(lab.response().status, 200);
    assert!(lab.events().is_empty());
    assert!(lab.endpoint.calls().eq([call]));
}

#[test]
fn a_rejection_says_why_and_is_resent_until_its_ack() {
    let mut lab = Lab::new();
    let call = lab.ringing();
    let rejection = Rejection::new(403)
        .because("Locked")
        .with("Warning", "399 x \"y\"")
        .retry_after(Duration::from_secs(5));
    lab.endpoint.reject(lab.now, call, rejection).expect("it rings");
    let response = lab.response();
    assert_eq!((response.status, &response.reason[..]), (403, "Locked"));
    assert_eq!(response.headers.retry_after().expect("readable"), Some(5));
    assert_eq!(lab.ended(), EndCause::Rejected);
    lab.pass(Duration::from_secs(1));
    assert_eq!(lab.brief(), ["403"]);
    assert_eq!(lab.endpoint.reject(lab.now, call, Rejection::new(404)), Err(CommandError::Gone));
    lab.assert_settles();
}

#[test]
fn a_call_that_nobody_takes_ends_after_three_minutes() {
    let mut lab = Lab::new();
    let call = lab.ringing();
    lab.endpoint.ring(lab.now, call, 180, focus()).expect("it rings");
    lab.pass(Duration::from_secs(179));
    assert_eq!(lab.brief(), ["180"; 3], "repeated each minute");
    lab.pass(Duration::from_secs(2));
    assert_eq!(lab.brief()[0], "480");
    assert_eq!(lab.ended(), EndCause::Unanswered);
    lab.assert_settles();
}

#[test]
fn a_bye_while_it_rings_ends_both() {
    let mut lab = Lab::new();
    let call = lab.ringing();
    lab.endpoint.ring(lab.now, call, 180, focus()).expect("it rings");
    let tag = tag_of(&lab.response());
    lab.hear(&Ask::new("BYE", "bye", 11).inside(&tag).text());
    assert_eq!(lab.brief(), ["200", "487"]);
    assert_eq!(lab.ended(), EndCause::TheyHungUp { reason: None });
    lab.assert_settles();
}

#[test]
fn an_invite_without_an_offer_is_answered_in_the_ack() {
    let mut lab = Lab::new();
    lab.hear(&Ask::new("INVITE", "one", 10).text());
    let Event::Invite { call, offer: None, .. } = lab.event() else {
        panic!("a call without an offer")
    };
    lab.endpoint
        .accept(lab.now, call, focus(), Body::sdp("our offer"))
        .expect("it rings");
    let tag = tag_of(&lab.response());
    lab.hear(&Ask::ack().inside(&tag).sdp("their answer").text());
    let Event::Confirmed { answer, .. } = lab.event() else {
        panic!("confirmed")
    };
    assert_eq!(answer, Some(Body::sdp("their answer")));
}

#[test]
fn byes_that_cross_are_both_answered() {
    let mut lab = Lab::new();
    let (call, tag) = lab.up();
    lab.endpoint.hang_up(lab.now, call, None).expect("it is up");
    let bye = lab.request();
    lab.hear(&Ask::new("BYE", "bye", 11).inside(&tag).text());
    assert_eq!(lab.response().status, 200);
    assert_eq!(lab.ended(), EndCause::WeHungUp);
    lab.answer(&bye, 481, "", "");
    assert!(lab.events().is_empty());
    lab.assert_settles();
}

#[test]
fn a_late_or_doubled_message_does_not_hurt() {
    let mut lab = Lab::new();
    let (_, tag) = lab.up();
    lab.hear(&Ask::ack().inside(&tag).text());
    lab.hear(&Ask::invite().text());
    assert!(lab.sent().is_empty() && lab.events().is_empty(), "absorbed");
    let bye = Ask::new("BYE", "bye", 11).inside(&tag).text();
    lab.hear(&bye);
    lab.hear(&bye);
    assert_eq!(lab.brief(), ["200", "200"]);
    assert_eq!(lab.events().len(), 1);
    lab.hear(&Ask::new("BYE", "bye2", 12).inside(&tag).text());
    assert_eq!(lab.response().status, 481);
    lab.assert_settles();
}
