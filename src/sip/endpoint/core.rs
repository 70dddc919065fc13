//! What calls and subscriptions share: transactions, dialogs, chance, the way out. It has no state of its own about either.

use std::{collections::VecDeque, time::Instant};

use super::{
    EndpointConfig,
    event::{Body, CommandError, Event, Presentation},
    flow::Target,
};
use crate::sip::{
    dialog::{DialogNo, Dialogs},
    msg::{Headers, Method, Name, Request},
    transaction::{ClientId, Clients, Dice, Outgoing, Owner, Reply, ServerId, Servers, Unsendable, Wire},
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
            clients: Clients::new(&config),
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
    pub(crate) fn send(&mut self, now: Instant, outgoing: Outgoing) -> Result<ClientId, Unsendable> {
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
        let mut outgoing = self.inside(owner, dialog, method)?;
        fill(&mut outgoing.request);
        self.send(now, outgoing)
    }

    /// A request inside a dialog, with its next number and all headers but `Via`.
    pub(crate) fn inside(&mut self, owner: Owner, no: DialogNo, method: Method) -> Result<Outgoing, Unsendable> {
        let dialog = self.dialogs.get_mut(no).ok_or(NO_DIALOG)?;
        Ok(Outgoing {
            owner,
            dialog: Some(no),
            way: dialog.way(&self.clients.ways)?,
            local: Some(dialog.local_address),
            request: dialog.request(method),
            contact: None,
        })
    }

    /// Acknowledges a 2xx to the INVITE of ours with this sequence number.
    pub(crate) fn acknowledge(&mut self, invite: ClientId, dialog: DialogNo, cseq: u32) -> Result<(), Unsendable> {
        let dialog = self.dialogs.get(dialog).ok_or(NO_DIALOG)?;
        let way = dialog.way(&self.clients.ways)?;
        let local = Some(dialog.local_address);
        let ack = dialog.ack(cseq);
        self.clients.acknowledge(&mut self.wire, &mut self.dice, invite, ack, (way, local))
    }

    /// Changes what our Contact in a dialog says; a user that isn't named stays.
    pub(crate) fn present(&mut self, way: &Target, dialog: DialogNo, presentation: Presentation) -> Result<(), Unsendable> {
        let known = self.dialogs.get(dialog).ok_or(NO_DIALOG)?.contact.uri.as_sip();
        let secure = known.is_some_and(|uri| uri.secure);
        let known = known.and_then(|uri| uri.user.clone());
        let contact = self.clients.ways.contact(
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
        format!("INVITE, ACK, CANCEL, OPTIONS, BYE, UPDATE, INFO, PRACK, REFER, NOTIFY{subscribe}")
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

/// Extensions that we know (RFC 3262, 3891, 3911, 4028, 4488).
pub(crate) const SUPPORTED: &[&str] = &["timer", "100rel", "norefersub", "replaces", "join"];

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
