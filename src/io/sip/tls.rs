//! TLS under SIP (RFC 3261 section 26.2.1): who we are, whom we trust, and handshakes, which are limited in time and in number.
//!
//! Versions 1.2 and 1.3. Peers may be asked for certificates too: what one proves is told once for its connection.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{
    TlsAcceptor, TlsConnector, TlsStream,
    rustls::{
        CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, ServerConfig, SignatureScheme,
        client::{
            danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
            verify_server_cert_signed_by_trust_anchor, verify_server_name,
        },
        crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature},
        pki_types::{CertificateDer, ServerName, UnixTime},
        server::{ParsedCertificate, ResolvesServerCert, WebPkiClientVerifier, danger::ClientCertVerifier},
        sign::{CertifiedKey, SingleCertAndKey},
        version::{TLS12, TLS13},
    },
};
use tracing::{debug, warn};

use super::{
    SipSocketCounters,
    places::{Places, Room},
};
use crate::{model::certificate, sip::customer};

/// How long and how many.
#[derive(Debug, Clone, Copy)]
pub(super) struct HandshakeLimits {
    /// How long one may take: three round trips to anywhere, and a lost packet or two.
    pub(super) time: Duration,
    /// How many of theirs may be under way.
    pub(super) room: Room,
}

const LIMITS: HandshakeLimits = HandshakeLimits {
    time: Duration::from_secs(10),
    room: Room {
        // Each may hold 64 KiB of a message that doesn't end.
        in_all: 512,
        // An office behind one NAT, after its switch was restarted.
        per_source: 128,
    },
};

/// Whose certificates we ask those for who connect by TLS. Browsers, who come by WebSocket, are asked for none: they would ask their users.
#[derive(Debug, Clone)]
pub struct Visitors {
    /// Who may vouch for them.
    pub authorities: Vec<CertificateDer<'static>>,
    /// Who has none doesn't come in.
    pub required: bool,
}

/// Names of one certificate that are kept: a large company's switch has some.
const MAX_NAMES: usize = 64;

/// Who we are, and whom we trust.
#[derive(Debug, Clone)]
pub struct Tls {
    /// None: we can connect, and nobody to us.
    server: Option<Servers>,
    client: Arc<ClientConfig>,
    pub(super) limits: HandshakeLimits,
}

impl Tls {
    /// For a server with this certificate and its key, or for a mere client. Certificates of servers are believed if one of `authorities` vouches
    /// for them; without a list, if one does that the system knows. Those who connect are asked for theirs if `visitors` says so.
    pub fn new(
        identity: Option<CertifiedKey>,
        authorities: Option<Vec<CertificateDer<'static>>>,
        visitors: Option<Visitors>,
    ) -> Result<Self, Error> {
        let provider = Arc::new(ring::default_provider());
        let server = identity.map(|identity| Servers::new(identity, visitors, &provider)).transpose()?;
        let verifier = Verifier {
            roots: roots(authorities)?,
            algorithms: provider.signature_verification_algorithms,
        };
        let client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13, &TLS12])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        Ok(Self {
            server,
            client: Arc::new(client),
            limits: LIMITS,
        })
    }
}

/// What those see who connect.
#[derive(Debug, Clone)]
struct Servers {
    phones: Arc<ServerConfig>,
    browsers: Arc<ServerConfig>,
}

impl Servers {
    fn new(identity: CertifiedKey, visitors: Option<Visitors>, provider: &Arc<CryptoProvider>) -> Result<Self, Error> {
        let resolver = Arc::new(SingleCertAndKey::from(identity));
        let server = |verifier: Arc<dyn ClientCertVerifier>| -> Result<Arc<ServerConfig>, Error> {
            let config = ServerConfig::builder_with_provider(Arc::clone(provider)).with_protocol_versions(&[&TLS13, &TLS12])?;
            let config = config.with_client_cert_verifier(verifier);
            Ok(Arc::new(
                config.with_cert_resolver(Arc::clone(&resolver) as Arc<dyn ResolvesServerCert>),
            ))
        };
        let browsers = server(WebPkiClientVerifier::no_client_auth())?;
        let phones = match visitors {
            None => Arc::clone(&browsers),
            Some(Visitors { authorities, required }) => {
                let roots = Arc::new(roots(Some(authorities))?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider));
                let verifier = if required { verifier } else { verifier.allow_unauthenticated() };
                server(verifier.build().map_err(|why| Error::General(why.to_string()))?)?
            }
        };
        Ok(Self { phones, browsers })
    }
}

/// Whom a verified peer's certificate proves it to be; nobody without one.
pub(super) fn names(stream: &TlsStream<TcpStream>) -> Vec<String> {
    let (_, session) = stream.get_ref();
    let Some(certificate) = session.peer_certificates().and_then(<[_]>::first) else {
        return Vec::new();
    };
    let mut names = certificate::people(certificate);
    names.extend(certificate::domains(certificate));
    names.truncate(MAX_NAMES);
    names
}

