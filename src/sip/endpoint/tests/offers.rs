//! Changing the session (rules R40, R43).

use super::*;

fn reinvite(cseq: u32, tag: &str) -> Ask {
    Ask {
        branch: format!("re{cseq}"),
        cseq,
        ..Ask::invite()
    }
    .inside(tag)
}

#[test]
fn a_reinvite_is_accepted_and_confirmed() {
    let mut lab = Lab::new();
    let (call, tag) = lab.up();
    lab.hear(
        &reinvite(11, &tag)
            .with("Contact: <sip:ann@192.0.2.7>\r\n")
            .only("Contact: <sip:ann@192.0.2.7>\r\n")
            .sdp("hold")
            .text(),
    );
    let Event::Reoffer {
        within: OfferIn::Invite,
        offer,
        ..
    } = lab.event()
    else {
        panic!("an offer")
    };
    assert_eq!(offer, Some(Body::sdp("hold")));
    lab.endpoint.accept_reoffer(lab.now, call, Body::sdp("held")).expect("it waits");
    let ok = lab.response();
    assert_eq!((ok.status, &ok.body[..]), (200, &b"held"[..]));
    assert!(ok.headers.contact().expect("Contact").params.has("isfocus"));
    lab.pass(Duration::from_millis(500));
    assert_eq!(lab.brief(), ["200"], "resent until the ACK");
    lab.hear(
        &Ask {
            cseq: 11,
            ..Ask::ack().inside(&tag)
        }
        .text(),
    );
    assert!(matches!(lab.event(), Event::Confirmed { .. }));
    lab.endpoint.hang_up(lab.now, call, None).expect("it is up");
    assert_eq!(lab.request().uri.to_string(), "sip:ann@192.0.2.7", "the target was refreshed");
}

#[test]
fn r40_a_second_invite_before_the_first_is_answered_gets_500() {
    let mut lab = Lab::new();
    let call = lab.ringing();
    lab.endpoint.ring(lab.now, call, 180, focus()).expect("it rings");
    let tag = tag_of(&lab.response());
    lab.hear(&reinvite(11, &tag).text());
    let response = lab.response();
    assert_eq!(response.status, 500);
    assert!(response.headers.retry_after().expect("readable").is_some_and(|s| s <= 10));
    lab.hear(&Ask::new("UPDATE", "up", 12).sdp("offer").inside(&tag).text());
    assert_eq!(lab.response().status, 500);

    let mut lab = Lab::new();
    let (_, tag) = lab.up();
    lab.hear(&reinvite(11, &tag).text());
    lab.event();
    lab.hear(&reinvite(12, &tag).text());
    assert_eq!(lab.response().status, 500);
    lab.hear(&Ask::new("UPDATE", "up", 13).sdp("offer").inside(&tag).text());
    assert_eq!(lab.response().status, 500);
    assert!(lab.events().is_empty());
}

#[test]
fn r40_an_offer_against_ours_gets_491() {
    let mut lab = Lab::new();
    let (call, tag) = lab.up();
    lab.endpoint.reinvite(lab.now, call, Body::sdp("ours")).expect("it is up");
    assert_eq!(lab.request().method, Method::Invite);
    lab.hear(&reinvite(11, &tag).text());
    assert_eq!(lab.response().status, 491);
    lab.hear(&Ask::new("UPDATE", "up", 12).sdp("offer").inside(&tag).text());
    assert_eq!(lab.response().status, 491);
    lab.hear(&Ask::new("UPDATE", "up2", 13).inside(&tag).text());
    assert_eq!(lab.response().status, 200, "without an offer there is nothing to clash");
}

#[test]
fn r40_an_offer_while_ours_waits_for_its_answer_in_the_ack_gets_491() {
    let mut lab = Lab::new();
    lab.hear(&Ask::new("INVITE", "one", 10).text());
    let Event::Invite { call, .. } = lab.event() else {
        panic!("a call")
    };
    lab.endpoint
        .accept(lab.now, call, focus(), Body::sdp("our offer"))
        .expect("it rings");
    let tag = tag_of(&lab.response());
    lab.hear(&Ask::new("UPDATE", "up", 11).sdp("offer").inside(&tag).text());
    assert_eq!(lab.response().status, 491);
}

#[test]
fn r40_after_their_491_we_wait_before_the_application_may_offer_again() {
    let mut lab = Lab::new();
    let (call, _) = lab.up();
    lab.endpoint.reinvite(lab.now, call, Body::sdp("ours")).expect("it is up");
    let invite = lab.request();
    lab.answer(&invite, 491, "", "");
    assert_eq!(lab.request().method, Method::Ack);
    assert_eq!(lab.endpoint.reinvite(lab.now, call, Body::sdp("ours")), Err(CommandError::NotNow));
    // We don't own the Call-ID: 0 to 2 s.
    lab.pass(Duration::from_secs(2));
    assert!(matches!(lab.event(), Event::ReofferFailed { status: 491, .. }));
    lab.endpoint.reinvite(lab.now, call, Body::sdp("ours")).expect("now it may");
}

#[test]
fn an_ack_that_was_lost_is_implied_by_the_next_invite() {
    let mut lab = Lab::new();
    let call = lab.ringing();
    lab.endpoint.accept(lab.now, call, focus(), Body::sdp("answer")).expect("it rings");
    let tag = tag_of(&lab.response());
    lab.hear(&reinvite(11, &tag).text());
    let events = lab.events();
    assert!(
        matches!(&events[..], [Event::Confirmed { .. }, Event::Reoffer { .. }]),
        "{events:?}"
    );
    lab.pass(Duration::from_secs(1));
    assert!(!lab.brief().contains(&"200".to_owned()), "the 2xx is not resent");
}

