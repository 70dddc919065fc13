//! Bytes to items: the half of a stream that reads. Knows limits and namespaces, but not what an item is for.

use minidom::Element;
use rxml::{
    Options, Parse, RawEvent, RawParser, RawQName, WithOptions,
    error::{EndOrError, Error},
};

use crate::xmpp::border::{Excess, MAX_RAW_TOKEN, MAX_SKIPPED_BYTES, MAX_SKIPPED_DEPTH, MAX_TOKEN_BYTES, Meter, Scope, Undeclared};
use crate::xmpp::stanza;

/// What a stream is made of.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// The stream's own start tag, childless.
    Header(Element),
    /// A child of the stream: a stanza in `jabber:client`, or an element of the stream itself.
    Element(Element),
    /// A stanza over a limit (rule R21), skipped to its end.
    Refused(Refused),
    /// The stream's end tag.
    End,
}

/// A stanza that was not let in.
#[derive(Debug, Clone, PartialEq)]
pub struct Refused {
    /// Its name and its `from`, `to`, `id` and `type`, as far as they are within the limits: enough to answer with [`stanza::refuse`].
    pub header: Element,
    /// Which limit it broke.
    pub why: Excess,
}

/// Why a stream can't be read on.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum ReadError {
    /// Not well-formed, or a construct that RFC 6120 section 11.1 forbids.
    #[error("{0}")]
    Xml(Error),
    /// The stream's start tag is over a limit.
    #[error("start of the stream: {0}")]
    Header(Excess),
    /// A refused stanza went on beyond all measure.
    #[error("a stanza of more than {MAX_SKIPPED_BYTES} bytes or {MAX_SKIPPED_DEPTH} levels")]
    Endless,
}

/// The start tag being read: attributes wait for the namespaces that it declares itself.
#[derive(Debug)]
struct Head {
    name: RawQName,
    attributes: Vec<(RawQName, String)>,
}

/// What becomes of the present stanza.
#[derive(Debug)]
enum Fate {
    /// The elements that are open, the stanza first.
    Built(Vec<Element>),
    /// Skipped to its end. The header is known once the stanza's own start tag is read.
    Skipped { header: Option<Element>, why: Excess },
}

/// Reads one stream.
pub struct Reader {
    parser: RawParser,
    scope: Scope,
    meter: Meter,
    in_stream: bool,
    /// Open elements below the stream's own.
    depth: usize,
    /// Of a skipped stanza, only its own start tag is kept.
    head: Option<Head>,
    fate: Fate,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader")
            .field("in_stream", &self.in_stream)
            .field("depth", &self.depth)
            .finish_non_exhaustive()
    }
}

impl Default for Reader {
    fn default() -> Self {
        let options = Options {
            max_token_length: MAX_RAW_TOKEN,
            ..Options::default()
        };
        Self {
            parser: RawParser::with_options(options),
            scope: Scope::default(),
            meter: Meter::default(),
            in_stream: false,
            depth: 0,
            head: None,
            fate: Fate::Built(Vec::new()),
        }
    }
}

impl Reader {
    /// Reads on to the next item and takes its bytes off the front; `None` when all bytes are used up.
    ///
    /// # Errors
    ///
    /// The stream can't be read on, and must not be.
    pub fn next(&mut self, bytes: &mut &[u8]) -> Result<Option<Item>, ReadError> {
        loop {
            let event = match self.parser.parse(bytes, false) {
                Ok(Some(event)) => event,
                Ok(None) | Err(EndOrError::NeedMoreData) => return Ok(None),
                Err(EndOrError::Error(error)) => return Err(ReadError::Xml(error)),
            };
            if let Some(item) = self.handle(event)? {
                return Ok(Some(item));
            }
        }
    }

    fn handle(&mut self, event: RawEvent) -> Result<Option<Item>, ReadError> {
        self.count(&event)?;
        match event {
            RawEvent::XmlDeclaration(..) => {}
            RawEvent::ElementHeadOpen(_, name) => self.open(name)?,
            RawEvent::Attribute(_, name, value) => self.attribute(name, value)?,
            RawEvent::ElementHeadClose(_) => return self.close_head(),
            RawEvent::ElementFoot(_) => return Ok(self.close()),
            RawEvent::Text(_, text) => self.text(text),
        }
        Ok(None)
    }

    fn count(&mut self, event: &RawEvent) -> Result<(), ReadError> {
        if self.depth == 0 {
            // White space between stanzas belongs to none.
            if !self.in_stream || !matches!(event, RawEvent::ElementHeadOpen(..)) {
                return Ok(());
            }
            self.meter = Meter::default();
        }
        if let Err(excess) = self.meter.add_bytes(event.metrics().len()) {
            self.exceed(excess)?;
        }
        if self.meter.bytes() > MAX_SKIPPED_BYTES || self.depth > MAX_SKIPPED_DEPTH {
            Err(ReadError::Endless)
        } else {
            Ok(())
        }
    }

    /// From here to its end the present stanza is skipped.
    fn exceed(&mut self, why: Excess) -> Result<(), ReadError> {
        if !self.in_stream {
            return Err(ReadError::Header(why));
        }
        if let Fate::Built(open) = &self.fate {
            let header = open.first().map(header_of);
            if header.is_some() {
                self.head = None;
            }
            self.fate = Fate::Skipped { header, why };
        }
        Ok(())
    }

