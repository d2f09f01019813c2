//! The socket as hyper has it, with counters that the connection reads. It comes back to the actor when dropped.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::task::AtomicWaker;
use impresario_server::Socket;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;

use crate::io::data_frames::DataFrameCounter;

/// The socket that hyper owns, or the service after an upgrade.
///
/// Drop sends the socket back to the connection's actor, which closes it. If the actor has exited, drop closes it.
#[derive(Debug)]
pub(crate) struct Stream {
    /// `None` after a cut.
    socket: Option<Socket>,
    return_tx: Option<oneshot::Sender<Socket>>,
    state: Arc<StreamState>,
    /// Counts the body bytes of HTTP/2. `None` for HTTP/1.
    data_frames: Option<DataFrameCounter>,
    /// The socket has the timeouts of [`UpgradeLimits`].
    limits_applied: bool,
}

/// Read and write timeout of an upgraded connection. `None`: no timeout.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UpgradeLimits {
    pub(crate) read: Option<Duration>,
    pub(crate) write: Option<Duration>,
}

/// The state of a [`Stream`] that the connection's actor reads while hyper or the service owns the stream.
///
/// Atomics, because an upgraded stream may be on another thread.
#[derive(Debug, Default)]
pub(crate) struct StreamState {
    /// At least one byte was read since [`clear_bytes_seen`](Self::clear_bytes_seen).
    bytes_seen: AtomicBool,
    /// The last write was pending: the kernel's send buffer is full.
    stalled: AtomicBool,
    /// Bytes written. The counter wraps.
    sent: AtomicUsize,
    /// HTTP/2: payload bytes of DATA frames among them. The counter wraps.
    body_bytes_sent: AtomicUsize,
    /// A request may be upgraded, so each poll registers its waker and checks `cut`.
    may_upgrade: AtomicBool,
    /// Set once the service owns the upgraded stream.
    upgrade_limits: OnceLock<UpgradeLimits>,
    /// The next poll closes the socket.
    cut: AtomicBool,
    reader: AtomicWaker,
    writer: AtomicWaker,
}

impl StreamState {
    pub(crate) fn bytes_seen(&self) -> bool {
        self.bytes_seen.load(Ordering::Relaxed)
    }

    /// Called when the bytes read so far belong to a request that was parsed.
    pub(crate) fn clear_bytes_seen(&self) {
        self.bytes_seen.store(false, Ordering::Relaxed);
    }

    pub(crate) fn is_stalled(&self) -> bool {
        self.stalled.load(Ordering::Relaxed)
    }

    pub(crate) fn sent(&self) -> usize {
        self.sent.load(Ordering::Relaxed)
    }

    pub(crate) fn body_bytes_sent(&self) -> usize {
        self.body_bytes_sent.load(Ordering::Relaxed)
    }

    /// From here on a pending read or write can be woken by a cut. Called before the service can get the stream.
    pub(crate) fn allow_upgrade(&self) {
        self.may_upgrade.store(true, Ordering::Relaxed);
    }

    /// Applies these limits at the next poll. Called once the service owns the upgraded stream.
    pub(crate) fn hand_over(&self, limits: UpgradeLimits) {
        // A connection is handed over once, so the cell is empty.
        let _ = self.upgrade_limits.set(limits);
        self.wake();
    }

    /// Closes the socket at the next poll, and wakes pending reads and writes.
    fn cut(&self) {
        self.cut.store(true, Ordering::Release);
        self.wake();
    }

    /// Wakes the pending read and the pending write.
    fn wake(&self) {
        self.reader.wake();
        self.writer.wake();
    }
}

/// Cuts an upgraded stream when its actor exits.
#[derive(Debug)]
pub(crate) struct CutOnDrop(pub(crate) Arc<StreamState>);

impl Drop for CutOnDrop {
    fn drop(&mut self) {
        self.0.cut();
    }
}

