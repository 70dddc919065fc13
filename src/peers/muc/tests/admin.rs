//! Roles and affiliations (sections 5, 8, 9, 10.3 to 10.8, 17.4).

use super::*;

const VISITOR: &str = "<item nick='romeo' role='visitor'/>";

#[test]
fn muc_8_2_1_to_8_2_3_a_kick_in_order() {
    let mut w = World::new();
    w.all_join(&[NURSE, ROMEO, JULIET]);
    w.sends(
        NURSE,
        "<iq type='set' id='k'><query xmlns='http://jabber.org/protocol/muc#admin'><item nick='romeo' role='none'><reason>out</reason></item></query></iq>",
    );
    assert_eq!(w.receives(ROMEO), ["presence romeo gone none none by nurse because out [110 307]"]);
    assert_eq!(
        w.receives(NURSE),
        [
            "iq result".to_owned(),
            format!("presence romeo gone none none {ROMEO} by nurse because out [307]")
        ]
    );
    assert_eq!(w.receives(JULIET), ["presence romeo gone none none by nurse because out [307]"]);
    w.joins(ROMEO, "romeo");
    assert_eq!(w.receives(ROMEO), ["presence error wait policy-violation"], "r07");
    w.run_for(Duration::from_secs(61));
    w.joins(ROMEO, "romeo");
    assert!(w.receives(ROMEO).len() > 1);
}

#[test]
fn muc_8_2_4_and_8_4_3_and_8_4_4_the_greater_are_safe() {
    let mut w = World::new();
    w.all_join(&[CAPULET, NURSE, ROMEO]);
    assert_eq!(w.admin(NURSE, "<item nick='romeo' role='moderator'/>"), "iq result");
    w.forget();
    for items in [
        "<item nick='nurse' role='none'/>",
        "<item nick='nurse' role='visitor'/>",
        "<item nick='capulet' role='none'/>",
    ] {
        assert_eq!(w.admin(ROMEO, items), "iq error cancel not-allowed", "{items}");
    }
    assert_eq!(
        w.admin(NURSE, "<item nick='capulet' role='participant'/>"),
        "iq error cancel not-allowed",
        "muc_9_7_4, r09"
    );
}

#[test]
fn muc_8_1_moderators_only() {
    let mut w = World::new();
    w.all_join(&[ROMEO, JULIET]);
    assert_eq!(w.admin(JULIET, VISITOR), "iq error auth forbidden");
    assert_eq!(w.admin("tybalt@a.example/x", VISITOR), "iq error auth forbidden");
    assert!(w.receives(ROMEO).is_empty());
}

#[test]
fn muc_8_4_2_and_8_3_2_voice_is_taken_and_given() {
    let mut w = World::new();
    w.all_join(&[NURSE, ROMEO, JULIET]);
    assert_eq!(w.admin(NURSE, VISITOR), "iq result");
    assert_eq!(w.receives(JULIET), ["presence romeo none visitor by nurse"]);
    assert_eq!(w.receives(ROMEO), ["presence romeo none visitor by nurse [110]"]);
    w.says(ROMEO, "mmh");
    assert_eq!(w.receives(ROMEO), ["message error auth forbidden"]);
    assert_eq!(
        w.admin(NURSE, "<item nick='romeo' role='participant'><reason>speak</reason></item>"),
        "iq result"
    );
    assert_eq!(w.receives(JULIET), ["presence romeo none participant by nurse because speak"]);
}

#[test]
fn muc_8_5_several_at_once() {
    let mut w = World::new();
    w.all_join(&[NURSE, ROMEO, JULIET]);
    let items = "<item nick='romeo' role='visitor'/><item nick='juliet' role='visitor'/>";
    assert_eq!(w.admin(NURSE, items), "iq result");
    assert_eq!(w.receives(JULIET).len(), 2);
    let half = "<item nick='romeo' role='participant'/><item nick='nobody' role='participant'/>";
    assert_eq!(w.admin(NURSE, half), "iq error cancel item-not-found");
    w.says(ROMEO, "still");
    assert_eq!(
        w.receives(ROMEO).last().map(String::as_str),
        Some("message error auth forbidden"),
        "nothing was changed"
    );
}

