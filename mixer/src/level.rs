//! Tells voice from silence by level alone.

/// Mean squares of 16-bit samples. Below the first a leg isn't mixed: -60 dBov is under any room's noise. Above the second somebody
/// speaks: -45 dBov.
const MIX_FLOOR: u64 = square_at(33);
const SPEAK_FLOOR: u64 = square_at(184);

/// Ticks that a voice stays in the mix after it fell under the floor: pauses between words.
const MIX_HANG: u8 = 15;
/// Ticks over the floor that make a speaker: a cough or a click is shorter.
const SPEAK_RISE: u8 = 3;
/// Ticks under the floor after which somebody no longer speaks: half a second.
const SPEAK_HANG: u8 = 25;

/// The amplitude under which every sample of a frame may lie without opening the gate.
pub(crate) const QUIET_PEAK: u16 = 33;

const fn square_at(amplitude: u64) -> u64 {
    amplitude * amplitude
}

/// Decides whether a leg's voice is mixed, and whether it counts as speaking.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Gate {
    /// Ticks for which the gate stays open.
    open: u8,
    /// Ticks over the floor for speaking, up to `SPEAK_RISE`.
    risen: u8,
    /// Ticks for which speaking lasts.
    speaking: u8,
}

impl Gate {
    /// Takes the mean square of the next tick's samples; tells whether they are to be mixed.
    pub(crate) fn hear(&mut self, square: u64) -> bool {
        self.open = if square >= MIX_FLOOR {
            MIX_HANG
        } else {
            self.open.saturating_sub(1)
        };
        if square < SPEAK_FLOOR {
            self.risen = 0;
            self.speaking = self.speaking.saturating_sub(1);
        } else if self.risen < SPEAK_RISE {
            self.risen += 1;
        }
        if self.risen == SPEAK_RISE {
            self.speaking = SPEAK_HANG;
        }
        self.is_open()
    }

    /// Closes at once: the leg was muted or held.
    pub(crate) fn close(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn is_open(&self) -> bool {
        self.open > 0
    }

    pub(crate) fn is_speaking(&self) -> bool {
        self.speaking > 0
    }
}

/// The mean square of some samples.
pub(crate) fn mean_square(samples: &[i16]) -> u64 {
    // Groups whose sum fits 32 bits let the compiler work on many samples at once; the shift loses less than a quantisation step.
    let group = |group: &[i16]| u64::from(group.iter().map(|&s| (i32::from(s) * i32::from(s)) as u32 >> 4).sum::<u32>());
    let sum: u64 = samples.chunks(32).map(group).sum();
    (sum << 4) / samples.len().max(1) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_click_is_no_speech_and_a_pause_does_not_end_it() {
        let mut gate = Gate::default();
        assert!(gate.hear(SPEAK_FLOOR));
        assert!(!gate.is_speaking());
        assert!(gate.hear(0), "hang-over");
        for _ in 0..SPEAK_RISE {
            gate.hear(SPEAK_FLOOR);
        }
        assert!(gate.is_speaking());
        for tick in 1..SPEAK_HANG {
            assert_eq!(gate.hear(0), tick < MIX_HANG, "{tick}");
            assert!(gate.is_speaking(), "{tick}");
        }
        gate.hear(0);
        assert!(!gate.is_speaking());
    }

    #[test]
    fn squares_are_right_at_both_ends() {
        assert_eq!(mean_square(&[i16::MIN; 960]), 1 << 30);
        assert_eq!(mean_square(&[0; 160]), 0);
        assert_eq!(mean_square(&[100; 160]), 10_000);
        assert!(mean_square(&[QUIET_PEAK as i16 - 1; 160]) < MIX_FLOOR);
        assert_eq!(mean_square(&[]), 0);
    }
}
