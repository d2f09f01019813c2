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

    /// What was agreed in the handshake; `None` in the clear.
    pub fn tls(&self) -> Option<TlsSession<'_>> {
        match &self.inner().stream {
            MaybeTlsStream::Tls(stream) => Some(TlsSession(stream)),
            MaybeTlsStream::Plain(_) => None,
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

impl fmt::Debug for TlsSession<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsSession")
            .field("server_name", &self.server_name())
            .field("alpn", &self.alpn())
            .field("version", &self.version())
            .finish()
    }
}
