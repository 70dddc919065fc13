//! The two clocks of one moment, read together at the edge and handed inward.

use std::time::Instant;

/// One moment: the monotonic clock for timers, the wall clock for what people read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Monotonic; every timeout is computed from it.
    pub at: Instant,
    /// Milliseconds since the UNIX epoch; only for stamps in documents, delays and records.
    pub unix_ms: u64,
}
