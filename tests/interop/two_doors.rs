//! The whole bridge between real phones and real chat users.

use std::time::Duration;

use serde_json::Value;

use super::peers::{self, Chat, Folder, Phone, PhoneSetup, Server, server::ROOM};

#[test]
fn first_contact() {
    let folder = Folder::new("doors");
    let prosody = peers::prosody(&folder, &["ann", "bob"]);
    let server = Server::start(&prosody, &folder, "");
    let mut ann = Chat::login(&prosody, &folder, "ann");
    let joined = ann.join(ROOM, "Ann");
    eprintln!("{joined:#}");
    let info = ann.info(ROOM);
    eprintln!("{info:#}");
    let mut phone = Phone::start(&folder, PhoneSetup::new("zoe", 440));
    phone.call(&server.room_uri("standup", "udp"));
    let people = server.wait_people("standup", "two people", |p| p.len() == 2);
    eprintln!("{people:#?}");
    eprintln!("{}", std::fs::read_to_string(server.log()).unwrap());
    let _: Option<(Value, Duration)> = None;
}
