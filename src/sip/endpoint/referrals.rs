//! REFER, as the application sees it (RFC 3515).

use std::time::Instant;

use super::{CommandError, Endpoint, Presentation, ReferArgs, Referee, Rejection};
use crate::model::ReferId;

impl Endpoint {
    /// Takes [`Event::Refer`](super::Event::Refer): 200, and `100 Trying` at once, if they want to be told at all (RFC 4488).
    pub fn accept_refer(&mut self, now: Instant, refer: ReferId, presentation: &Presentation) -> Result<(), CommandError> {
        self.refers.accept(&mut self.core, now, refer, presentation)
    }

    /// Refuses [`Event::Refer`](super::Event::Refer).
    pub fn reject_refer(&mut self, now: Instant, refer: ReferId, rejection: Rejection) -> Result<(), CommandError> {
        self.refers.reject(&mut self.core, now, refer, rejection)
    }

    /// Tells the referrer how it goes, as the response to what it asked for would (RFC 3515 section 2.4.5); `reason` empty: the usual phrase.
    /// With `last` its subscription ends. [`CommandError::Gone`]: nobody wants to know (any more).
    pub fn refer_progress(&mut self, now: Instant, refer: ReferId, status: u16, reason: &str, last: bool) -> Result<(), CommandError> {
        self.refers.progress(&mut self.core, now, refer, status, reason, last)
    }

    /// Asks somebody to send a request to a third party; [`Event::ReferProgress`](super::Event::ReferProgress) or
    /// [`Event::ReferFailed`](super::Event::ReferFailed) follows.
    pub fn refer(&mut self, now: Instant, args: ReferArgs) -> Result<ReferId, CommandError> {
        let inside = match args.whom {
            Referee::Call(call) => Some(
                self.calls
                    .get(call)
                    .and_then(|call| call.open_dialog())
                    .ok_or(CommandError::NotNow)?,
            ),
            Referee::Outside(_) => None,
        };
        self.refers.refer(&mut self.core, now, args, inside)
    }
}
