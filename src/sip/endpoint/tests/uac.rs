//! Calling (rule R41).

use super::*;
use crate::sip::{
    auth::{Authenticator, Credentials, Verdict, digest_keys},
    msg::Uri,
};

fn args() -> InviteArgs {
    InviteArgs {
        to: Uri::parse("sip:bob@192.0.2.1:5070").expect("a URI"),
        from: Uri::parse("sip:bot@conf.example.com").expect("a URI"),
        name: Some("Bot".to_owned()),
        presentation: Presentation {
            user: Some("bot".to_owned()),
            focus: false,
        },
        offer: Body::sdp("offer"),
        credentials: None,
        via: None,
        headers: vec![("Subject".to_owned(), "test".to_owned())],
    }
}

fn calling() -> (Lab, CallId, Request) {
    let mut lab = Lab::new();
    let call = lab.endpoint.invite(lab.now, args()).expect("reachable");
    let invite = lab.request();
    (lab, call, invite)
}

const CONTACT: &str = "Contact: <sip:bob@192.0.2.1:5070>\r\nContent-Type: application/sdp\r\n\r\nanswer";

#[test]
fn a_call_of_ours_from_invite_to_bye() {
    let (mut lab, call, invite) = calling();
    assert_eq!(
        invite.headers.contact().expect("Contact").to_string(),
        "<sip:bot@198.51.100.1:5060>"
    );
    assert_eq!(invite.headers.first(Name::Subject), Some(&b"test"[..]));
    assert!(invite.headers.offers_option("timer"));
    lab.answer(&invite, 180, "bob", "");
    assert!(matches!(lab.event(), Event::Progress { .. }));
    lab.answer(&invite, 200, "bob", CONTACT);
    let ack = lab.request();
    assert_eq!(
        (ack.method.clone(), ack.headers.to().expect("To").tag()),
        (Method::Ack, Some("bob"))
    );
    let Event::Answered { answer, .. } = lab.event() else {
        panic!("an answer")
    };
    assert_eq!(answer, Some(Body::sdp("answer")));
    lab.answer(&invite, 200, "bob", CONTACT);
    assert_eq!(lab.request(), ack, "again, for it was lost");
    assert!(lab.events().is_empty());
    lab.endpoint.hang_up(lab.now, call, None).expect("it is up");
    let bye = lab.request();
    assert_eq!(
        bye.headers.cseq().expect("CSeq").number,
        invite.headers.cseq().expect("CSeq").number + 1
    );
    lab.answer(&bye, 200, "", "");
    assert_eq!(lab.ended(), EndCause::WeHungUp);
    lab.assert_settles();
}

#[test]
fn a_refusal_is_acknowledged_and_told() {
    let (mut lab, _, invite) = calling();
    lab.answer(&invite, 486, "bob", "");
    let ack = lab.request();
    assert_eq!(ack.headers.top_via(), invite.headers.top_via(), "it belongs to the transaction");
    let EndCause::Refused { response } = lab.ended() else {
        panic!("a refusal")
    };
    assert_eq!(response.status, 486);
    lab.answer(&invite, 486, "bob", "");
    assert_eq!(lab.request(), ack);
    lab.assert_settles();
}

#[test]
fn nobody_answers() {
    let (mut lab, _, _) = calling();
    lab.pass(Duration::from_secs(32));
    assert_eq!(lab.brief(), ["INVITE"; 6]);
    assert_eq!(lab.ended(), EndCause::Unreachable("no answer"));
    lab.assert_settles();
}

#[test]
fn r41_no_cancel_before_a_provisional_response() {
    let (mut lab, call, invite) = calling();
    lab.endpoint.hang_up(lab.now, call, None).expect("it calls");
    assert!(lab.sent().is_empty());
    lab.answer(&invite, 100, "", "");
    let cancel = lab.request();
    assert_eq!(
        (cancel.method.clone(), cancel.headers.top_via()),
        (Method::Cancel, invite.headers.top_via())
    );
    assert_eq!(
        cancel.headers.cseq().expect("CSeq").number,
        invite.headers.cseq().expect("CSeq").number
    );
    lab.answer(&cancel, 200, "bob", "");
    lab.answer(&invite, 487, "bob", "");
    assert_eq!(lab.request().method, Method::Ack);
    assert_eq!(lab.ended(), EndCause::WeCancelled);
    lab.assert_settles();
}

#[test]
fn r41_a_2xx_that_crosses_our_cancel_is_acked_then_byed() {
    let (mut lab, call, invite) = calling();
    lab.answer(&invite, 180, "bob", "");
    lab.events();
    lab.endpoint.hang_up(lab.now, call, None).expect("it calls");
    assert_eq!(lab.brief(), ["CANCEL"]);
    lab.answer(&invite, 200, "bob", CONTACT);
    let sent = lab.sent();
    let [Message::Request(ack), Message::Request(bye)] = &sent[..] else {
        panic!("{sent:?}")
    };
    assert_eq!((&ack.method, &bye.method), (&Method::Ack, &Method::Bye));
    assert!(lab.events().is_empty(), "it was never up");
    lab.answer(bye, 200, "", "");
    assert_eq!(lab.ended(), EndCause::WeCancelled);
    lab.assert_settles();
}

#[test]
fn r41_a_cancel_that_is_not_answered_ends_the_call_all_the_same() {
    let (mut lab, call, invite) = calling();
    lab.answer(&invite, 180, "bob", "");
    lab.events();
    lab.endpoint.hang_up(lab.now, call, None).expect("it calls");
    lab.pass(Duration::from_secs(33));
    assert_eq!(lab.ended(), EndCause::WeCancelled);
    lab.assert_settles();
}

