//! What a stanza is, whom it is from and to, and how it is answered. Does not know what stanzas mean to a room.

use jid::Jid;
use minidom::{Element, Node};
use rxml::{Namespace, NcName};
use xmpp_parsers::stanza_error::StanzaError;
pub use xmpp_parsers::stanza_error::{DefinedCondition, ErrorType};

/// The namespace of every stanza inside this program, whatever the stream calls it (rule R22).
pub const NS: &str = "jabber:client";

/// The namespace of the defined conditions and their text (RFC 6120 section 8.3.2).
pub const NS_STANZAS: &str = "urn:ietf:params:xml:ns:xmpp-stanzas";

/// What a stanza is, by its name and `type` attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `<iq/>`.
    Iq(IqKind),
    /// `<message/>`.
    Message(MessageKind),
    /// `<presence/>`.
    Presence(PresenceKind),
    /// Not a stanza.
    Other,
}

/// The types of an IQ (RFC 6120 section 8.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IqKind {
    /// Asks.
    Get,
    /// Changes.
    Set,
    /// Answers.
    Result,
    /// Answers that it can't be done.
    Error,
    /// None of these, or without the `id` that section 8.1.3 demands: never answered.
    Bogus,
}

/// The types of a message (RFC 6121 section 5.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageKind {
    /// One of its own. Also every type that the section doesn't name, as it demands.
    Normal,
    /// One to one.
    Chat,
    /// To a room.
    GroupChat,
    /// An alert.
    Headline,
    /// Something sent earlier failed.
    Error,
}

/// The types of a presence (RFC 6121 section 4.7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PresenceKind {
    /// No type: here I am.
    Available,
    /// Gone.
    Unavailable,
    /// Wants to see the other's presence.
    Subscribe,
    /// Allows it.
    Subscribed,
    /// Doesn't want to see it any more.
    Unsubscribe,
    /// Doesn't allow it any more.
    Unsubscribed,
    /// A server asks for the present state.
    Probe,
    /// Something sent earlier failed.
    Error,
    /// A type that the section doesn't name.
    Bogus,
}

/// Says what a stanza is.
pub fn kind(stanza: &Element) -> Kind {
    if !stanza.has_ns(NS) {
        return Kind::Other;
    }
    let type_ = stanza.attr("type");
    match stanza.name() {
        "iq" => Kind::Iq(match type_ {
            _ if id(stanza).is_none() => IqKind::Bogus,
            Some("get") => IqKind::Get,
            Some("set") => IqKind::Set,
            Some("result") => IqKind::Result,
            Some("error") => IqKind::Error,
            _ => IqKind::Bogus,
        }),
        "message" => Kind::Message(match type_ {
            Some("chat") => MessageKind::Chat,
            Some("groupchat") => MessageKind::GroupChat,
            Some("headline") => MessageKind::Headline,
            Some("error") => MessageKind::Error,
            _ => MessageKind::Normal,
        }),
        "presence" => Kind::Presence(match type_ {
            None => PresenceKind::Available,
            Some("unavailable") => PresenceKind::Unavailable,
            Some("subscribe") => PresenceKind::Subscribe,
            Some("subscribed") => PresenceKind::Subscribed,
            Some("unsubscribe") => PresenceKind::Unsubscribe,
            Some("unsubscribed") => PresenceKind::Unsubscribed,
            Some("probe") => PresenceKind::Probe,
            Some("error") => PresenceKind::Error,
            _ => PresenceKind::Bogus,
        }),
        _ => Kind::Other,
    }
}

/// The sender; `None` if absent or not a JID.
pub fn from(stanza: &Element) -> Option<Jid> {
    stanza.attr("from").and_then(|j| Jid::new(j).ok())
}

/// The addressee; `None` if absent or not a JID.
pub fn to(stanza: &Element) -> Option<Jid> {
    stanza.attr("to").and_then(|j| Jid::new(j).ok())
}

/// The `id`.
pub fn id(stanza: &Element) -> Option<&str> {
    stanza.attr("id")
}

/// What an IQ get or set asks for: its first child element.
pub fn payload(iq: &Element) -> Option<&Element> {
    iq.children().next()
}

/// Sets or replaces an attribute without a namespace.
///
/// # Panics
///
/// If `name` isn't an XML name: names are literals of ours.
pub fn set(element: &mut Element, name: &'static str, value: impl Into<String>) {
    let name = NcName::try_from(name).expect("attribute names are literals of ours");
    element.attrs_mut().insert(Namespace::NONE, name, value.into());
}

/// Removes an attribute without a namespace.
pub fn unset(element: &mut Element, name: &str) {
    element.attrs_mut().remove(&Namespace::NONE, name);
}

