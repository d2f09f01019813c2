//! Encryption, by rustls.

mod certificate;
mod names;
mod wire;

use std::fmt;
use std::io;
use std::sync::{Arc, PoisonError, RwLock};

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::{ProtocolVersion, ServerConfig};

use crate::Socket;
use crate::stream::{Io, Layer};

pub use certificate::{Certificate, TlsError};
use names::Names;
pub(crate) use wire::Wire;

/// An encrypted transport.
pub(crate) type TlsStream = tokio_rustls::server::TlsStream<Wire>;

/// Certificates, and what else a server says in a TLS handshake. A clone is the same: [`reload`](Self::reload) changes
/// all.
///
/// TLS 1.2 and 1.3, without client certificates; [`from_config`](Self::from_config) takes whatever else rustls can.
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

/// Collects what a server says in a TLS handshake.
#[derive(Debug, Default)]
#[must_use = "a builder does nothing until it builds"]
pub struct TlsBuilder {
    default: Option<Certificate>,
    names: Vec<(String, Certificate)>,
    alpn: Vec<Vec<u8>>,
}

impl Tls {
    /// Nothing yet; a certificate is needed.
    pub fn builder() -> TlsBuilder {
        TlsBuilder::default()
    }

    /// Whatever rustls can do.
    pub fn from_config(config: Arc<ServerConfig>) -> Self {
        Self(Arc::new(RwLock::new(config)))
    }

    /// From now on handshakes are done as `new` says. Connections that are there go on as they began. What cannot be
    /// made changes nothing, because it is made first.
    pub fn reload(&self, new: &Self) {
        let config = new.config();
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = config;
    }

    /// The value is replaced whole, so a poisoned lock is as good as any.
    fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl TlsBuilder {
    /// The certificate for clients that ask for no name, or for one without a certificate of its own. Without it they
    /// are refused.
    pub fn certificate(self, certificate: Certificate) -> Self {
        Self { default: Some(certificate), ..self }
    }

    /// The certificate for clients that ask for this name (SNI). `*.example.org` is for all names with one word more
    /// than `example.org`.
    pub fn server_name(mut self, name: impl Into<String>, certificate: Certificate) -> Self {
        self.names.push((name.into(), certificate));
        self
    }

    /// The protocols that may be spoken, best first (ALPN). A client that asks for none of them is refused; one that
    /// does not ask is served.
    pub fn alpn<T: AsRef<[u8]>>(self, protocols: impl IntoIterator<Item = T>) -> Self {
        Self { alpn: protocols.into_iter().map(|name| name.as_ref().to_vec()).collect(), ..self }
    }

    /// Checks it.
    ///
    /// # Errors
    ///
    /// Without any certificate; when a key is not that of its certificate; when a certificate is not for its name.
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

impl Socket {
    /// Goes on encrypted, as the server of the handshake. In the middle of a protocol this is STARTTLS: answer the
    /// client's word first; everything after it is read as TLS, so that nothing that was sent in the clear can pass for
    /// encrypted.
    ///
    /// It waits as long as the client takes; bound it by a time-out. If the future is dropped, the connection closes.
    ///
    /// # Errors
    ///
    /// `InvalidData` when the client does not speak TLS or shares no version, cipher or protocol with us;
    /// `InvalidInput` when the connection is encrypted already; those of reading and writing. The connection is lost
    /// then.
    #[doc(alias = "starttls")]
    #[doc(alias = "handshake")]
    pub async fn start_tls(&mut self, tls: &Tls) -> io::Result<()> {
        // Says so too when the connection was given away.
        self.flush().await?;
        let parts = self.parts_mut();
        let Layer::Plain(io) = &mut parts.layer else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the connection is encrypted already"));
        };
        let io = std::mem::replace(io, Io::Lost);
        let wire = Wire { io, read_ahead: std::mem::take(&mut parts.read_ahead) };
        let stream = TlsAcceptor::from(tls.config()).accept(wire).await?;
        parts.layer = Layer::Tls(Box::new(stream));
        Ok(())
    }

    /// What was agreed in the handshake; `None` in the clear.
    pub fn tls(&self) -> Option<TlsSession<'_>> {
        match &self.parts().layer {
            Layer::Tls(stream) => Some(TlsSession(stream)),
            Layer::Plain(_) => None,
        }
    }
}

/// What was agreed in a handshake.
pub struct TlsSession<'a>(&'a TlsStream);

impl<'a> TlsSession<'a> {
    /// The name that the client asked for (SNI).
    pub fn server_name(&self) -> Option<&'a str> {
        self.0.get_ref().1.server_name()
    }

    /// The protocol that both speak (ALPN).
    pub fn alpn(&self) -> Option<&'a [u8]> {
        self.0.get_ref().1.alpn_protocol()
    }

    /// The version of TLS.
    pub fn version(&self) -> Option<ProtocolVersion> {
        self.0.get_ref().1.protocol_version()
    }
}

/// Whether bytes are decrypted and not read yet.
pub(crate) fn has_plaintext(stream: &TlsStream) -> bool {
    // rustls wants to read more unless there is something that was not taken from it.
    !stream.get_ref().1.wants_read()
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("alpn", &self.config().alpn_protocols.len()).finish_non_exhaustive()
    }
}

impl fmt::Debug for TlsSession<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsSession")
            .field("server_name", &self.server_name())
            .field("alpn", &self.alpn())
            .field("version", &self.version())
            .finish()
    }
}
