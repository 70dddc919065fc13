//! The `cusax` program.

fn main() {}
