//! The ordered header fields of one message. Values stay bytes: what they mean is asked of the typed accessors.

use std::{fmt, ops::Range, sync::Arc};

use super::{
    lex::lossy,
    name::Name,
    typed::{CSeq, NameAddr, Via},
};

/// Header fields in the order of the wire. Values are unfolded and trimmed.
#[derive(Clone, Default)]
pub struct Headers {
    fields: Vec<(Name, Range<usize>)>,
    /// The values, one behind the other: a message costs few allocations. What is replaced stays behind, unused.
    values: Vec<u8>,
    /// What has been read of the fields as they are now.
    read: Option<Arc<Mandatory>>,
}

/// The headers that a message can't do without: whoever refuses those without them has read them before anybody asks.
pub(crate) struct Mandatory {
    pub(crate) via: Via,
    pub(crate) from: NameAddr,
    pub(crate) to: NameAddr,
    pub(crate) cseq: CSeq,
}

impl Headers {
    /// No fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// No fields yet, but room for the usual number with values of this length together.
    pub(crate) fn with_room(values: usize) -> Self {
        const USUAL: usize = 24;
        Self {
            fields: Vec::with_capacity(USUAL),
            values: Vec::with_capacity(values),
            read: None,
        }
    }

    /// Keeps what has been read, for the accessors, until a field changes.
    pub(crate) fn remember(&mut self, read: Mandatory) {
        self.read = Some(Arc::new(read));
    }

    pub(crate) fn remembered(&self) -> Option<&Mandatory> {
        self.read.as_deref()
    }

    /// The fields, to change: what has been read of them holds no longer.
    fn fields_mut(&mut self) -> &mut Vec<(Name, Range<usize>)> {
        self.read = None;
        &mut self.fields
    }

    /// The first value of this name.
    pub fn first(&self, name: impl Into<Name>) -> Option<&[u8]> {
        let name = name.into();
        self.fields.iter().find(|(n, _)| *n == name).map(|(_, range)| self.value(range))
    }

    /// Every value of this name, in order.
    pub fn all(&self, name: impl Into<Name>) -> impl Iterator<Item = &[u8]> {
        let name = name.into();
        let fields = self.fields.iter().filter(move |(n, _)| *n == name);
        fields.map(|(_, range)| self.value(range))
    }

    /// Whether there is a field of this name.
    pub fn has(&self, name: impl Into<Name>) -> bool {
        self.first(name).is_some()
    }

    /// Every field, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Name, &[u8])> {
        self.fields.iter().map(|(n, range)| (n, self.value(range)))
    }

    fn value(&self, range: &Range<usize>) -> &[u8] {
        &self.values[range.clone()]
    }

    /// How many fields there are.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Adds a field after the last.
    pub fn push(&mut self, name: impl Into<Name>, value: impl Into<Vec<u8>>) {
        let range = self.keep(&one_line(value.into()));
        self.fields_mut().push((name.into(), range));
    }

    /// Adds a field before the first.
    pub fn insert_front(&mut self, name: impl Into<Name>, value: impl Into<Vec<u8>>) {
        let range = self.keep(&one_line(value.into()));
        self.fields_mut().insert(0, (name.into(), range));
    }

    /// Replaces every field of this name by one, in the place of the first, or at the end.
    pub fn set(&mut self, name: impl Into<Name>, value: impl Into<Vec<u8>>) {
        let name = name.into();
        let Some(at) = self.fields.iter().position(|(n, _)| *n == name) else {
            return self.push(name, value);
        };
        let range = self.keep(&one_line(value.into()));
        let fields = self.fields_mut();
        fields[at].1 = range;
        let mut index = 0;
        fields.retain(|(n, _)| {
            index += 1;
            index - 1 == at || *n != name
        });
    }

    /// Removes every field of this name.
    pub fn remove(&mut self, name: impl Into<Name>) {
        let name = name.into();
        self.fields_mut().retain(|(n, _)| *n != name);
    }

    /// Copies every field of this name from `other`, in order, to the end.
    pub fn copy(&mut self, name: impl Into<Name>, other: &Self) {
        let name = name.into();
        for value in other.all(name.clone()) {
            self.push_parsed(name.clone(), value, &[]);
        }
    }

    /// Adds a field that was read from the wire, with the lines that its value goes on in, if it is folded.
    pub(crate) fn push_parsed(&mut self, name: Name, value: &[u8], folds: &[&[u8]]) {
        let start = self.values.len();
        self.values.extend_from_slice(value);
        for piece in folds.iter().filter(|p| !p.is_empty()) {
            if self.values.len() > start {
                self.values.push(b' ');
            }
            self.values.extend_from_slice(piece);
        }
        let end = self.values.len();
        self.fields_mut().push((name, start..end));
    }

    /// Appends fields as they are written on the wire, without the `Content-Length` that only the body knows.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        for (name, value) in self.iter().filter(|(n, _)| **n != Name::ContentLength) {
            out.extend_from_slice(name.as_str().as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(value);
            out.extend_from_slice(b"\r\n");
        }
    }

    fn keep(&mut self, value: &[u8]) -> Range<usize> {
        let start = self.values.len();
        self.values.extend_from_slice(value);
        start..self.values.len()
    }
}

