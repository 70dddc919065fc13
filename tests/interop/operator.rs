//! The operator at a running server: what `cusax room` shows, what its orders do to real phones, and its exit codes.

use std::time::Duration;

use serde_json::json;

use super::{
    peers::{self, Chat, Folder, Phone, PhoneSetup},
    server::{Server, ServerSetup},
};

const WINDOW: Duration = Duration::from_millis(300);

#[test]
fn the_operator_sees_mutes_kicks_and_locks() {
    let folder = Folder::new("operator");
    let prosody = peers::prosody(&folder, &["ann"]);
    let server = Server::start(&folder, &prosody, &ServerSetup::new(&["ann"]));
    let mut ann = Chat::login(&prosody, &folder, "ann");
    ann.join("standup@rooms.localhost", "Ann");
    let mut pete = Phone::start(&folder, PhoneSetup::new("pete", 440));
    let mut quin = Phone::start(&folder, PhoneSetup::new("quin", 1000));
    pete.call(&server.room_uri("standup"));
    quin.call(&server.room_uri("standup"));

    let shown = server.wait_shown("standup", "two calls up", |room| {
        let people = room["people"].as_array();
        people.is_some_and(|all| all.iter().filter(|p| p["legs"][0]["state"] == "up").count() == 2)
    });
    let person = |name: &str| {
        let people = shown["people"].as_array().expect("a list");
        let found = people.iter().find(|p| p["name"].as_str().is_some_and(|n| n.starts_with(name)));
        found.unwrap_or_else(|| panic!("no {name} in {shown:#}")).clone()
    };
    assert_eq!(
        (person("Ann")["text"].as_str(), person("Ann")["audio"].as_str()),
        (Some("two-way"), Some("none"))
    );
    assert_eq!(person("pete")["audio"], "two-way");
    let row = format!("#{}", person("pete")["row"]);
    let (good, rooms) = server.operator(&["room", "list"]);
    assert!(good);
    assert_eq!(
        (&rooms["rooms"][0]["name"], &rooms["rooms"][0]["legs"]),
        (&json!("standup"), &json!(2)),
        "{rooms}"
    );
    assert_eq!(rooms["rooms"][0]["sip"], "sip:standup@conf.localhost");

    let order = |arguments: &[&str]| {
        let (good, reply) = server.operator(&[&["room"], arguments].concat());
        (good, reply["reply"]["result"].as_str().map(str::to_owned))
    };
    let done = |result: &str| (true, Some(result.to_owned()));
    quin.hears(440, true, WINDOW);
    assert_eq!(order(&["mute", "standup", &row]), done("done"));
    quin.hears(440, false, WINDOW);
    pete.hears(1000, true, WINDOW);
    assert_eq!(order(&["mute", "standup", &row]), done("unchanged"));
    assert_eq!(order(&["unmute", "standup", &row]), done("done"));
    quin.hears(440, true, WINDOW);

    assert_eq!(order(&["lock", "standup"]), done("done"));
    let mut late = Phone::start(&folder, PhoneSetup::new("late", 700));
    late.events.forget();
    late.order("dial", &server.room_uri("standup"));
    let refused = late.closed().event;
    assert!(refused["param"].as_str().is_some_and(|why| why.contains("403")), "{refused}");
    assert_eq!(order(&["lock", "standup", "--off"]), done("done"));
    late.call(&server.room_uri("standup"));

    assert_eq!(order(&["kick", "standup", &row, "--why", "noise"]), done("done"));
    pete.closed();
    server.wait_shown("standup", "pete gone", |room| !room.to_string().contains("pete"));

    // What is not there is told by the exit code too.
    assert_eq!(order(&["mute", "standup", "#4711"]), (false, Some("refused".to_owned())));
    let (good, reply) = server.operator(&["room", "show", "nowhere"]);
    assert!(!good);
    assert_eq!(reply["answer"], "error", "{reply}");
}
