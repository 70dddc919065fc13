//! Peers translate between one protocol core and the room's vocabulary. They hold protocol state per room, and decide nothing that the room decides.

pub mod muc;
pub mod sip;
