//! Both clocks, read together.

use std::time::{Instant, SystemTime};

use crate::model::Now;

/// This moment.
pub(super) fn now() -> Now {
    let unix_ms = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |d| d.as_millis() as u64);
    Now {
        at: Instant::now(),
        unix_ms,
    }
}
