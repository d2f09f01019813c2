//! The sending side of a port.

use std::os::fd::BorrowedFd;
use std::sync::Arc;

use impresario_sys::SeqPacket;
use impresario_wire::{Message, PortPolicy, StreamId};

use crate::error::SendError;
use crate::state::PortState;

/// Sends over a port, from any thread of the process. `Clone` is a reference-count increment.
///
/// Create the handle first; a [`Port`](crate::Port) actor then serves it. The queue belongs to the handle: after a restart
/// of the actor, queued messages are still sent.
///
/// The descriptor is closed when the port is closed, or when the last handle and the actor are dropped.
#[derive(Clone, Debug)]
pub struct PortHandle(Arc<PortState>);

impl PortHandle {
    /// A port on one end of a socket pair. Call it in the process that uses the port: frames carry the pid of the caller.
    pub fn new(socket: SeqPacket, policy: PortPolicy) -> Self {
        PortHandle(Arc::new(PortState::new(socket, policy)))
    }

    /// Roles and peer pid of the port.
    pub fn policy(&self) -> PortPolicy {
        self.0.policy
    }

    /// Sends a message. It is written immediately if the queue is empty and the socket takes it; otherwise it is queued
    /// and the actor writes it.
    ///
    /// The descriptors are borrowed. Only a queued message holds duplicates of them.
    ///
    /// Messages of all handles are received in the order of the calls of `send`. Does not block.
    ///
    /// # Errors
    ///
    /// [`SendError::Full`] when the queue is full, [`SendError::Closed`] when the port is closed. The other errors are bugs
    /// of the caller, except [`SendError::Duplicate`].
    pub fn send(&self, stream: StreamId, message: &Message, fds: &[BorrowedFd<'_>]) -> Result<(), SendError> {
        let kind = message.kind();
        self.0.policy.check_outgoing(kind)?;
        let (least, most) = message.descriptors().into_inner();
        if fds.len() < least || fds.len() > most {
            return Err(SendError::Descriptors { kind, found: fds.len(), least, most });
        }
        let frames = self.0.encoder.encode(stream, message)?;
        self.0.send(frames, fds)
    }

    /// As [`send`](Self::send), but waits while the queue is full. Cancel safe: dropping the future before it completes
    /// sends nothing.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), but never [`SendError::Full`].
    pub async fn send_when_ready(
        &self,
        stream: StreamId,
        message: &Message,
        fds: &[BorrowedFd<'_>],
    ) -> Result<(), SendError> {
        loop {
            match self.send(stream, message, fds) {
                Err(SendError::Full) => self.ready().await?,
                result => return result,
            }
        }
    }

    /// Waits until a full port has drained to its low marks. Returns immediately if no `send` has failed with
    /// [`SendError::Full`] since.
    ///
    /// All waiting callers are notified together, so a [`send`](Self::send) afterwards can find the port full again.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`].
    pub async fn ready(&self) -> Result<(), SendError> {
        loop {
            // Created before the check: a notification between check and await would be lost otherwise.
            let writable = self.0.writable.notified();
            if !self.0.is_congested()? {
                return Ok(());
            }
            writable.await;
        }
    }

    /// Closes the port and discards queued messages. The actor delivers [`PortEvent::Closed`](crate::PortEvent::Closed) and
    /// stops. Later calls do nothing.
    pub fn close(&self) {
        self.0.close();
    }

    /// Closes the port as [`close`](Self::close) does, after `shutdown(SHUT_RDWR)`. The peer is at end of file even if
    /// other processes hold copies of this end.
    pub fn abort(&self) {
        self.0.abort();
    }

    /// Whether nothing can be sent any more. Messages that the peer sent before may still be delivered.
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    /// Number of messages in the queue.
    pub fn queued(&self) -> usize {
        self.0.queued()
    }

    pub(crate) fn state(&self) -> &PortState {
        &self.0
    }
}
