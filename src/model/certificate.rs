//! Which SIP domains and which people a certificate speaks for (RFC 5922 section 7).

use tokio_rustls::rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;

/// The SIP domains that a certificate speaks for, as written: those of its `sip` URIs, else its DNS names. None if it can't be read.
///
/// Names with a wildcard are among the latter, and are to match nothing (section 7.2).
pub fn domains(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok(certificate) = EndEntityCert::try_from(certificate) else {
        return Vec::new();
    };
    let by_uri: Vec<String> = certificate.valid_uri_names().filter_map(domain_of).collect();
    if by_uri.is_empty() {
        certificate.valid_dns_names().map(str::to_owned).collect()
    } else {
        by_uri
    }
}

/// The people that a certificate speaks for, as `sip` URIs, as written.
pub fn people(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok(certificate) = EndEntityCert::try_from(certificate) else {
        return Vec::new();
    };
    let is_person = |uri: &&str| {
        let scheme = uri.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
        uri.contains('@') && matches!(scheme.as_deref(), Some("sip" | "sips"))
    };
    certificate.valid_uri_names().filter(is_person).map(str::to_owned).collect()
}

/// Whether a certificate speaks for this domain: one of its names is the same in full (RFC 5922 section 7.2).
pub fn speaks_for(certificate: &CertificateDer<'_>, domain: &str) -> bool {
    domains(certificate).iter().any(|name| name.eq_ignore_ascii_case(domain))
}

/// The domain that a URI in a certificate stands for: a `sip` URI without a user (RFC 5922 section 7.1).
fn domain_of(uri: &str) -> Option<String> {
    let (scheme, rest) = uri.split_once(':')?;
    let host = rest.split([':', ';', '?']).next()?;
    let is_domain = scheme.eq_ignore_ascii_case("sip") && !rest.contains('@') && !host.is_empty();
    is_domain.then(|| host.to_owned())
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, SanType};

    use super::*;

    fn certificate(names: &[&str], uris: &[&str]) -> CertificateDer<'static> {
        let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names");
        let uris = uris.iter().map(|uri| SanType::URI((*uri).try_into().expect("ASCII")));
        params.subject_alt_names.extend(uris);
        let key = KeyPair::generate().expect("a key");
        params.self_signed(&key).expect("a certificate").der().clone()
    }

    #[test]
    fn dns_names_count_where_there_is_no_sip_uri_of_a_domain() {
        let named = certificate(
            &["conf.example.com", "example.com"],
            &["https://www.example.com", "sip:ann@example.net"],
        );
        assert_eq!(domains(&named), ["conf.example.com", "example.com"]);
        let by_uri = certificate(
            &["www.example.com"],
            &["sip:conf.example.com", "SIP:example.com:5061;transport=tls"],
        );
        assert_eq!(domains(&by_uri), ["conf.example.com", "example.com"]);
        assert!(!speaks_for(&by_uri, "www.example.com"));
        assert_eq!(people(&named), ["sip:ann@example.net"]);
        assert!(people(&by_uri).is_empty());
    }

    #[test]
    fn names_match_in_full_in_any_case_and_wildcards_never() {
        let named = certificate(&["Conf.example.com", "*.example.org"], &[]);
        assert!(speaks_for(&named, "conf.EXAMPLE.com"));
        for other in ["example.com", "a.conf.example.com", "a.example.org", "conf.example.com.example.net"] {
            assert!(!speaks_for(&named, other), "{other}");
        }
    }

    #[test]
    fn what_cannot_be_read_speaks_for_nobody() {
        assert!(domains(&CertificateDer::from(b"no certificate".to_vec())).is_empty());
        assert!(people(&CertificateDer::from(b"no certificate".to_vec())).is_empty());
    }
}
