//! The TLS handshake on a connection.

use std::fmt;
use std::io;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ProtocolVersion;

use super::Socket;
use super::maybe_tls::{MaybeTlsStream, TlsStream};
use super::raw_stream::RawStream;
use super::rewind::Rewind;
use crate::tls::Tls;

impl Socket {
    /// Continues encrypted, as the server of the TLS handshake. In the middle of a protocol this is STARTTLS:
    /// send the plain response to the client's command first. All bytes after it are read as TLS, so injected
    /// plaintext cannot pass as encrypted.
    ///
    /// There is no timeout; add one. If the future is dropped, the connection closes.
    ///
    /// # Errors
    ///
    /// `InvalidData` when the client does not speak TLS or shares no version, cipher or protocol;
    /// `InvalidInput` when the connection is encrypted already; those of reading and writing. The connection is
    /// closed then.
    #[doc(alias = "starttls")]
    #[doc(alias = "handshake")]
    pub async fn start_tls(&mut self, tls: &Tls) -> io::Result<()> {
        // This also fails when the connection was transferred.
        self.flush().await?;
        let inner = self.inner_mut();
        let MaybeTlsStream::Plain(raw) = &mut inner.stream else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the connection is encrypted already"));
        };
        let raw = std::mem::replace(raw, RawStream::Broken);
        let rewind = Rewind { inner: raw, read_ahead: std::mem::take(&mut inner.read_ahead) };
        let stream = TlsAcceptor::from(tls.config()).accept(rewind).await?;
        inner.stream = MaybeTlsStream::Tls(Box::new(stream));
        Ok(())
    }

    /// The result of the handshake; `None` on a plain connection.
    pub fn tls(&self) -> Option<TlsSession<'_>> {
        match &self.inner().stream {
            MaybeTlsStream::Tls(stream) => Some(TlsSession(stream)),
            MaybeTlsStream::Plain(_) => None,
        }
    }
}

/// The result of a TLS handshake.
pub struct TlsSession<'a>(&'a TlsStream);

impl<'a> TlsSession<'a> {
    /// The name that the client requested (SNI).
    pub fn server_name(&self) -> Option<&'a str> {
        self.0.get_ref().1.server_name()
    }

    /// The negotiated protocol (ALPN).
    pub fn alpn(&self) -> Option<&'a [u8]> {
        self.0.get_ref().1.alpn_protocol()
    }

    /// The version of TLS.
    pub fn version(&self) -> Option<ProtocolVersion> {
        self.0.get_ref().1.protocol_version()
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
