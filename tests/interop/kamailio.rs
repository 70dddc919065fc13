//! Behind a proxy that stays in the path: Kamailio, with SIPp at its other side (RFC 3261 section 16, loose routing).

use cusax::app::prosody::Prosody;

use super::peers::{
    self, Folder, Line, Message, Script, Server, Sipp,
    contact::Contact,
    dns::{Dns, Record},
    kamailio::{Kamailio, Routing},
    ports::free_port,
    server::{DOMAIN, Special},
    uac::Uac,
};

fn bridge(test: &str, special: &Special<'_>) -> (Folder, Prosody, Server) {
    let folder = Folder::new(test);
    let prosody = peers::prosody(&folder, &["ann"]);
    let server = Server::start_with(&prosody, &folder, special);
    (folder, prosody, server)
}

fn hop(server: &Server, transport: &str) -> String {
    let address = match transport {
        "tls" => server.tls(),
        "tcp" => server.tcp(),
        _ => server.udp(),
    };
    format!("sip:{address};transport={transport}")
}

/// Zoe, who calls the proxy.
fn by(proxy: &Kamailio, transport: &'static str) -> Line {
    Line {
        server: proxy.address(),
        transport,
        domain: DOMAIN.into(),
        room: "standup".into(),
        user: "zoe".into(),
    }
}

fn requests<'a>(messages: &'a [Message], method: &str) -> Vec<&'a Message> {
    let start = format!("{method} ");
    messages.iter().filter(|m| m.received && m.start().starts_with(&start)).collect()
}

fn proxied(test: &str, inside: &str) -> (Folder, Prosody, Server, Kamailio) {
    let special = Special {
        sip: "tls_ca = 'authority.pem'",
        ..Special::default()
    };
    let (folder, prosody, server) = bridge(test, &special);
    let routing = Routing {
        to: vec![hop(&server, inside)],
        tls: (inside == "tls").then(|| folder.join("server")),
        ..Routing::default()
    };
    let proxy = Kamailio::start(&folder, &routing);
    (folder, prosody, server, proxy)
}

#[test]
fn rfc3261_16_a_call_is_held_and_ended_through_the_proxy() {
    for (outside, inside) in [("udp", "tcp"), ("udp", "tls"), ("tcp", "udp")] {
        let (folder, _prosody, server, proxy) = proxied("proxied", inside);
        let script = Script::new()
            .call()
            .reoffer("sendonly", "recvonly")
            .reoffer("sendrecv", "sendrecv")
            .bye();
        let messages = Sipp::start(&folder, "call", &by(&proxy, outside), &script).finish();
        let routes = messages
            .iter()
            .find_map(|m| m.header("record-route"))
            .expect("it stays in the path");
        assert!(routes.contains("r2=on"), "it says by which transport on each side: {routes}");
        server.wait_people("standup", "empty", <[_]>::is_empty);
        assert_eq!(server.counter("sip.timed_out"), 0);
    }
}

/// Whom we hang up through the proxy is told so there.
fn kicked(server: &Server, sipp: Sipp) -> Vec<Message> {
    server.wait_people("standup", "one", |people| people.len() == 1);
    assert!(server.operator(&["room", "kick", "standup", "zoe"]).1);
    let messages = sipp.finish();
    let byes = requests(&messages, "BYE");
    assert_eq!(byes.len(), 1);
    assert_eq!(byes[0].text.lines().filter(|line| line.starts_with("Via:")).count(), 2);
    messages
}

#[test]
fn rfc3261_16_a_bye_of_ours_goes_through_the_proxy() {
    for (outside, inside) in [("udp", "tcp"), ("udp", "tls"), ("tcp", "udp")] {
        let (folder, _prosody, server, proxy) = proxied("proxied-bye", inside);
        let sipp = Sipp::start(&folder, "call", &by(&proxy, outside), &Script::new().call().take("BYE"));
        kicked(&server, sipp);
        assert_eq!(server.counter("sip.handshakes_failed"), 0);
    }
}

