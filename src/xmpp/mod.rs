//! The XMPP core, sans-IO: the component stream, stanza types, errors.

pub mod border;
pub mod mark;
pub mod muc;
pub mod stanza;
pub mod stream;
