//! The log, to standard error.

use std::io::{self, IsTerminal};

use tracing_subscriber::filter::LevelFilter;

use crate::config::Log;

/// Starts logging as the configuration says; a second start changes nothing.
pub fn start(log: &Log) {
    let builder = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::from_level(log.level))
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr);
    // Somebody else's subscriber, in tests, is as good.
    let _ = if log.json { builder.json().try_init() } else { builder.try_init() };
}
