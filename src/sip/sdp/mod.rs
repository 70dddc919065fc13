//! Session descriptions: text (RFC 8866) and offer/answer (RFC 3264) for one audio stream over RTP/AVP. Knows neither SRTP nor ICE: `a=crypto`,
//! `a=candidate` and the like are read over.

mod extmap;
mod formats;
mod negotiation;
mod text;

pub use negotiation::{LocalMedia, Negotiation, Unacceptable, check};
pub use text::{Attribute, BadSdp, Connection, MAX_ATTRIBUTES, MAX_MEDIA, MediaLine, Origin, Sdp};

#[cfg(test)]
mod tests;
