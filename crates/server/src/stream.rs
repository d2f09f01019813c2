//! What carries the bytes of a connection.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use rustix::net::RecvFlags;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// How often in a row a transport may say that it was interrupted before it is taken for an error.
const INTERRUPTS: usize = 16;

/// Bytes in both directions.
pub(crate) trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for T {}

/// Gives what was read too early to whoever reads now; says whether there was anything.
pub(crate) fn give_ahead(ahead: &mut Bytes, buffer: &mut ReadBuf<'_>) -> bool {
    if ahead.is_empty() {
        return false;
    }
    buffer.put_slice(&ahead.split_to(ahead.len().min(buffer.remaining())));
    true
}

/// A transport, registered with the reactor of its owner or on its way from one owner to the next.
pub(crate) enum Io {
    Tcp(TcpStream),
    Unix(UnixStream),
    /// Any other, as in-memory pipes. It belongs to no reactor.
    Other(Box<dyn ByteStream>),
    /// Registered with no reactor.
    ParkedTcp(std::net::TcpStream),
    ParkedUnix(StdUnixStream),
    /// Its owner gave it away.
    Gone,
    /// It broke while it was changed.
    #[cfg_attr(not(feature = "tls"), expect(dead_code, reason = "nothing else changes it"))]
    Lost,
}

impl Io {
    /// Registers it with the reactor of this arbiter.
    pub(crate) fn register(&mut self) -> io::Result<()> {
        *self = match std::mem::replace(self, Self::Gone) {
            Self::ParkedTcp(stream) => Self::Tcp(TcpStream::from_std(stream)?),
            Self::ParkedUnix(stream) => Self::Unix(UnixStream::from_std(stream)?),
            other => other,
        };
        Ok(())
    }

    /// Takes it from its reactor.
    pub(crate) fn park(&mut self) -> io::Result<()> {
        *self = match std::mem::replace(self, Self::Gone) {
            Self::Tcp(stream) => Self::ParkedTcp(stream.into_std()?),
            Self::Unix(stream) => Self::ParkedUnix(stream.into_std()?),
            other => other,
        };
        Ok(())
    }

    /// The kernel's socket, if that is what it is.
    pub(crate) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Tcp(stream) => Some(stream.as_fd()),
            Self::Unix(stream) => Some(stream.as_fd()),
            Self::ParkedTcp(stream) => Some(stream.as_fd()),
            Self::ParkedUnix(stream) => Some(stream.as_fd()),
            Self::Other(_) | Self::Gone | Self::Lost => None,
        }
    }

    /// The kernel's socket, if it is a unix socket.
    pub(crate) fn unix_descriptor(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Unix(_) | Self::ParkedUnix(_) => self.descriptor(),
            Self::Tcp(_) | Self::ParkedTcp(_) | Self::Other(_) | Self::Gone | Self::Lost => None,
        }
    }

    /// Whether what is written may wait anywhere but in the kernel.
    fn is_buffered(&self) -> bool {
        !matches!(self, Self::Tcp(_) | Self::Unix(_))
    }

    /// Whether bytes wait in the kernel.
    pub(crate) fn has_pending(&self) -> bool {
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        let peek = |fd| rustix::net::recv(fd, &mut [0], flags).is_ok_and(|(_, length)| length > 0);
        self.descriptor().is_some_and(peek)
    }

    /// The transport that can be read and written.
    fn open(&mut self) -> io::Result<Pin<&mut dyn ByteStream>> {
        match self {
            Self::Tcp(stream) => Ok(Pin::new(stream)),
            Self::Unix(stream) => Ok(Pin::new(stream)),
            Self::Other(stream) => Ok(Pin::new(stream)),
            Self::ParkedTcp(_) | Self::ParkedUnix(_) | Self::Gone => {
                Err(io::Error::new(io::ErrorKind::NotConnected, "the connection was given away"))
            }
            Self::Lost => Err(io::Error::new(io::ErrorKind::NotConnected, "the connection is lost")),
        }
    }
}

