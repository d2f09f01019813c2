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
const MAX_EINTR_RETRIES: usize = 16;

/// Bytes in both directions.
pub(crate) trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for T {}

/// Gives what was read too early to whoever reads now; says whether there was anything.
pub(crate) fn read_buffered(ahead: &mut Bytes, buffer: &mut ReadBuf<'_>) -> bool {
    if ahead.is_empty() {
        return false;
    }
    buffer.put_slice(&ahead.split_to(ahead.len().min(buffer.remaining())));
    true
}

/// A transport, registered with the reactor of its owner or on its way from one owner to the next.
pub(crate) enum RawStream {
    Tcp(TcpStream),
    Unix(UnixStream),
    /// Any other, as in-memory pipes. It belongs to no reactor.
    Other(Box<dyn ByteStream>),
    /// Registered with no reactor.
    StdTcp(std::net::TcpStream),
    StdUnix(StdUnixStream),
    /// Its owner gave it away.
    Released,
    /// It broke while it was changed.
    #[cfg_attr(not(feature = "tls"), expect(dead_code, reason = "nothing else changes it"))]
    Broken,
}

impl RawStream {
    /// Registers it with the reactor of this arbiter.
    pub(crate) fn register(&mut self) -> io::Result<()> {
        *self = match std::mem::replace(self, Self::Released) {
            Self::StdTcp(stream) => Self::Tcp(TcpStream::from_std(stream)?),
            Self::StdUnix(stream) => Self::Unix(UnixStream::from_std(stream)?),
            other => other,
        };
        Ok(())
    }

    /// Takes it from its reactor.
    pub(crate) fn deregister(&mut self) -> io::Result<()> {
        *self = match std::mem::replace(self, Self::Released) {
            Self::Tcp(stream) => Self::StdTcp(stream.into_std()?),
            Self::Unix(stream) => Self::StdUnix(stream.into_std()?),
            other => other,
        };
        Ok(())
    }

    /// The kernel's socket, if that is what it is.
    pub(crate) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Tcp(stream) => Some(stream.as_fd()),
            Self::Unix(stream) => Some(stream.as_fd()),
            Self::StdTcp(stream) => Some(stream.as_fd()),
            Self::StdUnix(stream) => Some(stream.as_fd()),
            Self::Other(_) | Self::Released | Self::Broken => None,
        }
    }

    /// The kernel's socket, if it is a unix socket.
    pub(crate) fn unix_descriptor(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Unix(_) | Self::StdUnix(_) => self.descriptor(),
            Self::Tcp(_) | Self::StdTcp(_) | Self::Other(_) | Self::Released | Self::Broken => None,
        }
    }

    /// Whether what is written may wait anywhere but in the kernel.
    pub(super) fn is_buffered(&self) -> bool {
        !matches!(self, Self::Tcp(_) | Self::Unix(_))
    }

    /// Whether bytes wait in the kernel.
    pub(crate) fn has_pending(&self) -> bool {
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        let peek = |fd| rustix::net::recv(fd, &mut [0], flags).is_ok_and(|(_, length)| length > 0);
        self.descriptor().is_some_and(peek)
    }

    /// The transport that can be read and written.
    fn connected(&mut self) -> io::Result<Pin<&mut dyn ByteStream>> {
        match self {
            Self::Tcp(stream) => Ok(Pin::new(stream)),
            Self::Unix(stream) => Ok(Pin::new(stream)),
            Self::Other(stream) => Ok(Pin::new(stream)),
            Self::StdTcp(_) | Self::StdUnix(_) | Self::Released => {
                Err(io::Error::new(io::ErrorKind::NotConnected, "the connection was given away"))
            }
            Self::Broken => Err(io::Error::new(io::ErrorKind::NotConnected, "the connection is lost")),
        }
    }
}

/// Tries again when the transport was interrupted.
fn retry<T>(mut poll: impl FnMut() -> Poll<io::Result<T>>) -> Poll<io::Result<T>> {
    let mut polled = poll();
    for _ in 0..MAX_EINTR_RETRIES {
        match &polled {
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => polled = poll(),
            _ => break,
        }
    }
    polled
}

impl AsyncRead for RawStream {
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
        let mut stream = self.connected()?;
        retry(|| stream.as_mut().poll_read(cx, buffer))
    }
}

impl AsyncWrite for RawStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        if let Self::Tcp(stream) = &mut *self {
            return Pin::new(stream).poll_write(cx, data);
        }
        let mut stream = self.connected()?;
        retry(|| stream.as_mut().poll_write(cx, data))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut stream = self.connected()?;
        retry(|| stream.as_mut().poll_write_vectored(cx, data))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(stream) => stream.is_write_vectored(),
            Self::Unix(stream) => stream.is_write_vectored(),
            Self::Other(stream) => stream.is_write_vectored(),
            Self::StdTcp(_) | Self::StdUnix(_) | Self::Released | Self::Broken => false,
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut stream = self.connected()?;
        retry(|| stream.as_mut().poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut stream = self.connected()?;
        retry(|| stream.as_mut().poll_shutdown(cx))
    }
}

impl fmt::Debug for RawStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(stream) => stream.fmt(f),
            Self::Unix(stream) => stream.fmt(f),
            Self::StdTcp(stream) => stream.fmt(f),
            Self::StdUnix(stream) => stream.fmt(f),
            Self::Other(_) => f.write_str("Other"),
            Self::Released => f.write_str("Released"),
            Self::Broken => f.write_str("Broken"),
        }
    }
}
