//! Mix.
