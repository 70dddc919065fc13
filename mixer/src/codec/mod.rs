//! Codecs and their clock rates (rule R70).

/// A codec that a leg can speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Codec {
    /// G.711 µ-law, 8000 Hz.
    Pcmu,
    /// G.711 A-law, 8000 Hz.
    Pcma,
    /// Opus, RTP clock 48000 Hz (RFC 7587).
    Opus,
}
