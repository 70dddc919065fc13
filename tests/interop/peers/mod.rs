//! The peers that interop tests start, each behind a few verbs.

pub(crate) mod folder;

use cusax::app::prosody::{Prosody, Setup};

pub(crate) use folder::Folder;

/// Starts a Prosody for `localhost` with these users; each one's password is their name.
pub(crate) fn prosody(folder: &Folder, users: &[&str]) -> Prosody {
    Prosody::start(Setup::localhost(users), &folder.join("prosody")).expect("prosody starts")
}
