//! A connection owned by the actor that claimed it.

use std::cell::RefCell;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use rustix::net::RecvFlags;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;

use crate::accepted::Guard;
use crate::{Credentials, Draining, Permit};

/// The most bytes that one [`recv`](Socket::recv) gives.
const SCRATCH_BYTES: usize = 64 * 1024;
/// The most bytes that are read and thrown away while closing.
const LINGER_BYTES: usize = 4 * 1024 * 1024;
/// The longest time that they are waited for.
const LINGER_TIME: Duration = Duration::from_secs(1);

thread_local! {
    /// One buffer for all connections of a thread, in use only within a poll: an idle connection has none.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH_BYTES].into_boxed_slice());
}

/// A connection owned by the actor that claimed it. Dropped, it is closed.
///
/// Read it by [`recv`](Self::recv), which keeps no buffer while it waits, or as an [`AsyncRead`]; write it by
/// [`send`](Self::send), or as an [`AsyncWrite`].
pub struct Socket {
    stream: TcpStream,
    peer: SocketAddr,
    local: Option<SocketAddr>,
    read_ahead: Bytes,
    permit: Option<Permit>,
    /// Dropped with the connection.
    _guard: Option<Guard>,
}

impl Socket {
    pub(crate) fn new(
        stream: TcpStream,
        peer: SocketAddr,
        local: Option<SocketAddr>,
        read_ahead: Bytes,
        (permit, guard): (Option<Permit>, Option<Guard>),
    ) -> Self {
        Self { stream, peer, local, read_ahead, permit, _guard: guard }
    }

    /// Waits for bytes, and gives those that are there: never an empty piece. `None` means that the peer will not send
    /// any more.
    ///
    /// Dropping the future loses nothing.
    ///
    /// # Errors
    ///
    /// Those of `recv(2)`, such as a connection reset by the peer.
    #[doc(alias = "read")]
    pub async fn recv(&mut self) -> io::Result<Option<Bytes>> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// [`recv`](Self::recv) for hand-written futures.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        if !self.read_ahead.is_empty() {
            return Poll::Ready(Ok(Some(std::mem::take(&mut self.read_ahead))));
        }
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
            let bytes = buffer.filled();
            self.permit.iter().for_each(|permit| permit.received(bytes.len()));
            Poll::Ready(Ok((!bytes.is_empty()).then(|| Bytes::copy_from_slice(bytes))))
        })
    }

    /// Sends all of it. Returns when the kernel has it, so a peer that does not read makes the caller wait.
    ///
    /// # Errors
    ///
    /// Those of `send(2)`, such as a broken pipe.
    #[doc(alias = "write_all")]
    pub async fn send(&mut self, data: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(data.as_ref()).await?;
        self.permit.iter().for_each(|permit| permit.sent(data.as_ref().len()));
        Ok(())
    }

    /// Says that nothing more will be sent, and closes.
    ///
    /// If the peer is still sending, what it sends is read and thrown away for at most a second: otherwise the kernel
    /// would reset the connection, and the peer could lose what was sent to it last.
    ///
    /// A peer that is gone already is no error here.
    pub async fn close(mut self) {
        if self.stream.shutdown().await.is_ok() {
            // Too late or not at all: the peer had its chance.
            let _ = tokio::time::timeout(LINGER_TIME, self.discard()).await;
        }
    }

    /// Throws away what the peer still sends. A peer that is silent now is not waited for.
    async fn discard(&self) -> io::Result<()> {
        let mut discarded = 0;
        while discarded < LINGER_BYTES {
            match SCRATCH.with_borrow_mut(|scratch| self.stream.try_read(scratch)) {
                Ok(0) => return Ok(()),
                Ok(length) => discarded += length,
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                Err(_) if discarded == 0 => return Ok(()),
                Err(_) => self.stream.readable().await?,
            }
        }
        Ok(())
    }

    /// Whether there are bytes that the next read would give. The kernel is asked, because the reactor does not know yet
    /// what came before the connection was claimed. The end of what the peer sends, or an error, is no bytes.
    pub fn has_pending(&self) -> bool {
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        let peek = || rustix::net::recv(&self.stream, &mut [0], flags);
        !self.read_ahead.is_empty() || peek().is_ok_and(|(_, length)| length > 0)
    }

    /// Resolves when the connection is asked to leave, because its listener drains. It borrows nothing: make it once
    /// and wait for it beside reading.
    pub fn draining(&self) -> Draining {
        self.permit.as_ref().map_or_else(Draining::never, |permit| permit.gate().draining())
    }

    /// Takes the connection out of the count of its listener's `max_connections`, as for one that is idle for long
    /// (Ranch: `remove_connection/1`). It is still supervised, and drained like any other. Once is enough.
    #[doc(alias = "remove_connection")]
    pub fn uncount(&mut self) {
        if let Some(permit) = &mut self.permit {
            permit.uncount();
        }
    }

    /// The process at the other end of a unix socket, as the kernel knew it when it connected.
    ///
    /// # Errors
    ///
    /// When the connection is not one over a unix socket.
    #[doc(alias = "SO_PEERCRED")]
    pub fn peer_credentials(&self) -> io::Result<Credentials> {
        Credentials::of_peer(&self.stream)
    }

    /// Who connected. Over a unix socket nobody has an address: it is `0.0.0.0:0` then.
    pub fn peer_addr(&self) -> SocketAddr {
        self.peer
    }

    /// To which of our addresses.
    ///
    /// # Errors
    ///
    /// When the kernel is asked and does not know.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.local.map_or_else(|| self.stream.local_addr(), Ok)
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.read_ahead.is_empty() {
            let before = buffer.filled().len();
            let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
            self.permit.iter().for_each(|permit| permit.received(buffer.filled().len() - before));
            return polled;
        }
        let length = self.read_ahead.len().min(buffer.remaining());
        buffer.put_slice(&self.read_ahead[..length]);
        self.read_ahead.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, data))?;
        self.permit.iter().for_each(|permit| permit.sent(written));
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, data))?;
        self.permit.iter().for_each(|permit| permit.sent(written));
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket").field("peer", &self.peer).finish_non_exhaustive()
    }
}
