//! The one integration binary; its modules are the rings of tests.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests may panic and tell")]

mod interop;
mod layers;
