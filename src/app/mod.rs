//! Wires the parts into programs. Everything may be imported here; nothing imports from here.

pub mod child;
mod control;
pub mod demo;
pub mod dialing;
pub mod logging;
pub mod operator;
pub mod phone;
pub mod prosody;
pub mod serve;
pub mod signals;
