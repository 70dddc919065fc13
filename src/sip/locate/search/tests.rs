use std::collections::BTreeMap;

use super::*;
use crate::sip::{
    locate::{Located, LookupId, locate},
    msg::Uri,
};

/// A zone as text: `NAME NAPTR order preference service replacement`, `NAME SRV priority weight port target`, `NAME A address`,
/// `NAME SILENT` for what is never answered.
struct Zone(Vec<Vec<String>>);

const ALL: &[Transport] = &[Transport::Udp, Transport::Tcp, Transport::Tls];

impl Zone {
    fn new(text: &str) -> Self {
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect();
        Self(text.lines().map(words).filter(|words: &Vec<String>| !words.is_empty()).collect())
    }

    fn answer(&self, query: &Query) -> Result<Records, LookupError> {
        let (name, kind) = match query {
            Query::Naptr(name) => (name, "NAPTR"),
            Query::Srv(name) => (name, "SRV"),
            Query::Addresses(name) => (name, "A"),
        };
        if self.0.iter().any(|words| words[0] == **name && words[1] == "SILENT") {
            return Err(LookupError::NoAnswer);
        }
        let found = self.0.iter().filter(|words| words[0] == **name && words[1] == kind);
        let number = |text: &String| text.parse().expect("a number");
        Ok(match query {
            Query::Naptr(_) => Records::Naptr(
                found
                    .map(|w| Naptr {
                        order: number(&w[2]),
                        preference: number(&w[3]),
                        flags: "S".to_owned(),
                        service: w[4].clone(),
                        replacement: w[5].clone(),
                    })
                    .collect(),
            ),
            Query::Srv(_) => Records::Srv(
                found
                    .map(|w| Srv {
                        priority: number(&w[2]),
                        weight: number(&w[3]),
                        port: number(&w[4]),
                        target: w[5].clone(),
                    })
                    .collect(),
            ),
            Query::Addresses(_) => Records::Addresses(found.map(|w| w[2].parse().expect("an address")).collect()),
        })
    }
}

fn lookup(uri: &str, usable: &[Transport], seed: u64) -> Lookup {
    let Ok(Located::Name(question)) = locate(&Uri::parse(uri).expect("a URI")) else {
        panic!("a name to be asked for")
    };
    Lookup {
        id: LookupId(1),
        question,
        usable: usable.to_vec(),
        seed,
    }
}

fn search(uri: &str, zone: &str, usable: &[Transport], seed: u64) -> (Result<Vec<Hop>, LookupError>, usize) {
    let zone = Zone::new(zone);
    let mut search = Search::new(&lookup(uri, usable, seed));
    let mut asked = 0;
    while let Some(query) = search.poll() {
        search.handle(zone.answer(&query));
        asked += 1;
        assert!(asked <= MAX_QUERIES);
    }
    (search.finish(), asked)
}

fn hops(uri: &str, zone: &str) -> Vec<String> {
    let found = search(uri, zone, ALL, 7).0.expect("hops");
    found.iter().map(|hop| format!("{} {}", hop.transport, hop.address)).collect()
}

const ZONE: &str = "
    example.com NAPTR 50 50 SIPS+D2T _sips._tcp.example.com.
    example.com NAPTR 90 50 SIP+D2T  _sip._tcp.example.com.
    example.com NAPTR 100 50 SIP+D2U _sip._udp.example.com.
    _sips._tcp.example.com SRV 0 1 5061 one.example.com.
    _sip._tcp.example.com SRV 0 1 5060 one.example.com.
    _sip._tcp.example.com SRV 1 1 5070 two.example.com.
    _sip._udp.example.com SRV 0 1 5060 two.example.com.
    one.example.com A 192.0.2.1
    two.example.com A 192.0.2.2
    two.example.com A 2001:db8::2
    example.com A 192.0.2.9
";

#[test]
fn rfc3263_4_1_naptr_says_which_transports_and_in_which_order() {
    assert_eq!(
        hops("sip:bob@example.com", ZONE),
        [
            "tls 192.0.2.1:5061",
            "tcp 192.0.2.1:5060",
            "tcp [2001:db8::2]:5070",
            "tcp 192.0.2.2:5070",
            "udp [2001:db8::2]:5060",
            "udp 192.0.2.2:5060",
        ]
    );
}

