//! The room: who is in it, by which doors, what they may do. One owner, `&mut self`; no protocol, no socket, no clock.
//!
//! Everything that changes a room is a [`Request`] (which may be refused) or a [`Report`] (a fact, which may not).
//! After any call drain [`Room::poll_media`], then [`Room::poll_event`], then [`Room::poll_store`].

mod event;
mod refusal;
mod report;
mod request;
mod view;

pub use event::{EndCause, Event, LeaveCause, Numbered};
pub use refusal::Refusal;
pub use report::{LegCause, OccupantCause, Report};
pub use request::{Accepted, Request, Target};
pub use view::{AudioLevel, LegState, LegView, OccupantKind, OccupantView, PersonView, TextLevel, View};
