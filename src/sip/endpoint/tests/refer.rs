//! REFER, both ways (RFC 3515, 4488, 7647; rule R47).

use super::*;
use crate::{
    model::ReferId,
    sip::{
        auth::Credentials,
        msg::{ReferTo, Uri},
    },
};

const TO_BOB: &str = "Refer-To: <sip:bob@biloxi.example>\r\n";

fn refer(cseq: u32, fields: &str) -> Ask {
    Ask::new("REFER", &format!("refer{cseq}"), cseq).with(fields)
}

fn asked(lab: &mut Lab) -> (ReferId, Option<CallId>, ReferTo) {
    let event = lab.event();
    let Event::Refer { refer, call, to, .. } = event else {
        panic!("a REFER, not {event:?}")
    };
    (refer, call, *to)
}

/// What a NOTIFY says: event, state, and its first line.
fn told(notify: &Request) -> (String, String, String) {
    assert_eq!(notify.method, Method::Notify);
    let headers = &notify.headers;
    assert_eq!(
        headers.content_type().expect("readable").expect("a body").to_string(),
        "message/sipfrag;version=2.0"
    );
    (
        headers.event().expect("readable").expect("Event").to_string(),
        headers.subscription_state().expect("readable").expect("a state").to_string(),
        String::from_utf8_lossy(&notify.body).trim_end().to_owned(),
    )
}

/// A REFER of theirs outside of any dialog that was accepted, and whose first NOTIFY is through; our tag.
fn accepted() -> (Lab, ReferId, String) {
    let mut lab = Lab::new();
    lab.hear(&refer(5, TO_BOB).text());
    let (id, _, _) = asked(&mut lab);
    lab.endpoint.accept_refer(lab.now, id, &focus()).expect("it waits");
    let mut sent = lab.sent();
    let Some(Message::Request(notify)) = sent.pop() else {
        panic!("a NOTIFY")
    };
    let Some(Message::Response(ok)) = sent.pop() else {
        panic!("a response")
    };
    lab.answer(&notify, 200, "", "");
    (lab, id, tag_of(&ok))
}

fn tell(lab: &mut Lab, id: ReferId, status: u16, last: bool) -> Result<(), CommandError> {
    lab.endpoint.refer_progress(lab.now, id, status, "", last)
}

#[test]
fn rfc3515_2_4_a_refer_is_accepted_and_told_of_to_its_end() {
    let mut lab = Lab::new();
    lab.hear(&refer(5, TO_BOB).text());
    let (id, call, to) = asked(&mut lab);
    assert_eq!((call, to.uri.to_string()), (None, "sip:bob@biloxi.example".to_owned()));
    lab.endpoint.accept_refer(lab.now, id, &focus()).expect("it waits");
    let mut sent = lab.sent();
    assert_eq!(sent.len(), 2);
    let Some(Message::Request(notify)) = sent.pop() else {
        panic!("a NOTIFY")
    };
    let Some(Message::Response(ok)) = sent.pop() else {
        panic!("a response")
    };
    assert_eq!(ok.status, 200, "RFC 7647 section 5: no 202");
    assert!(ok.headers.contact().expect("Contact").params.has("isfocus"));
    let trying = ("refer;id=5", "active;expires=300", "SIP/2.0 100 Trying");
    assert_eq!(told(&notify), (trying.0.to_owned(), trying.1.to_owned(), trying.2.to_owned()));

    // The NOTIFY is under way: of what happens meanwhile they hear the latest.
    tell(&mut lab, id, 180, false).expect("they want to know");
    tell(&mut lab, id, 183, false).expect("they want to know");
    assert!(lab.sent().is_empty());
    lab.answer(&notify, 200, "", "");
    let notify = lab.request();
    assert_eq!(told(&notify).2, "SIP/2.0 183 Session Progress");
    tell(&mut lab, id, 200, true).expect("they want to know");
    lab.answer(&notify, 200, "", "");
    let notify = lab.request();
    let (_, state, line) = told(&notify);
    assert_eq!((&*state, &*line), ("terminated;reason=noresource", "SIP/2.0 200 OK"));
    assert_eq!(tell(&mut lab, id, 200, true), Err(CommandError::Gone));
    lab.answer(&notify, 200, "", "");
    assert!(lab.events().is_empty());
    lab.assert_settles();
}

