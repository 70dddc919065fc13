//! What SIPp does in one call, step by step, written out as its scenario file.

use std::fmt::Write as _;

/// A scenario in the making. Requests count their own `CSeq`.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    steps: String,
    cseq: u32,
    /// `CSeq` of the last INVITE, which its ACK and CANCEL repeat.
    invite: u32,
    labels: u32,
}

/// PCMU and keys; the place of the direction is left open.
const SDP: &str = "v=0
o=sipp 53655765 2353687637 IN IP[local_ip_type] [local_ip]
s=-
c=IN IP[media_ip_type] [media_ip]
t=0 0
m=audio [media_port] RTP/AVP 0 101
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-15
";

/// The parts in which requests differ.
struct Request<'a> {
    method: &'a str,
    cseq: u32,
    /// Inside the dialog: to its target, along its route, with its tag.
    inside: bool,
    /// Of the Via: a fresh one, or that of an earlier message.
    branch: &'a str,
    /// Header lines.
    extra: &'a str,
    /// Direction of the offered audio, if there is an offer.
    offer: Option<&'a str>,
}

impl Script {
    pub(crate) fn new() -> Self {
        Self {
            steps: String::new(),
            cseq: 0,
            invite: 0,
            labels: 0,
        }
    }

    /// Calls the room, answers a challenge if there is one, and acknowledges.
    pub(crate) fn call(self) -> Self {
        self.call_with("[branch]")
    }

    /// Calls, and leaves the answer unacknowledged; the request is sent twice, as a network may do it.
    pub(crate) fn call_twice_without_ack(mut self) -> Self {
        self = self.invite("[branch]", "");
        let cseq = self.cseq;
        self.cseq -= 1;
        self = self.invite("[branch-1]", "");
        assert_eq!(self.cseq, cseq, "the same request again");
        self.maybe(100).maybe(180).expect_dialog(200)
    }

    fn call_with(mut self, branch: &str) -> Self {
        let [challenged, answered] = [self.label(), self.label()];
        self = self.invite(branch, "").maybe(100).maybe(180);
        self.line(&format!(
            "<recv response=\"401\" auth=\"true\" optional=\"true\" next=\"{challenged}\"/>"
        ));
        self.line(&format!("<recv response=\"200\" rrs=\"true\" next=\"{answered}\"/>"));
        self.line(&format!("<label id=\"{challenged}\"/>"));
        // The ACK to a failure belongs to its transaction (RFC 3261 section 17.1.1.3).
        let refused = self.invite;
        self.send(&Request {
            method: "ACK",
            cseq: refused,
            inside: false,
            branch: "[branch-1]",
            extra: "",
            offer: None,
        });
        self = self
            .invite("[branch]", "[authentication]\n")
            .maybe(100)
            .maybe(180)
            .expect_dialog(200);
        self.line(&format!("<label id=\"{answered}\"/>"));
        self.ack()
    }

    fn invite(mut self, branch: &str, extra: &str) -> Self {
        self.cseq += 1;
        self.invite = self.cseq;
        self.send(&Request {
            method: "INVITE",
            cseq: self.cseq,
            inside: false,
            branch,
            extra,
            offer: Some("sendrecv"),
        });
        self
    }

    /// Offers another direction of the audio within the call, and checks the direction of the answer.
    pub(crate) fn reoffer(mut self, direction: &str, answered: &str) -> Self {
        self.cseq += 1;
        self.invite = self.cseq;
        self.send(&Request {
            method: "INVITE",
            cseq: self.cseq,
            inside: true,
            branch: "[branch]",
            extra: "",
            offer: Some(direction),
        });
        self = self.maybe(100);
        self.line(&format!(
            "<recv response=\"200\"><action><ereg regexp=\"a={answered}\" search_in=\"body\" check_it=\"true\" assign_to=\"seen\"/></action></recv>"
        ));
        self.ack()
    }

    /// Acknowledges the last 200.
    pub(crate) fn ack(mut self) -> Self {
        let cseq = self.invite;
        self.send(&Request {
            method: "ACK",
            cseq,
            inside: true,
            branch: "[branch]",
            extra: "",
            offer: None,
        });
        self
    }

