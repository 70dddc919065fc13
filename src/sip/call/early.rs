//! Calling: the early dialogs of our INVITE, and what is heard before the answer (RFC 3261 section 12.1, RFC 3262 section 4, RFC 6228).

use std::time::Instant;

use super::{Call, State};
use crate::sip::{
    dialog::{Dialog, DialogNo},
    endpoint::{Body, Core, EarlyMedia, Event, Flow, body_of},
    msg::{CSeq, Method, Name, RAck, Request, Response},
    transaction::{Owner, Reply, ServerId},
};

/// Branches of one INVITE whose early dialogs we keep: more are an attack.
const MAX_BRANCHES: usize = 8;
/// Reliable provisional responses of one branch that we acknowledge: real ones have a handful.
pub(super) const MAX_PRACKS: u32 = 64;

/// What one branch has said before its answer.
#[derive(Debug)]
struct Branch {
    tag: String,
    dialog: DialogNo,
    /// `RSeq` of the last one that we have acknowledged.
    rseq: Option<u32>,
    pracks: u32,
    /// Its answer to our offer, if that came reliably: then the 2xx brings none.
    answer: Option<Body>,
}

/// The early dialogs of our INVITE. While we call, the call's own dialog is that of the branch that is heard.
#[derive(Debug, Default)]
pub(super) struct Branches {
    all: Vec<Branch>,
    /// Dialogs that the call uses no more, to be released.
    left: Vec<DialogNo>,
}

impl Branches {
    /// The early dialogs that there are.
    pub(super) fn dialogs(&self) -> impl Iterator<Item = DialogNo> {
        self.all.iter().map(|branch| branch.dialog)
    }

    /// Dialogs that are to be released.
    pub(super) fn take_left(&mut self) -> Vec<DialogNo> {
        std::mem::take(&mut self.left)
    }

    /// A dialog is used no more.
    pub(super) fn leave(&mut self, dialog: Option<DialogNo>) {
        self.left.extend(dialog);
    }

    /// Gives up all branches.
    pub(super) fn clear(&mut self) {
        self.left.extend(self.all.drain(..).map(|branch| branch.dialog));
    }

    /// Whether our offer is answered for good in this dialog, so that another one may be made there.
    pub(super) fn is_agreed(&self, dialog: Option<DialogNo>) -> bool {
        self.all
            .iter()
            .any(|branch| Some(branch.dialog) == dialog && branch.answer.is_some())
    }

    /// Takes the branch out that has answered: its dialog and what it has said of the session already.
    fn take(&mut self, tag: Option<&str>) -> Option<(DialogNo, Option<Body>)> {
        let at = self.all.iter().position(|branch| Some(&*branch.tag) == tag)?;
        let branch = self.all.swap_remove(at);
        Some((branch.dialog, branch.answer))
    }
}

impl Call {
    /// Handles a provisional response but 100 to our INVITE.
    pub(super) fn handle_provisional(&mut self, core: &mut Core, now: Instant, response: Box<Response>, flow: Flow) {
        let tag = response.headers.to().ok().and_then(|to| to.tag().map(str::to_owned));
        let rseq = response.headers.rseq().ok().flatten();
        let required = response.headers.require().unwrap_or_default();
        let rseq = rseq.filter(|_| required.iter().any(|tag| tag.eq_ignore_ascii_case("100rel")));
        let body = body_of(&response.headers, &response.body);
        let branch = match &tag {
            Some(tag) if rseq.is_some() || body.is_some() => self.branch(core, tag, &response, flow),
            Some(_) | None => None,
        };
        if let Some(rseq) = rseq
            && !branch.is_some_and(|at| self.acknowledge_provisional(core, now, at, rseq, &response))
        {
            return;
        }
        if response.status == 199 {
            return self.drop_branch(tag.as_deref());
        }
        let mut early = None;
        if let (Some(at), Some(answer)) = (branch, body) {
            let branch = &mut self.branches.all[at];
            if rseq.is_some() && branch.answer.is_none() {
                branch.answer = Some(answer.clone());
            }
            // One branch is heard: the first that can be.
            if self.dialog.is_none() {
                core.dialogs.keep(branch.dialog);
                self.dialog = Some(branch.dialog);
                early = Some(EarlyMedia { flow, answer });
            }
        }
        core.tell(Event::Progress {
            call: self.id,
            response,
            early,
        });
    }