#[test]
fn r41_of_a_forked_invite_the_first_2xx_is_kept_and_the_others_are_hung_up() {
    let (mut lab, call, invite) = calling();
    lab.answer(&invite, 200, "bob", CONTACT);
    assert_eq!(lab.brief(), ["ACK"]);
    lab.answer(&invite, 200, "desk", CONTACT);
    let sent = lab.sent();
    let [Message::Request(ack), Message::Request(bye)] = &sent[..] else {
        panic!("{sent:?}")
    };
    assert_eq!((&ack.method, &bye.method), (&Method::Ack, &Method::Bye));
    assert!(sent.iter().all(|m| m.headers().to().expect("To").tag() == Some("desk")));
    lab.answer(&invite, 200, "desk", CONTACT);
    assert_eq!(lab.brief(), ["ACK"], "again, without another BYE");
    lab.answer(bye, 200, "", "");
    assert_eq!(lab.events().len(), 1);
    assert!(lab.endpoint.calls().eq([call]));
    for n in 0..100 {
        lab.answer(&invite, 200, &format!("fork{n}"), CONTACT);
    }
    assert!(lab.sent().len() <= 12, "forks are bounded");
}

#[test]
fn r41_a_2xx_after_the_call_is_over_is_acked_then_byed() {
    let (mut lab, call, invite) = calling();
    lab.answer(&invite, 200, "bob", CONTACT);
    lab.endpoint.hang_up(lab.now, call, None).expect("it is up");
    let bye = lab.sent().pop().expect("a BYE");
    let Message::Request(bye) = bye else { panic!("a request") };
    lab.answer(&bye, 200, "", "");
    lab.events();
    lab.answer(&invite, 200, "late", CONTACT);
    assert_eq!(lab.brief(), ["ACK", "BYE"]);
    lab.assert_settles();
}

#[test]
fn a_challenge_is_answered_once() {
    let mut lab = Lab::new();
    let mut server = Authenticator::new("conf.example.com", [7; 32], lab.now);
    let keys = digest_keys("bot", "conf.example.com", "secret");
    let credentials = Some(Credentials::new("bot", "secret"));
    let call = lab
        .endpoint
        .invite(lab.now, InviteArgs { credentials, ..args() })
        .expect("reachable");
    let first = lab.request();
    let challenge = |lab: &mut Lab, server: &mut Authenticator, invite: &Request| {
        let fields: String = server
            .challenges(lab.now, false)
            .iter()
            .map(|c| format!("WWW-Authenticate: {c}\r\n"))
            .collect();
        lab.answer(invite, 401, "bob", &fields);
    };
    challenge(&mut lab, &mut server, &first);
    let sent = lab.sent();
    let [Message::Request(_ack), Message::Request(second)] = &sent[..] else {
        panic!("{sent:?}")
    };
    assert!(matches!(
        server.verify(lab.now, second, |user| (user == "bot").then(|| keys.clone())),
        Verdict::Proven { .. }
    ));
    assert_eq!(
        second.headers.cseq().expect("CSeq").number,
        first.headers.cseq().expect("CSeq").number + 1
    );
    assert_eq!(second.headers.call_id(), first.headers.call_id());
    assert_ne!(second.headers.top_via(), first.headers.top_via());
    assert!(lab.events().is_empty());
    challenge(&mut lab, &mut server, second);
    assert_eq!(lab.brief(), ["ACK"], "not for ever");
    let event = lab.event();
    assert!(
        matches!(&event, Event::Ended { call: ended, cause: EndCause::Refused { .. } } if *ended == call),
        "{event:?}"
    );
    lab.assert_settles();
}

#[test]
fn a_call_of_ours_over_a_connection_that_fails() {
    let mut lab = Lab::new();
    let to = Uri::parse("sip:bob@192.0.2.1:5070;transport=tcp").expect("a URI");
    lab.endpoint.invite(lab.now, InviteArgs { to, ..args() }).expect("reachable");
    let target = lab.transmits()[0].target.clone();
    assert_eq!(target.transport(), Transport::Tcp);
    lab.endpoint.handle_inbound(lab.now, Inbound::Unreachable(target));
    assert_eq!(lab.ended(), EndCause::Unreachable("no connection"));
    lab.assert_settles();
}

#[test]
fn they_may_hang_up_and_offer_in_a_call_of_ours() {
    let (mut lab, call, invite) = calling();
    lab.answer(&invite, 200, "bob", CONTACT);
    lab.sent();
    lab.events();
    let from = invite.headers.from().expect("From");
    let inside = |method: &str, cseq: u32, body: &str| {
        format!(
            "{method} sip:bot@198.51.100.1:5060 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5070;rport;branch=z9hG4bKt{cseq}\r\n\
             From: <sip:bob@192.0.2.1:5070>;tag=bob\r\nTo: {from}\r\nCall-ID: {}\r\nCSeq: {cseq} {method}\r\n\
             Contact: <sip:bob@192.0.2.1:5070>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
            invite.headers.call_id().expect("Call-ID"),
            body.len()
        )
    };
    lab.hear(&inside("INVITE", 1, "hold"));
    assert!(matches!(lab.event(), Event::Reoffer { .. }));
    lab.endpoint.accept_reoffer(lab.now, call, Body::sdp("held")).expect("it waits");
    assert_eq!(lab.response().status, 200);
    lab.hear(&inside("ACK", 1, ""));
    assert!(matches!(lab.event(), Event::Confirmed { .. }));
    lab.hear(&inside("BYE", 2, ""));
    assert_eq!(lab.response().status, 200);
    assert_eq!(lab.ended(), EndCause::TheyHungUp { reason: None });
    lab.assert_settles();
}
