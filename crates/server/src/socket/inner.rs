//! The state of a connection, independent of its owner.

use std::any::Any;
use std::fmt;
use std::io;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::ReadBuf;
use tokio::sync::oneshot;

use super::active_mode::Active;
use super::idle_timeout::IdleTimeout;
use super::maybe_tls::MaybeTlsStream;
use super::raw_stream::{RawStream, read_buffered};
use super::write_buffer::{WRITE_BUFFER_BYTES, WriteBuffer};
use crate::address::Address;
use crate::proxy::header::Header;
use crate::tracker::permit::Permit;

/// Default of the write timeout.
pub(crate) const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// The state of a connection. Boxed once, because it moves between owners several times.
#[derive(Debug)]
pub(crate) struct ConnectionInner {
    pub(crate) stream: MaybeTlsStream,
    pub(crate) peer: Address,
    pub(crate) local: Option<Address>,
    /// Bytes that were read and put back; they are read first.
    pub(crate) read_ahead: Bytes,
    pub(crate) write_buffer: WriteBuffer,
    /// Bytes were written and not flushed yet.
    pub(crate) unflushed: bool,
    pub(crate) read_timeout: IdleTimeout,
    pub(crate) write_timeout: IdleTimeout,
    pub(crate) active: Active,
    pub(crate) permit: Option<Permit>,
    /// Dropped with the connection.
    pub(crate) guard: Option<DropGuard>,
    pub(crate) outcome_callback: OutcomeCallback,
    /// The PROXY header, if there was one.
    pub(crate) proxy: Option<Box<Header>>,
    /// Receives the connection if it is dropped unclaimed.
    pub(crate) return_to: Option<oneshot::Sender<io::Result<Box<Self>>>>,
}

/// The result of a read.
pub(crate) enum ReadOutcome {
    /// Bytes; empty at the end.
    Bytes,
    /// No byte within the read timeout.
    TimedOut,
}

impl ConnectionInner {
    pub(crate) fn new(stream: MaybeTlsStream, peer: Address) -> Self {
        Self {
            stream,
            peer,
            local: None,
            read_ahead: Bytes::new(),
            write_buffer: WriteBuffer::new(WRITE_BUFFER_BYTES),
            unflushed: false,
            read_timeout: IdleTimeout::default(),
            write_timeout: IdleTimeout::new(WRITE_TIMEOUT),
            active: Active::Passive,
            permit: None,
            guard: None,
            outcome_callback: OutcomeCallback::default(),
            proxy: None,
            return_to: None,
        }
    }

    /// The remainder for an owner that has released the connection.
    pub(crate) fn released(peer: Address) -> Self {
        Self::new(MaybeTlsStream::Plain(RawStream::Released), peer)
    }

    pub(crate) fn is_released(&self) -> bool {
        matches!(self.stream, MaybeTlsStream::Plain(RawStream::Released))
    }

    /// The local address.
    pub(crate) fn local_addr(&self) -> io::Result<Address> {
        if let Some(local) = &self.local {
            return Ok(local.clone());
        }
        let unknown = || io::Error::new(io::ErrorKind::Unsupported, "the connection has no local address");
        let descriptor = self.stream.raw().descriptor().ok_or_else(unknown)?;
        Address::from_kernel(rustix::net::getsockname(descriptor)?).ok_or_else(unknown)
    }

    /// Removes it from the reactor and the timers of the current arbiter.
    pub(crate) fn deregister(&mut self) -> io::Result<()> {
        self.read_timeout.deregister();
        self.write_timeout.deregister();
        self.stream.raw_mut().deregister()
    }

    /// Reads available bytes, and writes buffered output meanwhile.
    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<ReadOutcome>> {
        if self.unflushed
            && let Poll::Ready(Err(error)) = self.poll_flush(cx)
        {
            return Poll::Ready(Err(error));
        }
        if read_buffered(&mut self.read_ahead, buffer) {
            return Poll::Ready(Ok(ReadOutcome::Bytes));
        }
        let before = buffer.filled().len();
        match self.stream.poll_read(cx, buffer) {
            Poll::Ready(result) => {
                self.read_timeout.reset();
                if let Some(permit) = &self.permit {
                    permit.received(buffer.filled().len() - before);
                }
                Poll::Ready(result.map(|()| ReadOutcome::Bytes))
            }
            Poll::Pending => self.read_timeout.poll(cx).map(|()| Ok(ReadOutcome::TimedOut)),
        }
    }

