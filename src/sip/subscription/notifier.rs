//! One subscription: from SUBSCRIBE to the last NOTIFY.

use std::{net::IpAddr, time::Instant};

use crate::{
    model::SubscriptionId,
    sip::{
        dialog::DialogNo,
        endpoint::{Body, CommandError, Core, Event, NotifyOutcome, Presentation, Rejection, SubscriptionEnd, Target, TerminationReason},
        msg::{Method, Name, Tagged},
        transaction::{
            ClientId, Failure, Owner, Reply, Report, ServerId,
            timer::{GIVE_UP, Named, Timers},
        },
    },
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Timer {
    /// It was not refreshed.
    Expire,
    /// The application hasn't answered the SUBSCRIBE, or not sent the last NOTIFY.
    Application,
}

impl Named for Timer {
    fn name(self) -> &'static str {
        match self {
            Self::Expire => "subscription: expiry",
            Self::Application => "subscription: unanswered",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// The SUBSCRIBE waits for the application.
    Waiting(ServerId),
    /// NOTIFYs may go.
    Active,
    /// They asked for the state once (more) and no further: the next NOTIFY is the last.
    Last,
    /// The last NOTIFY is due, as soon as the one under way is through.
    Ending(TerminationReason, SubscriptionEnd),
    /// The last NOTIFY is under way.
    Ended(SubscriptionEnd),
    /// Nothing more happens.
    Over,
}

#[derive(Debug)]
pub(super) struct Subscription {
    pub(super) id: SubscriptionId,
    pub(super) source: IpAddr,
    pub(super) way: Target,
    pub(super) dialog: DialogNo,
    /// `Event` as they wrote it, `id` included: so it stands in every NOTIFY (RFC 6665 section 8.2.1).
    pub(super) event: Tagged,
    pub(super) state: State,
    pub(super) expires_at: Instant,
    pub(super) seconds: u32,
    pub(super) notify: Option<ClientId>,
    /// A body that `terminate` brought, kept until the NOTIFY under way is through.
    pub(super) last_words: Option<Body>,
    pub(super) timers: Timers<Timer>,
}

impl Subscription {
    pub(super) fn is_for(&self, dialog: DialogNo, event: &Tagged) -> bool {
        let id = |event: &Tagged| event.params.text("id");
        self.dialog == dialog && self.event.token.eq_ignore_ascii_case(&event.token) && id(&self.event) == id(event)
    }

    /// Starts the time that they have asked for.
    fn grant(&mut self, now: Instant, seconds: u32) {
        self.seconds = seconds;
        self.expires_at = now + std::time::Duration::from_secs(u64::from(seconds));
        self.timers.stop_all();
        if seconds == 0 {
            self.state = State::Last;
            self.timers.set(Timer::Application, now + GIVE_UP);
        } else {
            self.state = State::Active;
            self.timers.set(Timer::Expire, self.expires_at);
        }
    }

    fn accepted(&self, core: &Core) -> Reply {
        let mut reply = Reply::new(200).with(Name::Expires, self.seconds.to_string());
        if let Some(dialog) = core.dialogs.get(self.dialog) {
            reply.headers.push(Name::Contact, dialog.contact.clone());
        }
        core.add_capabilities(&mut reply.headers);
        reply
    }

    pub(super) fn accept(&mut self, core: &mut Core, now: Instant, presentation: Presentation) -> Result<(), CommandError> {
        let State::Waiting(server) = self.state else {
            return Err(CommandError::NotNow);
        };
        // Inside a call the Contact says already what it has to.
        if presentation != Presentation::default() {
            core.present(&self.way, self.dialog, presentation)?;
        }
        self.grant(now, self.seconds);
        let reply = self.accepted(core);
        core.respond(now, server, reply);
        Ok(())
    }

    pub(super) fn reject(&mut self, core: &mut Core, now: Instant, rejection: Rejection) -> Result<(), CommandError> {
        let State::Waiting(server) = self.state else {
            return Err(CommandError::NotNow);
        };
        core.respond(now, server, rejection.into());
        self.finish(core, SubscriptionEnd::Terminated);
        Ok(())
    }

    /// A SUBSCRIBE inside the subscription.
    pub(super) fn refresh(&mut self, core: &mut Core, now: Instant, server: ServerId, seconds: u32) {
        match self.state {
            State::Active | State::Last => {
                self.grant(now, seconds);
                let reply = self.accepted(core);
                core.respond(now, server, reply);
                core.tell(Event::Refreshed {
                    subscription: self.id,
                    last: seconds == 0,
                });
            }
            // The first one isn't even answered: they are too early.
            State::Waiting(_) => {
                let after = core.dice.retry_after().to_string();
                core.respond(now, server, Reply::new(500).with(Name::RetryAfter, after));
            }
            State::Ending(..) | State::Ended(_) | State::Over => {
                core.respond(now, server, Reply::new(481));
            }
        }
    }

    pub(super) fn notify(&mut self, core: &mut Core, now: Instant, body: Body) -> Result<(), CommandError> {
        if self.notify.is_some() {
            return Err(CommandError::NotNow);
        }
        match self.state {
            State::Active => {
                let left = self.expires_at.saturating_duration_since(now).as_secs();
                let mut value = Tagged::new("active");
                value.params.set("expires", Some(&left.to_string()));
                self.send(core, now, value, Some(body));
                Ok(())
            }
            State::Last => {
                self.send_last(core, now, TerminationReason::Timeout, SubscriptionEnd::Unsubscribed, Some(body));
                Ok(())
            }
            State::Waiting(_) | State::Ending(..) | State::Ended(_) => Err(CommandError::NotNow),
            State::Over => Err(CommandError::Gone),
        }
    }

    pub(super) fn terminate(
        &mut self,
        core: &mut Core,
        now: Instant,
        reason: TerminationReason,
        body: Option<Body>,
    ) -> Result<(), CommandError> {
        match self.state {
            State::Active | State::Last => {
                self.last_words = body;
                self.wind_up(core, now, reason, SubscriptionEnd::Terminated);
                Ok(())
            }
            State::Waiting(_) => self.reject(core, now, Rejection::new(403)),
            State::Ending(..) | State::Ended(_) => Ok(()),
            State::Over => Err(CommandError::Gone),
        }
    }

    /// Sends the last NOTIFY now, or as soon as the one under way is through.
    fn wind_up(&mut self, core: &mut Core, now: Instant, reason: TerminationReason, end: SubscriptionEnd) {
        self.timers.stop_all();
        if self.notify.is_some() {
            self.state = State::Ending(reason, end);
        } else {
            let body = self.last_words.take();
            self.send_last(core, now, reason, end, body);
        }
    }

    fn send_last(&mut self, core: &mut Core, now: Instant, reason: TerminationReason, end: SubscriptionEnd, body: Option<Body>) {
        let mut value = Tagged::new("terminated");
        value.params.set("reason", Some(reason.as_str()));
        self.timers.stop_all();
        self.state = State::Ended(end);
        self.send(core, now, value, body);
    }

    fn send(&mut self, core: &mut Core, now: Instant, state: Tagged, body: Option<Body>) {
        let event = self.event.clone();
        let packages = core.config.packages.join(", ");
        let sent = core.send_in_dialog(now, Owner::Subscription(self.id), self.dialog, Method::Notify, |request| {
            request.headers.push(Name::Event, event);
            request.headers.push(Name::SubscriptionState, state);
            request.headers.push(Name::AllowEvents, packages);
            if let Some(body) = body {
                request.set_body(&body.content_type, body.bytes);
            }
        });
        match sent {
            Ok(client) => self.notify = Some(client),
            Err(_) => self.finish(core, SubscriptionEnd::Lost),
        }
    }

    pub(super) fn handle_report(&mut self, core: &mut Core, now: Instant, report: Report) {
        if self.notify != Some(report.client) || matches!(&report.outcome, Ok((response, _)) if response.status < 200) {
            return;
        }
        self.notify = None;
        let outcome = match report.outcome {
            Ok((response, flow)) if response.status < 300 => {
                if let Some(dialog) = core.dialogs.get_mut(self.dialog) {
                    dialog.refresh_target(response.headers.contact(), flow);
                }
                NotifyOutcome::Delivered
            }
            Ok((response, _)) if is_final(response.status) => return self.finish(core, SubscriptionEnd::Lost),
            Ok((response, _)) => NotifyOutcome::Refused(response.status),
            Err(Failure::TimedOut | Failure::Unreachable | Failure::Unresolved) => return self.finish(core, SubscriptionEnd::Lost),
        };
        match self.state {
            State::Ending(reason, end) => {
                let body = self.last_words.take();
                self.send_last(core, now, reason, end, body);
            }
            State::Ended(end) => self.finish(core, end),
            State::Waiting(_) | State::Active | State::Last => core.tell(Event::Notified {
                subscription: self.id,
                outcome,
            }),
            State::Over => {}
        }
    }

    pub(super) fn handle_timeout(&mut self, core: &mut Core, now: Instant) {
        match self.timers.pop_due(now) {
            Some(Timer::Expire) => self.wind_up(core, now, TerminationReason::Timeout, SubscriptionEnd::Expired),
            Some(Timer::Application) => {
                core.wire.counters.unanswered += 1;
                match self.state {
                    State::Waiting(server) => {
                        core.respond(now, server, Reply::new(500));
                        self.finish(core, SubscriptionEnd::Terminated);
                    }
                    State::Active | State::Last | State::Ending(..) | State::Ended(_) | State::Over => {
                        self.wind_up(core, now, TerminationReason::Timeout, SubscriptionEnd::Unsubscribed);
                    }
                }
            }
            None => {}
        }
    }

    fn finish(&mut self, core: &mut Core, why: SubscriptionEnd) {
        self.timers.stop_all();
        self.state = State::Over;
        core.tell(Event::SubscriptionEnded {
            subscription: self.id,
            why,
        });
    }
}

/// Whether a refusal of a NOTIFY ends the subscription (RFC 6665 section 4.2.2 with RFC 5057 section 5.1), rather than only this NOTIFY.
pub(crate) fn is_final(status: u16) -> bool {
    matches!(status, 404 | 405 | 408 | 410 | 416 | 480..=485 | 489 | 501 | 604)
}
