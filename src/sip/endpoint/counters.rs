//! Numbers of what was refused, dropped or odd, since the start.

/// Numbers since the start. Nothing here is logged above debug (rule R48): this is where an operator sees it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Requests that started a transaction.
    pub requests: u64,
    /// Retransmissions that were answered or absorbed by a transaction.
    pub repeated: u64,
    /// Messages that could not be parsed and were answered 400.
    pub malformed_answered: u64,
    /// Messages that could not be parsed and were dropped.
    pub malformed_dropped: u64,
    /// Responses that belong to no transaction of ours.
    pub stray_responses: u64,
    /// ACKs that belong to no call of ours.
    pub stray_acks: u64,
    /// Requests with a To tag but without a dialog, answered 481.
    pub no_dialog: u64,
    /// Merged requests, answered 482.
    pub merged: u64,
    /// Requests refused by the endpoint itself for what they say: 405, 406, 415, 416, 420, 489, 501 and the like.
    pub refused: u64,
    /// Requests answered 503 because a limit was reached.
    pub overload: u64,
    /// Requests dropped because their source had too many refused lately (rule R48).
    pub throttled: u64,
    /// Requests answered 503 because too many of their source had been asked for credentials and shown none.
    pub unproven: u64,
    /// Messages dropped unread because their source had sent too many.
    pub flooding: u64,
    /// Requests that the application never answered.
    pub unanswered: u64,
    /// Transactions of ours that nobody answered.
    pub timed_out: u64,
    /// Requests of ours that could not be sent anywhere.
    pub unsendable: u64,
    /// Requests over 1,300 bytes that went by TCP instead of UDP (rule R42).
    pub moved_to_tcp: u64,
    /// Of those, the ones that had to come back to UDP.
    pub back_to_udp: u64,
    /// Requests of ours that waited for a name to be looked up (RFC 3263).
    pub lookups: u64,
    /// Lookups that came to nothing, or not in time.
    pub lookups_failed: u64,
    /// Requests that went to another hop because one was silent, unreachable or without room (RFC 3263 section 4.3).
    pub failed_over: u64,
}
