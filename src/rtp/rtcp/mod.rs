//! RTCP in place (RFC 3550 section 6): compound packets of SR or RR, SDES CNAME and BYE, built into a caller's buffer and read as views.
//!
//! Doesn't know other report kinds: they are stepped over.

use std::time::{Duration, Instant};

use super::session::{Reception, Sender};

mod read;
mod write;

pub use read::{Part, parts};
pub use write::{MAX_BUILT, MAX_CNAME};

/// The deterministic interval between reports of a session of two (RFC 3550 section 6.2).
const INTERVAL: Duration = Duration::from_secs(5);

/// A moment as 64-bit NTP time: seconds since 1900 in the upper half, fractions in the lower.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ntp(pub u64);

impl Ntp {
    /// Seconds from 1900 to 1970.
    const UNIX_EPOCH: u64 = 2_208_988_800;

    /// The NTP time of a moment of the UNIX clock.
    pub fn from_unix(since_epoch: Duration) -> Self {
        let fraction = (u64::from(since_epoch.subsec_nanos()) << 32) / 1_000_000_000;
        Self(((since_epoch.as_secs() + Self::UNIX_EPOCH) << 32).wrapping_add(fraction))
    }

    /// The middle 32 bits: 1/65536 seconds, as LSR and DLSR use them.
    pub fn middle(self) -> u32 {
        (self.0 >> 16) as u32
    }
}

/// Reads NTP time off the monotonic clock, so that a step of the wall clock doesn't upset round trips.
#[derive(Debug, Clone, Copy)]
pub struct NtpClock {
    start: Instant,
    unix_at_start: Duration,
}

impl NtpClock {
    /// Ties the two clocks together.
    pub fn new(start: Instant, unix_at_start: Duration) -> Self {
        Self { start, unix_at_start }
    }

    /// The NTP time of an instant.
    pub fn at(&self, now: Instant) -> Ntp {
        Ntp::from_unix(self.unix_at_start + now.saturating_duration_since(self.start))
    }
}

/// What one leg knows about its peer's reports, and when its own are due.
#[derive(Debug, Clone)]
pub struct Reports {
    due: Instant,
    /// Middle of the NTP time of the peer's last SR, and when it came.
    last_sr: Option<(u32, Instant)>,
    round_trip: Option<Duration>,
    /// What the peer told last of the reception of our stream.
    peer: Option<Reception>,
    /// Packets sent when the last report went out: tells SR from RR.
    sent_before: u64,
}

impl Reports {
    /// The first report is due after half an interval, spread by `dice`.
    pub fn new(now: Instant, dice: u16) -> Self {
        Self {
            due: now + spread(INTERVAL / 2, dice),
            last_sr: None,
            round_trip: None,
            peer: None,
            sent_before: 0,
        }
    }

    /// When the next report is due.
    pub fn due(&self) -> Instant {
        self.due
    }

    /// The last round trip that the peer's reports allowed to measure.
    pub fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    /// What the peer told last of the reception of our stream.
    pub fn peer(&self) -> Option<Reception> {
        self.peer
    }

    /// Takes a compound packet of the peer; `false` if it is none. `ssrc` is ours.
    pub fn handle(&mut self, now: Instant, ntp: Ntp, ssrc: u32, bytes: &[u8]) -> bool {
        if !read::is_valid(bytes) {
            return false;
        }
        for part in parts(bytes) {
            match part {
                Part::Sender { ntp: sent } => self.last_sr = Some((sent.middle(), now)),
                Part::Block(block) if block.reception.ssrc == ssrc => {
                    self.peer = Some(block.reception);
                    if block.last_sr == 0 {
                        continue;
                    }
                    let units = ntp.middle().wrapping_sub(block.last_sr).wrapping_sub(block.since_sr);
                    // A peer that miscounts makes this negative, that is, huge.
                    if units < 1 << 31 {
                        self.round_trip = Some(from_units(units));
                    }
                }
                Part::Block(_) | Part::Bye { .. } | Part::Cname(_) => {}
            }
        }
        true
    }

