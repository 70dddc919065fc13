//! Callers by trunk through the whole bridge: who is believed to be who, who is refused, and what nobody is told.

use std::time::Duration;

use cusax::model::control::{RoomCommand, RoomReply};
use cusax::model::trunk::{AssertedIdentity, RoomPattern, Trunk, TrunkCredentials};
use cusax::model::{Caller, Pii, RoomName, TrunkId};

use super::world::{Manner, World};

const NUMBER: (&str, &str) = (
    "P-Asserted-Identity",
    "\"+49 30 5550 1234\" <sip:+493055501234@telco.example;user=phone>",
);

/// A trunk that calls from where the simulated phones are.
fn telco() -> Trunk {
    Trunk {
        addresses: vec!["198.51.100.0/24".parse().expect("a network")],
        identity: AssertedIdentity::Number,
        ..Trunk::new(TrunkId::new("telco"))
    }
}

/// The only caller in the room, and what they are called there.
fn caller(w: &World) -> (Option<Caller>, String) {
    let room = w.rooms[&RoomName::new("blue").expect("a name")].room();
    let mut people = room.people().filter(|p| !p.legs.is_empty());
    let found = people.next().expect("somebody is on the phone");
    assert!(people.next().is_none(), "one alone");
    (found.caller, found.name)
}

fn joins(trunks: Vec<Trunk>, headers: &[(&str, &str)]) -> World {
    let mut w = World::trunked(3, trunks);
    w.phone("gateway");
    w.dial_with("gateway", "blue", headers);
    w.run_until("the call is up", |w| w.at("gateway").log.iter().any(|l| l == "200"));
    w.run_for(Duration::from_millis(20));
    w
}

fn by_telco(number: &str, name: Option<&str>) -> Option<Caller> {
    Some(Caller::Trunk {
        trunk: TrunkId::new("telco"),
        number: number.to_owned(),
        name: name.map(str::to_owned),
    })
}

#[test]
fn rfc3325_5_a_believed_trunk_says_who_calls_and_moderators_alone_see_the_number() {
    let mut w = joins(vec![telco()], &[NUMBER]);
    let (who, name) = caller(&w);
    assert_eq!(who, by_telco("+493055501234", Some("+49 30 5550 1234")));
    assert_eq!(name, "+49…34", "rule R13");
    w.chat("ann");
    w.enter("ann", "blue");
    w.join_by_phone("ann", "blue");
    w.join_by_phone("bob", "blue");
    for (watcher, sees) in [("ann", true), ("bob", false)] {
        w.subscribe(watcher, "blue", 600);
        w.run_for(Duration::from_secs(6));
        let document = w.at(watcher).documents.last().expect("state");
        assert_eq!(document.contains("tel:+493055501234"), sees, "{watcher}: {document}");
    }
    w.hang_up("gateway");
    w.run_for(Duration::from_secs(1));
    assert_eq!(w.records[0].caller, "trunk telco");
}

#[test]
fn rfc3325_5_spoofed_identities_count_for_nothing() {
    let unbelieved = Trunk {
        identity: AssertedIdentity::Ignored,
        ..telco()
    };
    let elsewhere = Trunk {
        addresses: vec!["192.0.2.0/24".parse().expect("a network")],
        ..telco()
    };
    for trunks in [vec![], vec![elsewhere], vec![unbelieved]] {
        let w = joins(trunks.clone(), &[NUMBER]);
        let claims = Caller::Claimed {
            uri: "sip:gateway@elsewhere.example".to_owned(),
            name: None,
        };
        assert_eq!(caller(&w).0, Some(claims), "{trunks:?}");
        assert_eq!(w.counters().ignored_identities, 1);
    }
    // An account is who it has proven to be, whatever it asserts.
    let mut w = World::trunked(3, vec![]);
    w.phone("ann");
    w.dial_with("ann", "blue", &[NUMBER]);
    w.run_until("the call is up", |w| w.at("ann").log.iter().any(|l| l == "200"));
    assert!(matches!(caller(&w).0, Some(Caller::Account { aor, .. }) if aor.as_str() == "sip:ann@conf.example.com"));
    assert_eq!(w.counters().ignored_identities, 2, "with and without credentials");
}

