//! The way from the mix to an encoder.

use crate::{
    Rate, TICK_MS,
    mix::Heard,
    resample::{Filters, Tail},
    settings::{Frame, MAX_FRAME},
};

/// When a change of the mixing rate begins to be heard, in ms after the tick's beginning, when the new rate's filters have filled, and how
/// long the old and the new are heard both (rule R67).
const FADE_FROM_MS: usize = 4;
const FADE_MS: usize = 10;

/// Brings what is heard from the mixing rate to the encoder's, which stays.
#[derive(Clone)]
pub(super) struct Inlet {
    /// The mixing rate so far, which is that of the tail.
    rate: Rate,
    tail: Tail,
}

impl Inlet {
    pub(super) const fn new() -> Self {
        Self {
            rate: Rate::Narrow,
            tail: Tail::new(),
        }
    }

    /// Forgets what was heard.
    pub(super) fn clear(&mut self) {
        self.tail.clear();
    }

    /// Fills `out` with what is heard; when the mixing rate changes, with the old one's sound, which then gives way to the new one's.
    pub(super) fn take(&mut self, filters: &Filters, heard: &Heard, out: &mut [i16]) {
        let Some(former) = &heard.former else {
            return self.bring(filters, &heard.now, out);
        };
        let mut before = [0; MAX_FRAME];
        self.bring(filters, former, &mut before[..out.len()]);
        self.bring(filters, &heard.now, out);
        let ms = out.len() / TICK_MS as usize;
        let (from, whole) = ((FADE_FROM_MS * ms) as i32, (FADE_MS * ms) as i32);
        for (n, (sample, before)) in (0..).zip(out.iter_mut().zip(before)) {
            let share = (n - from).clamp(0, whole);
            *sample = ((i32::from(*sample) * share + i32::from(before) * (whole - share)) / whole) as i16;
        }
    }

    /// Fills `out` with a frame, which follows the one before.
    pub(super) fn bring(&mut self, filters: &Filters, frame: &Frame, out: &mut [i16]) {
        if frame.rate() != self.rate {
            self.rate = frame.rate();
            self.tail.clear();
        }
        filters.convert(&self.tail, frame.pcm(), out);
        self.tail.keep(frame.pcm());
    }
}
