//! The messages of RFC 4475 and RFC 5118 against the running server, by UDP and by TCP: each gets the response that the text asks for, and
//! nothing that follows suffers from it.

use std::{
    io::{ErrorKind, Read, Write},
    net::{TcpStream, UdpSocket},
};

use super::peers::{self, Folder, Server, events::LIMIT};
use crate::rfc::rfc4475::{Fate, TABLE, load};

/// What the running server, which is the conference service of other domains and no registrar, says to those that can be read.
const ANSWERS: &[(&str, u16)] = &[
    // It has a To tag, and no dialog is known.
    ("wsinv", 481),
    ("esc01", 404),
    ("lwsdisp", 404),
    ("longreq", 404),
    ("semiuri", 404),
    ("transports", 404),
    // MESSAGE isn't served.
    ("mpart01", 405),
    ("baddate", 404),
    ("badaspec", 404),
    // RFC 4475 section 3.2.1: the branch is as good as none.
    ("badbranch", 404),
    // Whoever is the target needn't forward (section 3.3.11).
    ("zeromf", 404),
    ("inv2543", 404),
];

/// A way to the server.
trait Wire {
    fn send(&mut self, bytes: &[u8]);
    /// The next response; `None` once the server has closed the connection.
    fn next(&mut self) -> Option<Said>;
}

impl Wire for UdpSocket {
    fn send(&mut self, bytes: &[u8]) {
        Self::send(self, bytes).expect("loopback");
    }

    fn next(&mut self) -> Option<Said> {
        let mut buffer = [0; 65_536];
        let length = self.recv(&mut buffer).expect("an answer in time");
        Some(Said(buffer[..length].to_vec()))
    }
}

struct Stream {
    socket: TcpStream,
    left: Vec<u8>,
}

impl Wire for Stream {
    fn send(&mut self, bytes: &[u8]) {
        // A server that has hung up says so when it is read from.
        if let Err(why) = self.socket.write_all(bytes) {
            assert!(matches!(why.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset), "{why}");
        }
    }

    fn next(&mut self) -> Option<Said> {
        let mut buffer = [0; 16_384];
        loop {
            // None of these responses has a body.
            if let Some(end) = self.left.windows(4).position(|four| four == b"\r\n\r\n") {
                return Some(Said(self.left.drain(..end + 4).collect()));
            }
            match self.socket.read(&mut buffer) {
                Ok(0) => return None,
                Ok(length) => self.left.extend_from_slice(&buffer[..length]),
                Err(why) if why.kind() == ErrorKind::ConnectionReset => return None,
                Err(why) => panic!("an answer in time: {why}"),
            }
        }
    }
}

/// A response as it was written: what can't be read comes back in the headers that it copies from the request (RFC 3261 section 8.2.6.2).
#[derive(PartialEq, Eq)]
struct Said(Vec<u8>);

impl Said {
    fn status(&self) -> u16 {
        let line = self.0.strip_prefix(b"SIP/2.0 ").expect("a response");
        String::from_utf8_lossy(&line[..3]).parse().expect("a status")
    }

    fn field(&self, name: &str) -> String {
        let text = String::from_utf8_lossy(&self.0);
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        value.unwrap_or_default().to_owned()
    }
}

/// One way to the server, and the refusals of INVITEs that came by it: as nobody acknowledges them, they come again and again.
struct Peer<'a> {
    server: &'a Server,
    transport: &'static str,
    wire: Box<dyn Wire>,
    refusals: Vec<Said>,
    probes: usize,
}

impl<'a> Peer<'a> {
    fn new(server: &'a Server, transport: &'static str) -> Self {
        Self {
            server,
            transport,
            wire: Self::connect(server, transport),
            refusals: Vec::new(),
            probes: 0,
        }
    }

    fn connect(server: &Server, transport: &str) -> Box<dyn Wire> {
        if transport == "UDP" {
            let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
            socket.connect(server.udp()).expect("loopback");
            socket.set_read_timeout(Some(LIMIT)).expect("a time");
            Box::new(socket)
        } else {
            let socket = TcpStream::connect(server.tcp()).expect("it listens");
            socket.set_read_timeout(Some(LIMIT)).expect("a time");
            Box::new(Stream { socket, left: Vec::new() })
        }
    }

    fn reconnect(&mut self) {
        self.wire = Self::connect(self.server, self.transport);
    }

    /// The next final response that didn't come before.
    fn response(&mut self) -> Option<(u16, String)> {
        loop {
            let said = self.wire.next()?;
            let to_invite = said.field("CSeq").ends_with("INVITE");
            let (status, id) = (said.status(), said.field("Call-ID"));
            if status < 200 || to_invite && self.refusals.contains(&said) {
                continue;
            }
            if to_invite {
                self.refusals.push(said);
            }
            return Some((status, id));
        }
    }

