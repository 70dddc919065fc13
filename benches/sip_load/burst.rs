//! Many INVITEs at once, from one socket: SIPp spreads them over its own ticks.

use std::{
    collections::BTreeMap,
    io,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    thread,
    time::{Duration, Instant},
};

use crate::Outcome;

/// RFC 3261's T1, after which a caller repeats itself.
const T1: Duration = Duration::from_millis(500);
/// Longer than a busy machine takes.
const LIMIT: Duration = Duration::from_secs(30);

/// What became of them.
#[derive(Debug)]
pub(crate) struct Burst {
    /// From the INVITE to the first response to it, in ms, in rising order.
    pub(crate) first_ms: Vec<f64>,
    /// Calls that were answered 200.
    pub(crate) answered: usize,
    /// INVITEs that were sent again.
    pub(crate) repeated: usize,
}

impl Burst {
    /// The value that so many of a hundred don't exceed.
    pub(crate) fn percentile(&self, percent: usize) -> f64 {
        let index = (self.first_ms.len() * percent / 100).min(self.first_ms.len().saturating_sub(1));
        self.first_ms.get(index).copied().unwrap_or(f64::INFINITY)
    }
}

/// One INVITE.
#[derive(Debug)]
struct Asked {
    bytes: Vec<u8>,
    sent: Instant,
    repeat: Instant,
    first: Option<Instant>,
    /// The To with tag, and the Contact, of the 200.
    answer: Option<(String, String)>,
}

/// Sends so many INVITEs for the room as fast as the kernel takes them; acknowledges them, waits, and hangs up.
pub(crate) fn burst(server: SocketAddr, invites: usize, hold: impl FnOnce() -> Outcome<()>) -> Outcome<Burst> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let us = socket.local_addr()?;
    let mut all: BTreeMap<String, Asked> = BTreeMap::new();
    let head = |method: &str, uri: &str, to: &str, id: &str, cseq: u32| {
        format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {us};branch=z9hG4bK{id}{method};rport\r\nMax-Forwards: 70\r\n\
             From: <sip:zoe@{us}>;tag={id}\r\nTo: {to}\r\nCall-ID: {id}\r\nCSeq: {cseq} {method}\r\nContact: <sip:zoe@{us}>\r\n"
        )
    };
    let target = format!("sip:hall@{server}");
    let sdp = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n";
    let requests: Vec<(String, Vec<u8>)> = (0..invites)
        .map(|n| {
            let id = format!("burst{n}");
            let head = head("INVITE", &target, &format!("<{target}>"), &id, 1);
            let text = format!("{head}Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}", sdp.len());
            (id, text.into_bytes())
        })
        .collect();
    // Responses are read while INVITEs still go out.
    let reader = socket.try_clone()?;
    reader.set_read_timeout(Some(Duration::from_millis(20)))?;
    let (heard, responses) = std::sync::mpsc::channel::<(Instant, String)>();
    let listening = thread::spawn(move || -> io::Result<()> {
        let mut bytes = [0; 4096];
        loop {
            match reader.recv(&mut bytes) {
                Ok(length) => {
                    let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
                    if heard.send((Instant::now(), text)).is_err() {
                        return Ok(());
                    }
                }
                Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    // Nobody listens any more: the burst is over.
                    if heard.send((Instant::now(), String::new())).is_err() {
                        return Ok(());
                    }
                }
                Err(e) => return Err(e),
            }
        }
    });
    for (id, bytes) in requests {
        let sent = Instant::now();
        socket.send_to(&bytes, server)?;
        all.insert(
            id,
            Asked {
                bytes,
                sent,
                repeat: sent + T1,
                first: None,
                answer: None,
            },
        );
    }
    let deadline = Instant::now() + LIMIT;
    let mut repeated = 0;
    while all.values().any(|asked| asked.answer.is_none()) && Instant::now() < deadline {
        let (at, text) = responses.recv_timeout(T1)?;
        for asked in all.values_mut().filter(|a| a.first.is_none() && a.repeat <= at) {
            asked.repeat = at + T1;
            repeated += 1;
            socket.send_to(&asked.bytes, server)?;
        }
        let field = |name: &str| text.lines().find_map(|l| l.strip_prefix(name)).map(|v| v.trim().to_owned());
        let Some(id) = field("Call-ID:") else { continue };
        let Some(asked) = all.get_mut(&id) else { continue };
        asked.first.get_or_insert(at);
        if text.starts_with("SIP/2.0 200") && asked.answer.is_none() {
            let to = field("To:").ok_or("a 200 without To")?;
            let contact = field("Contact:").and_then(|c| Some(c.split_once('<')?.1.split_once('>')?.0.to_owned()));
            let contact = contact.ok_or("a 200 without Contact")?;
            let ack = head("ACK", &contact, &to, &id, 1) + "Content-Length: 0\r\n\r\n";
            socket.send_to(ack.as_bytes(), server)?;
            asked.answer = Some((to, contact));
        }
    }
    hold()?;
    for (id, asked) in &all {
        if let Some((to, contact)) = &asked.answer {
            let bye = head("BYE", contact, to, id, 2) + "Content-Length: 0\r\n\r\n";
            socket.send_to(bye.as_bytes(), server)?;
        }
    }
    drop(responses);
    listening.join().map_err(|_| "the listener panicked")??;
    let answered = all.values().filter(|a| a.answer.is_some()).count();
    let mut first_ms: Vec<f64> = all
        .values()
        .map(|a| a.first.map_or(f64::INFINITY, |at| at.duration_since(a.sent).as_secs_f64() * 1e3))
        .collect();
    first_ms.sort_by(f64::total_cmp);
    Ok(Burst {
        first_ms,
        answered,
        repeated,
    })
}
