//! The server when its surroundings fail: peers that die, freeze, lie or flood, and its own end.

use std::{
    io::Write,
    net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket},
    thread,
    time::{Duration, Instant},
};

use cusax::app::child;
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};

use super::peers::{
    self, Chat, Folder, Gate, Phone, PhoneSetup, Script, Server, Sipp,
    events::LIMIT,
    server::{ROOM, Special},
};

/// Long enough for a frequency to be told from its neighbours.
const WINDOW: Duration = Duration::from_millis(300);
/// The server promises three seconds; a machine that builds at the same time gets as many more. A goodbye that is waited for takes 32.
const STOP_LIMIT: Duration = Duration::from_secs(6);

fn told(presence: &Value, status: u16) -> bool {
    presence["statuses"].as_array().is_some_and(|all| all.contains(&status.into()))
}

fn named<'a>(people: &'a [Value], name: &str) -> Option<&'a Value> {
    people.iter().find(|p| p["name"].as_str().is_some_and(|n| n.starts_with(name)))
}

/// Two phones that hear each other.
fn two_phones(folder: &Folder, server: &Server) -> [Phone; 2] {
    let mut phones = [("pete", 440), ("quin", 1000)].map(|(user, tone)| Phone::start(folder, PhoneSetup::new(user, tone)));
    for phone in &mut phones {
        phone.call(&server.room_uri("standup", "udp"));
    }
    phones[0].hears(1000, true, WINDOW);
    phones[1].hears(440, true, WINDOW);
    phones
}

/// Waits until a phone has heard another second from now on, which ends with this tone.
fn goes_on(phone: &Phone, hz: u32) {
    let before = phone.heard().length();
    let more = || (phone.heard().length() >= before + Duration::from_secs(1)).then_some(());
    child::wait_until(LIMIT, more).expect("it goes on hearing");
    phone.hears(hz, true, WINDOW);
}

#[test]
fn r30_calls_outlive_the_chat_server_and_occupants_are_compared() {
    let folder = Folder::new("outage");
    let mut prosody = peers::prosody(&folder, &["ann", "bob"]);
    let gate = Gate::before(prosody.component_address());
    let special = Special {
        chat_server: Some(gate.address()),
        ..Special::default()
    };
    let mut server = Server::start_with(&prosody, &folder, &special);
    let mut ann = Chat::login(&prosody, &folder, "ann");
    let mut bob = Chat::login(&prosody, &folder, "bob");
    ann.join(ROOM, "Ann");
    bob.join(ROOM, "Bob");
    let [pete, quin] = two_phones(&folder, &server);
    ann.presence(&format!("{ROOM}/pete (phone)"), |p| p["type"] == "available");
    // Bob is one person at both doors.
    let mut bobs_phone = Phone::start(&folder, PhoneSetup::of_account("bob", 2000, &server));
    bobs_phone.call(&server.room_uri("standup", "udp"));
    let people = server.wait_people("standup", "with Bob's call up", |people| {
        named(people, "Bob").is_some_and(|bob| bob["legs"][0]["state"] == "up")
    });
    assert_eq!(people.len(), 4, "{people:#?}");

    gate.shut();
    prosody.kill();
    drop((ann, bob));
    goes_on(&pete, 1000);
    goes_on(&quin, 440);
    // A new call is taken meanwhile too.
    let mut rose = Phone::start(&folder, PhoneSetup::new("rose", 1500));
    rose.call(&server.room_uri("standup", "udp"));
    pete.hears(1500, true, WINDOW);

    // Ann is back before the room asks; Bob is not.
    prosody.restart().expect("it starts again");
    let mut ann = Chat::login(&prosody, &folder, "ann");
    gate.open();
    server.wait_chat();
    let bob_gone = ann.presence(&format!("{ROOM}/Bob"), |p| p["type"] == "unavailable").event;
    assert!(told(&bob_gone, 333), "{bob_gone}");
    ann.presence(&format!("{ROOM}/Ann"), |p| p["type"] == "available");
    for phone in ["pete", "quin", "rose"] {
        ann.presence(&format!("{ROOM}/{phone} (phone)"), |p| p["type"] == "available");
    }
    // His call goes on, so that he is there by phone now.
    ann.presence(&format!("{ROOM}/bob (phone)"), |p| p["type"] == "available");
    pete.hears(2000, true, WINDOW);
    let people = server.people("standup");
    assert_eq!(people.len(), 5, "{people:#?}");
    // She never left, so she needn't enter to speak.
    ann.say(ROOM, "back again");
    ann.message("back again");
    goes_on(&pete, 1000);
    goes_on(&quin, 440);

    let mut bob = Chat::login(&prosody, &folder, "bob");
    let joined = bob.join(ROOM, "Bob");
    // slixmpp counts him too, once: his phone's occupant has gone.
    assert_eq!(joined["occupants"].as_array().map_or(0, Vec::len), 5, "{joined:#}");
    server.wait_people("standup", "five people, of whom Bob has text and audio", |people| {
        let bob = named(people, "Bob");
        people.len() == 5 && bob.is_some_and(|bob| bob["text"] == "two-way" && bob["audio"] == "two-way")
    });
    goes_on(&pete, 2000);
}

