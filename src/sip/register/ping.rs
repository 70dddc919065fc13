//! Asking a peer by OPTIONS, again and again, whether it is there (RFC 3261 section 11).

use std::time::{Duration, Instant};

use crate::{
    model::PingId,
    sip::{
        dialog::MAX_FORWARDS,
        endpoint::{Core, Event, Presentation},
        msg::{CSeq, Method, Name, NameAddr, Request, Uri},
        transaction::{
            Failure, OurContact, Outgoing, Owner, Report,
            timer::{Named, Timers},
        },
    },
};

/// Whom to ask, and how often.
#[derive(Debug, Clone)]
pub struct PingArgs {
    /// Whom: Request-URI and To.
    pub to: Uri,
    /// Who asks: From.
    pub from: Uri,
    /// How long after one answer the next question goes out.
    pub every: Duration,
}

/// What an answer, or none, says of a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liveness {
    /// It answers, be it with a refusal.
    Alive,
    /// It answers 503: it is there, and takes nothing new.
    Busy,
    /// It doesn't answer, or can't be reached: in words.
    Down(&'static str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Next;

impl Named for Next {
    fn name(self) -> &'static str {
        "OPTIONS to a peer"
    }
}

/// One peer that is asked.
#[derive(Debug)]
pub(super) struct Ping {
    id: PingId,
    args: PingArgs,
    timers: Timers<Next>,
}

impl Ping {
    pub(super) fn new(now: Instant, id: PingId, args: PingArgs) -> Self {
        let mut timers = Timers::default();
        timers.set(Next, now);
        Self { id, args, timers }
    }

    pub(super) fn next_timer(&self) -> Option<(Instant, &'static str)> {
        self.timers.next()
    }

    pub(super) fn handle_timeout(&mut self, core: &mut Core, now: Instant) {
        while self.timers.pop_due(now).is_some() {
            self.ask(core, now);
        }
    }

    pub(super) fn handle_report(&mut self, core: &mut Core, now: Instant, report: Report) {
        match report.outcome {
            Ok((response, _)) if response.status < 200 => {}
            Ok((response, _)) if response.status == 503 => self.learn(core, now, Liveness::Busy),
            Ok(_) => self.learn(core, now, Liveness::Alive),
            Err(Failure::TimedOut) => self.learn(core, now, Liveness::Down("no answer")),
            Err(Failure::Unreachable) => self.learn(core, now, Liveness::Down("no connection")),
            Err(Failure::Unresolved) => self.learn(core, now, Liveness::Down("the name leads nowhere")),
        }
    }

    fn ask(&mut self, core: &mut Core, now: Instant) {
        let mut request = Request::new(Method::Options, self.args.to.clone());
        let headers = &mut request.headers;
        headers.push(Name::MaxForwards, MAX_FORWARDS);
        headers.push(Name::From, NameAddr::new(self.args.from.clone()).with_tag(&core.dice.token()));
        headers.push(Name::To, NameAddr::new(self.args.to.clone()));
        headers.push(Name::CallId, core.dice.token());
        headers.push(Name::CSeq, CSeq::new(core.dice.cseq(), Method::Options));
        headers.push(Name::Accept, "application/sdp");
        let contact = OurContact {
            presentation: Presentation::default(),
            secure: self.args.to.as_sip().is_some_and(|uri| uri.secure),
            flow: None,
        };
        let outgoing = Outgoing::outside(Owner::Ping(self.id), request, contact, None);
        if let Err(why) = outgoing.and_then(|outgoing| core.send(now, outgoing)) {
            self.learn(core, now, Liveness::Down(why.0));
        }
    }

    fn learn(&mut self, core: &mut Core, now: Instant, liveness: Liveness) {
        self.timers.set(Next, now + self.args.every);
        core.tell(Event::Pinged { ping: self.id, liveness });
    }
}