#[test]
fn rfc3263_4_a_name_in_record_route_is_looked_up_for_requests_of_ours() {
    let dns = Dns::start(vec![("proxy.test", Record::Address(std::net::Ipv4Addr::LOCALHOST))]);
    let sip = format!("dns = ['{}']", dns.address);
    let (folder, _prosody, server) = bridge(
        "proxied-name",
        &Special {
            sip: &sip,
            ..Special::default()
        },
    );
    let proxy = Kamailio::start(
        &folder,
        &Routing {
            to: vec![hop(&server, "udp")],
            name: Some("proxy.test"),
            ..Routing::default()
        },
    );
    let sipp = Sipp::start(&folder, "call", &by(&proxy, "udp"), &Script::new().call().take("BYE"));
    let messages = kicked(&server, sipp);
    let answer = messages
        .iter()
        .find(|m| m.header("record-route").is_some())
        .expect("it stays in the path");
    assert!(answer.text.contains("<sip:proxy.test:"), "{}", answer.text);
    assert!(dns.asked_for("proxy.test") > 0);
    server.wait_counter("sip.lookups", 1);
    assert_eq!(server.counter("sip.lookups_failed"), 0);
}

#[test]
fn rfc3261_8_2_2_2_a_call_that_is_forked_to_us_twice_is_answered_once() {
    let other_room = format!("sip:other@{DOMAIN}");
    for rooms in [Vec::new(), vec![other_room]] {
        let (folder, _prosody, server) = bridge(
            "proxied-fork",
            &Special {
                more: "[[room]]\nname = 'other'\n",
                ..Special::default()
            },
        );
        let proxy = Kamailio::start(
            &folder,
            &Routing {
                to: vec![hop(&server, "udp"), hop(&server, "udp")],
                rooms,
                ..Routing::default()
            },
        );
        let script = Script::new().call().pause(500).bye();
        let messages = Sipp::start(&folder, "call", &by(&proxy, "udp"), &script).finish();
        let answers = messages
            .iter()
            .filter(|m| m.received && m.start() == "SIP/2.0 200 OK" && m.header("cseq") == Some("1 INVITE"));
        assert_eq!(answers.count(), 1);
        // The other branch is the same request (482).
        server.wait_counter("sip.merged", 1);
        server.wait_people("standup", "empty", <[_]>::is_empty);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r41_a_call_of_ours_that_two_contacts_answer_keeps_the_first() {
    let folder = Folder::new("proxied-out");
    let (one, two) = (Contact::start(), Contact::start());
    let proxy = Kamailio::start(
        &folder,
        &Routing {
            to: vec![format!("sip:{}", one.address), format!("sip:{}", two.address)],
            ..Routing::default()
        },
    );
    let port = proxy.address().port();
    let machine = |priority, port, target| Record::Srv { priority, port, target };
    let dns = Dns::start(vec![
        ("_sip._tcp.example.test", machine(1, free_port(), "dead.example.test")),
        ("_sip._tcp.example.test", machine(2, port, "proxy.example.test")),
        ("dead.example.test", Record::Address(std::net::Ipv4Addr::LOCALHOST)),
        ("proxy.example.test", Record::Address(std::net::Ipv4Addr::LOCALHOST)),
        ("example.test", Record::Address(std::net::Ipv4Addr::LOCALHOST)),
    ]);
    let mut uac = Uac::new(&dns);
    uac.invite("sip:bob@example.test;transport=tcp");
    uac.outcome().await.expect("both answer");
    assert_eq!(uac.counters().failed_over, 1, "the dead proxy was left for the other");
    let one_is_kept = || one.heard("ACK") && two.heard("ACK") && (one.heard("BYE") != two.heard("BYE"));
    uac.until(one_is_kept).await;
    uac.hang_up().await;
    uac.until(|| one.heard("BYE") && two.heard("BYE")).await;
    let byes = [&one, &two].map(|contact| contact.first("BYE"));
    for bye in byes {
        assert_eq!(
            bye.lines().filter(|line| line.starts_with("Via:")).count(),
            2,
            "through the proxy: {bye}"
        );
    }
}
