//! `;name=value` lists, of headers and of URIs.

use std::fmt;

use super::lex::{Class, Cursor, quote, split_once, unquote};

/// Parameters in order. Names compare without case; values are kept as written, quotes included.
///
/// They are one text, `;name=value;name`, without white space. Most lists are asked for a name or two: looking through the text is cheaper than
/// a string for each part.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Params(String);

impl Params {
    /// The value as written; empty for a parameter without one; `None` without the parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.unwrap_or_default())
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
        if !self.has(name) {
            return self.push(name, value);
        }
        let old = std::mem::take(self);
        let mut replaced = false;
        for (n, v) in old.iter() {
            let is_it = !replaced && n.eq_ignore_ascii_case(name);
            replaced |= is_it;
            self.push(n, if is_it { value } else { v });
        }
    }

    /// Replaces or adds a parameter whose value may be any text: it is quoted.
    pub fn set_quoted(&mut self, name: &str, text: &str) {
        self.set(name, Some(&quote(text)));
    }

    /// Removes a parameter.
    pub fn remove(&mut self, name: &str) {
        let old = std::mem::take(self);
        for (n, v) in old.iter().filter(|(n, _)| !n.eq_ignore_ascii_case(name)) {
            self.push(n, v);
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Names and values as written, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        let mut rest = self.0.as_str();
        std::iter::from_fn(move || {
            let list = rest.strip_prefix(';')?;
            let (piece, behind) = list.split_at(first_end(list));
            rest = behind;
            Some(split_once(piece, b'=').map_or((piece, None), |(name, value)| (name, Some(value))))
        })
    }

    fn push(&mut self, name: &str, value: Option<&str>) {
        self.0.push(';');
        self.0.push_str(name);
        if let Some(value) = value {
            self.0.push('=');
            self.0.push_str(value);
        }
    }

    /// Reads parameters of a header up to something that is none.
    pub(crate) fn read(cursor: &mut Cursor<'_>) -> Result<Self, &'static str> {
        let mut list = Vec::new();
        while cursor.eat(b';') {
            read_one(cursor, &mut list)?;
        }
        Ok(Self(text(list)))
    }

    /// Reads parameters of a header up to the first that is broken.
    pub(crate) fn read_start(cursor: &mut Cursor<'_>) -> Self {
        let mut list = Vec::new();
        while cursor.eat(b';') && read_one(cursor, &mut list).is_ok() {}
        Self(text(list))
    }

    /// Takes the parameters of a URI, with the semicolon before the first. Their values have other characters than those of headers, but no quotes.
    pub(crate) fn read_uri(list: &str) -> Result<Self, &'static str> {
        let nameless = |pair: &[u8]| pair[0] == b';' && matches!(pair[1], b';' | b'=');
        if list.as_bytes().windows(2).any(nameless) || list.ends_with(';') {
            return Err("a URI parameter without a name");
        }
        Ok(Self(list.to_owned()))
    }
}

/// Where the first parameter of a list ends: at a semicolon outside quotes.
fn first_end(list: &str) -> usize {
    let mut quoted = false;
    let mut escaped = false;
    let ends = |b| {
        let ends = b == b';' && !quoted;
        quoted ^= b == b'"' && !escaped;
        escaped = quoted && b == b'\\' && !escaped;
        ends
    };
    list.bytes().position(ends).unwrap_or(list.len())
}

/// Reads a parameter to the end of a list.
fn read_one(cursor: &mut Cursor<'_>, list: &mut Vec<u8>) -> Result<(), &'static str> {
    /// Most lists are shorter: one allocation does.
    const USUAL: usize = 80;
    let name = cursor.token_bytes().ok_or("a parameter without a name")?;
    let value = if cursor.eat(b'=') { Some(read_value(cursor)?) } else { None };
    if list.is_empty() {
        list.reserve(USUAL);
    }
    list.push(b';');
    list.extend_from_slice(name);
    if let Some(value) = value {
        list.push(b'=');
        list.extend_from_slice(value);
    }
    Ok(())
}

/// Values may hold anything; what isn't UTF-8 becomes U+FFFD.
fn text(list: Vec<u8>) -> String {
    String::from_utf8(list).unwrap_or_else(|bad| String::from_utf8_lossy(bad.as_bytes()).into_owned())
}

fn read_value<'a>(cursor: &mut Cursor<'a>) -> Result<&'a [u8], &'static str> {
    if cursor.peek() == Some(b'"') {
        return cursor.quoted().ok_or("a quoted string that doesn't end");
    }
    // `token / host`, and what else is seen there in the field, up to the next separator.
    const VALUE: Class = Class::of(b"!#$%&'()*+-./:=?@[\\]^_`{|}~");
    Ok(cursor.take_while(|b| VALUE.has(b) || b >= 0x80))
}

impl fmt::Display for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Params {
        Params::read(&mut Cursor::new(text.as_bytes())).unwrap_or_else(|flaw| panic!("{text}: {flaw}"))
    }

    #[test]
    fn separators_inside_quotes_separate_nothing() {
        let params = read(r#" ; a = "x;y=\"z\\" ;b; c="#);
        assert_eq!(params.to_string(), r#";a="x;y=\"z\\";b;c="#);
        let all = [("a", Some(r#""x;y=\"z\\""#)), ("b", None), ("c", Some(""))];
        assert_eq!(params.iter().collect::<Vec<_>>(), all);
        assert_eq!(params.text("A").as_deref(), Some(r#"x;y="z\"#));
        assert!(params.has("b") && !params.has("y"));
    }

    #[test]
    fn a_change_leaves_the_others_in_their_places() {
        let mut params = read("a=1;B=2;c;b=3");
        assert!(params.is_empty(), "a list starts with a semicolon");
        params = read(";a=1;B=2;c;b=3");
        params.set("b", None);
        assert_eq!(params.to_string(), ";a=1;B;c;b=3");
        params.set_quoted("d", "e;f");
        params.remove("b");
        assert_eq!(params.to_string(), ";a=1;c;d=\"e;f\"");
        assert_eq!(params.text("d").as_deref(), Some("e;f"));
    }
}
