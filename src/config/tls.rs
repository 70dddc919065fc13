//! The files of TLS: certificate, key and authorities, in PEM. Reads them as often as it is asked to; knows no socket.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tokio_rustls::rustls::{
    Error, InconsistentKeys, RootCertStore,
    crypto::ring,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
    sign::CertifiedKey,
};

use super::{
    parse::{self, choice},
    read::{Reader, Section},
};
use crate::model::certificate::speaks_for;

/// Where they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// Our certificate, and those that lead from it to an authority, in this order.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The authorities whose certificates are believed, if not those that the system trusts.
    pub authorities: Option<PathBuf>,
    /// The authorities that may vouch for those who connect; none: they aren't asked for certificates.
    pub visitors: Option<PathBuf>,
    /// Who connects without a certificate doesn't come in.
    pub required: bool,
}

/// What is in them.
#[derive(Debug)]
pub struct TlsContent {
    /// Our certificate with its key: they fit.
    pub identity: CertifiedKey,
    /// As the file has them.
    pub authorities: Option<Vec<CertificateDer<'static>>>,
    /// Likewise, for those who connect.
    pub visitors: Option<Vec<CertificateDer<'static>>>,
}

impl TlsContent {
    /// Whether our certificate names this domain (RFC 5922 section 7).
    pub fn speaks_for(&self, domain: &str) -> bool {
        self.identity.cert.first().is_some_and(|own| speaks_for(own, domain))
    }
}

/// What is wrong with one of them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {problem}")]
pub struct TlsMistake {
    /// The key that names the file, without its section.
    pub key: &'static str,
    /// What is wrong, in words that begin with the file.
    pub problem: String,
}

pub(super) const CERTIFICATE: &str = "tls_certificate";
pub(super) const KEY: &str = "tls_key";
pub(super) const AUTHORITIES: &str = "tls_ca";
pub(super) const VISITORS: &str = "tls_client_ca";
const CLIENT: &str = "tls_client";

impl TlsFiles {
    /// Reads all of them.
    ///
    /// # Errors
    ///
    /// The first that can't be used.
    pub fn read(&self) -> Result<TlsContent, TlsMistake> {
        let chain = certificates(CERTIFICATE, &self.certificate)?;
        let wrong_key = |problem: String| mistake(KEY, &self.key, problem);
        let key = PrivateKeyDer::from_pem_slice(&bytes(KEY, &self.key)?).map_err(|error| {
            wrong_key(if matches!(error, pem::Error::NoItemsFound) {
                "holds no private key in PEM, or an encrypted one".to_owned()
            } else {
                error.to_string()
            })
        })?;
        let identity = CertifiedKey::from_der(chain, key, &ring::default_provider()).map_err(|error| {
            if let Error::InvalidCertificate(why) = &error {
                let problem = format!("its first certificate can't be read: {why:?}");
                mistake(CERTIFICATE, &self.certificate, problem)
            } else if error == Error::InconsistentKeys(InconsistentKeys::KeyMismatch) {
                wrong_key(format!("is not the key of the certificate in {}", self.certificate.display()))
            } else {
                wrong_key(error.to_string())
            }
        })?;
        let from = |key, path: &Option<PathBuf>| path.as_deref().map(|path| authorities(key, path)).transpose();
        Ok(TlsContent {
            identity,
            authorities: from(AUTHORITIES, &self.authorities)?,
            visitors: from(VISITORS, &self.visitors)?,
        })
    }

    /// What is wrong if the certificate can't be used after all.
    pub fn unusable(&self, why: &Error) -> TlsMistake {
        mistake(CERTIFICATE, &self.certificate, why.to_string())
    }

    /// All that there are.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        [&self.certificate, &self.key]
            .into_iter()
            .chain(&self.authorities)
            .chain(&self.visitors)
            .map(PathBuf::as_path)
    }
}

/// The files of TLS by their keys in `[sip]`; they have to be good now and may change later.
pub(super) fn files(r: &Reader<'_>, s: &mut Section<'_>, names: [&Option<String>; 2]) -> Option<TlsFiles> {
    let [certificate, key, authorities, visitors] = [CERTIFICATE, KEY, AUTHORITIES, VISITORS].map(|name| s.text(name, parse::path));
    let asked = s.text(CLIENT, choice(parse::TLS_CLIENT)).flatten();
    for (given, other) in [
        (CERTIFICATE, KEY),
        (KEY, CERTIFICATE),
        (AUTHORITIES, CERTIFICATE),
        (VISITORS, CERTIFICATE),
    ] {
        if s.any_given(&[given]) && !s.any_given(&[other]) {
            s.mistake(given, format!("needs `{other}` beside it"));
        }
    }
    match (asked, s.any_given(&[VISITORS])) {
        (Some(_), false) => s.mistake(CLIENT, format!("needs `{VISITORS}` beside it")),
        (None, true) => s.warning(VISITORS, format!("is not used: `{CLIENT}` asks nobody for a certificate")),
        (Some(_), true) | (None, false) => {}
    }
    let files = TlsFiles {
        certificate: r.path(certificate?),
        key: r.path(key?),
        authorities: authorities.map(|path| r.path(path)),
        visitors: visitors.filter(|_| asked.is_some()).map(|path| r.path(path)),
        required: asked == Some(Asked::Required),
    };
    match files.read() {
        Ok(content) => {
            for name in names.into_iter().flatten().filter(|name| !content.speaks_for(name)) {
                let problem = format!("does not name {name}: phones that look closely refuse it (RFC 5922 section 7)");
                s.warning(CERTIFICATE, problem);
            }
            Some(files)
        }
        Err(TlsMistake { key, problem }) => {
            s.mistake(key, problem);
            None
        }
    }
}