#[test]
fn rfc3263_4_1_what_we_do_not_speak_is_passed_over() {
    let zone = format!("{ZONE}\n example.com NAPTR 1 1 SIP+D2S _sip._sctp.example.com.\n example.com NAPTR 2 1 SIP+D2W _ws.example.com.");
    let found = search("sip:bob@example.com", &zone, &[Transport::Udp], 7).0.expect("hops");
    assert!(found.iter().all(|hop| hop.transport == Transport::Udp));
    assert_eq!(found.len(), 2);
}

#[test]
fn rfc7118_4_websocket_is_a_service_like_the_others() {
    let zone = "
        example.com NAPTR 1 1 SIPS+D2W _wss.example.com.
        _wss.example.com SRV 0 1 443 one.example.com.
        one.example.com A 192.0.2.1";
    let found = search("sips:bob@example.com", zone, &[Transport::Wss], 7).0.expect("hops");
    assert_eq!(format!("{} {}", found[0].transport, found[0].address), "wss 192.0.2.1:443");
}

#[test]
fn rfc3263_4_1_sips_goes_by_tls_only() {
    assert_eq!(hops("sips:bob@example.com", ZONE), ["tls 192.0.2.1:5061"]);
    let without_naptr = ZONE.replace("NAPTR", "TXT");
    assert_eq!(hops("sips:bob@example.com", &without_naptr), ["tls 192.0.2.1:5061"]);
    assert_eq!(hops("sips:bob@example.com", "example.com A 192.0.2.9"), ["tls 192.0.2.9:5061"]);
    assert_eq!(hops("sips:bob@example.com;transport=tcp", ZONE), ["tls 192.0.2.1:5061"]);
}

#[test]
fn rfc3263_4_1_without_naptr_the_services_that_we_have_are_asked_for() {
    let without_naptr = ZONE.replace("NAPTR", "TXT");
    assert_eq!(
        hops("sip:bob@example.com", &without_naptr),
        [
            "udp [2001:db8::2]:5060",
            "udp 192.0.2.2:5060",
            "tcp 192.0.2.1:5060",
            "tcp [2001:db8::2]:5070",
            "tcp 192.0.2.2:5070",
            "tls 192.0.2.1:5061",
        ]
    );
}

#[test]
fn rfc3263_4_1_with_a_transport_only_its_service_is_asked_for() {
    let (found, asked) = search("sip:bob@example.com;transport=udp", ZONE, ALL, 7);
    assert_eq!((found.expect("hops").len(), asked), (2, 2), "SRV, and the address");
    assert_eq!(
        hops("sip:bob@example.com;transport=tcp", "example.com A 192.0.2.9"),
        ["tcp 192.0.2.9:5060"]
    );
}

#[test]
fn rfc3263_4_2_with_a_port_only_the_address_is_asked_for() {
    let (found, asked) = search("sip:bob@example.com:5090", ZONE, ALL, 7);
    assert_eq!(
        (found.expect("hops")[0].address.to_string(), asked),
        ("192.0.2.9:5090".to_owned(), 1)
    );
    assert_eq!(hops("sip:bob@example.com:5090;transport=tls", ZONE), ["tls 192.0.2.9:5090"]);
    assert_eq!(hops("sips:bob@example.com:5090", ZONE), ["tls 192.0.2.9:5090"]);
}

#[test]
fn rfc3263_4_2_without_any_service_the_name_itself_is_gone_to() {
    assert_eq!(
        hops("sip:bob@example.com", "example.com A 192.0.2.9\n example.com A 2001:db8::9"),
        ["udp [2001:db8::9]:5060", "udp 192.0.2.9:5060"]
    );
}

#[test]
fn rfc2782_a_target_of_the_root_is_decidedly_nothing() {
    let zone = "_sip._udp.example.com SRV 0 0 0 .\n example.com A 192.0.2.9";
    let (found, _) = search("sip:bob@example.com;transport=udp", zone, ALL, 7);
    assert_eq!(found, Err(LookupError::Nothing));
}

#[test]
fn rfc5922_4_a_certificate_has_to_name_what_was_asked_for() {
    let (found, _) = search("sip:bob@Example.com", ZONE, ALL, 7);
    assert!(found.expect("hops").iter().all(|hop| hop.name.as_deref() == Some("Example.com")));
}

