//! What the endpoint is told once, at its start.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use super::flow::Transport;

/// One address at which we take messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// How.
    pub transport: Transport,
    /// The address as bound: the `local` of every flow through it.
    pub local: SocketAddr,
    /// What others are told to reach us by, in `Via` and `Contact`: a name, an IPv4 address, or a bracketed IPv6 address (rule R46).
    pub host: String,
    /// The port that goes with it.
    pub port: u16,
}

impl Listener {
    /// A listener that is reached by the address it is bound to.
    pub fn plain(transport: Transport, local: SocketAddr) -> Self {
        let host = match local.ip() {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        };
        Self {
            transport,
            local,
            host,
            port: local.port(),
        }
    }
}

/// How much the endpoint keeps, in all and per source address. Beyond it: 503 with Retry-After.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Server transactions in all. One lives for 32 s after its response and takes about 2 KiB.
    pub transactions: usize,
    /// Server transactions of one source address.
    pub transactions_per_source: usize,
    /// Calls in all.
    pub calls: usize,
    /// Calls of one source address: a trunk or a proxy is one source.
    pub calls_per_source: usize,
    /// Subscriptions in all.
    pub subscriptions: usize,
    /// Subscriptions of one source address.
    pub subscriptions_per_source: usize,
    /// Transactions in all of callers who were asked to prove who they are.
    pub unproven: usize,
    /// Transactions of one source address of callers who were asked to prove who they are.
    pub unproven_per_source: usize,
    /// Messages that one source address may send in a second, lastingly; twice as many at once. More are dropped.
    pub messages_per_source: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // 400 calls a second, each with an INVITE and a BYE, for 32 s, is 25,600.
            transactions: 65_536,
            transactions_per_source: 32_768,
            // One machine's media plane carries fewer.
            calls: 20_000,
            calls_per_source: 10_000,
            // Conference-aware phones subscribe once a call, monitors besides.
            subscriptions: 20_000,
            subscriptions_per_source: 10_000,
            // 256 a second of those who are asked and say nothing more, for 32 s by UDP; honest callers are asked once an hour or so.
            unproven: 32_768,
            unproven_per_source: 8_192,
            // A fifth of what one processor reads.
            messages_per_source: 10_000,
        }
    }
}

/// What the endpoint is told once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointConfig {
    /// Where we take messages; the first that fits a peer's transport and address family is used towards it.
    pub listeners: Vec<Listener>,
    /// Event packages whose subscriptions we take (RFC 6665), the `Allow-Events` of every answer. Empty: SUBSCRIBE is answered 405.
    pub packages: Vec<String>,
    /// Body types that subscribers are sent, for `Accept` (checklist M-1).
    pub accept: Vec<String>,
    /// The session interval that we ask for, in seconds (RFC 4028 section 4).
    pub session_expires: u32,
    /// The shortest session interval that we take, in seconds; at least 90 (RFC 4028 section 5).
    pub min_se: u32,
    /// The longest and the default subscription, in seconds (RFC 6665 section 4.2.1.1).
    pub max_subscription: u32,
    /// The shortest subscription but 0 that we take, in seconds: a shorter one is answered 423.
    pub min_subscription: u32,
    /// How much is kept.
    pub limits: Limits,
    /// How long a hop may say nothing at all before a request goes to the next one, if there is one; at most 32 s (RFC 3263 section 4.3 waits that
    /// long for each).
    pub hop_limit: Duration,
}

impl EndpointConfig {
    /// The values for a conference focus at these addresses.
    pub fn new(listeners: Vec<Listener>) -> Self {
        Self {
            listeners,
            packages: vec!["conference".to_owned()],
            accept: vec!["application/sdp".to_owned(), "application/conference-info+xml".to_owned()],
            session_expires: 1800,
            min_se: 90,
            max_subscription: 3600,
            min_subscription: 60,
            limits: Limits::default(),
            hop_limit: Duration::from_secs(4),
        }
    }
}