#[test]
fn rfc3515_2_4_6_several_refers_in_one_call_are_told_apart() {
    let mut lab = Lab::new();
    let (call, tag) = lab.up();
    let mut ids = Vec::new();
    for cseq in [11, 12] {
        lab.hear(&refer(cseq, TO_BOB).inside(&tag).text());
        let (id, inside, _) = asked(&mut lab);
        assert_eq!(inside, Some(call));
        lab.endpoint.accept_refer(lab.now, id, &Presentation::default()).expect("it waits");
        let Some(Message::Request(notify)) = lab.sent().pop() else {
            panic!("a NOTIFY")
        };
        assert_eq!(told(&notify).0, format!("refer;id={cseq}"));
        lab.answer(&notify, 200, "", "");
        ids.push(id);
    }
    tell(&mut lab, ids[1], 486, true).expect("active");
    let notify = lab.request();
    assert_eq!(
        (told(&notify).0, told(&notify).2),
        ("refer;id=12".to_owned(), "SIP/2.0 486 Busy Here".to_owned())
    );
    lab.answer(&notify, 200, "", "");
    // The call may end: the subscription lives on in its dialog (RFC 5057).
    lab.hear(&Ask::new("BYE", "bye", 13).inside(&tag).text());
    assert_eq!(lab.response().status, 200);
    lab.events();
    assert_eq!(lab.endpoint.population().dialogs, 1);
    tell(&mut lab, ids[0], 200, true).expect("active");
    let notify = lab.request();
    lab.answer(&notify, 200, "", "");
    assert_eq!(lab.endpoint.population().dialogs, 0);
    lab.assert_settles();
}

#[test]
fn refers_in_one_dialog_are_bounded() {
    let mut lab = Lab::new();
    let (_, tag) = lab.up();
    for cseq in 11..19 {
        lab.hear(&refer(cseq, TO_BOB).inside(&tag).text());
        asked(&mut lab);
    }
    lab.hear(&refer(19, TO_BOB).inside(&tag).text());
    assert_eq!(lab.response().status, 403);
    lab.assert_settles();
}

#[test]
fn rfc4488_without_a_subscription_nothing_is_told() {
    let mut lab = Lab::new();
    let more = format!("{TO_BOB}Refer-Sub: false\r\nRequire: norefersub\r\n");
    lab.hear(&refer(5, &more).text());
    let (id, _, _) = asked(&mut lab);
    lab.endpoint.accept_refer(lab.now, id, &focus()).expect("it waits");
    let ok = lab.response();
    assert!(ok.status == 200 && ok.headers.refuses_refer_sub());
    assert_eq!(tell(&mut lab, id, 200, true), Err(CommandError::Gone));
    assert_eq!(lab.endpoint.population().dialogs, 0);
    lab.assert_settles();
}

#[test]
fn rfc3515_2_4_2_a_refer_that_cannot_be_read_gets_400() {
    for fields in [
        "",
        "Refer-To: <sip:a@b>, <sip:c@d>\r\n",
        "Refer-To: <sip:a@b>\r\nr: <sip:a@b>\r\n",
        "Refer-To: :\r\n",
    ] {
        let mut lab = Lab::new();
        lab.hear(&refer(5, fields).text());
        assert_eq!(lab.response().status, 400, "{fields}");
        assert!(lab.events().is_empty());
        lab.assert_settles();
    }
}

#[test]
fn rfc3515_2_4_4_its_subscription_is_refreshed_and_ended_by_subscribe() {
    let (mut lab, id, tag) = accepted();
    let subscribe = |cseq, event: &str, expires| {
        let fields = format!("Event: {event}\r\nExpires: {expires}\r\n");
        Ask::new("SUBSCRIBE", &format!("sub{cseq}"), cseq).with(&fields).inside(&tag).text()
    };
    lab.pass(Duration::from_secs(200));
    lab.hear(&subscribe(6, "refer;id=5", 7200));
    let mut sent = lab.sent();
    let Some(Message::Request(notify)) = sent.pop() else {
        panic!("a NOTIFY")
    };
    assert_eq!(told(&notify).1, "active;expires=300", "anew, but no longer than we want");
    lab.answer(&notify, 200, "", "");
    lab.hear(&subscribe(7, "refer;id=6", 60));
    assert_eq!(lab.response().status, 403, "there is no such REFER, and SUBSCRIBE makes none");
    lab.hear(&subscribe(8, "refer", 0));
    let mut sent = lab.sent();
    let Some(Message::Request(notify)) = sent.pop() else {
        panic!("a NOTIFY")
    };
    assert_eq!(told(&notify).1, "terminated;reason=timeout");
    assert_eq!(tell(&mut lab, id, 200, true), Err(CommandError::Gone));
    lab.answer(&notify, 200, "", "");
    assert!(lab.events().is_empty(), "the endpoint sees to all of it");
    lab.assert_settles();
}

