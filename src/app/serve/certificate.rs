//! The certificate that callers are shown is the one in the files: read anew when they change, or when asked to.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tracing::{info, warn};

use crate::config::{TlsFiles, TlsMistake};
use crate::io::sip::{SipTransport, Tls, Visitors};

/// How often the files are looked at: whoever renews certificates has weeks for it.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// Knows what was read last.
#[derive(Debug)]
pub(super) struct Certificate {
    files: TlsFiles,
    seen: Stamp,
}

/// What tells one state of the files from another: when each was changed, how long it is, and which one it is (links are followed).
type Stamp = Vec<Option<(i64, i64, u64, u64)>>;

impl Certificate {
    /// Reads for the first time.
    pub(super) fn open(files: TlsFiles) -> Result<(Self, Tls), TlsMistake> {
        // Before the reading: what changes meanwhile is read again.
        let seen = stamp(&files);
        let tls = read(&files)?;
        Ok((Self { files, seen }, tls))
    }

    /// What is in the files, if that has changed since the last look, or if `asked` for anyhow.
    fn look(&mut self, asked: bool) -> Option<Result<Tls, TlsMistake>> {
        let now = stamp(&self.files);
        let changed = now != self.seen;
        self.seen = now;
        (changed || asked).then(|| read(&self.files))
    }

    /// Looks from time to time, and whenever it is asked to, for as long as there are sockets. What can't be used changes nothing.
    pub(super) async fn keep(mut self, sockets: Arc<SipTransport>, asked: Arc<Notify>) {
        let mut every = tokio::time::interval(LOOK_EVERY);
        loop {
            let forced = tokio::select! {
                () = asked.notified() => true,
                _ = every.tick() => false,
            };
            // Files may be slow; a look that is lost with its panic is the last one.
            let looked = tokio::task::spawn_blocking(move || {
                let found = self.look(forced);
                (self, found)
            });
            let Ok((this, found)) = looked.await else { return };
            self = this;
            match found {
                Some(Ok(tls)) => {
                    sockets.exchange_tls(tls);
                    info!(certificate = %self.files.certificate.display(), "the TLS certificate was read anew");
                }
                Some(Err(why)) => warn!("[sip] {why}; the TLS certificate stays as it was"),
                None => {}
            }
        }
    }
}

fn read(files: &TlsFiles) -> Result<Tls, TlsMistake> {
    let content = files.read()?;
    let visitors = content.visitors.map(|authorities| Visitors {
        authorities,
        required: files.required,
    });
    Tls::new(Some(content.identity), content.authorities, visitors).map_err(|error| files.unusable(&error))
}

fn stamp(files: &TlsFiles) -> Stamp {
    let of = |path: &Path| {
        let meta = std::fs::metadata(path).ok()?;
        Some((meta.mtime(), meta.mtime_nsec(), meta.len(), meta.ino()))
    };
    files.paths().map(of).collect()
}

#[cfg(test)]
mod tests {
    use rcgen::generate_simple_self_signed;

    use super::*;

    fn write(files: &TlsFiles) {
        let made = generate_simple_self_signed(vec!["conf.example.com".to_owned()]).expect("a certificate");
        std::fs::write(&files.certificate, made.cert.pem()).expect("writable");
        std::fs::write(&files.key, made.signing_key.serialize_pem()).expect("writable");
    }

    #[test]
    fn files_are_read_when_they_change_and_broken_ones_are_told_of_once() {
        let folder = std::env::temp_dir().join(format!("cusax-certificate-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("writable");
        let files = TlsFiles {
            certificate: folder.join("c.pem"),
            key: folder.join("k.pem"),
            authorities: None,
            visitors: None,
            required: false,
        };
        assert!(Certificate::open(files.clone()).is_err(), "there are none");
        write(&files);
        let (mut certificate, _) = Certificate::open(files.clone()).expect("usable");
        assert!(certificate.look(false).is_none());
        assert!(matches!(certificate.look(true), Some(Ok(_))));
        std::fs::write(&files.key, "half a ke").expect("writable");
        assert!(matches!(certificate.look(false), Some(Err(why)) if why.key == "tls_key"));
        assert!(certificate.look(false).is_none(), "told already");
        write(&files);
        assert!(matches!(certificate.look(false), Some(Ok(_))));
        std::fs::remove_file(&files.certificate).expect("removable");
        assert!(matches!(certificate.look(false), Some(Err(why)) if why.key == "tls_certificate"));
        std::fs::remove_dir_all(&folder).expect("removable");
    }
}