/// Tries again when the transport was interrupted.
fn retry<T>(mut poll: impl FnMut() -> Poll<io::Result<T>>) -> Poll<io::Result<T>> {
    let mut polled = poll();
    for _ in 0..INTERRUPTS {
        match &polled {
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => polled = poll(),
            _ => break,
        }
    }
    polled
}

impl AsyncRead for Io {
    #[inline]
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // The one that there is most of, without a detour. The kernel does not interrupt what does not wait.
        if let Self::Tcp(stream) = &mut *self {
            return Pin::new(stream).poll_read(cx, buffer);
        }
        let mut stream = self.open()?;
        retry(|| stream.as_mut().poll_read(cx, buffer))
    }
}

impl AsyncWrite for Io {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        if let Self::Tcp(stream) = &mut *self {
            return Pin::new(stream).poll_write(cx, data);
        }
        let mut stream = self.open()?;
        retry(|| stream.as_mut().poll_write(cx, data))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut stream = self.open()?;
        retry(|| stream.as_mut().poll_write_vectored(cx, data))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(stream) => stream.is_write_vectored(),
            Self::Unix(stream) => stream.is_write_vectored(),
            Self::Other(stream) => stream.is_write_vectored(),
            Self::ParkedTcp(_) | Self::ParkedUnix(_) | Self::Gone | Self::Lost => false,
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut stream = self.open()?;
        retry(|| stream.as_mut().poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut stream = self.open()?;
        retry(|| stream.as_mut().poll_shutdown(cx))
    }
}

impl fmt::Debug for Io {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(stream) => stream.fmt(f),
            Self::Unix(stream) => stream.fmt(f),
            Self::ParkedTcp(stream) => stream.fmt(f),
            Self::ParkedUnix(stream) => stream.fmt(f),
            Self::Other(_) => f.write_str("Other"),
            Self::Gone => f.write_str("Gone"),
            Self::Lost => f.write_str("Lost"),
        }
    }
}

impl fmt::Debug for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.io().fmt(f)
    }
}

/// The transport of a connection, or what is spoken on top of it.
pub(crate) enum Layer {
    Plain(Io),
    #[cfg(feature = "tls")]
    Tls(Box<crate::tls::TlsStream>),
}

impl Layer {
    /// What is at the bottom.
    pub(crate) fn io(&self) -> &Io {
        match self {
            Self::Plain(io) => io,
            #[cfg(feature = "tls")]
            Self::Tls(stream) => &stream.get_ref().0.io,
        }
    }

    pub(crate) fn io_mut(&mut self) -> &mut Io {
        match self {
            Self::Plain(io) => io,
            #[cfg(feature = "tls")]
            Self::Tls(stream) => &mut stream.get_mut().0.io,
        }
    }

    /// The kernel's socket, if there is nothing to a connection but that.
    pub(crate) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Plain(io) => io.descriptor(),
            #[cfg(feature = "tls")]
            Self::Tls(_) => None,
        }
    }

    /// Whether what is written may wait anywhere but in the kernel.
    pub(crate) fn is_buffered(&self) -> bool {
        match self {
            Self::Plain(io) => io.is_buffered(),
            #[cfg(feature = "tls")]
            Self::Tls(_) => true,
        }
    }

    pub(crate) fn has_pending(&self) -> bool {
        #[cfg(feature = "tls")]
        if let Self::Tls(stream) = self
            && crate::tls::has_plaintext(stream)
        {
            return true;
        }
        self.io().has_pending()
    }

    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(io) => Pin::new(io).poll_read(cx, buffer),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }

    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(io) => Pin::new(io).poll_write(cx, data),
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
            Self::Plain(io) => Pin::new(io).poll_write_vectored(cx, data),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, data),
        }
    }

    pub(crate) fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(io) => io.is_write_vectored(),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(io) => Pin::new(io).poll_flush(cx),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(io) => Pin::new(io).poll_shutdown(cx),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

impl From<std::net::TcpStream> for Layer {
    fn from(stream: std::net::TcpStream) -> Self {
        Self::Plain(Io::ParkedTcp(stream))
    }
}

impl From<StdUnixStream> for Layer {
    fn from(stream: StdUnixStream) -> Self {
        Self::Plain(Io::ParkedUnix(stream))
    }
}
