//! One connection: its bytes, its timeouts, and its owner.
//!
//! An [`Accepted`](accepted::Accepted) is a connection that no actor has claimed; a [`Socket`] is one that an actor
//! owns; both are a pointer to the same [`ConnectionInner`]. This folder knows the tracker by the
//! [`Permit`](crate::tracker::permit::Permit) that a connection carries. It may not know how connections are accepted,
//! which protocol they speak, or which actor serves them.

pub(crate) mod accepted;
pub(crate) mod active;
pub(crate) mod active_mode;
pub(crate) mod credentials;
pub(crate) mod idle_timeout;
pub(crate) mod inner;
pub(crate) mod maybe_tls;
mod proxy_header;
pub(crate) mod raw_stream;
#[cfg(feature = "tls")]
pub(crate) mod rewind;
#[cfg(feature = "tls")]
pub(crate) mod starttls;
pub(crate) mod write_buffer;

use std::cell::Cell;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::address::Address;
use crate::tracker::draining::Draining;
use crate::tracker::permit::Permit;
use active_mode::Active;
use credentials::Credentials;
use idle_timeout::IdleTimeout;
use inner::{ConnectionInner, ReadOutcome, timed_out};

/// Maximum number of bytes of one [`recv`](Socket::recv).
const SCRATCH_BYTES: usize = 64 * 1024;
/// Maximum number of bytes that are read and discarded while closing.
const LINGER_BYTES: usize = 4 * 1024 * 1024;
/// Time limit of that.
const LINGER_TIME: Duration = Duration::from_secs(1);

