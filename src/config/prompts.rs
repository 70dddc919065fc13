//! `[prompts]`: what is said to callers, and in which language.

use std::path::PathBuf;

use super::read::{Reader, Section};

/// The language that is built in.
const BUILT_IN: &str = "en";

/// The folder with what is said in place of the built-in voice, if there is one.
pub(super) fn prompts(r: &Reader<'_>, mut s: Section<'_>) -> Option<PathBuf> {
    let folder = s.text("folder", super::parse::path).map(|path| r.path(path));
    let language = s.text("language", language);
    if folder.is_none() && language.as_ref().is_some_and(|language| language != BUILT_IN) {
        s.mistake("language", format!("only {BUILT_IN} is built in; another one needs a folder"));
    }
    let folder = folder.map(|folder| folder.join(language.as_deref().unwrap_or(BUILT_IN)));
    if let Some(missing) = folder.as_ref().filter(|folder| !folder.is_dir()) {
        s.mistake("folder", format!("there is no folder {}", missing.display()));
    }
    s.finish();
    folder
}

/// A language tag (RFC 5646), as far as it makes a folder's name.
fn language(text: &str) -> Result<String, String> {
    let fits = |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if text.split('-').all(fits) {
        Ok(text.to_owned())
    } else {
        Err("is no language tag like \"en\" or \"pt-BR\"".to_owned())
    }
}