#[test]
fn what_the_application_forgets_ends_by_itself() {
    let mut lab = Lab::new();
    lab.hear(&refer(5, TO_BOB).text());
    let (id, _, _) = asked(&mut lab);
    lab.pass(Duration::from_secs(33));
    assert_eq!(lab.response().status, 500);
    assert_eq!(lab.endpoint.accept_refer(lab.now, id, &focus()), Err(CommandError::Gone));
    lab.assert_settles();

    let (mut lab, _, _) = accepted();
    lab.pass(Duration::from_secs(300));
    let (_, state, line) = told(&lab.request());
    assert_eq!((&*state, &*line), ("terminated;reason=timeout", "SIP/2.0 100 Trying"));
    lab.assert_settles();
}

#[test]
fn a_referrer_that_is_gone_is_told_nothing_more() {
    let mut lab = Lab::new();
    lab.hear(&refer(5, TO_BOB).text());
    let (id, _, _) = asked(&mut lab);
    lab.endpoint.accept_refer(lab.now, id, &focus()).expect("it waits");
    let Some(Message::Request(notify)) = lab.sent().pop() else {
        panic!("a NOTIFY")
    };
    lab.answer(&notify, 481, "", "");
    assert_eq!(tell(&mut lab, id, 180, false), Err(CommandError::Gone));
    lab.assert_settles();

    let (mut lab, id, _) = accepted();
    tell(&mut lab, id, 180, false).expect("active");
    lab.pass(Duration::from_secs(33));
    assert_eq!(tell(&mut lab, id, 200, true), Err(CommandError::Gone));
    lab.assert_settles();
}

fn args() -> ReferArgs {
    ReferArgs {
        whom: Referee::Outside(Box::new(Outside {
            to: Uri::parse("sip:bob@192.0.2.1:5070").expect("a URI"),
            from: Uri::parse("sip:room@conf.example.com").expect("a URI"),
            name: None,
            presentation: Presentation {
                user: Some("room".to_owned()),
                focus: true,
            },
            credentials: Some(Credentials::new("room", "secret")),
            via: None,
        })),
        refer_to: ReferTo::new(Uri::parse("sip:room@conf.example.com").expect("a URI")),
        headers: vec![("Referred-By".to_owned(), "<sip:ann@example.com>".to_owned())],
    }
}

/// A NOTIFY inside the subscription of a REFER of ours.
fn notify_of(refer: &Request, cseq: u32, state: &str, line: &str) -> String {
    let field = |name| String::from_utf8_lossy(refer.headers.first(name).expect("it is there")).into_owned();
    let number = refer.headers.cseq().expect("CSeq").number;
    let body = format!("{line}\r\n");
    format!(
        "NOTIFY sip:room@198.51.100.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5070;rport;branch=z9hG4bKn{cseq}\r\nFrom: {};tag=bob\r\nTo: {}\r\n\
         Call-ID: {}\r\nCSeq: {cseq} NOTIFY\r\nContact: <sip:bob@192.0.2.1:5070>\r\nEvent: refer;id={number}\r\nSubscription-State: {state}\r\n\
         Content-Type: message/sipfrag\r\nContent-Length: {}\r\n\r\n{body}",
        field(Name::To),
        field(Name::From),
        field(Name::CallId),
        body.len()
    )
}

const CONTACT: &str = "Contact: <sip:bob@192.0.2.1:5070>";

fn progress(lab: &mut Lab) -> (u16, bool) {
    let event = lab.event();
    let Event::ReferProgress { status, last, .. } = event else {
        panic!("progress, not {event:?}")
    };
    (status, last)
}