    /// Sends bytes and an OPTIONS behind them: what is said to the former, `expected` responses at least, once the latter is answered. With
    /// `false` if the server closes the connection instead.
    fn said(&mut self, bytes: &[u8], expected: usize) -> (Vec<u16>, bool) {
        self.probes += 1;
        let probe = probe(self.server, self.transport, self.probes);
        self.wire.send(bytes);
        self.wire.send(probe.as_bytes());
        let (mut statuses, mut probed) = (Vec::new(), false);
        while !probed || statuses.len() < expected {
            let Some((status, id)) = self.response() else {
                self.reconnect();
                return (statuses, false);
            };
            if id.starts_with(PROBE) {
                assert_eq!(status, 200, "it serves as before");
                probed = true;
            } else {
                statuses.push(status);
            }
        }
        (statuses, true)
    }
}

/// The message with `rport` (RFC 3581) in its topmost Via, as a client behind NAT writes it: the response comes to the socket that asked.
fn with_rport(bytes: &[u8]) -> Vec<u8> {
    let is_via = |line: &[u8]| {
        let name = line.split(|b| *b == b':').next().unwrap_or_default().trim_ascii();
        name.eq_ignore_ascii_case(b"via") || name.eq_ignore_ascii_case(b"v")
    };
    let mut at = 0;
    let mut inside = false;
    for line in bytes.split_inclusive(|b| *b == b'\n') {
        let folded = line.first().is_some_and(|b| b" \t".contains(b));
        if inside && !folded {
            break;
        }
        inside |= is_via(line);
        at += line.len();
    }
    let end = at - 2;
    [&bytes[..end], b";rport", &bytes[end..]].concat()
}

const PROBE: &str = "probe";

/// An OPTIONS that is always answered.
fn probe(server: &Server, transport: &str, number: usize) -> String {
    let room = server.room_uri("standup", &transport.to_lowercase());
    format!(
        "OPTIONS {room} SIP/2.0\r\nVia: SIP/2.0/{transport} 127.0.0.1;rport;branch=z9hG4bKprobe{transport}{number}\r\nFrom: <sip:t@localhost>;tag=t\r\n\
         To: <{room}>\r\nCall-ID: {PROBE}{transport}{number}\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    )
}

fn expected(name: &str, fate: Fate, answers: &[u16], is_response: bool) -> Vec<u16> {
    match fate {
        Fate::Refused(code) => vec![code],
        Fate::Dropped => Vec::new(),
        Fate::Read if is_response => Vec::new(),
        Fate::Read => match ANSWERS.iter().find(|(known, _)| *known == name) {
            Some((_, code)) => vec![*code],
            None => answers.to_vec(),
        },
    }
}

/// Every message to a server of its own: the same ones by another transport would be repetitions to it (RFC 3261 section 17.2.3).
fn torture(transport: &'static str, is_odd: impl Fn(&mut Peer<'_>, &str, &[u8]) -> bool) {
    if load("wsinv").is_none() {
        return;
    }
    let folder = Folder::new(&format!("torture-{}", transport.to_lowercase()));
    let prosody = peers::prosody(&folder, &["ann"]);
    let server = Server::start(&prosody, &folder, "");
    let mut peer = Peer::new(&server, transport);
    for case in TABLE {
        let bytes = load(case.name).expect("the folder is there");
        if is_odd(&mut peer, case.name, &bytes) {
            continue;
        }
        let is_response = bytes.starts_with(b"SIP/2.0 ");
        let wanted = expected(case.name, case.fate, case.answers, is_response);
        let is_read = case.fate == Fate::Read && !is_response;
        let sent = if is_read { with_rport(&bytes) } else { bytes };
        let (statuses, open) = peer.said(&sent, usize::from(!wanted.is_empty()));
        let fits = match statuses.as_slice() {
            [] => wanted.is_empty(),
            [one] => wanted.contains(one),
            _ => false,
        };
        assert!(fits, "{} by {transport}: {statuses:?}, not {wanted:?}", case.name);
        assert!(open || !is_read, "{} by {transport}: the connection is closed", case.name);
    }
    assert_eq!(peer.said(b"", 0), (Vec::new(), true));
}

#[test]
fn rfc4475_each_message_is_answered_as_the_text_asks_by_udp() {
    torture("UDP", |_, _, _| false);
}

#[test]
fn rfc4475_each_message_is_answered_as_the_text_asks_by_tcp() {
    torture("TCP", |peer, name, bytes| match name {
        // Section 3.1.2.2: what is missing may still come, and is waited for, whatever it is.
        "clerr" => {
            peer.wire.send(bytes);
            peer.reconnect();
            true
        }
        // Section 3.1.1.8: what follows in the datagram is a message of its own on a stream, and its length doesn't fit.
        "dblreq" => {
            assert_eq!(peer.said(bytes, 2), (vec![405, 400], false), "dblreq");
            true
        }
        // On a stream nobody knows where a message without a length ends (RFC 3261 section 18.3).
        "inv2543" => {
            assert_eq!(peer.said(bytes, 1), (vec![400], false), "inv2543");
            true
        }
        _ => false,
    });
}

