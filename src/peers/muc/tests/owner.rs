//! New rooms, configuration and destruction (section 10, rule R14).

use super::*;

const GET: &str = "<query xmlns='http://jabber.org/protocol/muc#owner'/>";
const INSTANT: &str = "<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'/></query>";
const CANCEL: &str = "<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='cancel'/></query>";

fn form(values: &[(&str, &str)]) -> String {
    let fields: String = values
        .iter()
        .map(|(var, value)| format!("<field var='{var}'><value>{value}</value></field>"))
        .collect();
    format!(
        "<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'>\
         <field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#roomconfig</value></field>{fields}</x></query>"
    )
}

fn new_room() -> World {
    let mut record = record(|c| c.persistent = false);
    record.locked_until_configured = true;
    record.affiliations.retain(|_, a| *a == Affiliation::Owner);
    World::from_record(record)
}

#[test]
fn muc_10_1_1_3_and_10_1_1_4_a_new_room_is_locked() {
    let mut w = new_room();
    w.joins(CAPULET, "capulet");
    assert_eq!(
        w.receives(CAPULET)[0],
        format!("presence capulet owner moderator {CAPULET} [110 201]")
    );
    w.joins(ROMEO, "romeo");
    assert_eq!(w.receives(ROMEO), ["presence error cancel item-not-found"], "muc_7_2_10_1");
    let info = "<query xmlns='http://jabber.org/protocol/disco#info'/>";
    assert_eq!(w.iq(ROMEO, "get", info), "iq error cancel item-not-found");
    w.says(ROMEO, "hi");
    assert_eq!(w.receives(ROMEO), ["message error cancel item-not-found"], "muc_17_2_3");
}

#[test]
fn muc_10_1_2_2_an_instant_room() {
    let mut w = new_room();
    w.all_join(&[CAPULET]);
    assert_eq!(w.iq(CAPULET, "set", INSTANT), "iq result");
    w.joins(ROMEO, "romeo");
    assert!(w.receives(ROMEO).contains(&"presence romeo none participant [110]".to_owned()));
}

#[test]
fn muc_10_1_3_2_and_10_1_3_5_a_reserved_room() {
    let mut w = new_room();
    w.all_join(&[CAPULET]);
    let shown = String::from(&w.query(CAPULET, "get", GET));
    for var in [
        "muc#roomconfig_roomname",
        "muc#roomconfig_whois",
        "{urn:cusax:room:0}audio",
        "http://jabber.org/protocol/muc#roomconfig",
    ] {
        assert!(shown.contains(var), "{var}");
    }
    assert_eq!(
        w.iq(
            CAPULET,
            "set",
            &form(&[("muc#roomconfig_roomname", "Feast"), ("muc#roomconfig_persistentroom", "1")])
        ),
        "iq result"
    );
    assert_eq!(w.room.config().title, "Feast");
    assert!(!w.room.is_unconfigured());
}

#[test]
fn muc_10_1_3_6_policy_is_kept() {
    let mut w = new_room();
    w.all_join(&[CAPULET]);
    assert_eq!(
        w.iq(CAPULET, "set", &form(&[("muc#roomconfig_passwordprotectedroom", "1")])),
        "iq error modify not-acceptable"
    );
    assert!(w.room.is_unconfigured());
}

#[test]
fn muc_10_1_3_7_and_10_1_3_8_and_10_1_1_11_a_cancelled_room_is_gone() {
    let mut w = new_room();
    w.all_join(&[CAPULET]);
    assert_eq!(w.iq(CAPULET, "set", CANCEL), "iq result");
    assert_eq!(
        w.receives(CAPULET),
        [format!("presence capulet gone none none {CAPULET} destroyed for nothing [110]")]
    );
    assert!(w.room.is_over());
}

#[test]
fn muc_10_2_4_a_cancelled_change_changes_nothing() {
    let mut w = World::new();
    w.all_join(&[CAPULET]);
    let before = w.room.config().clone();
    assert_eq!(w.iq(CAPULET, "set", CANCEL), "iq result");
    assert_eq!((w.room.config(), w.room.is_over()), (&before, false));
}

