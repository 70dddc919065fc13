//! One leg's RTP streams (RFC 3550): what we send goes on unbroken through every move, what we hear is counted and checked.

use std::time::{Duration, Instant};

use super::packet::Header;

/// Ticks of 20 ms.
const TICKS_PER_SECOND: u32 = 50;

/// Sequence numbers that may be missing at once before it is a jump (RFC 3550 appendix A.1).
const MAX_DROPOUT: u16 = 3000;

/// How far back a packet may come and still be only late (RFC 3550 appendix A.1).
const MAX_MISORDER: u16 = 100;

/// The stream that we send on one leg.
#[derive(Debug, Clone)]
pub struct Sender {
    ssrc: u32,
    sequence: u16,
    /// Between the encoder's count of time and what is sent.
    offset: u32,
    last: Option<Sent>,
    moved: bool,
    packets: u64,
    octets: u64,
}

#[derive(Debug, Clone, Copy)]
struct Sent {
    at: Instant,
    timestamp: u32,
    clock: u32,
}

/// What the encoder says about a packet.
#[derive(Debug, Clone, Copy)]
pub struct Outgoing {
    /// The peer's number for the codec.
    pub payload_type: u8,
    /// The encoder's count of time, which starts anywhere.
    pub timestamp: u32,
    /// First after a gap.
    pub marker: bool,
    /// The codec's RTP clock, in Hz.
    pub clock: u32,
    /// Size of the payload.
    pub octets: usize,
}

impl Sender {
    /// Starts a stream; all three numbers are to be random (RFC 3550 section 5.1).
    pub fn new(ssrc: u32, sequence: u16, offset: u32) -> Self {
        Self {
            ssrc,
            sequence,
            offset,
            last: None,
            moved: false,
            packets: 0,
            octets: 0,
        }
    }

    /// Notes that the encoder changes hands, which may cost ticks that it doesn't count: the next packet tells the elapsed time (rule R62).
    pub fn handle_move(&mut self) {
        self.moved = true;
    }

    /// The header of the next packet.
    pub fn next(&mut self, now: Instant, packet: Outgoing) -> Header {
        let missed = if std::mem::take(&mut self.moved) {
            self.missed(now, &packet)
        } else {
            0
        };
        self.offset = self.offset.wrapping_add(missed);
        let timestamp = packet.timestamp.wrapping_add(self.offset);
        let marker = packet.marker || missed > 0 || self.last.is_none();
        let header = Header {
            payload_type: packet.payload_type,
            marker,
            sequence: self.sequence,
            timestamp,
            ssrc: self.ssrc,
        };
        self.last = Some(Sent {
            at: now,
            timestamp,
            clock: packet.clock,
        });
        self.sequence = self.sequence.wrapping_add(1);
        self.packets += 1;
        self.octets += packet.octets as u64;
        header
    }

    /// Whole ticks of the RTP clock that passed since the last packet beyond what the encoder counted.
    fn missed(&self, now: Instant, packet: &Outgoing) -> u32 {
        let Some(last) = self.last.filter(|l| l.clock == packet.clock) else {
            return 0;
        };
        let tick = packet.clock / TICKS_PER_SECOND;
        let counted = packet.timestamp.wrapping_add(self.offset).wrapping_sub(last.timestamp);
        let beyond = units(now.saturating_duration_since(last.at), packet.clock).saturating_sub(counted);
        beyond.saturating_add(tick / 2) / tick * tick
    }

    /// Our synchronisation source.
    pub fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// The RTP time of a moment, as a sender report tells it.
    pub fn timestamp_at(&self, now: Instant) -> u32 {
        let since = |l: Sent| l.timestamp.wrapping_add(units(now.saturating_duration_since(l.at), l.clock));
        self.last.map_or(self.offset, since)
    }

    /// Packets so far.
    pub fn packets(&self) -> u64 {
        self.packets
    }

    /// Payload octets so far.
    pub fn octets(&self) -> u64 {
        self.octets
    }
}

/// A duration in units of an RTP clock; wraps as timestamps do.
fn units(duration: Duration, clock: u32) -> u32 {
    (duration.as_micros() * u128::from(clock) / 1_000_000) as u32
}

