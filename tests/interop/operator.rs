//! The operator at a running server: what `cusax room` shows, what its orders do to real phones, and its exit codes.

use std::time::Duration;

use serde_json::{Value, json};

use super::peers::{self, Chat, Folder, Phone, PhoneSetup, Server, server::ROOM};

const WINDOW: Duration = Duration::from_millis(300);

#[test]
fn the_operator_sees_mutes_kicks_and_locks() {
    let folder = Folder::new("operator");
    let prosody = peers::prosody(&folder, &["ann"]);
    let server = Server::start(&prosody, &folder, "");
    let mut ann = Chat::login(&prosody, &folder, "ann");
    ann.join(ROOM, "Ann");
    let mut pete = Phone::start(&folder, PhoneSetup::new("pete", 440));
    let mut quin = Phone::start(&folder, PhoneSetup::new("quin", 1000));
    pete.call(&server.room_uri("standup", "udp"));
    quin.call(&server.room_uri("standup", "udp"));

    let up = |people: &[Value]| people.iter().filter(|p| p["legs"][0]["state"] == "up").count();
    let people = server.wait_people("standup", "with two calls", |people| up(people) == 2);
    let person = |name: &str| {
        let found = people.iter().find(|p| p["name"].as_str().is_some_and(|n| n.starts_with(name)));
        found.unwrap_or_else(|| panic!("no {name} in {people:#?}"))
    };
    assert_eq!(
        (person("Ann")["text"].as_str(), person("Ann")["audio"].as_str()),
        (Some("two-way"), Some("none"))
    );
    assert_eq!(person("pete")["audio"], "two-way");
    let row = format!("#{}", person("pete")["row"]);
    let (rooms, good) = server.operator(&["room", "list"]);
    assert!(good);
    assert_eq!(
        (&rooms["rooms"][0]["name"], &rooms["rooms"][0]["legs"]),
        (&json!("standup"), &json!(2)),
        "{rooms}"
    );
    assert_eq!(rooms["rooms"][0]["sip"], "sip:standup@conf.localhost");

    let order = |arguments: &[&str]| {
        let (reply, good) = server.operator(&[&["room"], arguments].concat());
        (good, reply["reply"]["result"].as_str().map(str::to_owned))
    };
    let done = |result: &str| (true, Some(result.to_owned()));
    quin.hears(440, true, WINDOW);
    let heard_well = |people: &[Value]| {
        people
            .iter()
            .any(|p| p["legs"][0]["voice"]["mos"].as_f64().is_some_and(|mos| mos > 4.0))
    };
    server.wait_people("standup", "with how it sounds", heard_well);
    assert_eq!(order(&["mute", "standup", &row]), done("done"));
    quin.hears(440, false, WINDOW);
    pete.hears(1000, true, WINDOW);
    assert_eq!(order(&["mute", "standup", &row]), done("unchanged"));
    assert_eq!(order(&["unmute", "standup", &row]), done("done"));
    quin.hears(440, true, WINDOW);

    assert_eq!(order(&["lock", "standup"]), done("done"));
    let mut late = Phone::start(&folder, PhoneSetup::new("late", 700));
    late.events.forget();
    late.order("dial", &server.room_uri("standup", "udp"));
    let refused = late.closed().event;
    assert!(refused["param"].as_str().is_some_and(|why| why.contains("403")), "{refused}");
    assert_eq!(order(&["lock", "standup", "--off"]), done("done"));
    late.call(&server.room_uri("standup", "udp"));

    assert_eq!(order(&["kick", "standup", &row, "--why", "noise"]), done("done"));
    pete.closed();
    server.wait_people("standup", "without pete", |people| {
        !people.iter().any(|p| p.to_string().contains("pete"))
    });

    // What is not there is told by the exit code too.
    assert_eq!(order(&["mute", "standup", "#4711"]), (false, Some("refused".to_owned())));
    let (reply, good) = server.operator(&["room", "show", "nowhere"]);
    assert!(!good);
    assert_eq!(reply["answer"], "error", "{reply}");
}

#[test]
fn r81_a_server_that_is_drained_ends_with_its_last_call() {
    let folder = Folder::new("drain");
    let prosody = peers::prosody(&folder, &["ann"]);
    let mut server = Server::start(&prosody, &folder, "");
    let mut pete = Phone::start(&folder, PhoneSetup::new("pete", 440));
    let mut quin = Phone::start(&folder, PhoneSetup::new("quin", 1000));
    pete.call(&server.room_uri("standup", "udp"));
    quin.call(&server.room_uri("standup", "udp"));

    assert_eq!(server.operator(&["drain"]), (json!({"answer": "draining", "on": true}), true));
    server.wait_counter("calls.draining", 1);
    let mut late = Phone::start(&folder, PhoneSetup::new("late", 700));
    late.events.forget();
    late.order("dial", &server.room_uri("standup", "udp"));
    let refused = late.closed().event;
    assert!(refused["param"].as_str().is_some_and(|why| why.contains("503")), "{refused}");
    quin.hears(440, true, WINDOW);

    assert!(server.operator(&["drain", "--off"]).1);
    late.call(&server.room_uri("standup", "udp"));
    assert!(server.operator(&["drain"]).1);
    for phone in [&mut pete, &mut late] {
        phone.hang_up();
    }
    server.wait_people("standup", "left to one", |people| people.len() == 1);
    quin.hang_up();
    assert!(server.ended().success());
}
