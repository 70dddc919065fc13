//! From a name to hops (RFC 3263 section 4): which records to ask for, and what follows from them. One search, one name.

use std::{collections::VecDeque, net::IpAddr, net::SocketAddr, sync::Arc};

use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

use super::{Hop, Lookup, LookupError, Question, assumed};
use crate::sip::endpoint::Transport;

/// Questions for one name: more are a zone that leads in circles.
const MAX_QUERIES: usize = 24;
/// Hops for one name: nobody waits for the failure of more.
const MAX_HOPS: usize = 16;

/// What is asked of the DNS.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Query {
    /// Which services there are (RFC 3403).
    Naptr(Arc<str>),
    /// Which machines serve (RFC 2782).
    Srv(Arc<str>),
    /// The addresses of a machine, of both families.
    Addresses(Arc<str>),
}

/// What the DNS says. An empty list: there is nothing of that kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Records {
    /// To [`Query::Naptr`].
    Naptr(Vec<Naptr>),
    /// To [`Query::Srv`].
    Srv(Vec<Srv>),
    /// To [`Query::Addresses`].
    Addresses(Vec<IpAddr>),
}

/// A NAPTR record, as far as RFC 3263 uses it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Naptr {
    /// Lower ones first.
    pub order: u16,
    /// Among those of one order, lower ones first.
    pub preference: u16,
    /// `s`: the replacement has SRV records.
    pub flags: String,
    /// Such as `SIP+D2U`.
    pub service: String,
    /// The name that comes next.
    pub replacement: String,
}

/// An SRV record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Srv {
    /// Lower ones first.
    pub priority: u16,
    /// The share of the requests, among those of one priority.
    pub weight: u16,
    /// Where it serves.
    pub port: u16,
    /// The machine; `.`: decidedly none.
    pub target: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Naptr,
    Srv { transport: Transport, name: Arc<str> },
    Addresses { transport: Transport, name: Arc<str>, port: u16 },
}

/// One search. Ask what [`poll`](Self::poll) says, [`handle`](Self::handle) the answer, until there is nothing to be asked; then
/// [`finish`](Self::finish).
#[derive(Debug)]
pub struct Search {
    question: Question,
    usable: Vec<Transport>,
    rng: StdRng,
    /// What is to be done, in order of preference.
    steps: VecDeque<Step>,
    /// What is done if the steps come to nothing, and no SRV record says that this is right.
    last_resort: Option<Step>,
    queries: usize,
    /// Something was not answered.
    unanswered: bool,
    hops: Vec<Hop>,
}

impl Search {
    /// Begins.
    pub fn new(lookup: &Lookup) -> Self {
        let mut search = Self {
            question: lookup.question.clone(),
            usable: lookup.usable.clone(),
            rng: StdRng::seed_from_u64(lookup.seed),
            steps: VecDeque::new(),
            last_resort: None,
            queries: 0,
            unanswered: false,
            hops: Vec::new(),
        };
        search.begin();
        search
    }

    fn begin(&mut self) {
        let Question {
            host,
            port,
            transport,
            secure,
            ..
        } = self.question.clone();
        let plain = |transport: Transport, port: Option<u16>| Step::Addresses {
            transport,
            name: Arc::clone(&host),
            port: port.unwrap_or_else(|| transport.default_port()),
        };
        match (port, transport) {
            (Some(_), _) => self.steps.push_back(plain(transport.unwrap_or_else(|| assumed(secure)), port)),
            (None, Some(transport)) => {
                self.steps.extend(service(transport, &host));
                self.last_resort = Some(plain(transport, None));
            }
            (None, None) => {
                self.steps.push_back(Step::Naptr);
                self.last_resort = Some(plain(assumed(secure), None));
            }
        }
    }

    /// What is to be asked next.
    pub fn poll(&mut self) -> Option<Query> {
        if self.queries >= MAX_QUERIES || self.hops.len() >= MAX_HOPS {
            return None;
        }
        if self.steps.is_empty() && self.hops.is_empty() {
            self.steps.extend(self.last_resort.take());
        }
        Some(match self.steps.front()? {
            Step::Naptr => Query::Naptr(Arc::clone(&self.question.host)),
            Step::Srv { name, .. } => Query::Srv(Arc::clone(name)),
            Step::Addresses { name, .. } => Query::Addresses(Arc::clone(name)),
        })
    }

    /// Takes the answer to what was asked last. What is no answer to that is none at all.
    pub fn handle(&mut self, answer: Result<Records, LookupError>) {
        let Some(step) = self.steps.pop_front() else { return };
        self.queries += 1;
        match (step, answer) {
            (Step::Naptr, Ok(Records::Naptr(records))) => self.take_services(records),
            (Step::Srv { transport, .. }, Ok(Records::Srv(records))) => self.take_machines(transport, records),
            (Step::Addresses { transport, port, .. }, Ok(Records::Addresses(addresses))) => self.take_addresses(transport, port, addresses),
            (step @ (Step::Naptr | Step::Srv { .. } | Step::Addresses { .. }), _) => {
                self.unanswered = true;
                if step == Step::Naptr {
                    // Some resolvers swallow what they don't know.
                    self.take_services(Vec::new());
                }
            }
        }
    }

