//! A phone that answers every call at once, even one that is cancelled: what a fork needs for two to answer.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

const SDP: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n";

/// One that runs.
#[derive(Debug)]
pub(crate) struct Contact {
    pub(crate) address: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Contact {
    pub(crate) fn start() -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        socket.set_read_timeout(Some(Duration::from_millis(50))).expect("a time");
        let address = socket.local_addr().expect("bound");
        let (heard, stop) = (Arc::<Mutex<Vec<_>>>::default(), Arc::<AtomicBool>::default());
        let (log, stopped) = (Arc::clone(&heard), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let mut buffer = [0; 4_096];
            while !stopped.load(Ordering::Relaxed) {
                match socket.recv_from(&mut buffer) {
                    Ok((length, from)) => {
                        let request = String::from_utf8_lossy(&buffer[..length]).into_owned();
                        if let Some(answer) = answer(&request, address) {
                            socket.send_to(answer.as_bytes(), from).expect("sent");
                        }
                        log.lock().expect("whole").push(request);
                    }
                    Err(e) => assert!(matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut), "{e}"),
                }
            }
        });
        Self {
            address,
            heard,
            stop,
            thread: Some(thread),
        }
    }

    /// Whether a request of this method came.
    pub(crate) fn heard(&self, method: &str) -> bool {
        self.heard.lock().expect("whole").iter().any(|request| request.starts_with(method))
    }

    /// The first request of this method.
    pub(crate) fn first(&self, method: &str) -> String {
        let heard = self.heard.lock().expect("whole");
        heard.iter().find(|request| request.starts_with(method)).expect("it came").clone()
    }
}

impl Drop for Contact {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("it ends");
        }
    }
}

/// 200 to all but ACKs.
fn answer(request: &str, address: SocketAddr) -> Option<String> {
    if request.starts_with("ACK ") {
        return None;
    }
    let tag = format!(";tag={}", address.port());
    let copied: String = request
        .lines()
        .take_while(|line| !line.is_empty())
        .filter(|line| {
            ["Via:", "From:", "To:", "Call-ID:", "CSeq:", "Record-Route:"]
                .iter()
                .any(|name| line.starts_with(name))
        })
        .map(|line| {
            let tag = if line.starts_with("To:") && !line.contains(";tag=") {
                &*tag
            } else {
                ""
            };
            format!("{line}{tag}\r\n")
        })
        .collect();
    let (kind, body) = if request.starts_with("INVITE ") {
        ("Content-Type: application/sdp\r\n", SDP)
    } else {
        ("", "")
    };
    Some(format!(
        "SIP/2.0 200 OK\r\n{copied}Contact: <sip:{address}>\r\n{kind}Content-Length: {}\r\n\r\n{body}",
        body.len()
    ))
}
