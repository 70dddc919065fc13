//! The harness's own SIPp, against SIPp's answering side: calls run to their end and every message is kept.

use super::peers::{Folder, Line, Script, Sipp};

fn one_call(transport: &'static str) {
    let folder = Folder::new("sipp");
    let (_answerer, server) = Sipp::answerer(&folder, transport);
    let line = Line {
        server,
        transport,
        domain: "conf.localhost".into(),
        room: "standup".into(),
        user: "ann".into(),
    };
    let script = Script::new().call().pause(100).bye();
    let messages = Sipp::start(&folder, "call", &line, &script).finish();
    let starts: Vec<(bool, &str)> = messages.iter().map(|m| (m.received, m.start())).collect();
    let expected = [
        (false, "INVITE sip:standup@conf.localhost SIP/2.0"),
        (true, "SIP/2.0 180 Ringing"),
        (true, "SIP/2.0 200 OK"),
    ];
    assert_eq!(starts[..3], expected);
    assert!(starts[3].1.starts_with("ACK sip:"), "{starts:?}");
    assert_eq!(starts.last(), Some(&(true, "SIP/2.0 200 OK")));
    assert_eq!(messages[2].header("cseq"), Some("1 INVITE"));
    assert!(messages[2].body().starts_with("v=0"), "{}", messages[2].text);
}

#[test]
fn a_call_by_udp_runs_to_its_end() {
    one_call("udp");
}

#[test]
fn a_call_by_tcp_runs_to_its_end() {
    one_call("tcp");
}

#[test]
fn a_call_that_goes_wrong_is_noticed() {
    let folder = Folder::new("sipp");
    let (_answerer, server) = Sipp::answerer(&folder, "udp");
    let line = Line {
        server,
        transport: "udp",
        domain: "conf.localhost".into(),
        room: "standup".into(),
        user: "ann".into(),
    };
    // The answering side takes every call.
    let refused = std::panic::catch_unwind(|| Sipp::start(&folder, "call", &line, &Script::new().refused(404)).finish());
    let message = refused.expect_err("it did not go as written");
    assert!(message.downcast_ref::<String>().is_some_and(|m| m.starts_with("sipp ended with")));
}
