//! When a packet has its turn: a fixed delay of 40 ms, corrected by whole ticks.

use crate::Packet;

/// Ticks that the first packet waits: so late may a later one be.
const DELAY: u32 = 2;
/// Ticks without any packet after which the next one starts anew: nothing is left to keep in step with.
const STARVED: u32 = 10;
/// Ticks over which the least head start is measured before audio is left out: one second.
const WINDOW: u32 = 50;
/// Late packets within such a window that make the delay grow by a tick.
const TOO_LATE: u32 = 2;
/// Ticks in a row with packets that fit nowhere after which the sender's clock must have jumped. Counted in ticks, since after a stall
/// many old packets come at once.
const MISFITS: u32 = 3;

/// What to do with a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrival {
    /// Its beginning lies that many units after the next turn's.
    Keep {
        offset: i32,
    },
    /// The same, but what was there before belongs to another time.
    Restart {
        offset: i32,
    },
    Duplicate,
    Late,
    Early,
}

/// What a tick plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Nothing has come for a while, or ever.
    Idle,
    /// What the store holds for now, after so many ticks of audio were left out.
    Play { skipped: u32 },
    /// Something made up: time stands still for a tick.
    Insert,
}

#[derive(Debug)]
pub(super) struct Timing {
    /// Units in a tick.
    tick: u32,
    ssrc: u32,
    seen: Seen,
    /// `None` while idle.
    line: Option<Line>,
}

/// A stretch of audio that is being played.
#[derive(Debug)]
struct Line {
    /// The timestamp whose turn is next.
    next: u32,
    /// Where the newest packet ends.
    end: u32,
    starved: u32,
    misfits: u32,
    misfit_in_this_tick: bool,
    window: Window,
}

#[derive(Debug)]
struct Window {
    ticks: u32,
    late: u32,
    /// Least number of units that were ready at a turn.
    ready: i32,
}

impl Timing {
    pub(super) fn new(tick: u32) -> Self {
        Self {
            tick,
            ssrc: 0,
            seen: Seen::default(),
            line: None,
        }
    }

    pub(super) fn arrive(&mut self, packet: &Packet<'_>, duration: u32, room: u32) -> Arrival {
        let Some(line) = self.line.as_mut().filter(|_| packet.ssrc == self.ssrc) else {
            return self.restart(packet, duration);
        };
        if !self.seen.insert(packet.sequence) {
            return Arrival::Duplicate;
        }
        let offset = packet.timestamp.wrapping_sub(line.next) as i32;
        let end = i64::from(offset) + i64::from(duration);
        if (1..=i64::from(room)).contains(&end) {
            line.misfits = 0;
            let newest = line.end.wrapping_sub(line.next) as i32;
            if end > i64::from(newest) {
                line.end = packet.timestamp.wrapping_add(duration);
            }
            return Arrival::Keep { offset };
        }
        line.misfits += u32::from(!line.misfit_in_this_tick);
        line.misfit_in_this_tick = true;
        let nothing_waits = line.end.wrapping_sub(line.next) as i32 <= 0;
        if line.misfits >= MISFITS || (packet.marker && nothing_waits) {
            return self.restart(packet, duration);
        }
        if end <= 0 {
            line.window.late += 1;
            Arrival::Late
        } else {
            Arrival::Early
        }
    }

    fn restart(&mut self, packet: &Packet<'_>, duration: u32) -> Arrival {
        self.ssrc = packet.ssrc;
        self.seen = Seen::default();
        self.seen.insert(packet.sequence);
        let wait = DELAY * self.tick;
        self.line = Some(Line {
            next: packet.timestamp.wrapping_sub(wait),
            end: packet.timestamp.wrapping_add(duration),
            starved: 0,
            misfits: 0,
            misfit_in_this_tick: false,
            window: Window::new(),
        });
        Arrival::Restart { offset: wait as i32 }
    }

    pub(super) fn turn(&mut self) -> Turn {
        let Some(line) = &mut self.line else { return Turn::Idle };
        line.misfit_in_this_tick = false;
        let ready = line.end.wrapping_sub(line.next) as i32;
        line.starved = if ready > 0 { 0 } else { line.starved + 1 };
        if line.starved >= STARVED {
            self.line = None;
            return Turn::Idle;
        }
        line.window.ticks += 1;
        line.window.ready = line.window.ready.min(ready);
        if line.window.late >= TOO_LATE {
            line.window = Window::new();
            return Turn::Insert;
        }
        let mut skipped = 0;
        if line.window.ticks == WINDOW {
            // A packet that comes just before a tick is played `DELAY` ticks later: so much, and its own tick, ought to be ready.
            let surplus = line.window.ready - ((DELAY + 1) * self.tick) as i32;
            skipped = surplus.max(0) as u32 / self.tick;
            line.window = Window::new();
        }
        line.next = line.next.wrapping_add((skipped + 1) * self.tick);
        Turn::Play { skipped }
    }
}

impl Window {
    fn new() -> Self {
        Self {
            ticks: 0,
            late: 0,
            ready: i32::MAX,
        }
    }
}

/// Which of the last 64 sequence numbers came (like RFC 3711 section 3.3.2's replay list).
#[derive(Debug, Default)]
struct Seen {
    newest: u16,
    /// Bit n: the number n before the newest came.
    before: u64,
}