    /// Calls and takes it back at once; whichever of the two wins, nothing is left over.
    pub(crate) fn call_and_cancel(mut self) -> Self {
        let [crossed, cancelled, end] = [self.label(), self.label(), self.label()];
        self = self.invite("[branch]", "");
        let cseq = self.invite;
        self.send(&Request {
            method: "CANCEL",
            cseq,
            inside: false,
            branch: "[branch-1]",
            extra: "",
            offer: None,
        });
        self = self.maybe(100).maybe(180);
        self.line(&format!("<recv response=\"487\" optional=\"true\" next=\"{cancelled}\"/>"));
        self.line("<recv response=\"200\" rrs=\"true\"><action><ereg regexp=\"INVITE\" search_in=\"hdr\" header=\"CSeq:\" assign_to=\"seen\"/></action></recv>");
        self.line(&format!("<nop next=\"{crossed}\" test=\"seen\"/>"));
        // 200 was for the CANCEL: the INVITE's own answer follows.
        self.line(&format!("<recv response=\"487\" optional=\"true\" next=\"{cancelled}\"/>"));
        self = self.expect_dialog(200);
        self.line(&format!("<label id=\"{crossed}\"/>"));
        self = self.ack().bye();
        self.line(&format!("<nop next=\"{end}\"/>"));
        self.line(&format!("<label id=\"{cancelled}\"/>"));
        // Two messages back: the INVITE's branch, which the CANCEL repeated.
        self.send(&Request {
            method: "ACK",
            cseq,
            inside: false,
            branch: "[branch-1]",
            extra: "",
            offer: None,
        });
        self.line(&format!("<label id=\"{end}\"/>"));
        self.pause(500)
    }

    /// Ends the call.
    pub(crate) fn bye(mut self) -> Self {
        self.cseq += 1;
        self.send(&Request {
            method: "BYE",
            cseq: self.cseq,
            inside: true,
            branch: "[branch]",
            extra: "",
            offer: None,
        });
        self.maybe(100).expect(200)
    }

    /// Watches the room's state (RFC 4575) until told nothing new for `quiet_ms`, then unsubscribes. With credentials.
    pub(crate) fn watch(mut self, quiet_ms: u32) -> Self {
        let [again, quiet] = [self.label(), self.label()];
        self = self.subscribe(600);
        self.line(&format!("<label id=\"{again}\"/>"));
        self.line(&format!("<recv request=\"NOTIFY\" timeout=\"{quiet_ms}\" ontimeout=\"{quiet}\"/>"));
        self = self.answer();
        self.line(&format!("<nop next=\"{again}\"/>"));
        self.line(&format!("<label id=\"{quiet}\"/>"));
        self.cseq += 1;
        let extra = subscription(0);
        self.send(&Request {
            method: "SUBSCRIBE",
            cseq: self.cseq,
            inside: true,
            branch: "[branch]",
            extra: &extra,
            offer: None,
        });
        self = self.expect(200);
        self.line("<recv request=\"NOTIFY\"/>");
        self.answer()
    }

    /// Subscribes outside any dialog, answers the challenge, and takes the 200.
    fn subscribe(mut self, expires: u32) -> Self {
        let [challenged, answered] = [self.label(), self.label()];
        self.cseq += 1;
        let extra = subscription(expires);
        self.send(&Request {
            method: "SUBSCRIBE",
            cseq: self.cseq,
            inside: false,
            branch: "[branch]",
            extra: &extra,
            offer: None,
        });
        self.line(&format!(
            "<recv response=\"401\" auth=\"true\" optional=\"true\" next=\"{challenged}\"/>"
        ));
        self.line(&format!("<recv response=\"200\" rrs=\"true\" next=\"{answered}\"/>"));
        self.line(&format!("<label id=\"{challenged}\"/>"));
        self.cseq += 1;
        let extra = format!("{extra}[authentication]\n");
        self.send(&Request {
            method: "SUBSCRIBE",
            cseq: self.cseq,
            inside: false,
            branch: "[branch]",
            extra: &extra,
            offer: None,
        });
        self = self.expect_dialog(200);
        self.line(&format!("<label id=\"{answered}\"/>"));
        self
    }

