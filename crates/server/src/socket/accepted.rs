//! A connection nobody reads yet.

use std::fmt;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use actix::Recipient;
use bytes::Bytes;
use rustix::net::sockopt::{socket_domain, socket_type};
use rustix::net::{AddressFamily, SocketType};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;

use super::Socket;
use super::active_mode::Active;
use super::inner::{ClaimOutcome, ConnectionInner, DropGuard, OutcomeCallback};
use super::maybe_tls::MaybeTlsStream;
use super::raw_stream::RawStream;
use crate::address::Address;
use crate::tracker::permit::Permit;

/// A connection nobody reads yet: a value that is the ownership of its socket.
///
/// It is registered with no reactor, so it can go to another actor, to another thread, or as a descriptor to another
/// process. [`claim`](Self::claim) makes the caller its owner. Dropped unclaimed, it is closed, unless it was
/// [transferred](Self::transfer): then it goes back to its last owner. What the peer sends meanwhile waits in the kernel.
///
/// This is OTP's `gen_tcp:controlling_process/2`, checked by the compiler: nobody but the owner has a way to read, and
/// a new owner that is gone by the time it is told drops the connection instead of leaving it to nobody.
///
/// It is a message too: any actor that handles it can be a connection's owner.
#[doc(alias = "controlling_process")]
#[must_use = "a connection that is dropped is closed"]
pub struct Accepted(Box<ConnectionInner>);

impl Accepted {
    /// A connection from a descriptor, as another process sends one: TCP or a unix stream socket.
    ///
    /// # Errors
    ///
    /// When the descriptor is no such socket or cannot be made non-blocking. It is closed then.
    pub fn from_fd(descriptor: OwnedFd, peer: impl Into<Address>) -> io::Result<Self> {
        let domain = socket_domain(&descriptor)?;
        if socket_type(&descriptor)? != SocketType::STREAM {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "no stream socket"));
        }
        rustix::io::ioctl_fionbio(&descriptor, true)?;
        if domain == AddressFamily::UNIX {
            Ok(Self::new(UnixStream::from(descriptor), peer))
        } else if domain == AddressFamily::INET || domain == AddressFamily::INET6 {
            Ok(Self::new(std::net::TcpStream::from(descriptor), peer))
        } else {
            Err(io::Error::new(io::ErrorKind::Unsupported, "neither a TCP nor a unix socket"))
        }
    }

    /// A connection over anything else that carries bytes both ways, such as a pipe in memory: for tests and tunnels.
    ///
    /// It must not depend on a reactor if it is to change arbiters.
    pub fn from_stream<S>(stream: S, peer: impl Into<Address>) -> Self
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        Self::new(MaybeTlsStream::Plain(RawStream::Other(Box::new(stream))), peer)
    }

    /// The stream must be non-blocking.
    pub(crate) fn new(stream: impl Into<MaybeTlsStream>, peer: impl Into<Address>) -> Self {
        Self(Box::new(ConnectionInner::new(stream.into(), peer.into())))
    }

    /// Of a connection that is parked.
    pub(crate) fn from_boxed(inner: Box<ConnectionInner>) -> Self {
        Self(inner)
    }

    /// Says which of our addresses the peer connected to. Otherwise the kernel is asked when somebody wants to know.
    pub fn with_local_addr(mut self, local: impl Into<Address>) -> Self {
        self.0.local = Some(local.into());
        self
    }

    /// Bytes that were read from the connection before; the owner reads them first.
    pub fn with_read_ahead(mut self, bytes: impl Into<Bytes>) -> Self {
        self.0.read_ahead = bytes.into();
        self
    }

    /// Makes it one of the connections behind a tracker until it is over.
    pub fn with_permit(mut self, mut permit: Permit) -> Self {
        permit.connect(&self.0.peer, false);
        self.0.permit = Some(permit);
        self
    }

    /// Has `guard` dropped when the connection is over, whoever owns it then.
    pub fn with_guard(mut self, guard: impl Send + 'static) -> Self {
        self.0.guard = Some(DropGuard(Box::new(guard)));
        self
    }

    /// Has `callback` called once, with what becomes of the connection: inside [`claim`](Self::claim) and before a byte can
    /// be read, or when it is dropped.
    ///
    /// Whoever asked before is told that it is taken: the caller has it now.
    pub fn on_outcome(mut self, callback: impl FnOnce(ClaimOutcome) + Send + 'static) -> Self {
        self.notify_claimed();
        self.0.outcome_callback = OutcomeCallback(Some(Box::new(callback)));
        self
    }

    /// Gives it to a new owner in whatever way `hand_over` does, and waits until that has claimed it. Otherwise it
    /// comes back: handed over in vain, dropped unclaimed by an owner that refuses or dies.
    ///
    /// Bytes that were read, bytes that wait to be written, permit, limits and mode go with it. If this future is
    /// dropped, a connection that comes back closes.
    ///
    /// # Errors
    ///
    /// Says why not, and gives the connection back.
    #[doc(alias = "controlling_process")]
    pub async fn transfer<F>(mut self, hand_over: F) -> Result<(), TransferError>
    where
        F: FnOnce(Self) -> Result<(), Self>,
    {
        let (return_to, mut back) = oneshot::channel();
        self.notify_claimed();
        self.0.return_to = Some(return_to);
        if let Err(mut accepted) = hand_over(self) {
            accepted.0.return_to = None;
            return Err(TransferError::Refused(accepted));
        }
        // An end without a value is the claim.
        match (&mut back).await {
            Ok(inner) => Err(TransferError::Refused(Self::from_boxed(inner))),
            Err(_) => Ok(()),
        }
    }

    /// [Transfers](Self::transfer) it to an actor as a message.
    ///
    /// # Errors
    ///
    /// Says why not, and gives the connection back.
    pub async fn transfer_to(self, owner: &Recipient<Self>) -> Result<(), TransferError> {
        let (mut gone, mut full) = (false, false);
        let given = self.transfer(|accepted| {
            owner.try_send(accepted).map_err(|error| {
                gone = matches!(error, actix::prelude::SendError::Closed(_));
                full = !gone;
                error.into_inner()
            })
        });
        given.await.map_err(|error| match error.into_accepted() {
            accepted if gone => TransferError::Gone(accepted),
            accepted if full => TransferError::Full(accepted),
            accepted => TransferError::Refused(accepted),
        })
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
    pub fn claim(mut self) -> io::Result<Socket> {
        if let Err(error) = self.0.stream.raw_mut().register() {
            // There is nothing left to give back.
            self.0.return_to = None;
            return Err(error);
        }
        self.notify_claimed();
        Ok(Socket::from_boxed(self.0))
    }

    /// Whoever had it before is told that it is taken.
    fn notify_claimed(&mut self) {
        if let Some(permit) = &mut self.0.permit {
            permit.set_claimed();
        }
        self.0.outcome_callback.call(ClaimOutcome::Claimed);
        self.0.return_to = None;
    }

    /// Who connected.
    pub fn peer_addr(&self) -> &Address {
        &self.0.peer
    }

    /// To which of our addresses.
    ///
    /// # Errors
    ///
    /// When the kernel is asked and does not know.
    pub fn local_addr(&self) -> io::Result<Address> {
        self.0.local_addr()
    }

    /// What was read from the connection before.
    pub fn read_ahead(&self) -> &Bytes {
        &self.0.read_ahead
    }

    /// How its last owner had it pushed to it: a new one may go on in that mode ([`Socket::activate`]).
    pub fn active(&self) -> Active {
        self.0.active
    }

    /// The kernel's socket, to be sent to another process with [what was read](Self::read_ahead). `None` for a
    /// connection that is more than that: encrypted, in memory, or with bytes that wait to be written.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.0.stream.descriptor().filter(|_| self.0.write_buffer.is_empty())
    }

    /// Closes this process's copy of the socket and keeps the permit: for a connection that lives on elsewhere and is
    /// still one of those behind the tracker. Whoever handed it over is told that it is taken.
    pub fn into_permit(mut self) -> Option<Permit> {
        self.notify_claimed();
        self.0.permit.take()
    }

    pub(crate) fn permit(&self) -> Option<&Permit> {
        self.0.permit.as_ref()
    }

    pub(crate) fn permit_mut(&mut self) -> Option<&mut Permit> {
        self.0.permit.as_mut()
    }
}