/// What a packet is to the stream that it came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// The next one, after a gap or not.
    Next,
    /// Late, but perhaps of use.
    Late,
    /// The first one of a stream that starts or starts over.
    Start,
    /// A copy of the last one.
    Copy,
    /// One that may start a new stream if another follows it; not to be played.
    Doubtful,
}

/// The stream that we hear on one leg.
#[derive(Debug, Clone, Default)]
pub struct Receiver {
    stream: Option<Stream>,
    /// A source or jump that becomes the stream if this packet follows.
    doubt: Option<(u32, u16)>,
    /// Counts of streams before this one.
    past_received: u64,
    past_lost: u64,
    /// Gaps in the sequence, and the packets that were missing in them when they were seen.
    gaps: u64,
    gapped: u64,
    transit: Option<(u32, u32)>,
    /// Jitter in units of the RTP clock, times 16 (RFC 3550 appendix A.8).
    jitter: u32,
    clock: u32,
    /// Taken when an instant is first seen; arrival times count from here.
    epoch: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
struct Stream {
    ssrc: u32,
    first: u32,
    highest: u32,
    received: u64,
    /// As of the last report.
    expected_prior: u64,
    received_prior: u64,
}

/// Reception so far, as a report block tells it (RFC 3550 section 6.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reception {
    /// The stream's source.
    pub ssrc: u32,
    /// Share lost since the last report, in 256ths.
    pub fraction_lost: u8,
    /// Packets lost in this stream; negative if copies came.
    pub lost: i32,
    /// The highest sequence number, extended by its wraps.
    pub highest: u32,
    /// Interarrival jitter, in units of the RTP clock.
    pub jitter: u32,
}

impl Receiver {
    /// Judges a packet of a latched source by its sequence number (RFC 3550 appendix A.1).
    pub fn handle(&mut self, header: &Header) -> Heard {
        let Some(stream) = self.stream.as_mut().filter(|s| s.ssrc == header.ssrc) else {
            return if self.stream.is_none() {
                self.start(header)
            } else {
                self.doubt(header)
            };
        };
        let ahead = header.sequence.wrapping_sub(stream.highest as u16);
        match ahead {
            0 => Heard::Copy,
            1..MAX_DROPOUT => {
                self.gaps += u64::from(ahead > 1);
                self.gapped += u64::from(ahead - 1);
                stream.highest = stream.highest.wrapping_add(ahead.into());
                stream.received += 1;
                self.doubt = None;
                Heard::Next
            }
            _ if ahead > MAX_MISORDER.wrapping_neg() => {
                stream.received += 1;
                Heard::Late
            }
            _ => self.doubt(header),
        }
    }

    fn doubt(&mut self, header: &Header) -> Heard {
        if self.doubt == Some((header.ssrc, header.sequence)) {
            return self.start(header);
        }
        self.doubt = Some((header.ssrc, header.sequence.wrapping_add(1)));
        Heard::Doubtful
    }

    fn start(&mut self, header: &Header) -> Heard {
        if let Some(old) = self.stream.take() {
            self.past_received += old.received;
            self.past_lost += old.lost().max(0).unsigned_abs();
        }
        let first = u32::from(header.sequence);
        self.stream = Some(Stream {
            ssrc: header.ssrc,
            first,
            highest: first,
            received: 1,
            expected_prior: 0,
            received_prior: 0,
        });
        self.doubt = None;
        self.transit = None;
        Heard::Start
    }

    /// Measures jitter on a voice packet (RFC 3550 appendix A.8); `clock` is the codec's RTP clock in Hz.
    pub fn handle_arrival(&mut self, now: Instant, timestamp: u32, clock: u32) {
        if self.clock != clock {
            self.clock = clock;
            self.transit = None;
            self.jitter = 0;
        }
        let since = now.saturating_duration_since(*self.epoch.get_or_insert(now));
        let transit = units(since, clock).wrapping_sub(timestamp);
        // Several packets of one timestamp (key presses) say nothing about the voice.
        if let Some((last, at)) = self.transit
            && at != timestamp
        {
            let distance = (transit.wrapping_sub(last) as i32).unsigned_abs().min(clock);
            self.jitter = self.jitter + distance - ((self.jitter + 8) >> 4);
        }
        self.transit = Some((transit, timestamp));
    }

