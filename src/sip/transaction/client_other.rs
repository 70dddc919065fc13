//! The client transaction of every method but INVITE and ACK (RFC 3261 section 17.1.2).

use std::time::{Duration, Instant};

use super::{
    client_invite::Due,
    timer::{Backoff, GIVE_UP, Named, T2, T4, Timers},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Trying,
    Proceeding,
    Completed,
    Terminated,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Timer {
    /// Send the request again.
    E,
    /// Nobody answers.
    F,
    /// No more retransmissions of the response will come.
    K,
}

impl Named for Timer {
    fn name(self) -> &'static str {
        match self {
            Self::E => "client: timer E",
            Self::F => "client: timer F",
            Self::K => "client: timer K",
        }
    }
}

/// One client transaction that isn't an INVITE's.
#[derive(Debug)]
pub(super) struct ClientOther {
    state: State,
    reliable: bool,
    backoff: Backoff,
    /// When it began.
    began: Instant,
    timers: Timers<Timer>,
}

impl ClientOther {
    /// `limit`: how long to wait for a first word.
    pub(super) fn new(now: Instant, reliable: bool, limit: Duration) -> Self {
        let mut machine = Self {
            state: State::Trying,
            reliable,
            backoff: Backoff::new(T2),
            began: now,
            timers: Timers::default(),
        };
        machine.timers.set(Timer::F, now + limit);
        if !reliable {
            machine.timers.set(Timer::E, now + machine.backoff.step());
        }
        machine
    }

    /// Takes a response; whether the user is told.
    pub(super) fn handle_response(&mut self, now: Instant, status: u16) -> bool {
        match (self.state, status) {
            (State::Trying | State::Proceeding, ..200) => {
                self.state = State::Proceeding;
                self.timers.set(Timer::F, self.began + GIVE_UP);
                self.backoff.saturate();
                true
            }
            (State::Trying | State::Proceeding, 200..) => {
                self.timers.stop_all();
                if self.reliable {
                    self.state = State::Terminated;
                } else {
                    self.state = State::Completed;
                    self.timers.set(Timer::K, now + T4);
                }
                true
            }
            (State::Completed | State::Terminated, _) => false,
        }
    }

    /// Whether a final response may still come.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, State::Trying | State::Proceeding)
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) -> Option<Due> {
        Some(match self.timers.pop_due(now)? {
            Timer::E => {
                self.timers.set(Timer::E, now + self.backoff.step());
                Due::Resend
            }
            Timer::F => {
                let heard = self.was_heard();
                self.stop();
                Due::TimedOut { heard }
            }
            Timer::K => {
                self.stop();
                Due::Nothing
            }
        })
    }

    /// Ends it, whatever it waits for.
    pub(super) fn stop(&mut self) {
        self.timers.stop_all();
        self.state = State::Terminated;
    }

    /// Whether anybody has answered, be it provisionally.
    pub(super) fn was_heard(&self) -> bool {
        self.state != State::Trying
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

    fn run(machine: &mut ClientOther, start: Instant) -> Vec<(u128, Due)> {
        let mut seen = Vec::new();
        while let Some((at, _)) = machine.poll_timeout() {
            while let Some(due) = machine.handle_timeout(at) {
                seen.push(((at - start).as_millis(), due));
            }
        }
        seen
    }

    #[test]
    fn a_request_is_resent_at_t1_doubling_to_t2() {
        let start = Instant::now();
        let mut machine = ClientOther::new(start, false, GIVE_UP);
        let seen = run(&mut machine, start);
        let resent: Vec<_> = seen.iter().filter(|(_, due)| *due == Due::Resend).map(|(at, _)| *at).collect();
        assert_eq!(resent, [500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500]);
        assert_eq!(seen.last(), Some(&(32_000, Due::TimedOut { heard: false })));
    }

    #[test]
    fn a_provisional_response_slows_it_down() {
        let start = Instant::now();
        let mut machine = ClientOther::new(start, false, GIVE_UP);
        assert!(machine.handle_response(start, 100));
        let seen = run(&mut machine, start);
        assert_eq!(seen[..2], [(500, Due::Resend), (4500, Due::Resend)]);
    }

    #[test]
    fn a_final_response_is_told_once() {
        let start = Instant::now();
        let mut machine = ClientOther::new(start, false, GIVE_UP);
        assert!(machine.handle_response(start, 481));
        assert!(!machine.handle_response(start, 481));
        assert_eq!(run(&mut machine, start), [(5_000, Due::Nothing)]);
        assert!(machine.is_over());

        let mut machine = ClientOther::new(start, true, GIVE_UP);
        machine.handle_response(start, 200);
        assert!(machine.is_over());
    }
}
