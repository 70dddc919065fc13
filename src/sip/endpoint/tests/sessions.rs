//! Session timers (RFC 4028, rule R45).

use super::*;

fn call_with(fields: &str) -> (Lab, CallId, Response) {
    let mut lab = Lab::new();
    lab.hear(&Ask::invite().with(fields).text());
    let Event::Invite { call, .. } = lab.event() else {
        panic!("a call")
    };
    lab.endpoint.accept(lab.now, call, focus(), Body::sdp("answer")).expect("it rings");
    let ok = lab.response();
    lab.hear(&Ask::ack().inside(&tag_of(&ok)).text());
    lab.event();
    (lab, call, ok)
}

fn session(response: &Response) -> String {
    response
        .headers
        .session_expires()
        .expect("readable")
        .expect("Session-Expires")
        .to_string()
}

#[test]
fn r45_a_short_interval_is_refused_with_ours() {
    let mut lab = Lab::new();
    lab.hear(&Ask::invite().with("Supported: timer\r\nSession-Expires: 60\r\n").text());
    let response = lab.response();
    assert_eq!((response.status, response.headers.min_se().expect("readable")), (422, Some(90)));
    assert!(lab.events().is_empty());
}

#[test]
fn r45_a_peer_that_refreshes_goes_on_and_one_that_does_not_is_hung_up() {
    let (mut lab, _, ok) = call_with("Supported: timer\r\nSession-Expires: 90;refresher=uac\r\n");
    assert_eq!(session(&ok), "90;refresher=uac");
    assert_eq!(ok.headers.require().expect("readable"), ["timer"]);
    let tag = tag_of(&ok);
    for cseq in 11..14 {
        lab.pass(Duration::from_secs(45));
        let update = Ask::new("UPDATE", &format!("up{cseq}"), cseq).inside(&tag);
        lab.hear(&update.with("Supported: timer\r\nSession-Expires: 90;refresher=uac\r\n").text());
        assert_eq!(session(&lab.response()), "90;refresher=uac");
    }
    assert!(lab.events().is_empty());
    lab.pass(Duration::from_secs(59));
    assert!(lab.sent().is_empty());
    lab.pass(Duration::from_secs(1));
    assert_eq!(lab.request().method, Method::Bye);
    assert_eq!(lab.ended(), EndCause::Expired);
    lab.assert_settles();
}

#[test]
fn r45_we_refresh_a_peer_without_the_extension_by_update() {
    let (mut lab, _, ok) = call_with("Allow: INVITE, ACK, BYE, UPDATE\r\n");
    assert_eq!(session(&ok), "1800;refresher=uas");
    assert!(ok.headers.require().expect("readable").is_empty());
    for _ in 0..3 {
        lab.pass(Duration::from_secs(900));
        let update = lab.request();
        assert_eq!((update.method.clone(), update.body.len()), (Method::Update, 0));
        assert_eq!(
            update.headers.session_expires().expect("readable").expect("there").to_string(),
            "1800;refresher=uac"
        );
        lab.answer(&update, 200, "", "");
    }
    assert!(lab.events().is_empty());
}

#[test]
fn r45_we_refresh_by_reinvite_where_update_is_unknown() {
    let (mut lab, _, _) = call_with("Allow: INVITE, ACK, BYE\r\n");
    lab.pass(Duration::from_secs(900));
    let invite = lab.request();
    assert_eq!(
        (invite.method.clone(), &invite.body[..]),
        (Method::Invite, &b"answer"[..]),
        "our last description"
    );
    lab.answer(&invite, 200, "", "Content-Type: application/sdp\r\n\r\ntheirs");
    assert_eq!(lab.request().method, Method::Ack);
    assert!(matches!(lab.event(), Event::ReofferAnswered { .. }));
    lab.pass(Duration::from_secs(900));
    assert_eq!(lab.request().method, Method::Invite);
}

#[test]
fn r45_a_peer_that_does_not_answer_the_refresh_is_gone() {
    let (mut lab, _, _) = call_with("Allow: UPDATE\r\n");
    lab.pass(Duration::from_secs(933));
    let sent = lab.brief();
    assert!(
        sent.iter().filter(|what| *what == "UPDATE").count() > 5 && sent.contains(&"BYE".to_owned()),
        "{sent:?}"
    );
    assert_eq!(lab.ended(), EndCause::Lost);
    lab.assert_settles();
}

#[test]
fn r45_an_absurd_interval_makes_no_flood() {
    let (mut lab, _, _) = call_with("Session-Expires: 1\r\nAllow: UPDATE\r\n");
    lab.pass(Duration::from_secs(44));
    assert!(lab.sent().is_empty());
    lab.pass(Duration::from_secs(1));
    let update = lab.request();
    lab.answer(&update, 200, "", "Session-Expires: 0;refresher=uac\r\n");
    lab.pass(Duration::from_secs(44));
    assert!(lab.sent().is_empty());
}

#[test]
fn r45_a_refused_update_is_tried_as_reinvite() {
    let (mut lab, _, _) = call_with("Allow: UPDATE\r\n");
    lab.pass(Duration::from_secs(900));
    let update = lab.request();
    lab.answer(&update, 405, "", "");
    lab.pass(Duration::ZERO);
    assert_eq!(lab.request().method, Method::Invite);
}
