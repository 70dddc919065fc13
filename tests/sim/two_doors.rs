//! The mirroring table: what happens at one door takes effect at the other.

use std::time::Duration;

use cusax::model::{LegId, MediaOrder, MediaReport, RoomName};

use super::world::{Net, ROOMS, World};

const SHORT: Duration = Duration::from_millis(100);

fn two_doors(seed: u64) -> World {
    let mut w = World::new(seed);
    w.enter("ann", "blue");
    w.join_by_phone("guest", "blue");
    w
}

#[test]
fn m1_the_answer_says_that_it_is_a_conference() {
    let w = two_doors(1);
    let answer = w
        .at("guest")
        .received
        .iter()
        .find(|m| m.starts_with("SIP/2.0 200") && m.contains("INVITE"))
        .expect("a 200");
    assert!(answer.contains(";isfocus"), "{answer}");
    assert!(answer.contains("Allow-Events: conference"), "{answer}");
}

#[test]
fn a_server_without_time_says_when_to_call_again_and_nobody_notices() {
    let mut w = two_doors(1);
    w.phone("late");
    w.plane.overloaded = true;
    w.dial("late", "blue");
    w.run_until("an answer came", |w| {
        w.at("late").received.iter().any(|m| m.starts_with("SIP/2.0 503"))
    });
    let refusal = w
        .at("late")
        .received
        .iter()
        .find(|m| m.starts_with("SIP/2.0 503"))
        .expect("just seen");
    assert!(refusal.contains("\r\nRetry-After: "), "{refusal}");
    assert_eq!(w.calls(), 1, "the call that was there goes on");
    w.plane.overloaded = false;
    w.join_by_phone("late", "blue");
}

#[test]
fn m3_the_conference_names_its_chat() {
    let mut w = two_doors(2);
    w.subscribe("guest", "blue", 3600);
    w.run_until("a document came", |w| !w.at("guest").documents.is_empty());
    let document = &w.at("guest").documents[0];
    assert!(document.contains("<uri>xmpp:blue@rooms.example.com?join</uri>"), "{document}");
    assert!(document.contains("<purpose>grouptextchat</purpose>"), "{document}");
}

#[test]
fn m4_the_chat_names_its_sip_uri() {
    let mut w = World::new(3);
    w.chat("bob");
    w.say(
        "bob",
        &format!("<iq type='get' id='d' to='blue@{ROOMS}'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>"),
    );
    for name in [
        "audio-video-uri",
        "muc#roominfo_audio-video-uri",
        "{urn:ietf:rfc:7081}audio-video-uri",
    ] {
        assert!(w.saw("bob", &[name, "sip:blue@conf.example.com"]), "no field {name}");
    }
}

#[test]
fn r26_a_phone_is_seen_in_the_chat() {
    let w = two_doors(4);
    assert!(w.saw("ann", &["<presence", "(phone)"]));
}

#[test]
fn m6_a_chat_user_is_seen_in_the_conference() {
    let mut w = two_doors(5);
    w.enter("bob", "blue");
    w.subscribe("guest", "blue", 3600);
    w.run_until("a document came", |w| !w.at("guest").documents.is_empty());
    let document = &w.at("guest").documents[0];
    assert!(document.contains("<display-text>bob</display-text>"), "{document}");
    assert!(document.contains("<type>message</type>"), "{document}");
}

fn stand_in(w: &World) -> String {
    let room = w.rooms[&RoomName::new("blue").expect("a name")].room();
    room.occupants()
        .map(|o| o.nick)
        .find(|n| n.ends_with("(phone)"))
        .expect("the phone is shown")
}

#[test]
fn m7_revoked_voice_mutes_the_phone_and_a_grant_takes_it_back() {
    let mut w = two_doors(6);
    let nick = stand_in(&w);
    assert!(w.is_heard("guest", "blue"));
    w.forget("ann");
    w.set_role("ann", "blue", &nick, "visitor");
    assert!(!w.is_heard("guest", "blue"));
    assert!(w.saw("ann", &["role=\"visitor\"", "(phone)"]) || w.saw("ann", &["role='visitor'", "(phone)"]));
    w.set_role("ann", "blue", &nick, "participant");
    assert!(w.is_heard("guest", "blue"));
}

#[test]
fn r07_a_kick_in_the_chat_hangs_up_the_phone() {
    let mut w = two_doors(7);
    let nick = stand_in(&w);
    w.set_role("ann", "blue", &nick, "none");
    w.run_for(SHORT);
    assert!(
        w.at("guest")
            .received
            .iter()
            .any(|m| m.starts_with("BYE ") && m.contains("Reason:"))
    );
    assert!(w.saw("ann", &["unavailable", "307"]));
    w.run_until("no call is left", |w| w.calls() == 0);
    assert!(w.plane.legs.values().all(|l| l.closed));
}

