//! REFER (RFC 3515, 4488, 7647), both ways: asking somebody to send a request to a third party, and being asked. Whether that is done, and how,
//! is the application's affair (rule R47).

mod asked;
mod sipfrag;
mod taken;

use std::{collections::BTreeMap, time::Instant};

use self::{asked::Asked, sipfrag::Progress, taken::Taken};
use super::{
    call::table::{OURSELVES, OVERLOAD_RETRY},
    dialog::{Dialog, DialogNo, asks_for_sips},
    endpoint::{CommandError, Core, Event, Presentation, ReferArgs, Rejection, Target},
    msg::{HeaderError, Method, Name, Request},
    transaction::{Kind as Held, Reply, Report, Seen, ServerId, timer::Deadlines},
};
use crate::model::{CallId, ReferId};

/// REFERs open in one dialog, either way: nobody needs more than a few.
const MAX_PER_DIALOG: usize = 8;

/// One REFER.
#[derive(Debug)]
enum Refer {
    /// Theirs.
    Taken(Box<Taken>),
    /// Ours.
    Asked(Box<Asked>),
}

impl Refer {
    fn dialog(&self) -> Option<DialogNo> {
        match self {
            Self::Taken(taken) => Some(taken.dialog),
            Self::Asked(asked) => asked.dialog,
        }
    }

    fn is_over(&self) -> bool {
        match self {
            Self::Taken(taken) => taken.is_over(),
            Self::Asked(asked) => asked.is_over(),
        }
    }

    fn next_timer(&self) -> Option<(Instant, &'static str)> {
        match self {
            Self::Taken(taken) => taken.timers.next(),
            Self::Asked(asked) => asked.timers.next(),
        }
    }
}

/// All REFERs that aren't through yet.
#[derive(Debug, Default)]
pub(crate) struct Refers {
    next: u64,
    all: BTreeMap<ReferId, Refer>,
    by_dialog: BTreeMap<DialogNo, Vec<ReferId>>,
    deadlines: Deadlines<ReferId>,
}

/// A request of the peer's that concerns a REFER.
#[derive(Debug)]
pub(crate) struct Incoming<'a> {
    pub(crate) server: ServerId,
    pub(crate) seen: &'a Seen,
    pub(crate) request: Request,
    /// Our tag in the responses.
    pub(crate) tag: &'a str,
    /// The dialog that it came in, and the call there.
    pub(crate) dialog: Option<DialogNo>,
    pub(crate) call: Option<CallId>,
}

/// What a request has to do with REFERs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It is one.
    Refer,
    /// A SUBSCRIBE to what a REFER of theirs implies.
    Subscribe,
    /// A NOTIFY: all that come belong to REFERs of ours.
    Notify,
}

impl Kind {
    /// Looks at a request inside a dialog.
    pub(crate) fn of(request: &Request) -> Option<Self> {
        match request.method {
            Method::Refer => Some(Self::Refer),
            Method::Notify => Some(Self::Notify),
            Method::Subscribe => {
                let event = request.headers.event().ok().flatten()?;
                event.token.eq_ignore_ascii_case(EVENT).then_some(Self::Subscribe)
            }
            Method::Invite
            | Method::Ack
            | Method::Bye
            | Method::Cancel
            | Method::Options
            | Method::Register
            | Method::Update
            | Method::Prack
            | Method::Info
            | Method::Message
            | Method::Publish
            | Method::Other(_) => None,
        }
    }
}

impl Refers {
    /// Handles a request of the peer's that concerns a REFER.
    pub(crate) fn handle_request(&mut self, core: &mut Core, now: Instant, kind: Kind, incoming: Incoming<'_>) {
        match kind {
            Kind::Refer => self.handle_refer(core, now, incoming),
            Kind::Subscribe => self.handle_subscribe(core, now, &incoming),
            Kind::Notify => self.handle_notify(core, now, &incoming),
        }
    }

    fn handle_refer(&mut self, core: &mut Core, now: Instant, incoming: Incoming<'_>) {
        let server = incoming.server;
        if let Err(reply) = self.try_refer(core, now, incoming) {
            core.refuse(now, server, *reply);
        }
    }

