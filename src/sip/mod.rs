//! The SIP core, sans-IO: messages, transactions, dialogs, calls, subscriptions, conference state.

pub mod auth;
pub mod conference;
pub mod msg;
pub mod sdp;