/// How those who connect are asked for certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// Who has none comes in too.
    Asked,
    /// Who has none doesn't.
    Required,
}

fn authorities(key: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsMistake> {
    let found = certificates(key, path)?;
    for certificate in &found {
        RootCertStore::empty()
            .add(certificate.clone())
            .map_err(|error| mistake(key, path, error.to_string()))?;
    }
    Ok(found)
}

fn certificates(key: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsMistake> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes(key, path)?).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(mistake(key, path, "holds no certificate in PEM".to_owned())),
        Err(error) => Err(mistake(key, path, error.to_string())),
    }
}

fn bytes(key: &'static str, path: &Path) -> Result<Vec<u8>, TlsMistake> {
    fs::read(path).map_err(|error| mistake(key, path, error.to_string()))
}

fn mistake(key: &'static str, path: &Path, problem: String) -> TlsMistake {
    TlsMistake {
        key,
        problem: format!("{}: {problem}", path.display()),
    }
}

#[cfg(test)]
mod tests {
    use rcgen::generate_simple_self_signed;

    use super::super::{Config, Listen, Transport, check::check};

    /// A folder of its own, gone at the end.
    struct Folder(std::path::PathBuf);

    impl Folder {
        fn new(test: &str) -> Self {
            let path = std::env::temp_dir().join(format!("cusax-tls-{test}-{}", std::process::id()));
            std::fs::create_dir_all(&path).expect("writable");
            Self(path)
        }

        fn write(&self, name: &str, text: &str) {
            std::fs::write(self.0.join(name), text).expect("writable");
        }

        /// Writes a certificate and its key.
        fn certify(&self, certificate: &str, key: &str, domain: &str) {
            let made = generate_simple_self_signed(vec![domain.to_owned()]).expect("a certificate");
            self.write(certificate, &made.cert.pem());
            self.write(key, &made.signing_key.serialize_pem());
        }

        fn check(&self, lines: &str) -> Result<Config, Vec<String>> {
            let text = format!(
                "[sip]\ndomain = 'conf.example.com'\n{lines}\n[xmpp]\nrooms = 'r.example.com'\nphones = 'p.example.com'\nsecret = 'S'\n"
            );
            let folder = format!("{}/", self.0.display());
            let told = |list: Vec<super::super::Mistake>| list.iter().map(|m| m.to_string().replace(&folder, "")).collect();
            check(&text, &self.0, &|_| None).map_err(told)
        }

