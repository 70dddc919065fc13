//! Vouches for the server under test: phones and other TLS peers of its tests believe it, and nobody else.

use std::{
    fs,
    path::{Path, PathBuf},
};

use data_encoding::BASE64;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PublicKeyData as _};
use sha2::{Digest as _, Sha256};

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

    /// The server's key as browsers are told of it: SHA-256 over its `SubjectPublicKeyInfo`, in Base64.
    pub(crate) fn pin(&self) -> String {
        let key = fs::read_to_string(self.folder.join("key.pem")).expect("written");
        let key = KeyPair::from_pem(&key).expect("a key");
        BASE64.encode(&Sha256::digest(key.subject_public_key_info()))
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
