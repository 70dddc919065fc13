//! The ordered header fields of one message. Values stay bytes: what they mean is asked of the typed accessors.

use std::fmt;

use super::{lex::lossy, name::Name};

/// Header fields in the order of the wire. Values are unfolded and trimmed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(Name, Vec<u8>)>);

impl Headers {
    /// No fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// The first value of this name.
    pub fn first(&self, name: impl Into<Name>) -> Option<&[u8]> {
        let name = name.into();
        self.0.iter().find(|(n, _)| *n == name).map(|(_, v)| v.as_slice())
    }

    /// Every value of this name, in order.
    pub fn all(&self, name: impl Into<Name>) -> impl Iterator<Item = &[u8]> {
        let name = name.into();
        self.0.iter().filter(move |(n, _)| *n == name).map(|(_, v)| v.as_slice())
    }

    /// Whether there is a field of this name.
    pub fn has(&self, name: impl Into<Name>) -> bool {
        self.first(name).is_some()
    }

    /// Every field, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Name, &[u8])> {
        self.0.iter().map(|(n, v)| (n, v.as_slice()))
    }

    /// How many fields there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a field after the last.
    pub fn push(&mut self, name: impl Into<Name>, value: impl Into<Vec<u8>>) {
        self.0.push((name.into(), one_line(value.into())));
    }

    /// Adds a field before the first.
    pub fn insert_front(&mut self, name: impl Into<Name>, value: impl Into<Vec<u8>>) {
        self.0.insert(0, (name.into(), one_line(value.into())));
    }

    /// Replaces every field of this name by one, in the place of the first, or at the end.
    pub fn set(&mut self, name: impl Into<Name>, value: impl Into<Vec<u8>>) {
        let name = name.into();
        let Some(at) = self.0.iter().position(|(n, _)| *n == name) else {
            return self.push(name, value);
        };
        self.0[at].1 = one_line(value.into());
        let mut index = 0;
        self.0.retain(|(n, _)| {
            index += 1;
            index - 1 == at || *n != name
        });
    }

    /// Removes every field of this name.
    pub fn remove(&mut self, name: impl Into<Name>) {
        let name = name.into();
        self.0.retain(|(n, _)| *n != name);
    }

    /// Copies every field of this name from `other`, in order, to the end.
    pub fn copy(&mut self, name: impl Into<Name>, other: &Self) {
        let name = name.into();
        self.0.extend(other.0.iter().filter(|(n, _)| *n == name).cloned());
    }

    /// Adds a field that was read from the wire.
    pub(crate) fn push_parsed(&mut self, name: Name, value: Vec<u8>) {
        self.0.push((name, value));
    }

    /// Makes room, and appends fields as they are written on the wire, without the `Content-Length` that only the body knows.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        for (name, value) in self.0.iter().filter(|(n, _)| *n != Name::ContentLength) {
            out.extend_from_slice(name.as_str().as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(value);
            out.extend_from_slice(b"\r\n");
        }
    }
}

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
        let shown = self.0.iter().map(|(name, value)| {
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
}
