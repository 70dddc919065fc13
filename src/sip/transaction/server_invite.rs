//! The INVITE server transaction (RFC 3261 section 17.2.1 with RFC 6026 section 8.7).
//!
//! It doesn't retransmit a 2xx (the call does, until the ACK) and knows no message: it says when to send the last response again.

use std::time::{Duration, Instant};

use super::timer::{Backoff, GIVE_UP, Named, T2, T4, Timers};

/// How soon a 100 is sent when nobody has answered: within the 200 ms of RFC 3261 section 17.2.1 also by a server that is busy.
const TRYING_AFTER: Duration = Duration::from_millis(100);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Proceeding,
    Accepted,
    Completed,
    Confirmed,
    Terminated,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Timer {
    /// Nobody has answered: send a 100.
    Trying,
    /// Send the final response again.
    G,
    /// No ACK came.
    H,
    /// No more ACKs will come.
    I,
    /// No more retransmissions of an accepted INVITE will come.
    L,
}

impl Named for Timer {
    fn name(self) -> &'static str {
        match self {
            Self::Trying => "INVITE server: 100 Trying",
            Self::G => "INVITE server: timer G",
            Self::H => "INVITE server: timer H",
            Self::I => "INVITE server: timer I",
            Self::L => "INVITE server: timer L",
        }
    }
}

/// What a fired timer asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// Send 100 Trying.
    Trying,
    /// Send the last response again.
    Resend,
    /// Nothing; look whether it is over.
    Nothing,
}

/// One INVITE server transaction.
#[derive(Debug)]
pub(super) struct ServerInvite {
    state: State,
    reliable: bool,
    backoff: Backoff,
    timers: Timers<Timer>,
}

impl ServerInvite {
    pub(super) fn new(now: Instant, reliable: bool) -> Self {
        let mut timers = Timers::default();
        timers.set(Timer::Trying, now + TRYING_AFTER);
        Self {
            state: State::Proceeding,
            reliable,
            backoff: Backoff::new(T2),
            timers,
        }
    }

    /// The INVITE came again: whether the last response is to be sent again.
    pub(super) fn handle_repeat(&self) -> bool {
        matches!(self.state, State::Proceeding | State::Completed)
    }

    /// An ACK with the INVITE's own branch came; `true` if it is for the call and not for us (RFC 6026 section 8.7).
    pub(super) fn handle_ack(&mut self, now: Instant) -> bool {
        match self.state {
            State::Completed => {
                self.timers.stop_all();
                if self.reliable {
                    self.state = State::Terminated;
                } else {
                    self.state = State::Confirmed;
                    self.timers.set(Timer::I, now + T4);
                }
                false
            }
            State::Accepted => true,
            State::Proceeding | State::Confirmed | State::Terminated => false,
        }
    }

    /// Takes note of our response; `false` if it comes too late to be sent.
    pub(super) fn respond(&mut self, now: Instant, status: u16) -> bool {
        match self.state {
            State::Proceeding => {
                self.timers.stop(Timer::Trying);
                match status {
                    ..200 => {}
                    200..300 => {
                        self.state = State::Accepted;
                        self.timers.set(Timer::L, now + GIVE_UP);
                    }
                    300.. => {
                        self.state = State::Completed;
                        self.timers.set(Timer::H, now + GIVE_UP);
                        if !self.reliable {
                            self.timers.set(Timer::G, now + self.backoff.step());
                        }
                    }
                }
                true
            }
            State::Accepted | State::Completed | State::Confirmed | State::Terminated => false,
        }
    }

    /// Whether no final response was given yet.
    pub(super) fn is_open(&self) -> bool {
        self.state == State::Proceeding
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) -> Option<Due> {
        Some(match self.timers.pop_due(now)? {
            Timer::Trying => Due::Trying,
            Timer::G => {
                self.timers.set(Timer::G, now + self.backoff.step());
                Due::Resend
            }
            Timer::H | Timer::I | Timer::L => {
                self.timers.stop_all();
                self.state = State::Terminated;
                Due::Nothing
            }
        })
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

    /// Runs all timers until the machine is over; returns what they asked for, in ms from `start`.
    fn run(machine: &mut ServerInvite, start: Instant) -> Vec<(u128, Due)> {
        let mut seen = Vec::new();
        while let Some((at, _)) = machine.poll_timeout() {
            while let Some(due) = machine.handle_timeout(at) {
                seen.push(((at - start).as_millis(), due));
            }
        }
        seen
    }

    #[test]
    fn a_refusal_is_resent_with_doubling_until_timer_h() {
        let start = Instant::now();
        let mut machine = ServerInvite::new(start, false);
        assert!(machine.respond(start, 487));
        let seen = run(&mut machine, start);
        let resent: Vec<_> = seen.iter().filter(|(_, due)| *due == Due::Resend).map(|(at, _)| *at).collect();
        assert_eq!(resent, [500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500]);
        assert_eq!(seen.last(), Some(&(32_000, Due::Nothing)));
        assert!(machine.is_over());
    }

    #[test]
    fn an_ack_ends_the_retransmission() {
        let start = Instant::now();
        let mut machine = ServerInvite::new(start, false);
        machine.respond(start, 404);
        assert!(machine.handle_repeat());
        assert!(!machine.handle_ack(start));
        assert!(!machine.handle_repeat(), "a late INVITE is absorbed");
        assert_eq!(run(&mut machine, start), [(5_000, Due::Nothing)]);

        let mut machine = ServerInvite::new(start, true);
        machine.respond(start, 404);
        machine.handle_ack(start);
        assert!(machine.is_over(), "timer I is zero on a reliable transport");
    }

    #[test]
    fn an_accepted_invite_absorbs_repeats_and_hands_the_ack_up() {
        let start = Instant::now();
        let mut machine = ServerInvite::new(start, false);
        assert!(machine.respond(start, 180));
        assert!(machine.respond(start, 200));
        assert!(!machine.respond(start, 487), "only one final response");
        assert!(!machine.handle_repeat());
        assert!(machine.handle_ack(start));
        assert_eq!(run(&mut machine, start), [(32_000, Due::Nothing)]);
        assert!(machine.is_over());
    }

    #[test]
    fn trying_is_sent_after_100_ms_unless_answered() {
        let start = Instant::now();
        let mut machine = ServerInvite::new(start, true);
        assert_eq!(machine.handle_timeout(start + TRYING_AFTER), Some(Due::Trying));
        let mut machine = ServerInvite::new(start, true);
        machine.respond(start, 180);
        assert_eq!(machine.poll_timeout(), None);
    }
}
