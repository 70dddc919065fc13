//! The harness's own chat user, against Prosody's own MUC: what it reports is what happened.

use cusax::app::prosody::{Prosody, Setup};

use super::peers::{Chat, Folder};

#[test]
fn a_chat_user_joins_speaks_moderates_and_reports() {
    let folder = Folder::new("chat");
    let setup = Setup {
        own_muc: Some("conference.localhost".into()),
        ..Setup::localhost(&["ann", "bob"])
    };
    let prosody = Prosody::start(setup, &folder.join("prosody")).expect("prosody starts");
    let room = "standup@conference.localhost";
    let mut ann = Chat::login(&prosody, &folder, "ann");
    let mut bob = Chat::login(&prosody, &folder, "bob");

    let joined = ann.join(room, "Ann");
    assert_eq!(joined["self"]["affiliation"], "owner", "{joined}");
    assert_eq!(joined["self"]["statuses"], serde_json::json!([201, 110]), "{joined}");
    let joined = bob.join(room, "Bob");
    assert_eq!(joined["occupants"][0]["nick"], "Ann", "{joined}");

    bob.say(room, "Good morning");
    let said = ann.message("Good morning").event;
    assert_eq!((said["nick"].as_str(), said["type"].as_str()), (Some("Bob"), Some("groupchat")));

    bob.forget();
    ann.set_role(room, "Bob", "visitor").expect("an owner may");
    let muted = bob.presence(&format!("{room}/Bob"), |p| p["role"] == "visitor");
    assert_eq!(muted.event["statuses"], serde_json::json!([110]));
    assert_eq!(bob.set_role(room, "Ann", "none"), Err("not-allowed".into()));
    ann.set_role(room, "Bob", "none").expect("an owner may");
    let kicked = bob.presence(&format!("{room}/Bob"), |p| p["type"] == "unavailable").event;
    assert!(kicked["statuses"].as_array().expect("a list").contains(&307.into()), "{kicked}");

    ann.set_affiliation(room, "bob@localhost", "outcast").expect("an owner may");
    assert_eq!(
        bob.order("join", serde_json::json!({"room": room, "nick": "Bob"})),
        Err("forbidden".into())
    );
    let info = ann.info(room);
    assert!(
        info["features"]
            .as_array()
            .expect("a list")
            .contains(&"http://jabber.org/protocol/muc".into()),
        "{info}"
    );
    assert_eq!(ann.events.all(|e| e["event"] == "noise").len(), 0);
}