    /// Sends a request of another kind outside any dialog.
    pub(crate) fn request(mut self, method: &str, extra: &str) -> Self {
        self.cseq += 1;
        self.send(&Request {
            method,
            cseq: self.cseq,
            inside: false,
            branch: "[branch]",
            extra,
            offer: None,
        });
        self
    }

    /// Takes a request from the other side and answers 200.
    pub(crate) fn take(mut self, method: &str) -> Self {
        self.line(&format!("<recv request=\"{method}\"/>"));
        self.answer()
    }

    /// Takes this response, which must come next.
    pub(crate) fn expect(mut self, status: u16) -> Self {
        self.line(&format!("<recv response=\"{status}\"/>"));
        self
    }

    /// Takes this response if it comes.
    pub(crate) fn maybe(mut self, status: u16) -> Self {
        self.line(&format!("<recv response=\"{status}\" optional=\"true\"/>"));
        self
    }

    /// Waits.
    pub(crate) fn pause(mut self, ms: u32) -> Self {
        self.line(&format!("<pause milliseconds=\"{ms}\"/>"));
        self
    }

    /// The file.
    pub(crate) fn xml(&self) -> String {
        // SIPp refuses variables that are set and never read.
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<scenario name=\"script\">\n{}{}</scenario>\n",
            self.steps,
            if self.steps.contains("assign_to=\"seen\"") {
                "<Reference variables=\"seen\"/>\n"
            } else {
                ""
            }
        )
    }

    fn expect_dialog(mut self, status: u16) -> Self {
        self.line(&format!("<recv response=\"{status}\" rrs=\"true\"/>"));
        self
    }

    fn answer(mut self) -> Self {
        let copied = "[last_Via:]\n[last_From:]\n[last_To:]\n[last_Call-ID:]\n[last_CSeq:]\n";
        self.message(
            &format!("SIP/2.0 200 OK\n{copied}Contact: <sip:[user]@[local_ip]:[local_port];transport=[transport]>\nContent-Length: 0\n\n"),
            "",
        );
        self
    }

    fn label(&mut self) -> u32 {
        self.labels += 1;
        self.labels
    }

    fn line(&mut self, line: &str) {
        self.steps.push_str(line);
        self.steps.push('\n');
    }

    fn send(&mut self, request: &Request<'_>) {
        let Request {
            method,
            cseq,
            inside,
            branch,
            extra,
            offer,
        } = request;
        let (target, tag, routes) = if *inside {
            ("[next_url]", "[peer_tag_param]", "[routes]\n")
        } else {
            (ROOM, "", "")
        };
        // The ACK to a failure has the failure's tag.
        let tag = if *method == "ACK" { "[peer_tag_param]" } else { tag };
        let mut text = format!(
            "{method} {target} SIP/2.0\nVia: SIP/2.0/[transport] [local_ip]:[local_port];branch={branch}\n\
             From: \"[user]\" <sip:[user]@[domain]>;tag=[pid]-[call_number]\nTo: <{ROOM}>{tag}\nCall-ID: [call_id]\nCSeq: {cseq} {method}\n\
             Contact: <sip:[user]@[local_ip]:[local_port];transport=[transport]>\n{routes}Max-Forwards: 70\nUser-Agent: sipp\n{extra}"
        );
        match offer {
            Some(direction) => {
                let _a_string_takes_all = write!(text, "Content-Type: application/sdp\nContent-Length: [len]\n\n{SDP}a={direction}\n");
            }
            None => text.push_str("Content-Length: 0\n\n"),
        }
        // ACK has no answer; a request sent twice repeats itself.
        let resend = if *method == "ACK" || (*method == "INVITE" && *branch != "[branch]") {
            ""
        } else {
            " retrans=\"500\""
        };
        self.message(&text, resend);
    }

    fn message(&mut self, text: &str, attributes: &str) {
        let _a_string_takes_all = write!(self.steps, "<send{attributes}><![CDATA[\n\n{text}\n]]></send>\n");
    }
}

const ROOM: &str = "sip:[service]@[domain]";

fn subscription(expires: u32) -> String {
    format!("Event: conference\nAccept: application/conference-info+xml\nExpires: {expires}\n")
}
