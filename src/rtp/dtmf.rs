//! Key presses by telephone-event (RFC 4733): one digit per press, whatever is lost, repeated or late.
//!
//! Doesn't detect tones in the audio (rule R70). Durations and time stamps are only compared with each other, so that the clock rate is the
//! same to it.

use std::time::{Duration, Instant};

/// A press of which nothing came for so long is over, although its end was lost: senders repeat an event at least every 50 ms.
const LOST_END: Duration = Duration::from_millis(500);

/// Presses come no faster than this for long (tones last 40 ms at least); bounds what a flood of events can report.
const SHORTEST_PRESS: Duration = Duration::from_millis(40);

/// Presses that may arrive at one instant, after the network held them back.
const BURST: u32 = 10;

/// Softer than that, in -dBm0, an event is no press (ITU-T Q.24 annex A by way of RFC 2833 section 3.5).
const SOFTEST: u8 = 55;

/// The largest duration that one event segment can tell (RFC 4733 section 2.5.1.3).
const SEGMENT_LIMIT: u16 = 0xffff;

/// Follows the presses of one leg.
#[derive(Debug, Clone, Default)]
pub struct Keypad {
    last: Option<Press>,
    /// When all presses so far would be over, had each taken [`SHORTEST_PRESS`].
    spent_until: Option<Instant>,
    /// Presses that came too fast.
    refused: u64,
}

#[derive(Debug, Clone, Copy)]
struct Press {
    event: u8,
    timestamp: u32,
    duration: u16,
    ended: bool,
    heard: Instant,
}

impl Keypad {
    /// Takes one telephone-event payload with its RTP timestamp; gives the digit when it is the first packet of a press.
    pub fn handle(&mut self, now: Instant, timestamp: u32, payload: &[u8]) -> Option<char> {
        let &[event, flags, high, low, ..] = payload else { return None };
        let digit = digit(event)?;
        if flags & 0x3f > SOFTEST {
            return None;
        }
        let (ended, duration) = (flags & 0x80 != 0, u16::from_be_bytes([high, low]));
        let mut fresh = true;
        if let Some(last) = &mut self.last {
            let ahead = timestamp.wrapping_sub(last.timestamp);
            if ahead == 0 {
                last.ended |= ended;
                last.duration = last.duration.max(duration);
                last.heard = now;
                return None;
            }
            // Late packets of presses before this one.
            if ahead >= 1 << 31 && now.duration_since(last.heard) < LOST_END {
                return None;
            }
            fresh = !last.goes_on(now, event, ahead) && !last.is_restamped(now, event, ahead, ended, duration);
        }
        if fresh && !self.spend(now) {
            return None;
        }
        self.last = Some(Press {
            event,
            timestamp,
            duration,
            ended,
            heard: now,
        });
        fresh.then_some(digit)
    }

    /// Presses since the last call that came faster than anybody types.
    pub fn take_refused(&mut self) -> u64 {
        std::mem::take(&mut self.refused)
    }

    fn spend(&mut self, now: Instant) -> bool {
        let from = self.spent_until.map_or(now, |until| until.max(now));
        let allowed = from.duration_since(now) < SHORTEST_PRESS * BURST;
        if allowed {
            self.spent_until = Some(from + SHORTEST_PRESS);
        } else {
            self.refused += 1;
        }
        allowed
    }
}

impl Press {
    /// Whether an event so much later is the next segment of a press too long for one (RFC 4733 section 2.5.1.3).
    fn goes_on(&self, now: Instant, event: u8, ahead: u32) -> bool {
        let held = !self.ended && now.duration_since(self.heard) < LOST_END;
        // The last packets of the segment before may be lost.
        held && event == self.event && ahead == u32::from(SEGMENT_LIMIT)
    }

