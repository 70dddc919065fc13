//! What calls and subscriptions share: transactions, dialogs, chance, the way out. It has no state of its own about either.

use std::{collections::VecDeque, time::Instant};

use super::{
    EndpointConfig,
    event::{Body, CommandError, Event, Presentation},
    flow::{Target, Transport},
};
use crate::sip::{
    dialog::{DialogNo, Dialogs},
    msg::{Headers, Method, Name, NameAddr, Request, Uri},
    transaction::{ClientId, Clients, Dice, Outgoing, Owner, Reply, ServerId, Servers, Unsendable, Wire, host_of},
};

/// What calls and subscriptions work with.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) config: EndpointConfig,
    pub(crate) dice: Dice,
    pub(crate) wire: Wire,
    pub(crate) servers: Servers,
    pub(crate) clients: Clients,
    pub(crate) dialogs: Dialogs,
    /// Our tag in responses of which nothing is kept.
    pub(crate) stateless_tag: String,
    /// Drained after each call of the endpoint, which adds a handful.
    pub(crate) events: VecDeque<Event>,
}

impl Core {
    pub(crate) fn new(config: EndpointConfig, seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        Self {
            stateless_tag: dice.token(),
            dice,
            wire: Wire::new(config.limits),
            servers: Servers::default(),
            clients: Clients::new(config.listeners.clone()),
            dialogs: Dialogs::default(),
            events: VecDeque::new(),
            config,
        }
    }

    pub(crate) fn tell(&mut self, event: Event) {
        self.events.push_back(event);
    }

    /// Answers a request; `false` if that comes too late.
    pub(crate) fn respond(&mut self, now: Instant, server: ServerId, reply: Reply) -> bool {
        self.servers.respond(now, &mut self.wire, server, reply)
    }

    /// Refuses a request for what it says, and counts that.
    pub(crate) fn refuse(&mut self, now: Instant, server: ServerId, reply: Reply) {
        self.wire.counters.refused += 1;
        self.respond(now, server, reply);
    }

    /// Sends a request that has all headers but `Via`.
    pub(crate) fn send(&mut self, now: Instant, owner: Owner, request: Request, target: Target) -> Result<ClientId, Unsendable> {
        let outgoing = Outgoing { owner, request, target };
        let sent = self.clients.send(now, &mut self.wire, &mut self.dice, outgoing);
        self.wire.counters.unsendable += u64::from(sent.is_err());
        sent
    }

    /// Sends a request inside a dialog, after `fill` has added to it.
    pub(crate) fn send_in_dialog(
        &mut self,
        now: Instant,
        owner: Owner,
        dialog: DialogNo,
        method: Method,
        fill: impl FnOnce(&mut Request),
    ) -> Result<ClientId, Unsendable> {
        let dialog = self.dialogs.get_mut(dialog).ok_or(NO_DIALOG)?;
        let target = dialog.hop(&self.clients.ways)?;
        let mut request = dialog.request(method);
        fill(&mut request);
        self.send(now, owner, request, target)
    }

    /// Acknowledges a 2xx to the INVITE of ours with this sequence number.
    pub(crate) fn acknowledge(&mut self, invite: ClientId, dialog: DialogNo, cseq: u32) -> Result<(), Unsendable> {
        let dialog = self.dialogs.get(dialog).ok_or(NO_DIALOG)?;
        let target = dialog.hop(&self.clients.ways)?;
        let ack = dialog.ack(cseq);
        self.clients.acknowledge(&mut self.wire, &mut self.dice, invite, ack, target)
    }

    /// Our Contact for a peer that is reached this way; `secure`: as a `sips` URI, where the way is protected.
    pub(crate) fn contact(&self, way: &Target, presentation: &Presentation, secure: bool) -> Result<NameAddr, Unsendable> {
        let listener = self.clients.ways.listener(way.transport(), way.remote(), Some(way.local()))?;
        let mut uri = Uri::sip(presentation.user.as_deref(), host_of(listener)?, Some(listener.port));
        if let Some(sip) = uri.as_sip_mut() {
            match way.transport() {
                Transport::Udp => {}
                // `sips` says it all (RFC 5630 section 3.1.4).
                Transport::Tls if secure => sip.secure = true,
                // `ws` is no old spelling of something else, so it is said beside `sips` too (RFC 7118 section 5.5).
                transport @ (Transport::Ws | Transport::Wss) => {
                    sip.secure = secure;
                    sip.params.set("transport", Some(transport.as_param()));
                }
                transport @ (Transport::Tcp | Transport::Tls) => sip.params.set("transport", Some(transport.as_param())),
            }
        }
        let mut contact = NameAddr::new(uri);
        if presentation.focus {
            contact.params.set("isfocus", None);
        }
        Ok(contact)
    }

    /// Changes what our Contact in a dialog says; a user that isn't named stays.
    pub(crate) fn present(&mut self, way: &Target, dialog: DialogNo, presentation: Presentation) -> Result<(), Unsendable> {
        let known = self.dialogs.get(dialog).ok_or(NO_DIALOG)?.contact.uri.as_sip();
        let secure = known.is_some_and(|uri| uri.secure);
        let known = known.and_then(|uri| uri.user.clone());
        let contact = self.contact(
            way,
            &Presentation {
                user: presentation.user.or(known),
                focus: presentation.focus,
            },
            secure,
        )?;
        if let Some(dialog) = self.dialogs.get_mut(dialog) {
            dialog.contact = contact;
        }
        Ok(())
    }

    /// The methods that we serve.
    pub(crate) fn allow(&self) -> String {
        let subscribe = if self.config.packages.is_empty() { "" } else { ", SUBSCRIBE" };
        format!("INVITE, ACK, CANCEL, OPTIONS, BYE, UPDATE, INFO, REFER, NOTIFY{subscribe}")
    }

    /// What we can do: in answers to INVITE, UPDATE and OPTIONS (checklist M-1).
    pub(crate) fn add_capabilities(&self, headers: &mut Headers) {
        headers.push(Name::Allow, self.allow());
        headers.push(Name::Supported, SUPPORTED.join(", "));
        headers.push(Name::Accept, self.config.accept.join(", "));
        if !self.config.packages.is_empty() {
            headers.push(Name::AllowEvents, self.config.packages.join(", "));
        }
    }
}

/// Extensions that we know (RFC 4028, 4488).
pub(crate) const SUPPORTED: &[&str] = &["timer", "norefersub"];

const NO_DIALOG: Unsendable = Unsendable("its dialog is gone");

impl From<Unsendable> for CommandError {
    fn from(why: Unsendable) -> Self {
        Self::Unreachable(why.0)
    }
}

/// The body of a message, if there is one.
pub(crate) fn body_of(headers: &Headers, bytes: &[u8]) -> Option<Body> {
    if bytes.is_empty() {
        return None;
    }
    let content_type = headers
        .first(Name::ContentType)
        .map(|v| String::from_utf8_lossy(v).into_owned())
        .unwrap_or_default();
    Some(Body {
        content_type,
        bytes: bytes.to_vec(),
    })
}

/// The `Reason` header field as given (RFC 3326).
pub(crate) fn reason_of(request: &Request) -> Option<String> {
    request
        .headers
        .first(Name::Reason)
        .map(|value| String::from_utf8_lossy(value).into_owned())
}