#[test]
fn r45_a_killed_phone_leaves_no_ghost() {
    let folder = Folder::new("ghost");
    let prosody = peers::prosody(&folder, &["ann"]);
    let special = Special {
        media: "timeout_s = 4",
        ..Special::default()
    };
    let server = Server::start_with(&prosody, &folder, &special);
    let mut ann = Chat::login(&prosody, &folder, "ann");
    ann.join(ROOM, "Ann");
    // On hold, so that its own silence is in order (rule R44).
    let watch = Script::new().call().reoffer("inactive", "inactive").watch(30_000);
    let watcher = Sipp::start(&folder, "watch", &server.line("max", "udp"), &watch);
    let [mut pete, quin] = two_phones(&folder, &server);
    let stand_in = format!("{ROOM}/pete (phone)");
    ann.presence(&stand_in, |p| p["type"] == "available");
    watcher.wait("pete's call", |m| m.received && m.body().contains(">pete<"));

    pete.kill();
    ann.presence(&stand_in, |p| p["type"] == "unavailable");
    server.wait_people("standup", "without pete", |people| named(people, "pete").is_none());
    watcher.wait("pete's end", |m| m.received && m.body().contains(">disconnected<"));
    let (rooms, _) = server.operator(&["room", "list"]);
    // Quin's and the watcher's.
    assert_eq!(rooms["rooms"][0]["legs"], 2, "{rooms}");
    // Who sends goes on.
    let before = quin.heard().length();
    let more = || (quin.heard().length() >= before + Duration::from_secs(1)).then_some(());
    child::wait_until(LIMIT, more).expect("quin's call goes on");
    quin.hears(440, false, WINDOW);
}

/// Calls end with BYE, chat users are told 332, and the exit code is 0, even if one of the phones never answers.
fn a_signal_ends_it(signal: &str) {
    let folder = Folder::new("signal");
    let prosody = peers::prosody(&folder, &["ann"]);
    let mut server = Server::start(&prosody, &folder, "");
    let mut ann = Chat::login(&prosody, &folder, "ann");
    ann.join(ROOM, "Ann");
    let mut stuck = Phone::start(&folder, PhoneSetup::new("stuck", 0));
    stuck.call(&server.room_uri("standup", "udp"));
    let [mut pete, _quin] = two_phones(&folder, &server);
    stuck.freeze();

    ann.forget();
    let asked = Instant::now();
    server.signal(signal);
    pete.closed();
    let gone = ann.presence(&format!("{ROOM}/Ann"), |p| p["type"] == "unavailable").event;
    assert!(told(&gone, 332), "{gone}");
    let status = server.ended();
    let took = asked.elapsed();
    eprintln!("SIG{signal} to the end of the process: {took:.2?}");
    assert!(status.success(), "{status}");
    assert!(took < STOP_LIMIT, "{took:?}");
    let log = std::fs::read_to_string(server.log()).expect("a log");
    assert!(log.contains("abandoned"), "{log}");
}

#[test]
fn sigterm_says_goodbye_at_both_doors() {
    a_signal_ends_it("TERM");
}

#[test]
fn sigint_says_goodbye_at_both_doors() {
    a_signal_ends_it("INT");
}

