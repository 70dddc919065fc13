//! What the server weighs: at rest, and for each call.

use super::peers::{self, Folder, Script, Server, Sipp};

/// Enough that what one call takes stands out of the pages that the allocator takes at a time.
const CALLS: u32 = 200;

#[test]
fn a_server_at_rest_and_each_call_are_small() {
    let folder = Folder::new("weight");
    let prosody = peers::prosody(&folder, &["ann"]);
    let server = Server::start(&prosody, &folder, "");
    let rest = server.memory();
    peers::tell(&format!("a server at rest: {} MB of its own (target: 20)", rest / 1_000_000));
    assert!(rest < 20_000_000, "{rest} bytes at rest");

    // One call first: what all calls share is not theirs.
    let call = |hold| Script::new().call().pause(hold).bye();
    Sipp::start(&folder, "first", &server.line("zoe", "udp"), &call(100)).finish();
    server.wait_people("standup", "empty", <[_]>::is_empty);
    let before = server.memory();
    let sipp = Sipp::start_many(&folder, "many", &server.line("zoe", "udp"), &call(15_000), CALLS);
    server.wait_people("standup", "full of callers", |p| p.len() == CALLS as usize);
    let each = (server.memory() - before) / u64::from(CALLS);
    peers::tell(&format!(
        "a PCMU call, dialog and transactions included: {} KiB (target: 32)",
        each / 1024
    ));
    assert!(each < 32 * 1024, "{each} bytes a call");
    drop(sipp);
}
