//! DTLS 1.2 and 1.3 for the keys of SRTP (RFC 5763, RFC 5764): one association of one leg, sans-IO.
//!
//! The handshake is `dimpl`'s. What is added: the peer's certificate is held against its fingerprint before a key leaves here, and
//! an association that garbage has spoilt before it was up starts over, a few times.

use std::{sync::Arc, time::Duration, time::Instant};

use dimpl::{Config, Dtls, DtlsCertificate, Error, Output, SrtpProfile, UnexpectedMessageError};
use sha2::{Digest, Sha256, Sha384, Sha512};

use crate::model::{
    dtls::{DtlsRole, Fingerprint, FingerprintHash},
    srtp::{Keys, MAX_KEY_LEN, MAX_SALT_LEN, Profile},
};

mod records;

/// Bytes of one datagram of ours at most, below what any tunnel leaves of an Ethernet frame.
const MTU: usize = 1200;

/// Until a flight is sent again for the first time; doubles with each try (RFC 6347 section 4.2.4.1, shortened for calls).
const FIRST_RETRY: Duration = Duration::from_millis(500);

/// How often a flight is sent again.
const RETRIES: usize = 8;

/// From the first flight to the end of all patience.
const LIMIT: Duration = Duration::from_secs(40);

/// Associations of one leg that may be spoilt before it is given up.
const MAX_RESTARTS: u8 = 8;

/// Bytes of the buffer for [`Session::poll`]. The library panics on a certificate that doesn't fit; it takes in no more than 30
/// datagrams for one flight, of at most [`MAX_DATAGRAM`] bytes.
pub const BUFFER: usize = 64 * 1024;

/// Bytes of a datagram that is looked at.
pub const MAX_DATAGRAM: usize = 2048;
const _: () = assert!(BUFFER > 30 * MAX_DATAGRAM);

/// The certificate that all our associations show, and how they are run.
#[derive(Clone)]
pub struct Identity {
    certificate: DtlsCertificate,
    fingerprint: Fingerprint,
    checked: Arc<Config>,
    unchecked: Arc<Config>,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity")
            .field("fingerprint", &self.fingerprint)
            .finish_non_exhaustive()
    }
}

/// The library refuses how we set it up.
#[derive(Debug, thiserror::Error)]
#[error("DTLS can't be set up: {0}")]
pub struct BadSetup(String);

impl Identity {
    /// From a certificate and its key on P-256 or P-384, both in DER, the key in PKCS #8.
    pub fn new(certificate: Vec<u8>, key: Vec<u8>) -> Result<Self, BadSetup> {
        let config = |cookie| {
            let builder = Config::builder()
                .mtu(MTU)
                .use_server_cookie(cookie)
                .require_client_certificate(true)
                .flight_start_rto(FIRST_RETRY)
                .flight_retries(RETRIES)
                .handshake_timeout(LIMIT);
            builder.build().map(Arc::new).map_err(|e| BadSetup(e.to_string()))
        };
        Ok(Self {
            fingerprint: fingerprint(FingerprintHash::Sha256, &certificate),
            certificate: DtlsCertificate {
                certificate,
                private_key: key,
            },
            checked: config(false)?,
            unchecked: config(true)?,
        })
    }

    /// What our descriptions tell of the certificate.
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }
}

fn fingerprint(hash: FingerprintHash, certificate: &[u8]) -> Fingerprint {
    match hash {
        FingerprintHash::Sha256 => Fingerprint::new(hash, &Sha256::digest(certificate)),
        FingerprintHash::Sha384 => Fingerprint::new(hash, &Sha384::digest(certificate)),
        FingerprintHash::Sha512 => Fingerprint::new(hash, &Sha512::digest(certificate)),
    }
}

/// What a handshake has agreed, with a peer whose fingerprint is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Agreed {
    /// For what we send.
    pub ours: Keys,
    /// For what they send.
    pub theirs: Keys,
}

/// Why there is no association, or none any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum End {
    /// Their certificate is none of those that their description names.
    #[error("the certificate does not fit the fingerprint")]
    Fingerprint,
    /// The handshake came to nothing.
    #[error("the handshake failed")]
    Failed,
    /// They have closed it.
    #[error("closed by the peer")]
    Closed,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// So many bytes at the start of the buffer are to be sent.
    Send(usize),
    /// Media may flow.
    Agreed(Box<Agreed>),
    /// Nothing more will come of it; told once.
    Ended(End),
    /// Nothing before this moment, if ever.
    Wait(Option<Instant>),
}

/// One association.
pub struct Session {
    identity: Arc<Identity>,
    fingerprints: Vec<Fingerprint>,
    source_checked: bool,
    role: DtlsRole,
    dtls: Option<Dtls>,
    verified: bool,
    up: bool,
    restarts: u8,
    end: Option<End>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { role, up, restarts, .. } = self;
        f.debug_struct("Session")
            .field("role", role)
            .field("up", up)
            .field("restarts", restarts)
            .finish_non_exhaustive()
    }
}

impl Session {
    /// Starts, which in the active role means the first flight. `source_checked`: ICE has shown that who sends also receives, so no
    /// cookie has to (RFC 6347 section 4.2.1).
    pub fn new(now: Instant, identity: Arc<Identity>, role: DtlsRole, fingerprints: Vec<Fingerprint>, source_checked: bool) -> Self {
        let mut session = Self {
            identity,
            fingerprints,
            role,
            source_checked,
            dtls: None,
            verified: false,
            up: false,
            restarts: 0,
            end: None,
        };
        session.start(now);
        session
    }

