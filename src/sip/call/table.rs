//! All calls: who they are, and which of them a message is for.

use std::{collections::BTreeMap, net::IpAddr, time::Instant};

use super::{Call, State, reliable::Reliable, session_timer, uac, uac::Calling, uas::Ringing};
use crate::{
    model::CallId,
    sip::{
        dialog::{Dialog, DialogNo, asks_for_sips},
        endpoint::{CommandError, Core, Event, InviteArgs, Presentation, Target, body_of},
        msg::{Method, Name, Request},
        transaction::{Kind, Owner, Reply, Report, Seen, ServerId, timer::Deadlines},
    },
};

/// All calls.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    next: u64,
    all: BTreeMap<CallId, Call>,
    by_dialog: BTreeMap<DialogNo, CallId>,
    /// INVITEs and re-INVITEs of theirs that a CANCEL may hit.
    by_invite: BTreeMap<ServerId, CallId>,
    deadlines: Deadlines<CallId>,
}

impl Calls {
    /// Handles an INVITE outside of any dialog. `tag` is our tag in the responses.
    pub(crate) fn handle_invite(&mut self, core: &mut Core, now: Instant, server: ServerId, seen: &Seen, request: Request, tag: &str) {
        let config = &core.config;
        let asked = session_timer::Asked::of(&request.headers);
        let Ok(agreed) = session_timer::answer(asked, config.session_expires, config.min_se) else {
            let reply = Reply::new(422).with(Name::MinSe, config.min_se.to_string());
            return core.refuse(now, server, reply);
        };
        let pointed = match self.pointed_at(core, &request) {
            Ok(pointed) => pointed,
            Err(reply) => return core.refuse(now, server, *reply),
        };
        let user = request.uri.as_sip().and_then(|uri| uri.user.clone());
        let presentation = Presentation { user, focus: false };
        let first_seq = core.dice.cseq();
        let contact = match core
            .clients
            .ways
            .contact(&Target::Flow(seen.flow), &presentation, asks_for_sips(&request))
        {
            Ok(contact) => contact,
            Err(why) => return core.refuse(now, server, Reply::new(500).because(why.0)),
        };
        let dialog = match Dialog::as_uas(seen, &request, tag, first_seq, contact) {
            Ok(dialog) => dialog,
            Err(why) => return core.refuse(now, server, Reply::new(400).because(&format!("Bad Request: {why}"))),
        };
        let source = seen.flow.remote.ip();
        if !core.wire.sources.take(Kind::Call, source) {
            core.wire.counters.overload += 1;
            core.respond(now, server, Reply::new(503).with(Name::RetryAfter, OVERLOAD_RETRY));
            return;
        }
        let offer = body_of(&request.headers, &request.body);
        let ringing = Ringing {
            invite: server,
            cseq: seen.cseq,
            offered: offer.is_some(),
            agreed: Some(agreed),
        };
        let id = self.next_id();
        let mut call = Call::new(id, source, Some(Target::Flow(seen.flow)), State::Ringing(ringing));
        call.learn(&request.headers);
        call.reliable = Some(Reliable::new(&request.headers, seen.cseq, core.dice.cseq()));
        call.start_ringing(now);
        let no = core.dialogs.add(dialog);
        call.dialog = Some(no);
        self.all.insert(id, call);
        core.tell(Event::Invite {
            call: id,
            flow: seen.flow,
            request: Box::new(request),
            offer,
            replaces: pointed.replaces,
            join: pointed.join,
        });
        self.settle(core, id);
    }

    /// Calls somebody.
    pub(crate) fn invite(&mut self, core: &mut Core, now: Instant, args: InviteArgs) -> Result<CallId, CommandError> {
        // Our own calls count as ours: peers can't use up what we may have.
        if !core.wire.sources.take(Kind::Call, OURSELVES) {
            return Err(CommandError::TooMany);
        }
        let id = self.next_id();
        match Calling::start(core, now, Owner::Call(id), args) {
            Ok(calling) => {
                let call = Call::new(id, OURSELVES, None, State::Calling(Box::new(calling)));
                self.all.insert(id, call);
                self.settle(core, id);
                Ok(id)
            }
            Err(why) => {
                core.wire.sources.give_back(Kind::Call, OURSELVES);
                Err(why)
            }
        }
    }

    /// The call that uses a dialog.
    pub(crate) fn of_dialog(&self, dialog: DialogNo) -> Option<CallId> {
        self.by_dialog.get(&dialog).copied()
    }

    /// Handles a request inside a dialog, other than ACK and CANCEL; `false` if the dialog has no call (any more).
    pub(crate) fn handle_request(&mut self, core: &mut Core, now: Instant, incoming: InDialog<'_>) -> bool {
        let Some(id) = self.of_dialog(incoming.dialog) else { return false };
        if let Some(call) = self.all.get_mut(&id) {
            call.handle_request(core, now, incoming);
        }
        self.settle(core, id);
        true
    }

