//! Session descriptions: text (RFC 8866) and offer/answer (RFC 3264) for one audio stream, plain or with keys (RFC 4568,
//! RFC 5763), on a port of its own or by ICE.

mod crypto;
mod extmap;
mod formats;
mod negotiation;
mod sdes;
mod text;
mod transport;

pub use crypto::BadCrypto;
pub use negotiation::{LocalMedia, Negotiation, Terms, Unacceptable, check};
pub use text::{Attribute, BadSdp, Connection, MAX_ATTRIBUTES, MAX_MEDIA, MediaLine, Origin, Sdp};
pub use transport::{IceSeed, LocalDtls};

#[cfg(test)]
mod tests;