    fn start(&mut self, now: Instant) {
        let Identity {
            certificate,
            checked,
            unchecked,
            ..
        } = &*self.identity;
        let config = if self.source_checked { checked } else { unchecked };
        let mut dtls = Dtls::new_auto(Arc::clone(config), certificate.clone(), now);
        dtls.set_active(self.role == DtlsRole::Active);
        self.verified = false;
        self.dtls = Some(dtls);
        // The library wants to be told the time before anything else.
        self.handle_timeout(now);
    }

    /// How often garbage has spoilt it so far.
    pub fn restarts(&self) -> u8 {
        self.restarts
    }

    /// Takes a datagram that claims to be DTLS. Then [`Self::poll`].
    pub fn handle(&mut self, now: Instant, datagram: &[u8]) {
        self.handle_timeout(now);
        let credible = datagram.len() <= MAX_DATAGRAM && records::are_credible(datagram);
        let Some(dtls) = self.dtls.as_mut().filter(|_| credible) else {
            return;
        };
        match dtls.handle_packet(datagram) {
            Ok(()) => {}
            // No answer to the first flight; the library looks no further, and nothing has changed.
            Err(Error::UnexpectedMessage(UnexpectedMessageError::UnrecognizedAutoServerResponse)) => {}
            Err(error) => self.fail(now, &error),
        }
    }

    /// Does what is due by now. Then [`Self::poll`].
    pub fn handle_timeout(&mut self, now: Instant) {
        let Some(dtls) = &mut self.dtls else { return };
        if let Err(error) = dtls.handle_timeout(now) {
            self.fail(now, &error);
        }
    }

    /// Every error of the library is fatal to the association. If it was up, its keys stay good.
    fn fail(&mut self, now: Instant, error: &Error) {
        self.dtls = None;
        if self.up {
            return;
        }
        let timed_out = matches!(error, Error::Timeout(_));
        if timed_out || self.restarts == MAX_RESTARTS {
            self.end = Some(End::Failed);
        } else {
            self.restarts += 1;
            self.start(now);
        }
    }

    /// Says good-bye, if there is anybody to say it to. Then [`Self::poll`] for the last time.
    pub fn close(&mut self) {
        // It is over whatever comes of this.
        let _ = self.dtls.as_mut().filter(|_| self.up).map(Dtls::close);
    }

    /// What is to be done next; to be called until it is to wait.
    pub fn poll(&mut self, buffer: &mut [u8; BUFFER]) -> Next {
        loop {
            if let Some(end) = self.end.take() {
                self.dtls = None;
                return Next::Ended(end);
            }
            let Some(dtls) = &mut self.dtls else { return Next::Wait(None) };
            match dtls.poll_output(buffer) {
                Output::Packet(datagram) => return Next::Send(datagram.len()),
                Output::BufferTooSmall { .. } => self.end = Some(End::Failed),
                Output::Timeout(at) => return Next::Wait(Some(at)),
                Output::PeerCert(certificate) => {
                    let right = |f: &Fingerprint| *f == fingerprint(f.hash(), certificate);
                    self.verified = self.fingerprints.iter().any(right);
                    if !self.verified {
                        self.end = Some(End::Fingerprint);
                    }
                }
                Output::KeyingMaterial(material, profile) => match agreed(&material, profile, self.role) {
                    Some(agreed) if self.verified => {
                        self.up = true;
                        return Next::Agreed(Box::new(agreed));
                    }
                    Some(_) => self.end = Some(End::Fingerprint),
                    None => self.end = Some(End::Failed),
                },
                Output::CloseNotify => self.end = Some(End::Closed),
                // Nothing is said over it but keys.
                Output::Connected | Output::ApplicationData(_) => {}
                // A kind of output that didn't exist when this was written.
                _ => {}
            }
        }
    }
}

/// Cuts keying material into keys (RFC 5764 section 4.2): the client's and the server's, then both salts.
fn agreed(material: &[u8], profile: SrtpProfile, role: DtlsRole) -> Option<Agreed> {
    let profile = match profile {
        SrtpProfile::AES128_CM_SHA1_80 => Profile::Aes128CmSha1_80,
        SrtpProfile::AEAD_AES_128_GCM => Profile::AeadAes128Gcm,
        SrtpProfile::AEAD_AES_256_GCM => Profile::AeadAes256Gcm,
        _ => return None,
    };
    let (key_len, salt_len) = (profile.key_len(), profile.salt_len());
    let (keys, salts) = material.split_at_checked(2 * key_len)?;
    let of = |who: usize| {
        let (mut key, mut salt) = ([0; MAX_KEY_LEN], [0; MAX_SALT_LEN]);
        key[..key_len].copy_from_slice(keys.get(who * key_len..)?.get(..key_len)?);
        salt[..salt_len].copy_from_slice(salts.get(who * salt_len..)?.get(..salt_len)?);
        Some(Keys { profile, key, salt })
    };
    let (client, server) = (of(0)?, of(1)?);
    let (ours, theirs) = match role {
        DtlsRole::Active => (client, server),
        DtlsRole::Passive => (server, client),
    };
    Some(Agreed { ours, theirs })
}

#[cfg(test)]
mod tests;
