//! Who calls, and how far that is proven (rules R1, R3, R13; checklist X-6).

use crate::model::trunk::{AssertedIdentity, Trunk};
use crate::model::{Account, Aor, Caller, Now, TrunkId};
use crate::sip::auth::Verdict;
use crate::sip::endpoint::{Flow, Rejection};
use crate::sip::msg::{Name, Request, Uri};

use super::SipFront;
use super::trunks::{Asserted, asserted};

/// A display name as given, at most, in characters; longer ones are cut.
const NAME_MAX: usize = 80;

/// Who a caller is.
#[derive(Debug)]
pub(super) struct Known {
    /// As they are to be shown.
    pub(super) caller: Caller,
    /// The account behind one who wants to stay unknown.
    pub(super) account: Option<Aor>,
    /// The trunk that they come by.
    pub(super) trunk: Option<TrunkId>,
}

/// Whose secret was shown, or whose certificate.
enum Proof {
    Account { aor: Aor, name: String },
    Trunk { user: String },
}

impl SipFront {
    /// The caller of an INVITE. Whoever names one of our accounts in `From` has to prove it.
    pub(super) fn caller(&mut self, now: Now, flow: Flow, request: &Request) -> Result<Known, Rejection> {
        let source = flow.remote.ip();
        let user = match self.proof(now, flow, request)? {
            Some(Proof::Account { aor, name }) => {
                self.ignore_identity(request);
                return Ok(account(aor, name, request));
            }
            Some(Proof::Trunk { user }) => Some(user),
            None => None,
        };
        if let Some(trunk) = self.trunks.incoming(source, self.names_of(flow), user.as_deref()) {
            let trunk = trunk.clone();
            return self.by_trunk(now, &trunk, request);
        }
        self.ignore_identity(request);
        if user.is_some() {
            self.counters.misplaced_credentials += 1;
            return Err(Rejection::new(403));
        }
        if !self.settings.unproven_callers || self.names_an_account(request) || self.trunks.has_to_sign_in(source, request) {
            return Err(self.challenge(now, false));
        }
        Ok(Known {
            caller: claimed(request),
            account: None,
            trunk: None,
        })
    }

    /// The sender of a request that only accounts may make.
    pub(super) fn proven_caller(&mut self, now: Now, flow: Flow, request: &Request) -> Result<Caller, Rejection> {
        match self.proof(now, flow, request)? {
            Some(Proof::Account { aor, name }) => Ok(Caller::Account { aor, name }),
            proof => {
                let user = match &proof {
                    Some(Proof::Trunk { user }) => Some(user.as_str()),
                    Some(Proof::Account { .. }) | None => None,
                };
                let trunk = self.trunks.incoming(flow.remote.ip(), self.names_of(flow), user).cloned();
                match trunk.and_then(|trunk| self.vouched_account(&trunk, &asserted(&trunk, request)?)) {
                    Some((aor, name)) => Ok(Caller::Account { aor, name }),
                    None => Err(self.challenge(now, false)),
                }
            }
        }
    }

    /// A caller by a trunk: whom it vouches for, if it is believed (RFC 3325 section 5); else whoever they say they are.
    fn by_trunk(&mut self, now: Now, trunk: &Trunk, request: &Request) -> Result<Known, Rejection> {
        let by = Some(trunk.id.clone());
        let Some(asserted) = asserted(trunk, request) else {
            self.ignore_identity(request);
            if self.names_an_account(request) {
                return Err(self.challenge(now, false));
            }
            return Ok(Known {
                caller: claimed(request),
                account: None,
                trunk: by,
            });
        };
        if let Some((aor, name)) = self.vouched_account(trunk, &asserted) {
            return Ok(Known {
                trunk: by,
                ..account(aor, name, request)
            });
        }
        let caller = if wants_privacy(request) {
            Caller::Anonymous
        } else {
            Caller::Trunk {
                trunk: trunk.id.clone(),
                number: asserted.number,
                name: shown(asserted.name.as_deref()),
            }
        };
        Ok(Known {
            caller,
            account: None,
            trunk: by,
        })
    }

    /// The account that a trunk vouches for, if it may.
    fn vouched_account(&self, trunk: &Trunk, asserted: &Asserted) -> Option<(Aor, String)> {
        let aor = asserted.uri.aor().filter(|_| trunk.identity == AssertedIdentity::Account)?;
        self.accounts.by_aor(&aor).map(|account| (aor, account.name))
    }

    /// What a peer that isn't believed says of the caller (RFC 3325 section 5) counts for nothing.
    fn ignore_identity(&mut self, request: &Request) {
        self.counters.ignored_identities += u64::from(request.headers.has(Name::PAssertedIdentity));
    }

    /// By their certificate, or by their credentials.
    fn proof(&mut self, now: Now, flow: Flow, request: &Request) -> Result<Option<Proof>, Rejection> {
        match self.certified(flow, request) {
            Some(Account { name, aor: Some(aor), .. }) => Ok(Some(Proof::Account { aor, name })),
            Some(_) | None => self.credentials(now, request),
        }
    }

    fn credentials(&mut self, now: Now, request: &Request) -> Result<Option<Proof>, Rejection> {
        let (accounts, trunks) = (&self.accounts, &self.trunks);
        let keys_of = |user: &str| trunks.keys_of(user).or_else(|| accounts.by_sip_user(user)?.digest);
        match self.authenticator.verify(now.at, request, keys_of) {
            Verdict::Absent => Ok(None),
            Verdict::Proven { user } if self.trunks.keys_of(&user).is_some() => Ok(Some(Proof::Trunk { user })),
            Verdict::Proven { user } => {
                let account = self.accounts.by_sip_user(&user);
                let proven = account.and_then(|a| Some(Proof::Account { aor: a.aor?, name: a.name }));
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

    pub(super) fn challenge(&mut self, now: Now, stale: bool) -> Rejection {
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

/// Somebody with an account, who may want to stay unknown.
fn account(aor: Aor, name: String, request: &Request) -> Known {
    let (caller, account) = if wants_privacy(request) {
        (Caller::Anonymous, Some(aor))
    } else {
        (Caller::Account { aor, name }, None)
    };
    Known {
        caller,
        account,
        trunk: None,
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
    Caller::Claimed {
        uri: from.uri.to_string(),
        name: shown(from.display.as_deref()),
    }
}

/// A display name without what can't be seen, and not too long.
fn shown(display: Option<&str>) -> Option<String> {
    let name: String = display?.chars().filter(|c| !c.is_control()).take(NAME_MAX).collect();
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

/// RFC 3323 section 4.1.1.3.
fn is_anonymous(uri: &Uri) -> bool {
    uri.as_sip()
        .is_none_or(|sip| sip.host.to_string().eq_ignore_ascii_case("anonymous.invalid"))
}
