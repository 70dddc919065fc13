//! What a phone that means ill, or knows no better, can't do.

use std::time::Duration;

use cusax::model::{MediaReport, RoomName, media::MediaFailure};

use super::world::{CONF, ROOMS, World};

const SDP: &str = "v=0\r\no=- 1 1 IN IP4 198.51.100.1\r\ns=-\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\nm=audio 6060 RTP/AVP 0\r\na=sendrecv\r\n";

/// A request of a scripted phone: INVITE and ACK outside of our own endpoint's rules.
fn request(method: &str, cseq: u32, to_tag: &str, headers: &str, body: &str) -> String {
    let to_tag = if to_tag.is_empty() {
        String::new()
    } else {
        format!(";tag={to_tag}")
    };
    let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    format!(
        "{method} sip:blue@{CONF} SIP/2.0\r\nVia: SIP/2.0/UDP {{at}};branch=z9hG4bKraw{cseq}{method}\r\nMax-Forwards: 70\r\nFrom: <sip:raw@elsewhere.example>;tag=raw\r\n\
         To: <sip:blue@{CONF}>{to_tag}\r\nCall-ID: watch-raw\r\nCSeq: {cseq} {method}\r\nContact: <sip:raw@{{at}}>\r\n{headers}{kind}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The tag in the last response of this status.
fn tag(w: &World, phone: &str, status: &str) -> String {
    let start = format!("SIP/2.0 {status}");
    let all = &w.at(phone).received;
    let answer = all
        .iter()
        .rev()
        .find(|m| m.starts_with(&start))
        .unwrap_or_else(|| panic!("no {status} in {all:?}"));
    let to = answer.lines().find(|l| l.starts_with("To:")).expect("a To");
    to.split("tag=").nth(1).expect("a tag").trim().to_owned()
}

fn legs(w: &World) -> usize {
    w.rooms[&RoomName::new("blue").expect("a name")]
        .room()
        .people()
        .map(|p| p.legs.len())
        .sum()
}

#[test]
fn an_answer_in_the_ack_that_fits_nothing_leaves_nobody_in_the_room() {
    for answer in [
        "v=0\r\nrubbish",
        "",
        "v=0\r\no=- 1 1 IN IP4 198.51.100.1\r\ns=-\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\nm=audio 6060 RTP/AVP 96\r\n",
    ] {
        let mut w = World::new(30);
        w.enter("ann", "blue");
        w.phone("raw");
        w.raw("raw", &request("INVITE", 1, "", "", ""));
        let tag = tag(&w, "raw", "200");
        w.raw("raw", &request("ACK", 1, &tag, "", answer));
        w.run_for(Duration::from_secs(60));
        assert_eq!(legs(&w), 0, "{answer:?}");
        assert_eq!(w.calls(), 0, "{answer:?}");
        assert!(w.plane.legs.values().all(|l| l.closed), "{answer:?}");
    }
}

#[test]
fn a_call_whose_media_is_gone_ends() {
    let mut w = World::new(31);
    w.enter("ann", "blue");
    w.join_by_phone("guest", "blue");
    let leg = w.leg_of("guest", "blue").expect("a leg");
    w.media(MediaReport::Closed(leg, Box::default()));
    w.run_for(Duration::from_secs(1));
    assert_eq!(legs(&w), 0);
    assert_eq!(w.calls(), 0);
}

#[test]
fn r72_a_call_whose_media_is_somebody_else_s_ends_and_says_why() {
    for (why, cause) in [
        (MediaFailure::Fingerprint, "cause=488"),
        (MediaFailure::Handshake, "cause=408"),
        (MediaFailure::Closed, "cause=200"),
    ] {
        let mut w = World::new(31);
        w.enter("ann", "blue");
        w.join_by_phone("guest", "blue");
        let leg = w.leg_of("guest", "blue").expect("a leg");
        w.media(MediaReport::Failed(leg, why));
        w.run_for(Duration::from_secs(1));
        let bye = w.at("guest").received.iter().find(|r| r.starts_with("BYE ")).expect("a BYE");
        assert!(bye.contains(cause), "{bye}");
        assert_eq!((legs(&w), w.calls()), (0, 0));
        assert!(w.plane.legs.values().all(|l| l.closed));
    }
}

#[test]
fn update_without_a_body_is_answered_without_one() {
    let mut w = World::new(32);
    w.phone("raw");
    w.raw("raw", &request("INVITE", 1, "", "", SDP));
    let tag = tag(&w, "raw", "200");
    w.raw("raw", &request("ACK", 1, &tag, "", ""));
    w.raw(
        "raw",
        &request("UPDATE", 2, &tag, "Supported: timer\r\nSession-Expires: 1800;refresher=uac\r\n", ""),
    );
    let last = w.at("raw").received.last().expect("an answer").clone();
    assert!(last.starts_with("SIP/2.0 200") && last.ends_with("\r\n\r\n"), "{last}");
    assert_eq!(legs(&w), 1);
    // Hold and back.
    for (n, direction, held) in [(3, "sendonly", true), (4, "sendrecv", false), (5, "inactive", true)] {
        w.raw("raw", &request("INVITE", n, &tag, "", &SDP.replace("sendrecv", direction)));
        let last = w
            .at("raw")
            .received
            .iter()
            .rev()
            .find(|m| m.starts_with("SIP/2.0 200"))
            .expect("an answer")
            .clone();
        assert!(
            last.contains("CSeq: ")
                && last.contains(match direction {
                    "sendonly" => "a=recvonly",
                    d => d,
                }),
            "{last}"
        );
        w.raw("raw", &request("ACK", n, &tag, "", ""));
        let room = w.rooms[&RoomName::new("blue").expect("a name")].room();
        let shown = room.people().flat_map(|p| p.legs).next().expect("a leg").state;
        assert_eq!(shown == cusax::room::LegState::Held, held, "{direction}");
    }
    w.raw("raw", &request("BYE", 9, &tag, "", ""));
    assert_eq!((legs(&w), w.calls()), (0, 0));
}

#[test]
fn a_fetch_gets_one_document() {
    let mut w = World::new(33);
    w.enter("ann", "blue");
    w.join_by_phone("guest", "blue");
    w.subscribe("guest", "blue", 0);
    w.run_for(Duration::from_secs(1));
    w.enter("bob", "blue");
    w.run_for(Duration::from_secs(30));
    assert_eq!(w.at("guest").documents.len(), 1);
    let last = w
        .at("guest")
        .received
        .iter()
        .rev()
        .find(|m| m.starts_with("NOTIFY"))
        .expect("a NOTIFY");
    assert!(last.contains("Subscription-State: terminated"), "{last}");
}

#[test]
fn r13_documents_go_to_nobody_but_the_phone_that_asked_in_its_calls_name() {
    let mut w = World::new(34);
    w.enter("ann", "blue");
    w.join_by_phone("guest", "blue");
    w.phone("thief");
    // As if the source address were forged: all is as the phone itself would say it, but the route leads elsewhere.
    let text = format!(
        "SUBSCRIBE sip:blue@{CONF} SIP/2.0\r\nVia: SIP/2.0/UDP {{at}};branch=z9hG4bKthief\r\nMax-Forwards: 70\r\nRecord-Route: <sip:198.51.100.2;lr>\r\nFrom: <sip:guest@elsewhere.example>;tag=thief\r\n\
         To: <sip:blue@{CONF}>\r\nCall-ID: watch-thief\r\nCSeq: 1 SUBSCRIBE\r\nContact: <sip:phone@{{at}}>\r\nEvent: conference\r\nContent-Length: 0\r\n\r\n"
    );
    w.raw("guest", &text);
    w.run_for(Duration::from_secs(1));
    assert!(
        !w.at("thief").received.iter().any(|m| m.contains("conference-info")),
        "{:?}",
        w.at("thief").received
    );
}

#[test]
fn the_end_of_a_room_is_not_the_end_of_the_next_one_of_its_name() {
    let mut w = World::new(35);
    let owner = |content: &str| {
        format!("<iq type='set' id='o' to='green@{ROOMS}'><query xmlns='http://jabber.org/protocol/muc#owner'>{content}</query></iq>")
    };
    for _ in 0..2 {
        w.enter("ann", "green");
        w.say(
            "ann",
            &owner("<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/muc#roomconfig</value></field><field var='{urn:cusax:room:0}audio'><value>anyone</value></field></x>"),
        );
        assert!(
            w.saw("ann", &["result", "'o'"]) || w.saw("ann", &["result", "\"o\""]),
            "{:?}",
            w.at("guest").received
        );
        w.join_by_phone("guest", "green");
        if w.at("guest").log.iter().filter(|l| *l == "200").count() == 1 {
            w.say("ann", &owner("<destroy/>"));
            w.run_for(Duration::from_secs(1));
            assert_eq!(w.calls(), 0);
        }
    }
    w.run_until("the second call is up", |w| w.is_heard("guest", "green"));
    w.room_gone("green");
    w.run_for(Duration::from_secs(1));
    assert!(w.is_heard("guest", "green"));
    assert_eq!(w.calls(), 1);
}
