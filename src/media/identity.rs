//! The certificate that DTLS shows: made once per process, known to peers by its fingerprint alone.

use std::io;

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

use crate::rtp::dtls::Identity;

/// Makes a key on P-256 and a certificate that says nothing about us.
pub(super) fn generate() -> io::Result<Identity> {
    let key = KeyPair::generate().map_err(io::Error::other)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "media");
    let certificate = params.self_signed(&key).map_err(io::Error::other)?;
    Identity::new(certificate.der().to_vec(), key.serialize_der()).map_err(io::Error::other)
}
