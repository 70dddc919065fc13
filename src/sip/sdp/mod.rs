//! Session descriptions: text (RFC 8866) and offer/answer (RFC 3264) for one audio stream, plain or with keys (RFC 4568). Doesn't know
//! ICE: `a=candidate` and the like are read over.

mod crypto;
mod extmap;
mod formats;
mod negotiation;
mod sdes;
mod text;

pub use crypto::BadCrypto;
pub use negotiation::{LocalMedia, Negotiation, Terms, Unacceptable, check};
pub use text::{Attribute, BadSdp, Connection, MAX_ATTRIBUTES, MAX_MEDIA, MediaLine, Origin, Sdp};

#[cfg(test)]
mod tests;
