//! What a room tells about itself (sections 6.4, 6.5, 18.1.1; checklist M-4).

use super::*;
use crate::model::Whois;

pub(super) const INFO: &str = "<query xmlns='http://jabber.org/protocol/disco#info'/>";
const ITEMS: &str = "<query xmlns='http://jabber.org/protocol/disco#items'/>";

fn features(w: &mut World, who: &str) -> Vec<String> {
    let info = w.query(who, "get", INFO);
    let query = info.children().next().expect("a query");
    query
        .children()
        .filter(|c| c.name() == "feature")
        .filter_map(|f| f.attr("var").map(str::to_owned))
        .collect()
}

pub(super) fn field(info: &Element, var: &str) -> Option<String> {
    let form = info.children().next()?.children().find(|c| c.name() == "x")?;
    let field = form.children().find(|f| f.attr("var") == Some(var))?;
    field.children().find(|c| c.name() == "value").map(Element::text)
}

#[test]
fn muc_6_4_2_and_6_4_3_identity_and_features() {
    let mut w = World::with(|c| c.title = "Feast".to_owned());
    let info = w.query(JULIET, "get", INFO);
    let identity = info
        .children()
        .next()
        .and_then(|q| q.children().find(|c| c.name() == "identity"))
        .expect("an identity");
    assert_eq!(
        (identity.attr("category"), identity.attr("type"), identity.attr("name")),
        (Some("conference"), Some("text"), Some("Feast"))
    );
    let open = features(&mut w, JULIET);
    for feature in [
        "http://jabber.org/protocol/muc",
        "http://jabber.org/protocol/muc#stable_id",
        "http://jabber.org/protocol/muc#self-ping-optimization",
        "urn:xmpp:occupant-id:0",
        "urn:xmpp:sid:0",
        "urn:cusax:participation:0",
        "muc_open",
        "muc_unmoderated",
        "muc_semianonymous",
        "muc_persistent",
        "muc_public",
        "muc_unsecured",
    ] {
        assert!(open.iter().any(|f| f == feature), "{feature}");
    }
    let mut w = World::with(|c| {
        (c.members_only, c.moderated, c.public, c.whois) = (true, true, false, Whois::Anyone);
        c.password = Some("x".to_owned());
    });
    let closed = features(&mut w, JULIET);
    for feature in [
        "muc_membersonly",
        "muc_moderated",
        "muc_nonanonymous",
        "muc_hidden",
        "muc_passwordprotected",
    ] {
        assert!(closed.iter().any(|f| f == feature), "{feature}");
    }
}

#[test]
fn m4_the_way_to_the_audio_half_stands_under_three_names() {
    let mut w = World::new();
    let info = w.query(JULIET, "get", INFO);
    for var in [
        "audio-video-uri",
        "muc#roominfo_audio-video-uri",
        "{urn:ietf:rfc:7081}audio-video-uri",
    ] {
        assert_eq!(field(&info, var).as_deref(), Some("sip:blue@conf.example"), "{var}");
    }
    assert_eq!(
        field(&info, "FORM_TYPE").as_deref(),
        Some("http://jabber.org/protocol/muc#roominfo")
    );
}

#[test]
fn the_form_tells_subject_and_number_of_occupants() {
    let mut w = World::new();
    w.all_join(&[NURSE, ROMEO]);
    w.phones("Mercutio");
    w.sends(NURSE, "<message type='groupchat'><subject>duty</subject></message>");
    let info = w.query(JULIET, "get", INFO);
    assert_eq!(field(&info, "muc#roominfo_subject").as_deref(), Some("duty"));
    assert_eq!(field(&info, "muc#roominfo_occupants").as_deref(), Some("3"));
}

#[test]
fn muc_6_5_1_strangers_learn_nothing_of_a_closed_room() {
    let mut w = World::with(|c| c.members_only = true);
    w.all_join(&[NURSE]);
    w.sends(NURSE, "<message type='groupchat'><subject>secret</subject></message>");
    w.forget();
    assert!(!String::from(&w.query(JULIET, "get", INFO)).contains("secret"));
    assert!(!String::from(&w.query(JULIET, "get", ITEMS)).contains("nurse"));
    assert!(String::from(&w.query(NURSE, "get", INFO)).contains("secret"));
    assert!(String::from(&w.query(CAPULET, "get", ITEMS)).contains("blue@rooms.example/nurse"));
}

#[test]
fn muc_18_1_1_3_and_7_12_2_nodes() {
    let mut w = World::new();
    let ask = |w: &mut World, node: &str| {
        w.iq(
            JULIET,
            "get",
            &format!("<query xmlns='http://jabber.org/protocol/disco#info' node='{node}'/>"),
        )
    };
    assert_eq!(
        ask(&mut w, "http://jabber.org/protocol/muc#traffic"),
        "iq error cancel service-unavailable",
        "muc_18_1_1_4"
    );
    assert_eq!(ask(&mut w, "x-roomuser-item"), "iq error cancel feature-not-implemented");
    assert_eq!(ask(&mut w, "other"), "iq error cancel item-not-found");
}

#[test]
fn muc_7_10_8_what_a_room_does_not_serve() {
    let mut w = World::new();
    for (type_, payload) in [
        ("get", "<query xmlns='jabber:iq:register'/>"),
        ("get", "<vCard xmlns='vcard-temp'/>"),
        ("set", INFO),
        ("set", ""),
    ] {
        let expected = if payload.is_empty() {
            "iq error modify bad-request"
        } else {
            "iq error cancel service-unavailable"
        };
        assert_eq!(w.iq(JULIET, type_, payload), expected, "{payload}");
    }
    assert_eq!(w.iq(JULIET, "get", "<ping xmlns='urn:xmpp:ping'/>"), "iq result");
}
