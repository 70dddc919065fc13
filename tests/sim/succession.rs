//! Calls that point at other calls, through the whole bridge: one takes the place of another (RFC 3891), or joins its conference (RFC 3911).

use std::time::Duration;

use cusax::model::control::RoomCommand;
use cusax::model::{MediaOrder, RoomName};
use cusax::sip::msg::{Message, parse_datagram};

use super::world::World;

const SHORT: Duration = Duration::from_millis(300);

/// A phone's call as others name it: what Replaces and Join carry.
fn dialog(w: &World, phone: &str) -> String {
    let mut answers = w
        .at(phone)
        .received
        .iter()
        .filter(|m| m.starts_with("SIP/2.0 200") && m.contains(" INVITE"));
    let answer = answers.next_back().expect("the call is up").as_bytes();
    let Ok(Message::Response(answer)) = parse_datagram(answer) else {
        panic!("a response")
    };
    let tag = |field: Option<&str>| field.expect("a tag").to_owned();
    let ours = tag(answer.headers.to().expect("To").tag());
    let theirs = tag(answer.headers.from().expect("From").tag());
    format!("{};to-tag={ours};from-tag={theirs}", answer.headers.call_id().expect("Call-ID"))
}

/// The names of those who call.
fn callers(w: &World) -> Vec<String> {
    let room = w.rooms[&RoomName::new("blue").expect("a name")].room();
    room.people().filter(|p| !p.legs.is_empty()).map(|p| p.name).collect()
}

fn dial_for(w: &mut World, phone: &str, header: &str, dialog: &str) {
    w.phone(phone);
    // The user named in the URI is no room: what counts is the call that is pointed at.
    w.dial_with(phone, "anything", &[(header, dialog)]);
    w.run_until("an answer", |w| {
        w.at(phone).log.iter().any(|l| l == "200" || l.starts_with("ended"))
    });
    w.run_for(SHORT);
}

#[test]
fn rfc3891_a_call_takes_the_place_of_another() {
    let mut w = World::new(1);
    w.join_by_phone("guest", "blue");
    let old = dialog(&w, "guest");
    dial_for(&mut w, "mobile", "Replaces", &old);
    assert!(w.is_heard("mobile", "blue"));
    assert!(
        w.at("guest").log.iter().any(|l| l.starts_with("ended: TheyHungUp")),
        "{:?}",
        w.at("guest").log
    );
    let closed = w.plane.log.iter().filter(|order| matches!(order, MediaOrder::Close(_))).count();
    assert_eq!((callers(&w).len(), w.calls(), closed), (1, 1, 1), "nothing of the old one is left");
    assert!(w.records.iter().any(|r| format!("{r:?}").contains("replaced")), "{:?}", w.records);
    w.hang_up("mobile");
    w.run_for(Duration::from_secs(40));
    assert!(callers(&w).is_empty());
}

#[test]
fn rfc3891_a_transfer_is_no_way_out_of_a_mute() {
    let mut w = World::new(2);
    w.enter("ann", "blue");
    w.join_by_phone("guest", "blue");
    let nick = {
        let room = w.rooms[&RoomName::new("blue").expect("a name")].room();
        let nicks: Vec<String> = room.occupants().map(|o| o.nick).collect();
        nicks.into_iter().find(|n| n.ends_with("(phone)")).expect("the phone is shown")
    };
    w.set_role("ann", "blue", &nick, "visitor");
    w.run_for(SHORT);
    assert!(!w.is_heard("guest", "blue"));
    let old = dialog(&w, "guest");
    dial_for(&mut w, "mobile", "Replaces", &old);
    assert!(w.at("mobile").log.iter().any(|l| l == "200"));
    assert!(!w.is_heard("mobile", "blue"), "the mute is handed over with the place");
}

#[test]
fn rfc3891_whoever_was_put_out_does_not_come_back_by_their_old_call() {
    let mut w = World::new(3);
    w.enter("ann", "blue");
    w.phone("bob");
    w.sign_in("bob", "bob", "secret");
    w.join_by_phone("bob", "blue");
    let old = dialog(&w, "bob");
    let kick = RoomCommand::Kick {
        who: "bob (phone)".to_owned(),
        why: None,
    };
    w.operator("blue", kick);
    dial_for(&mut w, "mobile", "Replaces", &old);
    assert!(
        w.at("mobile")
            .received
            .iter()
            .any(|m| m.starts_with("SIP/2.0 603") || m.starts_with("SIP/2.0 481"))
    );
    assert!(callers(&w).is_empty());
}

#[test]
fn rfc3911_a_call_joins_the_conference_that_another_one_is_in() {
    let mut w = World::new(4);
    w.join_by_phone("guest", "blue");
    let there = dialog(&w, "guest");
    dial_for(&mut w, "second", "Join", &there);
    assert!(w.is_heard("second", "blue") && w.is_heard("guest", "blue"));
    assert_eq!(callers(&w).len(), 2);
}

#[test]
fn rfc3891_a_refused_successor_leaves_the_call_as_it_was() {
    let mut w = World::new(5);
    w.join_by_phone("guest", "blue");
    let old = dialog(&w, "guest");
    w.operator("blue", RoomCommand::Lock { on: true });
    dial_for(&mut w, "mobile", "Replaces", &old);
    assert!(
        w.at("mobile").received.iter().any(|m| m.starts_with("SIP/2.0 403")),
        "a locked room lets nobody new in (R10)"
    );
    assert!(w.is_heard("guest", "blue"));
}
