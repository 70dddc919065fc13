//! The call that an INVITE points at, to take its place (RFC 3891 section 3) or to join it (RFC 3911 section 4).

use super::{Call, Calls, State};
use crate::{
    model::CallId,
    sip::{
        endpoint::Core,
        msg::{DialogId, HeaderError, Request},
        transaction::Reply,
    },
};

/// What an INVITE wants of a call that there is. Who knows a dialog's tags was told them: that is the authority for it (RFC 3891 section 8).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Pointed {
    pub(super) replaces: Option<CallId>,
    pub(super) join: Option<CallId>,
}

impl Calls {
    /// Finds what an INVITE points at, or says why it can't be had.
    pub(super) fn pointed_at(&self, core: &Core, request: &Request) -> Result<Pointed, Box<Reply>> {
        let bad = |why: HeaderError| Box::new(Reply::new(400).because(&format!("Bad Request: {why}")));
        match (request.headers.replaces().map_err(bad)?, request.headers.join().map_err(bad)?) {
            (None, None) => Ok(Pointed::default()),
            (Some(_), Some(_)) => Err(Box::new(Reply::new(400).because("Bad Request: Replaces and Join"))),
            (Some(id), None) => Ok(Pointed {
                replaces: Some(self.open_call(core, &id)?),
                join: None,
            }),
            (None, Some(id)) => Ok(Pointed {
                replaces: None,
                join: Some(self.open_call(core, &id)?),
            }),
        }
    }

    fn open_call(&self, core: &Core, wanted: &DialogId) -> Result<CallId, Box<Reply>> {
        let found = core.dialogs.named(wanted).and_then(|dialog| self.of_dialog(dialog));
        let Some((id, call)) = found.and_then(|id| Some((id, self.get(id)?))) else {
            return Err(Box::new(Reply::new(481)));
        };
        call.place(wanted.early_only)
            .map(|()| id)
            .map_err(|status| Box::new(Reply::new(status)))
    }
}

impl Call {
    /// Whether another call may have to do with this one; else the status that says why not.
    fn place(&self, early_only: bool) -> Result<(), u16> {
        match &self.state {
            _ if self.is_leaving() => Err(603),
            State::Up if early_only => Err(486),
            // An early dialog may be replaced by whoever it was made for alone: the one who called (RFC 3891 section 3).
            State::Ringing(_) => Err(481),
            State::Calling(_) | State::Up => Ok(()),
            State::Leaving { .. } | State::Over => Err(603),
        }
    }
}
