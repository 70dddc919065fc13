//! One meeting room with two doors: a SIP conference and an XMPP chat room.
//!
//! `src/ARCHITECTURE.md` is the map: which module knows what, and the invariants between them.
//! Imports run downward only (`tests/layers.rs`): `app cli | io media | hub | peers | sip xmpp rtp room | model config | mixer`.
#![deny(unsafe_code)]
#![cfg_attr(
    test,
    allow(clippy::disallowed_methods, reason = "unit tests take some first moment from the clock")
)]

#[allow(clippy::disallowed_methods, reason = "a shell reads the clock")]
pub mod app;
pub mod cli;
pub mod config;
#[allow(clippy::disallowed_methods, reason = "a shell reads the clock")]
pub mod hub;
#[allow(clippy::disallowed_methods, reason = "a shell reads the clock")]
pub mod io;
#[allow(clippy::disallowed_methods, reason = "a shell reads the clock")]
pub mod media;
pub mod model;
pub mod peers;
pub mod room;
pub mod rtp;
pub mod sip;
pub mod xmpp;
