//! The demo's chat users: ordinary XMPP clients at the demo's own server.

use std::{net::SocketAddr, time::Duration};

use futures_util::StreamExt;
use jid::Jid;
use minidom::Element;
use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{timeout, timeout_at},
};
use tokio_xmpp::{
    Client, Event, Stanza,
    connect::{DnsConfig, TcpServerConnector},
    xmlstream::Timeouts,
};
use xmpp_parsers::{iq::Iq, message::Message, presence::Presence};

use crate::xmpp::{
    muc::{NS_ADMIN, NS_INFO, NS_MUC, NS_USER, status},
    stanza::{self, element, text, with},
};

/// Stanzas that wait for whoever reads a user's mail; what comes on top is lost. A whole script brings some fifty.
const UNREAD: usize = 1024;
/// Stanzas that a user keeps to look through again, for the same reason.
const KEPT: usize = 1024;
/// A stream is closed in good order within this time, or not at all.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);

/// Why something in the chat did not happen.
#[derive(Debug, thiserror::Error)]
pub(super) enum ChatError {
    /// No stanza like it came.
    #[error("nothing of the kind in the chat within {0:?}")]
    Late(Duration),
    /// The server or the room refuses.
    #[error("refused: {0}")]
    Refused(String),
    /// The stream is gone, or was never there.
    #[error("the chat stream ended")]
    Ended,
}

/// One user who is logged in; logs out when dropped.
#[derive(Debug)]
pub(super) struct ChatUser {
    room: String,
    nick: String,
    send: mpsc::Sender<Element>,
    received: mpsc::Receiver<Heard>,
    seen: Vec<Element>,
    last_id: u32,
    task: JoinHandle<()>,
}

#[derive(Debug)]
enum Heard {
    Online,
    Stanza(Box<Element>),
}

impl ChatUser {
    /// Logs `name` of `localhost` in, whose password is the name, and enters a room.
    pub(super) async fn enter(server: SocketAddr, name: &str, room: &str, nick: &str, limit: Duration) -> Result<Self, ChatError> {
        let jid = Jid::new(&format!("{name}@localhost/demo")).map_err(|e| ChatError::Refused(e.to_string()))?;
        let connector = TcpServerConnector::from(DnsConfig::addr(&server.to_string()));
        let client = Client::new_with_connector(jid, name, connector, Timeouts::tight());
        let (send, orders) = mpsc::channel(16);
        let (tell, received) = mpsc::channel(UNREAD);
        let mut user = Self {
            room: room.to_owned(),
            nick: nick.to_owned(),
            send,
            received,
            seen: Vec::new(),
            last_id: 0,
            task: tokio::spawn(run(client, orders, tell)),
        };
        match timeout(limit, user.received.recv()).await {
            Ok(Some(Heard::Online)) => user.join(limit).await?,
            Ok(Some(Heard::Stanza(_)) | None) => return Err(ChatError::Ended),
            Err(_) => return Err(ChatError::Late(limit)),
        }
        Ok(user)
    }

    /// Logs out, and waits for that a little.
    pub(super) async fn leave(self) {
        drop(self.send);
        // A server that is gone already can't be told.
        let _ = timeout(CLOSE_WITHIN, self.task).await;
    }

    async fn join(&mut self, limit: Duration) -> Result<(), ChatError> {
        let me = format!("{}/{}", self.room, self.nick);
        let presence = element("presence", stanza::NS, &[("to", Some(&me))]);
        self.say(with(presence, [Element::bare("x", NS_MUC)])).await?;
        self.find(limit, |s| {
            let ours = s.name() == "presence" && s.attr("from") == Some(&me);
            match s.attr("type") {
                Some("error") if ours => Some(Err(ChatError::Refused(condition(s)))),
                None if ours && codes(s).any(|c| c == status::SELF) => Some(Ok(())),
                _ => None,
            }
        })
        .await?
    }

    /// Waits for a stanza, among those kept and those to come; what `wanted` makes of it is returned.
    pub(super) async fn find<T>(&mut self, limit: Duration, mut wanted: impl FnMut(&Element) -> Option<T>) -> Result<T, ChatError> {
        if let Some(found) = self.seen.iter().find_map(&mut wanted) {
            return Ok(found);
        }
        let until = tokio::time::Instant::now() + limit;
        loop {
            let next = timeout_at(until, self.next()).await.map_err(|_| ChatError::Late(limit))?;
            let stanza = next.ok_or(ChatError::Ended)?;
            let found = wanted(&stanza);
            if self.seen.len() < KEPT {
                self.seen.push(stanza);
            }
            if let Some(found) = found {
                return Ok(found);
            }
        }
    }

    /// Forgets what was kept, and what came and was not read.
    pub(super) fn forget(&mut self) {
        self.seen.clear();
        while self.received.try_recv().is_ok() {}
    }

    /// The next stanza; `None` if the stream is gone for good.
    pub(super) async fn next(&mut self) -> Option<Element> {
        loop {
            match self.received.recv().await? {
                // The library came back after a break.
                Heard::Online => {}
                Heard::Stanza(stanza) => return Some(*stanza),
            }
        }
    }

    /// Gives an occupant a role, as any client's moderator menu does.
    pub(super) async fn set_role(&mut self, nick: &str, role: &str, reason: Option<&str>, limit: Duration) -> Result<(), ChatError> {
        let item = element("item", NS_ADMIN, &[("nick", Some(nick)), ("role", Some(role))]);
        let item = with(item, reason.map(|r| text("reason", NS_ADMIN, r)));
        self.ask("set", with(Element::bare("query", NS_ADMIN), [item]), limit)
            .await
            .map(|_| ())
    }

