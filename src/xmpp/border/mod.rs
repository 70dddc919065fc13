//! What may cross the border between the stream and the program: limits (rule R21), namespaces (rule R22), characters.
//! Does not read or write XML itself: `stream` does.

mod clean;
mod limits;
mod scope;

pub use clean::clean;
pub(crate) use clean::{Escape, escape};
pub use limits::{Excess, MAX_DEPTH, MAX_ELEMENTS, MAX_SENT_BYTES, MAX_SENT_DEPTH, MAX_STANZA_BYTES, MAX_TOKEN_BYTES};
pub(crate) use limits::{MAX_RAW_TOKEN, MAX_SKIPPED_BYTES, MAX_SKIPPED_DEPTH, Meter};
pub use scope::NS_COMPONENT;
pub(crate) use scope::{Scope, Undeclared};
