//! Entering, renaming, leaving (sections 7.1, 7.2, 7.6, 7.7, 7.14, 17.3).

use super::*;
use crate::{model::Whois, xmpp::muc::NS_OCCUPANT_ID};

const JOIN: &str = "<x xmlns='http://jabber.org/protocol/muc'/>";

#[test]
fn muc_7_1_1_events_come_in_order() {
    let mut w = World::new();
    w.all_join(&[ROMEO, NURSE]);
    w.says(ROMEO, "hi");
    w.joins(JULIET, "juliet");
    let expected = [
        "presence romeo none participant",
        "presence nurse admin moderator",
        "presence juliet none participant [110]",
        "message romeo earlier: hi",
        "subject room: ",
    ];
    assert_eq!(
        w.receives(JULIET),
        expected,
        "muc_7_2_2_1, muc_7_2_2_4, muc_7_2_2_6, muc_7_2_13_4, muc_7_2_15_1"
    );
    assert_eq!(
        w.receives(ROMEO),
        ["message romeo: hi", "presence juliet none participant"],
        "muc_7_2_2_2"
    );
}

#[test]
fn muc_7_2_4_1_only_moderators_see_full_jids() {
    let mut w = World::new();
    w.all_join(&[NURSE, ROMEO]);
    w.joins(JULIET, "juliet");
    assert_eq!(w.receives(NURSE), [format!("presence juliet none participant {JULIET}")]);
    assert_eq!(w.receives(ROMEO), ["presence juliet none participant"]);
    w.joins(CAPULET, "capulet");
    let seen = w.receives(CAPULET);
    assert!(seen.contains(&format!("presence romeo none participant {ROMEO}")), "{seen:?}");
}

#[test]
fn muc_7_2_3_1_and_7_2_3_2_everybody_sees_full_jids_in_a_non_anonymous_room() {
    let mut w = World::with(|c| c.whois = Whois::Anyone);
    w.all_join(&[ROMEO]);
    w.joins(JULIET, "juliet");
    assert_eq!(w.receives(ROMEO), [format!("presence juliet none participant {JULIET}")]);
    assert!(
        w.receives(JULIET)
            .contains(&format!("presence juliet none participant {JULIET} [110 100]"))
    );
}

#[test]
fn muc_7_2_1_4_a_nick_is_needed() {
    let mut w = World::new();
    w.sends(JULIET, &format!("<presence to='{ROOM}'>{JOIN}</presence>"));
    assert_eq!(w.receives(JULIET), ["presence error modify jid-malformed"]);
}

#[test]
fn muc_17_1_3_nicks_that_cannot_be_seen_are_not_allowed() {
    let mut w = World::new();
    for nick in ["\u{3164}", "Ann (phone)", "bridge"] {
        w.joins(JULIET, nick);
        let answer = w.receives(JULIET);
        assert!(
            answer == ["presence error modify not-acceptable"] || answer == ["presence error cancel conflict"],
            "{nick:?}: {answer:?}"
        );
    }
}

#[test]
fn muc_7_2_5_1_a_password_is_asked_for() {
    let mut w = World::with(|c| c.password = Some("sesame".to_owned()));
    w.joins(JULIET, "juliet");
    let error = w.receives_one(JULIET);
    assert_eq!(line(&error), "presence error auth not-authorized");
    assert!(error.has_child("x", crate::xmpp::muc::NS_MUC));
    w.sends(
        JULIET,
        &format!("<presence to='{ROOM}/juliet'><x xmlns='http://jabber.org/protocol/muc'><password>sesame</password></x></presence>"),
    );
    assert_eq!(w.receives(JULIET)[0], "presence juliet none participant [110]");
}

#[test]
fn muc_7_2_6_1_members_only() {
    let mut w = World::with(|c| c.members_only = true);
    w.joins(JULIET, "juliet");
    assert_eq!(w.receives(JULIET), ["presence error auth registration-required"]);
    w.joins(NURSE, "nurse");
    assert_eq!(w.receives(NURSE)[0], format!("presence nurse admin moderator {NURSE} [110]"));
}

#[test]
fn muc_7_2_8_1_a_nick_is_one_persons() {
    let mut w = World::new();
    w.all_join(&[ROMEO]);
    w.joins(JULIET, "romeo");
    assert_eq!(w.receives(JULIET), ["presence error cancel conflict"]);
}

#[test]
fn muc_7_2_8_2_and_7_2_8_3_one_nick_on_several_clients() {
    let mut w = World::new();
    w.all_join(&[JULIET, ROMEO]);
    let phone = "juliet@a.example/phone";
    w.joins(phone, "juliet");
    assert_eq!(
        w.receives(phone),
        [
            "presence romeo none participant",
            "presence juliet none participant [110]",
            "subject room: "
        ]
    );
    w.forget();
    w.says(ROMEO, "hi");
    for client in [JULIET, phone] {
        assert_eq!(w.receives(client), ["message romeo: hi"]);
    }
    w.says(phone, "ho");
    assert_eq!(w.receives(ROMEO), ["message romeo: hi", "message juliet: ho"]);
    w.forget();
    w.sends(phone, &format!("<presence type='unavailable' to='{ROOM}/juliet'/>"));
    assert_eq!(w.receives(phone), ["presence juliet gone none none [110]"]);
    assert_eq!(w.receives(ROMEO), ["presence juliet none participant"], "she is still here");
    w.sends(JULIET, &format!("<presence type='unavailable' to='{ROOM}/juliet'/>"));
    assert_eq!(w.receives(ROMEO), ["presence juliet gone none none"]);
}

