//! The load generator: one thread and a few sockets for all participants.
//!
//! It never waits for a packet: a sender that has to wake its receiver pays for that, and the server would be measured by how its peer
//! sleeps. It looks for packets on its own time, each millisecond or more often.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    ops::Range,
    thread,
    time::{Duration, Instant},
};

use cusax::rtp::{
    Header, Packet,
    packet::{HEADER_LEN, is_rtcp},
};

use crate::{
    Outcome,
    server::{Codec, Server},
    speech::Sounds,
};

/// Participants send in so many slots of the 20 ms, or their burst is what is measured.
const SLOTS: u32 = 20;
const SLOT: Duration = Duration::from_millis(1);
/// So many that what a tick of the server sends fits into their buffers.
const SOCKETS: usize = 16;

/// Who takes part.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) room: usize,
    pub(crate) codec: Codec,
    /// Its packets from the first frame on; of a voice, or silence.
    pub(crate) script: Script,
    /// Keeps what it hears.
    pub(crate) records: bool,
}

/// What somebody sends.
#[derive(Debug, Clone, Default)]
pub(crate) struct Script {
    /// Number of the voice, and its frame that is said in frame 0.
    pub(crate) voice: usize,
    pub(crate) from: usize,
    /// Frames of 20 ms in which it speaks; silence else.
    pub(crate) speaks: Range<usize>,
    /// Its Opus has FEC.
    pub(crate) fec: bool,
    /// Frames that get lost on the way.
    pub(crate) lost: Vec<bool>,
    /// Frames that come all at once at the end of this time.
    pub(crate) stall: Range<usize>,
}

/// A packet that was heard.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    pub(crate) at: Instant,
    pub(crate) timestamp: u32,
    pub(crate) payload: Vec<u8>,
}

/// A participant who is in.
pub(crate) struct Participant {
    pub(crate) part: Part,
    pub(crate) heard: Vec<Heard>,
    /// When each frame was sent, for who speaks.
    pub(crate) sent: Vec<Option<Instant>>,
    to: SocketAddr,
    socket: usize,
    received: u64,
    packets: u64,
}

/// All participants of one server.
pub(crate) struct Load<'a> {
    pub(crate) people: Vec<Participant>,
    pub(crate) sounds: &'a Sounds,
    sockets: Vec<UdpSocket>,
    /// Who hears by this port of the server.
    by_port: Vec<Option<usize>>,
    /// When frame 0 began.
    pub(crate) start: Instant,
    /// Slots done since then.
    done: u32,
    /// How long it sleeps between two looks.
    pause: Duration,
    unsent: u64,
}

impl<'a> Load<'a> {
    /// Lets everybody in. `pause` is for how long nobody may look at the sockets.
    pub(crate) fn join(server: &mut dyn Server, parts: &[Part], pause: Duration, sounds: &'a Sounds) -> Outcome<Self> {
        let sockets = (0..SOCKETS).map(|_| {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        });
        let sockets: Vec<UdpSocket> = sockets.collect::<io::Result<_>>()?;
        let mut by_port = vec![None; 1 << 16];
        let mut people = Vec::with_capacity(parts.len());
        for (number, part) in parts.iter().enumerate() {
            let socket = number % SOCKETS;
            let to = server.join(part.room, part.codec, sockets[socket].local_addr()?.port())?;
            by_port[usize::from(to.port())] = Some(number);
            people.push(Participant {
                part: part.clone(),
                heard: Vec::new(),
                sent: Vec::new(),
                to,
                socket,
                received: 0,
                packets: 0,
            });
        }
        Ok(Self {
            people,
            sounds,
            sockets,
            by_port,
            start: Instant::now(),
            done: 0,
            pause,
            unsent: 0,
        })
    }