impl PartialEq for Headers {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Headers {}

/// A line end inside a value would start a header of its own (or end the head): it becomes a space.
fn one_line(mut value: Vec<u8>) -> Vec<u8> {
    for b in value.iter_mut().filter(|b| **b == b'\r' || **b == b'\n') {
        *b = b' ';
    }
    value
}

impl fmt::Debug for Headers {
    /// Leaves credentials out (rule R48).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.iter().map(|(name, value)| {
            let secret = *name == Name::Authorization || *name == Name::ProxyAuthorization;
            (name.as_str(), if secret { "***".to_owned() } else { lossy(value) })
        });
        f.debug_map().entries(shown).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Headers {
        let mut h = Headers::new();
        h.push(Name::Via, "a");
        h.push("X-One", "1");
        h.push("v", "b");
        h
    }

    #[test]
    fn set_keeps_the_first_place_and_leaves_one() {
        let mut h = sample();
        h.set(Name::Via, "c");
        assert_eq!(
            h.iter().map(|(n, v)| (n.as_str(), v)).collect::<Vec<_>>(),
            [("Via", &b"c"[..]), ("X-One", b"1")]
        );
        h.set("x-two", "2");
        h.insert_front(Name::Route, "r");
        assert_eq!(
            h.iter().map(|(n, _)| n.as_str()).collect::<Vec<_>>(),
            ["Route", "Via", "X-One", "x-two"]
        );
        h.remove("X-ONE");
        assert!(!h.has("X-One"));
        assert_eq!(sample().all(Name::Via).collect::<Vec<_>>(), [b"a", b"b"]);
    }

    #[test]
    fn a_value_never_breaks_its_line() {
        let mut h = Headers::new();
        h.push("Subject", "a\r\nVia: evil");
        assert_eq!(h.first(Name::Subject), Some(&b"a  Via: evil"[..]));
    }

    #[test]
    fn r48_debug_hides_credentials() {
        let mut h = sample();
        h.push(Name::Authorization, "Digest response=\"secret\"");
        h.push(Name::ProxyAuthorization, "Digest response=\"secret\"");
        let text = format!("{h:?}");
        assert!(!text.contains("secret") && text.contains("X-One"), "{text}");
    }

    #[test]
    fn what_was_read_is_forgotten_when_a_field_changes() {
        use crate::sip::msg::{Message, parse_datagram};
        let bytes = b"OPTIONS sip:b@c SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:b@c>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n\r\n";
        let Ok(Message::Request(request)) = parse_datagram(bytes) else {
            panic!("the request is well-formed");
        };
        let after = |change: fn(&mut Headers)| {
            let mut headers = request.headers.clone();
            change(&mut headers);
            headers
        };
        let set = after(|h| h.set(Name::To, "<sip:b@c>;tag=2"));
        assert_eq!(set.to().unwrap().tag(), Some("2"));
        let in_front = after(|h| h.insert_front(Name::Via, "SIP/2.0/TCP other"));
        assert_eq!(in_front.top_via().unwrap().transport, "TCP");
        assert!(after(|h| h.remove(Name::CSeq)).cseq().is_err());
        assert!(after(|h| h.push(Name::From, "<sip:c@d>")).from().is_err());
        let copied = after(|h| h.copy(Name::From, &h.clone()));
        assert!(copied.from().is_err());
        assert_eq!(request.headers.from().unwrap().tag(), Some("1"));
    }
}
