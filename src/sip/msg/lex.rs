//! Reads the lexical pieces of header values (RFC 3261 section 25.1). Knows nothing of any header.

use memchr::memchr;

/// A place in a header value. Values are unfolded, so linear white space is spaces and tabs.
#[derive(Debug, Clone)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(value: &'a [u8]) -> Self {
        Self { rest: value }
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// What hasn't been taken.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn skip_space(&mut self) {
        while let [b' ' | b'\t', rest @ ..] = self.rest {
            self.rest = rest;
        }
    }

    /// Whether nothing but white space is left.
    pub(crate) fn at_end(&mut self) -> bool {
        self.skip_space();
        self.rest.is_empty()
    }

    /// Takes `byte` together with the white space around it; if it isn't there, only the white space before it is taken.
    pub(crate) fn eat(&mut self, byte: u8) -> bool {
        self.skip_space();
        if self.peek() != Some(byte) {
            return false;
        }
        self.rest = &self.rest[1..];
        self.skip_space();
        true
    }

    pub(crate) fn take_while(&mut self, wanted: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self.rest.iter().position(|&b| !wanted(b)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    /// A token; `None` if there is none.
    pub(crate) fn token(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.token_bytes()?).ok()
    }

    /// Likewise, for those who need no text.
    pub(crate) fn token_bytes(&mut self) -> Option<&'a [u8]> {
        let taken = self.take_while(is_token);
        (!taken.is_empty()).then_some(taken)
    }

    /// A quoted string with its quotes, escapes untouched; `None` if there is none or it doesn't end.
    pub(crate) fn quoted(&mut self) -> Option<&'a [u8]> {
        if self.peek() != Some(b'"') {
            return None;
        }
        let mut at = 1;
        loop {
            match self.rest.get(at)? {
                b'\\' => at += 2,
                b'"' => break,
                _ => at += 1,
            }
        }
        let (taken, rest) = self.rest.split_at(at + 1);
        self.rest = rest;
        Some(taken)
    }

    /// Everything before `byte`, which is taken as well; `None` if it doesn't come.
    pub(crate) fn until(&mut self, byte: u8) -> Option<&'a [u8]> {
        let at = memchr(byte, self.rest)?;
        let taken = &self.rest[..at];
        self.rest = &self.rest[at + 1..];
        Some(taken)
    }
}

pub(crate) fn is_space(b: u8) -> bool {
    b == b' ' || b == b'\t'
}

/// `token` of RFC 3261 section 25.1.
pub(crate) fn is_token(b: u8) -> bool {
    const TOKEN: Class = Class::of(b"-.!%*_+`'~");
    TOKEN.has(b)
}

/// Letters, digits and some other characters, as a table: each character costs one look.
pub(crate) struct Class([bool; 256]);

impl Class {
    /// All letters and digits, and these.
    pub(crate) const fn of(others: &[u8]) -> Self {
        let mut table = [false; 256];
        let mut b = 0;
        while b < 256 {
            table[b] = (b as u8).is_ascii_alphanumeric();
            b += 1;
        }
        let mut at = 0;
        while at < others.len() {
            table[others[at] as usize] = true;
            at += 1;
        }
        Self(table)
    }

    pub(crate) const fn has(&self, b: u8) -> bool {
        self.0[b as usize]
    }
}

/// What is before the first `byte`, which is ASCII, and what is behind it.
pub(crate) fn split_once(text: &str, byte: u8) -> Option<(&str, &str)> {
    // Such texts are short: looking at one byte at a time is quickest.
    let at = text.bytes().position(|b| b == byte)?;
    Some((&text[..at], &text[at + 1..]))
}

pub(crate) fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = bytes {
        if !is_space(*first) {
            break;
        }
        bytes = rest;
    }
    while let [rest @ .., last] = bytes {
        if !is_space(*last) {
            break;
        }
        bytes = rest;
    }
    bytes
}

/// Text of bytes that ought to be UTF-8; what isn't becomes U+FFFD.
pub(crate) fn lossy(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => String::from_utf8_lossy(bytes).into_owned(),
    }
}

/// What a quoted string says: without its quotes and escapes. Anything else is returned as it is.
pub(crate) fn unquote(raw: &str) -> String {
    let Some(inner) = raw.strip_prefix('"').and_then(|r| r.strip_suffix('"')) else {
        return raw.to_owned();
    };
    if memchr(b'\\', inner.as_bytes()).is_none() {
        return inner.to_owned();
    }
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.extend(chars.next()),
            c => out.push(c),
        }
    }
    out
}

/// A quoted string that says `text`; control characters, which could end the line, are left out.
pub(crate) fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars().filter(|c| !c.is_control()) {
        if c == '"' || c == '\\' {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}

/// Digits as a number of at most 2^32-1, saturating: how RFC 3261 section 20.19 bounds delta-seconds. `None` for anything else.
pub(crate) fn delta_seconds(text: &[u8]) -> Option<u32> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u32, |sum, b| {
        let digit = b.is_ascii_digit().then(|| u32::from(b - b'0'))?;
        Some(sum.saturating_mul(10).saturating_add(digit))
    })
}

/// Digits as an exact number; `None` for anything else, overflow included.
pub(crate) fn number(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |sum, b| {
        let digit = b.is_ascii_digit().then(|| u64::from(b - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_strings_end_at_the_first_quote_that_is_not_escaped() {
        let mut c = Cursor::new(br#""a\"b\\" rest"#);
        assert_eq!(c.quoted(), Some(&br#""a\"b\\""#[..]));
        assert_eq!(c.rest, b" rest");
        assert_eq!(Cursor::new(br#""open\""#).quoted(), None);
        assert_eq!(Cursor::new(br#""open\"#).quoted(), None);
        assert_eq!(unquote(r#""a\"b\\""#), r#"a"b\"#);
        assert_eq!(quote("a\"b\\\r\n"), r#""a\"b\\""#);
    }

    #[test]
    fn numbers_saturate_or_fail_but_never_wrap() {
        assert_eq!(delta_seconds(b"99999999999999999999"), Some(u32::MAX));
        assert_eq!(delta_seconds(b"-1"), None);
        assert_eq!(delta_seconds(b""), None);
        assert_eq!(number(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(number(b"18446744073709551616"), None);
        assert_eq!(number(b"0009"), Some(9));
    }
}
