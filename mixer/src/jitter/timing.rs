//! When a packet has its turn (rule R66).
//!
//! Time is counted in units of the codec's RTP clock. The audio of timestamp `next` is played in the turn at `now`; their difference is the
//! delay against the sender's clock. It stands on the least value with which a packet begins with a turn (whole packets, or parts of them,
//! then never wait in vain) and 99 of 100 packets come in time.

use super::{
    delay::Delay,
    sequence::{Loss, Seen},
};
use crate::Packet;

/// Time by which a first packet must come before its turn, in microseconds: so much later may those after it be.
const MARGIN_US: u32 = 2000;
/// Time to spare with less of which the delay grows, in microseconds: better before a packet is late than after.
const SPARE_US: u32 = 1000;
/// By so much more must there be to spare before the delay falls, in microseconds: packets on a tick's edge don't let it go to and fro.
const HYSTERESIS_US: u32 = 4000;
/// Longest that audio waits beyond the next turn, in ticks: 200 ms.
const LONGEST: u32 = 10;
/// Turns without any audio after which there is nothing left to go on from: 200 ms.
const STARVED: u32 = 10;
/// Turns without any audio after which what was learnt about the way is out of date: five seconds.
const FORGOTTEN: u32 = 250;
/// Ticks in a row with packets that fit nowhere after which the sender's clock must have jumped. Counted in ticks, since after a stall
/// many old packets come at once.
const MISFITS: u32 = 3;

/// Units by which a sender's time may be off the first packet's: nine hours at 8000 Hz. Beyond that it begins anew, and nothing overflows.
const FAR: u32 = 1 << 28;

const TICK_US: u32 = crate::TICK_MS * 1000;

/// What a packet's payload is like.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    /// Units.
    pub(super) duration: u32,
    /// It holds what was in the packet before once more.
    pub(super) repeats: bool,
}

/// What to do with a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrival {
    /// Its beginning lies that many units after the next turn's, once the store has passed over so many.
    Keep {
        offset: i32,
        skipped: u32,
    },
    /// What was there before belongs to another time.
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
    /// What the store holds for now. The delay ought to fall by so many units (if negative, to grow): by playing more or less than a tick of
    /// audio in this tick.
    /// It follows on what was played last, unless it `jumped`.
    Play { excess: i32, jumped: bool },
}

#[derive(Debug)]
pub(super) struct Timing {
    /// Units in a tick.
    tick: u32,
    /// The time of the next turn.
    now: u32,
    delay: Delay,
    seen: Seen,
    loss: Loss,
    /// `None` before the first packet.
    line: Option<Line>,
}

/// A source's audio.
#[derive(Debug)]
struct Line {
    ssrc: u32,
    /// The timestamp whose turn is next.
    next: u32,
    /// Where the newest packet begins and ends.
    newest: u32,
    end: u32,
    /// The transit time that is called zero.
    zero: u32,
    /// What the delay ought to be, as a transit time.
    target: i32,
    /// Units before a packet that it holds once more, if it does, and how many turns ago the last one did.
    repeats: u32,
    unrepeated: u32,
    /// Least steps in which the delay changes so that packets begin with turns.
    grid: u32,
    starved: u32,
    misfits: u32,
    misfit_in_this_tick: bool,
    /// What comes next doesn't follow on what was played last.
    jumped: bool,
    /// The delay was changed in the last turn.
    changed: bool,
}

impl Timing {
    pub(super) fn new(tick: u32) -> Self {
        Self {
            tick,
            now: 0,
            delay: Delay::new(tick),
            seen: Seen::default(),
            loss: Loss::default(),
            line: None,
        }
    }

