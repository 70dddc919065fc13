//! Conference state (RFC 4575): what it tells, how it is written, what each watcher has been told.

mod state;

pub use state::{Departure, DepartureMethod, Description, Endpoint, EndpointStatus, Entry, Media, MediaKind, MediaStatus, State, User};
