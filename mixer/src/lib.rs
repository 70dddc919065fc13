//! Conference audio mixer: pure and deterministic. Time is a tick counter of 20 ms; no socket, no clock, no dice, no lock, no name.
//!
//! One [`Mixer`] is one room on one thread. What a leg carries from room to room is in its [`LegAudio`], which is built
//! outside the tick: [`Mixer::push`], [`Mixer::tick`] and [`Mixer::outputs`] neither allocate nor free (rule R71).
//!
//! It doesn't know RTP headers, payload types, key presses (RFC 4733) or encryption: the caller takes those off and puts them on.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod aside;
mod codec;
mod coder;
mod command;
mod ear;
mod effort;
mod event;
mod floor;
mod jitter;
mod keys;
mod leg;
mod level;
mod limiter;
mod mix;
mod mixer;
mod mouth;
mod output;
mod pack;
mod player;
mod polish;
mod rates;
mod resample;
mod resampler;
mod settings;
mod stock;
mod volume;

pub use codec::{Codec, CodecFailed};
pub use coder::Coder;
pub use command::{Command, Refused};
pub use effort::Effort;
pub use event::Event;
pub use jitter::JitterStats;
pub use keys::Keys;
pub use leg::LegAudio;
pub use mixer::{Mixer, Packet};
pub use output::{Output, OutputKind, Talker};
pub use player::{Player, Sound};
pub use resampler::Resampler;
pub use settings::{Leg, LegSettings, OpusClass, Rate, TICK_MS, Unbuildable};
pub use stock::{Lack, Stock, Supply};
pub use volume::Step;
