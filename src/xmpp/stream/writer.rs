//! Elements to bytes: the half of a stream that writes. It has no state but the domain, so that many may serialise side by side.

use minidom::{Element, Node};
use rxml::{Namespace, strings::validate_ncname};

use crate::xmpp::{
    border::{Escape, MAX_SENT_BYTES, MAX_SENT_DEPTH, escape},
    stanza,
};

/// Why a stanza was not written. A server would close the stream for each of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotWritten {
    /// Not a message, presence or iq in `jabber:client`.
    #[error("not a stanza")]
    NotAStanza,
    /// `from` is absent or outside the stream's domain (rule R20).
    #[error("a stanza from another domain")]
    ForeignSender,
    /// Without a `to` (XEP-0114 section 3).
    #[error("a stanza to nobody")]
    NoAddressee,
    /// Over [`MAX_SENT_BYTES`].
    #[error("a stanza over {MAX_SENT_BYTES} bytes")]
    TooLong,
    /// Nested deeper than [`MAX_SENT_DEPTH`].
    #[error("a stanza nested over {MAX_SENT_DEPTH} deep")]
    TooDeep,
    /// An element's name is no XML name.
    #[error("an element whose name is no XML name")]
    BadName,
}

/// One stanza as it goes over the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wire(Vec<u8>);

impl Wire {
    /// How long it is.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is nothing in it: never.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Serialises stanzas of one domain.
#[derive(Debug, Clone)]
pub struct Writer {
    domain: String,
}

impl Writer {
    /// For the stream of this domain.
    pub fn new(domain: impl Into<String>) -> Self {
        Self { domain: domain.into() }
    }

    /// The stream's domain.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// Whether a stanza is from this domain.
    pub fn serves(&self, stanza: &Element) -> bool {
        stanza.attr("from").map(domain_of) == Some(&self.domain)
    }