    /// The source of the present stream.
    pub fn ssrc(&self) -> Option<u32> {
        self.stream.map(|s| s.ssrc)
    }

    /// Packets received so far, in all streams.
    pub fn received(&self) -> u64 {
        self.past_received + self.stream.map_or(0, |s| s.received)
    }

    /// Packets lost so far, in all streams.
    pub fn lost(&self) -> u64 {
        self.past_lost + self.stream.map_or(0, |s| s.lost().max(0).unsigned_abs())
    }

    /// Mean length of a run of missing packets, in packets; 1 if none is missing. Packets that come late count as missing here.
    pub fn loss_run(&self) -> f32 {
        if self.gaps == 0 {
            1.0
        } else {
            self.gapped as f32 / self.gaps as f32
        }
    }

    /// Jitter, in ms.
    pub fn jitter_ms(&self) -> f32 {
        if self.clock == 0 {
            0.0
        } else {
            (self.jitter >> 4) as f32 * 1000.0 / self.clock as f32
        }
    }

    /// Closes an interval and tells its reception; `None` before the first packet.
    pub fn report(&mut self) -> Option<Reception> {
        let stream = self.stream.as_mut()?;
        let expected = stream.expected();
        // After 2^32 numbers, which a peer that leaves out thousands at a time has soon, the count starts over.
        let expected_now = expected.saturating_sub(stream.expected_prior);
        let received_now = stream.received - stream.received_prior;
        (stream.expected_prior, stream.received_prior) = (expected, stream.received);
        let lost_now = expected_now.saturating_sub(received_now);
        let fraction_lost = (lost_now << 8).checked_div(expected_now).unwrap_or(0).min(255) as u8;
        let lost = stream.lost().clamp(-(1 << 23), (1 << 23) - 1) as i32;
        Some(Reception {
            ssrc: stream.ssrc,
            fraction_lost,
            lost,
            highest: stream.highest,
            jitter: self.jitter >> 4,
        })
    }
}

impl Stream {
    fn expected(&self) -> u64 {
        u64::from(self.highest.wrapping_sub(self.first)) + 1
    }

