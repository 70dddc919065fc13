//! From a media thread to the recorder: a wait-free queue of ticks. What the recorder doesn't take in time is lost and counted, as time.

use rtrb::{Consumer, Producer, PushError, RingBuffer};

use mixer::{Rate, TICK_MS};

/// Ticks that wait for the recorder: five seconds of a disk that does nothing.
const WAITING: usize = 5 * 1000 / TICK_MS as usize;

/// Samples of a tick at most.
const SAMPLES: usize = (Rate::Full.hz() * TICK_MS / 1000) as usize;

/// 20 ms of a room's sound.
#[derive(Debug)]
pub(super) struct Tick {
    /// Ticks before this one that are missing.
    pub(super) missing: u32,
    pub(super) rate: Rate,
    samples: [i16; SAMPLES],
}

impl Tick {
    pub(super) fn samples(&self) -> &[i16] {
        &self.samples[..(self.rate.hz() * TICK_MS / 1000) as usize]
    }
}

/// What a room puts its sound on. Made outside the media threads; never waits and never allocates.
#[derive(Debug)]
pub(in crate::media) struct Tape {
    ticks: Producer<Tick>,
    missing: u32,
}

impl Tape {
    pub(super) fn new() -> (Self, Consumer<Tick>) {
        let (ticks, consumer) = RingBuffer::new(WAITING);
        (Self { ticks, missing: 0 }, consumer)
    }

    /// Puts the tick's sound on.
    pub(in crate::media) fn record(&mut self, samples: &[i16], rate: Rate) {
        let mut tick = Tick {
            missing: self.missing,
            rate,
            samples: [0; SAMPLES],
        };
        for (to, &from) in tick.samples.iter_mut().zip(samples) {
            *to = from;
        }
        match self.ticks.push(tick) {
            Ok(()) => self.missing = 0,
            Err(PushError::Full(_)) => self.missing += 1,
        }
    }

    /// Lets ticks pass that aren't mixed (rule R68).
    pub(in crate::media) fn skip(&mut self, ticks: u32) {
        self.missing = self.missing.saturating_add(ticks);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_finds_no_room_is_told_as_missing_time() {
        let (mut tape, mut ticks) = Tape::new();
        for n in 0..WAITING + 7 {
            tape.record(&[n as i16; 160], Rate::Narrow);
        }
        for n in 0..WAITING {
            let tick = ticks.pop().expect("it fitted");
            assert_eq!((tick.missing, tick.samples()), (0, &[n as i16; 160][..]));
        }
        tape.skip(2);
        tape.record(&[9; 320], Rate::Wide);
        let tick = ticks.pop().expect("there is room again");
        assert_eq!((tick.missing, tick.samples().len()), (7 + 2, 320));
        assert!(ticks.pop().is_err());
    }
}
