//! The least that a phone can be: calls over one UDP socket, text in and text out, and no media but what the test sends.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

/// A caller with any number of calls, which share one socket for signalling and one for voice.
#[derive(Debug)]
pub(crate) struct Caller {
    sip: UdpSocket,
    media: UdpSocket,
    server: SocketAddr,
    calls: u32,
}

/// A call that is up.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// Where the other side takes voice.
    pub(crate) media: SocketAddr,
}

/// RFC 3261's T1, after which a datagram may be lost.
const T1: Duration = Duration::from_millis(500);
/// Longer than a busy machine takes.
const LIMIT: Duration = Duration::from_secs(30);

impl Caller {
    /// Opens the sockets.
    pub(crate) fn new(server: SocketAddr) -> io::Result<Self> {
        let sip = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        sip.set_read_timeout(Some(T1))?;
        Ok(Self {
            sip,
            media: UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?,
            server,
            calls: 0,
        })
    }

    /// The socket of all calls' voice.
    pub(crate) fn media(&self) -> &UdpSocket {
        &self.media
    }

    /// Calls a room as somebody whom the server doesn't know, and acknowledges the answer.
    pub(crate) fn call(&mut self, room: &str, user: &str) -> io::Result<Call> {
        let port = self.media.local_addr()?.port();
        self.offer(room, user, port, "0\r\na=rtpmap:0 PCMU/8000\r\n")
    }

    /// The same with voice at another port, and with the end of the m-line and its attributes as `formats`.
    pub(crate) fn offer(&mut self, room: &str, user: &str, port: u16, formats: &str) -> io::Result<Call> {
        let sdp = format!("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP {formats}");
        Ok(self.carry(room, user, &sdp)?.0)
    }

    /// The same for somebody else's media: carries their offer, and gives the answer.
    pub(crate) fn carry(&mut self, room: &str, user: &str, sdp: &str) -> io::Result<(Call, String)> {
        self.calls += 1;
        let (sip, number) = (self.sip.local_addr()?, self.calls);
        let target = format!("sip:{room}@{}", self.server);
        let head = |method: &str, uri: &str, to: &str, branch: &str| {
            format!(
                "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {sip};branch=z9hG4bK{branch}-{number};rport\r\nMax-Forwards: 70\r\n\
                 From: <sip:{user}@{sip}>;tag={number}\r\nTo: {to}\r\nCall-ID: {number}@{sip}\r\nCSeq: 1 {method}\r\n\
                 Contact: <sip:{user}@{sip}>\r\n"
            )
        };
        let invite = format!(
            "{}Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
            head("INVITE", &target, &format!("<{target}>"), "i"),
            sdp.len()
        );
        let mine = format!("\r\nCall-ID: {number}@{sip}\r\n");
        let answer = self.ask(&invite, |text| {
            text.starts_with("SIP/2.0 ") && !text.starts_with("SIP/2.0 1") && text.contains(&mine)
        })?;
        let unlike = || io::Error::other(format!("no call: {answer}"));
        if !answer.starts_with("SIP/2.0 200") {
            return Err(unlike());
        }
        let header = |name: &str| answer.lines().find_map(|l| l.strip_prefix(name)).ok_or_else(unlike);
        let contact = header("Contact: <")?.split('>').next().ok_or_else(unlike)?;
        let ack = head("ACK", contact, header("To: ")?, "a") + "Content-Length: 0\r\n\r\n";
        self.sip.send_to(ack.as_bytes(), self.server)?;
        let port = header("m=audio ")?
            .split(' ')
            .next()
            .and_then(|p| p.parse().ok())
            .ok_or_else(unlike)?;
        let call = Call {
            media: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        };
        let (_, body) = answer.split_once("\r\n\r\n").ok_or_else(unlike)?;
        Ok((call, body.to_owned()))
    }

    /// Waits for the other side's BYE of any call, and answers it; when it came.
    pub(crate) fn ended(&self) -> io::Result<Instant> {
        let bye = self.hear(LIMIT, |text| text.starts_with("BYE "))?;
        let at = Instant::now();
        let copied = ["Via:", "From:", "To:", "Call-ID:", "CSeq:"];
        let lines: String = bye
            .lines()
            .filter(|l| copied.iter().any(|name| l.starts_with(name)))
            .map(|l| format!("{l}\r\n"))
            .collect();
        let answer = format!("SIP/2.0 200 OK\r\n{lines}Content-Length: 0\r\n\r\n");
        self.sip.send_to(answer.as_bytes(), self.server)?;
        Ok(at)
    }

    fn ask(&self, request: &str, fits: impl Fn(&str) -> bool) -> io::Result<String> {
        let deadline = Instant::now() + LIMIT;
        loop {
            self.sip.send_to(request.as_bytes(), self.server)?;
            match self.hear(T1, &fits) {
                Err(e) if e.kind() == io::ErrorKind::TimedOut && Instant::now() < deadline => {}
                heard => return heard,
            }
        }
    }

    fn hear(&self, limit: Duration, fits: impl Fn(&str) -> bool) -> io::Result<String> {
        let deadline = Instant::now() + limit;
        let mut bytes = [0; 4096];
        while Instant::now() < deadline {
            match self.sip.recv(&mut bytes) {
                Ok(length) => {
                    let text = String::from_utf8_lossy(&bytes[..length]);
                    if fits(&text) {
                        return Ok(text.into_owned());
                    }
                }
                Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
                Err(e) => return Err(e),
            }
        }
        Err(io::ErrorKind::TimedOut.into())
    }
}
