//! Two real phones, and a moderator with an ordinary chat client: what is heard, and who decides it.

use std::time::Duration;

use cusax::app::prosody::Prosody;

use super::peers::{self, Chat, Folder, Phone, PhoneSetup, Server, server::ROOM};

/// A part of a recording long enough to tell a tone from none, and short enough to see a change soon.
const WINDOW: Duration = Duration::from_millis(300);

/// A room in which Zoe's phone sends 440 Hz, Max's phone listens, and Ann moderates by chat.
struct Meeting {
    ann: Chat,
    zoe: Phone,
    max: Phone,
    server: Server,
    prosody: Prosody,
    folder: Folder,
}

impl Meeting {
    fn new(test: &str, codec: &'static str) -> Self {
        let zoe = PhoneSetup {
            codec,
            ..PhoneSetup::new("zoe", 440)
        };
        let mut meeting = Self::of(test, zoe, PhoneSetup::new("max", 0));
        meeting.max.hears(440, true, WINDOW);
        meeting.ann.presence(&format!("{ROOM}/zoe (phone)"), |p| p["type"] == "available");
        meeting
    }

    fn of(test: &str, zoe: PhoneSetup, max: PhoneSetup) -> Self {
        let folder = Folder::new(test);
        let prosody = peers::prosody(&folder, &["ann", "bob"]);
        let server = Server::start(&prosody, &folder, "");
        let mut ann = Chat::login(&prosody, &folder, "ann");
        ann.join(ROOM, "Ann");
        let (mut zoe, mut max) = (Phone::start(&folder, zoe), Phone::start(&folder, max));
        zoe.call(&server.room_uri("standup", "udp"));
        max.call(&server.room_uri("standup", "udp"));
        Self {
            ann,
            zoe,
            max,
            server,
            prosody,
            folder,
        }
    }
}

#[test]
fn r12_m7_the_chat_moderator_mutes_unmutes_and_kicks_a_phone() {
    let mut m = Meeting::new("moderated", "PCMU/8000/1");
    let phone = format!("{ROOM}/zoe (phone)");

    let mut times = Vec::new();
    for round in 0..20 {
        for (role, audible) in [("visitor", false), ("participant", true)] {
            let asked = m.ann.forget();
            m.ann.set_role(ROOM, "zoe (phone)", role).expect("an owner may");
            let shown = m.ann.presence(&phone, |p| p["role"] == role);
            times.push(shown.at - asked);
            if round == 0 {
                m.max.hears(440, audible, WINDOW);
            }
        }
    }
    times.sort_unstable();
    let (half, most) = (times[times.len() / 2], times[times.len() * 95 / 100]);
    peers::tell(&format!(
        "a moderator's mute, until Prosody shows it: median {half:.1?}, 95 % within {most:.1?} (rule R12: 150 ms)"
    ));

    m.zoe.events.forget();
    let asked = m.ann.forget();
    m.ann.set_role(ROOM, "zoe (phone)", "none").expect("an owner may");
    let closed = m.zoe.closed();
    peers::tell(&format!(
        "a moderator's kick through Prosody, until the phone has its BYE: {:.1?} (rule R12: 150 ms)",
        closed.at - asked
    ));
    let gone = m.ann.presence(&phone, |p| p["type"] == "unavailable").event;
    let statuses = gone["statuses"].as_array().expect("a list");
    assert!(statuses.contains(&307.into()) && !statuses.contains(&333.into()), "rule R7: {gone}");
    m.max.hears(440, false, WINDOW);
    m.server.wait_people("standup", "two rows", |p| p.len() == 2);
}

#[test]
fn m7_an_opus_phone_and_a_pcmu_phone_share_a_room() {
    let mut m = Meeting::new("opus", "opus/48000/2");
    m.ann.set_role(ROOM, "zoe (phone)", "visitor").expect("an owner may");
    m.max.hears(440, false, WINDOW);
}

#[test]
fn r70_g722_phones_hear_what_telephones_cannot_carry() {
    let phone = |user, tone| PhoneSetup {
        codec: "G722/16000/1",
        ..PhoneSetup::new(user, tone)
    };
    let m = Meeting::of("wide", phone("zoe", 5000), phone("max", 440));
    m.max.hears(5000, true, WINDOW);
    m.zoe.hears(440, true, WINDOW);
    m.zoe.hears(5000, false, WINDOW);
}

#[test]
fn r01_m6_an_account_at_both_doors_is_one_person() {
    let mut m = Meeting::new("bound", "PCMU/8000/1");
    let mut bob = Chat::login(&m.prosody, &m.folder, "bob");
    bob.join(ROOM, "Bob");
    let mut phone = Phone::start(&m.folder, PhoneSetup::of_account("bob", 1000, &m.server));
    phone.call(&m.server.room_uri("standup", "udp"));
    let both = |p: &[serde_json::Value]| {
        p.iter()
            .any(|p| p["name"] == "Bob" && p["legs"].as_array().is_some_and(|l| l.len() == 1))
    };
    let people = m.server.wait_people("standup", "Bob with a call", both);
    let nicks: Vec<_> = people.iter().filter(|p| p["name"] == "Bob").map(|p| p["nicks"].clone()).collect();
    assert_eq!(nicks, [serde_json::json!(["Bob"])], "rule R27: no stand-in beside the nick");
    m.max.hears(1000, true, WINDOW);

    // A mute of the nick is a mute of the call (rule R8), and its taking back likewise (rule R5).
    m.ann.set_role(ROOM, "Bob", "visitor").expect("an owner may");
    m.max.hears(1000, false, WINDOW);
    m.max.hears(440, true, WINDOW);
    m.ann.set_role(ROOM, "Bob", "participant").expect("an owner may");
    m.max.hears(1000, true, WINDOW);

    // Leaving the chat is not hanging up: a stand-in takes the nick's place (rules R7, R27).
    m.ann.forget();
    bob.order("leave", serde_json::json!({"room": ROOM, "nick": "Bob"})).expect("sent");
    m.ann.presence(&format!("{ROOM}/bob (phone)"), |p| p["type"] == "available");
    m.max.hears(1000, true, WINDOW);

    // A ban ends the call too, and is remembered (rules R3, R8).
    phone.events.forget();
    m.ann.set_affiliation(ROOM, "bob@localhost", "outcast").expect("an owner may");
    phone.closed();
    phone.events.forget();
    phone.order("dial", &m.server.room_uri("standup", "udp"));
    let refused = phone.closed().event;
    assert!(refused["param"].as_str().is_some_and(|p| p.contains("403")), "{refused}");
}

#[test]
fn r10_a_locked_room_lets_nobody_in() {
    let mut m = Meeting::new("locked", "PCMU/8000/1");
    assert!(m.server.operator(&["room", "lock", "standup"]).1);
    let mut bob = Chat::login(&m.prosody, &m.folder, "bob");
    assert_eq!(
        bob.order("join", serde_json::json!({"room": ROOM, "nick": "Bob"})),
        Err("not-allowed".into())
    );
    m.zoe.hang_up();
    m.zoe.events.forget();
    m.zoe.order("dial", &m.server.room_uri("standup", "udp"));
    let refused = m.zoe.closed().event;
    assert!(refused["param"].as_str().is_some_and(|p| p.contains("403")), "{refused}");
    assert!(m.server.operator(&["room", "lock", "standup", "--off"]).1);
    m.zoe.call(&m.server.room_uri("standup", "udp"));
    bob.join(ROOM, "Bob");
}
