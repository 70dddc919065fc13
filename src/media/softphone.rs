//! The media side of one phone without a head: sends a tone or a recording in real time, and records what it hears.
//!
//! For demonstrations and tests; knows no signalling. Runs on a thread of its own, and may lock and allocate.

use std::{
    io,
    net::{SocketAddr, UdpSocket},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use mixer::{Codec, Coder, Rate};

use super::{guard::Guard, tone::Tone};
use crate::{
    model::srtp::Security,
    rtp::{
        Header, Outgoing, Packet, Sender,
        packet::{HEADER_LEN, is_rtcp},
        srtp::MAX_OVERHEAD,
    },
};

/// What one packet carries.
const TICK: Duration = Duration::from_millis(20);

/// Samples that are recorded at most: an hour at 48000 Hz.
const MAX_RECORDED: usize = 3600 * 48_000;

/// Longest gap in the timestamps of what is heard that is recorded as silence, in seconds; a longer one is a new stream.
const MAX_GAP: u32 = 10;

/// What a softphone says.
#[derive(Debug, Clone)]
pub enum Source {
    /// Packets of silence.
    Silence,
    /// A sine.
    Tone {
        /// Its frequency.
        hz: f64,
        /// Its level in dB, where 0 is full scale.
        level_db: f64,
    },
    /// Samples at the phone's rate, then silence.
    Samples(Arc<[i16]>),
    /// Samples at the phone's rate, over and over.
    Loop(Arc<[i16]>),
}

/// How a softphone is set up: the result of its offer and answer.
#[derive(Debug)]
pub struct SoftphoneConfig {
    /// Bound to the address that its SDP tells.
    pub socket: UdpSocket,
    /// Where RTP goes.
    pub remote: SocketAddr,
    /// What is sent and received.
    pub codec: Codec,
    /// Its number.
    pub payload_type: u8,
    /// Rate of samples with Opus; G.711 has 8000 Hz, G.722 16000.
    pub rate: Rate,
    /// What is sent at first.
    pub source: Source,
    /// Synchronisation source of what is sent.
    pub ssrc: u32,
    /// How packets are protected.
    pub security: Security,
}

/// A running softphone; stops when dropped.
#[derive(Debug)]
pub struct Softphone {
    shared: Arc<Mutex<Shared>>,
    thread: Option<JoinHandle<()>>,
    rate: u32,
}

#[derive(Debug)]
struct Shared {
    sends: bool,
    stops: bool,
    /// A new source, to be taken up at the next packet.
    next: Option<Source>,
    /// How packets are protected from the next one on.
    security: Option<Security>,
    remote: SocketAddr,
    keys: Vec<u8>,
    recorded: Vec<i16>,
    received: u64,
}

impl Softphone {
    /// Starts to send and to record.
    pub fn start(config: SoftphoneConfig) -> io::Result<Self> {
        let coder = Coder::new(config.codec, config.rate).map_err(io::Error::other)?;
        let rate = coder.rate().hz();
        let shared = Arc::new(Mutex::new(Shared {
            sends: true,
            stops: false,
            next: Some(config.source),
            security: Some(config.security),
            remote: config.remote,
            keys: Vec::new(),
            recorded: Vec::new(),
            received: 0,
        }));
        let body = Body {
            shared: Arc::clone(&shared),
            socket: config.socket,
            coder,
            codec: config.codec,
            payload_type: config.payload_type,
            sender: Sender::new(config.ssrc, 0, 0),
            elapsed: 0,
            voice: Voice::Silence,
            heard: None,
            guard: Guard::default(),
        };
        let thread = thread::Builder::new().name("softphone".into()).spawn(move || body.run())?;
        Ok(Self {
            shared,
            thread: Some(thread),
            rate,
        })
    }

    /// Sends packets, or stops to.
    pub fn send(&self, on: bool) {
        self.shared().sends = on;
    }

    /// Says something else from the next packet on.
    pub fn play(&self, source: Source) {
        self.shared().next = Some(source);
    }

    /// Sends to another address from the next packet on.
    pub fn redirect(&self, remote: SocketAddr) {
        self.shared().remote = remote;
    }

    /// Protects packets so from the next one on.
    pub fn secure(&self, security: &Security) {
        self.shared().security = Some(security.clone());
    }

    /// Presses a key (RFC 4733) with this payload type of telephone-event; other characters than keys are ignored.
    pub fn press(&self, key: char, payload_type: u8) {
        let code = match key {
            '0'..='9' => key as u8 - b'0',
            '*' => 10,
            '#' => 11,
            _ => return,
        };
        self.shared().keys.extend([payload_type, code]);
    }

    /// Samples a second of what is recorded.
    pub fn rate(&self) -> u32 {
        self.rate
    }

    /// How many samples are recorded so far: a mark for [`Self::heard_since`].
    pub fn mark(&self) -> usize {
        self.shared().recorded.len()
    }

    /// What was heard since a mark.
    pub fn heard_since(&self, mark: usize) -> Vec<i16> {
        self.shared().recorded.get(mark..).unwrap_or_default().to_vec()
    }

    /// Packets heard so far.
    pub fn received(&self) -> u64 {
        self.shared().received
    }

    /// Ends the call's media, and gives all that was heard.
    pub fn stop(mut self) -> Vec<i16> {
        self.join();
        std::mem::take(&mut self.shared().recorded)
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        lock(&self.shared)
    }

    fn join(&mut self) {
        self.shared().stops = true;
        // A thread that panicked has nothing left to stop.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl Drop for Softphone {
    fn drop(&mut self) {
        self.join();
    }
}

/// What is shared is whole between any two statements, so a panic elsewhere doesn't spoil it.
fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug)]
enum Voice {
    Silence,
    Tone(Tone),
    Samples { samples: Arc<[i16]>, at: usize, again: bool },
}