/// Messages and presences that nobody should send, and whether their sender has to get an error.
fn hostile_stanzas() -> Vec<(bool, String)> {
    let deep = format!("{}{}", "<a xmlns='x:y'>".repeat(100), "</a>".repeat(100));
    let wide = format!("<a xmlns='x:y'>{}</a>", "<b/>".repeat(10_100));
    let long = "n".repeat(5000);
    let forged = "<x xmlns='http://jabber.org/protocol/muc#user'><status code='307'/></x>\
                  <stanza-id xmlns='urn:xmpp:sid:0' by='standup@rooms.localhost' id='1'/>\
                  <delay xmlns='urn:xmpp:delay' from='standup@rooms.localhost' stamp='1970-01-01T00:00:00Z'/>";
    let say = |content: &str| format!("<message type='groupchat' to='{ROOM}' {{}}><body>x</body>{content}</message>");
    let enter = |to: &str| format!("<presence to='{to}' {{}}><x xmlns='http://jabber.org/protocol/muc'/></presence>");
    vec![
        (true, say(&deep)),
        (true, say(&wide)),
        (true, say(&format!("<a xmlns='x:y' b='{long}'/>"))),
        (false, say(forged)),
        (false, say("<x xmlns='http://jabber.org/protocol/muc#user'><invite/></x>")),
        (true, enter(ROOM)),
        (true, enter(&format!("{ROOM}/eve (phone)"))),
        (true, enter(&format!("{ROOM}/bridge"))),
        (true, enter(&format!("{ROOM}/Ann"))),
        (false, enter(&format!("{ROOM}/a\u{202e}b"))),
        (false, enter("..%2f\u{fdfa}@rooms.localhost/x")),
        (false, format!("<presence type='subscribe' to='{ROOM}' {{}}/>")),
        (false, format!("<presence type='probe' to='{ROOM}/Ann' {{}}/>")),
        (false, format!("<presence type='nonsense' to='{ROOM}/Mallory' {{}}/>")),
        (
            false,
            format!("<message type='error' to='{ROOM}' {{}}><error type='cancel'/></message>"),
        ),
        (false, format!("<message type='nonsense' to='{ROOM}/Ann' {{}}><subject/></message>")),
        (
            true,
            format!("<message type='groupchat' to='{ROOM}/Ann' {{}}><body>x</body></message>"),
        ),
        (
            true,
            format!("<message type='chat' to='{ROOM}/nobody' {{}}><body>x</body></message>"),
        ),
        (
            false,
            "<message type='chat' to='p-x@phones.localhost/x' {}><body>x</body></message>".into(),
        ),
        (false, "<presence to='phones.localhost' {}/>".into()),
        (false, format!("<iq type='result' to='{ROOM}' {{}}/>")),
        (false, format!("<iq type='error' to='{ROOM}/Ann' {{}}><error/></iq>")),
    ]
}

/// Questions that nobody should ask: each has to be answered with an error.
const HOSTILE_QUESTIONS: &[(&str, &str, &str)] = &[
    (ROOM, "set", "<query xmlns='http://jabber.org/protocol/muc#admin'/>"),
    (
        ROOM,
        "set",
        "<query xmlns='http://jabber.org/protocol/muc#admin'><item affiliation='emperor' jid='mallory@localhost'/></query>",
    ),
    (
        ROOM,
        "set",
        "<query xmlns='http://jabber.org/protocol/muc#admin'><item affiliation='owner' jid='mallory@localhost'/></query>",
    ),
    (
        ROOM,
        "set",
        "<query xmlns='http://jabber.org/protocol/muc#admin'><item role='none' nick='Ann'/></query>",
    ),
    (
        ROOM,
        "set",
        "<query xmlns='http://jabber.org/protocol/muc#admin'><item role='none' nick='pete (phone)'/></query>",
    ),
    (ROOM, "get", "<query xmlns='http://jabber.org/protocol/muc#owner'/>"),
    (
        ROOM,
        "set",
        "<query xmlns='http://jabber.org/protocol/muc#owner'><destroy/></query>",
    ),
    (
        ROOM,
        "set",
        "<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'><field/></x></query>",
    ),
    (ROOM, "get", "<no-such-thing xmlns='x:y'/>"),
    ("standup@rooms.localhost/nobody", "get", "<ping xmlns='urn:xmpp:ping'/>"),
    ("rooms.localhost", "set", "<query xmlns='http://jabber.org/protocol/disco#info'/>"),
    ("phones.localhost", "set", "<no-such-thing xmlns='x:y'/>"),
    ("p-nobody@phones.localhost", "get", "<query xmlns='jabber:iq:version'/>"),
];