    /// Writes after the buffered output.
    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_drain(cx))?;
        let polled = self.stream.poll_write(cx, data);
        self.sent(&polled);
        self.with_write_timeout(cx, polled)
    }

    /// As [`poll_write`](Self::poll_write), of several pieces.
    pub(crate) fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_drain(cx))?;
        let polled = self.stream.poll_write_vectored(cx, data);
        self.sent(&polled);
        self.with_write_timeout(cx, polled)
    }

    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.write_buffer.is_empty() && !self.unflushed && !self.stream.is_buffered() {
            return Poll::Ready(Ok(()));
        }
        ready!(self.poll_drain(cx))?;
        let polled = self.stream.poll_flush(cx);
        let flushed = self.with_write_timeout(cx, polled);
        self.unflushed = flushed.is_pending();
        flushed
    }

    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(cx))?;
        let polled = self.stream.poll_shutdown(cx);
        self.with_write_timeout(cx, polled)
    }

    /// Writes the buffered output.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.write_buffer.is_empty() {
            let polled = self.stream.poll_write(cx, self.write_buffer.front());
            self.sent(&polled);
            match ready!(self.with_write_timeout(cx, polled))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                length => self.write_buffer.advance(length),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Counts bytes that were written.
    fn sent(&self, polled: &Poll<io::Result<usize>>) {
        if let (Some(permit), Poll::Ready(Ok(length))) = (&self.permit, polled) {
            permit.sent(*length);
        }
    }

    /// Waits for a peer that does not take output, at most the write timeout.
    fn with_write_timeout<T>(
        &mut self,
        cx: &mut Context<'_>,
        polled: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        match polled {
            Poll::Ready(result) => {
                self.write_timeout.reset();
                Poll::Ready(result)
            }
            Poll::Pending => {
                self.write_timeout.poll(cx).map(|()| Err(timed_out("took nothing", &self.write_timeout)))
            }
        }
    }
}

/// The error of an expired timeout.
pub(crate) fn timed_out(what: &str, timeout: &IdleTimeout) -> io::Error {
    let limit = timeout.limit().unwrap_or_default();
    io::Error::new(io::ErrorKind::TimedOut, format!("the peer {what} for {limit:?}"))
}

impl Drop for ConnectionInner {
    fn drop(&mut self) {
        let Some(return_to) = self.return_to.take() else { return };
        let inner = std::mem::replace(self, Self::released(Address::unnamed()));
        // Without a stream there is no connection to return: a panic in the reactor's registration dropped it.
        let returned =
            if inner.is_released() { Err(io::ErrorKind::NotConnected.into()) } else { Ok(Box::new(inner)) };
        // The future of `transfer` was dropped if this fails; the connection closes here.
        drop(return_to.send(returned));
    }
}

/// Fields with the lifetime of the connection.
#[expect(dead_code, reason = "held to be dropped")]
pub(crate) struct DropGuard(pub(crate) Box<dyn Any + Send>);

impl fmt::Debug for DropGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DropGuard")
    }
}

/// The outcome of a hand-over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimOutcome {
    /// It has a new owner, which has not read a byte yet.
    Claimed,
    /// It was dropped unclaimed.
    Dropped,
}

/// Called exactly once with the outcome: when the connection is claimed, or when it is dropped unclaimed.
#[derive(Default)]
pub(crate) struct OutcomeCallback(pub(crate) Option<Box<dyn FnOnce(ClaimOutcome) + Send>>);

impl OutcomeCallback {
    pub(crate) fn call(&mut self, outcome: ClaimOutcome) {
        if let Some(callback) = self.0.take() {
            callback(outcome);
        }
    }
}

impl Drop for OutcomeCallback {
    fn drop(&mut self) {
        self.call(ClaimOutcome::Dropped);
    }
}

impl fmt::Debug for OutcomeCallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OutcomeCallback").field(&self.0.is_some()).finish()
    }
}
