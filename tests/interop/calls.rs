//! SIPp calls the bridge: each script is a phone's part of one call, step by step.

use super::peers::{self, Chat, Folder, Line, Message, Script, Server, Sipp, server::ROOM};

/// A server for the accounts `ann` and `bob`, and its Prosody.
fn bridge(test: &str) -> (Folder, cusax::app::prosody::Prosody, Server) {
    let folder = Folder::new(test);
    let prosody = peers::prosody(&folder, &["ann", "bob"]);
    let server = Server::start(&prosody, &folder, "");
    (folder, prosody, server)
}

/// Responses that came to a request, by its `CSeq`.
fn responses<'a>(messages: &'a [Message], cseq: &str) -> Vec<&'a Message> {
    messages
        .iter()
        .filter(|m| m.received && m.start().starts_with("SIP/2.0") && m.header("cseq") == Some(cseq))
        .collect()
}

fn ok_to_call<'a>(messages: &'a [Message], cseq: &str) -> &'a Message {
    responses(messages, cseq)
        .into_iter()
        .find(|m| m.start() == "SIP/2.0 200 OK")
        .expect("a 200")
}

fn meets_a_focus(transport: &'static str) {
    let (folder, _prosody, server) = bridge("focus");
    let script = Script::new().call().pause(300).bye();
    let messages = Sipp::start(&folder, "call", &server.line("zoe", transport), &script).finish();
    let answer = ok_to_call(&messages, "1 INVITE");
    assert!(answer.header("contact").is_some_and(|c| c.ends_with(";isfocus")), "{}", answer.text);
    assert!(
        answer.header("allow-events").is_some_and(|e| e.contains("conference")),
        "{}",
        answer.text
    );
    server.wait_people("standup", "empty", <[_]>::is_empty);
}

#[test]
fn m1_a_call_by_udp_meets_a_focus() {
    meets_a_focus("udp");
}

#[test]
fn m1_a_call_by_tcp_meets_a_focus() {
    meets_a_focus("tcp");
}

#[test]
fn m1_options_tells_of_the_focus() {
    let (folder, _prosody, server) = bridge("options");
    let messages = Sipp::start(
        &folder,
        "options",
        &server.line("zoe", "udp"),
        &Script::new().request("OPTIONS", "").expect(200),
    )
    .finish();
    let answer = messages.last().expect("an answer");
    assert!(answer.header("contact").is_some_and(|c| c.ends_with(";isfocus")), "{}", answer.text);
    assert!(
        answer.header("accept").is_some_and(|a| a.contains("application/sdp")),
        "{}",
        answer.text
    );
}

#[test]
fn r41_an_answer_is_repeated_until_it_is_acknowledged() {
    let (folder, _prosody, server) = bridge("repeat");
    let script = Script::new().call_without_ack().pause(1800).ack().pause(300).bye();
    let messages = Sipp::start(&folder, "call", &server.line("zoe", "udp"), &script).finish();
    let answers = responses(&messages, "1 INVITE");
    let finals: Vec<_> = answers.iter().filter(|m| m.start() == "SIP/2.0 200 OK").collect();
    assert!(finals.len() >= 3, "at once, after 0.5 s and after 1.5 s; came: {}", finals.len());
    let tags: Vec<_> = finals.iter().map(|m| m.header("to")).collect();
    assert!(tags.iter().all(|t| *t == tags[0]), "one call, not two: {tags:?}");
    server.wait_people("standup", "empty", <[_]>::is_empty);
}

#[test]
fn r41_a_call_that_is_taken_back_leaves_nothing() {
    let (folder, _prosody, mut server) = bridge("cancel");
    // While the server sleeps, both requests gather in its socket.
    server.signal("STOP");
    let sipp = Sipp::start(&folder, "cancel", &server.line("zoe", "udp"), &Script::new().call_and_cancel());
    sipp.wait("its own CANCEL", |m| m.start().starts_with("CANCEL"));
    server.signal("CONT");
    let messages = sipp.finish();
    assert!(!responses(&messages, "1 CANCEL").is_empty());
    server.wait_people("standup", "empty", <[_]>::is_empty);
}