/// RFC 5118: section, start line, `Via`, further fields, body, and what the server says.
const IPV6: &[(&str, &str, &str, &str, u16)] = &[
    ("4.1", "REGISTER sip:[2001:db8::10]", "[2001:db8::9:1]", "", 405),
    ("4.2", "REGISTER sip:2001:db8::10", "[2001:db8::9:1]", "", 400),
    // Well formed, whatever was meant.
    ("4.3", "REGISTER sip:[2001:db8::10:5070]", "[2001:db8::9:1]", "", 405),
    ("4.4", "REGISTER sip:[2001:db8::10]:5070", "[2001:db8::9:1]", "", 405),
    (
        "4.5 with",
        "BYE sip:[2001:db8::10]",
        "[2001:db8::9:1];received=[2001:db8::9:255]",
        "tag",
        481,
    ),
    (
        "4.5 without",
        "BYE sip:[2001:db8::10]",
        "[2001:db8::9:1];received=2001:db8::9:255",
        "tag",
        481,
    ),
    (
        "4.6",
        "INVITE sip:user@[2001:db8::10]",
        "[2001:db8::20]",
        "IN IP6 2001:db8::20",
        404,
    ),
    ("4.7", "BYE sip:user@host.example.net", "[2001:db8::9:1]:6050", "tag", 481),
    ("4.8", "INVITE sip:user@[2001:db8::10]", "[2001:db8::9:1]", "IN IP4 192.0.2.1", 404),
    (
        "4.9",
        "INVITE sip:user@example.com",
        "[::ffff:192.0.2.10]:19823",
        "IN IP6 ::ffff:192.0.2.10",
        404,
    ),
    (
        "4.10 with",
        "OPTIONS sip:user@[2001:db8:::192.0.2.1]",
        "[2001:db8:::192.0.2.1]",
        "",
        404,
    ),
    (
        "4.10 without",
        "OPTIONS sip:user@[2001:db8::192.0.2.1]",
        "[2001:db8::192.0.2.1]",
        "",
        404,
    ),
];

fn ipv6(row: usize, number: usize, transport: &str) -> String {
    let (section, start, via, more, _) = IPV6[row];
    let method = start.split(' ').next().expect("a method");
    let to_tag = if more == "tag" { ";tag=bd76ya" } else { "" };
    let (content, body) = if more.starts_with("IN") {
        let origin = more.replace("IN IP4", "IN IP6").replace("192.0.2.1", "2001:db8::20");
        (
            "Content-Type: application/sdp\r\n",
            format!("v=0\r\no=assistant 971731711378798081 0 {origin}\r\ns=-\r\nc={more}\r\nt=0 0\r\nm=audio 6000 RTP/AVP 0\r\n"),
        )
    } else {
        ("", String::new())
    };
    format!(
        "{start} SIP/2.0\r\nTo: sip:user@example.com{to_tag}\r\nFrom: sip:user@example.com;tag=81x2\r\n\
         Via: SIP/2.0/{transport} {via};rport;branch=z9hG4bKas3-{number}-{row}\r\nCall-ID: SSG9559905523997077@{}\r\nMax-Forwards: 70\r\n\
         Contact: \"Caller\" <sip:caller@[2001:db8::1]>\r\nCSeq: 9817{number} {method}\r\n{content}Content-Length: {}\r\n\r\n{body}",
        section.replace(' ', "-"),
        body.len()
    )
}

#[test]
fn rfc5118_ipv6_where_it_may_stand() {
    let folder = Folder::new("torture-ipv6");
    let prosody = peers::prosody(&folder, &["ann"]);
    let server = Server::start(&prosody, &folder, "");
    for (number, transport) in ["UDP", "TCP"].into_iter().enumerate() {
        let mut peer = Peer::new(&server, transport);
        for (row, (section, .., code)) in IPV6.iter().enumerate() {
            let (statuses, _) = peer.said(ipv6(row, number, transport).as_bytes(), 1);
            assert_eq!(statuses, [*code], "section {section} by {transport}");
        }
    }
}

/// Bad input by the thousand costs nobody else anything: stray ACKs, CANCELs of others' requests, forged To-tags.
#[test]
fn strays_are_counted_and_cost_nobody_anything() {
    const STRAYS: usize = 1_000;
    let folder = Folder::new("strays");
    let prosody = peers::prosody(&folder, &["ann"]);
    let server = Server::start(&prosody, &folder, "");
    let mut peer = Peer::new(&server, "UDP");
    for number in 0..STRAYS {
        let head = |method: &str| {
            format!(
                "{method} sip:standup@conf.localhost SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;rport;branch=z9hG4bKstray{method}{number}\r\n\
                 From: <sip:t@localhost>;tag=t\r\nTo: <sip:standup@conf.localhost>;tag=forged{number}\r\nCall-ID: stray{number}\r\n\
                 CSeq: 1 {method}\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
            )
        };
        peer.wire.send(head("ACK").as_bytes());
        if number % 20 == 0 {
            for method in ["CANCEL", "BYE", "UPDATE", "INFO", "PRACK", "REFER", "NOTIFY"] {
                peer.wire.send(head(method).as_bytes());
                let said = peer.response().expect("an answer");
                assert_eq!(said, (481, format!("stray{number}")), "{method}");
            }
        }
    }
    assert_eq!(peer.said(b"", 0), (Vec::new(), true), "an OPTIONS is answered as before");
}
