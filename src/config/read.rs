//! Takes values out of a TOML document, one key at a time, and notes every mistake with its place. Knows no key by name.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    ops::RangeInclusive,
    path::{Path, PathBuf},
};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{Mistake, Secret};

/// What a whole reading shares: the text, where secrets may come from, and what was wrong so far.
pub(super) struct Reader<'t> {
    text: &'t str,
    /// Relative paths start here.
    folder: &'t Path,
    /// The environment, injected.
    environment: &'t dyn Fn(&str) -> Option<String>,
    mistakes: RefCell<Vec<Mistake>>,
    warnings: RefCell<Vec<Mistake>>,
}

impl<'t> Reader<'t> {
    pub(super) fn new(text: &'t str, folder: &'t Path, environment: &'t dyn Fn(&str) -> Option<String>) -> Self {
        Self {
            text,
            folder,
            environment,
            mistakes: RefCell::default(),
            warnings: RefCell::default(),
        }
    }

    /// Parses the text; mistakes of syntax are noted, and what could be read is returned.
    pub(super) fn document(&'t self) -> Section<'t> {
        let (table, errors) = DeTable::parse_recoverable(self.text);
        for error in errors {
            self.mistake(error.span().map(|s| s.start), String::new(), error.message());
        }
        Section::new(self, String::new(), Some(0), table.into_inner())
    }

    /// A path of the file, completed.
    pub(super) fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.folder.join(path)
    }

    /// Mistakes and warnings, each in order of lines.
    pub(super) fn finish(self) -> (Vec<Mistake>, Vec<Mistake>) {
        let [mut mistakes, mut warnings] = [self.mistakes, self.warnings].map(RefCell::into_inner);
        mistakes.sort_by_key(|m| m.line);
        warnings.sort_by_key(|m| m.line);
        (mistakes, warnings)
    }

    fn line(&self, offset: usize) -> usize {
        1 + self.text.as_bytes()[..offset.min(self.text.len())]
            .iter()
            .filter(|b| **b == b'\n')
            .count()
    }

    fn mistake(&self, offset: Option<usize>, key: String, problem: impl Into<String>) {
        let line = offset.map(|o| self.line(o));
        self.mistakes.borrow_mut().push(Mistake {
            line,
            key,
            problem: problem.into(),
        });
    }
}

/// One table. What is left in it at [`Section::finish`] is unknown.
pub(super) struct Section<'r> {
    reader: &'r Reader<'r>,
    /// As messages call it: `sip`, `room.standup`.
    pub(super) name: String,
    /// Byte offset of its header; none if the file lacks the section.
    offset: Option<usize>,
    table: DeTable<'r>,
    offsets: BTreeMap<String, usize>,
    known: Vec<&'static str>,
}

impl<'r> Section<'r> {
    fn new(reader: &'r Reader<'r>, name: String, offset: Option<usize>, table: DeTable<'r>) -> Self {
        let offsets = table.iter().map(|(k, _)| (k.get_ref().to_string(), k.span().start)).collect();
        Self {
            reader,
            name,
            offset,
            table,
            offsets,
            known: Vec::new(),
        }
    }

    /// The section `[name]`, empty if there is none.
    pub(super) fn section(&mut self, name: &'static str) -> Self {
        let offset = self.offsets.get(name).copied();
        let value = self.take(name).map(Spanned::into_inner);
        if let Some(DeValue::Table(table)) = value {
            return Self::new(self.reader, name.to_owned(), offset, table);
        }
        if let Some(other) = value {
            self.reader.mistake(
                offset,
                name.to_owned(),
                format!("must be a section `[{name}]`, not {}", kind(&other)),
            );
        }
        Self::new(self.reader, name.to_owned(), None, DeTable::new())
    }

    /// The sections `[[name]]`, in order.
    pub(super) fn sections(&mut self, name: &'static str) -> Vec<Self> {
        let offset = self.offsets.get(name).copied();
        let Some(value) = self.take(name).map(Spanned::into_inner) else {
            return Vec::new();
        };
        let DeValue::Array(items) = value else {
            self.reader.mistake(
                offset,
                name.to_owned(),
                format!("must be a list of sections `[[{name}]]`, not {}", kind(&value)),
            );
            return Vec::new();
        };
        let mut found = Vec::new();
        for item in items {
            let (at, item) = (item.span().start, item.into_inner());
            if let DeValue::Table(table) = item {
                found.push(Self::new(self.reader, format!("{name}[{}]", found.len() + 1), Some(at), table));
            } else {
                let problem = format!("must be a list of sections `[[{name}]]`; this is {}", kind(&item));
                self.reader.mistake(Some(at), name.to_owned(), problem);
            }
        }
        found
    }

    /// A text, parsed; none if it is absent or wrong.
    pub(super) fn text<T>(&mut self, key: &'static str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let value = self.take(key)?;
        self.parse_text(key, &value, parse)
    }

    /// Every key that is left, with its text, in order of the file; for sections whose keys are the user's own.
    pub(super) fn entries(&mut self) -> Vec<(String, String)> {
        let mut entries = Vec::new();
        let mut left: Vec<_> = std::mem::take(&mut self.table).into_iter().collect();
        left.sort_by_key(|(key, _)| key.span().start);
        for (key, value) in left {
            let key = key.into_inner().into_owned();
            match value.get_ref().as_str() {
                Some(text) => entries.push((key, text.to_owned())),
                None => self.mistake(&key, format!("must be a text in quotes, not {}", kind(value.get_ref()))),
            }
        }
        entries
    }