    /// Checks and serialises a stanza.
    ///
    /// # Errors
    ///
    /// The stanza would end the stream.
    pub fn write(&self, stanza: &Element) -> Result<Wire, NotWritten> {
        if !stanza.has_ns(stanza::NS) || !matches!(stanza.name(), "message" | "presence" | "iq") {
            return Err(NotWritten::NotAStanza);
        }
        if !self.serves(stanza) {
            return Err(NotWritten::ForeignSender);
        }
        if stanza.attr("to").is_none() {
            return Err(NotWritten::NoAddressee);
        }
        // Most stanzas are presence and short messages.
        let mut out = Vec::with_capacity(512);
        // Along the unbroken `jabber:client` chain from the root, no declaration is written: there the stream's own default
        // namespace holds (rule R22). Where the chain breaks, each change of namespace is declared.
        write_element(stanza, stanza::NS, 1, &mut out)?;
        if out.len() > MAX_SENT_BYTES {
            return Err(NotWritten::TooLong);
        }
        Ok(Wire(out))
    }
}

/// The domain part of a JID as we write it (RFC 7622 section 3.1): what stands between the first `@` before the first `/`, and that.
fn domain_of(jid: &str) -> &str {
    let bare = jid.split_once('/').map_or(jid, |(bare, _)| bare);
    bare.split_once('@').map_or(bare, |(_, domain)| domain)
}

fn write_element(element: &Element, default: &str, depth: usize, out: &mut Vec<u8>) -> Result<(), NotWritten> {
    if depth > MAX_SENT_DEPTH {
        return Err(NotWritten::TooDeep);
    }
    let name = element.name();
    if !is_plain(name) && validate_ncname(name).is_err() {
        return Err(NotWritten::BadName);
    }
    out.push(b'<');
    out.extend_from_slice(name.as_bytes());
    let changed = (!element.has_ns(default)).then(|| element.ns());
    if let Some(namespace) = &changed {
        write_value("xmlns", namespace, out);
    }
    for (number, ((namespace, name), value)) in element.attrs().iter().enumerate() {
        write_attribute(number, namespace, name, value, out);
    }
    if element.nodes().len() == 0 {
        out.extend_from_slice(b"/>");
        return Ok(());
    }
    out.push(b'>');
    for node in element.nodes() {
        match node {
            Node::Element(child) => write_element(child, changed.as_deref().unwrap_or(default), depth + 1, out)?,
            Node::Text(text) => escape(text, Escape::Text, out),
        }
        if out.len() > MAX_SENT_BYTES {
            return Err(NotWritten::TooLong);
        }
    }
    out.extend_from_slice(b"</");
    out.extend_from_slice(name.as_bytes());
    out.push(b'>');
    Ok(())
}

/// Names that need no closer look: all that protocols of today use.
fn is_plain(name: &str) -> bool {
    let bytes = name.as_bytes();
    bytes.first().is_some_and(u8::is_ascii_alphabetic) && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

fn write_attribute(number: usize, namespace: &Namespace<'_>, name: &str, value: &str, out: &mut Vec<u8>) {
    if namespace.is_none() {
        write_value(name, value, out);
    } else if *namespace == Namespace::XML {
        write_value(&format!("xml:{name}"), value, out);
    } else {
        write_value(&format!("xmlns:ns{number}"), namespace, out);
        write_value(&format!("ns{number}:{name}"), value, out);
    }
}

fn write_value(name: &str, value: &str, out: &mut Vec<u8>) {
    out.push(b' ');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"='");
    escape(value, Escape::Attribute, out);
    out.push(b'\'');
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "<stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams'>";

    fn written(stanza: &Element) -> Result<String, NotWritten> {
        Writer::new("rooms.example")
            .write(stanza)
            .map(|w| String::from_utf8(w.0).expect("we write UTF-8"))
    }

    fn message() -> Element {
        stanza::element(
            "message",
            stanza::NS,
            &[("from", Some("blue@rooms.example/ann")), ("to", Some("bob@a.example/x"))],
        )
    }

    /// Reads back what was written, as the server would, and maps it as we do.
    fn read_back(xml: &str) -> Element {
        use super::super::{Item, Reader};
        let text = format!("{HEADER}{xml}");
        let (mut reader, mut bytes) = (Reader::default(), text.as_bytes());
        reader.next(&mut bytes).expect("a header");
        match reader.next(&mut bytes) {
            Ok(Some(Item::Element(element))) => element,
            other => panic!("{other:?} from {xml}"),
        }
    }

    #[test]
    fn r20_from_stays_in_the_streams_domain() {
        for (from, expected) in [
            (Some("rooms.example"), true),
            (Some("blue@rooms.example"), true),
            (Some("blue@rooms.example/a@phones.example"), true),
            (Some("rooms.example/x@y/z"), true),
            (Some("phones.example"), false),
            (Some("rooms.example@phones.example"), false),
            (Some("x/rooms.example"), false),
            (Some(""), false),
            (None, false),
        ] {
            let stanza = stanza::element("presence", stanza::NS, &[("from", from), ("to", Some("bob@a.example"))]);
            let result = written(&stanza);
            assert_eq!(result.is_ok(), expected, "{from:?}");
            assert!(expected || result == Err(NotWritten::ForeignSender), "{from:?}");
        }
        let nobody = stanza::element("presence", stanza::NS, &[("from", Some("rooms.example"))]);
        assert_eq!(written(&nobody), Err(NotWritten::NoAddressee));
        assert_eq!(written(&Element::bare("handshake", stanza::NS)), Err(NotWritten::NotAStanza));
        assert_eq!(written(&Element::bare("message", "jabber:server")), Err(NotWritten::NotAStanza));
    }

    #[test]
    fn r22_the_chain_is_bare_and_the_rest_keeps_its_namespace() {
        let inner = stanza::with(Element::bare("message", stanza::NS), [stanza::text("body", stanza::NS, "kept")]);
        let forwarded = stanza::with(Element::bare("forwarded", "urn:xmpp:forward:0"), [inner]);
        let stanza = stanza::with(
            message(),
            [
                stanza::text("body", stanza::NS, "hi"),
                forwarded,
                Element::bare("thread", stanza::NS),
            ],
        );
        let xml = written(&stanza).expect("a good stanza");
        assert_eq!(
            xml,
            "<message from='blue@rooms.example/ann' to='bob@a.example/x'><body>hi</body><forwarded xmlns='urn:xmpp:forward:0'>\
             <message xmlns='jabber:client'><body>kept</body></message></forwarded><thread/></message>"
        );
        assert_eq!(read_back(&xml), stanza);
    }

    #[test]
    fn r21_control_characters_are_cleaned_from_text_and_attributes() {
        let mut stanza = stanza::with(message(), [stanza::text("body", stanza::NS, "a\u{0}b\u{c}<c>\r\n")]);
        stanza::set(&mut stanza, "id", "1\u{1b}[2J'\n\u{ffff}");
        let xml = written(&stanza).expect("cleaned");
        let back = read_back(&xml);
        assert_eq!(back.attr("id"), Some("1[2J'\n"));
        assert_eq!(back.get_child("body", stanza::NS).map(Element::text).as_deref(), Some("ab<c>\r\n"));
    }

    #[test]
    fn attributes_keep_their_namespaces() {
        let mut stanza = message();
        let lang = "lang".try_into().expect("a name");
        stanza.attrs_mut().insert(Namespace::XML, lang, "de".into());
        stanza
            .attrs_mut()
            .insert("urn:x".to_owned().into(), "a".try_into().expect("a name"), "1".into());
        stanza
            .attrs_mut()
            .insert("urn:y".to_owned().into(), "a".try_into().expect("a name"), "2".into());
        assert_eq!(read_back(&written(&stanza).expect("a good stanza")), stanza);
    }

    #[test]
    fn what_would_end_the_stream_is_not_written() {
        let named = |name: &str| written(&stanza::with(message(), [Element::bare(name, "urn:x")]));
        assert_eq!(named("a b"), Err(NotWritten::BadName));
        assert_eq!(named("a:b"), Err(NotWritten::BadName));
        assert_eq!(named(""), Err(NotWritten::BadName));
        assert!(named("größe").is_ok());
        let long = stanza::text("body", stanza::NS, &"<".repeat(MAX_SENT_BYTES / 4 + 1));
        assert_eq!(written(&stanza::with(message(), [long])), Err(NotWritten::TooLong));
        let mut deep = Element::bare("a", "urn:x");
        for _ in 0..MAX_SENT_DEPTH {
            deep = stanza::with(Element::bare("a", "urn:x"), [deep]);
        }
        assert_eq!(written(&stanza::with(message(), [deep])), Err(NotWritten::TooDeep));
    }
}
