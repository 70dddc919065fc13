//! Subscriptions to our state: the notifier of RFC 6665, for any event package. What is notified is the application's.

use std::{collections::BTreeMap, net::IpAddr, time::Instant};

use super::{
    call::table::OVERLOAD_RETRY,
    dialog::{Dialog, DialogNo},
    endpoint::{Body, CommandError, Core, Event, NotifyOutcome, Presentation, Rejection, SubscriptionEnd, TerminationReason, Way},
    msg::{Method, Name, Request, Tagged},
    transaction::{
        ClientId, Failure, Kind, Owner, Reply, Report, Seen, ServerId,
        timer::{Deadlines, GIVE_UP, Named, Timers},
    },
};
use crate::model::{CallId, SubscriptionId};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Timer {
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
enum State {
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
struct Subscription {
    id: SubscriptionId,
    source: IpAddr,
    way: Way,
    dialog: DialogNo,
    /// `Event` as they wrote it, `id` included: so it stands in every NOTIFY (RFC 6665 section 8.2.1).
    event: Tagged,
    state: State,
    expires_at: Instant,
    seconds: u32,
    notify: Option<ClientId>,
    /// A body that `terminate` brought, kept until the NOTIFY under way is through.
    last_words: Option<Body>,
    timers: Timers<Timer>,
}

impl Subscription {
    fn is_for(&self, dialog: DialogNo, event: &Tagged) -> bool {
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

    fn accept(&mut self, core: &mut Core, now: Instant, presentation: Presentation) -> Result<(), CommandError> {
        let State::Waiting(server) = self.state else {
            return Err(CommandError::NotNow);
        };
        // Inside a call the Contact says already what it has to.
        if presentation != Presentation::default() {
            core.present(self.way, self.dialog, presentation)?;
        }
        self.grant(now, self.seconds);
        let reply = self.accepted(core);
        core.respond(now, server, reply);
        Ok(())
    }

    fn reject(&mut self, core: &mut Core, now: Instant, rejection: Rejection) -> Result<(), CommandError> {
        let State::Waiting(server) = self.state else {
            return Err(CommandError::NotNow);
        };
        core.respond(now, server, rejection.into());
        self.finish(core, SubscriptionEnd::Terminated);
        Ok(())
    }

    /// A SUBSCRIBE inside the subscription.
    fn refresh(&mut self, core: &mut Core, now: Instant, server: ServerId, seconds: u32) {
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

    fn notify(&mut self, core: &mut Core, now: Instant, body: Body) -> Result<(), CommandError> {
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

    fn terminate(&mut self, core: &mut Core, now: Instant, reason: TerminationReason, body: Option<Body>) -> Result<(), CommandError> {
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

    fn handle_report(&mut self, core: &mut Core, now: Instant, report: Report) {
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
            Err(Failure::TimedOut | Failure::Unreachable) => return self.finish(core, SubscriptionEnd::Lost),
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

    fn handle_timeout(&mut self, core: &mut Core, now: Instant) {
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
fn is_final(status: u16) -> bool {
    matches!(status, 404 | 405 | 408 | 410 | 416 | 480..=485 | 489 | 501 | 604)
}

/// Subscriptions in one dialog: one for each package and `id`. Nobody needs more than a few.
const MAX_PER_DIALOG: usize = 8;

/// All subscriptions.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions {
    next: u64,
    all: BTreeMap<SubscriptionId, Subscription>,
    by_dialog: BTreeMap<DialogNo, Vec<SubscriptionId>>,
    deadlines: Deadlines<SubscriptionId>,
}

/// A SUBSCRIBE.
#[derive(Debug)]
pub(crate) struct Subscribe<'a> {
    pub(crate) server: ServerId,
    pub(crate) seen: &'a Seen,
    pub(crate) request: Request,
    /// Our tag in the responses.
    pub(crate) tag: &'a str,
    /// The dialog that it came in, and the call there.
    pub(crate) dialog: Option<DialogNo>,
    pub(crate) call: Option<CallId>,
}

impl Subscriptions {
    /// Handles a SUBSCRIBE, of whatever kind.
    pub(crate) fn handle_subscribe(&mut self, core: &mut Core, now: Instant, subscribe: Subscribe<'_>) {
        let server = subscribe.server;
        match self.try_subscribe(core, now, subscribe) {
            Ok(()) => {}
            Err(reply) => core.refuse(now, server, *reply),
        }
    }

    fn try_subscribe(&mut self, core: &mut Core, now: Instant, subscribe: Subscribe<'_>) -> Result<(), Box<Reply>> {
        let Subscribe {
            server,
            seen,
            request,
            tag,
            dialog,
            call,
        } = subscribe;
        let config = &core.config;
        let event = request.headers.event().map_err(bad_request)?;
        let known = |event: &Tagged| config.packages.iter().any(|p| p.eq_ignore_ascii_case(&event.token));
        let Some(event) = event.filter(known) else {
            return Err(Box::new(Reply::new(489).with(Name::AllowEvents, config.packages.join(", "))));
        };
        let asked = request.headers.expires().map_err(bad_request)?;
        let seconds = asked.unwrap_or(config.max_subscription).min(config.max_subscription);
        if seconds != 0 && seconds < config.min_subscription {
            return Err(Box::new(
                Reply::new(423).with(Name::MinExpires, config.min_subscription.to_string()),
            ));
        }
        if let Some(no) = dialog
            && let Some(id) = self.find(no, &event)
        {
            if let Some(dialog) = core.dialogs.get_mut(no) {
                dialog.refresh_target(request.headers.contact(), seen.flow);
            }
            if let Some(subscription) = self.all.get_mut(&id) {
                subscription.refresh(core, now, server, seconds);
            }
            self.settle(core, id);
            return Ok(());
        }
        let no = match dialog {
            Some(no) if self.by_dialog.get(&no).is_some_and(|there| there.len() >= MAX_PER_DIALOG) => {
                return Err(Box::new(Reply::new(403).because("Too Many Subscriptions")));
            }
            Some(no) => {
                core.dialogs.keep(no);
                no
            }
            None => {
                let user = request.uri.as_sip().and_then(|uri| uri.user.clone());
                let contact = core.contact(seen.flow.into(), &Presentation { user, focus: false });
                let contact = contact.map_err(|why| Box::new(Reply::new(500).because(why.0)))?;
                let first_seq = core.dice.cseq();
                core.dialogs
                    .add(Dialog::as_uas(seen, &request, tag, first_seq, contact).map_err(bad_request)?)
            }
        };
        let source = seen.flow.remote.ip();
        if !core.wire.sources.take(Kind::Subscription, source) {
            core.wire.counters.overload += 1;
            core.dialogs.release(no);
            return Err(Box::new(Reply::new(503).with(Name::RetryAfter, OVERLOAD_RETRY)));
        }
        self.next += 1;
        let id = SubscriptionId(self.next);
        let mut timers = Timers::default();
        timers.set(Timer::Application, now + GIVE_UP);
        self.by_dialog.entry(no).or_default().push(id);
        let subscription = Subscription {
            id,
            source,
            way: seen.flow.into(),
            dialog: no,
            event,
            state: State::Waiting(server),
            expires_at: now,
            seconds,
            notify: None,
            last_words: None,
            timers,
        };
        self.all.insert(id, subscription);
        core.tell(Event::Subscribe {
            subscription: id,
            call,
            flow: seen.flow,
            request: Box::new(request),
            fetch: seconds == 0,
        });
        self.settle(core, id);
        Ok(())
    }

    fn find(&self, dialog: DialogNo, event: &Tagged) -> Option<SubscriptionId> {
        let there = self.by_dialog.get(&dialog)?;
        there
            .iter()
            .copied()
            .find(|id| self.all.get(id).is_some_and(|s| s.is_for(dialog, event)))
    }

    /// Takes a new subscription; a NOTIFY with the full state has to follow at once (RFC 6665 section 4.2.1.2).
    pub(crate) fn accept(
        &mut self,
        core: &mut Core,
        now: Instant,
        id: SubscriptionId,
        presentation: Presentation,
    ) -> Result<(), CommandError> {
        self.command(core, id, |subscription, core| subscription.accept(core, now, presentation))
    }

    /// Refuses a new subscription.
    pub(crate) fn reject(&mut self, core: &mut Core, now: Instant, id: SubscriptionId, rejection: Rejection) -> Result<(), CommandError> {
        self.command(core, id, |subscription, core| subscription.reject(core, now, rejection))
    }

    /// Sends a NOTIFY.
    pub(crate) fn notify(&mut self, core: &mut Core, now: Instant, id: SubscriptionId, body: Body) -> Result<(), CommandError> {
        self.command(core, id, |subscription, core| subscription.notify(core, now, body))
    }

    /// Ends a subscription with a last NOTIFY.
    pub(crate) fn terminate(
        &mut self,
        core: &mut Core,
        now: Instant,
        id: SubscriptionId,
        reason: TerminationReason,
        body: Option<Body>,
    ) -> Result<(), CommandError> {
        self.command(core, id, |subscription, core| subscription.terminate(core, now, reason, body))
    }

    fn command(
        &mut self,
        core: &mut Core,
        id: SubscriptionId,
        act: impl FnOnce(&mut Subscription, &mut Core) -> Result<(), CommandError>,
    ) -> Result<(), CommandError> {
        let subscription = self.all.get_mut(&id).ok_or(CommandError::Gone)?;
        let done = act(subscription, core);
        self.settle(core, id);
        done
    }

    pub(crate) fn handle_report(&mut self, core: &mut Core, now: Instant, id: SubscriptionId, report: Report) {
        if let Some(subscription) = self.all.get_mut(&id) {
            subscription.handle_report(core, now, report);
        }
        self.settle(core, id);
    }

    pub(crate) fn handle_timeout(&mut self, core: &mut Core, now: Instant) {
        while let Some(id) = self.deadlines.due(now) {
            if let Some(subscription) = self.all.get_mut(&id) {
                subscription.handle_timeout(core, now);
            }
            self.settle(core, id);
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<(Instant, &'static str)> {
        let (at, id) = self.deadlines.first()?;
        let reason = self
            .all
            .get(&id)
            .and_then(|s| s.timers.next())
            .map_or("subscription", |(_, reason)| reason);
        Some((at, reason))
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// Notes the next deadline, or forgets a subscription that is over.
    fn settle(&mut self, core: &mut Core, id: SubscriptionId) {
        let Some(subscription) = self.all.get(&id) else { return };
        self.deadlines.set(id, subscription.timers.next().map(|(at, _)| at));
        if subscription.state != State::Over {
            return;
        }
        if let Some(gone) = self.all.remove(&id) {
            if let Some(there) = self.by_dialog.get_mut(&gone.dialog) {
                there.retain(|other| *other != id);
                if there.is_empty() {
                    self.by_dialog.remove(&gone.dialog);
                }
            }
            core.dialogs.release(gone.dialog);
            core.wire.sources.give_back(Kind::Subscription, gone.source);
        }
    }
}

fn bad_request(why: super::msg::HeaderError) -> Box<Reply> {
    Box::new(Reply::new(400).because(&format!("Bad Request: {why}")))
}