impl Voice {
    fn new(source: Source, rate: u32) -> Self {
        match source {
            Source::Silence => Self::Silence,
            Source::Tone { hz, level_db } => Self::Tone(Tone::new(hz, level_db, rate)),
            Source::Samples(samples) => Self::Samples {
                samples,
                at: 0,
                again: false,
            },
            Source::Loop(samples) => Self::Samples {
                samples,
                at: 0,
                again: true,
            },
        }
    }

    fn fill(&mut self, out: &mut [i16]) {
        match self {
            Self::Silence => out.fill(0),
            Self::Tone(tone) => tone.fill(out),
            Self::Samples { samples, at, again } => {
                for sample in out {
                    *sample = samples.get(*at).copied().unwrap_or(0);
                    *at = if *again && *at + 1 >= samples.len() {
                        0
                    } else {
                        (*at + 1).min(samples.len())
                    };
                }
            }
        }
    }
}

/// The thread's side.
#[derive(Debug)]
struct Body {
    shared: Arc<Mutex<Shared>>,
    socket: UdpSocket,
    coder: Coder,
    codec: Codec,
    payload_type: u8,
    sender: Sender,
    /// Units of the RTP clock since the start.
    elapsed: u32,
    voice: Voice,
    /// The timestamp that the next packet heard has if none is missing.
    heard: Option<u32>,
    guard: Guard,
}

impl Body {
    fn run(mut self) {
        let mut due = Instant::now();
        while !lock(&self.shared).stops {
            self.secure();
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                due += TICK;
                self.speak();
            } else {
                self.listen(left);
            }
        }
    }

    fn secure(&mut self) {
        if let Some(security) = lock(&self.shared).security.take() {
            self.guard.agree(&security);
        }
    }

    fn speak(&mut self) {
        let (sends, remote, key) = {
            let mut shared = lock(&self.shared);
            if let Some(source) = shared.next.take() {
                self.voice = Voice::new(source, self.coder.rate().hz());
            }
            let key = if shared.keys.is_empty() {
                None
            } else {
                Some((shared.keys.remove(0), shared.keys.remove(0)))
            };
            (shared.sends, shared.remote, key)
        };
        let mut pcm = vec![0; (self.coder.rate().hz() / 50) as usize];
        self.voice.fill(&mut pcm);
        if let Some((payload_type, code)) = key {
            // A short press, told three times as RFC 4733 section 2.5.1.4 has it.
            let event = [code, 0x8a, 0x03, 0x20];
            (0..3).for_each(|_| self.send(remote, payload_type, &event));
        }
        let payload = self.coder.encode(&pcm);
        if sends && !payload.is_empty() {
            self.send(remote, self.payload_type, &payload);
        }
        self.elapsed = self.elapsed.wrapping_add(self.codec.clock_hz() / 50);
    }

    fn send(&mut self, remote: SocketAddr, payload_type: u8, payload: &[u8]) {
        let (timestamp, clock, octets) = (self.elapsed, self.codec.clock_hz(), payload.len());
        let outgoing = Outgoing {
            payload_type,
            timestamp,
            marker: false,
            clock,
            octets,
        };
        let header: Header = self.sender.next(Instant::now(), outgoing);
        let mut head = [0; HEADER_LEN];
        header.write(&mut head);
        let mut packet = [&head, payload, &[0; MAX_OVERHEAD]].concat();
        let len = self.guard.seal(&mut packet, HEADER_LEN + payload.len());
        // What can't be sent is lost, as on the wire.
        let _ = self.socket.send_to(&packet[..len], remote);
    }

    fn listen(&mut self, wait: Duration) {
        let mut bytes = [0; 2048];
        let received = self
            .socket
            .set_read_timeout(Some(wait.max(Duration::from_millis(1))))
            .and_then(|()| self.socket.recv(&mut bytes));
        let Ok(length) = received else { return };
        let bytes = &mut bytes[..length];
        if is_rtcp(bytes) {
            return;
        }
        // Agreed on while we waited.
        self.secure();
        let Ok(length) = self.guard.open(Instant::now(), bytes) else {
            return;
        };
        let bytes = &bytes[..length];
        let Some(packet) = Packet::parse(bytes).ok().filter(|p| p.header.payload_type == self.payload_type) else {
            return;
        };
        let samples = self.coder.decode(packet.payload);
        let clock = self.codec.clock_hz();
        let missing = self.heard.map_or(0, |next| packet.header.timestamp.wrapping_sub(next));
        // Copies and late packets have their place behind what is already recorded.
        let missing = if missing > MAX_GAP * clock { 0 } else { missing };
        let rate = self.coder.rate().hz();
        let lasts = u64::from(clock) * samples.len() as u64 / u64::from(rate);
        self.heard = Some(packet.header.timestamp.wrapping_add(lasts as u32));
        let silence = (u64::from(missing) * u64::from(rate) / u64::from(clock)) as usize;
        let mut shared = lock(&self.shared);
        shared.received += 1;
        if shared.recorded.len() + silence + samples.len() <= MAX_RECORDED {
            shared.recorded.extend(std::iter::repeat_n(0, silence));
            shared.recorded.extend(samples);
        }
    }
}
