//! The byte stream of a connection.

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

/// Maximum number of `EINTR` in a row; one more is an error.
const MAX_EINTR_RETRIES: usize = 16;

/// A byte stream in both directions.
pub(crate) trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for T {}

/// Moves bytes that were read ahead into `buf`; returns whether there were any.
pub(crate) fn read_buffered(ahead: &mut Bytes, buffer: &mut ReadBuf<'_>) -> bool {
    if ahead.is_empty() {
        return false;
    }
    buffer.put_slice(&ahead.split_to(ahead.len().min(buffer.remaining())));
    true
}

/// A stream, registered with the reactor of its owner or between two owners.
pub(crate) enum RawStream {
    Tcp(TcpStream),
    Unix(UnixStream),
    /// Any other stream, such as an in-memory pipe, without a reactor.
    Other(Box<dyn ByteStream>),
    /// Registered with no reactor.
    StdTcp(std::net::TcpStream),
    StdUnix(StdUnixStream),
    /// Its owner has released it.
    Released,
    /// Its registration or release failed.
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

    /// Removes it from its reactor.
    pub(crate) fn deregister(&mut self) -> io::Result<()> {
        *self = match std::mem::replace(self, Self::Released) {
            Self::Tcp(stream) => Self::StdTcp(stream.into_std()?),
            Self::Unix(stream) => Self::StdUnix(stream.into_std()?),
            other => other,
        };
        Ok(())
    }

    /// The descriptor, if it has one.
    pub(crate) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Tcp(stream) => Some(stream.as_fd()),
            Self::Unix(stream) => Some(stream.as_fd()),
            Self::StdTcp(stream) => Some(stream.as_fd()),
            Self::StdUnix(stream) => Some(stream.as_fd()),
            Self::Other(_) | Self::Released | Self::Broken => None,
        }
    }

    /// The descriptor, if it is a unix socket.
    pub(crate) fn unix_descriptor(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Unix(_) | Self::StdUnix(_) => self.descriptor(),
            Self::Tcp(_) | Self::StdTcp(_) | Self::Other(_) | Self::Released | Self::Broken => None,
        }
    }

    /// Whether written bytes may wait outside of the kernel.
    pub(super) fn is_buffered(&self) -> bool {
        !matches!(self, Self::Tcp(_) | Self::Unix(_))
    }

    /// Whether bytes wait in the kernel.
    pub(crate) fn has_pending(&self) -> bool {
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        let peek = |fd| rustix::net::recv(fd, &mut [0], flags).is_ok_and(|(_, length)| length > 0);
        self.descriptor().is_some_and(peek)
    }

    /// The stream for reading and writing.
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

/// Retries after `EINTR`.
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
        // The most frequent case first. A non-blocking call is not interrupted.
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
