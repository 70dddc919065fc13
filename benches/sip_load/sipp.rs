//! SIPp as the callers: each call is INVITE, 200, ACK, BYE, 200, as fast as they are answered.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::Outcome;

const SCENARIO: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<scenario name="load">
<send retrans="500"><![CDATA[
INVITE sip:hall@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch];rport
Max-Forwards: 70
From: "Zoe" <sip:zoe@[local_ip]:[local_port]>;tag=[call_number]
To: <sip:hall@[remote_ip]:[remote_port]>
Call-ID: [call_id]
CSeq: 1 INVITE
Contact: <sip:zoe@[local_ip]:[local_port]>
Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE
Content-Type: application/sdp
Content-Length: [len]

v=0
o=sipp 1 1 IN IP4 [local_ip]
s=-
c=IN IP4 [local_ip]
t=0 0
m=audio 9000 RTP/AVP 0 101
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-15
]]></send>
<recv response="100" optional="true"/>
<recv response="180" optional="true"/>
<recv response="200" rrs="true"/>
<send><![CDATA[
ACK [next_url] SIP/2.0
Via: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch];rport
Max-Forwards: 70
From: "Zoe" <sip:zoe@[local_ip]:[local_port]>;tag=[call_number]
To: <sip:hall@[remote_ip]:[remote_port]>[peer_tag_param]
Call-ID: [call_id]
CSeq: 1 ACK
Content-Length: 0

]]></send>
<send retrans="500"><![CDATA[
BYE [next_url] SIP/2.0
Via: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch];rport
Max-Forwards: 70
From: "Zoe" <sip:zoe@[local_ip]:[local_port]>;tag=[call_number]
To: <sip:hall@[remote_ip]:[remote_port]>[peer_tag_param]
Call-ID: [call_id]
CSeq: 2 BYE
Content-Length: 0

]]></send>
<recv response="200"/>
</scenario>
"#;

/// What SIPp counted.
#[derive(Debug)]
pub(crate) struct Counted {
    /// Calls that went as written.
    pub(crate) good: u64,
    /// Others.
    pub(crate) failed: u64,
    /// Messages that it sent again.
    pub(crate) repeated: u64,
    /// How long it took.
    pub(crate) took: Duration,
}

/// Makes so many calls at so many a second, and waits for their end.
pub(crate) fn calls(folder: &Path, server: SocketAddr, calls: u32, rate: u32) -> Outcome<Counted> {
    fs::write(folder.join("load.xml"), SCENARIO)?;
    let statistics = folder.join("load.csv");
    // It appends.
    let _there_may_be_none = fs::remove_file(&statistics);
    let begun = Instant::now();
    let mut command = Command::new("sipp");
    command.args([
        "-sf",
        "load.xml",
        "-i",
        "127.0.0.1",
        "-t",
        "u1",
        "-nostdin",
        "-trace_stat",
        "-stf",
        "load.csv",
    ]);
    command.args(["-m", &calls.to_string(), "-r", &rate.to_string(), "-l", "4000", "-timeout", "900"]);
    command.arg(server.to_string()).current_dir(folder).env("TERM", "dumb");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let status = command.status()?;
    let table = fs::read_to_string(&statistics)?;
    let mut lines = table.lines();
    let names: Vec<&str> = lines.next().ok_or("an empty table")?.split(';').collect();
    let last: Vec<&str> = lines.next_back().ok_or("a table without lines")?.split(';').collect();
    let total = |name: &str| -> Outcome<u64> {
        let column = names.iter().position(|n| *n == name).ok_or_else(|| format!("no column {name}"))?;
        Ok(last.get(column).ok_or("a short line")?.parse()?)
    };
    let counted = Counted {
        good: total("SuccessfulCall(C)")?,
        failed: total("FailedCall(C)")?,
        repeated: total("Retransmissions(C)")?,
        took: begun.elapsed(),
    };
    if status.success() {
        Ok(counted)
    } else {
        Err(format!("sipp: {status}, {counted:?}").into())
    }
}
