//! Who calls, and how far that is proven (rules R1, R3, R13; checklist X-6).

use crate::model::{Aor, Caller, Now};
use crate::sip::auth::Verdict;
use crate::sip::endpoint::Rejection;
use crate::sip::msg::{Request, Uri};

use super::SipFront;

/// A display name as given, at most, in characters; longer ones are cut.
const NAME_MAX: usize = 80;

impl SipFront {
    /// The caller of an INVITE as they are to be shown, and the account behind one who wants to stay unknown.
    /// Whoever names one of our accounts in `From` has to prove it.
    pub(super) fn caller(&mut self, now: Now, request: &Request) -> Result<(Caller, Option<Aor>), Rejection> {
        match self.credentials(now, request)? {
            Some(Caller::Account { aor, .. }) if wants_privacy(request) => Ok((Caller::Anonymous, Some(aor))),
            Some(proven) => Ok((proven, None)),
            None if self.names_an_account(request) || !self.settings.unproven_callers => Err(self.challenge(now, false)),
            None => Ok((claimed(request), None)),
        }
    }

    /// The sender of a request that only accounts may make.
    pub(super) fn proven_caller(&mut self, now: Now, request: &Request) -> Result<Caller, Rejection> {
        match self.credentials(now, request)? {
            Some(proven) => Ok(proven),
            None => Err(self.challenge(now, false)),
        }
    }

    fn credentials(&mut self, now: Now, request: &Request) -> Result<Option<Caller>, Rejection> {
        let accounts = &self.accounts;
        match self
            .authenticator
            .verify(now.at, request, |user| accounts.by_sip_user(user)?.digest)
        {
            Verdict::Absent => Ok(None),
            Verdict::Proven { user } => {
                let account = self.accounts.by_sip_user(&user);
                let proven = account.and_then(|a| Some(Caller::Account { aor: a.aor?, name: a.name }));
                // An account without an address proves nothing that a room could use.
                proven.map(Some).ok_or_else(|| Rejection::new(403))
            }
            Verdict::Stale => Err(self.challenge(now, true)),
            Verdict::Wrong { .. } => {
                self.counters.bad_credentials += 1;
                Err(self.challenge(now, false))
            }
            Verdict::Bad(flaw) => {
                self.counters.bad_credentials += 1;
                Err(Rejection::new(400).because(&flaw.to_string()))
            }
        }
    }

    fn challenge(&mut self, now: Now, stale: bool) -> Rejection {
        self.counters.challenged += 1;
        let challenges = self.authenticator.challenges(now.at, stale);
        challenges.into_iter().fold(Rejection::new(401), |rejection, challenge| {
            rejection.with("WWW-Authenticate", challenge)
        })
    }

    fn names_an_account(&self, request: &Request) -> bool {
        let aor = request.headers.from().ok().and_then(|from| from.uri.aor());
        aor.is_some_and(|aor| self.accounts.by_aor(&aor).is_some())
    }
}

/// RFC 3323 section 4.2: `user` and `id` ask that nobody be told.
fn wants_privacy(request: &Request) -> bool {
    request
        .headers
        .privacy()
        .iter()
        .any(|p| ["id", "user"].iter().any(|asked| p.eq_ignore_ascii_case(asked)))
}

fn claimed(request: &Request) -> Caller {
    let Ok(from) = request.headers.from() else {
        return Caller::Anonymous;
    };
    if wants_privacy(request) || is_anonymous(&from.uri) {
        return Caller::Anonymous;
    }
    let name: String = from
        .display
        .iter()
        .flat_map(|n| n.chars())
        .filter(|c| !c.is_control())
        .take(NAME_MAX)
        .collect();
    Caller::Claimed {
        uri: from.uri.to_string(),
        name: Some(name.trim().to_owned()).filter(|n| !n.is_empty()),
    }
}

/// RFC 3323 section 4.1.1.3.
fn is_anonymous(uri: &Uri) -> bool {
    uri.as_sip()
        .is_none_or(|sip| sip.host.to_string().eq_ignore_ascii_case("anonymous.invalid"))
}