#[test]
fn r21_r23_a_hostile_stanza_costs_its_sender_an_error_at_most() {
    let folder = Folder::new("hostile");
    let prosody = peers::prosody(&folder, &["ann", "bob", "mallory"]);
    let server = Server::start(&prosody, &folder, "");
    let mut ann = Chat::login(&prosody, &folder, "ann");
    let mut bob = Chat::login(&prosody, &folder, "bob");
    let mut mallory = Chat::login(&prosody, &folder, "mallory");
    ann.join(ROOM, "Ann");
    bob.join(ROOM, "Bob");
    mallory.join(ROOM, "Mallory");
    let [pete, _quin] = two_phones(&folder, &server);
    ann.presence(&format!("{ROOM}/pete (phone)"), |p| p["type"] == "available");

    for (number, (must_fail, stanza)) in hostile_stanzas().into_iter().enumerate() {
        let id = format!("hostile-{number}");
        let xml = stanza.replace("{}", &format!("id='{id}'"));
        mallory.order("raw", json!({"xml": xml})).expect("sent");
        if must_fail {
            let shown: String = xml.chars().take(200).collect();
            mallory.wait(&format!("an error to {shown}"), |e| e["id"] == id && e["type"] == "error");
        }
    }
    for (to, kind, xml) in HOSTILE_QUESTIONS {
        let answer = mallory.order("query", json!({"to": to, "kind": kind, "xml": xml}));
        let condition = answer.expect_err(xml);
        assert!(
            !condition.is_empty() && condition.chars().all(|c| c.is_ascii_lowercase() || c == '-'),
            "{xml}: {condition}"
        );
    }

    ann.forget();
    bob.say(ROOM, "still here");
    ann.message("still here");
    let kicked = ann
        .events
        .all(|e| e["event"] == "presence" && e["type"] == "unavailable" && e["nick"] == "Ann");
    assert!(kicked.is_empty(), "{kicked:?}");
    let forged = bob
        .events
        .all(|e| e["event"] == "message" && (told(&e["statuses"], 307) || e["delayed"] == true));
    assert!(forged.is_empty(), "{forged:?}");
    goes_on(&pete, 1000);
    let log = std::fs::read_to_string(server.log()).expect("a log");
    assert_eq!(log.matches("connected to the chat server").count(), 2, "a stream was lost:\n{log}");
}

#[test]
fn a_peer_that_never_reads_harms_nobody_else() {
    let folder = Folder::new("slow");
    let prosody = peers::prosody(&folder, &["ann"]);
    let server = Server::start(&prosody, &folder, "");
    let [pete, quin] = two_phones(&folder, &server);
    let address = server.line("x", "tcp").server;
    // Half a message each, and never more.
    let half: Vec<TcpStream> = (0..40)
        .map(|_| {
            let mut stream = TcpStream::connect(address).expect("connected");
            stream
                .write_all(b"INVITE sip:standup@conf.localhost SIP/2.0\r\nVia: SIP/2.0/TCP")
                .expect("sent");
            stream
        })
        .collect();

    thread::scope(|scope| {
        let flood = scope.spawn(|| flood_without_reading(address));
        // Meanwhile a call comes up by each transport, and those there are hear each other.
        for (user, transport, tone) in [("rose", "udp", 1500), ("sue", "tcp", 2000)] {
            let setup = PhoneSetup {
                transport,
                ..PhoneSetup::new(user, tone)
            };
            let mut phone = Phone::start(&folder, setup);
            phone.call(&server.room_uri("standup", transport));
            pete.hears(tone, true, WINDOW);
            phone.hang_up();
        }
        goes_on(&quin, 440);
        assert!(flood.join().expect("no panic"), "the peer that never reads was never cut off");
    });
    server.wait_counter("sip.connections_cut", 1);
    goes_on(&pete, 1000);
    drop(half);
}

/// Asks and asks without reading the answers; whether the connection was cut in the end.
fn flood_without_reading(address: SocketAddr) -> bool {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a socket option");
    socket.connect(&address.into()).expect("connected");
    let mut stream = TcpStream::from(socket);
    stream.set_write_timeout(Some(LIMIT)).expect("a socket option");
    (0..400_000).any(|number| {
        let question = format!(
            "OPTIONS sip:standup@conf.localhost SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1:9;branch=z9hG4bKslow{number}\r\n\
             From: <sip:slow@127.0.0.1>;tag=1\r\nTo: <sip:standup@conf.localhost>\r\nCall-ID: slow-{number}\r\n\
             CSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
        );
        stream.write_all(question.as_bytes()).is_err()
    })
}

