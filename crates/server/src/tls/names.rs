//! Selection of a certificate by name.

use std::collections::HashMap;
use std::sync::Arc;

use tokio_rustls::rustls::client::verify_server_name;
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;

use super::certificate::{Certificate, TlsError};

/// Certificates by requested name.
#[derive(Debug)]
pub(super) struct Names {
    default: Option<Arc<CertifiedKey>>,
    /// In lower case; `*.` and a domain matches all names directly below it.
    names: HashMap<String, Arc<CertifiedKey>>,
}

impl Names {
    pub(super) fn new(
        default: Option<Certificate>,
        names: Vec<(String, Certificate)>,
        provider: &CryptoProvider,
    ) -> Result<Self, TlsError> {
        let default = default.map(|certificate| certificate.certify(provider)).transpose()?;
        let mut certified = HashMap::new();
        for (name, certificate) in names {
            let name = name.to_ascii_lowercase();
            let key = certificate.certify(provider)?;
            check(&name, &key)?;
            certified.insert(name, key);
        }
        Ok(Self { default, names: certified })
    }

    fn find(&self, name: Option<&str>) -> Option<&Arc<CertifiedKey>> {
        let named = name.and_then(|name| {
            let name = name.to_ascii_lowercase();
            let above = || name.split_once('.').map(|(_, domain)| format!("*.{domain}"));
            self.names.get(&name).or_else(|| self.names.get(&above()?))
        });
        named.or(self.default.as_ref())
    }
}

/// Whether clients that request the name accept the certificate.
fn check(name: &str, key: &CertifiedKey) -> Result<(), TlsError> {
    let bad = || TlsError::BadName(name.to_owned());
    // Any name below the domain.
    let example = name.strip_prefix("*.").map_or_else(|| name.to_owned(), |domain| format!("a.{domain}"));
    let wanted = ServerName::try_from(example).map_err(|_| bad())?;
    if !matches!(wanted, ServerName::DnsName(_)) {
        return Err(bad());
    }
    let wrong = |source| TlsError::Name { name: name.to_owned(), source };
    let certificate = key.end_entity_cert().map_err(wrong)?;
    let certificate = ParsedCertificate::try_from(certificate).map_err(wrong)?;
    verify_server_name(&certificate, &wanted).map_err(wrong)
}

impl ResolvesServerCert for Names {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.find(hello.server_name()).cloned()
    }
}
