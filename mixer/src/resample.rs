//! Resample.
