//! The phone door: calls and subscriptions to requests, events to calls and conference state.
