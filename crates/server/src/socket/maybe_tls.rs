//! A connection's transport, plain or under TLS.

use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::raw_stream::RawStream;
#[cfg(feature = "tls")]
use super::rewind::Rewind;

/// An encrypted transport.
#[cfg(feature = "tls")]
pub(crate) type TlsStream = tokio_rustls::server::TlsStream<Rewind>;

/// The transport of a connection, plain or encrypted.
pub(crate) enum MaybeTlsStream {
    Plain(RawStream),
    #[cfg(feature = "tls")]
    Tls(Box<TlsStream>),
}

impl MaybeTlsStream {
    /// The transport at the bottom.
    pub(crate) fn raw(&self) -> &RawStream {
        match self {
            Self::Plain(raw) => raw,
            #[cfg(feature = "tls")]
            Self::Tls(stream) => &stream.get_ref().0.inner,
        }
    }

    pub(crate) fn raw_mut(&mut self) -> &mut RawStream {
        match self {
            Self::Plain(raw) => raw,
            #[cfg(feature = "tls")]
            Self::Tls(stream) => &mut stream.get_mut().0.inner,
        }
    }

    /// The descriptor, if the connection has no other state.
    pub(crate) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Plain(raw) => raw.descriptor(),
            #[cfg(feature = "tls")]
            Self::Tls(_) => None,
        }
    }

    /// Whether written bytes may wait outside of the kernel.
    pub(crate) fn is_buffered(&self) -> bool {
        match self {
            Self::Plain(raw) => raw.is_buffered(),
            #[cfg(feature = "tls")]
            Self::Tls(_) => true,
        }
    }

    pub(crate) fn has_pending(&self) -> bool {
        #[cfg(feature = "tls")]
        if let Self::Tls(stream) = self
            && has_plaintext(stream)
        {
            return true;
        }
        self.raw().has_pending()
    }

    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(raw) => Pin::new(raw).poll_read(cx, buffer),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }

    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(raw) => Pin::new(raw).poll_write(cx, data),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, data),
        }
    }

    pub(crate) fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(raw) => Pin::new(raw).poll_write_vectored(cx, data),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, data),
        }
    }

    pub(crate) fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(raw) => raw.is_write_vectored(),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(raw) => Pin::new(raw).poll_flush(cx),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(raw) => Pin::new(raw).poll_shutdown(cx),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

impl From<std::net::TcpStream> for MaybeTlsStream {
    fn from(stream: std::net::TcpStream) -> Self {
        Self::Plain(RawStream::StdTcp(stream))
    }
}

impl From<StdUnixStream> for MaybeTlsStream {
    fn from(stream: StdUnixStream) -> Self {
        Self::Plain(RawStream::StdUnix(stream))
    }
}

impl fmt::Debug for MaybeTlsStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.raw().fmt(f)
    }
}

/// Whether decrypted bytes wait to be read.
#[cfg(feature = "tls")]
fn has_plaintext(stream: &TlsStream) -> bool {
    // rustls wants to read more unless it holds plaintext that was not read yet.
    !stream.get_ref().1.wants_read()
}
