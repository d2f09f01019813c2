//! The configuration of TLS: certificates, names and protocols, by rustls.
//!
//! This folder may not know sockets: `socket/starttls.rs` does the handshake with the configuration from here.

pub(crate) mod certificate;
mod names;

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;

use certificate::{Certificate, TlsError};
use names::Names;

/// Certificates and the other settings of TLS handshakes. Clones share them: [`reload`](Self::reload) changes
/// all.
///
/// TLS 1.2 and 1.3, without client certificates. [`from_config`](Self::from_config) accepts any rustls
/// configuration.
///
/// ```no_run
/// # fn example() -> Result<(), impresario_server::TlsError> {
/// use impresario_server::{Certificate, Tls};
///
/// let shop = Certificate::from_files("/etc/tls/shop.pem", "/etc/tls/shop.key")?;
/// let blog = Certificate::from_files("/etc/tls/blog.pem", "/etc/tls/blog.key")?;
/// let tls = Tls::builder().certificate(shop).server_name("blog.example.org", blog).alpn(["http/1.1"]).build()?;
/// # drop(tls);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Tls(Arc<RwLock<Arc<ServerConfig>>>);

/// Builder of a TLS configuration.
#[derive(Debug, Default)]
#[must_use = "a builder does nothing until it builds"]
pub struct TlsBuilder {
    default: Option<Certificate>,
    names: Vec<(String, Certificate)>,
    alpn: Vec<Vec<u8>>,
}

impl Tls {
    /// An empty configuration; a certificate is required.
    pub fn builder() -> TlsBuilder {
        TlsBuilder::default()
    }

    /// From any rustls configuration.
    pub fn from_config(config: Arc<ServerConfig>) -> Self {
        Self(Arc::new(RwLock::new(config)))
    }

    /// Replaces the settings for new handshakes. Existing connections go on. `new` was built before, so an
    /// invalid configuration cannot replace a valid one.
    pub fn reload(&self, new: &Self) {
        let config = new.config();
        let replaced = {
            let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *current, config)
        };
        // Without the lock: the configuration may hold user types, and their destructors run here.
        drop(replaced);
    }

    /// The value is replaced as a whole, so a poisoned lock still holds a valid one.
    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl TlsBuilder {
    /// The certificate for clients that request no name, or a name without a certificate of its own. Without it
    /// they are refused.
    pub fn certificate(self, certificate: Certificate) -> Self {
        Self { default: Some(certificate), ..self }
    }

    /// The certificate for clients that request this name (SNI). `*.example.org` matches names with one label
    /// more than `example.org`.
    pub fn server_name(mut self, name: impl Into<String>, certificate: Certificate) -> Self {
        self.names.push((name.into(), certificate));
        self
    }

    /// The offered protocols, best first (ALPN). A client that offers none of them is refused; a client without
    /// ALPN is served.
    pub fn alpn<T: AsRef<[u8]>>(self, protocols: impl IntoIterator<Item = T>) -> Self {
        Self { alpn: protocols.into_iter().map(|name| name.as_ref().to_vec()).collect(), ..self }
    }

    /// Builds the configuration.
    ///
    /// # Errors
    ///
    /// Without any certificate; when a key does not belong to its certificate; when a certificate does not
    /// match its name.
    pub fn build(self) -> Result<Tls, TlsError> {
        if self.default.is_none() && self.names.is_empty() {
            return Err(TlsError::NoCertificate);
        }
        let provider = Arc::new(default_provider());
        let names = Names::new(self.default, self.names, &provider)?;
        let builder = ServerConfig::builder_with_provider(provider);
        let builder = builder.with_safe_default_protocol_versions().map_err(TlsError::Rustls)?;
        let mut config = builder.with_no_client_auth().with_cert_resolver(Arc::new(names));
        config.alpn_protocols = self.alpn;
        Ok(Tls::from_config(Arc::new(config)))
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("alpn", &self.config().alpn_protocols.len()).finish_non_exhaustive()
    }
}