#[test]
fn r43_a_refused_offer_leaves_the_session() {
    let mut lab = Lab::new();
    let (call, tag) = lab.up();
    lab.hear(&reinvite(11, &tag).text());
    lab.event();
    lab.endpoint.reject_reoffer(lab.now, call, Rejection::new(488)).expect("it waits");
    assert_eq!(lab.response().status, 488);
    lab.hear(
        &Ask {
            branch: "re11".to_owned(),
            cseq: 11,
            ..Ask::ack().inside(&tag)
        }
        .text(),
    );
    lab.endpoint.reinvite(lab.now, call, Body::sdp("ours")).expect("it is up");
    let invite = lab.request();
    lab.answer(&invite, 488, "", "");
    assert_eq!(lab.request().method, Method::Ack);
    assert!(matches!(lab.event(), Event::ReofferFailed { status: 488, .. }));
    assert!(lab.endpoint.calls().eq([call]));
}

#[test]
fn r43_408_and_481_end_the_dialog() {
    for status in [408, 481] {
        let mut lab = Lab::new();
        let (call, _) = lab.up();
        lab.endpoint.reinvite(lab.now, call, Body::sdp("ours")).expect("it is up");
        let invite = lab.request();
        lab.answer(&invite, status, "", "");
        assert_eq!(lab.brief(), ["ACK", "BYE"]);
        assert_eq!(lab.ended(), EndCause::Lost);
        lab.assert_settles();
    }
}

#[test]
fn our_offer_is_answered_and_each_2xx_acknowledged() {
    let mut lab = Lab::new();
    let (call, _) = lab.up();
    lab.endpoint.reinvite(lab.now, call, Body::sdp("ours")).expect("it is up");
    let invite = lab.request();
    assert!(invite.headers.contact().expect("Contact").params.has("isfocus"));
    let more = "Contact: <sip:ann@192.0.2.8>\r\nContent-Type: application/sdp\r\n\r\ntheirs";
    lab.answer(&invite, 200, "", more);
    let ack = lab.request();
    assert_eq!(
        (ack.method.clone(), ack.uri.to_string()),
        (Method::Ack, "sip:ann@192.0.2.8".to_owned())
    );
    assert_eq!(
        ack.headers.cseq().expect("CSeq").number,
        invite.headers.cseq().expect("CSeq").number
    );
    let Event::ReofferAnswered { answer, .. } = lab.event() else {
        panic!("an answer")
    };
    assert_eq!(answer, Some(Body::sdp("theirs")));
    lab.answer(&invite, 200, "", more);
    assert_eq!(lab.request(), ack, "the ACK was lost");
    assert!(lab.events().is_empty());
}

#[test]
fn an_answer_to_our_offer_after_our_bye_is_only_acknowledged() {
    let mut lab = Lab::new();
    let (call, _) = lab.up();
    lab.endpoint.reinvite(lab.now, call, Body::sdp("ours")).expect("it is up");
    let invite = lab.request();
    lab.endpoint.hang_up(lab.now, call, None).expect("it is up");
    let bye = lab.request();
    lab.answer(&invite, 200, "", "Contact: <sip:ann@192.0.2.1:5070>\r\n");
    assert_eq!(lab.brief(), ["ACK"]);
    lab.answer(&bye, 200, "", "");
    assert_eq!(lab.ended(), EndCause::WeHungUp);
    lab.assert_settles();
}

#[test]
fn an_update_is_answered_without_an_ack() {
    let mut lab = Lab::new();
    let (call, tag) = lab.up();
    lab.hear(&Ask::new("UPDATE", "up", 11).sdp("offer").inside(&tag).text());
    let Event::Reoffer {
        within: OfferIn::Update, ..
    } = lab.event()
    else {
        panic!("an offer")
    };
    lab.endpoint.accept_reoffer(lab.now, call, Body::sdp("answer")).expect("it waits");
    assert_eq!(lab.response().status, 200);
    lab.pass(Duration::from_secs(5));
    assert!(lab.sent().is_empty());
}

#[test]
fn r41_a_reinvite_can_be_cancelled_and_the_call_goes_on() {
    let mut lab = Lab::new();
    let (call, tag) = lab.up();
    lab.hear(&reinvite(11, &tag).text());
    lab.event();
    lab.hear(
        &Ask {
            branch: "re11".to_owned(),
            ..Ask::new("CANCEL", "", 11)
        }
        .inside(&tag)
        .text(),
    );
    assert_eq!(lab.brief(), ["200", "487"]);
    assert!(matches!(lab.event(), Event::ReofferWithdrawn { .. }));
    assert_eq!(
        lab.endpoint.accept_reoffer(lab.now, call, Body::sdp("x")),
        Err(CommandError::NotNow)
    );
    assert!(lab.endpoint.calls().eq([call]));
}

#[test]
fn an_offer_that_the_application_forgets_is_answered_for_it() {
    let mut lab = Lab::new();
    let (call, tag) = lab.up();
    lab.hear(&reinvite(11, &tag).text());
    lab.event();
    lab.pass(Duration::from_secs(32));
    assert!(lab.brief().contains(&"500".to_owned()));
    assert!(matches!(lab.event(), Event::ReofferWithdrawn { .. }));
    lab.endpoint.reinvite(lab.now, call, Body::sdp("ours")).expect("nothing is stuck");
}