#[test]
fn only_a_trunk_that_may_vouches_for_our_accounts() {
    let ann = [("P-Asserted-Identity", "<sip:ann@conf.example.com>")];
    assert_eq!(caller(&joins(vec![telco()], &ann)).0, by_telco("ann", None));
    let proxy = Trunk {
        identity: AssertedIdentity::Account,
        ..telco()
    };
    let w = joins(vec![proxy], &ann);
    assert!(matches!(caller(&w).0, Some(Caller::Account { aor, .. }) if aor.as_str() == "sip:ann@conf.example.com"));
}

#[test]
fn r13_who_withholds_their_number_stays_unknown_everywhere() {
    let mut w = joins(vec![telco()], &[NUMBER, ("Privacy", "id")]);
    assert_eq!(caller(&w), (Some(Caller::Anonymous), "Anonymous".to_owned()));
    w.chat("ann");
    w.enter("ann", "blue");
    w.join_by_phone("ann", "blue");
    w.subscribe("ann", "blue", 600);
    w.run_for(Duration::from_secs(6));
    let document = w.at("ann").documents.last().expect("state");
    assert!(!document.contains("5550"), "{document}");
    w.hang_up("gateway");
    w.run_for(Duration::from_secs(1));
    let record = format!("{:?}", w.records[0]);
    assert!(record.contains("anonymous") && !record.contains("5550"), "{record}");
}

/// How a call from a trunk that has to sign in ends.
fn signs_in(trunks: Vec<Trunk>, user: &str, secret: &str) -> (World, String) {
    let mut w = World::trunked(3, trunks);
    w.phone("gateway");
    w.sign_in("gateway", user, secret);
    w.dial_with("gateway", "blue", &[NUMBER]);
    w.run_until("an answer", |w| {
        w.at("gateway").log.iter().any(|l| l == "200" || l.starts_with("ended"))
    });
    w.run_for(Duration::from_millis(50));
    let last = w
        .at("gateway")
        .received
        .iter()
        .rev()
        .find(|r| r.starts_with("SIP/2.0"))
        .expect("a response");
    let status = last.split(' ').nth(1).expect("a status").to_owned();
    (w, status)
}

fn with_secret(name: &str, network: &str) -> Trunk {
    Trunk {
        id: TrunkId::new(name),
        addresses: vec![network.parse().expect("a network")],
        login: true,
        credentials: Some(TrunkCredentials {
            user: name.to_owned(),
            secret: Pii(format!("{name}'s secret")),
        }),
        ..telco()
    }
}

#[test]
fn a_trunk_that_signs_in_is_asked_and_believed_then() {
    let trunks = || vec![with_secret("telco", "198.51.100.0/24"), with_secret("other", "192.0.2.0/24")];
    let (w, status) = signs_in(trunks(), "telco", "telco's secret");
    assert_eq!((status.as_str(), w.counters().challenged), ("200", 1));
    assert_eq!(caller(&w).0, by_telco("+493055501234", Some("+49 30 5550 1234")));
    let (w, status) = signs_in(trunks(), "telco", "a guess");
    assert_eq!((status.as_str(), w.counters().bad_credentials), ("401", 1));
}

#[test]
fn credentials_of_one_trunk_are_worth_nothing_at_another() {
    let trunks = vec![with_secret("telco", "198.51.100.0/24"), with_secret("other", "192.0.2.0/24")];
    let (w, status) = signs_in(trunks, "other", "other's secret");
    assert_eq!((status.as_str(), w.counters().misplaced_credentials), ("403", 1));
}