    /// What the room says of itself: the values of one field of its description.
    pub(super) async fn room_info(&mut self, field: &str, limit: Duration) -> Result<Option<String>, ChatError> {
        let answer = self.ask("get", Element::bare("query", NS_INFO), limit).await?;
        let fields = |form: &Element| -> Option<String> {
            let field = form.children().find(|f| f.name() == "field" && f.attr("var") == Some(field))?;
            field.children().find(|v| v.name() == "value").map(Element::text)
        };
        Ok(answer.children().flat_map(Element::children).find_map(fields))
    }

    /// Says something to all, and waits for it to come back.
    pub(super) async fn talk(&mut self, body: &str, limit: Duration) -> Result<(), ChatError> {
        let id = self.id();
        let to = self.room.clone();
        let message = element(
            "message",
            stanza::NS,
            &[("to", Some(&to)), ("type", Some("groupchat")), ("id", Some(&id))],
        );
        self.say(with(message, [text("body", stanza::NS, body)])).await?;
        self.find(limit, |s| {
            let ours = s.name() == "message" && s.attr("id") == Some(&id);
            match s.attr("type") {
                Some("groupchat") if ours => Some(Ok(())),
                Some("error") if ours => Some(Err(ChatError::Refused(condition(s)))),
                _ => None,
            }
        })
        .await?
    }

    async fn ask(&mut self, kind: &str, query: Element, limit: Duration) -> Result<Element, ChatError> {
        let id = self.id();
        let to = self.room.clone();
        let iq = element("iq", stanza::NS, &[("to", Some(&to)), ("type", Some(kind)), ("id", Some(&id))]);
        self.say(with(iq, [query])).await?;
        self.find(limit, |s| {
            let ours = s.name() == "iq" && s.attr("id") == Some(&id);
            match s.attr("type") {
                Some("result") if ours => Some(Ok(s.clone())),
                Some("error") if ours => Some(Err(ChatError::Refused(condition(s)))),
                _ => None,
            }
        })
        .await?
    }

    fn id(&mut self) -> String {
        self.last_id += 1;
        format!("demo-{}", self.last_id)
    }

    async fn say(&self, stanza: Element) -> Result<(), ChatError> {
        self.send.send(stanza).await.map_err(|_| ChatError::Ended)
    }
}

/// Moves stanzas until the user is dropped or the stream fails for good.
async fn run(mut client: Client, mut orders: mpsc::Receiver<Element>, tell: mpsc::Sender<Heard>) {
    loop {
        tokio::select! {
            order = orders.recv() => {
                let Some(order) = order else { break };
                let Some(stanza) = typed(order) else { continue };
                if client.send_stanza(stanza).await.is_err() {
                    break;
                }
            }
            event = client.next() => {
                let heard = match event {
                    Some(Event::Online { .. }) => Heard::Online,
                    Some(Event::Stanza(stanza)) => Heard::Stanza(Box::new(untyped(stanza))),
                    Some(Event::Disconnected(_)) => continue,
                    None => return,
                };
                // Nobody reads any more: what is waited for was found, or will be missed, which is told.
                let _ = tell.try_send(heard);
            }
        }
    }
    // A server that is gone already can't be told.
    let _ = timeout(CLOSE_WITHIN, client.send_end()).await;
}

/// Our currency to the library's.
fn typed(stanza: Element) -> Option<Stanza> {
    match stanza.name() {
        "iq" => Iq::try_from(stanza).ok().map(Stanza::Iq),
        "message" => Message::try_from(stanza).ok().map(Stanza::Message),
        "presence" => Presence::try_from(stanza).ok().map(Stanza::Presence),
        _ => None,
    }
}

fn untyped(stanza: Stanza) -> Element {
    match stanza {
        Stanza::Iq(iq) => iq.into(),
        Stanza::Message(message) => message.into(),
        Stanza::Presence(presence) => presence.into(),
    }
}

/// The status codes of a presence from a room.
pub(super) fn codes(presence: &Element) -> impl Iterator<Item = u16> {
    let x = presence.children().filter(|c| c.is("x", NS_USER));
    x.flat_map(|x| x.children().filter(|c| c.name() == "status"))
        .filter_map(|s| s.attr("code")?.parse().ok())
}

/// The role that a presence from a room tells.
pub(super) fn role(presence: &Element) -> Option<&str> {
    presence.get_child("x", NS_USER)?.get_child("item", NS_USER)?.attr("role")
}

/// Who says what, if a stanza is a message to all.
pub(super) fn spoken(stanza: &Element) -> Option<(String, String)> {
    if stanza.name() != "message" || stanza.attr("type") != Some("groupchat") {
        return None;
    }
    let body = stanza.get_child("body", stanza::NS)?.text();
    let nick = stanza.attr("from")?.split_once('/')?.1.to_owned();
    Some((nick, body))
}

/// The condition of an error stanza.
fn condition(stanza: &Element) -> String {
    let error = stanza.get_child("error", stanza::NS);
    let condition = error.and_then(|e| e.children().find(|c| c.has_ns(stanza::NS_STANZAS)));
    condition.map_or_else(|| "without a reason".to_owned(), |c| c.name().to_owned())
}
