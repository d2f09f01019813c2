//! A connection nobody reads yet.

use std::any::Any;
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use bytes::Bytes;

use crate::{Permit, Socket};

/// A connection nobody reads yet: a value that is the ownership of its socket.
///
/// It is registered with no reactor, so it can go to another actor, to another thread, or as a descriptor to another
/// process. [`claim`](Self::claim) makes the caller its owner. Dropped unclaimed, it is closed. What the peer sends
/// meanwhile waits in the kernel.
///
/// This is OTP's `gen_tcp:controlling_process/2`, checked by the compiler: nobody but the owner has a way to read, and
/// a new owner that is gone by the time it is told drops the connection instead of leaving it to nobody.
#[doc(alias = "controlling_process")]
#[must_use = "a connection that is dropped is closed"]
pub struct Accepted(Box<Parts>);

/// Boxed as a whole: a connection changes hands several times before it is claimed.
struct Parts {
    stream: TcpStream,
    peer: SocketAddr,
    local: Option<SocketAddr>,
    read_ahead: Bytes,
    permit: Option<Permit>,
    guard: Option<Guard>,
    answer: Answer,
}

/// What lives exactly as long as the connection does.
pub(crate) type Guard = Box<dyn Any + Send>;

/// What became of a connection that was handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It has a new owner, who has not read a byte yet.
    Taken,
    /// It was dropped without one.
    Refused,
}

/// Whom to tell what became of a connection; told exactly once.
#[derive(Default)]
struct Answer(Option<Box<dyn FnOnce(Outcome) + Send>>);

impl Answer {
    fn say(&mut self, outcome: Outcome) {
        if let Some(tell) = self.0.take() {
            tell(outcome);
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.say(Outcome::Refused);
    }
}

impl Accepted {
    /// A connection from a descriptor, as another process sends one.
    ///
    /// # Errors
    ///
    /// When the descriptor cannot be made non-blocking. It is closed then.
    pub fn from_fd(descriptor: OwnedFd, peer: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::from(descriptor);
        stream.set_nonblocking(true)?;
        Ok(Self::new(stream, peer))
    }

    /// `stream` must be non-blocking.
    pub(crate) fn new(stream: TcpStream, peer: SocketAddr) -> Self {
        let (read_ahead, answer) = (Bytes::new(), Answer::default());
        Self(Box::new(Parts { stream, peer, local: None, read_ahead, permit: None, guard: None, answer }))
    }

    /// Says which of our addresses the peer connected to. Otherwise the kernel is asked when somebody wants to know.
    pub fn with_local_addr(mut self, local: SocketAddr) -> Self {
        self.0.local = Some(local);
        self
    }

    /// Bytes that were read from the connection before; the owner reads them first.
    pub fn with_read_ahead(mut self, bytes: impl Into<Bytes>) -> Self {
        self.0.read_ahead = bytes.into();
        self
    }

    /// Makes it one of the connections behind a gate until it is over.
    pub fn with_permit(mut self, mut permit: Permit) -> Self {
        permit.count(self.0.peer);
        self.0.permit = Some(permit);
        self
    }

    /// Has `guard` dropped when the connection is over, whoever owns it then.
    pub fn with_guard(mut self, guard: impl Send + 'static) -> Self {
        self.0.guard = Some(Box::new(guard));
        self
    }

    /// Has `tell` called once, with what becomes of the connection: inside [`claim`](Self::claim) and before a byte can
    /// be read, or when it is dropped.
    ///
    /// Whoever asked before is told that it is taken: the caller has it now.
    pub fn on_outcome(mut self, tell: impl FnOnce(Outcome) + Send + 'static) -> Self {
        self.0.answer.say(Outcome::Taken);
        self.0.answer = Answer(Some(Box::new(tell)));
        self
    }

    /// Makes the calling actor the owner: registers the socket with the reactor of its arbiter.
    ///
    /// # Errors
    ///
    /// When the reactor refuses the socket. The connection is closed then, and counts as refused.
    ///
    /// # Panics
    ///
    /// Outside of an actix `System`.
    pub fn claim(self) -> io::Result<Socket> {
        let Parts { stream, peer, local, read_ahead, permit, guard, mut answer } = *self.0;
        let stream = tokio::net::TcpStream::from_std(stream)?;
        answer.say(Outcome::Taken);
        Ok(Socket::new(stream, peer, local, read_ahead, (permit, guard)))
    }

    /// Who connected.
    pub fn peer_addr(&self) -> SocketAddr {
        self.0.peer
    }

    /// To which of our addresses.
    ///
    /// # Errors
    ///
    /// When the kernel is asked and does not know.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local.map_or_else(|| self.0.stream.local_addr(), Ok)
    }

    /// What was read from the connection before.
    pub fn read_ahead(&self) -> &Bytes {
        &self.0.read_ahead
    }

    /// Closes this process's copy of the socket and keeps the permit: for a connection that lives on elsewhere and is
    /// still one of those behind the gate. Whoever handed it over is told that it is taken.
    pub fn into_permit(mut self) -> Option<Permit> {
        self.0.answer.say(Outcome::Taken);
        self.0.permit
    }

    pub(crate) fn permit(&self) -> Option<&Permit> {
        self.0.permit.as_ref()
    }

    pub(crate) fn permit_mut(&mut self) -> Option<&mut Permit> {
        self.0.permit.as_mut()
    }
}

impl AsFd for Accepted {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.stream.as_fd()
    }
}

impl fmt::Debug for Accepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accepted")
            .field("fd", &self.0.stream)
            .field("peer", &self.0.peer)
            .field("read_ahead", &self.0.read_ahead.len())
            .finish_non_exhaustive()
    }
}
