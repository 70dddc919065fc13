//! How much one stanza may be (rule R21), metered while it is read.

/// Bytes of one stanza as read. What a client may send to its own server by default, too.
pub const MAX_STANZA_BYTES: usize = 256 * 1024;

/// Nested elements, the stanza itself included. Deep trees exhaust the stack of whoever walks or drops them.
pub const MAX_DEPTH: usize = 64;

/// Elements of one stanza.
pub const MAX_ELEMENTS: usize = 10_000;

/// Bytes of a name or of an attribute's value.
pub const MAX_TOKEN_BYTES: usize = 4 * 1024;

/// Attributes of one element, namespace declarations included. No protocol in use has a tenth of it.
const MAX_ATTRIBUTES: usize = 256;

/// Namespace declarations in force at one place: each prefix is looked up among them.
const MAX_NAMESPACES: usize = 256;

/// Bytes of one stanza as sent. Prosody closes a component's stream over 512 KiB; escaping may make a stanza longer than it was when it came in.
pub const MAX_SENT_BYTES: usize = 480 * 1024;

/// Depth of one stanza as sent: what we received may be wrapped a few times before it is sent on.
pub const MAX_SENT_DEPTH: usize = 2 * MAX_DEPTH;

/// Bytes of a name or value that the lexer can hold, so that a value over [`MAX_TOKEN_BYTES`] costs its stanza only.
/// Twice what Prosody lets through in one stanza.
pub(crate) const MAX_RAW_TOKEN: usize = 1024 * 1024;

/// Bytes of a refused stanza that are skipped before the stream is given up. Servers refuse far smaller ones themselves.
pub(crate) const MAX_SKIPPED_BYTES: usize = 8 * 1024 * 1024;

/// Depth likewise: the lexer keeps the name of every open element.
pub(crate) const MAX_SKIPPED_DEPTH: usize = 250_000;

/// Which limit a stanza went over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Excess {
    /// Over [`MAX_STANZA_BYTES`].
    #[error("stanza over {MAX_STANZA_BYTES} bytes")]
    Bytes,
    /// Over [`MAX_DEPTH`].
    #[error("elements nested over {MAX_DEPTH} deep")]
    Depth,
    /// Over [`MAX_ELEMENTS`].
    #[error("more than {MAX_ELEMENTS} elements")]
    Elements,
    /// A name or an attribute's value over [`MAX_TOKEN_BYTES`].
    #[error("name or attribute value over {MAX_TOKEN_BYTES} bytes")]
    Token,
    /// Too many attributes on one element.
    #[error("more than {MAX_ATTRIBUTES} attributes on one element")]
    Attributes,
    /// Too many namespace declarations.
    #[error("more than {MAX_NAMESPACES} namespace declarations")]
    Namespaces,
}

/// Counts one stanza while it is read.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    bytes: usize,
    elements: usize,
    attributes: usize,
}

impl Meter {
    /// Bytes so far.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Counts what one event of the lexer took.
    pub(crate) fn add_bytes(&mut self, bytes: usize) -> Result<(), Excess> {
        self.bytes = self.bytes.saturating_add(bytes);
        check(self.bytes <= MAX_STANZA_BYTES, Excess::Bytes)
    }

    /// Counts an element at this depth, the stanza's own being 1.
    pub(crate) fn add_element(&mut self, depth: usize, name: usize) -> Result<(), Excess> {
        self.elements += 1;
        self.attributes = 0;
        check(name <= MAX_TOKEN_BYTES, Excess::Token)?;
        check(depth <= MAX_DEPTH, Excess::Depth)?;
        check(self.elements <= MAX_ELEMENTS, Excess::Elements)
    }

    /// Counts an attribute, whose name and value have these lengths.
    pub(crate) fn add_attribute(&mut self, name: usize, value: usize) -> Result<(), Excess> {
        self.attributes += 1;
        check(name <= MAX_TOKEN_BYTES && value <= MAX_TOKEN_BYTES, Excess::Token)?;
        check(self.attributes <= MAX_ATTRIBUTES, Excess::Attributes)
    }

    /// Checks how many namespace declarations are in force.
    pub(crate) fn check_namespaces(&self, in_force: usize) -> Result<(), Excess> {
        check(in_force <= MAX_NAMESPACES, Excess::Namespaces)
    }
}

fn check(holds: bool, excess: Excess) -> Result<(), Excess> {
    if holds { Ok(()) } else { Err(excess) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r21_each_limit_is_the_last_good_value() {
        let mut meter = Meter::default();
        assert_eq!(meter.add_bytes(MAX_STANZA_BYTES), Ok(()));
        assert_eq!(meter.add_bytes(1), Err(Excess::Bytes));
        assert_eq!(meter.add_element(MAX_DEPTH, MAX_TOKEN_BYTES), Ok(()));
        assert_eq!(meter.add_element(MAX_DEPTH + 1, 1), Err(Excess::Depth));
        assert_eq!(meter.add_element(1, MAX_TOKEN_BYTES + 1), Err(Excess::Token));
        assert_eq!(meter.add_attribute(1, MAX_TOKEN_BYTES), Ok(()));
        assert_eq!(meter.add_attribute(1, MAX_TOKEN_BYTES + 1), Err(Excess::Token));
        for _ in 3..MAX_ELEMENTS {
            assert_eq!(meter.add_element(2, 1), Ok(()));
        }
        assert_eq!(meter.add_element(2, 1), Err(Excess::Elements));
    }
}
