//! One leg's RTP streams (RFC 3550): what we send goes on unbroken through every move, what we hear is counted and checked.

use std::time::Instant;

use super::packet::Header;

/// Sequence numbers that may be missing at once before it is a jump (RFC 3550 appendix A.1).
const MAX_DROPOUT: u16 = 3000;

/// How far back a packet may come and still be only late (RFC 3550 appendix A.1).
const MAX_MISORDER: u16 = 100;

/// The stream that we send on one leg.
#[derive(Debug, Clone)]
pub struct Sender {
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    /// The timestamp that the next packet has if nothing was left out; `None` before the first packet.
    follows: Option<u32>,
    packets: u64,
    octets: u64,
}

impl Sender {
    /// Starts a stream; all three numbers are to be random (RFC 3550 section 5.1).
    pub fn new(ssrc: u32, sequence: u16, timestamp: u32) -> Self {
        Self {
            ssrc,
            sequence,
            timestamp,
            follows: None,
            packets: 0,
            octets: 0,
        }
    }

    /// Lets time go on by this many units of the RTP clock, sent in or not.
    pub fn advance(&mut self, units: u32) {
        self.timestamp = self.timestamp.wrapping_add(units);
    }

    /// The header of the next packet, which began `age` units ago and lasts `length` units; `octets` is its payload's size.
    /// After a gap the marker is set, and the timestamp tells the elapsed time (rule R62).
    pub fn next(&mut self, payload_type: u8, age: u32, length: u32, octets: usize) -> Header {
        let timestamp = self.timestamp.wrapping_sub(age);
        let header = Header {
            payload_type,
            marker: self.follows != Some(timestamp),
            sequence: self.sequence,
            timestamp,
            ssrc: self.ssrc,
        };
        self.follows = Some(timestamp.wrapping_add(length));
        self.sequence = self.sequence.wrapping_add(1);
        self.packets += 1;
        self.octets += octets as u64;
        header
    }

    /// Our synchronisation source.
    pub fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// The RTP time of the present tick.
    pub fn timestamp(&self) -> u32 {
        self.timestamp
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
        let since = now.duration_since(*self.epoch.get_or_insert(now));
        let arrival = (since.as_micros() as u64).wrapping_mul(clock.into()) / 1_000_000;
        let transit = (arrival as u32).wrapping_sub(timestamp);
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
        let (expected_now, received_now) = (expected - stream.expected_prior, stream.received - stream.received_prior);
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

    #[test]
    fn r62_after_a_gap_the_marker_is_set_and_the_timestamp_tells_the_time() {
        let mut sender = Sender::new(1, 65535, u32::MAX);
        let first = sender.next(0, 0, 160, 160);
        assert_eq!((first.marker, first.sequence, first.timestamp), (true, 65535, u32::MAX));
        sender.advance(160);
        let second = sender.next(0, 0, 160, 160);
        assert_eq!((second.marker, second.sequence, second.timestamp), (false, 0, 159));
        sender.advance(160 * 5);
        let third = sender.next(0, 0, 160, 160);
        assert_eq!((third.marker, third.sequence, third.timestamp), (true, 1, 959));
        assert_eq!((sender.packets(), sender.octets()), (3, 480));
    }

    #[test]
    fn packets_of_two_ticks_carry_the_time_of_their_first() {
        let mut sender = Sender::new(1, 0, 0);
        sender.advance(160);
        assert_eq!(sender.next(0, 160, 320, 320).timestamp, 0);
        sender.advance(320);
        let next = sender.next(0, 160, 320, 320);
        assert_eq!((next.timestamp, next.marker), (320, false));
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
