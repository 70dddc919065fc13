//! Calls over TLS by a real phone, certificates that are renewed meanwhile, and peers that misuse the handshake.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    process::{Child, ChildStdin, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use cusax::app::{child, prosody::Prosody};
use socket2::{Domain, Socket, Type};
use tokio_rustls::rustls::{
    ClientConfig, ClientConnection, RootCertStore, Stream,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};

use super::peers::{
    self, Folder, Phone, PhoneSetup, Server,
    events::{Events, LIMIT},
    server::DOMAIN,
};

/// Long enough for a frequency to be told from its neighbours.
const WINDOW: Duration = Duration::from_millis(300);

fn bridge(test: &str) -> (Folder, Prosody, Server) {
    let folder = Folder::new(test);
    let prosody = peers::prosody(&folder, &["ann"]);
    let server = Server::start(&prosody, &folder, "");
    (folder, prosody, server)
}

/// baresip of this age checks no certificate: that is left to the other peers here.
fn by_tls(user: &str, tone: u32) -> PhoneSetup {
    PhoneSetup {
        transport: "tls",
        ..PhoneSetup::new(user, tone)
    }
}

/// A TLS connection to the server by a peer that checks its certificate.
fn connected(server: &Server) -> (ClientConnection, TcpStream) {
    let mut roots = RootCertStore::empty();
    let authority = CertificateDer::from_pem_file(server.authority().file()).expect("a certificate");
    roots.add(authority).expect("readable");
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("known")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(DOMAIN).expect("a name");
    let session = ClientConnection::new(Arc::new(config), name).expect("usable");
    let socket = TcpStream::connect(server.tls()).expect("it listens");
    socket.set_read_timeout(Some(LIMIT)).expect("a limit");
    (session, socket)
}

/// The certificate that the server shows to a new connection, on which a ping is answered too.
fn shown(server: &Server) -> CertificateDer<'static> {
    let (mut session, mut socket) = connected(server);
    let mut stream = Stream::new(&mut session, &mut socket);
    stream.write_all(b"\r\n\r\n").expect("written");
    let mut pong = [0; 2];
    stream.read_exact(&mut pong).expect("answered");
    let chain = session.peer_certificates().expect("shown");
    chain[0].clone().into_owned()
}

