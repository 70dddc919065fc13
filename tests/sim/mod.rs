//! The whole bridge on fake time and a seeded net.

mod dial;
mod factory;
mod fakes;
mod hostile;
mod keypad;
mod lobby;
mod menu;
mod names;
mod recording;
mod refer;
mod security;
mod sip;
mod succession;
mod trunks;
mod two_doors;
mod world;
