//! What one leg alone hears: the room at its own volume, and what is said to it, over the room or in the vestibule.

use crate::{
    Player, Rate,
    mix::Heard,
    resample::Filters,
    settings::Frame,
    volume::{Knob, Step, UNITY},
};

/// Of what a leg hears otherwise, this much is left while it is spoken to: 12 dB less.
const UNDER: i32 = 8_231;

/// What makes a leg hear something else than all others do.
pub(crate) struct Aside {
    speech: Option<Box<Player>>,
    /// What is said once that has faded out.
    next: Option<Box<Player>>,
    /// What is being said was not to be said to its end.
    cut: bool,
    /// Hears what plays where otherwise nobody hears anything.
    pub(crate) waits: bool,
    step: Step,
    /// The volume of all but speech.
    knob: Knob,
    /// Heard something of its own in the last tick.
    private: bool,
    /// The volume at which it last heard what others hear.
    settled: Step,
}

impl Aside {
    pub(crate) fn new() -> Self {
        Self {
            speech: None,
            next: None,
            cut: false,
            waits: false,
            step: Step::default(),
            knob: Knob::at(UNITY),
            private: false,
            settled: Step::default(),
        }
    }

    /// Is in an open mixer from now on, or in one in which nobody hears anybody.
    pub(crate) fn enter(&mut self, open: bool) {
        self.waits &= !open;
        if self.speech.is_none() {
            self.knob = Knob::at(self.target(open));
        }
        self.private = false;
    }

    /// Says something, or nothing more; gives back what therefore never begins.
    pub(crate) fn say(&mut self, speech: Option<Box<Player>>) -> Option<Box<Player>> {
        if let Some(before) = &mut self.speech {
            before.stop();
            self.cut = true;
            std::mem::replace(&mut self.next, speech)
        } else {
            self.speech = speech;
            None
        }
    }

    pub(crate) fn set_step(&mut self, step: Step) {
        self.step = step;
    }

    pub(crate) fn step(&self) -> Step {
        self.step
    }

    /// The volume at which it hears the same as others, or last did.
    pub(crate) fn settled(&self) -> Step {
        self.settled
    }

    /// Whether it hears what plays for all, or goes to.
    pub(crate) fn hears(&self, open: bool) -> bool {
        open || self.waits
    }

    /// Speaks for another tick; gives the rate of that.
    pub(crate) fn pull(&mut self) -> Option<Rate> {
        self.speech.as_mut().and_then(|speech| speech.pull())
    }

    /// Begins a tick: tells whether the leg hears something of its own in it, and whether that has just ended.
    pub(crate) fn turn(&mut self, open: bool) -> (bool, bool) {
        let private = self.speech.is_some() || !self.knob.is_at(self.target(open));
        let before = std::mem::replace(&mut self.private, private);
        if !private {
            self.settled = self.step;
        }
        (private, before && !private)
    }

    /// Whether it hears something of its own in this tick.
    pub(crate) fn is_private(&self) -> bool {
        self.private
    }

    /// Makes what all hear, or all but one, what this leg hears.
    pub(crate) fn apply(&mut self, open: bool, filters: &Filters, heard: Heard) -> Heard {
        let target = self.target(open);
        if !self.private && target == UNITY {
            return heard;
        }
        let speech = self.speech.as_deref();
        let turn = |knob: &mut Knob, mut frame: Frame| {
            let rate = frame.rate();
            knob.turn(target, &mut frame, |sum| {
                speech.is_some_and(|speech| speech.add_to(sum, rate, filters))
            });
            frame
        };
        let mut before = self.knob;
        let former = heard.former.map(|former| turn(&mut before, former));
        let now = turn(&mut self.knob, heard.now);
        self.speech.iter_mut().for_each(|speech| speech.keep());
        Heard { now, former }
    }

    /// What the leg heard in ticks before, of those that all heard.
    pub(crate) fn heard(&self, recent: &[Frame; 2]) -> [Frame; 2] {
        recent.clone().map(|mut frame| {
            self.knob.settle(&mut frame);
            frame
        })
    }

    /// Takes out what was said; tells whether to its end.
    pub(crate) fn poll_said(&mut self) -> Option<(Box<Player>, bool)> {
        let said = self.speech.take_if(|speech| speech.is_over())?;
        self.speech = self.next.take();
        Some((said, !std::mem::take(&mut self.cut)))
    }

    fn target(&self, open: bool) -> i32 {
        let gain = if self.hears(open) { self.step.gain() } else { 0 };
        match self.speech {
            Some(_) => (gain * UNDER) / UNITY,
            None => gain,
        }
    }
}