    /// A text that must be given, parsed.
    pub(super) fn required<T>(&mut self, key: &'static str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        if !self.offsets.contains_key(key) {
            self.mistake(key, "must be given");
        }
        self.text(key, parse)
    }

    /// A list of texts, each parsed; wrong ones are noted and left out.
    pub(super) fn list<T>(&mut self, key: &'static str, parse: impl Fn(&str) -> Result<T, String>) -> Option<Vec<T>> {
        let value = self.take(key)?;
        if let DeValue::Array(items) = value.get_ref() {
            return Some(items.iter().filter_map(|item| self.parse_text(key, item, &parse)).collect());
        }
        self.mistake(key, format!("must be a list of texts, not {}", kind(value.get_ref())));
        None
    }

    /// A whole number within a range.
    pub(super) fn number<T>(&mut self, key: &'static str, range: RangeInclusive<T>) -> Option<T>
    where
        T: TryFrom<i64> + PartialOrd + std::fmt::Display,
    {
        let value = self.take(key)?;
        let integer = value
            .get_ref()
            .as_integer()
            .and_then(|n| i64::from_str_radix(n.as_str(), n.radix()).ok());
        let number = integer.and_then(|n| T::try_from(n).ok()).filter(|n| range.contains(n));
        if number.is_none() {
            self.mistake(key, format!("must be a whole number from {} to {}", range.start(), range.end()));
        }
        number
    }

    /// A flag.
    pub(super) fn flag(&mut self, key: &'static str) -> Option<bool> {
        let value = self.take(key)?;
        let flag = value.get_ref().as_bool();
        if flag.is_none() {
            self.mistake(key, format!("must be true or false, not {}", kind(value.get_ref())));
        }
        flag
    }

    /// A secret: from the environment (`CUSAX_SECTION_KEY`), else from `key`, else from the file that `file_key` names.
    pub(super) fn secret(&mut self, key: &'static str, file_key: &'static str) -> Option<Secret> {
        let here = self.text(key, not_empty);
        let file = self.text(file_key, not_empty);
        if let Some(value) = (self.reader.environment)(&self.variable(key)) {
            return Some(Secret::new(value));
        }
        match (here, file) {
            (Some(_), Some(_)) => {
                self.mistake(file_key, format!("`{key}` is given too; one of them"));
                None
            }
            (Some(value), None) => Some(Secret::new(value)),
            (None, Some(file)) => self.secret_file(file_key, &file),
            (None, None) => None,
        }
    }

    /// Whether the file has one of these keys, right or wrong.
    pub(super) fn any_given(&self, keys: &[&str]) -> bool {
        keys.iter().any(|key| self.offsets.contains_key(*key))
    }

    /// The environment variable that may hold this key's value.
    pub(super) fn variable(&self, key: &str) -> String {
        let name = format!("cusax_{}_{key}", self.name).to_ascii_uppercase();
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
    }

    fn secret_file(&self, key: &'static str, file: &str) -> Option<Secret> {
        let path = self.reader.path(file);
        match std::fs::read_to_string(&path) {
            Ok(text) if !text.trim_end().is_empty() => Some(Secret::new(text.trim_end_matches(['\r', '\n']).to_owned())),
            Ok(_) => {
                self.mistake(key, format!("{} is empty", path.display()));
                None
            }
            Err(error) => {
                self.mistake(key, format!("{}: {error}", path.display()));
                None
            }
        }
    }

    /// Notes that a key of this section is wrong, at its line if it is there, else at the section's.
    pub(super) fn mistake(&self, key: &str, problem: impl Into<String>) {
        self.reader.mistake(self.offset_of(key), self.path(key), problem);
    }

    /// Notes that a key of this section is odd.
    pub(super) fn warning(&self, key: &str, problem: impl Into<String>) {
        let line = self.offset_of(key).map(|o| self.reader.line(o));
        self.reader.warnings.borrow_mut().push(Mistake {
            line,
            key: self.path(key),
            problem: problem.into(),
        });
    }

    /// Notes every key that nobody asked for.
    pub(super) fn finish(self) {
        for (key, _) in &self.table {
            let word = if self.name.is_empty() { "section" } else { "key" };
            let known = self.known.join(", ");
            self.reader.mistake(
                Some(key.span().start),
                self.path(key.get_ref()),
                format!("unknown {word} (known here: {known})"),
            );
        }
    }

    fn offset_of(&self, key: &str) -> Option<usize> {
        self.offsets.get(key).copied().or(self.offset)
    }

    fn path(&self, key: &str) -> String {
        if self.name.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.name)
        }
    }

    fn take(&mut self, key: &'static str) -> Option<Spanned<DeValue<'r>>> {
        self.known.push(key);
        self.table.remove(key)
    }

    fn parse_text<T>(&self, key: &'static str, value: &Spanned<DeValue<'_>>, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let text = value.get_ref().as_str();
        let result = text.map_or_else(|| Err(format!("must be a text in quotes, not {}", kind(value.get_ref()))), parse);
        result
            .map_err(|problem| self.reader.mistake(Some(value.span().start), self.path(key), problem))
            .ok()
    }
}

/// A text that says something.
pub(super) fn not_empty(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        Err("is empty".into())
    } else {
        Ok(text.to_owned())
    }
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a section",
    }
}