#[test]
fn r08_a_ban_of_a_bound_person_ends_both_halves_and_keeps_them_out() {
    let mut w = World::new(8);
    w.enter("ann", "blue");
    w.enter("bob", "blue");
    w.join_by_phone("bob", "blue");
    w.set_affiliation("ann", "blue", "bob@example.com", "outcast");
    w.run_for(SHORT);
    assert!(w.saw("bob", &["unavailable", "301"]));
    assert!(w.at("bob").received.iter().any(|m| m.starts_with("BYE ")));
    w.dial("bob", "blue");
    w.run_until("the second call is refused", |w| {
        w.at("bob").log.iter().filter(|l| l.starts_with("ended: Refused")).count() == 1
    });
    w.forget("bob");
    w.enter("bob", "blue");
    assert!(w.saw("bob", &["forbidden"]));
}

#[test]
fn r01_a_call_and_a_nick_of_one_account_are_one_person() {
    let mut w = World::new(9);
    w.enter("bob", "blue");
    w.join_by_phone("bob", "blue");
    let room = w.rooms[&RoomName::new("blue").expect("a name")].room();
    let bob = room.people().find(|p| p.name == "bob").expect("bob's row");
    assert_eq!((bob.legs.len(), bob.occupants.len()), (1, 1));
    assert!(!room.occupants().any(|o| o.nick.ends_with("(phone)")));
}

#[test]
fn r07_losing_the_chat_alone_keeps_the_call() {
    let mut w = World::new(10);
    w.enter("bob", "blue");
    w.join_by_phone("bob", "blue");
    w.leave("bob", "blue");
    w.run_for(Duration::from_secs(5));
    assert!(w.is_heard("bob", "blue"));
}

#[test]
fn r27_a_caller_who_left_the_chat_is_shown_as_a_phone_after_20_s_and_withdrawn_on_return() {
    let mut w = World::new(11);
    w.enter("ann", "blue");
    w.enter("bob", "blue");
    w.join_by_phone("bob", "blue");
    w.leave("bob", "blue");
    w.forget("ann");
    w.run_for(Duration::from_secs(19));
    assert!(!w.saw("ann", &["(phone)"]));
    w.run_for(Duration::from_secs(2));
    assert!(w.saw("ann", &["<presence", "(phone)"]));
    w.forget("ann");
    w.enter("bob", "blue");
    let seen: Vec<bool> = ["(phone)", "/bob"].iter().map(|p| w.saw("ann", &[p])).collect();
    assert_eq!(seen, [true, true], "the stand-in goes and bob comes");
}

#[test]
fn r45_silence_ends_the_call_and_leaves_no_ghost() {
    let mut w = two_doors(12);
    let leg = w.leg_of("guest", "blue").expect("a leg");
    w.kill("guest");
    w.media(MediaReport::Quiet(leg, 30));
    w.media(MediaReport::Quiet(leg, 60));
    assert!(w.saw("ann", &["unavailable", "(phone)"]));
    w.run_for(Duration::from_secs(40));
    assert_eq!(w.calls(), 0);
    assert!(w.plane.legs[&leg].closed);
}

#[test]
fn m5_the_call_goes_on_when_the_chat_server_is_gone() {
    let mut w = two_doors(13);
    w.chat_link(false);
    w.run_for(Duration::from_secs(5));
    assert!(w.is_heard("guest", "blue"));
    w.chat_link(true);
    w.run_for(Duration::from_secs(5));
    assert!(w.is_heard("guest", "blue"));
}

#[test]
fn r10_nobody_new_enters_a_locked_room_by_either_door() {
    let mut w = two_doors(14);
    let operator = cusax::model::control::RoomCommand::Lock { on: true };
    w.operator("blue", operator);
    w.enter("bob", "blue");
    assert!(w.saw("bob", &["not-allowed"]));
    w.phone("late");
    w.dial("late", "blue");
    w.run_until("refused", |w| w.at("late").log.iter().any(|l| l.starts_with("ended: Refused")));
    assert!(w.at("late").received.iter().any(|m| m.starts_with("SIP/2.0 403")));
    assert!(w.is_heard("guest", "blue"));
}

#[test]
fn unknown_rooms_answer_404_and_cost_no_port() {
    let mut w = World::new(15);
    w.phone("guest");
    w.dial("guest", "nowhere");
    w.run_until("refused", |w| w.at("guest").log.iter().any(|l| l.starts_with("ended: Refused")));
    assert!(w.at("guest").received.iter().any(|m| m.starts_with("SIP/2.0 404")));
    assert!(w.plane.legs.is_empty());
}

#[test]
fn r13_an_anonymous_callers_identity_is_nowhere() {
    let mut w = two_doors(16);
    w.enter("bob", "blue");
    w.subscribe("guest", "blue", 3600);
    w.run_until("a document came", |w| !w.at("guest").documents.is_empty());
    assert!(!w.saw("bob", &["elsewhere.example"]));
    assert!(w.at("guest").documents.iter().all(|d| !d.contains("elsewhere.example")));
}

#[test]
fn shutdown_says_goodbye_at_both_doors() {
    let mut w = two_doors(17);
    w.shutdown();
    w.run_for(SHORT);
    assert!(w.saw("ann", &["unavailable", "332"]));
    assert!(w.at("guest").received.iter().any(|m| m.starts_with("BYE ")));
    w.run_until("no call is left", |w| w.calls() == 0);
}

