//! A real browser in a room: ICE, DTLS, and sound both ways, judged by frequency.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use super::peers::{self, Browser, Caller, Folder, Phone, PhoneSetup, Server, server::Special};

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
