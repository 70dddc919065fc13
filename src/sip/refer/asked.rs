//! A REFER of ours: from the request to the last NOTIFY that tells what became of it (RFC 3515 section 2.4, RFC 6665 section 4.1).

use std::time::{Duration, Instant};

use super::sipfrag::Progress;
use crate::{
    model::ReferId,
    sip::{
        auth::{Credentials, Session},
        dialog::{Dialog, DialogNo, MAX_FORWARDS},
        endpoint::{CommandError, Core, Event, Flow, Outside, ReferArgs, ReferFailure, Referee},
        locate::Way,
        msg::{CSeq, HeaderError, Method, Name, NameAddr, Request, Response},
        transaction::{
            ClientId, Failure, OurContact, Outgoing, Owner, Report, Seen,
            timer::{GIVE_UP, Named, Timers},
        },
    },
};

/// The longest subscription that we let them hold us to.
const LONGEST: Duration = Duration::from_secs(3600);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Timer {
    /// No (further) NOTIFY has come (RFC 6665 section 4.1.2.4, Timer N).
    Silence,
}

impl Named for Timer {
    fn name(self) -> &'static str {
        match self {
            Self::Silence => "REFER of ours: no NOTIFY",
        }
    }
}

/// Where the REFER goes.
#[derive(Debug)]
enum Place {
    /// Inside a dialog.
    Inside(DialogNo),
    /// Outside of any: the request without what this REFER adds, and which way it goes.
    Outside {
        request: Box<Request>,
        contact: OurContact,
        via: Option<Way>,
    },
}

/// One REFER of ours.
#[derive(Debug)]
pub(super) struct Asked {
    id: ReferId,
    place: Place,
    refer_to: String,
    headers: Vec<(String, String)>,
    credentials: Option<Credentials>,
    /// The REFER that waits for its response.
    client: Option<ClientId>,
    /// The number in its CSeq: the id of its subscription (RFC 3515 section 2.4.6).
    pub(super) number: u32,
    /// Where its NOTIFYs come.
    pub(super) dialog: Option<DialogNo>,
    over: bool,
    pub(super) timers: Timers<Timer>,
}

impl Asked {
    /// Sends the REFER. `inside`: the dialog of the call that the arguments name.
    pub(super) fn start(
        core: &mut Core,
        now: Instant,
        id: ReferId,
        args: ReferArgs,
        inside: Option<DialogNo>,
    ) -> Result<Self, CommandError> {
        let (place, credentials) = match args.whom {
            Referee::Call(_) => (Place::Inside(inside.ok_or(CommandError::Gone)?), None),
            Referee::Outside(outside) => {
                let Outside {
                    to,
                    from,
                    name,
                    presentation,
                    credentials,
                    via,
                } = *outside;
                let contact = OurContact {
                    flow: None,
                    presentation,
                    secure: to.as_sip().is_some_and(|uri| uri.secure),
                };
                let mut from = NameAddr::new(from).with_tag(&core.dice.token());
                from.display = name;
                let mut request = Request::new(Method::Refer, to.clone());
                let headers = &mut request.headers;
                headers.push(Name::MaxForwards, MAX_FORWARDS);
                headers.push(Name::From, from);
                headers.push(Name::To, NameAddr::new(to));
                headers.push(Name::CallId, core.dice.token());
                headers.push(Name::CSeq, CSeq::new(core.dice.cseq(), Method::Refer));
                let request = Box::new(request);
                (Place::Outside { request, contact, via }, credentials)
            }
        };
        let mut asked = Self {
            id,
            dialog: inside,
            place,
            refer_to: args.refer_to.to_string(),
            headers: args.headers,
            credentials,
            client: None,
            number: 0,
            over: false,
            timers: Timers::default(),
        };
        asked.send(core, now, None)?;
        Ok(asked)
    }

    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    fn send(&mut self, core: &mut Core, now: Instant, signed: Option<Session>) -> Result<(), CommandError> {
        let owner = Owner::Refer(self.id);
        let mut outgoing = match &mut self.place {
            Place::Inside(no) => core.inside(owner, *no, Method::Refer)?,
            Place::Outside { request, contact, via } => {
                let number = request.headers.cseq().map_or(1, |cseq| cseq.number);
                request.headers.set(Name::CSeq, CSeq::new(number + 1, Method::Refer));
                Outgoing::outside(owner, (**request).clone(), contact.clone(), via.clone())?
            }
        };
        let request = &mut outgoing.request;
        self.number = request.headers.cseq().map_or(0, |cseq| cseq.number);
        request.headers.push(Name::ReferTo, self.refer_to.as_str());
        core.add_capabilities(&mut request.headers);
        for (name, value) in &self.headers {
            request.headers.push(name.as_str(), value.as_str());
        }
        let uri = request.uri.to_string();
        for (name, value) in signed.map(|mut session| session.sign(&Method::Refer, &uri)).into_iter().flatten() {
            request.headers.push(name, value);
        }
        self.client = Some(core.send(now, outgoing)?);
        Ok(())
    }