#[test]
fn muc_9_1_1_to_9_1_5_a_ban() {
    let mut w = World::new();
    w.all_join(&[NURSE, ROMEO, JULIET]);
    w.joins("romeo@b.example/other", "roméo");
    w.forget();
    let ban = "<item jid='romeo@b.example' affiliation='outcast'><reason>Tybalt</reason></item>";
    assert_eq!(w.admin(NURSE, ban), "iq result");
    assert_eq!(
        w.receives(ROMEO)[0],
        "presence romeo gone outcast none by nurse because Tybalt [110 301]"
    );
    assert_eq!(
        w.receives(JULIET),
        [
            "presence romeo gone outcast none by nurse because Tybalt [301]",
            "presence roméo gone outcast none by nurse because Tybalt [301]"
        ],
        "r08"
    );
    w.joins(ROMEO, "romeo");
    assert_eq!(w.receives(ROMEO), ["presence error auth forbidden"], "muc_7_2_7_1");
    let list = w.query(
        NURSE,
        "get",
        "<query xmlns='http://jabber.org/protocol/muc#admin'><item affiliation='outcast'/></query>",
    );
    let query = list.children().next().expect("a query");
    let items: Vec<_> = query
        .children()
        .map(|i| (i.attr("jid"), i.attr("affiliation"), i.attr("role"), i.attr("nick")))
        .collect();
    assert_eq!(items, [(Some("romeo@b.example"), Some("outcast"), None, None)], "muc_9_2_1");
    assert_eq!(w.admin(NURSE, "<item jid='romeo@b.example' affiliation='none'/>"), "iq result");
    w.run_for(Duration::from_secs(61));
    w.joins(ROMEO, "romeo");
    assert!(w.receives(ROMEO).len() > 1, "muc_9_2_2");
}

#[test]
fn a_ban_by_nick_is_a_ban_of_the_account() {
    let mut w = World::new();
    w.all_join(&[NURSE, ROMEO]);
    assert_eq!(w.admin(NURSE, "<item nick='romeo' affiliation='outcast'/>"), "iq result");
    assert_eq!(w.receives(ROMEO), ["presence romeo gone outcast none by nurse [110 301]"]);
}

#[test]
fn muc_9_1_6_and_9_1_7_bans_that_cannot_be() {
    let mut w = World::new();
    w.all_join(&[CAPULET, NURSE]);
    assert_eq!(
        w.admin(NURSE, "<item jid='capulet@a.example' affiliation='outcast'/>"),
        "iq error cancel not-allowed"
    );
    assert_eq!(
        w.admin(NURSE, "<item jid='nurse@a.example' affiliation='outcast'/>"),
        "iq error cancel conflict"
    );
}

#[test]
fn muc_9_3_2_and_9_4_2_membership_in_an_open_room() {
    let mut w = World::new();
    w.all_join(&[NURSE, ROMEO, JULIET]);
    assert_eq!(w.admin(NURSE, "<item jid='romeo@b.example' affiliation='member'/>"), "iq result");
    assert_eq!(w.receives(JULIET), ["presence romeo member participant by nurse"]);
    assert_eq!(w.admin(NURSE, "<item jid='romeo@b.example' affiliation='none'/>"), "iq result");
    assert_eq!(w.receives(JULIET), ["presence romeo none participant by nurse"]);
}

#[test]
fn muc_9_4_3_to_9_4_5_lost_membership_in_a_room_for_members() {
    let mut w = World::with(|c| c.members_only = true);
    w.all_join(&[NURSE]);
    assert_eq!(w.admin(NURSE, "<item jid='romeo@b.example' affiliation='member'/>"), "iq result");
    let invited = w.inbox("romeo@b.example");
    assert!(String::from(&invited[0]).contains("<invite"), "muc_9_5_16");
    w.joins(ROMEO, "romeo");
    w.forget();
    assert_eq!(w.admin(NURSE, "<item jid='romeo@b.example' affiliation='none'/>"), "iq result");
    assert_eq!(w.receives(ROMEO), ["presence romeo gone none none by nurse [110 321]"]);
    w.joins(ROMEO, "romeo");
    assert_eq!(w.receives(ROMEO), ["presence error auth registration-required"], "muc_9_5_14");
}

