//! Media threads: sockets, ticks, and the cores that run on them.
//!
//! Knows no signalling and decides nothing: it carries out [`MediaOrder`](crate::model::MediaOrder)s and reports facts. RTP is read and
//! written by `rtp`, audio is mixed by `mixer`; here are only sockets, threads and who owns what.
//! All unsafe code of the program is in `batch` and `sys`.

mod batch;
mod clerk;
mod counters;
mod guard;
mod handshake;
mod hook;
mod identity;
mod leg;
mod load;
mod order;
mod pace;
mod pending;
mod plane;
mod ports;
mod recording;
mod room;
mod shared;
mod slab;
pub mod softphone;
mod sounds;
mod sys;
pub mod tone;
mod voice;
pub mod wav;
mod whereabouts;
mod worker;

#[cfg(test)]
mod tests;

pub use counters::{PlaneStats, ThreadStats};
pub use plane::{Plane, PlaneConfig};
pub use ports::{Capacity, Interface, capacity, raise_open_file_limit};
pub use recording::{Format, RecordingConfig};
pub use sounds::{BadClip, Clip};
pub use voice::{BadPrompt, Voice};
