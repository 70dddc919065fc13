//! One task per room, and the directory from name to handle.