    fn lost(&self) -> i64 {
        self.expected() as i64 - self.received as i64
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn header(ssrc: u32, sequence: u16) -> Header {
        Header {
            payload_type: 0,
            marker: false,
            sequence,
            timestamp: 0,
            ssrc,
        }
    }

    fn outgoing(timestamp: u32) -> Outgoing {
        Outgoing {
            payload_type: 0,
            timestamp,
            marker: false,
            clock: 8000,
            octets: 160,
        }
    }

    #[test]
    fn r60_a_move_breaks_neither_sequence_nor_time() {
        let start = Instant::now();
        let mut sender = Sender::new(1, 65535, u32::MAX);
        let first = sender.next(
            start,
            Outgoing {
                marker: true,
                ..outgoing(0)
            },
        );
        assert_eq!((first.marker, first.sequence, first.timestamp), (true, 65535, u32::MAX));
        sender.handle_move();
        let second = sender.next(start + Duration::from_millis(24), outgoing(160));
        assert_eq!((second.marker, second.sequence, second.timestamp), (false, 0, 159));
        assert_eq!((sender.packets(), sender.octets()), (2, 320));
    }

    #[test]
    fn r62_a_tick_lost_in_a_move_is_told_by_the_timestamp_and_the_marker() {
        let start = Instant::now();
        let mut sender = Sender::new(1, 0, 0);
        sender.next(start, outgoing(0));
        sender.handle_move();
        let second = sender.next(start + Duration::from_millis(38), outgoing(160));
        assert_eq!((second.marker, second.sequence, second.timestamp), (true, 1, 320));
        let third = sender.next(start + Duration::from_millis(58), outgoing(320));
        assert_eq!((third.marker, third.sequence, third.timestamp), (false, 2, 480));
    }

    #[test]
    fn a_peer_that_leaves_out_thousands_of_numbers_at_a_time_is_reported_on_all_the_same() {
        let mut receiver = Receiver::default();
        let mut sequence = 0u16;
        receiver.handle(&header(1, sequence));
        let most = MAX_DROPOUT - 1;
        let rounds = u32::MAX / u32::from(most) + 2;
        for round in 0..rounds {
            sequence = sequence.wrapping_add(most);
            assert_eq!(receiver.handle(&header(1, sequence)), Heard::Next);
            if round == rounds / 2 {
                receiver.report();
            }
        }
        let report = receiver.report().expect("packets came");
        assert_eq!(report.fraction_lost, 0);
    }

    #[test]
    fn the_time_of_a_report_lies_between_packets() {
        let start = Instant::now();
        let mut sender = Sender::new(1, 0, 1000);
        assert_eq!(sender.timestamp_at(start), 1000);
        sender.next(start, outgoing(0));
        assert_eq!(sender.timestamp_at(start + Duration::from_millis(10)), 1080);
    }

    #[test]
    fn loss_and_wraps_are_counted() {
        let mut r = Receiver::default();
        assert_eq!(r.handle(&header(1, 65534)), Heard::Start);
        assert_eq!(r.handle(&header(1, 65535)), Heard::Next);
        assert_eq!(r.handle(&header(1, 2)), Heard::Next);
        assert_eq!((r.received(), r.lost()), (3, 2));
        assert_eq!(r.handle(&header(1, 1)), Heard::Late);
        assert_eq!(r.handle(&header(1, 2)), Heard::Copy);
        assert_eq!((r.received(), r.lost()), (4, 1));
        assert_eq!(
            r.report(),
            Some(Reception {
                ssrc: 1,
                fraction_lost: 51,
                lost: 1,
                highest: 65536 + 2,
                jitter: 0
            })
        );
        assert_eq!(r.report().map(|r| r.fraction_lost), Some(0));
    }

    #[test]
    fn the_mean_run_of_missing_packets_is_known() {
        let mut r = Receiver::default();
        assert_eq!(r.loss_run(), 1.0);
        for sequence in [0, 1, 3, 4, 8, 9] {
            r.handle(&header(1, sequence));
        }
        assert_eq!(r.loss_run(), 2.0, "one packet, then three");
    }

    #[test]
    fn another_source_needs_two_packets_in_sequence() {
        let mut r = Receiver::default();
        r.handle(&header(1, 10));
        assert_eq!(r.handle(&header(2, 500)), Heard::Doubtful);
        assert_eq!(r.handle(&header(1, 11)), Heard::Next);
        assert_eq!(r.handle(&header(2, 501)), Heard::Doubtful, "the old stream went on between");
        assert_eq!(r.handle(&header(2, 502)), Heard::Start);
        assert_eq!(r.ssrc(), Some(2));
        assert_eq!(r.received(), 3);
    }

    #[test]
    fn a_jump_needs_two_packets_in_sequence() {
        let mut r = Receiver::default();
        r.handle(&header(1, 10));
        assert_eq!(r.handle(&header(1, 20_000)), Heard::Doubtful);
        assert_eq!(r.handle(&header(1, 30_000)), Heard::Doubtful);
        assert_eq!(r.handle(&header(1, 30_001)), Heard::Start);
        assert_eq!(r.lost(), 0);
    }

    #[test]
    fn jitter_is_that_of_rfc_3550() {
        let (start, mut r) = (Instant::now(), Receiver::default());
        // Every second packet comes 10 ms late: |D| = 80 units at 8000 Hz, to which the estimate converges.
        for i in 0..400u32 {
            let late = if i % 2 == 1 { 10 } else { 0 };
            r.handle_arrival(start + Duration::from_millis(u64::from(i) * 20 + late), i * 160, 8000);
        }
        assert!((r.jitter_ms() - 10.0).abs() < 0.3, "{}", r.jitter_ms());
    }

    #[test]
    fn jitter_of_a_steady_stream_is_zero_over_a_timestamp_wrap() {
        let (start, mut r) = (Instant::now(), Receiver::default());
        for i in 0..100u32 {
            r.handle_arrival(
                start + Duration::from_millis(u64::from(i) * 20),
                (u32::MAX - 8000).wrapping_add(i * 160),
                8000,
            );
        }
        assert_eq!(r.jitter_ms(), 0.0);
    }
}