    /// Whether an event so much later is the same press, from a sender that gives each packet the time stamp of its moment, not of the
    /// press's begin (RFC 4733 section 2.5.1.2): then both have grown alike, which no press after a pause has. Its end is repeated sooner than
    /// another press could begin.
    fn is_restamped(&self, now: Instant, event: u8, ahead: u32, ended: bool, duration: u16) -> bool {
        let grown = u32::from(duration.saturating_sub(self.duration));
        let goes_on = !self.ended && grown == ahead && now.duration_since(self.heard) < LOST_END;
        let again = self.ended && ended && grown == 0 && ahead < u32::from(duration);
        event == self.event && (goes_on || again)
    }
}

/// The key of an event code (RFC 4733 section 3.2); other events are no keys.
fn digit(event: u8) -> Option<char> {
    Some(match event {
        0..=9 => char::from(b'0' + event),
        10 => '*',
        11 => '#',
        12..=15 => char::from(b'A' + event - 12),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(code: u8, end: bool, duration: u16) -> [u8; 4] {
        let [high, low] = duration.to_be_bytes();
        [code, if end { 0x8a } else { 0x0a }, high, low]
    }

    /// Feeds (ms, timestamp, code, end, duration) and gathers the digits.
    fn digits(packets: &[(u64, u32, u8, bool, u16)]) -> String {
        let (start, mut keypad) = (Instant::now(), Keypad::default());
        let at = |ms| start + Duration::from_millis(ms);
        packets
            .iter()
            .filter_map(|&(ms, ts, code, end, duration)| keypad.handle(at(ms), ts, &event(code, end, duration)))
            .collect()
    }

    #[test]
    fn r70_one_digit_per_press_with_repeated_ends() {
        let press = [
            (0, 800, 5, false, 160),
            (20, 800, 5, false, 320),
            (40, 800, 5, true, 480),
            (45, 800, 5, true, 480),
            (50, 800, 5, true, 480),
        ];
        assert_eq!(digits(&press), "5");
    }

    #[test]
    fn the_same_key_twice_is_two_digits() {
        assert_eq!(
            digits(&[
                (0, 800, 10, false, 160),
                (40, 800, 10, true, 480),
                (200, 2400, 10, false, 160),
                (240, 2400, 10, true, 480)
            ]),
            "**"
        );
    }

    #[test]
    fn only_the_end_arrives() {
        assert_eq!(digits(&[(0, 800, 11, true, 480)]), "#");
    }

    #[test]
    fn a_lost_end_does_not_swallow_the_next_press() {
        assert_eq!(digits(&[(0, 800, 1, false, 160), (300, 3200, 2, false, 160)]), "12");
    }

    #[test]
    fn a_lost_end_times_out() {
        let limit = SEGMENT_LIMIT;
        let next = 800 + u32::from(limit);
        // Within the time-out this is one long press in two segments (of which the first one's last packets may be lost), after it two presses.
        assert_eq!(digits(&[(0, 800, 3, false, limit - 480), (50, next, 3, false, 160)]), "3");
        assert_eq!(digits(&[(0, 800, 3, false, limit), (50, next, 3, false, 160)]), "3");
        assert_eq!(digits(&[(0, 800, 3, false, limit), (600, next, 3, false, 160)]), "33");
    }

    #[test]
    fn late_packets_of_an_earlier_press_are_not_a_press() {
        assert_eq!(
            digits(&[(0, 800, 1, true, 480), (100, 1600, 2, false, 160), (110, 800, 1, true, 480)]),
            "12"
        );
    }

    #[test]
    fn a_sender_that_starts_over_with_a_lower_timestamp_is_heard() {
        assert_eq!(digits(&[(0, 900_000, 1, true, 480), (2000, 1600, 2, false, 160)]), "12");
    }

    #[test]
    fn a_flood_of_events_is_bounded() {
        let flood: Vec<_> = (0..10_000).map(|i| (u64::from(i), i * 160, 7, true, 160)).collect();
        let told = digits(&flood).len();
        assert!((250..=260).contains(&told), "{told} in ten seconds");
    }

    #[test]
    fn presses_held_back_by_the_network_all_count() {
        let stalled: Vec<_> = (0..5).map(|i| (0, u32::from(i) * 1600, i, true, 480)).collect();
        assert_eq!(digits(&stalled), "01234");
    }

    #[test]
    fn what_comes_too_fast_is_counted() {
        let (now, mut keypad) = (Instant::now(), Keypad::default());
        let told = (0..100)
            .filter(|i| keypad.handle(now, i * 800, &event(1, true, 160)).is_some())
            .count();
        assert_eq!((told, keypad.take_refused(), keypad.take_refused()), (10, 90, 0));
    }

    #[test]
    fn time_stamps_that_move_during_a_press_make_it_no_other() {
        for step in [160, 320, 960] {
            let packet = |n: u16, end| {
                let ts = 800 + u32::from(n) * u32::from(step);
                (u64::from(n) * 20, ts, 5, end, (n + 1) * step)
            };
            let mut press: Vec<_> = (0..10).map(|n| packet(n, false)).collect();
            press.push(packet(10, true));
            // The end again, stamped anew.
            let (ms, ts, code, end, duration) = packet(10, true);
            press.push((ms + 20, ts + 160, code, end, duration));
            press.push((ms + 40, ts + 320, code, end, duration));
            assert_eq!(digits(&press), "5");
            // The same key once more, after the shortest pause.
            let later: Vec<_> = press
                .iter()
                .map(|&(ms, ts, k, e, d)| (ms + 300, ts + 15 * u32::from(step), k, e, d))
                .collect();
            assert_eq!(digits(&[press, later].concat()), "55");
        }
    }

    #[test]
    fn clocks_of_16_and_48_khz_are_the_same_to_it() {
        for khz in [8, 16, 48] {
            let press = |at: u64, key| {
                let stamp = at as u32 * khz;
                (1..=5u64).map(move |n| (at + 20 * n, stamp, key, n == 5, (20 * n as u32 * khz) as u16))
            };
            let packets: Vec<_> = (0..12).flat_map(|key| press(u64::from(key) * 200, key)).collect();
            assert_eq!(digits(&packets), "0123456789*#");
        }
    }

    #[test]
    fn a_press_of_ten_seconds_is_one_at_every_clock() {
        for khz in [8, 48] {
            // Segments of the longest duration, each in packets of 20 ms.
            let packets = (1..500u32).map(|n| {
                let units = n * 20 * khz;
                let (segment, within) = (units / 0xffff, units % 0xffff);
                (u64::from(n) * 20, segment * 0xffff, 7, n == 499, within as u16)
            });
            let packets: Vec<_> = packets.collect();
            assert_eq!(digits(&packets), "7", "{khz} kHz");
            // One packet in three is lost.
            let rest: Vec<_> = packets.iter().enumerate().filter(|(n, _)| n % 3 > 0).map(|(_, p)| *p).collect();
            assert_eq!(digits(&rest), "7", "{khz} kHz");
        }
    }

    #[test]
    fn what_is_softer_than_minus_55_dbm0_is_no_press() {
        let mut keypad = Keypad::default();
        let now = Instant::now();
        assert_eq!(keypad.handle(now, 1, &[5, 56, 0, 160]), None);
        assert_eq!(keypad.handle(now, 1, &[5, 0x80 | 63, 0, 160]), None);
        assert_eq!(
            keypad.handle(now, 2, &[5, 0x40 | 55, 0, 160]),
            Some('5'),
            "the reserved bit is nothing"
        );
    }

    #[test]
    fn other_events_and_short_payloads_are_no_keys() {
        assert_eq!(digits(&[(0, 800, 16, false, 160), (50, 1600, 255, true, 160)]), "");
        assert_eq!(Keypad::default().handle(Instant::now(), 1, &[5, 0, 0]), None);
    }

    #[test]
    fn all_sixteen_keys() {
        let all: Vec<_> = (0..16).map(|i| (u64::from(i) * 100, u32::from(i) * 800, i, true, 160)).collect();
        assert_eq!(digits(&all), "0123456789*#ABCD");
    }
}