#[test]
fn garbage_at_every_port_is_counted_and_forgotten() {
    const BURST: u64 = 5000;
    let folder = Folder::new("garbage");
    let prosody = peers::prosody(&folder, &["ann"]);
    let server = Server::start(&prosody, &folder, "");
    let [pete, quin] = two_phones(&folder, &server);
    let sip = server.line("x", "udp").server;
    let ports = server.udp_ports();
    assert!(ports.contains(&sip.port()) && ports.len() >= 3, "{ports:?}");

    let (malformed, rejected) = (server.counter("sip.malformed_dropped"), server.counter("media.rejected"));
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let mut dice = StdRng::seed_from_u64(61);
    for number in 0..BURST {
        let mut bytes = vec![0; dice.random_range(1..1400)];
        dice.fill(bytes.as_mut_slice());
        if number % 3 == 0 && bytes.len() >= 12 {
            // RTP as it should be, but from a stranger (rule R61).
            bytes[..2].copy_from_slice(&[0x80, 0]);
        }
        for port in &ports {
            // A full buffer refuses, which is as good as lost.
            let _lost = socket.send_to(&bytes, (Ipv4Addr::LOCALHOST, *port));
        }
        let text = format!("INVITE sip:standup@conf.localhost SIP/2.0\r\nVia: SIP/2.0/UDP x{number}\r\nCSeq: \u{0}\r\n\r\n");
        let _lost = socket.send_to(&text.as_bytes()[..dice.random_range(0..text.len())], sip);
    }
    server.wait_counter("sip.malformed_dropped", malformed + 1);
    server.wait_counter("media.rejected", rejected + 1);
    assert_eq!(server.counter("media.panics"), 0);
    goes_on(&pete, 1000);
    goes_on(&quin, 440);
    let mut rose = Phone::start(&folder, PhoneSetup::new("rose", 1500));
    rose.call(&server.room_uri("standup", "udp"));
    pete.hears(1500, true, WINDOW);
}

#[test]
fn r5_a_restart_keeps_rooms_lists_voice_subject_and_history() {
    let folder = Folder::new("restart");
    let prosody = peers::prosody(&folder, &["ann", "bob", "mallory"]);
    let mut server = Server::start(&prosody, &folder, "");
    let mut ann = Chat::login(&prosody, &folder, "ann");
    let mut bob = Chat::login(&prosody, &folder, "bob");
    let mut mallory = Chat::login(&prosody, &folder, "mallory");
    ann.join(ROOM, "Ann");
    bob.join(ROOM, "Bob");
    ann.order("subject", json!({"room": ROOM, "text": "What is to be done"}))
        .expect("set");
    ann.wait("the subject", |e| e["subject"] == "What is to be done");
    bob.say(ROOM, "Good morning");
    ann.message("Good morning");
    ann.set_affiliation(ROOM, "mallory@localhost", "outcast").expect("an owner may");
    ann.set_role(ROOM, "Bob", "visitor").expect("an owner may");
    let lounge = "lounge@rooms.localhost";
    ann.join(lounge, "Ann");
    let config = json!({"muc#roomconfig_persistentroom": true, "muc#roomconfig_roomname": "Lounge"});
    ann.order("configure", json!({"room": lounge, "values": config}))
        .expect("an owner may");
    ann.set_affiliation(lounge, "bob@localhost", "member").expect("an owner may");
    let brief = "brief@rooms.localhost";
    ann.join(brief, "Ann");
    let config = json!({"muc#roomconfig_persistentroom": false});
    ann.order("configure", json!({"room": brief, "values": config}))
        .expect("an owner may");

    ann.forget();
    eprintln!("stopped in {:.2?}", server.stop());
    for room in [ROOM, lounge, brief] {
        let gone = ann.presence(&format!("{room}/Ann"), |p| p["type"] == "unavailable").event;
        assert!(told(&gone, 332), "{gone}");
    }
    server.restart();

    let joined = ann.join(ROOM, "Ann");
    assert_eq!(joined["self"]["affiliation"], "owner", "{joined:#}");
    assert_eq!(joined["subject"]["subject"], "What is to be done", "{joined:#}");
    let history = joined["history"].as_array().expect("a list");
    let kept = history.iter().find(|m| m["body"] == "Good morning").expect("the message");
    assert_eq!((&kept["nick"], &kept["delayed"]), (&json!("Bob"), &json!(true)), "{kept}");
    assert_eq!(
        mallory.order("join", json!({"room": ROOM, "nick": "Mallory"})),
        Err("forbidden".into())
    );
    assert_eq!(bob.join(ROOM, "Bob")["self"]["role"], "visitor");
    let rooms = ann.order("items", json!({"jid": "rooms.localhost"})).expect("a list").to_string();
    assert!(
        rooms.contains(lounge) && rooms.contains("Lounge") && !rooms.contains(brief),
        "{rooms}"
    );
    let members = ann.order("affiliations", json!({"room": lounge, "affiliation": "member"}));
    assert_eq!(members, Ok(json!(["bob@localhost"])));

    // What runs is killed first: a power cut leaves what was written before.
    server.restart();
    assert_eq!(
        mallory.order("join", json!({"room": ROOM, "nick": "Mallory"})),
        Err("forbidden".into())
    );
    let members = ann.order("affiliations", json!({"room": lounge, "affiliation": "member"}));
    assert_eq!(members, Ok(json!(["bob@localhost"])));
}