impl Seen {
    /// Notes a number; `false` if it came before.
    fn insert(&mut self, sequence: u16) -> bool {
        let ahead = sequence.wrapping_sub(self.newest) as i16;
        if self.before == 0 || ahead >= 64 || ahead <= -64 {
            (self.newest, self.before) = (sequence, 1);
            return true;
        }
        if ahead > 0 {
            self.newest = sequence;
            self.before = self.before << ahead | 1;
            return true;
        }
        let bit = 1 << -ahead;
        let fresh = self.before & bit == 0;
        self.before |= bit;
        fresh
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: u32 = 160;
    const ROOM: u32 = 12 * TICK;

    fn packet(n: u32) -> Packet<'static> {
        let sequence = 65_530u16.wrapping_add(n as u16);
        Packet {
            ssrc: 7,
            sequence,
            timestamp: (u32::MAX - 500).wrapping_add(n * TICK),
            marker: false,
            level: None,
            since_tick_us: 10_000,
            payload: &[],
        }
    }

    fn arrive(timing: &mut Timing, packet: &Packet<'_>) -> Arrival {
        timing.arrive(packet, TICK, ROOM)
    }

    #[test]
    fn first_packet_waits_40_ms_and_numbers_wrap() {
        let mut timing = Timing::new(TICK);
        assert_eq!(timing.turn(), Turn::Idle);
        assert_eq!(arrive(&mut timing, &packet(0)), Arrival::Restart { offset: 320 });
        for n in 1..20 {
            assert_eq!(timing.turn(), Turn::Play { skipped: 0 });
            assert_eq!(arrive(&mut timing, &packet(n)), Arrival::Keep { offset: 320 });
        }
    }

    #[test]
    fn duplicates_late_and_reordered() {
        let mut timing = Timing::new(TICK);
        arrive(&mut timing, &packet(0));
        assert_eq!(arrive(&mut timing, &packet(2)), Arrival::Keep { offset: 640 });
        assert_eq!(arrive(&mut timing, &packet(1)), Arrival::Keep { offset: 480 });
        assert_eq!(arrive(&mut timing, &packet(2)), Arrival::Duplicate);
        for _ in 0..5 {
            timing.turn();
        }
        assert_eq!(arrive(&mut timing, &packet(1)), Arrival::Duplicate);
        arrive(&mut timing, &packet(4));
        timing.turn();
        assert_eq!(arrive(&mut timing, &packet(3)), Arrival::Late);
    }

    #[test]
    fn the_delay_grows_when_packets_come_late_and_shrinks_again() {
        let mut timing = Timing::new(TICK);
        arrive(&mut timing, &packet(0));
        let mut turns = vec![timing.turn(), timing.turn(), timing.turn(), timing.turn()];
        // From now on every packet comes 20 ms later than the buffer waits.
        let mut inserted = 0;
        for n in 1..40 {
            arrive(&mut timing, &packet(n));
            let turn = timing.turn();
            inserted += u32::from(turn == Turn::Insert);
            turns.push(turn);
        }
        assert!((1..=2).contains(&inserted), "{turns:?}");
        assert!(matches!(arrive(&mut timing, &packet(40)), Arrival::Keep { .. }));
        // Then the way gets 80 ms shorter: five ticks are ready, two more than needed.
        for n in 41..45 {
            arrive(&mut timing, &packet(n));
        }
        let mut skipped = 0;
        for n in 45..160 {
            if let Turn::Play { skipped: now } = timing.turn() {
                skipped += now;
            }
            arrive(&mut timing, &packet(n));
        }
        assert_eq!(skipped, 2);
    }

    #[test]
    fn a_jump_of_the_clock_costs_three_ticks_and_a_marker_none() {
        for marker in [false, true] {
            for jump in [1_000_000u32, 0u32.wrapping_sub(1_000_000), 0x8000_0000] {
                let mut timing = Timing::new(TICK);
                arrive(&mut timing, &packet(0));
                for n in 1..6 {
                    timing.turn();
                    arrive(&mut timing, &packet(n));
                }
                // Let everything that waits be played first.
                for _ in 0..3 {
                    timing.turn();
                }
                let mut lost = 0;
                loop {
                    let jumped = Packet {
                        timestamp: packet(6 + lost).timestamp.wrapping_add(jump),
                        marker,
                        ..packet(6 + lost)
                    };
                    if matches!(arrive(&mut timing, &jumped), Arrival::Restart { .. }) {
                        break;
                    }
                    lost += 1;
                    timing.turn();
                }
                assert_eq!(lost, if marker { 0 } else { 2 }, "{marker} {jump}");
            }
        }
    }

    #[test]
    fn a_burst_of_old_packets_is_no_jump() {
        let mut timing = Timing::new(TICK);
        arrive(&mut timing, &packet(0));
        for n in 1..30 {
            timing.turn();
            if n < 10 {
                arrive(&mut timing, &packet(n));
            }
            if n == 16 {
                for late in 10..16 {
                    assert!(!matches!(arrive(&mut timing, &packet(late)), Arrival::Restart { .. }));
                }
            }
        }
    }

    #[test]
    fn another_source_and_a_long_gap_start_anew() {
        let mut timing = Timing::new(TICK);
        arrive(&mut timing, &packet(0));
        assert!(matches!(
            arrive(&mut timing, &Packet { ssrc: 8, ..packet(9) }),
            Arrival::Restart { .. }
        ));
        for _ in 0..3 + STARVED {
            timing.turn();
        }
        assert_eq!(timing.turn(), Turn::Idle);
        assert!(matches!(
            arrive(&mut timing, &Packet { ssrc: 8, ..packet(10) }),
            Arrival::Restart { .. }
        ));
    }
}
