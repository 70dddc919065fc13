//! The few XML events that documents are made of, and text that XML can hold.

use quick_xml::{
    Writer,
    events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event},
};

/// Characters of one text, at most. Subjects may have 256 KiB in the chat; a document must stay below its limit (rule R54).
const MAX_TEXT: usize = 1024;

/// A document, or a piece of one, as it grows.
pub(super) struct Xml(Writer<Vec<u8>>);

impl Xml {
    /// A piece of a document.
    pub(super) fn piece() -> Self {
        Self(Writer::new(Vec::new()))
    }

    /// A document with its declaration.
    pub(super) fn document() -> Self {
        let mut xml = Self::piece();
        xml.put(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)));
        xml
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0.into_inner()
    }

    /// Bytes written so far.
    pub(super) fn len(&mut self) -> usize {
        self.0.get_mut().len()
    }

    /// Writes an element, with what `inner` writes inside it.
    pub(super) fn element(&mut self, name: &str, attributes: &[(&str, &str)], inner: impl FnOnce(&mut Self)) {
        self.put(Event::Start(start(name, attributes)));
        inner(self);
        self.put(Event::End(BytesEnd::new(name)));
    }

    /// Writes an element without content.
    pub(super) fn empty(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.put(Event::Empty(start(name, attributes)));
    }

    /// Writes an element with text.
    pub(super) fn text(&mut self, name: &str, text: &str) {
        let text: String = text.chars().filter(|c| legal(*c)).take(MAX_TEXT).collect();
        self.element(name, &[], |xml| xml.put(Event::Text(BytesText::new(&text))));
    }

    /// Writes an element with text, if there is one.
    pub(super) fn optional(&mut self, name: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(name, text);
        }
    }

    fn put(&mut self, event: Event<'_>) {
        self.0.write_event(event).expect("writing to a Vec succeeds");
    }
}

fn start<'a>(name: &'a str, attributes: &[(&str, &str)]) -> BytesStart<'a> {
    let mut tag = BytesStart::new(name);
    for (key, value) in attributes {
        // Readers turn line ends and tabs in attributes into spaces: keys must not change on the way.
        let value: String = value.chars().filter(|c| legal(*c) && !c.is_control()).collect();
        tag.push_attribute((*key, value.as_str()));
    }
    tag
}

/// `Char` of XML 1.0 section 2.2. A carriage return would come back as a line feed.
fn legal(c: char) -> bool {
    matches!(c, '\t' | '\n' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

/// `xs:dateTime` of a moment, in UTC, to the second.
pub(super) fn date_time(unix_ms: u64) -> String {
    /// The last second of the year 9999: four digits are all that readers expect.
    const LAST: u64 = 253_402_300_799;
    let seconds = (unix_ms / 1000).min(LAST);
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (year, day_of_year) = year_of(days);
    let (month, day) = month_of(year, day_of_year);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        rest / 3600,
        rest / 60 % 60,
        rest % 60
    )
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

/// The year of a day since 1970, and the day in it from 0.
fn year_of(days: u64) -> (u64, u64) {
    let before = |year: u64| {
        let y = year - 1;
        (y * 365 + y / 4 - y / 100 + y / 400) - (1969 * 365 + 1969 / 4 - 1969 / 100 + 1969 / 400)
    };
    // Never too late, and at most one year early in 400.
    let mut year = 1970 + days * 400 / DAYS_IN_400_YEARS;
    while before(year) > days {
        year -= 1;
    }
    while before(year + 1) <= days {
        year += 1;
    }
    (year, days - before(year))
}

const DAYS_IN_400_YEARS: u64 = 146_097;

fn month_of(year: u64, mut day: u64) -> (usize, u64) {
    let february = if is_leap(year) { 29 } else { 28 };
    for (index, length) in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30].into_iter().enumerate() {
        if day < length {
            return (index + 1, day + 1);
        }
        day -= length;
    }
    (12, day + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400_000, "2000-02-29T00:00:00Z"),
            (978_307_199_999, "2000-12-31T23:59:59Z"),
            (4_107_542_399_000, "2100-02-28T23:59:59Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00Z"),
            (1_795_419_055_123, "2026-11-23T07:30:55Z"),
            (u64::MAX, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(date_time(ms), text);
        }
    }

    #[test]
    fn text_and_attributes_hold_what_xml_can() {
        let mut xml = Xml::piece();
        xml.element("a", &[("k", "<\"&'\r\n\t\u{7f}>")], |xml| {
            xml.text("b", "<&>\r\n\u{0}\u{b}\u{fffe}\"ö😀")
        });
        assert_eq!(
            String::from_utf8(xml.into_bytes()).unwrap(),
            "<a k=\"&lt;&quot;&amp;&apos;&gt;\"><b>&lt;&amp;&gt;\n&quot;ö😀</b></a>"
        );
        let mut xml = Xml::piece();
        xml.text("b", &"ö".repeat(MAX_TEXT + 1));
        assert_eq!(xml.len(), MAX_TEXT * 2 + 7);
    }
}