    /// Writes the report that is due, and plans the next one; gives its length.
    pub fn write(&mut self, args: Report<'_>, dice: u16, into: &mut [u8; MAX_BUILT]) -> usize {
        self.due = args.now + spread(INTERVAL, dice);
        let (last_sr, since_sr) = self
            .last_sr
            .map_or((0, 0), |(sr, at)| (sr, to_units(args.now.saturating_duration_since(at))));
        let block = args.reception.map(|reception| Block {
            reception,
            last_sr,
            since_sr,
        });
        let sends = args.sender.packets() != self.sent_before;
        self.sent_before = args.sender.packets();
        write::build(
            &write::Compound {
                sender: args.sender,
                timestamp: args.sender.timestamp_at(args.now),
                ntp: sends.then_some(args.ntp),
                block,
                cname: args.cname,
                bye: args.bye,
            },
            into,
        )
    }
}

/// What goes into a report.
#[derive(Debug, Clone, Copy)]
pub struct Report<'a> {
    /// The present.
    pub now: Instant,
    /// The same as NTP time.
    pub ntp: Ntp,
    /// Our stream.
    pub sender: &'a Sender,
    /// The peer's stream.
    pub reception: Option<Reception>,
    /// Our canonical name (RFC 7022).
    pub cname: &'a str,
    /// We leave.
    pub bye: bool,
}

/// One reception report block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// The numbers.
    pub reception: Reception,
    /// Middle of the NTP time of the last SR received, or 0.
    pub last_sr: u32,
    /// How long ago that came, in 1/65536 s.
    pub since_sr: u32,
}

/// `base` times 0.5 to 1.5 (RFC 3550 section 6.3.1).
fn spread(base: Duration, dice: u16) -> Duration {
    base / 2 + base * u32::from(dice) / u32::from(u16::MAX)
}

fn to_units(duration: Duration) -> u32 {
    (duration.as_micros() * 65_536 / 1_000_000).min(u128::from(u32::MAX)) as u32
}

fn from_units(units: u32) -> Duration {
    Duration::from_micros(u64::from(units) * 1_000_000 / 65_536)
}

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const SOURCE_DESCRIPTION: u8 = 202;
const BYE: u8 = 203;
const CNAME: u8 = 1;

#[cfg(test)]
mod tests {
    use super::{super::session::Outgoing, read::is_valid, write::build, *};

    const RECEPTION: Reception = Reception {
        ssrc: 77,
        fraction_lost: 12,
        lost: -3,
        highest: 70_000,
        jitter: 99,
    };

    fn sender() -> Sender {
        let mut sender = Sender::new(42, 7, 1000);
        let packet = Outgoing {
            payload_type: 0,
            timestamp: 0,
            marker: true,
            clock: 8000,
            octets: 160,
        };
        sender.next(Instant::now(), packet);
        sender
    }

    fn built(ntp: Option<Ntp>, block: Option<Block>, cname: &str, bye: bool) -> Vec<u8> {
        let mut buffer = [0xaa; MAX_BUILT];
        let len = build(
            &write::Compound {
                sender: &sender(),
                timestamp: 1000,
                ntp,
                block,
                cname,
                bye,
            },
            &mut buffer,
        );
        buffer[..len].to_vec()
    }

    #[test]
    fn what_is_built_is_read() {
        let (ntp, block) = (
            Ntp(0x1122_3344_5566_7788),
            Block {
                reception: RECEPTION,
                last_sr: 5,
                since_sr: 6,
            },
        );
        let bytes = built(Some(ntp), Some(block), "ab@host", true);
        assert!(is_valid(&bytes));
        let read: Vec<_> = parts(&bytes).collect();
        assert_eq!(
            read,
            [
                Part::Sender { ntp },
                Part::Block(block),
                Part::Cname(b"ab@host"),
                Part::Bye { ssrc: 42 }
            ]
        );
    }

