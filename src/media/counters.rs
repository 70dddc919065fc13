//! What goes wrong in the media threads, in numbers.

use std::sync::atomic::{AtomicU64, Ordering};

/// Shared by the threads; each only adds.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) late: AtomicU64,
    pub(super) skipped: AtomicU64,
    pub(super) unsent: AtomicU64,
    pub(super) delayed_reports: AtomicU64,
    pub(super) lost_digits: AtomicU64,
    pub(super) rejected: AtomicU64,
    pub(super) panics: AtomicU64,
}

/// Totals since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PlaneStats {
    /// Ticks that came late and were caught up (rule R68).
    pub late_ticks: u64,
    /// Ticks that were left out (rule R68).
    pub skipped_ticks: u64,
    /// Datagrams that the kernel refused to send.
    pub unsent: u64,
    /// Times that the channel of reports was full, so that reports waited.
    pub delayed_reports: u64,
    /// Key presses that were lost because too many waited.
    pub lost_digits: u64,
    /// Datagrams at calls' ports that were no packets of theirs: garbage, other formats, strangers (rule R61).
    pub rejected: u64,
    /// Rooms lost to a panic.
    pub panics: u64,
}

pub(super) fn add(counter: &AtomicU64, count: u64) {
    if count > 0 {
        counter.fetch_add(count, Ordering::Relaxed);
    }
}

impl Counters {
    pub(super) fn snapshot(&self) -> PlaneStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        PlaneStats {
            late_ticks: read(&self.late),
            skipped_ticks: read(&self.skipped),
            unsent: read(&self.unsent),
            delayed_reports: read(&self.delayed_reports),
            lost_digits: read(&self.lost_digits),
            rejected: read(&self.rejected),
            panics: read(&self.panics),
        }
    }
}