        fn mistake(&self, lines: &str) -> String {
            let mistakes = self.check(lines).expect_err("a mistake");
            assert_eq!(mistakes.len(), 1, "{mistakes:?}");
            mistakes[0].clone()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    const BOTH: &str = "tls_certificate = 'c.pem'\ntls_key = 'k.pem'";

    #[test]
    fn with_a_certificate_tls_is_listened_at() {
        let folder = Folder::new("good");
        folder.certify("c.pem", "k.pem", "conf.example.com");
        let listening = |lines: &str| folder.check(lines).expect("no mistake").sip.listen;
        let at = |transport, address: &str| Listen {
            transport,
            address: address.parse().expect("an address"),
        };
        assert_eq!(listening(BOTH)[2], at(Transport::Tls, "0.0.0.0:5061"));
        let listed = listening(&format!(
            "{BOTH}\ntls_ca = 'c.pem'\nlisten = ['tls:192.0.2.1', 'tls:[::]', 'tls:[::1]:7', 'udp:192.0.2.1', 'ws:192.0.2.1', 'wss:192.0.2.1', 'wss:[::]:5063']"
        ));
        let expected = [
            at(Transport::Tls, "192.0.2.1:5061"),
            at(Transport::Tls, "[::]:5061"),
            at(Transport::Tls, "[::1]:7"),
            at(Transport::Udp, "192.0.2.1:5060"),
            at(Transport::Ws, "192.0.2.1:80"),
            at(Transport::Wss, "192.0.2.1:443"),
            at(Transport::Wss, "[::]:5063"),
        ];
        assert_eq!(listed, expected);
    }

    #[test]
    fn what_is_wrong_with_a_file_is_told_at_its_key() {
        let folder = Folder::new("bad");
        folder.certify("c.pem", "k.pem", "conf.example.com");
        folder.certify("other.pem", "other-key.pem", "conf.example.com");
        folder.write("empty.pem", "");
        folder.write("broken.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
        let with = |certificate: &str, key: &str| folder.mistake(&format!("tls_certificate = '{certificate}'\ntls_key = '{key}'"));
        assert!(with("none.pem", "k.pem").starts_with("line 3: sip.tls_certificate: none.pem: No such file"));
        assert!(with("c.pem", "none.pem").starts_with("line 4: sip.tls_key: none.pem: No such file"));
        assert_eq!(
            with("empty.pem", "k.pem"),
            "line 3: sip.tls_certificate: empty.pem: holds no certificate in PEM"
        );
        assert!(with("broken.pem", "k.pem").starts_with("line 3: sip.tls_certificate: broken.pem: its first certificate can't be read"));
        assert_eq!(
            with("c.pem", "c.pem"),
            "line 4: sip.tls_key: c.pem: holds no private key in PEM, or an encrypted one"
        );
        assert_eq!(
            with("c.pem", "other-key.pem"),
            "line 4: sip.tls_key: other-key.pem: is not the key of the certificate in c.pem"
        );
        assert!(
            folder
                .mistake(&format!("{BOTH}\ntls_ca = 'broken.pem'"))
                .starts_with("line 5: sip.tls_ca: broken.pem: ")
        );
    }

    #[test]
    fn phones_are_asked_for_certificates_if_somebody_can_vouch_for_them() {
        let folder = Folder::new("visitors");
        folder.certify("c.pem", "k.pem", "conf.example.com");
        folder.certify("phones.pem", "unused.pem", "phones.example.com");
        let files = |lines: &str| {
            let config = folder.check(&format!("{BOTH}\n{lines}")).expect("no mistake");
            let warnings: Vec<String> = config.warnings.iter().map(ToString::to_string).collect();
            let files = config.sip.tls.expect("given");
            (files.visitors.is_some(), files.required, warnings)
        };
        assert_eq!(files(""), (false, false, Vec::new()));
        assert_eq!(
            files("tls_client_ca = 'phones.pem'\ntls_client = 'asked'"),
            (true, false, Vec::new())
        );
        assert_eq!(
            files("tls_client_ca = 'phones.pem'\ntls_client = 'required'"),
            (true, true, Vec::new())
        );
        let unused = "line 5: sip.tls_client_ca: is not used: `tls_client` asks nobody for a certificate";
        assert_eq!(files("tls_client_ca = 'phones.pem'"), (false, false, vec![unused.to_owned()]));
        let mistake = |lines: &str| folder.mistake(&format!("{BOTH}\n{lines}"));
        assert_eq!(
            mistake("tls_client = 'asked'"),
            "line 5: sip.tls_client: needs `tls_client_ca` beside it"
        );
        assert!(
            mistake("tls_client = 'asked'\ntls_client_ca = 'none.pem'").starts_with("line 6: sip.tls_client_ca: none.pem: No such file")
        );
    }

    #[test]
    fn what_belongs_together_is_asked_for() {
        let folder = Folder::new("parts");
        folder.certify("c.pem", "k.pem", "www.example.com");
        assert_eq!(
            folder.mistake("listen = ['tls:0.0.0.0:5061']"),
            "line 3: sip.listen: TLS needs `tls_certificate` and `tls_key`"
        );
        assert_eq!(
            folder.mistake("listen = ['wss:0.0.0.0:5063']"),
            "line 3: sip.listen: TLS needs `tls_certificate` and `tls_key`"
        );
        assert_eq!(
            folder.mistake("websocket_origins = ['https://www.example.com/', 'https://www.example.com']"),
            "line 3: sip.websocket_origins: must be the origin of a page, like \"https://www.example.com\""
        );
        assert_eq!(
            folder.mistake("tls_certificate = 'c.pem'"),
            "line 3: sip.tls_certificate: needs `tls_key` beside it"
        );
        assert_eq!(
            folder.mistake("tls_key = 'k.pem'"),
            "line 3: sip.tls_key: needs `tls_certificate` beside it"
        );
        let warnings = folder
            .check(&format!("{BOTH}\ntls_name = 'WWW.example.com'\nlisten = ['udp:0.0.0.0:5060']"))
            .expect("no mistake")
            .warnings;
        let told: Vec<String> = warnings.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "line 3: sip.tls_certificate: does not name conf.example.com: phones that look closely refuse it (RFC 5922 section 7)",
                "line 3: sip.tls_certificate: is not used: no address in `listen` is for TLS",
            ]
        );
    }
}
