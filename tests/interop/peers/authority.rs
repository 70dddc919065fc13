//! Vouches for the server under test: phones and other TLS peers of its tests believe it, and nobody else.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// An authority with one server to vouch for.
#[derive(Debug)]
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    folder: PathBuf,
}

impl Authority {
    /// Writes its own certificate to a folder, and the server's with its key.
    pub(crate) fn new(folder: &Path, domain: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "authority of the tests");
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        let authority = Self {
            issuer: Issuer::new(params, key),
            folder: folder.into(),
        };
        fs::write(authority.file(), certificate.pem()).expect("writable");
        authority.certify(domain);
        authority
    }

    /// Its own certificate.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.join("authority.pem")
    }

    /// Writes another certificate and key for the server.
    pub(crate) fn certify(&self, domain: &str) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new([domain.to_owned(), "127.0.0.1".to_owned()]).expect("names");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        fs::write(self.folder.join("key.pem"), key.serialize_pem()).expect("writable");
        fs::write(self.folder.join("certificate.pem"), certificate.pem()).expect("writable");
    }
}
