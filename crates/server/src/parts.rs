//! A connection, whoever owns it.

use std::any::Any;
use std::fmt;
use std::io;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::ReadBuf;
use tokio::sync::oneshot;

use crate::outgoing::{Outgoing, WRITE_BUFFER_BYTES};
use crate::patience::IdleTimeout;
use crate::proxy::Header;
use crate::stream::{Io, Layer, give_ahead};
use crate::{Accepted, Active, Address, Permit};

/// How long a peer may take nothing of what is sent to it, if nothing else is said.
pub(crate) const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// A connection, whoever owns it. Boxed once for all of its owners: it changes hands several times.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) layer: Layer,
    pub(crate) peer: Address,
    pub(crate) local: Option<Address>,
    /// Read before, to be read again first.
    pub(crate) read_ahead: Bytes,
    pub(crate) outgoing: Outgoing,
    /// Something was written and not flushed yet.
    pub(crate) unflushed: bool,
    pub(crate) reading: IdleTimeout,
    pub(crate) writing: IdleTimeout,
    pub(crate) active: Active,
    pub(crate) permit: Option<Permit>,
    /// Dropped with the connection.
    pub(crate) guard: Option<Guard>,
    pub(crate) answer: Answer,
    /// What a proxy in front said.
    pub(crate) proxy: Option<Box<Header>>,
    /// Who gets the connection back if it is dropped unclaimed.
    pub(crate) giver: Option<oneshot::Sender<Accepted>>,
}

/// What came of waiting for the peer.
pub(crate) enum Heard {
    /// Bytes, or the end when there are none.
    Bytes,
    /// Nothing for as long as it may be silent.
    Silence,
}

impl Parts {
    pub(crate) fn new(layer: Layer, peer: Address) -> Self {
        Self {
            layer,
            peer,
            local: None,
            read_ahead: Bytes::new(),
            outgoing: Outgoing::new(WRITE_BUFFER_BYTES),
            unflushed: false,
            reading: IdleTimeout::default(),
            writing: IdleTimeout::new(WRITE_TIMEOUT),
            active: Active::Passive,
            permit: None,
            guard: None,
            answer: Answer::default(),
            proxy: None,
            giver: None,
        }
    }

    /// What is left with an owner who gave the connection away.
    pub(crate) fn gone(peer: Address) -> Self {
        Self::new(Layer::Plain(Io::Gone), peer)
    }

    pub(crate) fn is_gone(&self) -> bool {
        matches!(self.layer, Layer::Plain(Io::Gone))
    }

    /// To which of our addresses the peer connected.
    pub(crate) fn local_addr(&self) -> io::Result<Address> {
        if let Some(local) = &self.local {
            return Ok(local.clone());
        }
        let unknown = || io::Error::new(io::ErrorKind::Unsupported, "the connection has no local address");
        let descriptor = self.layer.io().descriptor().ok_or_else(unknown)?;
        Address::from_kernel(rustix::net::getsockname(descriptor)?).ok_or_else(unknown)
    }

    /// Takes it from the reactor and the timers of the present arbiter.
    pub(crate) fn park(&mut self) -> io::Result<()> {
        self.reading.park();
        self.writing.park();
        self.layer.io_mut().park()
    }

    /// Reads what is there. What waits to be written is written meanwhile.
    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<Heard>> {
        if self.unflushed
            && let Poll::Ready(Err(error)) = self.poll_flush(cx)
        {
            return Poll::Ready(Err(error));
        }
        if give_ahead(&mut self.read_ahead, buffer) {
            return Poll::Ready(Ok(Heard::Bytes));
        }
        let before = buffer.filled().len();
        match self.layer.poll_read(cx, buffer) {
            Poll::Ready(result) => {
                self.reading.reset();
                if let Some(permit) = &self.permit {
                    permit.received(buffer.filled().len() - before);
                }
                Poll::Ready(result.map(|()| Heard::Bytes))
            }
            Poll::Pending => self.reading.poll(cx).map(|()| Ok(Heard::Silence)),
        }
    }

    /// Writes after what waits to be written.
    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_drain(cx))?;
        let polled = self.layer.poll_write(cx, data);
        self.sent(&polled);
        self.patiently(cx, polled)
    }

    /// As [`poll_write`](Self::poll_write), of several pieces.
    pub(crate) fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        data: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_drain(cx))?;
        let polled = self.layer.poll_write_vectored(cx, data);
        self.sent(&polled);
        self.patiently(cx, polled)
    }

    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.outgoing.is_empty() && !self.unflushed && !self.layer.is_buffered() {
            return Poll::Ready(Ok(()));
        }
        ready!(self.poll_drain(cx))?;
        let polled = self.layer.poll_flush(cx);
        let flushed = self.patiently(cx, polled);
        self.unflushed = flushed.is_pending();
        flushed
    }

    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(cx))?;
        let polled = self.layer.poll_shutdown(cx);
        self.patiently(cx, polled)
    }

    /// Writes what waits to be written.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.outgoing.is_empty() {
            let polled = self.layer.poll_write(cx, self.outgoing.front());
            self.sent(&polled);
            match ready!(self.patiently(cx, polled))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                length => self.outgoing.advance(length),
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

    /// Waits for a peer that does not take what is sent, for as long as it may take.
    fn patiently<T>(&mut self, cx: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match polled {
            Poll::Ready(result) => {
                self.writing.reset();
                Poll::Ready(result)
            }
            Poll::Pending => self.writing.poll(cx).map(|()| Err(timed_out("took nothing", &self.writing))),
        }
    }
}

/// The error of a peer that had its time.
pub(crate) fn timed_out(what: &str, patience: &IdleTimeout) -> io::Error {
    let limit = patience.limit().unwrap_or_default();
    io::Error::new(io::ErrorKind::TimedOut, format!("the peer {what} for {limit:?}"))
}

impl Drop for Parts {
    fn drop(&mut self) {
        let Some(giver) = self.giver.take() else { return };
        let parts = std::mem::replace(self, Self::gone(Address::unnamed()));
        // Nobody waits for it any more: it closes.
        drop(giver.send(Accepted::from_parts(parts)));
    }
}

/// What lives exactly as long as the connection does.
#[expect(dead_code, reason = "held to be dropped")]
pub(crate) struct Guard(pub(crate) Box<dyn Any + Send>);

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Guard")
    }
}

/// What became of a connection that was handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimOutcome {
    /// It has a new owner, who has not read a byte yet.
    Claimed,
    /// It was dropped without one.
    Dropped,
}

/// Whom to tell what became of a connection; told exactly once.
#[derive(Default)]
pub(crate) struct Answer(pub(crate) Option<Box<dyn FnOnce(ClaimOutcome) + Send>>);

impl Answer {
    pub(crate) fn say(&mut self, outcome: ClaimOutcome) {
        if let Some(tell) = self.0.take() {
            tell(outcome);
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.say(ClaimOutcome::Dropped);
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Answer").field(&self.0.is_some()).finish()
    }
}
