//! Conference audio mixer: pure and deterministic. Time is a tick counter of 20 ms; no socket, no clock, no dice, no lock, no name.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod codec;

pub use codec::Codec;