#[test]
fn rfc2782_weights_are_shares() {
    let zone = "
        _sip._udp.example.com SRV 0 60 5060 a.example.com.
        _sip._udp.example.com SRV 0 30 5060 b.example.com.
        _sip._udp.example.com SRV 0 10 5060 c.example.com.
        _sip._udp.example.com SRV 0 0 5060 d.example.com.
        _sip._udp.example.com SRV 1 0 5060 e.example.com.
        a.example.com A 192.0.2.1
        b.example.com A 192.0.2.2
        c.example.com A 192.0.2.3
        d.example.com A 192.0.2.4
        e.example.com A 192.0.2.5";
    let mut first = BTreeMap::new();
    for seed in 0..10_000 {
        let found = search("sip:bob@example.com;transport=udp", zone, ALL, seed).0.expect("hops");
        assert_eq!(found.len(), 5);
        assert_eq!(found[4].address.to_string(), "192.0.2.5:5060", "a lower priority comes last");
        *first.entry(found[0].address.ip().to_string()).or_insert(0) += 1;
    }
    let share = |ip: &str| first.get(ip).copied().unwrap_or_default();
    assert!((5_700..6_300).contains(&share("192.0.2.1")), "{first:?}");
    assert!((2_700..3_300).contains(&share("192.0.2.2")), "{first:?}");
    assert!((800..1_200).contains(&share("192.0.2.3")), "{first:?}");
    assert!((1..300).contains(&share("192.0.2.4")), "weight 0: a very small chance, {first:?}");
}

#[test]
fn one_seed_one_order() {
    let of = |seed| search("sip:bob@example.com", ZONE, ALL, seed);
    assert_eq!(of(3), of(3));
}

#[test]
fn what_is_not_answered_is_gone_round() {
    // A resolver that swallows questions for NAPTR.
    let zone = ZONE.replace("example.com NAPTR", "x NAPTR");
    let mut search = Search::new(&lookup("sip:bob@example.com", ALL, 7));
    assert_eq!(search.poll(), Some(Query::Naptr("example.com".into())));
    search.handle(Err(LookupError::NoAnswer));
    let zone = Zone::new(&zone);
    while let Some(query) = search.poll() {
        search.handle(zone.answer(&query));
    }
    assert_eq!(search.finish().expect("hops").len(), 6);
    // One machine of two.
    let half = format!("{ZONE}\n one.example.com SILENT");
    assert_eq!(
        hops("sip:bob@example.com;transport=tcp", &half),
        ["tcp [2001:db8::2]:5070", "tcp 192.0.2.2:5070"]
    );
}

#[test]
fn nothing_and_silence_are_two_things() {
    assert_eq!(search("sip:bob@example.com", "", ALL, 7).0, Err(LookupError::Nothing));
    let mut silent = Search::new(&lookup("sip:bob@example.com", ALL, 7));
    let mut asked = 0;
    while silent.poll().is_some() {
        silent.handle(Err(LookupError::NoAnswer));
        asked += 1;
    }
    assert_eq!((silent.finish(), asked), (Err(LookupError::NoAnswer), 5));
}

#[test]
fn a_zone_without_an_end_is_left() {
    let many: String = (0..200)
        .map(|n| format!("example.com NAPTR {n} 1 SIP+D2U {n}.example.com\n{n}.example.com SRV 0 0 5060 h{n}.example.com\n"))
        .collect();
    let (found, asked) = search("sip:bob@example.com", &many, ALL, 7);
    assert_eq!((found, asked), (Err(LookupError::Nothing), MAX_QUERIES));
    let addresses: String = (0..200).map(|n| format!("example.com A 192.0.2.{n}\n")).collect();
    assert_eq!(
        search("sip:bob@example.com:5060", &addresses, ALL, 7).0.expect("hops").len(),
        MAX_HOPS
    );
}

#[test]
fn an_answer_to_something_else_is_none() {
    let mut search = Search::new(&lookup("sip:bob@example.com:5060", ALL, 7));
    search.handle(Ok(Records::Srv(Vec::new())));
    assert_eq!(search.poll(), None);
    assert_eq!(search.finish(), Err(LookupError::NoAnswer));
}
