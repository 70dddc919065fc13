//! One registration of ours: kept up by refreshing, tried again after failures, ended when we go (RFC 3261 section 10.2, RFC 5626 section 4).

use std::time::{Duration, Instant};

use crate::{
    model::RegistrationId,
    sip::{
        auth::{Credentials, Session},
        dialog::MAX_FORWARDS,
        endpoint::{Core, Event, Flow, Presentation, Target},
        locate::Way,
        msg::{CSeq, Contacts, Host, Method, Name, NameAddr, Request, Response, Uri},
        transaction::{
            ClientId, Failure, FlowName, OurContact, Outgoing, Owner, Report,
            timer::{GIVE_UP, Named, Timers},
        },
    },
};

/// The first wait after a failure (RFC 5626 section 4.5: the base time when no other flow is left).
const FIRST_RETRY: Duration = Duration::from_secs(30);
/// The longest (ibid.).
const LAST_RETRY: Duration = Duration::from_secs(1800);
/// How long our goodbye is waited for: a server that stops has no more time.
const GOODBYE: Duration = Duration::from_millis(1500);
/// A registrar that wants shorter ones refreshed more often than this isn't humoured.
const SHORTEST: u32 = 10;
/// The longest that a registrar may hold us to by 423.
const LONGEST: u32 = 86_400;
/// Requests to get one answer: a first try, a challenge, a stale nonce, a longer time, and one of them once more.
const TRIES: u32 = 5;

/// A registration to be made and kept.
#[derive(Debug, Clone)]
pub struct RegisterArgs {
    /// The registrar, which is also the domain of our address there.
    pub registrar: Uri,
    /// Our user name there, and the user part of our Contact.
    pub user: String,
    /// What a 401 or 407 is answered with.
    pub credentials: Option<Credentials>,
    /// How long each lasts, in seconds; the registrar may make it longer or shorter.
    pub expires: u32,
    /// Who we are over all restarts, as a URN (RFC 5626 section 4.1).
    pub instance: String,
}