/// Somebody calls the room, and asks for its offer.
fn invite(scheme: &str) -> String {
    format!(
        "INVITE {scheme}:standup@{DOMAIN} SIP/2.0\r\nVia: SIP/2.0/TLS 127.0.0.1:9;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n\
         To: <{scheme}:standup@{DOMAIN}>\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\nContact: <{scheme}:a@127.0.0.1:9;transport=tls>\r\n\
         Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    )
}

#[test]
fn a_tls_phone_and_a_plain_one_hear_each_other_in_one_room() {
    let (folder, _prosody, server) = bridge("tls");
    // With an account: its password is asked for over TLS.
    let ann = PhoneSetup {
        account: Some(server.tls()),
        ..by_tls("ann", 440)
    };
    let mut ann = Phone::start(&folder, ann);
    let mut max = Phone::start(&folder, PhoneSetup::new("max", 1000));
    ann.call(&server.room_uri("standup", "tls"));
    max.call(&server.room_uri("standup", "udp"));
    ann.hears(1000, true, WINDOW);
    max.hears(440, true, WINDOW);
    server.wait_counter("calls.challenged", 1);
    // What the server has to say goes over the phone's own connection: of one to the phone the handshake would fail, since nobody vouches for it.
    ann.events.forget();
    assert!(server.operator(&["room", "kick", "standup", "ann"]).1);
    ann.closed();
    max.hears(440, false, WINDOW);
    assert_eq!(server.counter("sip.handshakes_failed"), 0);
}

#[test]
fn a_renewed_certificate_is_shown_after_sighup_while_calls_go_on() {
    let (folder, _prosody, mut server) = bridge("renewal");
    let mut zoe = Phone::start(&folder, by_tls("zoe", 440));
    let mut max = Phone::start(&folder, PhoneSetup::new("max", 0));
    zoe.call(&server.room_uri("standup", "tls"));
    max.call(&server.room_uri("standup", "udp"));
    max.hears(440, true, WINDOW);
    let old = shown(&server);
    let log = server.log();
    let told = |line: &str| child::wait_until(LIMIT, || child::tail(&log, 100).contains(line).then_some(()));

    let key = server.authority().file().with_file_name("key.pem");
    std::fs::write(&key, "half a ke").expect("writable");
    server.signal("HUP");
    told("the TLS certificate stays as it was").expect("logged");
    assert_eq!(shown(&server), old);

    server.authority().certify(DOMAIN);
    server.signal("HUP");
    told("the TLS certificate was read anew").expect("logged");
    assert_ne!(shown(&server), old);
    max.hears(440, true, WINDOW);
    zoe.hang_up();
    server.wait_people("standup", "Max alone", |people| people.len() == 1);
    server.stop();
}

/// `openssl s_client`, killed at the end of the test.
struct OpenSsl {
    child: Child,
    stdin: ChildStdin,
    output: Events,
}

impl OpenSsl {
    fn start(server: &Server, arguments: &[&str]) -> Self {
        let mut child = Command::new("openssl")
            .args(["s_client", "-connect", &server.tls().to_string()])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("./check installs it");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let output = Events::new("openssl", move |tell| {
            lines.map_while(Result::ok).for_each(|line| tell(line.trim_end().into()));
        });
        Self {
            stdin: child.stdin.take().expect("piped"),
            child,
            output,
        }
    }

    fn wait(&mut self, line: &str) {
        self.output.wait(line, |l| l.as_str().is_some_and(|l| l.contains(line)));
    }
}

impl Drop for OpenSsl {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn old_versions_are_refused_and_counted() {
    let (_folder, _prosody, server) = bridge("old");
    let mut old = OpenSsl::start(&server, &["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"]);
    old.wait("Cipher is (NONE)");
    server.wait_counter("sip.handshakes_failed", 1);
    shown(&server);
}

#[test]
fn renegotiation_is_refused_and_counted() {
    let (_folder, _prosody, server) = bridge("renegotiation");
    let mut peer = OpenSsl::start(&server, &["-tls1_2"]);
    peer.stdin.write_all(invite("sip").as_bytes()).expect("written");
    peer.wait("SIP/2.0 200 OK");
    // Has it ask for another handshake within the connection (RFC 5246 section 7.4.1.1). The no goes out with the next 200, which is repeated
    // for want of an ACK, and ends the connection.
    peer.stdin.write_all(b"R\n").expect("written");
    server.wait_counter("sip.connections_broken", 1);
    shown(&server);
}

#[test]
fn handshakes_that_never_end_keep_nobody_else_out() {
    let (folder, _prosody, server) = bridge("stuck");
    // More than may be under way from one address, which isn't the phone's.
    let stuck: Vec<TcpStream> = (0..300)
        .map(|_| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
            socket
                .bind(&SocketAddr::from(([127, 0, 0, 2], 0)).into())
                .expect("all of 127/8 is ours");
            socket.connect(&server.tls().into()).expect("it listens");
            socket.into()
        })
        .collect();
    server.wait_counter("sip.handshakes_refused", 172);
    let mut zoe = Phone::start(&folder, by_tls("zoe", 440));
    let mut max = Phone::start(&folder, PhoneSetup::new("max", 1000));
    zoe.call(&server.room_uri("standup", "tls"));
    max.call(&server.room_uri("standup", "udp"));
    zoe.hears(1000, true, WINDOW);
    max.hears(440, true, WINDOW);
    // They are given up in time, and the phone's connection isn't.
    server.wait_counter("sip.handshakes_late", 128);
    max.hears(440, true, WINDOW);
    drop(stuck);
    zoe.hang_up();
    assert_eq!(server.counter("sip.handshakes_refused"), 172);
}

#[test]
fn a_sips_call_is_answered_with_a_sips_contact() {
    let (_folder, _prosody, server) = bridge("sips");
    let (mut session, mut socket) = connected(&server);
    let mut stream = Stream::new(&mut session, &mut socket);
    stream.write_all(invite("sips").as_bytes()).expect("written");
    let mut answer = String::new();
    // The body of the 200 is the offer.
    while !answer.contains("\r\nm=audio") {
        let mut bytes = [0; 4096];
        let length = stream.read(&mut bytes).expect("answered");
        answer.push_str(&String::from_utf8_lossy(&bytes[..length]));
    }
    let contact = format!("Contact: <sips:standup@{}>;isfocus", server.tls());
    assert!(answer.contains(&contact), "{answer}");
}
