//! The one integration binary; its modules are the rings of tests.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "tests may panic, tell, and read the clock"
)]

mod feature;
mod interop;
mod layers;
mod licences;
mod model;
mod rfc;
mod sim;