    pub(super) fn arrive(&mut self, packet: &Packet<'_>, shape: Shape, room: u32) -> Arrival {
        let transit = self.transit(packet);
        let Some(line) = self.line.as_mut().filter(|line| line.ssrc == packet.ssrc) else {
            return self.restart(packet, shape);
        };
        let starved = line.starved >= STARVED;
        if is_far(line.delay(self.now)) || (starved && is_far(transit)) {
            return self.restart(packet, shape);
        }
        if starved {
            return self.resume(packet, shape);
        }
        let duration = shape.duration;
        let ahead = self.seen.ahead(packet.sequence);
        if !self.seen.insert(packet.sequence) {
            return Arrival::Duplicate;
        }
        self.loss.record(ahead);
        let offset = packet.timestamp.wrapping_sub(line.next) as i32;
        let end = i64::from(offset) + i64::from(duration);
        let waiting = line.end.wrapping_sub(line.next) as i32;
        let is_newest = ahead > 0 && end > i64::from(waiting);
        let steady = !is_far(offset) && packet.timestamp.wrapping_sub(line.newest) == duration.wrapping_mul(ahead as u32);
        let longest = (LONGEST * self.tick) as i32;
        let ran_dry = is_newest && offset < 0 && waiting <= 0 && end > -i64::from(longest);
        let arrival = if ran_dry {
            // The buffer ran dry, and time went on. What comes now is heard nevertheless, with a longer delay.
            line.next = packet.timestamp;
            Arrival::Restart { offset: 0 }
        } else if is_newest && steady && offset > longest {
            // After a long stall more comes at once than anybody wants to wait for.
            line.next = packet.timestamp.wrapping_sub(longest as u32);
            line.jumped = true;
            Arrival::Keep {
                offset: longest,
                skipped: (offset - longest) as u32,
            }
        } else if (1..=i64::from(room)).contains(&end) {
            Arrival::Keep { offset, skipped: 0 }
        } else {
            line.misfits += u32::from(!line.misfit_in_this_tick);
            line.misfit_in_this_tick = true;
            if line.misfits >= MISFITS || (packet.marker && waiting <= 0) {
                return self.restart(packet, shape);
            }
            if end > 0 {
                return Arrival::Early;
            }
            Arrival::Late
        };
        if arrival != Arrival::Late {
            line.misfits = 0;
            if is_newest {
                line.note(packet, shape, self.tick);
            }
        }
        // One that is much later than any delay may be of another time.
        if offset > -longest {
            self.delay.record(transit);
        }
        if ran_dry {
            self.keep_delay();
        }
        arrival
    }

    /// Begins with a source of which nothing is known.
    fn restart(&mut self, packet: &Packet<'_>, shape: Shape) -> Arrival {
        self.delay.clear();
        self.loss = Loss::default();
        self.line = Some(Line {
            ssrc: packet.ssrc,
            next: packet.timestamp,
            newest: packet.timestamp,
            end: packet.timestamp,
            zero: self.arrival(packet).wrapping_sub(packet.timestamp),
            target: 0,
            grid: 1,
            repeats: 0,
            unrepeated: 0,
            starved: FORGOTTEN,
            misfits: 0,
            misfit_in_this_tick: false,
            jumped: true,
            changed: false,
        });
        self.resume(packet, shape)
    }

    /// Goes on after a gap: the delay may be what it ought to be at once, since nobody hears it change.
    fn resume(&mut self, packet: &Packet<'_>, shape: Shape) -> Arrival {
        self.seen = Seen::default();
        self.seen.insert(packet.sequence);
        let transit = self.transit(packet);
        let margin = self.units(MARGIN_US) as i32;
        let Some(line) = &mut self.line else { return Arrival::Late };
        let is_known = std::mem::take(&mut line.starved) < FORGOTTEN;
        line.misfits = 0;
        line.note(packet, shape, self.tick);
        if !is_known {
            self.delay.clear();
            line.target = line.on_grid(self.now, self.tick, transit + margin);
        }
        self.delay.record(transit);
        self.aim();
        let Some(line) = &mut self.line else { return Arrival::Late };
        let delay = line.target.max(line.on_grid(self.now, self.tick, transit));
        line.next = self.now.wrapping_sub(line.zero).wrapping_sub(delay as u32);
        let offset = packet.timestamp.wrapping_sub(line.next) as i32;
        self.keep_delay();
        Arrival::Restart { offset }
    }

    /// Takes the delay that it came to for the one that ought to be, so that it falls only if there is much time to spare; but for a spike,
    /// after which it is to be what it was.
    fn keep_delay(&mut self) {
        if let Some(line) = self.line.as_mut().filter(|_| !self.delay.is_spiking()) {
            line.target = line.delay(self.now);
        }
    }

    /// Begins a tick; [`Self::pass`] ends it.
    pub(super) fn turn(&mut self) -> Turn {
        self.delay.turn();
        let Some(line) = &mut self.line else { return Turn::Idle };
        line.misfit_in_this_tick = false;
        line.unrepeated = line.unrepeated.saturating_add(1);
        let ready = line.end.wrapping_sub(line.next) as i32;
        line.starved = if ready > 0 { 0 } else { line.starved.saturating_add(1) };
        if line.starved >= STARVED {
            return Turn::Idle;
        }
        self.aim();
        let Some(line) = &mut self.line else { return Turn::Idle };
        let excess = line.delay(self.now) - line.target;
        let full = ready > (LONGEST * self.tick) as i32;
        let rests = std::mem::take(&mut line.changed) || (excess > 0 && self.delay.is_spiking()) || (excess < 0 && full);
        Turn::Play {
            excess: if rests { 0 } else { excess },
            jumped: std::mem::take(&mut line.jumped),
        }
    }