/// An element with attributes and without children; an attribute whose value is `None` is left out.
///
/// # Panics
///
/// As [`set`].
pub fn element(name: &'static str, ns: &'static str, attributes: &[(&'static str, Option<&str>)]) -> Element {
    let mut element = Element::bare(name, ns);
    for (name, value) in attributes {
        if let Some(value) = value {
            set(&mut element, name, *value);
        }
    }
    element
}

/// An element that holds text only.
pub fn text(name: &'static str, ns: &'static str, text: &str) -> Element {
    let mut element = Element::bare(name, ns);
    element.append_text_node(text);
    element
}

/// Adds children, and gives the element back.
pub fn with<N: Into<Node>>(mut element: Element, children: impl IntoIterator<Item = N>) -> Element {
    for child in children {
        element.append_node(child.into());
    }
    element
}

/// Why something can't be done, as RFC 6120 section 8.3 says it.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// What the sender may do about it.
    pub type_: ErrorType,
    /// What is wrong.
    pub condition: DefinedCondition,
    /// Who says so, if not the addressee (section 8.3.1).
    pub by: Option<Jid>,
    /// The same in words.
    pub text: Option<String>,
    /// An application's own condition (section 8.3.4).
    pub detail: Option<Element>,
}

impl From<DefinedCondition> for Failure {
    fn from(condition: DefinedCondition) -> Self {
        Self {
            type_: usual_type(&condition),
            condition,
            by: None,
            text: None,
            detail: None,
        }
    }
}

impl Failure {
    /// Says it in words too.
    pub fn with_text(mut self, text: impl Into<String>) -> Self {
        self.text = Some(text.into());
        self
    }

    /// Names who says so.
    pub fn by(mut self, by: impl Into<Jid>) -> Self {
        self.by = Some(by.into());
        self
    }

    /// Sets the type, where the usual one of the condition doesn't fit.
    pub fn of_type(mut self, type_: ErrorType) -> Self {
        self.type_ = type_;
        self
    }

    /// Adds an application's own condition.
    pub fn with_detail(mut self, detail: Element) -> Self {
        self.detail = Some(detail);
        self
    }

    /// The `<error/>` child.
    pub fn into_element(self) -> Element {
        let texts = self.text.into_iter().map(|text| ("en".to_owned(), text)).collect();
        StanzaError {
            type_: self.type_,
            by: self.by,
            defined_condition: self.condition,
            texts,
            other: self.detail,
        }
        .into()
    }
}

/// The type that RFC 6120 section 8.3.3 recommends for a condition; the first where it names two.
fn usual_type(condition: &DefinedCondition) -> ErrorType {
    use DefinedCondition as C;
    match condition {
        C::BadRequest | C::JidMalformed | C::NotAcceptable | C::PolicyViolation | C::Redirect { .. } => ErrorType::Modify,
        C::Forbidden | C::NotAuthorized | C::RegistrationRequired | C::SubscriptionRequired => ErrorType::Auth,
        C::RecipientUnavailable | C::RemoteServerTimeout | C::ResourceConstraint | C::UnexpectedRequest => ErrorType::Wait,
        C::Conflict
        | C::FeatureNotImplemented
        | C::Gone { .. }
        | C::InternalServerError
        | C::ItemNotFound
        | C::NotAllowed
        | C::RemoteServerNotFound
        | C::ServiceUnavailable
        | C::UndefinedCondition => ErrorType::Cancel,
    }
}

/// The answer to an IQ get or set that it can't be done; `None` for everything else, which rule R23 leaves unanswered.
pub fn refuse_iq(stanza: &Element, failure: impl Into<Failure>) -> Option<Element> {
    match kind(stanza) {
        Kind::Iq(IqKind::Get | IqKind::Set) => Some(failed(stanza, failure.into())),
        Kind::Iq(_) | Kind::Message(_) | Kind::Presence(_) | Kind::Other => None,
    }
}

/// The answer that any stanza can't be handled, for services whose protocol says so (XEP-0045: joins, messages to a room).
///
/// `None` for errors, IQ results and what is no stanza: RFC 6120 section 8.3.1 forbids to answer these.
pub fn refuse(stanza: &Element, failure: impl Into<Failure>) -> Option<Element> {
    match kind(stanza) {
        Kind::Iq(IqKind::Get | IqKind::Set) => Some(failed(stanza, failure.into())),
        Kind::Message(MessageKind::Error) | Kind::Presence(PresenceKind::Error) => None,
        Kind::Message(_) | Kind::Presence(_) => Some(failed(stanza, failure.into())),
        Kind::Iq(IqKind::Result | IqKind::Error | IqKind::Bogus) | Kind::Other => None,
    }
}

/// The answer to an IQ get or set; `None` for everything else.
pub fn result(iq: &Element, payload: Option<Element>) -> Option<Element> {
    match kind(iq) {
        Kind::Iq(IqKind::Get | IqKind::Set) => Some(with(answer(iq, "result"), payload)),
        Kind::Iq(_) | Kind::Message(_) | Kind::Presence(_) | Kind::Other => None,
    }
}

fn failed(stanza: &Element, failure: Failure) -> Element {
    with(answer(stanza, "error"), [failure.into_element()])
}

/// The same stanza turned round, empty. Addresses are copied as they came: what isn't a JID is returned unread.
fn answer(stanza: &Element, type_: &str) -> Element {
    let mut answer = Element::bare(stanza.name(), NS);
    for (name, value) in [
        ("from", stanza.attr("to")),
        ("to", stanza.attr("from")),
        ("id", id(stanza)),
        ("type", Some(type_)),
    ] {
        if let Some(value) = value {
            set(&mut answer, name, value);
        }
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(xml: &str) -> Element {
        xml.replacen(' ', " xmlns='jabber:client' ", 1).parse().expect("a test's own XML")
    }

    const GET: &str = "<iq type='get' id='1' from='ann@a.example/x' to='blue@rooms.example'><ping xmlns='urn:xmpp:ping'/></iq>";

    #[test]
    fn kinds_by_name_and_type() {
        for (xml, expected) in [
            (GET, Kind::Iq(IqKind::Get)),
            ("<iq type='get'/>", Kind::Iq(IqKind::Bogus)),
            ("<iq id='1' type='query'/>", Kind::Iq(IqKind::Bogus)),
            ("<message type='weird'/>", Kind::Message(MessageKind::Normal)),
            ("<message type='groupchat'/>", Kind::Message(MessageKind::GroupChat)),
            ("<presence />", Kind::Presence(PresenceKind::Available)),
            ("<presence type='invisible'/>", Kind::Presence(PresenceKind::Bogus)),
            ("<handshake />", Kind::Other),
        ] {
            assert_eq!(kind(&parse(xml)), expected, "{xml}");
        }
        assert_eq!(kind(&Element::bare("iq", "jabber:server")), Kind::Other);
    }

    #[test]
    fn a_result_turns_the_addresses_round() {
        let answer = result(&parse(GET), None).expect("a get is answered");
        assert_eq!(
            answer,
            parse("<iq type='result' id='1' to='ann@a.example/x' from='blue@rooms.example'/>")
        );
        assert_eq!(result(&answer, None), None);
    }

    #[test]
    fn r23_errors_answer_only_iq_get_and_set_unless_asked() {
        let unavailable = || Failure::from(DefinedCondition::ServiceUnavailable);
        let answer = refuse_iq(&parse(GET), unavailable()).expect("a get is answered");
        assert_eq!(
            answer,
            parse(
                "<iq type='error' id='1' to='ann@a.example/x' from='blue@rooms.example'><error type='cancel'>\
                 <service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
            )
        );
        for xml in [
            "<iq type='result' id='1'/>",
            "<iq type='error' id='1'/>",
            "<iq type='get'/>",
            "<message type='error'/>",
            "<presence type='error'/>",
            "<other />",
        ] {
            assert_eq!(refuse_iq(&parse(xml), unavailable()), None, "{xml}");
            assert_eq!(refuse(&parse(xml), unavailable()), None, "{xml}");
        }
        for xml in [
            "<message type='groupchat'/>",
            "<message />",
            "<presence />",
            "<presence type='probe'/>",
        ] {
            assert_eq!(refuse_iq(&parse(xml), unavailable()), None, "{xml}");
            assert_eq!(
                refuse(&parse(xml), unavailable()).as_ref().and_then(|e| e.attr("type")),
                Some("error"),
                "{xml}"
            );
        }
    }

    #[test]
    fn a_failure_says_who_and_why() {
        let failure = Failure::from(DefinedCondition::Forbidden)
            .with_text("banned")
            .by(Jid::new("blue@rooms.example").expect("a JID"));
        let error = failure.into_element();
        assert_eq!((error.attr("type"), error.attr("by")), (Some("auth"), Some("blue@rooms.example")));
        assert!(error.has_child("forbidden", NS_STANZAS));
        assert_eq!(error.get_child("text", NS_STANZAS).map(Element::text).as_deref(), Some("banned"));
    }

    #[test]
    fn what_is_no_jid_is_none_and_still_answered() {
        let iq = parse("<iq type='get' id='1' from='@@' to='rooms.example'/>");
        assert_eq!(from(&iq), None);
        let answer = refuse_iq(&iq, DefinedCondition::JidMalformed).expect("a get is answered");
        assert_eq!(answer.attr("to"), Some("@@"));
    }
}
