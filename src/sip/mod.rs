//! The SIP core, sans-IO: messages, transactions, dialogs, calls, subscriptions, conference state.

pub mod conference;
pub mod msg;
