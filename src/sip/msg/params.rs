//! `;name=value` lists, of headers and of URIs.

use std::{borrow::Cow, fmt};

use super::lex::{Class, Cursor, lossy, quote, split_once, unquote};

/// Parameters in order. Names compare without case; values are kept as written, quotes included.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Params(Vec<(Cow<'static, str>, Option<String>)>);

impl Params {
    /// The value as written; empty for a parameter without one; `None` without the parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.as_deref().unwrap_or_default())
    }

    /// The value without quotes and escapes.
    pub fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(unquote)
    }

    /// Whether the parameter is there, with or without a value.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Replaces or adds a parameter whose value is a token, a host, or already quoted.
    pub fn set(&mut self, name: &str, value: Option<&str>) {
        let value = value.map(str::to_owned);
        match self.0.iter_mut().find(|(n, _)| n.eq_ignore_ascii_case(name)) {
            Some((_, old)) => *old = value,
            None => self.0.push((own(name), value)),
        }
    }

    /// Replaces or adds a parameter whose value may be any text: it is quoted.
    pub fn set_quoted(&mut self, name: &str, text: &str) {
        self.set(name, Some(&quote(text)));
    }

    /// Removes a parameter.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Names and values as written, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.0.iter().map(|(n, v)| (&**n, v.as_deref()))
    }

    /// Reads parameters of a header up to something that is none.
    pub(crate) fn read(cursor: &mut Cursor<'_>) -> Result<Self, &'static str> {
        let mut params = Self::default();
        while cursor.eat(b';') {
            params.read_one(cursor)?;
        }
        Ok(params)
    }

    /// Reads parameters of a header up to the first that is broken.
    pub(crate) fn read_start(cursor: &mut Cursor<'_>) -> Self {
        let mut params = Self::default();
        while cursor.eat(b';') && params.read_one(cursor).is_ok() {}
        params
    }

    fn read_one(&mut self, cursor: &mut Cursor<'_>) -> Result<(), &'static str> {
        let name = cursor.token().ok_or("a parameter without a name").map(own)?;
        let value = if cursor.eat(b'=') { Some(read_value(cursor)?) } else { None };
        self.0.push((name, value));
        Ok(())
    }

    /// Reads `name=value` pieces of a URI, whose values have other characters than those of headers.
    pub(crate) fn read_uri<'a>(pieces: impl Iterator<Item = &'a str>) -> Result<Self, &'static str> {
        let mut params = Self::default();
        for piece in pieces {
            let (name, value) = match split_once(piece, b'=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (piece, None),
            };
            if name.is_empty() {
                return Err("a URI parameter without a name");
            }
            params.0.push((own(name), value));
        }
        Ok(params)
    }
}

/// A name to keep; the usual ones cost no memory.
fn own(name: &str) -> Cow<'static, str> {
    const USUAL: [&str; 8] = ["tag", "branch", "rport", "received", "transport", "lr", "expires", "user"];
    let usual = USUAL.into_iter().find(|u| *u == name);
    usual.map_or_else(|| Cow::Owned(name.to_owned()), Cow::Borrowed)
}

fn read_value(cursor: &mut Cursor<'_>) -> Result<String, &'static str> {
    if cursor.peek() == Some(b'"') {
        return cursor.quoted().map(lossy).ok_or("a quoted string that doesn't end");
    }
    // `token / host`, and what else is seen there in the field, up to the next separator.
    const VALUE: Class = Class::of(b"!#$%&'()*+-./:=?@[\\]^_`{|}~");
    let value = cursor.take_while(|b| VALUE.has(b) || b >= 0x80);
    Ok(lossy(value))
}

impl fmt::Display for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.0 {
            write!(f, ";{name}")?;
            if let Some(value) = value {
                write!(f, "={value}")?;
            }
        }
        Ok(())
    }
}