    fn try_refer(&mut self, core: &mut Core, now: Instant, incoming: Incoming<'_>) -> Result<(), Box<Reply>> {
        let Incoming {
            server,
            seen,
            request,
            tag,
            dialog,
            call,
        } = incoming;
        let to = request.headers.refer_to().map_err(bad_request)?;
        let dialog = match dialog {
            Some(no) if self.by_dialog.get(&no).is_some_and(|there| there.len() >= MAX_PER_DIALOG) => {
                return Err(Box::new(Reply::new(403).because("Too Many REFERs")));
            }
            Some(no) => {
                core.dialogs.keep(no);
                no
            }
            None => {
                let user = request.uri.as_sip().and_then(|uri| uri.user.clone());
                let presentation = Presentation { user, focus: false };
                let contact = core
                    .clients
                    .ways
                    .contact(&Target::Flow(seen.flow), &presentation, asks_for_sips(&request));
                let contact = contact.map_err(|why| Box::new(Reply::new(500).because(why.0)))?;
                let first_seq = core.dice.cseq();
                core.dialogs
                    .add(Dialog::as_uas(seen, &request, tag, first_seq, contact).map_err(bad_request)?)
            }
        };
        let source = seen.flow.remote.ip();
        if !core.wire.sources.take(Held::Subscription, source) {
            core.wire.counters.overload += 1;
            core.dialogs.release(dialog);
            return Err(Box::new(Reply::new(503).with(Name::RetryAfter, OVERLOAD_RETRY)));
        }
        let id = self.next_id();
        let begun = taken::Request {
            server,
            source,
            way: Target::Flow(seen.flow),
            dialog,
            number: seen.cseq,
            untold: request.headers.refuses_refer_sub(),
        };
        self.all.insert(id, Refer::Taken(Box::new(Taken::new(id, now, begun))));
        self.by_dialog.entry(dialog).or_default().push(id);
        core.tell(Event::Refer {
            refer: id,
            call,
            flow: seen.flow,
            request: Box::new(request),
            to: Box::new(to),
        });
        self.settle(core, id);
        Ok(())
    }

    /// A SUBSCRIBE to the event `refer` can't make a subscription, only refresh or end one (RFC 3515 section 2.4.4).
    fn handle_subscribe(&mut self, core: &mut Core, now: Instant, incoming: &Incoming<'_>) {
        let Incoming { server, request, .. } = incoming;
        let found = self.find(incoming, |refer| match refer {
            Refer::Taken(taken) => Some(taken.number),
            Refer::Asked(_) => None,
        });
        let seconds = match request.headers.expires() {
            Ok(seconds) => seconds.unwrap_or(u32::MAX),
            Err(why) => return core.refuse(now, *server, *bad_request(why)),
        };
        let Some(id) = found else {
            return core.refuse(now, *server, Reply::new(403));
        };
        if let Some(Refer::Taken(taken)) = self.all.get_mut(&id) {
            taken.refresh(core, now, *server, seconds);
        }
        self.settle(core, id);
    }

    fn handle_notify(&mut self, core: &mut Core, now: Instant, incoming: &Incoming<'_>) {
        let Incoming { server, seen, request, .. } = incoming;
        let found = match incoming.dialog {
            Some(_) => self.find(incoming, |refer| match refer {
                Refer::Taken(_) => None,
                Refer::Asked(asked) => Some(asked.number),
            }),
            None => self.adopt(core, seen, request),
        };
        let Some(id) = found else {
            core.wire.counters.no_dialog += 1;
            core.respond(now, *server, Reply::new(481));
            return;
        };
        core.respond(now, *server, Reply::new(200));
        if let Some(Refer::Asked(asked)) = self.all.get_mut(&id) {
            asked.handle_notify(core, now, request);
        }
        self.settle(core, id);
    }

    /// The REFER whose first NOTIFY has come before its response.
    fn adopt(&mut self, core: &mut Core, seen: &Seen, request: &Request) -> Option<ReferId> {
        let (id, asked) = self.all.iter_mut().find_map(|(id, refer)| match refer {
            Refer::Asked(asked) if asked.waits_for(seen) => Some((*id, asked)),
            Refer::Asked(_) | Refer::Taken(_) => None,
        })?;
        let event = request.headers.event().ok().flatten()?;
        if !event.token.eq_ignore_ascii_case(EVENT) {
            return None;
        }
        asked.adopt(core, seen, request).ok()?;
        Some(id)
    }

    /// The REFER whose subscription a request inside a dialog is about: the one with that `id`, or, without one, the first.
    fn find(&self, incoming: &Incoming<'_>, number: impl Fn(&Refer) -> Option<u32>) -> Option<ReferId> {
        let event = incoming.request.headers.event().ok().flatten()?;
        if !event.token.eq_ignore_ascii_case(EVENT) {
            return None;
        }
        let wanted = event.params.text("id");
        let there = self.by_dialog.get(&incoming.dialog?)?;
        there.iter().copied().find(|id| {
            let number = self.all.get(id).and_then(&number);
            number.is_some_and(|number| wanted.as_ref().is_none_or(|wanted| *wanted == number.to_string()))
        })
    }

