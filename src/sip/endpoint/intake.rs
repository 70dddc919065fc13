//! From a message to whom it concerns: what every request has to pass, in the order of RFC 3261 section 8.2, and which code it gets if not.

use std::time::Instant;

use super::{
    Endpoint, Event, Flow, OptionsId, Target, Transmit,
    core::{Core, SUPPORTED, reason_of},
};
use crate::sip::{
    call::table::{InDialog, OVERLOAD_RETRY},
    msg::{HeaderError, Headers, Malformed, Message, Method, Name, Request, Response},
    refer,
    subscription::Subscribe,
    transaction::{Kind, Known, Reply, Seen, ServerId, note_source, shows_credentials},
};

impl Endpoint {
    pub(super) fn handle_message(&mut self, now: Instant, flow: Flow, message: Result<Message, Malformed>) {
        match message {
            Ok(Message::Request(request)) => self.handle_request(now, flow, request),
            Ok(Message::Response(response)) => {
                let Core { clients, wire, dice, .. } = &mut self.core;
                if let Some(report) = clients.handle_response(now, wire, dice, flow, response) {
                    self.handle_report(now, report);
                }
            }
            Err(malformed) => self.handle_malformed(now, flow, malformed),
        }
    }

    /// Says no to what can't be read, if it says to whom (rule R40); without a transaction, so that nothing is kept.
    fn handle_malformed(&mut self, now: Instant, flow: Flow, malformed: Malformed) {
        let source = flow.remote.ip();
        let throttled = self.core.wire.sources.is_throttled(now, source);
        match malformed.reply {
            Some(reply) if !throttled => {
                self.core.wire.counters.malformed_answered += 1;
                self.core.wire.sources.refused(now, source);
                self.answer_without_transaction(Target::Flow(flow), *reply);
            }
            Some(_) | None => self.core.wire.counters.malformed_dropped += 1,
        }
    }

    /// Sends a response of which nothing is kept. Retransmissions get the same, tag included (RFC 3261 section 8.2.7).
    fn answer_without_transaction(&mut self, target: Target, mut response: Response) {
        if let Ok(to) = response.headers.to()
            && to.tag().is_none()
        {
            response.headers.set(Name::To, to.with_tag(&self.core.stateless_tag));
        }
        self.core.wire.out.push_back(Transmit {
            target,
            bytes: response.to_bytes(),
        });
    }

    fn handle_request(&mut self, now: Instant, flow: Flow, mut request: Request) {
        let seen = note_source(flow, &mut request).and_then(|()| Seen::read(flow, &request));
        let seen = match seen {
            Ok(seen) => seen,
            Err(why) => return self.refuse_unread(now, flow, &request, &why),
        };
        match self.core.servers.handle_request(now, &mut self.core.wire, &seen, &request.method) {
            Known::Repeated => {}
            Known::AckForCall => self.handle_ack(now, &seen, &request),
            Known::New if request.method == Method::Ack => self.handle_ack(now, &seen, &request),
            Known::New => self.handle_new(now, &seen, request),
        }
    }

    fn refuse_unread(&mut self, now: Instant, flow: Flow, request: &Request, why: &HeaderError) {
        if request.method == Method::Ack || self.core.wire.sources.is_throttled(now, flow.remote.ip()) {
            self.core.wire.counters.malformed_dropped += 1;
            return;
        }
        self.core.wire.counters.malformed_answered += 1;
        self.core.wire.sources.refused(now, flow.remote.ip());
        let mut response = Response::to_request(request, 400);
        response.reason = format!("Bad Request: {why}");
        self.answer_without_transaction(Target::Flow(flow), response);
    }

    fn handle_ack(&mut self, now: Instant, seen: &Seen, request: &Request) {
        if !self.calls.handle_ack(&mut self.core, now, seen, request) {
            self.core.wire.counters.stray_acks += 1;
        }
    }