#[test]
fn changes_of_absent_people_are_told_to_moderators() {
    let mut w = World::new();
    w.all_join(&[CAPULET, NURSE, ROMEO]);
    assert_eq!(w.admin(CAPULET, "<item jid='juliet@a.example' affiliation='member'/>"), "iq result");
    assert_eq!(w.receives(NURSE), ["message room private member none juliet@a.example by capulet"]);
    assert!(w.receives(ROMEO).is_empty(), "r13");
}

#[test]
fn muc_9_6_2_a_new_moderator_learns_who_the_others_are() {
    let mut w = World::new();
    w.all_join(&[NURSE, ROMEO, JULIET]);
    assert_eq!(w.admin(NURSE, "<item nick='romeo' role='moderator'/>"), "iq result");
    let seen = w.receives(ROMEO);
    assert_eq!(seen[0], format!("presence romeo none moderator {ROMEO} by nurse [110]"));
    assert!(seen.contains(&format!("presence juliet none participant {JULIET}")), "{seen:?}");
    assert_eq!(w.receives(JULIET), ["presence romeo none moderator by nurse"]);
    assert_eq!(w.admin(NURSE, "<item nick='romeo' role='participant'/>"), "iq result");
    assert_eq!(w.receives(JULIET), ["presence romeo none participant by nurse"], "muc_9_7_2");
}

#[test]
fn muc_17_4_5_the_list_of_a_role() {
    let mut w = World::new();
    w.all_join(&[NURSE, ROMEO]);
    let query = "<query xmlns='http://jabber.org/protocol/muc#admin'><item role='participant'/></query>";
    let list = w.query(NURSE, "get", query);
    let item = list.children().next().and_then(|q| q.children().next()).expect("an item").clone();
    assert_eq!(
        (item.attr("nick"), item.attr("role"), item.attr("affiliation"), item.attr("jid")),
        (Some("romeo"), Some("participant"), Some("none"), Some(ROMEO))
    );
    assert_eq!(w.iq(ROMEO, "get", query), "iq error auth forbidden", "r13");
}

#[test]
fn muc_10_4_4_the_last_owner_stays() {
    let mut w = World::new();
    w.all_join(&[CAPULET]);
    assert_eq!(
        w.admin(CAPULET, "<item jid='capulet@a.example' affiliation='admin'/>"),
        "iq error cancel conflict"
    );
    assert_eq!(w.admin(CAPULET, "<item jid='juliet@a.example' affiliation='owner'/>"), "iq result");
    assert_eq!(
        w.admin(CAPULET, "<item jid='capulet@a.example' affiliation='admin'/>"),
        "iq result",
        "muc_10_4_5"
    );
    assert!(w.receives(CAPULET).iter().any(|l| l.contains("admin moderator")), "muc_10_4_8");
}

#[test]
fn muc_10_6_3_owners_only() {
    let mut w = World::new();
    w.all_join(&[NURSE]);
    assert_eq!(
        w.admin(NURSE, "<item jid='romeo@b.example' affiliation='owner'/>"),
        "iq error auth forbidden"
    );
}

#[test]
fn absent_owners_may_act_and_are_named_to_moderators_only() {
    let mut w = World::new();
    w.all_join(&[NURSE, ROMEO, JULIET]);
    assert_eq!(w.admin(CAPULET, VISITOR), "iq result");
    assert_eq!(w.receives(JULIET), ["presence romeo none visitor"]);
    assert_eq!(
        w.receives(NURSE),
        [format!("presence romeo none visitor {ROMEO} by capulet@a.example")]
    );
}

#[test]
fn what_makes_no_sense_is_a_bad_request() {
    let mut w = World::new();
    w.all_join(&[NURSE]);
    for items in [
        "",
        "<item nick='nurse'/>",
        "<item nick='nurse' role='none' affiliation='none'/>",
        "<item jid='@@' affiliation='none'/>",
    ] {
        assert_eq!(w.admin(NURSE, items), "iq error modify bad-request", "{items}");
    }
    assert_eq!(
        w.iq(NURSE, "get", "<query xmlns='http://jabber.org/protocol/muc#admin'/>"),
        "iq error modify bad-request"
    );
}