    /// Asks somebody. `inside`: the dialog of the call that the arguments name.
    pub(crate) fn refer(
        &mut self,
        core: &mut Core,
        now: Instant,
        args: ReferArgs,
        inside: Option<DialogNo>,
    ) -> Result<ReferId, CommandError> {
        if let Some(no) = inside
            && self.by_dialog.get(&no).is_some_and(|there| there.len() >= MAX_PER_DIALOG)
        {
            return Err(CommandError::TooMany);
        }
        if !core.wire.sources.take(Held::Subscription, OURSELVES) {
            return Err(CommandError::TooMany);
        }
        let id = self.next_id();
        let asked =
            Asked::start(core, now, id, args, inside).inspect_err(|_| core.wire.sources.give_back(Held::Subscription, OURSELVES))?;
        if let Some(no) = inside {
            core.dialogs.keep(no);
        }
        self.all.insert(id, Refer::Asked(Box::new(asked)));
        self.settle(core, id);
        Ok(id)
    }

    pub(crate) fn accept(&mut self, core: &mut Core, now: Instant, id: ReferId, presentation: &Presentation) -> Result<(), CommandError> {
        self.command(core, id, |taken, core| taken.accept(core, now, presentation))
    }

    pub(crate) fn reject(&mut self, core: &mut Core, now: Instant, id: ReferId, rejection: Rejection) -> Result<(), CommandError> {
        self.command(core, id, |taken, core| taken.reject(core, now, rejection))
    }

    pub(crate) fn progress(
        &mut self,
        core: &mut Core,
        now: Instant,
        id: ReferId,
        status: u16,
        reason: &str,
        last: bool,
    ) -> Result<(), CommandError> {
        self.command(core, id, |taken, core| {
            taken.progress(core, now, Progress::new(status, reason), last)
        })
    }

    fn command(
        &mut self,
        core: &mut Core,
        id: ReferId,
        act: impl FnOnce(&mut Taken, &mut Core) -> Result<(), CommandError>,
    ) -> Result<(), CommandError> {
        let done = match self.all.get_mut(&id) {
            Some(Refer::Taken(taken)) => act(taken, core),
            Some(Refer::Asked(_)) | None => Err(CommandError::Gone),
        };
        self.settle(core, id);
        done
    }

    pub(crate) fn handle_report(&mut self, core: &mut Core, now: Instant, id: ReferId, report: Report) {
        match self.all.get_mut(&id) {
            Some(Refer::Taken(taken)) => taken.handle_report(core, now, &report),
            Some(Refer::Asked(asked)) => asked.handle_report(core, now, report),
            None => {}
        }
        self.settle(core, id);
    }

    pub(crate) fn handle_timeout(&mut self, core: &mut Core, now: Instant) {
        while let Some(id) = self.deadlines.due(now) {
            match self.all.get_mut(&id) {
                Some(Refer::Taken(taken)) => taken.handle_timeout(core, now),
                Some(Refer::Asked(asked)) => asked.handle_timeout(core, now),
                None => {}
            }
            self.settle(core, id);
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<(Instant, &'static str)> {
        let (at, id) = self.deadlines.first()?;
        let reason = self.all.get(&id).and_then(Refer::next_timer).map_or("REFER", |(_, reason)| reason);
        Some((at, reason))
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    fn next_id(&mut self) -> ReferId {
        self.next += 1;
        ReferId(self.next)
    }

    /// Notes the next deadline and the dialog, or forgets what is over.
    fn settle(&mut self, core: &mut Core, id: ReferId) {
        let Some(refer) = self.all.get(&id) else { return };
        self.deadlines.set(id, refer.next_timer().map(|(at, _)| at));
        if let Some(no) = refer.dialog() {
            let there = self.by_dialog.entry(no).or_default();
            if !there.contains(&id) {
                there.push(id);
            }
        }
        if !refer.is_over() {
            return;
        }
        let Some(gone) = self.all.remove(&id) else { return };
        if let Some(no) = gone.dialog() {
            if let Some(there) = self.by_dialog.get_mut(&no) {
                there.retain(|other| *other != id);
                if there.is_empty() {
                    self.by_dialog.remove(&no);
                }
            }
            core.dialogs.release(no);
        }
        let source = match gone {
            Refer::Taken(taken) => taken.source,
            Refer::Asked(_) => OURSELVES,
        };
        core.wire.sources.give_back(Held::Subscription, source);
    }
}

/// The event package of the subscriptions that REFERs imply.
pub(crate) const EVENT: &str = "refer";

fn bad_request(why: HeaderError) -> Box<Reply> {
    Box::new(Reply::new(400).because(&format!("Bad Request: {why}")))
}
