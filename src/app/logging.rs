//! The log, to standard error.

use std::io::{self, IsTerminal};

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::Log;

/// Starts logging as the configuration says; a second start changes nothing.
pub fn start(log: &Log) {
    let builder = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::from_level(log.level))
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr);
    // The reader of connectivity checks warns of what anybody can send; that is counted instead.
    let heard = Targets::new()
        .with_default(LevelFilter::from_level(log.level))
        .with_target("is", LevelFilter::OFF);
    // Somebody else's subscriber, in tests, is as good.
    let _ = if log.json {
        builder.json().finish().with(heard).try_init()
    } else {
        builder.finish().with(heard).try_init()
    };
}