#[test]
fn callers_by_trunk_reach_the_rooms_that_they_may_and_know_of_no_other() {
    let narrow = Trunk {
        rooms: vec![RoomPattern::new("sales-*").expect("a pattern")],
        ..telco()
    };
    let mut w = World::trunked(3, vec![narrow]);
    w.phone("gateway");
    w.dial("gateway", "blue");
    w.run_until("an answer", |w| w.at("gateway").log.iter().any(|l| l.starts_with("ended")));
    let refused = w.at("gateway").received.iter().any(|r| r.starts_with("SIP/2.0 404"));
    assert!(refused && w.counters().not_found == 1, "{:?}", w.at("gateway").received);
}

/// The phones `one` and `two` are trunks; `proxy`, the first of all, is where other numbers go.
fn carriers(one: Manner) -> World {
    let carrier = |name: &str, host: u8| Trunk {
        server: Some(format!("sip:198.51.100.{host}:5060")),
        prefixes: vec!["+49".to_owned()],
        caller_id: Some("+49305550".to_owned()),
        trusted: host == 3,
        ..Trunk::new(TrunkId::new(name))
    };
    let mut w = World::trunked(5, vec![carrier("one", 2), carrier("two", 3)]);
    w.takes_calls("proxy", Manner::Answer);
    w.takes_calls("one", one);
    w.takes_calls("two", Manner::Answer);
    w
}

fn calls(w: &mut World, number: &str) {
    let order = RoomCommand::Dial {
        target: number.to_owned(),
        name: None,
        confirmed: true,
    };
    let reply = w.operator("blue", order);
    assert!(matches!(reply, RoomReply::Dialing { .. }), "{reply:?}");
    w.run_for(Duration::from_secs(40));
}

fn called(w: &World) -> Vec<&str> {
    let was = |name: &&str| w.at(name).log.iter().any(|l| l.starts_with("called: "));
    ["proxy", "one", "two"].into_iter().filter(was).collect()
}

#[test]
fn r47_a_number_is_called_by_the_next_trunk_when_one_fails() {
    let refuses = |status| Manner::Refuse(status, Vec::new());
    for (one, expected) in [
        (Manner::Answer, vec!["one"]),
        // Their word on whom we call, not on the way.
        (refuses(486), vec!["one"]),
        (refuses(404), vec!["one"]),
        (refuses(408), vec!["one", "two"]),
        (refuses(500), vec!["one", "two"]),
        (refuses(503), vec!["one", "two"]),
    ] {
        let shown = format!("{one:?}");
        let mut w = carriers(one);
        calls(&mut w, "+49 30 123456");
        assert_eq!(called(&w), expected, "{shown}");
        assert!(
            w.at("one")
                .log
                .contains(&"called: sip:+4930123456@198.51.100.2;user=phone".to_owned())
        );
    }
    // Nobody is there.
    let mut w = carriers(Manner::Answer);
    w.kill("one");
    calls(&mut w, "+49 30 123456");
    assert_eq!(called(&w), ["two"]);
    // What no trunk may carry.
    let mut w = carriers(Manner::Answer);
    calls(&mut w, "+43 1 123456");
    assert_eq!(called(&w), ["proxy"]);
}

#[test]
fn rfc3325_5_a_trunk_that_is_not_trusted_learns_no_more_than_it_needs() {
    let mut w = carriers(Manner::Refuse(503, Vec::new()));
    calls(&mut w, "+49 30 123456");
    let invite = |name: &str| {
        let mut received = w.at(name).received.iter();
        received.find(|r| r.starts_with("INVITE")).expect("called").clone()
    };
    let (one, two) = (invite("one"), invite("two"));
    assert!(one.contains("From: <sip:+49305550@conf.example.com>"), "{one}");
    for header in ["P-Asserted-Identity: <sip:+49305550@conf.example.com>", "Call-Info: <xmpp:"] {
        assert!(
            !one.contains(header.split(' ').next().expect("a name")) && two.contains(header),
            "{header}"
        );
    }
}
