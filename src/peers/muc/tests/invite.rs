//! Invitations (section 7.8.2) and voice requests (sections 7.13, 8.6).

use super::*;

fn invite(to: &str) -> String {
    format!("<message ><x xmlns='http://jabber.org/protocol/muc#user'><invite to='{to}'><reason>feast</reason></invite></x></message>")
}

fn ask_for_voice(w: &mut World, who: &str) {
    w.sends(
        who,
        "<message ><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#request</value></field>\
         <field var='muc#role'><value>participant</value></field></x></message>",
    );
}

#[test]
fn muc_7_8_2_2_an_invitation_goes_on_in_the_rooms_name() {
    let mut w = World::with(|c| c.password = Some("sesame".to_owned()));
    w.sends(
        ROMEO,
        &format!("<presence to='{ROOM}/romeo'><x xmlns='http://jabber.org/protocol/muc'><password>sesame</password></x></presence>"),
    );
    w.forget();
    w.sends(ROMEO, &invite("juliet@a.example"));
    let message = w.receives_one("juliet@a.example");
    assert_eq!(message.attr("from"), Some(ROOM));
    let x = message.get_child("x", NS_USER).expect("an x");
    let invite = x.get_child("invite", NS_USER).expect("an invitation");
    assert_eq!(invite.attr("from"), Some("blue@rooms.example/romeo"));
    assert_eq!(invite.get_child("reason", NS_USER).map(Element::text).as_deref(), Some("feast"));
    assert_eq!(x.get_child("password", NS_USER).map(Element::text).as_deref(), Some("sesame"));
    let decline = "<message ><x xmlns='http://jabber.org/protocol/muc#user'><decline to='romeo@b.example'><reason>no</reason></decline></x></message>";
    w.sends(JULIET, decline);
    let back = w.receives_one(ROMEO);
    let decline_back = back
        .get_child("x", NS_USER)
        .and_then(|x| x.get_child("decline", NS_USER))
        .expect("a refusal");
    assert_eq!(decline_back.attr("from"), Some("juliet@a.example"));
    w.sends(JULIET, decline);
    assert!(w.receives(ROMEO).is_empty(), "once only");
}

#[test]
fn strangers_neither_invite_nor_decline() {
    let mut w = World::new();
    w.all_join(&[ROMEO]);
    w.sends(JULIET, &invite("nurse@a.example"));
    assert_eq!(w.receives(JULIET), ["message error modify not-acceptable"]);
    w.sends(
        JULIET,
        "<message ><x xmlns='http://jabber.org/protocol/muc#user'><decline to='romeo@b.example'/></x></message>",
    );
    assert!(w.receives(ROMEO).is_empty() && w.receives("nurse@a.example").is_empty());
}

#[test]
fn muc_9_5_19_and_9_5_20_who_may_invite_into_a_room_for_members() {
    let mut w = World::with(|c| c.members_only = true);
    w.all_join(&[NURSE]);
    assert_eq!(w.admin(NURSE, "<item jid='romeo@b.example' affiliation='member'/>"), "iq result");
    w.all_join(&[ROMEO]);
    w.sends(ROMEO, &invite("juliet@a.example"));
    assert_eq!(w.receives(ROMEO), ["message error auth forbidden"]);
    assert!(w.receives("juliet@a.example").is_empty());
    w.sends(NURSE, &invite("juliet@a.example"));
    assert_eq!(w.receives("juliet@a.example").len(), 1);
    w.joins(JULIET, "juliet");
    assert!(w.receives(JULIET).len() > 1, "she is a member now");
    let mut w = World::new();
    w.all_join(&[NURSE]);
    w.sends(NURSE, &invite("juliet@a.example"));
    assert_eq!(
        w.room.affiliation(&BareJid::new("juliet@a.example").expect("a JID")),
        Affiliation::None
    );
}

#[test]
fn r32_muc_8_6_1_a_visitor_asks_for_voice_and_gets_it() {
    let mut w = World::with(|c| c.moderated = true);
    w.all_join(&[NURSE, ROMEO, JULIET]);
    ask_for_voice(&mut w, JULIET);
    let form = w.receives_one(NURSE);
    let text = String::from(&form);
    assert!(
        text.contains("muc#request_allow") && text.contains("juliet") && text.contains(JULIET),
        "{text}"
    );
    assert!(w.receives(ROMEO).is_empty());
    let answer = |allow: &str| {
        format!(
            "<message ><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#request</value></field>\
             <field var='muc#role'><value>participant</value></field><field var='muc#roomnick'><value>juliet</value></field>\
             <field var='muc#request_allow'><value>{allow}</value></field></x></message>"
        )
    };
    w.sends(NURSE, &answer("0"));
    assert!(w.receives(JULIET).is_empty());
    w.sends(ROMEO, &answer("1"));
    assert_eq!(w.receives(ROMEO), ["message error modify bad-request"], "only moderators answer");
    w.sends(NURSE, &answer("1"));
    assert_eq!(w.receives(JULIET), ["presence juliet none participant by nurse [110]"]);
    ask_for_voice(&mut w, JULIET);
    assert_eq!(w.receives(JULIET), ["message error modify bad-request"], "r32: visitors only");
}