impl Stream {
    /// The receiver gets the socket when the stream is dropped. `data_frames` is for HTTP/2.
    pub(crate) fn new(
        socket: Socket,
        data_frames: Option<DataFrameCounter>,
    ) -> (Self, Arc<StreamState>, oneshot::Receiver<Socket>) {
        let state = Arc::new(StreamState::default());
        let (sender, receiver) = oneshot::channel();
        let (return_tx, seen) = (Some(sender), Arc::clone(&state));
        let stream =
            Self { socket: Some(socket), return_tx, state: seen, data_frames, limits_applied: false };
        (stream, state, receiver)
    }

    /// Polls the socket. After a cut the error is `ConnectionAborted`.
    #[inline]
    fn poll_socket<T>(
        &mut self,
        cx: &mut Context<'_>,
        waker: fn(&StreamState) -> &AtomicWaker,
        poll: impl FnOnce(Pin<&mut Socket>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if self.state.may_upgrade.load(Ordering::Relaxed) {
            waker(&self.state).register(cx.waker());
            if self.state.cut.load(Ordering::Acquire) {
                self.socket = None;
            }
            if !self.limits_applied
                && let (Some(socket), Some(limits)) = (&mut self.socket, self.state.upgrade_limits.get())
            {
                self.limits_applied = true;
                socket.set_read_timeout(limits.read);
                socket.set_write_timeout(limits.write);
            }
        }
        match &mut self.socket {
            Some(socket) => poll(Pin::new(socket), cx),
            None => Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into())),
        }
    }

    fn poll_write_with(
        &mut self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(Pin<&mut Socket>, &mut Context<'_>) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        let written = self.poll_socket(cx, |state| &state.writer, poll);
        if let Poll::Ready(Ok(length)) = written {
            // Load and store without `fetch_add`: only the stream writes the counter.
            self.state.sent.store(self.state.sent().wrapping_add(length), Ordering::Relaxed);
        }
        self.set_stalled(written)
    }

    /// HTTP/2: counts the payload of DATA frames in what was written.
    fn count_body_bytes<'a>(
        &mut self,
        written: &Poll<io::Result<usize>>,
        pieces: impl IntoIterator<Item = &'a [u8]>,
    ) {
        let (Some(frames), Poll::Ready(Ok(length))) = (&mut self.data_frames, written) else { return };
        let (mut left, mut data) = (*length, 0);
        for piece in pieces {
            let written = piece.get(..left).unwrap_or(piece);
            data += frames.count_data(written);
            left -= written.len();
        }
        self.state.body_bytes_sent.store(self.state.body_bytes_sent().wrapping_add(data), Ordering::Relaxed);
    }

    /// Records whether the write is pending.
    fn set_stalled<T>(&self, written: Poll<T>) -> Poll<T> {
        self.state.stalled.store(written.is_pending(), Ordering::Relaxed);
        written
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        let read = this.poll_socket(cx, |state| &state.reader, |socket, cx| socket.poll_read(cx, buffer));
        if buffer.filled().len() > before {
            this.state.bytes_seen.store(true, Ordering::Relaxed);
        }
        read
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let written = self.poll_write_with(cx, |socket, cx| socket.poll_write(cx, data));
        self.count_body_bytes(&written, [data]);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = self.poll_write_with(cx, |socket, cx| socket.poll_write_vectored(cx, data));
        self.count_body_bytes(&written, data.iter().map(|piece| &**piece));
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.as_ref().is_some_and(AsyncWrite::is_write_vectored)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = self.poll_socket(cx, |state| &state.writer, |socket, cx| socket.poll_flush(cx));
        self.set_stalled(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = self.poll_socket(cx, |state| &state.writer, |socket, cx| socket.poll_shutdown(cx));
        self.set_stalled(shut)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if let (Some(socket), Some(return_tx)) = (self.socket.take(), self.return_tx.take()) {
            // If the actor has exited, the send returns the socket and drops it, which closes it.
            let _ = return_tx.send(socket);
        }
    }
}
