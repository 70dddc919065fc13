//! TLS connections, theirs and ours, good and bad.

use std::net::IpAddr;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
use tokio_rustls::{
    TlsAcceptor, TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, ServerName},
        sign::CertifiedKey,
        version::{TLS12, TLS13},
    },
};

use super::{
    super::{
        places::Room,
        tls::{HandshakeLimits, Visitors},
    },
    *,
};

/// Short enough for a test to wait for, long enough for a handshake on a busy machine.
const SHORT: Duration = Duration::from_secs(1);

/// Vouches for others.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate").der().clone();
        Self {
            issuer: Issuer::new(params, key),
            certificate,
        }
    }

    /// A certificate for these names, which may be addresses.
    fn certify(&self, names: &[&str]) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
        let key = KeyPair::generate().expect("a key");
        let certificate = CertificateParams::new(names).expect("names").signed_by(&key, &self.issuer);
        (certificate.expect("a certificate").der().clone(), key.into())
    }

    fn tls(&self, names: &[&str]) -> Tls {
        self.tls_for(names, None)
    }

    fn tls_for(&self, names: &[&str], visitors: Option<Visitors>) -> Tls {
        let (certificate, key) = self.certify(names);
        let identity = CertifiedKey::from_der(vec![certificate], key, &ring::default_provider()).expect("they fit");
        Tls::new(Some(identity), Some(vec![self.certificate.clone()]), visitors).expect("usable")
    }

    /// Asks for certificates that this authority vouches for.
    fn visitors(&self, required: bool) -> Option<Visitors> {
        Some(Visitors {
            authorities: vec![self.certificate.clone()],
            required,
        })
    }

    /// A certificate for this person.
    fn certify_person(&self, uri: &str) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec!["phone.example.com".to_owned()]).expect("a name");
        params.subject_alt_names.push(SanType::URI(uri.try_into().expect("ASCII")));
        let certificate = params.signed_by(&key, &self.issuer);
        (certificate.expect("a certificate").der().clone(), key.into())
    }

    /// A peer that trusts this authority, with these versions.
    fn connector(&self, versions: &[&'static SupportedProtocolVersion]) -> TlsConnector {
        self.connector_as(versions, None)
    }

    /// Likewise, which shows this certificate when asked.
    fn connector_as(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        own: Option<(CertificateDer<'static>, PrivateKeyDer<'static>)>,
    ) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).expect("a certificate");
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(versions)
            .expect("known")
            .with_root_certificates(roots);
        let config = match own {
            Some((certificate, key)) => config.with_client_auth_cert(vec![certificate], key).expect("they fit"),
            None => config.with_no_client_auth(),
        };
        TlsConnector::from(Arc::new(config))
    }

    /// A server that is named so.
    fn acceptor(&self, names: &[&str]) -> TlsAcceptor {
        let (certificate, key) = self.certify(names);
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("known")
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key);
        TlsAcceptor::from(Arc::new(config.expect("they fit")))
    }
}

fn bound(tls: Tls) -> (SipTransport, mpsc::Receiver<Inbound>, SocketAddr) {
    let any: SocketAddr = ([127, 0, 0, 1], 0).into();
    let (transport, received) = SipTransport::bind(&[(Transport::Tls, any)], Some(tls), &[]).expect("a free port");
    let local = transport.listening()[0].1;
    (transport, received, local)
}

async fn connect(connector: &TlsConnector, to: SocketAddr) -> TlsStream<TcpStream> {
    let stream = TcpStream::connect(to).await.expect("connected");
    let name = ServerName::from(IpAddr::from([127, 0, 0, 1]));
    timeout(DEADLINE, connector.connect(name, stream))
        .await
        .expect("in time")
        .expect("a handshake")
}

async fn read(stream: &mut (impl tokio::io::AsyncRead + Unpin), length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    timeout(DEADLINE, stream.read_exact(&mut bytes))
        .await
        .expect("in time")
        .expect("read");
    bytes
}

/// Waits until it is closed, whatever comes before.
async fn closed(stream: &mut TcpStream) {
    let _the_alert_or_a_reset = timeout(DEADLINE, stream.read_to_end(&mut Vec::new()))
        .await
        .expect("closed in time");
}