#[test]
fn muc_10_2_1_owners_only() {
    let mut w = World::new();
    w.all_join(&[NURSE]);
    let change = form(&[("muc#roomconfig_roomname", "x")]);
    for (type_, payload) in [("get", GET), ("set", &change), ("set", INSTANT), ("set", CANCEL)] {
        assert_eq!(w.iq(NURSE, type_, payload), "iq error auth forbidden", "{payload}");
    }
}

#[test]
fn muc_10_2_1_1_and_10_2_1_2_changes_are_told() {
    let mut w = World::new();
    w.all_join(&[CAPULET, ROMEO]);
    for (var, value, codes) in [
        ("muc#roomconfig_roomname", "Feast", "[104]"),
        ("muc#roomconfig_whois", "anyone", "[172]"),
        ("muc#roomconfig_whois", "moderators", "[173]"),
    ] {
        assert_eq!(w.iq(CAPULET, "set", &form(&[(var, value)])), "iq result");
        assert_eq!(w.receives(ROMEO), [format!("message room {codes}")], "{var}");
    }
}

#[test]
fn muc_10_2_11_a_room_becomes_one_for_members() {
    let mut w = World::new();
    w.all_join(&[CAPULET, ROMEO, JULIET]);
    assert_eq!(w.admin(CAPULET, "<item jid='juliet@a.example' affiliation='member'/>"), "iq result");
    w.forget();
    assert_eq!(w.iq(CAPULET, "set", &form(&[("muc#roomconfig_membersonly", "1")])), "iq result");
    assert_eq!(
        w.receives(ROMEO).last().map(String::as_str),
        Some("presence romeo gone none none [110 322]")
    );
    assert!(w.receives(JULIET).contains(&"presence romeo gone none none [322]".to_owned()));
}

#[test]
fn muc_10_9_3_to_10_9_5_a_destroyed_room() {
    let mut w = World::new();
    w.all_join(&[CAPULET, ROMEO]);
    let destroy =
        "<query xmlns='http://jabber.org/protocol/muc#owner'><destroy jid='crypt@rooms.example'><reason>over</reason></destroy></query>";
    assert_eq!(w.iq(NURSE, "set", destroy), "iq error auth forbidden", "muc_10_9_6");
    assert_eq!(w.iq(CAPULET, "set", destroy), "iq result");
    assert_eq!(
        w.receives(ROMEO),
        ["presence romeo gone none none destroyed for crypt@rooms.example because over [110]"]
    );
    assert!(w.room.is_over());
    assert!(w.stored.iter().any(|op| matches!(op, StoreOp::DeleteRoom(_))));
}

#[test]
fn r14_rooms_of_the_configuration_stay_and_never_answer_201() {
    let mut record = record(|_| ());
    record.from_config = true;
    let mut w = World::from_record(record);
    w.joins(CAPULET, "capulet");
    assert_eq!(w.receives(CAPULET)[0], format!("presence capulet owner moderator {CAPULET} [110]"));
    let destroy = "<query xmlns='http://jabber.org/protocol/muc#owner'><destroy/></query>";
    assert_eq!(w.iq(CAPULET, "set", destroy), "iq error cancel not-allowed");
}

#[test]
fn r14_audio_off_is_not_advertised() {
    let mut w = World::new();
    w.all_join(&[CAPULET]);
    let info = "<query xmlns='http://jabber.org/protocol/disco#info'/>";
    assert!(String::from(&w.query(CAPULET, "get", info)).contains("sip:blue@conf.example"));
    assert_eq!(w.iq(CAPULET, "set", &form(&[("{urn:cusax:room:0}audio", "off")])), "iq result");
    assert_eq!(w.receives(CAPULET), ["message room [104]"], "m4: clients ask again");
    assert!(!String::from(&w.query(CAPULET, "get", info)).contains("sip:"));
}

#[test]
fn what_makes_no_sense_is_a_bad_request() {
    let mut w = World::new();
    w.all_join(&[CAPULET]);
    for children in ["", "<destroy jid='@@'/>", "<x xmlns='jabber:x:data' type='form'/>"] {
        let query = format!("<query xmlns='http://jabber.org/protocol/muc#owner'>{children}</query>");
        assert_eq!(w.iq(CAPULET, "set", &query), "iq error modify bad-request", "{children}");
    }
    assert_eq!(
        w.iq(CAPULET, "set", &form(&[("muc#roomconfig_whois", "god")])),
        "iq error modify not-acceptable"
    );
}
