//! The session's clock inside a call (RFC 4028): who refreshes, by what, and what comes of it (rule R45).

use std::time::{Duration, Instant};

use super::{
    Call, CallTimer, Exchange, State, is_lost,
    session_timer::{ABSOLUTE_MIN, Agreed, SessionTimer},
};
use crate::sip::{
    endpoint::{CommandError, Core, EndCause},
    msg::{Method, Name, Refresher, Request, Response, SessionExpires},
    transaction::{Owner, Reply, Report},
};

/// How long a refresh waits for an exchange that is under way.
const BUSY: Duration = Duration::from_secs(5);

impl Call {
    /// Puts what we agree to, if anything, into a 2xx, and starts the clock.
    pub(super) fn agree(&mut self, now: Instant, reply: &mut Reply, agreed: Option<Agreed>) {
        let Some(agreed) = agreed else { return };
        reply.headers.push(Name::SessionExpires, agreed.header());
        if agreed.require {
            reply.headers.push(Name::Require, "timer");
        }
        self.start_session(
            now,
            SessionTimer {
                interval: agreed.interval,
                we_refresh: agreed.refresher == Refresher::Uas,
            },
        );
    }

    /// Takes what they agreed to in a 2xx to a request of ours, and starts the clock.
    pub(super) fn take_session(&mut self, now: Instant, response: &Response) {
        let timer = match (response.headers.session_expires().ok().flatten(), self.session) {
            (Some(theirs), _) => SessionTimer {
                interval: theirs.seconds.max(ABSOLUTE_MIN),
                we_refresh: theirs.refresher != Some(Refresher::Uas),
            },
            // They know nothing of it: we go on alone.
            (None, Some(ours)) => SessionTimer { we_refresh: true, ..ours },
            (None, None) => return,
        };
        self.start_session(now, timer);
    }

    fn start_session(&mut self, now: Instant, timer: SessionTimer) {
        self.session = Some(timer);
        self.timers.stop(CallTimer::Refresh);
        if let Some(after) = timer.refresh_after() {
            self.timers.set(CallTimer::Refresh, now + after);
        }
        self.timers.set(CallTimer::Expire, now + timer.expire_after());
    }

    /// Asks for the same interval and refresher in a request of ours.
    pub(super) fn add_session(&self, min_se: u32, request: &mut Request) {
        if let Some(session) = self.session {
            let refresher = if session.we_refresh { Refresher::Uac } else { Refresher::Uas };
            let value = SessionExpires {
                seconds: session.interval,
                refresher: Some(refresher),
            };
            request.headers.push(Name::SessionExpires, value);
            request.headers.push(Name::MinSe, min_se.max(ABSOLUTE_MIN).to_string());
        }
    }

    pub(super) fn refresh_session(&mut self, core: &mut Core, now: Instant) {
        if !matches!(self.state, State::Up) || self.is_leaving() {
            return;
        }
        let busy = !matches!(self.exchange, Exchange::Idle) || self.unacked.is_some() || self.refresh.is_some();
        let sent = if busy {
            Err(CommandError::NotNow)
        } else {
            self.send_refresh(core, now)
        };
        if sent.is_err() {
            self.timers.set(CallTimer::Refresh, now + BUSY);
        }
    }

    fn send_refresh(&mut self, core: &mut Core, now: Instant) -> Result<(), CommandError> {
        if !self.peer_updates
            && let Some(body) = self.local_sdp.clone()
        {
            return self.offer(core, now, body, true);
        }
        let dialog = self.dialog.ok_or(CommandError::NotNow)?;
        let min_se = core.config.min_se;
        let mut capabilities = crate::sip::msg::Headers::new();
        core.add_capabilities(&mut capabilities);
        let client = core.send_in_dialog(now, Owner::Call(self.id), dialog, Method::Update, |request| {
            self.add_session(min_se, request);
            capabilities
                .iter()
                .for_each(|(name, value)| request.headers.push(name.clone(), value));
        })?;
        self.refresh = Some(client);
        Ok(())
    }

    pub(super) fn handle_refresh_report(&mut self, core: &mut Core, now: Instant, report: Report) {
        if matches!(&report.outcome, Ok((response, _)) if response.status < 200) {
            return;
        }
        self.refresh = None;
        if is_lost(&report) {
            return self.tear_down(core, now, EndCause::Lost);
        }
        match report.outcome {
            Ok((response, flow)) if response.status < 300 => self.learn_from_answer(core, now, &response, flow),
            Ok((response, _)) => self.retry_refresh(core, now, &response),
            Err(_) => self.timers.set(CallTimer::Refresh, now + BUSY),
        }
    }

    /// A refresh was refused: tries another way or later. The expiry goes on running.
    pub(super) fn retry_refresh(&mut self, core: &mut Core, now: Instant, response: &Response) {
        let after = match response.status {
            405 | 501 if self.peer_updates => {
                self.peer_updates = false;
                Duration::ZERO
            }
            422 => {
                let floor = response.headers.min_se().ok().flatten().unwrap_or_default();
                if let Some(session) = &mut self.session {
                    session.interval = session.interval.max(floor);
                }
                BUSY
            }
            491 => core.dice.glare(self.owns_call_id(core)),
            _ => BUSY * 2,
        };
        self.timers.set(CallTimer::Refresh, now + after);
    }

    pub(super) fn owns_call_id(&self, core: &Core) -> bool {
        self.dialog
            .and_then(|no| core.dialogs.get(no))
            .is_some_and(|dialog| dialog.owns_call_id)
    }
}
