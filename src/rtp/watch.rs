//! Tells when a peer has gone quiet (rule R45): neither RTP nor RTCP for half of the time that it may be silent, then for all of it.

use std::time::{Duration, Instant};

/// Watches one leg.
#[derive(Debug, Clone)]
pub struct Watch {
    since: Instant,
    /// Seconds of silence that are told, in order.
    marks: [u32; 2],
    told: usize,
}

impl Watch {
    /// Starts to watch: silence counts from now, and is told after half of `limit` and after all of it, in whole seconds.
    pub fn new(now: Instant, limit: Duration) -> Self {
        let limit = u32::try_from(limit.as_secs()).unwrap_or(u32::MAX).max(2);
        Self {
            since: now,
            marks: [limit / 2, limit],
            told: 0,
        }
    }

    /// Notes an accepted packet; `true` if silence had been told.
    pub fn handle_packet(&mut self, now: Instant) -> bool {
        self.since = now;
        std::mem::take(&mut self.told) > 0
    }

    /// Starts over without a word: for legs on hold, which may rightly say nothing (rule R44).
    pub fn excuse(&mut self, now: Instant) {
        self.since = now;
    }

    /// The next mark that silence has reached, once each, in seconds. Call it again until `None`.
    pub fn handle_timeout(&mut self, now: Instant) -> Option<u32> {
        let mark = *self.marks.get(self.told)?;
        if now.duration_since(self.since) < Duration::from_secs(mark.into()) {
            return None;
        }
        self.told += 1;
        Some(mark)
    }

    /// When the next mark is due, if any is left.
    pub fn poll_timeout(&self) -> Option<(Instant, &'static str)> {
        self.marks
            .get(self.told)
            .map(|&mark| (self.since + Duration::from_secs(mark.into()), "quiet peer"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r45_quiet_is_told_at_30_and_60_seconds_once() {
        let start = Instant::now();
        let mut watch = Watch::new(start, Duration::from_secs(60));
        let at = |s| start + Duration::from_secs(s);
        assert_eq!(watch.handle_timeout(at(29)), None);
        assert_eq!(watch.poll_timeout().map(|t| t.0), Some(at(30)));
        assert_eq!(watch.handle_timeout(at(30)), Some(30));
        assert_eq!(watch.handle_timeout(at(59)), None);
        assert_eq!(watch.handle_timeout(at(60)), Some(60));
        assert_eq!(watch.handle_timeout(at(600)), None);
        assert_eq!(watch.poll_timeout(), None);
    }

    #[test]
    fn r45_a_packet_resumes_and_starts_over() {
        let start = Instant::now();
        let mut watch = Watch::new(start, Duration::from_secs(60));
        let at = |s| start + Duration::from_secs(s);
        assert!(!watch.handle_packet(at(10)));
        assert_eq!(watch.handle_timeout(at(39)), None);
        assert_eq!(watch.handle_timeout(at(40)), Some(30));
        assert!(watch.handle_packet(at(41)));
        assert!(!watch.handle_packet(at(42)));
        assert_eq!(watch.handle_timeout(at(72)), Some(30));
    }

    #[test]
    fn r44_hold_is_excused() {
        let start = Instant::now();
        let mut watch = Watch::new(start, Duration::from_secs(60));
        let at = |s| start + Duration::from_secs(s);
        watch.excuse(at(100));
        assert_eq!(watch.handle_timeout(at(100)), None);
        assert_eq!(watch.handle_timeout(at(130)), Some(30));
    }
}
