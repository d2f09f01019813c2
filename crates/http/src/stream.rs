//! The socket as hyper has it: given away, seen from outside, and given back.

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

use crate::frames::Frames;

/// A socket that hyper owns, or whoever has it after an upgrade. Dropped, it goes back to the connection's actor, who
/// closes it; if that is gone, it is closed here.
#[derive(Debug)]
pub(crate) struct Stream {
    /// `None` once it was taken away.
    socket: Option<Socket>,
    home: Option<oneshot::Sender<Socket>>,
    sight: Arc<Sight>,
    /// What is written, over HTTP/2.
    frames: Option<Frames>,
    /// The limits of an upgraded connection hold.
    limited: bool,
}

/// How long the peer of an upgraded connection may be silent, and how long it may take nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UpgradeLimits {
    pub(crate) read: Option<Duration>,
    pub(crate) write: Option<Duration>,
}

/// What can be seen of a stream from outside.
#[derive(Debug, Default)]
pub(crate) struct Sight {
    /// Something was read since [`forget_heard`](Self::forget_heard).
    heard: AtomicBool,
    /// The kernel took no more of what was to be written last.
    stalled: AtomicBool,
    /// How many bytes were written.
    sent: AtomicUsize,
    /// How many of them were of bodies, over HTTP/2.
    taken: AtomicUsize,
    /// The stream may be in other hands.
    upgraded: AtomicBool,
    /// It is, with these limits.
    handed_over: OnceLock<UpgradeLimits>,
    cut: AtomicBool,
    reader: AtomicWaker,
    writer: AtomicWaker,
}

impl Sight {
    pub(crate) fn heard(&self) -> bool {
        self.heard.load(Ordering::Relaxed)
    }

    /// What was read has been understood.
    pub(crate) fn forget_heard(&self) {
        self.heard.store(false, Ordering::Relaxed);
    }

    pub(crate) fn is_stalled(&self) -> bool {
        self.stalled.load(Ordering::Relaxed)
    }

    pub(crate) fn sent(&self) -> usize {
        self.sent.load(Ordering::Relaxed)
    }

    pub(crate) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// From here on, whoever waits for the stream can be told that it is cut.
    pub(crate) fn upgrade(&self) {
        self.upgraded.store(true, Ordering::Relaxed);
    }

    /// The stream is in other hands now, and has these limits.
    pub(crate) fn hand_over(&self, limits: UpgradeLimits) {
        // Once for each connection.
        let _ = self.handed_over.set(limits);
        self.wake();
    }

    /// Takes the socket away from whoever has the stream.
    fn cut(&self) {
        self.cut.store(true, Ordering::Release);
        self.wake();
    }

    /// Has whoever waits for the stream look again.
    fn wake(&self) {
        self.reader.wake();
        self.writer.wake();
    }
}

/// Cuts an upgraded stream when its actor ends.
#[derive(Debug)]
pub(crate) struct Leash(pub(crate) Arc<Sight>);

impl Drop for Leash {
    fn drop(&mut self) {
        self.0.cut();
    }
}

impl Stream {
    /// The receiver gets the socket when the stream is dropped. With frames, what is written is that of HTTP/2.
    pub(crate) fn new(
        socket: Socket,
        frames: Option<Frames>,
    ) -> (Self, Arc<Sight>, oneshot::Receiver<Socket>) {
        let sight = Arc::new(Sight::default());
        let (sender, receiver) = oneshot::channel();
        let (home, seen) = (Some(sender), Arc::clone(&sight));
        let stream = Self { socket: Some(socket), home, sight: seen, frames, limited: false };
        (stream, sight, receiver)
    }

    /// Polls the socket, unless it was cut.
    #[inline]
    fn with<T>(
        &mut self,
        cx: &mut Context<'_>,
        waker: fn(&Sight) -> &AtomicWaker,
        poll: impl FnOnce(Pin<&mut Socket>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if self.sight.upgraded.load(Ordering::Relaxed) {
            waker(&self.sight).register(cx.waker());
            if self.sight.cut.load(Ordering::Acquire) {
                self.socket = None;
            }
            if !self.limited
                && let (Some(socket), Some(limits)) = (&mut self.socket, self.sight.handed_over.get())
            {
                self.limited = true;
                socket.set_read_timeout(limits.read);
                socket.set_write_timeout(limits.write);
            }
        }
        match &mut self.socket {
            Some(socket) => poll(Pin::new(socket), cx),
            None => Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into())),
        }
    }

    fn write(
        &mut self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(Pin<&mut Socket>, &mut Context<'_>) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        let written = self.with(cx, |sight| &sight.writer, poll);
        if let Poll::Ready(Ok(length)) = written {
            // Only this side writes the counter.
            self.sight.sent.store(self.sight.sent().wrapping_add(length), Ordering::Relaxed);
        }
        self.stall(written)
    }

    /// Counts what was written of bodies.
    fn count<'a>(&mut self, written: &Poll<io::Result<usize>>, pieces: impl IntoIterator<Item = &'a [u8]>) {
        let (Some(frames), Poll::Ready(Ok(length))) = (&mut self.frames, written) else { return };
        let (mut left, mut data) = (*length, 0);
        for piece in pieces {
            let written = piece.get(..left).unwrap_or(piece);
            data += frames.pass(written);
            left -= written.len();
        }
        self.sight.taken.store(self.sight.taken().wrapping_add(data), Ordering::Relaxed);
    }

    /// Notes whether the kernel takes more.
    fn stall<T>(&self, written: Poll<T>) -> Poll<T> {
        self.sight.stalled.store(written.is_pending(), Ordering::Relaxed);
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
        let read = this.with(cx, |sight| &sight.reader, |socket, cx| socket.poll_read(cx, buffer));
        if buffer.filled().len() > before {
            this.sight.heard.store(true, Ordering::Relaxed);
        }
        read
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let written = self.write(cx, |socket, cx| socket.poll_write(cx, data));
        self.count(&written, [data]);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = self.write(cx, |socket, cx| socket.poll_write_vectored(cx, data));
        self.count(&written, data.iter().map(|piece| &**piece));
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.as_ref().is_some_and(AsyncWrite::is_write_vectored)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = self.with(cx, |sight| &sight.writer, |socket, cx| socket.poll_flush(cx));
        self.stall(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = self.with(cx, |sight| &sight.writer, |socket, cx| socket.poll_shutdown(cx));
        self.stall(shut)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if let (Some(socket), Some(home)) = (self.socket.take(), self.home.take()) {
            // Nobody at home: the socket is dropped, which closes it.
            let _ = home.send(socket);
        }
    }
}
