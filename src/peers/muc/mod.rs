//! The chat door: stanzas to requests, events to stanzas. One [`MucRoom`] for each room, one [`MucService`] in front of them.
//!
//! What the room decides (who may enter, write, kick) is asked of it and shown when its event comes back; what only the chat has (clients of one
//! nick, history, subject, queries between clients) is kept here. No socket, no clock, no archive.

mod admin;
mod bounce;
mod bridge;
mod disco;
mod events;
mod flood;
mod form;
mod history;
mod invite;
mod iq;
mod join;
mod link;
mod marks;
mod message;
mod occupants;
mod owner;
mod presence;
mod refusal;
mod relay;
mod room;
mod service;
mod stand_in;
mod voice;

#[cfg(test)]
mod tests;

pub use room::{MucRoom, MucSettings};
pub use service::{Creation, MucService, RoomIndex, RoomSummary, Route, ServiceSettings};
