//! What a mixer reports, and the bounded queue of it.

use std::collections::VecDeque;

use crate::Leg;

/// A fact from the mixer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The leg began or stopped to speak: level over the floor, with hang-over; by its decoded voice or, if it isn't among those heard, by
    /// what its packets tell.
    Speaking(Leg, bool),
    /// The last tick was the first with (or without) the leg's voice after [`Command::Mute`](crate::Command::Mute) or
    /// [`Command::Remove`](crate::Command::Remove).
    Applied(Leg),
    /// A key was pressed, by what the leg sounds like; once per press.
    Key(Leg, char),
    /// What was to be said to the leg was said to its end.
    Said(Leg),
}

/// A queue that never grows: what doesn't fit is counted.
#[derive(Debug)]
pub(crate) struct Events {
    queue: VecDeque<Event>,
    room: usize,
    lost: u64,
}

impl Events {
    pub(crate) fn new(room: usize) -> Self {
        Self {
            queue: VecDeque::with_capacity(room),
            room,
            lost: 0,
        }
    }

    pub(crate) fn push(&mut self, event: Event) {
        if self.queue.len() < self.room {
            self.queue.push_back(event);
        } else {
            self.lost += 1;
        }
    }

    pub(crate) fn pop(&mut self) -> Option<Event> {
        self.queue.pop_front()
    }

    pub(crate) fn lost(&self) -> u64 {
        self.lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_counted() {
        let mut events = Events::new(2);
        for n in 0..5 {
            events.push(Event::Applied(Leg(n)));
        }
        assert_eq!(events.lost(), 3);
        assert_eq!(events.pop(), Some(Event::Applied(Leg(0))));
        assert_eq!(events.pop(), Some(Event::Applied(Leg(1))));
        assert_eq!(events.pop(), None);
    }
}