fn roots(authorities: Option<Vec<CertificateDer<'static>>>) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    match authorities {
        Some(authorities) => {
            for authority in authorities {
                roots.add(authority)?;
            }
        }
        None => {
            let known = rustls_native_certs::load_native_certs();
            // A system's list may hold some that are broken or too old.
            roots.add_parsable_certificates(known.certs);
            if roots.is_empty() {
                warn!("the system trusts no certificate authority: no TLS connection of ours can be made");
            }
        }
    }
    Ok(roots)
}

/// Checks a server's certificate: its chain against the trust anchors, and its names by RFC 5922 section 7.
#[derive(Debug)]
struct Verifier {
    roots: RootCertStore,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let parsed = ParsedCertificate::try_from(end_entity)?;
        verify_server_cert_signed_by_trust_anchor(&parsed, &self.roots, intermediates, now, self.algorithms.all)?;
        if let ServerName::DnsName(domain) = server_name {
            if !certificate::speaks_for(end_entity, domain.as_ref()) {
                return Err(CertificateError::NotValidForName.into());
            }
        } else {
            verify_server_name(&parsed, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Which end of a connection we are.
#[derive(Debug, Clone)]
pub(super) enum End {
    /// They connected.
    Server,
    /// Likewise, to where browsers do.
    Browsers,
    /// We did, to whom the certificate has to name; none: the address.
    Client(Option<Arc<str>>),
}

/// Makes handshakes, with whatever certificate is the present one.
#[derive(Debug)]
pub(super) struct Handshakes {
    tls: Mutex<Option<Tls>>,
    places: Places,
    counters: Arc<SipSocketCounters>,
}

impl Handshakes {
    pub(super) fn new(tls: Option<Tls>, counters: Arc<SipSocketCounters>) -> Self {
        Self {
            tls: Mutex::new(tls),
            places: Places::default(),
            counters,
        }
    }

    /// From the next handshake on.
    pub(super) fn exchange(&self, tls: Tls) {
        *self.tls.lock().unwrap_or_else(PoisonError::into_inner) = Some(tls);
    }

    /// A protected stream over a new connection, or nothing, which is counted. Those that we begin take nobody's place.
    pub(super) async fn secure(&self, stream: TcpStream, remote: SocketAddr, end: End) -> Option<TlsStream<TcpStream>> {
        let Some(tls) = self.tls.lock().unwrap_or_else(PoisonError::into_inner).clone() else {
            SipSocketCounters::count(&self.counters.handshakes_failed);
            return None;
        };
        match end {
            End::Client(_) => self.hurry(&tls, stream, remote, end).await,
            End::Server | End::Browsers => {
                let Some((_place, lost)) = self.places.take(customer(remote.ip()), tls.limits.room) else {
                    SipSocketCounters::count(&self.counters.handshakes_refused);
                    return None;
                };
                tokio::select! {
                    secured = self.hurry(&tls, stream, remote, end) => secured,
                    _ = lost => {
                        SipSocketCounters::count(&self.counters.handshakes_refused);
                        None
                    }
                }
            }
        }
    }

    async fn hurry(&self, tls: &Tls, stream: TcpStream, remote: SocketAddr, end: End) -> Option<TlsStream<TcpStream>> {
        match timeout(tls.limits.time, handshake(tls, stream, remote, end)).await {
            Ok(Ok(secured)) => Some(secured),
            Ok(Err(error)) => {
                // Anybody may make as many as they like, and have us make some (rule R48).
                debug!(%error, "no TLS connection");
                SipSocketCounters::count(&self.counters.handshakes_failed);
                None
            }
            Err(_) => {
                SipSocketCounters::count(&self.counters.handshakes_late);
                None
            }
        }
    }
}

async fn accept(config: Option<&Arc<ServerConfig>>, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
    let config = config.cloned().ok_or_else(|| io::Error::other("no certificate"))?;
    TlsAcceptor::from(config).accept(stream).await.map(TlsStream::Server)
}

async fn handshake(tls: &Tls, stream: TcpStream, remote: SocketAddr, end: End) -> io::Result<TlsStream<TcpStream>> {
    match end {
        End::Server => accept(tls.server.as_ref().map(|server| &server.phones), stream).await,
        End::Browsers => accept(tls.server.as_ref().map(|server| &server.browsers), stream).await,
        End::Client(name) => {
            let name = match name {
                Some(name) => ServerName::try_from(name.to_string()).map_err(io::Error::other)?,
                None => ServerName::from(remote.ip()),
            };
            let connector = TlsConnector::from(Arc::clone(&tls.client));
            connector.connect(name, stream).await.map(TlsStream::Client)
        }
    }
}
