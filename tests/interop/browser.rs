//! A real browser in a room: ICE, DTLS, and sound both ways, judged by frequency.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use cusax::app::child;
use serde_json::Value;

use super::peers::{self, Browser, Caller, Folder, Phone, PhoneSetup, Server, events::LIMIT, jssip, server::Special};

const WINDOW: Duration = Duration::from_millis(300);

#[test]
fn a_browser_and_a_phone_hear_each_other_until_the_tab_is_closed() {
    let folder = Folder::new("browser");
    let prosody = peers::prosody(&folder, &["ann"]);
    let special = Special {
        // Somebody without encryption is in the room too.
        media: "srtp = 'allowed'",
        ..Special::default()
    };
    let server = Server::start_with(&prosody, &folder, &special);
    let mut max = Phone::start(&folder, PhoneSetup::new("max", 1000));
    max.call(&server.room_uri("standup", "udp"));

    let signalling = Arc::new(Mutex::new(Caller::new(server.udp()).expect("sockets")));
    let caller = Arc::clone(&signalling);
    let mut web = Browser::start(&folder, 440, move |offer| {
        let mut caller = caller.lock().expect("nobody panicked");
        caller.carry("standup", "web", offer).expect("a call").1
    });
    max.hears(440, true, WINDOW);
    let heard = web.hears(1000).event;
    assert_eq!(heard["state"], "connected", "{heard}");
    assert_eq!((server.counter("media.handshakes"), server.counter("media.checks_refused")), (1, 0));
    let people = server.people("standup");
    let person = people.iter().find(|p| p["name"] == "web").expect("it is in the room");
    assert_eq!(person["legs"][0]["voice"]["protection"], "dtls", "{person}");
    peers::tell(&format!("Chromium with DTLS {} and {}", heard["dtls"], heard["srtp"]));

    web.hang_up();
    server.wait_counter("media.handshakes_closed", 1);
    signalling.lock().expect("nobody panicked").ended().expect("a BYE");
    server.wait_people("standup", "max alone", |people| people.len() == 1);
}

fn talks(event: &Value) -> bool {
    event["sip"] == "confirmed" && event["state"] == "connected"
}

/// Whether somebody's row in a document says of their voice that it only listens.
fn document_mutes(event: &Value, name: &str) -> bool {
    let document = event["document"].as_str().unwrap_or_default();
    let row = document.split("<user ").find(|row| row.contains(name));
    row.is_some_and(|row| row.contains("<status>recvonly</status>"))
}

#[test]
fn rfc7118_a_jssip_page_talks_is_muted_holds_and_dies() {
    let folder = Folder::new("jssip");
    let prosody = peers::prosody(&folder, &["ann"]);
    let special = Special {
        media: "timeout_s = 8",
        ..Special::default()
    };
    let server = Server::start_with(&prosody, &folder, &special);
    let mut max = Phone::start(&folder, PhoneSetup::new("max", 1000));
    max.call(&server.room_uri("standup", "udp"));
    let mut web = jssip::call(&server, &folder, 440, Some("ann"));
    web.events.wait("its call", talks);
    max.hears(440, true, WINDOW);
    web.hears(1000);
    let people = server.people("standup");
    let ann = people
        .iter()
        .find(|p| p["name"] == "ann")
        .expect("she is in the room by her account");
    assert_eq!(ann["legs"][0]["voice"]["protection"], "dtls", "{ann}");
    server.wait_counter("calls.challenged", 1);

    web.order("watch");
    web.events
        .wait("the conference", |e| e["document"].as_str().is_some_and(|d| d.contains("<user ")));
    assert!(server.operator(&["room", "mute", "standup", "ann"]).1);
    web.events.wait("that it is muted", |e| document_mutes(e, "ann"));
    max.hears(440, false, WINDOW);
    assert!(server.operator(&["room", "unmute", "standup", "ann"]).1);
    max.hears(440, true, WINDOW);

    web.order("hold");
    web.events.wait("its own hold", |e| e["hold"] == true);
    server.wait_people("standup", "ann on hold", |people| {
        people.iter().any(|p| p["name"] == "ann" && p["legs"][0]["state"] == "held")
    });
    max.hears(440, false, WINDOW);
    web.order("unhold");
    max.hears(440, true, WINDOW);
    web.events.forget();
    web.hears(1000);

    drop(web);
    server.wait_people("standup", "max alone", |people| people.len() == 1);
    let one_call = || (server.counter("calls.open") == 1).then_some(());
    child::wait_until(LIMIT, one_call).expect("her call is forgotten");
    max.hears(440, false, WINDOW);
}

#[test]
fn rfc7118_a_guest_on_a_jssip_page_comes_and_goes() {
    let folder = Folder::new("jssip-guest");
    let prosody = peers::prosody(&folder, &["ann"]);
    let server = Server::start(&prosody, &folder, "");
    let mut web = jssip::call(&server, &folder, 440, None);
    web.events.wait("its call", talks);
    let mut max = Phone::start(&folder, PhoneSetup::new("max", 1000));
    max.call(&server.room_uri("standup", "udp"));
    max.hears(440, true, WINDOW);
    web.hears(1000);
    assert!(server.operator(&["room", "kick", "standup", "guest"]).1);
    web.events
        .wait("its end", |e| e["sip"].as_str().is_some_and(|s| s.starts_with("ended: remote")));
    server.wait_people("standup", "max alone", |people| people.len() == 1);
}