#[test]
fn clients_under_one_nick_are_limited() {
    let mut w = World::new();
    for n in 0..10 {
        w.joins(&format!("juliet@a.example/{n}"), "juliet");
    }
    w.joins(JULIET, "juliet");
    assert_eq!(w.receives(JULIET), ["presence error wait service-unavailable"]);
}

#[test]
fn muc_7_2_9_1_and_7_2_9_2_a_full_room_admits_its_owner() {
    let mut w = World::with(|c| c.max_people = 1);
    w.all_join(&[ROMEO]);
    w.joins(JULIET, "juliet");
    assert_eq!(w.receives(JULIET), ["presence error wait service-unavailable"]);
    w.joins(CAPULET, "capulet");
    assert!(w.receives(CAPULET)[0].starts_with("presence romeo"));
}

#[test]
fn muc_7_2_18_1_and_7_2_18_2_presence_without_a_join_is_a_kick() {
    let mut w = World::new();
    w.sends(JULIET, &format!("<presence to='{ROOM}/juliet'/>"));
    assert_eq!(w.receives(JULIET), ["presence juliet gone none none [110 307 333]"]);
}

#[test]
fn muc_7_2_2_5_the_service_tidies_nicks_and_says_so() {
    let mut w = World::new();
    w.joins(JULIET, " Juliet  C ");
    assert_eq!(w.receives(JULIET)[0], "presence Juliet C none participant [110 210]");
    w.sends(JULIET, &format!("<presence to='{ROOM}/ Juliet  C '><show>away</show></presence>"));
    assert_eq!(
        w.receives(JULIET),
        ["presence Juliet C none participant [110]"],
        "the same nick, as she writes it"
    );
}

#[test]
fn muc_7_2_1_6_and_17_3_5_who_asks_again_gets_everything_again() {
    let mut w = World::new();
    w.all_join(&[ROMEO, JULIET]);
    w.joins(JULIET, "juliet");
    assert_eq!(
        w.receives(JULIET),
        [
            "presence romeo none participant",
            "presence juliet none participant [110]",
            "subject room: "
        ]
    );
    assert!(w.receives(ROMEO).is_empty(), "nothing has changed for him");
    w.sends(JULIET, &format!("<presence to='{ROOM}/juliet'><show>away</show>{JOIN}</presence>"));
    assert_eq!(w.receives(ROMEO), ["presence juliet none participant"], "muc_17_3_6");
}

#[test]
fn muc_7_6_1_a_new_nick() {
    let mut w = World::new();
    w.all_join(&[ROMEO, JULIET]);
    w.sends(JULIET, &format!("<presence to='{ROOM}/Capulet'/>"));
    assert_eq!(
        w.receives(JULIET),
        [
            "presence juliet gone none participant -> Capulet [110 303]",
            "presence Capulet none participant [110]"
        ]
    );
    assert_eq!(
        w.receives(ROMEO),
        [
            "presence juliet gone none participant -> Capulet [303]",
            "presence Capulet none participant"
        ]
    );
    w.says(JULIET, "it is I");
    assert_eq!(w.receives(ROMEO), ["message Capulet: it is I"]);
}

#[test]
fn muc_7_6_2_a_new_nick_is_tidied_too() {
    let mut w = World::new();
    w.all_join(&[JULIET]);
    w.sends(JULIET, &format!("<presence to='{ROOM}/Miss  C'/>"));
    assert_eq!(w.receives(JULIET)[1], "presence Miss C none participant [110 210]");
}

#[test]
fn muc_7_6_3_a_new_nick_that_is_taken() {
    let mut w = World::new();
    w.all_join(&[ROMEO, JULIET]);
    w.sends(JULIET, &format!("<presence to='{ROOM}/romeo'/>"));
    assert_eq!(w.receives(JULIET), ["presence error cancel conflict"]);
    assert!(w.receives(ROMEO).is_empty());
    w.says(JULIET, "still me");
    assert_eq!(w.receives(ROMEO), ["message juliet: still me"]);
}

#[test]
fn muc_17_3_5_who_asks_again_by_another_nick_gets_it_and_everything() {
    let mut w = World::new();
    w.all_join(&[ROMEO, JULIET]);
    w.joins(JULIET, "jules");
    assert_eq!(
        w.receives(JULIET),
        [
            "presence juliet gone none participant -> jules [110 303]",
            "presence jules none participant [110]",
            "presence romeo none participant",
            "presence jules none participant [110]",
            "subject room: ",
        ]
    );
}

