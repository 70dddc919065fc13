//! The server when its surroundings fail: peers that die, freeze or lie, and its own end.

use std::time::{Duration, Instant};

use super::{
    peers::{self, Chat, Folder, Phone, PhoneSetup, events::LIMIT},
    server::{Server, ServerSetup},
};

const ROOM: &str = "standup@rooms.localhost";
/// The server promises three seconds; a machine that builds at the same time gets as many more. A call that is waited for takes 32.
const STOP_LIMIT: Duration = Duration::from_secs(6);

fn statuses(presence: &serde_json::Value, status: u16) -> bool {
    presence["statuses"].as_array().is_some_and(|all| all.contains(&status.into()))
}

/// Calls end with BYE, chat users are told 332, and the exit code is 0, even if one of the phones never answers.
fn a_signal_ends_it(signal: &str) {
    let folder = Folder::new("signal");
    let prosody = peers::prosody(&folder, &["ann"]);
    let mut server = Server::start(&folder, &prosody, &ServerSetup::new(&["ann"]));
    let mut ann = Chat::login(&prosody, &folder, "ann");
    ann.join(ROOM, "Ann");
    let mut pete = Phone::start(&folder, PhoneSetup::new("pete", 440));
    let mut stuck = Phone::start(&folder, PhoneSetup::new("stuck", 0));
    pete.call(&server.room_uri("standup"));
    stuck.call(&server.room_uri("standup"));
    server.wait_shown("standup", "two calls", |room| room.to_string().matches("\"up\"").count() == 2);
    stuck.freeze();

    ann.forget();
    let asked = Instant::now();
    server.signal(signal);
    pete.closed();
    let gone = ann.presence(&format!("{ROOM}/Ann"), |p| p["type"] == "unavailable").event;
    assert!(statuses(&gone, 332), "{gone}");
    let status = server.wait(LIMIT).expect("it ends");
    let took = asked.elapsed();
    assert!(status.success(), "{status}:\n{}", server.log());
    assert!(took < STOP_LIMIT, "{took:?}:\n{}", server.log());
}

#[test]
fn sigterm_says_goodbye_at_both_doors() {
    a_signal_ends_it("TERM");
}

#[test]
fn sigint_says_goodbye_at_both_doors() {
    a_signal_ends_it("INT");
}
