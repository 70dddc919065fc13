//! The DNS under SIP: fetches the records that a lookup wants to know (RFC 3263), and keeps them as long as they say. Which of them counts is
//! decided in `sip::locate`.

use std::{net::IpAddr, net::SocketAddr, sync::Arc, time::Duration};

use hickory_resolver::{
    Resolver as Dns, TokioResolver,
    config::{ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolverConfig},
    net::{NetError, runtime::TokioRuntimeProvider},
    proto::rr::{RData, Record, RecordType},
};
use tokio::{
    sync::{Semaphore, mpsc},
    time::timeout,
};
use tracing::{debug, warn};

use crate::sip::locate::{Lookup, LookupAnswer, LookupError, Naptr, Query, Records, Search, Srv};

/// Names under way at a time; the endpoint asks for no more either.
const MAX_UNDER_WAY: usize = 256;
/// What a name may take in all. What is found until then counts.
const SEARCH_LIMIT: Duration = Duration::from_secs(8);
/// What one server may take for one question; it is asked twice.
const ANSWER_LIMIT: Duration = Duration::from_millis(1_500);
/// Answers kept.
const CACHE: u64 = 4_096;
/// What one zone's mistake may cost: longer lives are cut.
const LONGEST_LIFE: Duration = Duration::from_secs(3_600);

/// Looks names up.
#[derive(Debug, Clone)]
pub struct Resolver {
    /// None: the system names no server.
    dns: Option<Arc<TokioResolver>>,
    places: Arc<Semaphore>,
    answers: mpsc::Sender<LookupAnswer>,
}

impl Resolver {
    /// One that asks these servers; without any, those that the system asks. To be called inside of a tokio runtime.
    pub fn new(servers: &[SocketAddr]) -> (Self, mpsc::Receiver<LookupAnswer>) {
        // Never full: there is a place for each lookup under way, and for each that is refused while all wait.
        let (answers, received) = mpsc::channel(2 * MAX_UNDER_WAY);
        let dns = match dns(servers) {
            Ok(dns) => Some(Arc::new(dns)),
            Err(error) => {
                warn!(%error, "no DNS server is known: names in SIP URIs lead nowhere");
                None
            }
        };
        let resolver = Self {
            dns,
            places: Arc::new(Semaphore::new(MAX_UNDER_WAY)),
            answers,
        };
        (resolver, received)
    }

    /// Begins to look up; the answer comes by the channel. Never waits.
    pub fn look_up(&self, lookup: Lookup) {
        let id = lookup.id;
        let refuse = |error| {
            // Full: whoever asked gives up by itself.
            let _ = self.answers.try_send(LookupAnswer { id, found: Err(error) });
        };
        let Some(dns) = self.dns.clone() else {
            return refuse(LookupError::NoAnswer);
        };
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            return refuse(LookupError::TooMany);
        };
        let answers = self.answers.clone();
        tokio::spawn(async move {
            let mut search = Search::new(&lookup);
            // Late is not nothing: the machines that are known by then are gone to.
            let late = timeout(SEARCH_LIMIT, run(&dns, &mut search)).await.is_err();
            let found = search.finish();
            match &found {
                Ok(hops) => debug!(name = &*lookup.question.host, hops = hops.len(), late, "looked up"),
                Err(error) => debug!(name = &*lookup.question.host, %error, late, "looked up"),
            }
            drop(place);
            // The SIP task is gone: so is who asked.
            let _ = answers.send(LookupAnswer { id, found }).await;
        });
    }
}

fn dns(servers: &[SocketAddr]) -> Result<TokioResolver, NetError> {
    let mut builder = if servers.is_empty() {
        Dns::builder_tokio()?
    } else {
        let servers = servers.iter().map(|server| {
            let at_port = |mut connection: ConnectionConfig| {
                connection.port = server.port();
                connection
            };
            let connections = vec![at_port(ConnectionConfig::udp()), at_port(ConnectionConfig::tcp())];
            NameServerConfig::new(server.ip(), true, connections)
        });
        let config = ResolverConfig::from_parts(None, Vec::new(), servers.collect());
        Dns::builder_with_config(config, TokioRuntimeProvider::default())
    };
    let options = builder.options_mut();
    options.timeout = ANSWER_LIMIT;
    options.attempts = 1;
    options.ip_strategy = LookupIpStrategy::Ipv6AndIpv4;
    options.cache_size = CACHE;
    options.positive_max_ttl = Some(LONGEST_LIFE);
    options.negative_max_ttl = Some(LONGEST_LIFE);
    builder.build()
}

async fn run(dns: &TokioResolver, search: &mut Search) {
    while let Some(query) = search.poll() {
        let answer = ask(dns, &query).await;
        search.handle(answer);
    }
}

async fn ask(dns: &TokioResolver, query: &Query) -> Result<Records, LookupError> {
    // With its dot it is the whole name: nothing that the system searches in is put behind it.
    let whole = |name: &str| format!("{name}.");
    let found = match query {
        Query::Naptr(name) => dns
            .lookup(whole(name), RecordType::NAPTR)
            .await
            .map(|found| Records::Naptr(found.answers().iter().filter_map(naptr).collect())),
        Query::Srv(name) => dns
            .lookup(whole(name), RecordType::SRV)
            .await
            .map(|found| Records::Srv(found.answers().iter().filter_map(srv).collect())),
        Query::Addresses(name) => dns
            .lookup_ip(whole(name))
            .await
            .map(|found| Records::Addresses(found.iter().collect())),
    };
    found.or_else(|error| nothing(query, &error))
}

/// That there is nothing is an answer too.
fn nothing(query: &Query, error: &NetError) -> Result<Records, LookupError> {
    if !error.is_no_records_found() {
        debug!(%error, "a DNS server has not answered");
        return Err(LookupError::NoAnswer);
    }
    Ok(match query {
        Query::Naptr(_) => Records::Naptr(Vec::new()),
        Query::Srv(_) => Records::Srv(Vec::new()),
        Query::Addresses(_) => Records::Addresses(Vec::<IpAddr>::new()),
    })
}

fn naptr(record: &Record) -> Option<Naptr> {
    let RData::NAPTR(naptr) = &record.data else { return None };
    Some(Naptr {
        order: naptr.order,
        preference: naptr.preference,
        flags: text(&naptr.flags),
        service: text(&naptr.services),
        replacement: naptr.replacement.to_ascii(),
    })
}

fn srv(record: &Record) -> Option<Srv> {
    let RData::SRV(srv) = &record.data else { return None };
    Some(Srv {
        priority: srv.priority,
        weight: srv.weight,
        port: srv.port,
        target: srv.target.to_ascii(),
    })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