    /// Handles an ACK for a 2xx; `false` if no call waits for it.
    pub(crate) fn handle_ack(&mut self, core: &mut Core, now: Instant, seen: &Seen, request: &Request) -> bool {
        let Some(id) = core.dialogs.find(seen).and_then(|no| self.of_dialog(no)) else {
            return false;
        };
        if let Some(call) = self.all.get_mut(&id) {
            call.handle_ack(core, now, seen, request);
        }
        self.settle(core, id);
        true
    }

    /// Handles the CANCEL of an INVITE that isn't answered yet.
    pub(crate) fn handle_cancel(&mut self, core: &mut Core, now: Instant, invite: ServerId, reason: Option<String>) {
        let Some(id) = self.by_invite.get(&invite).copied() else { return };
        if let Some(call) = self.all.get_mut(&id) {
            call.handle_cancel(core, now, invite, reason);
        }
        self.settle(core, id);
    }

    /// Handles what became of a request of ours.
    pub(crate) fn handle_report(&mut self, core: &mut Core, now: Instant, id: CallId, report: Report) {
        let left = match self.all.get_mut(&id) {
            Some(call) => call.handle_report(core, now, report),
            None => Some(report),
        };
        if let Some(Report {
            client,
            outcome: Ok((response, flow)),
            ..
        }) = left
            && (200..300).contains(&response.status)
            && response.headers.cseq().is_ok_and(|cseq| cseq.method == Method::Invite)
        {
            uac::dismiss(core, now, client, &response, flow);
        }
        self.settle(core, id);
    }

    /// Carries out a command on a call.
    pub(crate) fn command<T>(
        &mut self,
        core: &mut Core,
        id: CallId,
        act: impl FnOnce(&mut Call, &mut Core) -> Result<T, CommandError>,
    ) -> Result<T, CommandError> {
        let call = self.all.get_mut(&id).ok_or(CommandError::Gone)?;
        let done = act(call, core);
        self.settle(core, id);
        done
    }

    pub(crate) fn handle_timeout(&mut self, core: &mut Core, now: Instant) {
        while let Some(id) = self.deadlines.due(now) {
            if let Some(call) = self.all.get_mut(&id) {
                call.handle_timeout(core, now);
            }
            self.settle(core, id);
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<(Instant, &'static str)> {
        let (at, id) = self.deadlines.first()?;
        let reason = self
            .all
            .get(&id)
            .and_then(|call| call.timers.next())
            .map_or("call", |(_, reason)| reason);
        Some((at, reason))
    }

    pub(crate) fn get(&self, id: CallId) -> Option<&Call> {
        self.all.get(&id)
    }

    /// All calls, in order of their ids.
    pub(crate) fn ids(&self) -> impl Iterator<Item = CallId> {
        self.all.keys().copied()
    }

    fn next_id(&mut self) -> CallId {
        self.next += 1;
        CallId(self.next)
    }

    /// Notes a call's next deadline and its dialog, or forgets it when it is over.
    fn settle(&mut self, core: &mut Core, id: CallId) {
        let Some(call) = self.all.get_mut(&id) else { return };
        for no in call.dialog.into_iter().chain(call.branches.dialogs()) {
            self.by_dialog.entry(no).or_insert(id);
        }
        if call.is_over() {
            call.branches.clear();
        }
        for no in call.branches.take_left() {
            if call.dialog != Some(no) {
                self.by_dialog.remove(&no);
            }
            core.dialogs.release(no);
        }
        let open = call.open_invite();
        if let Some(old) = std::mem::replace(&mut call.indexed, open) {
            self.by_invite.remove(&old);
        }
        if let Some(new) = open {
            self.by_invite.insert(new, id);
        }
        self.deadlines.set(id, call.timers.next().map(|(at, _)| at));
        if !call.is_over() {
            return;
        }
        if let Some(call) = self.all.remove(&id) {
            if let Some(no) = call.dialog {
                self.by_dialog.remove(&no);
                core.dialogs.release(no);
            }
            core.wire.sources.give_back(Kind::Call, call.source);
        }
    }
}

/// A request inside a dialog.
#[derive(Debug)]
pub(crate) struct InDialog<'a> {
    pub(crate) server: ServerId,
    pub(crate) dialog: DialogNo,
    pub(crate) seen: &'a Seen,
    pub(crate) request: Request,
}

/// Stands for us where calls are counted by source.
pub(crate) const OURSELVES: IpAddr = IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);

/// Seconds after which somebody whom we had no room for may try again.
pub(crate) const OVERLOAD_RETRY: &str = "10";
