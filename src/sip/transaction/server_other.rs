//! The server transaction of every method but INVITE and ACK (RFC 3261 section 17.2.2).

use std::time::Instant;

use super::timer::{GIVE_UP, Named, Timers};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Trying,
    Completed,
    Terminated,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Timer {
    /// Nobody has answered in all this time; no answer is sent any more (RFC 4320 section 4.2).
    Unanswered,
    /// No more retransmissions of the request will come.
    J,
}

impl Named for Timer {
    fn name(self) -> &'static str {
        match self {
            Self::Unanswered => "server: unanswered",
            Self::J => "server: timer J",
        }
    }
}

/// One server transaction that isn't an INVITE's. It has no provisional responses: RFC 4320 section 4.1 bans all but a late 100.
#[derive(Debug)]
pub(super) struct ServerOther {
    state: State,
    reliable: bool,
    timers: Timers<Timer>,
}

impl ServerOther {
    pub(super) fn new(now: Instant, reliable: bool) -> Self {
        let mut timers = Timers::default();
        timers.set(Timer::Unanswered, now + GIVE_UP);
        Self {
            state: State::Trying,
            reliable,
            timers,
        }
    }

    /// The request came again: whether the last response is to be sent again.
    pub(super) fn handle_repeat(&self) -> bool {
        self.state == State::Completed
    }

    /// Takes note of our final response; `false` if there was one already.
    pub(super) fn respond(&mut self, now: Instant) -> bool {
        if self.state != State::Trying {
            return false;
        }
        self.timers.stop_all();
        if self.reliable {
            self.state = State::Terminated;
        } else {
            self.state = State::Completed;
            self.timers.set(Timer::J, now + GIVE_UP);
        }
        true
    }

    /// Whether no response was given yet.
    pub(super) fn is_open(&self) -> bool {
        self.state == State::Trying
    }

    /// Fires what is due; all that can follow is the end.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.timers.pop_due(now).is_some() {
            self.timers.stop_all();
            self.state = State::Terminated;
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<(Instant, &'static str)> {
        self.timers.next()
    }

    pub(super) fn is_over(&self) -> bool {
        self.state == State::Terminated
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_answers_retransmissions_for_32_s() {
        let start = Instant::now();
        let mut machine = ServerOther::new(start, false);
        assert!(!machine.handle_repeat(), "nothing to send yet");
        assert!(machine.respond(start));
        assert!(machine.handle_repeat());
        assert!(!machine.respond(start));
        machine.handle_timeout(start + GIVE_UP);
        assert!(machine.is_over() && machine.poll_timeout().is_none());
    }

    #[test]
    fn a_reliable_transport_ends_it_at_once() {
        let start = Instant::now();
        let mut machine = ServerOther::new(start, true);
        machine.respond(start);
        assert!(machine.is_over() && machine.poll_timeout().is_none());
    }

    #[test]
    fn it_does_not_wait_for_ever() {
        let start = Instant::now();
        let mut machine = ServerOther::new(start, true);
        machine.handle_timeout(start + GIVE_UP);
        assert!(machine.is_over());
    }
}