    /// Decides what the delay ought to be: what it ought to have been so far, unless there is too little or too much time to spare.
    fn aim(&mut self) {
        let (spare, much) = (self.units(SPARE_US) as i32, self.units(SPARE_US + HYSTERESIS_US) as i32);
        let (Some(line), Some(usual)) = (&mut self.line, self.delay.quantile()) else {
            return;
        };
        // What a lost packet held is of use if the next one is there in time.
        let repeats = self.loss.is_heavy() && line.unrepeated < FORGOTTEN;
        let usual = usual + if repeats { line.repeats as i32 } else { 0 };
        let least = line.on_grid(self.now, self.tick, usual + spare);
        let most = line.on_grid(self.now, self.tick, usual + much);
        // Where packets begin may have changed.
        line.target = line.on_grid(self.now, line.grid, line.target).clamp(least, most);
    }

    /// Ends a tick in which so many units of audio were played, or passed over.
    pub(super) fn pass(&mut self, played: u32) {
        self.now = self.now.wrapping_add(self.tick);
        if let Some(line) = &mut self.line {
            line.next = line.next.wrapping_add(played);
            line.changed = played != self.tick;
        }
    }

    /// How many units lie between the next turn and the newest packet's end.
    pub(super) fn ready(&self) -> u32 {
        let ready = |line: &Line| (line.end.wrapping_sub(line.next) as i32).max(0).unsigned_abs();
        self.line.as_ref().map_or(0, ready)
    }

    /// Lets the turn be once more at what was passed over so many units ago.
    pub(super) fn rewind(&mut self, units: u32) {
        if let Some(line) = &mut self.line {
            line.next = line.next.wrapping_sub(units);
        }
    }

    /// Forgets what was learnt about the way: from now on ticks come at other times.
    pub(super) fn forget(&mut self) {
        self.delay.clear();
    }

    /// The timestamp whose turn is next.
    #[cfg(test)]
    pub(super) fn next(&self) -> u32 {
        self.line.as_ref().map_or(0, |line| line.next)
    }

    fn units(&self, us: u32) -> u32 {
        us.min(TICK_US) * self.tick / TICK_US
    }

    /// When a packet came.
    fn arrival(&self, packet: &Packet<'_>) -> u32 {
        self.now.wrapping_sub(self.tick).wrapping_add(self.units(packet.since_tick_us))
    }

    /// How long a packet was under way, against the first.
    fn transit(&self, packet: &Packet<'_>) -> i32 {
        let zero = self.line.as_ref().map_or(0, |line| line.zero);
        self.arrival(packet).wrapping_sub(packet.timestamp).wrapping_sub(zero) as i32
    }
}

impl Line {
    /// Takes the newest packet.
    fn note(&mut self, packet: &Packet<'_>, shape: Shape, tick: u32) {
        self.grid = gcd(shape.duration, tick);
        if shape.repeats {
            (self.repeats, self.unrepeated) = (shape.duration, 0);
        }
        (self.newest, self.end) = (packet.timestamp, packet.timestamp.wrapping_add(shape.duration));
    }

    /// What the delay is, as a transit time: with that one, a packet comes just as its turn begins.
    fn delay(&self, now: u32) -> i32 {
        now.wrapping_sub(self.next).wrapping_sub(self.zero) as i32
    }

    /// The least delay with which packets begin with a turn, and those that take `transit` come in time though a turn may be as long before
    /// the packet's own beginning as `tick` is longer than the grid.
    fn on_grid(&self, now: u32, tick: u32, transit: i32) -> i32 {
        let aligned = now.wrapping_sub(self.newest).wrapping_sub(self.zero) as i32;
        let least = transit + (tick - self.grid) as i32;
        least + (aligned - least).rem_euclid(self.grid as i32)
    }
}

/// Whether a difference of times is none that adds up from delays, stalls and drift.
fn is_far(units: i32) -> bool {
    units.unsigned_abs() > FAR
}

/// The greatest common divisor; of durations, the longest time by which packets and ticks can be in step.
fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}