impl Socket {
    /// Gives it up, with everything that was read and not handed out, so that it can go to another owner.
    ///
    /// What is left here is a socket without a connection: every use of it fails with `NotConnected`. If the connection
    /// [comes back](Accepted::transfer) it can be claimed anew.
    ///
    /// # Errors
    ///
    /// `NotConnected` when it was given away before. When the reactor does not let go of the socket; it is closed then.
    #[doc(alias = "controlling_process")]
    pub fn release(&mut self) -> io::Result<Accepted> {
        if self.0.is_released() {
            return Err(io::ErrorKind::NotConnected.into());
        }
        let Self(mut inner) = self.take();
        inner.deregister()?;
        Ok(Accepted::from_boxed(inner))
    }
}

impl actix::Message for Accepted {
    type Result = ();
}

impl fmt::Debug for Accepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accepted")
            .field("stream", &self.0.stream.raw())
            .field("peer", &self.0.peer)
            .field("read_ahead", &self.0.read_ahead.len())
            .finish_non_exhaustive()
    }
}

/// Why a connection was not given away. Whoever holds this owns the connection; dropped, it is closed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransferError {
    /// The new owner is dead, or has not started.
    #[error("the new owner of the connection is gone")]
    Gone(Accepted),
    /// The mailbox of the new owner is full.
    #[error("the new owner of the connection has no room in its mailbox")]
    Full(Accepted),
    /// The new owner dropped it unclaimed: on purpose, or because it died.
    #[error("the new owner did not claim the connection")]
    Refused(Accepted),
}

impl TransferError {
    /// The connection.
    pub fn into_accepted(self) -> Accepted {
        match self {
            Self::Gone(accepted) | Self::Full(accepted) | Self::Refused(accepted) => accepted,
        }
    }
}
