//! The INVITE client transaction (RFC 3261 section 17.1.1 with RFC 6026 section 8.4).

use std::time::{Duration, Instant};

use super::timer::{Backoff, GIVE_UP, Named, Timers};

/// How long a provisional response is worth: those who ring send one every minute (RFC 3261 sections 13.3.1.1, 16.6 step 11).
const RINGING: Duration = Duration::from_secs(190);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Calling,
    Proceeding,
    Accepted,
    Completed,
    Terminated,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Timer {
    /// Send the INVITE again.
    A,
    /// Nobody answers.
    B,
    /// It rings for ever.
    C,
    /// No more retransmissions of a refusal will come.
    D,
    /// No more 2xx will come, of this or another branch.
    M,
}

impl Named for Timer {
    fn name(self) -> &'static str {
        match self {
            Self::A => "INVITE client: timer A",
            Self::B => "INVITE client: timer B",
            Self::C => "INVITE client: timer C",
            Self::D => "INVITE client: timer D",
            Self::M => "INVITE client: timer M",
        }
    }
}

/// What a response leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// The call is told.
    Up,
    /// The call is told, and we send the ACK that belongs to the transaction.
    UpAndAck,
    /// Seen before: only the ACK is sent again.
    AckAgain,
    /// Nothing.
    Absorbed,
}

/// What a fired timer asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// Send the request again.
    Resend,
    /// Tell its user that nobody answers.
    TimedOut {
        /// Somebody did, but provisionally.
        heard: bool,
    },
    /// Nothing; look whether it is over.
    Nothing,
}

/// One INVITE client transaction.
#[derive(Debug)]
pub(super) struct ClientInvite {
    state: State,
    reliable: bool,
    backoff: Backoff,
    timers: Timers<Timer>,
}

impl ClientInvite {
    /// `limit`: how long to wait for a first word.
    pub(super) fn new(now: Instant, reliable: bool, limit: Duration) -> Self {
        // Timer A has no ceiling of its own: timer B ends it.
        let mut machine = Self {
            state: State::Calling,
            reliable,
            backoff: Backoff::new(GIVE_UP),
            timers: Timers::default(),
        };
        machine.timers.set(Timer::B, now + limit);
        if !reliable {
            machine.timers.set(Timer::A, now + machine.backoff.step());
        }
        machine
    }

    /// One that says no more, but listens for as long as an answer may still come.
    pub(super) fn left_behind(now: Instant, reliable: bool) -> Self {
        let mut machine = Self::new(now, reliable, GIVE_UP);
        machine.timers.stop(Timer::A);
        machine
    }

    /// There is no other hop (any more): this one has all the time that there is.
    pub(super) fn wait_on(&mut self, now: Instant) {
        if self.state == State::Calling {
            self.timers.set(Timer::B, now + GIVE_UP);
        }
    }

    /// Whether anybody has answered, be it provisionally.
    pub(super) fn was_heard(&self) -> bool {
        self.state != State::Calling
    }

    pub(super) fn handle_response(&mut self, now: Instant, status: u16) -> Heard {
        match (self.state, status) {
            (State::Calling | State::Proceeding, ..200) => {
                self.state = State::Proceeding;
                self.timers.stop_all();
                self.timers.set(Timer::C, now + RINGING);
                Heard::Up
            }
            (State::Calling | State::Proceeding, 200..300) => {
                self.state = State::Accepted;
                self.timers.stop_all();
                self.timers.set(Timer::M, now + GIVE_UP);
                Heard::Up
            }
            (State::Calling | State::Proceeding, 300..) => {
                self.timers.stop_all();
                if self.reliable {
                    self.state = State::Terminated;
                } else {
                    self.state = State::Completed;
                    self.timers.set(Timer::D, now + GIVE_UP);
                }
                Heard::UpAndAck
            }
            (State::Accepted, 200..300) => Heard::Up,
            (State::Completed, 300..) => Heard::AckAgain,
            (State::Accepted | State::Completed | State::Terminated, _) => Heard::Absorbed,
        }
    }

    /// Whether a final response may still come.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, State::Calling | State::Proceeding)
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) -> Option<Due> {
        Some(match self.timers.pop_due(now)? {
            Timer::A => {
                self.timers.set(Timer::A, now + self.backoff.step());
                Due::Resend
            }
            timer @ (Timer::B | Timer::C) => {
                self.stop();
                Due::TimedOut { heard: timer == Timer::C }
            }
            Timer::D | Timer::M => {
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

    fn run(machine: &mut ClientInvite, start: Instant) -> Vec<(u128, Due)> {
        let mut seen = Vec::new();
        while let Some((at, _)) = machine.poll_timeout() {
            while let Some(due) = machine.handle_timeout(at) {
                seen.push(((at - start).as_millis(), due));
            }
        }
        seen
    }

    #[test]
    fn an_invite_is_resent_with_doubling_until_timer_b() {
        let start = Instant::now();
        let mut machine = ClientInvite::new(start, false, GIVE_UP);
        let seen = run(&mut machine, start);
        let resent: Vec<_> = seen.iter().filter(|(_, due)| *due == Due::Resend).map(|(at, _)| *at).collect();
        assert_eq!(resent, [500, 1500, 3500, 7500, 15500, 31500]);
        assert_eq!(seen.last(), Some(&(32_000, Due::TimedOut { heard: false })));

        let mut machine = ClientInvite::new(start, true, GIVE_UP);
        assert_eq!(
            run(&mut machine, start),
            [(32_000, Due::TimedOut { heard: false })],
            "no retransmission on a reliable transport"
        );
    }

    #[test]
    fn a_provisional_response_stops_the_clock() {
        let start = Instant::now();
        let mut machine = ClientInvite::new(start, false, GIVE_UP);
        assert_eq!(machine.handle_response(start, 180), Heard::Up);
        assert_eq!(machine.handle_timeout(start + GIVE_UP), None);
        assert!(machine.is_open());
        assert_eq!(
            run(&mut machine, start),
            [(190_000, Due::TimedOut { heard: true })],
            "but not for ever"
        );
    }

    #[test]
    fn a_refusal_is_acked_each_time_and_told_once() {
        let start = Instant::now();
        let mut machine = ClientInvite::new(start, false, GIVE_UP);
        assert_eq!(machine.handle_response(start, 486), Heard::UpAndAck);
        assert_eq!(machine.handle_response(start, 486), Heard::AckAgain);
        assert_eq!(machine.handle_response(start, 180), Heard::Absorbed);
        assert_eq!(machine.handle_response(start, 200), Heard::Absorbed);
        assert_eq!(run(&mut machine, start), [(32_000, Due::Nothing)]);
    }

    #[test]
    fn r41_every_2xx_of_a_forked_invite_is_told() {
        let start = Instant::now();
        let mut machine = ClientInvite::new(start, true, GIVE_UP);
        assert_eq!(machine.handle_response(start, 200), Heard::Up);
        assert_eq!(machine.handle_response(start, 200), Heard::Up);
        assert_eq!(machine.handle_response(start, 486), Heard::Absorbed);
        assert_eq!(run(&mut machine, start), [(32_000, Due::Nothing)]);
        assert!(machine.is_over());
    }
}