    fn open(&mut self, name: RawQName) -> Result<(), ReadError> {
        if self.in_stream {
            self.depth += 1;
        }
        if let Err(excess) = self.meter.add_element(self.depth, length(&name)) {
            self.exceed(excess)?;
        }
        if self.depth <= 1 || matches!(self.fate, Fate::Built(_)) {
            self.head = Some(Head {
                name,
                attributes: Vec::new(),
            });
        }
        Ok(())
    }

    fn attribute(&mut self, name: RawQName, value: String) -> Result<(), ReadError> {
        if let Err(excess) = self.meter.add_attribute(length(&name), value.len()) {
            self.exceed(excess)?;
        }
        if let Some(head) = &mut self.head {
            let wanted = match self.fate {
                Fate::Built(_) => true,
                Fate::Skipped { .. } => is_address(&name) && value.len() <= MAX_TOKEN_BYTES,
            };
            if wanted {
                head.attributes.push((name, value));
            }
        }
        Ok(())
    }

    fn close_head(&mut self) -> Result<Option<Item>, ReadError> {
        let Some(mut head) = self.head.take() else { return Ok(None) };
        if let Fate::Built(_) = self.fate {
            self.declare(&mut head)?;
        }
        match &mut self.fate {
            Fate::Built(open) => {
                let namespace = self
                    .scope
                    .of_element(self.depth, head.name.0.as_ref(), &head.name.1)
                    .map_err(undeclared)?;
                let mut element = Element::bare(head.name.1.as_str(), namespace);
                for ((prefix, name), value) in head.attributes {
                    let namespace = self.scope.of_attribute(prefix.as_ref()).map_err(undeclared)?;
                    if element.attrs_mut().insert(namespace, name, value).is_some() {
                        return Err(ReadError::Xml(Error::DuplicateAttribute));
                    }
                }
                if self.in_stream {
                    open.push(element);
                    return Ok(None);
                }
                self.in_stream = true;
                Ok(Some(Item::Header(element)))
            }
            Fate::Skipped { header, .. } => {
                header.get_or_insert_with(|| header_of_head(head));
                Ok(None)
            }
        }
    }

    /// Brings the namespace declarations of a start tag into force, and takes them out of its attributes.
    fn declare(&mut self, head: &mut Head) -> Result<(), ReadError> {
        let mut twice = false;
        let Self { scope, depth, .. } = self;
        head.attributes.retain(|((prefix, name), value)| {
            let declared = match prefix {
                Some(p) if p == "xmlns" => Some(name.clone()),
                None if name == "xmlns" => None,
                _ => return true,
            };
            twice |= !scope.declare(*depth, declared, value);
            false
        });
        if twice {
            return Err(ReadError::Xml(Error::DuplicateAttribute));
        }
        if let Err(excess) = self.meter.check_namespaces(self.scope.len()) {
            self.exceed(excess)?;
        }
        Ok(())
    }

    fn text(&mut self, text: String) {
        if let Fate::Built(open) = &mut self.fate
            && let Some(element) = open.last_mut()
        {
            // The lexer cuts text at each reference: this joins it again.
            element.append_text(text);
        }
    }

    fn close(&mut self) -> Option<Item> {
        if self.depth == 0 {
            return Some(Item::End);
        }
        self.scope.leave(self.depth);
        self.depth -= 1;
        match &mut self.fate {
            Fate::Built(open) => {
                let element = open.pop().expect("each element below the stream is pushed when its start tag ends");
                match open.last_mut() {
                    Some(parent) => {
                        parent.append_child(element);
                        None
                    }
                    None => Some(Item::Element(element)),
                }
            }
            Fate::Skipped { header, why } if self.depth == 0 => {
                let header = header.take().expect("the stanza's own start tag has ended before the stanza");
                let refused = Refused { header, why: *why };
                self.fate = Fate::Built(Vec::new());
                Some(Item::Refused(refused))
            }
            Fate::Skipped { .. } => None,
        }
    }
}

const ADDRESS: [&str; 4] = ["from", "to", "id", "type"];

fn is_address((prefix, name): &RawQName) -> bool {
    prefix.is_none() && ADDRESS.contains(&name.as_str())
}

fn length((prefix, name): &RawQName) -> usize {
    prefix.as_ref().map_or(0, |p| p.len() + 1) + name.len()
}

fn undeclared(_: Undeclared) -> ReadError {
    ReadError::Xml(Error::UndeclaredNamespacePrefix(None))
}

/// The header of a stanza whose start tag was let in.
fn header_of(stanza: &Element) -> Element {
    let kept = ADDRESS.map(|name| (name, stanza.attr(name)));
    stanza::element(stanza_name(stanza.name()), stanza::NS, &kept)
}

/// The header of a stanza that is refused for its own start tag.
fn header_of_head(head: Head) -> Element {
    let kept = ADDRESS.map(|name| {
        let found = head
            .attributes
            .iter()
            .find(|(n, value)| n.0.is_none() && n.1 == name && value.len() <= MAX_TOKEN_BYTES);
        (name, found.map(|(_, value)| value.as_str()))
    });
    stanza::element(stanza_name(&head.name.1), stanza::NS, &kept)
}

/// The name if it is one of the three, else none that anything is answered to.
fn stanza_name(name: &str) -> &'static str {
    ["message", "presence", "iq"].into_iter().find(|n| *n == name).unwrap_or("other")
}
