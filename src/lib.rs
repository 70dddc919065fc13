//! One meeting room with two doors: a SIP conference and an XMPP chat room.
//!
//! `src/ARCHITECTURE.md` is the map: which module knows what, and the invariants between them.
//! Imports run downward only (`tests/layers.rs`): `app cli | io media | hub | peers | sip xmpp rtp room | model config | mixer`.
#![deny(unsafe_code)]

pub mod app;
pub mod cli;
pub mod config;
pub mod hub;
pub mod io;
pub mod media;
pub mod model;
pub mod peers;
pub mod room;
pub mod rtp;
pub mod sip;
pub mod xmpp;
