//! A small DNS server: one zone, by UDP on loopback, with what a test wants to go wrong.

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

const A: u16 = 1;
const SRV: u16 = 33;
const NAPTR: u16 = 35;

/// What a name has.
#[derive(Debug, Clone)]
pub(crate) enum Record {
    Address(Ipv4Addr),
    Srv {
        priority: u16,
        port: u16,
        target: &'static str,
    },
    Naptr {
        order: u16,
        service: &'static str,
        replacement: &'static str,
    },
    /// Whatever is asked about this name, nothing is answered.
    Silence,
}

/// The running server.
#[derive(Debug)]
pub(crate) struct Dns {
    pub(crate) address: SocketAddr,
    /// What was asked: type and name.
    asked: Arc<Mutex<Vec<(u16, String)>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Dns {
    /// Serves these names, and says of all others that they don't exist.
    pub(crate) fn start(zone: Vec<(&'static str, Record)>) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        socket.set_read_timeout(Some(Duration::from_millis(50))).expect("a time");
        let address = socket.local_addr().expect("bound");
        let (asked, stop) = (Arc::<Mutex<Vec<_>>>::default(), Arc::<AtomicBool>::default());
        let (log, stopped) = (Arc::clone(&asked), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let mut buffer = [0; 1_500];
            while !stopped.load(Ordering::Relaxed) {
                match socket.recv_from(&mut buffer) {
                    Ok((length, from)) => {
                        if let Some(answer) = answer(&zone, &buffer[..length], &log) {
                            socket.send_to(&answer, from).expect("sent");
                        }
                    }
                    Err(e) => assert!(matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut), "{e}"),
                }
            }
        });
        Self {
            address,
            asked,
            stop,
            thread: Some(thread),
        }
    }

    /// How often a name was asked for, whatever the type.
    pub(crate) fn asked_for(&self, name: &str) -> usize {
        let asked = self.asked.lock().expect("whole");
        asked.iter().filter(|(_, n)| n == name).count()
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("it ends");
        }
    }
}

/// RFC 1035 section 4.1, for one question.
fn answer(zone: &[(&str, Record)], query: &[u8], log: &Mutex<Vec<(u16, String)>>) -> Option<Vec<u8>> {
    let (name, end) = read_name(query, 12)?;
    let kind = u16::from_be_bytes([*query.get(end)?, *query.get(end + 1)?]);
    log.lock().expect("whole").push((kind, name.clone()));
    let of_name = || zone.iter().filter(|(n, _)| *n == name);
    if of_name().any(|(_, record)| matches!(record, Record::Silence)) {
        return None;
    }
    let answers: Vec<Vec<u8>> = of_name().filter_map(|(_, record)| data(record, kind)).collect();
    let code = if of_name().next().is_none() { 3 } else { 0 };
    let mut out = query[..2].to_vec();
    out.extend([0x85, 0x80 | code, 0, 1]);
    out.extend(u16::try_from(answers.len()).expect("few").to_be_bytes());
    out.extend([0; 4]);
    out.extend(&query[12..end + 4]);
    for data in answers {
        // The name of the question, by pointer; class IN; for a minute.
        out.extend([0xc0, 12]);
        out.extend(kind.to_be_bytes());
        out.extend([0, 1, 0, 0, 0, 60]);
        out.extend(u16::try_from(data.len()).expect("short").to_be_bytes());
        out.extend(data);
    }
    Some(out)
}

fn data(record: &Record, kind: u16) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    match record {
        Record::Address(ip) if kind == A => out.extend(ip.octets()),
        Record::Srv { priority, port, target } if kind == SRV => {
            out.extend(priority.to_be_bytes());
            out.extend([0, 1]);
            out.extend(port.to_be_bytes());
            write_name(&mut out, target);
        }
        Record::Naptr {
            order,
            service,
            replacement,
        } if kind == NAPTR => {
            out.extend(order.to_be_bytes());
            out.extend([0, 50]);
            for text in ["s", service, ""] {
                out.push(u8::try_from(text.len()).expect("short"));
                out.extend(text.as_bytes());
            }
            write_name(&mut out, replacement);
        }
        Record::Address(_) | Record::Srv { .. } | Record::Naptr { .. } | Record::Silence => return None,
    }
    Some(out)
}

/// In lower case: resolvers write names in mixed case, to be harder to deceive.
fn read_name(message: &[u8], mut at: usize) -> Option<(String, usize)> {
    let mut labels = Vec::new();
    loop {
        let length = usize::from(*message.get(at)?);
        at += 1;
        if length == 0 {
            return Some((labels.join("."), at));
        }
        labels.push(String::from_utf8_lossy(message.get(at..at + length)?).to_ascii_lowercase());
        at += length;
    }
}

fn write_name(out: &mut Vec<u8>, name: &str) {
    for label in name.split('.') {
        out.push(u8::try_from(label.len()).expect("short"));
        out.extend(label.as_bytes());
    }
    out.push(0);
}