#[test]
fn muc_7_14_1_3_and_4_leaving() {
    let mut w = World::new();
    w.all_join(&[ROMEO, JULIET, NURSE]);
    w.sends(
        JULIET,
        &format!("<presence type='unavailable' to='{ROOM}/juliet'><status>farewell</status></presence>"),
    );
    assert_eq!(w.receives(JULIET), ["presence juliet gone none none [110]"]);
    let seen = w.receives_one(ROMEO);
    assert_eq!(line(&seen), "presence juliet gone none none");
    assert_eq!(seen.get_child("status", stanza::NS).map(Element::text).as_deref(), Some("farewell"));
    assert_eq!(w.receives(NURSE), [format!("presence juliet gone none none {JULIET}")]);
    w.says(ROMEO, "gone?");
    assert!(w.receives(JULIET).is_empty());
}

#[test]
fn muc_17_3_7_goodbyes_of_strangers_are_ignored() {
    let mut w = World::new();
    w.all_join(&[ROMEO]);
    w.sends(JULIET, &format!("<presence type='unavailable' to='{ROOM}/romeo'/>"));
    assert!(w.receives(JULIET).is_empty() && w.receives(ROMEO).is_empty());
}

#[test]
fn muc_17_3_2_and_17_3_4_presence_of_other_types_neither_joins_nor_leaves() {
    let mut w = World::new();
    w.all_join(&[ROMEO]);
    for type_ in ["probe", "subscribe", "subscribed", "unsubscribe", "unsubscribed", "nonsense"] {
        for who in [JULIET, ROMEO] {
            w.sends(who, &format!("<presence type='{type_}' to='{ROOM}/romeo'>{JOIN}</presence>"));
            assert!(w.receives(who).is_empty(), "{type_}");
        }
    }
    w.says(ROMEO, "here");
    assert_eq!(w.receives(ROMEO), ["message romeo: here"]);
}

#[test]
fn muc_17_3_10_and_17_3_11_presence_passes_but_for_what_only_the_room_may_say() {
    let mut w = World::new();
    w.all_join(&[ROMEO]);
    w.sends(
        JULIET,
        &format!(
            "<presence to='{ROOM}/juliet'>{JOIN}<show>dnd</show><c xmlns='http://jabber.org/protocol/caps' node='x' ver='y' hash='sha-1'/>\
             <x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='owner' role='moderator'/></x>\
             <occupant-id xmlns='urn:xmpp:occupant-id:0' id='forged'/>\
             <participation xmlns='urn:cusax:participation:0' text='two-way' audio='two-way'/></presence>"
        ),
    );
    let seen = w.receives_one(ROMEO);
    assert_eq!(line(&seen), "presence juliet none participant");
    assert_eq!(level(&seen), "two-way/none");
    let names: Vec<&str> = seen.children().map(Element::name).collect();
    assert_eq!(names, ["show", "c", "occupant-id", "participation", "x"]);
    assert_ne!(
        seen.get_child("occupant-id", NS_OCCUPANT_ID).and_then(|o| o.attr("id")),
        Some("forged")
    );
}

#[test]
fn occupant_ids_are_each_persons_own_in_each_room_and_say_nothing() {
    let mut w = World::new();
    w.all_join(&[ROMEO]);
    let id = |w: &mut World, who: &str, nick: &str| {
        w.joins(who, nick);
        let seen = w.receives_one(ROMEO);
        seen.get_child("occupant-id", NS_OCCUPANT_ID)
            .and_then(|o| o.attr("id"))
            .expect("an id")
            .to_owned()
    };
    let first = id(&mut w, JULIET, "juliet");
    assert!(first.len() <= 128 && !first.contains("juliet"));
    w.sends(JULIET, "<presence type='unavailable'/>");
    w.forget();
    assert_eq!(
        id(&mut w, "juliet@a.example/other", "jules"),
        first,
        "xep 0421 section 4.1: stable over visits and nicks"
    );
    assert_ne!(id(&mut w, NURSE, "nurse"), first);
}

#[test]
fn r10_a_locked_room_admits_nobody_new() {
    let mut w = World::new();
    w.all_join(&[ROMEO]);
    w.operator(Request::Lock(true));
    assert_eq!(w.receives(ROMEO), ["message room [104]"]);
    w.joins(JULIET, "juliet");
    let error = w.receives_one(JULIET);
    assert_eq!(line(&error), "presence error cancel not-allowed");
    assert!(String::from(&error).contains("the room is locked"));
}

#[test]
fn too_much_presence_is_refused() {
    let mut w = World::new();
    w.sends(
        JULIET,
        &format!(
            "<presence to='{ROOM}/juliet'>{JOIN}<status>{}</status></presence>",
            "x".repeat(20_000)
        ),
    );
    assert_eq!(w.receives(JULIET), ["presence error modify policy-violation"]);
}

#[test]
fn muc_11_2_1_going_down_is_told_to_each_of_themselves() {
    let mut w = World::new();
    w.all_join(&[ROMEO, JULIET]);
    w.reports(Report::Shutdown);
    assert_eq!(w.receives(JULIET), ["presence juliet gone none none [110 332]"]);
    assert_eq!(w.receives(ROMEO), ["presence romeo gone none none [110 332]"]);
}