    /// The branch with this tag, new or known; `None` if there are too many, or if its response makes no dialog.
    fn branch(&mut self, core: &mut Core, tag: &str, response: &Response, flow: Flow) -> Option<usize> {
        let State::Calling(calling) = &self.state else { return None };
        if let Some(at) = self.branches.all.iter().position(|branch| branch.tag == tag) {
            return Some(at);
        }
        if self.branches.all.len() >= MAX_BRANCHES {
            return None;
        }
        let sent = core.clients.request(calling.invite)?;
        let dialog = Dialog::as_uac(flow, sent, response, sent.headers.contact().ok()?).ok()?;
        self.branches.all.push(Branch {
            tag: tag.to_owned(),
            dialog: core.dialogs.add(dialog),
            rseq: None,
            pracks: 0,
            answer: None,
        });
        Some(self.branches.all.len() - 1)
    }

    /// Sends PRACK, if this is the next one of its branch; `false` if it came before, or too early (RFC 3262 section 4).
    fn acknowledge_provisional(&mut self, core: &mut Core, now: Instant, at: usize, rseq: u32, response: &Response) -> bool {
        let branch = &mut self.branches.all[at];
        let in_order = branch.rseq.is_none_or(|last| rseq == last.wrapping_add(1));
        if !in_order || branch.pracks >= MAX_PRACKS {
            return false;
        }
        branch.rseq = Some(rseq);
        branch.pracks += 1;
        let cseq = response.headers.cseq().map_or(0, |cseq| cseq.number);
        let rack = RAck {
            rseq,
            cseq: CSeq::new(cseq, Method::Invite),
        };
        // Without it they give up by themselves.
        let _ = core.send_in_dialog(now, Owner::Call(self.id), branch.dialog, Method::Prack, |request| {
            request.headers.push(Name::RAck, rack);
        });
        true
    }

    /// A branch has ended without an answer (RFC 6228): another one may be heard now.
    fn drop_branch(&mut self, tag: Option<&str>) {
        let Some((dialog, _)) = self.branches.take(tag) else { return };
        self.branches.left.push(dialog);
        if self.dialog == Some(dialog) {
            self.dialog = None;
            self.branches.left.push(dialog);
        }
    }

    /// One branch has answered: its dialog is the call's, and the others are nobody's. Gives back its answer to our offer, if that came already.
    pub(super) fn settle_on(&mut self, core: &mut Core, dialog: Dialog) -> Option<Body> {
        let known = self.branches.take(dialog.remote_tag.as_deref());
        let (no, answer) = match known {
            Some((no, answer)) => {
                if let Some(early) = core.dialogs.get_mut(no) {
                    early.confirm(dialog);
                }
                (no, answer)
            }
            None => (core.dialogs.add(dialog), None),
        };
        self.branches.leave(self.dialog.replace(no));
        self.branches.clear();
        answer
    }

    /// A request in an early dialog whose branch isn't the one that is heard.
    pub(super) fn handle_branch_request(&mut self, core: &mut Core, now: Instant, server: ServerId, dialog: DialogNo, request: &Request) {
        if request.method == Method::Bye {
            core.respond(now, server, Reply::new(200));
            let tag = self.branches.all.iter().find(|b| b.dialog == dialog).map(|b| b.tag.clone());
            return self.drop_branch(tag.as_deref());
        }
        let after = core.dice.retry_after().to_string();
        core.respond(now, server, Reply::new(500).with(Name::RetryAfter, after));
    }
}