    /// What the name leads to.
    pub fn finish(self) -> Result<Vec<Hop>, LookupError> {
        if !self.hops.is_empty() {
            Ok(self.hops)
        } else if self.unanswered {
            Err(LookupError::NoAnswer)
        } else {
            Err(LookupError::Nothing)
        }
    }

    /// RFC 3263 section 4.1: the services that we can use, as the domain prefers them; without any, what we prefer.
    fn take_services(&mut self, mut records: Vec<Naptr>) {
        records.sort();
        for record in records.iter().filter(|record| record.flags.eq_ignore_ascii_case("s")) {
            if let Some(transport) = self.transport_of(&record.service)
                && let Some(name) = name_of(&record.replacement)
            {
                self.steps.push_back(Step::Srv { transport, name });
            }
        }
        if self.steps.is_empty() {
            let secure = self.question.secure;
            let wanted = self.usable.iter().filter(|transport| !secure || transport.is_protected());
            self.steps
                .extend(wanted.filter_map(|transport| service(*transport, &self.question.host)));
        }
    }

    fn transport_of(&self, service: &str) -> Option<Transport> {
        let transport = SERVICES.iter().find(|(name, _)| name.eq_ignore_ascii_case(service))?.1;
        let wanted = self.usable.contains(&transport) && (!self.question.secure || transport.is_protected());
        wanted.then_some(transport)
    }

    fn take_machines(&mut self, transport: Transport, records: Vec<Srv>) {
        if !records.is_empty() {
            self.last_resort = None;
        }
        let ordered = in_order(records, &mut self.rng);
        for record in ordered.into_iter().take(MAX_HOPS).rev() {
            if let Some(name) = name_of(&record.target) {
                let port = record.port;
                self.steps.push_front(Step::Addresses { transport, name, port });
            }
        }
    }

    fn take_addresses(&mut self, transport: Transport, port: u16, addresses: Vec<IpAddr>) {
        for ip in interleaved(addresses) {
            let hop = Hop {
                transport,
                address: SocketAddr::new(ip, port),
                name: Some(Arc::clone(&self.question.name)),
            };
            if self.hops.len() < MAX_HOPS && !self.hops.contains(&hop) {
                self.hops.push(hop);
            }
        }
    }
}

/// The service fields of NAPTR records (RFC 3263 section 4.1, RFC 7118 section 4).
const SERVICES: &[(&str, Transport)] = &[
    ("SIP+D2U", Transport::Udp),
    ("SIP+D2T", Transport::Tcp),
    ("SIPS+D2T", Transport::Tls),
    ("SIP+D2W", Transport::Ws),
    ("SIPS+D2W", Transport::Wss),
];

/// The SRV records of a service; WebSocket has none (RFC 7118 section 4 leaves it to NAPTR).
fn service(transport: Transport, host: &str) -> Option<Step> {
    let prefix = match transport {
        Transport::Udp => "_sip._udp",
        Transport::Tcp => "_sip._tcp",
        Transport::Tls => "_sips._tcp",
        Transport::Ws | Transport::Wss => return None,
    };
    Some(Step::Srv {
        transport,
        name: format!("{prefix}.{host}").into(),
    })
}

/// A name in a record; none for the root, which says that there is nothing (RFC 2782).
fn name_of(text: &str) -> Option<Arc<str>> {
    let name = text.trim_end_matches('.').to_ascii_lowercase();
    (!name.is_empty()).then(|| name.into())
}

/// By priority, and among equals by chance in proportion to their weight (RFC 2782).
fn in_order(mut records: Vec<Srv>, rng: &mut StdRng) -> Vec<Srv> {
    // What comes in an order of its own would make chance depend on it; and weight 0 goes first, as the RFC wants.
    records.sort();
    let mut ordered = Vec::with_capacity(records.len());
    while let Some(priority) = records.first().map(|record| record.priority) {
        let equals = records.iter().take_while(|record| record.priority == priority);
        let sum: u32 = equals.clone().map(|record| u32::from(record.weight)).sum();
        let chosen = rng.random_range(0..=sum);
        let mut running = 0;
        let reaches = |record: &Srv| {
            running += u32::from(record.weight);
            running >= chosen
        };
        let index = equals.map(reaches).position(|reached| reached).unwrap_or_default();
        ordered.push(records.remove(index));
    }
    ordered
}

/// Both families in turn, so that one that doesn't work costs one try at a time (RFC 8305 section 4).
fn interleaved(addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    let (v6, v4): (Vec<IpAddr>, Vec<IpAddr>) = addresses.into_iter().partition(IpAddr::is_ipv6);
    let length = v6.len().max(v4.len());
    (0..length).flat_map(|i| [v6.get(i), v4.get(i)]).flatten().copied().collect()
}

#[cfg(test)]
mod tests;