    fn handle_new(&mut self, now: Instant, seen: &Seen, request: Request) {
        let source = seen.flow.remote.ip();
        if seen.to_tag.is_none() && self.core.wire.sources.is_throttled(now, source) {
            self.core.wire.counters.throttled += 1;
            return;
        }
        let too_many_unproven =
            seen.to_tag.is_none() && !shows_credentials(&request) && self.core.wire.sources.is_full(Kind::Unproven, source);
        self.core.wire.counters.unproven += u64::from(too_many_unproven);
        if too_many_unproven || !self.core.wire.sources.take(Kind::Transaction, source) {
            self.core.wire.counters.overload += u64::from(!too_many_unproven);
            let mut response = Response::to_request(&request, 503);
            response.headers.push(Name::RetryAfter, OVERLOAD_RETRY);
            return self.answer_without_transaction(seen.response_target(), response);
        }
        self.core.wire.counters.requests += 1;
        // Before `begin`, which would find the request itself.
        let merged = self.core.servers.is_merged(seen, &request.method);
        self.core.wire.counters.merged += u64::from(merged);
        let cancelled = (request.method == Method::Cancel).then(|| self.core.servers.find_cancelled(seen));
        let tag = self.core.dice.token();
        let server = self.core.servers.begin(now, seen, &request, &tag);
        if let Some(cancelled) = cancelled {
            return self.handle_cancel(now, server, cancelled, &request);
        }
        if let Err(reply) = self.inspect(seen, &request, merged) {
            return self.core.refuse(now, server, *reply);
        }
        match self.core.dialogs.find(seen) {
            Some(dialog) => self.handle_in_dialog(
                now,
                InDialog {
                    server,
                    dialog,
                    seen,
                    request,
                },
                &tag,
            ),
            // The first NOTIFY of a REFER of ours may come before the response that makes the dialog.
            None if request.method == Method::Notify => {
                let incoming = refer::Incoming {
                    server,
                    seen,
                    request,
                    tag: &tag,
                    dialog: None,
                    call: None,
                };
                self.refers.handle_request(&mut self.core, now, refer::Kind::Notify, incoming);
            }
            None if seen.to_tag.is_some() => {
                self.core.wire.counters.no_dialog += 1;
                self.core.respond(now, server, Reply::new(481));
            }
            None => self.handle_out_of_dialog(now, server, seen, request, &tag),
        }
    }

    /// RFC 3261 section 9.2: the CANCEL is answered whatever becomes of it.
    fn handle_cancel(&mut self, now: Instant, server: ServerId, cancelled: Option<(ServerId, bool)>, request: &Request) {
        let Some((invite, open)) = cancelled else {
            self.core.wire.counters.no_dialog += 1;
            self.core.respond(now, server, Reply::new(481));
            return;
        };
        self.core.respond(now, server, Reply::new(200));
        if open {
            self.calls.handle_cancel(&mut self.core, now, invite, reason_of(request));
        }
    }

    fn handle_in_dialog(&mut self, now: Instant, incoming: InDialog<'_>, tag: &str) {
        let InDialog {
            server,
            dialog,
            seen,
            request,
        } = incoming;
        let fresh = self.core.dialogs.get_mut(dialog).map(|d| d.take_cseq(seen.cseq));
        if fresh != Some(Ok(())) {
            self.core.respond(now, server, Reply::new(500).because("Old CSeq"));
            return;
        }
        let call = self.calls.of_dialog(dialog);
        if let Some(kind) = refer::Kind::of(&request) {
            let incoming = refer::Incoming {
                server,
                seen,
                request,
                tag,
                dialog: Some(dialog),
                call,
            };
            return self.refers.handle_request(&mut self.core, now, kind, incoming);
        }
        if request.method == Method::Subscribe {
            let subscribe = Subscribe {
                server,
                seen,
                request,
                tag,
                dialog: Some(dialog),
                call,
            };
            return self.subscriptions.handle_subscribe(&mut self.core, now, subscribe);
        }
        if call.is_none() {
            // A subscription's dialog, after its call or without one.
            self.core.wire.counters.no_dialog += 1;
            self.core.respond(now, server, Reply::new(481));
            return;
        }
        self.calls.handle_request(
            &mut self.core,
            now,
            InDialog {
                server,
                dialog,
                seen,
                request,
            },
        );
    }

    fn handle_out_of_dialog(&mut self, now: Instant, server: ServerId, seen: &Seen, request: Request, tag: &str) {
        match request.method {
            Method::Invite => self.calls.handle_invite(&mut self.core, now, server, seen, request, tag),
            Method::Subscribe => {
                let subscribe = Subscribe {
                    server,
                    seen,
                    request,
                    tag,
                    dialog: None,
                    call: None,
                };
                self.subscriptions.handle_subscribe(&mut self.core, now, subscribe);
            }
            Method::Options => {
                let options = OptionsId(server.0);
                self.core.tell(Event::Options {
                    options,
                    flow: seen.flow,
                    request: Box::new(request),
                });
            }
            Method::Refer => {
                let incoming = refer::Incoming {
                    server,
                    seen,
                    request,
                    tag,
                    dialog: None,
                    call: None,
                };
                self.refers.handle_request(&mut self.core, now, refer::Kind::Refer, incoming);
            }
            // BYE, UPDATE and INFO live inside of dialogs; the rest was refused before.
            Method::Ack
            | Method::Bye
            | Method::Cancel
            | Method::Register
            | Method::Notify
            | Method::Update
            | Method::Prack
            | Method::Info
            | Method::Message
            | Method::Publish
            | Method::Other(_) => {
                self.core.wire.counters.no_dialog += 1;
                self.core.respond(now, server, Reply::new(481));
            }
        }
    }