thread_local! {
    /// One buffer for all connections of a thread, used only within a poll: an idle connection has none. Empty before the
    /// first use, and while it is in use.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Reads into the buffer of this thread. It is taken out meanwhile: the stream may be the user's and may poll another
/// socket, which then gets a buffer of its own.
fn with_scratch<T>(read: impl FnOnce(&mut [u8]) -> T) -> T {
    let mut scratch = SCRATCH.take();
    if scratch.is_empty() {
        scratch = vec![0; SCRATCH_BYTES];
    }
    let result = read(&mut scratch);
    SCRATCH.set(scratch);
    result
}

/// A connection of the actor that claimed it. Dropped, it is closed.
///
/// Read it with [`recv`](Self::recv), which keeps no buffer while it waits, or as an [`AsyncRead`]. Write it
/// with [`send`](Self::send), or as an [`AsyncWrite`]. Or have bytes pushed to the owning actor with
/// [`activate`](Self::activate). It can be [released](Self::release) at any time between two reads.
///
/// # Limits
///
/// * [`set_read_timeout`](Self::set_read_timeout): silence of the peer while it is waited for. Default: none.
/// * [`set_write_timeout`](Self::set_write_timeout): time in which the peer takes no output. Default: 30 s.
/// * [`set_write_buffer`](Self::set_write_buffer): limit of what [`try_send`](Self::try_send) buffers.
///   Default: 64 KiB.
///
/// Each costs one timer operation per expiry, independent of the traffic.
pub struct Socket(Box<ConnectionInner>);

/// The result of a receive.
pub(crate) enum RecvEvent {
    Data(Bytes),
    End,
    TimedOut,
}

impl Socket {
    /// From a registered connection.
    pub(crate) fn from_boxed(inner: Box<ConnectionInner>) -> Self {
        Self(inner)
    }

    #[cfg_attr(
        not(feature = "tls"),
        allow(dead_code, reason = "the plain socket needs no way around itself")
    )]
    pub(crate) fn inner(&self) -> &ConnectionInner {
        &self.0
    }

    pub(crate) fn inner_mut(&mut self) -> &mut ConnectionInner {
        &mut self.0
    }

    /// Waits for bytes and returns those that have arrived, at least one. `None` means that the peer sends no
    /// more.
    ///
    /// Dropping the future loses no bytes.
    ///
    /// # Errors
    ///
    /// Those of `recv(2)`, such as a reset by the peer; `TimedOut` after the read timeout; `NotConnected` when
    /// the connection was transferred.
    #[doc(alias = "read")]
    pub async fn recv(&mut self) -> io::Result<Option<Bytes>> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// [`recv`](Self::recv) with a time limit (OTP: `gen_tcp:recv/3`). The connection can be used afterwards.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv); `TimedOut` when the time has passed.
    pub async fn recv_timeout(&mut self, timeout: Duration) -> io::Result<Option<Bytes>> {
        let timed_out_error = |_| timed_out("sent nothing", &IdleTimeout::new(timeout));
        tokio::time::timeout(timeout, self.recv()).await.map_err(timed_out_error)?
    }

    /// [`recv`](Self::recv) for hand-written futures.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        self.poll_recv_event(cx).map(|received| match received? {
            RecvEvent::Data(data) => Ok(Some(data)),
            RecvEvent::End => Ok(None),
            RecvEvent::TimedOut => Err(self.read_timeout_error()),
        })
    }

    pub(crate) fn poll_recv_event(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<RecvEvent>> {
        if !self.0.read_ahead.is_empty() {
            return Poll::Ready(Ok(RecvEvent::Data(std::mem::take(&mut self.0.read_ahead))));
        }
        with_scratch(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            Poll::Ready(Ok(match ready!(self.0.poll_read(cx, &mut buffer))? {
                ReadOutcome::TimedOut => RecvEvent::TimedOut,
                ReadOutcome::Bytes if buffer.filled().is_empty() => RecvEvent::End,
                ReadOutcome::Bytes => RecvEvent::Data(Bytes::copy_from_slice(buffer.filled())),
            }))
        })
    }

    /// The error of an expired read timeout.
    pub(crate) fn read_timeout_error(&self) -> io::Error {
        timed_out("sent nothing", &self.0.read_timeout)
    }

    /// Puts bytes back: the next read returns them first, also under a new owner.
    #[doc(alias = "unrecv")]
    pub fn unread(&mut self, bytes: impl Into<Bytes>) {
        let bytes = bytes.into();
        if self.0.read_ahead.is_empty() {
            self.0.read_ahead = bytes;
            return;
        }
        let mut all = BytesMut::with_capacity(bytes.len() + self.0.read_ahead.len());
        all.extend_from_slice(&bytes);
        all.extend_from_slice(&self.0.read_ahead);
        self.0.read_ahead = all.freeze();
    }

    /// Sends all bytes. Returns when the kernel has them, so a peer that does not read makes the caller wait.
    ///
    /// If the future is dropped, a part may have been sent.
    ///
    /// # Errors
    ///
    /// Those of `send(2)`, such as a broken pipe; `TimedOut` when the peer took nothing within the write
    /// timeout; `NotConnected` when the connection was transferred.
    #[doc(alias = "write_all")]
    pub async fn send(&mut self, data: impl AsRef<[u8]>) -> io::Result<()> {
        let mut data = data.as_ref();
        poll_fn(|cx| {
            while let [_, ..] = data {
                match ready!(self.0.poll_write(cx, data))? {
                    0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    length => data = data.get(length..).unwrap_or_default(),
                }
            }
            self.0.poll_flush(cx)
        })
        .await
    }

    /// Sends without waiting. Bytes that the kernel does not take are buffered, up to the
    /// [limit](Self::set_write_buffer), and written while the connection is read, sent to, flushed or closed.
    ///
    /// The peer must take some within the write timeout, or the next such operation fails with `TimedOut`.
    ///
    /// # Errors
    ///
    /// [`SendError::Full`] when the bytes do not fit: none were sent, and the connection can be used. After any
    /// other error it cannot.
    #[doc(alias = "nosuspend")]
    pub fn try_send(&mut self, data: impl AsRef<[u8]>) -> Result<(), SendError> {
        let (inner, mut data) = (&mut self.0, data.as_ref());
        // The next task that polls the connection registers its own waker.
        let mut cx = Context::from_waker(Waker::noop());
        if inner.unflushed
            && let Poll::Ready(Err(error)) = inner.poll_flush(&mut cx)
        {
            return Err(error.into());
        }
        if !inner.write_buffer.has_capacity(data.len()) {
            let (limit, waiting) = (inner.write_buffer.limit(), inner.write_buffer.len());
            return Err(SendError::Full { length: data.len(), waiting, limit });
        }
        while inner.write_buffer.is_empty() && !data.is_empty() {
            match inner.poll_write(&mut cx, data) {
                Poll::Ready(Ok(length)) => data = data.get(length..).unwrap_or_default(),
                Poll::Ready(Err(error)) => return Err(error.into()),
                Poll::Pending => break,
            }
        }
        inner.write_buffer.push(data);
        match inner.poll_flush(&mut cx) {
            Poll::Ready(Err(error)) => Err(error.into()),
            Poll::Ready(Ok(())) => Ok(()),
            Poll::Pending => {
                inner.unflushed = true;
                Ok(())
            }
        }
    }

    /// Waits until the kernel has all buffered output.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub async fn flush(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.0.poll_flush(cx)).await
    }

    /// Number of buffered bytes.
    pub fn unsent(&self) -> usize {
        self.0.write_buffer.len()
    }

    /// Ends the output and closes. Buffered output is written first, within the write timeout.
    ///
    /// If the peer is still sending, its bytes are read and discarded for at most 1 s: otherwise the kernel
    /// would reset the connection, and the peer could lose the last output.
    ///
    /// A peer that has disconnected is not an error.
    pub async fn close(mut self) {
        if poll_fn(|cx| self.0.poll_shutdown(cx)).await.is_ok() {
            // The timeout or an error has ended the output; closing goes on.
            let _ = tokio::time::timeout(LINGER_TIME, self.discard()).await;
        }
    }

    /// Reads and discards input of the peer. Does not wait for a silent peer.
    async fn discard(&mut self) -> io::Result<()> {
        let mut discarded = 0;
        poll_fn(|cx| {
            while discarded < LINGER_BYTES {
                let length = with_scratch(|scratch| {
                    let mut buffer = ReadBuf::new(scratch);
                    let polled = Pin::new(self.0.stream.raw_mut()).poll_read(cx, &mut buffer);
                    polled.map(|read| read.map(|()| buffer.filled().len()))
                });
                match length {
                    Poll::Ready(Ok(0)) => break,
                    Poll::Ready(Ok(length)) => discarded += length,
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending if discarded == 0 => break,
                    Poll::Pending => return Poll::Pending,
                }
            }
            Poll::Ready(Ok(()))
        })
        .await
    }

    /// Whether it was released.
    pub fn is_released(&self) -> bool {
        self.0.is_released()
    }

    /// Takes the connection out; `self` stays without one.
    pub(crate) fn take(&mut self) -> Self {
        let released = Box::new(ConnectionInner::released(self.0.peer.clone()));
        Self(std::mem::replace(&mut self.0, released))
    }

    /// Sets the silence of the peer after which a read fails; `None`, the default, means no limit. Only bytes
    /// of the peer count, and only while the owner waits for them.
    pub fn set_read_timeout(&mut self, timeout: impl Into<Option<Duration>>) {
        self.0.read_timeout = IdleTimeout::new(timeout);
    }

    /// The read timeout.
    pub fn read_timeout(&self) -> Option<Duration> {
        self.0.read_timeout.limit()
    }

    /// Sets the time in which the peer may take no output; `None` means no limit (OTP: `send_timeout`).
    pub fn set_write_timeout(&mut self, timeout: impl Into<Option<Duration>>) {
        self.0.write_timeout = IdleTimeout::new(timeout);
    }

    /// Sets how many bytes [`try_send`](Self::try_send) buffers (OTP: `high_watermark`).
    pub fn set_write_buffer(&mut self, bytes: usize) {
        self.0.write_buffer.set_limit(bytes);
    }

    /// Restarts the read timeout as if bytes had arrived.
    pub(crate) fn reset_read_timeout(&mut self) {
        self.0.read_timeout.reset();
    }

    pub(crate) fn set_active(&mut self, active: Active) {
        self.0.active = active;
    }

    /// Whether the next read would return bytes. Asks the kernel, because the reactor does not know bytes
    /// that arrived before the claim. An end or an error counts as no bytes.
    pub fn has_pending(&self) -> bool {
        !self.0.read_ahead.is_empty() || self.0.stream.has_pending()
    }

    /// Resolves when the listener drains. Borrows nothing: make it once and wait for it beside reading.
    pub fn draining(&self) -> Draining {
        self.0.permit.as_ref().map_or_else(Draining::never, Permit::draining)
    }

    /// Excludes the connection from the listener's `max_connections`, for connections that are idle for long
    /// (Ranch: `remove_connection/1`). It is still supervised and drained. Idempotent.
    #[doc(alias = "remove_connection")]
    pub fn exclude_from_limit(&mut self) {
        if let Some(permit) = &mut self.0.permit {
            permit.exclude_from_limit();
        }
    }

    /// The process at the other end of a unix socket, when it connected.
    ///
    /// # Errors
    ///
    /// When the connection is not over a unix socket.
    #[doc(alias = "SO_PEERCRED")]
    pub fn peer_credentials(&self) -> io::Result<Credentials> {
        let other =
            || io::Error::new(io::ErrorKind::Unsupported, "only a unix socket knows its peer's process");
        Credentials::of_peer(self.0.stream.raw().unix_descriptor().ok_or_else(other)?)
    }

    /// The address of the peer.
    pub fn peer_addr(&self) -> &Address {
        &self.0.peer
    }

    /// The local address.
    ///
    /// # Errors
    ///
    /// When the kernel does not know it.
    pub fn local_addr(&self) -> io::Result<Address> {
        self.0.local_addr()
    }
}

/// Why bytes were not sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The buffered output would exceed its limit: the peer reads too slowly.
    #[error(
        "no room for {length} bytes while {waiting} of at most {limit} wait to be written; send less, or wait with flush"
    )]
    Full {
        /// Number of bytes to send.
        length: usize,
        /// Number of buffered bytes.
        waiting: usize,
        /// The limit.
        limit: usize,
    },
    /// The connection is broken.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<SendError> for io::Error {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Full { .. } => Self::new(io::ErrorKind::WouldBlock, error.to_string()),
            SendError::Io(error) => error,
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match ready!(self.0.poll_read(cx, buffer))? {
            ReadOutcome::Bytes => Poll::Ready(Ok(())),
            ReadOutcome::TimedOut => Poll::Ready(Err(self.read_timeout_error())),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.0.poll_write(cx, data)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0.poll_write_vectored(cx, data)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_shutdown(cx)
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket").field("peer", &self.0.peer).finish_non_exhaustive()
    }
}
