//! Puts packets in order and in time.

/// What happened in a leg's jitter buffer so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct JitterStats {
    /// Packets that came.
    pub received: u64,
    /// Packets that had come before.
    pub duplicates: u64,
    /// Packets that came after their turn.
    pub late: u64,
    /// Packets too far ahead, or too many at once.
    pub early: u64,
    /// Payloads that can't be the codec's: empty, too long, or with an impossible length inside.
    pub invalid: u64,
    /// Ticks filled by concealment because nothing was there in time.
    pub concealed: u64,
    /// Ticks of audio left out to get the delay down.
    pub dropped: u64,
    /// Ticks put in to get the delay up.
    pub inserted: u64,
}
