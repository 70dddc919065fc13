//! Wires the parts into programs. Everything may be imported here; nothing imports from here.

pub mod child;
pub mod operator;
pub mod prosody;
