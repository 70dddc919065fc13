//! Names in SIP URIs, looked up in a real DNS and gone to over real sockets (RFC 3263).

use std::{
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use cusax::sip::endpoint::EndCause;

use super::peers::{
    Folder, Sipp,
    dns::{Dns, Record},
    ports::free_port,
    uac::Uac,
};

fn loopback() -> Record {
    Record::Address(Ipv4Addr::LOCALHOST)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rfc3263_4_3_a_dead_machine_is_left_for_the_next_and_the_call_is_answered() {
    let folder = Folder::new("names");
    for (transport, service, prefix) in [
        ("udp", "SIP+D2U", "_sip._udp.example.test"),
        ("tcp", "SIP+D2T", "_sip._tcp.example.test"),
    ] {
        let (_answerer, alive) = Sipp::answerer(&folder, transport);
        let machine = |priority, port, target| Record::Srv { priority, port, target };
        let dns = Dns::start(vec![
            (
                "example.test",
                Record::Naptr {
                    order: 1,
                    service,
                    replacement: prefix,
                },
            ),
            (prefix, machine(1, free_port(), "dead.example.test")),
            (prefix, machine(2, alive.port(), "alive.example.test")),
            ("dead.example.test", loopback()),
            ("alive.example.test", loopback()),
        ]);
        let mut caller = Uac::new(&dns);
        caller.invite("sip:bob@example.test");
        assert_eq!(caller.outcome().await, Ok(alive), "{transport}");
        assert_eq!(caller.counters().failed_over, 1);
        caller.hang_up().await;
        // The records live for a minute.
        let asked = dns.asked_for("example.test");
        caller.invite("sip:bob@example.test");
        assert_eq!(caller.outcome().await, Ok(alive), "{transport}");
        assert_eq!(dns.asked_for("example.test"), asked, "they are kept");
        caller.hang_up().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_does_not_exist_ends_the_call_at_once() {
    let dns = Dns::start(Vec::new());
    let mut caller = Uac::new(&dns);
    caller.invite("sip:bob@nowhere.test");
    assert_eq!(caller.outcome().await, Err(EndCause::Unreachable("the name leads nowhere")));
    assert!(dns.asked_for("_sip._udp.nowhere.test") > 0, "it was looked for");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resolver_that_swallows_questions_costs_seconds_and_not_the_call() {
    let folder = Folder::new("names");
    let (_answerer, alive) = Sipp::answerer(&folder, "udp");
    let machine = Record::Srv {
        priority: 1,
        port: alive.port(),
        target: "alive.example.test",
    };
    let dns = Dns::start(vec![
        ("example.test", Record::Silence),
        ("_sip._udp.example.test", machine),
        ("alive.example.test", loopback()),
    ]);
    let mut caller = Uac::new(&dns);
    caller.invite("sip:bob@example.test");
    assert_eq!(caller.outcome().await, Ok(alive));
    caller.hang_up().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dns_that_is_silent_ends_the_call_in_time() {
    let dns = Dns::start(vec![
        ("example.test", Record::Silence),
        ("_sip._udp.example.test", Record::Silence),
        ("_sip._tcp.example.test", Record::Silence),
    ]);
    let mut caller = Uac::new(&dns);
    let began = Instant::now();
    caller.invite("sip:bob@example.test");
    assert_eq!(caller.outcome().await, Err(EndCause::Unreachable("the name leads nowhere")));
    assert!(began.elapsed() < Duration::from_secs(12), "{:?}", began.elapsed());
}
