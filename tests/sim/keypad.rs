//! Keys through the whole bridge: pressed in a call, heard of in the chat, by whichever way they come (rules R4, R70).

use std::time::Duration;

use cusax::model::{MediaOrder, MediaReport, Phrase};

use super::world::{CONF, World};

/// Presses keys, as the media plane reports them.
fn press(w: &mut World, phone: &str, keys: &str) {
    let leg = w.leg_of(phone, "blue").expect("in the room");
    for key in keys.chars() {
        w.media(MediaReport::Digit(leg, key));
    }
}

/// Sends a key by INFO inside the phone's call.
fn inform(w: &mut World, phone: &str, nth: u32, kind: &str, body: &str) {
    let answer = w
        .at(phone)
        .received
        .iter()
        .rfind(|m| m.starts_with("SIP/2.0 200") && m.contains("INVITE"));
    let answer = answer.expect("the call is up").clone();
    let header = |name: &str| answer.lines().find(|l| l.starts_with(name)).expect("every 200 has it").trim_end();
    let cseq = header("CSeq:")
        .split(' ')
        .nth(1)
        .and_then(|n| n.parse::<u32>().ok())
        .expect("a number")
        + nth;
    let (from, to, call_id) = (header("From:"), header("To:"), header("Call-ID:"));
    let text = format!(
        "INFO sip:blue@{CONF} SIP/2.0\r\nVia: SIP/2.0/UDP {{at}};branch=z9hG4bKinfo{cseq}\r\nMax-Forwards: 70\r\n{from}\r\n{to}\r\n{call_id}\r\n\
         CSeq: {cseq} INFO\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    w.raw(phone, &text);
}

fn said(w: &World) -> Vec<&[Phrase]> {
    let said = |o: &'_ MediaOrder| matches!(o, MediaOrder::Say(..));
    let orders = w.plane.log.iter().filter(|o| said(o));
    orders
        .filter_map(|o| {
            if let MediaOrder::Say(_, phrases) = o {
                Some(&phrases[..])
            } else {
                None
            }
        })
        .collect()
}

#[test]
fn r04_a_mute_by_key_is_seen_in_the_chat() {
    let mut w = World::new(31);
    w.enter("bob", "blue");
    w.join_by_phone("guest", "blue");
    w.forget("bob");
    press(&mut w, "guest", "*6");
    assert!(!w.is_heard("guest", "blue"));
    assert_eq!(said(&w), [[Phrase::Muted]]);
    w.run_for(Duration::from_secs(3));
    assert!(w.saw("bob", &["<presence", "muted"]));
    press(&mut w, "guest", "*6");
    assert!(w.is_heard("guest", "blue"));
}

#[test]
fn r70_keys_come_by_info_too() {
    let mut w = World::new(32);
    w.join_by_phone("guest", "blue");
    inform(&mut w, "guest", 1, "application/dtmf-relay", "Signal=*\r\nDuration=160\r\n");
    inform(&mut w, "guest", 2, "application/dtmf", "6");
    assert!(!w.is_heard("guest", "blue"));
    assert_eq!(said(&w), [[Phrase::Muted]]);
}

#[test]
fn r70_a_key_that_comes_by_both_ways_counts_once() {
    let mut w = World::new(33);
    w.join_by_phone("guest", "blue");
    for (number, key) in (1..).zip(["*", "6"]) {
        press(&mut w, "guest", key);
        inform(&mut w, "guest", number, "application/dtmf", key);
    }
    assert_eq!(said(&w), [[Phrase::Muted]]);
    let mut w = World::new(34);
    w.join_by_phone("guest", "blue");
    for (number, key) in (1..).zip(["*", "6"]) {
        inform(&mut w, "guest", number, "application/dtmf", key);
        press(&mut w, "guest", key);
    }
    assert_eq!(said(&w), [[Phrase::Muted]]);
}
