//! What is kept is bounded, in all and per source; beyond it there is 503.

use super::*;

fn limited(limits: Limits) -> Lab {
    Lab::with(EndpointConfig { limits, ..config() })
}

fn invite(n: u32) -> Ask {
    Ask {
        branch: format!("n{n}"),
        cseq: n,
        ..Ask::invite()
    }
}

fn assert_overload(lab: &mut Lab) {
    let response = lab.response();
    assert_eq!(response.status, 503);
    assert!(response.headers.retry_after().expect("readable").is_some());
    assert!(lab.events().is_empty());
}

#[test]
fn calls_are_bounded_per_source() {
    let mut lab = limited(Limits {
        calls_per_source: 2,
        ..Limits::default()
    });
    for n in 1..=2 {
        lab.hear(&invite(n).text());
        assert!(matches!(lab.event(), Event::Invite { .. }));
    }
    lab.hear(&invite(3).text());
    assert_overload(&mut lab);
    lab.flow = udp_from("203.0.113.9:5060");
    lab.hear(&invite(4).text());
    assert!(matches!(lab.event(), Event::Invite { .. }), "others get in");
    lab.assert_settles();
}

#[test]
fn subscriptions_are_bounded() {
    let mut lab = limited(Limits {
        subscriptions: 1,
        ..Limits::default()
    });
    let subscribe = |n: u32| Ask::new("SUBSCRIBE", &format!("s{n}"), n).with("Event: conference\r\n");
    lab.hear(&subscribe(1).text());
    assert!(matches!(lab.event(), Event::Subscribe { .. }));
    lab.hear(&subscribe(2).text());
    assert_overload(&mut lab);
    assert_eq!(lab.endpoint.population().dialogs, 1, "the dialog of the refused one is gone");
    lab.assert_settles();
}

#[test]
fn transactions_are_bounded() {
    let mut lab = limited(Limits {
        transactions_per_source: 3,
        ..Limits::default()
    });
    for n in 1..=3 {
        lab.hear(&Ask::new("FOO", &n.to_string(), n).text());
        assert_eq!(lab.response().status, 501);
    }
    lab.hear(&Ask::new("FOO", "4", 4).text());
    let first = lab.response();
    assert_eq!(first.status, 503);
    lab.hear(&Ask::new("FOO", "4", 4).text());
    assert_eq!(lab.response(), first, "the same without a transaction");
    assert_eq!(lab.endpoint.population().servers, 3);
    lab.assert_settles();
}

#[test]
fn who_is_asked_for_credentials_and_shows_none_is_bounded_and_others_get_in() {
    let mut lab = limited(Limits {
        unproven_per_source: 3,
        ..Limits::default()
    });
    let asked = |lab: &mut Lab, ask: &Ask| {
        lab.hear(&ask.text());
        let Event::Invite { call, .. } = lab.event() else {
            panic!("a call")
        };
        lab.endpoint.reject(lab.now, call, Rejection::new(401)).expect("it waits");
        assert_eq!(lab.brief(), ["401"]);
        lab.events();
    };
    for n in 1..=3 {
        asked(&mut lab, &invite(n));
    }
    lab.hear(&invite(4).text());
    assert_overload(&mut lab);
    assert_eq!((lab.endpoint.counters().unproven, lab.endpoint.counters().overload), (1, 0));
    // Whoever tries to prove it, and whoever comes from elsewhere.
    asked(&mut lab, &invite(5).with("Authorization: Digest username=\"ann\"\r\n"));
    let here = lab.flow;
    lab.flow = udp_from("203.0.113.9:5060");
    asked(&mut lab, &invite(6));
    lab.flow = here;
    lab.pass(Duration::from_secs(40));
    lab.transmits();
    asked(&mut lab, &invite(7));
    lab.assert_settles();
}

#[test]
fn r48_a_flood_is_dropped_unread_and_others_are_heard() {
    let mut lab = limited(Limits {
        messages_per_source: 10,
        ..Limits::default()
    });
    for n in 0..100 {
        lab.hear(&Ask::new("FOO", &n.to_string(), n).text());
    }
    assert_eq!(lab.sent().len(), 20);
    assert_eq!(lab.endpoint.counters().flooding, 80);
    lab.flow = udp_from("203.0.113.9:5060");
    lab.hear(&Ask::new("FOO", "other", 1).text());
    assert_eq!(lab.response().status, 501);
}
