//! A REFER of theirs: from the request to the last NOTIFY of the subscription that it implies (RFC 3515 section 2.4).

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use super::sipfrag::Progress;
use crate::{
    model::ReferId,
    sip::{
        dialog::DialogNo,
        endpoint::{CommandError, Core, Presentation, Rejection, Target, TerminationReason},
        msg::{Method, Name, Tagged},
        subscription::is_final,
        transaction::{
            ClientId, Failure, Owner, Reply, Report, ServerId,
            timer::{Named, Timers},
        },
    },
};

/// How long we tell of what was asked for: a call may ring for three minutes, and has to be placed first. A SUBSCRIBE may ask for it anew.
pub(super) const LIFE: Duration = Duration::from_secs(300);

/// How long the application may take to answer: they listen for twice as long (RFC 3261 section 17.1.2.2, Timer F).
const ANSWER_LIMIT: Duration = Duration::from_secs(16);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Timer {
    /// The application hasn't answered the REFER.
    Application,
    /// The subscription was not refreshed.
    Expire,
}

impl Named for Timer {
    fn name(self) -> &'static str {
        match self {
            Self::Application => "REFER: unanswered",
            Self::Expire => "REFER: expiry of its subscription",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The REFER waits for the application.
    Waiting(ServerId),
    /// They are told how it goes.
    Active,
    /// The next NOTIFY, or the one under way, is the last.
    Ending(TerminationReason),
    /// Nothing more happens.
    Over,
}

/// One REFER of theirs.
#[derive(Debug)]
pub(super) struct Taken {
    id: ReferId,
    /// Whose share of the limits it takes.
    pub(super) source: IpAddr,
    way: Target,
    pub(super) dialog: DialogNo,
    /// The number in the REFER's CSeq, by which its subscription is known (RFC 3515 section 2.4.6).
    pub(super) number: u32,
    /// They said `Refer-Sub: false` (RFC 4488).
    untold: bool,
    state: State,
    progress: Progress,
    /// `progress` is news to them.
    owed: bool,
    notify: Option<ClientId>,
    expires_at: Instant,
    pub(super) timers: Timers<Timer>,
}

/// What a REFER of theirs begins with.
pub(super) struct Request {
    pub(super) server: ServerId,
    pub(super) source: IpAddr,
    pub(super) way: Target,
    pub(super) dialog: DialogNo,
    pub(super) number: u32,
    pub(super) untold: bool,
}

impl Taken {
    pub(super) fn new(id: ReferId, now: Instant, request: Request) -> Self {
        let mut timers = Timers::default();
        timers.set(Timer::Application, now + ANSWER_LIMIT);
        Self {
            id,
            source: request.source,
            way: request.way,
            dialog: request.dialog,
            number: request.number,
            untold: request.untold,
            state: State::Waiting(request.server),
            progress: Progress::new(100, ""),
            owed: true,
            notify: None,
            expires_at: now,
            timers,
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.state == State::Over
    }

    /// RFC 7647 section 5: 200, as 202 is deprecated.
    pub(super) fn accept(&mut self, core: &mut Core, now: Instant, presentation: &Presentation) -> Result<(), CommandError> {
        let State::Waiting(server) = self.state else {
            return Err(CommandError::NotNow);
        };
        // Inside a call the Contact says already what it has to.
        if *presentation != Presentation::default() {
            core.present(&self.way, self.dialog, presentation.clone())?;
        }
        let mut reply = self.described(core, Reply::new(200));
        if self.untold {
            reply.headers.push(Name::ReferSub, "false");
            core.respond(now, server, reply);
            self.finish();
            return Ok(());
        }
        core.respond(now, server, reply);
        self.timers.stop_all();
        self.state = State::Active;
        self.grant(now, LIFE);
        self.tell(core, now);
        Ok(())
    }

    pub(super) fn reject(&mut self, core: &mut Core, now: Instant, rejection: Rejection) -> Result<(), CommandError> {
        let State::Waiting(server) = self.state else {
            return Err(CommandError::NotNow);
        };
        core.respond(now, server, rejection.into());
        self.finish();
        Ok(())
    }

    /// Tells them how far it has come. What isn't told yet is told no more when something newer is known.
    pub(super) fn progress(&mut self, core: &mut Core, now: Instant, progress: Progress, last: bool) -> Result<(), CommandError> {
        match self.state {
            State::Active => {
                self.progress = progress;
                self.owed = true;
                if last {
                    self.end(core, now, TerminationReason::NoResource);
                } else {
                    self.tell(core, now);
                }
                Ok(())
            }
            State::Waiting(_) => Err(CommandError::NotNow),
            State::Ending(_) | State::Over => Err(CommandError::Gone),
        }
    }

    /// Their SUBSCRIBE inside the subscription: they want it for longer, or no more.
    pub(super) fn refresh(&mut self, core: &mut Core, now: Instant, server: ServerId, seconds: u32) {
        match self.state {
            State::Active => {
                let life = Duration::from_secs(u64::from(seconds)).min(LIFE);
                self.grant(now, life);
                let reply = self.described(core, Reply::new(200).with(Name::Expires, life.as_secs().to_string()));
                core.respond(now, server, reply);
                self.owed = true;
                if seconds == 0 {
                    self.end(core, now, TerminationReason::Timeout);
                } else {
                    self.tell(core, now);
                }
            }
            State::Waiting(_) => {
                let after = core.dice.retry_after().to_string();
                core.respond(now, server, Reply::new(500).with(Name::RetryAfter, after));
            }
            State::Ending(_) | State::Over => {
                core.respond(now, server, Reply::new(481));
            }
        }
    }

    pub(super) fn handle_report(&mut self, core: &mut Core, now: Instant, report: &Report) {
        if self.notify != Some(report.client) || matches!(&report.outcome, Ok((response, _)) if response.status < 200) {
            return;
        }
        self.notify = None;
        match &report.outcome {
            Ok((response, flow)) if response.status < 300 => {
                if let Some(dialog) = core.dialogs.get_mut(self.dialog) {
                    dialog.refresh_target(response.headers.contact(), *flow);
                }
            }
            Ok((response, _)) if is_final(response.status) => return self.finish(),
            Ok(_) => {}
            Err(Failure::TimedOut | Failure::Unreachable | Failure::Unresolved) => return self.finish(),
        }
        if self.owed {
            self.tell(core, now);
        } else if matches!(self.state, State::Ending(_)) {
            self.finish();
        }
    }

    pub(super) fn handle_timeout(&mut self, core: &mut Core, now: Instant) {
        match self.timers.pop_due(now) {
            Some(Timer::Application) => {
                core.wire.counters.unanswered += 1;
                if let State::Waiting(server) = self.state {
                    core.respond(now, server, Reply::new(500));
                }
                self.finish();
            }
            Some(Timer::Expire) => {
                self.owed = true;
                self.end(core, now, TerminationReason::Timeout);
            }
            None => {}
        }
    }

    fn grant(&mut self, now: Instant, life: Duration) {
        self.expires_at = now + life;
        self.timers.set(Timer::Expire, self.expires_at);
    }

    fn end(&mut self, core: &mut Core, now: Instant, reason: TerminationReason) {
        self.timers.stop_all();
        self.state = State::Ending(reason);
        self.tell(core, now);
    }

    /// Sends a NOTIFY now, or as soon as the one under way is through (RFC 6665 section 4.2.2).
    fn tell(&mut self, core: &mut Core, now: Instant) {
        if self.notify.is_some() {
            return;
        }
        let state = match self.state {
            State::Ending(reason) => {
                let mut state = Tagged::new("terminated");
                state.params.set("reason", Some(reason.as_str()));
                state
            }
            State::Active => {
                let left = self.expires_at.saturating_duration_since(now).as_secs();
                let mut state = Tagged::new("active");
                state.params.set("expires", Some(&left.to_string()));
                state
            }
            State::Waiting(_) | State::Over => return,
        };
        let mut event = Tagged::new("refer");
        event.params.set("id", Some(&self.number.to_string()));
        let body = self.progress.body();
        let sent = core.send_in_dialog(now, Owner::Refer(self.id), self.dialog, Method::Notify, |request| {
            request.headers.push(Name::Event, event);
            request.headers.push(Name::SubscriptionState, state);
            request.set_body(&body.content_type, body.bytes);
        });
        self.owed = false;
        match sent {
            Ok(client) => self.notify = Some(client),
            Err(_) => self.finish(),
        }
    }

    fn described(&self, core: &Core, mut reply: Reply) -> Reply {
        if let Some(dialog) = core.dialogs.get(self.dialog) {
            reply.headers.push(Name::Contact, dialog.contact.clone());
        }
        core.add_capabilities(&mut reply.headers);
        reply
    }

    fn finish(&mut self) {
        self.timers.stop_all();
        self.state = State::Over;
    }
}