    /// What any request but ACK and CANCEL has to pass (RFC 3261 sections 8.2.1 to 8.2.3).
    fn inspect(&self, seen: &Seen, request: &Request, merged: bool) -> Result<(), Box<Reply>> {
        match self.service(&request.method) {
            Service::Served => {}
            Service::Known => return Err(Box::new(Reply::new(405).with(Name::Allow, self.core.allow()))),
            Service::Unknown => return Err(Box::new(Reply::new(501).with(Name::Allow, self.core.allow()))),
        }
        if seen.to_tag.is_none() {
            // Over an open hop `sips` would promise what is broken already (RFC 5630 section 3.2).
            let takes = |secure: bool| !secure || seen.flow.is_protected();
            if !request.uri.as_sip().is_some_and(|uri| takes(uri.secure)) {
                return Err(Box::new(Reply::new(416)));
            }
            if merged {
                return Err(Box::new(Reply::new(482)));
            }
        }
        // RFC 3891 section 3, RFC 3911 section 4: nothing but an INVITE can take a call's place or join it.
        if request.method != Method::Invite && (request.headers.has(Name::Replaces) || request.headers.has(Name::Join)) {
            return Err(Box::new(
                Reply::new(400).because("Bad Request: Replaces or Join outside of an INVITE"),
            ));
        }
        let unsupported = unsupported(&request.headers).map_err(bad_request)?;
        if !unsupported.is_empty() {
            return Err(Box::new(Reply::new(420).with(Name::Unsupported, unsupported.join(", "))));
        }
        inspect_body(request)
    }

    fn service(&self, method: &Method) -> Service {
        match method {
            Method::Invite
            | Method::Ack
            | Method::Cancel
            | Method::Bye
            | Method::Options
            | Method::Update
            | Method::Info
            | Method::Refer
            | Method::Notify
            | Method::Prack => Service::Served,
            Method::Subscribe if !self.core.config.packages.is_empty() => Service::Served,
            Method::Other(_) => Service::Unknown,
            Method::Register | Method::Subscribe | Method::Message | Method::Publish => Service::Known,
        }
    }
}

/// What we do about a method (rule R40).
enum Service {
    /// It.
    Served,
    /// Nothing, but we know what it is.
    Known,
    /// Nothing.
    Unknown,
}

fn unsupported(headers: &Headers) -> Result<Vec<String>, HeaderError> {
    let mut required = headers.require()?;
    required.retain(|tag| !SUPPORTED.iter().any(|known| known.eq_ignore_ascii_case(tag)));
    Ok(required)
}

/// Whether we can read the body, and they ours (RFC 3261 section 8.2.3).
fn inspect_body(request: &Request) -> Result<(), Box<Reply>> {
    let headers = &request.headers;
    let negotiates = matches!(request.method, Method::Invite | Method::Update | Method::Prack);
    if negotiates {
        let accepted = headers.accept().map_err(bad_request)?;
        let takes_sdp = accepted.is_none_or(|ranges| ranges.iter().any(|range| range.covers("application", "sdp")));
        if !takes_sdp {
            let why = "399 cusax \"Only application/sdp can be answered\"";
            return Err(Box::new(Reply::new(406).with(Name::Warning, why)));
        }
    }
    if request.body.is_empty() {
        return Ok(());
    }
    let plain = headers
        .all(Name::ContentEncoding)
        .all(|encoding| encoding.eq_ignore_ascii_case(b"identity") || encoding.is_empty());
    if !plain {
        return Err(Box::new(Reply::new(415).with(Name::AcceptEncoding, "identity")));
    }
    let content_type = headers.content_type().map_err(bad_request)?;
    if negotiates && !content_type.is_some_and(|t| t.is("application", "sdp")) {
        return Err(Box::new(Reply::new(415).with(Name::Accept, "application/sdp")));
    }
    Ok(())
}

fn bad_request(why: HeaderError) -> Box<Reply> {
    Box::new(Reply::new(400).because(&format!("Bad Request: {why}")))
}
