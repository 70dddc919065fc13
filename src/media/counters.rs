//! What goes wrong in the media threads, in numbers.

use std::{
    sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    time::Duration,
};

/// Shared by the threads; each only adds.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) late: AtomicU64,
    pub(super) behind: AtomicU64,
    pub(super) skipped: AtomicU64,
    pub(super) unsent: AtomicU64,
    pub(super) delayed_reports: AtomicU64,
    pub(super) lost_digits: AtomicU64,
    pub(super) rejected: AtomicU64,
    pub(super) forged: AtomicU64,
    pub(super) replayed: AtomicU64,
    pub(super) handshakes: AtomicU64,
    pub(super) handshakes_failed: AtomicU64,
    pub(super) handshakes_closed: AtomicU64,
    pub(super) fingerprints: AtomicU64,
    pub(super) dtls_refused: AtomicU64,
    pub(super) checks: AtomicU64,
    pub(super) checks_refused: AtomicU64,
    pub(super) strays: AtomicU64,
    pub(super) misrouted: AtomicU64,
    pub(super) panics: AtomicU64,
    pub(super) codec_waits: AtomicU64,
    pub(super) crowded: AtomicU64,
    pub(super) recordings_failed: AtomicU64,
    pub(super) recordings_lost_ms: AtomicU64,
}

/// Totals since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PlaneStats {
    /// Ticks that came late and were caught up (rule R68).
    pub late_ticks: u64,
    /// Ticks that began 5 ms after their time or later, those of `late_ticks` among them.
    pub ticks_behind: u64,
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
    /// Packets without a valid SRTP tag: forged, damaged, or under another key.
    pub forged: u64,
    /// SRTP packets that came again, or too late to tell.
    pub replayed: u64,
    /// DTLS handshakes that gave keys.
    pub handshakes: u64,
    /// Handshakes that came to nothing: too late, or too much garbage.
    pub handshakes_failed: u64,
    /// Associations that the peer has closed.
    pub handshakes_closed: u64,
    /// Peers whose certificate is none that their description names (rule R72).
    pub fingerprints: u64,
    /// Datagrams of DTLS from a source that has no valid check or latch, or more than a handshake needs.
    pub dtls_refused: u64,
    /// Connectivity checks that were answered.
    pub checks: u64,
    /// Checks that failed their integrity, name others than agreed, or come from another leg's source.
    pub checks_refused: u64,
    /// Datagrams at shared ports that are for nobody: garbage, unknown names, media from sources without a valid check.
    pub strays: u64,
    /// Datagrams lost between threads: too many waited, or the leg was moving.
    pub misrouted: u64,
    /// Rooms lost to a panic.
    pub panics: u64,
    /// Times that somebody heard or said nothing for a tick since no codec state was in stock.
    pub codec_waits: u64,
    /// Rooms that moved to a thread with less to do.
    pub moved_rooms: u64,
    /// SRTP packets under a right key from more sources than one key is for.
    pub crowded: u64,
    /// Recordings that could not begin, or broke off.
    pub recordings_failed: u64,
    /// Sound that recordings miss since the disk was too slow, in ms.
    pub recordings_lost_ms: u64,
}

/// One media thread's state, as it publishes it.
#[derive(Debug, Default)]
pub(super) struct Gauge {
    /// Busy share over the last second, in thousandths.
    pub(super) busy: AtomicU32,
    /// Steps given up: see `load`.
    pub(super) step: AtomicU32,
    /// The last step: it takes no new legs.
    pub(super) full: AtomicBool,
}

/// What one room took of its thread's time over the last second, as it publishes it.
#[derive(Debug, Default)]
pub(super) struct Cost(AtomicU32);

impl Cost {
    pub(super) fn publish(&self, busy: Duration) {
        self.0.store((busy.as_micros() / 1000) as u32, Ordering::Relaxed);
    }

    /// In thousandths of the thread's time.
    pub(super) fn thousandths(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One media thread's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThreadStats {
    /// Busy share over the last second, in thousandths.
    pub busy: u32,
    /// Steps of service given up for lack of time: first the effort of encoders, then voices in a mix, at last new legs.
    pub shed: u32,
    /// Legs that it has.
    pub legs: usize,
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
            ticks_behind: read(&self.behind),
            skipped_ticks: read(&self.skipped),
            unsent: read(&self.unsent),
            delayed_reports: read(&self.delayed_reports),
            lost_digits: read(&self.lost_digits),
            rejected: read(&self.rejected),
            forged: read(&self.forged),
            replayed: read(&self.replayed),
            handshakes: read(&self.handshakes),
            handshakes_failed: read(&self.handshakes_failed),
            handshakes_closed: read(&self.handshakes_closed),
            fingerprints: read(&self.fingerprints),
            dtls_refused: read(&self.dtls_refused),
            checks: read(&self.checks),
            checks_refused: read(&self.checks_refused),
            strays: read(&self.strays),
            misrouted: read(&self.misrouted),
            panics: read(&self.panics),
            codec_waits: read(&self.codec_waits),
            moved_rooms: 0,
            crowded: read(&self.crowded),
            recordings_failed: read(&self.recordings_failed),
            recordings_lost_ms: read(&self.recordings_lost_ms),
        }
    }
}