    /// Sends and receives for that long.
    pub(crate) fn run(&mut self, time: Duration) {
        let end = self.done + (time.as_millis() / SLOT.as_millis()) as u32;
        while self.done < end {
            let due = self.start + SLOT * self.done;
            loop {
                let left = due.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    break;
                }
                thread::sleep(left.min(self.pause));
                self.receive();
            }
            self.send();
            self.done += 1;
        }
    }

    /// Frames begun so far.
    pub(crate) fn frames(&self) -> usize {
        self.done.div_ceil(SLOTS) as usize
    }

    /// Forgets what was counted and heard so far.
    pub(crate) fn reset(&mut self) {
        self.unsent = 0;
        for person in &mut self.people {
            person.received = 0;
            person.heard.clear();
        }
    }

    /// Packets a second that who got least has got since the reset.
    pub(crate) fn least_heard(&self, seconds: f64) -> f64 {
        self.people.iter().map(|p| p.received).min().unwrap_or(0) as f64 / seconds
    }

    /// Packets a second that all have got since the reset, on average.
    pub(crate) fn mean_heard(&self, seconds: f64) -> f64 {
        self.people.iter().map(|p| p.received).sum::<u64>() as f64 / self.people.len().max(1) as f64 / seconds
    }

    /// Packets since the reset that the kernel didn't take.
    pub(crate) fn unsent(&self) -> u64 {
        self.unsent
    }

    /// Sends for all whose slot this is.
    fn send(&mut self) {
        let (frame, slot) = ((self.done / SLOTS) as usize, (self.done % SLOTS) as usize);
        // Number n is in slot 7n modulo 20, so that also few are spread; and 3 is the inverse of 7.
        for person in self.people.iter_mut().skip(slot * 3 % SLOTS as usize).step_by(SLOTS as usize) {
            let script = &person.part.script;
            let held = if frame + 1 == script.stall.end {
                script.stall.clone()
            } else if script.stall.contains(&frame) {
                frame..frame
            } else {
                frame..frame + 1
            };
            for frame in held {
                let payload = self.sounds.payload(&person.part, frame);
                self.unsent += u64::from(!person.send(&self.sockets[person.socket], frame, payload));
            }
        }
    }

    fn receive(&mut self) {
        let mut bytes = [0; 2048];
        for socket in &self.sockets {
            while let Ok((length, source)) = socket.recv_from(&mut bytes) {
                let at = Instant::now();
                let Some(number) = self.by_port[usize::from(source.port())] else {
                    continue;
                };
                let bytes = &bytes[..length];
                let Ok(packet) = Packet::parse(bytes) else { continue };
                let person = &mut self.people[number];
                if is_rtcp(bytes) || packet.header.payload_type != person.part.codec.payload_type() {
                    continue;
                }
                person.received += 1;
                if person.part.records {
                    person.heard.push(Heard {
                        at,
                        timestamp: packet.header.timestamp,
                        payload: packet.payload.to_vec(),
                    });
                }
            }
        }
    }
}

impl Participant {
    /// Sends a frame, unless it gets lost on the way; `false` if the kernel doesn't take it.
    fn send(&mut self, socket: &UdpSocket, frame: usize, payload: &[u8]) -> bool {
        let script = &self.part.script;
        let lost = !script.lost.is_empty() && script.lost[frame % script.lost.len()];
        if script.speaks.contains(&frame) {
            self.sent.resize(frame + 1, None);
            self.sent[frame] = (!lost).then(Instant::now);
        }
        if lost {
            return true;
        }
        let header = Header {
            payload_type: self.part.codec.payload_type(),
            marker: self.packets == 0,
            sequence: frame as u16,
            timestamp: (frame as u32).wrapping_mul(self.part.codec.step()),
            ssrc: 0x5000_0000 | u32::from(self.to.port()),
        };
        self.packets += 1;
        let mut bytes = [0; HEADER_LEN + 1275];
        let (head, body) = bytes.split_at_mut(HEADER_LEN);
        if let Ok(head) = head.try_into() {
            header.write(head);
        }
        body[..payload.len()].copy_from_slice(payload);
        socket.send_to(&bytes[..HEADER_LEN + payload.len()], self.to).is_ok()
    }
}
