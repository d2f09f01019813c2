//! The socket as hyper has it: borrowed, so that it can be asked while hyper reads and writes it.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use impresario_server::Socket;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A socket that hyper reads and writes through a shared reference. It is borrowed only within a poll.
#[derive(Debug)]
pub(crate) struct Stream<'a> {
    socket: RefCell<&'a mut Socket>,
    /// From the first byte that hyper wants to write until it has flushed the last.
    writing: Cell<bool>,
}

impl<'a> Stream<'a> {
    pub(crate) fn new(socket: &'a mut Socket) -> Self {
        Self { socket: RefCell::new(socket), writing: Cell::new(false) }
    }

    /// Whether hyper has something left to write.
    pub(crate) fn is_writing(&self) -> bool {
        self.writing.get()
    }

    /// Whether bytes of the client wait to be read.
    pub(crate) fn has_pending(&self) -> bool {
        self.socket.borrow().has_pending()
    }

    fn with<T>(&self, poll: impl FnOnce(Pin<&mut Socket>) -> T) -> T {
        poll(Pin::new(&mut **self.socket.borrow_mut()))
    }
}

impl AsyncRead for &Stream<'_> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.with(|socket| socket.poll_read(cx, buffer))
    }
}

impl AsyncWrite for &Stream<'_> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.writing.set(true);
        self.with(|socket| socket.poll_write(cx, data))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.writing.set(true);
        self.with(|socket| socket.poll_write_vectored(cx, data))
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.borrow().is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = self.with(|socket| socket.poll_flush(cx));
        // hyper asks for this only when it has written all it has.
        self.writing.set(flushed.is_pending());
        flushed
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|socket| socket.poll_shutdown(cx))
    }
}
