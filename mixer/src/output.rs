//! What a leg is sent in a tick.

/// One packet to send to a leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Output<'a> {
    /// What the payload is, and so its payload type.
    pub kind: OutputKind,
    /// The codec's bytes.
    pub payload: &'a [u8],
    /// When the packet's first sample is due, in units of the codec's RTP clock since the leg's audio was built; wraps. The caller adds
    /// its random offset (RFC 3550 section 5.1).
    pub timestamp: u32,
    /// The packet is the first one, or the first after a gap (rule R62).
    pub marker: bool,
}

/// What a payload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputKind {
    /// The leg's codec.
    Audio,
    /// Comfort noise (RFC 3389), payload type 13.
    ComfortNoise,
}
