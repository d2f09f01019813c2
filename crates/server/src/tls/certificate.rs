//! Certificates with their private keys.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::rustls;
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::sign::CertifiedKey;

/// Maximum length of a certificate or key file, in bytes.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// A certificate with its chain and its private key.
pub struct Certificate {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Certificate {
    /// From PEM: the server's own certificate first, then its chain; and its key.
    ///
    /// # Errors
    ///
    /// When one of them is missing.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let bad = |what| TlsError::Pem { path: None, what };
        Self::parse(chain, key).map_err(bad)
    }

    /// From PEM files.
    ///
    /// # Errors
    ///
    /// Names the file that cannot be read, or that contains none.
    pub fn from_files(chain: impl AsRef<Path>, key: impl AsRef<Path>) -> Result<Self, TlsError> {
        let (chain, key) = (chain.as_ref(), key.as_ref());
        Self::parse(&read(chain)?, &read(key)?).map_err(|what| {
            let path = if what == NO_CERTIFICATE { chain } else { key };
            TlsError::Pem { path: Some(path.to_owned()), what }
        })
    }

    fn parse(chain: &[u8], key: &[u8]) -> Result<Self, &'static str> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain).collect();
        let chain = chain.ok().filter(|chain| !chain.is_empty()).ok_or(NO_CERTIFICATE)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| "a private key")?;
        Ok(Self { chain, key })
    }

    /// Checks that the key belongs to the certificate.
    pub(super) fn certify(self, provider: &CryptoProvider) -> Result<Arc<CertifiedKey>, TlsError> {
        CertifiedKey::from_der(self.chain, self.key, provider).map(Arc::new).map_err(TlsError::Rustls)
    }
}

const NO_CERTIFICATE: &str = "a certificate";

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    use io::Read;
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path);
    match file.and_then(|file| file.take(MAX_FILE_BYTES).read_to_end(&mut bytes)) {
        Ok(_) => Ok(bytes),
        Err(source) => Err(TlsError::Read { path: path.to_owned(), source }),
    }
}

impl fmt::Debug for Certificate {
    /// `Debug` without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").field("chain", &self.chain.len()).finish_non_exhaustive()
    }
}

/// Why a TLS configuration is invalid.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// Path of the file.
        path: PathBuf,
        /// The error.
        source: io::Error,
    },
    /// A PEM source contains none.
    #[error("{} has not {what} in PEM", path.as_ref().map_or("the text".into(), |path| path.to_string_lossy()))]
    Pem {
        /// Its name.
        path: Option<PathBuf>,
        /// What is missing.
        what: &'static str,
    },
    /// There is no certificate at all.
    #[error("no certificate; give one for all clients, or one for each server name")]
    NoCertificate,
    /// Clients that request the name would refuse the certificate.
    #[error("the certificate for {name} is not for that name: {source}")]
    Name {
        /// The name.
        name: String,
        /// The mismatch.
        source: rustls::Error,
    },
    /// Not a valid name.
    #[error("{0} is no server name; write a host name, or *. and a domain")]
    BadName(String),
    /// Refused by rustls.
    #[error("cannot use the certificate: {0}")]
    Rustls(#[source] rustls::Error),
}
