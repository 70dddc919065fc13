//! How many calls a configuration can hold at once, as far as ports and open files go (rule R46).

use super::Media;

/// How many calls fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// By the port range: a pair of ports a call, at each address.
    pub by_ports: u64,
    /// By the limit of open files, if that could be read.
    pub by_files: Option<u64>,
}

/// Sockets a call takes: RTP and RTCP.
const FILES_PER_CALL: u64 = 2;
/// Kept for the rest: signalling sockets and streams, the database, threads' own descriptors.
const OTHER_FILES: u64 = 512;

impl Capacity {
    /// Computes it for a media configuration and a limit of open files.
    pub fn new(media: &Media, open_files: Option<u64>) -> Self {
        let first = u64::from(*media.ports.start()).next_multiple_of(2);
        let pairs = (u64::from(*media.ports.end()) + 1).saturating_sub(first) / 2;
        Self {
            by_ports: pairs * media.listen.len() as u64,
            by_files: open_files.map(|n| n.saturating_sub(OTHER_FILES) / FILES_PER_CALL),
        }
    }

    /// Calls at once.
    pub fn calls(&self) -> u64 {
        self.by_files.map_or(self.by_ports, |files| files.min(self.by_ports))
    }
}

/// The hard limit of open files, to which the server raises its soft one at its start.
pub fn open_files_limit() -> Option<u64> {
    parse_limits(&std::fs::read_to_string("/proc/self/limits").ok()?)
}

/// Reads proc(5)'s table: `Max open files   1024   524288   files`.
fn parse_limits(table: &str) -> Option<u64> {
    let line = table.lines().find_map(|l| l.strip_prefix("Max open files"))?;
    match line.split_whitespace().nth(1)? {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    fn media(ports: std::ops::RangeInclusive<u16>, listen: &[&str]) -> Media {
        let listen: Vec<IpAddr> = listen.iter().map(|l| l.parse().expect("an address")).collect();
        Media {
            listen,
            advertise: Default::default(),
            ports,
            threads: 0,
            timeout: std::time::Duration::from_secs(60),
        }
    }

    #[test]
    fn r46_a_call_takes_a_pair_that_begins_at_an_even_port() {
        assert_eq!(Capacity::new(&media(16384..=32767, &["0.0.0.0"]), None).calls(), 8192);
        assert_eq!(Capacity::new(&media(16384..=32767, &["0.0.0.0", "::"]), None).calls(), 16384);
        assert_eq!(Capacity::new(&media(2001..=2004, &["0.0.0.0"]), None).calls(), 1);
        assert_eq!(Capacity::new(&media(2000..=2005, &["0.0.0.0"]), None).calls(), 3);
    }

    #[test]
    fn r46_open_files_bound_it_too() {
        let capacity = Capacity::new(&media(16384..=32767, &["0.0.0.0"]), Some(4096));
        assert_eq!((capacity.by_files, capacity.calls()), (Some(1792), 1792));
        assert_eq!(Capacity::new(&media(16384..=32767, &["0.0.0.0"]), Some(100)).calls(), 0);
    }

    #[test]
    fn the_kernels_table_is_read() {
        assert_eq!(
            parse_limits("Max cpu time  unlimited unlimited seconds\nMax open files            1024       524288      files\n"),
            Some(524288)
        );
        assert!(open_files_limit().is_some());
    }
}
