//! Subscriptions to our state: the notifier of RFC 6665, for any event package. What is notified is the application's.

mod notifier;

use std::{collections::BTreeMap, time::Instant};

pub(crate) use self::notifier::is_final;
use self::notifier::{State, Subscription, Timer};
use super::{
    call::table::OVERLOAD_RETRY,
    dialog::{Dialog, DialogNo, asks_for_sips},
    endpoint::{Body, CommandError, Core, Event, Presentation, Rejection, Target, TerminationReason},
    msg::{HeaderError, Name, Request, Tagged},
    transaction::{
        Kind, Reply, Report, Seen, ServerId,
        timer::{Deadlines, GIVE_UP, Timers},
    },
};
use crate::model::{CallId, SubscriptionId};

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
                let contact = core.clients.ways.contact(
                    &Target::Flow(seen.flow),
                    &Presentation { user, focus: false },
                    asks_for_sips(&request),
                );
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
            way: Target::Flow(seen.flow),
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

fn bad_request(why: HeaderError) -> Box<Reply> {
    Box::new(Reply::new(400).because(&format!("Bad Request: {why}")))
}
