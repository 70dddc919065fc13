//! The notifier of RFC 6665 (checklist M-2, rules R50, R51).

use super::*;

fn subscribe(cseq: u32, fields: &str) -> Ask {
    Ask::new("SUBSCRIBE", &format!("sub{cseq}"), cseq)
        .with("Event: conference\r\n")
        .with(fields)
}

fn document() -> Body {
    Body {
        content_type: "application/conference-info+xml".to_owned(),
        bytes: b"<conference-info/>".to_vec(),
    }
}

/// A subscription whose first NOTIFY is through; our tag.
fn active() -> (Lab, SubscriptionId, String) {
    let mut lab = Lab::new();
    lab.hear(&subscribe(1, "Expires: 600\r\n").text());
    let Event::Subscribe {
        subscription,
        call: None,
        fetch: false,
        ..
    } = lab.event()
    else {
        panic!("a subscription")
    };
    lab.endpoint.accept_subscription(lab.now, subscription, &focus()).expect("it waits");
    let tag = tag_of(&lab.response());
    lab.endpoint.notify(lab.now, subscription, document()).expect("it is active");
    let notify = lab.request();
    lab.answer(&notify, 200, "", "");
    assert!(matches!(
        lab.event(),
        Event::Notified {
            outcome: NotifyOutcome::Delivered,
            ..
        }
    ));
    (lab, subscription, tag)
}

fn state(request: &Request) -> String {
    request
        .headers
        .subscription_state()
        .expect("readable")
        .expect("Subscription-State")
        .to_string()
}

#[test]
fn m2_a_subscription_is_accepted_and_notified() {
    let mut lab = Lab::new();
    lab.hear(&subscribe(1, "").text().replace("Event: conference", "o: conference;id=7"));
    let Event::Subscribe { subscription, .. } = lab.event() else {
        panic!("a subscription")
    };
    lab.endpoint.accept_subscription(lab.now, subscription, &focus()).expect("it waits");
    let ok = lab.response();
    assert_eq!((ok.status, ok.headers.expires().expect("readable")), (200, Some(3600)));
    assert_eq!(
        ok.headers.contact().expect("Contact").to_string(),
        "<sip:room@198.51.100.1:5060>;isfocus"
    );
    lab.pass(Duration::from_secs(10));
    lab.endpoint.notify(lab.now, subscription, document()).expect("it is active");
    let notify = lab.request();
    assert_eq!(
        (notify.method.clone(), notify.uri.to_string()),
        (Method::Notify, "sip:ann@192.0.2.1:5070".to_owned())
    );
    assert_eq!(
        notify.headers.event().expect("readable").expect("Event").to_string(),
        "conference;id=7"
    );
    assert_eq!(state(&notify), "active;expires=3590");
    assert_eq!(notify.body, document().bytes);
    assert_eq!(
        lab.endpoint.notify(lab.now, subscription, document()),
        Err(CommandError::NotNow),
        "one at a time"
    );
}

#[test]
fn a_bad_event_gets_489() {
    for fields in ["Event: presence\r\n", ""] {
        let mut lab = Lab::new();
        lab.hear(&Ask::new("SUBSCRIBE", "sub", 1).with(fields).text());
        let response = lab.response();
        assert_eq!(response.status, 489);
        assert_eq!(response.headers.allow_events().expect("readable"), ["conference"]);
        lab.assert_settles();
    }
}

#[test]
fn expiry_is_clamped_or_refused() {
    for (asked, status, granted) in [("7200", 200, Some(3600)), ("600", 200, Some(600)), ("59", 423, None)] {
        let mut lab = Lab::new();
        lab.hear(&subscribe(1, &format!("Expires: {asked}\r\n")).text());
        if let Some(Event::Subscribe { subscription, .. }) = lab.events().pop() {
            lab.endpoint.accept_subscription(lab.now, subscription, &focus()).expect("it waits");
        }
        let response = lab.response();
        assert_eq!(
            (response.status, response.headers.expires().expect("readable")),
            (status, granted),
            "{asked}"
        );
        assert_eq!(response.headers.min_expires().expect("readable"), (status == 423).then_some(60));
    }
}

#[test]
fn expires_zero_fetches_once() {
    let mut lab = Lab::new();
    lab.hear(&subscribe(1, "Expires: 0\r\n").text());
    let Event::Subscribe {
        subscription, fetch: true, ..
    } = lab.event()
    else {
        panic!("a fetch")
    };
    lab.endpoint.accept_subscription(lab.now, subscription, &focus()).expect("it waits");
    assert_eq!(lab.response().headers.expires().expect("readable"), Some(0));
    lab.endpoint.notify(lab.now, subscription, document()).expect("the last one");
    let notify = lab.request();
    assert_eq!(state(&notify), "terminated;reason=timeout");
    lab.answer(&notify, 200, "", "");
    assert!(matches!(
        lab.event(),
        Event::SubscriptionEnded {
            why: SubscriptionEnd::Unsubscribed,
            ..
        }
    ));
    lab.assert_settles();
}

#[test]
fn r50_a_refresh_asks_for_the_full_state() {
    let (mut lab, subscription, tag) = active();
    lab.pass(Duration::from_secs(500));
    lab.hear(&subscribe(2, "Expires: 600\r\n").inside(&tag).text());
    assert_eq!(lab.response().headers.expires().expect("readable"), Some(600));
    assert!(matches!(lab.event(), Event::Refreshed { last: false, .. }));
    lab.endpoint.notify(lab.now, subscription, document()).expect("it is active");
    assert_eq!(state(&lab.request()), "active;expires=600");
    lab.hear(&subscribe(3, "Expires: 0\r\n").inside(&tag).text());
    assert_eq!(lab.response().status, 200);
    assert!(matches!(lab.event(), Event::Refreshed { last: true, .. }));
}