#[test]
fn a_refer_of_ours_is_followed_to_its_end() {
    // A NOTIFY may come before the response, and then makes the dialog (RFC 6665 section 4.1.2.4).
    for overtaken in [false, true] {
        let mut lab = Lab::new();
        lab.endpoint.refer(lab.now, args()).expect("reachable");
        let refer = lab.request();
        let to = refer.headers.refer_to().expect("one");
        assert_eq!(to.uri.to_string(), "sip:room@conf.example.com");
        assert!(refer.headers.has(Name::ReferredBy));
        if !overtaken {
            lab.answer(&refer, 202, "bob", CONTACT);
        }
        lab.hear(&notify_of(&refer, 1, "active;expires=60", "SIP/2.0 100 Trying"));
        assert_eq!(lab.response().status, 200);
        assert_eq!(progress(&mut lab), (100, false));
        if overtaken {
            lab.answer(&refer, 200, "bob", CONTACT);
        }
        assert_eq!(lab.endpoint.population().dialogs, 1);
        lab.hear(&notify_of(&refer, 2, "active;expires=60", "SIP/2.0 180 Ringing"));
        lab.hear(&notify_of(&refer, 3, "terminated;reason=noresource", "SIP/2.0 200 OK"));
        let said: Vec<_> = lab.events().into_iter().map(|e| format!("{e:?}")).collect();
        assert!(said.len() == 2 && said[1].contains("status: 200, last: true"), "{said:?}");
        lab.sent();
        lab.hear(&notify_of(&refer, 4, "active", "SIP/2.0 200 OK"));
        assert_eq!(lab.response().status, 481, "it is over");
        lab.assert_settles();
    }
}

#[test]
fn a_refer_of_ours_inside_a_call() {
    let mut lab = Lab::new();
    let (call, _) = lab.up();
    let whom = Referee::Call(call);
    lab.endpoint.refer(lab.now, ReferArgs { whom, ..args() }).expect("it is up");
    let refer = lab.request();
    assert_eq!(refer.headers.to().expect("To").tag(), Some("ann"));
    lab.answer(&refer, 200, "", "Refer-Sub: false");
    assert_eq!(progress(&mut lab), (100, true), "they tell nothing more");
    lab.assert_settles();
}

#[test]
fn a_refer_of_ours_that_comes_to_nothing() {
    let failure = |act: &dyn Fn(&mut Lab, &Request)| {
        let mut lab = Lab::new();
        lab.endpoint.refer(lab.now, args()).expect("reachable");
        let refer = lab.request();
        act(&mut lab, &refer);
        let event = lab.events().pop();
        let Some(Event::ReferFailed { failure, .. }) = event else {
            panic!("a failure, not {event:?}")
        };
        lab.sent();
        lab.assert_settles();
        failure
    };
    let refused = failure(&|lab, refer| lab.answer(refer, 603, "bob", ""));
    assert!(matches!(refused, ReferFailure::Refused { response } if response.status == 603));
    assert_eq!(
        failure(&|lab, _| lab.pass(Duration::from_secs(32))),
        ReferFailure::Unreachable("no answer")
    );
    let silent = failure(&|lab, refer| {
        lab.answer(refer, 200, "bob", CONTACT);
        lab.pass(Duration::from_secs(33));
    });
    assert_eq!(silent, ReferFailure::Silent);
    let unread = failure(&|lab, refer| {
        lab.answer(refer, 200, "bob", CONTACT);
        lab.hear(&notify_of(refer, 1, "terminated", "nothing to be read"));
    });
    assert_eq!(unread, ReferFailure::Silent);
}

#[test]
fn a_refer_of_ours_is_signed_once() {
    let mut lab = Lab::new();
    lab.endpoint.refer(lab.now, args()).expect("reachable");
    let first = lab.request();
    let challenge = "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", algorithm=MD5, qop=\"auth\"";
    lab.answer(&first, 401, "bob", challenge);
    let second = lab.request();
    assert!(second.headers.has(Name::Authorization));
    let number = |request: &Request| request.headers.cseq().expect("CSeq").number;
    assert_eq!(number(&second), number(&first) + 1);
    lab.answer(&second, 401, "bob", challenge);
    assert!(matches!(lab.event(), Event::ReferFailed { .. }));
    lab.assert_settles();
}
