//! The SIP core, sans-IO: messages, transactions, dialogs, calls, subscriptions, conference state.

pub mod auth;
mod call;
pub mod conference;
mod dialog;
pub mod endpoint;
pub mod locate;
pub mod msg;
pub mod probe;
mod refer;
pub mod register;
pub mod sdp;
mod subscription;
mod transaction;

pub(crate) use transaction::customer;

pub use endpoint::Endpoint;