#[test]
fn a_subscription_that_is_not_refreshed_ends_with_a_word() {
    let (mut lab, _, _) = active();
    lab.pass(Duration::from_secs(600));
    let notify = lab.request();
    assert_eq!(state(&notify), "terminated;reason=timeout");
    lab.answer(&notify, 200, "", "");
    assert!(matches!(
        lab.event(),
        Event::SubscriptionEnded {
            why: SubscriptionEnd::Expired,
            ..
        }
    ));
    lab.assert_settles();
}

#[test]
fn terminate_waits_for_the_notify_under_way() {
    let (mut lab, subscription, _) = active();
    lab.endpoint.notify(lab.now, subscription, document()).expect("it is active");
    let first = lab.request();
    lab.endpoint
        .terminate(lab.now, subscription, TerminationReason::NoResource, Some(document()))
        .expect("it is active");
    assert!(lab.sent().is_empty());
    lab.answer(&first, 200, "", "");
    let last = lab.request();
    assert_eq!(
        (state(&last), &last.body),
        ("terminated;reason=noresource".to_owned(), &document().bytes)
    );
    lab.answer(&last, 200, "", "");
    assert!(matches!(
        lab.event(),
        Event::SubscriptionEnded {
            why: SubscriptionEnd::Terminated,
            ..
        }
    ));
    lab.assert_settles();
}

#[test]
fn a_notify_that_fails_ends_the_subscription_or_only_itself() {
    for (status, ends) in [(481, true), (489, true), (500, false), (486, false)] {
        let (mut lab, subscription, _) = active();
        lab.endpoint.notify(lab.now, subscription, document()).expect("it is active");
        let notify = lab.request();
        lab.answer(&notify, status, "", "");
        let event = lab.event();
        if ends {
            assert!(
                matches!(
                    event,
                    Event::SubscriptionEnded {
                        why: SubscriptionEnd::Lost,
                        ..
                    }
                ),
                "{status}: {event:?}"
            );
        } else {
            let refused = NotifyOutcome::Refused(status);
            assert!(
                matches!(event, Event::Notified { outcome, .. } if outcome == refused),
                "{status}: {event:?}"
            );
        }
    }
    let (mut lab, subscription, _) = active();
    lab.endpoint.notify(lab.now, subscription, document()).expect("it is active");
    lab.pass(Duration::from_secs(32));
    assert!(matches!(
        lab.event(),
        Event::SubscriptionEnded {
            why: SubscriptionEnd::Lost,
            ..
        }
    ));
    lab.assert_settles();
}

#[test]
fn a_rejected_subscription_leaves_nothing() {
    let mut lab = Lab::new();
    lab.hear(&subscribe(1, "Accept: text/plain\r\n").text());
    let Event::Subscribe { subscription, request, .. } = lab.event() else {
        panic!("a subscription")
    };
    assert!(request.headers.accept().expect("readable").is_some(), "the application looks");
    lab.endpoint
        .reject_subscription(lab.now, subscription, Rejection::new(406))
        .expect("it waits");
    assert_eq!(lab.response().status, 406);
    assert!(matches!(
        lab.event(),
        Event::SubscriptionEnded {
            why: SubscriptionEnd::Terminated,
            ..
        }
    ));
    lab.assert_settles();
}

#[test]
fn a_subscription_inside_a_call_shares_its_dialog_and_outlives_it() {
    let mut lab = Lab::new();
    let (call, tag) = lab.up();
    lab.hear(&subscribe(11, "").inside(&tag).text());
    let Event::Subscribe {
        subscription,
        call: Some(within),
        ..
    } = lab.event()
    else {
        panic!("a subscription in a call")
    };
    assert_eq!(within, call);
    lab.endpoint.accept_subscription(lab.now, subscription, &focus()).expect("it waits");
    assert_eq!(tag_of(&lab.response()), tag);
    lab.hear(&Ask::new("BYE", "bye", 12).inside(&tag).text());
    assert_eq!(lab.response().status, 200);
    assert!(matches!(lab.event(), Event::Ended { .. }));
    lab.endpoint.notify(lab.now, subscription, document()).expect("it is active");
    let notify = lab.request();
    assert_eq!(notify.headers.from().expect("From").tag(), Some(&tag[..]));
    lab.hear(&Ask::new("BYE", "bye2", 13).inside(&tag).text());
    assert_eq!(lab.response().status, 481, "no call is left in the dialog");
    lab.assert_settles();
}

#[test]
fn several_subscriptions_in_a_dialog_are_told_apart_and_bounded() {
    let (mut lab, _, tag) = active();
    let mut refused = 0;
    for n in 2..20 {
        let ask = subscribe(n, "")
            .inside(&tag)
            .text()
            .replace("Event: conference", &format!("Event: conference;id={n}"));
        lab.hear(&ask);
        let Some(Event::Subscribe { subscription, .. }) = lab.events().pop() else {
            refused += 1;
            continue;
        };
        lab.endpoint.accept_subscription(lab.now, subscription, &focus()).expect("it waits");
    }
    assert_eq!(refused, 11);
    assert_eq!(lab.endpoint.population().subscriptions, 8);
}

#[test]
fn an_application_that_forgets_a_subscription_does_not_keep_it_for_ever() {
    let mut lab = Lab::new();
    lab.hear(&subscribe(1, "").text());
    lab.event();
    lab.pass(Duration::from_secs(33));
    assert!(matches!(lab.event(), Event::SubscriptionEnded { .. }));
    lab.assert_settles();
}
