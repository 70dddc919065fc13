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
#[derive(Default)]
struct Request<'a> {
    method: &'a str,
    cseq: u32,
    /// Inside the dialog: to its target, along its route, with its tag.
    inside: bool,
    /// Of the transaction that the INVITE of this `CSeq` began: its CANCEL, and the ACK to its failure (RFC 3261 sections 9.1 and 17.1.1.3).
    of_invite: bool,
    /// Not repeated when no answer comes.
    once: bool,
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

    /// Calls the room and acknowledges.
    pub(crate) fn call(self) -> Self {
        self.call_without_ack().ack()
    }

    /// Calls the room and leaves its answer unacknowledged. SIPp answers a repeated message by repeating its own last one.
    pub(crate) fn call_without_ack(self) -> Self {
        let mut this = self.invite(false).maybe(100).maybe(180);
        this.line("<recv response=\"200\" rrs=\"true\"/>");
        this
    }

    /// Calls, and is refused so.
    pub(crate) fn refused(self, status: u16) -> Self {
        self.invite(false).maybe(100).maybe(180).expect(status).ack_failure()
    }

    /// Calls, and takes it back before anything was answered; whichever of the two wins, nothing is left over.
    pub(crate) fn call_and_cancel(mut self) -> Self {
        let [failed, answered, end] = [self.label(), self.label(), self.label()];
        // SIPp goes on after a request that it would repeat only when that was answered.
        self = self.invite(true).pause(300);
        let cseq = self.invite;
        self.send(&Request {
            method: "CANCEL",
            cseq,
            of_invite: true,
            ..Request::default()
        });
        self = self.maybe(100).maybe(180);
        self.line(&format!("<recv response=\"487\" optional=\"true\" next=\"{failed}\"/>"));
        let invite = "<ereg regexp=\"INVITE\" search_in=\"hdr\" header=\"CSeq:\" assign_to=\"seen\"/>";
        self.line(&format!(
            "<recv response=\"200\" rrs=\"true\" next=\"{answered}\" test=\"seen\"><action>{invite}</action></recv>"
        ));
        // That 200 was the CANCEL's; the INVITE was in time to be cancelled.
        self = self.expect(487).ack_failure();
        self.line(&format!("<nop next=\"{end}\"/>"));
        self.line(&format!("<label id=\"{failed}\"/>"));
        self = self.ack_failure().expect(200);
        self.line(&format!("<nop next=\"{end}\"/>"));
        self.line(&format!("<label id=\"{answered}\"/>"));
        self = self.ack().expect(200).bye();
        self.line(&format!("<label id=\"{end}\"/>"));
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
            offer: Some(direction),
            ..Request::default()
        });
        self = self.maybe(100);
        let check = format!("<ereg regexp=\"a={answered}\" search_in=\"body\" check_it=\"true\" assign_to=\"seen\"/>");
        self.line(&format!("<recv response=\"200\"><action>{check}</action></recv>"));
        self.ack()
    }

    /// Acknowledges the last 200.
    pub(crate) fn ack(mut self) -> Self {
        let cseq = self.invite;
        self.send(&Request {
            method: "ACK",
            cseq,
            inside: true,
            ..Request::default()
        });
        self
    }

    /// Ends the call.
    pub(crate) fn bye(mut self) -> Self {
        self.cseq += 1;
        self.send(&Request {
            method: "BYE",
            cseq: self.cseq,
            inside: true,
            ..Request::default()
        });
        self.expect(200)
    }

    /// Watches the room's state (RFC 4575) from within the call until told nothing new for `quiet_ms`, then unsubscribes.
    pub(crate) fn watch(mut self, quiet_ms: u32) -> Self {
        let [again, quiet] = [self.label(), self.label()];
        self = self.subscribe(600);
        self.line(&format!("<label id=\"{again}\"/>"));
        self.line(&format!("<recv request=\"NOTIFY\" timeout=\"{quiet_ms}\" ontimeout=\"{quiet}\"/>"));
        self = self.answer();
        self.line(&format!("<nop next=\"{again}\"/>"));
        self.line(&format!("<label id=\"{quiet}\"/>"));
        self.subscribe(0).take("NOTIFY")
    }

    fn subscribe(mut self, expires: u32) -> Self {
        let extra = format!("Event: conference\nAccept: application/conference-info+xml\nExpires: {expires}\n");
        self.cseq += 1;
        self.send(&Request {
            method: "SUBSCRIBE",
            cseq: self.cseq,
            inside: true,
            extra: &extra,
            ..Request::default()
        });
        self.expect(200)
    }

    fn invite(mut self, once: bool) -> Self {
        self.cseq += 1;
        self.invite = self.cseq;
        self.send(&Request {
            method: "INVITE",
            cseq: self.cseq,
            once,
            offer: Some("sendrecv"),
            ..Request::default()
        });
        self
    }

    fn ack_failure(mut self) -> Self {
        let cseq = self.invite;
        self.send(&Request {
            method: "ACK",
            cseq,
            of_invite: true,
            ..Request::default()
        });
        self
    }

    /// Sends a request of another kind outside any dialog.
    pub(crate) fn request(mut self, method: &str, extra: &str) -> Self {
        self.cseq += 1;
        self.send(&Request {
            method,
            cseq: self.cseq,
            extra,
            ..Request::default()
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
            of_invite,
            once,
            extra,
            offer,
        } = request;
        let (target, routes) = if *inside { ("[next_url]", "[routes]\n") } else { (ROOM, "") };
        let tag = if *inside || *method == "ACK" { "[peer_tag_param]" } else { "" };
        let transaction = if *of_invite { "INVITE" } else { method };
        let mut text = format!(
            "{method} {target} SIP/2.0\n\
             Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=z9hG4bK-[pid]-[call_number]-{cseq}-{transaction}\n\
             From: \"[user]\" <sip:[user]@[domain]>;tag=[pid]-[call_number]\nTo: <{ROOM}>{tag}\nCall-ID: [call_id]\nCSeq: {cseq} {method}\n\
             Contact: <sip:[user]@[local_ip]:[local_port];transport=[transport]>\n{routes}Max-Forwards: 70\nUser-Agent: sipp\n{extra}"
        );
        match offer {
            Some(direction) => {
                let _a_string_takes_all = write!(text, "Content-Type: application/sdp\nContent-Length: [len]\n\n{SDP}a={direction}\n");
            }
            None => text.push_str("Content-Length: 0\n\n"),
        }
        self.message(&text, if *once || *method == "ACK" { "" } else { " retrans=\"500\"" });
    }

    fn message(&mut self, text: &str, attributes: &str) {
        let _a_string_takes_all = write!(self.steps, "<send{attributes}><![CDATA[\n\n{text}\n]]></send>\n");
    }
}

const ROOM: &str = "sip:[service]@[domain]";