/// How a registration stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Registration {
    /// It stands, if nothing happens until then.
    Registered {
        /// When it runs out.
        until: Instant,
    },
    /// The registrar says no; it is tried again.
    Refused {
        /// The status.
        status: u16,
        /// The reason phrase.
        reason: String,
    },
    /// The registrar can't be reached, in words; it is tried again.
    Unreachable(&'static str),
    /// It was ended by us; its number means nothing any more.
    Ended,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Timer {
    /// Register, again or for the first time.
    Register,
    /// Our goodbye isn't answered.
    Goodbye,
}

impl Named for Timer {
    fn name(self) -> &'static str {
        match self {
            Self::Register => "registration",
            Self::Goodbye => "registration: its end",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Kept,
    Ending,
    Over,
}

/// One registration.
#[derive(Debug)]
pub(super) struct Binding {
    id: RegistrationId,
    args: RegisterArgs,
    call_id: String,
    tag: String,
    cseq: u32,
    /// How long we ask for.
    asked: u32,
    /// Challenges that were taken up; the nonce is used on until the registrar has another (RFC 7616 section 3.4.5).
    session: Option<Session>,
    /// The request that waits for its response.
    client: Option<ClientId>,
    /// Requests for the present answer so far.
    tries: u32,
    /// The last request was signed for a challenge of this round: refused again, the credentials are wrong.
    answered_challenge: bool,
    failures: u32,
    /// The way on which it stands, and on which the registrar reaches us.
    flow: Option<Flow>,
    stage: Stage,
    timers: Timers<Timer>,
}

impl Binding {
    pub(super) fn start(core: &mut Core, now: Instant, id: RegistrationId, args: RegisterArgs) -> Self {
        let mut binding = Self {
            id,
            call_id: core.dice.token(),
            tag: core.dice.token(),
            cseq: core.dice.cseq(),
            asked: args.expires,
            args,
            session: None,
            client: None,
            tries: 0,
            answered_challenge: false,
            failures: 0,
            flow: None,
            stage: Stage::Kept,
            timers: Timers::default(),
        };
        binding.begin(core, now);
        binding
    }

    pub(super) fn is_over(&self) -> bool {
        self.stage == Stage::Over
    }

    pub(super) fn next_timer(&self) -> Option<(Instant, &'static str)> {
        self.timers.next()
    }

    /// Takes the registration back, if there is one or may be one.
    pub(super) fn end(&mut self, core: &mut Core, now: Instant) {
        if self.stage != Stage::Kept {
            return;
        }
        self.timers.stop_all();
        let may_stand = self.flow.is_some() || self.client.is_some();
        if let Some(client) = self.client.take() {
            core.clients.abandon(client);
        }
        self.stage = if may_stand { Stage::Ending } else { Stage::Over };
        if may_stand {
            self.timers.set(Timer::Goodbye, now + GOODBYE);
            self.begin(core, now);
        }
    }

    pub(super) fn handle_timeout(&mut self, core: &mut Core, now: Instant) {
        while let Some(timer) = self.timers.pop_due(now) {
            match timer {
                Timer::Register if self.client.is_none() => self.begin(core, now),
                Timer::Register => {}
                Timer::Goodbye => self.stage = Stage::Over,
            }
        }
    }

    pub(super) fn handle_flow_lost(&mut self, core: &mut Core, now: Instant, flow: Flow) {
        if self.flow == Some(flow) && self.stage == Stage::Kept {
            self.flow = None;
            if self.client.is_none() {
                self.fail(core, now, Registration::Unreachable("the connection is gone"), None);
            }
        }
    }

    pub(super) fn handle_report(&mut self, core: &mut Core, now: Instant, report: Report) {
        if self.client != Some(report.client) {
            return;
        }
        let response = match report.outcome {
            Ok((response, _)) if response.status < 200 => return,
            Ok((response, flow)) if response.status < 300 => {
                self.client = None;
                return self.stand(core, now, &response, flow);
            }
            Ok((response, _)) => response,
            Err(why) => {
                self.client = None;
                let words = match why {
                    Failure::TimedOut => "no answer",
                    Failure::Unreachable => "no connection",
                    Failure::Unresolved => "the name leads nowhere",
                };
                return self.fail(core, now, Registration::Unreachable(words), None);
            }
        };
        self.client = None;
        let again = match response.status {
            401 | 407 => self.take_up(core, &response),
            423 => self.ask_for_longer(&response),
            _ => false,
        };
        if again && self.tries < TRIES {
            // To the hop that asked for it.
            return self.send(core, now, report.target.map(Way::To));
        }
        let wait = response.headers.retry_after().ok().flatten();
        let refused = Registration::Refused {
            status: response.status,
            reason: response.reason.clone(),
        };
        self.fail(core, now, refused, wait);
    }

    /// Whether this challenge is worth another try.
    fn take_up(&mut self, core: &mut Core, response: &Response) -> bool {
        let Some(credentials) = &self.args.credentials else { return false };
        let Ok(session) = Session::new(response, credentials, &core.dice.token()) else {
            return false;
        };
        let worth = session.is_stale() || !self.answered_challenge;
        self.answered_challenge = true;
        self.session = worth.then_some(session);
        worth
    }

    /// RFC 3261 section 10.2.8.
    fn ask_for_longer(&mut self, response: &Response) -> bool {
        let least = response.headers.min_expires().ok().flatten();
        let Some(least) = least.filter(|least| *least > self.asked && *least <= LONGEST) else {
            return false;
        };
        self.asked = least;
        true
    }

    fn begin(&mut self, core: &mut Core, now: Instant) {
        self.tries = 0;
        self.answered_challenge = false;
        let way = self
            .flow
            .filter(|flow| flow.connection.is_some())
            .map(|flow| Way::First(Target::Flow(flow), self.args.registrar.clone()));
        self.send(core, now, way);
    }

    fn send(&mut self, core: &mut Core, now: Instant, way: Option<Way>) {
        self.tries += 1;
        self.cseq += 1;
        let address = self.address();
        let mut request = Request::new(Method::Register, self.args.registrar.clone());
        let headers = &mut request.headers;
        headers.push(Name::MaxForwards, MAX_FORWARDS);
        headers.push(Name::From, NameAddr::new(address.clone()).with_tag(&self.tag));
        headers.push(Name::To, NameAddr::new(address));
        headers.push(Name::CallId, self.call_id.as_str());
        headers.push(Name::CSeq, CSeq::new(self.cseq, Method::Register));
        headers.push(Name::Expires, self.wanted().to_string());
        headers.push(Name::Supported, "path, outbound");
        let uri = request.uri.to_string();
        for (name, value) in self.session.iter_mut().flat_map(|session| session.sign(&Method::Register, &uri)) {
            request.headers.push(name, value);
        }
        let contact = OurContact {
            presentation: Presentation {
                user: Some(self.args.user.clone()),
                ..Presentation::default()
            },
            secure: self.args.registrar.as_sip().is_some_and(|uri| uri.secure),
            flow: Some(FlowName {
                instance: self.args.instance.clone(),
            }),
        };
        let sent = Outgoing::outside(Owner::Registration(self.id), request, contact, way).and_then(|outgoing| core.send(now, outgoing));
        match sent {
            Ok(client) => self.client = Some(client),
            Err(why) => self.fail(core, now, Registration::Unreachable(why.0), None),
        }
    }

    /// What `Expires` says: nothing is left of a registration that ends (RFC 3261 section 10.2.2).
    fn wanted(&self) -> u32 {
        match self.stage {
            Stage::Kept => self.asked,
            Stage::Ending | Stage::Over => 0,
        }
    }

    fn address(&self) -> Uri {
        let host = self.args.registrar.as_sip().map(|uri| uri.host.clone());
        Uri::sip(
            Some(&self.args.user),
            host.unwrap_or_else(|| Host::Name("invalid".to_owned())),
            None,
        )
    }

    fn stand(&mut self, core: &mut Core, now: Instant, response: &Response, flow: Flow) {
        if let Some(session) = &mut self.session {
            session.follow(response);
        }
        if self.stage != Stage::Kept {
            self.stage = Stage::Over;
            return self.timers.stop_all();
        }
        let granted = self.granted(response);
        if granted < SHORTEST {
            let refused = Registration::Refused {
                status: response.status,
                reason: "granted no time".to_owned(),
            };
            return self.fail(core, now, refused, None);
        }
        self.failures = 0;
        self.flow = Some(flow);
        let granted = Duration::from_secs(granted.into());
        // Early enough for a request that is resent until it is given up, where the time allows it.
        let early = (granted / 4).max(GIVE_UP.min(granted / 2));
        self.timers.set(Timer::Register, now + granted - early);
        self.tell(core, Registration::Registered { until: now + granted });
    }

    /// How long the registrar grants us: what it says beside our Contact, else in `Expires`, else what we asked for (RFC 3261 section 10.2.4).
    fn granted(&self, response: &Response) -> u32 {
        let ours = |contact: &NameAddr| {
            contact
                .uri
                .as_sip()
                .is_some_and(|uri| uri.user.as_deref() == Some(self.args.user.as_str()))
        };
        let beside = match response.headers.contacts() {
            // Others' bindings of this address may stand beside ours: the shortest of ours is safe.
            Ok(Contacts::List(list)) => list.iter().filter(|c| ours(c)).filter_map(NameAddr::expires).min(),
            Ok(Contacts::Star) | Err(_) => None,
        };
        let general = || response.headers.expires().ok().flatten();
        beside.or_else(general).unwrap_or(self.asked).min(LONGEST)
    }

    fn fail(&mut self, core: &mut Core, now: Instant, why: Registration, at_least: Option<u32>) {
        if self.stage != Stage::Kept {
            self.stage = Stage::Over;
            return self.timers.stop_all();
        }
        self.flow = None;
        let wait = core.dice.retry(FIRST_RETRY, self.failures, LAST_RETRY);
        self.failures = self.failures.saturating_add(1);
        let asked = Duration::from_secs(at_least.unwrap_or(0).into()).min(LAST_RETRY);
        self.timers.set(Timer::Register, now + wait.max(asked));
        self.tell(core, why);
    }

    fn tell(&self, core: &mut Core, state: Registration) {
        core.tell(Event::Registration {
            registration: self.id,
            state,
        });
    }
}
