//! A connection that is not being read.

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

/// A connection that is not being read. The value is the ownership of its socket.
///
/// It is registered with no reactor, so it can move to another actor, another thread, or, as a descriptor,
/// another process. [`claim`](Self::claim) makes the caller its owner. Dropped unclaimed, it is closed, unless
/// it was [transferred](Self::transfer): then it returns to its last owner. Bytes of the peer wait in the
/// kernel meanwhile.
///
/// This is OTP's `gen_tcp:controlling_process/2`, checked by the compiler: only the owner can read, and a new
/// owner that has exited drops the connection.
///
/// It is also a message: any actor that handles it can own a connection.
#[doc(alias = "controlling_process")]
#[must_use = "a connection that is dropped is closed"]
pub struct Accepted(Box<ConnectionInner>);

impl Accepted {
    /// A connection from a descriptor that another process sent: TCP or a unix stream socket.
    ///
    /// # Errors
    ///
    /// When the descriptor is another kind of socket or cannot be made non-blocking. It is closed then.
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

    /// A connection over another byte stream, such as an in-memory pipe: for tests and tunnels.
    ///
    /// The stream must not be registered with a reactor if the connection is to change arbiters.
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

    /// From a connection that is registered with no reactor.
    pub(crate) fn from_boxed(inner: Box<ConnectionInner>) -> Self {
        Self(inner)
    }

    /// Sets the local address. Otherwise the kernel is asked when the address is needed.
    pub fn with_local_addr(mut self, local: impl Into<Address>) -> Self {
        self.0.local = Some(local.into());
        self
    }

    /// Adds bytes that were already read from the connection; the owner reads them first.
    pub fn with_read_ahead(mut self, bytes: impl Into<Bytes>) -> Self {
        self.0.read_ahead = bytes.into();
        self
    }

    /// Counts it in a tracker until it is closed.
    pub fn with_permit(mut self, mut permit: Permit) -> Self {
        permit.connect(&self.0.peer, false);
        self.0.permit = Some(permit);
        self
    }

    /// Drops `guard` when the connection is closed, whatever its owner is then.
    pub fn with_guard(mut self, guard: impl Send + 'static) -> Self {
        self.0.guard = Some(DropGuard(Box::new(guard)));
        self
    }

    /// Calls `callback` once with the outcome: inside [`claim`](Self::claim), before a byte can be read, or
    /// when it is dropped.
    ///
    /// An earlier callback is called with `Claimed` now: the caller owns the connection.
    pub fn on_outcome(mut self, callback: impl FnOnce(ClaimOutcome) + Send + 'static) -> Self {
        self.notify_claimed();
        self.0.outcome_callback = OutcomeCallback(Some(Box::new(callback)));
        self
    }

    /// Transfers it to a new owner by `hand_over`, and waits until that has claimed it. Otherwise it returns:
    /// when `hand_over` fails, or when the new owner drops it unclaimed or exits.
    ///
    /// Received bytes, bytes that wait to be written, permit, limits and mode move with it. If this future is
    /// dropped, a connection that returns is closed.
    ///
    /// # Errors
    ///
    /// The cause, with the connection; without it after [`TransferError::ClaimFailed`], which closes it.
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
        // A closed channel without a value means that the connection was claimed.
        match (&mut back).await {
            Ok(Ok(inner)) => Err(TransferError::Refused(Self::from_boxed(inner))),
            Ok(Err(error)) => Err(TransferError::ClaimFailed(error)),
            Err(_) => Ok(()),
        }
    }

    /// [Transfers](Self::transfer) it to an actor as a message.
    ///
    /// # Errors
    ///
    /// The cause, with the connection; without it after [`TransferError::ClaimFailed`], which closes it.
    pub async fn transfer_to(self, owner: &Recipient<Self>) -> Result<(), TransferError> {
        let (mut gone, mut full) = (false, false);
        let given = self.transfer(|accepted| {
            owner.try_send(accepted).map_err(|error| {
                gone = matches!(error, actix::prelude::SendError::Closed(_));
                full = !gone;
                error.into_inner()
            })
        });
        given.await.map_err(|error| match error {
            TransferError::Refused(accepted) if gone => TransferError::Gone(accepted),
            TransferError::Refused(accepted) if full => TransferError::Full(accepted),
            other => other,
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
            let return_to = self.0.return_to.take();
            // First: the connection is closed and its outcome is `Dropped` before `transfer` returns.
            drop(self);
            if let Some(return_to) = return_to {
                // The future of `transfer` was dropped if this fails: no caller waits for the error.
                let _ = return_to.send(Err(copy_error(&error)));
            }
            return Err(error);
        }
        self.notify_claimed();
        Ok(Socket::from_boxed(self.0))
    }

    /// Calls the callback of the last owner with `Claimed`.
    fn notify_claimed(&mut self) {
        if let Some(permit) = &mut self.0.permit {
            permit.set_claimed();
        }
        self.0.outcome_callback.call(ClaimOutcome::Claimed);
        self.0.return_to = None;
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

    /// Bytes that were already read from the connection.
    pub fn read_ahead(&self) -> &Bytes {
        &self.0.read_ahead
    }

    /// The active mode under its last owner; a new one can continue with it ([`Socket::activate`]).
    pub fn active(&self) -> Active {
        self.0.active
    }

    /// The descriptor, to be sent to another process with [the bytes already read](Self::read_ahead). `None`
    /// for a connection with more state: encrypted, in memory, or with bytes that wait to be written.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.0.stream.descriptor().filter(|_| self.0.write_buffer.is_empty())
    }

    /// Closes this process's copy of the descriptor and keeps the permit: for a connection that another
    /// process serves and that still counts here. The last owner's callback is called with `Claimed`.
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
    /// Gives up the connection, with all received bytes, so that it can move to another owner.
    ///
    /// The `Socket` stays without a connection: every use of it fails with `NotConnected`. If the connection
    /// [returns](Accepted::transfer) it can be claimed again.
    ///
    /// # Errors
    ///
    /// `NotConnected` when it was transferred before. When the reactor does not release the socket; it is
    /// closed then.
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

/// The same error for a second receiver: `io::Error` is not `Clone`.
fn copy_error(error: &io::Error) -> io::Error {
    let copy = || io::Error::new(error.kind(), error.to_string());
    error.raw_os_error().map_or_else(copy, io::Error::from_raw_os_error)
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

/// Why a transfer failed. The holder of this value owns the connection; dropped, it is closed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransferError {
    /// The new owner has exited, or has not started.
    #[error("the new owner of the connection is gone")]
    Gone(Accepted),
    /// The mailbox of the new owner is full.
    #[error("the new owner of the connection has no room in its mailbox")]
    Full(Accepted),
    /// The new owner dropped it unclaimed: on purpose, or because it exited.
    #[error("the new owner did not claim the connection")]
    Refused(Accepted),
    /// The reactor of the new owner's arbiter refused the socket. The connection is closed.
    #[error("the new owner cannot register the connection, which is closed: {0}")]
    ClaimFailed(#[source] io::Error),
}

impl TransferError {
    /// The connection; `None` after [`ClaimFailed`](Self::ClaimFailed), which closes it.
    pub fn into_accepted(self) -> Option<Accepted> {
        match self {
            Self::Gone(accepted) | Self::Full(accepted) | Self::Refused(accepted) => Some(accepted),
            Self::ClaimFailed(_) => None,
        }
    }
}
