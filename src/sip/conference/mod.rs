//! Conference state (RFC 4575): what it tells, how it is written, what each watcher has been told. Who may see what is decided by those who make
//! the [`State`]; subscriptions and their NOTIFYs are the endpoint's.

mod render;
mod state;
mod watcher;
mod xml;

pub use render::{CROWD, MAX_DOCUMENT, Printer, Revision};
pub use state::{
    Departure, DepartureMethod, Description, Endpoint, EndpointStatus, Entry, JoiningMethod, Media, MediaKind, MediaStatus, State, User,
};
pub use watcher::Watcher;
