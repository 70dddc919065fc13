//! Namespace prefixes in force while reading, and the map between the stream's namespace and ours (rule R22).
//! Of what stands directly below the stream, only the three stanzas are mapped: the rest belongs to the stream itself.

use rxml::{Namespace, NcName};

use crate::xmpp::stanza;

/// The default namespace of a component's stream (XEP-0114).
pub const NS_COMPONENT: &str = "jabber:component:accept";

/// One `xmlns` or `xmlns:prefix`.
#[derive(Debug)]
struct Declaration {
    depth: usize,
    prefix: Option<NcName>,
    namespace: Namespace<'static>,
}

/// A prefix that is declared nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Undeclared;

/// The namespace declarations in force, innermost last.
#[derive(Debug, Default)]
pub(crate) struct Scope {
    declarations: Vec<Declaration>,
    /// Depth down to which an unbroken chain from the stanza's root has been mapped.
    mapped: usize,
}

impl Scope {
    /// Declarations in force.
    pub(crate) fn len(&self) -> usize {
        self.declarations.len()
    }

    /// Adds a declaration of the element at this depth; `false` if that element has declared the prefix already.
    pub(crate) fn declare(&mut self, depth: usize, prefix: Option<NcName>, namespace: &str) -> bool {
        let is_new = !self
            .declarations
            .iter()
            .rev()
            .take_while(|d| d.depth == depth)
            .any(|d| d.prefix == prefix);
        self.declarations.push(Declaration {
            depth,
            prefix,
            namespace: Namespace::from(namespace).into_static(),
        });
        is_new
    }

    /// Forgets what the element at this depth declared.
    pub(crate) fn leave(&mut self, depth: usize) {
        while self.declarations.last().is_some_and(|d| d.depth >= depth) {
            self.declarations.pop();
        }
        self.mapped = self.mapped.min(depth - 1);
    }

    /// The namespace of an attribute: without a prefix it has none, whatever the default is.
    pub(crate) fn of_attribute(&self, prefix: Option<&NcName>) -> Result<Namespace<'static>, Undeclared> {
        if prefix.is_some() {
            find(&self.declarations, prefix).cloned()
        } else {
            Ok(Namespace::NONE)
        }
    }

    /// The namespace of the element that opens at this depth (the stanza itself: 1), mapped if the chain from the stanza is unbroken.
    pub(crate) fn of_element(&mut self, depth: usize, prefix: Option<&NcName>, name: &str) -> Result<&str, Undeclared> {
        let in_chain = match depth {
            0 => false,
            1 => matches!(name, "message" | "presence" | "iq"),
            _ => self.mapped == depth - 1,
        };
        let found = find(&self.declarations, prefix)?;
        if in_chain && found.as_str() == NS_COMPONENT {
            self.mapped = depth;
            return Ok(stanza::NS);
        }
        Ok(found)
    }
}

fn find<'a>(declarations: &'a [Declaration], prefix: Option<&NcName>) -> Result<&'a Namespace<'static>, Undeclared> {
    if prefix.is_some_and(|p| p == "xml") {
        return Ok(Namespace::xml());
    }
    match declarations.iter().rev().find(|d| d.prefix.as_ref() == prefix) {
        Some(declaration) => Ok(&declaration.namespace),
        None if prefix.is_none() => Ok(Namespace::none()),
        None => Err(Undeclared),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r22_only_the_unbroken_chain_is_mapped() {
        let mut scope = Scope::default();
        scope.declare(0, None, NS_COMPONENT);
        assert_eq!(scope.of_element(1, None, "handshake"), Ok(NS_COMPONENT));
        assert_eq!(scope.of_element(1, None, "message"), Ok(stanza::NS));
        assert_eq!(scope.of_element(2, None, "body"), Ok(stanza::NS));
        scope.leave(2);
        scope.declare(2, None, "urn:xmpp:forward:0");
        assert_eq!(scope.of_element(2, None, "forwarded"), Ok("urn:xmpp:forward:0"));
        scope.declare(3, None, NS_COMPONENT);
        assert_eq!(
            scope.of_element(3, None, "message"),
            Ok(NS_COMPONENT),
            "below another namespace nothing changes"
        );
        scope.leave(3);
        scope.leave(2);
        assert_eq!(
            scope.of_element(2, None, "thread"),
            Ok(stanza::NS),
            "a brother of the forwarded message is in the chain"
        );
    }

    #[test]
    fn prefixes_end_with_their_element() {
        let prefix = NcName::try_from("x").expect("a name");
        let mut scope = Scope::default();
        scope.declare(1, Some(prefix.clone()), "urn:x");
        assert_eq!(scope.of_attribute(Some(&prefix)).as_deref(), Ok("urn:x"));
        assert_eq!(scope.of_attribute(None).as_deref(), Ok(""));
        scope.leave(1);
        assert_eq!(scope.of_attribute(Some(&prefix)), Err(Undeclared));
        assert_eq!(scope.of_element(1, None, "a"), Ok(""));
    }
}