    #[test]
    fn every_length_of_cname_fits_and_is_ended() {
        for len in 0..80 {
            let name = "n".repeat(len);
            let bytes = built(None, None, &name, true);
            assert!(is_valid(&bytes), "length {len}");
            assert_eq!(parts(&bytes).next(), Some(Part::Cname(&name.as_bytes()[..len.min(MAX_CNAME)])));
        }
        assert_eq!(
            built(
                Some(Ntp(0)),
                Some(Block {
                    reception: RECEPTION,
                    last_sr: 0,
                    since_sr: 0
                }),
                &"n".repeat(64),
                true
            )
            .len(),
            MAX_BUILT
        );
    }

    #[test]
    fn a_compound_starts_with_a_report_and_fills_its_datagram() {
        let good = built(None, None, "a", false);
        assert!(!is_valid(&good[..good.len() - 4]));
        assert!(!is_valid(&good[8..]), "starts with SDES");
        assert!(!is_valid(&[]));
        let mut version = good;
        version[0] = 0x40;
        assert!(!is_valid(&version));
    }

    #[test]
    fn round_trip_is_measured_from_the_peers_block() {
        let start = Instant::now();
        let clock = NtpClock::new(start, Duration::from_secs(1_700_000_000));
        let mut reports = Reports::new(start, 0);
        let sent = clock.at(start).middle();
        // The peer held our report for 500 ms; it comes back 620 ms after we sent it.
        let block = Block {
            reception: Reception { ssrc: 42, ..RECEPTION },
            last_sr: sent,
            since_sr: 65_536 / 2,
        };
        let now = start + Duration::from_millis(620);
        assert!(reports.handle(now, clock.at(now), 42, &built(None, Some(block), "x", false)));
        let ms = reports.round_trip().map(|d| d.as_millis());
        assert!(matches!(ms, Some(119..=121)), "{ms:?}");
        // A block about somebody else, or one that claims more than passed, changes nothing.
        let other = Block {
            reception: RECEPTION,
            ..block
        };
        reports.handle(now, clock.at(now), 42, &built(None, Some(other), "x", false));
        let lie = Block {
            since_sr: 65_536 * 9,
            ..block
        };
        reports.handle(now, clock.at(now), 42, &built(None, Some(lie), "x", false));
        assert_eq!(reports.round_trip().map(|d| d.as_millis()), ms);
    }

    #[test]
    fn reports_come_every_five_seconds_spread_and_answer_the_last_sr() {
        let start = Instant::now();
        let clock = NtpClock::new(start, Duration::ZERO);
        let mut reports = Reports::new(start, u16::MAX / 2);
        assert!(reports.due() - start < Duration::from_millis(2501));
        let theirs = Ntp(0x0000_0001_8000_0000);
        reports.handle(start, clock.at(start), 42, &built(Some(theirs), None, "x", false));
        let (now, mut buffer, sender) = (start + Duration::from_secs(2), [0; MAX_BUILT], sender());
        let args = Report {
            now,
            ntp: clock.at(now),
            sender: &sender,
            reception: Some(RECEPTION),
            cname: "c",
            bye: false,
        };
        let len = reports.write(args, u16::MAX, &mut buffer);
        assert_eq!(reports.due() - now, Duration::from_millis(7500));
        let first: Vec<_> = parts(&buffer[..len]).take(2).collect();
        assert_eq!(first[0], Part::Sender { ntp: clock.at(now) });
        assert_eq!(
            first[1],
            Part::Block(Block {
                reception: RECEPTION,
                last_sr: theirs.middle(),
                since_sr: 2 * 65_536
            })
        );
        // Nothing was sent since: the next one is an RR.
        let len = reports.write(args, 0, &mut buffer);
        assert_eq!(reports.due() - now, Duration::from_millis(2500));
        assert!(!parts(&buffer[..len]).any(|p| matches!(p, Part::Sender { .. })));
    }

    #[test]
    fn ntp_of_the_unix_epoch() {
        assert_eq!(Ntp::from_unix(Duration::ZERO).0, 2_208_988_800 << 32);
        assert_eq!(Ntp::from_unix(Duration::from_millis(500)).0 as u32, 1 << 31);
    }
}
