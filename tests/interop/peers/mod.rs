//! The peers that interop tests start, each behind a few verbs.

pub(crate) mod chat;
pub(crate) mod events;
pub(crate) mod folder;
pub(crate) mod gate;
pub(crate) mod phone;
pub(crate) mod script;
pub(crate) mod server;
pub(crate) mod sipp;
pub(crate) mod sound;

use cusax::app::prosody::{Prosody, Setup};

pub(crate) use chat::Chat;
pub(crate) use folder::Folder;
pub(crate) use gate::Gate;
pub(crate) use phone::{Phone, PhoneSetup};
pub(crate) use script::Script;
pub(crate) use server::Server;
pub(crate) use sipp::{Line, Sipp};

/// Starts a Prosody for `localhost` with these users; each one's password is their name.
pub(crate) fn prosody(folder: &Folder, users: &[&str]) -> Prosody {
    Prosody::start(Setup::localhost(users), &folder.join("prosody")).expect("prosody starts")
}