#[test]
fn r12_a_mute_is_ordered_in_the_same_step_as_the_stanza_is_read() {
    let mut w = two_doors(18);
    let (nick, leg) = (stand_in(&w), w.leg_of("guest", "blue").expect("a leg"));
    let before = w.clock().at;
    w.set_role("ann", "blue", &nick, "visitor");
    assert_eq!(w.clock().at, before);
    assert_eq!(w.plane.log.last(), Some(&MediaOrder::Mute(leg, true)));
}

#[test]
fn r45_a_call_that_is_never_answered_for_leaves_nothing_behind() {
    let mut w = World::new(19);
    w.enter("ann", "blue");
    w.phone("guest");
    w.dial("guest", "blue");
    w.run_until("the call is in", |w| w.calls() == 1);
    w.kill("guest");
    w.run_for(Duration::from_secs(120));
    assert_eq!(w.calls(), 0);
    assert!(w.plane.legs.values().all(|l| l.closed));
    assert!(
        w.rooms[&RoomName::new("blue").expect("a name")]
            .room()
            .people()
            .all(|p| p.legs.is_empty())
    );
}

#[test]
fn a_bad_net_changes_nothing_but_the_time_it_takes() {
    for seed in 0..3 {
        let mut w = World::with(
            seed,
            Net {
                loss: 20,
                doubled: 10,
                jitter_ms: 80,
            },
            |_| {},
        );
        w.enter("ann", "blue");
        for phone in ["guest", "bob", "carol"] {
            w.join_by_phone(phone, "blue");
        }
        w.run_for(Duration::from_secs(10));
        assert!(["guest", "bob", "carol"].iter().all(|p| w.is_heard(p, "blue")), "seed {seed}");
        w.hang_up("bob");
        let nick = stand_in(&w);
        w.set_role("ann", "blue", &nick, "none");
        w.run_for(Duration::from_secs(60));
        assert_eq!(w.calls(), 1, "seed {seed}");
        w.shutdown();
        w.run_for(Duration::from_secs(60));
        assert_eq!(w.calls(), 0, "seed {seed}");
        let open: Vec<&LegId> = w.plane.legs.iter().filter(|(_, l)| !l.closed).map(|(id, _)| id).collect();
        assert!(open.is_empty(), "seed {seed}: {open:?}");
    }
}

#[test]
fn r80_one_correlation_follows_a_person_through_both_doors() {
    let mut w = World::new(20);
    w.enter("bob", "blue");
    w.join_by_phone("bob", "blue");
    let room = w.rooms[&RoomName::new("blue").expect("a name")].room();
    let of_person = room.people().find(|p| p.name == "bob").expect("bob's row").correlation;
    w.hang_up("bob");
    w.run_until("the call is recorded", |w| !w.records.is_empty());
    assert_eq!(w.records[0].correlation, of_person);
}

#[test]
fn signing_in_costs_two_round_trips_and_no_timer() {
    let mut w = World::new(21);
    w.phone("bob");
    let before = w.clock().at;
    w.dial("bob", "blue");
    w.run_until("the call is up", |w| w.at("bob").log.iter().any(|l| l == "200"));
    let took = w.clock().at - before;
    assert!(took <= SHORT, "{took:?}");
}

#[test]
fn r03_who_is_banned_does_not_come_back_by_asking_for_privacy() {
    let mut w = World::new(22);
    w.enter("ann", "blue");
    w.set_affiliation("ann", "blue", "bob@example.com", "outcast");
    w.phone("bob");
    w.dial_with("bob", "blue", &[("Privacy", "id")]);
    w.run_until("refused", |w| w.at("bob").log.iter().any(|l| l.starts_with("ended: Refused")));
    assert!(w.at("bob").received.iter().any(|m| m.starts_with("SIP/2.0 403")));
}

#[test]
fn x6_a_signed_in_caller_who_asks_for_privacy_is_shown_to_nobody() {
    let mut w = World::new(23);
    w.enter("ann", "blue");
    w.phone("bob");
    w.dial_with("bob", "blue", &[("Privacy", "id")]);
    w.run_until("the call is up", |w| w.at("bob").log.iter().any(|l| l == "200"));
    w.run_for(SHORT);
    assert!(w.saw("ann", &["<presence", "(phone)"]));
    assert!(!w.saw("ann", &["bob"]));
}

#[test]
fn r44_a_phone_that_dies_on_hold_leaves_no_ghost_and_one_that_lives_stays() {
    let mut w = two_doors(24);
    w.join_by_phone("bob", "blue");
    for phone in ["guest", "bob"] {
        w.reoffer(phone, "inactive");
    }
    w.run_for(SHORT);
    w.kill("guest");
    w.run_for(Duration::from_secs(120));
    assert_eq!(w.calls(), 1);
    assert!(w.saw("ann", &["unavailable", "guest (phone)"]));
    assert!(w.leg_of("bob", "blue").is_some());
}