#[test]
fn r44_a_held_call_is_answered_and_shown_so() {
    let (folder, _prosody, server) = bridge("hold");
    let script = Script::new()
        .call()
        .pause(200)
        .reoffer("sendonly", "recvonly")
        .pause(3000)
        .reoffer("sendrecv", "sendrecv")
        .pause(3000)
        .bye();
    let sipp = Sipp::start(&folder, "hold", &server.line("zoe", "udp"), &script);
    server.wait_people("standup", "on hold", |p| p.iter().any(|p| p["audio"] == "on-hold"));
    server.wait_people("standup", "back", |p| p.iter().any(|p| p["audio"] == "two-way"));
    sipp.finish();
}

#[test]
fn r40_what_cannot_be_is_refused_with_its_own_code() {
    let (folder, _prosody, server) = bridge("refused");
    let zoe = server.line("zoe", "udp");
    let run = |name: &str, line: &Line, script: Script| Sipp::start(&folder, name, line, &script).finish();
    run(
        "unknown-room",
        &Line {
            room: "nowhere".into(),
            ..zoe.clone()
        },
        Script::new().refused(404),
    );
    let bad = run(
        "bad-event",
        &zoe,
        Script::new().request("SUBSCRIBE", "Event: weather\n").expect(489),
    );
    assert_eq!(bad.last().and_then(|m| m.header("allow-events")), Some("conference"));
    run(
        "bad-accept",
        &zoe,
        Script::new()
            .request("SUBSCRIBE", "Event: conference\nAccept: text/plain\n")
            .expect(406),
    );
    let unknown = run("unknown-method", &zoe, Script::new().request("FROBNICATE", "").expect(501));
    assert!(
        unknown
            .last()
            .is_some_and(|m| m.header("allow").is_some_and(|a| a.contains("INVITE")))
    );
    // Rule R53: without an account and without a call one may not watch.
    run(
        "stranger-watches",
        &zoe,
        Script::new().request("SUBSCRIBE", "Event: conference\n").expect(401),
    );
}

#[test]
fn m2_m3_m6_a_watcher_is_told_what_happens_in_valid_documents() {
    let (folder, prosody, server) = bridge("watch");
    let mut bob = Chat::login(&prosody, &folder, "bob");
    let mut ann = Chat::login(&prosody, &folder, "ann");
    ann.join(ROOM, "Ann");
    let watcher = Sipp::start(
        &folder,
        "watch",
        &server.line("max", "udp"),
        &Script::new().call().watch(4000).bye(),
    );
    let told = |what: &str, part: &str| watcher.wait(what, |m| m.start().starts_with("NOTIFY") && m.body().contains(part));
    let first = told("the first document", "<conference-info");
    assert!(first.body().contains("state=\"full\""), "{}", first.text);
    assert!(
        first
            .body()
            .contains("<uri>xmpp:standup@rooms.localhost?join</uri><purpose>grouptextchat</purpose>"),
        "{}",
        first.text
    );

    bob.join(ROOM, "Bob");
    told("Bob in the chat", "Bob");
    let call = Sipp::start(&folder, "call", &server.line("zoe", "udp"), &Script::new().call().take("BYE"));
    told("the caller", ">zoe<");
    ann.set_role(ROOM, "zoe (phone)", "visitor").expect("an owner may");
    told("the mute", "muted-via-focus");
    ann.set_role(ROOM, "zoe (phone)", "none").expect("an owner may");
    told("the kick", "booted");
    call.finish();

    let documents: Vec<String> = watcher
        .finish()
        .iter()
        .filter(|m| m.received && m.start().starts_with("NOTIFY"))
        .map(|m| m.body().to_owned())
        .collect();
    let versions: Vec<u32> = documents
        .iter()
        .filter_map(|d| d.split_once(" version=\"")?.1.split_once('"')?.0.parse().ok())
        .collect();
    assert!(versions.windows(2).all(|pair| pair[1] > pair[0]), "rule R50: {versions:?}");
    peers::validate_documents(&folder, &documents);
}