pub(super) async fn counted(counter: &AtomicU64, number: u64) {
    timeout(DEADLINE, async {
        while counter.load(Ordering::Relaxed) < number {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("counted in time");
    assert_eq!(counter.load(Ordering::Relaxed), number);
}

fn to(local: SocketAddr, remote: SocketAddr, name: Option<&str>) -> Target {
    Target::Connect {
        transport: Transport::Tls,
        local,
        remote,
        name: name.map(Arc::from),
    }
}

#[tokio::test]
async fn messages_go_both_ways_over_either_version() {
    let authority = Authority::new();
    let (transport, mut received, local) = bound(authority.tls(&["127.0.0.1"]));
    for version in [&TLS12, &TLS13] {
        let mut peer = connect(&authority.connector(&[version]), local).await;
        let bytes = format!("{}\r\n\r\n{}", options(1), options(2));
        peer.write_all(bytes.as_bytes()).await.expect("written");
        assert_eq!(next_request(&mut received).await.1, 1);
        let (flow, number) = next_request(&mut received).await;
        assert_eq!((flow.transport, flow.local, number), (Transport::Tls, local, 2));
        assert!(flow.is_protected());
        assert_eq!(read(&mut peer, 2).await, b"\r\n");
        // Longer than a record, and than what TLS keeps for the kernel.
        let long = vec![b'x'; 100_000];
        transport.send(Transmit {
            target: Target::Flow(flow),
            bytes: long.clone(),
        });
        assert_eq!(read(&mut peer, long.len()).await, long);
        peer.shutdown().await.expect("closed");
        assert!(matches!(next(&mut received).await, Inbound::FlowLost(lost) if lost == flow));
    }
}

#[tokio::test]
async fn what_is_no_sip_is_answered_before_the_end_which_is_announced() {
    let authority = Authority::new();
    let (transport, mut received, local) = bound(authority.tls(&["127.0.0.1"]));
    let mut peer = connect(&authority.connector(&[&TLS13]), local).await;
    peer.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("written");
    let Inbound::Message { flow, message: Err(_) } = next(&mut received).await else {
        panic!("garbage")
    };
    transport.send(Transmit {
        target: Target::Flow(flow),
        bytes: b"400".to_vec(),
    });
    let mut rest = Vec::new();
    // Without a close_notify this is an error.
    timeout(DEADLINE, peer.read_to_end(&mut rest))
        .await
        .expect("in time")
        .expect("an end");
    assert_eq!(rest, b"400");
    assert!(matches!(next(&mut received).await, Inbound::FlowLost(_)));
}

#[tokio::test]
async fn one_connection_serves_all_messages_to_a_peer_that_proved_its_name() {
    let authority = Authority::new();
    let (transport, mut received, local) = bound(authority.tls(&["127.0.0.1"]));
    let mut open = Vec::new();
    for (names, name) in [(["proxy.example.com"], Some("proxy.example.com")), (["127.0.0.1"], None)] {
        let peer = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let remote = peer.local_addr().expect("bound");
        let target = to(local, remote, name);
        for bytes in [b"one".to_vec(), b"two".to_vec()] {
            transport.send(Transmit {
                target: target.clone(),
                bytes,
            });
        }
        let (stream, _) = timeout(DEADLINE, peer.accept()).await.expect("in time").expect("accepted");
        let secured = timeout(DEADLINE, authority.acceptor(&names).accept(stream)).await;
        let mut secured = secured.expect("in time").expect("a handshake");
        assert_eq!(secured.get_ref().1.server_name(), name, "SNI");
        assert_eq!(read(&mut secured, 6).await, b"onetwo");
        secured.write_all(options(9).as_bytes()).await.expect("written");
        if let Some(name) = name {
            let proven = next(&mut received).await;
            assert!(matches!(&proven, Inbound::Proven { names, .. } if *names == [name]), "{proven:?}");
        }
        let (flow, number) = next_request(&mut received).await;
        assert_eq!(
            (flow.transport, flow.local, flow.remote, number),
            (Transport::Tls, local, remote, 9)
        );
        // Under another name it is another peer, whatever its address.
        transport.send(Transmit {
            target: to(local, remote, Some("other.example.com")),
            bytes: b"three".to_vec(),
        });
        let (another, _) = timeout(DEADLINE, peer.accept()).await.expect("in time").expect("accepted");
        open.push((secured, another));
    }
}

#[tokio::test]
async fn who_does_not_prove_the_name_is_told_nothing() {
    let authority = Authority::new();
    let (transport, mut received, local) = bound(authority.tls(&["127.0.0.1"]));
    let stranger = Authority::new();
    let cases = [
        (&authority, "proxy.example.net"),
        (&authority, "*.example.com"),
        (&stranger, "proxy.example.com"),
    ];
    for (number, (issuer, named)) in (1..).zip(cases) {
        let peer = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let target = to(local, peer.local_addr().expect("bound"), Some("proxy.example.com"));
        transport.send(Transmit {
            target: target.clone(),
            bytes: b"secret".to_vec(),
        });
        let (stream, _) = timeout(DEADLINE, peer.accept()).await.expect("in time").expect("accepted");
        let secured = timeout(DEADLINE, issuer.acceptor(&[named]).accept(stream)).await.expect("in time");
        if let Ok(mut secured) = secured {
            // Version 1.3 is done for the server before the client has judged it.
            let mut bytes = Vec::new();
            let end = timeout(DEADLINE, secured.read_to_end(&mut bytes)).await.expect("in time");
            assert!(end.is_err() && bytes.is_empty(), "{named}: {bytes:?}");
        }
        assert!(
            matches!(next(&mut received).await, Inbound::Unreachable(reported) if reported == target),
            "{named}"
        );
        counted(&transport.counters().handshakes_failed, number).await;
    }
}

#[tokio::test]
async fn a_connection_of_theirs_is_not_taken_for_one_that_proved_a_name() {
    let authority = Authority::new();
    let (transport, mut received, local) = bound(authority.tls(&["127.0.0.1"]));
    let mut peer = connect(&authority.connector(&[&TLS13]), local).await;
    peer.write_all(options(1).as_bytes()).await.expect("written");
    let (flow, _) = next_request(&mut received).await;
    let target = to(local, flow.remote, None);
    transport.send(Transmit {
        target: target.clone(),
        bytes: b"secret".to_vec(),
    });
    assert!(matches!(next(&mut received).await, Inbound::Unreachable(reported) if reported == target));
}

#[tokio::test]
async fn garbage_plaintext_and_old_versions_end_at_the_first_record() {
    let authority = Authority::new();
    let (transport, mut received, local) = bound(authority.tls(&["127.0.0.1"]));
    // A ClientHello of TLS 1.1 (RFC 4346) with one cipher.
    let mut hello = vec![22, 3, 1, 0, 45, 1, 0, 0, 41, 3, 2];
    hello.extend([7; 32]);
    hello.extend([0, 0, 2, 0, 47, 1, 0]);
    let plain = options(1);
    let cases: [&[u8]; 4] = [plain.as_bytes(), &[0xff; 2_000], &hello, b""];
    for (number, bytes) in (1..).zip(cases) {
        let mut peer = TcpStream::connect(local).await.expect("connected");
        peer.write_all(bytes).await.expect("written");
        if bytes.is_empty() {
            peer.shutdown().await.expect("closed");
        }
        closed(&mut peer).await;
        counted(&transport.counters().handshakes_failed, number).await;
    }
    assert!(received.try_recv().is_err(), "nobody heard of them");
}

#[tokio::test]
async fn handshakes_are_limited_in_time_and_number() {
    let authority = Authority::new();
    let mut tls = authority.tls(&["127.0.0.1"]);
    tls.limits = HandshakeLimits {
        time: SHORT,
        room: Room { in_all: 3, per_source: 2 },
    };
    let (transport, mut received, local) = bound(tls);
    let mut stuck = Vec::new();
    for _ in 0..2 {
        let mut peer = TcpStream::connect(local).await.expect("connected");
        // The head of a record that is never finished.
        peer.write_all(&[22, 3, 1, 0, 200, 1]).await.expect("written");
        stuck.push(peer);
    }
    let mut third = TcpStream::connect(local).await.expect("connected");
    closed(&mut third).await;
    counted(&transport.counters().handshakes_refused, 1).await;
    for peer in &mut stuck {
        closed(peer).await;
    }
    counted(&transport.counters().handshakes_late, 2).await;
    let mut good = connect(&authority.connector(&[&TLS13]), local).await;
    good.write_all(options(1).as_bytes()).await.expect("written");
    assert_eq!(next_request(&mut received).await.1, 1);
}

#[tokio::test]
async fn a_breach_after_the_handshake_ends_the_connection_and_is_counted() {
    let authority = Authority::new();
    let (transport, mut received, local) = bound(authority.tls(&["127.0.0.1"]));
    let mut peer = connect(&authority.connector(&[&TLS13]), local).await;
    peer.write_all(options(1).as_bytes()).await.expect("written");
    let (flow, _) = next_request(&mut received).await;
    let (mut raw, _) = peer.into_inner();
    raw.write_all(options(2).as_bytes()).await.expect("written");
    closed(&mut raw).await;
    assert!(matches!(next(&mut received).await, Inbound::FlowLost(lost) if lost == flow));
    counted(&transport.counters().connections_broken, 1).await;
}

#[tokio::test]
async fn a_tls_peer_that_does_not_read_is_cut() {
    let authority = Authority::new();
    let (transport, mut received, local) = bound(authority.tls(&["127.0.0.1"]));
    let mut deaf = connect(&authority.connector(&[&TLS13]), local).await;
    deaf.write_all(options(1).as_bytes()).await.expect("written");
    let (flow, _) = next_request(&mut received).await;
    for _ in 0..1_000 {
        transport.send(Transmit {
            target: Target::Flow(flow),
            bytes: vec![b'x'; 60_000],
        });
        if transport.counters().connections_cut.load(Ordering::Relaxed) > 0 {
            break;
        }
    }
    counted(&transport.counters().connections_cut, 1).await;
    assert!(matches!(next(&mut received).await, Inbound::FlowLost(lost) if lost == flow));
}

#[tokio::test]
async fn an_exchanged_certificate_is_seen_by_new_connections_and_old_ones_go_on() {
    let authority = Authority::new();
    let (transport, mut received, local) = bound(authority.tls(&["127.0.0.1"]));
    // One connector, so that the new connection could take up the old one's session.
    let connector = authority.connector(&[&TLS12, &TLS13]);
    let shown = |peer: &TlsStream<TcpStream>| peer.get_ref().1.peer_certificates().expect("shown").to_vec();
    let mut old = connect(&connector, local).await;
    // With the answer come the tickets for that.
    old.write_all(b"\r\n\r\n").await.expect("written");
    assert_eq!(read(&mut old, 2).await, b"\r\n");
    transport.exchange_tls(authority.tls(&["127.0.0.1", "conf.example.com"]));
    let mut new = connect(&connector, local).await;
    assert_ne!(shown(&old), shown(&new));
    for (number, peer) in [(1, &mut old), (2, &mut new)] {
        peer.write_all(options(number).as_bytes()).await.expect("written");
        assert_eq!(next_request(&mut received).await.1, number);
    }
}

#[tokio::test]
async fn rfc5922_7_what_a_peers_certificate_proves_is_told_before_its_first_message() {
    let authority = Authority::new();
    for version in [&TLS12, &TLS13] {
        for required in [false, true] {
            let tls = authority.tls_for(&["127.0.0.1"], authority.visitors(required));
            let (_transport, mut received, local) = bound(tls);
            let own = authority.certify_person("sip:ann@conf.example.com");
            let mut peer = connect(&authority.connector_as(&[version], Some(own)), local).await;
            peer.write_all(options(1).as_bytes()).await.expect("written");
            let Inbound::Proven { flow, names } = next(&mut received).await else {
                panic!("proof")
            };
            assert_eq!(names, ["sip:ann@conf.example.com", "phone.example.com"]);
            assert_eq!(next_request(&mut received).await, (flow, 1));
        }
    }
}

#[tokio::test]
async fn who_has_no_certificate_comes_in_if_it_is_only_asked_for() {
    let authority = Authority::new();
    let tls = authority.tls_for(&["127.0.0.1"], authority.visitors(false));
    let (transport, mut received, local) = bound(tls);
    let mut peer = connect(&authority.connector(&[&TLS13]), local).await;
    peer.write_all(options(1).as_bytes()).await.expect("written");
    assert_eq!(next_request(&mut received).await.1, 1, "nothing is told of it");
    transport.exchange_tls(authority.tls_for(&["127.0.0.1"], authority.visitors(true)));
    let socket = TcpStream::connect(local).await.expect("connected");
    let name = ServerName::from(IpAddr::from([127, 0, 0, 1]));
    let shut_out = timeout(DEADLINE, authority.connector(&[&TLS12]).connect(name, socket)).await;
    shut_out.expect("in time").expect_err("no handshake");
    counted(&transport.counters().handshakes_failed, 1).await;
    peer.write_all(options(2).as_bytes()).await.expect("written");
    assert_eq!(next_request(&mut received).await.1, 2, "connections that are up go on");
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_proves_nothing() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    for (required, number) in [(false, 1), (true, 1)] {
        let tls = authority.tls_for(&["127.0.0.1"], authority.visitors(required));
        let (transport, mut received, local) = bound(tls);
        let own = stranger.certify_person("sip:ann@conf.example.com");
        let socket = TcpStream::connect(local).await.expect("connected");
        let name = ServerName::from(IpAddr::from([127, 0, 0, 1]));
        let connector = authority.connector_as(&[&TLS12], Some(own));
        let refused = timeout(DEADLINE, connector.connect(name, socket)).await;
        refused.expect("in time").expect_err("no handshake");
        counted(&transport.counters().handshakes_failed, number).await;
        assert!(received.try_recv().is_err());
    }
}