    /// Handles what became of the REFER itself.
    pub(super) fn handle_report(&mut self, core: &mut Core, now: Instant, report: Report) {
        if self.client != Some(report.client) {
            return;
        }
        match report.outcome {
            Ok((response, _)) if response.status < 200 => {}
            Ok((response, flow)) if response.status < 300 => self.handle_accepted(core, now, report.client, &response, flow),
            Ok((response, _)) => {
                let challenge = matches!(response.status, 401 | 407);
                let credentials = self.credentials.take_if(|_| challenge);
                let session = credentials.and_then(|c| Session::new(&response, &c, &core.dice.token()).ok());
                // To the hop that asked for them.
                if let Place::Outside { via, .. } = &mut self.place {
                    *via = report.target.map(Way::To);
                }
                if session.is_none() || self.send(core, now, session).is_err() {
                    self.fail(core, ReferFailure::Refused { response });
                }
            }
            Err(Failure::TimedOut) => self.fail(core, ReferFailure::Unreachable("no answer")),
            Err(Failure::Unreachable) => self.fail(core, ReferFailure::Unreachable("no connection")),
            Err(Failure::Unresolved) => self.fail(core, ReferFailure::Unreachable("the name leads nowhere")),
        }
    }

    fn handle_accepted(&mut self, core: &mut Core, now: Instant, client: ClientId, response: &Response, flow: Flow) {
        self.client = None;
        if response.headers.refuses_refer_sub() {
            // RFC 4488 section 4: they do it, and tell nothing more.
            return self.tell(core, 100, true);
        }
        if self.dialog.is_none() {
            let dialog = core.clients.request(client).and_then(|sent| {
                let contact = sent.headers.contact().ok()?;
                Dialog::as_uac(flow, sent, response, contact).ok()
            });
            let Some(dialog) = dialog else {
                return self.fail(core, ReferFailure::Unreachable("an answer that can't be read"));
            };
            self.dialog = Some(core.dialogs.add(dialog));
        }
        // A NOTIFY may have overtaken the response; then the silence is measured from there already.
        if self.timers.next().is_none() {
            self.timers.set(Timer::Silence, now + GIVE_UP);
        }
    }

    /// Whether a NOTIFY outside of any dialog that we know is the first one of this REFER: it may overtake the response, and makes the dialog
    /// then (RFC 6665 section 4.1.2.4).
    pub(super) fn waits_for(&self, seen: &Seen) -> bool {
        let Place::Outside { request, .. } = &self.place else {
            return false;
        };
        let ours = request.headers.from().ok().and_then(|from| from.tag().map(str::to_owned));
        self.dialog.is_none() && ours.is_some() && seen.to_tag == ours && request.headers.call_id() == Ok(&seen.call_id)
    }

    /// The dialog that such a NOTIFY makes.
    pub(super) fn adopt(&mut self, core: &mut Core, seen: &Seen, notify: &Request) -> Result<DialogNo, HeaderError> {
        let sent = self.client.and_then(|client| core.clients.request(client));
        let contact = sent.ok_or(HeaderError::Missing(Name::Contact))?.headers.contact()?;
        let tag = seen.to_tag.clone().unwrap_or_default();
        let no = core.dialogs.add(Dialog::as_uas(seen, notify, &tag, self.number, contact)?);
        self.dialog = Some(no);
        Ok(no)
    }

    /// Takes a NOTIFY of the subscription, which is answered already.
    pub(super) fn handle_notify(&mut self, core: &mut Core, now: Instant, notify: &Request) {
        let state = notify.headers.subscription_state().ok().flatten();
        let terminated = state.as_ref().is_some_and(|s| s.token.eq_ignore_ascii_case("terminated"));
        let seconds = state.and_then(|s| s.params.get("expires")?.parse().ok());
        let life = seconds.map_or(LONGEST, Duration::from_secs).min(LONGEST);
        // They may be a little late.
        self.timers.set(Timer::Silence, now + life + GIVE_UP);
        match Progress::status_of(&notify.body) {
            Some(status) => self.tell(core, status, terminated),
            None if terminated => self.fail(core, ReferFailure::Silent),
            None => {}
        }
    }

    pub(super) fn handle_timeout(&mut self, core: &mut Core, now: Instant) {
        if let Some(Timer::Silence) = self.timers.pop_due(now) {
            self.fail(core, ReferFailure::Silent);
        }
    }

    fn tell(&mut self, core: &mut Core, status: u16, last: bool) {
        core.tell(Event::ReferProgress {
            refer: self.id,
            status,
            last,
        });
        if last {
            self.finish();
        }
    }

    fn fail(&mut self, core: &mut Core, failure: ReferFailure) {
        core.tell(Event::ReferFailed { refer: self.id, failure });
        self.finish();
    }

    fn finish(&mut self) {
        self.timers.stop_all();
        self.over = true;
    }
}
