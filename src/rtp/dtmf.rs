//! Key presses by telephone-event (RFC 4733): one digit per press, whatever is lost, repeated or late.
//!
//! Doesn't detect tones in the audio (rule R70).

use std::time::{Duration, Instant};

/// A press of which nothing came for so long is over, although its end was lost: senders repeat an event at least every 50 ms.
const LOST_END: Duration = Duration::from_millis(500);

/// Presses come no faster than this for long (tones last 40 ms at least); bounds what a flood of events can report.
const SHORTEST_PRESS: Duration = Duration::from_millis(40);

/// Presses that may arrive at one instant, after the network held them back.
const BURST: u32 = 10;

/// The largest duration that one event segment can tell (RFC 4733 section 2.5.1.3).
const SEGMENT_LIMIT: u16 = 0xffff;

/// Follows the presses of one leg.
#[derive(Debug, Clone, Default)]
pub struct Keypad {
    last: Option<Press>,
    /// When all presses so far would be over, had each taken [`SHORTEST_PRESS`].
    spent_until: Option<Instant>,
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
            fresh = !last.goes_on(now, event, ahead);
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

    fn spend(&mut self, now: Instant) -> bool {
        let from = self.spent_until.map_or(now, |until| until.max(now));
        let allowed = from.duration_since(now) < SHORTEST_PRESS * BURST;
        if allowed {
            self.spent_until = Some(from + SHORTEST_PRESS);
        }
        allowed
    }
}

impl Press {
    /// Whether an event so much later is the next segment of a press too long for one (RFC 4733 section 2.5.1.3).
    fn goes_on(&self, now: Instant, event: u8, ahead: u32) -> bool {
        let held = !self.ended && now.duration_since(self.heard) < LOST_END;
        held && event == self.event && self.duration == SEGMENT_LIMIT && ahead == u32::from(SEGMENT_LIMIT)
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
        // Within the time-out this is one long press in two segments, after it two presses.
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
