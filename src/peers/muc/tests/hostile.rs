//! Stanzas that nobody should send: none may panic, and none may cost the others anything.

use rand::{Rng, SeedableRng, rngs::StdRng};

use super::*;

/// What stanzas are made of.
const PARTS: [&str; 40] = [
    "<body>x</body>",
    "<subject/>",
    "<subject>y</subject>",
    "<thread/>",
    "<x xmlns='http://jabber.org/protocol/muc'/>",
    "<x xmlns='http://jabber.org/protocol/muc'><history maxchars='-1' maxstanzas='99999999999999999999' seconds='18446744073709551615' since='x'/></x>",
    "<x xmlns='http://jabber.org/protocol/muc'><history since='-9999-01-01T00:00:00Z'/><password/></x>",
    "<x xmlns='http://jabber.org/protocol/muc#user'><invite to='a@b'/><invite/><decline to='blue@rooms.example/romeo'/></x>",
    "<x xmlns='http://jabber.org/protocol/muc#user'><item/><status code='x'/></x>",
    "<x xmlns='jabber:x:data' type='submit'/>",
    "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#request</value></field></x>",
    "<x xmlns='jabber:x:data'><field/></x>",
    "<query xmlns='http://jabber.org/protocol/muc#admin'/>",
    "<query xmlns='http://jabber.org/protocol/muc#admin'><item nick='romeo' role='none'/></query>",
    "<query xmlns='http://jabber.org/protocol/muc#admin'><item nick='juliet' role='visitor'/><item nick='juliet' role='moderator'/></query>",
    "<query xmlns='http://jabber.org/protocol/muc#admin'><item jid='juliet@a.example' affiliation='outcast'/></query>",
    "<query xmlns='http://jabber.org/protocol/muc#admin'><item jid='juliet@a.example' affiliation='none'/></query>",
    "<query xmlns='http://jabber.org/protocol/muc#admin'><item affiliation='member'/></query>",
    "<query xmlns='http://jabber.org/protocol/muc#owner'/>",
    "<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='cancel'/></query>",
    "<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#roomconfig</value></field><field var='muc#roomconfig_maxusers'><value>-1</value></field></x></query>",
    "<query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#roomconfig</value></field><field var='muc#roomconfig_membersonly'><value>1</value></field></x></query>",
    "<query xmlns='http://jabber.org/protocol/disco#info'/>",
    "<query xmlns='http://jabber.org/protocol/disco#info' node='&amp;'/>",
    "<query xmlns='http://jabber.org/protocol/disco#items'/>",
    "<ping xmlns='urn:xmpp:ping'/>",
    "<vCard xmlns='vcard-temp'/>",
    "<pubsub xmlns='http://jabber.org/protocol/pubsub'/>",
    "<error/>",
    "<error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>",
    "<error type='cancel'><not-allowed xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>",
    "<delay xmlns='urn:xmpp:delay' from='@' stamp=''/>",
    "<stanza-id xmlns='urn:xmpp:sid:0'/>",
    "<occupant-id xmlns='urn:xmpp:occupant-id:0'/>",
    "<no-store xmlns='urn:xmpp:hints'/>",
    "<show>bogus</show>",
    "<priority>999</priority>",
    "<participation xmlns='urn:cusax:participation:0'/>",
    "text between",
    "<a xmlns='b'><c xmlns=''/></a>",
];
const NAMES: [&str; 4] = ["message", "presence", "iq", "handshake"];
const TYPES: [&str; 14] = [
    "",
    "get",
    "set",
    "result",
    "error",
    "groupchat",
    "chat",
    "normal",
    "headline",
    "unavailable",
    "subscribe",
    "probe",
    "weird",
    "unsubscribed",
];
const SENDERS: [&str; 6] = [CAPULET, NURSE, JULIET, ROMEO, "romeo@b.example", "b.example"];
const TARGETS: [&str; 8] = [
    ROOM,
    "blue@rooms.example/romeo",
    "blue@rooms.example/juliet",
    "blue@rooms.example/bridge",
    "blue@rooms.example/Mercutio (phone)",
    "blue@rooms.example/nobody",
    "BLUE@rooms.example/ romeo ",
    "red@rooms.example/x",
];

fn pick<'a>(rng: &mut StdRng, of: &[&'a str]) -> &'a str {
    of[rng.random_range(0..of.len())]
}

#[test]
fn no_stanza_panics_and_the_room_goes_on() {
    for seed in 0..20 {
        let rng = &mut StdRng::seed_from_u64(seed);
        let mut w = World::new();
        w.all_join(&[CAPULET, NURSE, JULIET, ROMEO]);
        w.phones("Mercutio");
        for n in 0..400 {
            let children: String = (0..rng.random_range(0..4)).map(|_| pick(rng, &PARTS)).collect();
            let name = pick(rng, &NAMES);
            let type_ = pick(rng, &TYPES);
            let type_ = if type_.is_empty() {
                String::new()
            } else {
                format!(" type='{type_}'")
            };
            let (who, to) = (pick(rng, &SENDERS), pick(rng, &TARGETS));
            w.sends(who, &format!("<{name} to='{to}' id='{n}'{type_}>{children}</{name}>"));
            if n % 50 == 0 {
                w.link(rng.random_bool(0.5));
                w.run_for(Duration::from_secs(rng.random_range(0..40)));
            }
        }
        w.link(true);
        w.run_for(Duration::from_secs(120));
        w.forget();
        w.joins(CAPULET, "capulet");
        assert!(w.room.is_over() || !w.receives(CAPULET).is_empty(), "seed {seed}");
        assert_eq!(w.muc.poll_timeout(), None, "seed {seed}: nothing is left to wait for");
    }
}
